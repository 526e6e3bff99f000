//! `af1 fetch`: puts the ONNX Runtime library and the built-in model into the cache.

use clap::Args;

use super::output::print;
use crate::Result;
use crate::fetch::Cache;
use crate::model::{BosChoice, Model, PRESETS};
use crate::runtime::{Device, Library, Placement, Runtime, default_threads};

#[derive(Args, Clone, Debug)]
pub struct Fetch {
    /// The built-in model to fetch
    #[arg(long, value_name = "NAME", default_value = PRESETS[0].name)]
    model: String,
    /// The device whose library to fetch
    #[arg(long, default_value = "cpu")]
    device: Device,
    /// Fetch again what is in the cache already
    #[arg(long)]
    force: bool,
}

impl Fetch {
    pub fn run(self) -> Result<()> {
        let cache = Cache::of_user()?;
        let mut placement = Placement::from(&self.device);
        let library = if self.force {
            Model::fetch_again(&self.model, &cache)?;
            placement.fetch_plugin(&cache)?;
            Library::fetch(&cache, &self.device, true)?
        } else {
            Library::find_or_fetch(&cache, &self.device)?
        };
        print(&format!(
            "ONNX Runtime: {} ({})\n",
            library.path.display(),
            library.source
        ))?;
        let runtime = Runtime::start(&library, default_threads())?;
        placement.find_plugin(runtime, &cache, true)?;
        if let Some(plugin) = &placement.provider_library {
            print(&format!("{}: {}\n", self.device, plugin.display()))?;
        }
        let model = Model::load(&self.model, &BosChoice::Default, &cache)?;
        let folder = model.folder().display();
        print(&format!(
            "{}: {folder} (SHA-256 of the source {})\n",
            model.name, model.hash
        ))
    }
}
