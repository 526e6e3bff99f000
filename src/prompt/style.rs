//! Input styles: files of templates, one text an operation.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::written::Tables;
use super::{Frame, Operation, Template};
use crate::file::{Sha256, sha256_bytes, text_at_most};
use crate::suggest::did_you_mean;
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
    /// The name of the style.
    pub id: String,
    /// The templates of the style, in the order of the file.
    pub templates: Vec<Template>,
    any: Option<Any>,
}

/// How a style asks any operation.
#[derive(Clone, Debug)]
struct Any {
    prefix: String,
    text: String,
    frame: Frame,
}

/// The places of an operation in the text that asks for any, and whether it has spaces there.
const PLACES: [(&str, bool); 2] = [("{expression}", false), ("{spaced expression}", true)];

impl Any {
    /// The template of an operation.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    fn template(&self, style: &str, operation: &Operation) -> Result<Template, String> {
        if let Some(table) = operation.table() {
            return Err(format!(
                "the answer is a word of the table {table}; it takes a template of its own"
            ));
        }
        let mut text = self.text.clone();
        for (place, spaced) in PLACES {
            text = text.replace(place, &operation.written(spaced));
        }
        let frame = self.frame.clone();
        let none = Tables::default();
        Template::of(style, operation.clone(), &self.prefix, &text, frame, &none)
    }
}

impl Style {
    /// An example of every operation that it asks for; of one that stands for any its text.
    pub fn examples(&self) -> Vec<(String, String)> {
        let example = |template: &Template| {
            let operands: Vec<i64> = (3..).take(template.operation.operands()).collect();
            (
                template.operation.to_string(),
                template.render(&operands).text,
            )
        };
        let any = self
            .any
            .iter()
            .map(|any| ("any".to_owned(), any.text.clone()));
        self.templates.iter().map(example).chain(any).collect()
    }

    /// How it asks for an operation; `None` where it does not.
    fn template(&self, operation: &Operation) -> Option<Template> {
        let own = self.templates.iter().find(|t| &t.operation == operation);
        let any = || self.any.as_ref()?.template(&self.id, operation).ok();
        own.cloned().or_else(any)
    }
}

/// The file format.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct FileWire {
    /// Words, by the name of their table.
    #[serde(default)]
    tables: toml::Table,
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
    /// How operations are asked that have no template of their own.
    expression: Option<String>,
    #[serde(default)]
    templates: toml::Table,
}

impl StyleWire {
    fn frame(&self) -> Frame {
        match self.chat {
            false => Frame::Plain,
            true => Frame::Wanted {
                prefill: self.prefill.clone().unwrap_or_default(),
            },
        }
    }

    /// How every operation is asked that has no template of its own, if the style says so.
    ///
    /// # Errors
    /// What is wrong with the text, in words.
    fn any(&self) -> Result<Option<Any>, String> {
        let Some(text) = &self.expression else {
            return Ok(None);
        };
        let any = Any {
            prefix: self.prefix.clone(),
            text: text.clone(),
            frame: self.frame(),
        };
        if !PLACES.iter().any(|(place, _)| text.contains(place)) {
            let [(plain, _), (spaced, _)] = PLACES;
            return Err(format!(
                "{text:?} has no place {plain} or {spaced} for the operation"
            ));
        }
        let sample = "A+B".parse().expect("a sum");
        any.template(&self.id, &sample).map(|_| Some(any))
    }
}

const BUILT_IN: &str = include_str!("../../fixtures/styles/builtin.toml");

/// A file has at most so many bytes.
const MOST_BYTES: u64 = 1 << 20;

/// Files that are called by a name instead of a path.
const NAMED: [(&str, &str); 5] = [
    (
        "operations",
        include_str!("../../fixtures/styles/operations.toml"),
    ),
    (
        "expressions",
        include_str!("../../fixtures/styles/expressions.toml"),
    ),
    (
        "calendar",
        include_str!("../../fixtures/styles/calendar.toml"),
    ),
    (
        "paraphrases",
        include_str!("../../fixtures/styles/paraphrases.toml"),
    ),
    (
        "four-shot",
        include_str!("../../fixtures/styles/four-shot.toml"),
    ),
];

impl Styles {
    /// All that are built in, by the name that asks for them; without one those that are there by default.
    pub fn all_built_in() -> Vec<(&'static str, Self)> {
        let read =
            |name| Self::read(Path::new(name)).expect("built-in files are checked by a test");
        let named = NAMED.iter().map(|(name, _)| (*name, read(name)));
        std::iter::once(("", Self::built_in()))
            .chain(named)
            .collect()
    }

    /// The built-in styles: the six of the paper, and `calculate` for small models.
    pub fn built_in() -> Self {
        Self::parse(Path::new("built-in styles"), BUILT_IN)
            .expect("the built-in style file is checked by a test")
    }

    /// Reads a file of styles; `operations`, `expressions`, `calendar`, `paraphrases` and `four-shot` are built in, unless there is a file
    /// of that name.
    ///
    /// # Errors
    /// A file that cannot be read, is not TOML of the right form, or holds a template that does not fit its operation.
    pub fn read(path: &Path) -> Result<Self> {
        let named = NAMED.iter().find(|(name, _)| path.as_os_str() == *name);
        if let (Some((name, text)), false) = (named, path.exists()) {
            return Self::parse(Path::new(&format!("built-in styles {name}")), text);
        }
        let text =
            text_at_most(path, MOST_BYTES).map_err(|e| Error::reading(path, "style file", e))?;
        Self::parse(path, &text)
    }

    pub(crate) fn parse(path: &Path, text: &str) -> Result<Self> {
        let fail = |reason: String| Error::Style {
            path: path.to_owned(),
            reason,
        };
        let file: FileWire = toml::from_str(text).map_err(|e| fail(e.to_string()))?;
        let mut styles: Vec<Style> = Vec::new();
        // All problems at once: a file is written in one go and should be mended in one go.
        let (tables, mut problems) = Tables::of(&file.tables);
        for wire in file.style {
            let mut templates: Vec<Template> = Vec::new();
            for (operation, text) in &wire.templates {
                let parsed = match text.as_str() {
                    Some(text) => operation.parse().and_then(|operation| {
                        Template::of(
                            &wire.id,
                            operation,
                            &wire.prefix,
                            text,
                            wire.frame(),
                            &tables,
                        )
                    }),
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
            let any = wire.any().unwrap_or_else(|reason| {
                problems.push(format!("style {:?}, expression: {reason}", wire.id));
                None
            });
            if wire.templates.is_empty() && wire.expression.is_none() {
                problems.push(format!("style {:?} has no templates", wire.id));
            }
            if wire.id.contains(char::is_control) {
                problems.push(format!(
                    "style {:?} has a control character in its name",
                    wire.id
                ));
            }
            if styles.iter().any(|style| style.id == wire.id) {
                problems.push(format!("style {:?} occurs twice", wire.id));
            }
            styles.push(Style {
                id: wire.id,
                templates,
                any,
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
                let known = self.styles.iter().map(|style| style.id.as_str());
                let meant = did_you_mean(id, known);
                fail(format!("no style {id:?}{meant}; there are {}", names()))
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
            templates.extend(operations.iter().filter_map(|op| style.template(op)));
        }
        if templates.is_empty() && operations.is_empty() {
            return Err(fail(
                "the chosen styles have no templates of their own; name an operation with --operation"
                    .to_owned(),
            ));
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
