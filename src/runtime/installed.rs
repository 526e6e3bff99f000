//! The libraries that a placement needs, from where they are, or fetched.

use super::library::beside;
use super::package::Package;
use super::{Library, Placement, Runtime};
use crate::fetch::Cache;
use crate::{Error, Result};

/// What to do where no plugin can be fetched.
const NO_PLUGIN: &str = "give the provider's library with --provider-library";

impl Placement {
    /// Names the plugin that the device needs and nobody has named, from the cache, or fetched where `fetch` says so. Only once the
    /// runtime is started: its library may have the provider built in.
    ///
    /// # Errors
    /// A plugin that is not there and is not to be fetched; a platform without a wheel; a fetch that fails.
    pub fn find_plugin(&mut self, _started: &Runtime, cache: &Cache, fetch: bool) -> Result<()> {
        let device = self.accelerator().clone();
        let alone = Self {
            device: device.clone(),
            ..self.clone()
        };
        let needed = self.provider_library.is_none() && alone.by_plugin();
        if let Some(package) = device.plugin().filter(|_| needed) {
            let found = match beside(package) {
                Some(path) => Some(path),
                None => package.find(cache)?,
            };
            let path = match found {
                Some(path) => path,
                None if fetch => package.fetch(cache, false, NO_PLUGIN)?,
                None => return Err(alone.not_here(package)),
            };
            self.provider_library = Some(path);
        }
        Ok(())
    }

    /// The runtime's library for the device, from where it is, or fetched where `fetch` says so.
    ///
    /// # Errors
    /// As [`Library::find_or_fetch`]; a library that is not there and is not to be fetched.
    pub fn library(&self, cache: &Cache, fetch: bool) -> Result<Library> {
        let device = self.accelerator();
        match Library::find(cache, device)? {
            Some(library) => Ok(library),
            None if fetch => Library::fetch(cache, device, false),
            None => Err(self.not_here(device.package())),
        }
    }

    fn not_here(&self, package: &Package) -> Error {
        Error::Device {
            device: self.to_string(),
            reason: format!("its library is not here: {}", package.name()),
            remedy: format!("run `af1 fetch --device {}`", self.accelerator()),
        }
    }

    /// Fetches the plugin that the device needs anew.
    ///
    /// # Errors
    /// A platform without a wheel; a fetch that fails.
    pub fn fetch_plugin(&self, cache: &Cache) -> Result<()> {
        if let Some(package) = self.device.plugin() {
            package.fetch(cache, true, NO_PLUGIN)?;
        }
        Ok(())
    }
}
