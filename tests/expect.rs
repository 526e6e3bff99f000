//! What is expected of models: a test a value of `fixtures/expect/*.toml`.
//!
//! Built-in models are always tested. Others are when `AF1_MODEL` names a folder or file whose name is one of a file's `names`, or
//! when `AF1_EXPECT` names that file (`meta-llama-3-8b`); until then their tests are shown as ignored: not run is not passed.

use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, LazyLock, Mutex, OnceLock};

use af1::model::{Expected, ExpectedValue as Value, Preset, Supply};
use libtest_mimic::{Arguments, Failed, Trial};

/// Where AF1 is expected to keep at least this share, CAMA is expected to be what does it.
const MOST: f64 = 0.5;

fn main() {
    let arguments = Arguments::from_args();
    let given = std::env::var("AF1_MODEL").ok();
    let forced = std::env::var("AF1_EXPECT").ok();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/expect");
    let files = std::fs::read_dir(&folder).expect("the folder of expectations");
    let mut files: Vec<PathBuf> = files.map(|file| file.expect("a file").path()).collect();
    files.sort();
    let mut trials = Vec::new();
    let mut used = false;
    for file in files {
        let name = file
            .file_stem()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let text = std::fs::read_to_string(&file).expect("a readable file");
        let expected: Expected = match toml::from_str(&text) {
            Ok(expected) => expected,
            Err(e) => panic!("{}: {e}", file.display()),
        };
        let built_in = expected.names.iter().find(|name| {
            Preset::named(name).is_some_and(|preset| !matches!(preset.supply, Supply::Hub(_)))
        });
        let called = |given: &String| {
            // A version's dot is no ending.
            let last = Path::new(given).file_name().unwrap_or_default();
            let last = last.to_string_lossy();
            let last = last.strip_suffix(".gguf").unwrap_or(&last);
            expected.names.iter().any(|name| *name == last) || forced.as_ref() == Some(&name)
        };
        let given = given.clone().filter(called);
        used |= given.is_some();
        let model = given.or_else(|| built_in.cloned());
        let mut ordered: Vec<(String, String)> = Vec::new();
        for value in expected.value.clone() {
            let template = (value.style.clone(), value.operation.clone());
            let keeps = value.measure == "faithfulness" && value.value >= MOST;
            if keeps && !ordered.contains(&template) {
                let title = format!(
                    "{name}: {} {} cama above mean and zero",
                    value.style, value.operation
                );
                let (expected, folder, model) = (expected.clone(), folder.clone(), model.clone());
                let (run, value) = (model.is_some(), value.clone());
                let test = move || order(&model.unwrap_or_default(), &folder, &expected, &value);
                trials.push(Trial::test(title, test).with_ignored_flag(!run));
                ordered.push(template);
            }
            let of = match (value.wait, value.transfer) {
                (Some(wait), Some(transfer)) => format!(" AF1({wait}, {transfer})"),
                _ => String::new(),
            };
            let title = format!(
                "{name}: {} {}{of} {}",
                value.style, value.operation, value.measure
            );
            let (expected, folder, model) = (expected.clone(), folder.clone(), model.clone());
            let run = model.is_some();
            let test = move || check(&model.unwrap_or_default(), &folder, &expected, &value);
            trials.push(Trial::test(title, test).with_ignored_flag(!run));
        }
    }
    if let (Some(given), false) = (given, used) {
        trials.push(Trial::test("AF1_MODEL", move || {
            Err(Failed::from(format!(
                "no file of fixtures/expect is about {given:?}; name one with AF1_EXPECT, or write one"
            )))
        }));
    }
    libtest_mimic::run(&arguments, trials).exit();
}

/// The records of a command, or what went wrong.
type Rows = Result<Vec<serde_json::Value>, String>;

/// The records of an AF1 with CAMA, mean and zero ablation in the template of a value. All templates of one AF1 are asked at once: a
/// model takes long to load.
fn rows(
    model: &str,
    folder: &Path,
    expected: &Expected,
    value: &Value,
) -> Result<Vec<serde_json::Value>, Failed> {
    static KNOWN: LazyLock<Mutex<HashMap<String, Arc<OnceLock<Rows>>>>> =
        LazyLock::new(Mutex::default);
    let mut run = Command::new(env!("CARGO_BIN_EXE_af1"));
    run.args("run --model".split(' ')).arg(model);
    run.args("--format json --ablation cama,mean,zero".split(' '));
    let alike = |other: &&Value| {
        (other.wait, other.transfer, &other.operands, &other.results)
            == (value.wait, value.transfer, &value.operands, &value.results)
    };
    let list = |field: fn(&Value) -> &String| {
        let alike = expected.value.iter().filter(alike);
        let distinct: BTreeSet<&String> = alike.map(field).collect();
        let names: Vec<&str> = distinct.into_iter().map(String::as_str).collect();
        names.join(",")
    };
    run.args(["--style", &list(|value| &value.style)]);
    run.args(["--operation", &list(|value| &value.operation)]);
    let mut option = |name: &str, given: Option<&String>| {
        if let Some(given) = given {
            run.args([name, given]);
        }
    };
    option(
        "--operands",
        value.operands.as_ref().or(expected.operands.as_ref()),
    );
    option(
        "--results",
        value.results.as_ref().or(expected.results.as_ref()),
    );
    option("--estimator", expected.estimator.as_ref());
    // A base accuracy has no subgraph; any will do.
    option("--wait", Some(&value.wait.unwrap_or(1).to_string()));
    option("--transfer", Some(&value.transfer.unwrap_or(1).to_string()));
    if let Some(styles) = &expected.styles {
        run.arg("--styles").arg(folder.join(styles));
    }
    let known = KNOWN
        .lock()
        .map_err(|e| e.to_string())?
        .entry(format!("{run:?}"))
        .or_default()
        .clone();
    let rows = known.get_or_init(|| {
        let output = run.output().map_err(|e| e.to_string())?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let text = String::from_utf8(output.stdout).map_err(|e| e.to_string())?;
        let rows = text.lines().map(serde_json::from_str);
        rows.collect::<Result<_, _>>().map_err(|e| e.to_string())
    });
    let of_template = |row: &serde_json::Value| {
        row["style"] == *value.style && row["operation"] == *value.operation
    };
    let rows = rows.clone()?.into_iter();
    Ok(rows.filter(of_template).collect())
}

/// CAMA keeps significantly more answers than mean and zero ablation, on the same prompts.
fn order(model: &str, folder: &Path, expected: &Expected, value: &Value) -> Result<(), Failed> {
    let rows = rows(model, folder, expected, value)?;
    for other in ["mean", "zero"] {
        let row = rows.iter().find(|row| row["ablation"] == other);
        let row = row.ok_or(format!("no row of {other}"))?;
        let paired = &row["paired"];
        let [only_here, only_there] =
            ["only_here", "only_there"].map(|field| paired[field].as_u64().unwrap_or(0));
        let p = paired["p"].as_f64().unwrap_or(1.0);
        if p > af1::stats::LEVEL || only_here >= only_there {
            return Err(format!(
                "{only_there} answers are right only with cama, {only_here} only with {other} (p = {p:.3})"
            )
            .into());
        }
    }
    Ok(())
}

fn check(model: &str, folder: &Path, expected: &Expected, value: &Value) -> Result<(), Failed> {
    let rows = rows(model, folder, expected, value)?;
    let row = rows.iter().find(|row| row["ablation"] == "cama");
    let row = row.ok_or("no row")?;
    let field = |name: &str| row[name].as_f64();
    let found = field(&value.measure).ok_or(format!("no number {:?} in {row}", value.measure))?;
    if (found - value.value).abs() <= value.tolerance {
        return Ok(());
    }
    let [low, high] =
        ["low", "high"].map(|end| field(&format!("{}_{end}", value.measure)).unwrap_or(found));
    Err(format!(
        "{} is {found:.3} [{low:.3}, {high:.3}], expected {} within {} (source: {}; confidence: {})",
        value.measure, value.value, value.tolerance, value.source, value.confidence
    )
    .into())
}
