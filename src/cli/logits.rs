//! `af1 logits`: the tokens and the logits at the last position of one prompt, for parity checks.

use clap::Args;
use ndarray::Array2;

use super::args::{Format, ModelArgs, OutputArgs};
use super::output::deliver;
use crate::file::check_writable;
use crate::measure::{Biases, base_forward};
use crate::{Error, Result, printable};

#[derive(Args, Clone, Debug)]
pub struct Logits {
    #[command(flatten)]
    model: ModelArgs,
    /// The prompt, as it is
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    prompt: String,
    #[command(flatten)]
    output: OutputArgs,
}

/// How many of the largest logits the table shows.
const SHOWN: usize = 10;

impl Logits {
    pub fn run(self) -> Result<()> {
        if let Some(out) = &self.output.out {
            check_writable(out)?;
        }
        let (model, mut engine) = self.model.engine()?;
        let tokens = model.tokenizer.encode(&self.prompt).map_err(|reason| {
            Error::Usage(format!(
                "--prompt {:?}: the tokenizer refuses it: {reason}",
                self.prompt
            ))
        })?;
        let mut ids: Vec<u32> = model.bos().into_iter().collect();
        ids.extend(tokens.iter().map(|token| token.id));
        let context = model.sizes.context;
        if ids.is_empty() || context.is_some_and(|context| ids.len() > context) {
            let most = context.map_or(String::new(), |context| {
                format!(" to {context}, the model's context")
            });
            return Err(Error::Usage(format!(
                "--prompt: {} tokens; expected 1{most}",
                ids.len()
            )));
        }
        let row = Array2::from_shape_fn((1, ids.len()), |(_, t)| i64::from(ids[t]));
        let biases = Biases::new(ids.len())?;
        let (_, logits) = base_forward(&mut engine, row, &biases, &[])?;
        if let Some(bad) = logits.iter().find(|logit| !logit.is_finite()) {
            return Err(Error::NotFinite {
                at: "logits".to_owned(),
                found: bad.to_string(),
                of: format!("prompt {:?}", self.prompt),
            });
        }
        let logits = logits.row(0);
        let name = |id: u32| model.tokenizer.name(id).unwrap_or_default();
        let names: Vec<String> = ids.iter().map(|&id| name(id)).collect();

        let text = match self.output.format {
            Format::Json => {
                let object = serde_json::json!({
                    "model": model.name, "model_sha256": model.hash, "graph_sha256": engine.graph_hash(),
                    "runtime_version": engine.runtime().version(), "device": engine.placement().to_string(),
                    "providers": engine.providers(), "dtype": model.precision.dtype().to_string(), "threads": engine.runtime().threads(),
                    "prompt": self.prompt, "tokens": names, "ids": ids, "logits": logits.to_vec(),
                });
                printable::object(&object)
            }
            Format::Table => {
                let mut order: Vec<u32> = (0..logits.len() as u32).collect();
                order.sort_by(|&a, &b| logits[b as usize].total_cmp(&logits[a as usize]));
                let mut text = format!(
                    "tokens: {}\nids: {ids:?}\n",
                    printable::line(&names.join(" | "))
                );
                for &id in order.iter().take(SHOWN) {
                    text += &format!(
                        "{:>10.4}  {id:>6}  {:?}\n",
                        logits[id as usize],
                        model.tokenizer.decode(id)
                    );
                }
                text
            }
        };
        deliver(self.output.out.as_deref(), &text)
    }
}
