//! One file of a hub by HTTP, into the cache that the hub's clients share. Nothing here is believed of what the server says but the bytes,
//! and those only once their hash was checked.
//!
//! Redirects are followed here and not by the client, so that the token is shown to the hub alone. A file is kept under the hash that it is
//! to have, so no name from the server becomes a path; what came of a download that was stopped is gone on with.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use ureq::http::{Response, Uri, header};
use ureq::{Agent, Body};

use super::setup::Hub;
use crate::Error;
use crate::disk::check_room;
use crate::interrupt::interrupted;

/// How often a download that breaks off is taken up again before it fails.
const RETRIES: usize = 2;

/// As many redirects are followed, as browsers and other clients do.
const REDIRECTS: usize = 10;

/// How long a server may say nothing.
const SILENCE: Duration = Duration::from_secs(30);

/// What a hub says of a model has at most so many bytes: that is a list of 80,000 files.
const MOST_SAID: u64 = 16 << 20;

/// How long that may take, however slowly it comes.
const LONGEST: Duration = Duration::from_secs(120);

/// Where to put the cache of the hub's clients.
pub(super) const HINT: &str = ", or set HF_HOME to a folder with room on a file system with locks";

/// What the name of a file ends with that is not whole yet.
const PART: &str = "part";

/// What is to be fetched.
#[derive(Clone, Debug)]
pub(super) struct Transfer {
    /// Where it is on the hub.
    pub url: String,
    /// Where it is to be, under the hash that it is to have.
    pub blob: PathBuf,
    /// How large it is to be; without it, as large as the server says when it sends it.
    pub bytes: Option<u64>,
}

/// Why a file was not fetched.
#[derive(Debug)]
pub(super) enum Fault {
    /// What the server or the network says.
    Told(String),
    /// A file of the cache cannot be written.
    Disk(PathBuf, std::io::Error),
}

impl From<String> for Fault {
    fn from(said: String) -> Self {
        Self::Told(said)
    }
}

impl Fault {
    /// As an error of the program, where `told` makes one of what the server says.
    pub fn error(self, told: impl FnOnce(String) -> Error) -> Error {
        match self {
            Self::Told(said) => told(said),
            Self::Disk(path, source) => Error::Write {
                path,
                source,
                hint: HINT,
            },
        }
    }
}

/// What a hub says at an address, which is short.
///
/// # Errors
/// What the server or the network says; more than so much, or too slowly.
pub(super) fn said(hub: &Hub, url: &str) -> Result<String, String> {
    let client = Client {
        hub,
        agent: agent(Some(LONGEST)),
    };
    let mut response = client.ask(url, None)?;
    let body = response.body_mut().with_config().limit(MOST_SAID);
    body.read_to_string().map_err(|e| match e {
        ureq::Error::BodyExceedsLimit(most) => {
            format!("what it says of its files is more than {} MiB", most >> 20)
        }
        other => other.to_string(),
    })
}

/// What a thread of its own comes to, so that an interrupt is heard meanwhile; nothing where it broke off.
///
/// # Errors
/// An interrupt.
pub(super) fn apart<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> crate::Result<Option<T>> {
    let (send, done) = channel();
    std::thread::spawn(move || send.send(work()));
    loop {
        match done.recv_timeout(Duration::from_millis(100)) {
            Ok(done) => return Ok(Some(done)),
            Err(RecvTimeoutError::Timeout) => interrupted()?,
            Err(RecvTimeoutError::Disconnected) => return Ok(None),
        }
    }
}

impl Transfer {
    /// Fetches the file, taking up a download that breaks off. Its hash is for the caller to check.
    ///
    /// # Errors
    /// What the server, the network or the disk says.
    pub fn run(&self, hub: &Hub, watch: &mut impl FnMut(u64)) -> Result<(), Fault> {
        let folder = self.blob.parent().unwrap_or(Path::new("."));
        fs::create_dir_all(folder).map_err(|e| Fault::Disk(folder.to_owned(), e))?;
        let part = self.blob.with_extension(PART);
        let there = fs::metadata(&part).map_or(0, |found| found.len());
        let missing = self.bytes.unwrap_or(0).saturating_sub(there);
        check_room(folder, missing).map_err(|e| Fault::Disk(self.blob.clone(), e))?;
        let client = Client {
            hub,
            agent: agent(None),
        };
        let mut fetched = self.attempt(&client, &part, watch);
        for _ in 0..RETRIES {
            if matches!(fetched, Err(Fault::Told(_))) {
                fetched = self.attempt(&client, &part, watch);
            }
        }
        fetched?;
        fs::rename(&part, &self.blob).map_err(|e| Fault::Disk(self.blob.clone(), e))
    }

    /// One request for what is missing.
    fn attempt(
        &self,
        client: &Client<'_>,
        part: &Path,
        watch: &mut impl FnMut(u64),
    ) -> Result<(), Fault> {
        let disk = |e: std::io::Error| Fault::Disk(part.to_owned(), e);
        let mut there = fs::metadata(part).map_or(0, |found| found.len());
        // All of it, or more: a process was stopped just then, or the file was another one. Servers refuse to go on behind the end.
        if there > 0 && self.bytes.is_none_or(|bytes| there >= bytes) {
            fs::remove_file(part).map_err(disk)?;
            there = 0;
        }
        let response = client.ask(&self.url, Some(there))?;
        let begins = range_of(&response).map_or(0, |(begin, _)| begin);
        let due = self.bytes.or(range_of(&response).map(|(_, whole)| whole));
        let mut options = OpenOptions::new();
        let mut file = options
            .write(true)
            .create(true)
            .truncate(false)
            .open(part)
            .map_err(disk)?;
        // A server that knows nothing of ranges begins anew.
        if begins != there {
            file.set_len(begins.min(there)).map_err(disk)?;
            if begins != 0 {
                let said =
                    format!("asked for bytes from {there} on, it sends those from {begins} on");
                return Err(said.into());
            }
            there = 0;
        }
        std::io::Seek::seek(&mut file, std::io::SeekFrom::End(0)).map_err(disk)?;
        let end = copy(response, &mut file, there, due, watch)?.map_err(disk)?;
        match due {
            Some(due) if end > due => {
                let _ = fs::remove_file(part);
                Err(format!("expected {due} bytes, and the server sends more").into())
            }
            Some(due) if end < due => {
                Err(format!("expected {due} bytes, and it broke off after {end}").into())
            }
            _ => Ok(()),
        }
    }
}

/// Who asks whom.
struct Client<'a> {
    hub: &'a Hub,
    agent: Agent,
}

impl Client<'_> {
    /// Asks for all, or for the bytes from `there` on, wherever the hub says that they are.
    fn ask(&self, url: &str, there: Option<u64>) -> Result<Response<Body>, String> {
        let address = |text: &str| (text.parse::<Uri>()).map_err(|e| format!("{text}: {e}"));
        let (mut at, hub) = (address(url)?, address(&self.hub.endpoint)?);
        for _ in 0..=REDIRECTS {
            let mut request = (self.agent)
                .get(&at)
                // A range of what was packed would be of no use.
                .header(header::ACCEPT_ENCODING, "identity");
            if let Some(there) = there {
                request = request.header(header::RANGE, format!("bytes={there}-"));
            }
            if let Some(token) = &self.hub.token
                && origin(&at) == origin(&hub)
            {
                request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
            }
            let response = request.call().map_err(|e| e.to_string())?;
            if !response.status().is_redirection() {
                return Ok(response);
            }
            let location = response.headers().get(header::LOCATION);
            let location = location.and_then(|location| location.to_str().ok());
            at = location
                .and_then(|location| joined(&at, location))
                .ok_or("it redirects to no address")?;
        }
        Err(format!("it redirects more than {REDIRECTS} times"))
    }
}

/// A client that follows no redirect, and leaves a server that says nothing, or that takes longer than `whole` for one answer.
fn agent(whole: Option<Duration>) -> Agent {
    Agent::config_builder()
        .max_redirects(0)
        .timeout_global(whole)
        .user_agent(concat!("af1/", env!("CARGO_PKG_VERSION")))
        .timeout_connect(Some(SILENCE))
        .timeout_recv_response(Some(SILENCE))
        .timeout_per_read(Some(SILENCE))
        .build()
        .into()
}

/// Writes what the server sends behind what is there, at most a byte more than is due; where it ends. The outer error is the network's,
/// the inner one the disk's.
fn copy(
    response: Response<Body>,
    file: &mut File,
    there: u64,
    due: Option<u64>,
    watch: &mut impl FnMut(u64),
) -> Result<std::io::Result<u64>, String> {
    let most = due.map_or(u64::MAX, |due| due.saturating_sub(there).saturating_add(1));
    let mut body = response.into_body().into_reader().take(most);
    let (mut buffer, mut end) = (vec![0; 1 << 16], there);
    watch(end);
    loop {
        let count = body.read(&mut buffer).map_err(|e| e.to_string())?;
        if count == 0 {
            return Ok(Ok(end));
        }
        if let Err(e) = file.write_all(&buffer[..count]) {
            return Ok(Err(e));
        }
        end += count as u64;
        watch(end);
    }
}

/// Where the bytes of an answer begin, and how many the file has, where the server says so.
fn range_of(response: &Response<Body>) -> Option<(u64, u64)> {
    let range = response.headers().get(header::CONTENT_RANGE)?;
    let (range, whole) = range
        .to_str()
        .ok()?
        .strip_prefix("bytes ")?
        .split_once('/')?;
    let (begin, _) = range.split_once('-')?;
    Some((begin.parse().ok()?, whole.parse().ok()?))
}

/// What a token is shown to: a scheme, a host and a port.
fn origin(uri: &Uri) -> (Option<&str>, Option<&str>, Option<u16>) {
    let port = uri.port_u16().or(match uri.scheme_str() {
        Some("https") => Some(443),
        Some("http") => Some(80),
        _ => None,
    });
    (uri.scheme_str(), uri.host(), port)
}

/// Where a redirect leads that was met at an address.
fn joined(at: &Uri, location: &str) -> Option<Uri> {
    let scheme = at.scheme_str()?;
    let text = match location {
        _ if location.starts_with("http://") || location.starts_with("https://") => {
            location.to_owned()
        }
        _ if location.starts_with("//") => format!("{scheme}:{location}"),
        _ if location.starts_with('/') => format!("{scheme}://{}{location}", at.authority()?),
        _ => {
            let (folder, _) = at.path().rsplit_once('/')?;
            format!("{scheme}://{}{folder}/{location}", at.authority()?)
        }
    };
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirects_lead_where_they_say() {
        let at: Uri = "https://hub/a/b?x=1".parse().unwrap();
        for (location, due) in [
            ("https://other:1/c", "https://other:1/c"),
            ("//other/c", "https://other/c"),
            ("/c?y=2", "https://hub/c?y=2"),
            ("c", "https://hub/a/c"),
        ] {
            assert_eq!(joined(&at, location).unwrap().to_string(), due);
        }
    }

    /// A token is for one scheme, host and port.
    #[test]
    fn a_token_stays_with_the_hub() {
        let of = |text: &str| text.parse::<Uri>().unwrap();
        let hub = of("https://hub/x");
        assert_eq!(origin(&of("https://hub:443/y")), origin(&hub));
        for other in [
            "http://hub/x",
            "https://hub:444/x",
            "https://hub.other/x",
            "https://other/x",
        ] {
            assert_ne!(origin(&of(other)), origin(&hub), "{other}");
        }
    }
}
