//! Value zeroing: attention weights stay as they are, but the values of tokens that ABP hides are zero.

use super::{Cut, Masking};

/// Weights kept, values of other positions zeroed, nothing renormalised.
pub struct ValueZero;

impl Masking for ValueZero {
    fn name(&self) -> String {
        "value-zero".to_owned()
    }

    fn help(&self) -> &'static str {
        "As abp, but what is not seen keeps its attention, and its value is zero"
    }

    fn cut(&self) -> Cut {
        Cut::Values
    }
}
