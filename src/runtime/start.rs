//! Starting the runtime for devices.

use super::{Device, Placement, Runtime, probe};
use crate::Result;
use crate::fetch::Cache;

/// Starts the runtime and checks that the devices of a placement run; fetches what is not here if `fetch` says so.
///
/// # Errors
/// A library or a plugin that is not there or cannot be fetched; a device that does not run, and what to do.
pub fn start(
    mut placement: Placement,
    threads: usize,
    fetch: bool,
) -> Result<(&'static Runtime, Placement)> {
    let cache = Cache::of_user()?;
    placement.check_options()?;
    let library = placement.library(&cache, fetch)?;
    let memory = placement.memory.filter(|_| placement.device == Device::Cpu);
    let runtime = Runtime::start_within(&library, threads, memory)?;
    placement.find_plugin(runtime, &cache, fetch)?;
    for one in placement.each() {
        if one.device != Device::Cpu {
            probe(runtime, &one)?;
        }
    }
    Ok((runtime, placement))
}
