//! The one ONNX Runtime environment of the process.

use std::sync::{Mutex, OnceLock};

use ort::environment::{Environment, GlobalThreadPoolOptions};

use super::allocator::share_arena;
use super::library::{Library, load_error};
use crate::file::Sha256;
use crate::{Error, Result};

/// A loaded ONNX Runtime. There is one in a process, ever: the library cannot be exchanged.
pub struct Runtime {
    pub(super) environment: Environment,
    library: Library,
    hash: Sha256,
    version: String,
    threads: usize,
    /// The libraries of providers that were loaded, with their SHA-256.
    pub(super) plugged: Mutex<Vec<(std::path::PathBuf, Sha256)>>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Runtime")
            .field("library", &self.library)
            .field("version", &self.version)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}

static RUNTIME: OnceLock<Runtime> = OnceLock::new();
static STARTING: Mutex<()> = Mutex::new(());

/// The environment, once there is one.
pub(super) fn current() -> Option<&'static Environment> {
    RUNTIME.get().map(|runtime| &runtime.environment)
}

/// The number of threads that is used where none is given: one a core that this process may use.
pub fn default_threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

impl Runtime {
    /// Loads the library, or returns what is loaded already.
    ///
    /// # Errors
    /// A library that cannot be loaded; another library or number of threads than the one that is loaded.
    pub fn start(library: &Library, threads: usize) -> Result<&'static Self> {
        Self::start_within(library, threads, None)
    }

    /// As [`Self::start`], with at most so many bytes of the host's memory for what sessions compute; a runtime that is loaded already
    /// keeps its limit.
    ///
    /// # Errors
    /// As [`Self::start`].
    pub fn start_within(
        library: &Library,
        threads: usize,
        memory: Option<u64>,
    ) -> Result<&'static Self> {
        let _one_at_a_time = STARTING.lock().unwrap_or_else(|e| e.into_inner());
        if let Some(runtime) = RUNTIME.get() {
            if runtime.library.path != library.path || runtime.threads != threads {
                return Err(Error::RuntimeLibrary {
                    path: library.path.clone(),
                    reason: format!(
                        "this process already runs {} with {} threads",
                        runtime.library.path.display(),
                        runtime.threads
                    ),
                    remedy: "use one library and one number of threads in a process".to_owned(),
                });
            }
            return Ok(runtime);
        }
        let version = version(library)?;
        let hash = library.hash()?;
        let builder = ort::init_from(&library.path).map_err(|e| load_error(library, &e))?;
        // One pool for all sessions: pools of their own would spin against each other.
        let pool = GlobalThreadPoolOptions::default()
            .with_intra_threads(threads)
            .and_then(|pool| pool.with_inter_threads(1))
            .and_then(|pool| pool.with_spin_control(false))
            .map_err(|e| load_error(library, &e))?;
        let environment = builder
            .with_name("af1")
            .with_telemetry(false)
            .with_global_thread_pool(pool)
            .build()
            .map_err(|e| load_error(library, &e))?;
        share_arena(&environment, memory).map_err(|e| load_error(library, &e))?;
        // Warnings of the runtime (unused initialisers, suboptimal kernels) are not a user's business, and its errors are returned.
        environment.set_log_level(ort::logging::LogLevel::Fatal);
        Ok(RUNTIME.get_or_init(|| Self {
            environment,
            library: library.clone(),
            hash,
            version,
            threads,
            plugged: Mutex::default(),
        }))
    }

    /// The library.
    pub fn library(&self) -> &Library {
        &self.library
    }

    /// The SHA-256 of the library.
    pub fn hash(&self) -> &Sha256 {
        &self.hash
    }

    /// The library's version.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The number of threads of one operation.
    pub fn threads(&self) -> usize {
        self.threads
    }
}

/// Asks the library itself for its version, which also tells a library from any other file.
fn version(library: &Library) -> Result<String> {
    // SAFETY: loading runs the library's initialisers, which is what loading ONNX Runtime is for; the handle is kept for
    // the life of the process, so nothing is unloaded under running code.
    let handle =
        unsafe { libloading::Library::new(&library.path) }.map_err(|e| load_error(library, &e))?;
    let handle: &'static libloading::Library = Box::leak(Box::new(handle));
    // SAFETY: the symbol has this type in every version of ONNX Runtime.
    let base = unsafe {
        handle.get::<unsafe extern "C" fn() -> *const ort::sys::OrtApiBase>(b"OrtGetApiBase")
    }
    .map_err(|_| load_error(library, &"it does not export OrtGetApiBase"))?;
    // SAFETY: the function returns a pointer to a static table, whose version string is static too.
    let text = unsafe {
        let base = base();
        if base.is_null() {
            return Err(load_error(library, &"OrtGetApiBase returned nothing"));
        }
        std::ffi::CStr::from_ptr(((*base).GetVersionString)())
    };
    Ok(text.to_string_lossy().into_owned())
}
