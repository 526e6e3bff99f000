//! Changes to the head of a GGUF file that leave it one: counts and lengths stay right, most of the time.

use crate::Random;

/// A key with its type and the bytes of its value.
#[derive(Clone)]
struct Entry {
    key: Vec<u8>,
    kind: u32,
    value: Vec<u8>,
}

/// A tensor of the directory.
#[derive(Clone)]
struct Tensor {
    name: Vec<u8>,
    axes: Vec<u64>,
    kind: u32,
    offset: u64,
}

/// What stands before the weights.
struct Head {
    version: u32,
    entries: Vec<Entry>,
    tensors: Vec<Tensor>,
}

struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn u32(&mut self) -> Option<u32> {
        Some(u32::from_le_bytes(self.take(4)?.try_into().ok()?))
    }

    fn u64(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take(8)?.try_into().ok()?))
    }

    fn text(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.u64()?).ok()?;
        self.take(length)
    }

    /// Passes over a value.
    fn value(&mut self, kind: u32) -> Option<()> {
        match kind {
            0 | 1 | 7 => self.take(1).map(drop),
            2 | 3 => self.take(2).map(drop),
            4..=6 => self.take(4).map(drop),
            10..=12 => self.take(8).map(drop),
            8 => self.text().map(drop),
            9 => {
                let (kind, length) = (self.u32()?, self.u64()?);
                (0..length).try_for_each(|_| self.value(kind))
            }
            _ => None,
        }
    }
}

/// Changes some entries of the head; `None` where the bytes are none.
pub fn changed(bytes: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    if random.once_in(8) {
        return None;
    }
    let mut head = read(bytes)?;
    for _ in 0..1 + random.below(3) {
        change(&mut head, &mut random);
    }
    Some(written(&head))
}

fn read(bytes: &[u8]) -> Option<Head> {
    let mut cursor = Cursor(bytes);
    (cursor.take(4)? == b"GGUF").then_some(())?;
    let version = cursor.u32()?;
    let (tensors, entries) = (cursor.u64()?, cursor.u64()?);
    let entry = |cursor: &mut Cursor<'_>| {
        let (key, kind) = (cursor.text()?.to_vec(), cursor.u32()?);
        let before = cursor.0;
        cursor.value(kind)?;
        let value = before[..before.len() - cursor.0.len()].to_vec();
        Some(Entry { key, kind, value })
    };
    let tensor = |cursor: &mut Cursor<'_>| {
        let (name, axes) = (cursor.text()?.to_vec(), cursor.u32()?);
        let axes = (0..axes).map(|_| cursor.u64()).collect::<Option<_>>()?;
        Some(Tensor {
            name,
            axes,
            kind: cursor.u32()?,
            offset: cursor.u64()?,
        })
    };
    Some(Head {
        version,
        entries: (0..entries)
            .map(|_| entry(&mut cursor))
            .collect::<Option<_>>()?,
        tensors: (0..tensors)
            .map(|_| tensor(&mut cursor))
            .collect::<Option<_>>()?,
    })
}

fn put_text(out: &mut Vec<u8>, text: &[u8]) {
    out.extend((text.len() as u64).to_le_bytes());
    out.extend_from_slice(text);
}

fn written(head: &Head) -> Vec<u8> {
    let mut out = b"GGUF".to_vec();
    out.extend(head.version.to_le_bytes());
    out.extend((head.tensors.len() as u64).to_le_bytes());
    out.extend((head.entries.len() as u64).to_le_bytes());
    for entry in &head.entries {
        put_text(&mut out, &entry.key);
        out.extend(entry.kind.to_le_bytes());
        out.extend_from_slice(&entry.value);
    }
    for tensor in &head.tensors {
        put_text(&mut out, &tensor.name);
        out.extend((tensor.axes.len() as u32).to_le_bytes());
        tensor
            .axes
            .iter()
            .for_each(|axis| out.extend(axis.to_le_bytes()));
        out.extend(tensor.kind.to_le_bytes());
        out.extend(tensor.offset.to_le_bytes());
    }
    out
}

fn change(head: &mut Head, random: &mut Random) {
    let (entries, tensors) = (head.entries.len(), head.tensors.len());
    match random.below(12) {
        0 if entries > 0 => drop(head.entries.remove(random.below(entries))),
        1 if entries > 0 => {
            let from = head.entries[random.below(entries)].clone();
            let to = &mut head.entries[random.below(entries)];
            (to.kind, to.value) = (from.kind, from.value);
        }
        2 if tensors > 0 => drop(head.tensors.remove(random.below(tensors))),
        3 if tensors > 0 => {
            let tensor = &mut head.tensors[random.below(tensors)];
            let axis = random.below(tensor.axes.len());
            if let Some(axis) = tensor.axes.get_mut(axis) {
                *axis = random.integer();
            }
        }
        4 if tensors > 0 => head.tensors[random.below(tensors)].kind = random.below(40) as u32,
        5 if tensors > 0 => head.tensors[random.below(tensors)].offset = random.integer(),
        6 if tensors > 0 => {
            let from = head.tensors[random.below(tensors)].clone();
            head.tensors[random.below(tensors)].axes = from.axes;
        }
        _ if entries > 0 => change_value(&mut head.entries[random.below(entries)], random),
        _ => head.version = random.below(5) as u32,
    }
}

fn change_value(entry: &mut Entry, random: &mut Random) {
    let number = random.integer();
    match entry.kind {
        // Of a list, its length or a byte somewhere in it.
        9 if entry.value.len() > 12 && random.once_in(4) => {
            entry.value[4..12].copy_from_slice(&number.to_le_bytes());
        }
        9 if entry.value.len() > 12 => {
            let at = 12 + random.below(entry.value.len() - 12);
            entry.value[at] = random.any() as u8;
        }
        9 => {}
        8 => {
            let words: [&[u8]; 9] = [
                b"", b"llama", b"gpt2", b"gpt-2", b"qwen2", b"gemma3", b"yarn", b"linear",
                b"default",
            ];
            entry.value.clear();
            let word: &&[u8] = random.one_of(&words);
            put_text(&mut entry.value, word);
        }
        6 => {
            let floats = [
                0.0,
                -1.0,
                1.0,
                f32::NAN,
                f32::INFINITY,
                f32::MAX,
                f32::MIN_POSITIVE,
                1e-5,
            ];
            entry.value = random.one_of(&floats).to_le_bytes().to_vec();
        }
        _ => {
            let length = entry.value.len().min(8);
            entry.value = number.to_le_bytes()[..length].to_vec();
        }
    }
}
