//! Integer expressions over operands: a small parser, and their values as Python has them.

use std::iter::Peekable;
use std::str::CharIndices;

/// The longest text of an expression, in bytes.
const MOST_BYTES: usize = 100;

/// The most brackets and signs that stand inside each other.
const MOST_DEPTH: usize = 16;

/// An expression. What is multiplied, divided or reduced comes before what is added, and equals are taken from left to right, as in Python.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Expression {
    /// The operand of that index.
    Operand(usize),
    /// A number that is the same in every prompt.
    Number(i64),
    /// The negative of what follows.
    Negative(Box<Expression>),
    /// Two joined by an operator.
    Joined(Box<Expression>, Operator, Box<Expression>),
}

/// What joins two expressions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Operator {
    Plus,
    Minus,
    Times,
    /// Exact: there is no value where something is left over.
    By,
    /// The remainder with the sign of the divisor, as in Python: `-1 % 7` is 6.
    Modulo,
}

impl Operator {
    fn of(c: char) -> Option<Self> {
        Some(match c {
            '+' => Self::Plus,
            '-' => Self::Minus,
            '*' => Self::Times,
            '/' => Self::By,
            '%' => Self::Modulo,
            _ => return None,
        })
    }

    /// Whether it only adds what stands at its sides.
    fn adds(self) -> bool {
        matches!(self, Self::Plus | Self::Minus)
    }

    /// The value; `None` where there is none among the integers of 64 bits.
    fn apply(self, left: i64, right: i64) -> Option<i64> {
        match self {
            Self::Plus => left.checked_add(right),
            Self::Minus => left.checked_sub(right),
            Self::Times => left.checked_mul(right),
            Self::By => match left.checked_rem(right)? {
                0 => left.checked_div(right),
                _ => None,
            },
            // Nothing is left over by -1, not even of the smallest number, whose quotient leaves 64 bits.
            Self::Modulo if right == -1 => Some(0),
            Self::Modulo => {
                let rest = left.checked_rem(right)?;
                let wraps = rest != 0 && (rest < 0) != (right < 0);
                Some(if wraps { rest + right } else { rest })
            }
        }
    }
}

impl Expression {
    /// Reads an expression.
    ///
    /// # Errors
    /// At which column what was expected and what was found.
    pub fn read(text: &str) -> Result<Self, String> {
        if text.len() > MOST_BYTES {
            return Err(format!(
                "it has {} bytes; expected {MOST_BYTES} at most",
                text.len()
            ));
        }
        let mut reader = Reader {
            text,
            rest: text.char_indices().peekable(),
            depth: 0,
        };
        let whole = reader.sum()?;
        match reader.next() {
            None => Ok(whole),
            Some(_) => Err(reader.expected("an operator (+, -, *, / or %) or the end")),
        }
    }

    /// The value where the operands have these values: `None` where a division leaves something over or is by zero, and where a value
    /// leaves 64 bits.
    pub fn value(&self, operands: &[i64]) -> Option<i64> {
        match self {
            Self::Operand(index) => operands.get(*index).copied(),
            Self::Number(number) => Some(*number),
            Self::Negative(of) => of.value(operands)?.checked_neg(),
            Self::Joined(left, operator, right) => {
                operator.apply(left.value(operands)?, right.value(operands)?)
            }
        }
    }

    /// Calls `seen` with the index of every operand, in the order of the text.
    pub fn each_operand(&self, seen: &mut impl FnMut(usize)) {
        match self {
            Self::Operand(index) => seen(*index),
            Self::Number(_) => {}
            Self::Negative(of) => of.each_operand(seen),
            Self::Joined(left, _, right) => {
                left.each_operand(seen);
                right.each_operand(seen);
            }
        }
    }

    /// The terms of a sum that is written without brackets, each with its sign; `None` of every other expression, and where a value leaves
    /// 64 bits.
    pub fn terms(&self, operands: &[i64]) -> Option<Vec<i64>> {
        match self {
            Self::Joined(left, operator, right) if operator.adds() => {
                let mut terms = left.terms(operands)?;
                let term = right.term(operands)?;
                terms.push(match operator {
                    Operator::Minus => term.checked_neg()?,
                    _ => term,
                });
                Some(terms)
            }
            Self::Negative(of) => Some(vec![of.term(operands)?.checked_neg()?]),
            single => Some(vec![single.term(operands)?]),
        }
    }

    /// The value of a single operand or number.
    fn term(&self, operands: &[i64]) -> Option<i64> {
        match self {
            Self::Operand(_) | Self::Number(_) => self.value(operands),
            Self::Negative(_) | Self::Joined(..) => None,
        }
    }
}

/// What is still to be read.
struct Reader<'a> {
    text: &'a str,
    rest: Peekable<CharIndices<'a>>,
    /// Brackets and signs around what is read.
    depth: usize,
}

impl Reader<'_> {
    /// The next character that is no space.
    fn next(&mut self) -> Option<char> {
        while self
            .rest
            .next_if(|(_, c)| c.is_ascii_whitespace())
            .is_some()
        {}
        self.rest.peek().map(|&(_, c)| c)
    }

    /// The error that something else stands here.
    fn expected(&mut self, what: &str) -> String {
        let found = match self.next() {
            Some(c) => format!("{:?}", c.to_string()),
            None => "the end".to_owned(),
        };
        let at = self.rest.peek().map_or(self.text.len(), |&(at, _)| at);
        let column = 1 + self.text[..at].chars().count();
        format!("at column {column}: expected {what}, found {found}")
    }

    /// Terms with `+` and `-` between them.
    fn sum(&mut self) -> Result<Expression, String> {
        self.joined(Operator::adds, Self::product)
    }

    /// Factors with `*`, `/` and `%` between them.
    fn product(&mut self) -> Result<Expression, String> {
        self.joined(|operator| !operator.adds(), Self::factor)
    }

    /// Parts joined by some operators, from left to right.
    fn joined(
        &mut self,
        joins: fn(Operator) -> bool,
        part: fn(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        let mut left = part(self)?;
        while let Some(operator) = self.next().and_then(Operator::of).filter(|of| joins(*of)) {
            self.rest.next();
            let right = part(self)?;
            left = Expression::Joined(Box::new(left), operator, Box::new(right));
        }
        Ok(left)
    }

    /// An operand, a number, something in brackets, or a sign before one of these.
    fn factor(&mut self) -> Result<Expression, String> {
        match self.next() {
            Some(letter @ 'A'..='Z') => {
                self.rest.next();
                Ok(Expression::Operand(letter as usize - 'A' as usize))
            }
            Some('0'..='9') => self.number(),
            Some('-') => {
                let of = self.inside(Self::factor)?;
                Ok(Expression::Negative(Box::new(of)))
            }
            Some('(') => {
                let of = self.inside(Self::sum)?;
                match self.next() {
                    Some(')') => self.rest.next(),
                    _ => return Err(self.expected("an operator or \")\"")),
                };
                Ok(of)
            }
            _ => Err(self.expected("an operand (A to Z), a number or \"(\"")),
        }
    }

    /// What stands behind a bracket or a sign.
    fn inside(
        &mut self,
        part: fn(&mut Self) -> Result<Expression, String>,
    ) -> Result<Expression, String> {
        if self.depth == MOST_DEPTH {
            let most = format!("at most {MOST_DEPTH} brackets and signs inside each other");
            return Err(self.expected(&most));
        }
        self.rest.next();
        self.depth += 1;
        let of = part(self);
        self.depth -= 1;
        of
    }

    fn number(&mut self) -> Result<Expression, String> {
        let mut ahead = self.rest.clone();
        let mut digits = String::new();
        while let Some((_, digit)) = ahead.next_if(|(_, c)| c.is_ascii_digit()) {
            digits.push(digit);
        }
        match digits.parse() {
            Ok(number) if digits == i64::to_string(&number) => {
                self.rest = ahead;
                Ok(Expression::Number(number))
            }
            _ => Err(self.expected("a number below 2^63 without zeros before it")),
        }
    }
}
