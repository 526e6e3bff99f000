//! Arguments that several verbs share.

use std::path::PathBuf;
use std::str::FromStr;

use clap::{Args, ValueEnum};

use super::probe::can_run;
use super::screen::Screen;
use crate::fetch::Cache;
use crate::graph::Precision;
use crate::measure::Way;
use crate::model::{BosChoice, Model, PRESETS, Source};
use crate::progress::say;
use crate::prompt::{ContextsFrom, KeyedBy, Operation, Shape, Span, Step};
use crate::report::Look;
use crate::runtime::{Device, Engine, Placement, Runtime, default_threads, start, with_option};
use crate::stats::{Inference, LEVEL};
use crate::study::{Asked, AskedNumbers, BatchSize, Method};
use crate::{Error, Result};

/// Which model, and where it runs.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Model")]
pub struct ModelArgs {
    /// A built-in name, a Hugging Face folder, owner/name[@revision] on its hub, or a .gguf or .onnx file
    #[arg(short, long, value_name = "NAME|PATH", help = format!(
        "A built-in name, a Hugging Face folder, owner/name[@revision] on its hub, or a .gguf or .onnx file [default: {}]",
        PRESETS[0].name
    ))]
    pub model: Option<String>,
    /// The token before every prompt; `none` for none [default: the model's own]
    #[arg(long, value_name = "TOKEN|none")]
    pub bos: Option<BosChoice>,
    /// Multiply with the weights of layers in this precision; all else is f32
    #[arg(long, value_enum, default_value_t)]
    pub precision: PrecisionName,
    #[command(flatten)]
    pub runtime: RuntimeArgs,
}

/// Where models run.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Device")]
pub struct RuntimeArgs {
    /// The devices that share the layers of a model; `auto` is the first accelerator that runs.
    #[arg(short, long, default_value = "cpu", value_delimiter = ',', help = format!(
        "{}, or auto: the first accelerator whose library is there and that runs, else cpu; several, such as cuda:0,cuda:1, share the \
         layers of a model",
        Device::usage()
    ))]
    device: Vec<DeviceChoice>,
    /// Threads of one operation [default: one a core]
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024))]
    threads: Option<u16>,
    /// The library of a provider that comes as a plugin [default: the one of the pinned package, fetched where it is needed]
    #[arg(long, value_name = "FILE")]
    provider_library: Option<PathBuf>,
    /// Let nodes that the device's provider does not implement run on the processor, and say so in the records
    #[arg(long)]
    allow_cpu_fallback: bool,
    /// The most memory of the device for the runtime, in bytes.
    #[arg(long, value_name = "SIZE", value_parser = bytes, help = format!(
        "Most memory of the device for the runtime, such as 8GiB ({})",
        with_option(|of| of.memory.is_some()).join(", ")
    ))]
    device_memory: Option<u64>,
    /// The folder in which compiled engines are kept.
    #[arg(long, value_name = "DIR", help = format!(
        "Keep compiled engines in this folder ({})",
        with_option(|of| of.engine_cache).join(", ")
    ))]
    engine_cache: Option<PathBuf>,
    /// Whether products of f32 matrices are rounded to TF32.
    #[arg(long, help = format!(
        "Round products of f32 matrices to TF32: faster, and other numbers ({})",
        with_option(|of| of.tf32).join(", ")
    ))]
    tf32: bool,
    /// Weights of 16 bits are widened once, or in every run, where they stay mapped from their files: that takes hardly any memory and
    /// no time to load, and more time a run [default: mapped from 8 GiB of f32 on]
    #[arg(long, value_enum, value_name = "KEPT")]
    weights: Option<WeightStorage>,
}

/// How weights are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum WeightStorage {
    /// Widened once.
    Widened,
    /// Mapped from their files.
    Mapped,
}

/// A precision on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum PrecisionName {
    /// 32 bits
    #[default]
    F32,
    /// 16 bits, IEEE
    F16,
    /// 16 bits, brain float
    Bf16,
}

impl From<PrecisionName> for Precision {
    fn from(name: PrecisionName) -> Self {
        match name {
            PrecisionName::F32 => Self::F32,
            PrecisionName::F16 => Self::F16,
            PrecisionName::Bf16 => Self::Bf16,
        }
    }
}

/// A device, or the best that there is.
#[derive(Clone, Debug)]
enum DeviceChoice {
    Auto,
    Device(Device),
}

impl FromStr for DeviceChoice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            device => device.parse().map(Self::Device),
        }
    }
}

/// Less than this the runtime takes at once, and a number without a unit that was meant in another one is less, too.
const LEAST_MEMORY: u64 = 1 << 20;

/// A size such as 8GiB, 500MB or 100000000.
fn bytes(text: &str) -> Result<u64, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = match text[digits.len()..].to_ascii_lowercase().as_str() {
        "mb" => Some(1_000_000),
        "gb" => Some(1_000_000_000),
        "mib" => Some(1 << 20),
        "gib" => Some(1 << 30),
        _ => None,
    };
    let size = digits.parse::<u64>().ok().zip(unit);
    match size.and_then(|(number, unit)| number.checked_mul(unit)) {
        None => Err(format!(
            "{text:?} is no size; expected a number with MB, GB, MiB or GiB"
        )),
        Some(bytes) if bytes < LEAST_MEMORY => Err(format!(
            "{text:?} is less than the runtime takes at once; expected a number with MB, GB, MiB or GiB, 1MiB at least"
        )),
        Some(bytes) => Ok(bytes),
    }
}

impl RuntimeArgs {
    /// A device with the options that were given.
    fn on(&self, device: Device) -> Placement {
        Placement {
            device,
            also: Vec::new(),
            allow_cpu_fallback: self.allow_cpu_fallback,
            provider_library: self.provider_library.clone(),
            memory: self.device_memory,
            engine_cache: self.engine_cache.clone(),
            tf32: self.tf32,
            mapped: self.weights.map(|kept| kept == WeightStorage::Mapped),
        }
    }

    /// The devices that were asked for, whether they can run or not.
    fn placement(&self) -> Result<Placement> {
        let mut devices = Vec::new();
        for choice in &self.device {
            match choice {
                DeviceChoice::Device(device) => devices.push(device.clone()),
                DeviceChoice::Auto if self.device.len() > 1 => {
                    return Err(Error::Usage(
                        "--device auto: it chooses one device; leave the others out".to_owned(),
                    ));
                }
                DeviceChoice::Auto => return Ok(self.best()),
            }
        }
        let also = devices.split_off(1);
        Ok(Placement {
            also,
            ..self.on(devices.remove(0))
        })
    }

    /// The first accelerator that runs, else the processor.
    fn best(&self) -> Placement {
        for device in Device::accelerators() {
            let placement = self.on(device);
            if can_run(&placement).is_ok() {
                say!("device auto: {placement}");
                return placement;
            }
        }
        say!("device auto: cpu, no accelerator runs here (see `af1 doctor`)");
        self.on(Device::Cpu)
    }

    /// Starts the runtime and checks that the devices run; fetches what is not here.
    pub fn start(&self) -> Result<(&'static Runtime, Placement)> {
        let threads = self.threads.map_or_else(default_threads, usize::from);
        start(self.placement()?, threads, true)
    }
}

impl ModelArgs {
    /// What was asked for, else the first of the built-in models.
    pub fn name(&self) -> &str {
        self.model.as_deref().unwrap_or(PRESETS[0].name)
    }

    /// Loads the model without a runtime.
    pub fn load(&self) -> Result<Model> {
        self.load_if(&|_, _| Ok(()))
    }

    /// The same, unless a check refuses.
    fn load_if(&self, check: &dyn Fn(&str, &Source) -> Result<()>) -> Result<Model> {
        let bos = self.bos.clone().unwrap_or_default();
        let mut model = Model::load_if(self.name(), &bos, &Cache::of_user()?, check)?;
        model.precision = self.precision.into();
        if model.precision != Precision::F32 {
            model.decoder("--precision")?;
        }
        Ok(model)
    }

    /// Loads the model and makes it ready to run.
    pub fn engine(&self) -> Result<(Model, Engine)> {
        // The runtime first: a device that cannot run is known before a model is converted.
        let (runtime, placement) = self.runtime.start()?;
        let has_room = |name: &str, source: &Source| {
            placement.check_source(name, source, self.precision.into())
        };
        let model = self.load_if(&has_room)?;
        let engine = Engine::new(runtime, placement, &model)?;
        Ok((model, engine))
    }
}

/// Which prompts.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Prompts")]
pub struct PromptArgs {
    /// A TOML file of styles, or `operations`, `expressions`, `calendar`, `paraphrases` or `four-shot` [default: the built-in ones]
    #[arg(long, value_name = "FILE")]
    pub styles: Option<PathBuf>,
    /// Styles, or `all` [default: the model's preset, or all in the file]
    #[arg(short, long, value_delimiter = ',', value_name = "ID,...")]
    pub style: Vec<String>,
    /// Operations, such as A+B,A-B [default: all that the styles have]
    #[arg(long, value_delimiter = ',', value_name = "OP,...")]
    pub operation: Vec<Operation>,
    /// Values of every operand [default: the model's preset, or 1..=99; of words the indices of their table]
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub operands: Option<Span>,
    /// Values that the result may have [default: the model's preset, or 0..=299, also where operands outside the preset are asked for]
    #[arg(long, value_name = "RANGE", allow_hyphen_values = true)]
    pub results: Option<Span>,
    /// A file of prompts in place of the ranges: JSON, an object a line, or CSV; `text` or the operands `A`, `B`, ..., and `answer`
    #[arg(long, value_name = "FILE", conflicts_with_all = ["operands", "results"])]
    pub prompts: Option<PathBuf>,
    /// How many tokens the operands and the answer have, such as 2+2=2 [default: one each, or the most frequent shape; of --prompts
    /// every shape]
    #[arg(long, value_delimiter = ',', value_name = "SHAPE,...")]
    pub shape: Vec<Shape>,
    /// How many tokens of the right answer stand before the place where the next one is read, or `stop`: behind all of them
    /// [default: every step but stop]
    #[arg(long, value_delimiter = ',', value_name = "STEP,...")]
    pub step: Vec<Step>,
    /// What means are conditioned on where a number has several tokens: its tokens up to the position, or the token there alone
    #[arg(long, value_name = "KEY", default_value = KeyedBy::Span.name())]
    pub key: KeyedBy,
    /// Contexts a token over which means are taken, where there are three operands or more (two are enumerated)
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub contexts: u32,
    /// Which prompts means may be taken over: `all` operands in range, whatever the result is, or only those that are `answerable`,
    /// so that the range of results makes one operand say something of another
    #[arg(long, value_name = "WHICH", default_value = ContextsFrom::All.name())]
    pub contexts_from: ContextsName,
    /// Seed of every draw
    #[arg(long, default_value_t = 42)]
    pub seed: u64,
}

impl PromptArgs {
    /// Refuses what a verb would not look at whose prompts have numbers of one token each and all operands in a range.
    pub fn check_single(&self, verb: &str) -> Result<()> {
        if self.prompts.is_some() {
            return Err(Error::Usage(format!(
                "--prompts: `af1 {verb}` takes all operands in a range; leave it out, or ask an experiment such as `af1 run`"
            )));
        }
        match self.asked().numbers == AskedNumbers::default() {
            true => Ok(()),
            false => Err(Error::Usage(format!(
                "--shape, --step and --key: `af1 {verb}` knows numbers of one token each; leave them out, or ask an experiment such as \
                 `af1 run`"
            ))),
        }
    }

    /// The prompts that are asked for.
    pub fn asked(&self) -> Asked {
        Asked {
            styles: self.styles.clone(),
            style: self.style.clone(),
            operations: self.operation.clone(),
            operands: self.operands.clone(),
            results: self.results.clone(),
            numbers: AskedNumbers {
                shapes: self.shape.clone(),
                steps: self.step.clone(),
                keyed_by: self.key,
            },
            contexts: self.contexts as usize,
            contexts_from: self.contexts_from.0,
            seed: self.seed,
            list: self.prompts.clone(),
        }
    }
}

/// How interventions are made and judged.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Statistics")]
pub struct InterventionArgs {
    /// How means over contexts treat the evaluated prompt
    #[arg(long, value_enum, default_value_t)]
    pub estimator: EstimatorName,
    /// The faithfulness that a pass claims
    #[arg(long, value_name = "SHARE", default_value_t = 0.95, value_parser = share)]
    pub claim: f64,
    /// What intervals, tests and verdicts are about: the prompts of these ranges, or prompts with other operands of the same kind
    #[arg(long, value_enum, default_value_t)]
    pub inference: InferenceName,
    /// Most prompts of a template that are evaluated, drawn by --seed; means are taken over all of them
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// Draw prompts by --seed until the model has answered so many correctly, in place of --limit; those that it answers wrongly on the way
    /// are evaluated, too
    #[arg(long, value_name = "N", conflicts_with = "limit", value_parser = clap::value_parser!(u32).range(1..))]
    pub right_answers: Option<u32>,
    /// Prompts in a batch, or `auto`: 64 on the processor, up to 1024 elsewhere, and no more than a gigabyte of activations has room for
    #[arg(long, value_name = "N|auto", default_value = "auto")]
    pub batch: BatchSize,
    /// Run every layer on whole prompts with its mask, instead of each token that differs once: slower, the same answers
    #[arg(long)]
    pub masked: bool,
}

impl InterventionArgs {
    /// How prompts are measured and judged. The level of verdicts is the usual one; only a gate may ask for a stricter one.
    pub fn method(&self) -> Method {
        Method {
            estimator: self.estimator.into(),
            claim: self.claim,
            level: LEVEL,
            inference: self.inference.into(),
            limit: self.limit as usize,
            right_answers: self.right_answers.map(|right| right as usize),
            batch: self.batch,
            way: match self.masked {
                true => Way::Masked,
                false => Way::Compiled,
            },
        }
    }
}

/// Where results go.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Output")]
pub struct OutputArgs {
    /// A table, or one JSON object a line
    #[arg(short, long, value_enum, default_value_t)]
    pub format: Format,
    /// Write to a file instead of standard output
    #[arg(short, long, value_name = "FILE")]
    pub out: Option<PathBuf>,
    #[command(flatten)]
    screen: Screen,
}

impl OutputArgs {
    /// How text for people looks there.
    pub fn look(&self) -> Look {
        self.screen.look(self.out.as_deref())
    }
}

/// How results are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Table,
    /// For machines.
    Json,
}

/// A target of inference on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum InferenceName {
    /// The prompts of these ranges, each drawn for itself
    #[default]
    Prompts,
    /// Other operands: prompts that share the value of one succeed or fail together
    Operands,
}

impl From<InferenceName> for Inference {
    fn from(name: InferenceName) -> Self {
        match name {
            InferenceName::Prompts => Self::Prompts,
            InferenceName::Operands => Self::Operands,
        }
    }
}

/// An estimator on the command line.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum EstimatorName {
    /// The mean over all prompts, the evaluated one included
    PlugIn,
    /// The evaluated prompt taken out of the mean
    #[default]
    LeaveOneOut,
    /// Means over one half of the prompts, evaluated on the other
    Split,
}

impl From<EstimatorName> for crate::intervene::Estimator {
    fn from(name: EstimatorName) -> Self {
        match name {
            EstimatorName::PlugIn => Self::PlugIn,
            EstimatorName::LeaveOneOut => Self::LeaveOneOut,
            EstimatorName::Split => Self::Split,
        }
    }
}

/// Which contexts there are, on the command line.
#[derive(Clone, Copy, Debug)]
pub struct ContextsName(pub ContextsFrom);

impl FromStr for ContextsName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut all = ContextsFrom::ALL.into_iter();
        all.find(|from| from.name() == text)
            .map(Self)
            .ok_or_else(|| {
                let names = ContextsFrom::ALL.map(ContextsFrom::name);
                format!("{text:?} are no contexts; expected {}", names.join(" or "))
            })
    }
}

fn share(text: &str) -> Result<f64, String> {
    let share = text
        .parse::<f64>()
        .ok()
        .filter(|share| (0.0..1.0).contains(share));
    // Of any number of prompts, one more could be lost: no sample shows that all are kept.
    share.ok_or_else(|| {
        format!("{text:?} is not a share from 0 to below 1, such as 0.95; no sample can show 1")
    })
}
