//! The Python environment that the program was installed into as a package, if it was: its packages and its Python, without asking any
//! Python where they are.

use std::path::{Path, PathBuf};

/// A Python environment: one that `venv`, pipx or uv made, a user's or a system's.
#[derive(Clone, Debug)]
pub struct PythonEnvironment {
    folder: PathBuf,
}

impl PythonEnvironment {
    /// The environment in whose folder of programs this program lies; packages lie where the environment has them.
    pub fn of_program() -> Option<Self> {
        let program = std::env::current_exe().ok()?;
        // Where the program was started by a link, as from the folder of `uv tool`, its own folder counts.
        Self::around(&program.canonicalize().unwrap_or(program))
    }

    /// The environment whose program this is.
    fn around(program: &Path) -> Option<Self> {
        let programs = program.parent()?;
        let known = |name: &str| programs.file_name().is_some_and(|found| found == name);
        let folder = (known("bin") || known("Scripts")).then(|| programs.parent())??;
        let environment = Self {
            folder: folder.to_owned(),
        };
        (!environment.packages().is_empty()).then_some(environment)
    }

    /// The folders of its packages; those of the newest Python first.
    pub fn packages(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        for library in ["lib", "lib64"].map(|name| self.folder.join(name)) {
            let mut pythons = versions(&library);
            pythons.sort_by(|a, b| b.cmp(a));
            let folders = pythons.into_iter().map(|(_, folder)| folder);
            found.extend(folders.flat_map(|folder| {
                // Debian has its system's packages under the second name.
                ["site-packages", "dist-packages"].map(|name| folder.join(name))
            }));
        }
        // As Windows has them: an environment's or a system's, and a user's.
        found.push(self.folder.join("Lib").join("site-packages"));
        found.push(self.folder.join("site-packages"));
        found.retain(|folder| folder.is_dir());
        found
    }

    /// The Python of the environment.
    pub fn python(&self) -> Option<PathBuf> {
        let places = [
            "bin/python3",
            "bin/python",
            "Scripts/python.exe",
            "python.exe",
        ];
        let mut places = places.iter().map(|place| self.folder.join(place));
        places.find(|place| place.is_file())
    }
}

/// The folders `python3.N` in a folder, with their N.
fn versions(folder: &Path) -> Vec<(u32, PathBuf)> {
    let items = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let version = |path: &Path| {
        let name = path.file_name()?.to_str()?;
        name.strip_prefix("python3.")?.parse().ok()
    };
    let paths = items.map(|item| item.path());
    paths
        .filter_map(|path| Some((version(&path)?, path)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("bin/af1", "lib/python3.11/site-packages")]
    #[case("bin/af1", "lib64/python3.12/site-packages")]
    #[case("bin/af1", "lib/python3.11/dist-packages")]
    #[case("Scripts/af1.exe", "Lib/site-packages")]
    #[case("Scripts/af1.exe", "site-packages")]
    fn packages_lie_beside_the_program(#[case] program: &str, #[case] packages: &str) {
        let folder = tempfile::tempdir().unwrap();
        let packages = folder.path().join(packages);
        std::fs::create_dir_all(&packages).unwrap();
        let found = PythonEnvironment::around(&folder.path().join(program)).unwrap();
        assert_eq!(found.packages(), [packages]);
    }

    #[test]
    fn the_newest_python_comes_first() {
        let folder = tempfile::tempdir().unwrap();
        let packages = ["9", "12", "11"].map(|minor| format!("lib/python3.{minor}/site-packages"));
        for one in &packages {
            std::fs::create_dir_all(folder.path().join(one)).unwrap();
        }
        let found = PythonEnvironment::around(&folder.path().join("bin/af1")).unwrap();
        let expected = [1, 2, 0].map(|i: usize| folder.path().join(&packages[i]));
        assert_eq!(found.packages(), expected);
    }

    /// `cargo install` and a build put the program into folders that are no environment.
    #[rstest]
    #[case("bin/af1", "lib")]
    #[case("target/release/af1", "target/lib/python3.11/site-packages")]
    fn elsewhere_is_no_environment(#[case] program: &str, #[case] other: &str) {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(folder.path().join(other)).unwrap();
        assert!(PythonEnvironment::around(&folder.path().join(program)).is_none());
    }
}
