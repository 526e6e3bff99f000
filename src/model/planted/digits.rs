//! Models that take every digit for a token. Operands of two digits; an answer of up to three, one token a step.
//!
//! A digit is one channel of ten. In layer 0 every token counts the digits up to itself, which says what place of which number it
//! is, and what step of the answer: a cross-token step that does not depend on their values. In layer [`ASSEMBLY`] the last digit of a
//! number takes over the digit before it, while tokens wait. In the layers that transfer, the token at which the answer is read fetches
//! both numbers, place by place, and the operation. Four more layers compute at that token alone: the sum of every column with its
//! carry, the carry added, the operation chosen, and the digit of its step said, or the end behind the last one.
//!
//! A gate opens where a digit stands for sure, and stays shut under means over several digits. An answer that lacks anything scores below
//! a token that begins with a digit and is wrong at every step.

mod channel;
mod circuit;
mod kind;
mod table;
mod tokenizer;

pub use channel::STREAM;
pub use circuit::circuit;
pub use kind::{ASSEMBLY, Digits};
pub use table::tables;
pub use tokenizer::{tokenizer, vocabulary};
