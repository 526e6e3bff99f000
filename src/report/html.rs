//! The page: one file with the pictures of the paper and every number, that asks for nothing from elsewhere and runs
//! nothing. What stands about one sweep is in [`super::figure`].

use maud::{DOCTYPE, Markup, PreEscaped, html as markup};
use serde_json::Value;

use super::about::intervals;
use super::figure;
use super::table::{distinct, front};
use super::terminal::{attended, measured, sweeps};
use crate::record::{Failure, HeadAttention, Line, Measurement, Outcome, Provenance, Row};

/// How the page looks.
const STYLE: &str = include_str!("page.css");

/// The page about these records. Equal records make equal bytes.
pub fn html(lines: &[Line]) -> String {
    let sweeps: Vec<Sweep> = sweeps(lines).into_iter().map(Sweep::of).collect();
    let failures: Vec<&Failure> = lines.iter().filter_map(failure).collect();
    let selfchecks: Vec<&Value> = lines.iter().filter_map(selfcheck).collect();
    let mut models: Vec<&str> = sweeps.iter().flat_map(|sweep| sweep.models()).collect();
    models.sort_unstable();
    models.dedup();
    let title = match models.is_empty() {
        true => "af1: no measurements".to_owned(),
        false => format!("af1: {}", models.join(", ")),
    };
    let page = markup! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                // Nothing is loaded and nothing runs, whatever the records say.
                meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                // A browser asks for a picture of the site unless it is given one.
                link rel="icon" href="data:,";
                title { (title) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                header {
                    h1 { (title) }
                    p { "Is the All-for-One subgraph sufficient for mental arithmetic? Measurements after arXiv 2509.09650." }
                }
                main {
                    (measured_on(&sweeps))
                    (contents(&sweeps))
                    (guide())
                    (all_gates(lines))
                    (all_verdicts(&sweeps))
                    (all_failures(&failures))
                    (all_selfchecks(&selfchecks))
                    @for sweep in &sweeps { (sweep.part()) }
                    (provenance(&sweeps))
                    (methods())
                }
            }
        }
    };
    page.into_string()
}

fn failure(line: &Line) -> Option<&Failure> {
    match &line.row {
        Row::Failed(failure) => Some(failure),
        _ => None,
    }
}

fn selfcheck(line: &Line) -> Option<&Value> {
    match &line.row {
        Row::Other(value) if value["experiment"] == "selfcheck" => Some(value),
        _ => None,
    }
}

/// The records of one sweep.
struct Sweep {
    name: String,
    cells: Vec<Measurement>,
    heads: Vec<HeadAttention>,
}

impl Sweep {
    fn of(mut lines: Vec<&Line>) -> Self {
        // Shards that were put behind each other are in order again.
        lines.sort_by_key(|line| line.key().map(|(_, cell)| cell));
        let name = lines.first().and_then(|line| line.key());
        Self {
            name: name.map_or(String::new(), |(sweep, _)| sweep.to_owned()),
            cells: measured(&lines),
            heads: attended(&lines),
        }
    }

    /// What its intervals are about.
    fn about(&self) -> String {
        match self.heads.first() {
            Some(head) if self.cells.is_empty() => {
                format!("95% intervals about {}", head.inference.words())
            }
            _ => intervals(&self.cells),
        }
    }

    fn models(&self) -> Vec<&str> {
        let of_cells = self.cells.iter().map(|m| &*m.model);
        of_cells
            .chain(self.heads.iter().map(|a| &*a.model))
            .collect()
    }

    fn is_empty(&self) -> bool {
        self.cells.is_empty() && self.heads.is_empty()
    }

    fn provenance(&self) -> Option<&Provenance> {
        let of_cells = self.cells.first().map(|m| &m.provenance);
        of_cells.or_else(|| self.heads.first().map(|a| &a.provenance))
    }

    fn layers(&self) -> usize {
        let of_cells = self.cells.first().map(|m| m.layers);
        let of_heads = || self.heads.first().map(|a| a.layers);
        of_cells.or_else(of_heads).unwrap_or(0)
    }

    fn title(&self) -> String {
        let mut questions: Vec<&str> = distinct(&self.cells, |m| question(&m.experiment));
        if !self.heads.is_empty() {
            questions.push(question("attention"));
        }
        let model = self.models().first().copied().unwrap_or("").to_owned();
        format!("{model}: {}", questions.join(" "))
    }

    fn id(&self) -> String {
        format!("sweep-{}", self.name)
    }

    fn part(&self) -> Markup {
        if self.is_empty() {
            return markup! {};
        }
        markup! {
            section id=(self.id()) {
                h2 { (self.title()) }
                p.note { "Sweep " code { (self.name) } }
                (figure::sweep(&self.cells))
                (figure::attention(&self.heads))
            }
        }
    }
}

/// What an experiment asks.
fn question(experiment: &str) -> &str {
    match experiment {
        "waiting" => "How long can every token wait?",
        "transfer" => "How many layers must transfer, and when?",
        "necessity" => "In which layers must the last token see others?",
        "heads" => "Which heads must peek?",
        "alternatives" => "Does it take CAMA and ABP?",
        "attention" => "Where does the last token look?",
        "af1" => "Is AF1 sufficient?",
        "discover" => "Which W and K, chosen on other prompts?",
        "contexts" => "How many contexts does a mean take?",
        other => other,
    }
}

/// A table of words, the first column of which names the row.
pub(super) fn words(caption: &str, head: &[&str], rows: &[Vec<String>]) -> Markup {
    let table = markup! {
        table {
            caption { (caption) }
            thead { tr { @for head in head { th scope="col" { (head) } } } }
            tbody {
                @for row in rows {
                    tr {
                        @for (i, text) in row.iter().enumerate() {
                            @if i == 0 { th scope="row" { (text) } } @else { td { (text) } }
                        }
                    }
                }
            }
        }
    };
    figure::scrolling(&format!("Table: {caption}"), &table)
}

fn measured_on(sweeps: &[Sweep]) -> Markup {
    let row = |sweep: &Sweep| {
        let p = sweep.provenance()?;
        let range = |[first, last]: [i64; 2]| format!("{first} to {last}");
        let prompts: Vec<usize> = distinct(&sweep.cells, |m| m.prompts);
        let heads = sweep.heads.iter().map(|a| a.prompts);
        let (least, most) = (
            prompts.iter().copied().chain(heads.clone()).min()?,
            prompts.iter().copied().chain(heads).max()?,
        );
        Some(vec![
            sweep.title(),
            sweep.layers().to_string(),
            p.dtype.clone(),
            format!("{} {}", p.runtime, p.runtime_version),
            p.ran_on(),
            match least == most {
                true => least.to_string(),
                false => format!("{least} to {most}"),
            },
            range(p.operands),
            range(p.results),
            front(p),
            distinct(&sweep.cells, |m| m.estimator.as_str()).join(", "),
            sweep.about(),
        ])
    };
    let rows: Vec<Vec<String>> = sweeps.iter().filter_map(row).collect();
    let head = [
        "sweep",
        "layers",
        "computed in",
        "runtime",
        "device",
        "prompts of a template",
        "operands",
        "results",
        "before every prompt",
        "means",
        "intervals",
    ];
    markup! {
        section {
            h2 { "What was measured" }
            @if rows.is_empty() {
                p { "There are no measurements in these records." }
            } @else {
                (words("Models, runtime and prompts", &head, &rows))
            }
        }
    }
}

fn contents(sweeps: &[Sweep]) -> Markup {
    markup! {
        nav aria-label="Sweeps" {
            ol {
                @for sweep in sweeps.iter().filter(|sweep| !sweep.is_empty()) {
                    li { a href={ "#" (sweep.id()) } { (sweep.title()) } }
                }
            }
        }
    }
}

fn guide() -> Markup {
    markup! {
        section {
            h2 { "How to read this" }
            p {
                "AF1(W, K): in the layers below W tokens wait (what they carry is replaced by what does not depend on the other \
                 tokens), in the K layers from W on the last token may look at all others, above that only at itself and at \
                 position 0. Faithfulness is the share of the model's right answers that stay right; accuracy the share of all \
                 prompts that are answered rightly. A number reads "
                code { "41/49 .84 [.71, .91]" }
                ": 41 of 49, which is .84, with its 95% interval."
            }
            dl {
                dt { (badge(Outcome::Pass)) }
                dd { "The interval begins at the claim or above it, the model can do the task, and transfer matters." }
                dt { (badge(Outcome::Fail)) }
                dd { "The interval ends below the claim: the subgraph is not sufficient." }
                dt { (badge(Outcome::Inconclusive)) }
                dd {
                    "These prompts cannot tell: the model cannot do the task, the subgraph does as well without transfer, or \
                     there are too few prompts. It says nothing for the claim and nothing against it."
                }
            }
            p { "Verdicts are not corrected for the number of cells in a table; where a table has several, they stand beside it after \
                 Holm's correction." }
        }
    }
}

/// A verdict with a sign, so that it is not told by its colour alone.
fn badge(outcome: Outcome) -> Markup {
    let sign = match outcome {
        Outcome::Pass => "✓",
        Outcome::Fail => "✗",
        Outcome::Inconclusive => "?",
    };
    markup! {
        span class=(format!("verdict {outcome}")) {
            span aria-hidden="true" { (sign) } " " (super::table::outcome(outcome))
        }
    }
}

/// What gates answered.
fn all_gates(lines: &[Line]) -> Markup {
    let answers = super::gate::answers(lines);
    let mut rows: Vec<Vec<String>> = Vec::new();
    for (model, answer, _) in &answers {
        let claim = format!("{model}: {}", answer.claim);
        for condition in &answer.conditions {
            rows.push(vec![
                claim.clone(),
                condition.asked.clone(),
                super::table::outcome(condition.outcome).to_owned(),
                condition.reason.clone(),
            ]);
        }
    }
    markup! {
        @if !rows.is_empty() {
            section {
                h2 { "Gate" }
                p { @for (_, answer, _) in &answers { (answer.claim) ": " (badge(answer.outcome)) " " } }
                (words("What is claimed, and what the measurements say", &["claim", "condition", "outcome", "reason"], &rows))
            }
        }
    }
}

/// The verdicts on what is claimed: of every sweep those of its first ablation and masking; the others are there to compare with,
/// and a map claims nothing.
fn all_verdicts(sweeps: &[Sweep]) -> Markup {
    let mut cells: Vec<Measurement> = Vec::new();
    for sweep in sweeps {
        let judged = sweep.cells.iter().filter(|m| m.verdict.is_some());
        let judged: Vec<&Measurement> = judged.filter(|m| m.experiment != "transfer").collect();
        let first = judged.first().map(|m| (&m.ablation, &m.masking));
        let claimed = judged
            .into_iter()
            .filter(|m| Some((&m.ablation, &m.masking)) == first);
        cells.extend(claimed.cloned());
    }
    let of = |outcome: Outcome| {
        let judged = cells.iter().filter_map(|m| m.verdict.as_ref());
        judged.filter(|verdict| verdict.outcome == outcome).count()
    };
    let outcomes = [Outcome::Pass, Outcome::Fail, Outcome::Inconclusive];
    let over_draws: Vec<Outcome> = sweeps
        .iter()
        .flat_map(|sweep| &sweep.cells)
        .filter_map(|m| Some(m.over_draws.as_ref()?.verdict.as_ref()?.outcome))
        .collect();
    let none = outcomes.iter().all(|&outcome| of(outcome) == 0);
    let over = |outcome: Outcome| over_draws.iter().filter(|o| **o == outcome).count();
    markup! {
        section {
            h2 { "Verdicts" }
            @if !over_draws.is_empty() {
                p {
                    "Over all draws of a number of contexts: "
                    @for outcome in outcomes { (badge(outcome)) ": " (over(outcome)) " " }
                    "The reasons stand beside the draws."
                }
            }
            @if none && over_draws.is_empty() {
                p { "None of these experiments makes a claim." }
            } @else if !none {
                p { @for outcome in outcomes { (badge(outcome)) ": " (of(outcome)) " " } }
                (figure::verdicts(&cells))
            }
        }
    }
}

fn all_failures(failures: &[&Failure]) -> Markup {
    let row = |failure: &&Failure| {
        vec![
            failure.model.clone(),
            failure.experiment.clone(),
            failure.style.clone(),
            failure.operation.clone(),
            failure.ablation.clone().unwrap_or_else(|| "all".to_owned()),
            failure.error.clone(),
            failure.exit_code.to_string(),
        ]
    };
    let rows: Vec<Vec<String>> = failures.iter().map(row).collect();
    let head = [
        "model",
        "experiment",
        "style",
        "operation",
        "ablation",
        "why",
        "exit code",
    ];
    markup! {
        section {
            h2 { "What could not be measured" }
            @if rows.is_empty() {
                p { "Everything that these records are about was measured." }
            } @else {
                (words("Templates that could not be evaluated, and ablations that are not defined on one", &head, &rows))
            }
        }
    }
}

/// The planted models that were measured first: whether what was found is what was planted.
fn all_selfchecks(selfchecks: &[&Value]) -> Markup {
    let row = |check: &&Value| {
        let text = |field: &str| check[field].as_str().unwrap_or("").to_owned();
        let differences = check["differences"].as_array().cloned().unwrap_or_default();
        let differences: Vec<&str> = differences.iter().filter_map(Value::as_str).collect();
        vec![
            text("model"),
            text("style"),
            text("operation"),
            text("due"),
            text("verdict"),
            match differences.is_empty() {
                true => "none: all as planted".to_owned(),
                false => differences.join("; "),
            },
        ]
    };
    let rows: Vec<Vec<String>> = selfchecks.iter().map(row).collect();
    let head = [
        "model",
        "style",
        "operation",
        "verdict due",
        "verdict found",
        "differences",
    ];
    markup! {
        @if !rows.is_empty() {
            section {
                h2 { "Self-check" }
                p { "Models whose answer is known by construction, under the same program and runtime." }
                (words("What was found in planted models, against what was planted", &head, &rows))
            }
        }
    }
}

fn provenance(sweeps: &[Sweep]) -> Markup {
    let mut all: Vec<(&Provenance, Vec<&Sweep>)> = Vec::new();
    for sweep in sweeps {
        let of_cells = sweep.cells.iter().map(|m| &m.provenance);
        for p in of_cells.chain(sweep.heads.iter().map(|a| &a.provenance)) {
            match all.iter_mut().find(|(known, _)| *known == p) {
                Some((_, sweeps)) if sweeps.iter().any(|known| known.name == sweep.name) => {}
                Some((_, sweeps)) => sweeps.push(sweep),
                None => all.push((p, vec![sweep])),
            }
        }
    }
    let text = |value: &Value| match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let rows = |p: &Provenance| -> Vec<Vec<String>> {
        let fields = serde_json::to_value(p).expect("a record is plain data");
        let fields = fields.as_object().cloned().unwrap_or_default();
        let row = |(name, value): (String, Value)| vec![name, text(&value)];
        fields.into_iter().map(row).collect()
    };
    markup! {
        section {
            h2 { "Provenance" }
            @for (p, sweeps) in &all {
                @let names: Vec<&str> = sweeps.iter().map(|sweep| &*sweep.name).collect();
                (words(&format!("Under what was measured: {}", names.join(", ")), &["field", "value"], &rows(p)))
            }
        }
    }
}

fn methods() -> Markup {
    markup! {
        section {
            h2 { "Methods" }
            ul {
                li { "About these prompts (the default) every prompt is a draw for itself: shares have Wilson 95% intervals." }
                li { "About other operands prompts that share the value of an operand succeed or fail together: shares have exact 95% \
                      intervals at the effective number of prompts, by multi-way cluster variances, and means t intervals by the \
                      same variances." }
                li { "A subgraph against the one without transfer, and the model against the best constant answer: exact \
                      one-sided McNemar tests." }
                li { "Alternatives against their reference on the same prompts: exact two-sided McNemar tests; p after Holm's \
                      correction over the alternatives of a template." }
                li { "Means over these prompts (logit differences, divergences, accuracy differences, attention): 95% intervals of a \
                      bootstrap that resamples all prompts with the same value of one operand, 1000 resamples, seed 42; the \
                      widest over the operands." }
                li { "Verdicts over drawn contexts: from 5 draws on; the interval over draws and prompts (pigeonhole bootstrap), the \
                      rule for one table of means, and a lower bound over contexts by the largest spread of the draws must \
                      all reach the claim." }
                li { "Means that replace residual streams: see the estimator above; under leave-one-out the evaluated prompt is \
                      taken out of its mean." }
            }
        }
    }
}
