//! Which tensors a GGUF file of an architecture has, and how each lies in it.

use std::collections::HashSet;

use crate::Result;
use crate::model::check::unsupported;
use crate::model::family::rope::ROPE_FREQS;
use crate::model::gguf::Gguf;
use crate::model::names::{LayerNames, Linear, Norm, Outputs, WeightNames};
use crate::model::widened::{Rows, Wanted, Widened};
use crate::model::{ModelSpec, NormKind, QueryKeyNorm, RopeScaling, Weights};

/// The tensors of the architecture, and no others.
pub fn weights(
    gguf: &Gguf,
    spec: &ModelSpec,
    names: &WeightNames,
    interleaved: bool,
) -> Result<Weights> {
    let mut wanted = of_ends(spec, names);
    for (layer, names) in names.layers.iter().enumerate() {
        wanted.extend(of_layer(spec, layer, names, interleaved));
    }
    let mut known: HashSet<String> = wanted.iter().map(|tensor| tensor.theirs.clone()).collect();
    let scaling = spec.rotary.as_ref().map(|rotary| rotary.scaling);
    if let Some(RopeScaling::Llama3 { .. }) = scaling {
        known.insert(ROPE_FREQS.to_owned());
    }
    let widened = Widened::new(gguf, wanted)?;
    let mut strangers = gguf.tensors().keys();
    if let Some(stranger) = strangers.find(|name| !known.contains(*name)) {
        let found = "a weight that this architecture does not have".to_owned();
        let supported = "the weights of its architecture, without adapters";
        return Err(unsupported(gguf.path(), stranger, found, supported));
    }
    Weights::of_gguf(widened)
}

/// A tensor that lies in the file as in Hugging Face's layout.
fn plain(theirs: String, ours: &str, shape: &[usize]) -> Wanted {
    Wanted {
        theirs,
        ours: ours.to_owned(),
        shape: shape.to_vec(),
        rows: Rows::Same,
        transposed: false,
        one_more: false,
    }
}

/// A norm's weight and bias. llama.cpp's converter adds the one that Gemma's norms are less.
fn norm(spec: &ModelSpec, theirs: &str, norm: &Norm) -> Vec<Wanted> {
    let shape = [spec.d_model];
    let mut all = vec![Wanted {
        one_more: spec.norm == NormKind::RmsPlusOne,
        ..plain(format!("{theirs}.weight"), &norm.weight, &shape)
    }];
    all.extend((norm.bias.iter()).map(|bias| plain(format!("{theirs}.bias"), bias, &shape)));
    all
}

/// The tensors of embedding and head.
fn of_ends(spec: &ModelSpec, names: &WeightNames) -> Vec<Wanted> {
    let table = [spec.vocab, spec.d_model];
    let of = |theirs: &str, ours: &str, shape: &[usize]| plain(theirs.to_owned(), ours, shape);
    let mut all = vec![of("token_embd.weight", &names.embed, &table)];
    all.extend(norm(spec, "output_norm", &names.final_norm));
    if let Some(positions) = &names.positions {
        let shape = [spec.context, spec.d_model];
        all.push(of("position_embd.weight", positions, &shape));
    }
    if !spec.tied {
        all.push(of("output.weight", &names.unembed, &table));
    }
    all
}

/// The tensors of a layer.
fn of_layer(spec: &ModelSpec, layer: usize, names: &LayerNames, interleaved: bool) -> Vec<Wanted> {
    let theirs = |part: &str| format!("blk.{layer}.{part}");
    let mut all = Vec::new();
    for (part, of) in [
        ("attn_norm", &names.attn_norm),
        ("post_attention_norm", &names.attn_post_norm),
        ("ffn_norm", &names.mlp_norm),
        ("post_ffw_norm", &names.mlp_post_norm),
    ] {
        all.extend(of.iter().flat_map(|of| norm(spec, &theirs(part), of)));
    }
    let (q, kv) = (spec.heads * spec.d_head, spec.kv_heads * spec.d_head);
    let whole = spec.qk_norm == Some(QueryKeyNorm::Whole);
    for (part, of, whole_width) in [
        ("attn_q_norm.weight", &names.query_norm, q),
        ("attn_k_norm.weight", &names.key_norm, kv),
    ] {
        let width = if whole { whole_width } else { spec.d_head };
        all.extend(of.iter().map(|of| Wanted {
            one_more: spec.norm == NormKind::RmsPlusOne,
            ..plain(theirs(part), of, &[width])
        }));
    }
    let turned = |heads: usize| match interleaved {
        true => Rows::Interleaved { heads },
        false => Rows::Same,
    };
    let (d, d_mlp) = (spec.d_model, spec.d_mlp);
    let mut map = |part: &str, of: &Linear, out: usize, inputs: usize, rows: Rows| {
        all.extend(linear(&theirs(part), of, [out, inputs], rows));
    };
    match names.query.outputs {
        Outputs::All => {
            map("attn_q", &names.query, q, d, turned(spec.heads));
            map("attn_k", &names.key, kv, d, turned(spec.kv_heads));
            map("attn_v", &names.value, kv, d, Rows::Same);
        }
        Outputs::From { .. } => map("attn_qkv", &names.query, q + 2 * kv, d, Rows::Same),
        Outputs::OfEveryHead { parts, heads, .. } => {
            let rows = Rows::PartAfterPart { heads, parts };
            map("attn_qkv", &names.query, q + 2 * kv, d, rows);
        }
    }
    map("attn_output", &names.output, d, q, Rows::Same);
    match &names.gate {
        // Gate and up in one.
        Some(gate) if gate.outputs != Outputs::All => {
            map("ffn_up", gate, 2 * d_mlp, d, Rows::Same);
        }
        gate => {
            if let Some(gate) = gate {
                map("ffn_gate", gate, d_mlp, d, Rows::Same);
            }
            map("ffn_up", &names.up, d_mlp, d, Rows::Same);
        }
    }
    map("ffn_down", &names.down, d, d_mlp, Rows::Same);
    all
}

/// A map's matrix, in the file `[out, in]`, and its bias.
fn linear(theirs: &str, of: &Linear, shape: [usize; 2], rows: Rows) -> Vec<Wanted> {
    let mut all = vec![Wanted {
        rows,
        transposed: of.transposed,
        ..plain(format!("{theirs}.weight"), &of.weight, &shape)
    }];
    all.extend(of.bias.iter().map(|bias| Wanted {
        rows,
        ..plain(format!("{theirs}.bias"), bias, &shape[..1])
    }));
    all
}
