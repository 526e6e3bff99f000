//! What is found of a model, for people.

use super::found::{Found, OtherFront, Prompts, Templated};
use crate::kit::{Block, Table};
use crate::model::{Decoder, Expected, Preset, Source};
use crate::prompt::{Numbers, Role};

/// Everything that is found.
pub fn blocks(found: &Found) -> Vec<Block> {
    let model = &found.model;
    let kind = match &model.source {
        Source::Decoder(decoder) => of_decoder(found, decoder),
        Source::Graph { .. } => of_graph(found),
    };
    let bos = match &model.front.bos {
        Some(bos) => format!("{} (token {})", bos.token, bos.id),
        None => "no token".to_owned(),
    };
    let mut blocks = vec![Block::Text(format!(
        "{kind}\nbefore every prompt: {bos} ({})\n{}model SHA-256 {}\n\n{}\n\n",
        model.front.rule,
        found.front.as_ref().map_or(String::new(), other_front),
        model.hash,
        found.numbers,
    ))];
    blocks.extend(templates(&found.templates));
    blocks.extend(chats(&found.templates).map(Block::Text));
    blocks.extend(model.preset.map(|preset| Block::Text(of_preset(preset))));
    blocks.extend(
        found
            .expected
            .as_ref()
            .map(|expected| Block::Text(of_expected(expected))),
    );
    blocks
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

/// A row a template and step, how many templates can be asked, and the shapes and steps where numbers have several tokens.
fn templates(all: &[Templated]) -> Vec<Block> {
    let mut table = Table::headed(&[
        "style",
        "op",
        "prompts",
        "operands excluded",
        "answers excluded",
        "tokens",
        "example, or why there is none",
    ]);
    for template in all {
        let operation = template.operation.to_string();
        for set in &template.sets {
            let mut row = vec![template.style.clone()];
            match set {
                Ok(prompts) => {
                    let Numbers { shape, step, .. } = &prompts.numbers;
                    row.push(shape.question(&operation, *step));
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
                    row.push(operation.clone());
                    row.extend([(); 4].map(|()| String::new()));
                    row.push(reason.clone());
                }
            }
            table.push(row);
        }
    }
    let can_be_asked = |of: &&Templated| of.sets.iter().any(Result::is_ok);
    let usable = all.iter().filter(can_be_asked).count();
    let several = all.iter().filter(|template| template.has_several());
    let asked = format!("{usable} of {} templates can be asked", all.len());
    let mut blocks = vec![Block::Table(table), Block::Text(asked)];
    blocks.extend(several.flat_map(shapes));
    blocks
}

/// A prompt of every template that a chat template stands around.
fn chats(all: &[Templated]) -> impl Iterator<Item = String> {
    all.iter().filter_map(|template| {
        // It is the same at all steps.
        let prompts = template.sets.iter().flatten().next()?;
        let chat = prompts.chat.as_ref()?;
        Some(format!(
            "\n{} {}: {chat}\n",
            template.style, template.operation
        ))
    })
}

/// The shapes of a template's prompts, and the steps of those that are asked.
fn shapes(template: &Templated) -> Vec<Block> {
    let (style, operation) = (&template.style, template.operation.to_string());
    let asked = template.asked();
    let mut blocks = Vec::new();
    match &template.shapes {
        Err(reason) => blocks.push(Block::Text(format!(
            "\n{style} {operation}: its shapes cannot be counted: {reason}"
        ))),
        Ok(found) => {
            let drawn = match found.looked_at == found.of {
                true => String::new(),
                false => format!(", of which {} were drawn and looked at", found.looked_at),
            };
            let mut table = Table::headed(&["shape", "prompts", "asked"]);
            table.title = format!(
                "{style} {operation}: {} prompts have a result in range{drawn}; a shape is how many tokens the operands and the answer have",
                found.of
            );
            for (shape, count) in &found.counts {
                let here = asked.iter().find(|set| set.numbers.shape == *shape);
                let because = here.map_or("no".to_owned(), |set| format!("yes: {}", set.because));
                table.push([shape.words(&operation), count.to_string(), because]);
            }
            if let Some(example) = &found.example {
                let why = format!("no: {example}");
                table.push(["none".to_owned(), found.merged.to_string(), why]);
            }
            let of_none = found.looked_at - found.merged - found.counts.values().sum::<usize>();
            if of_none > 0 {
                let why = "no: a number shares a token with the text around it, or has too many";
                table.push(["none".to_owned(), of_none.to_string(), why.to_owned()]);
            }
            blocks.push(Block::Table(table));
        }
    }
    for first in asked {
        let shape = &first.numbers.shape;
        let title = format!(
            "{style} {operation} {}, by step: how many tokens of the right answer stand before the place where the next one is read; \
             means are keyed by {}",
            shape.words(&operation),
            first.numbers.keyed_by.name()
        );
        let of_shape = template.sets.iter().flatten();
        let table = steps(of_shape.filter(|set| set.numbers.shape == *shape));
        blocks.push(Block::Table(Table { title, ..table }));
    }
    blocks
}

/// A row a step.
fn steps<'a>(sets: impl Iterator<Item = &'a Prompts>) -> Table {
    let mut table = Table::headed(&[
        "step",
        "prompts",
        "keys",
        "fewest contexts",
        "an example, token by token",
        "right",
    ]);
    for set in sets {
        let part = |(role, tokens): (Role, &[String])| {
            let tokens: Vec<String> = tokens.iter().map(|token| format!("{token:?}")).collect();
            format!("{role} {}", tokens.join(" "))
        };
        let parts: Vec<String> = set.parts().into_iter().map(part).collect();
        let right: Vec<String> = set.right.iter().map(|token| format!("{token:?}")).collect();
        table.push([
            set.numbers.step.to_string(),
            set.asked.to_string(),
            set.keys.to_string(),
            set.fewest.to_string(),
            parts.join(", "),
            match right.is_empty() {
                true => set.end.to_owned(),
                false => right.join(" or "),
            },
        ]);
    }
    table
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
