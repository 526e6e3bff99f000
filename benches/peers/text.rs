//! The first pass as it would be if prompts shared the text before their first operand and nothing else: the same runtime, segments and
//! batches, but every other token is run for every prompt and every step.

use af1::intervene::{Mask, Means};
use af1::measure::first_maximum;
use af1::prompt::{PromptSet, Role};
use af1::runtime::{Engine, KeysValues, Tensor};
use ndarray::{Array2, Array3, ArrayView3, Axis, Ix2, Ix3, concatenate, s};

/// Prompts in a batch, as the program has it by default.
const BATCH: usize = 64;

/// The text before the first operand, run once.
struct Text {
    /// `resid` at the boundary that is captured, `[1, len, d_model]`.
    stream: Array3<f32>,
    /// The keys and values of the text by layer, of a batch of 1.
    caches: Vec<KeysValues>,
}

/// What the unmodified model answers to all prompts of a set, and the means at a boundary.
pub fn base_and_means(engine: &mut Engine, set: &PromptSet, boundary: usize) -> (Vec<u32>, Means) {
    let is_operand = |role: &Role| matches!(role, Role::Operand(_));
    let len = set.roles.iter().position(is_operand).expect("an operand");
    let text = Text::new(engine, set, len, boundary);
    let own = set.positions() - len;
    let bias = Mask::Causal.bias(1, set.positions());
    let bias = bias.slice(s![.., .., len.., ..]).to_owned();
    let bias = Tensor::from_f32(bias).expect("a mask");
    let mut base = Vec::new();
    let mut means = Means::new(set.positions(), engine.d_model(), 0);
    let all: Vec<usize> = (0..set.len()).collect();
    for prompts in all.chunks(BATCH) {
        let ids = set.ids(prompts).slice(s![.., len..]).to_owned();
        let at = Array2::from_shape_fn((prompts.len(), own), |(_, t)| (len + t) as i64);
        let positions = Tensor::from_i64(at.clone()).expect("positions");
        let mut stream = engine.embed_at(ids, at).expect("streams");
        for layer in 0..engine.layers() {
            if layer == boundary {
                let own = stream.view::<Ix3>().expect("streams");
                let whole = text.before(own);
                means.push(set, prompts, whole.view());
            }
            let made = engine.keys_values(layer, &stream, &positions);
            let seen = engine.after(&text.caches[layer], &made.expect("keys and values"));
            let seen = seen.expect("keys and values");
            let next = engine.attend(layer, &stream, &positions, &seen, &bias);
            stream = next.expect("streams");
        }
        let logits = engine.logits(&stream).expect("logits");
        let logits = logits.view::<Ix2>().expect("logits");
        base.extend(logits.outer_iter().map(first_maximum));
    }
    (base, means)
}

impl Text {
    fn new(engine: &mut Engine, set: &PromptSet, len: usize, boundary: usize) -> Self {
        let bias = Tensor::from_f32(Mask::Causal.bias(1, len)).expect("a mask");
        let at = Array2::from_shape_fn((1, len), |(_, t)| t as i64);
        let positions = Tensor::from_i64(at).expect("positions");
        let ids = set.ids(&[0]).slice(s![.., ..len]).to_owned();
        let mut stream = engine.embed(ids, 0).expect("streams");
        let mut captured = None;
        let mut caches = Vec::new();
        for layer in 0..engine.layers() {
            if layer == boundary {
                captured = Some(stream.view::<Ix3>().expect("streams").to_owned());
            }
            let made = engine.keys_values(layer, &stream, &positions);
            let made = made.expect("keys and values");
            let next = engine.attend(layer, &stream, &positions, &made, &bias);
            stream = next.expect("streams");
            caches.push(made);
        }
        Self {
            stream: captured.expect("a boundary below the last"),
            caches,
        }
    }

    /// The streams of a batch, `[batch, pos, d_model]`, with those of the text before them.
    fn before(&self, own: ArrayView3<'_, f32>) -> Array3<f32> {
        let (batch, _, d_model) = own.dim();
        let shape = (batch, self.stream.len_of(Axis(1)), d_model);
        let text = self.stream.broadcast(shape).expect("one shape");
        concatenate(Axis(1), &[text, own]).expect("one batch")
    }
}
