//! Two runs beside each other: what got better, what got worse, and whether that could be chance.

use serde_json::json;

use super::table::{p_value, signed, table};
use crate::record::{Line, Measurement, Row, bits_of_hex, key};
use crate::stats::{discordant, holm, mcnemar_two_sided};

/// The level at which a difference counts, after Holm's correction over all cells that are compared.
const LEVEL: f64 = 0.05;

/// Cells that both runs measured, on the same prompts: a row each, or with `json` an object a line. Cells of other prompts, and
/// those that one run alone has, are counted, not compared.
pub fn comparison(new: &[Line], old: &[Line], json: bool) -> String {
    let (new, old) = (cells(new), cells(old));
    let (mut pairs, mut other_prompts, mut alone) = (Vec::new(), 0, 0);
    for m in &new {
        match old.iter().find(|o| key(o) == key(m)) {
            Some(o) if o.prompts_sha256 == m.prompts_sha256 => pairs.push((*m, *o)),
            Some(_) => other_prompts += 1,
            None => alone += 1,
        }
    }
    let gone = old
        .iter()
        .filter(|o| new.iter().all(|m| key(m) != key(o)))
        .count();
    let counts: Vec<(usize, usize)> = pairs.iter().map(|(m, o)| discord(m, o)).collect();
    let p: Vec<f64> = counts
        .iter()
        .map(|(better, worse)| mcnemar_two_sided(*better, *worse))
        .collect();
    let adjusted = holm(&p);
    let change = |i: usize| match counts[i] {
        _ if adjusted[i] > LEVEL => "no significant change",
        (better, worse) if better > worse => "better",
        _ => "worse",
    };
    if json {
        let line = |(i, (m, o)): (usize, &(&Measurement, &Measurement))| {
            let object = json!({
                "experiment": "comparison", "cell": key(m).to_string(), "model": m.model, "against": o.model,
                "prompts": m.prompts, "accuracy": m.accuracy, "accuracy_before": o.accuracy,
                "only_now": counts[i].0, "only_before": counts[i].1, "p": p[i], "p_holm": adjusted[i],
                "change": change(i),
            });
            format!("{object}\n")
        };
        return pairs.iter().enumerate().map(line).collect();
    }
    let names = |cells: &[&Measurement]| {
        let mut names: Vec<&str> = cells.iter().map(|m| m.model.as_str()).collect();
        names.dedup();
        names.join(", ")
    };
    let mut text = format!(
        "{} against {}: the same prompts, exact McNemar tests, Holm over {} cells\n",
        names(&new),
        names(&old),
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
    ]);
    for (i, (m, o)) in pairs.iter().enumerate() {
        table.add_row([
            key(m).to_string(),
            format!("{}/{}", o.correct, o.prompts),
            format!("{}/{}", m.correct, m.prompts),
            signed(m.accuracy - o.accuracy),
            counts[i].0.to_string(),
            counts[i].1.to_string(),
            p_value(adjusted[i]),
            change(i).to_owned(),
        ]);
    }
    text += &format!("{table}\n");
    let of = |wanted: &str| (0..pairs.len()).filter(|&i| change(i) == wanted).count();
    text += &format!(
        "{} better, {} worse, {} without significant change; not compared: {other_prompts} on other prompts, {alone} only now, \
         {gone} only before\n",
        of("better"),
        of("worse"),
        of("no significant change")
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

/// How many prompts only the first answers correctly, and only the second.
fn discord(m: &Measurement, o: &Measurement) -> (usize, usize) {
    let bits = |m: &Measurement| bits_of_hex(&m.answers, m.prompts).unwrap_or_default();
    discordant(bits(m).into_iter().zip(bits(o)))
}
