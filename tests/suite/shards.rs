//! `--shard auto`: which shard a scheduler's variables say, or what is wrong with them; and what a merge says of shards that are missing.

use std::path::{Path, PathBuf};

use af1::error::exit;
use af1::record::{self, Row};
use assert_cmd::Command;
use rstest::rstest;

use super::program::{Words, af1, planted, stdout};

/// All variables that may say something of shards; a test has none of another scheduler that it is run by.
const VARIABLES: [&str; 8] = [
    "AF1_SHARD",
    "AF1_SHARD_COUNT",
    "SLURM_ARRAY_TASK_ID",
    "SLURM_ARRAY_TASK_MIN",
    "SLURM_ARRAY_TASK_MAX",
    "SLURM_ARRAY_TASK_STEP",
    "SLURM_ARRAY_TASK_COUNT",
    "JOB_COMPLETION_INDEX",
];

/// The program under these variables alone, as `env` takes them, with Slurm's called by how their names end: `ID=3 COUNT=4`.
fn under(variables: &str, mut program: Command) -> Command {
    for name in VARIABLES {
        program.env_remove(name);
    }
    for (name, value) in variables.split(' ').filter_map(|said| said.split_once('=')) {
        let name = VARIABLES
            .into_iter()
            .find(|known| *known == name || *known == format!("SLURM_ARRAY_TASK_{name}"));
        program.env(name.expect("a variable that is read"), value);
    }
    program
}

/// A sweep of four boundaries in a record with that name.
fn sweep(folder: &Path, record: &str) -> Command {
    let mut run = planted("waiting --wait 0,2,3,4 --ablation cama")
        .operands("0..=4")
        .run();
    run.arg("--record").arg(folder.join(record));
    run
}

fn files(folder: &Path) -> Vec<String> {
    let items = std::fs::read_dir(folder).unwrap().flatten();
    items
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .collect()
}

#[rstest]
#[case("AF1_SHARD=2/3", "2-of-3", "AF1_SHARD")]
#[case("ID=1 MIN=1 MAX=4 STEP=1 COUNT=4", "1-of-4", "SLURM_ARRAY_TASK_ID")]
#[case("ID=4 MIN=1 MAX=4 STEP=1 COUNT=4", "4-of-4", "SLURM_ARRAY_TASK_ID")]
// From 0 on, from elsewhere on, in steps, and without what older versions do not say.
#[case("ID=0 MIN=0 MAX=3 STEP=1 COUNT=4", "1-of-4", "SLURM_ARRAY_TASK_ID")]
#[case("ID=15 MIN=10 MAX=20 STEP=5 COUNT=3", "2-of-3", "SLURM_ARRAY_TASK_ID")]
#[case("ID=4 MIN=0 MAX=7 STEP=2 COUNT=4", "3-of-4", "SLURM_ARRAY_TASK_ID")]
#[case("ID=11 MIN=10 COUNT=2", "2-of-2", "SLURM_ARRAY_TASK_ID")]
#[case("ID=1 MIN=1 MAX=1 STEP=1 COUNT=1", "1-of-1", "SLURM_ARRAY_TASK_ID")]
#[case(
    "JOB_COMPLETION_INDEX=0 AF1_SHARD_COUNT=4",
    "1-of-4",
    "JOB_COMPLETION_INDEX"
)]
#[case(
    "JOB_COMPLETION_INDEX=3 AF1_SHARD_COUNT=4",
    "4-of-4",
    "JOB_COMPLETION_INDEX"
)]
// What is said outright goes before a scheduler; an empty variable says nothing; two that say the same do not contradict.
#[case("AF1_SHARD=1/2 ID=4 MIN=1 COUNT=4", "1-of-2", "AF1_SHARD")]
#[case("AF1_SHARD= ID=2 MIN=1 COUNT=4", "2-of-4", "SLURM_ARRAY_TASK_ID")]
#[case(
    "ID=2 MIN=1 COUNT=4 JOB_COMPLETION_INDEX=1 AF1_SHARD_COUNT=4",
    "2-of-4",
    "SLURM_ARRAY_TASK_ID"
)]
fn a_scheduler_says_the_shard(#[case] variables: &str, #[case] shard: &str, #[case] by: &str) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = under(variables, sweep(folder.path(), "{shard}.jsonl"));
    let output = run.words("--shard auto").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success(), "{said}");
    let words = format!("shard {}, by {by}\n", shard.replace("-of-", "/"));
    assert!(said.contains(&words), "{words}: {said}");
    assert_eq!(files(folder.path()), [format!("{shard}.jsonl")]);
}

#[rstest]
#[case("", &["AF1_SHARD=I/N", "SLURM_ARRAY_TASK_ID", "JOB_COMPLETION_INDEX", "AF1_SHARD_COUNT=N"])]
#[case("AF1_SHARD_COUNT=4", &["nothing says which shard"])]
#[case("AF1_SHARD=5/4", &["AF1_SHARD", "\"5/4\" is not a shard"])]
#[case("AF1_SHARD=auto", &["AF1_SHARD", "\"auto\" is not a shard"])]
#[case("AF1_SHARD=1/4 AF1_SHARD_COUNT=2", &["AF1_SHARD_COUNT is 2", "AF1_SHARD says shard 1/4"])]
#[case("ID=x MIN=1 COUNT=4", &["SLURM_ARRAY_TASK_ID is \"x\""])]
#[case("ID=1 COUNT=4", &["SLURM_ARRAY_TASK_ID is set, and SLURM_ARRAY_TASK_MIN is not"])]
#[case("ID=1 MIN=1", &["SLURM_ARRAY_TASK_ID is set, and SLURM_ARRAY_TASK_COUNT is not"])]
#[case("ID=1 MIN=2 COUNT=4", &["task 1 has no place", "4 tasks from 2 on"])]
#[case("ID=9 MIN=1 MAX=4 STEP=1 COUNT=4", &["task 9 has no place"])]
// The lists 3,7,8 and 2,4,6, as Slurm describes them.
#[case("ID=3 MIN=3 MAX=8 STEP=1 COUNT=3", &["task 3 has no place", "a list such as 1,3,7"])]
#[case("ID=2 MIN=2 MAX=6 STEP=1 COUNT=3", &["task 2 has no place"])]
// One task of an earlier array, submitted again.
#[case("ID=3 MIN=3 MAX=3 STEP=1 COUNT=1", &["the single task 3", "AF1_SHARD=I/N"])]
#[case("ID=2 MIN=1 COUNT=4 AF1_SHARD_COUNT=8", &["AF1_SHARD_COUNT is 8", "SLURM_ARRAY_TASK_ID says shard 2/4"])]
#[case("JOB_COMPLETION_INDEX=0", &["JOB_COMPLETION_INDEX is set, and AF1_SHARD_COUNT is not"])]
#[case("JOB_COMPLETION_INDEX=4 AF1_SHARD_COUNT=4", &["JOB_COMPLETION_INDEX is 4", "0 to 3"])]
#[case("JOB_COMPLETION_INDEX=0 AF1_SHARD_COUNT=0", &["JOB_COMPLETION_INDEX is 0", "AF1_SHARD_COUNT=0"])]
#[case("JOB_COMPLETION_INDEX=0 AF1_SHARD_COUNT=-1", &["AF1_SHARD_COUNT is \"-1\""])]
#[case("ID=2 MIN=1 COUNT=4 JOB_COMPLETION_INDEX=2 AF1_SHARD_COUNT=4", &["SLURM_ARRAY_TASK_ID says 2/4 and JOB_COMPLETION_INDEX says 3/4"])]
fn variables_that_say_no_shard_are_an_error(#[case] variables: &str, #[case] parts: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let mut run = under(variables, sweep(folder.path(), "{shard}.jsonl"));
    let output = run.words("--shard auto").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()), "{said}");
    for part in ["--shard auto: "].iter().chain(parts) {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    assert!(files(folder.path()).is_empty(), "nothing is written");
}

/// Only `auto` reads the environment.
#[test]
fn variables_alone_change_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let variables = "AF1_SHARD=1/2 ID=2 MIN=1 COUNT=4";
    stdout(under("", sweep(folder.path(), "plain")));
    stdout(under(variables, sweep(folder.path(), "beside")));
    let read = |name: &str| std::fs::read_to_string(folder.path().join(name)).unwrap();
    assert_eq!(read("plain"), read("beside"));
    stdout(under(variables, sweep(folder.path(), "given")).words("--shard 3/4"));
    let lines = record::read(&folder.path().join("given")).unwrap();
    let ended = lines.iter().find_map(|line| match &line.row {
        Row::Ended(ended) => Some((ended.shard, ended.shards)),
        _ => None,
    });
    assert_eq!(ended, Some((3, 4)));
}

#[test]
fn a_name_with_a_place_for_the_shard_needs_a_shard() {
    let folder = tempfile::tempdir().unwrap();
    let output = sweep(folder.path(), "{shard}.jsonl").output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()), "{said}");
    assert!(said.contains("there is no --shard"), "{said}");
}

/// The records of shards of a sweep, and what merging them says.
fn merged(records: &[PathBuf], out: &Path) -> (Option<i32>, String) {
    let mut merge = af1("merge --out");
    let output = merge.arg(out).args(records).output().unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    (output.status.code(), said)
}

/// A merge names the missing shards of cells that can be counted, and of a pruning, whose cells are known only when it ends.
#[rstest]
#[case("waiting --wait 0,2,3,4 --ablation cama")]
#[case("heads --controls 1")]
fn a_merge_names_the_shards_that_are_missing(#[case] words: &str) {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let sweep = |name: &str| {
        let mut run = planted(words).operands("0..=4").run();
        run.arg("--record").arg(at(name));
        run
    };
    stdout(&mut sweep("whole"));
    for shard in ["1/3", "2/3", "3/3"] {
        stdout(sweep("{shard}").args(["--shard", shard]));
    }
    let [first, second, third] = ["1-of-3", "2-of-3", "3-of-3"].map(at);
    // A killed shard has cells, or none, and has not said that it has ended.
    let text = std::fs::read_to_string(&second).unwrap();
    let cut = text.trim_end().rfind('\n').map_or(0, |end| end + 1);
    std::fs::write(at("killed"), &text[..cut]).unwrap();
    if words.starts_with("heads") {
        let (code, said) = merged(&[first.clone(), at("killed"), third.clone()], &at("part"));
        assert_eq!(code, Some(exit::INCOMPLETE.into()), "{said}");
        assert!(
            said.contains("shard 2/3 is missing or has not ended"),
            "{said}"
        );
    }
    let (code, said) = merged(std::slice::from_ref(&third), &at("part"));
    assert_eq!(code, Some(exit::INCOMPLETE.into()), "{said}");
    assert!(
        said.contains("shards 1/3, 2/3 are missing or have not ended"),
        "{said}"
    );
    // What is merged in part can be merged with the rest.
    let (code, said) = merged(&[second, at("part"), first], &at("all"));
    assert_eq!((code, &*said), (Some(0), ""));
    let read = |name: &str| std::fs::read_to_string(at(name)).unwrap();
    assert_eq!(read("all"), read("whole"));
}

/// A run of the whole sweep goes on in what shards have left, and then nothing is missing.
#[test]
fn a_whole_run_goes_on_where_a_shard_was() {
    let folder = tempfile::tempdir().unwrap();
    let record = folder.path().join("record");
    let run = |more: &str| {
        let mut run = planted("heads --controls 1").operands("0..=4").run();
        stdout(run.arg("--record").arg(&record).words(more));
    };
    let missing = || record::incomplete(&record::read(&record).unwrap());
    run("--shard 1/2");
    assert_eq!(missing().len(), 1);
    run("");
    assert!(missing().is_empty(), "{:?}", missing());
}

/// The shards of a study, merged, are what the study records; the study then has nothing left to measure, and writes its page.
#[test]
fn a_study_in_shards_is_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    std::fs::write(at("study.toml"), stdout(af1("study --init"))).unwrap();
    let study = |more: &str| stdout(under("", af1("study")).arg(at("study.toml")).words(more));
    study("");
    let whole = record::merge(&[at("study.jsonl")]).unwrap();
    let page = std::fs::read(at("study.html")).unwrap();
    for file in ["study.jsonl", "study.html"] {
        std::fs::remove_file(at(file)).unwrap();
    }
    let shards: Vec<PathBuf> = (1..=3)
        .map(|shard| {
            let said = study(&format!("--shard {shard}/3"));
            let record = at(&format!("study-{shard}-of-3.jsonl"));
            assert!(said.contains(&*record.to_string_lossy()), "{said}");
            record
        })
        .collect();
    assert!(!at("study.html").exists(), "a shard has no page");
    // Small sweeps do not all fall to the first one.
    for shard in &shards {
        let lines = record::read(shard).unwrap();
        assert!(lines.iter().any(|line| line.place().is_some()));
    }
    let (code, said) = merged(&shards[..2], &at("part.jsonl"));
    assert_eq!(code, Some(exit::INCOMPLETE.into()), "{said}");
    let (code, said) = merged(&shards, &at("study.jsonl"));
    assert_eq!((code, &*said), (Some(0), ""));
    let sorted = |lines: Vec<record::Line>| {
        let mut lines: Vec<String> = lines.into_iter().map(|line| line.text).collect();
        lines.sort();
        lines
    };
    let joined = record::read(&at("study.jsonl")).unwrap();
    assert_eq!(sorted(joined), sorted(whole));
    // The sweeps stand in another order there, so that the page does; but it is as long.
    study("");
    assert_eq!(std::fs::read(at("study.html")).unwrap().len(), page.len());
}
