//! What experiments must find in a planted model.

use serde::Serialize;

use super::digits::{ASSEMBLY, Digits};
use super::plant::{LATER, LEAK, Plant, Route};
use super::wording::Wording;
use crate::prompt::{KeyedBy, PromptSet};

/// What experiments must find in a planted model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The last boundary to which all tokens can wait.
    pub waits: usize,
    /// The AF1 with the longest wait and the fewest transfer layers, `(W, K)`; `None` where there is none.
    pub af1: Option<(usize, usize)>,
    /// The layers in which the last token must see other tokens.
    pub knockouts: Vec<usize>,
    /// The heads by which it fetches, as layer and index, in ascending order.
    pub heads: Vec<(usize, usize)>,
    /// The share of the prompts of `A+B` that AF1(`wait`, `transfer`) answers correctly when all operands from 0 to 99
    /// occur.
    pub faithful: f64,
}

impl Plant {
    /// What experiments must find in prompts of a style, with means keyed in that way, if a subgraph holds from the faithfulness `claim`
    /// on; `None` where the model cannot do the task.
    pub fn truth(&self, style: &str, keyed_by: KeyedBy, claim: f64) -> Option<Truth> {
        let last = self.wait + self.transfer - 1;
        let later = self.route == Route::Style && Wording::built_in().is_marked(style);
        let wait = self.wait + if later { LATER } else { 0 };
        let every: Vec<usize> = (wait..wait + self.transfer).collect();
        let mut heads = Vec::new();
        for i in 0..self.transfer {
            let [first, second, signs] = self.carriers(i);
            heads.extend([(wait + i, first), (wait + i, second)]);
            if i == 0 && self.route != Route::Operator {
                heads.push((wait, signs));
            }
        }
        heads.sort_unstable();
        let lost = match self.route {
            Route::Noisy { lost } => lost as f64 / 100.0,
            _ => 0.0,
        };
        let direct = Truth {
            waits: wait,
            af1: Some((wait, self.transfer)),
            knockouts: every.clone(),
            heads,
            faithful: 1.0 - lost,
        };
        match self.route {
            Route::Direct | Route::NoBos | Route::Heads | Route::Style => Some(direct),
            Route::Leak => Some(Truth {
                waits: LEAK,
                af1: None,
                heads: Vec::new(),
                faithful: 0.0,
                ..direct
            }),
            Route::Operator => Some(Truth {
                knockouts: std::iter::once(0).chain(every).collect(),
                ..direct
            }),
            Route::Noisy { .. } if direct.faithful >= claim => Some(direct),
            Route::Noisy { .. } => Some(Truth {
                af1: None,
                heads: Vec::new(),
                ..direct
            }),
            Route::TwoHop | Route::Relay => Some(Truth {
                af1: None,
                knockouts: vec![last],
                heads: Vec::new(),
                faithful: 0.0,
                ..direct
            }),
            Route::Weak | Route::Constant => None,
            Route::Digits { by, .. } => Some(self.truth_of_digits(by, keyed_by)),
        }
    }

    /// The same at every step of an answer by digits. What step it is, the last token sees in layer 0.
    fn truth_of_digits(&self, by: Digits, keyed_by: KeyedBy) -> Truth {
        let last = self.wait + self.transfer - 1;
        let fetches = match by {
            Digits::Relay => last..last + 1,
            Digits::Together | Digits::Apart | Digits::Copy => self.wait..last + 1,
        };
        let knows_its_number = keyed_by == KeyedBy::Span || by == Digits::Apart;
        let holds = knows_its_number && by != Digits::Relay;
        let mut heads = Vec::new();
        for layer in self.wait..last + 1 {
            let signs = (layer == self.wait).then_some(2);
            let of = [Some(0), signs, Some(3)].into_iter().flatten();
            heads.extend(of.map(|head| (layer, head)));
        }
        Truth {
            waits: if knows_its_number {
                self.wait
            } else {
                ASSEMBLY
            },
            af1: holds.then_some((self.wait, self.transfer)),
            knockouts: std::iter::once(0).chain(fetches).collect(),
            heads: if holds { heads } else { Vec::new() },
            faithful: if holds { 1.0 } else { 0.0 },
        }
    }

    /// Whether the model is right about a prompt of two-digit operands, or of operands of one token, by construction; of models that can
    /// do the task.
    pub fn is_right(&self, set: &PromptSet, prompt: usize) -> bool {
        let Route::Digits { by, .. } = self.route else {
            return true;
        };
        let prompt = &set.prompts[prompt];
        let said = by.says(&set.template.operation, &prompt.operands);
        let at = |number: Option<i64>| {
            let digits = number.map(|number| number.to_string());
            digits.and_then(|digits| digits.as_bytes().get(set.numbers.given()).copied())
        };
        at(said) == at(prompt.result)
    }
}
