//! Whether a graph can be cut where the contract says so.

use std::collections::BTreeSet;

use super::checker::Checker;
use crate::graph::{INPUT_IDS, LOGITS, POSITION_IDS};

impl Checker<'_> {
    /// Whether every layer can be run by itself, and be cut at its attention.
    pub fn cuts(&mut self) {
        let manifest = self.manifest;
        let layers = self.found.layers;
        if layers == 0 {
            return;
        }
        let [ids, positions, logits] =
            [INPUT_IDS, POSITION_IDS, LOGITS].map(|name| manifest.name(name));
        let of_layer = |value: &str, layer: usize| manifest.of_layer(value, layer);
        let stream = |layer: usize| of_layer("resid", layer);
        let mut cuts = vec![Cut::new(stream(0), [], [ids])];
        for layer in 0..layers {
            let mask = of_layer("attn_bias", layer);
            cuts.push(Cut::new(stream(layer + 1), [stream(layer)], [mask.clone()]));
            if self.found.attention {
                let [pattern, read] =
                    ["attn_pattern", "attn_out"].map(|value| of_layer(value, layer));
                cuts.push(Cut::new(pattern.clone(), [stream(layer)], [mask]));
                cuts.push(Cut::new(read.clone(), [pattern], []).may(stream(layer)));
                cuts.push(Cut::new(stream(layer + 1), [stream(layer), read], []));
            }
        }
        cuts.push(Cut::new(logits, [stream(layers)], []));
        for cut in cuts {
            self.cut(&cut.may(positions.clone()));
        }
    }

    fn cut(&mut self, cut: &Cut) {
        let Cut {
            to,
            from,
            needs,
            may,
        } = cut;
        if !self.wires.has(to) || from.iter().chain(needs).any(|name| !self.wires.has(name)) {
            return; // said already
        }
        let stops: Vec<&str> = from.iter().chain(may).map(String::as_str).collect();
        let behind: BTreeSet<String> = (self.wires.behind(to, &stops).into_iter())
            .map(str::to_owned)
            .collect();
        let original = |name: &String| self.wires.original(name).to_owned();
        let wanted: Vec<String> = from.iter().chain(needs).map(original).collect();
        let allowed: Vec<String> = may.iter().map(original).collect();
        let others: Vec<&str> = (behind.iter())
            .filter(|name| !wanted.contains(name) && !allowed.contains(name))
            .map(String::as_str)
            .collect();
        let after = from.join(", ");
        if !others.is_empty() {
            let found = format!("besides {after:?} it still reads {}", others.join(", "));
            let remedy = "a layer may read its stream, its mask and the positions only; return the very value that is read next. If it \
                 is only the shape that is read: give its axes the names of the tokens' axes";
            self.violation(to, found, remedy);
        }
        let missing: Vec<&String> = (from.iter().chain(needs).zip(&wanted))
            .filter(|(_, original)| !behind.contains(*original))
            .map(|(name, _)| name)
            .collect();
        for name in missing {
            let found = format!("it does not depend on {name:?}");
            let remedy = match needs.contains(name) {
                true => "add the mask to the attention scores of its layer before softmax",
                false => "return the very value that is read next, not a copy beside it",
            };
            self.violation(to, found, remedy);
        }
    }
}

/// The demand that a value can be computed from others.
struct Cut {
    to: String,
    /// Nothing behind these is read; it depends on each.
    from: Vec<String>,
    /// Inputs that it depends on.
    needs: Vec<String>,
    /// What it may read, too.
    may: Vec<String>,
}

impl Cut {
    fn new<const N: usize, const M: usize>(
        to: String,
        from: [String; N],
        needs: [String; M],
    ) -> Self {
        Self {
            to,
            from: from.into(),
            needs: needs.into(),
            may: Vec::new(),
        }
    }

    fn may(mut self, read: String) -> Self {
        self.may.push(read);
        self
    }
}
