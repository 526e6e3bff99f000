//! The execution providers, as rows of a table: to add one, write a row (and name its feature of `ort` in `Cargo.toml`).

use std::fmt;

use ort::ep::{self, ArenaExtendStrategy, ExecutionProvider, ExecutionProviderDispatch};
use ort::memory::AllocationDevice;

use super::package::{self, Package};

/// An execution provider: what its devices are called, where it comes from, and how a session gets it.
pub struct Provider {
    /// What a user calls its devices, before the colon.
    pub word: &'static str,
    /// What stands behind the colon.
    pub which: Which,
    /// The provider as the runtime calls it.
    pub name: &'static str,
    /// The place among those that `auto` tries, the fastest first, if the provider is one of them.
    pub auto: Option<u8>,
    /// The package that the runtime's library comes in, of those that are pinned.
    pub package: &'static Package,
    /// The package of the plugin that has the provider, where it comes as one.
    pub plugin: Option<&'static Package>,
    /// Where a library with the provider comes from, if nothing that is pinned has it.
    pub comes_from: &'static str,
    /// What to do where there is no such device, if it is not to get a library.
    pub absent: Option<&'static str>,
    /// What to do where the provider fails.
    pub failing: &'static str,
    /// The options that its devices have.
    pub options: Options,
    /// The memory in which outputs stay where the provider is built into the runtime's library, if it is not the host's.
    pub memory: Option<AllocationDevice<'static>>,
    /// What a session is told where the provider comes as a plugin.
    pub plugin_settings: &'static [(&'static str, &'static str)],
    /// The provider as it is built into the library; `None` for the processor, which every session has.
    pub built_in: Option<fn(&Settings<'_>) -> BuiltIn>,
}

/// What tells a provider's devices from each other, with what is taken where nothing is given.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Which {
    /// A number, 0 first.
    Id,
    /// The type of its hardware.
    Type(&'static str),
    /// There is only one.
    Only,
}

/// A device among those of its provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Choice {
    /// The one with that number.
    Id(u16),
    /// The one on the hardware of that type (`CPU`, `GPU`).
    Type(String),
    /// The only one.
    Only,
}

/// Which options devices of a provider have.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// A limit of the device's memory, and of what it is one.
    pub memory: Option<Limit>,
    /// A folder in which compiled engines are kept.
    pub engine_cache: bool,
    /// Products of f32 matrices that are rounded to TF32.
    pub tf32: bool,
}

/// What a limit of a device's memory is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// All that the runtime takes there, weights among them.
    Arena,
    /// What is taken while a session is made, and not what it keeps.
    Workspace,
}

/// What a provider is made with.
pub struct Settings<'a> {
    /// The device.
    pub choice: &'a Choice,
    /// The limit of the device's memory, in bytes.
    pub memory: Option<usize>,
    /// The folder in which compiled engines are kept.
    pub engine_cache: Option<String>,
    /// Whether products of f32 matrices may be rounded to TF32.
    pub tf32: bool,
}

/// A provider as it is built into a library.
pub struct BuiltIn {
    /// Whether the library has it.
    pub there: ort::Result<bool>,
    /// What a session is given.
    pub provider: ExecutionProviderDispatch,
}

impl BuiltIn {
    fn of<P: ExecutionProvider>(provider: ExecutionProviderDispatch) -> Self {
        Self {
            there: P::is_available(),
            provider: provider.error_on_failure(),
        }
    }
}

impl Settings<'_> {
    /// The number of the device.
    fn id(&self) -> i32 {
        match self.choice {
            Choice::Id(id) => (*id).into(),
            Choice::Type(_) | Choice::Only => 0,
        }
    }
}

impl PartialEq for Provider {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Eq for Provider {}

impl fmt::Debug for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

/// What to do where nothing better is known.
const DRIVER: &str =
    "install the driver and the libraries that the message names, or use --device cpu";

/// What NVIDIA's providers need.
const NVIDIA: &str = "install NVIDIA's driver, CUDA and cuDNN (TensorRT too for tensorrt) where the system's loader finds them \
     (`pip install 'onnxruntime-gpu[cuda,cudnn]'` has the latter two: put their lib folders on LD_LIBRARY_PATH), \
     or use --device cpu";

/// Where NVIDIA's providers come from.
const FROM_NVIDIA: &str = "the Python package onnxruntime-gpu (with its cuda and cudnn extras)";

/// The options of a provider that has none.
const NONE: Options = Options {
    memory: None,
    engine_cache: false,
    tf32: false,
};

/// All providers, the processor first.
pub static TABLE: &[Provider] = &[
    Provider {
        word: "cpu",
        which: Which::Only,
        name: "CPUExecutionProvider",
        auto: None,
        package: &package::CPU,
        plugin: None,
        comes_from: "the Python package onnxruntime",
        absent: None,
        failing: DRIVER,
        options: Options {
            memory: Some(Limit::Arena),
            ..NONE
        },
        memory: None,
        plugin_settings: &[],
        built_in: None,
    },
    // NVIDIA's CUDA.
    Provider {
        word: "cuda",
        which: Which::Id,
        name: ep::CUDA::NAME,
        auto: Some(0),
        package: &package::NVIDIA,
        plugin: None,
        comes_from: FROM_NVIDIA,
        absent: None,
        failing: NVIDIA,
        options: Options {
            memory: Some(Limit::Arena),
            tf32: true,
            ..NONE
        },
        memory: Some(AllocationDevice::CUDA),
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::CUDA::default()
                .with_device_id(settings.id())
                .with_tf32(settings.tf32)
                .with_arena_extend_strategy(ArenaExtendStrategy::SameAsRequested);
            if let Some(limit) = settings.memory {
                provider = provider.with_memory_limit(limit);
            }
            BuiltIn::of::<ep::CUDA>(provider.build())
        }),
    },
    // NVIDIA's TensorRT.
    Provider {
        word: "tensorrt",
        which: Which::Id,
        name: ep::TensorRT::NAME,
        auto: None,
        package: &package::NVIDIA,
        plugin: None,
        comes_from: FROM_NVIDIA,
        absent: None,
        failing: NVIDIA,
        options: Options {
            memory: Some(Limit::Workspace),
            engine_cache: true,
            ..NONE
        },
        memory: Some(AllocationDevice::CUDA),
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::TensorRT::default().with_device_id(settings.id());
            if let Some(limit) = settings.memory {
                provider = provider.with_max_workspace_size(limit);
            }
            if let Some(folder) = &settings.engine_cache {
                provider = provider
                    .with_engine_cache(true)
                    .with_engine_cache_path(folder);
            }
            BuiltIn::of::<ep::TensorRT>(provider.build())
        }),
    },
    // AMD's ROCm.
    Provider {
        word: "rocm",
        which: Which::Id,
        name: ep::ROCm::NAME,
        auto: Some(2),
        package: &package::CPU,
        plugin: None,
        comes_from: "the Python package onnxruntime-rocm",
        absent: None,
        failing: DRIVER,
        options: Options {
            memory: Some(Limit::Arena),
            ..NONE
        },
        memory: Some(AllocationDevice::HIP),
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::ROCm::default().with_device_id(settings.id());
            if let Some(limit) = settings.memory {
                provider = provider.with_mem_limit(limit);
            }
            BuiltIn::of::<ep::ROCm>(provider.build())
        }),
    },
    // AMD's MIGraphX.
    Provider {
        word: "migraphx",
        which: Which::Id,
        name: ep::MIGraphX::NAME,
        auto: Some(1),
        package: &package::CPU,
        plugin: None,
        comes_from: "the Python package onnxruntime-migraphx",
        absent: None,
        failing: DRIVER,
        options: Options {
            memory: Some(Limit::Arena),
            ..NONE
        },
        memory: Some(AllocationDevice::HIP),
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::MIGraphX::default().with_device_id(settings.id());
            if let Some(limit) = settings.memory {
                provider = provider.with_mem_limit(limit);
            }
            BuiltIn::of::<ep::MIGraphX>(provider.build())
        }),
    },
    // Windows' DirectML.
    Provider {
        word: "directml",
        which: Which::Id,
        name: ep::DirectML::NAME,
        auto: Some(3),
        package: &package::CPU,
        plugin: None,
        comes_from: "the Python package onnxruntime-directml",
        absent: None,
        failing: DRIVER,
        options: NONE,
        memory: Some(AllocationDevice::DIRECTML),
        plugin_settings: &[],
        built_in: Some(|settings| {
            let provider = ep::DirectML::default().with_device_id(settings.id());
            BuiltIn::of::<ep::DirectML>(provider.build())
        }),
    },
    // Apple's Core ML.
    Provider {
        word: "coreml",
        which: Which::Only,
        name: ep::CoreML::NAME,
        auto: Some(4),
        package: &package::CPU,
        plugin: None,
        comes_from: "the Python package onnxruntime on macOS",
        absent: None,
        failing: DRIVER,
        options: Options {
            engine_cache: true,
            ..NONE
        },
        memory: None,
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::CoreML::default();
            if let Some(folder) = &settings.engine_cache {
                provider = provider.with_model_cache_dir(folder);
            }
            BuiltIn::of::<ep::CoreML>(provider.build())
        }),
    },
    // Intel's OpenVINO.
    Provider {
        word: "openvino",
        which: Which::Type("CPU"),
        name: ep::OpenVINO::NAME,
        auto: None,
        package: &package::OPENVINO,
        plugin: None,
        comes_from: "the Python package onnxruntime-openvino",
        absent: None,
        failing: DRIVER,
        options: Options {
            engine_cache: true,
            ..NONE
        },
        memory: None,
        plugin_settings: &[],
        built_in: Some(|settings| {
            let mut provider = ep::OpenVINO::default();
            if let Choice::Type(hardware) = settings.choice {
                provider = provider.with_device_type(hardware);
            }
            if let Some(folder) = &settings.engine_cache {
                provider = provider.with_cache_dir(folder);
            }
            BuiltIn::of::<ep::OpenVINO>(provider.build())
        }),
    },
    Provider {
        word: "webgpu",
        which: Which::Id,
        name: ep::WebGPU::NAME,
        auto: Some(5),
        package: &package::CPU,
        plugin: Some(&package::WEBGPU),
        comes_from: "the Python package onnxruntime",
        absent: Some(
            "install a Vulkan driver (Linux: a Debian package such as mesa-vulkan-drivers; without a GPU \
             a software driver, which is taken only where ORT_WEBGPU_EP_ALLOW_SOFTWARE_ADAPTER=1), or use --device cpu",
        ),
        failing: DRIVER,
        options: NONE,
        memory: None,
        // Positions are 64-bit integers: casting them is left to the processor otherwise.
        plugin_settings: &[("enableInt64", "1")],
        built_in: Some(|settings| {
            let provider = ep::WebGPU::default().with_device_id(settings.id());
            BuiltIn::of::<ep::WebGPU>(provider.build())
        }),
    },
];

impl Provider {
    /// The processor's.
    pub fn processor() -> &'static Self {
        &TABLE[0]
    }

    /// What a user calls its devices, with what may stand behind the colon.
    pub fn usage(&self) -> String {
        let option = match self.which {
            Which::Id => "[:id]",
            Which::Type(_) => "[:type]",
            Which::Only => "",
        };
        format!("{}{option}", self.word)
    }

    /// The device that is taken where nothing stands behind the colon.
    pub fn first(&self) -> Choice {
        match self.which {
            Which::Id => Choice::Id(0),
            Which::Type(hardware) => Choice::Type(hardware.to_owned()),
            Which::Only => Choice::Only,
        }
    }

    /// The device that `option`, what stands behind the colon, is; `None` where it is none.
    pub fn choice(&self, option: Option<&str>) -> Option<Choice> {
        match (self.which, option) {
            (_, None) => Some(self.first()),
            (Which::Id, Some(id)) => id.parse().ok().map(Choice::Id),
            (Which::Type(_), Some(hardware)) => Some(Choice::Type(hardware.to_ascii_uppercase())),
            (Which::Only, Some(_)) => None,
        }
    }
}

/// Whose devices have an option: first the processor, then those of which a machine can have several.
pub fn with_option(option: impl Fn(&Options) -> bool) -> Vec<&'static str> {
    let mut have: Vec<&Provider> = TABLE.iter().filter(|of| option(&of.options)).collect();
    have.sort_by_key(|of| (of.built_in.is_some(), of.which));
    have.iter().map(|of| of.word).collect()
}

/// The same in words.
pub fn who_has(option: impl Fn(&Options) -> bool) -> String {
    match with_option(option).split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "none".to_owned(),
    }
}

/// The packages of all providers, each once.
pub fn packages() -> Vec<&'static Package> {
    let mut all: Vec<&Package> = Vec::new();
    for package in TABLE.iter().flat_map(|of| [Some(of.package), of.plugin]) {
        all.extend(package.filter(|new| !all.iter().any(|known| std::ptr::eq(*known, *new))));
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_consistent() {
        let processor = TABLE.iter().filter(|of| of.built_in.is_none());
        assert!(processor.eq([Provider::processor()]));
        let words: std::collections::BTreeSet<&str> = TABLE.iter().map(|of| of.word).collect();
        assert_eq!(words.len(), TABLE.len(), "a word stands for one provider");
        let mut places: Vec<u8> = TABLE.iter().filter_map(|of| of.auto).collect();
        places.sort_unstable();
        assert!(
            places.iter().copied().eq(0..places.len() as u8),
            "{places:?}"
        );
    }

    #[test]
    fn whose_options_are_named() {
        assert_eq!(
            who_has(|of| of.memory.is_some()),
            "cpu, cuda, tensorrt, rocm and migraphx"
        );
        assert_eq!(
            who_has(|of| of.engine_cache),
            "tensorrt, openvino and coreml"
        );
        assert_eq!(who_has(|of| of.tf32), "cuda");
    }
}
