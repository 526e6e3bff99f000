//! What is found of a model, for programs.

use std::collections::BTreeMap;

use serde::Serialize;

use super::chat::Written;
use super::found::{Found, OtherFront, Prompts, Templated};
use super::numbers::SingleNumbers;
use crate::file::Sha256;
use crate::model::{
    Activation, Confidence, Decoder, Expected, LocalRotary, NormKind, Preset, QueryKeyNorm, Rotary,
    Source,
};
use crate::prompt::{KeyedBy, Role, Shape, Step};

/// Everything that is found.
pub fn json(found: &Found) -> serde_json::Value {
    serde_json::to_value(FoundWire::of(found)).expect("it is plain data")
}

#[derive(Serialize)]
struct FoundWire<'a> {
    model: &'a str,
    model_sha256: &'a Sha256,
    layers: usize,
    d_model: usize,
    heads: usize,
    vocab: usize,
    context: Option<usize>,
    tokenizer_sha256: &'a Sha256,
    tokens: usize,
    numbers: &'a SingleNumbers,
    bos: Option<&'a str>,
    bos_id: Option<u32>,
    bos_rule: String,
    other_front: Option<OtherFrontWire<'a>>,
    graph_nodes: usize,
    preset: Option<PresetWire>,
    expected: Option<&'a Expected>,
    templates: Vec<TemplateWire<'a>>,
    #[serde(flatten)]
    decoder: Option<DecoderWire<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum OtherFrontWire<'a> {
    Measured {
        template: &'a str,
        prompts: usize,
        right: usize,
        bos: Option<&'a str>,
        right_with_it: usize,
        p: f64,
        much_better: bool,
    },
    NotMeasured {
        error: String,
    },
}

#[derive(Serialize)]
struct PresetWire {
    name: &'static str,
    wait: usize,
    transfer: usize,
    source: &'static str,
    confidence: Confidence,
    styles: &'static [&'static str],
    operands: (i64, i64),
    results: (i64, i64),
}

#[derive(Serialize)]
struct TemplateWire<'a> {
    style: &'a str,
    operation: String,
    #[serde(flatten)]
    prompts: PromptsWire<'a>,
    shapes: ShapesWire<'a>,
    steps: Vec<StepWire<'a>>,
}

/// Prompts that cannot be asked as they stand.
#[derive(Serialize)]
struct MergedWire {
    prompts: usize,
    because: String,
}

/// How many prompts of every shape there are.
#[derive(Serialize)]
#[serde(untagged)]
enum ShapesWire<'a> {
    Counted {
        prompts: usize,
        looked_at: usize,
        of: Vec<ShapeWire>,
        /// Prompts whose answer begins in one token with the end of the prompt, where there are some.
        #[serde(skip_serializing_if = "Option::is_none")]
        merged: Option<MergedWire>,
    },
    NotCounted {
        error: &'a str,
    },
}

#[derive(Serialize)]
struct ShapeWire {
    shape: String,
    prompts: usize,
    asked: Option<String>,
}

/// The prompts of a shape at a step.
#[derive(Serialize)]
struct StepWire<'a> {
    shape: String,
    step: Step,
    key: KeyedBy,
    prompts: usize,
    keys: usize,
    contexts_fewest: usize,
    example: &'a str,
    tokens: Vec<TokenWire<'a>>,
    /// The tokens that are right; none where whatever ends the answer is.
    right: Option<&'a [String]>,
}

#[derive(Serialize)]
struct TokenWire<'a> {
    text: &'a str,
    role: Role,
}

#[derive(Serialize)]
#[serde(untagged)]
enum PromptsWire<'a> {
    Some {
        prompts: usize,
        excluded_operands: usize,
        excluded_answers: usize,
        positions: usize,
        roles: Vec<String>,
        example: &'a str,
        #[serde(skip_serializing_if = "Option::is_none")]
        chat: Option<&'a Written>,
    },
    None {
        error: &'a str,
    },
}

/// What is known of a model of a known family only.
#[derive(Serialize)]
struct DecoderWire<'a> {
    family: &'a str,
    kv_heads: usize,
    d_head: usize,
    d_mlp: usize,
    norm: NormKind,
    norm_eps: f32,
    qk_norm: Option<QueryKeyNorm>,
    parallel: bool,
    activation: Activation,
    gated: bool,
    rotary: Option<&'a Rotary>,
    local: Option<&'a LocalRotary>,
    tied: bool,
    attn_scale: f64,
    attn_softcap: Option<f32>,
    logit_softcap: Option<f32>,
    parameters: usize,
    dtypes: BTreeMap<String, usize>,
}

impl<'a> FoundWire<'a> {
    fn of(found: &'a Found) -> Self {
        let model = &found.model;
        let (sizes, bos) = (model.sizes, model.front.bos.as_ref());
        Self {
            model: &model.name,
            model_sha256: &model.hash,
            layers: sizes.layers,
            d_model: sizes.d_model,
            heads: sizes.heads,
            vocab: sizes.vocab,
            context: sizes.context,
            tokenizer_sha256: model.tokenizer.hash(),
            tokens: model.tokenizer.len(),
            numbers: &found.numbers,
            bos: bos.map(|bos| &*bos.token),
            bos_id: bos.map(|bos| bos.id),
            bos_rule: model.front.rule.to_string(),
            other_front: found.front.as_ref().and_then(OtherFrontWire::of),
            graph_nodes: found.graph.nodes.len(),
            preset: model.preset.map(PresetWire::of),
            expected: found.expected.as_ref(),
            templates: found.templates.iter().map(TemplateWire::of).collect(),
            decoder: match &model.source {
                Source::Decoder(decoder) => Some(DecoderWire::of(found, decoder)),
                Source::Graph { .. } => None,
            },
        }
    }
}

impl<'a> OtherFrontWire<'a> {
    fn of(front: &'a OtherFront) -> Option<Self> {
        match &front.found {
            Ok(fronts) => fronts.as_ref().map(|fronts| Self::Measured {
                template: &front.template,
                prompts: fronts.prompts,
                right: fronts.right,
                bos: fronts.other.as_ref().map(|bos| &*bos.token),
                right_with_it: fronts.other_right,
                p: fronts.p,
                much_better: fronts.other_is_better(),
            }),
            Err(error) => Some(Self::NotMeasured {
                error: error.to_string(),
            }),
        }
    }
}

impl PresetWire {
    fn of(preset: &Preset) -> Self {
        let (wait, transfer) = preset.af1;
        Self {
            name: preset.name,
            wait,
            transfer,
            source: preset.source,
            confidence: preset.confidence,
            styles: preset.styles,
            operands: preset.operands,
            results: preset.results,
        }
    }
}

impl<'a> TemplateWire<'a> {
    fn of(template: &'a Templated) -> Self {
        let operation = template.operation.to_string();
        let sets = template.sets.iter().flatten();
        Self {
            style: &template.style,
            prompts: match template.sets.first() {
                Some(Ok(prompts)) => PromptsWire::Some {
                    prompts: prompts.asked,
                    excluded_operands: prompts.excluded.operand,
                    excluded_answers: prompts.excluded.answer,
                    positions: prompts.roles.len(),
                    roles: prompts.roles.iter().map(Role::to_string).collect(),
                    example: &prompts.example,
                    chat: prompts.chat.as_ref(),
                },
                Some(Err(error)) => PromptsWire::None { error },
                None => PromptsWire::None { error: "" },
            },
            shapes: ShapesWire::of(template, &operation),
            steps: sets.map(|set| StepWire::of(set, &operation)).collect(),
            operation,
        }
    }
}

impl<'a> ShapesWire<'a> {
    fn of(template: &'a Templated, operation: &str) -> Self {
        let found = match &template.shapes {
            Ok(found) => found,
            Err(error) => return Self::NotCounted { error },
        };
        let asked = template.asked();
        let of = |(shape, prompts): (&Shape, &usize)| ShapeWire {
            shape: shape.words(operation),
            prompts: *prompts,
            asked: (asked.iter())
                .find(|set| set.numbers.shape == *shape)
                .map(|set| set.because.to_string()),
        };
        Self::Counted {
            prompts: found.of,
            looked_at: found.looked_at,
            of: found.counts.iter().map(of).collect(),
            merged: found.example.as_ref().map(|example| MergedWire {
                prompts: found.merged,
                because: example.to_string(),
            }),
        }
    }
}

impl<'a> StepWire<'a> {
    fn of(set: &'a Prompts, operation: &str) -> Self {
        let tokens = set.tokens.iter().zip(&set.roles);
        Self {
            shape: set.numbers.shape.words(operation),
            step: set.numbers.step,
            key: set.numbers.keyed_by,
            prompts: set.asked,
            keys: set.keys,
            contexts_fewest: set.fewest,
            example: &set.example,
            tokens: tokens
                .map(|(text, role)| TokenWire { text, role: *role })
                .collect(),
            right: (!set.right.is_empty()).then_some(&*set.right),
        }
    }
}

impl<'a> DecoderWire<'a> {
    fn of(found: &Found, decoder: &'a Decoder) -> Self {
        let spec = &decoder.spec;
        Self {
            family: spec.family,
            kv_heads: spec.kv_heads,
            d_head: spec.d_head,
            d_mlp: spec.d_mlp,
            norm: spec.norm,
            norm_eps: spec.norm_eps,
            qk_norm: spec.qk_norm,
            parallel: spec.parallel,
            activation: spec.activation,
            gated: spec.gated,
            rotary: spec.rotary.as_ref(),
            local: spec.local.as_ref(),
            tied: spec.tied,
            attn_scale: spec.attn_scale,
            attn_softcap: spec.attn_softcap,
            logit_softcap: spec.logit_softcap,
            parameters: found.parameters(),
            dtypes: decoder.weights.dtypes(),
        }
    }
}
