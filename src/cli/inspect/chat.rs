//! What a chat template makes of a prompt: its text, and the tokens with their roles.

use std::fmt;

use serde::Serialize;

use crate::file::Sha256;
use crate::model::Model;
use crate::prompt::{Frame, PromptSet, Role};

/// A prompt as a chat template writes it.
#[derive(Serialize)]
pub struct Written {
    /// Where the chat template is.
    chat_template: String,
    /// The SHA-256 of its text.
    chat_template_sha256: Sha256,
    /// The whole text.
    text: String,
    /// The tokens of the text.
    tokens: Vec<Shown>,
}

/// A token of a prompt.
#[derive(Serialize)]
struct Shown {
    id: u32,
    text: String,
    role: Role,
}

impl Written {
    /// What the chat template makes of a prompt of a set; `None` where no chat template stands around its text.
    pub fn of(model: &Model, set: &PromptSet, prompt: usize) -> Option<Self> {
        let chat = model.chat.template()?;
        if set.template.frame != Frame::Chat {
            return None;
        }
        let prompt = &set.prompts[prompt];
        let token = |(&id, role): (&u32, &Role)| Shown {
            id,
            text: model.tokenizer.decode(id),
            role: *role,
        };
        Some(Self {
            chat_template: chat.place.clone(),
            chat_template_sha256: chat.hash().clone(),
            text: prompt.text.clone(),
            tokens: prompt.ids.iter().zip(&set.roles).map(token).collect(),
        })
    }
}

impl fmt::Display for Written {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let token = |token: &Shown| {
            let role = match token.role {
                Role::Text => String::new(),
                role => format!(" ({role})"),
            };
            format!("{} {:?}{role}", token.id, token.text)
        };
        let tokens: Vec<String> = self.tokens.iter().map(token).collect();
        write!(
            f,
            "the chat template {} (SHA-256 {}) writes\n    {:?}\nof {} tokens: {}",
            self.chat_template,
            self.chat_template_sha256,
            self.text,
            tokens.len(),
            tokens.join(", ")
        )
    }
}
