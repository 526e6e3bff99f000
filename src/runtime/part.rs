//! A segment of a model as a session.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ort::memory::{Allocator, MemoryInfo};
use ort::session::builder::GraphOptimizationLevel;
use ort::session::{Session, SessionInputValue};

use super::allocator::arena_bytes;
use super::said::first_line;
use super::{Device, Placement, Runtime, Tensor, assignment, widen};
use crate::graph::{Dim, Graph, Port};
use crate::model::Store;
use crate::{Error, Result};

/// The session option that names the folder of a graph's external data.
const WEIGHTS_FOLDER: &str = "session.model_external_initializers_file_folder_path";

/// The session option that names optimizations to be left out.
const DISABLED: &str = "optimization.disable_specified_optimizers";

/// The session option that leaves matrices as they are.
const NO_PACKING: &str = "session.disable_prepacking";

/// What the runtime says when it was told not to run nodes on the processor.
const REFUSED: &str = "fallback to CPU EP has been explicitly disabled";

/// What the runtime says of an operator that no provider has for the type that it is given.
const NO_KERNEL: &str = "Could not find an implementation";

/// A segment that is ready to run.
pub struct Part {
    name: String,
    session: Session,
    placement: Placement,
    /// Where its outputs stay, if not in the host's memory, and what allocates there.
    memory: Option<(MemoryInfo<'static>, Allocator)>,
    /// The device, as tensors know it.
    place: Arc<str>,
    providers: BTreeMap<String, usize>,
    inputs: Vec<Port>,
    outputs: Vec<Port>,
}

impl Part {
    /// Makes a session of a graph whose weights are in `weights`.
    ///
    /// # Errors
    /// A device that cannot run, nodes that would run elsewhere, a graph that the runtime refuses.
    pub fn new(
        runtime: &Runtime,
        placement: impl Into<Placement>,
        graph: &Graph,
        weights: impl Into<Store>,
    ) -> Result<Self> {
        let (placement, weights) = (placement.into(), &weights.into());
        let name = graph.name.clone();
        let Made { session, memory } = match session(runtime, &placement, graph, weights)? {
            Some(made) => made,
            // Refused: made again without the refusal it says which nodes they are.
            None => {
                let lenient = Placement {
                    allow_cpu_fallback: true,
                    ..placement.clone()
                };
                let made = session(runtime, &lenient, graph, weights)?;
                let nodes = made.map(|made| assignment::nodes_by_provider(&made.session));
                let nodes = nodes.and_then(|nodes| nodes.ok()?.remove(Device::Cpu.provider()));
                return Err(Error::Fallback {
                    device: placement.device.to_string(),
                    part: name,
                    reason: strangers(&[(Device::Cpu.provider(), nodes.unwrap_or_default())]),
                });
            }
        };
        let fail = |e: &dyn fmt::Display| Error::Run {
            part: name.clone(),
            reason: first_line(e),
        };
        let nodes = assignment::nodes_by_provider(&session).map_err(|e| fail(&e))?;
        // What runs must be what was asked for: the runtime's own assignment is the witness.
        let wanted = |provider: &str| {
            provider == placement.device.provider()
                || provider == Device::Cpu.provider() && placement.allow_cpu_fallback
        };
        let others: Vec<(&str, Vec<[String; 2]>)> = (nodes.iter())
            .filter(|(provider, _)| !wanted(provider))
            .map(|(provider, nodes)| (&**provider, nodes.clone()))
            .collect();
        if !others.is_empty() || nodes.is_empty() {
            return Err(Error::Fallback {
                device: placement.device.to_string(),
                part: name,
                reason: strangers(&others),
            });
        }
        let memory = memory.map(|memory| {
            let allocator = Allocator::new(&session, memory.to_owned());
            allocator.map(|allocator| (memory, allocator))
        });
        let memory = memory.transpose().map_err(|e| fail(&e))?;
        Ok(Self {
            providers: (nodes.into_iter())
                .map(|(provider, nodes)| (provider, nodes.len()))
                .collect(),
            name,
            session,
            place: placement.device.to_string().into(),
            placement,
            memory,
            inputs: graph.inputs.clone(),
            outputs: graph.outputs.clone(),
        })
    }

    /// The device that its outputs stay on; `None` for the host's memory.
    pub(super) fn place(&self) -> Option<&Arc<str>> {
        self.memory.as_ref().map(|_| &self.place)
    }

    /// The bytes of the host's memory that the runtime keeps for what it computes.
    pub(super) fn kept(&self) -> Result<u64> {
        arena_bytes(&self.session).map_err(|e| Error::Run {
            part: self.name.clone(),
            reason: first_line(&e),
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
        let (name, placement) = (&self.name, &self.placement);
        let missing = |output: &str| Error::Run {
            part: name.clone(),
            reason: format!("it returned no {output:?}"),
        };
        let wanted: Vec<&(&str, &Tensor)> = (self.session.inputs().iter())
            .filter_map(|port| inputs.iter().find(|(name, _)| *name == port.name()))
            .collect();
        let mut tensors = Vec::with_capacity(N);
        let fail = |e: &ort::Error| failure(name, placement, e);
        if let Some((memory, allocator)) = &self.memory {
            let mut binding = self.session.create_binding().map_err(|e| fail(&e))?;
            for (input, tensor) in wanted {
                binding
                    .bind_input(*input, tensor.on_device(&self.place, allocator)?)
                    .map_err(|e| fail(&e))?;
            }
            for output in outputs {
                binding
                    .bind_output_to_device(output, memory)
                    .map_err(|e| fail(&e))?;
            }
            let mut found = self.session.run_binding(&binding).map_err(|e| fail(&e))?;
            for output in outputs {
                let value = found.remove(output).ok_or_else(|| missing(output))?;
                tensors.push(Tensor::of(value, Some(self.place.clone())));
            }
        } else {
            let mut given: Vec<(Cow<'_, str>, SessionInputValue<'_>)> = Vec::new();
            for (input, tensor) in wanted {
                given.push((Cow::from(*input), tensor.on_host()?.into()));
            }
            let mut found = self.session.run(given).map_err(|e| fail(&e))?;
            for output in outputs {
                let value = found.remove(output).ok_or_else(|| missing(output))?;
                tensors.push(Tensor::of(value, None));
            }
        }
        for (output, tensor) in outputs.iter().zip(&tensors) {
            self.check_shape(output, &tensor.shape(), inputs)?;
        }
        Ok(tensors.try_into().ok().expect("one for every name"))
    }
}

impl Part {
    /// Checks that an output has the axes that the graph promises, symbols as long as those of an input: another program's graph may
    /// not keep what it promises.
    fn check_shape(&self, name: &str, found: &[usize], inputs: &[(&str, &Tensor)]) -> Result<()> {
        let Some(port) = self.outputs.iter().find(|port| port.name == name) else {
            return Ok(());
        };
        let of_input = |symbol: &Dim| {
            self.inputs.iter().find_map(|port| {
                let at = port.shape.iter().position(|dim| dim == symbol)?;
                let (_, tensor) = inputs.iter().find(|(name, _)| *name == port.name)?;
                tensor.shape().get(at).copied()
            })
        };
        let length = |dim: &Dim| match dim {
            Dim::Fixed(length) => Some(*length),
            symbol => of_input(symbol),
        };
        let fits = |(dim, found): (&Dim, &usize)| length(dim).is_none_or(|length| length == *found);
        if port.shape.len() == found.len() && port.shape.iter().zip(found).all(fits) {
            return Ok(());
        }
        let axes = (port.shape.iter()).map(|dim| match (dim, length(dim)) {
            (Dim::Symbol(name), Some(length)) => format!("{name} {length}"),
            (dim, _) => dim.to_string(),
        });
        Err(Error::Run {
            part: self.name.clone(),
            reason: format!(
                "it returned {name:?} with the axes {found:?}; expected [{}]",
                axes.collect::<Vec<String>>().join(", ")
            ),
        })
    }
}

/// A session, and where its outputs can stay if not in the host's memory.
struct Made {
    session: Session,
    memory: Option<MemoryInfo<'static>>,
}

/// Makes a session; `None` where the runtime refuses because nodes would run on the processor.
fn session(
    runtime: &Runtime,
    placement: &Placement,
    graph: &Graph,
    weights: &Store,
) -> Result<Option<Made>> {
    let fail = |e: &dyn fmt::Display| Error::Run {
        part: graph.name.clone(),
        reason: first_line(e),
    };
    let builder = Session::builder(&runtime.environment)
        .map_err(|e| fail(&e))?
        .with_optimization_level(GraphOptimizationLevel::All)
        .map_err(|e| fail(&e))?
        .with_env_allocators()
        .map_err(|e| fail(&e))?
        .with_config_entry(assignment::RECORD, "1")
        .map_err(|e| fail(&e))?;
    let builder = match weights {
        Store::Folder(folder) => builder
            .with_config_entry(WEIGHTS_FOLDER, folder.to_string_lossy())
            .map_err(|e| fail(&e))?,
        Store::Widened(_) => builder,
    };
    let builder = match placement.mapped {
        Some(true) => builder
            .with_config_entry(DISABLED, "ConstantFolding")
            .map_err(|e| fail(&e))?
            .with_config_entry(NO_PACKING, "1")
            .map_err(|e| fail(&e))?,
        _ => builder,
    };
    let (mut builder, memory) = placement.configure(runtime, builder)?;
    let made = match weights {
        Store::Folder(_) => builder.commit_from_memory(&graph.to_bytes()),
        Store::Widened(widened) => {
            widen::with_weights(&mut builder, graph, widened, |builder, bytes| {
                builder.commit_from_memory(bytes)
            })?
        }
    };
    match made {
        Ok(session) => Ok(Some(Made { session, memory })),
        Err(e) if e.to_string().contains(REFUSED) => Ok(None),
        Err(e) if e.to_string().contains(NO_KERNEL) => Err(Error::Device {
            device: placement.device.to_string(),
            reason: format!("{}: {}", graph.name, first_line(&e)),
            remedy: "take another --precision or --device: this one has no such operator"
                .to_owned(),
        }),
        Err(e) => Err(fail(&e)),
    }
}

/// Nodes that run elsewhere than asked for, in words.
fn strangers(others: &[(&str, Vec<[String; 2]>)]) -> String {
    if others.is_empty() {
        return "the runtime does not say where its nodes run".to_owned();
    }
    let of_provider = |(provider, nodes): &(&str, Vec<[String; 2]>)| {
        let named = |[operator, name]: &[String; 2]| format!("{operator} ({name})");
        let shown: Vec<String> = nodes.iter().take(3).map(named).collect();
        let more = if nodes.len() > 3 { ", ..." } else { "" };
        format!(
            "{} nodes would run on {provider}: {}{more}",
            nodes.len(),
            shown.join(", ")
        )
    };
    let all: Vec<String> = others.iter().map(of_provider).collect();
    all.join("; ")
}

/// What the providers say when their memory is not enough.
const OUT_OF_MEMORY: [&str; 8] = [
    "out of memory",
    "outofmemory",
    "failed to allocate",
    "is smaller than requested bytes",
    "bad_alloc",
    "bad allocation",
    "not enough memory",
    "max buffer size",
];

/// The error of a run: the memory of a device is not enough, or another reason.
fn failure(part: &str, placement: &Placement, error: &ort::Error) -> Error {
    let text = error.to_string().to_ascii_lowercase();
    match OUT_OF_MEMORY.iter().any(|words| text.contains(words)) {
        true => Error::OutOfMemory {
            device: placement.device.to_string(),
            part: part.to_owned(),
            reason: first_line(error),
        },
        false => Error::Run {
            part: part.to_owned(),
            reason: first_line(error),
        },
    }
}
