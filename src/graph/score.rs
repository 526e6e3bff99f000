//! A small graph that reads a prompt's measures off its logits where they are, so that only these leave a device.
//!
//! The measures are those of `crate::experiment`, which defines them and reads them off in the host's memory.

use super::{Attribute, Builder, Dim, Dtype, Graph, LOGITS};

/// Which row of the logits is each prompt's, `[batch]`.
pub const ROWS: &str = "rows";
/// The right answers, `[batch, answers]`, where a prompt with fewer has one of them again; or `[answers]`, those of every prompt.
pub const ANSWERS: &str = "answers";
/// The unmodified model's logits, `[batch, vocab]`.
pub const REFERENCE: &str = "reference";
/// The measures, `[batch, 5]`: the predicted token, the logit difference, the rank, the divergence, and 1 where every logit is
/// finite. Token ids and ranks are whole numbers below `2^24`, which f32 has exactly.
pub const MEASURES: &str = "measures";

/// Whose the right answers are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Right {
    /// Each prompt has its own, `[batch, answers]`.
    Own,
    /// All prompts have the same, `[answers]`: where an answer has ended nearly every token is right, and a list of them for each prompt
    /// would be as large as the logits.
    Shared,
}

/// Measures from logits, `[row, vocab]`.
pub fn score(vocab: usize, answers: Right) -> Graph {
    let mut b = Builder::new();
    let wide = |rows| vec![Dim::Symbol(rows), Dim::Fixed(vocab)];
    let logits = b.input(LOGITS, Dtype::F32, wide("row"));
    let rows = b.input(ROWS, Dtype::I64, vec![Dim::Symbol("batch")]);
    let of_answers = match answers {
        Right::Own => vec![Dim::Symbol("batch"), Dim::Symbol("answers")],
        Right::Shared => vec![Dim::Symbol("answers")],
    };
    let given = b.input(ANSWERS, Dtype::I64, of_answers);
    let base = b.input(REFERENCE, Dtype::F32, wide("batch"));
    let along = |axis| vec![("axis", Attribute::Int(axis))];
    let q = b.op_with("Gather", &[&logits, &rows], along(0)); // [batch, vocab]
    let wide = Reduction::new(&mut b, vocab);
    let last = b.ints(&[1]);
    let tokens: Vec<f32> = (0..vocab).map(|token| token as f32).collect();
    let tokens = b.floats("tokens", &tokens);
    let beyond = b.scalar(vocab as f32);

    // The right answer with the largest logit, of equal ones the first.
    let gather = match answers {
        Right::Own => "GatherElements",
        Right::Shared => "Gather",
    };
    let of_answers = b.op_with(gather, &[&q, &given], along(1)); // [batch, answers]
    let right = b.op("ReduceMax", &[&of_answers, &last]); // [batch, 1]
    let ids = b.cast(&given, Dtype::I64, Dtype::F32);
    let largest = b.op("Equal", &[&of_answers, &right]);
    let ids_of_largest = b.op("Where", &[&largest, &ids, &beyond]);
    let at = b.op("ReduceMin", &[&ids_of_largest, &last]); // [batch, 1]

    // The largest logit of another token.
    let others = others(&mut b, answers, &q, &given, &ids, &tokens);
    let other = wide.of(&mut b, "ReduceMax", &others);
    let difference = b.op("Sub", &[&right, &other]);

    // Those that stand before it: larger ones, and of equal ones the earlier.
    let (larger, equal, earlier) = (
        b.op("Greater", &[&q, &right]),
        b.op("Equal", &[&q, &right]),
        b.op("Less", &[&tokens, &at]),
    );
    let equal = b.op("And", &[&equal, &earlier]);
    let (equal, one) = (b.indicator(&equal), b.scalar(1.0));
    let before = b.op("Where", &[&larger, &one, &equal]);
    let before = wide.of(&mut b, "ReduceSum", &before);
    let rank = b.op("Add", &[&before, &one]);

    // Of all tokens the first with the largest logit.
    let most = wide.of(&mut b, "ReduceMax", &q);
    let is_most = b.op("Equal", &[&q, &most]);
    let ids_of_most = b.op("Where", &[&is_most, &tokens, &beyond]);
    let predicted = wide.of(&mut b, "ReduceMin", &ids_of_most);

    let most_of_base = wide.of(&mut b, "ReduceMax", &base);
    let base = b.op("Sub", &[&base, &most_of_base]);
    let less = b.op("Sub", &[&q, &most]);
    let divergence = divergence(&mut b, &wide, &base, &less);
    let finite = finite(&mut b, &wide, &q);
    let measures = [&predicted, &difference, &rank, &divergence, &finite];
    let measures: Vec<&str> = measures.into_iter().map(String::as_str).collect();
    let measures = b.op_with("Concat", &measures, along(1));
    let shape = vec![Dim::Symbol("batch"), Dim::Fixed(5)];
    b.output(&measures, MEASURES, Dtype::F32, shape);
    b.finish("measures")
}

/// The logits `q`, `[batch, vocab]`, with the least number there is in place of those of the right answers, which `given` and, as
/// floats, `ids` name; `tokens` are all tokens, `[vocab]`.
fn others(
    b: &mut Builder,
    answers: Right,
    q: &str,
    given: &str,
    ids: &str,
    tokens: &str,
) -> String {
    match answers {
        Right::Own => {
            let of_right = constant(b, ids, f32::MIN); // [batch, answers]
            scatter(b, q, given, &of_right, 1)
        }
        Right::Shared => {
            let none = constant(b, tokens, 0.0);
            let ones = constant(b, ids, 1.0);
            let is_right = scatter(b, &none, given, &ones, 0); // [vocab]
            let (half, least) = (b.scalar(0.5), b.scalar(f32::MIN));
            let is_right = b.op("Greater", &[&is_right, &half]);
            b.op("Where", &[&is_right, &least, q])
        }
    }
}

/// As many of a value as there are finite numbers in `x`.
fn constant(b: &mut Builder, x: &str, value: f32) -> String {
    let (none, value) = (b.scalar(0.0), b.scalar(value));
    let nothing = b.op("Mul", &[x, &none]);
    b.op("Add", &[&nothing, &value])
}

/// `into`, where at the indices along an axis stands what is put there.
fn scatter(b: &mut Builder, into: &str, indices: &str, put: &str, axis: i64) -> String {
    let along = vec![("axis", Attribute::Int(axis))];
    b.op_with("ScatterElements", &[into, indices, put], along)
}

/// What is made of the whole vocabulary, in two steps: of as many parts as each of them is long, more or less, then of what is made of
/// each. A provider that gives a row to one block of threads has work for all of them then.
struct Reduction {
    /// `[batch, part, token]`, `[batch, part]` and the last axes of both.
    parts: String,
    rows: String,
    of_parts: String,
    of_rows: String,
}

impl Reduction {
    fn new(b: &mut Builder, vocab: usize) -> Self {
        let part = (1..=vocab.isqrt())
            .rev()
            .find(|&part| vocab.is_multiple_of(part));
        let part = part.unwrap_or(1) as i64;
        Self {
            parts: b.ints(&[-1, vocab as i64 / part, part]),
            rows: b.ints(&[-1, vocab as i64 / part]),
            of_parts: b.ints(&[2]),
            of_rows: b.ints(&[1]),
        }
    }

    /// `[batch, 1]` of `x`, `[batch, vocab]`.
    fn of(&self, b: &mut Builder, op: &'static str, x: &str) -> String {
        let x = b.op("Reshape", &[x, &self.parts]);
        let x = b.op(op, &[&x, &self.of_parts]);
        let x = b.op("Reshape", &[&x, &self.rows]);
        b.op(op, &[&x, &self.of_rows])
    }
}

/// `sum p (ln p - ln q)` of the softmax `p` of `base` and `q` of `logits`, both less their largest value: with `a` and `b` for the two,
/// `sum e^a (a - b) / sum e^a - ln sum e^a + ln sum e^b`.
fn divergence(b: &mut Builder, wide: &Reduction, base: &str, logits: &str) -> String {
    let p = b.op("Exp", &[base]);
    let apart = b.op("Sub", &[base, logits]);
    let terms = b.op("Mul", &[&p, &apart]);
    let mean = wide.of(b, "ReduceSum", &terms);
    let of_base = wide.of(b, "ReduceSum", &p);
    let q = b.op("Exp", &[logits]);
    let of_logits = wide.of(b, "ReduceSum", &q);
    let mean = b.op("Div", &[&mean, &of_base]);
    let (of_base, of_logits) = (b.op("Log", &[&of_base]), b.op("Log", &[&of_logits]));
    let normalisers = b.op("Sub", &[&of_logits, &of_base]);
    b.op("Add", &[&mean, &normalisers])
}

/// 1 where every logit is finite, 0 otherwise.
fn finite(b: &mut Builder, wide: &Reduction, logits: &str) -> String {
    // Comparisons with NaN do not hold, and no float is larger than the largest but infinity.
    let size = b.op("Abs", &[logits]);
    let largest = b.scalar(f32::MAX);
    let finite = b.op("LessOrEqual", &[&size, &largest]);
    let finite = b.indicator(&finite);
    wide.of(b, "ReduceMin", &finite)
}
