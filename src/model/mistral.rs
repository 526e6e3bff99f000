//! Mistral: Llama whose tokens see only a window of those before them.

use super::Family;
use super::llama::Config;

/// The window of attention in tokens, the token itself included, if there is one. Prompts that fit into it are read as without.
pub fn window(family: Family, config: &Config) -> Option<usize> {
    let slides = match family {
        Family::Mistral | Family::Phi3 | Family::Gemma2 | Family::Gemma3 => {
            config.use_sliding_window.unwrap_or(true)
        }
        // Only with the switch, and then in some layers: the window bounds all.
        Family::Qwen2 | Family::Qwen3 => config.use_sliding_window.unwrap_or(false),
        _ => false,
    };
    config.sliding_window.filter(|_| slides)
}
