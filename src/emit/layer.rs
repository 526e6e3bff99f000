//! One layer, and the head: what a whole model's graph and an AF1's share.

use super::attention::{Wires, attention, soft_cap};
use super::mlp::mlp;
use super::norm::norm;
use super::source::Source;
use crate::Result;
use crate::graph::{Attribute, Builder};
use crate::model::{LayerNames, Norm, WeightNames};

/// One layer: attention and MLP, each added to the stream, one after the other or side by side.
pub fn decoder_layer(
    b: &mut Builder,
    x: &str,
    layer: usize,
    of: Source<'_>,
    names: &LayerNames,
    wires: &Wires<'_>,
) -> Result<String> {
    let normed = |b: &mut Builder, x: &str, names: &Option<Norm>| match names {
        Some(names) => norm(b, x, of, names, of.spec.d_model),
        None => Ok(x.to_owned()),
    };
    b.scope(format!("layer.{layer}/attn"));
    let before = normed(b, x, &names.attn_norm)?;
    let attended = attention(b, &before, of, names, layer, wires)?;
    let attended = normed(b, &attended, &names.attn_post_norm)?;
    let mid = b.op("Add", &[x, &attended]);

    b.scope(format!("layer.{layer}/mlp"));
    let seen = if of.spec.parallel { x } else { &mid };
    let before = normed(b, seen, &names.mlp_norm)?;
    let hidden = mlp(b, &before, of, names)?;
    let hidden = normed(b, &hidden, &names.mlp_post_norm)?;
    Ok(b.op("Add", &[&mid, &hidden]))
}

/// The final norm and the unembedding: `[batch, d_model]` to `[batch, vocab]`.
pub fn unembed(b: &mut Builder, last: &str, of: Source<'_>, names: &WeightNames) -> Result<String> {
    let spec = of.spec;
    let normed = norm(b, last, of, &names.final_norm, spec.d_model)?;
    let table = (of.weights).reference(&names.unembed, &[spec.vocab, spec.d_model])?;
    // `Gemm` takes the table as it is stored: the largest weight is not copied to be transposed.
    let table = b.weight(&table);
    let mut inputs = vec![normed, table];
    if let Some(bias) = &names.unembed_bias {
        inputs.push(b.weight(&of.weights.reference(bias, &[spec.vocab])?));
    }
    let inputs: Vec<&str> = inputs.iter().map(String::as_str).collect();
    let transposed = vec![("transB", Attribute::Int(1))];
    let logits = b.op_with("Gemm", &inputs, transposed);
    Ok(soft_cap(b, &logits, spec.logit_softcap))
}
