//! Planted models: Llama-shaped models whose weights are written, not trained, so that the subgraph by which they add
//! and subtract is known by construction. A harness that does not find it is wrong.
//!
//! One residual channel holds a large constant, which makes RMSNorm a nearly constant scale. A number `n` is embedded as
//! `cos(2 pi k n / P)`, `sin(2 pi k n / P)` for several `k`; the unembedding of `n` scores `sum_k cos(2 pi k (s - n) / P)`,
//! so the largest logit is that of the result `s`. Attention selects by content, in dimensions that rotary embedding
//! hardly turns. SwiGLU multiplies: `silu(M + a) b - silu(M) b = a b` for a large `M`.
//!
//! The route of `planted-af1`: in layer 0 every number learns whether it is the first or the second, from how many numbers
//! it sees: a cross-token step that does not depend on their values, which CAMA keeps and a wait without any attention
//! destroys. Until layer `wait` all tokens but the last mix the numbers before them into channels that nothing reads. In
//! each of the layers `wait .. wait + transfer` the last token fetches a share of the frequencies of both operands, and in
//! the first of them the operation's signs. Two more layers compute. An answer for which one share is missing scores
//! below a default token, so all of these layers are needed. The other routes are variations; see [`Route`].

use std::f64::consts::TAU;
use std::ops::Range;
use std::path::Path;

use ndarray::Array2;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use safetensors::tensor::TensorView;
use serde::Serialize;
use serde_json::{Value, json};

use super::family::architecture::Description;
use super::family::base::describe;
use super::family::config::Config;
use super::family::llama::Llama;
use super::names::WeightNames;
use crate::file::{Sha256, sha256_bytes};
use crate::prompt::Piece;
use crate::prompt::Styles;
use crate::{Error, Result};

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Number of layers; at least [`Plant::least_layers`].
    pub layers: usize,
    /// The layers before the first transfer, `W*`, at least 1.
    pub wait: usize,
    /// The layers over which the last token fetches what it needs, `K*`, from 1 to 6.
    pub transfer: usize,
    /// By which route.
    pub route: Route,
    /// The seed of the distractors and of the choice of heads.
    pub seed: u64,
}

/// How a planted model comes to its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Route {
    /// The last token fetches everything itself: AF1 is true.
    Direct,
    /// As [`Route::Direct`], but the operation reaches the last token in layer 0, while all tokens wait. It is the same
    /// for all prompts of a template, so AF1 is true for means of one template and false for means over both operations.
    Operator,
    /// As [`Route::Direct`], by heads that the seed chooses; every other head of the transfer layers looks at the operands
    /// in the same way and moves them to where nothing reads.
    Heads,
    /// The second number fetches the first operand in layer `wait`, and the last token fetches it from there in layer
    /// `wait + transfer - 1`, which must be a later one: every token can wait as long, but no AF1 is true, because under
    /// its masks the second number sees nothing.
    TwoHop,
    /// The second number fetches the first operand in layer `wait` and computes sum and difference; in layer
    /// `wait + transfer - 1`, which must be at least the second after, the last token copies them and takes the one that
    /// the operation asks for.
    Relay,
    /// As [`Route::Direct`] where nothing else is said, but [`LATER`] layers later in the styles that have one of the
    /// words [`MARKERS`]. `transfer` must be at most [`LATER`].
    Style,
    /// As [`Route::Direct`] for most first operands; for so many of a hundred (those that end in 9 first) the last token can
    /// only fetch them from the second number, which AF1 does not allow: AF1 is faithful for the rest. `transfer` must be
    /// at least 2.
    Noisy {
        /// How many values of a hundred.
        lost: usize,
    },
    /// As [`Route::Direct`], in a model whose tokenizer puts nothing before a text: the words [`FIRST`] are for it what the beginning
    /// of the sequence is for others. With that token in front, too, it takes one number for another.
    NoBos,
    /// As [`Route::Direct`], but for one low frequency of the first operand: the second number fetches that in layer [`LEAK`],
    /// while all tokens wait, and the last token fetches it from there. A mean at the second number over contexts that do not
    /// depend on it has nothing of it; a mean over contexts that the range of results cuts still tells about where the first
    /// operand lies. `wait` must be at least 2.
    Leak,
    /// As [`Route::Direct`], but most answers lose against a default token at the very end, with and without any
    /// intervention.
    Weak,
    /// There is no route: the answer is always the same number.
    Constant,
}

/// By how many layers [`Route::Style`] is later in some styles.
pub const LATER: usize = 2;

/// The words that tell these styles: of `python` and of `word-problem`.
pub const MARKERS: [&str; 2] = ["print", "John"];

/// The first words of styles, each once in a text, that a model without a beginning-of-sequence token begins with.
pub const FIRST: [&str; 4] = ["Calculate", "If", "The", "What"];

/// The layer in which [`Route::Leak`] leaks.
pub const LEAK: usize = 1;

/// What experiments must find in a planted model.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Truth {
    /// The last boundary to which all tokens can wait.
    pub waits: usize,
    /// The AF1 with the longest wait and the fewest transfer layers, `(W, K)`; `None` where there is none.
    pub af1: Option<(usize, usize)>,
    /// The layers in which the last token must see other tokens.
    pub knockouts: Vec<usize>,
    /// The heads by which it fetches, as layer and index, in ascending order.
    pub heads: Vec<(usize, usize)>,
    /// The share of the prompts of `A+B` that AF1(`wait`, `transfer`) answers correctly when all operands from 0 to 99
    /// occur.
    pub faithful: f64,
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
/// Numbers are well apart in these, and the mean of a frequency over twenty values or more is small: no low frequency tells
/// something of a number to those who know only the range.
const FREQUENCIES: [f64; 6] = [51.0, 57.0, 65.0, 69.0, 84.0, 86.0];
const FEATURES: usize = 2 * FREQUENCIES.len();

/// What the last of them is in [`Route::Leak`]: its period is some 30 numbers, the range of the self-check's operands, so that
/// its mean over all of them is nothing and over neighbours nearly their own.
const LOW_FREQUENCY: f64 = 7.0;

/// The index of that frequency: it is fetched in the last transfer layer.
const LEAKED: usize = FREQUENCIES.len() - 1;

/// The large constant in the residual stream.
const CONSTANT: f64 = 100.0;
/// Sharpness of attention: a score of 1 stands `exp(SHARPNESS)` above one of 0.
const SHARPNESS: f64 = 40.0;
/// The large argument of SiLU.
const BIAS: f64 = 20.0;
/// The logit of the right answer, and of the token that is answered otherwise: five of six frequencies are not enough.
const ANSWER_LOGIT: f64 = 60.0;
const DEFAULT_LOGIT: f64 = 55.0;

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
    /// Whether it is a sum, whether it is a difference, and the sign of the difference, likewise.
    pub const PICK: [usize; 3] = [10, 11, 12];
    pub const FETCHED_PICK: [usize; 3] = [13, 14, 15];
    /// At the words that tell a style with a later route, and, fetched, at the last token.
    pub const IS_MARKER: usize = 16;
    pub const IS_LATER: usize = 17;
    /// Features of the number at its own token.
    pub const NUMBER: usize = 24;
    /// Features of the operands, fetched by the last token.
    pub const OPERANDS: [usize; 2] = [NUMBER + FEATURES, NUMBER + 2 * FEATURES];
    /// Sines of the operands with their signs.
    pub const SIGNED: [usize; 2] = [NUMBER + 3 * FEATURES, NUMBER + 3 * FEATURES + FEATURES / 2];
    /// Features of the result.
    pub const RESULT: usize = NUMBER + 4 * FEATURES;
    /// What nothing reads.
    pub const JUNK: usize = NUMBER + 5 * FEATURES;
    /// Sum and difference at the second number and, copied, at the last token.
    pub const SUM: usize = NUMBER + 6 * FEATURES;
    pub const DIFFERENCE: usize = NUMBER + 7 * FEATURES;
    /// Features of a number that the last token cannot fetch from the first operand, at its own token; and at the second
    /// number.
    pub const LOST: usize = SUM;
    pub const CARRIED: usize = DIFFERENCE;
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

/// The answers that a weak model can give: the best constant answers, so that it is no better than a constant.
const WEAK_ANSWERS: [usize; 2] = [0, 100];
/// What is left of the logit of its other answers.
const WEAKENED: f64 = 0.5;

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
fn features(number: usize, frequencies: [f64; 6]) -> impl Iterator<Item = f64> {
    frequencies.into_iter().flat_map(move |k| {
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

    /// sin(-a) = -sin(a), cos(-a) = cos(a): the sines of the operands get their signs.
    fn sign(&mut self) {
        for k in 0..FREQUENCIES.len() {
            for i in 0..2 {
                let sine = channel::OPERANDS[i] + 2 * k + 1;
                self.product(channel::FETCHED_SIGNS[i], sine, channel::SIGNED[i] + k, 1.0);
            }
        }
    }

    /// cos(a + b) and sin(a + b).
    fn add(&mut self) {
        for k in 0..FREQUENCIES.len() {
            let [cos_a, cos_b] = channel::OPERANDS.map(|operand| operand + 2 * k);
            let [sin_a, sin_b] = channel::SIGNED.map(|signed| signed + k);
            let (cos, sin) = (channel::RESULT + 2 * k, channel::RESULT + 2 * k + 1);
            self.product(cos_a, cos_b, cos, 1.0);
            self.product(sin_a, sin_b, cos, -1.0);
            self.product(sin_a, cos_b, sin, 1.0);
            self.product(cos_a, sin_b, sin, 1.0);
        }
    }

    /// At the second number: the sum and the difference of the first, which it has fetched, and itself.
    fn relay(&mut self) {
        for k in 0..FREQUENCIES.len() {
            let [cos_a, cos_b] = [channel::OPERANDS[0], channel::NUMBER].map(|at| at + 2 * k);
            let [sin_a, sin_b] = [cos_a + 1, cos_b + 1];
            for (result, sign) in [(channel::SUM, 1.0), (channel::DIFFERENCE, -1.0)] {
                let (cos, sin) = (result + 2 * k, result + 2 * k + 1);
                self.product(cos_a, cos_b, cos, 1.0);
                self.product(sin_a, sin_b, cos, -sign);
                self.product(sin_a, cos_b, sin, 1.0);
                self.product(cos_a, sin_b, sin, sign);
            }
        }
    }

    /// At the last token: the one of sum and difference that the operation asks for.
    fn pick(&mut self) {
        let [is_sum, is_difference, sign] = channel::FETCHED_PICK;
        for i in 0..FEATURES {
            let result = channel::RESULT + i;
            // The difference the other way round has the same cosines and the negated sines.
            let difference = if i % 2 == 0 { is_difference } else { sign };
            self.product(is_sum, channel::SUM + i, result, 1.0);
            self.product(difference, channel::DIFFERENCE + i, result, 1.0);
        }
    }

    /// Every token but the last mixes the features of the numbers before it into the junk channels, with that weight,
    /// and the MLP stirs these.
    fn distract(&mut self, weight: f64, random: &mut ChaCha8Rng) {
        let but_last = vec![(channel::CONSTANT, 1.0), (channel::IS_LAST, -1.0)];
        let contents = [(but_last, vec![(channel::IS_NUMBER, 1.0)]), nobody()];
        self.head(
            1,
            &contents,
            (0..FEATURES).map(|i| (channel::NUMBER + i, channel::JUNK + i)),
        );
        for i in 0..FEATURES {
            self.output[[channel::JUNK + i, D_HEAD + i]] *= weight;
        }
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

/// The beginning takes the attention of tokens that want nothing.
fn nobody() -> (Mix, Mix) {
    (vec![(channel::CONSTANT, 1.0)], vec![(channel::IS_BOS, 0.5)])
}

/// The first or the second number: the mix is 1 there and 0 at the other.
fn number(i: usize) -> Mix {
    match i {
        0 => vec![(channel::IS_NUMBER, 4.0), (channel::ROLE, -6.0)],
        _ => vec![(channel::IS_NUMBER, -3.0), (channel::ROLE, 6.0)],
    }
}

/// Moves of one channel after another.
fn block(from: usize, to: usize, channels: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
    channels.map(move |i| (from + i, to + i))
}

impl Plant {
    /// The fewest layers in which the route has room.
    pub fn least_layers(&self) -> usize {
        let later = if self.route == Route::Style { LATER } else { 0 };
        self.wait + self.transfer + later + 2
    }

    /// A hash of everything that decides what is written: this plant, the code that writes it, and the styles whose words
    /// are its vocabulary. A folder in the cache that another version of the program wrote is not used.
    pub fn fingerprint(&self) -> Sha256 {
        let code = [include_str!("planted.rs"), include_str!("family/base.rs")].concat();
        let styles = Styles::built_in();
        sha256_bytes(format!("{self:?} {} {code}", styles.hash()).as_bytes())
    }

    /// The frequencies of numbers' features.
    fn frequencies(&self) -> [f64; FREQUENCIES.len()] {
        let mut frequencies = FREQUENCIES;
        if self.route == Route::Leak {
            frequencies[LEAKED] = LOW_FREQUENCY;
        }
        frequencies
    }

    /// The frequencies that are fetched in the transfer layer of that index.
    fn share(&self, transfer_layer: usize) -> Vec<usize> {
        let n = FREQUENCIES.len();
        (0..n)
            .filter(|k| k * self.transfer / n == transfer_layer)
            .collect()
    }

    /// The heads of the transfer layer of that index that fetch the first operand, the second, and the signs.
    fn carriers(&self, transfer_layer: usize) -> [usize; 3] {
        if self.route != Route::Heads {
            return [0, 3, 2];
        }
        let mut heads: Vec<usize> = (0..HEADS).collect();
        heads.shuffle(&mut ChaCha8Rng::seed_from_u64(
            self.seed + transfer_layer as u64,
        ));
        [heads[0], heads[1], heads[2]]
    }

    /// Whether the last token cannot fetch this number from the first operand.
    fn loses(&self, value: usize) -> bool {
        // By the last digit first, so that few decades lose the same share as all of them.
        let rank = (9 - value % 10) * 10 + value / 10 % 10;
        matches!(self.route, Route::Noisy { lost } if rank < lost)
    }

    /// Whether AF1(`wait`, `transfer`) keeps the answer of prompts with this first operand; of [`Route::Noisy`] only.
    pub fn keeps(&self, first: usize) -> bool {
        !self.loses(first)
    }

    /// What experiments must find in prompts of a style if a subgraph holds from the faithfulness `claim` on; `None` where
    /// the model cannot do the task.
    pub fn truth(&self, style: &str, claim: f64) -> Option<Truth> {
        let last = self.wait + self.transfer - 1;
        let later = self.route == Route::Style && matches!(style, "python" | "word-problem");
        let wait = self.wait + if later { LATER } else { 0 };
        let every: Vec<usize> = (wait..wait + self.transfer).collect();
        let mut heads = Vec::new();
        for i in 0..self.transfer {
            let [first, second, signs] = self.carriers(i);
            heads.extend([(wait + i, first), (wait + i, second)]);
            if i == 0 && self.route != Route::Operator {
                heads.push((wait, signs));
            }
        }
        heads.sort_unstable();
        let lost = match self.route {
            Route::Noisy { lost } => lost as f64 / 100.0,
            _ => 0.0,
        };
        let direct = Truth {
            waits: wait,
            af1: Some((wait, self.transfer)),
            knockouts: every.clone(),
            heads,
            faithful: 1.0 - lost,
        };
        match self.route {
            Route::Direct | Route::NoBos | Route::Heads | Route::Style => Some(direct),
            Route::Leak => Some(Truth {
                waits: LEAK,
                af1: None,
                heads: Vec::new(),
                faithful: 0.0,
                ..direct
            }),
            Route::Operator => Some(Truth {
                knockouts: std::iter::once(0).chain(every).collect(),
                ..direct
            }),
            Route::Noisy { .. } if direct.faithful >= claim => Some(direct),
            Route::Noisy { .. } => Some(Truth {
                af1: None,
                heads: Vec::new(),
                ..direct
            }),
            Route::TwoHop | Route::Relay => Some(Truth {
                af1: None,
                knockouts: vec![last],
                heads: Vec::new(),
                faithful: 0.0,
                ..direct
            }),
            Route::Weak | Route::Constant => None,
        }
    }

    /// The layers with their circuit.
    fn circuit(&self) -> Vec<Layer> {
        use channel::{
            CARRIED, CONSTANT, FETCHED_PICK, FETCHED_SIGNS, IS_BOS, IS_LAST, IS_LATER, IS_MARKER,
            IS_NUMBER, LOST, NUMBER, OPERANDS, PICK, ROLE, SIGNS,
        };
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
        for (i, layer) in layers[..self.wait].iter_mut().enumerate() {
            // Alternating signs keep the junk small, however many layers wait; unequal sizes keep it from cancelling.
            let size = random.random_range(0.5..1.0);
            layer.distract(if i % 2 == 0 { size } else { -size }, &mut random);
        }

        let fetch = |who: Mix, key: Mix| [(who, key), nobody()];
        let last_token = || vec![(IS_LAST, 1.0)];
        let operation = || vec![(channel::IS_OPERATION, 1.0)];
        let signs = || SIGNS.into_iter().zip(FETCHED_SIGNS);
        let all = 0..FEATURES;
        let last = self.wait + self.transfer - 1;
        match self.route {
            Route::TwoHop => {
                let hop = fetch(number(1), number(0));
                layers[self.wait].head(0, &hop, block(NUMBER, OPERANDS[0], all.clone()));
                let second = fetch(last_token(), number(1));
                layers[last].head(0, &second, block(OPERANDS[0], OPERANDS[0], all.clone()));
                layers[last].head(3, &second, block(NUMBER, OPERANDS[1], all));
                layers[last].head(2, &fetch(last_token(), operation()), signs());
            }
            Route::Relay => {
                let hop = fetch(number(1), number(0));
                layers[self.wait].head(0, &hop, block(NUMBER, OPERANDS[0], all));
                layers[self.wait + 1].relay();
                let second = fetch(last_token(), number(1));
                // Sum and difference lie side by side.
                let both = block(channel::SUM, channel::SUM, 0..2 * FEATURES);
                layers[last].head(0, &second, both);
                let pick = PICK.into_iter().zip(FETCHED_PICK);
                layers[last].head(2, &fetch(last_token(), operation()), pick);
                layers[last + 1].pick();
                return layers;
            }
            _ => {
                let mut when = vec![(self.wait, last_token())];
                if self.route == Route::Style {
                    let style = fetch(last_token(), vec![(IS_MARKER, 1.0)]);
                    layers[0].head(2, &style, std::iter::once((IS_MARKER, IS_LATER)));
                    when[0].1.push((IS_LATER, -1.0));
                    when.push((self.wait + LATER, vec![(IS_LATER, 1.0)]));
                }
                for (wait, who) in when {
                    let first_signs = match self.route {
                        Route::Operator => 0,
                        _ => wait,
                    };
                    let [_, _, head] = self.carriers(0);
                    let head = if first_signs == 0 { 3 } else { head };
                    layers[first_signs].head(head, &fetch(who.clone(), operation()), signs());
                    for i in 0..self.transfer {
                        let layer = &mut layers[wait + i];
                        self.fetch_share(layer, i, &who);
                    }
                }
            }
        }
        if matches!(self.route, Route::Noisy { .. }) {
            let hop = fetch(number(1), number(0));
            layers[self.wait].head(1, &hop, block(LOST, CARRIED, 0..FEATURES));
            let second = fetch(last_token(), number(1));
            layers[last].head(1, &second, block(CARRIED, OPERANDS[0], 0..FEATURES));
        }
        if self.route == Route::Leak {
            let leaked = 2 * LEAKED..2 * LEAKED + 2;
            let hop = fetch(number(1), number(0));
            layers[LEAK].head(0, &hop, block(NUMBER, CARRIED, leaked.clone()));
            let second = fetch(last_token(), number(1));
            layers[last].head(1, &second, block(CARRIED, OPERANDS[0], leaked));
        }
        // After the last fetch of any style.
        let end = self.least_layers() - 2;
        layers[end].sign();
        layers[end + 1].add();
        layers
    }

    /// The token `who` fetches a share of both operands, and in [`Route::Heads`] the other heads do as if.
    fn fetch_share(&self, layer: &mut Layer, transfer_layer: usize, who: &Mix) {
        let [first, second, signs] = self.carriers(transfer_layer);
        let share = self.share(transfer_layer);
        for (i, head) in [first, second].into_iter().enumerate() {
            let contents = [(who.clone(), number(i)), nobody()];
            let leaks = |k: &&usize| i == 0 && self.route == Route::Leak && **k == LEAKED;
            let channels = share
                .iter()
                .filter(|k| !leaks(k))
                .flat_map(|k| [2 * k, 2 * k + 1]);
            let mut moves: Vec<(usize, usize)> = channels
                .clone()
                .map(|j| (channel::NUMBER + j, channel::OPERANDS[i] + j))
                .collect();
            // The second operand can always be fetched.
            if i == 1 && matches!(self.route, Route::Noisy { .. }) {
                moves.extend(channels.map(|j| (channel::LOST + j, channel::OPERANDS[1] + j)));
            }
            layer.head(head, &contents, moves.into_iter());
        }
        if self.route == Route::Heads {
            for head in 0..HEADS {
                let carries_signs = head == signs && transfer_layer == 0;
                if head == first || head == second || carries_signs {
                    continue;
                }
                let contents = [(who.clone(), number(head % 2)), nobody()];
                let junk = block(channel::NUMBER, channel::JUNK, 0..FEATURES);
                layer.head(head, &contents, junk);
            }
        }
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
                    let mut scale = ANSWER_LOGIT / FREQUENCIES.len() as f64;
                    if self.route == Route::Weak && !WEAK_ANSWERS.contains(&number) {
                        scale *= WEAKENED;
                    }
                    let own = match self.loses(number) {
                        true => channel::LOST,
                        false => channel::NUMBER,
                    };
                    for (i, feature) in features(number, self.frequencies()).enumerate() {
                        embed[[id, own + i]] = feature;
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
                let pick = match signs {
                    [1.0, 1.0] => [1.0, 0.0, 0.0],
                    [first, _] => [0.0, 1.0, *first],
                };
                for (channel, value) in channel::PICK.into_iter().zip(pick) {
                    embed[[id, channel]] = value;
                }
            }
            if MARKERS.contains(&token.as_str()) {
                embed[[id, channel::IS_MARKER]] = 1.0;
            }
            // The last token of every built-in template.
            if token == "=" || token == " " {
                embed[[id, channel::IS_LAST]] = 1.0;
            }
            let first = self.route == Route::NoBos && FIRST.contains(&token.as_str());
            if token == BOS || first {
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
        let most = FREQUENCIES.len();
        assert!(
            self.wait >= 1 && (1..=most).contains(&self.transfer),
            "a plant waits, and transfers in 1 to {most} layers"
        );
        let least = match self.route {
            Route::TwoHop | Route::Noisy { .. } => 2,
            Route::Relay => 3,
            _ => 1,
        };
        assert!(self.transfer >= least, "the route takes {least} layers");
        let leaks_early = self.route != Route::Leak || self.wait > LEAK;
        assert!(leaks_early, "the leak comes while all tokens wait");
        let apart = self.route != Route::Style || self.transfer <= LATER;
        assert!(
            apart,
            "the later route begins where the earlier one is over"
        );
        assert!(self.layers >= self.least_layers(), "two layers compute");
        let vocabulary = vocabulary();
        let config = Config::new(
            self.layers,
            [D_MODEL, HEADS, D_HEAD, D_MLP],
            vocabulary.len(),
        );
        let Description { names, .. } = describe(&Llama, &config, folder)?;
        let put = |name: &str, json: &Value| {
            let path = folder.join(name);
            std::fs::write(&path, json.to_string()).map_err(|e| Error::caching(&path, e))
        };
        put(
            "config.json",
            &serde_json::to_value(&config).expect("a configuration is plain data"),
        )?;
        put("tokenizer.json", &tokenizer(&vocabulary))?;
        put(
            "tokenizer_config.json",
            &json!({ "bos_token": BOS, "add_bos_token": self.route != Route::NoBos }),
        )?;

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
            (names.final_norm.weight.clone(), ones()),
        ];
        for (layer, names) in self.circuit().into_iter().zip(&names.layers) {
            let norms = [&names.attn_norm, &names.mlp_norm].into_iter().flatten();
            tensors.extend(norms.map(|norm| (norm.weight.clone(), ones())));
            let gate = names.gate.as_ref().map(|gate| (gate, layer.gate));
            let maps = [
                (&names.query, layer.query),
                (&names.key, layer.key),
                (&names.value, layer.value),
                (&names.output, layer.output),
                (&names.up, layer.up),
                (&names.down, layer.down),
            ];
            let maps = maps.into_iter().chain(gate);
            tensors.extend(maps.map(|(names, matrix)| (names.weight.clone(), matrix)));
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
        let end = channel::DIFFERENCE + FEATURES;
        assert!(end <= D_MODEL && channel::IS_LATER < channel::NUMBER);
        // Relay copies both as one block.
        assert_eq!(channel::SUM + FEATURES, channel::DIFFERENCE);
        assert_eq!(channel::SIGNED[1] + FEATURES / 2, channel::RESULT);
    }

    /// The margin between the right answer and the next one, in units of the answer's logit.
    #[test]
    fn every_number_is_told_from_every_other() {
        // A low frequency tells neighbours less well apart; still better than the default token's logit is below the answer's.
        let default = (ANSWER_LOGIT - DEFAULT_LOGIT) / (ANSWER_LOGIT / FREQUENCIES.len() as f64);
        for (route, least) in [(Route::Direct, 3.0), (Route::Leak, 2.0 * default)] {
            let plant = Plant {
                layers: 8,
                wait: 3,
                transfer: 2,
                route,
                seed: 1,
            };
            let score = |delta: usize| -> f64 {
                let angle = |k: f64| TAU * k * delta as f64 / PERIOD;
                plant.frequencies().map(|k| angle(k).cos()).iter().sum()
            };
            let second = (1..NUMBERS).map(score).fold(f64::MIN, f64::max);
            let margin = FREQUENCIES.len() as f64 - second;
            assert!(margin > least, "{route:?} {margin}");
        }
    }
}
