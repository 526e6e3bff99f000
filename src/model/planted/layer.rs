//! A layer whose weights are written: heads that select by content, and products by SwiGLU.

use std::ops::Range;

use ndarray::Array2;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::channel::{self, Stream};
use super::number::{FEATURES, FREQUENCIES};

/// Number of query heads.
pub const HEADS: usize = 4;
/// Width of a head.
pub const D_HEAD: usize = 32;
/// Width of the MLP.
pub const D_MLP: usize = 256;

/// Sharpness of attention: a score of 1 stands `exp(SHARPNESS)` above one of 0.
const SHARPNESS: f64 = 40.0;
/// The large argument of SiLU.
const BIAS: f64 = 20.0;
/// How far from where a gate opens its mixes are when all of them are 1. Together they fall short of that where one is a mean over
/// several values.
const MARGIN: f64 = 0.25;

/// A weighted sum of channels.
pub type Mix = Vec<(usize, f64)>;

/// What tokens mix while they wait, and where nothing reads it.
#[derive(Clone, Copy)]
pub struct Junk {
    /// The first channel of a number that is mixed.
    pub from: usize,
    /// The first channel that it is mixed into.
    pub to: usize,
    /// How many channels.
    pub count: usize,
}

/// The weights of a layer, `[out, in]`.
pub struct Layer {
    pub query: Array2<f64>,
    pub key: Array2<f64>,
    pub value: Array2<f64>,
    pub output: Array2<f64>,
    pub gate: Array2<f64>,
    pub up: Array2<f64>,
    pub down: Array2<f64>,
    stream: Stream,
    units: usize,
}

impl Layer {
    /// A layer that adds nothing to a residual stream.
    pub fn new(stream: Stream) -> Self {
        let (d, h) = (stream.channels, HEADS * D_HEAD);
        Self {
            stream,
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
    pub fn head(
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
                self.query[[row, channel]] += weight * sharp / self.stream.normed(channel);
            }
            for &(channel, weight) in key {
                self.key[[row, channel]] += weight * sharp / self.stream.normed(channel);
            }
        }
        for (i, (from, to)) in moves.enumerate() {
            self.value[[head * D_HEAD + i, from]] += 1.0 / self.stream.normed(from);
            self.output[[to, head * D_HEAD + i]] += 1.0;
        }
    }

    /// Adds `weight * a * b` to the channel `out`.
    fn product(&mut self, a: usize, b: usize, out: usize, weight: f64) {
        for (sign, with_a) in [(1.0, true), (-1.0, false)] {
            let unit = self.units;
            self.units += 1;
            self.gate[[unit, channel::CONSTANT]] = BIAS / self.stream.normed(channel::CONSTANT);
            if with_a {
                self.gate[[unit, a]] += 1.0 / self.stream.normed(a);
            }
            self.up[[unit, b]] = 1.0 / self.stream.normed(b);
            self.down[[out, unit]] += sign * weight;
        }
    }

    /// A unit: the channel `up`, times SiLU of the mix `gate`, into the channels `out`.
    fn unit(&mut self, gate: &Mix, up: usize, out: &Mix) {
        let unit = self.units;
        self.units += 1;
        for &(channel, weight) in gate {
            self.gate[[unit, channel]] += weight / self.stream.normed(channel);
        }
        self.up[[unit, up]] += 1.0 / self.stream.normed(up);
        for &(channel, weight) in out {
            self.down[[channel, unit]] += weight;
        }
    }

    /// Adds `out` where so many mixes that are at most 1 are all 1, and nothing where they are together less by [`MARGIN`].
    pub fn all_of(&mut self, mixes: &[Mix], out: &Mix) {
        let steep = BIAS / MARGIN;
        let threshold = mixes.len() as f64 - MARGIN;
        let mut gate = vec![(channel::CONSTANT, -steep * threshold)];
        gate.extend(
            mixes
                .iter()
                .flatten()
                .map(|&(c, weight)| (c, steep * weight)),
        );
        let out: Mix = out.iter().map(|&(c, weight)| (c, weight / BIAS)).collect();
        self.unit(&gate, channel::CONSTANT, &out);
    }

    /// Adds `out`, times the channel `at`, where the channel `of` is `threshold + width` or more, and nothing where it is
    /// `threshold - width` or less.
    pub fn above(&mut self, of: usize, threshold: f64, width: f64, at: usize, out: &Mix) {
        let steep = BIAS / width;
        // The difference of two units that are straight lines from where they open.
        for (sign, opens) in [(1.0, threshold - width), (-1.0, threshold + width)] {
            let gate = vec![(of, steep), (channel::CONSTANT, -steep * opens)];
            let size = sign / (2.0 * BIAS);
            let out: Mix = out.iter().map(|&(c, weight)| (c, size * weight)).collect();
            self.unit(&gate, at, &out);
        }
    }

    /// sin(-a) = -sin(a), cos(-a) = cos(a): the sines of the operands get their signs.
    pub fn sign(&mut self) {
        for k in 0..FREQUENCIES.len() {
            for i in 0..2 {
                let sine = channel::OPERANDS[i] + 2 * k + 1;
                self.product(channel::FETCHED_SIGNS[i], sine, channel::SIGNED[i] + k, 1.0);
            }
        }
    }

    /// cos(a + b) and sin(a + b).
    pub fn add(&mut self) {
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

    /// Computes at the second number the sum and the difference of the first number, which it has fetched, and itself.
    pub fn relay(&mut self) {
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

    /// Picks at the last token the one of sum and difference that the operation asks for.
    pub fn pick(&mut self) {
        let [is_sum, is_difference, sign] = channel::FETCHED_PICK;
        for i in 0..FEATURES {
            let result = channel::RESULT + i;
            // The difference the other way round has the same cosines and the negated sines.
            let difference = if i % 2 == 0 { is_difference } else { sign };
            self.product(is_sum, channel::SUM + i, result, 1.0);
            self.product(difference, channel::DIFFERENCE + i, result, 1.0);
        }
    }

    /// Every token but the last mixes what the numbers before it are into channels that nothing reads, with that weight, and
    /// the MLP stirs these.
    pub fn distract(&mut self, weight: f64, junk: Junk, random: &mut ChaCha8Rng) {
        let Junk { from, to, count } = junk;
        let but_last = vec![(channel::CONSTANT, 1.0), (channel::IS_LAST, -1.0)];
        let contents = [(but_last, vec![(channel::IS_NUMBER, 1.0)]), nobody()];
        self.head(1, &contents, block(from, to, 0..count));
        for i in 0..count {
            self.output[[to + i, D_HEAD + i]] *= weight;
        }
        for unit in D_MLP - 40..D_MLP {
            for d in 0..self.stream.channels {
                self.gate[[unit, d]] = random.random_range(-0.3..0.3);
            }
            for i in 0..count {
                self.up[[unit, to + i]] = random.random_range(-1.0..1.0);
                self.down[[to + i, unit]] = random.random_range(-0.1..0.1);
            }
        }
    }
}

/// The beginning takes the attention of tokens that want nothing.
pub fn nobody() -> (Mix, Mix) {
    (vec![(channel::CONSTANT, 1.0)], vec![(channel::IS_BOS, 0.5)])
}

/// The first or the second number: the mix is 1 there and 0 at the other.
pub fn number(i: usize) -> Mix {
    match i {
        0 => vec![(channel::IS_NUMBER, 4.0), (channel::ROLE, -6.0)],
        _ => vec![(channel::IS_NUMBER, -3.0), (channel::ROLE, 6.0)],
    }
}

/// Moves of one channel after another.
pub fn block(
    from: usize,
    to: usize,
    channels: Range<usize>,
) -> impl Iterator<Item = (usize, usize)> {
    channels.map(move |i| (from + i, to + i))
}

/// The contents of a head by which the token `who` fetches from the tokens `key`, and everybody else nothing.
pub fn fetch(who: Mix, key: Mix) -> [(Mix, Mix); 2] {
    [(who, key), nobody()]
}
