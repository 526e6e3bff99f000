//! What keeps tokens from looking at each other where AF1 says that they wait, compute alone or peek: attention-based
//! peeking (paper, section 3) and its alternatives, one file each.
//!
//! To add one, write a file with a type that implements [`Masking`] and name it in the list below.

use std::hash::{Hash, Hasher};

mod view;

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
    /// Its name, on the command line and in records.
    fn name(&self) -> String;

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

    /// The same with another size, where it has one: `window-5`.
    fn sized(&self, _size: usize) -> Option<&'static dyn Masking> {
        None
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
pub struct Technique(pub &'static dyn Masking);

impl Technique {
    /// Attention-based peeking.
    pub const ABP: Self = Self(&abp::Abp);

    /// The one of that name: of [`ALL`], or one of these in another size.
    pub fn named(name: &str) -> Option<Self> {
        let known = ALL.iter().find(|masking| masking.name() == name);
        let sized = || {
            let (family, size) = name.rsplit_once('-')?;
            let size: usize = size.parse().ok()?;
            let of_family = |masking: &&&dyn Masking| {
                masking
                    .name()
                    .rsplit_once('-')
                    .is_some_and(|(f, _)| f == family)
            };
            ALL.iter().find(of_family)?.sized(size)
        };
        known.copied().or_else(sized).map(Self)
    }

    /// Where it stands among all: by the place of its kind in the list, then by its size, where it has one.
    pub fn order(&self) -> [usize; 2] {
        let name = self.name();
        let (kind, size) = match name
            .rsplit_once('-')
            .map(|(kind, size)| (kind, size.parse()))
        {
            Some((kind, Ok(size))) => (kind, size),
            _ => (&*name, 0),
        };
        let mut all = ALL.iter();
        let place = all.position(|known| {
            known
                .name()
                .strip_prefix(kind)
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
        });
        [place.unwrap_or(ALL.len()), size]
    }

    /// Its name.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// Whether it changes what attention has computed, not the scores.
    pub fn cuts_attention(&self) -> bool {
        self.0.cut() != Cut::Scores
    }
}

impl Default for Technique {
    fn default() -> Self {
        Self::ABP
    }
}

impl std::fmt::Debug for Technique {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name())
    }
}

impl PartialEq for Technique {
    fn eq(&self, other: &Self) -> bool {
        self.name() == other.name()
    }
}

impl Eq for Technique {}

impl Hash for Technique {
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
                let cuts = Technique(*of).cuts_attention();
                (of.name(), of.keeps_sink(), of.cut(), cuts)
            })
            .collect();
        let expected = expected.map(|(name, sink, cut, cuts)| (name.to_owned(), sink, cut, cuts));
        assert_eq!(found, expected);
        assert_eq!(names(), expected.map(|of| of.0));
    }

    #[test]
    fn a_window_is_the_last_tokens_and_the_first() {
        let window = Technique::named("window-3").unwrap();
        let seen: Vec<usize> = (0..8).filter(|&k| window.0.peek(k, 8)).collect();
        assert_eq!(seen, [0, 5, 6, 7]);
    }

    /// Two techniques are the same if they have the same name, wherever they come from.
    #[test]
    fn a_technique_is_its_name() {
        let [one, again, other] = ["window-7", "window-7", "window-8"].map(Technique::named);
        assert_eq!(one, again);
        assert_ne!(one, other);
        let hash = |technique: Option<Technique>| {
            let mut state = std::hash::DefaultHasher::new();
            technique.hash(&mut state);
            state.finish()
        };
        assert_eq!(hash(one), hash(again));
        assert_ne!(hash(one), hash(other));
        assert_eq!(format!("{:?}", one.unwrap()), "window-7");
        assert_eq!(Technique::default(), Technique::ABP);
        assert_eq!(Technique::ABP.name(), "abp");
    }

    #[test]
    fn names_find_their_own() {
        for name in names() {
            assert_eq!(Technique::named(&name).unwrap().name(), name);
        }
        assert_eq!(Technique::named("window-7").unwrap().name(), "window-7");
        for unknown in ["window", "window-x", "window-0", "abp-2", ""] {
            assert!(Technique::named(unknown).is_none(), "{unknown}");
        }
    }
}
