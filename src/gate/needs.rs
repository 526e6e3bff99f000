//! What the conditions of a claim take, which is known before anything is measured.

use super::Claim;
use crate::stats::Needed;

impl Claim {
    /// What its conditions take at least, in words: with fewer prompts they can only fail or stay undecided.
    pub fn needs(&self, has_baseline: bool) -> Vec<String> {
        let about = self.inference.words();
        let mut needs = Vec::new();
        let least = |share: f64| Needed::at_least(self.inference, share, self.level);
        let mut say = |what: String, needed: Option<Needed>| {
            let too_few = needed.is_some_and(|needed| needed.prompts > self.limit as usize);
            needs.push(match needed {
                None => format!("{what}, about {about}, takes more than 10000 right answers"),
                Some(needed) => format!(
                    "{what}, about {about}, takes {needed} at least{}",
                    match too_few {
                        true => format!(", and the limit is {}", self.limit),
                        false => String::new(),
                    }
                ),
            });
        };
        say(
            format!("faithful {} with margin {}", self.faithful, self.margin),
            least(self.share()),
        );
        if let Some(drop) = self.necessity_drop {
            say(format!("necessity_drop {drop}"), least(drop));
        }
        if has_baseline {
            // No answer differs from the baseline's: the bound of a loss that was never seen.
            let prompts = (self.level / 2.0).ln() / (1.0 - self.baseline_margin).ln();
            needs.push(format!(
                "baseline_margin {} takes {} prompts at least",
                self.baseline_margin,
                prompts.ceil()
            ));
        }
        needs
    }
}
