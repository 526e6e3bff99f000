//! The block formats of GGML, widened to f32.
//!
//! Each format is a sequence of blocks of 32 or 256 weights that share scales; the layouts are those of
//! `ggml-common.h` in llama.cpp. Values are computed in f32 in the order of llama.cpp's reference routines, so results
//! are equal to theirs to the last bit (checked against the Python package `gguf`).

use half::{bf16, f16};

/// An element or block type of GGML.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GgmlType {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// 16-bit brain floats.
    Bf16,
    /// 4 bits, one scale.
    Q4_0,
    /// 4 bits, scale and minimum.
    Q4_1,
    /// 5 bits, one scale.
    Q5_0,
    /// 5 bits, scale and minimum.
    Q5_1,
    /// 8 bits, one scale.
    Q8_0,
    /// 2 bits in super-blocks of 256.
    Q2K,
    /// 3 bits in super-blocks of 256.
    Q3K,
    /// 4 bits in super-blocks of 256.
    Q4K,
    /// 5 bits in super-blocks of 256.
    Q5K,
    /// 6 bits in super-blocks of 256.
    Q6K,
    /// 4 bits that stand for 16 uneven levels, one scale.
    Iq4Nl,
    /// The same levels in super-blocks of 256.
    Iq4Xs,
}

use GgmlType::{
    Bf16, F16, F32, Iq4Nl, Iq4Xs, Q2K, Q3K, Q4_0, Q4_1, Q4K, Q5_0, Q5_1, Q5K, Q6K, Q8_0,
};

impl GgmlType {
    /// All types that can be widened: number in a file, name, weights in a block, bytes of a block.
    const ALL: [(Self, u32, &'static str, usize, usize); 15] = [
        (F32, 0, "F32", 1, 4),
        (F16, 1, "F16", 1, 2),
        (Q4_0, 2, "Q4_0", 32, 18),
        (Q4_1, 3, "Q4_1", 32, 20),
        (Q5_0, 6, "Q5_0", 32, 22),
        (Q5_1, 7, "Q5_1", 32, 24),
        (Q8_0, 8, "Q8_0", 32, 34),
        (Q2K, 10, "Q2_K", 256, 84),
        (Q3K, 11, "Q3_K", 256, 110),
        (Q4K, 12, "Q4_K", 256, 144),
        (Q5K, 13, "Q5_K", 256, 176),
        (Q6K, 14, "Q6_K", 256, 210),
        (Iq4Nl, 20, "IQ4_NL", 32, 18),
        (Iq4Xs, 23, "IQ4_XS", 256, 136),
        (Bf16, 30, "BF16", 1, 2),
    ];

    fn row(self) -> &'static (Self, u32, &'static str, usize, usize) {
        Self::ALL
            .iter()
            .find(|row| row.0 == self)
            .expect("every type is in the table")
    }

    /// The type of that number in a GGUF file, if it can be widened.
    pub fn from_number(number: u32) -> Option<Self> {
        Self::ALL
            .iter()
            .find(|row| row.1 == number)
            .map(|row| row.0)
    }

    /// The type of that name, if it can be widened.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.iter().find(|row| row.2 == name).map(|row| row.0)
    }

    /// The name, as llama.cpp writes it.
    pub fn name(self) -> &'static str {
        self.row().2
    }

    /// Weights in a block.
    pub fn block_len(self) -> usize {
        self.row().3
    }

    /// Bytes of a block.
    pub fn block_bytes(self) -> usize {
        self.row().4
    }

    /// The names of all types that can be widened.
    pub fn supported() -> String {
        let names: Vec<&str> = Self::ALL.iter().map(|row| row.2).collect();
        names.join(", ")
    }

    /// Widens whole blocks: `bytes` holds `n` blocks, the result `n * block_len` weights.
    ///
    /// # Panics
    /// If `bytes` is not a whole number of blocks; callers check sizes when they read a file's header.
    pub fn widen(self, bytes: &[u8]) -> Vec<f32> {
        let mut out = Vec::with_capacity(bytes.len() / self.block_bytes() * self.block_len());
        self.widen_onto(bytes, &mut out);
        out
    }

    /// As [`Self::widen`], behind what `out` holds. Scales are read once a block: that takes longer than a weight does.
    ///
    /// # Panics
    /// As [`Self::widen`].
    pub fn widen_onto(self, bytes: &[u8], out: &mut Vec<f32>) {
        let (blocks, rest) = (
            bytes.chunks_exact(self.block_bytes()),
            bytes.len() % self.block_bytes(),
        );
        assert_eq!(rest, 0, "a whole number of {} blocks", self.name());
        for block in blocks {
            match self {
                F32 => out.push(f32::from_le_bytes([block[0], block[1], block[2], block[3]])),
                F16 => out.push(half_at(block, 0)),
                Bf16 => out.push(bf16::from_le_bytes([block[0], block[1]]).to_f32()),
                Q4_0 => {
                    let d = half_at(block, 0);
                    nibbles(out, &block[2..18], |q| d * (f32::from(q) - 8.0));
                }
                Q4_1 => {
                    let (d, m) = (half_at(block, 0), half_at(block, 2));
                    nibbles(out, &block[4..20], |q| d * f32::from(q) + m);
                }
                Q5_0 => {
                    let d = half_at(block, 0);
                    let value = |q: u8| d * (f32::from(q) - 16.0);
                    fifth_bits(out, &block[2..6], &block[6..22], value);
                }
                Q5_1 => {
                    let (d, m) = (half_at(block, 0), half_at(block, 2));
                    fifth_bits(out, &block[4..8], &block[8..24], |q| d * f32::from(q) + m);
                }
                Q8_0 => {
                    let d = half_at(block, 0);
                    out.extend(block[2..].iter().map(|&q| f32::from(q as i8) * d));
                }
                Q2K => q2_k(out, block),
                Q3K => q3_k(out, block),
                Q4K => q4_k(out, block),
                Q5K => q5_k(out, block),
                Q6K => q6_k(out, block),
                Iq4Nl => {
                    let d = half_at(block, 0);
                    nibbles(out, &block[2..18], |q| d * LEVELS[usize::from(q)]);
                }
                Iq4Xs => iq4_xs(out, block),
            }
        }
    }
}

fn half_at(block: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([block[at], block[at + 1]]).to_f32()
}

/// Sixteen bytes hold 32 weights: the low nibbles first, then the high ones.
fn nibbles(out: &mut Vec<f32>, quants: &[u8], value: impl Fn(u8) -> f32) {
    out.extend(quants.iter().map(|&q| value(q & 15)));
    out.extend(quants.iter().map(|&q| value(q >> 4)));
}

/// As [`nibbles`], with the fifth bit of weight `i` in bit `i` of `high`.
fn fifth_bits(out: &mut Vec<f32>, high: &[u8], quants: &[u8], value: impl Fn(u8) -> f32) {
    let fifth = |i: usize| (high[i / 8] >> (i % 8) & 1) << 4;
    out.extend(
        quants
            .iter()
            .enumerate()
            .map(|(i, &q)| value(q & 15 | fifth(i))),
    );
    out.extend(
        quants
            .iter()
            .enumerate()
            .map(|(i, &q)| value(q >> 4 | fifth(i + 16))),
    );
}

/// What the 4 bits of IQ4_NL and IQ4_XS stand for: `kvalues_iq4nl` of llama.cpp.
const LEVELS: [f32; 16] = [
    -127.0, -104.0, -83.0, -65.0, -49.0, -35.0, -22.0, -10.0, 1.0, 13.0, 25.0, 38.0, 53.0, 69.0,
    89.0, 113.0,
];

/// `scales and minimums [16], quants [64], d f16, dmin f16`.
fn q2_k(out: &mut Vec<f32>, block: &[u8]) {
    let (d, dmin) = (half_at(block, 80), half_at(block, 82));
    for (run, two_bits) in pairs_of_bits(&block[16..80]).enumerate() {
        let (scale, min) = (
            d * f32::from(block[run] & 15),
            dmin * f32::from(block[run] >> 4),
        );
        out.extend(two_bits.map(|q| scale * f32::from(q) - min));
    }
}

/// `third bits [32], quants [64], scales [12], d f16`.
fn q3_k(out: &mut Vec<f32>, block: &[u8]) {
    let (d, scales) = (half_at(block, 108), &block[96..108]);
    for (run, two_bits) in pairs_of_bits(&block[32..96]).enumerate() {
        let low = scales[run % 8] >> (4 * (run / 8)) & 15;
        let scale = low | (scales[8 + run % 4] >> (2 * (run / 4)) & 3) << 4;
        let scale = d * (f32::from(scale) - 32.0);
        let third = &block[16 * (run % 2)..][..16];
        for (q, high) in two_bits.into_iter().zip(third) {
            let below = if high >> (run / 2) & 1 == 1 { 0.0 } else { 4.0 };
            out.push(scale * (f32::from(q) - below));
        }
    }
}

/// The 16 runs of 16 weights whose two bits are packed in 64 bytes: 128 weights in 32 bytes, 32 of them at each place of a byte.
fn pairs_of_bits(quants: &[u8]) -> impl Iterator<Item = [u8; 16]> {
    (0..16).map(|run| {
        let bytes = &quants[32 * (run / 8) + 16 * (run % 2)..][..16];
        std::array::from_fn(|l| bytes[l] >> (2 * (run / 2 % 4)) & 3)
    })
}

/// The 6-bit scale and minimum of sub-block `j` of 8, packed in 12 bytes.
fn scale_min(j: usize, scales: &[u8]) -> (f32, f32) {
    let (scale, min) = if j < 4 {
        (scales[j] & 63, scales[j + 4] & 63)
    } else {
        (
            scales[j + 4] & 15 | (scales[j - 4] >> 6) << 4,
            scales[j + 4] >> 4 | (scales[j] >> 6) << 4,
        )
    };
    (f32::from(scale), f32::from(min))
}

/// `d f16, dmin f16, scales [12], quants [128]`.
fn q4_k(out: &mut Vec<f32>, block: &[u8]) {
    sub_blocks(out, block, &block[16..], |_, _| 0);
}

/// `d f16, dmin f16, scales [12], high bits [32], quants [128]`.
fn q5_k(out: &mut Vec<f32>, block: &[u8]) {
    sub_blocks(out, block, &block[48..], |i, j| {
        (block[16 + i] >> j & 1) << 4
    });
}

/// Eight sub-blocks of 32 weights, two in each 32 bytes of `quants`; `fifth(i, j)` is the fifth bit of weight `i` of
/// sub-block `j`, in its place.
fn sub_blocks(out: &mut Vec<f32>, block: &[u8], quants: &[u8], fifth: impl Fn(usize, usize) -> u8) {
    let (d, dmin, scales) = (half_at(block, 0), half_at(block, 2), &block[4..16]);
    for (pair, quants) in quants.chunks_exact(32).enumerate() {
        for (j, shift) in [(2 * pair, 0), (2 * pair + 1, 4)] {
            let (scale, min) = scale_min(j, scales);
            let (scale, min) = (d * scale, dmin * min);
            let quants = quants.iter().enumerate();
            out.extend(
                quants.map(|(i, &q)| scale * f32::from(q >> shift & 15 | fifth(i, j)) - min),
            );
        }
    }
}

/// `low bits [128], high bits [64], scales [16] i8, d f16`.
fn q6_k(out: &mut Vec<f32>, block: &[u8]) {
    let d = half_at(block, 208);
    for part in 0..2 {
        let low = &block[part * 64..][..64];
        let high = &block[128 + part * 32..][..32];
        let scales = &block[192 + part * 8..][..8];
        for quarter in 0..4 {
            for l in 0..32 {
                let nibble = low[l + 32 * (quarter % 2)] >> (4 * (quarter / 2)) & 15;
                let q = nibble | (high[l] >> (2 * quarter) & 3) << 4;
                let scale = d * f32::from(scales[l / 16 + 2 * quarter] as i8);
                out.push(scale * (f32::from(q) - 32.0));
            }
        }
    }
}

/// `d f16, high bits of scales u16, their low bits [4], quants [128]`.
fn iq4_xs(out: &mut Vec<f32>, block: &[u8]) {
    let (d, high) = (half_at(block, 0), u16::from_le_bytes([block[2], block[3]]));
    for (j, quants) in block[8..].chunks_exact(16).enumerate() {
        let low = block[4 + j / 2] >> (4 * (j % 2)) & 15;
        let scale = low | ((high >> (2 * j) & 3) as u8) << 4;
        let scale = d * (f32::from(scale) - 32.0);
        nibbles(out, quants, |q| scale * LEVELS[usize::from(q)]);
    }
}
