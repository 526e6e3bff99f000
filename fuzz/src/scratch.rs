//! A folder in memory, for readers that want a path.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A folder of this process, in memory where the system has such a place.
pub struct Scratch {
    folder: PathBuf,
}

impl Scratch {
    /// Makes the folder.
    pub fn new(name: &str) -> Self {
        let memory = Path::new("/dev/shm");
        let root = match memory.is_dir() {
            true => memory.to_owned(),
            false => std::env::temp_dir(),
        };
        let folder = root.join(format!("af1-fuzz-{name}-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for files");
        Self { folder }
    }

    /// The path of a file in it.
    pub fn path(&self, file: &str) -> PathBuf {
        self.folder.join(file)
    }

    /// The folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes a file, and zeros behind its bytes up to `length`, which take no room.
    pub fn write(&self, file: &str, bytes: &[u8], length: u64) -> PathBuf {
        let path = self.path(file);
        let mut to = File::create(&path).expect("a file in the folder");
        to.write_all(bytes).expect("room for a small file");
        if length > bytes.len() as u64 {
            to.set_len(length).expect("room for zeros");
        }
        path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}
