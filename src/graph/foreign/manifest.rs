//! What a graph calls the values of the contract.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Other names for the values of the contract, as a file says them: `attn_bias = "mask_{l}"`.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// The other names, by the contract's name without a layer; `{l}` stands for the layer.
    #[serde(default)]
    pub names: BTreeMap<String, String>,
    /// The number of heads of a layer, where no value with a name has it as an axis.
    pub heads: Option<usize>,
    /// The longest prompt in tokens, where the model has a limit.
    pub context: Option<usize>,
}

impl Manifest {
    /// The values that can have another name.
    pub const VALUES: [&str; 7] = [
        "input_ids",
        "position_ids",
        "attn_bias",
        "resid",
        "attn_pattern",
        "attn_out",
        "logits",
    ];

    /// The first entry that is wrong: of a value outside the contract, or of a value of every layer that lacks `{l}`.
    pub fn fault(&self) -> Option<String> {
        let wrong = |(value, name): &(&String, &String)| {
            let of_layer = value.starts_with("attn_") || *value == "resid";
            !Self::VALUES.contains(&value.as_str()) || of_layer != name.contains("{l}")
        };
        let entry = self.names.iter().find(wrong);
        let zero = [("heads", self.heads), ("context", self.context)];
        let zero = zero.into_iter().find(|(_, number)| *number == Some(0));
        let zero = zero.map(|(what, _)| format!("{what} = 0"));
        (entry.map(|(value, name)| format!("{value} = {name:?}"))).or(zero)
    }

    /// Whether the graph calls the mask of some layer so.
    pub(super) fn is_mask(&self, name: &str) -> bool {
        let pattern = self.of_every_layer("attn_bias");
        let affixes = pattern.split_once("{l}");
        let layer =
            affixes.and_then(|(before, after)| name.strip_prefix(before)?.strip_suffix(after));
        layer.is_some_and(|layer| layer.parse::<usize>().is_ok())
    }

    /// What the graph calls a value, with `{l}` for the layer.
    fn of_every_layer(&self, value: &str) -> String {
        let pattern = self.names.get(value).cloned();
        pattern.unwrap_or(format!("{value}.{{l}}"))
    }

    /// What the graph calls a value.
    pub(super) fn name(&self, value: &str) -> String {
        self.names.get(value).cloned().unwrap_or(value.to_owned())
    }

    /// What the graph calls a value of a layer.
    pub(super) fn of_layer(&self, value: &str, layer: usize) -> String {
        let pattern = self.of_every_layer(value);
        pattern.replace("{l}", &layer.to_string())
    }
}
