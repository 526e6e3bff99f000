//! Models by their names on the hub, from a server in this process that speaks its protocol.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use af1::error::exit;
use assert_cmd::Command;
use sha1::Digest;
use tempfile::TempDir;

use super::bad_input::refused;
use super::fixtures::path;
use super::program::{Words, af1, stdout};

const COMMIT: &str = "0123456789abcdef0123456789abcdef01234567";

/// What the server does wrong, and what it has seen.
#[derive(Default)]
struct State {
    /// Cut off this many downloads of weights, each after so many bytes.
    cut: Vec<usize>,
    /// Change a byte of the weights.
    spoiled: bool,
    /// The token without which nothing is given.
    token: Option<String>,
    /// What it says of its files has no end.
    endless: bool,
    /// How long weights are not answered.
    pause: Duration,
    /// The byte with which each download of weights began.
    begins: Vec<usize>,
    /// The number of requests.
    requests: usize,
}

pub struct Hub {
    address: String,
    state: Arc<Mutex<State>>,
}

impl Hub {
    /// Serves a folder as `owner/tiny`.
    pub fn serve(folder: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let state = Arc::new(Mutex::new(State::default()));
        let shared = state.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (folder, state) = (folder.clone(), shared.clone());
                std::thread::spawn(move || answer(stream, &folder, &state));
            }
        });
        Self { address, state }
    }

    /// Where it is.
    pub fn address(&self) -> String {
        self.address.clone()
    }

    /// How often it was asked.
    pub fn requests(&self) -> usize {
        self.state.lock().unwrap().requests
    }

    fn set(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.state.lock().unwrap());
    }

    /// `af1 inspect` of a name, with a cache of its own.
    fn inspect(&self, home: &Path, name: &str) -> Command {
        let mut command = af1(&format!("inspect --model {name} --style symbolic"));
        command
            .env("HF_HOME", home)
            .env("HF_ENDPOINT", &self.address)
            .env_remove("HF_TOKEN")
            .env_remove("HF_HUB_CACHE")
            .env_remove("HF_HUB_OFFLINE");
        command
    }
}

fn is_weights(name: &str) -> bool {
    name.ends_with(".safetensors")
}

/// What the hub says of the files of a model.
fn listed(folder: &Path) -> Option<String> {
    let files = std::fs::read_dir(folder).ok()?.flatten();
    let siblings: Vec<serde_json::Value> = files
        .map(|file| {
            let name = file.file_name().to_string_lossy().into_owned();
            let bytes = std::fs::read(file.path()).unwrap();
            let hex = |hash: &[u8]| hash.iter().map(|b| format!("{b:02x}")).collect::<String>();
            let mut told = serde_json::json!({ "rfilename": name, "size": bytes.len() });
            let git = sha1::Sha1::new()
                .chain_update(format!("blob {}\0", bytes.len()))
                .chain_update(&bytes);
            told["blobId"] = hex(&git.finalize()).into();
            if is_weights(&name) {
                told["lfs"] = serde_json::json!({ "sha256": hex(&sha2::Sha256::digest(&bytes)) });
            }
            told
        })
        .collect();
    Some(serde_json::json!({ "sha": COMMIT, "siblings": siblings }).to_string())
}

/// One request: what the hub says of a model, or a part of a file.
fn answer(mut stream: TcpStream, folder: &Path, state: &Mutex<State>) -> Option<()> {
    let mut reader = BufReader::new(stream.try_clone().ok()?);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let target = first.split_whitespace().nth(1)?.to_owned();
    let mut headers = BTreeMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim().split_once(':') else {
            break;
        };
        headers.insert(name.to_lowercase(), value.trim().to_owned());
    }
    if is_weights(&target) {
        let pause = state.lock().unwrap().pause;
        std::thread::sleep(pause);
    }
    if target.starts_with("/api/") && state.lock().unwrap().endless {
        let mut sent = stream.write_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n[");
        while sent.is_ok() {
            sent = stream.write_all(&[b' '; 1 << 16]);
        }
        return None;
    }
    let mut state = state.lock().unwrap();
    state.requests += 1;
    let mut send = |status: &str, extra: &str, body: &[u8], sent: usize| {
        let length = body.len();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n{extra}\r\n"
        );
        stream.write_all(head.as_bytes()).ok()?;
        stream.write_all(&body[..sent.min(length)]).ok()
    };
    let wanted = state.token.as_ref().map(|token| format!("Bearer {token}"));
    if wanted.is_some() && headers.get("authorization") != wanted.as_ref() {
        return send("401 Unauthorized", "", b"", 0);
    }
    let path = target.split('?').next()?;
    if path.starts_with("/api/models/owner/tiny/revision/") {
        return send("200 OK", "", listed(folder)?.as_bytes(), usize::MAX);
    }
    let states = [COMMIT, "main"].map(|state| format!("/owner/tiny/resolve/{state}/"));
    let Some(name) = states.iter().find_map(|state| path.strip_prefix(state)) else {
        return send("404 Not Found", "", b"", 0);
    };
    let mut bytes = std::fs::read(folder.join(name)).ok()?;
    let whole = bytes.len();
    if state.spoiled && is_weights(name) {
        bytes[whole - 1] ^= 1;
    }
    let range = headers.get("range")?.strip_prefix("bytes=")?;
    let (begin, end) = range.split_once('-')?;
    let begin: usize = begin.parse().ok()?;
    let end = end.parse().map_or(whole, |end: usize| end + 1);
    let asks = end == 1;
    let mut sent = usize::MAX;
    if is_weights(name) && !asks {
        state.begins.push(begin);
        if let Some(cut) = state.cut.pop() {
            sent = cut;
        }
    }
    let extra = format!(
        "ETag: \"{name}-etag\"\r\nX-Repo-Commit: {COMMIT}\r\nContent-Range: bytes {begin}-{}/{whole}\r\n",
        end - 1
    );
    send("206 Partial Content", &extra, &bytes[begin..end], sent)
}

fn tiny(folder: &str) -> (Hub, TempDir) {
    let hub = Hub::serve(path("reference/tiny-llama").join(folder));
    (hub, tempfile::tempdir().unwrap())
}

/// Every file under a folder.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for item in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        match item.path().is_dir() {
            true => found.extend(files(&item.path())),
            false => found.push(item.file_name().to_string_lossy().into_owned()),
        }
    }
    found
}

#[test]
fn a_name_is_fetched_once_and_is_there_without_a_network() {
    let (hub, home) = tiny("f32");
    let text = stdout(&mut hub.inspect(home.path(), "owner/tiny"));
    assert!(text.starts_with("owner/tiny: llama, 3 layers"), "{text}");
    let of_path = path("reference/tiny-llama/f32");
    let of_path = stdout(
        af1("inspect --model")
            .arg(of_path)
            .words("--style symbolic"),
    );
    let hash = |text: &str| {
        text.lines()
            .find(|line| line.contains("SHA-256"))
            .unwrap()
            .to_owned()
    };
    assert_eq!(hash(&text), hash(&of_path));
    // The second time only the state is asked for.
    let before = hub.state.lock().unwrap().requests;
    assert_eq!(stdout(&mut hub.inspect(home.path(), "owner/tiny")), text);
    assert_eq!(hub.state.lock().unwrap().requests, before + 1);
    // Without a network nothing is.
    let offline = |name: &str| {
        let mut command = hub.inspect(home.path(), name);
        command
            .env("HF_HUB_OFFLINE", "1")
            .env("HF_ENDPOINT", "http://127.0.0.1:1");
        command
    };
    assert_eq!(stdout(&mut offline("owner/tiny")), text);
    assert_eq!(stdout(&mut offline(&format!("owner/tiny@{COMMIT}"))), text);
    refused(
        &mut offline("owner/other"),
        exit::FETCH,
        &["owner/other@main", "HF_HUB_OFFLINE"],
    );
}

/// Processes begin together on an empty cache, as an array's tasks do: one fetches, the others wait, longer than the hub's client would.
#[test]
fn processes_that_begin_together_fetch_once() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.pause = Duration::from_secs(2));
    let texts: Vec<String> = std::thread::scope(|scope| {
        let fetch = || stdout(&mut hub.inspect(home.path(), "owner/tiny"));
        let all: Vec<_> = (0..3).map(|_| scope.spawn(fetch)).collect();
        all.into_iter().map(|one| one.join().unwrap()).collect()
    });
    assert_eq!(hub.state.lock().unwrap().begins, [0]);
    assert!(texts.iter().all(|text| *text == texts[0]));
}

#[test]
fn shards_are_fetched_by_their_index() {
    let (hub, home) = tiny("sharded");
    stdout(&mut hub.inspect(home.path(), "owner/tiny@a-branch"));
    let fetched = files(&home.path().join("hub"));
    assert!(
        fetched.iter().filter(|name| is_weights(name)).count() > 1,
        "{fetched:?}"
    );
}

/// What came of a download that was cut off stays, and the next one goes on there.
#[test]
fn a_download_that_was_cut_off_goes_on() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.cut = vec![1000; 3]);
    let parts = ["owner/tiny@main", "model.safetensors", "HF_ENDPOINT"];
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &parts,
    );
    assert_eq!(hub.state.lock().unwrap().begins, [0, 1000, 2000]);
    stdout(&mut hub.inspect(home.path(), "owner/tiny"));
    assert_eq!(hub.state.lock().unwrap().begins, [0, 1000, 2000, 3000]);
    assert!(
        files(home.path())
            .iter()
            .all(|name| !name.ends_with(".part"))
    );
}

/// What is whole but has not got its name yet, because the process was stopped just then, is fetched anew.
#[test]
fn a_download_that_was_stopped_at_its_end() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.cut = vec![1000; 3]);
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &[],
    );
    let blobs = home.path().join("hub/models--owner--tiny/blobs");
    let whole = std::fs::read(path("reference/tiny-llama/f32/model.safetensors")).unwrap();
    let mut parts = std::fs::read_dir(&blobs)
        .unwrap()
        .flatten()
        .map(|item| item.path());
    let part = parts.find(|path| path.extension().is_some_and(|e| e == "part"));
    std::fs::write(part.unwrap(), whole).unwrap();
    stdout(&mut hub.inspect(home.path(), "owner/tiny"));
    assert_eq!(hub.state.lock().unwrap().begins, [0, 1000, 2000, 0]);
}

/// A file that another program left in the cache is checked, too.
#[test]
fn a_file_that_was_there_and_is_wrong() {
    let (hub, home) = tiny("f32");
    stdout(&mut hub.inspect(home.path(), "owner/tiny"));
    let snapshot = home.path().join("hub/models--owner--tiny/snapshots");
    let weights = snapshot.join(COMMIT).join("model.safetensors");
    let mut bytes = std::fs::read(&weights).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&weights, bytes).unwrap();
    let parts = [
        "SHA-256 of model.safetensors: expected",
        "the file was removed",
    ];
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &parts,
    );
    stdout(&mut hub.inspect(home.path(), "owner/tiny"));
}

/// A file that is not what the hub states is named, and removed.
#[test]
fn a_wrong_hash() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.spoiled = true);
    let parts = [
        "SHA-256 of model.safetensors: expected",
        "the file was removed",
    ];
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &parts,
    );
    hub.set(|state| state.spoiled = false);
    stdout(&mut hub.inspect(home.path(), "owner/tiny"));
}

/// A list of files without an end is given up at a limit.
#[test]
fn a_list_without_an_end() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.endless = true);
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &["owner/tiny@main", "more than 16 MiB"],
    );
}

#[test]
fn what_needs_a_token() {
    let (hub, home) = tiny("f32");
    hub.set(|state| state.token = Some("secret".to_owned()));
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &["401", "HF_TOKEN"],
    );
    stdout(
        hub.inspect(home.path(), "owner/tiny")
            .env("HF_TOKEN", "secret"),
    );
    // As the hub's own command leaves it.
    let other = tempfile::tempdir().unwrap();
    std::fs::write(other.path().join("token"), "secret\n").unwrap();
    stdout(&mut hub.inspect(other.path(), "owner/tiny"));
}

#[test]
fn what_is_not_there() {
    let (hub, home) = tiny("f32");
    let parts = ["owner/absent@main", "404", "check the name"];
    refused(
        &mut hub.inspect(home.path(), "owner/absent"),
        exit::FETCH,
        &parts,
    );
    let mut nowhere = hub.inspect(home.path(), "owner/tiny");
    nowhere.env("HF_ENDPOINT", "http://127.0.0.1:1");
    refused(&mut nowhere, exit::FETCH, &["HF_HUB_OFFLINE=1"]);
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("config.json"), "{}").unwrap();
    std::fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    let hub = Hub::serve(folder.path().to_owned());
    let parts = ["it has no model.safetensors", "save_pretrained"];
    refused(
        &mut hub.inspect(home.path(), "owner/tiny"),
        exit::FETCH,
        &parts,
    );
}
