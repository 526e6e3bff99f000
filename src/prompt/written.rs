//! How values are written: as numerals, or as words of a table.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::Arc;

use super::Tokenizer;

/// The most words of a table.
const MOST_WORDS: usize = 1000;

/// The longest word, in bytes.
const MOST_BYTES: usize = 64;

/// The most tables of a file, and the longest name of one, in bytes.
const MOST_TABLES: usize = 100;
const MOST_NAME: usize = 30;

/// A table of words. A value is the index of its word, from 0 on.
#[derive(Debug, PartialEq, Eq)]
pub struct Words {
    name: String,
    words: Vec<String>,
}

impl Words {
    /// A table of a file of styles.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    fn of(name: &str, words: &toml::Value) -> Result<Self, String> {
        if !is_name(name) {
            return Err(format!(
                "{name:?} is no name of a table; expected at most {MOST_NAME} small letters, digits and _, a letter first"
            ));
        }
        let words = words
            .as_array()
            .ok_or("expected a list of words, as in [\"Monday\", \"Tuesday\"]")?;
        match words.len() {
            0 => return Err("it has no words".to_owned()),
            1..=MOST_WORDS => {}
            n => return Err(format!("it has {n} words; expected {MOST_WORDS} at most")),
        }
        let mut known = HashSet::new();
        for (index, word) in words.iter().enumerate() {
            let fail = |expected: &str| Err(format!("word {index} is {word}; expected {expected}"));
            let Some(word) = word.as_str() else {
                return fail("a string");
            };
            if word.is_empty() || word.len() > MOST_BYTES {
                return fail(&format!("1 to {MOST_BYTES} bytes"));
            }
            if word.trim() != word || word.chars().any(char::is_control) {
                return fail("no white space around it, and no control characters");
            }
            if !known.insert(word) {
                return fail("every word once, because an answer must say which index it is");
            }
        }
        Ok(Self {
            name: name.to_owned(),
            words: words
                .iter()
                .filter_map(|word| Some(word.as_str()?.to_owned()))
                .collect(),
        })
    }

    /// The name of the table.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The word of every index.
    pub fn all(&self) -> &[String] {
        &self.words
    }

    /// The indices.
    pub fn range(&self) -> RangeInclusive<i64> {
        0..=self.words.len() as i64 - 1
    }

    fn word(&self, index: i64) -> Option<&str> {
        let index = usize::try_from(index).ok()?;
        self.words.get(index).map(String::as_str)
    }

    fn index(&self, word: &str) -> Option<i64> {
        let found = self.words.iter().position(|known| known == word);
        found.map(|index| index as i64)
    }
}

/// Whether a table may be called so.
pub(super) fn is_name(name: &str) -> bool {
    let inside = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_';
    name.len() <= MOST_NAME
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.bytes().all(inside)
}

/// The tables of a file of styles.
#[derive(Debug, Default)]
pub(super) struct Tables(BTreeMap<String, Arc<Words>>);

impl Tables {
    /// The tables as a file has them, and what is wrong with others.
    pub fn of(tables: &toml::Table) -> (Self, Vec<String>) {
        let (mut found, mut problems) = (Self::default(), Vec::new());
        if tables.len() > MOST_TABLES {
            problems.push(format!(
                "{} tables; expected {MOST_TABLES} at most",
                tables.len()
            ));
        }
        for (name, words) in tables.iter().take(MOST_TABLES) {
            match Words::of(name, words) {
                Ok(words) => drop(found.0.insert(name.clone(), Arc::new(words))),
                Err(reason) => problems.push(format!("table {name:?}: {reason}")),
            }
        }
        (found, problems)
    }

    /// How a value is written that is a word of the table of that name.
    ///
    /// # Errors
    /// There is no such table.
    pub fn written(&self, name: &str) -> Result<Written, String> {
        let known = || match self.0.is_empty() {
            true => "no tables; add them under [tables]".to_owned(),
            false => Vec::from_iter(self.0.keys().map(String::as_str)).join(", "),
        };
        let words = self.0.get(name);
        let words =
            words.ok_or_else(|| format!("there is no table {name:?}; the file has {}", known()));
        Ok(Written::Word(words?.clone()))
    }
}

/// How an operand or an answer is written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Written {
    /// The number itself.
    #[default]
    Numeral,
    /// The word of a table whose index the number is.
    Word(Arc<Words>),
}

impl Written {
    /// The table, where it is a word of one.
    pub fn words(&self) -> Option<&Words> {
        match self {
            Self::Numeral => None,
            Self::Word(words) => Some(words),
        }
    }

    /// The values that can be written; `None` where all can.
    pub fn range(&self) -> Option<RangeInclusive<i64>> {
        self.words().map(Words::range)
    }

    /// Whether a value can be written.
    pub fn has(&self, value: i64) -> bool {
        self.range().is_none_or(|range| range.contains(&value))
    }

    /// The text of a value; of one that cannot be written, the number.
    pub fn text(&self, value: i64) -> String {
        let word = self.words().and_then(|words| words.word(value));
        word.map_or_else(|| value.to_string(), str::to_owned)
    }

    /// The value that is written at the beginning of a text, and what stands behind it; of several words the longest.
    pub fn begin<'t>(&self, text: &'t str) -> Option<(i64, &'t str)> {
        let len = match self {
            Self::Numeral => {
                let sign = usize::from(text.starts_with('-'));
                sign + text[sign..].bytes().take_while(u8::is_ascii_digit).count()
            }
            Self::Word(words) => {
                let fits = |word: &&String| text.starts_with(word.as_str());
                words.words.iter().filter(fits).map(String::len).max()?
            }
        };
        let (written, behind) = text.split_at(len);
        let value = match self {
            Self::Numeral => written.parse().ok()?,
            Self::Word(words) => words.index(written)?,
        };
        (self.text(value) == written).then_some((value, behind))
    }

    /// The value of a field of a list.
    ///
    /// # Errors
    /// It is none, in words.
    pub fn value(&self, text: &str) -> Result<i64, String> {
        let text = text.trim();
        match self {
            Self::Numeral => {
                let number: Option<i64> = text.parse().ok();
                // As far from 0 as ranges go.
                let number = number.filter(|number| number.unsigned_abs() <= 1 << 53);
                number.ok_or_else(|| format!("{text:?} is no integer below 2^53"))
            }
            Self::Word(words) => words.index(text).ok_or_else(|| {
                let (first, last) = (&words.words[0], &words.words[words.words.len() - 1]);
                format!(
                    "{text:?} is no word of the table {}, which has {first} to {last}",
                    words.name
                )
            }),
        }
    }

    /// What stands between a prompt and its answer: before a word the space that a text has behind a letter, a digit, a closing bracket
    /// or a mark, and nothing before a numeral, behind white space, or behind what opens something.
    pub fn space_behind(&self, prompt: &str) -> &'static str {
        let closes = |c: char| c.is_alphanumeric() || ".,:;?!)]}".contains(c);
        match self {
            Self::Word(_) if prompt.ends_with(closes) => " ",
            Self::Numeral | Self::Word(_) => "",
        }
    }

    /// The tokens that read as a value when white space is stripped, ascending; none where it takes several.
    ///
    /// # Errors
    /// The tokenizer's own reason.
    pub(super) fn single(&self, tokenizer: &Tokenizer, value: i64) -> Result<Vec<u32>, String> {
        if *self == Self::Numeral {
            return Ok(tokenizer.numeral(value).to_vec());
        }
        let word = self.text(value);
        let mut found = Vec::new();
        // As it stands at the beginning of a text, in a line, and at the beginning of a line.
        for before in ["", " ", "\n"] {
            let tokens = tokenizer.encode(&format!("{before}{word}"))?;
            let last = tokens.last().map(|token| token.id);
            found.extend(last.filter(|&id| tokenizer.decode(id).trim() == word));
        }
        found.sort_unstable();
        found.dedup();
        Ok(found)
    }

    /// What ends an answer, in words.
    pub fn end(&self) -> &'static str {
        match self {
            Self::Numeral => "what does not begin with a digit",
            Self::Word(_) => "what does not begin with a letter or a digit",
        }
    }

    /// Whether a token behind a whole answer goes on with it: a digit behind a numeral, a letter or a digit behind a word.
    pub(super) fn goes_on(&self, tokenizer: &Tokenizer, id: u32) -> bool {
        let text = tokenizer.decode(id);
        match self {
            Self::Numeral => text.starts_with(|c: char| c.is_ascii_digit()),
            Self::Word(_) => {
                text.starts_with(char::is_alphanumeric) && !tokenizer.begins_with_space(id)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn tables(text: &str) -> (Tables, Vec<String>) {
        Tables::of(&toml::from_str(text).unwrap())
    }

    fn days() -> Written {
        let (tables, problems) = tables("days = ['Mon', 'Monday', 'May 1', 'été']");
        assert!(problems.is_empty(), "{problems:?}");
        tables.written("days").unwrap()
    }

    #[test]
    fn a_word_is_its_index() {
        let days = days();
        assert_eq!(days.range(), Some(0..=3));
        assert_eq!(
            (days.text(1).as_str(), days.text(3).as_str()),
            ("Monday", "été")
        );
        assert_eq!(days.begin("Monday, "), Some((1, ", ")));
        assert_eq!(days.begin("Mond"), Some((0, "d")));
        assert_eq!(days.begin("été"), Some((3, "")));
        assert_eq!(days.begin("monday"), None);
        assert_eq!(days.value(" May 1 "), Ok(2));
        assert_eq!(
            days.value("1"),
            Err("\"1\" is no word of the table days, which has Mon to été".to_owned())
        );
        assert!(days.has(0) && !days.has(4) && !days.has(-1));
    }

    #[test]
    fn a_numeral_is_as_it_is_printed() {
        let numeral = Written::Numeral;
        assert_eq!(numeral.begin("-12+"), Some((-12, "+")));
        for other in ["", "-", "+1", "007", "-0", "99999999999999999999"] {
            assert_eq!(numeral.begin(other), None, "{other}");
        }
        assert_eq!(numeral.value(" 7 "), Ok(7));
        assert!(numeral.value("July").is_err() && numeral.has(i64::MIN));
    }

    #[rstest]
    #[case("Answer:", " ")]
    #[case("it is", " ")]
    #[case("(Monday)", " ")]
    #[case("Answer: ", "")]
    #[case("assistant\n", "")]
    #[case("day(\"", "")]
    #[case("3+4=", "")]
    #[case("", "")]
    fn a_word_stands_behind_a_space(#[case] prompt: &str, #[case] space: &str) {
        assert_eq!(days().space_behind(prompt), space);
        assert_eq!(Written::Numeral.space_behind(prompt), "");
    }

    #[rstest]
    #[case("d = []", "table \"d\": it has no words")]
    #[case("d = 'a'", "expected a list of words")]
    #[case("d = ['a', 1]", "word 1 is 1; expected a string")]
    #[case("d = ['a', 'b', 'a']", "word 2 is \"a\"; expected every word once")]
    #[case("d = ['']", "word 0 is \"\"; expected 1 to 64 bytes")]
    #[case("d = [' a']", "expected no white space around it")]
    #[case("d = [\"a\\u0007\"]", "no control characters")]
    #[case("D = ['a']", "\"D\" is no name of a table")]
    #[case("'d-e' = ['a']", "\"d-e\" is no name of a table")]
    fn tables_that_are_none(#[case] text: &str, #[case] expected: &str) {
        let (_, problems) = tables(text);
        let [problem] = &problems[..] else {
            panic!("{problems:?}");
        };
        assert!(problem.contains(expected), "{problem}");
    }

    #[test]
    fn sizes_are_bounded() {
        let words = |n: usize| {
            let words: Vec<String> = (0..n).map(|i| format!("'w{i}'")).collect();
            tables(&format!("d = [{}]", words.join(","))).1
        };
        assert!(words(1000).is_empty());
        assert_eq!(
            words(1001),
            ["table \"d\": it has 1001 words; expected 1000 at most"]
        );
        let long = |n: usize| tables(&format!("d = ['{}']", "w".repeat(n))).1.len();
        assert_eq!((long(64), long(65)), (0, 1));
        let many: String = (0..101).map(|i| format!("d{i} = ['a']\n")).collect();
        assert_eq!(tables(&many).1, ["101 tables; expected 100 at most"]);
        assert!(is_name(&"d".repeat(30)) && !is_name(&"d".repeat(31)) && !is_name(""));
    }

    #[test]
    fn a_table_that_is_not_there_is_named_with_those_that_are() {
        let (tables, _) = tables("days = ['a']\nmonths = ['b']");
        assert_eq!(
            tables.written("day").unwrap_err(),
            "there is no table \"day\"; the file has days, months"
        );
        let none = Tables::default().written("day").unwrap_err();
        assert!(none.contains("add them under [tables]"), "{none}");
    }
}
