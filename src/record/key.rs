//! What a measurement is of, whatever the model and the run.

use super::Measurement;

/// What makes two cells the same in two runs, whatever the model.
#[derive(PartialEq)]
pub struct Key<'a> {
    style: &'a str,
    operation: &'a str,
    ablation: &'a str,
    masking: Option<&'a str>,
    estimator: &'a str,
    part: &'a str,
    draw: Option<(usize, u64)>,
    wait: usize,
    transfer: Option<usize>,
    knockout: Option<&'a str>,
    pruned: Option<&'a [String]>,
}

/// What a cell is, whatever the model and the sweep.
pub fn key(m: &Measurement) -> Key<'_> {
    Key {
        style: &m.style,
        operation: &m.operation,
        ablation: &m.ablation,
        masking: m.masking.as_deref(),
        estimator: &m.estimator,
        part: &m.part,
        draw: m.contexts_drawn.zip(m.contexts_seed),
        wait: m.wait,
        transfer: m.transfer,
        knockout: m.knockout_layers.as_deref(),
        pruned: m.pruned_heads.as_deref(),
    }
}

impl std::fmt::Display for Key<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.style, self.operation, self.ablation)?;
        match (self.transfer, self.knockout) {
            (Some(transfer), _) => write!(f, " AF1({}, {transfer})", self.wait)?,
            (None, Some(layers)) => write!(f, " knock-out of {layers}")?,
            (None, None) => write!(f, " waiting to {}", self.wait)?,
        }
        if let Some(masking) = self.masking.filter(|masking| *masking != "abp") {
            write!(f, " by {masking}")?;
        }
        if let Some(pruned) = self.pruned.filter(|pruned| !pruned.is_empty()) {
            write!(f, " without {}", pruned.join(" "))?;
        }
        if let Some((contexts, seed)) = self.draw {
            write!(f, " of {contexts} contexts, seed {seed}")?;
        }
        if self.part != "all" {
            write!(f, " ({})", self.part)?;
        }
        Ok(())
    }
}
