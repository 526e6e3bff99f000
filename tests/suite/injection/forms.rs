//! What the outputs must be, whatever names are in them.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use af1::report::Renderer;
use regex::Regex;
use serde_json::Value;

use super::MARK;

/// What an output must be.
#[derive(Clone, Copy, Debug)]
pub enum Form {
    Terminal,
    Markdown,
    Csv,
    Json,
    Junit,
    Html,
}

impl Form {
    /// The form of a renderer. A new renderer belongs here.
    pub fn of(renderer: &dyn Renderer) -> Self {
        match renderer.name() {
            "table" => Self::Terminal,
            "markdown" => Self::Markdown,
            "csv" => Self::Csv,
            "json" => Self::Json,
            "junit" => Self::Junit,
            "html" => Self::Html,
            other => panic!(
                "nothing is asked of the renderer {other:?}: say in this file what it must be"
            ),
        }
    }

    /// What is wrong with an output, beside one of records in which the mark alone stands.
    pub fn check(self, shown: &str, harmless: &str) {
        let colours = Regex::new("\u{1b}\\[(0|1|3[123])m").unwrap();
        for c in colours.replace_all(shown, "").chars() {
            assert!(c == '\n' || is_printed(c), "{self:?}: {c:?} in {shown}");
        }
        // A look without colours has none. One with colours may have fewer, because long names turn a table into a list.
        assert!(
            harmless.contains("\u{1b}") || !shown.contains("\u{1b}"),
            "{self:?} {shown}"
        );
        match self {
            Self::Terminal => lines(shown),
            Self::Markdown => markdown(shown, harmless),
            Self::Csv => csv(shown),
            Self::Json => json(shown),
            Self::Junit => {
                let found = quick_junit::Report::deserialize_from_str(shown);
                assert!(found.is_ok(), "{:?}: {shown}", found.err());
                elements(shown, harmless);
            }
            Self::Html => elements(shown, harmless),
        }
    }
}

/// Whether a character may be shown.
pub fn is_printed(c: char) -> bool {
    let turns = [
        '\u{61c}', '\u{200e}', '\u{200f}', '\u{2028}', '\u{2029}', '\u{fffe}', '\u{ffff}',
    ];
    let turn = ('\u{202a}'..='\u{202e}').contains(&c) || ('\u{2066}'..='\u{2069}').contains(&c);
    !c.is_control() && !turn && !turns.contains(&c)
}

/// No line is begun by a text, and none is a command.
fn lines(shown: &str) {
    for line in shown.lines() {
        // What is wrapped goes on further in.
        assert!(
            !line.starts_with(&format!("{MARK}line")),
            "a line of its own: {shown}"
        );
        let line = line.trim_start();
        assert!(
            !line.starts_with("::") && !line.contains("##["),
            "a command: {line}"
        );
    }
}

/// Nothing of a text is a mark of Markdown, and tables have the rows and cells that they had.
fn markdown(shown: &str, harmless: &str) {
    lines(shown);
    assert!(
        !shown.contains(&format!("@{MARK}")),
        "somebody is told: {shown}"
    );
    // What takes a name apart.
    let shown = &shown.replace("<!-- -->", "");
    for c in ['<', '>', '&', '|'] {
        assert!(!shown.contains(&format!("{c}{MARK}")), "{c:?}: {shown}");
    }
    for tag in ["<b", "</td", "</script", "<?", "](", "]:"] {
        assert!(!shown.contains(tag), "{tag:?}: {shown}");
    }
    for c in ['`', '*', '_', '~', '#', '\\'] {
        for (at, _) in shown.match_indices(&format!("{c}{MARK}")) {
            let before = shown[..at].chars().rev().take_while(|c| *c == '\\').count();
            assert!(
                before % 2 == 1,
                "{c:?} is a mark: {}",
                &shown[at.saturating_sub(40)..at + 3]
            );
        }
    }
    let cells = |text: &str| -> Vec<usize> {
        let rows = text.lines().filter(|line| line.starts_with('|'));
        let mut cells: Vec<usize> = rows.map(|row| row.matches('|').count()).collect();
        cells.sort_unstable();
        cells
    };
    assert_eq!(cells(shown), cells(harmless), "other rows: {shown}");
}

/// Rows of one length, and no cell that a spreadsheet computes.
fn csv(shown: &str) {
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .from_reader(shown.as_bytes());
    for row in reader.records() {
        for cell in row.unwrap().iter() {
            let is_formula =
                cell.starts_with(['=', '+', '-', '@', '\t', '\r', '＝', '＋', '－', '＠']);
            assert!(
                !is_formula || cell.parse::<f64>().is_ok(),
                "a formula: {cell}"
            );
        }
    }
    // It is data, as JSON is: commands within a line stay what the record says.
    let begun = shown.lines().map(str::trim_start);
    for line in begun {
        assert!(
            !line.starts_with("::") && !line.starts_with(&format!("{MARK}line")),
            "{line}"
        );
    }
}

/// Every line is an object, and says what the record says.
fn json(shown: &str) {
    for line in shown.lines() {
        assert!(serde_json::from_str::<Value>(line).unwrap().is_object());
    }
}

/// The elements and attributes are those of harmless records, as many of each.
fn elements(shown: &str, harmless: &str) {
    static VALUE: LazyLock<Regex> = LazyLock::new(|| Regex::new("=\"[^\"<>]*\"").unwrap());
    static TAG: LazyLock<Regex> = LazyLock::new(|| Regex::new("<[^<>]*>|[<>]").unwrap());
    let count = |text: &str| -> BTreeMap<String, usize> {
        let text = VALUE.replace_all(text, "");
        let mut all = BTreeMap::new();
        for tag in TAG.find_iter(&text) {
            *all.entry(tag.as_str().to_owned()).or_default() += 1;
        }
        all
    };
    let (found, expected) = (count(shown), count(harmless));
    for tag in found.keys().chain(expected.keys()) {
        assert_eq!(found.get(tag), expected.get(tag), "{tag}");
    }
}
