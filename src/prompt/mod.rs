//! Prompts: operations, styles, templates, tokenization, and sets of prompts with roles. Nothing here knows a model's
//! weights or runs anything; the `tokenizers` crate is used here only.

mod operation;
mod set;
mod style;
mod tokenizer;

pub use operation::Operation;
pub use set::{Excluded, Prompt, PromptSet, Role, Selection};
pub use style::{Piece, Rendered, Style, Styles, Template};
pub use tokenizer::{Token, Tokenizer};
