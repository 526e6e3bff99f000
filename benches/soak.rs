//! A soak: random studies of planted models, one after another in one process, for as long as is asked. Every study is measured twice and
//! shown twice, and must leave the same bytes. The memory that is in use and the number of open files are written down after each, and must
//! not grow. `cargo bench --bench soak -- --minutes 60` prints a table of the hour by its tenths; `--seed` asks for other studies.

use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use af1::cli::Cli;
use af1::experiment::{self, Entry};
use af1::fetch::Cache;
use af1::model::{BosChoice, Model, PRESETS, Preset, Supply};
use af1::report;
use af1::runtime::{Device, Engine, Library, Runtime};
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// The table has so many rows.
const PARTS: usize = 10;

/// Memory is compared after so many parts: until then the runtime's arena grows to what the largest study takes.
const WARM: usize = PARTS / 2;

/// From the first part that is compared to the last, memory may grow by so much, in bytes: less than a byte of a study's prompts each.
const MOST_GROWTH: u64 = 1 << 20;

/// The arena keeps books on what it has taken: a handle of 8 bytes for every 256 of them.
const HANDLES: u64 = 256 / 8;

/// Options of experiments that keep them small. One that is named twice is asked for in both ways, and one that is not named without any
/// options; `reproduce` measures planted models of its own.
const OPTIONS: &[(&str, &str)] = &[
    ("run", "--masking abp,no-sink"),
    ("run", "--ablation cama,resample,shuffled-key"),
    ("waiting", "--ablation zero,global-mean,gaussian"),
    (
        "transfer",
        "--wait 2,3 --transfer 0..=2 --ablation cama,token-resample",
    ),
    ("necessity", "--window 2"),
    ("heads", "--controls 3 --held-out"),
    ("stability", "--draws 2 --heads"),
    ("contexts", "--numbers 1,3 --draws 2"),
    (
        "patch",
        "--change A,operator --swap once,layer,cumulative --pairs 20 --layer 0,4,8",
    ),
    (
        "windows",
        "--transfer-at 2..=4 --controls 2 --head-controls 2",
    ),
    ("lens", "--layer 0,3,8"),
    ("peek", "--window 2,4"),
];

/// What a run leaves in use.
#[derive(Clone, Copy, Debug)]
struct Used {
    /// Bytes that were taken from the allocator and not given back, but for those of the runtime's arena.
    heap: u64,
    /// Bytes that the runtime's arena keeps for the next batch: as many as the largest one so far took.
    arena: u64,
    /// Resident memory of the process in bytes, files that are mapped apart.
    resident: u64,
    /// Open files.
    files: usize,
    threads: usize,
}

/// What came of the whole.
#[derive(Default)]
struct Soaked {
    studies: usize,
    /// The number of studies that ended with an error, such as no prompts; the second measurement must end with the same one.
    refused: usize,
    used: Vec<(Duration, Used)>,
    differing: Vec<String>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().collect();
    let number = |name: &str, default: f64| {
        let at = args.iter().position(|arg| arg == name);
        let given = at.and_then(|at| args.get(at + 1));
        given.map_or(default, |text| text.parse().expect("a number"))
    };
    // A pass that is not timed is a handful of studies.
    let test = args.iter().any(|arg| arg == "--test");
    let minutes = number("--minutes", if test { 0.2 } else { 5.0 });
    let seed = number("--seed", 22.0) as u64;
    let soaked = soak(Duration::from_secs_f64(60.0 * minutes), seed);
    println!(
        "{} studies, each twice, in {minutes} minutes; {} of them were refused, twice with the same words",
        soaked.studies, soaked.refused
    );
    print_parts(&soaked.used);
    let mut wrong = soaked.differing;
    if soaked.refused * 2 > soaked.studies {
        wrong.push("most studies were refused: this shows nothing".to_owned());
    }
    if !test {
        wrong.extend(grown(&soaked.used));
    }
    wrong.iter().for_each(|wrong| eprintln!("WRONG: {wrong}"));
    ExitCode::from(u8::from(!wrong.is_empty()))
}

fn soak(long: Duration, seed: u64) -> Soaked {
    let mut draw = ChaCha8Rng::seed_from_u64(seed);
    let mut soaked = Soaked::default();
    // A process keeps the manifest of every entry of the cache open that it has used.
    let cache = Cache::of_user().expect("a cache folder");
    for preset in planted() {
        Model::load(preset.name, &BosChoice::Default, &cache).expect("a planted model");
    }
    // One model stays, so that the runtime can be asked what it keeps.
    let library = Library::find_or_fetch(&cache, &Device::Cpu).expect("ONNX Runtime");
    let runtime = Runtime::start(&library, 1).expect("ONNX Runtime");
    let model = Model::load("planted-af1", &BosChoice::Default, &cache).expect("a planted model");
    let engine = Engine::new(runtime, &Device::Cpu, &model).expect("sessions");
    let experiments = experiments();
    let begin = Instant::now();
    while begin.elapsed() < long {
        let folder = tempfile::tempdir().expect("a folder");
        let words = study(&experiments, &mut draw);
        let format = report::ALL
            .choose(&mut draw)
            .expect("there are some")
            .name();
        let [first, second] = ["first", "second"].map(|name| {
            let record = folder.path().join(name);
            (
                measured(&words, &record),
                shown(&record, format),
                std::fs::read(&record).unwrap_or_default(),
            )
        });
        soaked.studies += 1;
        soaked.refused += usize::from(first.0.is_some());
        if first != second {
            soaked.differing.push(format!(
                "twice `{words}` and {format} are not the same: {:?} {:?}",
                first.0, second.0
            ));
        }
        drop((first, second, folder));
        if let Some(used) = Used::now(&engine) {
            soaked.used.push((begin.elapsed(), used));
        }
    }
    soaked
}

fn planted() -> impl Iterator<Item = &'static Preset> {
    PRESETS
        .iter()
        .filter(|preset| matches!(preset.supply, Supply::Planted(_)))
}

/// Every experiment of the program, in each of the ways in which it is asked for.
fn experiments() -> Vec<String> {
    for (verb, _) in OPTIONS {
        let known = experiment::ALL.iter().any(|entry| entry.name == *verb);
        assert!(known, "there is no experiment {verb}");
    }
    let ways = |entry: &Entry| -> Vec<String> {
        let own = OPTIONS.iter().filter(|(verb, _)| *verb == entry.name);
        let ways: Vec<String> = own
            .map(|(verb, options)| format!("{verb} {options}"))
            .collect();
        match ways.is_empty() {
            true => vec![entry.name.to_owned()],
            false => ways,
        }
    };
    experiment::ALL.iter().flat_map(ways).collect()
}

/// The words of a study of one of the experiments.
fn study(experiments: &[String], draw: &mut ChaCha8Rng) -> String {
    let planted: Vec<&Preset> = planted().collect();
    let preset = planted.choose(draw).expect("there are some");
    let style = preset.styles.choose(draw).expect("it has some");
    let (lowest, highest) = preset.operands;
    let first = draw.random_range(lowest..=highest - 4);
    let last = draw.random_range(first + 4..=highest.min(first + 11));
    let of = |all: &[&'static str], draw: &mut ChaCha8Rng| *all.choose(draw).expect("some");
    format!(
        "{} --model {} --style {style} --operation {} --operands {first}..={last} --seed {} --limit {} --batch {} --estimator {} \
         --contexts-from {}{} --threads 1 --quiet",
        experiments.choose(draw).expect("there are some"),
        preset.name,
        of(&["A+B", "A-B", "A+B,A-B"], draw),
        draw.random_range(0..1000),
        draw.random_range(10..100),
        draw.random_range(1..70),
        of(&["leave-one-out", "plug-in", "split"], draw),
        of(&["all", "answerable"], draw),
        of(&["", "", " --masked"], draw),
    )
}

/// Measures a study with a record; the error with which it ends, if it does.
fn measured(words: &str, record: &Path) -> Option<String> {
    let words = words.split(' ').map(str::to_owned);
    let out = record.with_extension("out");
    let rest = [
        "--record".to_owned(),
        text(record),
        "--out".to_owned(),
        text(&out),
    ];
    said(words.chain(rest)).map(|error| error.replace(&text(record), "RECORD"))
}

/// A record in a format; the bytes, or the error.
fn shown(record: &Path, format: &str) -> Result<Vec<u8>, String> {
    // Records differ by their names, which reports may say.
    let shown = record.with_extension("shown");
    let words = ["report", "--format", format, "--quiet", "--out"].map(str::to_owned);
    match said(words.into_iter().chain([text(&shown), text(record)])) {
        None => Ok(std::fs::read(&shown).expect("it was written")),
        Some(error) => Err(error.replace(&text(record), "RECORD")),
    }
}

/// Runs the program in this process; the error with which it ends, if it does.
fn said(words: impl Iterator<Item = String>) -> Option<String> {
    let words = ["af1".to_owned()].into_iter().chain(words);
    let cli = Cli::read(words.map(Into::into));
    let cli = cli.unwrap_or_else(|error| panic!("no words of this program: {error}"));
    cli.run().err().map(|error| error.to_string())
}

fn text(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// What is in use, by the tenths of the time: the median of each.
fn print_parts(used: &[(Duration, Used)]) {
    println!(
        "| minutes | studies | heap in use | the runtime's arena | resident, files apart | open files | threads |"
    );
    println!("|---|---|---|---|---|---|---|");
    for part in parts(used) {
        let (Some((end, _)), Some(median)) = (part.last(), median(part)) else {
            continue;
        };
        println!(
            "| {:.0} | {} | {:.2} MB | {:.2} MB | {:.0} MB | {} | {} |",
            end.as_secs_f64() / 60.0,
            part.len(),
            median.heap as f64 / 1e6,
            median.arena as f64 / 1e6,
            median.resident as f64 / 1e6,
            median.files,
            median.threads
        );
    }
}

fn parts(used: &[(Duration, Used)]) -> impl Iterator<Item = &[(Duration, Used)]> {
    used.chunks(used.len().div_ceil(PARTS).max(1))
}

/// The median of each figure.
fn median(part: &[(Duration, Used)]) -> Option<Used> {
    let of = |figure: fn(&Used) -> u64| {
        let mut all: Vec<u64> = part.iter().map(|(_, used)| figure(used)).collect();
        all.sort_unstable();
        all.get(all.len() / 2).copied()
    };
    Some(Used {
        heap: of(|used| used.heap)?,
        arena: of(|used| used.arena)?,
        resident: of(|used| used.resident)?,
        files: of(|used| used.files as u64)? as usize,
        threads: of(|used| used.threads as u64)? as usize,
    })
}

/// What has grown.
fn grown(used: &[(Duration, Used)]) -> Vec<String> {
    let medians: Vec<Used> = parts(used).filter_map(median).collect();
    let [.., last] = &medians[..] else {
        return vec!["this system does not say what is in use".to_owned()];
    };
    let first = medians[WARM.min(medians.len() - 1)];
    let mut wrong = Vec::new();
    for (what, before, after, most) in [
        ("heap in use", first.heap, last.heap, MOST_GROWTH),
        ("open files", first.files as u64, last.files as u64, 0),
        ("threads", first.threads as u64, last.threads as u64, 0),
    ] {
        if after > before + most {
            wrong.push(format!("{what}: it was {before}, and is {after}"));
        }
    }
    wrong
}

impl Used {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn now(engine: &Engine) -> Option<Self> {
        let status = std::fs::read_to_string("/proc/self/status").ok()?;
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name))?;
            line.split_whitespace().next()?.parse::<u64>().ok()
        };
        // SAFETY: the allocator fills in a plain structure.
        let heap = unsafe { libc::mallinfo2() };
        let arena = engine.kept().expect("the runtime says what it keeps");
        Some(Self {
            heap: ((heap.uordblks + heap.hblkhd) as u64).saturating_sub(arena + arena / HANDLES),
            arena,
            resident: of("RssAnon:")? << 10,
            files: std::fs::read_dir("/proc/self/fd").ok()?.count(),
            threads: of("Threads:")? as usize,
        })
    }

    /// Other systems are asked by other means: there the bytes alone are compared.
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    fn now(_: &Engine) -> Option<Self> {
        None
    }
}
