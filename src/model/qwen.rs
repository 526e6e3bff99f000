//! Qwen 2 and 2.5, and 3: Llama with biases, or with norms, of queries and keys. No field of a configuration says so.

use super::Family;

/// Whether queries, keys and values have biases.
pub fn has_biases(family: Family) -> bool {
    family == Family::Qwen2
}

/// Whether every head's queries and keys are normed before they are rotated.
pub fn has_norms(family: Family) -> bool {
    family == Family::Qwen3
}
