//! Changes to a message of protobuf that leave it one: every length stays right.

use crate::Random;

/// A field of a message.
#[derive(Clone)]
struct Field {
    number: u64,
    value: Value,
}

#[derive(Clone)]
enum Value {
    Varint(u64),
    Fixed64([u8; 8]),
    Fixed32([u8; 4]),
    Bytes(Vec<u8>),
    Message(Vec<Field>),
}

/// Messages are not read deeper: a text may look like one.
const DEEPEST: usize = 8;

/// Changes some fields somewhere; `None` where the bytes are no message.
pub fn changed(bytes: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    if random.once_in(16) {
        return None;
    }
    let mut message = read(bytes, 0)?;
    let mut texts = Vec::new();
    collect(&message, &mut texts);
    for _ in 0..1 + random.below(4) {
        let at = random.below(count(&message));
        change(&mut message, &mut at.clone(), &texts, &mut random);
    }
    let mut changed = Vec::with_capacity(bytes.len());
    write(&message, &mut changed);
    Some(changed)
}

fn varint(bytes: &[u8], at: &mut usize) -> Option<u64> {
    let mut value = 0u64;
    for shift in (0..64).step_by(7) {
        let byte = *bytes.get(*at)?;
        *at += 1;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn read(bytes: &[u8], depth: usize) -> Option<Vec<Field>> {
    let (mut fields, mut at) = (Vec::new(), 0);
    while at < bytes.len() {
        let key = varint(bytes, &mut at)?;
        let number = key >> 3;
        if number == 0 || number > 1000 {
            return None;
        }
        let value = match key & 7 {
            0 => Value::Varint(varint(bytes, &mut at)?),
            1 => Value::Fixed64(take(bytes, &mut at, 8)?.try_into().ok()?),
            5 => Value::Fixed32(take(bytes, &mut at, 4)?.try_into().ok()?),
            2 => {
                let length = usize::try_from(varint(bytes, &mut at)?).ok()?;
                let inside = take(bytes, &mut at, length)?;
                // A name of printable letters is a name, although some read as messages.
                let is_text = inside.iter().all(|byte| (32..127).contains(byte));
                let message = (depth < DEEPEST && !is_text).then(|| read(inside, depth + 1));
                match message.flatten() {
                    Some(message) => Value::Message(message),
                    None => Value::Bytes(inside.to_vec()),
                }
            }
            _ => return None,
        };
        fields.push(Field { number, value });
    }
    Some(fields)
}

fn take<'b>(bytes: &'b [u8], at: &mut usize, length: usize) -> Option<&'b [u8]> {
    let taken = bytes.get(*at..at.checked_add(length)?)?;
    *at += length;
    Some(taken)
}

fn write_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn write(fields: &[Field], out: &mut Vec<u8>) {
    for Field { number, value } in fields {
        let key = |kind: u64| number << 3 | kind;
        match value {
            Value::Varint(value) => {
                write_varint(key(0), out);
                write_varint(*value, out);
            }
            Value::Fixed64(bytes) => {
                write_varint(key(1), out);
                out.extend_from_slice(bytes);
            }
            Value::Fixed32(bytes) => {
                write_varint(key(5), out);
                out.extend_from_slice(bytes);
            }
            Value::Bytes(bytes) => {
                write_varint(key(2), out);
                write_varint(bytes.len() as u64, out);
                out.extend_from_slice(bytes);
            }
            Value::Message(message) => {
                let mut inside = Vec::new();
                write(message, &mut inside);
                write_varint(key(2), out);
                write_varint(inside.len() as u64, out);
                out.extend_from_slice(&inside);
            }
        }
    }
}

fn collect(fields: &[Field], texts: &mut Vec<Vec<u8>>) {
    for field in fields {
        match &field.value {
            Value::Bytes(text) if text.len() < 64 => texts.push(text.clone()),
            Value::Message(message) => collect(message, texts),
            _ => {}
        }
    }
}

fn count(fields: &[Field]) -> usize {
    let of = |field: &Field| match &field.value {
        Value::Message(message) => 1 + count(message),
        _ => 1,
    };
    fields.iter().map(of).sum()
}

/// Changes the field of that number, in the order in which they stand; whether it was there.
fn change(
    fields: &mut Vec<Field>,
    left: &mut usize,
    texts: &[Vec<u8>],
    random: &mut Random,
) -> bool {
    for at in 0..fields.len() {
        if *left == 0 {
            change_field(fields, at, texts, random);
            return true;
        }
        *left -= 1;
        if let Value::Message(message) = &mut fields[at].value
            && change(message, left, texts, random)
        {
            return true;
        }
    }
    false
}

fn change_field(fields: &mut Vec<Field>, at: usize, texts: &[Vec<u8>], random: &mut Random) {
    match random.below(10) {
        0 => drop(fields.remove(at)),
        1 => fields.insert(at, fields[at].clone()),
        2 => {
            let other = random.below(fields.len());
            fields.swap(at, other);
        }
        3 => {
            let other = random.below(fields.len());
            let moved = fields[other].value.clone();
            fields[at].value = moved;
        }
        4 if random.once_in(8) => fields[at].number = 1 + random.below(30) as u64,
        _ => match &mut fields[at].value {
            Value::Varint(value) => *value = random.integer(),
            Value::Fixed64(bytes) => *bytes = random.any().to_le_bytes(),
            Value::Fixed32(bytes) => *bytes = (random.any() as u32).to_le_bytes(),
            Value::Bytes(bytes) if texts.is_empty() || random.once_in(4) => {
                let end = random.below(bytes.len() + 1);
                bytes.truncate(end);
            }
            Value::Bytes(bytes) => *bytes = random.one_of(texts).clone(),
            Value::Message(message) => {
                let end = random.below(message.len() + 1);
                message.truncate(end);
            }
        },
    }
}
