//! Text that others wrote, as it may be shown: names of models and files, tokens and errors come from anywhere.

use std::borrow::Cow;

/// Whether a character is not printed, or turns the direction of what is: it may move the cursor, end a line, or let a text look like
/// another one. Those that XML forbids are among them.
pub(crate) fn is_printed(c: char) -> bool {
    !c.is_control()
        && !matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
        && !matches!(c, '\u{2028}' | '\u{2029}' | '\u{fffe}' | '\u{ffff}')
}

/// Text of one line, in which what is not printed stands as its number.
pub(crate) fn line(text: &str) -> Cow<'_, str> {
    escaped(text, is_printed)
}

/// The same of several lines.
pub(crate) fn lines(text: &str) -> Cow<'_, str> {
    escaped(text, |c| is_printed(c) || c == '\n')
}

fn escaped(text: &str, stays: impl Fn(char) -> bool) -> Cow<'_, str> {
    if text.chars().all(&stays) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match stays(c) {
            true => out.push(c),
            false => out.extend(c.escape_default()),
        }
    }
    Cow::Owned(out)
}

/// A line of JSON that says the same, in which strings have the numbers of what is not printed. Between strings, where such a number would
/// be no JSON, white space is all that there can be.
pub(crate) fn json(text: &str) -> Cow<'_, str> {
    if text.chars().all(is_printed) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if is_printed(c) => out.push(c),
            c if c.is_ascii_whitespace() => out.push(' '),
            c => out += &format!("\\u{:04x}", u32::from(c)),
        }
    }
    Cow::Owned(out)
}

/// An object as a line that machines read.
pub(crate) fn object(value: &serde_json::Value) -> String {
    format!("{}\n", json(&value.to_string()))
}

/// A line in which nothing is a command to GitHub, which reads some in what a workflow prints.
pub(crate) fn no_command(line: &str) -> Cow<'_, str> {
    let begin = line.len() - line.trim_start().len();
    let taken = match line[begin..].starts_with("::") {
        true => format!("{}\\{}", &line[..begin], &line[begin..]),
        false if line.contains("##[") => line.to_owned(),
        false => return Cow::Borrowed(line),
    };
    Cow::Owned(taken.replace("##[", "##\\["))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_not_printed_stands_as_its_number() {
        assert_eq!(line("é \u{1b}[2J\u{202e}\n"), "é \\u{1b}[2J\\u{202e}\\n");
        assert_eq!(lines("a\r\nb\u{9b}"), "a\\r\nb\\u{9b}");
        assert_eq!(
            json("{\"a\":\t\"\u{9b}\u{202e}\"}"),
            "{\"a\": \"\\u009b\\u202e\"}"
        );
        let value: serde_json::Value = serde_json::from_str(&json("\"\u{9b}\u{ffff}\"")).unwrap();
        assert_eq!(value, "\u{9b}\u{ffff}");
    }

    #[test]
    fn nothing_is_a_command() {
        assert_eq!(no_command("  ::error::x"), "  \\::error::x");
        assert_eq!(no_command("a ##[error]x"), "a ##\\[error]x");
        assert_eq!(no_command("a::b"), "a::b");
    }
}
