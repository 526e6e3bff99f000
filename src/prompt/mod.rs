//! Prompts: operations, styles, templates, lists, tokenization, and sets of prompts with roles. Nothing here knows a model's
//! weights or runs anything; the crates `tokenizers` and `minijinja` are used here only.

mod carry;
mod chat;
mod dependence;
mod expression;
mod front;
mod list;
mod operation;
mod role;
mod selection;
mod set;
mod shape;
mod shapes;
mod span;
mod style;
mod template;
mod tokenizer;
mod tokens;
mod universe;
mod written;

pub use carry::Carry;
pub use chat::{Chat, ChatTemplate};
pub use dependence::Dependence;
pub use front::{Bos, Front, Rule, Stated};
pub use list::List;
pub use operation::Operation;
pub use role::Role;
pub use selection::{ContextsFrom, Listed, Selection};
pub use set::{Excluded, Prompt, PromptSet};
pub use shape::{Key, KeyedBy, MOST_TOKENS, Numbers, Shape, Step};
pub use shapes::{Shapes, shapes};
pub use span::Span;
pub use style::{Style, Styles};
pub use template::{Frame, Piece, Rendered, Template};
pub use tokenizer::{Splitter, Token, Tokenizer};
pub use tokens::Merged;
pub use written::{Words, Written};
