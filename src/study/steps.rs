//! The steps of an answer: they are measured one after the other, and go through the first pass at once.

use std::cell::RefCell;
use std::collections::BTreeSet;

use super::prompts::TemplatePrompts;
use crate::Result;
use crate::experiment::{Sizes, Todo, Unit};
use crate::intervene::{Ablation, Plan};
use crate::measure::{self, Asked, Evaluation, prepare_steps};
use crate::prompt::PromptSet;
use crate::runtime::Engine;

/// What is still to be measured on a template.
pub(super) struct Wanted {
    plans: Vec<Plan>,
    ablations: Vec<&'static dyn Ablation>,
    /// The prompts of other operations, if a unit needs them.
    operations: Vec<PromptSet>,
    /// The boundaries of the plans.
    pub(super) waits: Vec<usize>,
}

impl Wanted {
    /// What some units need on a template of a model of that shape; `None` where the record holds all of it.
    pub(super) fn of(
        todo: &[(&dyn Unit, Todo)],
        sizes: Sizes,
        operations: impl FnOnce() -> Vec<PromptSet>,
    ) -> Option<Self> {
        let pending: Vec<&dyn Unit> = (todo.iter())
            .filter_map(|(unit, todo)| (!todo.is_done()).then_some(*unit))
            .collect();
        if pending.is_empty() {
            return None;
        }
        let mut ablations: Vec<&'static dyn Ablation> = Vec::new();
        for ablation in pending.iter().flat_map(|unit| unit.ablations()) {
            if ablations
                .iter()
                .all(|known| known.name() != ablation.name())
            {
                ablations.push(ablation);
            }
        }
        let operations = match pending.iter().any(|unit| unit.needs_operations()) {
            true => operations(),
            false => Vec::new(),
        };
        ablations.retain(|ablation| !ablation.needs_operations() || !operations.is_empty());
        let plans: Vec<Plan> = pending.iter().flat_map(|unit| unit.plans(sizes)).collect();
        Some(Self {
            waits: measure::boundaries(&plans),
            plans,
            ablations,
            operations,
        })
    }

    /// What is asked, measured as `how` says.
    pub(super) fn request<'a>(&'a self, how: &measure::Request<'a>) -> measure::Request<'a> {
        measure::Request {
            plans: &self.plans,
            ablations: &self.ablations,
            operations: &self.operations,
            ..*how
        }
    }
}

/// Some templates that are the steps of one.
#[derive(Default)]
pub(super) struct Steps {
    /// The first of them among all templates.
    first: usize,
    /// What is still to be measured at each.
    wanted: Vec<Option<Wanted>>,
    /// What the first pass has made of those that are still to be measured.
    ready: RefCell<Vec<Option<Result<Evaluation>>>>,
}

impl Steps {
    /// The steps of which the template is one; what is wanted of each `of` says.
    pub(super) fn of(
        sets: &[TemplatePrompts],
        template: usize,
        of: impl FnMut(usize) -> Option<Wanted>,
    ) -> Self {
        let goes_on = |t: &usize| goes_on(&sets[*t - 1], &sets[*t]);
        let before = (1..=template).rev().take_while(goes_on).count();
        let after = (template + 1..sets.len()).take_while(goes_on).count();
        let first = template - before;
        Self {
            first,
            wanted: (first..=template + after).map(of).collect(),
            ready: RefCell::default(),
        }
    }

    /// Whether a template is one of them.
    pub(super) fn holds(&self, template: usize) -> bool {
        (self.first..self.first + self.wanted.len()).contains(&template)
    }

    /// What is still to be measured at a step.
    pub(super) fn wanted(&self, template: usize) -> Option<&Wanted> {
        self.wanted.get(template.checked_sub(self.first)?)?.as_ref()
    }

    /// Whether a template is the first of which something is wanted.
    pub(super) fn begin_with(&self, template: usize) -> bool {
        let first = self.wanted.iter().position(Option::is_some);
        first.is_some_and(|first| self.first + first == template)
    }

    /// The prompts of a template after the first pass, which is made for all steps when the first one is taken.
    ///
    /// # Errors
    /// As [`prepare_steps`].
    ///
    /// # Panics
    /// For a template of which nothing is wanted, or that was taken.
    pub(super) fn take(
        &self,
        engine: &mut Engine,
        sets: &[TemplatePrompts],
        template: usize,
        how: &measure::Request<'_>,
    ) -> Result<Evaluation> {
        let mut ready = self.ready.borrow_mut();
        if ready.is_empty() {
            let asked = sets[self.first..].iter().zip(&self.wanted);
            let asked = asked.filter_map(|(of, wanted)| {
                Some(Asked {
                    set: of.prompts()?,
                    request: wanted.as_ref().map_or(*how, |wanted| wanted.request(how)),
                    wanted: wanted.is_some(),
                })
            });
            let asked: Vec<Asked<'_>> = asked.collect();
            let waits = self
                .wanted
                .iter()
                .flatten()
                .flat_map(|wanted| &wanted.waits);
            let waits: BTreeSet<usize> = waits.copied().collect();
            let waits: Vec<usize> = waits.into_iter().collect();
            *ready = prepare_steps(engine, &asked, &waits)?;
        }
        let made = ready[template - self.first].take();
        made.expect("it is wanted, and was not taken")
    }
}

/// Whether prompts are those of the step after others.
pub(super) fn goes_on(before: &TemplatePrompts, after: &TemplatePrompts) -> bool {
    let (Some(before), Some(after)) = (before.prompts(), after.prompts()) else {
        return false;
    };
    before.template.style == after.template.style
        && before.template.operation == after.template.operation
        && before.numbers.shape == after.numbers.shape
        && before.numbers.keyed_by == after.numbers.keyed_by
        && before.numbers.given() < after.numbers.given()
}
