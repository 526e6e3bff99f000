//! Built-in models: what is fetched or made by name, and the settings under which a model is known.

use super::planted::{Digits, Plant, Route};
use super::supply::{QWEN, SMOLLM2};
use super::{Confidence, Expected, Supply};

/// A model that is known by name.
#[derive(Debug)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// How it is supplied.
    pub supply: Supply,
    /// The token in front of every prompt; `None` where it is the tokenizer's own business.
    pub bos: Option<&'static str>,
    /// The AF1 subgraph that is tried by default, `(W, K)`.
    pub af1: (usize, usize),
    /// Where that is from.
    pub source: &'static str,
    /// How sure that is.
    pub confidence: Confidence,
    /// The styles that are tried by default.
    pub styles: &'static [&'static str],
    /// The default range of operands, both ends included.
    pub operands: (i64, i64),
    /// The default range of results, both ends included.
    pub results: (i64, i64),
}

/// The built-in models, the default first.
///
/// SmolLM2's GGUF metadata names `<|im_start|>` as its beginning-of-sequence token, because the file is of the chat
/// model; `<|endoftext|>` is what separated documents in pretraining, so that is what these prompts begin with.
///
/// Of every planted model AF1(3, 2) is claimed. It is true in `planted-af1`, `planted-operator`, `planted-heads` and `planted-no-bos`, in
/// `planted-style` for some styles, and in models of digits but `planted-digits-relay`; see [`Route`] for why it is not in the others.
pub const PRESETS: [Preset; 27] = [
    Preset {
        name: "qwen2.5-coder-0.5b-instruct",
        supply: Supply::File(QWEN),
        bos: None,
        af1: (16, 1),
        source: "a PyTorch script of this project, sums of one digit",
        confidence: Confidence::Computed,
        styles: &["calculate"],
        // Its tokenizer splits every number into digits, too.
        operands: (0, 9),
        results: (0, 9),
    },
    Preset {
        name: "smollm2-135m-instruct",
        supply: Supply::File(SMOLLM2),
        bos: Some("<|endoftext|>"),
        af1: (20, 6),
        source: "a PyTorch script of this project, sums of one digit",
        confidence: Confidence::Computed,
        styles: &["calculate", "python"],
        // Its tokenizer splits every number into digits, so only single digits are single tokens.
        operands: (0, 9),
        results: (0, 9),
    },
    planted("planted-af1", 8, 3, 2, Route::Direct),
    planted("planted-operator", 8, 3, 2, Route::Operator),
    planted("planted-heads", 8, 3, 2, Route::Heads),
    planted("planted-style", 10, 3, 2, Route::Style),
    planted("planted-noisy", 8, 3, 2, Route::Noisy { lost: 10 }),
    planted("planted-late", 10, 5, 2, Route::Direct),
    planted("planted-spread", 10, 3, 5, Route::Direct),
    planted("planted-two-hop", 8, 3, 2, Route::TwoHop),
    planted("planted-relay", 8, 3, 3, Route::Relay),
    Preset {
        bos: None,
        // The others begin with an operand, or with a word that stands elsewhere, too.
        styles: &["calculate", "verbal"],
        ..planted("planted-no-bos", 8, 3, 2, Route::NoBos)
    },
    digits("planted-digits", 2, Digits::Together, true),
    digits("planted-digits-no-bos", 2, Digits::Together, false),
    digits("planted-digits-apart", 2, Digits::Apart, true),
    digits("planted-digits-apart-no-bos", 2, Digits::Apart, false),
    digits("planted-digits-relay", 3, Digits::Relay, true),
    digits("planted-digits-relay-no-bos", 3, Digits::Relay, false),
    digits("planted-digits-copy", 2, Digits::Copy, true),
    digits("planted-digits-copy-no-bos", 2, Digits::Copy, false),
    planted("planted-leak", 8, 3, 2, Route::Leak),
    planted("planted-weak", 8, 3, 2, Route::Weak),
    planted("planted-constant", 8, 3, 2, Route::Constant),
    Preset {
        styles: EVERY_STYLE,
        operands: (1, 99),
        results: (0, 299),
        ..of_the_paper(
            "meta-llama-3-8b",
            "meta-llama/Meta-Llama-3-8B",
            "<|begin_of_text|>",
            (15, 2),
            "the authors' published demo",
            Confidence::Code,
        )
    },
    Preset {
        styles: EVERY_STYLE,
        operands: (1, 99),
        results: (0, 299),
        ..of_the_paper(
            "meta-llama-3.1-8b",
            "meta-llama/Llama-3.1-8B",
            "<|begin_of_text|>",
            (15, 2),
            "Llama-3-8B's: AF1 is reported to hold as there",
            Confidence::Report,
        )
    },
    of_the_paper(
        "pythia-6.9b",
        "EleutherAI/pythia-6.9b",
        "<|endoftext|>",
        (12, 8),
        SHORTER,
        Confidence::Guess,
    ),
    of_the_paper(
        "gpt-j-6b",
        "EleutherAI/gpt-j-6b",
        "<|endoftext|>",
        (10, 8),
        SHORTER,
        Confidence::Guess,
    ),
];

/// The real model that the main table shows beside the first one: it waits, and has no sharp AF1.
pub const CONTRAST: &str = "smollm2-135m-instruct";

/// What is known of two of the paper's models.
const SHORTER: &str = "a shorter wait and a longer transfer than Llama-3-8B's are reported, no numbers; try `af1 discover`";

const EVERY_STYLE: &[&str] = &[
    "symbolic",
    "verbal",
    "question",
    "instruction",
    "word-problem",
    "python",
];

/// A model of the paper.
const fn of_the_paper(
    name: &'static str,
    id: &'static str,
    bos: &'static str,
    af1: (usize, usize),
    source: &'static str,
    confidence: Confidence,
) -> Preset {
    Preset {
        name,
        supply: Supply::Hub(id),
        bos: Some(bos),
        af1,
        source,
        confidence,
        styles: &["symbolic"],
        operands: (0, 99),
        results: (0, 198),
    }
}

/// A planted model of which AF1(3, 2) is claimed.
const fn planted(
    name: &'static str,
    layers: usize,
    wait: usize,
    transfer: usize,
    route: Route,
) -> Preset {
    Preset {
        name,
        supply: Supply::Planted(Plant {
            layers,
            wait,
            transfer,
            route,
            seed: 42,
        }),
        bos: Some("<bos>"),
        af1: (3, 2),
        source: "it was built so",
        confidence: Confidence::Construction,
        styles: &["symbolic", "python"],
        operands: (0, 99),
        results: (0, 198),
    }
}

/// A planted model that takes every digit for a token; operands of two digits whose sums have two, too. Without a token in front the
/// styles are as those of `planted-no-bos`.
const fn digits(name: &'static str, transfer: usize, by: Digits, bos: bool) -> Preset {
    let preset = Preset {
        operands: (10, 49),
        results: (0, 98),
        ..planted(name, 9, 3, transfer, Route::Digits { by, bos })
    };
    match bos {
        true => preset,
        false => Preset {
            bos: None,
            styles: &["calculate", "verbal"],
            ..preset
        },
    }
}

impl Preset {
    /// The subgraph of its own: of a planted model the layers in which it was planted to transfer, of others the one that is
    /// tried by default.
    pub fn own(&self) -> (usize, usize) {
        match &self.supply {
            Supply::Planted(plant) => (plant.wait, plant.transfer),
            Supply::File(_) | Supply::Hub(_) => self.af1,
        }
    }

    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The preset of a model of the hub that a folder or a model of the hub is called like.
    pub(super) fn called(name: &str) -> Option<&'static Self> {
        let last = name.rsplit(['/', std::path::MAIN_SEPARATOR]).next();
        let of_hub = |preset: &&Self| matches!(preset.supply, Supply::Hub(_));
        PRESETS.iter().filter(of_hub).find(|preset| {
            let expected = Expected::of(preset.name);
            expected.is_some_and(|of| of.names.iter().any(|name| Some(&**name) == last))
        })
    }

    /// The names of all presets.
    pub fn names() -> String {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        names.join(", ")
    }

    /// The preset of a GGUF file with that hash.
    pub(super) fn of_file(hash: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| match &preset.supply {
            Supply::File(file) => file.sha256 == hash,
            Supply::Planted(_) | Supply::Hub(_) => false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn models_of_the_hub_are_known_by_what_they_are_called() {
        let called = |name: &str| Preset::called(name).map(|preset| preset.name);
        assert_eq!(
            called("meta-llama/Meta-Llama-3-8B"),
            Some("meta-llama-3-8b")
        );
        assert_eq!(called("Llama-3.1-8B"), Some("meta-llama-3.1-8b"));
        assert_eq!(called("EleutherAI/gpt-j-6b"), Some("gpt-j-6b"));
        assert_eq!(called("EleutherAI/pythia-6.9b"), Some("pythia-6.9b"));
        assert_eq!(called("EleutherAI/pythia-70m"), None);
        assert_eq!(called("planted-af1"), None);
        for preset in PRESETS {
            let hub = matches!(preset.supply, Supply::Hub(_));
            assert!(
                !hub || Expected::of(preset.name).is_some(),
                "{}",
                preset.name
            );
        }
    }
}
