//! Numbers that follow from a seed.

/// A small generator (SplitMix64): libFuzzer asks for changes that follow from its seed.
pub struct Random(u64);

impl Random {
    /// The generator of a seed.
    pub fn new(seed: u32) -> Self {
        Self(u64::from(seed).wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    /// Any number.
    pub fn any(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut x = self.0;
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    }

    /// A number below `end`, and 0 where that is 0.
    pub fn below(&mut self, end: usize) -> usize {
        (self.any() % end.max(1) as u64) as usize
    }

    /// Whether something happens that happens once in so many times.
    pub fn once_in(&mut self, times: usize) -> bool {
        self.below(times) == 0
    }

    /// One of several.
    pub fn one_of<'a, T>(&mut self, all: &'a [T]) -> &'a T {
        &all[self.below(all.len())]
    }

    /// An integer at which readers err.
    pub fn integer(&mut self) -> u64 {
        let shift = self.below(64) as u32;
        *self.one_of(&[
            0,
            1,
            2,
            3,
            7,
            u64::MAX,
            1 << shift,
            (1u64 << shift).wrapping_sub(1),
            (1u64 << shift).wrapping_neg(),
            i64::MAX as u64,
            u64::from(u32::MAX),
        ])
    }
}
