//! Finding the ONNX Runtime library, or fetching it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::package::{PINNED, Package};
use super::{Device, package};
use crate::fetch::{Cache, PythonEnvironment, python};
use crate::file::{Sha256, sha256_file};
use crate::{Error, Result};

/// The environment variable that names the library.
pub const DYLIB_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The oldest minor version 1.x with the interface that is used.
const OLDEST_MINOR: u32 = 24;

/// How a library was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `ORT_DYLIB_PATH` names it.
    Variable,
    /// The library belongs to a Python package in the environment into which the program was installed.
    Beside,
    /// Fetched into the cache earlier or just now.
    Cache,
    /// The library belongs to an installed Python package.
    Python,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Variable => DYLIB_VARIABLE,
            Self::Beside => "Python package beside the program",
            Self::Cache => "cache",
            Self::Python => "Python package onnxruntime",
        })
    }
}

/// A library file.
#[derive(Clone, Debug)]
pub struct Library {
    /// Where it is.
    pub path: PathBuf,
    /// How it was found.
    pub source: Source,
}

impl Library {
    /// The library that has a device, if it is there already: `ORT_DYLIB_PATH`, a package in the environment into which the program was
    /// installed, the cache, for the processor an installed Python `onnxruntime` that is new enough, in this order.
    ///
    /// # Errors
    /// `ORT_DYLIB_PATH` names a file that is not there; a corrupt cache entry.
    pub fn find(cache: &Cache, device: &Device) -> Result<Option<Self>> {
        let package = device.package();
        if let Some(path) = std::env::var_os(DYLIB_VARIABLE).filter(|path| !path.is_empty()) {
            let path = std::path::absolute(&path).unwrap_or_else(|_| path.into());
            if !path.is_file() {
                return Err(Error::NotFound {
                    what: "ONNX Runtime library",
                    path,
                    remedy: format!("correct or unset {DYLIB_VARIABLE}, which names it"),
                });
            }
            let source = Source::Variable;
            return Ok(Some(Self { path, source }));
        }
        if let Some(path) = beside(package) {
            let source = Source::Beside;
            return Ok(Some(Self { path, source }));
        }
        if let Some(path) = package.find(cache)? {
            let source = Source::Cache;
            return Ok(Some(Self { path, source }));
        }
        // An installed package for the processor has no other providers.
        Ok(match std::ptr::eq(package, &package::CPU) {
            true => installed().map(|path| Self {
                path,
                source: Source::Python,
            }),
            false => None,
        })
    }

    /// As [`Self::find`], and fetches the pinned wheel where there is none.
    ///
    /// # Errors
    /// As [`Self::find`]; a fetch that fails.
    pub fn find_or_fetch(cache: &Cache, device: &Device) -> Result<Self> {
        if let Some(library) = Self::find(cache, device)? {
            return Ok(library);
        }
        Self::fetch(cache, device, false)
    }

    /// The library in the cache; fetched into it where it is not there, or anew where `again` says so.
    ///
    /// # Errors
    /// A platform without a wheel; a fetch that fails.
    pub fn fetch(cache: &Cache, device: &Device, again: bool) -> Result<Self> {
        let remedy = format!(
            "install ONNX Runtime 1.{OLDEST_MINOR} or newer and set {DYLIB_VARIABLE} to its library"
        );
        Ok(Self {
            path: device.package().fetch(cache, again, &remedy)?,
            source: Source::Cache,
        })
    }

    /// The SHA-256 of the file.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn hash(&self) -> Result<Sha256> {
        sha256_file(&self.path)
    }
}

/// The library of a package in the environment into which the program was installed: of the version that is pinned; for the processor of
/// any that is new enough, because its own package may have been exchanged for another one's.
pub(super) fn beside(package: &Package) -> Option<PathBuf> {
    let folders = PythonEnvironment::of_program()?.packages();
    let pinned = folders
        .iter()
        .find_map(|folder| package.installed_in(folder));
    pinned.or_else(|| {
        let cpu = std::ptr::eq(package, &package::CPU);
        let mut folders = folders.iter().filter(|_| cpu);
        folders.find_map(|folder| newest_in(folder))
    })
}

/// The library of an installed Python package `onnxruntime`, if it is new enough.
fn installed() -> Option<PathBuf> {
    // Finding the package does not import it, which would take a second and load a second copy of the library.
    let script =
        "import importlib.util as u; s = u.find_spec('onnxruntime'); print(s.origin if s else '')";
    let output = Command::new(python()?)
        .args(["-c", script])
        .stdin(Stdio::null())
        .output()
        .ok()?;
    let origin = String::from_utf8(output.stdout).ok()?;
    newest_in(Path::new(origin.trim()).parent()?.parent()?)
}

/// The newest library of a package `onnxruntime` among packages, if it is new enough.
fn newest_in(packages: &Path) -> Option<PathBuf> {
    let folder = packages.join("onnxruntime").join("capi");
    let files = std::fs::read_dir(&folder).ok()?.flatten();
    let mut libraries: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| package::CPU.is_library(&name.to_string_lossy()))
        })
        .filter(|path| minor_version(path).is_some_and(|minor| minor >= OLDEST_MINOR))
        .collect();
    libraries.sort();
    libraries.pop()
}

/// The minor version in `libonnxruntime.so.1.32.0`; on Windows, where the name has none, that of the package's metadata.
fn minor_version(library: &Path) -> Option<u32> {
    let name = library.file_name()?.to_string_lossy().into_owned();
    let text = match name.split_once("1.") {
        Some((_, rest)) => rest.to_owned(),
        None => {
            let packages = library.parent()?.parent()?.parent()?;
            let metadata = std::fs::read_dir(packages)
                .ok()?
                .flatten()
                .find_map(|item| {
                    let name = item.file_name().to_string_lossy().into_owned();
                    let name = name.strip_prefix("onnxruntime")?;
                    let (_, version) = name.split_once("-1.")?;
                    Some(version.to_owned())
                });
            metadata?
        }
    };
    text.split('.').next()?.parse().ok()
}

/// The reason why a library cannot be loaded, with what to do.
pub(super) fn load_error(library: &Library, error: &dyn std::fmt::Display) -> Error {
    Error::RuntimeLibrary {
        path: library.path.clone(),
        reason: error.to_string(),
        remedy: match library.source {
            Source::Variable => format!(
                "set {DYLIB_VARIABLE} to ONNX Runtime 1.{OLDEST_MINOR} or newer, or unset it to have {PINNED} fetched"
            ),
            Source::Cache => "run `af1 fetch --force`".to_owned(),
            Source::Beside | Source::Python => {
                format!("upgrade the Python package, or set {DYLIB_VARIABLE}")
            }
        },
    }
}
