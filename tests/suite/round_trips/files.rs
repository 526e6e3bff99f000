//! Values of GGUF files, and graphs.

use af1::graph::{
    Attribute, Builder, Dim, Dtype, Graph, INPUT_IDS, LOGITS, POSITION_IDS, attn_bias, resid,
};
use af1::model::gguf::Value;

use super::dice::Dice;

impl Dice {
    /// A value of metadata, and its bytes; lists have values of one type.
    pub fn value(&mut self, kind: u32, depth: usize) -> (Value, Vec<u8>) {
        let whole = self.integer();
        let float = self.float() as f32;
        match kind {
            0 => (Value::Int(i128::from(whole as u8)), vec![whole as u8]),
            1 => (Value::Int(i128::from(whole as i8)), vec![whole as u8]),
            2 => (
                Value::Int(i128::from(whole as u16)),
                (whole as u16).to_le_bytes().to_vec(),
            ),
            3 => (
                Value::Int(i128::from(whole as i16)),
                (whole as i16).to_le_bytes().to_vec(),
            ),
            4 => (
                Value::Int(i128::from(whole as u32)),
                (whole as u32).to_le_bytes().to_vec(),
            ),
            5 => (
                Value::Int(i128::from(whole as i32)),
                (whole as i32).to_le_bytes().to_vec(),
            ),
            6 => (Value::Float(f64::from(float)), float.to_le_bytes().to_vec()),
            7 => (Value::Bool(whole % 2 == 0), vec![u8::from(whole % 2 == 0)]),
            8 => {
                let text = self.text();
                (Value::String(text.clone()), sized(&text))
            }
            9 => {
                let kinds = if depth < 3 { 13 } else { 9 };
                let inner = self.below(kinds) as u32;
                let (values, bytes): (Vec<Value>, Vec<Vec<u8>>) = self
                    .several(|dice| dice.value(inner, depth + 1))
                    .into_iter()
                    .unzip();
                let head = [
                    &inner.to_le_bytes()[..],
                    &(values.len() as u64).to_le_bytes(),
                ]
                .concat();
                (Value::Array(values), [head, bytes.concat()].concat())
            }
            10 => (
                Value::Int(i128::from(whole as u64)),
                whole.to_le_bytes().to_vec(),
            ),
            11 => (Value::Int(i128::from(whole)), whole.to_le_bytes().to_vec()),
            _ => (
                Value::Float(f64::from(float)),
                f64::from(float).to_le_bytes().to_vec(),
            ),
        }
    }

    /// The smallest graph that keeps the contract, with so many layers and with nodes that it need not have.
    pub fn graph(&mut self) -> Graph {
        let (layers, d, vocab) = (1 + self.below(3), 1 + self.below(4), 2 + self.below(4));
        let tokens = || vec![Dim::Symbol("batch"), Dim::Symbol("pos")];
        let stream = || vec![Dim::Symbol("batch"), Dim::Symbol("pos"), Dim::Fixed(d)];
        let mut b = Builder::new();
        let ids = b.input(INPUT_IDS, Dtype::I64, tokens());
        let positions = b.input(POSITION_IDS, Dtype::I64, tokens());
        let embed: Vec<f32> = (0..vocab * d).map(|_| self.float() as f32).collect();
        let embed = b.floats("embed", &embed);
        let rows = b.ints(&[vocab as i64, d as i64]);
        let embed = b.op("Reshape", &[&embed, &rows]);
        let gathered = b.op("Gather", &[&embed, &ids]);
        let mut x = b.boundary(&gathered, &resid(0), Dtype::F32, stream());
        let positions = b.cast(&positions, Dtype::I64, Dtype::F32);
        let axis = b.ints(&[2]);
        let positions = b.op("Unsqueeze", &[&positions, &axis]);
        for layer in 0..layers {
            b.scope(format!("layer.{layer}"));
            let axes = ["mask_batch", "mask_head", "q_pos", "k_pos"].map(Dim::Symbol);
            let bias = b.input(&attn_bias(layer), Dtype::F32, axes.to_vec());
            let mut q = b.op("Add", &[&x, &positions]);
            for _ in 0..self.below(3) {
                let perm = Attribute::Ints(vec![0, 1, 2]);
                q = b.op_with("Transpose", &[&q], vec![("perm", perm)]);
            }
            let scored = b.op("Add", &[&q, &bias]);
            let left = b.op_with(
                "ReduceSum",
                &[&scored],
                vec![("keepdims", Attribute::Int(1))],
            );
            let sum = b.op("Add", &[&x, &left]);
            x = b.boundary(&sum, &resid(layer + 1), Dtype::F32, stream());
        }
        b.scope("head");
        let last = b.ints(&[-1]);
        let last = b.op_with("Gather", &[&x, &last], vec![("axis", Attribute::Int(1))]);
        let logits = b.op("MatMul", &[&last, &embed]);
        b.output(
            &logits,
            LOGITS,
            Dtype::F32,
            vec![Dim::Symbol("batch"), Dim::Fixed(vocab)],
        );
        b.finish(&self.name())
    }
}

/// A text with its length before it.
pub fn sized(text: &str) -> Vec<u8> {
    [&(text.len() as u64).to_le_bytes()[..], text.as_bytes()].concat()
}
