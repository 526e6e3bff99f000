//! Which claims are out of reach, before anything is measured.

use std::collections::BTreeSet;

use super::Study;
use super::prompts::TemplatePrompts;
use crate::prompt::PromptSet;
use crate::stats::{Inference, Needed};

/// More templates than this are counted and not named.
const MOST_NAMED: usize = 4;

/// What is to be said before anything is measured, if on some templates no verdict can be a pass: so many right answers the claim takes, and
/// these templates have fewer prompts.
pub fn out_of_reach(study: &Study) -> Option<String> {
    let method = study.request().method;
    let (claim, about) = (method.claim, method.inference.words());
    let needed = Needed::at_least(method.inference, claim, method.level);
    let most = method.right_answers.unwrap_or(method.limit);
    let prompts = |set: &PromptSet| set.asked().len().min(most);
    let is_reached = |set: &PromptSet| {
        needed.is_some_and(|needed| {
            needed.prompts <= prompts(set) && needed.values.unwrap_or(0) <= values(set)
        })
    };
    let mut few: Vec<&PromptSet> = Vec::new();
    for set in study.sets.iter().filter_map(TemplatePrompts::prompts) {
        // The steps of an answer are of the same prompts.
        let same = |known: &&PromptSet| template(known) == template(set);
        if !is_reached(set) && !few.iter().any(same) {
            few.push(set);
        }
    }
    let most = few.iter().map(|set| prompts(set)).max()?;
    let of_values = |set: &PromptSet| match method.inference {
        Inference::Prompts => String::new(),
        Inference::Operands => format!(" with {} values of an operand", values(set)),
    };
    let named = few.iter().map(|set| {
        format!(
            "{} has {} prompts{}",
            template(set),
            prompts(set),
            of_values(set)
        )
    });
    let named = match few.len() {
        0..=MOST_NAMED => named.collect::<Vec<_>>().join(", "),
        count => format!("{count} templates have at most {most} prompts each"),
    };
    let takes = needed.map_or("more than 10000 right answers".to_owned(), |needed| {
        needed.to_string()
    });
    Some(format!(
        "no verdict can be a pass where a template has so few prompts: a claim of {claim} about {about} takes {takes} at least, and {named}; \
         {}",
        remedy(study, &few)
    ))
}

/// What gives these templates more prompts, or takes fewer.
fn remedy(study: &Study, few: &[&PromptSet]) -> &'static str {
    let request = study.request();
    let has_words = |set: &&PromptSet| set.template.operands.iter().any(|of| of.words().is_some());
    match (request.method.right_answers, &request.asked.list) {
        (Some(_), _) => "raise --right-answers",
        (None, Some(_)) => "take a list with more prompts, or raise --limit",
        (None, None) if few.iter().all(has_words) => {
            "their tables have no more words; lower --claim, or raise --limit"
        }
        (None, None) => "widen --operands and --results, or raise --limit",
    }
}

/// The template, and where numbers have several tokens their shape.
fn template(set: &PromptSet) -> String {
    let operation = set.template.operation.to_string();
    let shape = &set.numbers.shape;
    match shape.is_single() {
        true => format!("{} {operation}", set.template.style),
        false => format!(
            "{} {operation} {}",
            set.template.style,
            shape.words(&operation)
        ),
    }
}

/// The values of the operand that has the fewest.
pub fn values(set: &PromptSet) -> usize {
    let asked = set.asked();
    let values = |operand: usize| {
        let values = asked
            .iter()
            .map(|&prompt| set.prompts[prompt].operands[operand]);
        values.collect::<BTreeSet<i64>>().len()
    };
    let operands = set.template.operation.operands();
    (0..operands).map(values).min().unwrap_or(0)
}
