//! How far two computations of the same numbers are apart.

/// The largest difference of two tensors of the same shape, relative to the largest absolute value of `expected`; infinite where
/// one of the two is NaN or infinite, which is close to nothing.
pub fn apart<'a>(
    found: impl IntoIterator<Item = &'a f32>,
    expected: impl IntoIterator<Item = &'a f32>,
) -> f32 {
    let (mut most, mut largest) = (0.0f32, f32::MIN_POSITIVE);
    for (a, b) in found.into_iter().zip(expected) {
        let difference = (a - b).abs();
        if !difference.is_finite() {
            return f32::INFINITY;
        }
        most = most.max(difference);
        largest = largest.max(b.abs());
    }
    most / largest
}

#[cfg(test)]
mod tests {
    use super::apart;

    #[test]
    fn relative_to_the_largest_value() {
        assert_eq!(apart(&[1.0, -3.0], &[1.0, -4.0]), 0.25);
        assert_eq!(apart(&[0.0], &[0.0]), 0.0);
        assert_eq!(apart(&[f32::NAN], &[1.0]), f32::INFINITY);
        assert_eq!(apart(&[1.0], &[f32::NAN]), f32::INFINITY);
        assert_eq!(apart(&[1.0], &[f32::INFINITY]), f32::INFINITY);
    }
}
