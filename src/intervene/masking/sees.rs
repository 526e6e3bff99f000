//! ABP with a view of chosen positions: in the transfer layers the last token sees these, itself, and position 0 as ever.

use std::collections::BTreeSet;

use super::Masking;

/// The positions that the last token sees beside its own and position 0.
pub struct Sees(BTreeSet<usize>);

/// What a name begins with.
const NAME: &str = "sees-";

/// No prompt has more positions.
const MOST: usize = 100_000;

/// The name of the technique under which the last token sees these positions: `sees-1+3`, and `sees-0` where there are none.
pub fn name(positions: impl IntoIterator<Item = usize>) -> String {
    let positions: BTreeSet<usize> = positions.into_iter().filter(|&at| at > 0).collect();
    let words: Vec<String> = positions.iter().map(usize::to_string).collect();
    match words.is_empty() {
        true => format!("{NAME}0"),
        false => NAME.to_owned() + &words.join("+"),
    }
}

impl Masking for Sees {
    fn name(&self) -> String {
        name(self.0.iter().copied())
    }

    fn help(&self) -> &'static str {
        "As abp, but in the transfer layers the last token sees these positions only"
    }

    fn peek(&self, k: usize, pos: usize) -> bool {
        k == 0 || k + 1 == pos || self.0.contains(&k)
    }

    fn size(&self) -> usize {
        // Sets in the order of their largest positions, where these are few.
        let places = self.0.iter().filter(|&&at| at < usize::BITS as usize);
        places.fold(0, |size, &at| size | 1 << at)
    }
}

/// The one of that name.
pub(super) fn named(text: &str) -> Option<&'static dyn Masking> {
    let numbers = text.strip_prefix(NAME)?.split('+');
    let positions: Option<BTreeSet<usize>> = numbers.map(|number| number.parse().ok()).collect();
    let mut positions = positions.filter(|all| all.iter().all(|&at| at < MOST))?;
    positions.remove(&0);
    // One value a set of positions that is named; another spelling of it is no name.
    let found = Sees(positions);
    (found.name() == text).then(|| &*Box::leak(Box::new(found)) as &dyn Masking)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_that_no_prompt_has_are_no_name() {
        assert!(named("sees-99999").is_some());
        assert!(named("sees-100000").is_none());
    }

    /// Far positions are one beside each other: only near ones have a place of their own in the order.
    #[test]
    fn near_positions_make_the_order() {
        let size = |positions: &[usize]| Sees(positions.iter().copied().collect()).size();
        assert_eq!(size(&[1, 3]), 0b1010);
        assert_eq!(size(&[63]), 1 << 63);
        assert_eq!(size(&[1, 64]), 0b10);
    }
}
