//! What stands around a page: its head, its navigation, its script, and the policy under which a browser shows it.

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};

use crate::file::sha256_bytes;

/// How the page looks.
const STYLE: &str = include_str!("page.css");

/// What makes it answer: filters, sorting, values, prompts. Without it everything is there and unfolded.
const SCRIPT: &str = include_str!("page.js");

/// A page.
pub struct Page {
    /// The title.
    pub title: String,
    /// A sentence below it.
    pub lead: String,
    /// The navigation.
    pub navigation: Markup,
    /// What it says.
    pub content: Markup,
    /// What the script is given, as JSON; nothing where it needs nothing.
    pub data: Option<String>,
}

impl Page {
    /// The page as one file. A browser loads nothing for it and runs nothing but its own script, whatever the records say.
    pub fn markup(&self) -> Markup {
        markup! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content=(policy());
                    // A browser asks for a picture of the site unless it is given one.
                    link rel="icon" href="data:,";
                    title { (self.title) }
                    style { (PreEscaped(STYLE)) }
                }
                body {
                    a.skip href="#answers" { "To the answers" }
                    header {
                        h1 { (self.title) }
                        p { (self.lead) }
                    }
                    (self.navigation)
                    main { (self.content) }
                    @if let Some(data) = &self.data {
                        script type="application/json" id="prompts" { (PreEscaped(in_script(data))) }
                    }
                    script { (PreEscaped(SCRIPT)) }
                }
            }
        }
    }
}

/// JSON that cannot end the element in which it stands.
fn in_script(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e")
}

/// Only what has these hashes is run or styles the page.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src '{}'; style-src '{}'; img-src data:; base-uri 'none'; form-action 'none'",
        hash(SCRIPT),
        hash(STYLE)
    )
}

/// The hash of a text, as a policy has it.
fn hash(text: &str) -> String {
    let hex = sha256_bytes(text.as_bytes());
    let digits = hex.as_str().as_bytes().chunks(2);
    let byte = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("digits are ASCII");
        u8::from_str_radix(pair, 16).expect("two hexadecimal digits are a byte")
    };
    let bytes: Vec<u8> = digits.map(byte).collect();
    format!("sha256-{}", base64(&bytes))
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let digits = |three: &[u8]| {
        let at = |i: usize| three.get(i).map_or(0, |byte| u32::from(*byte));
        let bits = at(0) << 16 | at(1) << 8 | at(2);
        let digit = |i: usize| match i <= three.len() {
            true => DIGITS[(bits >> (18 - 6 * i) & 63) as usize] as char,
            false => '=',
        };
        (0..4).map(digit).collect::<String>()
    };
    bytes.chunks(3).map(digits).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The examples of RFC 4648.
    #[test]
    fn base64_is_that_of_the_standard() {
        for (text, expected) in [
            ("", ""),
            ("f", "Zg=="),
            ("fo", "Zm8="),
            ("foo", "Zm9v"),
            ("foobar", "Zm9vYmFy"),
        ] {
            assert_eq!(base64(text.as_bytes()), expected);
        }
        assert_eq!(base64(&[0xfb, 0xff]), "+/8=");
    }

    /// SHA-256 of nothing, as every tool prints it.
    #[test]
    fn hashes_are_those_of_a_policy() {
        assert_eq!(
            hash(""),
            "sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
        );
    }

    #[test]
    fn data_cannot_leave_its_element() {
        assert_eq!(
            in_script("[\"</script><!--\"]"),
            "[\"\\u003c/script\\u003e\\u003c!--\"]"
        );
    }
}
