//! What is printed for people, as Markdown: the same tables, everything else as text that Markdown does not touch.

/// Terminal text as Markdown: its tables are Markdown already.
pub fn markdown(text: &str) -> String {
    let mut out = String::new();
    let mut in_table = false;
    for line in text.lines() {
        let table = line.starts_with('|');
        // A table stands between blank lines, and so does a paragraph.
        if table != in_table || (!table && !out.ends_with("\n\n") && !out.is_empty()) {
            out.push('\n');
        }
        in_table = table;
        out += &escaped(line.trim_start());
        out.push('\n');
    }
    out
}

/// Text in which nothing is a mark: `<bos>` is no tag, `A*B` and `__` no emphasis, `\n` what a token is shown as.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for c in text.chars() {
        match c {
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '&' => out += "&amp;",
            '*' | '`' | '#' | '_' | '~' | '\\' => {
                out.push('\\');
                out.push(c);
            }
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::markdown;

    #[test]
    fn tables_stand_alone_and_text_is_text() {
        let text = "model <bos>\nwith A*B and \"__\\n\"\n| a | b |\n|---|---|\n| 1 | 2 |\nafter\n    more\n";
        let expected = "model &lt;bos&gt;\n\nwith A\\*B and \"\\_\\_\\\\n\"\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\nafter\n\nmore\n";
        assert_eq!(markdown(text), expected);
    }
}
