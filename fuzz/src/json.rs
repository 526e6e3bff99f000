//! Changes to JSON that leave it JSON.

use serde_json::{Map, Value};

use crate::Random;

/// Numbers at which readers err, as they are written.
const NUMBERS: [&str; 16] = [
    "0",
    "-1",
    "1",
    "2",
    "0.5",
    "-0.0",
    "1e308",
    "-1e308",
    "1e-320",
    "4294967296",
    "9007199254740993",
    "9223372036854775807",
    "-9223372036854775808",
    "18446744073709551615",
    "1000000000000",
    "16777216",
];

/// Texts at which readers err.
const TEXTS: [&str; 10] = [
    "",
    "A",
    "\u{0}",
    "\u{202e}\u{feff}",
    "..",
    "|a|\n<b>",
    "999999999999999999999",
    "0..=9",
    "é",
    "\u{ffff}",
];

/// Changes a value somewhere in one of the texts between bytes 0xff or, where lines are objects of their own, in one of the lines. `None`
/// where the part is no JSON.
pub fn changed(bytes: &[u8], seed: u32) -> Option<Vec<u8>> {
    let mut random = Random::new(seed);
    // Syntax is broken, too.
    if random.once_in(4) {
        return None;
    }
    let is_end = |byte: &u8| [0xff, b'\n'].contains(byte);
    let lines_of_their_own = bytes
        .split(is_end)
        .filter(|part| part.starts_with(b"{"))
        .count()
        > 1;
    let ends = |byte: &u8| *byte == 0xff || (lines_of_their_own && *byte == b'\n');
    let parts: Vec<&[u8]> = bytes.split_inclusive(ends).collect();
    let at = random.below(parts.len());
    let part = parts.get(at)?;
    let (text, end) = match part.last() {
        Some(last) if ends(last) => part.split_at(part.len() - 1),
        _ => (*part, &[][..]),
    };
    let mut value: Value = serde_json::from_slice(text).ok()?;
    for _ in 0..1 + random.below(3) {
        let nodes = count(&value);
        let node = random.below(nodes);
        let other = nth(&value, &mut random.below(nodes).clone()).cloned();
        change(
            &mut value,
            &mut node.clone(),
            other.unwrap_or_default(),
            &mut random,
        );
    }
    let mut whole = Vec::with_capacity(bytes.len());
    parts[..at]
        .iter()
        .for_each(|part| whole.extend_from_slice(part));
    serde_json::to_writer(&mut whole, &value).ok()?;
    whole.extend_from_slice(end);
    // A line may come twice.
    if lines_of_their_own && random.once_in(8) {
        whole.extend_from_slice(part);
    }
    parts[at + 1..]
        .iter()
        .for_each(|part| whole.extend_from_slice(part));
    Some(whole)
}

fn children(value: &Value) -> Vec<&Value> {
    match value {
        Value::Array(all) => all.iter().collect(),
        Value::Object(fields) => fields.values().collect(),
        _ => Vec::new(),
    }
}

fn count(value: &Value) -> usize {
    1 + children(value).into_iter().map(count).sum::<usize>()
}

fn nth<'v>(value: &'v Value, left: &mut usize) -> Option<&'v Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    children(value)
        .into_iter()
        .find_map(|child| nth(child, left))
}

/// Changes the node of that number; whether it was there.
fn change(value: &mut Value, left: &mut usize, other: Value, random: &mut Random) -> bool {
    if *left == 0 {
        *value = instead(value, other, random);
        return true;
    }
    *left -= 1;
    match value {
        Value::Array(all) => all
            .iter_mut()
            .any(|child| change(child, left, other.clone(), random)),
        Value::Object(fields) => {
            let mut fields = fields.values_mut();
            fields.any(|child| change(child, left, other.clone(), random))
        }
        _ => false,
    }
}

/// What stands in place of a value.
fn instead(value: &Value, other: Value, random: &mut Random) -> Value {
    let number = |random: &mut Random| {
        let text = random.one_of(&NUMBERS);
        serde_json::from_str(text).expect("it is a number")
    };
    let text = |random: &mut Random| Value::from(*random.one_of(&TEXTS));
    match (value, random.below(8)) {
        (Value::Array(all), 0..=3) => {
            let mut all = all.clone();
            let at = random.below(all.len());
            match random.below(3) {
                0 if !all.is_empty() => drop(all.remove(at)),
                1 if !all.is_empty() => all.insert(at, all[at].clone()),
                _ => all.push(other),
            }
            Value::Array(all)
        }
        (Value::Object(fields), 0..=3) => {
            let mut fields = fields.clone();
            let names: Vec<String> = fields.keys().cloned().collect();
            if !names.is_empty() {
                fields.remove(random.one_of(&names));
            }
            Value::Object(fields)
        }
        (Value::Bool(flag), 0..=3) => Value::Bool(!flag),
        (Value::Number(_), 0..=4) => number(random),
        (Value::String(_), 0..=2) => text(random),
        (_, 5) => other,
        (_, 6) => number(random),
        (_, 7) => match random.below(5) {
            0 => Value::Null,
            1 => Value::Array(Vec::new()),
            2 => Value::Object(Map::new()),
            3 => text(random),
            _ => Value::Bool(true),
        },
        _ => other,
    }
}
