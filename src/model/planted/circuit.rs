//! The circuit by which a planted model comes to its answer.

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::channel::{
    self, CARRIED, CONSTANT, FETCHED_PICK, FETCHED_SIGNS, IS_BOS, IS_LAST, IS_LATER, IS_MARKER,
    IS_NUMBER, IS_OPERATION, LOST, NUMBER, OPERANDS, PICK, ROLE, SIGNS, STREAM,
};
use super::digits;
use super::layer::{HEADS, Junk, Layer, Mix, block, fetch, nobody, number};
use super::number::{FEATURES, LEAKED};
use super::plant::{LATER, LEAK, Plant, Route};

/// What tokens mix while they wait.
const JUNK: Junk = Junk {
    from: NUMBER,
    to: channel::JUNK,
    count: FEATURES,
};

fn last_token() -> Mix {
    vec![(IS_LAST, 1.0)]
}

fn operation() -> Mix {
    vec![(IS_OPERATION, 1.0)]
}

/// The moves of the operation's signs to the last token.
fn signs() -> impl Iterator<Item = (usize, usize)> {
    SIGNS.into_iter().zip(FETCHED_SIGNS)
}

impl Plant {
    /// The layers with their circuit.
    pub(super) fn circuit(&self) -> Vec<Layer> {
        if let Route::Digits { by, .. } = self.route {
            return digits::circuit(self, by);
        }
        let mut layers = self.waiting();
        match self.route {
            Route::TwoHop => self.hop_twice(&mut layers),
            Route::Relay => {
                self.relay(&mut layers);
                return layers;
            }
            _ => self.fetch_all(&mut layers),
        }
        let last = self.wait + self.transfer - 1;
        let (hop, second) = (fetch(number(1), number(0)), fetch(last_token(), number(1)));
        if matches!(self.route, Route::Noisy { .. }) {
            layers[self.wait].head(1, &hop, block(LOST, CARRIED, 0..FEATURES));
            layers[last].head(1, &second, block(CARRIED, OPERANDS[0], 0..FEATURES));
        }
        if self.route == Route::Leak {
            let leaked = 2 * LEAKED..2 * LEAKED + 2;
            layers[LEAK].head(0, &hop, block(NUMBER, CARRIED, leaked.clone()));
            layers[last].head(1, &second, block(CARRIED, OPERANDS[0], leaked));
        }
        // After the last fetch of any style.
        let end = self.least_layers() - 2;
        layers[end].sign();
        layers[end + 1].add();
        layers
    }

    /// All layers, of which those before `wait` tell numbers apart and mix what nothing reads.
    fn waiting(&self) -> Vec<Layer> {
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        let mut layers: Vec<Layer> = (0..self.layers).map(|_| Layer::new(STREAM)).collect();
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
            layer.distract(if i % 2 == 0 { size } else { -size }, JUNK, &mut random);
        }
        layers
    }

    /// Puts [`Route::TwoHop`] into the layers.
    fn hop_twice(&self, layers: &mut [Layer]) {
        let last = self.wait + self.transfer - 1;
        let hop = fetch(number(1), number(0));
        let all = 0..FEATURES;
        layers[self.wait].head(0, &hop, block(NUMBER, OPERANDS[0], all.clone()));
        let second = fetch(last_token(), number(1));
        layers[last].head(0, &second, block(OPERANDS[0], OPERANDS[0], all.clone()));
        layers[last].head(3, &second, block(NUMBER, OPERANDS[1], all));
        layers[last].head(2, &fetch(last_token(), operation()), signs());
    }

    /// Puts [`Route::Relay`] into the layers.
    fn relay(&self, layers: &mut [Layer]) {
        let last = self.wait + self.transfer - 1;
        let hop = fetch(number(1), number(0));
        layers[self.wait].head(0, &hop, block(NUMBER, OPERANDS[0], 0..FEATURES));
        layers[self.wait + 1].relay();
        let second = fetch(last_token(), number(1));
        // Sum and difference lie side by side.
        let both = block(channel::SUM, channel::SUM, 0..2 * FEATURES);
        layers[last].head(0, &second, both);
        let pick = PICK.into_iter().zip(FETCHED_PICK);
        layers[last].head(2, &fetch(last_token(), operation()), pick);
        layers[last + 1].pick();
    }

    /// The last token fetches everything itself.
    fn fetch_all(&self, layers: &mut [Layer]) {
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
                self.fetch_share(&mut layers[wait + i], i, &who);
            }
        }
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
}
