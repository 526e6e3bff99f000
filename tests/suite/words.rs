//! Operands and answers that are words of tables: what is asked is what Python's calendar says, and what is measured is what the same prompts
//! give as numbers. At the end stand the words of the program's own doc comments.

use std::path::Path;

use af1::error::exit;
use af1::prompt::Styles;
use assert_cmd::Command;
use rstest::rstest;
use serde_json::{Value, json};

use super::bad_input::refused;
use super::fixtures::json as fixture;
use super::program::{Words, af1, experiments, json_lines, stdout};

/// A style whose second operand and answer are words of a table: the numbers from `first` on. A planted model, which knows no words but
/// numerals, is asked `A + B'` by it, where `B'` is `first` more than the index.
fn shifted(folder: &Path, first: i64) -> String {
    let words: Vec<String> = (first..first + 90).map(|n| format!("'{n}'")).collect();
    let text = format!(
        "[tables]\nshifted = [{}]\n[[style]]\nid = 'symbolic'\n[style.templates]\n'shifted[A+B]' = '{{A}}+{{shifted[B]}}='\n\
         'shifted[B-A]' = '{{shifted[B]}}-{{A}}='\n",
        words.join(", ")
    );
    let path = folder.join("shifted.toml");
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

/// A run on such a style.
fn of_words(verb: &str, styles: &str) -> Command {
    let mut run = af1(verb);
    run.arg("--styles").arg(styles);
    run.words("--style symbolic --operation shifted[A+B]");
    run
}

/// A list of sums with the same prompts.
fn sums(folder: &Path, operands: std::ops::Range<i64>, first: i64) -> String {
    let pairs = operands.clone().flat_map(|a| {
        let pair = move |b| format!("{a},{}\n", b + first);
        operands.clone().map(pair)
    });
    let path = folder.join("sums.csv");
    std::fs::write(&path, "A,B\n".to_owned() + &pairs.collect::<String>()).unwrap();
    path.to_str().unwrap().to_owned()
}

/// The fields of records that say what was asked and answered.
const SAME: [&str; 16] = [
    "experiment",
    "step",
    "ablation",
    "wait",
    "transfer",
    "prompts",
    "prompts_sha256",
    "base_answers",
    "answers",
    "empty_correct",
    "constant_correct",
    "faithfulness_low",
    "logit_difference",
    "kl_divergence",
    "keys",
    "mutual_information",
];

/// The prompts, the answers and all that is measured are those of the sums that the words say.
#[rstest]
#[case::single("planted-af1", 0..10, 7, 3)]
#[case::several("planted-digits", 10..25, 10, 9)]
fn words_are_measured_as_the_numbers_that_they_say(
    #[case] model: &str,
    #[case] operands: std::ops::Range<i64>,
    #[case] first: i64,
    #[case] rows: usize,
) {
    let folder = tempfile::tempdir().unwrap();
    let styles = shifted(folder.path(), first);
    let list = sums(folder.path(), operands.clone(), first);
    let words = format!("--model {model} --ablation cama,mean,zero");
    let range = format!("--operands {}..{}", operands.start, operands.end);
    let of_words = json_lines(of_words("run", &styles).words(&words).words(&range));
    let mut numbers = af1("run --style symbolic --operation A+B --prompts");
    let of_numbers = json_lines(numbers.arg(list).words(&words));
    let rows_of = |all: &[Value]| -> Vec<Value> {
        let measured = all.iter().filter(|row| row["experiment"] != "pooled");
        measured.cloned().collect()
    };
    let (of_words, of_numbers) = (rows_of(&of_words), rows_of(&of_numbers));
    assert_eq!((of_words.len(), of_numbers.len()), (rows, rows));
    for (word, number) in of_words.iter().zip(&of_numbers) {
        for field in SAME {
            assert_eq!(word[field], number[field], "{field}: {word} {number}");
        }
        assert_eq!(word["base_correct"], word["prompts"], "{word}");
        assert_eq!(word["answer_words"][1], (first + 1).to_string());
        assert!(number.get("answer_words").is_none());
        // The best constant of an answer of one token, and of whole answers, is the index of a word.
        if let Some(index) = word["constant_answer"].as_i64() {
            assert_eq!(number["constant_answer"], index + first);
        }
        let strata = word["strata"].as_array().unwrap();
        let count =
            |field: &str| -> u64 { strata.iter().map(|of| of[field].as_u64().unwrap()).sum() };
        assert_eq!(count("prompts"), word["prompts"]);
        assert_eq!(count("correct_given_base"), word["correct_given_base"]);
        for of in strata {
            let index = of["index"].as_i64().unwrap();
            assert_eq!(of["word"], (index + first).to_string(), "{of}");
        }
        // An index of the list's operands and of the table's is the same prompt.
        let second = |row: &Value| row["evaluated_operands"][0][1].as_i64();
        if let (Some(of_word), Some(of_number)) = (second(word), second(number)) {
            assert_eq!(of_word + first, of_number);
        }
    }
    let whole = of_words.iter().filter(|row| row["step"] == "whole");
    assert_eq!(whole.count(), if model == "planted-af1" { 0 } else { 3 });
}

/// Every experiment takes words, and shows them on a page; the file of answers has the word.
#[test]
fn every_experiment_takes_words() {
    let folder = tempfile::tempdir().unwrap();
    let styles = shifted(folder.path(), 7);
    let options = "--model planted-af1 --operands 0..=9";
    for verb in experiments() {
        // The table is of one operation.
        let verb = &verb.replace(",operator", "");
        let text = stdout(of_words(verb, &styles).words(options));
        assert!(text.contains("shifted[A+B]"), "{verb}: {text}");
    }
    let (record, answers) = (folder.path().join("r.jsonl"), folder.path().join("a.jsonl"));
    let mut run = of_words("run", &styles);
    run.arg("--record")
        .arg(&record)
        .arg("--answers")
        .arg(&answers);
    stdout(run.words(options));
    let page = stdout(af1("report --format html").arg(&record));
    assert!(page.contains("by answer: the word"), "{page}");
    let answers = std::fs::read_to_string(answers).unwrap();
    let first: Value = serde_json::from_str(answers.lines().next().unwrap()).unwrap();
    let said =
        ["prompt", "operands", "answer", "answer_word", "base_text"].map(|field| &first[field]);
    let due = [
        json!("0+7="),
        json!([0, 0]),
        json!(0),
        json!("7"),
        json!("7"),
    ];
    assert_eq!(said.map(Clone::clone), due);
}

/// A heading says the ranges of every table.
#[test]
fn headings_have_the_ranges_of_each_table() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    let text = "[tables]\nfew = ['7', '8', '9']\nmany = ['7', '8', '9', '10']\n[[style]]\nid = 'symbolic'\n[style.templates]\n\
                'few[(A+B)%3]' = '{A}+{few[B]}='\n'many[(A+B)%4]' = '{A}+{many[B]}='\n";
    std::fs::write(&styles, text).unwrap();
    let mut run = af1("run --model planted-af1 --ablation cama --styles");
    let text = stdout(run.arg(&styles));
    let ranges = "operands 0..=2, results 0..=2 or operands 0..=3, results 0..=3, <bos>";
    assert!(text.contains(ranges), "{text}");
    // Sums stay below the remainder in 6 of 9 and in 10 of 16 prompts; the best constant is right where it is the answer.
    assert!(text.contains(" 6/9 ") && text.contains(" 10/16 "), "{text}");
}

/// The prompts and answers of the built-in styles are those that Python's calendar gives.
#[test]
fn the_calendar_is_that_of_python() {
    let styles = Styles::read("calendar".as_ref()).unwrap();
    let mut asked = 0;
    for reference in fixture("reference/months.json").as_array().unwrap() {
        let text = |field: &str| reference[field].as_str().unwrap().to_owned();
        let operation = text("operation").parse().unwrap();
        let templates = styles.select(&[text("style")], &[operation]).unwrap();
        let template = &templates[0];
        for row in reference["prompts"].as_array().unwrap() {
            let operands = [0, 1].map(|i| row[i].as_i64().unwrap());
            let index = template.operation.evaluate(&operands).unwrap();
            assert_eq!(template.answer.text(index), row[2], "{row}");
            let prompt = template.render(&operands).text;
            assert!(row[3].is_null() || row[3] == prompt, "{prompt:?} {row}");
            assert_eq!(template.read(&prompt).unwrap(), operands);
            asked += 1;
        }
    }
    assert_eq!(asked, 2 * 2 * (144 + 49) + 2 * (144 + 84));
}

/// In the examples of a style stand right answers.
#[test]
fn the_examples_are_right() {
    let text = std::fs::read_to_string(super::fixtures::path("styles/calendar.toml")).unwrap();
    let styles = Styles::read("calendar".as_ref()).unwrap();
    let templates = styles.select(&["question".to_owned()], &[]).unwrap();
    let mut found = 0;
    let lines: Vec<&str> = text.lines().collect();
    for pair in lines.windows(2) {
        let (Some(question), Some(answer)) = (
            pair[0].strip_prefix("Question: "),
            pair[1].strip_prefix("Answer: "),
        ) else {
            continue;
        };
        let question = format!("{question}\nAnswer:");
        let fits = templates.iter().find_map(|template| {
            let operands = template.read(&question).ok()?;
            let index = template.operation.evaluate(&operands)?;
            Some(template.answer.text(index))
        });
        assert_eq!(fits.as_deref(), Some(answer), "{question}");
        found += 1;
    }
    assert_eq!(found, 8);
}

/// A list has words where the style writes them, and its answers are words.
#[rstest]
#[case::words(
    "{\"A\": 3, \"B\": \"11\", \"answer\": \"14\"}\n{\"A\": 5, \"B\": 12}\n{\"A\": 3, \"B\": 12}"
)]
#[case::texts(
    "{\"text\": \"3+11=\", \"answer\": 14}\n{\"text\": \"5+12=\"}\n{\"text\": \"3+12=\"}"
)]
#[case::csv("A,B,answer\n3,11,14\n5,12,17\n3,12,\n")]
fn a_list_has_words(#[case] text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let styles = shifted(folder.path(), 7);
    let list = folder.path().join("list");
    std::fs::write(&list, text).unwrap();
    let mut run = of_words("run --model planted-af1 --ablation cama", &styles);
    let rows = json_lines(run.arg("--prompts").arg(&list));
    assert_eq!(
        rows[0]["evaluated_operands"],
        json!([[3, 4], [3, 5], [5, 5]])
    );
    assert_eq!(
        (&rows[0]["base_correct"], &rows[0]["correct"]),
        (&json!(3), &json!(3))
    );
}

#[rstest]
#[case(
    "A,B\n3,August\n",
    "line 2: \"August\" is no word of the table shifted, which has 7 to 96"
)]
#[case("A,B\n3,6\n", "\"6\" is no word of the table shifted")]
#[case(
    "A,B,answer\n3,11,15\n",
    "its answer is 15, and shifted[A+B] of [3, 4] is 14"
)]
#[case("A,B,answer\n3,11,May\n", "\"May\" is no word of the table shifted")]
#[case(
    "A,B\n80,50\n",
    "shifted[A+B] of [80, 43] is 123, which is no index of the table"
)]
#[case("text\n3+6=\n", "at column 3: expected the operand shifted[B]")]
fn a_list_that_does_not_fit(#[case] text: &str, #[case] reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let styles = shifted(folder.path(), 7);
    let list = folder.path().join("list");
    std::fs::write(&list, text).unwrap();
    let mut run = af1("run --model planted-af1 --operation shifted[A+B] --prompts");
    run.arg(&list).arg("--styles").arg(&styles);
    refused(&mut run, exit::LIST, &[reason]);
}

#[rstest]
#[case(
    "",
    "months[A+B]",
    "{A} after {B}:",
    "there is no table \"months\"; the file has no tables; add them under [tables]"
)]
#[case(
    "d = ['a']",
    "d[A+B]",
    "{A} {e[B]}:",
    "there is no table \"e\"; the file has d"
)]
#[case("d = ['a']", "d[A]", "{A} {d[A]}:", "writes operand A in two ways")]
#[case(
    "d = ['a']",
    "d[A]",
    "{d[B]}:",
    "has the unknown placeholder {d[B]}; expected {A}"
)]
#[case("d = ['a']", "d[A]", "{d[A}:", "has the unknown placeholder {d[A}")]
#[case("d = []", "A+B", "{A}+{B}=", "table \"d\": it has no words")]
#[case(
    "d = ['a', 'a']",
    "A+B",
    "{A}+{B}=",
    "word 1 is \"a\"; expected every word once"
)]
#[case("d = ['a']", "d[A", "{A}:", "at column 4: expected \"]\" at the end")]
fn styles_that_do_not_fit(
    #[case] tables: &str,
    #[case] operation: &str,
    #[case] text: &str,
    #[case] reason: &str,
) {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    let file = format!(
        "[tables]\n{tables}\n[[style]]\nid = 'mine'\n[style.templates]\n'{operation}' = '{text}'\n"
    );
    std::fs::write(&styles, file).unwrap();
    let mut run = af1("run --model planted-af1 --styles");
    refused(run.arg(&styles), exit::STYLE, &["mine.toml", reason]);
}

/// Where no range is asked for, each operand has what its table has; a range that is wider than a table, and a sum that leaves it, is said.
#[test]
fn ranges_are_those_of_tables() {
    let model = "--model planted-af1 --ablation cama";
    let question = |range: &str| {
        let words = "run --styles calendar --style question --operation months[(A+B)%12]";
        let mut run = af1(words);
        run.words(model).words(range);
        run
    };
    let reason = "--operands 1..=12: operand B of question months[(A+B)%12] is a word of the table months, which has the indices 0..=11";
    refused(question("--operands 1..=12"), exit::USAGE, &[reason]);
    let folder = tempfile::tempdir().unwrap();
    let styles = shifted(folder.path(), 7);
    let reason = "for A = 1, B = 89 the index is 90, and the table shifted has the indices 0..=89; take the remainder, as in shifted[(A+B)%90]";
    let mut sums = of_words("run", &styles);
    refused(sums.words(model), exit::NO_PROMPTS, &[reason]);
    // The answers of the prompts that are asked are in the table, and those of no others.
    let rows = json_lines(
        of_words("run", &styles)
            .words(model)
            .words("--operands 0..=9 --results 0..=5"),
    );
    assert_eq!(rows[0]["prompts"], 21);
    assert_eq!(
        (
            &rows[0]["provenance"]["operands"],
            &rows[0]["provenance"]["results"]
        ),
        (&json!([0, 9]), &json!([0, 5]))
    );
}

/// A real tokenizer puts the space before a word into its token; words of several tokens have other shapes, and steps. In SmolLM2's tokenizer,
/// asked by the crate `tokenizers` from Python, these words have one, two, one and three tokens behind a space.
#[test]
fn inspect_shows_words_and_their_shapes() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    let text = "[tables]\nherbs = ['mint', 'dill', 'basil', 'lovage']\n[[style]]\nid = 'mine'\n[style.templates]\n\
                'herbs[(A+B)%4]' = 'The herb that is {A} behind {herbs[B]} is'\n";
    std::fs::write(&styles, text).unwrap();
    let mut inspect =
        af1("inspect --model smollm2-135m-instruct --shape 1:1=1,1:1=3 --step 0,1,2,stop --styles");
    let found = json_lines(inspect.arg(&styles));
    let template = &found[0]["templates"][0];
    let shapes = template["shapes"]["of"].as_array().unwrap();
    let counts = shapes.iter().map(|of| {
        let shape = of["shape"].as_str().unwrap().to_owned();
        (shape, of["prompts"].as_u64().unwrap())
    });
    // Every second operand has every answer once.
    let tokens = [(1, 2), (2, 1), (3, 1)];
    let due = tokens.iter().flat_map(|(operand, n)| {
        let shape = move |(answer, m): &(i32, u64)| (format!("1:{operand}={answer}"), n * m);
        tokens.iter().map(shape)
    });
    assert_eq!(counts.collect::<Vec<_>>(), due.collect::<Vec<_>>());
    let steps = template["steps"].as_array().unwrap();
    let right = steps
        .iter()
        .map(|set| json!([set["shape"], set["step"], set["right"]]));
    assert_eq!(
        right.collect::<Vec<_>>(),
        [
            json!(["1:1=1", "0", [" basil"]]),
            json!(["1:1=1", "stop", null]),
            json!(["1:1=3", "0", [" l"]]),
            json!(["1:1=3", "1", ["ov"]]),
            json!(["1:1=3", "2", ["age"]]),
            json!(["1:1=3", "stop", null]),
        ]
    );
    let example = steps[4]["tokens"].as_array().unwrap();
    let behind = example
        .iter()
        .rev()
        .take(3)
        .map(|token| json!([token["text"], token["role"]]));
    let due = [
        json!(["ov", "last"]),
        json!([" l", "answer"]),
        json!([" is", "text"]),
    ];
    assert_eq!(behind.collect::<Vec<_>>(), due);
}

/// Words that stand for what is said elsewhere. A doc comment that opens with one says too little to a reader who meets it alone.
const PRONOUNS: [&str; 10] = [
    "he", "it", "its", "that", "their", "them", "these", "they", "this", "those",
];

/// The traits of clap. The docs of what derives one are help, which a reader sees beside the name of an option or a value.
const OF_HELP: [&str; 4] = ["Args", "Parser", "Subcommand", "ValueEnum"];

/// The lines, from 1 on, at which a doc comment opens with a pronoun. Help is passed over.
fn opening_with_pronouns(text: &str) -> Vec<usize> {
    let mut found = Vec::new();
    let (mut is_doc, mut derive, mut help) = (false, None, None);
    for (number, line) in text.lines().enumerate() {
        let code = line.trim_start();
        let indent = line.len() - code.len();
        if code.starts_with("#[derive(") {
            derive = Some(indent);
        }
        let mut words = code.split(|c: char| !c.is_alphanumeric());
        if derive.is_some() && words.any(|word| OF_HELP.contains(&word)) {
            help = derive;
        }
        if code.contains(")]") {
            derive = None;
        }
        // An item ends with a brace, or a semicolon, as far to the left as it began.
        if help == Some(indent) && (code.starts_with('}') || code.ends_with(';')) {
            help = None;
        }
        let doc = code
            .strip_prefix("///")
            .or_else(|| code.strip_prefix("//!"));
        if let Some(doc) = doc.filter(|_| !is_doc && help.is_none()) {
            let mut words = doc.split(|c: char| !c.is_alphabetic());
            let first = words.find(|word| !word.is_empty());
            let first = first.unwrap_or_default().to_lowercase();
            if PRONOUNS.contains(&first.as_str()) {
                found.push(number + 1);
            }
        }
        is_doc = doc.is_some();
    }
    found
}

#[rstest]
#[case::field("    /// Its name.\n    /// It is long.\n    name: String,\n", &[1])]
#[case::module("//! These.\n\n/// `It`.\n", &[1, 3])]
#[case::noun("/// The name.\n/// It is long.\n// This is no doc.\n", &[])]
#[case::help("#[derive(\n    Args,\n)]\nstruct A {\n    /// That\n    b: C,\n}\n\n/// They\n", &[9])]
#[case::value("#[derive(Clone, clap::ValueEnum)]\nenum A {\n    /// They\n    B,\n}\n/// They\n", &[6])]
fn pronouns_are_found(#[case] text: &str, #[case] lines: &[usize]) {
    assert_eq!(opening_with_pronouns(text), lines);
}

/// A doc comment names what it is of. Files that another program generates are passed over.
#[test]
fn no_doc_comment_opens_with_a_pronoun() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let (mut folders, mut files, mut found) = (vec![root.join("src")], 0, Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|of| of == "rs") {
                let text = std::fs::read_to_string(&path).unwrap();
                if text.starts_with("// @generated") {
                    continue;
                }
                files += 1;
                let name = path.strip_prefix(root).unwrap().display();
                let lines = opening_with_pronouns(&text).into_iter();
                found.extend(lines.map(|line| format!("{name}:{line}")));
            }
        }
    }
    assert!(files > 100, "{files}");
    found.sort();
    assert!(found.is_empty(), "a pronoun opens {}", found.join(", "));
}
