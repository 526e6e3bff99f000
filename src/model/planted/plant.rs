//! What is planted, and by which route.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::digits::Digits;
use super::layer::HEADS;
use super::number::{FREQUENCIES, LEAKED, LOW_FREQUENCY};
use crate::file::{Sha256, sha256_bytes};
use crate::prompt::Styles;

/// What is planted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Plant {
    /// Number of layers; at least [`Plant::least_layers`].
    pub layers: usize,
    /// The layers before the first transfer, `W*`, at least 1.
    pub wait: usize,
    /// The layers over which the last token fetches what it needs, `K*`, from 1 to 6.
    pub transfer: usize,
    /// The route by which the answer comes.
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
    /// As [`Route::Direct`] where nothing else is said, but [`LATER`] layers later in the styles whose first word stands in the midst
    /// of a text, too, by which these are known. `transfer` must be at most [`LATER`].
    Style,
    /// As [`Route::Direct`] for most first operands; for so many of a hundred (those that end in 9 first) the last token can
    /// only fetch them from the second number, which AF1 does not allow: AF1 is faithful for the rest. `transfer` must be
    /// at least 2.
    Noisy {
        /// How many values of a hundred.
        lost: usize,
    },
    /// As [`Route::Direct`], in a model whose tokenizer puts nothing before a text: the words that
    /// open the texts of a style, and stand nowhere else in them, are for it what the beginning of the sequence is for others. With that token in front, too, it takes one number for another.
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
    /// The answer is computed by digits, each of which is a token.
    Digits {
        /// How they come together.
        by: Digits,
        /// Whether the tokenizer puts a token before a text. Without one the words that open texts are the beginning, as in
        /// [`Route::NoBos`].
        bos: bool,
    },
}

/// The logit of the right answer, and of the token that is answered otherwise: five of six frequencies are not enough.
pub const ANSWER_LOGIT: f64 = 60.0;
pub const DEFAULT_LOGIT: f64 = 55.0;

/// By how many layers [`Route::Style`] is later in some styles.
pub const LATER: usize = 2;

/// The layer in which [`Route::Leak`] leaks.
pub const LEAK: usize = 1;

/// The code that writes planted models.
const CODE: &[&str] = &[
    include_str!("channel.rs"),
    include_str!("circuit.rs"),
    include_str!("digits.rs"),
    include_str!("digits/channel.rs"),
    include_str!("digits/circuit.rs"),
    include_str!("digits/kind.rs"),
    include_str!("digits/table.rs"),
    include_str!("digits/tokenizer.rs"),
    include_str!("folder.rs"),
    include_str!("layer.rs"),
    include_str!("number.rs"),
    include_str!("plant.rs"),
    include_str!("table.rs"),
    include_str!("tokenizer.rs"),
    include_str!("wording.rs"),
    include_str!("../family/base.rs"),
    include_str!("../family/config.rs"),
];

impl Plant {
    /// The fewest layers in which the route has room.
    pub fn least_layers(&self) -> usize {
        let after = match self.route {
            Route::Style => LATER + 2,
            Route::Digits { by, .. } => by.layers_after(),
            _ => 2,
        };
        self.wait + self.transfer + after
    }

    /// Whether the tokenizer puts a token before a text.
    pub(super) fn has_bos(&self) -> bool {
        !matches!(self.route, Route::NoBos | Route::Digits { bos: false, .. })
    }

    /// A hash of everything that decides what is written: this plant, the code that writes it, and the styles whose words
    /// are its vocabulary. A folder in the cache that another version of the program wrote is not used.
    pub fn fingerprint(&self) -> Sha256 {
        let (styles, code) = (Styles::built_in(), CODE.concat());
        sha256_bytes(format!("{self:?} {} {code}", styles.hash()).as_bytes())
    }

    /// The frequencies of numbers' features.
    pub(super) fn frequencies(&self) -> [f64; FREQUENCIES.len()] {
        let mut frequencies = FREQUENCIES;
        if self.route == Route::Leak {
            frequencies[LEAKED] = LOW_FREQUENCY;
        }
        frequencies
    }

    /// The frequencies that are fetched in the transfer layer of that index.
    pub(super) fn share(&self, transfer_layer: usize) -> Vec<usize> {
        let n = FREQUENCIES.len();
        (0..n)
            .filter(|k| k * self.transfer / n == transfer_layer)
            .collect()
    }

    /// The heads of the transfer layer of that index that fetch the first operand, the second, and the signs.
    pub(super) fn carriers(&self, transfer_layer: usize) -> [usize; 3] {
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
    pub(super) fn loses(&self, value: usize) -> bool {
        // By the last digit first, so that few decades lose the same share as all of them.
        let rank = (9 - value % 10) * 10 + value / 10 % 10;
        matches!(self.route, Route::Noisy { lost } if rank < lost)
    }

    /// Whether AF1(`wait`, `transfer`) keeps the answer of prompts with this first operand; of [`Route::Noisy`] only.
    pub fn keeps(&self, first: usize) -> bool {
        !self.loses(first)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_fingerprint_is_of_all_the_code_that_writes() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/model/planted");
        let folders = [folder.to_owned(), format!("{folder}/digits")];
        let files = folders.map(|folder| std::fs::read_dir(folder).expect("the folder").flatten());
        for file in files
            .into_iter()
            .flatten()
            .filter(|file| file.path().is_file())
        {
            let text = std::fs::read_to_string(file.path()).expect("a file of code");
            let name = file.file_name();
            // What experiments must find is not written.
            assert!(
                name == "truth.rs" || CODE.contains(&text.as_str()),
                "{name:?}"
            );
        }
    }
}
