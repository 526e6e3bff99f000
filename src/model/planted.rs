//! Planted models: Llama-shaped models whose weights are written, not trained, so that the subgraph by which they add
//! and subtract is known by construction. A harness that does not find it is wrong.
//!
//! One residual channel holds a large constant, which makes RMSNorm a nearly constant scale. A number `n` is embedded as
//! `cos(2 pi k n / P)`, `sin(2 pi k n / P)` for several `k`; the unembedding of `n` scores `sum_k cos(2 pi k (s - n) / P)`,
//! so the largest logit is that of the result `s`. Attention selects by content, in dimensions that rotary embedding
//! hardly turns. SwiGLU multiplies: `silu(M + a) b - silu(M) b = a b` for a large `M`.
//!
//! The route of `planted-af1`: in layer 0 every number learns whether it is the first or the second, from how many numbers
//! it sees: a cross-token step that does not depend on their values, which CAMA keeps and a wait without any attention
//! destroys. Until layer `wait` all tokens but the last mix the numbers before them into channels that nothing reads. In
//! each of the layers `wait .. wait + transfer` the last token fetches a share of the frequencies of both operands, and in
//! the first of them the operation's signs. Two more layers compute. An answer for which one share is missing scores
//! below a default token, so all of these layers are needed. The other routes are variations; see [`Route`].
//!
//! Models that take every digit for a token are written from the same layers ([`Digits`]).

mod channel;
mod circuit;
mod digits;
mod folder;
mod layer;
mod number;
mod plant;
mod table;
mod tokenizer;
mod truth;
mod wording;

pub use digits::Digits;
pub use plant::{LATER, LEAK, Plant, Route};
pub use truth::Truth;
