//! Whether a disk has room for what is to be written, before it is written: a download of hours need not end when the disk is full.

use std::io::{Error, ErrorKind, Result};
use std::path::Path;

/// Checks that a folder has room for so many more bytes. Where that is not known, it has.
///
/// # Errors
/// `StorageFull`, with both sizes.
pub fn check_room(folder: &Path, bytes: u64) -> Result<()> {
    match left(folder) {
        Some(left) if left < bytes => Err(Error::new(
            ErrorKind::StorageFull,
            format!(
                "it takes {}, and {} are left on the disk",
                in_words(bytes),
                in_words(left)
            ),
        )),
        _ => Ok(()),
    }
}

/// The bytes that are left, those that are kept for the administrator among them. Only file systems are asked that keep a byte as a byte:
/// on others more may fit than they say.
#[cfg(target_os = "linux")]
fn left(folder: &Path) -> Option<u64> {
    const EXT: i64 = 0xef53;
    const XFS: i64 = 0x5846_5342;
    const TMPFS: i64 = 0x0102_1994;
    let found = rustix::fs::statfs(folder).ok()?;
    // Its width differs from one processor to another.
    #[allow(clippy::unnecessary_cast)]
    let (kind, block) = (found.f_type as i64, found.f_bsize as u64);
    [EXT, XFS, TMPFS]
        .contains(&kind)
        .then(|| found.f_bfree.saturating_mul(block))
}

#[cfg(not(target_os = "linux"))]
fn left(_: &Path) -> Option<u64> {
    None
}

/// A size in its largest unit.
pub fn in_words(bytes: u64) -> String {
    const UNITS: [(u64, &str); 3] = [
        (1_000_000_000_000, "TB"),
        (1_000_000_000, "GB"),
        (1_000_000, "MB"),
    ];
    match UNITS.iter().find(|(size, _)| bytes >= *size) {
        Some((size, name)) => format!("{:.1} {name}", bytes as f64 / *size as f64),
        None => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_larger_than_the_disk_has_no_room() {
        let folder = tempfile::tempdir().unwrap();
        check_room(folder.path(), 0).unwrap();
        let Some(left) = left(folder.path()) else {
            return;
        };
        check_room(folder.path(), left / 2).unwrap();
        let error = check_room(folder.path(), u64::MAX).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::StorageFull);
        assert!(
            error.to_string().contains("it takes 18446744.1 TB"),
            "{error}"
        );
    }

    #[test]
    fn sizes_are_in_their_largest_unit() {
        let all = [0, 999_999, 1_500_000, 515_000_000_000, 10_000_000_000_000].map(in_words);
        assert_eq!(
            all,
            ["0 bytes", "999999 bytes", "1.5 MB", "515.0 GB", "10.0 TB"]
        );
    }
}
