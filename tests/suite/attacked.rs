//! What an attack on the program once found: a test for everything that was found and that no other file here has.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use af1::error::exit;
use rstest::rstest;
use serde_json::Value;

use super::bad_input::copy;
use super::fixtures::path;
use super::hostile::limited;
use super::program::{af1, stdout};

/// What a command says when it ends with that code.
fn ends(words: &[&str], code: u8) -> String {
    let output = af1("").args(words).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(code.into()),
        "{words:?}: {message}"
    );
    assert!(message.starts_with("error: "), "{message}");
    message
}

const CLAIM: &str = "[[claim]]\nstyle = \"symbolic\"\noperation = \"A+B\"\nwait = 3\ntransfer = 2\nfaithful = 0.9\n";

/// A gate whose file or baseline is unreadable has no answer, and replaces an earlier one.
#[rstest]
#[case("faithful = 0.9", "faithful = 2", &[])]
#[case("wait = 3", "wait = [", &[])]
#[case("", "", &["--baseline", "no/such/record.jsonl"])]
fn a_gate_that_cannot_be_read_has_no_earlier_answer(
    #[case] right: &str,
    #[case] wrong: &str,
    #[case] more: &[&str],
) {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name).to_string_lossy().into_owned();
    let (config, junit, summary) = (file("gate.toml"), file("junit.xml"), file("summary.md"));
    std::fs::write(&config, CLAIM.replacen(right, wrong, 1)).unwrap();
    std::fs::write(&junit, "<testsuites failures=\"0\"/>").unwrap();
    let mut words = vec![
        "gate",
        "--model",
        "planted-af1",
        "--config",
        &config,
        "--junit",
        &junit,
        "--summary",
        &summary,
    ];
    words.extend(more);
    let output = af1("").args(&words).output().unwrap();
    assert!(
        !matches!(output.status.code(), None | Some(0..=2)),
        "{output:?}"
    );
    let (junit, summary) = (
        std::fs::read_to_string(&junit).unwrap(),
        std::fs::read_to_string(&summary).unwrap(),
    );
    assert!(junit.contains("<error"), "{junit}");
    assert!(summary.contains("no answer"), "{summary}");
}

/// What is written is none of what is read.
#[test]
fn a_gate_does_not_write_over_its_own_file() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder
        .path()
        .join("gate.toml")
        .to_string_lossy()
        .into_owned();
    std::fs::write(&config, CLAIM).unwrap();
    for option in ["--junit", "--summary", "--out", "--record"] {
        ends(
            &[
                "gate",
                "--model",
                "planted-af1",
                "--config",
                &config,
                option,
                &config,
            ],
            exit::USAGE,
        );
        assert_eq!(std::fs::read_to_string(&config).unwrap(), CLAIM, "{option}");
    }
}

#[test]
fn a_summary_that_is_set_to_nothing_is_none() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("gate.toml");
    std::fs::write(&config, CLAIM).unwrap();
    let mut run = af1("gate --model planted-af1 --config");
    stdout(run.arg(&config).env("GITHUB_STEP_SUMMARY", ""));
}

/// A small record, and the words that made it.
fn recorded(folder: &Path) -> (PathBuf, &'static str) {
    let words = "run --model planted-af1 --style symbolic --operation A+B --operands 0..=5";
    let path = folder.join("record.jsonl");
    stdout(af1(words).arg("--record").arg(&path));
    (path, words)
}

/// Lines that say another model, another ablation or another provenance than their sweep has are not gone on with.
#[rstest]
#[case("/model", "other")]
#[case("/ablation", "zero")]
#[case("/provenance/model_sha256", "0")]
#[case("/provenance/runtime_version", "0")]
#[case("/provenance/seed", 7)]
fn a_record_that_was_changed_is_not_gone_on_with(
    #[case] place: &str,
    #[case] other: impl Into<Value>,
) {
    let folder = tempfile::tempdir().unwrap();
    let (path, words) = recorded(folder.path());
    let text = std::fs::read_to_string(&path).unwrap();
    let mut lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    *lines[0].pointer_mut(place).unwrap() = other.into();
    let changed: String = lines.iter().map(|line| format!("{line}\n")).collect();
    std::fs::write(&path, &changed).unwrap();
    let output = af1(words).arg("--record").arg(&path).output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()), "{message}");
    assert!(message.contains("record.jsonl"), "{message}");
    assert_eq!(std::fs::read_to_string(&path).unwrap(), changed);
}

/// As many prompts as a record may say are compared: this did not end.
#[test]
fn many_prompts_are_compared() {
    let text = std::fs::read_to_string(path("records/schema-2/waiting.jsonl")).unwrap();
    let mut line: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    let (many, half) = (10_000_000u64, 5_000_000u64);
    for (field, count) in [
        ("prompts", many),
        ("all_prompts", many),
        ("base_correct", many),
        ("all_base_correct", many),
        ("correct", half),
        ("correct_given_base", half),
    ] {
        line[field] = count.into();
    }
    line["base_answers"] = "f".repeat(many as usize / 4).into();
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str, answers: &str| {
        let mut line = line.clone();
        line["answers"] = answers.repeat(many as usize / 4).into();
        line.as_object_mut().unwrap().retain(|field, _| {
            !["evaluated_operands", "strata", "empty_answers"].contains(&field.as_str())
        });
        let path = folder.path().join(name);
        std::fs::write(&path, format!("{line}\n")).unwrap();
        path
    };
    let (now, before) = (file("now.jsonl", "a"), file("before.jsonl", "5"));
    let shown = stdout(af1("report").arg(&now).arg("--against").arg(&before));
    assert!(shown.contains("5000000"), "{shown}");
}

/// A file that is replaced keeps who may read it; a new one is as the user lets new files be; a link that leads nowhere stays a link.
#[cfg(unix)]
#[test]
fn results_are_for_whom_they_were() {
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let record = path("records/schema-2/waiting.jsonl");
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let report = |out: &Path, mask: libc::mode_t| {
        let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_af1"));
        run.arg("report")
            .arg(&record)
            .args(["--format", "csv", "--out"])
            .arg(out);
        // SAFETY: umask may be called between fork and exec, and cannot fail.
        unsafe {
            run.pre_exec(move || {
                libc::umask(mask);
                Ok(())
            });
        }
        assert!(run.status().unwrap().success());
    };
    let mine = folder.path().join("mine.csv");
    std::fs::write(&mine, "").unwrap();
    std::fs::set_permissions(&mine, std::fs::Permissions::from_mode(0o600)).unwrap();
    report(&mine, 0o022);
    assert_eq!(mode(&mine), 0o600);
    for (name, mask, expected) in [("all.csv", 0o002, 0o664), ("few.csv", 0o077, 0o600)] {
        let file = folder.path().join(name);
        report(&file, mask);
        assert_eq!(mode(&file), expected, "{name}");
    }
    let (link, behind) = (
        folder.path().join("link.csv"),
        folder.path().join("behind.csv"),
    );
    symlink("behind.csv", &link).unwrap();
    report(&link, 0o022);
    assert!(link.is_symlink() && behind.is_file());
    symlink("circle", folder.path().join("circle")).unwrap();
    ends(
        &[
            "report",
            &record.to_string_lossy(),
            "--out",
            &folder.path().join("circle").to_string_lossy(),
        ],
        exit::WRITE,
    );
}

/// Numbers with which every answer is zero or NaN.
#[rstest]
#[case("rms_norm_eps", "1e308")]
#[case("rms_norm_eps", "-1e-5")]
#[case("rope_theta", "1e-300")]
#[case("rope_theta", "1e300")]
fn numbers_that_spoil_every_answer_are_refused(#[case] field: &str, #[case] value: &str) {
    let folder = copy("f32");
    let file = folder.path().join("config.json");
    let mut config: Value = serde_json::from_str(&std::fs::read_to_string(&file).unwrap()).unwrap();
    config[field] = serde_json::from_str(value).unwrap();
    std::fs::write(&file, config.to_string()).unwrap();
    let message = ends(
        &["inspect", "--model", &folder.path().to_string_lossy()],
        exit::UNSUPPORTED_MODEL,
    );
    assert!(message.contains(field), "{message}");
}

#[test]
fn logits_that_are_not_finite_have_their_code() {
    let folder = copy("f32");
    let file = folder.path().join("model.safetensors");
    let mut bytes = std::fs::read(&file).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    bytes[header..]
        .chunks_exact_mut(4)
        .for_each(|weight| weight.copy_from_slice(&f32::NAN.to_le_bytes()));
    std::fs::write(&file, bytes).unwrap();
    let model = folder.path().to_string_lossy();
    let message = ends(
        &["logits", "--model", &model, "--prompt", "1+2="],
        exit::NOT_FINITE,
    );
    assert!(
        message.contains("logits holds NaN (prompt \"1+2=\")"),
        "{message}"
    );
}

/// A prompt that is longer than the model's context is one too many, however many there would be.
#[test]
fn a_long_prompt_is_refused_before_all_are_made() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("styles.toml");
    let long = "1+1=2,".repeat(20_000);
    std::fs::write(
        &styles,
        format!("[[style]]\nid = \"long\"\n[style.templates]\n\"A+B\" = \"{long}{{A}}+{{B}}=\"\n"),
    )
    .unwrap();
    let styles = styles.to_string_lossy();
    // All of them took 1.8 GB, which this limit does not give.
    let words = "run --model planted-af1 --style long --styles";
    let words: Vec<&str> = words.split(' ').chain([&*styles]).collect();
    let output = limited(&words, Stdio::null());
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(
        message.contains("do not fit the model's context"),
        "{message}"
    );
}

#[test]
fn files_that_are_no_text_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("any.toml");
    std::fs::write(&file, b"# \xff\n").unwrap();
    let file = file.to_string_lossy();
    for words in [
        &["run", "--model", "planted-af1", "--styles", &file][..],
        &["gate", "--model", "planted-af1", "--config", &file],
        &["study", &file],
        &["claims", &file],
        &["report", &file],
    ] {
        let output = af1("").args(words).output().unwrap();
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(
            message.contains("it is not UTF-8 text: see byte 2"),
            "{words:?}: {message}"
        );
    }
}

/// A device is no record, and no model is loaded before that is said.
#[cfg(unix)]
#[test]
fn a_device_is_refused_as_a_record_at_once() {
    let message = ends(
        &["run", "--model", "no/such/model", "--record", "/dev/null"],
        exit::WRITE,
    );
    assert!(
        message.contains("name a file, not a device or a pipe"),
        "{message}"
    );
}

#[test]
fn what_was_given_is_not_said_again_in_full() {
    let waits: Vec<String> = (0..20_000).map(|wait| wait.to_string()).collect();
    let output = af1("waiting --wait").arg(waits.join(",")).output().unwrap();
    assert_eq!(output.status.code(), Some(exit::USAGE.into()));
    assert!(output.stderr.len() < 3000, "{}", output.stderr.len());
}

#[test]
fn a_size_of_memory_has_a_unit() {
    let mut run = af1("run --model planted-af1 --device-memory 1");
    let output = run.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert!(message.contains("\"1\" is no size"), "{message}");
}

/// A record that has no room for a line has none of it.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
#[test]
fn half_a_line_is_taken_back() {
    use std::os::unix::process::CommandExt;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("record.jsonl");
    let mut run = std::process::Command::new(env!("CARGO_BIN_EXE_af1"));
    run.args(
        "run --model planted-af1 --style symbolic --operation A+B --operands 0..=5 --record"
            .split(' '),
    )
    .arg(&path);
    // SAFETY: both may be called between fork and exec; the limit is read, and the signal is only ignored.
    unsafe {
        run.pre_exec(|| {
            libc::signal(libc::SIGXFSZ, libc::SIG_IGN);
            let most = libc::rlimit {
                rlim_cur: 4000,
                rlim_max: 4000,
            };
            match libc::setrlimit(libc::RLIMIT_FSIZE, &most) {
                0 => Ok(()),
                _ => Err(std::io::Error::last_os_error()),
            }
        });
    }
    let output = run.output().unwrap();
    assert_eq!(output.status.code(), Some(exit::WRITE.into()), "{output:?}");
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(text.is_empty() || text.ends_with('\n'), "{text}");
    af1::record::read(&path).unwrap();
}
