//! Finding the ONNX Runtime library, or fetching it.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::fetch::{Cache, Staging, Wheel, python};
use crate::file::{Sha256, sha256_file};
use crate::{Error, Result};

/// The environment variable that names the library.
pub const DYLIB_VARIABLE: &str = "ORT_DYLIB_PATH";

/// The version that is fetched where none is found.
pub const PINNED: &str = "1.32.0";

/// The oldest minor version 1.x with the interface that is used.
const OLDEST_MINOR: u32 = 31;

/// How a library was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// `ORT_DYLIB_PATH` names it.
    Variable,
    /// Fetched into the cache earlier or just now.
    Cache,
    /// It belongs to an installed Python package.
    Python,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Variable => DYLIB_VARIABLE,
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

/// The pinned wheel of this platform and the library in it.
const fn pinned(
    platform: &'static str,
    bytes: u64,
    sha256: &'static str,
    members: &'static [&'static str],
) -> Wheel {
    Wheel {
        package: "onnxruntime",
        version: PINNED,
        platform: Some(platform),
        bytes,
        sha256,
        members,
    }
}

const LINUX: &[&str] = &[
    "onnxruntime/capi/libonnxruntime.so.1.32.0",
    "onnxruntime/LICENSE",
    "onnxruntime/ThirdPartyNotices.txt",
];
const MACOS: &[&str] = &[
    "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
    "onnxruntime/LICENSE",
    "onnxruntime/ThirdPartyNotices.txt",
];
const WINDOWS: &[&str] = &[
    "onnxruntime/capi/onnxruntime.dll",
    "onnxruntime/LICENSE",
    "onnxruntime/ThirdPartyNotices.txt",
];

/// Operating system and processor, as Rust names them, with the wheel for it.
const WHEELS: [(&str, &str, Wheel); 5] = [
    (
        "linux",
        "x86_64",
        pinned(
            "manylinux_2_28_x86_64",
            27_780_211,
            "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
            LINUX,
        ),
    ),
    (
        "linux",
        "aarch64",
        pinned(
            "manylinux_2_28_aarch64",
            23_196_724,
            "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
            LINUX,
        ),
    ),
    (
        "macos",
        "aarch64",
        pinned(
            "macosx_14_0_arm64",
            22_519_308,
            "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
            MACOS,
        ),
    ),
    (
        "windows",
        "x86_64",
        pinned(
            "win_amd64",
            16_698_767,
            "efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40",
            WINDOWS,
        ),
    ),
    (
        "windows",
        "aarch64",
        pinned(
            "win_arm64",
            16_030_610,
            "64d394c69d561af3efd4d4f49dcac8f11d0ce135a20701c16d53b74056cd4cf8",
            WINDOWS,
        ),
    ),
];

fn wheel() -> Option<&'static Wheel> {
    let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
    let mut wheels = WHEELS.iter();
    wheels
        .find(|row| row.0 == os && row.1 == processor)
        .map(|row| &row.2)
}

/// The name of the cache's entry.
fn entry_name() -> String {
    format!(
        "onnxruntime-{PINNED}-{}-{}",
        std::env::consts::OS,
        std::env::consts::ARCH
    )
}

impl Library {
    /// The library if it is there already: `ORT_DYLIB_PATH`, the cache, an installed Python `onnxruntime` that is new
    /// enough, in this order.
    ///
    /// # Errors
    /// `ORT_DYLIB_PATH` names a file that is not there; a corrupt cache entry.
    pub fn find(cache: &Cache) -> Result<Option<Self>> {
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
        if let Some(entry) = cache.find(&entry_name())? {
            let path = entry
                .files()
                .find(|file| is_library(file))
                .map(|file| entry.path(file));
            let source = Source::Cache;
            return Ok(path.map(|path| Self { path, source }));
        }
        Ok(installed().map(|path| Self {
            path,
            source: Source::Python,
        }))
    }

    /// As [`Self::find`], and fetches the pinned wheel where there is none.
    ///
    /// # Errors
    /// As [`Self::find`]; a fetch that fails.
    pub fn find_or_fetch(cache: &Cache) -> Result<Self> {
        if let Some(library) = Self::find(cache)? {
            return Ok(library);
        }
        Self::fetch(cache, false)
    }

    /// The library in the cache; fetched into it where it is not there, or anew where `again` says so.
    ///
    /// # Errors
    /// A platform without a wheel; a fetch that fails.
    pub fn fetch(cache: &Cache, again: bool) -> Result<Self> {
        let wheel = wheel().ok_or_else(|| Error::Fetch {
            what: format!("onnxruntime {PINNED} from PyPI"),
            reason: format!(
                "no wheel for {} on {}",
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
            remedy: format!("install ONNX Runtime 1.{OLDEST_MINOR} or newer and set {DYLIB_VARIABLE} to its library"),
        })?;
        let fill = |staging: &Staging| wheel.fetch_into(staging);
        let entry = match again {
            true => cache.renew(&entry_name(), fill)?,
            false => cache.entry(&entry_name(), fill)?,
        };
        let file = entry.files().find(|file| is_library(file));
        Ok(Self {
            path: entry.path(file.unwrap_or_default()),
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

/// Whether a file name is that of the library itself, not of a provider that it loads.
fn is_library(file: &str) -> bool {
    file == "onnxruntime.dll"
        || file.starts_with("libonnxruntime.so")
        || file.starts_with("libonnxruntime.") && file.ends_with(".dylib")
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
    let folder = Path::new(origin.trim()).parent()?.join("capi");
    let files = std::fs::read_dir(&folder).ok()?.flatten();
    let mut libraries: Vec<PathBuf> = files
        .map(|file| file.path())
        .filter(|path| {
            path.file_name()
                .is_some_and(|name| is_library(&name.to_string_lossy()))
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
                    name.strip_prefix("onnxruntime-1.").map(str::to_owned)
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
            Source::Python => format!("upgrade the Python package, or set {DYLIB_VARIABLE}"),
        },
    }
}
