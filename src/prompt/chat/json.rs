//! JSON as Python writes it.

use std::io;

use serde::Serialize;
use serde_json::ser::{Formatter, PrettyFormatter, Serializer};

/// JSON on one line, with spaces behind commas and colons.
struct OneLine;

impl Formatter for OneLine {
    fn begin_array_value<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(to, first)
    }

    fn begin_object_key<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        first: bool,
    ) -> io::Result<()> {
        separate(to, first)
    }

    fn begin_object_value<W: ?Sized + io::Write>(&mut self, to: &mut W) -> io::Result<()> {
        to.write_all(b": ")
    }
}

fn separate<W: ?Sized + io::Write>(to: &mut W, first: bool) -> io::Result<()> {
    match first {
        true => Ok(()),
        false => to.write_all(b", "),
    }
}

/// The widest indentation; more would make a long text of nothing.
const MOST_INDENT: usize = 16;

/// What Python's `json.dumps` writes, with characters beyond ASCII as they are.
///
/// # Errors
/// A value that JSON has no form for; an indentation that is too wide.
pub fn dumps(value: &impl Serialize, indent: Option<usize>) -> Result<String, String> {
    let mut bytes = Vec::new();
    let written = match indent {
        None => value.serialize(&mut Serializer::with_formatter(&mut bytes, OneLine)),
        Some(indent) if indent > MOST_INDENT => {
            return Err(format!(
                "tojson: an indentation of {indent} is wider than {MOST_INDENT}"
            ));
        }
        Some(indent) => {
            let spaces = " ".repeat(indent);
            let pretty = PrettyFormatter::with_indent(spaces.as_bytes());
            value.serialize(&mut Serializer::with_formatter(&mut bytes, pretty))
        }
    };
    written.map_err(|e| format!("tojson: {e}"))?;
    String::from_utf8(bytes).map_err(|e| format!("tojson: {e}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_written_as_python_writes_it() {
        let value = json!({ "a": [1, "<é&'\n>", null], "b": {}, "c": [] });
        let one_line = "{\"a\": [1, \"<é&'\\n>\", null], \"b\": {}, \"c\": []}";
        assert_eq!(dumps(&value, None).unwrap(), one_line);
        let lines = "{\n \"a\": [\n  1,\n  \"<é&'\\n>\",\n  null\n ],\n \"b\": {},\n \"c\": []\n}";
        assert_eq!(dumps(&value, Some(1)).unwrap(), lines);
        assert!(dumps(&value, Some(MOST_INDENT + 1)).is_err());
    }
}
