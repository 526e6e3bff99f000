//! ABP, attention-based peeking (paper, section 3): a token that waits or computes alone sees itself and position 0.

use super::Masking;

/// Self and position 0; the last token of a transfer layer sees everything.
pub struct Abp;

impl Masking for Abp {
    fn name(&self) -> String {
        "abp".to_owned()
    }

    fn help(&self) -> &'static str {
        "A token sees itself and position 0; the last one sees all in the transfer layers (the paper's)"
    }
}
