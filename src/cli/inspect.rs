//! `af1 inspect`: what a model is, and which prompts it can be asked.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use clap::Args;
use comfy_table::{Table, presets};
use serde::Serialize;

use super::args::{Format, ModelArgs, OutputArgs, PromptArgs};
use super::output::deliver;
use crate::Result;
use crate::file::check_writable;
use crate::graph::{Graph, Weight};
use crate::measure::{Fronts, fronts};
use crate::model::{Decoder, Expected, GraphFile, Model, Source};
use crate::prompt::{Operation, PromptSet, Role, Selection, Styles, Tokenizer};
use crate::runtime::Engine;
use crate::study::selection;

#[derive(Args, Clone, Debug)]
pub struct Inspect {
    /// Check an ONNX graph that another program wrote against the contract (onnx/CONTRACT.md), instead
    #[arg(value_name = "FILE.onnx", conflicts_with = "model")]
    graph: Option<PathBuf>,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    prompts: PromptArgs,
    #[command(flatten)]
    output: OutputArgs,
}

impl Inspect {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.output.out {
            check_writable(out)?;
        }
        if let Some(file) = &self.graph {
            return self.contract(file);
        }
        let styles = match &self.prompts.styles {
            Some(path) => Styles::read(path)?,
            None => Styles::built_in(),
        };
        let templates = styles.select(&self.prompts.style, &self.prompts.operation)?;
        let model = self.model.load()?;
        // The graph is built, so that every weight is checked.
        let graph = model.graph()?;
        let bos = model.front.bos.as_ref();
        let selection = selection(&model, &self.prompts.asked());

        let mut first = None;
        let mut rows = Vec::new();
        for template in &templates {
            let set = PromptSet::build(template, &model.tokenizer, bos.map(|b| b.id), &selection);
            let mut row = serde_json::json!({
                "style": template.style, "operation": template.operation.to_string(),
            });
            match set {
                Ok(set) => {
                    let asked = set.asked();
                    row["prompts"] = asked.len().into();
                    row["excluded_operands"] = set.excluded.operand.into();
                    row["excluded_answers"] = set.excluded.answer.into();
                    row["positions"] = set.positions().into();
                    row["roles"] = set
                        .roles
                        .iter()
                        .map(|role| name(*role))
                        .collect::<Vec<_>>()
                        .into();
                    first = first.or_else(|| Some(set.clone()));
                    row["example"] = set.prompts[asked[asked.len() / 2]].text.clone().into();
                }
                Err(error) => row["error"] = error.to_string().into(),
            }
            rows.push(row);
        }

        let fronts = first.map(|set| self.fronts(&model, &set));

        // Tied ones count once: they have one name.
        let preset = model.preset.map(|preset| {
            let (wait, transfer) = preset.af1;
            serde_json::json!({
                "name": preset.name, "wait": wait, "transfer": transfer, "source": preset.source,
                "confidence": preset.confidence, "styles": preset.styles,
                "operands": [preset.operands.0, preset.operands.1], "results": [preset.results.0, preset.results.1],
            })
        });
        let expected = model.preset.and_then(|preset| Expected::of(preset.name));
        let numbers = Numbers::of(&model.tokenizer, &selection);
        if self.output.format == Format::Json {
            let sizes = model.sizes;
            let mut json = serde_json::json!({
                "model": model.name, "model_sha256": model.hash, "layers": sizes.layers, "d_model": sizes.d_model,
                "heads": sizes.heads, "vocab": sizes.vocab, "context": sizes.context,
                "tokenizer_sha256": model.tokenizer.hash(), "tokens": model.tokenizer.len(),
                "numbers": numbers, "bos": bos.map(|b| &b.token), "bos_id": bos.map(|b| b.id),
                "bos_rule": model.front.rule.to_string(),
                "other_front": fronts.as_ref().map(InFront::json),
                "graph_nodes": graph.nodes.len(), "preset": preset, "expected": expected, "templates": rows,
            });
            if let Source::Decoder(decoder) = &model.source {
                let spec = &decoder.spec;
                let of_family = serde_json::json!({
                    "family": spec.family.to_string(), "kv_heads": spec.kv_heads, "d_head": spec.d_head, "d_mlp": spec.d_mlp,
                    "norm": spec.norm, "norm_eps": spec.norm_eps, "qk_norm": spec.qk_norm, "parallel": spec.parallel,
                    "activation": spec.activation, "gated": spec.gated, "rotary": spec.rotary, "local": spec.local,
                    "tied": spec.tied, "attn_scale": spec.attn_scale, "attn_softcap": spec.attn_softcap,
                    "logit_softcap": spec.logit_softcap, "parameters": parameters(&graph), "dtypes": decoder.weights.dtypes(),
                });
                let serde_json::Value::Object(of_family) = of_family else {
                    unreachable!("it was just written")
                };
                json.as_object_mut()
                    .expect("it was just written")
                    .extend(of_family);
            }
            return deliver(self.output.out.as_deref(), &format!("{json}\n"));
        }

        let mut text = format!(
            "{}\nbefore every prompt: {}\n{}model SHA-256 {}\n\n{numbers}\n\n",
            match &model.source {
                Source::Decoder(decoder) => of_decoder(&model, decoder, &graph),
                Source::Graph { .. } => of_graph(&model, &graph),
            },
            bos.map_or("no token".to_owned(), |b| format!(
                "{} (token {})",
                b.token, b.id
            )) + &format!(" ({})", model.front.rule),
            fronts.as_ref().map_or(String::new(), InFront::line),
            model.hash,
        );
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN).set_header([
            "style",
            "op",
            "prompts",
            "operands excluded",
            "answers excluded",
            "tokens",
            "example, or why there is none",
        ]);
        for row in &rows {
            let cell = |key: &str| match &row[key] {
                serde_json::Value::String(text) => text.clone(),
                serde_json::Value::Null => String::new(),
                other => other.to_string(),
            };
            let last = if row["error"].is_null() {
                format!("{:?}", cell("example"))
            } else {
                cell("error")
            };
            table.add_row([
                cell("style"),
                cell("operation"),
                cell("prompts"),
                cell("excluded_operands"),
                cell("excluded_answers"),
                cell("positions"),
                last,
            ]);
        }
        let usable = rows.iter().filter(|row| row["error"].is_null()).count();
        text += &format!(
            "{table}\n{usable} of {} templates can be asked\n",
            rows.len()
        );
        if let Some(preset) = model.preset {
            let (wait, transfer) = preset.af1;
            let (source, confidence) = (preset.source, preset.confidence);
            text += &format!(
                "\nby default AF1({wait}, {transfer}) is tried ({confidence}: {source}), in the styles {}\n",
                preset.styles.join(", ")
            );
        }
        for value in expected.iter().flat_map(|of| &of.value) {
            let subgraph = match (value.wait, value.transfer) {
                (Some(wait), Some(transfer)) => format!(" AF1({wait}, {transfer})"),
                _ => String::new(),
            };
            text += &format!(
                "expected: {} {}{subgraph} {} {} within {} ({}: {})\n",
                value.style,
                value.operation,
                value.measure,
                value.value,
                value.tolerance,
                value.confidence,
                value.source
            );
        }
        deliver(self.output.out.as_deref(), &text)
    }
}

/// Whether the model would rather be asked with something else in front, as measured on a template.
struct InFront {
    template: String,
    /// What was found, or why nothing was.
    found: Result<Option<Fronts>>,
}

impl InFront {
    fn line(&self) -> String {
        let template = &self.template;
        match &self.found {
            Ok(None) => String::new(),
            Ok(Some(fronts)) if fronts.other_is_better() => {
                format!("WARNING: {template}: {fronts}\n")
            }
            Ok(Some(fronts)) => format!("{template}: {fronts}\n"),
            Err(error) => {
                format!(
                    "what the model answers with something else in front was not measured: {error}\n"
                )
            }
        }
    }

    fn json(&self) -> serde_json::Value {
        match &self.found {
            Ok(None) => serde_json::Value::Null,
            Ok(Some(fronts)) => serde_json::json!({
                "template": self.template, "prompts": fronts.prompts, "right": fronts.right,
                "bos": fronts.other.as_ref().map(|bos| &bos.token), "right_with_it": fronts.other_right,
                "p": fronts.p, "much_better": fronts.other_is_better(),
            }),
            Err(error) => serde_json::json!({ "error": error.to_string() }),
        }
    }
}

impl Inspect {
    /// Asks some prompts with another choice of what stands in front. That takes the runtime, without which everything else can be
    /// said all the same.
    fn fronts(&self, model: &Model, set: &PromptSet) -> InFront {
        let measured = || {
            let (runtime, placement) = self.model.runtime.start()?;
            let mut engine = Engine::new(runtime, placement, model)?;
            fronts(&mut engine, model, set)
        };
        InFront {
            template: format!("{} {}", set.template.style, set.template.operation),
            found: measured(),
        }
    }

    /// Whether a graph keeps the contract.
    fn contract(&self, file: &Path) -> Result<()> {
        let graph = GraphFile::open(file)?;
        let text = match self.output.format {
            Format::Json => {
                let found = serde_json::to_value(&graph.found).expect("it is plain data");
                format!("{found}\n")
            }
            Format::Table => told(file, &graph),
        };
        deliver(self.output.out.as_deref(), &text)?;
        graph.kept()
    }
}

/// The number of weights.
fn parameters(graph: &Graph) -> usize {
    let size = |weight: &Weight| weight.shape.iter().product::<usize>();
    graph.weights.iter().map(size).sum()
}

/// A model of a known family, for people.
fn of_decoder(model: &Model, decoder: &Decoder, graph: &Graph) -> String {
    let Decoder { spec, weights, .. } = decoder;
    let dtypes = weights.dtypes();
    let dtypes: Vec<String> = dtypes
        .iter()
        .map(|(dtype, n)| format!("{n} {dtype}"))
        .collect();
    let positions = match &spec.rotary {
        Some(rotary) if rotary.dims < spec.d_head => format!(
            "rotary base {} on {} of {} dimensions",
            rotary.theta, rotary.dims, spec.d_head
        ),
        Some(rotary) => format!("rotary base {}", rotary.theta),
        None => "learned positions".to_owned(),
    };
    format!(
        "{}: {}, {} layers, d_model {}, {} heads ({} for keys and values) of {}, MLP {}\n\
         vocabulary {} ({} tokens in the tokenizer), {:.1} million weights, tensors: {}\n\
         {positions}, norm epsilon {:e}, context {}, unembedding {}",
        model.name,
        spec.family,
        spec.layers,
        spec.d_model,
        spec.heads,
        spec.kv_heads,
        spec.d_head,
        spec.d_mlp,
        spec.vocab,
        model.tokenizer.len(),
        parameters(graph) as f64 / 1e6,
        dtypes.join(", "),
        spec.norm_eps,
        spec.context,
        if spec.tied { "tied" } else { "its own" }
    )
}

/// A model whose graph another program wrote, for people.
fn of_graph(model: &Model, graph: &Graph) -> String {
    let sizes = model.sizes;
    let context = sizes
        .context
        .map_or("not stated".to_owned(), |n| n.to_string());
    format!(
        "{}: a graph of {} nodes that another program wrote, {} layers, d_model {}, {} heads\n\
         vocabulary {} ({} tokens in the tokenizer), context {context}",
        model.name,
        graph.nodes.len(),
        sizes.layers,
        sizes.d_model,
        sizes.heads,
        sizes.vocab,
        model.tokenizer.len()
    )
}

/// What was found, for people.
fn told(file: &Path, graph: &GraphFile) -> String {
    let found = &graph.found;
    let stated = |n: Option<i64>| n.map_or("not stated".to_owned(), |n| n.to_string());
    let opsets = found
        .opsets
        .iter()
        .map(|(domain, version)| match domain.as_str() {
            "" => version.to_string(),
            domain => format!("{version} of {domain}"),
        });
    let mut text = format!(
        "{}: {} nodes, {} layers, d_model {}, {} heads, vocabulary {}, operator set {}, IR version {}\n\
         manifest: {}\nattention weights and outputs of heads: {}\n\n",
        file.display(),
        found.nodes,
        found.layers,
        stated(found.d_model),
        stated(found.heads),
        stated(found.vocab),
        opsets.collect::<Vec<_>>().join(", "),
        found.ir_version,
        match graph.manifest() {
            Some(path) => path.display().to_string(),
            None => "none; values have the contract's names".to_owned(),
        },
        if found.attention {
            "named"
        } else {
            "not named: no attention by head, no value-zero, no attention-mean"
        }
    );
    if found.violations.is_empty() {
        return text + "it keeps the contract\n";
    }
    let mut table = Table::new();
    table
        .load_style(presets::ASCII_MARKDOWN)
        .set_header(["where", "what", "what to do"]);
    for violation in &found.violations {
        table.add_row([&violation.at, &violation.found, &violation.remedy]);
    }
    text += &format!(
        "{table}\n{} violations of the contract\n",
        found.violations.len()
    );
    text
}

/// Which numbers are one token.
#[derive(Serialize)]
struct Numbers {
    /// Those that are looked at: all that an operand or a result may be, and those up to three digits.
    looked_at: String,
    /// One token as they stand.
    bare: String,
    /// One token with a space before them.
    after_a_space: String,
    /// Operands of several tokens: prompts with them are left out.
    operands_of_several: String,
    /// Results of several tokens: prompts with them are left out.
    results_of_several: String,
}

impl Numbers {
    fn of(tokenizer: &Tokenizer, selection: &Selection) -> Self {
        let (operands, results) = (&selection.operands, &selection.results);
        let first = 0.min(*operands.start()).min(*results.start()).max(-MOST);
        let last = 999.max(*operands.end()).max(*results.end()).min(MOST);
        let of_kind = |spaced: bool| {
            let kind = move |n: &i64| {
                let mut tokens = tokenizer.numeral(*n).iter();
                tokens.any(|&id| tokenizer.begins_with_space(id) == spaced)
            };
            ranges((first..=last).filter(kind))
        };
        let several = |span: &RangeInclusive<i64>| {
            let span = (*span.start()).max(first)..=(*span.end()).min(last);
            ranges(span.filter(|&n| tokenizer.numeral(n).is_empty()))
        };
        Self {
            looked_at: ranges(first..=last),
            bare: of_kind(false),
            after_a_space: of_kind(true),
            operands_of_several: several(operands),
            results_of_several: several(results),
        }
    }
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let some = |text: &str| if text.is_empty() { "none" } else { text }.to_owned();
        write!(
            f,
            "numbers that are one token, of {}: {}; with a space before them: {}\n\
             of several tokens, so that prompts with them are left out: operands: {}; results: {}",
            self.looked_at,
            some(&self.bare),
            some(&self.after_a_space),
            some(&self.operands_of_several),
            some(&self.results_of_several)
        )
    }
}

/// Numbers further from 0 are not looked at one by one.
const MOST: i64 = 100_000;

/// Ascending numbers as ranges, both ends included.
fn ranges(numbers: impl Iterator<Item = i64>) -> String {
    let mut found: Vec<RangeInclusive<i64>> = Vec::new();
    for n in numbers {
        match found.last_mut() {
            Some(range) if *range.end() + 1 == n => *range = *range.start()..=n,
            _ => found.push(n..=n),
        }
    }
    let text = found
        .iter()
        .map(|range| match range.start() == range.end() {
            true => range.start().to_string(),
            false => format!("{}..={}", range.start(), range.end()),
        });
    text.collect::<Vec<String>>().join(", ")
}

fn name(role: Role) -> String {
    match role {
        Role::Bos => "bos".to_owned(),
        Role::Operand(index) => Operation::letter(index).to_string(),
        Role::Text => "text".to_owned(),
        Role::Last => "last".to_owned(),
    }
}
