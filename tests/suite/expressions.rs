//! Expressions as operations: their values are Python's, styles ask them, and what is not defined of them is said.

use af1::error::exit;
use af1::prompt::Operation;
use rstest::rstest;
use serde_json::Value;

use super::bad_input::refused;
use super::fixtures::{ints, json};
use super::program::{Words, af1, experiments, planted, stdout};

/// Quotients that leave something over and values beyond 64 bits have no value, as Python's have none with integers of 64 bits.
#[test]
fn values_are_those_of_python() {
    let reference = json("reference/expressions.json");
    let mut undefined = 0;
    for case in reference["cases"].as_array().unwrap() {
        let text = case["expression"].as_str().unwrap();
        let operation: Operation = text.parse().unwrap();
        let values = case["values"].as_array().unwrap();
        for (operands, expected) in values.iter().map(|row| (ints(&row[0]), &row[1])) {
            let found = operation.evaluate(&operands);
            assert_eq!(found, expected.as_i64(), "{text} of {operands:?}");
            undefined += usize::from(found.is_none());
        }
    }
    assert!(undefined > 100, "{undefined}");
}

#[test]
fn what_python_cannot_read_is_refused() {
    let reference = json("reference/expressions.json");
    for text in reference["broken"].as_array().unwrap() {
        let text = text.as_str().unwrap();
        let message = text.parse::<Operation>().unwrap_err();
        let shown = format!("{text:?} is not an operation");
        assert!(
            message.contains(&shown) && message.contains("at column"),
            "{message}"
        );
    }
}

/// A planted model knows sums; an expression that is one of its sums is asked and answered like it.
#[test]
fn a_style_asks_any_expression() {
    let run = planted("waiting").operation("B+A");
    let text = stdout(
        run.run()
            .words("--styles expressions --wait 3,4 --format json"),
    );
    let rows: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    let cama: Vec<&Value> = rows
        .iter()
        .filter(|row| row["ablation"] == "cama")
        .collect();
    assert_eq!(cama.len(), 2);
    for row in cama {
        assert_eq!(
            (&row["operation"], &row["base_correct"]),
            (&"B+A".into(), &100.into())
        );
        // Tokens can wait to the layer that was planted, and no longer.
        let kept = row["correct"].as_u64().unwrap();
        match row["wait"].as_u64() {
            Some(3) => assert_eq!(kept, 100),
            _ => assert!(kept < 20, "{row}"),
        }
    }
}

/// An operand that stands alone, however often, has no other context: only a mean that is the prompt's own can be taken.
#[test]
fn one_operand_has_no_mean_of_others() {
    for verb in experiments() {
        let run = planted(verb).operation("A+A").operands("0..=40");
        let mut command = run.run();
        command.words("--styles expressions");
        match *verb {
            // It takes no means.
            "attention" => drop(stdout(&mut command)),
            _ => refused(
                &mut command,
                exit::NO_PROMPTS,
                &["no mean where there is one operand"],
            ),
        }
    }
    let run = planted("necessity").operation("A+A").operands("0..=40");
    let text = stdout(run.run().words("--styles expressions --estimator plug-in"));
    assert!(text.contains("symbolic A+A: base accuracy 41/41"), "{text}");
}

/// `inspect` says how an expression is written in a style, and which shapes it has.
#[rstest]
#[case("symbolic", "(A+B)%7", "(4+4)%7=")]
#[case("calculate", "-A*(B-A)", "Calculate: -4 * (4 - 4) = ")]
fn inspect_shows_the_text(#[case] style: &str, #[case] operation: &str, #[case] expected: &str) {
    let args =
        format!("inspect --styles expressions --style {style} --operands 4..=4 --results -99..=99");
    let text = stdout(
        af1(&args)
            .arg(format!("--operation={operation}"))
            .words("--model qwen2.5-coder-0.5b-instruct --bos none"),
    );
    assert!(text.contains(&format!("{expected:?}")), "{text}");
}

#[rstest]
#[case(
    "A+*B",
    "\"A+*B\" is not an operation, such as A+B or (A-B*C)%7: at column 3: expected an operand (A to Z), a number"
)]
#[case("(A+B", "at column 5: expected an operator or \")\", found the end")]
#[case("A+C", "it has no operand B")]
fn a_command_line_that_is_no_expression(#[case] operation: &str, #[case] reason: &str) {
    let mut command = planted("run").run();
    command.arg(format!("--operation={operation}"));
    refused(&mut command, exit::USAGE, &[reason]);
}

#[rstest]
#[case(
    "expression = '{A} plus {B}'",
    "has no place {expression} or {spaced expression} for the operation"
)]
#[case("expression = '{expression} {D}='", "has the unknown placeholder {D}")]
#[case("expression = '{expression}'", "ends with {B}")]
#[case(
    "templates = { 'A+(B' = '{A}+({B}=' }",
    "at column 5: expected an operator or \")\""
)]
fn a_style_that_cannot_ask(#[case] lines: &str, #[case] reason: &str) {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    std::fs::write(&styles, format!("[[style]]\nid = 'mine'\n{lines}\n")).unwrap();
    let mut command = af1("run --model planted-af1 --styles");
    command.arg(&styles);
    refused(
        &mut command,
        exit::STYLE,
        &["mine.toml", "style \"mine\"", reason],
    );
}

/// A style that has no templates but asks any operation needs one to be asked for.
#[test]
fn a_style_without_templates_needs_an_operation() {
    let folder = tempfile::tempdir().unwrap();
    let styles = folder.path().join("mine.toml");
    std::fs::write(
        &styles,
        "[[style]]\nid = 'mine'\nexpression = '{expression}='\n",
    )
    .unwrap();
    let mut command = af1("waiting --model planted-af1 --operands 0..=9 --wait 0 --styles");
    command.arg(&styles);
    refused(
        &mut command,
        exit::STYLE,
        &["name an operation with --operation"],
    );
    stdout(command.words("--operation B+A"));
}

/// The means of another operation are those of one with as many operands; styles have others, too.
#[test]
fn operations_of_more_operands_are_no_other_operations() {
    let run = planted("alternatives").operands("0..=9");
    let text = stdout(run.run().words("--styles operations"));
    assert!(text.contains("wrong-operator"), "{text}");
}
