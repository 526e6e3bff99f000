//! What must come with an experiment: a page of the book, and a test that it finds what was planted.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use af1::experiment;

/// Where each experiment is measured on a model in which the answer is known: the file and the test. A new experiment is named here.
const PLANTED: &[(&str, &str, &str)] = &[
    // The planted model that stands before its table. The cells of the table are those of the next two.
    ("reproduce", "program.rs", "reproduce_is_the_default"),
    ("run", "planted.rs", "verdicts_are_right"),
    (
        "waiting",
        "planted/digits.rs",
        "tokens_wait_as_long_as_was_planted",
    ),
    ("transfer", "planted.rs", "the_edges_are_sharp"),
    ("necessity", "planted.rs", "the_edges_are_sharp"),
    (
        "heads",
        "choices.rs",
        "a_random_order_ends_at_the_first_planted_head",
    ),
    (
        "alternatives",
        "alternatives.rs",
        "the_planted_truth_is_found",
    ),
    (
        "discover",
        "choices.rs",
        "what_is_chosen_is_what_was_planted",
    ),
    (
        "stability",
        "stability.rs",
        "what_was_planted_is_chosen_on_every_half",
    ),
    (
        "contexts",
        "choices.rs",
        "few_contexts_are_enough_where_means_are_exact",
    ),
    (
        "attention",
        "choices.rs",
        "attention_shows_the_planted_heads",
    ),
    ("patch", "patch.rs", "maps_are_those_that_were_planted"),
    ("peek", "peek.rs", "what_must_be_seen_was_planted"),
    (
        "windows",
        "windows.rs",
        "the_planted_window_has_rank_1_alone",
    ),
    ("lens", "lens.rs", "the_answer_appears_where_it_was_planted"),
];

/// A file or folder of the project.
fn of_project(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(path)
}

fn read(path: &str) -> String {
    std::fs::read_to_string(of_project(path)).unwrap_or_else(|e| panic!("{path}: {e}"))
}

#[test]
fn every_experiment_finds_what_was_planted() {
    let named: Vec<&str> = PLANTED.iter().map(|(verb, ..)| *verb).collect();
    let all: Vec<&str> = experiment::ALL.iter().map(|entry| entry.name).collect();
    assert_eq!(named, all);
    for (verb, file, test) in PLANTED {
        let text = read(&format!("tests/suite/{file}"));
        let (before, _) = text
            .split_once(&format!("\nfn {test}("))
            .unwrap_or_else(|| panic!("{verb}: there is no {test} in {file}"));
        let above = before.rsplit("\n\n").next().unwrap_or(before);
        let is_test = above.contains("#[test]") || above.contains("#[rstest]");
        assert!(
            is_test && !above.contains("#[ignore"),
            "{verb}: {test} in {file} is no test"
        );
    }
}

/// The folder has a page for every experiment and no other but the index; that and the summary have a line for each.
#[test]
fn every_experiment_has_a_page() {
    let files = std::fs::read_dir(of_project("docs/experiments")).unwrap();
    let files: BTreeSet<String> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    let names = experiment::ALL.iter().map(|entry| entry.name);
    let pages = names.clone().chain(["index"]);
    let pages: BTreeSet<String> = pages.map(|name| format!("{name}.md")).collect();
    assert_eq!(files, pages);
    let (index, summary) = (read("docs/experiments/index.md"), read("docs/SUMMARY.md"));
    for name in names {
        assert!(
            index.contains(&format!("\n| [{name}]({name}.md) | ")),
            "{name} is not in the index"
        );
        assert!(
            summary.contains(&format!("- [{name}](experiments/{name}.md)")),
            "{name} is not in the summary"
        );
    }
}
