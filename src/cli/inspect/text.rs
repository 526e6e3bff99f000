//! What is found of a model, for people.

use comfy_table::{Table, presets};

use super::found::{Found, OtherFront, Templated};
use crate::model::{Decoder, Expected, Preset, Source};

/// Everything that is found.
pub fn text(found: &Found) -> String {
    let model = &found.model;
    let kind = match &model.source {
        Source::Decoder(decoder) => of_decoder(found, decoder),
        Source::Graph { .. } => of_graph(found),
    };
    let bos = match &model.front.bos {
        Some(bos) => format!("{} (token {})", bos.token, bos.id),
        None => "no token".to_owned(),
    };
    format!(
        "{kind}\nbefore every prompt: {bos} ({})\n{}model SHA-256 {}\n\n{}\n\n{}{}{}{}",
        model.front.rule,
        found.front.as_ref().map_or(String::new(), other_front),
        model.hash,
        found.numbers,
        templates(&found.templates),
        chats(&found.templates),
        model.preset.map_or(String::new(), of_preset),
        found.expected.as_ref().map_or(String::new(), of_expected),
    )
}

fn other_front(front: &OtherFront) -> String {
    let template = &front.template;
    match &front.found {
        Ok(None) => String::new(),
        Ok(Some(fronts)) if fronts.other_is_better() => format!("WARNING: {template}: {fronts}\n"),
        Ok(Some(fronts)) => format!("{template}: {fronts}\n"),
        Err(error) => {
            format!(
                "what the model answers with something else in front was not measured: {error}\n"
            )
        }
    }
}

/// A row a template, and how many of them can be asked.
fn templates(all: &[Templated]) -> String {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN).set_header([
        "style",
        "op",
        "prompts",
        "operands excluded",
        "answers excluded",
        "tokens",
        "example, or why there is none",
    ]);
    for template in all {
        let mut row = vec![template.style.clone(), template.operation.to_string()];
        match &template.prompts {
            Ok(prompts) => {
                let numbers = [
                    prompts.asked,
                    prompts.excluded.operand,
                    prompts.excluded.answer,
                    prompts.roles.len(),
                ];
                row.extend(numbers.map(|n| n.to_string()));
                row.push(match prompts.chat {
                    None => format!("{:?}", prompts.example),
                    Some(_) => "a chat, see below".to_owned(),
                });
            }
            Err(reason) => {
                row.extend([(); 4].map(|()| String::new()));
                row.push(reason.clone());
            }
        }
        table.add_row(row);
    }
    let usable = all.iter().filter(|of| of.prompts.is_ok()).count();
    format!(
        "{table}\n{usable} of {} templates can be asked\n",
        all.len()
    )
}

/// A prompt of every template that a chat template stands around.
fn chats(all: &[Templated]) -> String {
    let written = all.iter().filter_map(|template| {
        let prompts = template.prompts.as_ref().ok()?;
        let chat = prompts.chat.as_ref()?;
        Some(format!(
            "\n{} {}: {chat}\n",
            template.style, template.operation
        ))
    });
    written.collect()
}

fn of_preset(preset: &Preset) -> String {
    let (wait, transfer) = preset.af1;
    format!(
        "\nby default AF1({wait}, {transfer}) is tried ({}: {}), in the styles {}\n",
        preset.confidence,
        preset.source,
        preset.styles.join(", ")
    )
}

/// A line a value.
fn of_expected(expected: &Expected) -> String {
    let mut text = String::new();
    for value in &expected.value {
        let subgraph = match (value.wait, value.transfer) {
            (Some(wait), Some(transfer)) => format!(" AF1({wait}, {transfer})"),
            _ => String::new(),
        };
        text += &format!(
            "expected: {} {}{subgraph} {} {} within {} ({}: {})\n",
            value.style,
            value.operation,
            value.measure,
            value.value,
            value.tolerance,
            value.confidence,
            value.source
        );
    }
    text
}

/// A model of a known family.
fn of_decoder(found: &Found, decoder: &Decoder) -> String {
    let model = &found.model;
    let Decoder { spec, weights, .. } = decoder;
    let dtypes = weights.dtypes();
    let dtypes: Vec<String> = dtypes
        .iter()
        .map(|(dtype, n)| format!("{n} {dtype}"))
        .collect();
    let positions = match &spec.rotary {
        Some(rotary) if rotary.dims < spec.d_head => format!(
            "rotary base {} on {} of {} dimensions",
            rotary.theta, rotary.dims, spec.d_head
        ),
        Some(rotary) => format!("rotary base {}", rotary.theta),
        None => "learned positions".to_owned(),
    };
    format!(
        "{}: {}, {} layers, d_model {}, {} heads ({} for keys and values) of {}, MLP {}\n\
         vocabulary {} ({} tokens in the tokenizer), {:.1} million weights, tensors: {}\n\
         {positions}, norm epsilon {:e}, context {}, unembedding {}",
        model.name,
        spec.family,
        spec.layers,
        spec.d_model,
        spec.heads,
        spec.kv_heads,
        spec.d_head,
        spec.d_mlp,
        spec.vocab,
        model.tokenizer.len(),
        found.parameters() as f64 / 1e6,
        dtypes.join(", "),
        spec.norm_eps,
        spec.context,
        if spec.tied { "tied" } else { "its own" }
    )
}

/// A model whose graph another program wrote.
fn of_graph(found: &Found) -> String {
    let model = &found.model;
    let sizes = model.sizes;
    let context = sizes
        .context
        .map_or("not stated".to_owned(), |n| n.to_string());
    format!(
        "{}: a graph of {} nodes that another program wrote, {} layers, d_model {}, {} heads\n\
         vocabulary {} ({} tokens in the tokenizer), context {context}",
        model.name,
        found.graph.nodes.len(),
        sizes.layers,
        sizes.d_model,
        sizes.heads,
        sizes.vocab,
        model.tokenizer.len()
    )
}
