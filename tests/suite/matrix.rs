//! Everything that is printed, in every format, as snapshots of the whole text: small runs on planted models. The verbs are clap's own
//! and the formats the program's own, so that a new one that nothing here knows fails.
//!
//! `INSTA_UPDATE=always cargo test --test suite matrix` writes what is printed now; what moved is then the difference in git.

use std::collections::BTreeSet;
use std::fmt::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::LazyLock;

use af1::cli::Cli;
use assert_cmd::Command;
use clap::CommandFactory;
use regex::{Captures, Regex};

use super::fixtures::{CLOSE, runtime};
use super::program::{af1, verb_of};

/// Runs that measure, by the names of their snapshots. What every one of them records is shown in every format of `af1 report`.
macro_rules! measured {
    ($($name:ident: $words:literal,)*) => {
        const MEASURED: &[&str] = &[$($words),*];
        $(
            #[test]
            fn $name() {
                in_every_format(stringify!($name), $words);
            }
        )*
    };
}

measured! {
    reproduce: "reproduce --model planted-late --style symbolic --operation A+B --operands 0..=9",
    run: "run --model planted-operator --style symbolic,verbal --operands 0..=4 --ablation cama,mean",
    run_with_maskings: "run --model planted-leak --style symbolic --operation A+B --operands 0..=9 --masking abp,no-sink,window-2 \
        --ablation cama --wait 2,3 --transfer 2",
    run_about_operands: "run --model planted-noisy --style symbolic --operation A+B --operands 0..=9 --inference operands \
        --estimator plug-in",
    run_on_a_half: "run --model planted-af1 --style symbolic --operation A+B --operands 0..=9 --estimator split --limit 20 --masked",
    run_of_a_weak_model: "run --model planted-weak --style symbolic --operation A+B --operands 0..=9 --ablation cama",
    waiting: "waiting --model planted-af1 --style symbolic --operation A+B --operands 0..=4 --wait 0,3,4",
    waiting_without_prompts: "waiting --model planted-af1 --style symbolic --operands 5..=9 --results 10..=18 --wait 3 --ablation cama",
    transfer: "transfer --model planted-noisy --style symbolic --operation A+B --operands 0..=9 --wait 2,3 --transfer 0..=2 \
        --ablation cama,zero",
    necessity: "necessity --model planted-two-hop --style symbolic --operation A+B --operands 0..=4 --window 2",
    necessity_upward: "necessity --model planted-relay --style symbolic --operation A+B --operands 0..=4 --upward",
    heads: "heads --model planted-heads --style symbolic --operation A+B --operands 0..=4 --controls 3",
    heads_in_random_order: "heads --model planted-heads --style symbolic --operation A-B --operands 0..=9 --order random --held-out",
    alternatives: "alternatives --model planted-operator --style instruction --operation A+B --operands 0..=4",
    discover: "discover --model planted-spread --style symbolic --operands 0..=9",
    stability: "stability --model planted-spread --style symbolic --operation A+B --operands 0..=9 --draws 3 --heads",
    contexts: "contexts --model planted-leak --style symbolic --operation A+B --operands 0..=9 --numbers 1,3",
    attention: "attention --model planted-heads --style symbolic --operation A+B --operands 0..=4",
    patch: "patch --model planted-relay --style symbolic --operation A+B --operands 0..=4 --pairs 20",
    patch_in_layers: "patch --model planted-operator --style symbolic --operation A+B --operands 0..=4 --pairs 20 --change A,operator \
        --swap layer,cumulative",
    peek: "peek --model planted-operator --style symbolic --operation A+B --operands 0..=4 --window 2,4",
    windows: "windows --model planted-late --wait 5 --transfer 2 --style symbolic --operation A+B --operands 0..=9 --controls 5 --head-controls 4",
    // In a planted model numbers at the same distance from the answer have the same logit up to rounding, which decides their ranks.
    lens: "lens --model fixtures/reference/tiny-llama/f32 --wait 1 --transfer 1 --style symbolic --operation A+B --operands 0..=4",
    gate: "gate --model planted-af1 --config fixtures/gate/conditions.toml",
    gate_that_fails: "gate --model planted-noisy --config fixtures/gate/conditions.toml",
    gate_without_an_answer: "gate --model planted-weak --config fixtures/gate/conditions.toml",
}

/// What measures nothing or keeps no record, by the names of its snapshots. `OUT` is an empty folder.
macro_rules! printed {
    ($($name:ident: $words:literal,)*) => {
        const PRINTED: &[&str] = &[$($words),*];
        $(
            #[test]
            fn $name() {
                let folder = tempfile::tempdir().unwrap();
                let words = $words.replace("OUT", &folder.path().to_string_lossy());
                same(stringify!($name), &shown(&mut pinned(&words)), folder.path());
            }
        )*
    };
}

printed! {
    alternatives_of_both_operations: "alternatives --model planted-operator --style symbolic --operands 0..=14",
    selfcheck: "selfcheck --model planted-two-hop,planted-weak --operation A+B",
    selfcheck_json: "selfcheck --model planted-two-hop,planted-weak --operation A+B --format json",
    claims: "claims --claim planted-sufficiency,planted-carry,fourier",
    claims_json: "claims --claim planted-carry,fourier --format json",
    claims_markdown: "claims --claim planted-carry --format markdown",
    diff: "diff --model planted-noisy --style symbolic --operands 0..=4",
    diff_json: "diff --model planted-noisy --style symbolic --operation A+B --operands 0..=4 --format json",
    inspect: "inspect --model planted-style --style symbolic,word-problem --operands 0..=4",
    inspect_json: "inspect --model planted-style --style symbolic,word-problem --operands 0..=4 --format json",
    inspect_a_front: "inspect --model planted-no-bos --bos <unk> --style symbolic --operands 0..=9",
    inspect_a_file: "inspect fixtures/foreign/counting.onnx",
    inspect_a_file_json: "inspect fixtures/foreign/counting.onnx --format json",
    inspect_a_graph: "inspect --model fixtures/foreign/gpt2-shaped.onnx --style symbolic --operands 0..=9",
    logits: "logits --model planted-af1 --prompt 1+2=",
    logits_json: "logits --model fixtures/reference/tiny-llama/f32 --prompt 3+4= --format json",
    report_shortly_as_csv: "report fixtures/records/schema-2/alternatives.jsonl --format csv --short",
    list_ablations: "list ablations",
    list_maskings: "list maskings",
    list_styles: "list styles",
    list_operations_json: "list operations --format json",
    export: "export --model planted-af1 --out OUT",
    export_a_segment: "export --model planted-af1 --out OUT --from 2 --to 4",
    export_a_subgraph: "export --model planted-af1 --out OUT --af1 3,2 --style symbolic --operation A+B --operands 0..=9",
}

/// Verbs whose text is about this machine or about records alone, and where they are tested.
const ELSEWHERE: [(&str, &str); 8] = [
    ("study", "whole_study::"),
    ("shell", "program::completions_and_a_manual_are_written"),
    ("report", "in_every_format and beside_an_earlier_run"),
    ("share", "share::"),
    ("merge", "what_is_merged_is_what_was_recorded"),
    ("fetch", "fetching, origins"),
    ("cache", "kept"),
    ("doctor", "program::doctor_names_every_device"),
];

/// Every verb is in this matrix or stands elsewhere, none is there that the program does not have.
#[test]
fn every_verb_is_shown() {
    let words = MEASURED.iter().chain(PRINTED);
    let verbs = words.map(|words| verb_of(words));
    let known: BTreeSet<&str> = verbs.chain(ELSEWHERE.map(|(verb, _)| verb)).collect();
    let program = Cli::command();
    let has: BTreeSet<&str> = program
        .get_subcommands()
        .map(|verb| verb.get_name())
        .collect();
    assert_eq!(known, has);
}

/// What the program says of itself: every option, its default and its values are there.
#[test]
fn help() {
    let program = Cli::command();
    let verbs = program.get_subcommands().map(clap::Command::get_name);
    let nowhere = Path::new("/nowhere");
    let all = verbs.chain([""]).map(|verb| {
        let text = shown(&mut pinned(&format!("{verb} --help")));
        (format!("help-{verb}"), text)
    });
    each(all.collect(), nowhere);
}

/// The formats of `af1 report`, as clap knows them.
fn formats() -> Vec<String> {
    let program = Cli::command();
    let report = program.find_subcommand("report").unwrap();
    let format = report.get_arguments().find(|arg| arg.get_id() == "format");
    let values = format.unwrap().get_possible_values();
    values
        .iter()
        .map(|value| value.get_name().to_owned())
        .collect()
}

/// What a run prints and records, and its records in every format of a report; the table and the records are the run's own.
fn in_every_format(name: &str, words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record.jsonl");
    let files = ["junit.xml", "summary.md"].map(|file| folder.path().join(file));
    let mut run = pinned(words);
    run.arg("--record").arg(&record);
    if words.starts_with("gate") {
        run.arg("--junit").arg(&files[0]);
        run.arg("--summary").arg(&files[1]);
    }
    let mut all = vec![(name.to_owned(), shown(&mut run))];
    for file in files.iter().filter(|file| file.exists()) {
        let kind = file.file_name().unwrap().to_string_lossy();
        let text = std::fs::read_to_string(file).unwrap();
        all.push((format!("{name}-{kind}"), text));
    }
    // Read again from the record, so that nothing is measured twice.
    let json = shown(run.args(["--format", "json"]));
    for format in formats() {
        let mut report = pinned("report --format");
        let text = shown(report.arg(&format).arg(&record));
        match format.as_str() {
            // A run says more than its records where it has a control and a hint, and where it fails.
            "table" => assert!(all[0].1.contains(&text), "{name}: the table is another one"),
            // What follows from the records is said beside a run's lines.
            "json" => {
                let follows = |line: &&str| line.contains(r#""experiment":"conclusion""#);
                let mut lines = text.lines().filter(|line| !follows(line));
                assert!(
                    lines.all(|line| json.contains(line)),
                    "{name}: the records are others"
                );
            }
            _ => all.push((format!("{name}-{format}"), text)),
        }
    }
    // What is not folded; behind it stands what the report says at length.
    let mut report = pinned("report --format markdown --short");
    let short = shown(report.arg(&record));
    let (said, folded) = short.split_once("<details>").unwrap();
    let is_markdown = |(of, _): &&(String, String)| *of == format!("{name}-markdown");
    let (_, markdown) = all.iter().find(is_markdown).unwrap();
    assert!(folded.contains(markdown.trim()), "{name}: {folded}");
    all.push((format!("{name}-short"), said.to_owned()));
    all.push((format!("{name}-json"), json));
    each(all, folder.path());
}

/// Two runs beside each other, in every format that shows them; the others say so.
#[test]
fn beside_an_earlier_run() {
    let folder = tempfile::tempdir().unwrap();
    let recorded = |model: &str, operands: &str| {
        let record = folder.path().join(format!("{model}-{operands}.jsonl"));
        let words = "run --style symbolic --operation A+B --ablation cama,zero --model";
        let mut run = pinned(&format!("{words} {model} --operands {operands}"));
        shown(run.arg("--record").arg(&record));
        record
    };
    let earlier = recorded("planted-af1", "0..=9");
    let mut all = Vec::new();
    for (now, name) in [
        (recorded("planted-noisy", "0..=9"), "worse"),
        (recorded("planted-af1", "0..=8"), "other-prompts"),
    ] {
        for format in formats() {
            let mut report = pinned("report --format");
            report.arg(&format).arg(&now).arg("--against").arg(&earlier);
            all.push((format!("against-{name}-{format}"), shown(&mut report)));
        }
    }
    each(all, folder.path());
}

/// Merging files of a sweep gives the sweep as it was recorded.
#[test]
fn what_is_merged_is_what_was_recorded() {
    let folder = tempfile::tempdir().unwrap();
    let words = "waiting --model planted-af1 --style symbolic --operation A+B --operands 0..=4 --ablation cama --record";
    let recorded = |name: &str, more: &str| {
        let record = folder.path().join(name);
        shown(pinned(words).arg(&record).args(shlex::split(more).unwrap()));
        record
    };
    let parts = ["2/2", "1/2"].map(|part| recorded(&part[..1], &format!("--shard {part}")));
    let whole = recorded("whole", "");
    let merged = shown(pinned("merge").args(&parts));
    assert_eq!(merged, std::fs::read_to_string(whole).unwrap());
}

/// The program with these words, on as many threads as on any machine, and with texts of one width.
fn pinned(words: &str) -> Command {
    let (verb, rest) = words.split_once(' ').unwrap_or((words, ""));
    let program = Cli::command();
    let runs = program
        .find_subcommand(verb)
        .is_some_and(|verb| verb.get_arguments().any(|arg| arg.get_id() == "threads"));
    let threads = if runs { "--threads 2" } else { "" };
    let mut command = af1(&format!("{verb} {threads} {rest}"));
    command.env("COLUMNS", "100");
    command
}

/// What a user sees: the output, what is said beside it, and the exit code where it is not that of success.
fn shown(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let mut text = String::from_utf8(output.stdout).unwrap();
    let beside = String::from_utf8(output.stderr).unwrap();
    if !beside.is_empty() {
        write!(text, "--- on standard error\n{beside}").unwrap();
    }
    if !output.status.success() {
        writeln!(text, "--- exit code {}", output.status.code().unwrap()).unwrap();
    }
    text
}

/// Compares all of them before it fails, so that one run says everything that moved.
fn each(all: Vec<(String, String)>, folder: &Path) {
    let sweeps = sweeps(&all);
    let moved = |(name, text): &(String, String)| {
        let text = numbered(text, &sweeps);
        let compared = catch_unwind(AssertUnwindSafe(|| same(name, &text, folder)));
        compared.is_err().then(|| name.clone())
    };
    let moved: Vec<String> = all.iter().filter_map(moved).collect();
    assert_eq!(moved, Vec::<String>::new(), "these snapshots moved");
}

/// The names of sweeps in records, in the order in which they first appear: they are hashes of what a sweep is.
fn sweeps(all: &[(String, String)]) -> Vec<String> {
    static SWEEP: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""sweep":"([0-9a-f]{16})""#).unwrap());
    let mut sweeps: Vec<String> = Vec::new();
    for (_, text) in all {
        for found in SWEEP.captures_iter(text) {
            if !sweeps.contains(&found[1].to_owned()) {
                sweeps.push(found[1].to_owned());
            }
        }
    }
    sweeps
}

/// A text in which sweeps have numbers as names.
fn numbered(text: &str, sweeps: &[String]) -> String {
    let names = sweeps.iter().enumerate();
    names.fold(text.to_owned(), |text, (i, sweep)| {
        text.replace(sweep, &format!("[sweep {}]", i + 1))
    })
}

/// Compares a text with its snapshot.
fn same(name: &str, text: &str, folder: &Path) {
    let snapshots = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/snapshots/matrix");
    let text = filtered(text, folder);
    let known = std::fs::read_to_string(snapshots.join(format!("{name}.snap"))).unwrap_or_default();
    let known = known.splitn(3, "---\n").nth(2).unwrap_or_default();
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(&snapshots);
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, settled(&text, known)));
}

/// A text without what is of this machine, of this build or of this moment; a line a field, so that a difference is a line.
fn filtered(text: &str, folder: &Path) -> String {
    static PROVENANCE: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#""provenance":\{[^{}]*\{[^{}]*\}[^{}]*\}"#).unwrap());
    // In JSON, in XML and in CSV.
    static NODES: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r#"(CPUExecutionProvider(?:"|&quot;):|,cpu,)\d+"#).unwrap());
    // What a page looks like and what it runs are files of their own, and a test holds pages to them.
    static OWN: LazyLock<Regex> = LazyLock::new(|| {
        Regex::new(r"(?s)(<style>).*?(</style>)|(<script>).*?(</script>)|(-src 'sha256-)[^']*(')")
            .unwrap()
    });
    static APART: LazyLock<Regex> =
        LazyLock::new(|| Regex::new(r"apart by at most \de-?\d+ of").unwrap());
    let mut last = String::new();
    let text = PROVENANCE.replace_all(text, |found: &Captures<'_>| match last == found[0] {
        true => "\"provenance\":[as above]".to_owned(),
        false => {
            last = found[0].to_owned();
            last.clone()
        }
    });
    let text = NODES.replace_all(&text, "$1[nodes]");
    let text = OWN.replace_all(&text, "$1$3$5[page's own]$2$4$6");
    let text = APART.replace_all(&text, "apart by at most [rounding] of");
    let runtime = runtime();
    text.replace(&runtime.hash().to_string(), "[runtime's hash]")
        .replace(runtime.version(), "[runtime's version]")
        .replace(env!("CARGO_PKG_VERSION"), "[version]")
        .replace(&*folder.to_string_lossy(), "[folder]")
        .replace(env!("CARGO_MANIFEST_DIR"), "[project]")
        .replace("><", ">\n<")
        .replace(",\"", ",\n\"")
        .replace(".exe", "")
}

/// The text with the numbers of the known one where they differ by no more than other processors make them differ. Numbers that were
/// rounded for people stay as they are.
fn settled(text: &str, known: &str) -> String {
    static NUMBER: LazyLock<Regex> = LazyLock::new(|| {
        // With the spaces behind it, which fill up a column. Hashes have no point and no minus.
        Regex::new(r"-?\b\d+(\.\d{5,}|\.\d+e-?\d+|e-\d+)(e-?\d+)?\b *").unwrap()
    });
    let number = |text: &str| text.trim_end().parse::<f64>().unwrap();
    let mut all = NUMBER.find_iter(known).map(|found| found.as_str());
    NUMBER
        .replace_all(text, |found: &Captures<'_>| match all.next() {
            Some(known) if CLOSE.holds(number(&found[0]), number(known)) => known.to_owned(),
            _ => found[0].to_owned(),
        })
        .into_owned()
}

/// What is not the same fails, however close it looks; what another processor may say does not.
#[test]
fn settled_numbers() {
    let known = "kept 0.8668077490609515, 1.3e-7, 0.0e0   | 25 of 1.00, 1e3e4";
    let near = "kept 0.8668077490609999, 2.13e-7, 3.2e-8  | 25 of 1.00, 1e3e4";
    assert_eq!(settled(near, known), known);
    let far = "kept 0.8668277490609515, 1.3e-5, 0.1e0 | 24 of 1.01, 1e3e5";
    assert_eq!(settled(far, known), far);
}
