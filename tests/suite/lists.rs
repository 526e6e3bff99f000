//! Prompts as their authors have them: lists in place of ranges, draws until so many answers are right, and what is said to each prompt.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use af1::error::exit;
use af1::prompt::Step;
use af1::record::{self, Line, Measurement, Row};
use assert_cmd::Command;
use rstest::rstest;

use super::bad_input::refused;
use super::program::{Words, af1, experiments, planted, stdout};

/// A file in a folder.
fn file(folder: &Path, text: &str) -> PathBuf {
    let path = folder.join("list");
    std::fs::write(&path, text).unwrap();
    path
}

/// AF1 of a planted model on a list.
fn listed(list: &Path) -> Command {
    let mut run = af1("run --model planted-af1 --style symbolic --operation A+B --ablation cama");
    run.arg("--prompts").arg(list);
    run
}

pub fn cells(text: &str) -> Vec<Measurement> {
    let rows = text.lines().map(|line| Line::read(line).unwrap().row);
    let cells = rows.filter_map(|row| match row {
        Row::Measured(m) => Some(*m),
        _ => None,
    });
    cells.collect()
}

/// However a list is written, the prompts are the same; contexts are all combinations of the values of the operands.
#[rstest]
#[case::operands("{\"A\": 3, \"B\": 4}\n\n{\"A\": 5, \"B\": 11}\n{\"A\": 7, \"B\": 4}\n")]
#[case::answers(
    "{\"A\": 3, \"B\": 4, \"answer\": 7}\n{\"A\": 5, \"B\": 11, \"answer\": \"16\"}\n{\"text\": \"7+4=\"}"
)]
#[case::texts(
    "{\"text\": \"7+4=\", \"answer\": 11}\n{\"text\": \"3+4=\"}\n{\"text\": \"5+11=\", \"A\": 5, \"B\": 11}"
)]
#[case::csv("text,answer\n\"3+4=\",7\n5+11=,16\n7+4=,\n")]
#[case::csv_of_operands("\u{feff}B, A,answer\r\n4,3,7\r\n11,5,16\r\n4,7,11\r\n")]
fn lists_of_the_same_prompts_are_the_same(#[case] text: &str) {
    let folder = tempfile::tempdir().unwrap();
    let found = cells(&stdout(
        listed(&file(folder.path(), text)).words("--format json"),
    ));
    let [m] = &found[..] else {
        panic!("{} cells", found.len());
    };
    let due = [[3, 4], [5, 11], [7, 4]].map(|operands| operands.to_vec());
    assert_eq!(m.answers.operands.as_deref(), Some(&due[..]));
    assert_eq!(
        (m.counts.prompts, m.counts.all_prompts, m.counts.correct),
        (3, 3, 3)
    );
    // 3, 5 and 7 with 4 and 11.
    assert_eq!(m.contexts.fewest_of_operands, Some(2));
    assert_eq!(m.contexts.mutual_information, Some(0.0));
    assert_eq!(
        (m.provenance.operands, m.provenance.results),
        ([3, 11], [7, 16])
    );
    assert_eq!(m.provenance.list_sha256.as_ref().map(String::len), Some(64));
}

/// A list of all prompts of a range is measured as the range is.
#[test]
fn a_list_of_a_range_is_the_range() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = (0..10).flat_map(|a| (0..10).map(move |b| format!("{{\"A\":{a},\"B\":{b}}}\n")));
    let list = file(folder.path(), &pairs.collect::<String>());
    let words = "--ablation cama,mean,zero --format json";
    let of_list = cells(&stdout(
        listed(&list).words("--ablation mean,zero --format json"),
    ));
    let of_range = cells(&stdout(planted("run").run().words(words)));
    assert_eq!(of_list.len(), 3);
    for (a, b) in of_list.iter().zip(&of_range) {
        assert_eq!(
            (&a.counts, &a.scores, &a.answers),
            (&b.counts, &b.scores, &b.answers)
        );
        assert_ne!(a.place.sweep, b.place.sweep, "a list is another sweep");
    }
}

/// What a heading says of a list, and which target of inference there is.
#[test]
fn the_heading_says_that_it_is_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let list = file(folder.path(), "A,B\n3,4\n5,11\n7,4\n");
    let text = stdout(listed(&list));
    assert!(text.contains("prompts of a list (SHA-256 "), "{text}");
    let census = "95% Wilson intervals about these prompts; every prompt of the list was evaluated (a census)";
    assert!(text.contains(census), "{text}");
    let text = stdout(listed(&list).words("--limit 2"));
    assert!(!text.contains("census"), "{text}");
    let reason = "how the operands of a list were drawn is not known";
    refused(
        listed(&list).words("--inference operands"),
        exit::USAGE,
        &[reason],
    );
}

/// Every experiment takes a list, and `inspect` shows it.
#[test]
fn every_experiment_takes_a_list() {
    let folder = tempfile::tempdir().unwrap();
    let pairs = (0..40).map(|i| format!("{},{}\n", i % 10, i * 7 % 11));
    let list = file(
        folder.path(),
        &("A,B\n".to_owned() + &pairs.collect::<String>()),
    );
    for verb in experiments() {
        let mut run = af1(verb);
        run.words("--model planted-af1 --style symbolic --operation A+B --prompts")
            .arg(&list);
        assert!(stdout(run).contains("symbolic"), "{verb}");
    }
    let mut inspect = af1("inspect --model planted-af1 --style symbolic --operation A+B --prompts");
    let text = stdout(inspect.arg(&list));
    assert!(text.contains("| symbolic | A+B | 40      |"), "{text}");
}

/// Every line of a list is asked, however many tokens its numbers have.
#[test]
fn every_shape_of_a_list_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let lines = [
        [3, 4],
        [5, 4],
        [3, 2],
        [9, 8],
        [12, 13],
        [14, 13],
        [12, 7],
        [95, 13],
        [95, 14],
        [96, 13],
    ];
    let text: String = lines
        .iter()
        .map(|[a, b]| format!("{{\"text\":\"{a}+{b}=\"}}\n"))
        .collect();
    let list = file(folder.path(), &text);
    let mut run = af1(
        "run --model planted-digits --style symbolic --operation A+B --ablation cama --format json",
    );
    let found = cells(&stdout(
        run.words("--estimator plug-in --prompts").arg(&list),
    ));
    let first = found.iter().filter(|m| m.place.step == Step::At(0));
    let counts = first.map(|m| {
        (
            m.place.shape.clone().unwrap().words("A+B"),
            m.counts.prompts,
        )
    });
    let due = [
        ("1+1=1", 3),
        ("1+1=2", 1),
        ("2+1=2", 1),
        ("2+2=2", 2),
        ("2+2=3", 3),
    ];
    let due = due.map(|(shape, prompts)| (shape.to_owned(), prompts));
    assert_eq!(counts.collect::<BTreeMap<_, _>>(), due.into());
    let mut inspect =
        af1("inspect --model planted-digits --style symbolic --operation A+B --prompts");
    let text = stdout(inspect.arg(&list));
    assert!(
        text.contains("2+2=3") && text.contains("prompts of the list have it"),
        "{text}"
    );
}

/// At the later steps of an answer contexts are all combinations of the operands' values with those tokens there, not the list alone.
#[test]
fn later_steps_have_the_contexts_of_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let list = file(
        folder.path(),
        "A,B\n12,13\n14,23\n25,11\n21,31\n33,12\n24,24\n11,42\n",
    );
    let mut run = af1(
        "run --model planted-digits --style symbolic --operation A+B --ablation cama --format json --prompts",
    );
    let found = cells(&stdout(run.arg(&list)));
    let [tens, units] = &found[..] else {
        panic!("{} cells", found.len());
    };
    assert_eq!((tens.counts.prompts, tens.counts.correct), (7, 7));
    // 7 values of A and 7 of B: 49 contexts at both.
    assert_eq!(tens.contexts.fewest_of_operands, Some(7));
    assert_eq!(units.contexts.fewest_of_operands, Some(7));
    assert_eq!(
        (units.counts.prompts, units.counts.correct),
        (
            units.counts.all_prompts - units.counts.undefined,
            units.counts.prompts
        )
    );
    let mut alone = af1(
        "run --model planted-digits --style symbolic --operation A+B --ablation cama --format json --contexts-from answerable",
    );
    let alone = alone.words("--estimator plug-in --prompts").arg(&list);
    assert_eq!(
        cells(&stdout(alone))[0].contexts.fewest_of_operands,
        Some(1)
    );
}

/// Prompts of three operands are drawn; those of a list are among them.
#[test]
fn a_list_of_three_operands_is_asked_whole() {
    let folder = tempfile::tempdir().unwrap();
    let triples = (0..30).map(|i| format!("{},{},{}\n", i, 40 - i, i * 3 % 20));
    let list = file(
        folder.path(),
        &("A,B,C\n".to_owned() + &triples.collect::<String>()),
    );
    let mut run = af1(
        "waiting --model planted-af1 --styles operations --style symbolic --operation A+B+C --wait 0 --contexts 30",
    );
    run.arg("--prompts")
        .arg(&list)
        .words("--ablation cama --format json");
    let found = cells(&stdout(run));
    assert_eq!(found[0].counts.prompts, 30);
    assert!(found[0].contexts.sampled);
}

#[rstest]
#[case("{\"A\": 3}", "line 1: it has the operands \"A\", and A+B has 2")]
#[case(
    "{\"A\": 3, \"C\": 4}",
    "line 1: it has the operands \"AC\", and A+B has 2"
)]
#[case(
    "{\"A\": 3, \"B\": 4}\n{\"answer\": 7}",
    "line 2: neither text nor operands"
)]
#[case(
    "{\"A\": 3, \"B\": 4}\n{\"A\": 3, \"B\": 4, \"answer\": 8}",
    "line 2: its answer is 8, and A+B of [3, 4] is 7"
)]
#[case(
    "{\"A\": 3, \"B\": 4}\n\n{\"text\": \"3+4=\"}",
    "line 3: it asks what line 1 asks"
)]
#[case(
    "{\"text\": \"3 + 4=\"}",
    "line 1: the text \"3 + 4=\" does not fit \"{A}+{B}=\" of the style symbolic: at column 2: expected \"+\""
)]
#[case(
    "{\"text\": \"3+4= \"}",
    "line 1: the text \"3+4= \" does not fit \"{A}+{B}=\" of the style symbolic: at column 5: expected the end"
)]
#[case("{\"text\": \"+4=\"}", "at column 1: expected the operand A")]
#[case("{\"text\": \"3+04=\"}", "at column 3: expected the operand B")]
#[case(
    "{\"text\": \"3+4=\", \"A\": 3, \"B\": 5}",
    "line 1: its text is \"3+4=\", and the style symbolic asks these operands with \"3+5=\""
)]
#[case("{\"A\": 3.5, \"B\": 4}", "line 1: \"3.5\" is no integer below 2^53")]
#[case("{\"A\": 3, \"B\": 99999999999999999999}", "is no integer below 2^53")]
#[case(
    "{\"A\": 3, \"B\": [4]}",
    "line 1: \"B\" is [4]; expected a text or a number"
)]
#[case(
    "{\"A\": 3, \"b\": 4}",
    "line 1: \"b\" is no field; expected text, answer or an operand A, B, C, ..."
)]
#[case("{\"A\": 3, \"B\": 4}\n{\"A\": 3", "line 2: no JSON object")]
#[case("{\"A\": 3, \"B\": 4}\n3", "line 2: no JSON object")]
#[case("A,B\n3,4\n5", "line 3: no CSV")]
#[case("A,B\r\n3,4\r\n5\r\n", "line 3: no CSV")]
#[case("A,B\r\n3,4\r\n\r\n5,x\r\n", "line 4: ")]
#[case("A,B\n3,4\n\n5,x\n", "line 4: ")]
#[case("A,B,A\n3,4,5", "line 2: \"A\" occurs twice")]
#[case(
    "{\"A\": 3, \"B\": 4}\n{\"A\": 3, \"B\": 4, \"A\": 5}",
    "line 2: \"A\" occurs twice"
)]
#[case("A,B,sum\n3,4,7", "line 2: \"sum\" is no field")]
#[case("A,B\n", "line 1: there is no prompt in the file")]
#[case("", "line 1: there is no prompt in the file")]
fn a_line_that_does_not_fit_is_named(#[case] text: &str, #[case] reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let list = file(folder.path(), text);
    refused(
        listed(&list),
        exit::LIST,
        &[&list.to_string_lossy(), reason],
    );
}

#[test]
fn lists_that_cannot_be_used_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let list = file(folder.path(), "A,B\n3,4\n");
    refused(
        listed(&list).words("--operands 0..=9"),
        exit::USAGE,
        &["--prompts", "--operands"],
    );
    let mut two = af1("run --model planted-af1 --style symbolic --operation A+B,A-B --prompts");
    std::fs::write(&list, "{\"text\": \"3+4=\"}").unwrap();
    refused(
        two.arg(&list),
        exit::LIST,
        &["line 1", "does not fit \"{A}-{B}=\""],
    );
    refused(
        listed(&folder.path().join("none")),
        exit::NOT_FOUND,
        &["list of prompts not found"],
    );
    std::fs::write(&list, [b'A', b'\n', 0xff]).unwrap();
    refused(listed(&list), exit::LIST, &["line 2: it is not UTF-8"]);
    std::fs::write(&list, vec![b' '; (16 << 20) + 1]).unwrap();
    refused(
        listed(&list),
        exit::LIST,
        &["the file has more than 16777216 bytes"],
    );
    let lines = (0..=100_000).map(|i| format!("{i},{i}\n"));
    std::fs::write(&list, "A,B\n".to_owned() + &lines.collect::<String>()).unwrap();
    refused(
        listed(&list),
        exit::LIST,
        &["line 100002: 100001 prompts; expected 100000 at most"],
    );
    let lines = (0..3000).map(|i| format!("{i},{i}\n"));
    std::fs::write(&list, "A,B\n".to_owned() + &lines.collect::<String>()).unwrap();
    let reason =
        "the operands of A+B have 3000 x 3000 values, whose combinations, more than 5000000";
    refused(
        listed(&list),
        exit::USAGE,
        &[reason, "--contexts-from answerable"],
    );
}

/// A record goes on only with the same list.
#[test]
fn two_lists_are_two_sweeps() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let list = file(folder.path(), "A,B\n3,4\n5,11\n7,4\n");
    let go = |list: &Path| stdout(listed(list).arg("--record").arg(&record));
    go(&list);
    go(&list);
    assert_eq!(record::read(&record).unwrap().len(), 1);
    // The same prompts in another order are another file.
    std::fs::write(&list, "A,B\n7,4\n3,4\n5,11\n").unwrap();
    go(&list);
    let lines = record::read(&record).unwrap();
    let sweeps: BTreeSet<&str> = lines
        .iter()
        .map(|line| &*line.place().unwrap().sweep)
        .collect();
    assert_eq!((lines.len(), sweeps.len()), (2, 2));
}
