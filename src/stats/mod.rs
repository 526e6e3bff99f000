//! Statistics of proportions and means: intervals, paired tests, many tests at once, how many prompts a claim takes. Pure
//! functions of numbers; nothing here knows what was measured.
//!
//! | question | function | source |
//! |---|---|---|
//! | how sure is a proportion? | [`Proportion::wilson`], [`Proportion::clopper_pearson`] | Wilson 1927; Clopper and Pearson 1934 |
//! | which of two methods is right more often on the same prompts? | [`mcnemar_greater`], [`mcnemar_two_sided`] | McNemar 1947, exact |
//! | how much more often, and how sure is that? | [`difference_bounds`] | Clopper and Pearson 1934, Bonferroni |
//! | which of many differences are there? | [`holm`] | Holm 1979 |
//! | how sure is a mean over prompts? | [`bootstrap`], [`bootstrap_paired`] | Efron 1979; Hesterberg 2015 |
//! | ... over prompts that share operands? | [`bootstrap_clustered`] | Field and Welsh 2007 |
//! | ... over prompts and drawn contexts? | [`bootstrap_two_level`] | Owen 2007 |
//! | what does a share over prompts that share operands say about other operands? | [`Clusters::share`], [`Evidence`] | Cameron, Gelbach and Miller 2011; Korn and Graubard 1998 |
//! | ... a mean, a difference of two methods? | [`Clusters::mean`], [`Clusters::difference`], [`Clusters::greater`] | Cameron, Gelbach and Miller 2011 |
//! | is a share less than a margin below a fixed one? | [`noninferiority`] | exact binomial test |
//! | how many prompts does a claim take? | [`pass_probability`], [`sample_size`], [`Needed`] | enumeration |

mod bootstrap;
mod clusters;
mod criterion;
mod design;
mod draws;
mod evidence;
mod inference;
mod multiple;
mod needed;
mod paired;
mod proportion;

pub use bootstrap::{
    Mean, RESAMPLES, bootstrap, bootstrap_clustered, bootstrap_paired, bootstrap_two_level,
};
pub use clusters::{Clusters, numbered};
pub use criterion::Criterion;
pub use design::{LEVEL, fails, least_passing, noninferiority, pass_probability, sample_size};
pub use draws::lower_over_contexts;
pub use evidence::{Design, Evidence};
pub use inference::Inference;
pub use multiple::holm;
pub use needed::{Needed, Worth};
pub use paired::{difference_bounds, discordant, mcnemar_greater, mcnemar_two_sided};
pub use proportion::Proportion;
