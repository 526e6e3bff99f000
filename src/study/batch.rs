//! How many prompts run together.

use std::str::FromStr;

use crate::model::Sizes;
use crate::runtime::{Device, Placement};

/// How many prompts run together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum BatchSize {
    /// So many prompts.
    Prompts(usize),
    /// As many as the device works well with and a gigabyte of activations has room for. It follows from the kind of the device and from the prompts,
    /// and not from a measured time, because the size of a batch can change the last digits of logits: equal runs give equal numbers.
    #[default]
    Auto,
}

/// What the activations of a batch may take under [`BatchSize::Auto`].
const ACTIVATIONS: usize = 1 << 30;

/// More prompts in a batch make the processor no faster.
const MOST_ON_PROCESSOR: usize = 64;

/// More prompts in a batch make no device faster. A card reads all weights once a batch, so that it waits for them where batches are small;
/// with 512 prompts of 11 tokens an H200's layers ran at 78% of the rate of its plain products.
const MOST_PROMPTS: usize = 1024;

impl BatchSize {
    /// The number of prompts of so many tokens on some devices.
    pub fn of(self, sizes: Sizes, pos: usize, on: &Placement) -> usize {
        let most = match on.accelerator() {
            Device::Cpu => MOST_ON_PROCESSOR,
            _ => MOST_PROMPTS,
        };
        match self {
            Self::Prompts(prompts) => prompts,
            Self::Auto => (ACTIVATIONS / activations(sizes, pos).max(1)).clamp(1, most),
        }
    }
}

/// Bytes of what a layer has at once for a prompt of so many tokens: streams and their copies, the MLP's products, attention; and of the
/// logits.
pub(super) fn activations(sizes: Sizes, pos: usize) -> usize {
    let d_mlp = sizes.d_mlp.unwrap_or(4 * sizes.d_model);
    let token = 6 * sizes.d_model + 3 * d_mlp + 2 * sizes.heads * pos;
    size_of::<f32>() * (pos * token + 3 * sizes.vocab)
}

impl FromStr for BatchSize {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let prompts = text.parse().ok().filter(|n| (1..=65536).contains(n));
        prompts
            .map(Self::Prompts)
            .ok_or_else(|| format!("{text:?} is no size of a batch; expected 1 to 65536, or auto"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelSpec;

    #[test]
    fn a_batch_is_sized_to_its_prompts() {
        let large = ModelSpec::llama(32, [4096, 32, 128, 14336], 128_256).sizes();
        let [processor, card] =
            ["cpu", "cuda:0"].map(|name| Placement::from(&name.parse::<Device>().unwrap()));
        let of = |pos| BatchSize::Auto.of(large, pos, &card);
        assert!(
            of(10) > of(100) && of(100) > of(1000) && of(1000) >= 1,
            "{}",
            of(10)
        );
        let on_processor = |pos| BatchSize::Auto.of(large, pos, &processor);
        assert_eq!(
            (on_processor(10), on_processor(1000)),
            (MOST_ON_PROCESSOR, of(1000))
        );
        let small = Sizes {
            d_model: 64,
            d_mlp: Some(128),
            vocab: 1000,
            ..large
        };
        assert_eq!(BatchSize::Auto.of(small, 5, &card), MOST_PROMPTS);
        assert_eq!(BatchSize::Prompts(7).of(small, 5, &card), 7);
        assert_eq!("7".parse(), Ok(BatchSize::Prompts(7)));
        assert!("0".parse::<BatchSize>().is_err() && "many".parse::<BatchSize>().is_err());
    }
}
