//! Planted models: Llama-shaped models whose weights are written, not trained, so that the subgraph by which they add
//! and subtract is known by construction. A harness that does not find it is wrong.
//!
//! One residual channel holds a large constant, which makes RMSNorm a nearly constant scale. A number `n` is embedded as
//! `cos(2 pi k n / P)`, `sin(2 pi k n / P)` for several `k`; the unembedding of `n` scores `sum_k cos(2 pi k (s - n) / P)`,
//! so the largest logit is that of the result `s`. Attention selects by content, in dimensions that rotary embedding
//! hardly turns. SwiGLU multiplies: `silu(M + a) b - silu(M) b = a b` for a large `M`.
//!
//! The route: in layer 0 every number learns whether it is the first or the second, from how many numbers it sees: a
//! cross-token step that does not depend on their values, which CAMA keeps and a wait without any attention destroys.
//! Until layer `wait` numbers mix each other's features into channels that nothing reads. In layers
//! `wait .. wait + transfer` the last token fetches the first operand, the operation's signs, and, in the last of these
//! layers, the second operand. Two more layers compute.

use std::f64::consts::TAU;
use std::path::Path;

use ndarray::Array2;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;
use serde_json::{Value, json};

use super::llama::{self, Config};
use crate::graph::WeightNames;
use crate::prompt::Piece;
use crate::prompt::Styles;
use crate::{Error, Result};

/// Raised when the construction changes, so that older folders in the cache are not used any more.
pub const CONSTRUCTION: u32 = 1;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Number of layers; at least `wait + transfer + 2`.
    pub layers: usize,
    /// The layers before the first transfer, `W*`, at least 1.
    pub wait: usize,
    /// The layers over which the last token fetches what it needs, `K*`, at least 1.
    pub transfer: usize,
    /// By which route.
    pub route: Route,
    /// The seed of the distractors.
    pub seed: u64,
}

/// How a planted model comes to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The last token fetches everything itself: AF1 is true.
    Direct,
    /// The second number fetches the first operand in layer `wait`, and the last token fetches it from there in layer
    /// `wait + transfer - 1`, which must be a later one: every token can wait as long, but no AF1 is true, because under
    /// its masks the second number sees nothing.
    TwoHop,
    /// There is no route: the answer is always the same number.
    Constant,
}

const D_MODEL: usize = 128;
const HEADS: usize = 4;
const D_HEAD: usize = 32;
const D_MLP: usize = 256;

/// Numbers from 0 to 999 are tokens; those below this one have features and can be operands and answers.
const NUMBERS: usize = 200;
const NUMERALS: usize = 1000;
/// The period of the features; prime, and larger than every result.
const PERIOD: f64 = 211.0;
const FREQUENCIES: [f64; 6] = [1.0, 3.0, 17.0, 40.0, 64.0, 97.0];
const FEATURES: usize = 2 * FREQUENCIES.len();

/// The large constant in the residual stream.
const CONSTANT: f64 = 100.0;
/// Sharpness of attention: a score of 1 stands `exp(SHARPNESS)` above one of 0.
const SHARPNESS: f64 = 40.0;
/// The large argument of SiLU.
const BIAS: f64 = 20.0;
/// The logit of the right answer, and of the token that is answered when there is no signal. Without the latter a signal
/// of any size, however small, would decide.
const ANSWER_LOGIT: f64 = 60.0;
const DEFAULT_LOGIT: f64 = 30.0;

/// Channels of the residual stream.
mod channel {
    use super::FEATURES;

    pub const CONSTANT: usize = 0;
    pub const IS_NUMBER: usize = 1;
    pub const IS_OPERATION: usize = 2;
    pub const IS_LAST: usize = 3;
    pub const IS_BOS: usize = 4;
    /// Share of a number's attention that falls on numbers: 1/2 for the first, 2/3 for the second.
    pub const ROLE: usize = 5;
    /// Signs of the first and the second number, at the operation's token and, fetched, at the last.
    pub const SIGNS: [usize; 2] = [6, 7];
    pub const FETCHED_SIGNS: [usize; 2] = [8, 9];
    /// Features of the number at its own token.
    pub const NUMBER: usize = 16;
    /// Features of the operands, fetched by the last token.
    pub const OPERANDS: [usize; 2] = [NUMBER + FEATURES, NUMBER + 2 * FEATURES];
    /// Sines of the operands with their signs.
    pub const SIGNED: [usize; 2] = [NUMBER + 3 * FEATURES, NUMBER + 3 * FEATURES + FEATURES / 2];
    /// Features of the result.
    pub const RESULT: usize = NUMBER + 4 * FEATURES;
    /// What nothing reads.
    pub const JUNK: usize = NUMBER + 5 * FEATURES;
}

/// Words that say which operation it is, with the signs of the first and the second number.
const OPERATIONS: [(&str, [f64; 2]); 8] = [
    ("+", [1.0, 1.0]),
    ("sum", [1.0, 1.0]),
    ("add", [1.0, 1.0]),
    ("Together", [1.0, 1.0]),
    ("-", [1.0, -1.0]),
    ("difference", [1.0, -1.0]),
    ("gave", [1.0, -1.0]),
    // "subtract {B} from {A}": the second number is the one that counts.
    ("subtract", [-1.0, 1.0]),
];

const BOS: &str = "<bos>";
/// What a constant model answers.
const CONSTANT_ANSWER: &str = "7";
const DEFAULT: &str = "<unk>";

/// How a channel is scaled by the norms: the constant to about `sqrt(d_model)`, everything else in proportion.
fn normed(channel: usize) -> f64 {
    let constant = (D_MODEL as f64).sqrt();
    match channel {
        channel::CONSTANT => constant,
        _ => constant / CONSTANT,
    }
}

/// `cos, sin, cos, sin, ...` of a number.
fn features(number: usize) -> impl Iterator<Item = f64> {
    FREQUENCIES.into_iter().flat_map(move |k| {
        let angle = TAU * k * number as f64 / PERIOD;
        [angle.cos(), angle.sin()]
    })
}

/// A weighted sum of channels.
type Mix = Vec<(usize, f64)>;

/// The weights of a layer, `[out, in]`.
struct Layer {
    query: Array2<f64>,
    key: Array2<f64>,
    value: Array2<f64>,
    output: Array2<f64>,
    gate: Array2<f64>,
    up: Array2<f64>,
    down: Array2<f64>,
    units: usize,
}

impl Layer {
    fn new() -> Self {
        let (d, h) = (D_MODEL, HEADS * D_HEAD);
        Self {
            query: Array2::zeros((h, d)),
            key: Array2::zeros((h, d)),
            value: Array2::zeros((h, d)),
            output: Array2::zeros((d, h)),
            gate: Array2::zeros((D_MLP, d)),
            up: Array2::zeros((D_MLP, d)),
            down: Array2::zeros((d, D_MLP)),
            units: 0,
        }
    }

    /// A head: the score of a key is the sum over `contents` of (mix of the query) times (mix of the key); what is
    /// attended to is moved from channel to channel.
    fn head(
        &mut self,
        head: usize,
        contents: &[(Mix, Mix)],
        moves: impl Iterator<Item = (usize, usize)>,
    ) {
        let sharp = SHARPNESS.sqrt() * (D_HEAD as f64).powf(0.25);
        for (i, (query, key)) in contents.iter().enumerate() {
            // From the slowest rotary pair on: it turns by a hundredth of a radian over a prompt.
            let row = head * D_HEAD + D_HEAD / 2 - 1 - i;
            for &(channel, weight) in query {
                self.query[[row, channel]] += weight * sharp / normed(channel);
            }
            for &(channel, weight) in key {
                self.key[[row, channel]] += weight * sharp / normed(channel);
            }
        }
        for (i, (from, to)) in moves.enumerate() {
            self.value[[head * D_HEAD + i, from]] += 1.0 / normed(from);
            self.output[[to, head * D_HEAD + i]] += 1.0;
        }
    }

    /// Adds `weight * a * b` to the channel `out`.
    fn product(&mut self, a: usize, b: usize, out: usize, weight: f64) {
        for (sign, with_a) in [(1.0, true), (-1.0, false)] {
            let unit = self.units;
            self.units += 1;
            self.gate[[unit, channel::CONSTANT]] = BIAS / normed(channel::CONSTANT);
            if with_a {
                self.gate[[unit, a]] += 1.0 / normed(a);
            }
            self.up[[unit, b]] = 1.0 / normed(b);
            self.down[[out, unit]] += sign * weight;
        }
    }

    /// Numbers mix the features of the numbers before them into the junk channels, and the MLP stirs these.
    fn distract(&mut self, random: &mut ChaCha8Rng) {
        let number = vec![(channel::IS_NUMBER, 1.0)];
        let always = vec![(channel::CONSTANT, 1.0)];
        let bos = vec![(channel::IS_BOS, 0.5)];
        let junk = (0..FEATURES).map(|i| (channel::NUMBER + i, channel::JUNK + i));
        self.head(1, &[(number.clone(), number), (always, bos)], junk);
        for unit in D_MLP - 40..D_MLP {
            for d in 0..D_MODEL {
                self.gate[[unit, d]] = random.random_range(-0.3..0.3);
            }
            for i in 0..FEATURES {
                self.up[[unit, channel::JUNK + i]] = random.random_range(-1.0..1.0);
                self.down[[channel::JUNK + i, unit]] = random.random_range(-0.1..0.1);
            }
        }
    }
}

impl Plant {
    /// The layers with their circuit.
    fn circuit(&self) -> Vec<Layer> {
        use channel::{CONSTANT, IS_BOS, IS_LAST, IS_NUMBER, IS_OPERATION, ROLE};
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut layers: Vec<Layer> = (0..self.layers).map(|_| Layer::new()).collect();

        // A number sees the beginning and all numbers up to itself with the same weight; everything else sees the
        // beginning only.
        layers[0].head(
            0,
            &[
                (vec![(CONSTANT, 1.0)], vec![(IS_BOS, 1.0)]),
                (vec![(IS_NUMBER, 1.0)], vec![(IS_NUMBER, 1.0)]),
            ],
            std::iter::once((IS_NUMBER, ROLE)),
        );
        for layer in &mut layers[1..self.wait] {
            layer.distract(&mut random);
        }

        // The scores are 1 for the wanted number and 0 for the other one; the beginning takes the attention of tokens
        // that want nothing.
        let wanted = [
            vec![(IS_NUMBER, 4.0), (ROLE, -6.0)],
            vec![(IS_NUMBER, -3.0), (ROLE, 6.0)],
        ];
        let fetch = |key: Mix| {
            [
                (vec![(IS_LAST, 1.0)], key),
                (vec![(CONSTANT, 1.0)], vec![(IS_BOS, 0.5)]),
            ]
        };
        let last = self.wait + self.transfer - 1;
        let operand =
            |i: usize| (0..FEATURES).map(move |j| (channel::NUMBER + j, channel::OPERANDS[i] + j));
        if self.route == Route::TwoHop {
            let second = (wanted[1].clone(), wanted[0].clone());
            let nobody = (vec![(CONSTANT, 1.0)], vec![(IS_BOS, 0.5)]);
            layers[self.wait].head(0, &[second, nobody], operand(0));
            let carried = operand(0).map(|(_, there)| (there, there));
            layers[last].head(0, &fetch(wanted[1].clone()), carried);
        } else {
            layers[self.wait].head(0, &fetch(wanted[0].clone()), operand(0));
        }
        let signs = channel::SIGNS.into_iter().zip(channel::FETCHED_SIGNS);
        layers[self.wait].head(2, &fetch(vec![(IS_OPERATION, 1.0)]), signs);
        layers[last].head(3, &fetch(wanted[1].clone()), operand(1));

        // sin(-a) = -sin(a), cos(-a) = cos(a); then cos(a + b) and sin(a + b).
        for k in 0..FREQUENCIES.len() {
            for i in 0..2 {
                let sine = channel::OPERANDS[i] + 2 * k + 1;
                layers[last + 1].product(
                    channel::FETCHED_SIGNS[i],
                    sine,
                    channel::SIGNED[i] + k,
                    1.0,
                );
            }
            let [cos_a, cos_b] = channel::OPERANDS.map(|operand| operand + 2 * k);
            let [sin_a, sin_b] = channel::SIGNED.map(|signed| signed + k);
            let (cos, sin) = (channel::RESULT + 2 * k, channel::RESULT + 2 * k + 1);
            let compute = &mut layers[last + 2];
            compute.product(cos_a, cos_b, cos, 1.0);
            compute.product(sin_a, sin_b, cos, -1.0);
            compute.product(sin_a, cos_b, sin, 1.0);
            compute.product(cos_a, sin_b, sin, 1.0);
        }
        layers
    }

    /// Embedding and unembedding, `[vocab, d_model]`.
    fn tables(&self, vocabulary: &[String]) -> (Array2<f64>, Array2<f64>) {
        let shape = (vocabulary.len(), D_MODEL);
        let (mut embed, mut unembed) = (Array2::zeros(shape), Array2::zeros(shape));
        for (id, token) in vocabulary.iter().enumerate() {
            embed[[id, channel::CONSTANT]] = CONSTANT;
            if let Ok(number) = token.parse::<usize>() {
                embed[[id, channel::IS_NUMBER]] = 1.0;
                if number < NUMBERS {
                    let scale = ANSWER_LOGIT / FREQUENCIES.len() as f64;
                    for (i, feature) in features(number).enumerate() {
                        embed[[id, channel::NUMBER + i]] = feature;
                        unembed[[id, channel::RESULT + i]] =
                            feature * scale / normed(channel::RESULT);
                    }
                }
            }
            if let Some((_, signs)) = OPERATIONS.iter().find(|(word, _)| word == token) {
                embed[[id, channel::IS_OPERATION]] = 1.0;
                for (channel, sign) in channel::SIGNS.into_iter().zip(signs) {
                    embed[[id, channel]] = *sign;
                }
            }
            // The last token of every built-in template.
            if token == "=" || token == " " {
                embed[[id, channel::IS_LAST]] = 1.0;
            }
            if token == BOS {
                embed[[id, channel::IS_BOS]] = 1.0;
            }
            let (default, logit) = match self.route {
                Route::Constant => (CONSTANT_ANSWER, 2.0 * ANSWER_LOGIT),
                _ => (DEFAULT, DEFAULT_LOGIT),
            };
            if token == default {
                unembed[[id, channel::CONSTANT]] = logit / normed(channel::CONSTANT);
            }
        }
        (embed, unembed)
    }

    /// Writes the model as a folder in Hugging Face's layout.
    ///
    /// # Errors
    /// The folder cannot be written.
    ///
    /// # Panics
    /// If the plant has fewer layers than it needs.
    pub fn write(&self, folder: &Path) -> Result<()> {
        assert!(
            self.wait >= 1 && self.transfer >= 1,
            "a plant waits and transfers"
        );
        let two_hop = self.route == Route::TwoHop;
        assert!(
            !two_hop || self.transfer >= 2,
            "the second hop is in a later layer"
        );
        assert!(
            self.layers >= self.wait + self.transfer + 2,
            "two layers compute"
        );
        let vocabulary = vocabulary();
        let config = Config::new(
            self.layers,
            [D_MODEL, HEADS, D_HEAD, D_MLP],
            vocabulary.len(),
        );
        let spec = config.spec(folder)?;
        let put = |name: &str, json: &Value| {
            let path = folder.join(name);
            std::fs::write(&path, json.to_string()).map_err(|e| Error::caching(&path, e))
        };
        put(
            "config.json",
            &serde_json::to_value(&config).expect("a configuration is plain data"),
        )?;
        put("tokenizer.json", &tokenizer(&vocabulary))?;
        put("tokenizer_config.json", &json!({ "bos_token": BOS }))?;

        let names = llama::names(&spec);
        let tensors: Vec<(String, Vec<usize>, Vec<u8>)> = self
            .tensors(&vocabulary, &names)
            .into_iter()
            .map(|(name, weights)| {
                let bytes = weights
                    .iter()
                    .flat_map(|&w| (w as f32).to_le_bytes())
                    .collect();
                // A norm has one axis.
                let shape = match weights.dim() {
                    (1, d) => vec![d],
                    (rows, columns) => vec![rows, columns],
                };
                (name, shape, bytes)
            })
            .collect();
        let views = tensors.iter().map(|(name, shape, bytes)| {
            let view = TensorView::new(safetensors::Dtype::F32, shape.clone(), bytes);
            (name, view.expect("as many bytes as the shape says"))
        });
        let path = folder.join("model.safetensors");
        safetensors::serialize_to_file(views, None, &path)
            .map_err(|e| Error::caching(&path, std::io::Error::other(e)))
    }

    /// All weights by name, norms as matrices of one row.
    fn tensors(&self, vocabulary: &[String], names: &WeightNames) -> Vec<(String, Array2<f64>)> {
        let ones = || Array2::ones((1, D_MODEL));
        let (embed, unembed) = self.tables(vocabulary);
        let mut tensors = vec![
            (names.embed.clone(), embed),
            (names.unembed.clone(), unembed),
            (names.final_norm.clone(), ones()),
        ];
        for (layer, names) in self.circuit().into_iter().zip(&names.layers) {
            tensors.extend([
                (names.attn_norm.clone(), ones()),
                (names.query.clone(), layer.query),
                (names.key.clone(), layer.key),
                (names.value.clone(), layer.value),
                (names.output.clone(), layer.output),
                (names.mlp_norm.clone(), ones()),
                (names.gate.clone(), layer.gate),
                (names.up.clone(), layer.up),
                (names.down.clone(), layer.down),
            ]);
        }
        tensors
    }
}

/// The beginning, the default answer, the numerals, and the words of the built-in styles.
fn vocabulary() -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for template in Styles::built_in()
        .all()
        .iter()
        .flat_map(|style| &style.templates)
    {
        for piece in &template.pieces {
            if let Piece::Text(text) = piece {
                words.extend(split(text));
            }
        }
    }
    words.sort();
    words.dedup();
    let fixed = [BOS.to_owned(), DEFAULT.to_owned()];
    fixed
        .into_iter()
        .chain((0..NUMERALS).map(|n| n.to_string()))
        .chain(words)
        .collect()
}

/// The way in which the tokenizer splits a text: words, and every other character alone.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for c in text.chars() {
        match words.last_mut() {
            Some(word)
                if c.is_ascii_alphabetic() && word.ends_with(|l: char| l.is_ascii_alphabetic()) =>
            {
                word.push(c);
            }
            _ => words.push(c.to_string()),
        }
    }
    words
}

/// `tokenizer.json`: every number and every word is one token.
fn tokenizer(vocabulary: &[String]) -> Value {
    let vocab: serde_json::Map<String, Value> = vocabulary
        .iter()
        .enumerate()
        .map(|(id, token)| (token.clone(), json!(id)))
        .collect();
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [],
        "normalizer": null,
        "pre_tokenizer": {
            "type": "Split", "pattern": { "Regex": "[0-9]+|[A-Za-z]+|." }, "behavior": "Isolated", "invert": false
        },
        "post_processor": null,
        "decoder": null,
        "model": { "type": "WordLevel", "vocab": vocab, "unk_token": DEFAULT },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_do_not_overlap() {
        let end = channel::JUNK + FEATURES;
        assert!(end <= D_MODEL && channel::FETCHED_SIGNS[1] < channel::NUMBER);
        assert_eq!(channel::SIGNED[1] + FEATURES / 2, channel::RESULT);
    }

    /// The margin between the right answer and the next one, in units of the answer's logit.
    #[test]
    fn every_number_is_told_from_every_other() {
        let score = |delta: usize| -> f64 {
            FREQUENCIES
                .iter()
                .map(|k| (TAU * k * delta as f64 / PERIOD).cos())
                .sum()
        };
        let second = (1..NUMBERS).map(score).fold(f64::MIN, f64::max);
        assert!(FREQUENCIES.len() as f64 - second > 1.0, "{second}");
    }
}
