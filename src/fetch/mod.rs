//! Getting files that the project does not carry: the cache folder, its entries, and `pip download`. What is fetched
//! and why is decided elsewhere ([`crate::model`], [`crate::runtime`]).

mod cache;
mod hub;
mod pip;

pub use cache::{Cache, Entry, Staging, VARIABLE};
pub use hub::HubModel;
pub use pip::{Wheel, pip, python};
