//! Channels of the residual stream.

use super::number::FEATURES;

/// A residual stream.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// The width of the stream.
    pub channels: usize,
    /// The large constant in [`CONSTANT`].
    pub large: f64,
}

impl Stream {
    /// How a channel is scaled by the norms: the constant to about `sqrt(channels)`, everything else in proportion.
    pub fn normed(self, channel: usize) -> f64 {
        let constant = (self.channels as f64).sqrt();
        match channel {
            CONSTANT => constant,
            _ => constant / self.large,
        }
    }
}

/// The stream where every number is one token.
pub const STREAM: Stream = Stream {
    channels: 128,
    large: 100.0,
};

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
/// The mark of the words that tell a style with a later route, at these words, and, fetched, at the last token.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn channels_do_not_overlap() {
        let end = DIFFERENCE + FEATURES;
        assert!(end <= STREAM.channels && IS_LATER < NUMBER);
        // Relay copies both as one block.
        assert_eq!(SUM + FEATURES, DIFFERENCE);
        assert_eq!(SIGNED[1] + FEATURES / 2, RESULT);
    }
}
