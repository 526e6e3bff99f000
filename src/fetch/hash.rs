//! SHA-256, as lower-case hexadecimal.

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use serde::{Deserialize, Serialize};
use sha2::Digest;

use crate::{Error, Result};

/// A SHA-256 digest in lower-case hexadecimal.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sha256(String);

impl Sha256 {
    /// A digest that is known: 64 hexadecimal digits.
    pub fn known(hex: &str) -> Self {
        Self(hex.to_ascii_lowercase())
    }

    /// All 64 hexadecimal digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 16 digits, for names of files.
    pub fn short(&self) -> &str {
        self.0.get(..16).unwrap_or(&self.0)
    }
}

impl fmt::Display for Sha256 {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

fn hex(digest: impl AsRef<[u8]>) -> Sha256 {
    Sha256(digest.as_ref().iter().map(|b| format!("{b:02x}")).collect())
}

/// The digest of bytes in memory.
pub fn sha256_bytes(bytes: &[u8]) -> Sha256 {
    hex(sha2::Sha256::digest(bytes))
}

/// The digest of a file.
///
/// # Errors
/// The file cannot be read.
pub fn sha256_file(path: &Path) -> Result<Sha256> {
    let fail = |e| Error::reading(path, "file", e);
    let mut file = File::open(path).map_err(fail)?;
    let mut hasher = sha2::Sha256::new();
    let mut buffer = vec![0; 1 << 20];
    loop {
        let count = file.read(&mut buffer).map_err(fail)?;
        if count == 0 {
            return Ok(hex(hasher.finalize()));
        }
        hasher.update(&buffer[..count]);
    }
}
