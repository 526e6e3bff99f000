//! What stays on the screen: where everything is, and what of it is to be shown.

use maud::{Markup, html as markup};

use crate::kit::words::about::distinct;

/// A part of the page: where it is, and what it is called.
pub struct Part {
    /// The id of its element.
    pub id: String,
    /// The name.
    pub name: String,
    /// The model, where the page is about several.
    pub model: Option<String>,
}

/// What can be asked for: the name of the attribute, what it is called, and its values.
pub struct Choice<'f> {
    /// The attribute after `data-`.
    pub attribute: &'static str,
    /// What it is called.
    pub name: &'static str,
    /// The values of the attribute, each once.
    pub values: Vec<&'f str>,
}

impl<'f> Choice<'f> {
    /// A choice among these values.
    pub fn of(
        attribute: &'static str,
        name: &'static str,
        values: impl IntoIterator<Item = &'f str>,
    ) -> Self {
        let values = distinct(values);
        Self {
            attribute,
            name,
            values,
        }
    }
}

/// The contents and the filter. On a narrow screen they are a line until they are opened.
pub fn navigation(parts: &[Part], choices: &[Choice<'_>]) -> Markup {
    let several = choices.iter().filter(|choice| choice.values.len() > 1);
    let several: Vec<&Choice<'_>> = several.collect();
    markup! {
        nav aria-label="Contents" {
            details open {
                summary { @if several.is_empty() { "Contents" } @else { "Contents and filter" } }
                ol {
                    @for part in parts {
                        li {
                            a href={ "#" (part.id) } {
                                (part.name)
                                @if let Some(model) = &part.model { " " span.model { (model) } }
                            }
                        }
                    }
                }
                // Only the script can answer it.
                @if !several.is_empty() { (filter(&several)) }
            }
        }
    }
}

fn filter(choices: &[&Choice<'_>]) -> Markup {
    markup! {
        form.filter hidden aria-label="Filter" {
            @for choice in choices {
                label {
                    (choice.name) " "
                    select name=(choice.attribute) {
                        option value="" { "all" }
                        @for value in &choice.values { option value=(value) { (value) } }
                    }
                }
            }
            button type="reset" { "Show all" }
            output aria-live="polite" {}
        }
    }
}
