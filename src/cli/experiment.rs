//! `af1 reproduce`, `af1 run`, `af1 waiting`, `af1 transfer`, `af1 necessity`, `af1 heads`,
//! `af1 alternatives`, `af1 discover`, `af1 contexts`,
//! `af1 attention`: the experiments.

use clap::{Args, ValueEnum};

use super::args::{
    AblationArgs, AblationName, Format, Layers, MaskingName, check_layers, defaults,
};
use super::lab::{Common, Lab};
use super::output::print;
use super::selfcheck::control;
use crate::experiment::{self, Order, knockout_windows, knockouts_upward, subgraphs, waiting};
use crate::intervene::{Plan, masking};
use crate::measure::Draw;
use crate::model::{CONTRAST, Model, PRESETS, Preset};
use crate::{Error, Result};

#[derive(Args, Clone, Debug)]
pub struct Reproduce {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
}

#[derive(Args, Clone, Debug)]
pub struct Run {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    #[command(flatten)]
    subgraph: Subgraph,
    /// The (W, K) of another built-in model
    #[arg(long, value_name = "NAME", conflicts_with_all = ["wait", "transfer"])]
    subgraph_of: Option<String>,
    /// What keeps tokens from looking at each other
    #[arg(
        long,
        value_delimiter = ',',
        value_name = "NAME,...",
        default_value = "abp"
    )]
    masking: Vec<MaskingName>,
}

/// Which AF1.
#[derive(Args, Clone, Debug)]
pub struct Subgraph {
    /// W: layers 0..W wait; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; a number, list or range [default: the model's preset]
    #[arg(long, value_name = "K,...")]
    transfer: Option<Layers>,
}

#[derive(Args, Clone, Debug)]
pub struct Waiting {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: boundaries at which the residual stream is replaced [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
}

#[derive(Args, Clone, Debug)]
pub struct Transfer {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    ablations: AblationArgs,
    /// W: layers 0..W wait [default: every boundary]
    #[arg(long, value_name = "W,...")]
    wait: Option<Layers>,
    /// K: layers W..W+K transfer; cells beyond the last layer are left out
    #[arg(long, value_name = "K,...", default_value = "0..=8")]
    transfer: Layers,
}

#[derive(Args, Clone, Debug)]
pub struct Necessity {
    #[command(flatten)]
    common: Common,
    /// Layers that are knocked out together
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    window: u16,
    /// Knock out every layer from each one upward instead
    #[arg(long, conflicts_with = "window")]
    upward: bool,
}

#[derive(Args, Clone, Debug)]
pub struct Heads {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Which head goes next
    #[arg(long, value_enum, default_value_t)]
    order: OrderName,
    /// Random sets of heads, of the size of the largest pruned set that holds, for comparison
    #[arg(long, value_name = "N", default_value_t = 0)]
    controls: u16,
    /// Choose heads, and the size of random sets, on one half of the prompts and report on the other, which shares no operand with it
    #[arg(long)]
    held_out: bool,
}

/// In which order heads go.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
enum OrderName {
    /// The one whose loss costs least
    #[default]
    Greedy,
    /// Drawn by --seed
    Random,
}

#[derive(Args, Clone, Debug)]
pub struct Alternatives {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    subgraph: OneSubgraph,
}

#[derive(Args, Clone, Debug)]
pub struct Discover {
    #[command(flatten)]
    common: Common,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
}

#[derive(Args, Clone, Debug)]
pub struct Contexts {
    #[command(flatten)]
    common: Common,
    #[command(flatten)]
    subgraph: OneSubgraph,
    /// What replaces the residual stream of waiting tokens
    #[arg(long, value_name = "NAME", default_value = "cama")]
    ablation: AblationName,
    /// Contexts of a token, the evaluated prompt not counted
    #[arg(long, value_delimiter = ',', value_name = "N,...", default_value = "1,2,5,10,20,50,100", value_parser = clap::value_parser!(u32).range(1..))]
    numbers: Vec<u32>,
    /// Draws of each number, by --seed and the seeds after it; a verdict takes at least 5
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    draws: u16,
}

#[derive(Args, Clone, Debug)]
pub struct Attention {
    #[command(flatten)]
    common: Common,
}

/// Which one AF1.
#[derive(Args, Clone, Debug)]
pub struct OneSubgraph {
    /// W: layers 0..W wait [default: the model's preset]
    #[arg(long, value_name = "W")]
    wait: Option<usize>,
    /// K: layers W..W+K transfer [default: the model's preset]
    #[arg(long, value_name = "K")]
    transfer: Option<usize>,
}

impl OneSubgraph {
    /// `(W, K)`, which must fit the model.
    pub fn resolve(&self, model: &Model) -> Result<(usize, usize)> {
        let one = |layer: Option<usize>| layer.map(|layer| Layers(vec![layer]));
        let subgraph = Subgraph {
            wait: one(self.wait),
            transfer: one(self.transfer),
        };
        let (waits, transfers) = subgraph.resolve(model)?;
        Ok((waits[0], transfers[0]))
    }
}

impl Default for Reproduce {
    fn default() -> Self {
        defaults()
    }
}

impl Subgraph {
    /// The chosen `(W, K)`, all of which must fit the model.
    pub fn resolve(&self, model: &Model) -> Result<(Vec<usize>, Vec<usize>)> {
        let preset = model.preset.map(|preset| preset.af1);
        let or_preset = |given: &Option<Layers>, name: &str, preset: Option<usize>| {
            match given {
            Some(Layers(layers)) => Ok(layers.clone()),
            None => preset.map(|layer| vec![layer]).ok_or_else(|| {
                Error::Usage(format!(
                    "{name} is needed: {} has no preset; try `af1 waiting` and `af1 transfer` first",
                    model.name
                ))
            }),
        }
        };
        let waits = or_preset(&self.wait, "--wait", preset.map(|(wait, _)| wait))?;
        let transfers = or_preset(&self.transfer, "--transfer", preset.map(|(_, k)| k))?;
        let layers = model.sizes.layers;
        for &wait in &waits {
            check_layers("--wait", wait, layers)?;
            for &transfer in &transfers {
                if !Plan::af1(wait, transfer).fits(layers) {
                    return Err(Error::Usage(format!(
                        "--wait {wait} --transfer {transfer}: the model has {layers} layers; expected W + K of at \
                         most {layers}"
                    )));
                }
            }
        }
        Ok((waits, transfers))
    }
}

impl Reproduce {
    pub fn run(self) -> Result<()> {
        let Some(contrast) = self.contrast() else {
            return self.table(true, true);
        };
        let apart = self.common.output.format == Format::Table;
        self.table(true, false)?;
        if apart {
            print("\n")?;
        }
        contrast.table(false, true)
    }

    /// The same for the model that is shown beside the first one, unless something of one's own is asked for.
    fn contrast(&self) -> Option<Self> {
        let Common {
            model,
            prompts,
            output,
            ..
        } = &self.common;
        let own = model.model.is_some()
            || model.bos.is_some()
            || prompts.styles.is_some()
            || !prompts.style.is_empty()
            || self.subgraph.wait.is_some()
            || self.subgraph.transfer.is_some()
            || output.out.is_some();
        if own {
            return None;
        }
        let mut contrast = self.clone();
        contrast.common.model.model = Some(CONTRAST.to_owned());
        // The first style of both.
        contrast.common.prompts.style = vec![PRESETS[0].styles[0].to_owned()];
        Some(contrast)
    }

    /// The table of a model, after the control and before what to try next.
    fn table(self, first: bool, last: bool) -> Result<()> {
        let mut lab = self.common.open()?;
        let (waits, transfers) = self.subgraph.resolve(&lab.study.model)?;
        if first {
            lab.control = control(lab.study.engine.runtime(), lab.study.engine.placement())?;
        }
        let mut plans = waiting(&waits);
        plans.extend(subgraphs(&waits, &transfers));
        let next = if last { next(&lab) } else { String::new() };
        let ablations = self.ablations.chosen();
        lab.run(&experiment::Reproduce { plans, ablations }, &next)
    }
}

/// The commands that a user would try next, as they can be typed.
fn next(lab: &Lab) -> String {
    // Cargo tells the programs that it runs where it is: then the program itself is hardly on the PATH.
    let program = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --".to_owned(),
        None => std::env::args().next().unwrap_or_else(|| "af1".to_owned()),
    };
    let mut same = String::new();
    if lab.study.model.preset.is_none() {
        same += &format!(" --model {}", lab.model.name());
    }
    if let Some(styles) = &lab.study.request().asked.styles {
        same += &format!(" --styles {}", styles.display());
    }
    if let Some((template, _)) = lab.study.sets.first() {
        same += &format!(" --style {}", template.style);
    }
    format!(
        "\nnext: {program} waiting{same}    (how long can every token wait?)\n      \
         {program} run --help    (your own model, styles and layers)\n"
    )
}

impl Run {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let subgraph = match &self.subgraph_of {
            None => self.subgraph,
            Some(name) => {
                let preset = Preset::named(name).ok_or_else(|| {
                    Error::Usage(format!(
                        "--subgraph-of {name:?}: no built-in model has this name"
                    ))
                })?;
                let (wait, transfer) = preset.own();
                Subgraph {
                    wait: Some(Layers(vec![wait])),
                    transfer: Some(Layers(vec![transfer])),
                }
            }
        };
        let (waits, transfers) = subgraph.resolve(&lab.study.model)?;
        let plans = subgraphs(&waits, &transfers);
        let masked = plans.iter().flat_map(|plan| {
            let maskings = self.masking.iter();
            maskings.map(|masking| plan.clone().with(masking.0))
        });
        let plans: Vec<Plan> = masked.collect();
        let ablations = self.ablations.chosen();
        lab.run(&experiment::Af1 { plans, ablations }, "")
    }
}

impl Waiting {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let waits = lab.waits(self.wait.as_ref())?;
        let ablations = self.ablations.chosen();
        lab.run(&experiment::Waiting { waits, ablations }, "")
    }
}

impl Transfer {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let waits = lab.waits(self.wait.as_ref())?;
        let mut plans = subgraphs(&waits, &self.transfer.0);
        plans.retain(|plan| plan.fits(lab.study.model.sizes.layers));
        if plans.is_empty() {
            let layers = lab.study.model.sizes.layers;
            let reason = format!(
                "no W + K of --wait and --transfer is at most {layers}, the number of layers"
            );
            return Err(Error::Usage(reason));
        }
        let ablations = self.ablations.chosen();
        lab.run(&experiment::Transfer { plans, ablations }, "")
    }
}

impl Necessity {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let layers = lab.study.model.sizes.layers;
        let plans = match self.upward {
            true => knockouts_upward(layers),
            false => knockout_windows(layers, self.window.into()),
        };
        if plans.is_empty() {
            let window = self.window;
            let reason = format!("--window {window}: the model has {layers} layers");
            return Err(Error::Usage(reason));
        }
        lab.run(&experiment::Necessity { plans }, "")
    }
}

impl Heads {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let (wait, transfer) = self.subgraph.resolve(&lab.study.model)?;
        let seed = lab.study.request().asked.seed;
        let pruning = experiment::HeadPruning {
            wait,
            transfer,
            ablation: self.ablation.0,
            order: match self.order {
                OrderName::Greedy => Order::Greedy,
                OrderName::Random => Order::Random(seed),
            },
            controls: self.controls.into(),
            seed,
            held_out: self.held_out,
        };
        lab.run(&pruning, "")
    }
}

impl Alternatives {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let (wait, transfer) = self.subgraph.resolve(&lab.study.model)?;
        let af1 = Plan::af1(wait, transfer);
        let alternatives = masking::ALL.iter().skip(1);
        let alternatives = alternatives.map(|&masking| masking::Technique(masking));
        let (masked, left_out): (Vec<_>, Vec<_>) = alternatives
            .partition(|masking| lab.study.engine.names_attention() || !masking.cuts_attention());
        if !left_out.is_empty() {
            let left_out: Vec<String> = left_out.iter().map(|masking| masking.name()).collect();
            let (model, names) = (&lab.study.model.name, left_out.join(", "));
            eprintln!("left out: {names}: {model} does not name attn_pattern and attn_out");
        }
        let maskings = masked;
        lab.run(&experiment::Alternatives { af1, maskings }, "")
    }
}

impl Discover {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let ablation = self.ablation.0;
        lab.run(&experiment::Choice { ablation }, "")
    }
}

impl Contexts {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        let (wait, transfer) = self.subgraph.resolve(&lab.study.model)?;
        let mut numbers: Vec<usize> = self.numbers.iter().map(|&n| n as usize).collect();
        numbers.sort_unstable();
        numbers.dedup();
        let first = lab.study.request().asked.seed;
        let seeds = (0..u64::from(self.draws)).map(|i| first.wrapping_add(i));
        let seeds: Vec<u64> = seeds.collect();
        let of = |&contexts: &usize| seeds.iter().map(move |&seed| Draw { contexts, seed });
        let contexts = experiment::ContextNumbers {
            af1: Plan::af1(wait, transfer),
            ablation: self.ablation.0,
            draws: numbers.iter().flat_map(of).collect(),
        };
        lab.run(&contexts, "")
    }
}

impl Attention {
    pub fn run(self) -> Result<()> {
        let lab = self.common.open()?;
        lab.run(&experiment::Attention, "")
    }
}
