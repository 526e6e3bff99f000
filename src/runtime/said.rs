//! What the runtime says, for people.

use std::fmt;

/// The first line of a message: the runtime adds stack traces.
pub fn first_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty());
    let line = line.unwrap_or(&text).trim();
    // Where in its own source it failed, and its codes, are of no use to a user.
    let told = line.rsplit_once("[ONNXRuntimeError] : ");
    let told = told.and_then(|(_, rest)| rest.splitn(3, " : ").nth(2));
    told.unwrap_or(line).to_owned()
}
