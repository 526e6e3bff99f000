//! What a model answers on a template under plans, in two passes: the first estimates the means ([`prepare`]), the second runs the plans
//! ([`Evaluation::sweep`]) and returns their cells. Nothing here chooses plans, formats or stores results.

mod agreement;
mod apart;
mod attention;
mod biases;
mod captured;
mod cell;
mod comparison;
mod compiled;
mod disjoint;
mod estimate;
mod evaluation;
mod forward;
mod front;
mod nest;
mod outputs;
mod prefix;
mod preflight;
mod request;
mod rows;
mod scores;
mod shared;
mod split;
mod streams;
mod sweep;
mod tables;
mod tree;

pub use agreement::Difference;
pub use apart::apart;
pub use attention::{Attended, attention};
pub use biases::Biases;
pub use cell::Cell;
pub use comparison::{Compared, Comparison, with_references};
pub use compiled::same_up_to;
pub use disjoint::Disjoint;
pub use evaluation::{Asked, Evaluation, prepare, prepare_steps};
pub use forward::{base_forward, last_attention};
pub use front::{Fronts, fronts};
pub use preflight::{CHECKS, preflight};
pub use request::{Draw, Part, Request, Way, boundaries};
pub use scores::first_maximum;
pub use sweep::{Evaluated, evaluate};
pub use tables::Tables;
