//! Studies: a model, its prompts, and the experiments that are run on them, recorded, resumed and shared out. The command line, the gate
//! and the tests all call this.

mod batch;
mod cost;
mod destinations;
mod draw;
mod identity;
mod numbers;
mod prompts;
mod provenance;
mod reach;
mod request;
mod run;
mod shard;
mod steps;
mod sweep;

pub use batch::BatchSize;
pub use cost::{Cost, TemplateCost};
pub use numbers::{AskedNumbers, Because};
pub use prompts::{TemplatePrompts, build_all};
pub use reach::{out_of_reach, values};
pub use request::{Asked, Method, Request, selection};
pub use run::{Study, Swept};
pub use shard::Shard;
