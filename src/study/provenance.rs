//! Under what the measurements of a study are made.

use super::{Asked, Method};
use crate::measure::Way;
use crate::model::Model;
use crate::prompt::{Frame, PromptSet, Role, Rule, Selection, Styles};
use crate::record::Provenance;
use crate::runtime::Engine;

/// What its records say of it.
pub(super) fn provenance(
    model: &Model,
    engine: &Engine,
    styles: &Styles,
    selection: &Selection,
    asked: &Asked,
    method: &Method,
    batch: usize,
) -> Provenance {
    let (runtime, placement) = (engine.runtime(), engine.placement());
    let provider = placement.provider_library.as_deref();
    Provenance {
        crate_version: env!("CARGO_PKG_VERSION").to_owned(),
        model_sha256: model.hash.to_string(),
        graph_sha256: engine.graph_hash().to_string(),
        tokenizer_sha256: model.tokenizer.hash().to_string(),
        styles_sha256: styles.hash().to_string(),
        chat_template_sha256: (model.chat.template())
            .filter(|_| styles.chat())
            .map(|chat| chat.hash().to_string()),
        runtime: "onnxruntime".to_owned(),
        runtime_version: runtime.version().to_owned(),
        runtime_sha256: runtime.hash().to_string(),
        device: placement.to_string(),
        provider_sha256: provider
            .and_then(|library| runtime.provider_hash(library))
            .map(|hash| hash.to_string()),
        tf32: placement.tf32,
        mapped_weights: placement.mapped == Some(true),
        providers: engine.providers().clone(),
        dtype: model.precision.dtype().to_string(),
        threads: runtime.threads(),
        batch,
        masked: method.way == Way::Masked || !engine.takes_keys_values(),
        seed: selection.seed,
        operands: [*selection.operands.start(), *selection.operands.end()],
        results: [*selection.results.start(), *selection.results.end()],
        limit: method.most(),
        right_answers: method.right_answers,
        contexts: selection.contexts,
        contexts_from: selection.contexts_from.name().to_owned(),
        key: asked.numbers.keyed_by,
        bos: model.front.bos.as_ref().map(|bos| bos.token.clone()),
        bos_id: model.bos(),
        bos_rule: Some(model.front.rule.to_string()),
        list_sha256: (selection.listed.as_ref()).map(|listed| listed.hash.to_string()),
    }
}

/// Under what a template is measured, from what all templates of a study share: what stands before its prompts is the chat template's or the tokenizer's,
/// and operands that are words have the indices of their table.
pub(super) fn of_set(
    shared: &Provenance,
    asked: &Asked,
    selection: &Selection,
    set: &PromptSet,
) -> Provenance {
    let mut own = shared.clone();
    if let Ok(of) = asked.selection_of(selection, &set.template) {
        own.operands = [*of.operands.start(), *of.operands.end()];
        own.results = [*of.results.start(), *of.results.end()];
    }
    if set.template.frame != Frame::Chat {
        return Provenance {
            chat_template_sha256: None,
            ..own
        };
    }
    let written = set.roles.first() == Some(&Role::Bos);
    Provenance {
        bos: own.bos.filter(|_| written),
        bos_id: own.bos_id.filter(|_| written),
        bos_rule: Some(Rule::ChatTemplate.to_string()),
        ..own
    }
}
