//! Getting files that the project does not carry: the cache folder, its entries, `pip download` and the Hugging Face hub. What is fetched
//! and why is decided elsewhere ([`crate::model`], [`crate::runtime`]).

mod beside;
mod cache;
mod held;
mod hub;
mod hub_file;
mod items;
mod origin;
mod pip;
mod setup;
mod transfer;
mod wheels;

pub use beside::PythonEnvironment;
pub use cache::{Cache, Entry, Staging, VARIABLE};
pub use hub::HubModel;
pub use hub_file::HubFile;
pub use items::{CacheItem, Removal, State};
pub use origin::{Origin, RemoteFile};
pub use pip::{Wheel, pip, python};
pub use setup::Hub;
pub use wheels::Pieces;
