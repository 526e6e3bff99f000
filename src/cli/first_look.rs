//! What stands around the table of who runs the program for the first time: planted models before it, a model for contrast beside it, and
//! what to try next.

use super::args::Format;
use super::lab::{Common, Lab};
use super::output::print;
use super::selfcheck::control;
use crate::Result;
use crate::experiment::Ask;
use crate::model::{CONTRAST, PRESETS};

/// The operands and the results that are asked for who asks for none: so many sums of two digits that a verdict is decided, and so few
/// that it takes a minute or two.
const SPANS: [&str; 2] = ["10..=39", "0..=299"];

/// The table of an experiment, and what stands around it; `contrast` says whether its options ask for nothing of one's own.
pub fn run(mut common: Common, own: &dyn Ask, contrast: bool) -> Result<()> {
    if !contrast || asks_for_something(&common) {
        return table(common, own, true, true);
    }
    if asks_for_no_numbers(&common) {
        let [operands, results] = SPANS.map(|span| span.parse().expect("a range"));
        common.prompts.operands = Some(operands);
        common.prompts.results = Some(results);
        common.prompts.style = vec![PRESETS[0].styles[0].to_owned()];
        common.prompts.operation = vec!["A+B".parse().expect("an operation")];
    }
    let apart = common.output.format == Format::Table;
    let beside = of_contrast(&common);
    table(common, own, true, false)?;
    if apart {
        print("\n")?;
    }
    table(beside, own, false, true)
}

/// Whether something of one's own is asked for.
fn asks_for_something(common: &Common) -> bool {
    let Common {
        model,
        prompts,
        output,
        ..
    } = common;
    model.model.is_some()
        || model.bos.is_some()
        || prompts.styles.is_some()
        || prompts.prompts.is_some()
        || !prompts.style.is_empty()
        || output.out.is_some()
}

/// Whether nothing is said of the numbers in prompts.
fn asks_for_no_numbers(common: &Common) -> bool {
    let prompts = &common.prompts;
    prompts.operation.is_empty()
        && prompts.operands.is_none()
        && prompts.results.is_none()
        && prompts.shape.is_empty()
        && prompts.step.is_empty()
}

/// The same for the model that is shown beside the first one.
fn of_contrast(common: &Common) -> Common {
    let mut contrast = common.clone();
    contrast.model.model = Some(CONTRAST.to_owned());
    // The first style of both.
    contrast.prompts.style = vec![PRESETS[0].styles[0].to_owned()];
    contrast
}

/// The table of a model, after the control and before what to try next.
fn table(common: Common, own: &dyn Ask, first: bool, last: bool) -> Result<()> {
    let mut lab = common.open()?;
    let experiment = lab.experiment(own)?;
    if first && !lab.dry_run() {
        lab.control = control(lab.study.engine.runtime(), lab.study.engine.placement())?;
    }
    let next = if last { next(&lab) } else { String::new() };
    lab.run(&*experiment, &next)
}

/// The commands that a user would try next, as they can be typed.
fn next(lab: &Lab) -> String {
    // Cargo tells the programs that it runs where it is: then the program itself is hardly on the PATH.
    let program = match std::env::var_os("CARGO") {
        Some(_) => "cargo run --release --".to_owned(),
        None => std::env::args().next().unwrap_or_else(|| "af1".to_owned()),
    };
    let mut same = String::new();
    if lab.study.model.preset.is_none() {
        same += &format!(" --model {}", lab.model.name());
    }
    if let Some(styles) = &lab.study.request().asked.styles {
        same += &format!(" --styles {}", styles.display());
    }
    if let Some(first) = lab.study.sets.first() {
        same += &format!(" --style {}", first.template.style);
    }
    format!(
        "\nnext: {program} waiting{same}    (how long can every token wait?)\n      \
         {program} run --help    (your own model, styles and layers)\n"
    )
}
