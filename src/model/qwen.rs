//! Qwen 2 and 2.5, and 3: Llama with biases, or with norms, of queries and keys. No field of a configuration says so.

use super::{Family, QueryKeyNorm};

/// Whether queries, keys and values have biases.
pub fn has_biases(family: Family) -> bool {
    family == Family::Qwen2
}

/// The norm of queries and keys before they are rotated.
pub fn norm(family: Family) -> Option<QueryKeyNorm> {
    (family == Family::Qwen3).then_some(QueryKeyNorm::Head)
}
