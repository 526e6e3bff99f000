//! Many tests at once.

/// Holm's step-down adjustment (Holm 1979): a test whose adjusted p is at most the level is significant, and the chance
/// that any such test is a false alarm is at most the level, however the tests depend on each other. In the order given.
pub fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]));
    let mut adjusted = vec![0.0; p.len()];
    let mut most = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        // Monotone: no test is more significant than one with a smaller p.
        most = most.max((p.len() - rank) as f64 * p[i]).min(1.0);
        adjusted[i] = most;
    }
    adjusted
}

#[cfg(test)]
mod tests {
    use super::holm;

    #[test]
    fn nothing_to_adjust() {
        assert!(holm(&[]).is_empty());
        assert_eq!(holm(&[0.03]), [0.03]);
    }
}
