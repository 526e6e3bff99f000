//! Numbers as they are read.

/// The share that is told of so many trials, with the interval that the record has.
pub fn proportion(successes: usize, trials: usize, (low, high): (f64, f64)) -> String {
    if trials == 0 {
        return "none to keep".to_owned();
    }
    let of = |x: f64| share(x, trials);
    let value = of(successes as f64 / trials as f64);
    format!("{successes}/{trials} {value} [{}, {}]", of(low), of(high))
}

/// A share of so many trials without its zero, which says nothing: `.84`, `1.00`. From 200 trials on it has a third
/// decimal, because an interval is then too narrow for two.
pub fn share(value: f64, trials: usize) -> String {
    let decimals = if trials < 200 { 2 } else { 3 };
    let text = format!("{value:.decimals$}");
    match text.strip_prefix('0') {
        Some(decimals) => decimals.to_owned(),
        None => text,
    }
}

/// A difference with its sign, but for none.
pub fn signed(x: f64) -> String {
    let text = format!("{x:+.2}");
    match text.as_str() {
        "+0.00" | "-0.00" => "0.00".to_owned(),
        _ => text,
    }
}

/// A p value: three digits, or a bound.
pub fn p_value(p: f64) -> String {
    match p {
        p if p < 0.001 => "<.001".to_owned(),
        p => format!("{p:.3}"),
    }
}

/// A value with its interval, where that is known.
pub fn interval(
    text: impl Fn(f64) -> String,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
) -> String {
    match (low, high) {
        (Some(low), Some(high)) => format!("{} [{}, {}]", text(value), text(low), text(high)),
        _ => text(value),
    }
}
