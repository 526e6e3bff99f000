//! ABP without position 0: does a token alone need the beginning of the sequence, where attention rests?

use super::Masking;

/// Self only.
pub struct NoSink;

impl Masking for NoSink {
    fn name(&self) -> String {
        "no-sink".to_owned()
    }

    fn help(&self) -> &'static str {
        "As abp without position 0"
    }

    fn keeps_sink(&self) -> bool {
        false
    }

    fn alone(&self, q: usize, k: usize) -> bool {
        k == q
    }
}
