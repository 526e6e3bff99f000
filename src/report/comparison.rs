//! Two runs beside each other: what got better, what got worse, and whether that could be chance.

use serde_json::json;

use super::about::{accuracy, base_accuracy, intervals};
use super::table::{faithfulness, front, p_value, signed, table};
use crate::record::{Line, Measurement, Row, bits_of_hex, key};
use crate::stats::{difference_bounds, discordant, holm, mcnemar_two_sided};

/// The level at which a difference counts, after Holm's correction over all cells that are compared.
const LEVEL: f64 = 0.05;

/// Two cells on the same prompts, or the unmodified models on them.
struct Pair<'a> {
    name: String,
    now: &'a Measurement,
    before: &'a Measurement,
    /// Whether it is about the unmodified models.
    base: bool,
    /// Prompts that only one of them answers correctly.
    only_now: usize,
    only_before: usize,
}

impl<'a> Pair<'a> {
    fn new(now: &'a Measurement, before: &'a Measurement, base: bool) -> Self {
        let bits = |m: &Measurement| {
            let answers = if base { &m.base_answers } else { &m.answers };
            bits_of_hex(answers, m.prompts).unwrap_or_default()
        };
        let (only_now, only_before) = discordant(bits(now).into_iter().zip(bits(before)));
        Self {
            name: match base {
                true => format!("{} {} unmodified", now.style, now.operation),
                false => key(now).to_string(),
            },
            now,
            before,
            base,
            only_now,
            only_before,
        }
    }

    /// How many the one or the other answers correctly.
    fn right(&self, m: &Measurement) -> usize {
        if self.base { m.base_correct } else { m.correct }
    }

    fn accuracy(&self, m: &Measurement) -> String {
        match self.base {
            true => base_accuracy(m),
            false => accuracy(m),
        }
    }

    fn share(&self, m: &Measurement) -> f64 {
        self.right(m) as f64 / m.prompts.max(1) as f64
    }

    fn p(&self) -> f64 {
        mcnemar_two_sided(self.only_now, self.only_before)
    }

    /// Of the accuracies, with its bounds.
    fn difference(&self) -> (f64, f64, f64) {
        let (low, high) =
            difference_bounds(self.only_now, self.only_before, self.now.prompts, 0.025);
        (self.share(self.now) - self.share(self.before), low, high)
    }

    /// More right answers are a merit of the model and of AF1, not of a knock-out or of an ablation to compare with.
    fn change(&self, adjusted: f64) -> &'static str {
        let merit = self.base || (self.now.ablation == "cama" && self.now.pruning.is_none());
        match self.only_now > self.only_before {
            _ if adjusted > LEVEL => "no significant change",
            true if merit => "better",
            false if merit => "worse",
            true => "higher",
            false => "lower",
        }
    }
}

/// Cells that both runs measured, on the same prompts, and the unmodified models on these: a row each, or with `json` an object a
/// line. Cells of other prompts, and those that one run alone has, are counted, not compared.
pub fn comparison(new: &[Line], old: &[Line], json: bool) -> String {
    let (new, old) = (cells(new), cells(old));
    let (mut pairs, mut other_prompts, mut alone) = (Vec::<Pair<'_>>::new(), 0, 0);
    for m in &new {
        match old.iter().find(|o| key(o) == key(m)) {
            Some(o) if o.prompts_sha256 == m.prompts_sha256 => {
                let known =
                    |pair: &Pair<'_>| pair.base && pair.now.prompts_sha256 == m.prompts_sha256;
                if !pairs.iter().any(known) {
                    pairs.push(Pair::new(m, o, true));
                }
                pairs.push(Pair::new(m, o, false));
            }
            Some(_) => other_prompts += 1,
            None => alone += 1,
        }
    }
    let gone = old
        .iter()
        .filter(|o| new.iter().all(|m| key(m) != key(o)))
        .count();
    let p: Vec<f64> = pairs.iter().map(Pair::p).collect();
    let adjusted = holm(&p);
    if json {
        let line = |(i, pair): (usize, &Pair<'_>)| {
            let (m, o) = (pair.now, pair.before);
            let (difference, low, high) = pair.difference();
            let faithful = |m: &Measurement| m.faithfulness.filter(|_| !pair.base);
            let object = json!({
                "experiment": "comparison", "cell": pair.name, "model": m.model, "against": o.model,
                "model_sha256": m.provenance.model_sha256, "model_sha256_before": o.provenance.model_sha256,
                "prompts": m.prompts, "accuracy": pair.share(m), "accuracy_before": pair.share(o),
                "faithfulness": faithful(m), "faithfulness_before": faithful(o),
                "difference": difference, "difference_low": low, "difference_high": high,
                "only_now": pair.only_now, "only_before": pair.only_before, "p": p[i], "p_holm": adjusted[i],
                "change": pair.change(adjusted[i]),
            });
            format!("{object}\n")
        };
        let rest = json!({ "experiment": "comparison", "not_compared":
            { "other_prompts": other_prompts, "only_now": alone, "only_before": gone } });
        let lines: String = pairs.iter().enumerate().map(line).collect();
        return lines + &format!("{rest}\n");
    }
    let both: Vec<Measurement> = (pairs.iter())
        .flat_map(|pair| [pair.now.clone(), pair.before.clone()])
        .collect();
    let about = intervals(&both);
    let names = |cells: &[&Measurement]| {
        let mut names: Vec<String> = (cells.iter())
            .map(|m| {
                let hash = &m.provenance.model_sha256;
                let hash = hash.get(..16).unwrap_or(hash);
                format!(
                    "{} ({hash}; {} before every prompt)",
                    m.model,
                    front(&m.provenance)
                )
            })
            .collect();
        names.dedup();
        names.join(", ")
    };
    let mut text = format!(
        "{} against {}\nthe same prompts; {}; differences of accuracy on these prompts with exact bounds (at least 95%); exact McNemar \
         tests, p after Holm over {} cells\n",
        names(&new),
        names(&old),
        about,
        pairs.len()
    );
    let mut table = table(&[
        "cell",
        "accuracy before",
        "now",
        "difference",
        "only now",
        "only before",
        "p",
        "",
        "faithfulness before",
        "now",
    ]);
    for (i, pair) in pairs.iter().enumerate() {
        let (m, o) = (pair.now, pair.before);
        let (difference, low, high) = pair.difference();
        let faithful = |m: &Measurement| match pair.base {
            true => String::new(),
            false => faithfulness(m),
        };
        table.add_row([
            pair.name.clone(),
            pair.accuracy(o),
            pair.accuracy(m),
            format!("{} [{}, {}]", signed(difference), signed(low), signed(high)),
            pair.only_now.to_string(),
            pair.only_before.to_string(),
            p_value(adjusted[i]),
            pair.change(adjusted[i]).to_owned(),
            faithful(o),
            faithful(m),
        ]);
    }
    text += &format!("{table}\n");
    let mut counts: Vec<String> = Vec::new();
    for change in [
        "better",
        "worse",
        "higher",
        "lower",
        "no significant change",
    ] {
        let of = pairs.iter().enumerate();
        let count = of
            .filter(|(i, pair)| pair.change(adjusted[*i]) == change)
            .count();
        if count > 0 {
            counts.push(format!("{count} {change}"));
        }
    }
    text += &format!(
        "{}; not compared: {other_prompts} on other prompts, {alone} only now, {gone} only before\n",
        match counts.is_empty() {
            true => "no cell in both".to_owned(),
            false => counts.join(", "),
        }
    );
    text
}

fn cells(lines: &[Line]) -> Vec<&Measurement> {
    let cells = lines.iter().filter_map(|line| match &line.row {
        Row::Measured(m) => Some(&**m),
        _ => None,
    });
    cells.collect()
}
