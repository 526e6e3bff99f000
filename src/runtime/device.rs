//! Devices: what a user calls them and which execution provider each one is.

use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider, ExecutionProviderDispatch};

use crate::{Error, Result};

/// Where a model runs. Chosen once, by the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// NVIDIA's CUDA.
    Cuda(u16),
    /// NVIDIA's TensorRT.
    TensorRt(u16),
    /// AMD's ROCm.
    Rocm(u16),
    /// AMD's MIGraphX.
    MiGraphX(u16),
    /// Windows' DirectML.
    DirectMl(u16),
    /// Apple's Core ML.
    CoreMl,
    /// Intel's OpenVINO, on the device type of that name (`CPU`, `GPU`).
    OpenVino(String),
    /// WebGPU.
    WebGpu(u16),
}

/// The devices as the command line names them.
const NAMES: &str = "cpu, cuda[:id], tensorrt[:id], rocm[:id], migraphx[:id], directml[:id], coreml, openvino[:type], webgpu[:id]";

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (name, option) = match text.split_once(':') {
            Some((name, option)) => (name, Some(option)),
            None => (text, None),
        };
        let unknown = || format!("unknown device {text:?}; expected one of {NAMES}");
        let id = || option.unwrap_or("0").parse::<u16>().map_err(|_| unknown());
        match name.to_ascii_lowercase().as_str() {
            "cpu" if option.is_none() => Ok(Self::Cpu),
            "cuda" => id().map(Self::Cuda),
            "tensorrt" => id().map(Self::TensorRt),
            "rocm" => id().map(Self::Rocm),
            "migraphx" => id().map(Self::MiGraphX),
            "directml" => id().map(Self::DirectMl),
            "coreml" if option.is_none() => Ok(Self::CoreMl),
            "openvino" => Ok(Self::OpenVino(option.unwrap_or("CPU").to_ascii_uppercase())),
            "webgpu" => id().map(Self::WebGpu),
            _ => Err(unknown()),
        }
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cpu => f.write_str("cpu"),
            Self::Cuda(id) => write!(f, "cuda:{id}"),
            Self::TensorRt(id) => write!(f, "tensorrt:{id}"),
            Self::Rocm(id) => write!(f, "rocm:{id}"),
            Self::MiGraphX(id) => write!(f, "migraphx:{id}"),
            Self::DirectMl(id) => write!(f, "directml:{id}"),
            Self::CoreMl => f.write_str("coreml"),
            Self::OpenVino(kind) => write!(f, "openvino:{}", kind.to_ascii_lowercase()),
            Self::WebGpu(id) => write!(f, "webgpu:{id}"),
        }
    }
}

/// What registering a provider needs: its name and whether the library has it, the provider itself, and where a
/// library that has it comes from.
type Row = (
    &'static str,
    ort::Result<bool>,
    ExecutionProviderDispatch,
    &'static str,
);

impl Device {
    /// One of each kind, as its default.
    pub fn all() -> Vec<Self> {
        vec![
            Self::Cpu,
            Self::Cuda(0),
            Self::TensorRt(0),
            Self::Rocm(0),
            Self::MiGraphX(0),
            Self::DirectMl(0),
            Self::CoreMl,
            Self::OpenVino("CPU".to_owned()),
            Self::WebGpu(0),
        ]
    }

    fn row(&self) -> Option<Row> {
        fn row<P: ExecutionProvider>(
            provider: ExecutionProviderDispatch,
            from: &'static str,
        ) -> Row {
            (
                P::NAME,
                P::is_available(),
                provider.error_on_failure(),
                from,
            )
        }
        let nvidia = "the Python package onnxruntime-gpu (with its cuda and cudnn extras)";
        let id = |id: u16| i32::from(id);
        Some(match self {
            Self::Cpu => return None,
            Self::Cuda(n) => {
                row::<ep::CUDA>(ep::CUDA::default().with_device_id(id(*n)).build(), nvidia)
            }
            Self::TensorRt(n) => row::<ep::TensorRT>(
                ep::TensorRT::default().with_device_id(id(*n)).build(),
                nvidia,
            ),
            Self::Rocm(n) => row::<ep::ROCm>(
                ep::ROCm::default().with_device_id(id(*n)).build(),
                "the Python package onnxruntime-rocm",
            ),
            Self::MiGraphX(n) => row::<ep::MIGraphX>(
                ep::MIGraphX::default().with_device_id(id(*n)).build(),
                "the Python package onnxruntime-migraphx",
            ),
            Self::DirectMl(n) => row::<ep::DirectML>(
                ep::DirectML::default().with_device_id(id(*n)).build(),
                "the Python package onnxruntime-directml",
            ),
            Self::CoreMl => row::<ep::CoreML>(
                ep::CoreML::default().build(),
                "the Python package onnxruntime on macOS",
            ),
            Self::OpenVino(kind) => row::<ep::OpenVINO>(
                ep::OpenVINO::default().with_device_type(kind).build(),
                "the Python package onnxruntime-openvino",
            ),
            Self::WebGpu(n) => row::<ep::WebGPU>(
                ep::WebGPU::default().with_device_id(id(*n)).build(),
                "a build of ONNX Runtime with the WebGPU provider",
            ),
        })
    }

    /// The provider that must run every node.
    pub fn provider(&self) -> &'static str {
        self.row().map_or("CPUExecutionProvider", |row| row.0)
    }

    /// The provider to register, or `None` for the processor, which needs none.
    ///
    /// # Errors
    /// A library that was built without the provider.
    pub(super) fn registration(
        &self,
        library: &std::path::Path,
    ) -> Result<Option<ExecutionProviderDispatch>> {
        let Some((name, available, provider, from)) = self.row() else {
            return Ok(None);
        };
        match available {
            Ok(true) => Ok(Some(provider)),
            Ok(false) => Err(Error::Device {
                device: self.to_string(),
                reason: format!("{} was built without {name}", library.display()),
                remedy: format!(
                    "install {from} and set {} to its library, or use --device cpu",
                    super::DYLIB_VARIABLE
                ),
            }),
            Err(e) => Err(self.failure(&e)),
        }
    }

    /// Whether a session can be made on the device with this runtime; the reason where it cannot.
    ///
    /// # Errors
    /// A library without the provider, or a provider that fails, because its driver or libraries are missing.
    pub fn check(&self, runtime: &super::Runtime) -> Result<()> {
        let Some(provider) = self.registration(&runtime.library().path)? else {
            return Ok(());
        };
        let builder =
            ort::session::Session::builder(&runtime.environment).map_err(|e| self.failure(&e))?;
        builder
            .with_execution_providers([provider])
            .map_err(|e| self.failure(&e))?;
        Ok(())
    }

    pub(super) fn failure(&self, error: &dyn fmt::Display) -> Error {
        Error::Device {
            device: self.to_string(),
            reason: format!("{} failed: {}", self.provider(), super::part::first_line(error)),
            remedy: "install the driver and the libraries that the message names (see `af1 doctor`), or use \
                     --device cpu"
                .to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("cpu", "cpu")]
    #[case("cuda", "cuda:0")]
    #[case("CUDA:3", "cuda:3")]
    #[case("tensorrt:1", "tensorrt:1")]
    #[case("openvino", "openvino:cpu")]
    #[case("openvino:gpu", "openvino:gpu")]
    #[case("webgpu", "webgpu:0")]
    fn names(#[case] given: &str, #[case] shown: &str) {
        assert_eq!(given.parse::<Device>().unwrap().to_string(), shown);
    }

    #[rstest]
    #[case("gpu")]
    #[case("cuda:x")]
    #[case("cpu:1")]
    #[case("coreml:0")]
    #[case("")]
    fn refused(#[case] given: &str) {
        assert!(given.parse::<Device>().unwrap_err().contains("cuda[:id]"));
    }
}
