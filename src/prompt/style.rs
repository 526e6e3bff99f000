//! Input styles: files of templates, one text an operation.

use std::collections::{BTreeMap, HashSet};
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::Operation;
use crate::file::{Sha256, sha256_bytes};
use crate::{Error, Result};

/// A file of styles.
#[derive(Clone, Debug)]
pub struct Styles {
    path: PathBuf,
    hash: Sha256,
    styles: Vec<Style>,
}

/// One style: how operations are asked.
#[derive(Clone, Debug)]
pub struct Style {
    /// Its name.
    pub id: String,
    /// Its templates, in the order of the file.
    pub templates: Vec<Template>,
}

/// How one operation is asked in one style. All prompts of a template have the same tokens in all but the operands'
/// places.
#[derive(Clone, Debug)]
pub struct Template {
    /// The style's name.
    pub style: String,
    /// The operation.
    pub operation: Operation,
    /// The text, the style's prefix included.
    pub pieces: Vec<Piece>,
    /// What stands around the text.
    pub frame: Frame,
}

/// What stands around the text of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// Nothing: it is asked as it is, behind the token that the tokenizer puts before a text.
    Plain,
    /// The model's chat template, which is still to be put there ([`super::Chat::frame`]).
    Wanted {
        /// How the answer begins, behind the assistant's header.
        prefill: String,
    },
    /// The model's chat template, whose words are in the pieces. Nothing stands before it that it does not write itself.
    Chat,
}

/// A part of a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text as it is.
    Text(String),
    /// The place of the operand of that index.
    Operand(usize),
}

/// The text of a prompt, with the places of the operands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rendered {
    /// The text.
    pub text: String,
    /// For every place of an operand its index and its bytes in `text`, in the order of the text.
    pub places: Vec<(usize, Range<usize>)>,
}

/// The file format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    #[serde(default)]
    style: Vec<StyleWire>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct StyleWire {
    id: String,
    #[serde(default)]
    prefix: String,
    #[serde(default)]
    chat: bool,
    prefill: Option<String>,
    templates: toml::Table,
}

const BUILT_IN: &str = include_str!("../../fixtures/styles/builtin.toml");

/// Files that are called by a name instead of a path.
const NAMED: [(&str, &str); 2] = [
    (
        "operations",
        include_str!("../../fixtures/styles/operations.toml"),
    ),
    (
        "four-shot",
        include_str!("../../fixtures/styles/four-shot.toml"),
    ),
];

impl Styles {
    /// The built-in styles: the six of the paper, and `calculate` for small models.
    pub fn built_in() -> Self {
        Self::parse(Path::new("fixtures/styles/builtin.toml"), BUILT_IN)
            .expect("the built-in style file is checked by a test")
    }

    /// Reads a file of styles; `operations` and `four-shot` are built in, unless there is a file of that name.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML of the right form, or holds a template that does not fit its operation.
    pub fn read(path: &Path) -> Result<Self> {
        let named = NAMED.iter().find(|(name, _)| path.as_os_str() == *name);
        if let (Some((name, text)), false) = (named, path.exists()) {
            return Self::parse(Path::new(&format!("fixtures/styles/{name}.toml")), text);
        }
        let text =
            std::fs::read_to_string(path).map_err(|e| Error::reading(path, "style file", e))?;
        Self::parse(path, &text)
    }

    fn parse(path: &Path, text: &str) -> Result<Self> {
        let fail = |reason: String| Error::Style {
            path: path.to_owned(),
            reason,
        };
        let file: FileWire = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
        let mut styles: Vec<Style> = Vec::new();
        // All problems at once: a file is written in one go and should be mended in one go.
        let mut problems = Vec::new();
        for wire in file.style {
            let mut templates: Vec<Template> = Vec::new();
            for (operation, text) in &wire.templates {
                let parsed = match text.as_str() {
                    Some(text) => template(&wire, operation, text),
                    None => Err("expected a string".to_owned()),
                };
                match parsed {
                    Ok(new) if templates.iter().any(|t| t.operation == new.operation) => {
                        problems.push(format!("style {:?}: {operation:?} occurs twice", wire.id));
                    }
                    Ok(new) => templates.push(new),
                    Err(reason) => problems.push(format!(
                        "style {:?}, operation {operation:?}: {reason}",
                        wire.id
                    )),
                }
            }
            if wire.prefill.is_some() && !wire.chat {
                problems.push(format!(
                    "style {:?} has a prefill, which begins the answer in a chat; add chat = true, or put its text at the end of the \
                     templates",
                    wire.id
                ));
            }
            if wire.templates.is_empty() {
                problems.push(format!("style {:?} has no templates", wire.id));
            }
            if styles.iter().any(|style| style.id == wire.id) {
                problems.push(format!("style {:?} occurs twice", wire.id));
            }
            styles.push(Style {
                id: wire.id,
                templates,
            });
        }
        if styles.is_empty() {
            problems.push("no [[style]] in the file".to_owned());
        }
        if !problems.is_empty() {
            return Err(fail(problems.join("; ")));
        }
        Ok(Self {
            path: path.to_owned(),
            hash: sha256_bytes(text.as_bytes()),
            styles,
        })
    }

    /// The SHA-256 of the file.
    pub fn hash(&self) -> &Sha256 {
        &self.hash
    }

    /// Whether one of them is asked in the model's chat template.
    pub fn chat(&self) -> bool {
        let mut templates = self.styles.iter().flat_map(|style| &style.templates);
        templates.any(|template| template.frame != Frame::Plain)
    }

    /// All styles, in the order of the file.
    pub fn all(&self) -> &[Style] {
        &self.styles
    }

    /// The templates of the given styles and operations, in the order asked for; all of them where none are given.
    /// A style that lacks an operation which another one has is passed over for it.
    ///
    /// # Errors
    /// A style that is not in the file; an operation that none of the styles has.
    pub fn select(&self, styles: &[String], operations: &[Operation]) -> Result<Vec<Template>> {
        let fail = |reason: String| Error::Style {
            path: self.path.clone(),
            reason,
        };
        let names = || {
            let names: Vec<&str> = self.styles.iter().map(|style| style.id.as_str()).collect();
            names.join(", ")
        };
        let mut chosen = Vec::new();
        if styles.is_empty() {
            chosen.extend(&self.styles);
        }
        for id in styles {
            let style = self.styles.iter().find(|style| &style.id == id);
            chosen.push(style.ok_or_else(|| {
                fail(format!("no style {id:?} in this file; it has {}", names()))
            })?);
        }
        // Asked for twice is asked for once.
        let mut seen = HashSet::new();
        chosen.retain(|style| seen.insert(&style.id));
        let mut seen = HashSet::new();
        let operations: Vec<&Operation> = operations.iter().filter(|op| seen.insert(*op)).collect();
        let mut templates = Vec::new();
        for style in &chosen {
            if operations.is_empty() {
                templates.extend(style.templates.iter().cloned());
            }
            for &operation in &operations {
                let found = style.templates.iter().find(|t| &t.operation == operation);
                templates.extend(found.cloned());
            }
        }
        let has = |op: &Operation| templates.iter().any(|t: &Template| &t.operation == op);
        let missing: Vec<String> = operations
            .iter()
            .filter(|op| !has(op))
            .map(ToString::to_string)
            .collect();
        if !missing.is_empty() {
            let mut known = BTreeMap::new();
            for template in chosen.iter().flat_map(|style| &style.templates) {
                known.insert(template.operation.to_string(), ());
            }
            return Err(fail(format!(
                "no template for {} in the chosen styles; they have {}",
                missing.join(", "),
                known.into_keys().collect::<Vec<_>>().join(", ")
            )));
        }
        Ok(templates)
    }
}

fn template(style: &StyleWire, operation: &str, text: &str) -> Result<Template, String> {
    let operation: Operation = operation.parse()?;
    let mut pieces = Vec::new();
    if !style.prefix.is_empty() {
        pieces.push(Piece::Text(style.prefix.clone()));
    }
    pieces.extend(parse_pieces(text, &operation)?);
    for index in 0..operation.operands() {
        if !pieces.contains(&Piece::Operand(index)) {
            let letter = Operation::letter(index);
            return Err(format!(
                "{text:?} has no place {{{letter}}} for operand {letter}"
            ));
        }
    }
    // Behind the text of a chat stands what the chat template writes there.
    if let (Some(Piece::Operand(index)), false) = (pieces.last(), style.chat) {
        let letter = Operation::letter(*index);
        return Err(format!(
            "{text:?} ends with {{{letter}}}: the last token must be the same in every prompt, because the answer is \
             read there"
        ));
    }
    Ok(Template {
        style: style.id.clone(),
        operation,
        pieces,
        frame: match style.chat {
            false => Frame::Plain,
            true => Frame::Wanted {
                prefill: style.prefill.clone().unwrap_or_default(),
            },
        },
    })
}

/// Splits a text at `{A}`, `{B}`, ...; `{{` and `}}` are braces.
fn parse_pieces(text: &str, operation: &Operation) -> Result<Vec<Piece>, String> {
    let mut pieces = Vec::new();
    let mut plain = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(['{', '}']) {
        plain.push_str(&rest[..at]);
        let brace = &rest[at..at + 1];
        rest = &rest[at + 1..];
        if let Some(after) = rest.strip_prefix(brace) {
            plain.push_str(brace);
            rest = after;
            continue;
        }
        let Some((name, after)) = rest.split_once('}').filter(|_| brace == "{") else {
            return Err(format!(
                "{text:?} has a lone {brace:?}; write {brace}{brace} for a brace"
            ));
        };
        let index = (0..operation.operands()).find(|&i| name == Operation::letter(i).to_string());
        let Some(index) = index else {
            let letters: Vec<String> = (0..operation.operands())
                .map(|i| format!("{{{}}}", Operation::letter(i)))
                .collect();
            return Err(format!(
                "{text:?} has the unknown placeholder {{{name}}}; expected {}",
                letters.join(", ")
            ));
        };
        if !plain.is_empty() {
            pieces.push(Piece::Text(std::mem::take(&mut plain)));
        }
        pieces.push(Piece::Operand(index));
        rest = after;
    }
    plain.push_str(rest);
    if !plain.is_empty() {
        pieces.push(Piece::Text(plain));
    }
    Ok(pieces)
}

impl Template {
    /// The prompt for these operands.
    ///
    /// # Panics
    /// If `operands` has another length than the operation.
    pub fn render(&self, operands: &[i64]) -> Rendered {
        let mut text = String::new();
        let mut places = Vec::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(plain) => text.push_str(plain),
                Piece::Operand(index) => {
                    let start = text.len();
                    text.push_str(&operands[*index].to_string());
                    places.push((*index, start..text.len()));
                }
            }
        }
        Rendered { text, places }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn parse(text: &str) -> Result<Styles> {
        Styles::parse(Path::new("my.toml"), text)
    }

    #[test]
    fn the_built_in_styles_are_the_fourteen_templates() {
        let styles = Styles::built_in();
        let ids: Vec<&str> = styles.all().iter().map(|style| style.id.as_str()).collect();
        assert_eq!(
            ids,
            [
                "symbolic",
                "verbal",
                "question",
                "instruction",
                "word-problem",
                "python",
                "calculate"
            ]
        );
        for style in styles.all() {
            let operations: Vec<String> = style
                .templates
                .iter()
                .map(|t| t.operation.to_string())
                .collect();
            assert_eq!(operations, ["A+B", "A-B"], "{}", style.id);
        }
    }

    #[test]
    fn operands_keep_their_places() {
        let styles = Styles::built_in();
        let templates = styles
            .select(&["instruction".to_owned()], &["A-B".parse().unwrap()])
            .unwrap();
        let rendered = templates[0].render(&[45, 7]);
        assert_eq!(rendered.text, "If you subtract 7 from 45, you will get ");
        assert_eq!(rendered.places, [(1, 16..17), (0, 23..25)]);
    }

    #[test]
    fn braces_are_doubled_and_prefixes_are_taken_as_they_are() {
        let styles = parse(
            "[[style]]\nid = 's'\nprefix = '{0}'\n[style.templates]\n'A+B' = 'f{{{A}}}, {B}='\n",
        )
        .unwrap();
        let rendered = styles.all()[0].templates[0].render(&[1, 2]);
        assert_eq!(rendered.text, "{0}f{1}, 2=");
    }

    #[rstest]
    #[case("'A+B' = '{A}+{X}='", "unknown placeholder {X}; expected {A}, {B}")]
    #[case("'A+B' = '{A}+{C}='", "unknown placeholder {C}")]
    #[case("'A+B' = '{A}+='", "no place {B} for operand B")]
    #[case("'A+B' = '{A}+{B'", "lone \"{\"")]
    #[case("'A+B' = '{A}+{B}}='", "lone \"}\"")]
    #[case("'A+B' = '{A}+{B}'", "ends with {B}")]
    #[case("'A?B' = '{A}+{B}='", "not an operation")]
    #[case("'A+B' = 3", "expected a string")]
    #[case("'A+B' = '{A}{B}='\n'A + B' = '{A}{B}='", "occurs twice")]
    fn templates_that_do_not_fit_are_named(#[case] template: &str, #[case] expected: &str) {
        let text = format!("[[style]]\nid = 'mine'\n[style.templates]\n{template}\n");
        let message = parse(&text).unwrap_err().to_string();
        assert!(message.starts_with("my.toml: style \"mine\""), "{message}");
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn what_begins_an_answer_is_of_a_chat() {
        let of = |keys: &str| {
            let text =
                format!("[[style]]\nid = 's'\n{keys}\n[style.templates]\n'A+B' = '{{A}}+{{B}}'\n");
            parse(&text).map(|styles| styles.all()[0].templates[0].frame.clone())
        };
        let prefill = || "It is ".to_owned();
        let wanted = |prefill| Frame::Wanted { prefill };
        assert_eq!(of("chat = true").unwrap(), wanted(String::new()));
        let both = of("chat = true\nprefill = 'It is '").unwrap();
        assert_eq!(both, wanted(prefill()));
        for keys in ["prefill = 'It is '", "chat = false\nprefill = ''"] {
            let message = of(keys).unwrap_err().to_string();
            assert!(message.contains("add chat = true"), "{message}");
        }
        let message = of("").unwrap_err().to_string();
        assert!(message.contains("ends with {B}"), "{message}");
    }

    #[test]
    fn a_style_that_is_not_there_is_named_with_those_that_are() {
        let message = Styles::built_in()
            .select(&["poem".to_owned()], &[])
            .unwrap_err()
            .to_string();
        assert!(
            message.contains("\"poem\"") && message.contains("symbolic"),
            "{message}"
        );
    }
}
