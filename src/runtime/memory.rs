//! How much memory the system has left for this process (Linux).

use std::fmt;
use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// What is left, counted high, and where that is said.
pub struct Left {
    /// The number of bytes that are left.
    pub bytes: u64,
    /// The control group whose limit it is; `None` for the whole machine.
    group: Option<PathBuf>,
}

impl fmt::Display for Left {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.group {
            None => f.write_str("are left on this machine"),
            Some(group) => write!(
                f,
                "are left below the limit of the control group {}",
                group.display()
            ),
        }
    }
}

/// Where the two versions of control groups are.
const GROUPS: &str = "/sys/fs/cgroup";

/// What is left; `None` where the system does not say it.
pub fn left() -> Option<Left> {
    left_by(Path::new("/proc"), Path::new(GROUPS))
}

/// What is left, as [`left`] says it, by files in other folders.
fn left_by(proc: &Path, groups: &Path) -> Option<Left> {
    let machine = read_to_string(proc.join("meminfo")).ok()?;
    let of = |key: &str| Some(field(&machine, key)? << 10);
    // What the system would free or move to the disk counts.
    let swap = of("SwapFree:").unwrap_or(0);
    let machine = Left {
        bytes: of("MemAvailable:")? + swap,
        group: None,
    };
    let own = read_to_string(proc.join("self/cgroup")).unwrap_or_default();
    let limits = own.lines().flat_map(|line| of_group(line, groups, swap));
    limits.chain([machine]).min_by_key(|left| left.bytes)
}

/// What is left below the limits of a group and of all that it is in, by a line such as `0::/user` or `4:memory:/user`.
fn of_group(line: &str, groups: &Path, swap: u64) -> Vec<Left> {
    let mut parts = line.splitn(3, ':').skip(1);
    let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
        return Vec::new();
    };
    let (root, files) = match controllers {
        "" => (groups.to_owned(), &SECOND),
        all if all.split(',').any(|one| one == "memory") => (groups.join("memory"), &FIRST),
        _ => return Vec::new(),
    };
    let own = root.join(path.trim_start_matches('/'));
    // A container sees its own group as the root.
    let inside = own
        .ancestors()
        .take_while(|folder| folder.starts_with(&root));
    let found = inside.filter_map(|folder| {
        Some(Left {
            bytes: files.left(folder)?.saturating_add(swap),
            group: Some(folder.to_owned()),
        })
    });
    found.collect()
}

/// What the files of a version of control groups are called.
struct Files {
    limit: &'static str,
    used: &'static str,
    /// What of it the system gives back when it is needed.
    given_back: [&'static str; 3],
}

const SECOND: Files = Files {
    limit: "memory.max",
    used: "memory.current",
    given_back: ["inactive_file ", "active_file ", "slab_reclaimable "],
};

const FIRST: Files = Files {
    limit: "memory.limit_in_bytes",
    used: "memory.usage_in_bytes",
    given_back: [
        "total_inactive_file ",
        "total_active_file ",
        "total_slab_reclaimable ",
    ],
};

impl Files {
    fn left(&self, folder: &Path) -> Option<u64> {
        let number = |file: &str| {
            let text = read_to_string(folder.join(file)).ok()?;
            text.trim().parse::<u64>().ok()
        };
        // Without a limit it is the word `max`.
        let (limit, used) = (number(self.limit)?, number(self.used)?);
        let stat = read_to_string(folder.join("memory.stat")).unwrap_or_default();
        let given_back: u64 = (self.given_back.iter())
            .filter_map(|key| field(&stat, key))
            .sum();
        Some(limit.saturating_sub(used.saturating_sub(given_back)))
    }
}

/// The number behind a key at the beginning of a line.
fn field(text: &str, key: &str) -> Option<u64> {
    let rest = text.lines().find_map(|line| line.strip_prefix(key))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files of a system with 8 GiB, of which 6 are left, and the group of this process.
    fn system(group: &str, files: &[(&str, &str)]) -> (tempfile::TempDir, Left) {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, text).unwrap();
        };
        write(
            "proc/meminfo",
            "MemTotal:        8388608 kB\nMemAvailable:    6291456 kB\nSwapFree:        1048576 kB\n",
        );
        write("proc/self/cgroup", group);
        files.iter().for_each(|(name, text)| write(name, text));
        let left = left_by(&folder.path().join("proc"), &folder.path().join("groups")).unwrap();
        (folder, left)
    }

    #[test]
    fn without_a_limit_the_machine_is_the_limit() {
        for (group, files) in [
            ("0::/\n", &[][..]),
            (
                "0::/a\n",
                &[
                    ("groups/a/memory.max", "max\n"),
                    ("groups/a/memory.current", "5\n"),
                ][..],
            ),
            (
                "3:cpu:/a\n",
                &[
                    ("groups/a/memory.max", "1\n"),
                    ("groups/a/memory.current", "1\n"),
                ][..],
            ),
            (
                "4:memory:/a\n",
                &[
                    (
                        "groups/memory/a/memory.limit_in_bytes",
                        "9223372036854771712\n",
                    ),
                    ("groups/memory/a/memory.usage_in_bytes", "5\n"),
                ][..],
            ),
        ] {
            let (_folder, left) = system(group, files);
            assert_eq!((left.bytes >> 20, left.group), (7 << 10, None), "{group}");
        }
    }

    /// The limit of a group that the own one is in counts, too; what is cached does not.
    #[test]
    fn the_smallest_limit_counts() {
        let (folder, left) = system(
            "0::/a/b\n",
            &[
                ("groups/a/b/memory.max", "max\n"),
                ("groups/a/b/memory.current", "5\n"),
                ("groups/a/memory.max", "1073741824\n"),
                ("groups/a/memory.current", "1073741824\n"),
                (
                    "groups/a/memory.stat",
                    "anon 1\ninactive_file 536870912\nactive_file 268435456\nslab_reclaimable 0\n",
                ),
            ],
        );
        assert_eq!(left.bytes >> 20, 768 + 1024);
        assert!(
            left.to_string()
                .ends_with(&format!("{}", folder.path().join("groups/a").display()))
        );
        let (_folder, left) = system(
            "9:name=systemd:/\n4:memory:/a\n0::/\n",
            &[
                ("groups/memory/a/memory.limit_in_bytes", "2147483648\n"),
                ("groups/memory/a/memory.usage_in_bytes", "1073741824\n"),
                (
                    "groups/memory/a/memory.stat",
                    "inactive_file 99999999999\ntotal_inactive_file 1048576\n",
                ),
            ],
        );
        assert_eq!(left.bytes >> 20, 1024 + 1 + 1024);
    }
}
