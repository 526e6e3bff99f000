//! Arithmetic operations over operands named `A`, `B`, `C`, ...

use std::fmt;
use std::str::FromStr;

use super::expression::Expression;
use super::written::is_name;

/// An operation such as `A+B-C` or `(A+B)%7`: an expression over operands, of which each may stand in it several times. The answer of
/// `months[(A+B)%12]` is the word of a table whose index is the value of the expression.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Operation {
    /// The operation as it is written, without spaces.
    text: String,
    expression: Expression,
    operands: usize,
    /// The table whose word answers.
    table: Option<String>,
}

impl Operation {
    /// The number of operands.
    pub fn operands(&self) -> usize {
        self.operands
    }

    /// The name of the table whose word answers; `None` where a number does.
    pub fn table(&self) -> Option<&str> {
        self.table.as_deref()
    }

    /// The letter of operand `index`.
    pub fn letter(index: usize) -> char {
        char::from(b'A' + index as u8)
    }

    /// The result over the integers, of a table the index of the word, as in Python: products, quotients and remainders before sums and differences, each from left to right;
    /// a remainder has the sign of the divisor. `None` where a division is not exact, divides by zero, or a value leaves 64 bits.
    ///
    /// # Panics
    /// If `operands` has another length than [`Self::operands`].
    pub fn evaluate(&self, operands: &[i64]) -> Option<i64> {
        assert_eq!(operands.len(), self.operands(), "one value an operand");
        self.expression.value(operands)
    }

    /// The terms of a sum that is written without brackets, each with its sign; `None` of every other expression, of a table, and where a
    /// value leaves 64 bits.
    ///
    /// # Panics
    /// If `operands` has another length than [`Self::operands`].
    pub fn terms(&self, operands: &[i64]) -> Option<Vec<i64>> {
        assert_eq!(operands.len(), self.operands(), "one value an operand");
        match self.table {
            None => self.expression.terms(operands),
            // Nobody writes out the sum of a month and a number.
            Some(_) => None,
        }
    }

    /// The text of a template that asks for the result, a number: every operand as its placeholder, `{A}+{B}`, with spaces around operators where
    /// it is `spaced`.
    pub fn written(&self, spaced: bool) -> String {
        let mut written = String::new();
        let mut before = '(';
        for c in self.text.chars() {
            // Behind a bracket or an operator a minus is a sign.
            let joins = "+-*/%".contains(c) && !"(+-*/%".contains(before);
            match c {
                'A'..='Z' => written.extend(['{', c, '}']),
                _ if joins && spaced => written.extend([' ', c, ' ']),
                _ => written.push(c),
            }
            before = c;
        }
        written
    }
}

impl FromStr for Operation {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let fail = |reason: String| {
            format!("{text:?} is not an operation, such as A+B or (A-B*C)%7: {reason}")
        };
        let (table, inside) = in_table(text).map_err(fail)?;
        let expression = Expression::read(&inside).map_err(fail)?;
        let mut seen = Vec::new();
        expression.each_operand(&mut |operand| seen.push(operand));
        let operands = seen.iter().max().map_or(0, |last| last + 1);
        let missing = (0..operands.max(1)).find(|operand| !seen.contains(operand));
        if let Some(missing) = missing {
            return Err(fail(format!(
                "it has no operand {}; expected A, B, C, ... without a gap",
                Self::letter(missing)
            )));
        }
        Ok(Self {
            text: text.chars().filter(|c| !c.is_ascii_whitespace()).collect(),
            expression,
            operands,
            table,
        })
    }
}

/// The name of the table in whose brackets an expression stands, and the expression, at the columns where it stands in the text.
fn in_table(text: &str) -> Result<(Option<String>, String), String> {
    let Some((name, rest)) = text.split_once('[') else {
        return Ok((None, text.to_owned()));
    };
    let before = name.chars().count() + 1;
    let name = name.trim();
    if !is_name(name) {
        return Err(format!(
            "at column 1: expected the name of a table before \"[\", as in months[(A+B)%12], found {name:?}"
        ));
    }
    match rest.trim_end().strip_suffix(']') {
        Some(inside) => Ok((Some(name.to_owned()), " ".repeat(before) + inside)),
        None => Err(format!(
            "at column {}: expected \"]\" at the end, found the end",
            1 + text.chars().count()
        )),
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("A+B", &[3, 4], Some(7))]
    #[case("A-B", &[3, 4], Some(-1))]
    #[case("A*B", &[3, 4], Some(12))]
    #[case("A/B", &[12, 4], Some(3))]
    #[case("A/B", &[13, 4], None)]
    #[case("A/B", &[13, 0], None)]
    #[case("A+B-C", &[3, 4, 5], Some(2))]
    #[case("A-B+C", &[3, 4, 5], Some(4))]
    #[case("A-B-C", &[9, 4, 5], Some(0))]
    #[case("A+B*C", &[3, 4, 5], Some(23))]
    #[case("A*B", &[i64::MAX, 2], None)]
    #[case("A/B", &[i64::MIN, -1], None)]
    #[case("A%B", &[i64::MIN, -1], Some(0))]
    #[case("A-B", &[0, i64::MIN], None)]
    #[case("(A+B)%7", &[5, 6], Some(4))]
    #[case("A*B-A", &[5, 6], Some(25))]
    #[case("A+A", &[5], Some(10))]
    #[case("-A%B", &[1, 7], Some(6))]
    #[case("months[(A+B)%12]", &[6, 7], Some(1))]
    fn results(#[case] text: &str, #[case] operands: &[i64], #[case] result: Option<i64>) {
        let operation: Operation = text.parse().unwrap();
        assert_eq!(operation.evaluate(operands), result);
        assert_eq!(operation.to_string(), text);
    }

    #[rstest]
    #[case(
        "",
        "at column 1: expected an operand (A to Z), a number or \"(\", found the end"
    )]
    #[case(
        "A+",
        "at column 3: expected an operand (A to Z), a number or \"(\", found the end"
    )]
    #[case(
        "a+b",
        "at column 1: expected an operand (A to Z), a number or \"(\", found \"a\""
    )]
    #[case(
        "A ++ B",
        "at column 4: expected an operand (A to Z), a number or \"(\", found \"+\""
    )]
    #[case(
        "A B",
        "at column 3: expected an operator (+, -, *, / or %) or the end, found \"B\""
    )]
    #[case("(A+B", "at column 5: expected an operator or \")\", found the end")]
    #[case(
        "A+B)",
        "at column 4: expected an operator (+, -, *, / or %) or the end, found \")\""
    )]
    #[case("é+A", "at column 1: expected an operand")]
    #[case(
        "A+é",
        "at column 3: expected an operand (A to Z), a number or \"(\", found \"é\""
    )]
    #[case(
        "A+07",
        "at column 3: expected a number below 2^63 without zeros before it, found \"0\""
    )]
    #[case("A+9223372036854775808", "at column 3: expected a number below 2^63")]
    #[case("A+C", "it has no operand B; expected A, B, C, ... without a gap")]
    #[case("7", "it has no operand A")]
    #[case(
        "months[A+]",
        "at column 10: expected an operand (A to Z), a number or \"(\", found the end"
    )]
    #[case("months[A", "at column 9: expected \"]\" at the end, found the end")]
    #[case("Months[A]", "at column 1: expected the name of a table before \"[\"")]
    #[case("[A]", "at column 1: expected the name of a table before \"[\"")]
    #[case(
        "months[days[A]]",
        "at column 8: expected an operand (A to Z), a number or \"(\", found \"d\""
    )]
    #[case("months[A]+1", "at column 12: expected \"]\" at the end")]
    fn refused(#[case] text: &str, #[case] reason: &str) {
        let message = text.parse::<Operation>().unwrap_err();
        assert!(message.contains(&format!("{text:?}")), "{message}");
        assert!(message.contains(reason), "{message}");
    }

    #[test]
    fn depth_and_length_are_bounded() {
        let nested = |depth: usize| format!("{}A{}", "(".repeat(depth), ")".repeat(depth));
        assert!(nested(16).parse::<Operation>().is_ok());
        let message = nested(17).parse::<Operation>().unwrap_err();
        assert!(
            message.contains("at column 17: expected at most 16 brackets"),
            "{message}"
        );
        let long = format!("A{}", "+A".repeat(50));
        assert!(long[..99].parse::<Operation>().is_ok());
        let message = long.parse::<Operation>().unwrap_err();
        assert!(
            message.contains("it has 101 bytes; expected 100 at most"),
            "{message}"
        );
    }

    #[test]
    fn terms_are_those_of_sums_without_brackets() {
        let terms =
            |text: &str, operands: &[i64]| text.parse::<Operation>().unwrap().terms(operands);
        assert_eq!(terms("A-B+C", &[3, 4, 5]), Some(vec![3, -4, 5]));
        assert_eq!(terms("-A+A+10", &[3]), Some(vec![-3, 3, 10]));
        for other in [
            "A*B",
            "A-(A+B)",
            "A+B%7",
            "A-(-B)",
            "(A+B)%7",
            "months[A+B]",
        ] {
            assert_eq!(terms(other, &[3, 4]), None, "{other}");
        }
    }

    #[test]
    fn a_table_is_named() {
        let of = |text: &str| text.parse::<Operation>().unwrap();
        assert_eq!(of("A+B").table(), None);
        let months = of(" months [ ( A + B ) % 12 ] ");
        assert_eq!(months.table(), Some("months"));
        assert_eq!(months, of("months[(A+B)%12]"));
    }

    #[test]
    fn texts_of_templates_have_placeholders() {
        let written = |text: &str, spaced| text.parse::<Operation>().unwrap().written(spaced);
        assert_eq!(written("( A+B )%7", false), "({A}+{B})%7");
        assert_eq!(written("(A+B)%7", true), "({A} + {B}) % 7");
        assert_eq!(written("-A*(-B-A)", true), "-{A} * (-{B} - {A})");
    }
}
