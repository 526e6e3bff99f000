//! Prompts and residuals for this room's tests.

use ndarray::Array3;

use crate::prompt::{Excluded, Key, Numbers, Prompt, PromptSet, Role, Styles};

/// Prompts of these tokens, which ask nothing.
pub fn prompts(ids: &[&[u32]]) -> PromptSet {
    let operation = "A+B".parse().unwrap();
    let templates = Styles::built_in().select(&["symbolic".to_owned()], &[operation]);
    let prompt = |ids: &&[u32]| Prompt {
        text: format!("{ids:?}"),
        operands: Vec::new(),
        result: None,
        answers: [].into(),
        ids: ids.to_vec(),
        keys: ids.iter().map(|&id| Key::of(&[id]).unwrap()).collect(),
    };
    PromptSet {
        template: templates.unwrap().remove(0),
        numbers: Numbers::single(2),
        prompts: ids.iter().map(prompt).collect(),
        roles: vec![Role::Text; ids[0].len()],
        excluded: Excluded::default(),
        drawn: false,
    }
}

/// Residuals of two dimensions by prompt and position, `[prompt, pos, 2]`: the number, and its square.
pub fn residuals<const POSITIONS: usize>(numbers: &[[f32; POSITIONS]]) -> Array3<f32> {
    Array3::from_shape_fn((numbers.len(), POSITIONS, 2), |(prompt, t, d)| {
        numbers[prompt][t].powi(d as i32 + 1)
    })
}
