//! Devices: what a user calls them, which execution provider each one is, and which package it comes in.

use std::fmt;
use std::str::FromStr;

use ort::ep::{self, ExecutionProvider};

use super::package::{self, Package};

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

    /// Those that `auto` tries before the processor, the fastest first.
    pub fn accelerators() -> Vec<Self> {
        vec![
            Self::Cuda(0),
            Self::MiGraphX(0),
            Self::Rocm(0),
            Self::DirectMl(0),
            Self::CoreMl,
            Self::WebGpu(0),
        ]
    }

    /// The provider that must run every node, as the runtime calls it.
    pub fn provider(&self) -> &'static str {
        match self {
            Self::Cpu => "CPUExecutionProvider",
            Self::Cuda(_) => ep::CUDA::NAME,
            Self::TensorRt(_) => ep::TensorRT::NAME,
            Self::Rocm(_) => ep::ROCm::NAME,
            Self::MiGraphX(_) => ep::MIGraphX::NAME,
            Self::DirectMl(_) => ep::DirectML::NAME,
            Self::CoreMl => ep::CoreML::NAME,
            Self::OpenVino(_) => ep::OpenVINO::NAME,
            Self::WebGpu(_) => ep::WebGPU::NAME,
        }
    }

    /// The package that the runtime's library comes in, of those that are pinned.
    pub(super) fn package(&self) -> &'static Package {
        match self {
            Self::Cuda(_) | Self::TensorRt(_) => &package::NVIDIA,
            Self::OpenVino(_) => &package::OPENVINO,
            _ => &package::CPU,
        }
    }

    /// The package of the plugin that has the provider, where it comes as one.
    pub(super) fn plugin(&self) -> Option<&'static Package> {
        match self {
            Self::WebGpu(_) => Some(&package::WEBGPU),
            _ => None,
        }
    }

    /// Where a library with the provider comes from, if nothing that is pinned has it.
    pub(super) fn comes_from(&self) -> &'static str {
        match self {
            Self::Cpu | Self::WebGpu(_) => "the Python package onnxruntime",
            Self::OpenVino(_) => "the Python package onnxruntime-openvino",
            Self::Cuda(_) | Self::TensorRt(_) => {
                "the Python package onnxruntime-gpu (with its cuda and cudnn extras)"
            }
            Self::Rocm(_) => "the Python package onnxruntime-rocm",
            Self::MiGraphX(_) => "the Python package onnxruntime-migraphx",
            Self::DirectMl(_) => "the Python package onnxruntime-directml",
            Self::CoreMl => "the Python package onnxruntime on macOS",
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
