//! What experiments must find in a planted model.

use serde::Serialize;

use super::plant::{LATER, LEAK, Plant, Route};
use super::wording::Wording;

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
    /// What experiments must find in prompts of a style if a subgraph holds from the faithfulness `claim` on; `None` where
    /// the model cannot do the task.
    pub fn truth(&self, style: &str, claim: f64) -> Option<Truth> {
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
        }
    }
}
