//! The hub as the user has set it up.

use std::path::PathBuf;

use hf_hub::Cache;
use hf_hub::api::sync::{Api, ApiBuilder};

use crate::{Error, Result};

/// The hub as the user has set it up, by the variables that all its clients share.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The address of the hub (`HF_ENDPOINT`).
    pub endpoint: String,
    /// The folder in which its clients keep what they fetch (`HF_HUB_CACHE`, or `hub` in `HF_HOME`).
    pub cache: PathBuf,
    /// Who asks (`HF_TOKEN`, or what the hub's own command left in the cache).
    pub token: Option<String>,
    /// Whether only what is in that folder may be taken (`HF_HUB_OFFLINE`).
    pub offline: bool,
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

impl Hub {
    /// The hub of the user.
    ///
    /// # Errors
    /// There is no home folder, and no variable names another one.
    pub fn of_user() -> Result<Self> {
        let home = variable("HF_HOME").map(PathBuf::from).or_else(|| {
            let dirs = directories::BaseDirs::new()?;
            Some(dirs.home_dir().join(".cache").join("huggingface"))
        });
        let cache = variable("HF_HUB_CACHE").map(PathBuf::from);
        let cache = cache.or_else(|| home.map(|home| home.join("hub")));
        let cache = cache.ok_or_else(|| Error::Fetch {
            what: "anything from the Hugging Face hub".to_owned(),
            reason: "no home folder to keep it in".to_owned(),
            remedy: "set HF_HOME to a folder".to_owned(),
        })?;
        let endpoint = variable("HF_ENDPOINT");
        let endpoint = endpoint.unwrap_or_else(|| "https://huggingface.co".to_owned());
        Ok(Self {
            endpoint: endpoint.trim_end_matches('/').to_owned(),
            token: variable("HF_TOKEN").or_else(|| Cache::new(cache.clone()).token()),
            cache,
            offline: variable("HF_HUB_OFFLINE").is_some_and(|value| value != "0"),
        })
    }

    /// What the hub's protocol is spoken by.
    pub(super) fn api(&self) -> Result<Api, String> {
        ApiBuilder::from_cache(Cache::new(self.cache.clone()))
            .with_endpoint(self.endpoint.clone())
            .with_token(self.token.clone())
            .with_progress(false)
            .with_user_agent("af1", env!("CARGO_PKG_VERSION"))
            .build()
            .map_err(|e| e.to_string())
    }
}
