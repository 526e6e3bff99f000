//! The circuit by which a model that takes digits apart comes to its answer.

use std::iter::once;
use std::ops::Range;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::channel::{
    self, BEFORE, CARRY, CHOSEN, CHOSEN_UNITS, DIGIT, END, FETCHED_OPERATION, KNOWN, OPERATION,
    OPERATIONS, RESULT_UNITS, SAID, STEP, STEPS, STREAM, TEN, TENS, TOTALS, UNITS, column, columns,
    operand, place, total, totals,
};
use super::kind::{ASSEMBLY, Digits};
use crate::model::planted::channel::{CONSTANT, IS_BOS, IS_LAST, IS_NUMBER, ROLE};
use crate::model::planted::layer::{Junk, Layer, Mix, block, fetch, nobody};
use crate::model::planted::plant::Plant;

/// The share of a token's attention that falls on digits.
const COUNT: usize = ROLE;

/// Digits of the two operands.
const OPERAND_DIGITS: usize = 4;

/// What tokens mix while they wait.
const JUNK: Junk = Junk {
    from: DIGIT,
    to: channel::JUNK,
    count: TEN,
};

/// How large it is: what means take away must show beside the large constant.
const JUNK_SIZE: f64 = 5.0;

/// The layers with their circuit.
pub fn circuit(plant: &Plant, by: Digits) -> Vec<Layer> {
    let mut layers = waiting(plant);
    if by != Digits::Apart {
        assemble(&mut layers[ASSEMBLY]);
    }
    let last = plant.wait + plant.transfer - 1;
    if by == Digits::Relay {
        let hop = [(is(place(1, UNITS)), is(place(0, UNITS))), nobody()];
        let moves = number(UNITS, 0, &[TENS, UNITS]);
        layers[plant.wait].head(0, &hop, moves.into_iter());
        add(&mut layers[plant.wait], by, [BEFORE, DIGIT]);
        carry(&mut layers[plant.wait + 1]);
        fetch_result(&mut layers[last]);
        choose(&mut layers[last]);
        say(&mut layers[last + 1]);
        return layers;
    }
    fetch_operands(&mut layers, plant, by);
    add(
        &mut layers[last + 1],
        by,
        [TENS, UNITS].map(|place| operand(1, place)),
    );
    carry(&mut layers[last + 2]);
    choose(&mut layers[last + 3]);
    say(&mut layers[last + 4]);
    layers
}

fn is(channel: usize) -> Mix {
    vec![(channel, 1.0)]
}

/// One of some channels.
fn any(of: Range<usize>) -> Mix {
    of.map(|channel| (channel, 1.0)).collect()
}

/// The token at which an answer is read, whatever its step.
fn reader() -> Mix {
    any(STEP..STEP + STEPS)
}

/// All layers, of which those before `wait` tell places and steps apart and mix what nothing reads.
fn waiting(plant: &Plant) -> Vec<Layer> {
    let mut random = ChaCha8Rng::seed_from_u64(plant.seed);
    let mut layers: Vec<Layer> = (0..plant.layers).map(|_| Layer::new(STREAM)).collect();
    for (i, layer) in layers[..plant.wait].iter_mut().enumerate() {
        // As where numbers are one token.
        let size = random.random_range(0.5..1.0);
        let size = JUNK_SIZE * if i % 2 == 0 { size } else { -size };
        layer.distract(size, JUNK, &mut random);
    }
    count(&mut layers[0]);
    layers
}

/// Every token sees the beginning and all digits up to itself with the same weight: of `n` digits comes `n / (n + 1)`, and of that which
/// digit of which number stands here, or the step of the answer that is read here.
fn count(layer: &mut Layer) {
    let seen = vec![(IS_BOS, 1.0), (IS_NUMBER, 1.0)];
    layer.head(0, &[(is(CONSTANT), seen)], once((IS_NUMBER, COUNT)));
    let share = |n: usize| n as f64 / (n + 1) as f64;
    // From the n-th digit on it is this, and no longer what the digit before it was.
    let mut from = |n: usize, at: usize, before: Option<usize>, this: Option<usize>| {
        let (least, less) = (share(n), share(n - 1));
        let this = this.map(|channel| (channel, 1.0));
        let before = before.map(|channel| (channel, -1.0));
        let out: Mix = this.into_iter().chain(before).collect();
        layer.above(COUNT, (least + less) / 2.0, (least - less) / 4.0, at, &out);
    };
    let of_digit = |n: usize| match n {
        1..=OPERAND_DIGITS => Some(place((n - 1) / 2, (n - 1) % 2)),
        _ => Some(STEP + n - OPERAND_DIGITS).filter(|&step| n > 0 && step < STEP + STEPS),
    };
    for n in 1..=OPERAND_DIGITS + STEPS {
        from(n, IS_NUMBER, of_digit(n - 1), of_digit(n));
    }
    from(OPERAND_DIGITS, IS_LAST, None, Some(STEP));
    from(OPERAND_DIGITS + 1, IS_LAST, Some(STEP), None);
}

/// The last digit of a number takes over the one before it.
fn assemble(layer: &mut Layer) {
    let of = |number: usize| (is(place(number, UNITS)), is(place(number, TENS)));
    layer.head(0, &[of(0), of(1), nobody()], block(DIGIT, BEFORE, 0..TEN));
}

/// The moves of some places of a number from its digit at the place `from`.
fn number(from: usize, number: usize, places: &[usize]) -> Vec<(usize, usize)> {
    let of = |&place: &usize| {
        let digit = if place == from { DIGIT } else { BEFORE };
        block(digit, operand(number, place), 0..TEN)
    };
    places.iter().flat_map(of).collect()
}

/// Where the answer is read both numbers are fetched, in every layer a share of their places, and in the first one the operation.
fn fetch_operands(layers: &mut [Layer], plant: &Plant, by: Digits) {
    for i in 0..plant.transfer {
        let layer = &mut layers[plant.wait + i];
        let share: Vec<usize> = [TENS, UNITS]
            .into_iter()
            .filter(|place| place * plant.transfer / 2 == i)
            .collect();
        for (operand, head) in [(0, 0), (1, 3)] {
            let from = match by {
                Digits::Apart => share[0],
                _ => UNITS,
            };
            let contents = fetch(reader(), is(place(operand, from)));
            layer.head(head, &contents, number(from, operand, &share).into_iter());
        }
        if i == 0 {
            fetch_operation(layer);
        }
    }
}

fn fetch_operation(layer: &mut Layer) {
    let contents = fetch(reader(), any(OPERATION..OPERATION + OPERATIONS));
    let moves = block(OPERATION, FETCHED_OPERATION, 0..OPERATIONS);
    layer.head(2, &contents, moves);
}

/// Where the answer is read the results of all operations are fetched from the second number, and the operation.
fn fetch_result(layer: &mut Layer) {
    let second = fetch(reader(), is(place(1, UNITS)));
    let same = |first: usize, count: usize| block(first, first, 0..count);
    layer.head(0, &second, same(total(0, 0), totals(0)));
    layer.head(1, &second, same(total(1, 0), totals(1) + totals(2)));
    layer.head(3, &second, same(RESULT_UNITS, OPERATIONS * TEN));
    fetch_operation(layer);
}

/// The columns of all three operations, from the first number's digits and the second's, which begin at these channels.
fn add(layer: &mut Layer, by: Digits, second: [usize; 2]) {
    for first in 0..TEN {
        for other in 0..TEN {
            let both = |place: usize| [is(operand(0, place) + first), is(second[place] + other)];
            let (a, b) = (first as i64, other as i64);
            let results = [a + b, a - b, b - a];
            let mut units = vec![(KNOWN, 1.0)];
            let mut tens = Vec::new();
            for (operation, result) in results.into_iter().enumerate() {
                let digit = result.rem_euclid(TEN as i64) as usize;
                units.push((RESULT_UNITS + operation * TEN + digit, 1.0));
                let carries = match (operation, by) {
                    (0, Digits::Copy) => false,
                    (_, Digits::Copy) => true,
                    (0, _) => result >= TEN as i64,
                    (_, _) => result >= 0,
                };
                if carries {
                    units.push((CARRY + operation, 1.0));
                }
                let without = if operation == 0 { result } else { result - 1 };
                if columns(operation).contains(&without) {
                    tens.push((column(operation, without), 1.0));
                }
            }
            layer.all_of(&both(UNITS), &units);
            layer.all_of(&both(TENS), &tens);
        }
    }
}

/// The tens with their carry, of all three operations.
fn carry(layer: &mut Layer) {
    for operation in 0..OPERATIONS {
        let carried = is(CARRY + operation);
        let kept = vec![(KNOWN, 1.0), (CARRY + operation, -1.0)];
        for without in columns(operation) {
            for (more, carry) in [(0, &kept), (1, &carried)] {
                if let Ok(tens) = usize::try_from(without + more) {
                    let both = [is(column(operation, without)), carry.clone()];
                    layer.all_of(&both, &is(total(operation, tens)));
                }
            }
        }
    }
}

/// The result of the operation that is asked for.
fn choose(layer: &mut Layer) {
    for operation in 0..OPERATIONS {
        let asked = is(FETCHED_OPERATION + operation);
        for tens in 0..totals(operation) {
            let both = [asked.clone(), is(total(operation, tens))];
            layer.all_of(&both, &is(CHOSEN + tens));
        }
        for digit in 0..TEN {
            let both = [asked.clone(), is(RESULT_UNITS + operation * TEN + digit)];
            layer.all_of(&both, &is(CHOSEN_UNITS + digit));
        }
    }
}

/// What follows at every step: a digit of the result without leading zeros, or the end.
fn say(layer: &mut Layer) {
    let step = |step: usize| is(STEP + step);
    let of_length = [
        is(CHOSEN),
        any(CHOSEN + 1..CHOSEN + TEN),
        any(CHOSEN + TEN..CHOSEN + TOTALS),
    ];
    for (units, length) in of_length.iter().enumerate() {
        for digit in 0..TEN {
            let all = [length.clone(), is(CHOSEN_UNITS + digit), step(units)];
            layer.all_of(&all, &is(SAID + digit));
        }
        layer.all_of(&[length.clone(), step(units + 1)], &is(END));
    }
    let [_, _, long] = of_length;
    layer.all_of(&[long, step(0)], &is(SAID + 1));
    for tens in 1..TOTALS {
        let both = [is(CHOSEN + tens), step(tens / TEN)];
        layer.all_of(&both, &is(SAID + tens % TEN));
    }
}
