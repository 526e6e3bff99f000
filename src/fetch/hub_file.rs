//! One file of the Hugging Face hub, by its hash, in the cache that the hub's other clients share.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use hf_hub::{Repo, RepoType};
use indicatif::ProgressBar;

use super::hub::remedy_of;
use super::transfer::{Fault, Transfer};
use super::{Cache, Hub, Origin, RemoteFile, Staging};
use crate::interrupt::interrupted;
use crate::{Error, Result, progress};

/// How long the first byte of a file may take, from the first question on: then the next origin is asked.
const FIRST_BYTE: Duration = Duration::from_secs(5);

/// How long a download may stand still.
const STALLED: Duration = Duration::from_secs(30);

/// A file of a model on the Hugging Face hub.
#[derive(Clone, Copy, Debug)]
pub struct HubFile {
    /// The model, `owner/name`.
    pub id: &'static str,
    /// The file's name there.
    pub file: &'static str,
}

impl Origin for HubFile {
    fn name(&self) -> String {
        format!("Hugging Face hub ({})", self.id)
    }

    fn fetch(&self, file: &RemoteFile, staging: &Staging, _: &Cache) -> Result<()> {
        self.fetch_from(&Hub::of_user()?, file, staging)
    }
}

impl HubFile {
    fn fail(&self, reason: String, remedy: &str) -> Error {
        Error::Fetch {
            what: format!("{} from the Hugging Face hub, {}", self.file, self.id),
            reason,
            remedy: remedy.to_owned(),
        }
    }

    fn repo(&self) -> Repo {
        Repo::new(self.id.to_owned(), RepoType::Model)
    }

    /// As [`Origin::fetch`], from a hub that is set up as `hub` says. The file stays in the hub's cache, too, as the same one on the disk
    /// where the system can do that.
    ///
    /// # Errors
    /// As [`Origin::fetch`]; no byte of the file within five seconds.
    pub fn fetch_from(&self, hub: &Hub, file: &RemoteFile, staging: &Staging) -> Result<()> {
        let there = self.cached(hub, file);
        let path = match there {
            Some(path) => path,
            None if hub.offline => {
                let reason = format!(
                    "it is not in {}, and HF_HUB_OFFLINE is set",
                    hub.cache.display()
                );
                return Err(self.fail(reason, "unset HF_HUB_OFFLINE once"));
            }
            None => self.download(hub, file)?,
        };
        // The name in the cache is a link.
        let path = fs::canonicalize(&path).map_err(|e| Error::reading(&path, "file", e))?;
        if let Err(reason) = file.check(&path)? {
            let _ = fs::remove_file(&path);
            let remedy = "it was removed; try again, or another HF_ENDPOINT";
            return Err(self.fail(reason, remedy));
        }
        let target = staging.path().join(file.name);
        link_or_copy(&path, &target).map_err(|e| Error::caching(&target, e))
    }

    /// The file in the hub's cache, if it is there: under the name of its hash, as large files are, or of the newest state that is known.
    fn cached(&self, hub: &Hub, file: &RemoteFile) -> Option<PathBuf> {
        let cache = hf_hub::Cache::new(hub.cache.clone()).repo(self.repo());
        let blob = cache.blob_path(file.sha256);
        let blob = Some(blob).filter(|path| path.is_file());
        blob.or_else(|| cache.get(self.file).filter(|path| path.is_file()))
    }

    /// Downloads the file into the hub's cache. A thread does it, so that an interrupt is heard and a server that does not answer is
    /// left; what it has of the file stays for the next time.
    fn download(&self, hub: &Hub, file: &RemoteFile) -> Result<PathBuf> {
        let message = format!("fetching {} from the Hugging Face hub", self.file);
        let bar = Watched {
            bar: progress::bytes(&message, file.bytes),
            left: Arc::default(),
        };
        let (send, done) = channel();
        std::thread::spawn({
            let (of, hub, file, bar) = (*self, hub.clone(), *file, bar.clone());
            move || send.send(of.download_here(&hub, &file, &bar))
        });
        let begin = Instant::now();
        let (mut last, mut at, mut begun) = (begin, 0, false);
        let found = loop {
            match done.recv_timeout(Duration::from_millis(100)) {
                Ok(found) => break found,
                Err(RecvTimeoutError::Disconnected) => break Err("it broke off".to_owned().into()),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let stop = interrupted();
            if bar.bar.position() != at {
                (at, last, begun) = (bar.bar.position(), Instant::now(), true);
            }
            let late = !begun && begin.elapsed() >= FIRST_BYTE;
            if stop.is_err() || late || last.elapsed() >= STALLED {
                bar.left.store(true, Ordering::SeqCst);
                bar.bar.finish_and_clear();
                stop?;
                let seconds = if late { FIRST_BYTE } else { STALLED }.as_secs();
                let reason = format!("{}: no byte came for {seconds} seconds", hub.endpoint);
                return Err(self.fail(reason, remedy_of("")));
            }
        };
        bar.bar.finish_and_clear();
        let told = |reason: String| {
            let remedy = remedy_of(&reason);
            self.fail(format!("{}: {reason}", hub.endpoint), remedy)
        };
        found.map_err(|fault| fault.error(told))
    }

    /// The download itself.
    fn download_here(&self, hub: &Hub, file: &RemoteFile, bar: &Watched) -> Result<PathBuf, Fault> {
        let repo = hf_hub::Cache::new(hub.cache.clone()).repo(self.repo());
        let transfer = Transfer {
            url: hub.api()?.repo(self.repo()).url(self.file),
            blob: repo.blob_path(file.sha256),
            bytes: Some(file.bytes),
        };
        transfer.run(hub, &mut |bytes| bar.at(bytes))?;
        Ok(transfer.blob)
    }
}

/// A bar of a download that may be left alone.
#[derive(Clone)]
struct Watched {
    bar: ProgressBar,
    /// Nobody waits any more.
    left: Arc<AtomicBool>,
}

impl Watched {
    /// Says that so many bytes are there.
    fn at(&self, bytes: u64) {
        // It takes no more of the network away from the origin that was asked next.
        while self.left.load(Ordering::SeqCst) {
            std::thread::park();
        }
        self.bar.set_position(bytes);
    }
}

/// The same file under another name, or a copy where that cannot be.
fn link_or_copy(from: &Path, to: &Path) -> std::io::Result<()> {
    match fs::hard_link(from, to) {
        Ok(()) => Ok(()),
        Err(_) => fs::copy(from, to).map(drop),
    }
}
