//! Models by their names on the Hugging Face hub, in the cache that its other clients share (`HF_HOME`), by the settings that they share
//! (`HF_ENDPOINT`, `HF_TOKEN`, `HF_HUB_OFFLINE`).
//!
//! All files are of one commit, and each is checked against the hash that the hub states for it. A download that was stopped goes on
//! where it was.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::sync::Api;
use hf_hub::{Cache, Repo, RepoType};
use serde::Deserialize;
use sha1::{Digest, Sha1};

use super::Cache as Notes;
use super::setup::Hub;
use super::transfer::{HINT, Transfer, apart, said};
use crate::file::text_at_most;
use crate::interrupt::interrupted;
use crate::{Error, Result, progress};

/// A model's name on the hub, and which state of it is meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HubModel {
    id: String,
    revision: String,
}

/// What the hub says of a model.
#[derive(Deserialize)]
struct Info {
    /// The commit.
    sha: String,
    siblings: Vec<Sibling>,
}

/// One of its files.
#[derive(Clone, Deserialize)]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    /// The hash of a file that lies in git itself.
    #[serde(rename = "blobId")]
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

/// What the hub says of a file that lies beside git.
#[derive(Clone, Deserialize)]
struct Lfs {
    sha256: String,
}

/// The file `model.safetensors.index.json`.
#[derive(Deserialize)]
struct Index {
    weight_map: std::collections::BTreeMap<String, String>,
}

const WEIGHTS: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";

/// An index of weights has at most so many bytes.
const MOST_INDEX: u64 = 64 << 20;

/// What is said of a server that states what cannot be.
const PROTOCOL: &str = "HF_ENDPOINT must name a server that speaks the hub's protocol";

/// What a thread that ended without a word came to.
const BROKEN_OFF: &str = "it broke off";

/// What is missing when all else is there: older repositories.
const CONVERT: &str = "load it with transformers, call save_pretrained, and give that folder";

/// What a file of a model is fetched with.
struct Fetching<'a> {
    hub: &'a Hub,
    api: &'a Api,
    notes: &'a Notes,
    info: &'a Info,
}

impl HubModel {
    /// The model of `owner/name` or `owner/name@revision`; `None` for what cannot be one.
    pub fn named(reference: &str) -> Option<Self> {
        let (id, revision) = reference.split_once('@').unwrap_or((reference, "main"));
        let (owner, name) = id.split_once('/')?;
        let plain = |part: &str| {
            part.starts_with(|c: char| c.is_ascii_alphanumeric())
                && part
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        let file = [".gguf", ".onnx", ".json", ".safetensors"]
            .iter()
            .any(|end| name.ends_with(end));
        (plain(owner) && plain(name) && !file && stays_below(revision)).then(|| Self {
            id: id.to_owned(),
            revision: revision.to_owned(),
        })
    }

    /// The newest state of `owner/name`.
    pub fn main(id: &str) -> Self {
        Self {
            id: id.to_owned(),
            revision: "main".to_owned(),
        }
    }

    /// The name of the model, `owner/name`.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn fail(&self, reason: impl std::fmt::Display, remedy: &str) -> Error {
        Error::Fetch {
            what: format!("{}@{} from the Hugging Face hub", self.id, self.revision),
            reason: reason.to_string(),
            remedy: remedy.to_owned(),
        }
    }

    fn repo(&self, revision: &str) -> Repo {
        Repo::with_revision(self.id.clone(), RepoType::Model, revision.to_owned())
    }

    /// The folder with its files, in the state of one commit; what is not in the cache yet is fetched. Every file is checked, also one
    /// that was there; `notes` know the hashes of those that were read before.
    ///
    /// # Errors
    /// No such model or no access to it, no network, a file with another hash, a full disk, an interrupt. Of an interrupted download
    /// what came stays in the cache, under a temporary name, for the next one.
    pub fn folder(&self, notes: &Notes) -> Result<PathBuf> {
        let hub = Hub::of_user()?;
        let cache = Cache::new(hub.cache.clone());
        if hub.offline {
            return self.cached(&cache);
        }
        let api = hub.api().map_err(|e| self.refused(&e))?;
        let info = self.info(&hub)?;
        if !is_hash(&info.sha) {
            let reason = format!("{:?} is no commit", info.sha);
            return Err(self.fail(reason, PROTOCOL));
        }
        let folder = cache.repo(self.repo(&info.sha)).pointer_path(&info.sha);
        let fetching = Fetching {
            hub: &hub,
            api: &api,
            notes,
            info: &info,
        };
        let file = |name: &str| info.siblings.iter().find(|file| file.rfilename == name);
        let need =
            |name: &str| file(name).ok_or_else(|| self.fail(format!("it has no {name}"), CONVERT));
        let mut wanted = vec![need("config.json")?, need("tokenizer.json")?];
        wanted.extend(file("tokenizer_config.json"));
        if file(INDEX).is_some() && file(WEIGHTS).is_none() {
            let index = need(INDEX)?;
            self.get(&fetching, index, &folder)?;
            let path = folder.join(INDEX);
            let what = "index of weights";
            let text =
                text_at_most(&path, MOST_INDEX).map_err(|e| Error::reading(&path, what, e))?;
            let index: Index = serde_json::from_str(&text).map_err(|e| Error::Malformed {
                path,
                what: what.to_owned(),
                expected: "a map from tensors to files".to_owned(),
                found: e.to_string(),
            })?;
            let mut shards: Vec<String> = index.weight_map.into_values().collect();
            shards.sort();
            shards.dedup();
            for shard in shards {
                if !stays_below(&shard) {
                    let reason = format!("{INDEX} names {shard:?}, which is outside of its folder");
                    return Err(self.fail(reason, CONVERT));
                }
                wanted.push(need(&shard)?);
            }
        } else {
            wanted.push(need(WEIGHTS)?);
        }
        for file in wanted {
            self.get(&fetching, file, &folder)?;
        }
        let named = cache.repo(self.repo(&self.revision));
        named
            .create_ref(&info.sha)
            .map_err(|e| Error::caching(&folder, e))?;
        Ok(folder)
    }

    /// The folder if it is in the cache.
    fn cached(&self, cache: &Cache) -> Result<PathBuf> {
        let found = cache.repo(self.repo(&self.revision)).get("config.json");
        // A commit may be there without a name.
        let commit = cache
            .repo(self.repo(&self.revision))
            .pointer_path(&self.revision);
        let commit = Some(commit.join("config.json")).filter(|path| path.is_file());
        let found = found.or(commit);
        let folder = found.and_then(|config| config.parent().map(Path::to_owned));
        folder.ok_or_else(|| {
            let reason = format!(
                "it is not in {}, and HF_HUB_OFFLINE is set",
                cache.path().display()
            );
            self.fail(reason, "unset HF_HUB_OFFLINE once")
        })
    }

    /// What the hub says of the revision.
    fn info(&self, hub: &Hub) -> Result<Info> {
        let of = self.repo(&self.revision).api_url();
        let url = format!("{}/api/{of}?blobs=true", hub.endpoint);
        let hub = hub.clone();
        let text = apart(move || said(&hub, &url))?.unwrap_or_else(|| Err(BROKEN_OFF.to_owned()));
        let text = text.map_err(|e| self.refused(&e))?;
        serde_json::from_str(&text).map_err(|e| {
            self.fail(
                format!("what it says of its files cannot be read: {e}"),
                PROTOCOL,
            )
        })
    }

    /// The error for what the server or the network says.
    fn refused(&self, error: &dyn std::fmt::Display) -> Error {
        let reason = error.to_string();
        let remedy = remedy_of(&reason);
        self.fail(reason, remedy)
    }

    /// Fetches one file of a commit if it is not there, and checks it.
    fn get(&self, of: &Fetching<'_>, file: &Sibling, folder: &Path) -> Result<()> {
        let path = folder.join(&file.rfilename);
        if path.is_file() {
            return self.check(file, &path, of.notes);
        }
        let _lock = self.lock()?;
        // Another process may have fetched it meanwhile.
        if path.is_file() {
            return self.check(file, &path, of.notes);
        }
        let message = format!("{}: {}", self.id, file.rfilename);
        let bar = progress::bytes(&message, file.size.unwrap_or(0));
        let repo = self.repo(&of.info.sha);
        let transfer = Transfer {
            url: of.api.repo(repo.clone()).url(&file.rfilename),
            blob: Cache::new(of.hub.cache.clone())
                .repo(repo)
                .blob_path(self.hash(file)?),
            bytes: file.size,
        };
        let fetched = apart({
            let (hub, bar, transfer) = (of.hub.clone(), bar.clone(), transfer.clone());
            move || transfer.run(&hub, &mut |bytes| bar.set_position(bytes))
        })?;
        let fetched = fetched.unwrap_or_else(|| Err(BROKEN_OFF.to_owned().into()));
        bar.finish_and_clear();
        let told = |said: String| self.refused(&format!("{}: {said}", file.rfilename));
        fetched.map_err(|fault| fault.error(told))?;
        put_link(&transfer.blob, &path).map_err(|e| Error::caching(&path, e))?;
        self.check(file, &path, of.notes)
    }

    /// The hash that a file is to have. It becomes a file's name.
    fn hash<'a>(&self, file: &'a Sibling) -> Result<&'a str> {
        let stated = match (&file.lfs, &file.blob_id) {
            (Some(lfs), _) => &lfs.sha256,
            (None, Some(blob)) => blob,
            (None, None) => {
                let reason = format!("the server states no hash of {}", file.rfilename);
                return Err(self.fail(reason, PROTOCOL));
            }
        };
        if !is_hash(stated) {
            let reason = format!("{stated:?} is no hash of {}", file.rfilename);
            return Err(self.fail(reason, PROTOCOL));
        }
        Ok(stated)
    }

    /// Waits for other processes that fetch files of this model, such as the tasks of an array that begin together: the hub's client waits
    /// for some seconds only, and then fetches the file once more. The lock ends with the returned file, or with the process.
    fn lock(&self) -> Result<File> {
        let folder = Hub::of_user()?.cache.join(".locks");
        let path = folder.join(format!("af1-{}.lock", self.id.replace('/', "--")));
        let fail = |source| Error::Write {
            path: path.clone(),
            source,
            hint: HINT,
        };
        fs::create_dir_all(&folder).map_err(fail)?;
        let file = File::create(&path).map_err(fail)?;
        loop {
            match file.try_lock() {
                Ok(()) => return Ok(file),
                Err(TryLockError::Error(e)) => return Err(fail(e)),
                Err(TryLockError::WouldBlock) => interrupted()?,
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Checks the hash of a file; one that is not what the hub states is removed.
    fn check(&self, file: &Sibling, path: &Path, notes: &Notes) -> Result<()> {
        let reading = |e| Error::reading(path, "file of the hub", e);
        let expected = self.hash(file)?;
        let (kind, found) = match file.lfs {
            Some(_) => ("SHA-256", notes.sha256(path)?.to_string()),
            None => {
                let bytes = fs::read(path).map_err(reading)?;
                let mut hash = Sha1::new();
                hash.update(format!("blob {}\0", bytes.len()));
                hash.update(&bytes);
                let hash = hash.finalize();
                let hex = hash.iter().map(|byte| format!("{byte:02x}"));
                ("git's SHA-1", hex.collect())
            }
        };
        if expected == found {
            return Ok(());
        }
        let blob = path.canonicalize().map_err(reading)?;
        for wrong in [path, &blob] {
            let _ = fs::remove_file(wrong);
        }
        let reason = format!(
            "{kind} of {}: expected {expected}, found {found}",
            file.rfilename
        );
        Err(self.fail(
            reason,
            "the file was removed; try again, or another HF_ENDPOINT",
        ))
    }
}

/// What to do about what the server or the network says.
pub(super) fn remedy_of(reason: &str) -> &'static str {
    let code = reason.rsplit("status: ").next();
    match code.and_then(|code| code.get(..3)) {
        Some("401" | "403") => {
            "accept the model's license on its page, and set HF_TOKEN to a token that may read it"
        }
        Some("404") => "check the name and the revision; a private model needs HF_TOKEN",
        _ => {
            "check the network, or HF_ENDPOINT, or set HF_HUB_OFFLINE=1 to take what is in the cache"
        }
    }
}

/// Whether a text is a hash or a commit: hexadecimal digits, as many as SHA-1 or SHA-256 have.
fn is_hash(text: &str) -> bool {
    [40, 64].contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit())
}

/// Whether a name with `/` in it, joined to a folder, leads to something below it, on every system.
fn stays_below(name: &str) -> bool {
    let plain = |part: &str| !["", ".", ".."].contains(&part);
    name.split('/').all(plain) && !name.contains(['\\', ':', '\0'])
}

/// Names a file of the hub's cache in the folder of a commit: by a link, as the hub's other clients do, or by a file of its own where the
/// system has none.
fn put_link(blob: &Path, path: &Path) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)?;
    // A link to what was removed.
    if path.symlink_metadata().is_ok() {
        fs::remove_file(path)?;
    }
    #[cfg(unix)]
    return std::os::unix::fs::symlink(beside(blob, folder), path);
    #[cfg(not(unix))]
    return fs::rename(blob, path);
}

/// A path as it is seen from a folder that shares its beginning.
#[cfg(unix)]
fn beside(path: &Path, folder: &Path) -> PathBuf {
    let shared = (path.components().zip(folder.components()))
        .take_while(|(a, b)| a == b)
        .count();
    let up = folder.components().skip(shared).map(|_| "..");
    let down = path.components().skip(shared).map(|part| part.as_os_str());
    up.map(AsRef::as_ref).chain(down).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_paths() {
        let named = |text: &str| HubModel::named(text).map(|model| (model.id, model.revision));
        let of = |id: &str, revision: &str| Some((id.to_owned(), revision.to_owned()));
        assert_eq!(
            named("meta-llama/Llama-3.2-1B"),
            of("meta-llama/Llama-3.2-1B", "main")
        );
        assert_eq!(named("a/b@refs/pr/3"), of("a/b", "refs/pr/3"));
        for path in [
            "gpt2",
            "./a/b",
            "../a",
            "/a/b",
            "a/b/c",
            "a/b.gguf",
            "a/",
            "a/b@",
            "a/b@../../c",
            "a/b@/c",
            "a/b@c//d",
            "a/b@..\\c",
        ] {
            assert_eq!(named(path), None, "{path}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn links_lead_from_the_commit_to_the_file() {
        let blob = Path::new("/h/models--a--b/blobs/c0");
        let folder = Path::new("/h/models--a--b/snapshots/c1");
        assert_eq!(beside(blob, folder), Path::new("../../blobs/c0"));
        assert_eq!(
            beside(blob, &folder.join("onnx")),
            Path::new("../../../blobs/c0")
        );
    }
}
