//! One segment of a model as a session.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;

use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};

use super::{Device, Runtime, Tensor, assignment};
use crate::graph::Graph;
use crate::{Error, Result};

/// The session option that names the folder of a graph's external data.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// A segment that is ready to run.
pub struct Part {
    name: String,
    session: Session,
    providers: BTreeMap<String, usize>,
}

impl Part {
    /// Makes a session of a graph whose weights lie in the folder `weights`.
    ///
    /// # Errors
    /// A device that cannot run, nodes that would run elsewhere, a graph that the runtime refuses.
    pub fn new(runtime: &Runtime, device: &Device, graph: &Graph, weights: &Path) -> Result<Self> {
        let name = graph.name.clone();
        let fail = |e: &dyn fmt::Display| Error::Run {
            part: name.clone(),
            reason: first_line(e),
        };
        let mut builder = Session::builder(&runtime.environment)
            .map_err(|e| fail(&e))?
            .with_optimization_level(GraphOptimizationLevel::All)
            .map_err(|e| fail(&e))?
            .with_env_allocators()
            .map_err(|e| fail(&e))?
            .with_config_entry(assignment::RECORD, "1")
            .map_err(|e| fail(&e))?
            .with_config_entry(WEIGHTS_FOLDER, weights.to_string_lossy())
            .map_err(|e| fail(&e))?;
        if let Some(provider) = device.registration(&runtime.library().path)? {
            builder = builder
                .with_execution_providers([provider])
                .map_err(|e| device.failure(&e))?
                .with_disable_cpu_fallback()
                .map_err(|e| fail(&e))?;
        }
        let session = builder.commit_from_memory(&graph.to_bytes()).map_err(|e| {
            match e
                .to_string()
                .contains("fallback to CPU EP has been explicitly disabled")
            {
                true => Error::Fallback {
                    device: device.to_string(),
                    part: name.clone(),
                    reason: "some of its nodes would run on the CPU".to_owned(),
                },
                false => fail(&e),
            }
        })?;
        let providers = assignment::nodes_by_provider(&session).map_err(|e| fail(&e))?;
        let part = Self {
            name,
            session,
            providers,
        };
        part.check_providers(device)?;
        Ok(part)
    }

    /// What ran must be what was asked for: the runtime's own assignment is the witness.
    fn check_providers(&self, device: &Device) -> Result<()> {
        let strangers: Vec<String> = self
            .providers
            .iter()
            .filter(|(provider, _)| *provider != device.provider())
            .map(|(provider, nodes)| format!("{nodes} nodes on {provider}"))
            .collect();
        if strangers.is_empty() && !self.providers.is_empty() {
            return Ok(());
        }
        Err(Error::Fallback {
            device: device.to_string(),
            part: self.name.clone(),
            reason: if strangers.is_empty() {
                "the runtime does not say where its nodes run".to_owned()
            } else {
                strangers.join(", ")
            },
        })
    }

    /// The number of nodes by the provider that executes them.
    pub fn providers(&self) -> &BTreeMap<String, usize> {
        &self.providers
    }

    /// Whether the segment has an input of that name.
    pub fn has_input(&self, name: &str) -> bool {
        self.session.inputs().iter().any(|port| port.name() == name)
    }

    /// Runs the segment and returns some outputs. Inputs that the segment does not have are passed over.
    ///
    /// # Errors
    /// The runtime's reason: an input that is missing or has another shape, no memory.
    pub fn run<const N: usize>(
        &mut self,
        inputs: &[(&str, &Tensor)],
        outputs: [&str; N],
    ) -> Result<[Tensor; N]> {
        let fail = |reason: String| Error::Run {
            part: self.name.clone(),
            reason,
        };
        let wanted: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = self
            .session
            .inputs()
            .iter()
            .filter_map(|port| inputs.iter().find(|(name, _)| *name == port.name()))
            .map(|(name, value)| (Cow::from(*name), SessionInputValue::from(&value.0)))
            .collect();
        let mut found = self.session.run(wanted).map_err(|e| fail(first_line(&e)))?;
        let mut tensors = Vec::with_capacity(N);
        for output in outputs {
            let value = found.remove(output);
            let value = value.ok_or_else(|| fail(format!("it returned no {output:?}")))?;
            tensors.push(Tensor(value));
        }
        Ok(tensors.try_into().ok().expect("one for every name"))
    }
}

/// The first line of a message: the runtime adds stack traces.
pub(super) fn first_line(error: &dyn fmt::Display) -> String {
    let text = error.to_string();
    let line = text.lines().find(|line| !line.trim().is_empty());
    line.unwrap_or(&text).trim().to_owned()
}
