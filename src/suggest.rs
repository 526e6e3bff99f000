//! What a word that is no known name was meant to be.

/// How alike two words are that one may be mistaken for the other: as much as clap asks of options.
const ALIKE: f64 = 0.7;

/// `; did you mean "..."?` with the name that is most like a word, or nothing.
pub(crate) fn did_you_mean<'n>(word: &str, names: impl IntoIterator<Item = &'n str>) -> String {
    let alike = |name: &'n str| (strsim::jaro_winkler(word, name), name);
    let most = names
        .into_iter()
        .map(alike)
        .max_by(|a, b| a.0.total_cmp(&b.0));
    match most {
        Some((alike, name)) if alike >= ALIKE => format!("; did you mean {name:?}?"),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_alike_is_meant_and_nothing_that_is_not() {
        let names = ["symbolic", "calculate", "cama"];
        assert_eq!(
            did_you_mean("calculat", names),
            "; did you mean \"calculate\"?"
        );
        assert_eq!(did_you_mean("zzz", names), "");
        assert_eq!(did_you_mean("x", []), "");
    }
}
