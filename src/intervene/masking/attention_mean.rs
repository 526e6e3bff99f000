//! Mean ablation of attention outputs: where ABP restricts what a head sees, its output is its mean over prompts.

use super::{Cut, Masking};

/// The head's output at that position in the unmodified model, averaged over prompts.
pub struct AttentionMean;

impl Masking for AttentionMean {
    fn name(&self) -> String {
        "attention-mean".to_owned()
    }

    fn help(&self) -> &'static str {
        "As abp, but a head that does not see all leaves its mean output"
    }

    fn cut(&self) -> Cut {
        Cut::Outputs
    }
}
