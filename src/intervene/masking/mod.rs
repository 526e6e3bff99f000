//! What keeps tokens from looking at each other where AF1 says that they wait, compute alone or peek: attention-based
//! peeking (paper, section 3) and its alternatives, one file each.
//!
//! To add one, write a file with a type that implements [`Masking`] and name it in the list below.

use std::hash::{Hash, Hasher};

mod sees;
mod view;

pub use sees::name as sees;
pub use view::{BLOCKED, Mask};

macro_rules! list {
    ($($module:ident :: [$($value:expr),+ $(,)?]),* $(,)?) => {
        $(mod $module;)*
        /// All of them, the default first.
        pub const ALL: &[&dyn Masking] = &[$($({ use $module::*; &$value }),+),*];
    };
}

list! {
    abp::[Abp],
    no_sink::[NoSink],
    // Of `A+B=`, the last two tokens are the second operand and `=`: the first operand is out of sight. Ten tokens are what the
    // authors' demo lets the last one see (`make_ABP_hook(10)`).
    window::[Window(2), Window(10)],
    value_zero::[ValueZero],
    attention_mean::[AttentionMean],
}

/// A way of keeping tokens from looking at each other.
pub trait Masking: Sync {
    /// The name of the masking, on the command line and in records.
    fn name(&self) -> String;

    /// What is seen, in a line.
    fn help(&self) -> &'static str;

    /// Whether a query at position `q` that is alone sees the key at position `k <= q`.
    fn alone(&self, q: usize, k: usize) -> bool {
        k == q || k == 0
    }

    /// Whether the last query of a prompt of `pos` tokens sees the key at position `k` in a transfer layer.
    fn peek(&self, _k: usize, _pos: usize) -> bool {
        true
    }

    /// Whether every query sees position 0.
    fn keeps_sink(&self) -> bool {
        true
    }

    /// How what is not seen is taken away.
    fn cut(&self) -> Cut {
        Cut::Scores
    }

    /// What tells it from others of its kind: `5` of `window-5`.
    fn size(&self) -> usize {
        0
    }
}

/// Where in the attention of a layer something is taken away.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cut {
    /// Before softmax: what is not seen has no weight, the rest has all of it.
    Scores,
    /// After softmax: what is not seen keeps its weight, and its value is zero.
    Values,
    /// The output of a head at a query that does not see everything is its mean over prompts.
    Outputs,
}

/// A [`Masking`] as a value: equal to those of its name.
#[derive(Clone, Copy)]
pub struct MaskedBy(pub &'static dyn Masking);

impl MaskedBy {
    /// Attention-based peeking.
    pub const ABP: Self = Self(&abp::Abp);

    /// The one of that name: of [`ALL`], a window of another size, or `sees-1+3`, under which the last token sees these positions.
    pub fn named(name: &str) -> Option<Self> {
        let known = ALL.iter().find(|masking| masking.name() == name).copied();
        let found = known.or_else(|| window::named(name));
        found.or_else(|| sees::named(name)).map(Self)
    }

    /// Where it stands among all: by the place of its kind in the list, those that are in no list last, then by its size.
    pub fn order(&self) -> [usize; 2] {
        let name = self.name();
        let kind = |name: &str| match name.rsplit_once('-') {
            Some((kind, size)) if size.parse::<usize>().is_ok() => kind.to_owned(),
            _ => name.to_owned(),
        };
        let mut all = ALL.iter();
        let place = all.position(|known| kind(&known.name()) == kind(&name));
        [place.unwrap_or(ALL.len()), self.0.size()]
    }

    /// The name of the masking.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// Whether it changes what attention has computed, not the scores.
    pub fn cuts_attention(&self) -> bool {
        self.0.cut() != Cut::Scores
    }
}

impl Default for MaskedBy {
    fn default() -> Self {
        Self::ABP
    }
}

impl std::fmt::Debug for MaskedBy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl PartialEq for MaskedBy {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for MaskedBy {}

impl Hash for MaskedBy {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.name().hash(state);
    }
}

/// The names of [`ALL`].
pub fn names() -> Vec<String> {
    ALL.iter().map(|masking| masking.name()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What each says of itself: whether position 0 is seen, and how the rest is taken away.
    #[test]
    fn maskings_say_what_they_are() {
        let expected = [
            ("abp", true, Cut::Scores, false),
            ("no-sink", false, Cut::Scores, false),
            ("window-2", true, Cut::Scores, false),
            ("window-10", true, Cut::Scores, false),
            ("value-zero", true, Cut::Values, true),
            ("attention-mean", true, Cut::Outputs, true),
        ];
        let found: Vec<(String, bool, Cut, bool)> = (ALL.iter())
            .map(|of| {
                let cuts = MaskedBy(*of).cuts_attention();
                (of.name(), of.keeps_sink(), of.cut(), cuts)
            })
            .collect();
        let expected = expected.map(|(name, sink, cut, cuts)| (name.to_owned(), sink, cut, cuts));
        assert_eq!(found, expected);
        assert_eq!(names(), expected.map(|of| of.0));
    }

    #[test]
    fn a_window_is_the_last_tokens_and_the_first() {
        let window = MaskedBy::named("window-3").unwrap();
        let seen: Vec<usize> = (0..8).filter(|&k| window.0.peek(k, 8)).collect();
        assert_eq!(seen, [0, 5, 6, 7]);
    }

    #[test]
    fn chosen_positions_are_seen_and_nothing_else() {
        let seen = |name: &str| -> Vec<usize> {
            let by = MaskedBy::named(name).unwrap();
            assert_eq!(by.name(), name);
            (0..6).filter(|&k| by.0.peek(k, 6)).collect()
        };
        assert_eq!(seen(&sees([3, 1])), [0, 1, 3, 5]);
        assert_eq!(seen(&sees([])), [0, 5]);
        assert_eq!(sees([0, 2]), "sees-2");
        let order = |name: &str| MaskedBy::named(name).unwrap().order();
        assert!(order("sees-1") < order("sees-2") && order("sees-2") < order("sees-1+2"));
        assert!(order("window-2") < order("window-10") && order("window-10") < order("sees-0"));
    }

    /// Two techniques are the same if they have the same name, wherever they come from.
    #[test]
    fn a_technique_is_its_name() {
        let [one, again, other] = ["window-7", "window-7", "window-8"].map(MaskedBy::named);
        assert_eq!(one, again);
        assert_ne!(one, other);
        let hash = |technique: Option<MaskedBy>| {
            let mut state = std::hash::DefaultHasher::new();
            technique.hash(&mut state);
            state.finish()
        };
        assert_eq!(hash(one), hash(again));
        assert_ne!(hash(one), hash(other));
        assert_eq!(format!("{:?}", one.unwrap()), "window-7");
        assert_eq!(MaskedBy::default(), MaskedBy::ABP);
        assert_eq!(MaskedBy::ABP.name(), "abp");
    }

    #[test]
    fn names_find_their_own() {
        for name in names() {
            assert_eq!(MaskedBy::named(&name).unwrap().name(), name);
        }
        assert_eq!(MaskedBy::named("window-7").unwrap().name(), "window-7");
        for unknown in [
            "window",
            "window-x",
            "window-0",
            "window-07",
            "abp-2",
            "sees-",
            "sees-3+1",
            "sees-1+1",
            "sees-x",
            "",
        ] {
            assert!(MaskedBy::named(unknown).is_none(), "{unknown}");
        }
    }
}
