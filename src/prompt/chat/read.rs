//! Where a model's files have their chat template: as transformers looks for it.

use std::path::Path;

use serde_json::Value;

use super::super::front::MOST_BYTES as MOST_CONFIG;
use super::{Chat, ChatTemplate, MOST_BYTES, REMEDY};
use crate::file::{bytes_at_most, text_at_most};

/// The file of a chat template, which stands above the one in the configuration.
const FILE: &str = "chat_template.jinja";

/// The file of a tokenizer's configuration.
const CONFIG: &str = "tokenizer_config.json";

/// The field of the configuration, and of GGUF behind `tokenizer.`.
const FIELD: &str = "chat_template";

/// The tokens that a template may know by name.
const TOKENS: [&str; 7] = [
    "bos_token",
    "eos_token",
    "unk_token",
    "sep_token",
    "pad_token",
    "cls_token",
    "mask_token",
];

/// What to do where a model has no chat template.
const NONE: &str =
    "give the instruction-tuned model, whose files have one, or take a style without chat = true";

impl Chat {
    /// The template of `chat_template.jinja` in a folder, else of `chat_template` in `tokenizer_config.json` there. What is wrong with
    /// these files is said when a style asks for them.
    pub fn of_folder(folder: &Path) -> Self {
        let config = bytes_at_most(&folder.join(CONFIG), MOST_CONFIG).ok();
        let config = config.and_then(|bytes| serde_json::from_slice(&bytes).ok());
        let config: Value = config.unwrap_or_default();
        let file = folder.join(FILE);
        let found = match file.is_file() {
            true => of_file(&file, &config),
            false => {
                let place = folder.join(CONFIG).display().to_string();
                let none = format!(
                    "the model has no chat template: there is neither {} nor the field {FIELD} in {CONFIG} there; {NONE}",
                    file.display()
                );
                of_field(&config, &format!("in {place}"), none)
            }
        };
        Self { found }
    }

    /// The template of what a GGUF file says, in the words of `tokenizer_config.json`.
    pub fn of_gguf(config: &Value, file: &Path) -> Self {
        let place = format!("tokenizer.{FIELD} in {}", file.display());
        let none = format!("the model has no chat template: there is no {place}; {NONE}");
        Self {
            found: of_field(config, &place, none),
        }
    }
}

fn of_file(file: &Path, config: &Value) -> Result<ChatTemplate, String> {
    let place = file.display().to_string();
    let unread =
        |reason: String| format!("the chat template {place} cannot be read: {reason}; {REMEDY}");
    let text = text_at_most(file, MOST_BYTES as u64).map_err(|e| unread(e.to_string()))?;
    ChatTemplate::new(place, &text, tokens(config))
}

/// The template in a configuration: a text, or several with names, of which the one called `default` is meant.
fn of_field(config: &Value, place: &str, none: String) -> Result<ChatTemplate, String> {
    let template = match config.get(FIELD) {
        None | Some(Value::Null) => return Err(none),
        Some(Value::String(text)) => Some(text),
        Some(Value::Array(several)) => several.iter().find_map(|entry| {
            let named = entry.get("name").and_then(Value::as_str) == Some("default");
            match entry.get("template") {
                Some(Value::String(text)) if named => Some(text),
                _ => None,
            }
        }),
        Some(_) => None,
    };
    match template {
        Some(text) => ChatTemplate::new(place.to_owned(), text, tokens(config)),
        None => Err(format!(
            "the chat template {place} is neither a text nor a list in which one is called \"default\"; {REMEDY}"
        )),
    }
}

/// The tokens with their names, each a text or an object with its `content`.
fn tokens(config: &Value) -> Vec<(String, String)> {
    let text = |name: &str| {
        let token = config.get(name)?;
        let content = token.get("content").unwrap_or(token);
        Some((name.to_owned(), content.as_str()?.to_owned()))
    };
    TOKENS.iter().filter_map(|name| text(name)).collect()
}
