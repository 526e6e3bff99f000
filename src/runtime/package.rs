//! The Python packages that ONNX Runtime's libraries and providers come in, pinned. What is taken out of them lies in the cache.

use std::path::{Path, PathBuf};

use crate::fetch::{Cache, Entry, Staging, Wheel};
use crate::{Error, Result};

/// The version of ONNX Runtime that is fetched where none is found.
pub const PINNED: &str = "1.32.0";

/// A package for a platform.
struct Pin {
    os: &'static str,
    processor: &'static str,
    wheel: Wheel,
}

/// A package and what is in it.
pub struct Package {
    /// What the file that is loaded is called, without version and ending.
    pub file: &'static str,
    pins: &'static [Pin],
}

/// A pin, shortly: version, platform, size and hash of a wheel of a package, and what to take out of it.
const fn pin(
    [os, processor]: [&'static str; 2],
    [package, version]: [&'static str; 2],
    platform: &'static str,
    bytes: u64,
    sha256: &'static str,
    members: &'static [&'static str],
) -> Pin {
    Pin {
        os,
        processor,
        wheel: Wheel {
            package,
            version,
            platform: Some(platform),
            bytes,
            sha256,
            members,
        },
    }
}

const LINUX: [&str; 2] = ["linux", "x86_64"];
const LINUX_ARM: [&str; 2] = ["linux", "aarch64"];
const MACOS: [&str; 2] = ["macos", "aarch64"];
const WINDOWS: [&str; 2] = ["windows", "x86_64"];
const WINDOWS_ARM: [&str; 2] = ["windows", "aarch64"];

const RUNTIME: [&str; 2] = ["onnxruntime", PINNED];
const GPU: [&str; 2] = ["onnxruntime-gpu", "1.31.1"];
const WEB: [&str; 2] = ["onnxruntime-ep-webgpu", "0.4.0"];
const VINO: [&str; 2] = ["onnxruntime-openvino", "1.24.1"];

const LICENCES: [&str; 2] = ["onnxruntime/LICENSE", "onnxruntime/ThirdPartyNotices.txt"];
const RUNTIME_LINUX: &[&str] = &[
    "onnxruntime/capi/libonnxruntime.so.1.32.0",
    LICENCES[0],
    LICENCES[1],
];
const RUNTIME_MACOS: &[&str] = &[
    "onnxruntime/capi/libonnxruntime.1.32.0.dylib",
    LICENCES[0],
    LICENCES[1],
];
const RUNTIME_WINDOWS: &[&str] = &["onnxruntime/capi/onnxruntime.dll", LICENCES[0], LICENCES[1]];
/// All that a provider brings with it.
const WEB_ALL: &[&str] = &[
    "onnxruntime_ep_webgpu/",
    "onnxruntime_ep_webgpu-0.4.0.dist-info/licenses/",
];

/// ONNX Runtime with the processor, and with Core ML on macOS.
pub static CPU: Package = Package {
    file: "onnxruntime",
    pins: &[
        pin(
            LINUX,
            RUNTIME,
            "manylinux_2_28_x86_64",
            27_780_211,
            "99e1074c4b2197accd5073052a465361be17b89c093b8ffb6e6bd8f986c52df8",
            RUNTIME_LINUX,
        ),
        pin(
            LINUX_ARM,
            RUNTIME,
            "manylinux_2_28_aarch64",
            23_196_724,
            "e36c187006e7a7c8b8d6d57f1a209dd63f52430dca6c282b177718ad6b841054",
            RUNTIME_LINUX,
        ),
        pin(
            MACOS,
            RUNTIME,
            "macosx_14_0_arm64",
            22_519_308,
            "d52510bbbcc880c13b826f7d75cdf33ac5cf0bb864d960000fc29ce73f0cb83e",
            RUNTIME_MACOS,
        ),
        pin(
            WINDOWS,
            RUNTIME,
            "win_amd64",
            16_698_767,
            "efe7456952c243a05a53d5b8732953625144642c2f3989094277f6217f0c0c40",
            RUNTIME_WINDOWS,
        ),
        pin(
            WINDOWS_ARM,
            RUNTIME,
            "win_arm64",
            16_030_610,
            "64d394c69d561af3efd4d4f49dcac8f11d0ce135a20701c16d53b74056cd4cf8",
            RUNTIME_WINDOWS,
        ),
    ],
};

/// ONNX Runtime with CUDA and TensorRT.
pub static NVIDIA: Package = Package {
    file: "onnxruntime",
    pins: &[
        pin(
            LINUX,
            GPU,
            "manylinux_2_28_x86_64",
            255_569_273,
            "05d548956197b9d01f59b625de740e0d6be3593f874e241a12dc0362650ecdf7",
            &[
                "onnxruntime/capi/libonnxruntime.so.1.31.1",
                "onnxruntime/capi/libonnxruntime_providers_shared.so",
                "onnxruntime/capi/libonnxruntime_providers_cuda.so",
                "onnxruntime/capi/libonnxruntime_providers_tensorrt.so",
                LICENCES[0],
                LICENCES[1],
            ],
        ),
        pin(
            WINDOWS,
            GPU,
            "win_amd64",
            168_098_228,
            "2bb1e9373baba88f6415257f5b6a589d23e23c16004f7d89adf4344eada5749e",
            &[
                "onnxruntime/capi/onnxruntime.dll",
                "onnxruntime/capi/onnxruntime_providers_shared.dll",
                "onnxruntime/capi/onnxruntime_providers_cuda.dll",
                "onnxruntime/capi/onnxruntime_providers_tensorrt.dll",
                LICENCES[0],
                LICENCES[1],
            ],
        ),
    ],
};

/// The WebGPU provider as a plugin.
pub static WEBGPU: Package = Package {
    file: "onnxruntime_providers_webgpu",
    pins: &[
        pin(
            LINUX,
            WEB,
            "manylinux_2_28_x86_64",
            6_892_120,
            "5d8c961eda91a88961cad1fb7621f389f006b18497d6ea9ecf96f729f066cbfb",
            WEB_ALL,
        ),
        pin(
            LINUX_ARM,
            WEB,
            "manylinux_2_28_aarch64",
            6_096_222,
            "17f660db53b1a509c63e721ac6784a2daa1c4e91a968523ee9986505ee5b0a55",
            WEB_ALL,
        ),
        pin(
            MACOS,
            WEB,
            "macosx_14_0_universal2",
            5_200_679,
            "8d0a91d44b43d931c3068b9134aed9770f27803e353c2b58c93e1700bb68bcca",
            WEB_ALL,
        ),
        pin(
            WINDOWS,
            WEB,
            "win_amd64",
            13_149_847,
            "7db646669d1a2390551da675115ea125e68cb3d4d2c3a2d6e463372bf8d6ea87",
            WEB_ALL,
        ),
        pin(
            WINDOWS_ARM,
            WEB,
            "win_arm64",
            14_194_630,
            "a9586f6744370776059edd794c11bca2f563258a5bd2707864aefff31d3af39f",
            WEB_ALL,
        ),
    ],
};

/// ONNX Runtime with OpenVINO.
pub static OPENVINO: Package = Package {
    file: "onnxruntime",
    pins: &[pin(
        LINUX,
        VINO,
        "manylinux_2_28_x86_64",
        84_433_207,
        "d617fac2f59a6ab5ea59a788c3e1592240a129642519aaeaa774761dfe35150e",
        &[
            "onnxruntime/capi/libonnxruntime.so.1.24.1",
            "onnxruntime/capi/libonnxruntime_providers_shared.so",
            "onnxruntime/capi/libonnxruntime_providers_openvino.so",
            "onnxruntime/capi/libopenvino.so.2541",
            "onnxruntime/capi/libopenvino_auto_plugin.so",
            "onnxruntime/capi/libopenvino_hetero_plugin.so",
            "onnxruntime/capi/libopenvino_intel_cpu_plugin.so",
            "onnxruntime/capi/libopenvino_intel_gpu_plugin.so",
            "onnxruntime/capi/libopenvino_intel_npu_plugin.so",
            "onnxruntime/capi/libopenvino_onnx_frontend.so.2541",
            "onnxruntime/capi/libtbb.so.12",
            LICENCES[0],
            LICENCES[1],
        ],
    )],
};

impl Package {
    /// Whether a name is that of a cache's entry, of whatever version and platform.
    pub fn is_entry(&self, name: &str) -> bool {
        let rest = name.strip_prefix(self.pins[0].wheel.package);
        let version = rest.and_then(|rest| rest.strip_prefix('-'));
        version.is_some_and(|version| version.starts_with(|c: char| c.is_ascii_digit()))
    }

    /// The wheel for this platform.
    fn wheel(&self) -> Option<&'static Wheel> {
        let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
        let mut pins = self.pins.iter();
        let pin = pins.find(|pin| pin.os == os && pin.processor == processor);
        pin.map(|pin| &pin.wheel)
    }

    /// The name and the version, as pip says them.
    pub fn name(&self) -> String {
        let wheel = &self.pins[0].wheel;
        format!("{}=={}", wheel.package, wheel.version)
    }

    /// The name of the cache's entry.
    pub fn entry_name(&self) -> String {
        let wheel = &self.pins[0].wheel;
        format!(
            "{}-{}-{}-{}",
            wheel.package,
            wheel.version,
            std::env::consts::OS,
            std::env::consts::ARCH
        )
    }

    /// Whether a file name is that of the file that is loaded, not of one that it loads.
    pub fn is_library(&self, name: &str) -> bool {
        let stem = self.file;
        let rest = name.strip_prefix("lib").unwrap_or(name);
        let Some(rest) = rest.strip_prefix(stem) else {
            return false;
        };
        rest == ".dll"
            || rest.starts_with(".so")
            || rest.starts_with('.') && rest.ends_with(".dylib")
    }

    /// The file to load, if the cache has it.
    ///
    /// # Errors
    /// A corrupt cache entry.
    pub fn find(&self, cache: &Cache) -> Result<Option<PathBuf>> {
        let entry = cache.find(&self.entry_name())?;
        Ok(entry.and_then(|entry| self.library(&entry.used())))
    }

    /// The file to load; fetched into the cache where it is not there, or anew where `again` says so.
    ///
    /// # Errors
    /// A platform without a wheel, with the remedy `remedy`; a fetch that fails.
    pub fn fetch(&self, cache: &Cache, again: bool, remedy: &str) -> Result<PathBuf> {
        let missing = |reason: String| Error::Fetch {
            what: format!("{} from PyPI", self.name()),
            reason,
            remedy: remedy.to_owned(),
        };
        let wheel = self.wheel().ok_or_else(|| {
            let (os, processor) = (std::env::consts::OS, std::env::consts::ARCH);
            missing(format!("no wheel for {os} on {processor}"))
        })?;
        let fill = |staging: &Staging| wheel.fetch_into(staging);
        let entry = match again {
            true => cache.renew(&self.entry_name(), fill)?,
            false => cache.entry(&self.entry_name(), fill)?,
        };
        self.library(&entry)
            .ok_or_else(|| missing(format!("the wheel has no {}", self.file)))
    }

    /// The file to load, if the package is among these packages of a Python environment, in the version that is pinned.
    pub fn installed_in(&self, packages: &Path) -> Option<PathBuf> {
        let members = self.wheel()?.members.iter();
        let members: Vec<PathBuf> = members.map(|member| packages.join(member)).collect();
        if !members.iter().all(|member| member.exists()) {
            return None;
        }
        let files = members.into_iter().flat_map(|member| {
            let inside = std::fs::read_dir(&member).map(|items| items.flatten());
            match inside {
                Ok(items) => items.map(|item| item.path()).collect(),
                Err(_) => vec![member],
            }
        });
        let is_library = |file: &PathBuf| {
            let name = file.file_name().unwrap_or_default();
            self.is_library(&name.to_string_lossy())
        };
        files
            .filter(is_library)
            .min_by_key(|file| file.as_os_str().len())
    }

    fn library(&self, entry: &Entry) -> Option<PathBuf> {
        let mut files: Vec<&str> = entry.files().filter(|file| self.is_library(file)).collect();
        files.sort_by_key(|file| file.len());
        files.first().map(|file| entry.path(file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(&CPU, "libonnxruntime.so.1.32.0", true)]
    #[case(&CPU, "libonnxruntime.1.32.0.dylib", true)]
    #[case(&CPU, "onnxruntime.dll", true)]
    #[case(&CPU, "libonnxruntime_providers_cuda.so", false)]
    #[case(&CPU, "onnxruntime_providers_shared.dll", false)]
    #[case(&OPENVINO, "libonnxruntime.so.1.24.1", true)]
    #[case(&OPENVINO, "libonnxruntime_providers_openvino.so", false)]
    #[case(&OPENVINO, "libopenvino.so.2541", false)]
    #[case(&WEBGPU, "libonnxruntime_providers_webgpu.so", true)]
    #[case(&WEBGPU, "dxil.dll", false)]
    fn what_is_loaded(#[case] package: &Package, #[case] file: &str, #[case] is: bool) {
        assert_eq!(package.is_library(file), is);
    }

    /// Two packages share a folder where both are installed; each is found by its own files, and none by a part of them.
    #[rstest]
    #[case(&CPU)]
    #[case(&NVIDIA)]
    #[case(&OPENVINO)]
    #[case(&WEBGPU)]
    fn an_installed_package_is_found_by_its_files(#[case] package: &Package) {
        let folder = tempfile::tempdir().unwrap();
        let write = |member: &str| {
            let path = folder.path().join(member);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        };
        let Some(wheel) = package.wheel() else {
            return;
        };
        let library = |folder: &str| format!("{folder}lib{}.so", package.file);
        for member in wheel.members {
            assert_eq!(package.installed_in(folder.path()), None, "before {member}");
            match member.ends_with('/') {
                true => write(&library(member)),
                false => write(member),
            }
        }
        write("onnxruntime/capi/libonnxruntime.so.1.99.0");
        let found = package.installed_in(folder.path()).unwrap();
        let member = found.strip_prefix(folder.path()).unwrap();
        let member = member.to_str().unwrap().replace('\\', "/");
        let own = |of: &&str| *of == member || library(of) == member;
        assert!(wheel.members.iter().any(own), "{member}");
    }
}
