//! Rendering of chat templates, as transformers does it.

use std::collections::BTreeMap;
use std::fmt;

use minijinja::syntax::SyntaxConfig;
use minijinja::value::{Kwargs, Value};
use minijinja::{Environment, Error, ErrorKind, context};
use minijinja_contrib::pycompat::unknown_method_callback;

use super::{ChatTemplate, REMEDY, clock, json};

/// What rendering may cost: about an instruction or 64 bytes each. Templates of today take some hundreds.
const FUEL: u64 = 1_000_000;

/// The longest text that a template may write.
const MOST_WRITTEN: usize = 1 << 18;

/// So many characters of what a template says are shown.
const MOST_SAID: usize = 300;

/// The name under which a template is known.
const NAME: &str = "chat";

/// What a template refuses a conversation with.
#[derive(Debug)]
struct Refusal(String);

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Refusal {}

/// A chat template that can be rendered.
pub struct Jinja<'a> {
    environment: Environment<'a>,
    chat: &'a ChatTemplate,
}

impl<'a> Jinja<'a> {
    /// Reads a template.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn new(chat: &'a ChatTemplate) -> Result<Self, String> {
        let mut environment = Environment::new();
        let syntax = SyntaxConfig::builder()
            .trim_blocks(true)
            .lstrip_blocks(true)
            .build();
        environment.set_syntax(syntax.expect("the usual delimiters differ"));
        environment.set_fuel(Some(FUEL));
        environment.set_unknown_method_callback(unknown_method_callback);
        environment.add_function("raise_exception", raise_exception);
        environment.add_function("strftime_now", strftime_now);
        environment.add_filter("tojson", tojson);
        let added = environment.add_template(NAME, &chat.text);
        added.map_err(|error| said(chat, &error))?;
        Ok(Self { environment, chat })
    }

    /// What the template writes for one message of the user, up to where the assistant's answer begins.
    ///
    /// # Errors
    /// Why it cannot be rendered, in words.
    pub fn render(&self, message: &str) -> Result<String, String> {
        let mut values: BTreeMap<&str, Value> = (self.chat.tokens.iter())
            .map(|(name, token)| (name.as_str(), Value::from(token.as_str())))
            .collect();
        let messages = vec![context! { role => "user", content => message }];
        values.extend([
            ("messages", Value::from(messages)),
            ("tools", Value::from(())),
            ("documents", Value::from(())),
            ("add_generation_prompt", Value::from(true)),
        ]);
        let template = self.environment.get_template(NAME);
        let written = template.and_then(|template| template.render(Value::from(values)));
        let written = written.map_err(|error| said(self.chat, &error))?;
        match written.len() > MOST_WRITTEN {
            false => Ok(written),
            true => Err(format!(
                "the chat template {} writes {} bytes around a message; expected {MOST_WRITTEN} at most: {REMEDY}",
                self.chat.place,
                written.len()
            )),
        }
    }
}

fn raise_exception(message: &str) -> Result<Value, Error> {
    let error = Error::new(ErrorKind::InvalidOperation, "raise_exception");
    Err(error.with_source(Refusal(message.to_owned())))
}

fn strftime_now(format: &str) -> Result<String, Error> {
    let date = clock::strftime(format);
    date.map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
}

fn tojson(value: &Value, options: Kwargs) -> Result<String, Error> {
    let indent: Option<usize> = options.get("indent")?;
    options.assert_all_used()?;
    let text = json::dumps(value, indent);
    text.map_err(|reason| Error::new(ErrorKind::InvalidOperation, reason))
}

/// Why a template cannot be read or rendered.
fn said(chat: &ChatTemplate, error: &Error) -> String {
    let place = &chat.place;
    let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(error);
    let mut innermost = error;
    while let Some(found) = cause {
        if let Some(Refusal(message)) = found.downcast_ref() {
            return format!(
                "the chat template {place} refuses the prompt: \"{}\"; take a style without chat = true",
                shown(message)
            );
        }
        innermost = found.downcast_ref().unwrap_or(innermost);
        cause = found.source();
    }
    if innermost.kind() == ErrorKind::OutOfFuel {
        return format!(
            "the chat template {place} does not come to an end within {FUEL} steps: {REMEDY}"
        );
    }
    let line = innermost
        .line()
        .map_or(String::new(), |line| format!(" in line {line}"));
    let detail = innermost
        .detail()
        .map_or(String::new(), |detail| format!(": {}", shown(detail)));
    format!(
        "the chat template {place} cannot be used{line}: {}{detail}; {REMEDY}",
        innermost.kind()
    )
}

/// A text that may be long and may hold anything, as it is shown: characters that would move the cursor are spelt out.
fn shown(text: &str) -> String {
    let mut shown = String::new();
    for (at, c) in text.chars().enumerate() {
        if at == MOST_SAID {
            return shown + "...";
        }
        match c {
            '"' | '\'' => shown.push(c),
            _ => shown.extend(c.escape_debug()),
        }
    }
    shown
}
