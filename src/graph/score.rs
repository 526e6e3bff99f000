//! A small graph that reads a prompt's measures off its logits where they are, so that only these leave a device.
//!
//! The measures are those of `crate::experiment`, which defines them and reads them off in the host's memory.

use super::{Attribute, Builder, Dim, Dtype, Graph, LOGITS};

/// Which row of the logits is each prompt's, `[batch]`.
pub const ROWS: &str = "rows";
/// The right answers, `[batch, answers]`; a prompt with fewer has one of them again.
pub const ANSWERS: &str = "answers";
/// The unmodified model's logits, `[batch, vocab]`.
pub const REFERENCE: &str = "reference";
/// The measures, `[batch, 5]`: the predicted token, the logit difference, the rank, the divergence, and 1 where every logit is
/// finite. Token ids and ranks are whole numbers below `2^24`, which f32 has exactly.
pub const MEASURES: &str = "measures";

/// Measures from logits, `[row, vocab]`, of prompts with at most `answers` right answers.
pub fn score(vocab: usize, answers: usize) -> Graph {
    let mut b = Builder::new();
    let wide = |rows| vec![Dim::Symbol(rows), Dim::Fixed(vocab)];
    let logits = b.input(LOGITS, Dtype::F32, wide("row"));
    let rows = b.input(ROWS, Dtype::I64, vec![Dim::Symbol("batch")]);
    let columns = vec![Dim::Symbol("batch"), Dim::Fixed(answers)];
    let given = b.input(ANSWERS, Dtype::I64, columns);
    let base = b.input(REFERENCE, Dtype::F32, wide("batch"));
    let along = |axis| vec![("axis", Attribute::Int(axis))];
    let q = b.op_with("Gather", &[&logits, &rows], along(0)); // [batch, vocab]
    let last = b.ints(&[1]);
    let tokens: Vec<f32> = (0..vocab).map(|token| token as f32).collect();
    let tokens = b.floats("tokens", &tokens);
    let (beyond, least) = (b.scalar(vocab as f32), b.scalar(f32::MIN));

    // The right answer with the largest logit, of equal ones the first.
    let of_answers = b.op_with("GatherElements", &[&q, &given], along(1)); // [batch, answers]
    let right = b.op("ReduceMax", &[&of_answers, &last]); // [batch, 1]
    let ids = b.cast(&given, Dtype::I64, Dtype::F32);
    let largest = b.op("Equal", &[&of_answers, &right]);
    let ids_of_largest = b.op("Where", &[&largest, &ids, &beyond]);
    let at = b.op("ReduceMin", &[&ids_of_largest, &last]); // [batch, 1]

    // The largest logit of another token.
    let columns = match answers {
        1 => vec![ids],
        _ => b.op_many(
            "Split",
            &[&ids],
            vec![
                ("axis", Attribute::Int(1)),
                ("num_outputs", Attribute::Int(answers as i64)),
            ],
            answers,
        ),
    };
    let mut others = q.clone();
    for column in &columns {
        let is_answer = b.op("Equal", &[&tokens, column]); // [batch, vocab]
        others = b.op("Where", &[&is_answer, &least, &others]);
    }
    let other = b.op("ReduceMax", &[&others, &last]);
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
    let before = b.op("ReduceSum", &[&before, &last]);
    let rank = b.op("Add", &[&before, &one]);

    // Of all tokens the first with the largest logit.
    let most = b.op("ReduceMax", &[&q, &last]);
    let is_most = b.op("Equal", &[&q, &most]);
    let ids_of_most = b.op("Where", &[&is_most, &tokens, &beyond]);
    let predicted = b.op("ReduceMin", &[&ids_of_most, &last]);

    let divergence = divergence(&mut b, &base, &q, &last);
    let finite = finite(&mut b, &q, &last);
    let measures = [&predicted, &difference, &rank, &divergence, &finite];
    let measures: Vec<&str> = measures.into_iter().map(String::as_str).collect();
    let measures = b.op_with("Concat", &measures, along(1));
    let shape = vec![Dim::Symbol("batch"), Dim::Fixed(5)];
    b.output(&measures, MEASURES, Dtype::F32, shape);
    b.finish("measures")
}

/// `sum p (ln p - ln q)` over the axis `last`, of the softmax `p` of the logits `base` and `q` of the logits `logits`.
fn divergence(b: &mut Builder, base: &str, logits: &str, last: &str) -> String {
    let mut logs = |x: &str| {
        let most = b.op("ReduceMax", &[x, last]);
        let less = b.op("Sub", &[x, &most]);
        let exp = b.op("Exp", &[&less]);
        let sum = b.op("ReduceSum", &[&exp, last]);
        let log = b.op("Log", &[&sum]);
        b.op("Sub", &[&less, &log])
    };
    let (log_p, log_q) = (logs(base), logs(logits));
    let p = b.op("Exp", &[&log_p]);
    let apart = b.op("Sub", &[&log_p, &log_q]);
    let terms = b.op("Mul", &[&p, &apart]);
    b.op("ReduceSum", &[&terms, last])
}

/// 1 where every logit is finite along the axis `last`, 0 otherwise.
fn finite(b: &mut Builder, logits: &str, last: &str) -> String {
    // Comparisons with NaN do not hold, and no float is larger than the largest but infinity.
    let size = b.op("Abs", &[logits]);
    let largest = b.scalar(f32::MAX);
    let finite = b.op("LessOrEqual", &[&size, &largest]);
    let finite = b.indicator(&finite);
    b.op("ReduceMin", &[&finite, last])
}
