//! Does it take CAMA and ABP: at one AF1 a row for everything that could stand in for them, against the first row.

use clap::Args;

use super::parts::options::OneSubgraph;
use super::parts::{
    Ask, Emit, Entry, Experiment, Given, Plans, Sizes, Todo, Unit, View, Workbench,
};
use crate::Result;
use crate::intervene::{Ablation, MaskedBy, Plan, ablation, masking};
use crate::kit::words::about::{
    NOTHING_TO_KEEP, af1, baseline, faithfulness, heading, notes, template,
};
use crate::kit::words::columns::{
    Columns, accurate, after_holm, against_base, divergence, faithful, field, joined,
    logit_difference, logits, rank, said, shares, technique, verdict,
};
use crate::kit::words::number::{interval, p_value, signed};
use crate::kit::words::{SEE_TABLE, each_group, each_template};
use crate::kit::{Block, Column, Drawing, Estimate, Figure, Table, TableCell, Value, column};
use crate::measure::{Compared, Request, prepare};
use crate::progress::say;
use crate::prompt;
use crate::record::{CellName, Group, Kind, Measurement, Provenance, Run, Sweep, Tested, measure};
use crate::stats::LEVEL;

/// The kind of its records.
const KIND: Kind = Kind::new("alternatives");

/// The verb, its line in the help, and how its records are shown.
pub const ENTRY: Entry = Entry::of::<Options>(
    "alternatives",
    "CAMA and ABP beside everything that could stand in for them",
    &Shown,
    [
        "alternatives -s calculate --operation A+B",
        "alternatives -m planted-leak -s symbolic --operands 0..=9",
    ],
);

/// The options of the verb.
#[derive(Args, Clone, Debug)]
pub struct Options {
    #[command(flatten)]
    subgraph: OneSubgraph,
}

impl Ask for Options {
    fn experiment(&self, given: &Given<'_>) -> Result<Box<dyn Experiment>> {
        let (wait, transfer) = self.subgraph.resolve(given.model)?;
        let all = masking::ALL.iter().skip(1);
        let all = all.map(|&masking| masking::MaskedBy(masking));
        let (maskings, left_out): (Vec<_>, Vec<_>) =
            all.partition(|masking| given.engine.names_attention() || !masking.cuts_attention());
        if !left_out.is_empty() {
            let left_out: Vec<String> = left_out.iter().map(|masking| masking.name()).collect();
            let (model, names) = (&given.model.name, left_out.join(", "));
            say!("left out: {names}: {model} does not name attn_pattern and attn_out");
        }
        let af1 = Plan::af1(wait, transfer);
        Ok(Box::new(Alternatives { af1, maskings }))
    }
}

/// Every ablation with attention-based peeking, and CAMA with every other masking.
pub struct Alternatives {
    /// The subgraph.
    pub af1: Plan,
    /// What stands in for attention-based peeking.
    pub maskings: Vec<MaskedBy>,
}

impl Experiment for Alternatives {
    fn kind(&self) -> Kind {
        KIND
    }

    fn units(&self) -> Vec<Box<dyn Unit + '_>> {
        let replacing = ablation::ALL.iter().filter(|ablation| ablation.replaces());
        let masked = self.maskings.iter().map(|by| self.af1.clone().with(*by));
        vec![
            Box::new(Plans {
                plans: vec![self.af1.clone()],
                ablations: replacing.copied().collect(),
            }),
            Box::new(Plans {
                plans: masked.collect(),
                ablations: vec![ablation::CAMA],
            }),
            Box::new(OtherKey(Plans {
                plans: vec![self.af1.clone()],
                ablations: vec![ablation::CAMA],
            })),
        ]
    }
}

/// CAMA whose means have another key than the one that is asked for, where a number has several tokens. Where it has one both are the same.
struct OtherKey(Plans);

impl OtherKey {
    /// The only plan of the unit.
    fn plan(&self) -> &Plan {
        &self.0.plans[0]
    }

    /// The only cell of the unit: it stands behind CAMA under the key that is asked for.
    fn cell(&self) -> CellName {
        let mut order = self.plan().order().to_vec();
        order.extend([0, 1]);
        CellName::new(
            order,
            format!("{} by cama under the other key", self.plan().words()),
        )
    }
}

impl Unit for OtherKey {
    fn words(&self) -> String {
        self.0.words()
    }

    fn ablations(&self) -> Vec<&'static dyn Ablation> {
        self.0.ablations()
    }

    fn cells(&self, _: Sizes) -> Vec<CellName> {
        vec![self.cell()]
    }

    fn plans(&self, sizes: Sizes) -> Vec<Plan> {
        self.0.plans(sizes)
    }

    fn applies(&self, shape: &prompt::Shape) -> bool {
        !shape.is_single()
    }

    fn measure(&self, bench: &mut Workbench<'_>, todo: &Todo, emit: &mut Emit<'_>) -> Result<()> {
        let Plans { plans, ablations } = &self.0;
        let (engine, evaluation) = bench.prepared()?;
        let here = evaluation.compare(engine, plans, ablations)?;
        let key = bench.set.numbers.keyed_by.other();
        let request = Request {
            plans,
            ablations,
            operations: &[],
            ..bench.request
        };
        let set = bench.set.keyed(key);
        let mut there = prepare(bench.engine, set, &request, &[self.plan().wait])?;
        let compared = there.compare(bench.engine, plans, ablations)?;
        // Under the other key a mean may be defined for other prompts; then the two cells are not of the same ones.
        let asked = bench.evaluation.as_ref();
        let same = asked.is_some_and(|asked| asked.evaluated == there.evaluated);
        let reference = here.cells().next().filter(|_| same);
        let cells = compared.cells().map(|cell| Compared {
            reference: reference.map(|reference| reference.cell),
            ..cell
        });
        let provenance = Provenance {
            key,
            ..bench.run.provenance.clone()
        };
        let run = Run {
            experiment: bench.run.experiment.clone(),
            provenance: &provenance,
            ..*bench.run
        };
        let measured = measure(&there, &run, cells).into_iter();
        let lines = measured.map(|m| bench.line(m, &self.cell()));
        emit.whole(lines.collect(), todo)
    }
}

/// What is shown of its records.
pub struct Shown;

impl View for Shown {
    fn kind(&self) -> Kind {
        KIND
    }

    fn question(&self) -> &'static str {
        "Does it take CAMA and ABP?"
    }

    fn claims(&self) -> bool {
        true
    }

    fn summary(&self, sweep: &Sweep) -> Vec<Block> {
        let mut blocks = vec![heading(sweep)];
        blocks.extend(sweep.groups.iter().map(|group| Block::Table(table(group))));
        blocks.push(Block::Note(notes(sweep)));
        blocks
    }

    fn detail(&self, sweep: &Sweep) -> Vec<Block> {
        each_template(sweep, |group| {
            let m = group.first();
            let title = format!(
                "{}: {} with alternatives to CAMA and ABP",
                template(m),
                af1(m)
            );
            let table = Block::Table(Table::of(title, &columns(group), &group.cells));
            let figure = figure(group).map(Block::Figure);
            figure.into_iter().chain([table]).collect()
        })
    }

    fn conclusion(&self, sweep: &Sweep) -> Vec<String> {
        each_group(sweep, |group| {
            let m = group.first();
            if m.counts.base_correct == 0 {
                return NOTHING_TO_KEEP.to_owned();
            }
            let others: Vec<&Tested> = (group.cells.iter())
                .filter(|cell| cell.m.paired.is_some())
                .collect();
            let is_worse = |cell: &&&Tested| {
                let below = (cell.m.paired.as_ref()).is_some_and(|p| p.accuracy_difference < 0.0);
                below && cell.p_holm.is_some_and(|p| p < LEVEL)
            };
            let worse = others.iter().filter(is_worse).count();
            let rest = others.iter().filter(|cell| !is_worse(cell));
            let name = |cell: &&Tested| match cell.m.subject.ablation == m.subject.ablation {
                _ if cell.m.provenance.key != m.provenance.key => {
                    format!("keyed by {}", cell.m.provenance.key.name())
                }
                true => cell.m.subject.masked_by().unwrap_or_default(),
                false => cell.m.subject.ablation.clone(),
            };
            let rest: Vec<String> = rest.map(name).collect();
            let rest = match rest.is_empty() {
                true => String::new(),
                false => format!("; not told apart from it, or better: {}", rest.join(", ")),
            };
            format!(
                "{} with {} keeps {} of the right answers; of {} alternatives {worse} are right less often (p after Holm below \
                 {LEVEL}){rest}",
                af1(m),
                both(&m.subject.ablation, m.subject.masked_by().as_deref()),
                faithfulness(m),
                others.len()
            )
        })
    }
}

/// A row an alternative.
fn table(group: &Group) -> Table {
    let m = group.first();
    let title = format!(
        "{}\n{} with something else in place of CAMA or of ABP, against the first row on the same prompts (exact \
         McNemar tests, p after Holm)",
        baseline(m),
        af1(m),
    );
    let masking = |m: &Measurement| m.subject.masked_by().unwrap_or_default();
    let difference = |m: &Measurement| difference(m).map_or(String::new(), |cell| cell.text);
    let mut columns = vec![
        said("replaced by", |m| m.subject.ablation.clone()),
        said("masked by", masking),
    ];
    columns.extend(keyed_of_several(group));
    columns.push(faithful());
    columns.extend(against_base());
    columns.extend([
        accurate(),
        said("accuracy difference", difference),
        column("p", |cell: &Tested| {
            cell.p_holm.map_or(String::new(), p_value)
        }),
        logit_difference(),
        divergence("KL"),
        rank("rank"),
    ]);
    Table::of(title, &columns, &group.cells)
}

/// The columns of the table that has every number.
fn columns(group: &Group) -> Columns<'_> {
    let known = |m: &Measurement, name: &str, p: Option<f64>| match p {
        Some(p) => field(m, name, p_value(p), Some(Value::Real(p))),
        None => TableCell::words(""),
    };
    let keyed: Columns<'_> = keyed_of_several(group).into_iter().collect();
    let mut columns = joined([technique(), keyed, shares(), against_base()]);
    let first = &group.first().place.cell;
    columns.extend([
        column("accuracy difference", move |cell: &Tested| {
            let word = match cell.m.place.cell == *first {
                true => "the reference",
                false => "of other prompts",
            };
            difference(&cell.m).unwrap_or_else(|| TableCell::words(word))
        }),
        column("p", move |Tested { m, .. }: &Tested| {
            known(m, "paired.p", m.paired.as_ref().map(|paired| paired.p))
        }),
        column("p after Holm", move |cell: &Tested| {
            known(&cell.m, "p_holm", cell.p_holm)
        }),
    ]);
    let cells: Vec<&Tested> = group.cells.iter().collect();
    columns.extend(logits());
    columns.push(verdict());
    columns.extend(after_holm(&cells, |cell| cell.in_template));
    columns
}

/// What means are conditioned on, where rows differ in it.
fn keyed_of_several<'a>(group: &Group) -> Option<Column<'a, Tested>> {
    let key = |m: &Measurement| m.provenance.key.name().to_owned();
    let first = group.first().provenance.key;
    let several = group
        .cells
        .iter()
        .any(|cell| cell.m.provenance.key != first);
    several.then(|| said("keyed by", key))
}

/// The row in words: what replaces, what masks, and the key of means where it is another one than the first row's.
fn row_in_words(m: &Measurement, first: &Measurement) -> String {
    let words = both(&m.subject.ablation, m.subject.masked_by().as_deref());
    match m.provenance.key == first.provenance.key {
        true => words,
        false => format!("{words}, keyed by {}", m.provenance.key.name()),
    }
}

/// The difference of accuracies from the reference; `None` of the reference itself.
fn difference(m: &Measurement) -> Option<TableCell> {
    let paired = m.paired.as_ref()?;
    let value = paired.accuracy_difference;
    let (low, high) = (
        paired.accuracy_difference_low,
        paired.accuracy_difference_high,
    );
    let text = interval(signed, value, low, high);
    let value = Some(Value::Real(value));
    Some(field(m, "paired.accuracy_difference", text, value).within(low, high))
}

/// What replaces, and what masks.
fn both(ablation: &str, masking: Option<&str>) -> String {
    format!("{ablation}, {}", masking.unwrap_or("no mask"))
}

/// A row an alternative; nothing where there are none.
fn figure(group: &Group) -> Option<Figure> {
    let cells = || group.cells.iter().map(|cell| &cell.m);
    let row = |m: &Measurement| {
        let paired = m.paired.as_ref()?;
        let difference = Estimate {
            value: paired.accuracy_difference,
            low: paired.accuracy_difference_low,
            high: paired.accuracy_difference_high,
            of: None,
        };
        Some((row_in_words(m, group.first()), difference))
    };
    let rows: Vec<(String, Estimate)> = cells().filter_map(row).collect();
    let reference = cells().find_map(|m| m.paired.as_ref())?;
    let m = group.first();
    Some(Figure {
        title: format!(
            "{}: accuracy of {} with an alternative less that with {}",
            template(m),
            af1(m),
            both(&reference.ablation, reference.masking.as_deref())
        ),
        described: format!(
            "A row for every alternative: the difference on the same prompts with its 95% interval; left of 0 the \
             alternative is worse. {}",
            SEE_TABLE
        ),
        drawing: Drawing::Differences {
            x: "accuracy difference".to_owned(),
            rows,
        },
    })
}
