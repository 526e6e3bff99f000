//! What the values of graphs of models are called: `onnx/CONTRACT.md` says what each of them is.

/// The name of the residual stream entering layer `layer`: `[batch, pos, d_model] f32`.
pub fn resid(layer: usize) -> String {
    format!("resid.{layer}")
}

/// The name of the additive attention mask of layer `layer`: `[1|batch, 1|head, q_pos, k_pos] f32`.
pub fn attn_bias(layer: usize) -> String {
    format!("attn_bias.{layer}")
}

/// The name of the keys of layer `layer`, rotated to their positions: `[batch, kv, k_pos, d_head] f32`.
pub fn attn_key(layer: usize) -> String {
    format!("attn_key.{layer}")
}

/// The name of the values of layer `layer`: `[batch, kv, k_pos, d_head] f32`.
pub fn attn_value(layer: usize) -> String {
    format!("attn_value.{layer}")
}

/// The name of the attention weights of layer `layer`, after softmax: `[batch, head, q_pos, k_pos] f32`.
pub fn attn_pattern(layer: usize) -> String {
    format!("attn_pattern.{layer}")
}

/// The name of what the heads of layer `layer` read, before the output projection: `[batch, head, q_pos, d_head] f32`.
pub fn attn_out(layer: usize) -> String {
    format!("attn_out.{layer}")
}

/// The name of the token ids: `[batch, pos] i64`.
pub const INPUT_IDS: &str = "input_ids";
/// The name of the positions: `[batch, pos] i64`.
pub const POSITION_IDS: &str = "position_ids";
/// The name of the result: `[batch, vocab] f32`, at the last position.
pub const LOGITS: &str = "logits";
