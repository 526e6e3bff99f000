//! Devices: what a user calls them, and which execution provider each one is of.

use std::fmt;
use std::str::FromStr;

use super::package::Package;
use super::provider::{Choice, Provider, TABLE};

/// Where a model runs. Chosen once, by the command line.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Device {
    /// The processor.
    #[default]
    Cpu,
    /// A device of an execution provider.
    Of(&'static Provider, Choice),
}

impl FromStr for Device {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (word, option) = match text.split_once(':') {
            Some((word, option)) => (word.to_ascii_lowercase(), Some(option)),
            None => (text.to_ascii_lowercase(), None),
        };
        let provider = TABLE.iter().find(|of| of.word == word);
        let found = provider.and_then(|of| Some(Self::new(of, of.choice(option)?)));
        found.ok_or_else(|| format!("unknown device {text:?}; expected one of {}", Self::usage()))
    }
}

impl fmt::Display for Device {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.row().word)?;
        match self {
            Self::Cpu | Self::Of(_, Choice::Only) => Ok(()),
            Self::Of(_, Choice::Id(id)) => write!(f, ":{id}"),
            Self::Of(_, Choice::Type(hardware)) => write!(f, ":{}", hardware.to_ascii_lowercase()),
        }
    }
}

impl Device {
    fn new(provider: &'static Provider, choice: Choice) -> Self {
        match provider == Provider::processor() {
            true => Self::Cpu,
            false => Self::Of(provider, choice),
        }
    }

    /// A device of each kind, as its default.
    pub fn all() -> Vec<Self> {
        let all = TABLE.iter().map(|of| Self::new(of, of.first()));
        all.collect()
    }

    /// How devices are called, in the order of the table: `cpu, cuda[:id], ...`.
    pub fn usage() -> String {
        let known: Vec<String> = TABLE.iter().map(Provider::usage).collect();
        known.join(", ")
    }

    /// The devices that `auto` tries before the processor, the fastest first.
    pub fn accelerators() -> Vec<Self> {
        let mut tried: Vec<&Provider> = TABLE.iter().filter(|of| of.auto.is_some()).collect();
        tried.sort_by_key(|of| of.auto);
        (tried.into_iter().map(|of| Self::new(of, of.first()))).collect()
    }

    /// The row of the device's provider in the table.
    pub(super) fn row(&self) -> &'static Provider {
        match self {
            Self::Cpu => Provider::processor(),
            Self::Of(provider, _) => provider,
        }
    }

    /// The provider that must run every node, as the runtime calls it.
    pub fn provider(&self) -> &'static str {
        self.row().name
    }

    /// The package that the runtime's library comes in, of those that are pinned.
    pub(super) fn package(&self) -> &'static Package {
        self.row().package
    }

    /// The package of the plugin that has the provider, where it comes as one.
    pub(super) fn plugin(&self) -> Option<&'static Package> {
        self.row().plugin
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
