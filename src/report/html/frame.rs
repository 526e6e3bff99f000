//! What stands around a page: its head, its navigation, its script, and the policy under which a browser shows it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use sha2::{Digest, Sha256};

use crate::printable;

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
    pub fn text(&self) -> String {
        // What is not printed stands as its number, wherever it is.
        printable::lines(&self.markup().into_string()).into_owned()
    }

    fn markup(&self) -> Markup {
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
    printable::json(json)
        .replace('<', "\\u003c")
        .replace('>', "\\u003e")
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
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

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
