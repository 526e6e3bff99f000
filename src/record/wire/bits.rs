//! Booleans as hexadecimal digits.

/// Booleans as hexadecimal digits, four a digit, the first the highest bit; the last digit is filled up with zeros.
pub fn hex_bits(bits: impl Iterator<Item = bool>) -> String {
    let bits: Vec<bool> = bits.collect();
    let digit = |four: &[bool]| {
        let value = (0..4).fold(0, |value, i| {
            2 * value + u32::from(four.get(i).copied().unwrap_or(false))
        });
        char::from_digit(value, 16).expect("four bits are a digit")
    };
    bits.chunks(4).map(digit).collect()
}

/// The first `count` booleans of [`hex_bits`]; `None` where the text is another's.
pub fn bits_of_hex(text: &str, count: usize) -> Option<Vec<bool>> {
    if text.len() != count.div_ceil(4) {
        return None;
    }
    let mut bits = Vec::with_capacity(text.len() * 4);
    for digit in text.chars() {
        let value = digit.to_digit(16)?;
        bits.extend((0..4).map(|i| value >> (3 - i) & 1 == 1));
    }
    bits.truncate(count);
    Some(bits)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_come_back() {
        for count in 0..10 {
            let bits: Vec<bool> = (0..count).map(|i| i % 3 == 0).collect();
            let text = hex_bits(bits.iter().copied());
            assert_eq!(bits_of_hex(&text, count), Some(bits));
        }
        assert_eq!(hex_bits([true, false, false, true, true].into_iter()), "98");
        assert_eq!(bits_of_hex("98", 9), None);
        assert_eq!(bits_of_hex("9x", 8), None);
    }
}
