//! The one error type of the crate and the exit codes of the program; no other room defines errors.
//!
//! A message is a lowercase fragment that names the file, layer, tensor or prompt, says what was expected and what
//! was found, and ends with what to do about it.

use std::path::{Path, PathBuf};

/// Exit codes of the `af1` program. They are part of its interface and never change meaning.
pub mod exit {
    /// Everything asked for was done; of `af1 gate`: every claim passed.
    pub const SUCCESS: u8 = 0;
    /// Of `af1 gate` only: a claim failed.
    pub const GATE_FAILED: u8 = 1;
    /// Of `af1 gate` only: no claim failed, but one could not be decided.
    pub const GATE_INCONCLUSIVE: u8 = 2;
    /// A path that was given does not exist.
    pub const NOT_FOUND: u8 = 10;
    /// The model name is not a built-in one and not a path.
    pub const UNKNOWN_MODEL: u8 = 11;
    /// A file ends before what its header promises.
    pub const TRUNCATED: u8 = 12;
    /// A model file contradicts its own format.
    pub const MALFORMED: u8 = 13;
    /// A tensor is stored in a type that cannot be read.
    pub const UNSUPPORTED_TENSOR_TYPE: u8 = 14;
    /// The model's architecture or one of its options is not supported.
    pub const UNSUPPORTED_MODEL: u8 = 15;
    /// The tokenizer does not belong to the model.
    pub const TOKENIZER_MISMATCH: u8 = 16;
    /// A file of records holds something else, or records that this version cannot read.
    pub const RECORD: u8 = 17;
    /// A gate's file claims nothing that can be tested.
    pub const GATE: u8 = 18;
    /// A file of prompts cannot be used.
    pub const LIST: u8 = 19;
    /// A style file cannot be used, or the chat template of the model that it asks for.
    pub const STYLE: u8 = 20;
    /// A prompt does not have its template's length, or its tokens beside the operands.
    pub const PROMPT_LENGTH: u8 = 21;
    /// No prompt is left to evaluate.
    pub const NO_PROMPTS: u8 = 22;
    /// Of `af1 merge`: cells of a sweep are missing.
    pub const INCOMPLETE: u8 = 23;
    /// The ONNX Runtime library is missing, unreadable or too old.
    pub const RUNTIME_LIBRARY: u8 = 30;
    /// The device cannot run: its provider is missing or failed.
    pub const DEVICE: u8 = 31;
    /// Nodes of the graph would run on the CPU although another device was asked for.
    pub const FALLBACK: u8 = 32;
    /// ONNX Runtime refused a graph or a run.
    pub const RUN: u8 = 33;
    /// A run produced NaN or infinity.
    pub const NOT_FINITE: u8 = 34;
    /// Preflight found that experiments on this model would not mean what they say.
    pub const PREFLIGHT: u8 = 35;
    /// On a planted model the program did not find what was planted.
    pub const SELFCHECK: u8 = 36;
    /// Of `af1 diff`: the compiled and the masked way of a model come apart.
    pub const DIFFERS: u8 = 37;
    /// A model takes more memory than there is, or than it may take.
    pub const NO_ROOM: u8 = 38;
    /// Something could not be fetched.
    pub const FETCH: u8 = 40;
    /// A file in the cache is not what was put there.
    pub const CACHE_CORRUPT: u8 = 41;
    /// A file could not be written (a full disk, permissions).
    pub const WRITE: u8 = 42;
    /// A file exists but could not be read.
    pub const READ: u8 = 43;
    /// The command line is wrong.
    pub const USAGE: u8 = 64;
    /// The user interrupted the program.
    pub const INTERRUPTED: u8 = 130;
}

/// Everything that can go wrong, with the facts a user needs to mend it.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A path that was given does not exist.
    #[error("{what} not found: {}; {remedy}", path.display())]
    NotFound {
        /// What was looked for.
        what: &'static str,
        /// Where it was looked for.
        path: PathBuf,
        /// What to do.
        remedy: String,
    },
    /// The model name is not a built-in one and not a path.
    #[error(
        "unknown model {name:?}{meant}: neither a path nor one of the built-in names ({known}); give one of these, a Hugging Face folder or a .gguf or .onnx file"
    )]
    UnknownModel {
        /// The name as given.
        name: String,
        /// Which one may have been meant.
        meant: String,
        /// The built-in names.
        known: String,
    },
    /// A file ends before what its header promises.
    #[error("{}: truncated: expected {expected}, found {found}; fetch or copy the file again", path.display())]
    Truncated {
        /// The file.
        path: PathBuf,
        /// What its header promises.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A file contradicts its own format.
    #[error("{}: malformed {what}: expected {expected}, found {found}", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The part of the file.
        what: String,
        /// What the format demands.
        expected: String,
        /// What is there.
        found: String,
    },
    /// A tensor is stored in a type that cannot be read.
    #[error("{}: tensor {tensor:?} has type {found}, which cannot be read; supported: {supported}; convert the model to one of these", path.display())]
    UnsupportedTensorType {
        /// The file.
        path: PathBuf,
        /// The tensor.
        tensor: String,
        /// The type of the tensor.
        found: String,
        /// The types that can be read.
        supported: String,
    },
    /// The model's architecture or one of its options is not supported.
    #[error("{}: field {field:?} is {found}, which is not supported; supported: {supported}", path.display())]
    UnsupportedModel {
        /// The configuration file.
        path: PathBuf,
        /// The field of the configuration.
        field: String,
        /// The value of the field.
        found: String,
        /// What is supported.
        supported: String,
    },
    /// The tokenizer does not belong to the model.
    #[error("{}: the tokenizer does not belong to the model: {reason}; use the tokenizer file that came with the weights", path.display())]
    TokenizerMismatch {
        /// The tokenizer file.
        path: PathBuf,
        /// What disagrees.
        reason: String,
    },
    /// A style file cannot be used.
    #[error("{}: {reason}", path.display())]
    Style {
        /// The style file.
        path: PathBuf,
        /// What is wrong, where, and what to do.
        reason: String,
    },
    /// A file of prompts cannot be used.
    #[error("{}: line {line}: {reason}", path.display())]
    List {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A style is asked in the model's chat template, and that cannot be.
    #[error("style {style:?} says chat = true: {reason}")]
    Chat {
        /// The style.
        style: String,
        /// What is wrong, where, and what to do.
        reason: String,
    },
    /// A prompt does not have its template's length.
    #[error(
        "style {style:?}, operation {operation}: prompt {prompt:?} has {found} tokens, but the template's first prompt {reference:?} has {expected}; prompts are never padded: restrict --operands, or change the template so that all its prompts have one length"
    )]
    PromptLength {
        /// The style.
        style: String,
        /// The operation.
        operation: String,
        /// The first prompt of the template.
        reference: String,
        /// The length of that prompt in tokens, the beginning-of-sequence token included.
        expected: usize,
        /// The prompt that differs.
        prompt: String,
        /// The length of the prompt that differs, in tokens.
        found: usize,
    },
    /// A prompt differs from its template's others in more than the operands.
    #[error(
        "style {style:?}, operation {operation}: prompts {reference:?} and {prompt:?} have different tokens where neither \
         has an operand; this tokenizer joins the text with the operands: change the template or restrict --operands"
    )]
    PromptTokens {
        /// The style.
        style: String,
        /// The operation.
        operation: String,
        /// The first prompt of the template.
        reference: String,
        /// The prompt that differs.
        prompt: String,
    },
    /// No prompt is left to evaluate.
    #[error("style {style:?}, operation {operation}: no prompt to evaluate: {reason}")]
    NoPrompts {
        /// The style.
        style: String,
        /// The operation.
        operation: String,
        /// Why, and what to change.
        reason: String,
    },
    /// The ONNX Runtime library is missing, unreadable or too old.
    #[error("{}: not a usable ONNX Runtime library: {reason}; {remedy}", path.display())]
    RuntimeLibrary {
        /// The library.
        path: PathBuf,
        /// Why it cannot be used.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// The device cannot run.
    #[error("device {device}: {reason}; {remedy}")]
    Device {
        /// The device as given.
        device: String,
        /// Why the device cannot run.
        reason: String,
        /// What to do.
        remedy: String,
    },
    /// Nodes of the graph would run on the CPU although another device was asked for.
    #[error(
        "device {device}: {part}: {reason}; af1 never mixes devices silently: use --device cpu, a provider that implements every operator, or --allow-cpu-fallback"
    )]
    Fallback {
        /// The device as given.
        device: String,
        /// The part of the graph (`embed`, `layer 3`, `head`).
        part: String,
        /// Which nodes, as far as the runtime says.
        reason: String,
    },
    /// ONNX Runtime refused a graph or a run.
    #[error("{part}: ONNX Runtime failed: {reason}")]
    Run {
        /// The part of the graph.
        part: String,
        /// The runtime's message.
        reason: String,
    },
    /// The memory of a device is not enough for a batch.
    #[error(
        "device {device}: {part}: out of memory: {reason}; take a smaller --batch (it is halved by itself down to one prompt), or a \
         device with more memory"
    )]
    OutOfMemory {
        /// The device as given.
        device: String,
        /// The part of the graph.
        part: String,
        /// The runtime's message.
        reason: String,
    },
    /// A model takes more memory than there is, or than it may take.
    #[error("{model}: it takes {takes} of memory at least, and {has}; {remedy}")]
    NoRoom {
        /// The model.
        model: String,
        /// What it takes.
        takes: String,
        /// What there is, and where that is said.
        has: String,
        /// What to do.
        remedy: String,
    },
    /// A run produced NaN or infinity.
    #[error(
        "{at} holds {found} ({of}); the weights or the graph are broken: check the model's files, and single prompts with `af1 logits`"
    )]
    NotFinite {
        /// The first place where it appears (`resid.3`, `logits`).
        at: String,
        /// What is there: NaN or infinity.
        found: String,
        /// What was asked: the style and the operation, or the prompt.
        of: String,
    },
    /// Preflight found that experiments on this model would not mean what they say.
    #[error(
        "preflight check {check:?} failed (style {style:?}, operation {operation}): {reason}; no experiment on this model \
         would mean what it says: run `af1 selfcheck` to see whether the program is sound on this device, and check the \
         model's files"
    )]
    Preflight {
        /// The check.
        check: &'static str,
        /// What was expected and found.
        reason: String,
        /// The style.
        style: String,
        /// The operation.
        operation: String,
    },
    /// On a planted model the program did not find what was planted.
    #[error(
        "self-check failed: {reason}; do not believe results on this device: report this with the output of `af1 doctor`"
    )]
    Selfcheck {
        /// The model, what was planted and what was found.
        reason: String,
    },
    /// The compiled and the masked way of a model come apart.
    #[error(
        "compiled and masked are not the same: {reason}; use --masked, and report this with the output of `af1 doctor`"
    )]
    Differs {
        /// The template, the plan and where.
        reason: String,
    },
    /// A file of records holds something else, or records that this version cannot read.
    #[error("{}: line {line} cannot be used: {reason}", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// What is wrong with it and what to do.
        reason: String,
    },
    /// Cells of a sweep are missing in what was merged.
    #[error(
        "{sweeps} of the sweeps {} incomplete; what there is was written: run the shards that are missing with the same options, and merge all \
         of them again",
        if *sweeps == 1 { "is" } else { "are" }
    )]
    Incomplete {
        /// How many sweeps.
        sweeps: usize,
    },
    /// A gate's file claims nothing that can be tested.
    #[error("{}: no gate: {reason}", path.display())]
    Gate {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it.
        reason: String,
    },
    /// A file of claims of papers, or a command in it, that cannot be used.
    #[error("{}: {reason}", path.display())]
    Claims {
        /// The file.
        path: PathBuf,
        /// Everything that is wrong with it.
        reason: String,
    },
    /// Claims of a gate failed: which.
    #[error("gate: fail: {0}")]
    GateFailed(String),
    /// Claims of a gate could not be decided: which.
    #[error("gate: inconclusive: {0}")]
    GateInconclusive(String),
    /// Something could not be fetched.
    #[error("cannot fetch {what}: {reason}; {remedy}")]
    Fetch {
        /// What could not be fetched.
        what: String,
        /// Why it could not be fetched.
        reason: String,
        /// What to install or which variable to set.
        remedy: String,
    },
    /// A file in the cache is not what was put there.
    #[error("{}: corrupt cache entry: expected {expected}, found {found}; {remedy}", path.display())]
    CacheCorrupt {
        /// The file.
        path: PathBuf,
        /// The recorded hash or size.
        expected: String,
        /// What is there.
        found: String,
        /// What to do.
        remedy: String,
    },
    /// A file could not be written.
    #[error("{}: cannot write: {source}; nothing half-written was left: free space or check permissions{hint}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
        /// Which variable moves the file elsewhere, if one does.
        hint: &'static str,
    },
    /// A file exists but could not be read.
    #[error("{}: cannot read: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The operating system's reason.
        source: std::io::Error,
    },
    /// The command line is wrong.
    #[error("{0}")]
    Usage(String),
    /// The user interrupted the program.
    #[error("interrupted: nothing half-written was left; run the command again to go on")]
    Interrupted,
}

/// The result of everything that can fail in this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The exit code that the program ends with, one of [`exit`].
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::NotFound { .. } => exit::NOT_FOUND,
            Self::UnknownModel { .. } => exit::UNKNOWN_MODEL,
            Self::Truncated { .. } => exit::TRUNCATED,
            Self::Malformed { .. } => exit::MALFORMED,
            Self::UnsupportedTensorType { .. } => exit::UNSUPPORTED_TENSOR_TYPE,
            Self::UnsupportedModel { .. } => exit::UNSUPPORTED_MODEL,
            Self::TokenizerMismatch { .. } => exit::TOKENIZER_MISMATCH,
            Self::List { .. } => exit::LIST,
            Self::Style { .. } | Self::Chat { .. } => exit::STYLE,
            Self::PromptLength { .. } | Self::PromptTokens { .. } => exit::PROMPT_LENGTH,
            Self::NoPrompts { .. } => exit::NO_PROMPTS,
            Self::RuntimeLibrary { .. } => exit::RUNTIME_LIBRARY,
            Self::Device { .. } => exit::DEVICE,
            Self::Fallback { .. } => exit::FALLBACK,
            Self::OutOfMemory { .. } | Self::Run { .. } => exit::RUN,
            Self::NoRoom { .. } => exit::NO_ROOM,
            Self::NotFinite { .. } => exit::NOT_FINITE,
            Self::Preflight { .. } => exit::PREFLIGHT,
            Self::Selfcheck { .. } => exit::SELFCHECK,
            Self::Differs { .. } => exit::DIFFERS,
            Self::Record { .. } => exit::RECORD,
            Self::Incomplete { .. } => exit::INCOMPLETE,
            Self::Gate { .. } | Self::Claims { .. } => exit::GATE,
            Self::GateFailed(_) => exit::GATE_FAILED,
            Self::GateInconclusive(_) => exit::GATE_INCONCLUSIVE,
            Self::Fetch { .. } => exit::FETCH,
            Self::CacheCorrupt { .. } => exit::CACHE_CORRUPT,
            Self::Write { .. } => exit::WRITE,
            Self::Read { .. } => exit::READ,
            Self::Usage(_) => exit::USAGE,
            Self::Interrupted => exit::INTERRUPTED,
        }
    }

    /// An error for a file that fails to be opened or read: not found where it is missing, unreadable otherwise.
    pub fn reading(path: &Path, what: &'static str, source: std::io::Error) -> Self {
        match source.kind() {
            std::io::ErrorKind::NotFound => Self::NotFound {
                what,
                path: path.to_owned(),
                remedy: "check the path".to_owned(),
            },
            std::io::ErrorKind::UnexpectedEof => Self::Truncated {
                path: path.to_owned(),
                expected: format!("a complete {what}"),
                found: "the end of the file".to_owned(),
            },
            _ => Self::Read {
                path: path.to_owned(),
                source,
            },
        }
    }

    /// An error for a file that cannot be written.
    pub fn writing(path: &Path, source: std::io::Error) -> Self {
        let (path, hint) = (path.to_owned(), "");
        Self::Write { path, source, hint }
    }

    /// An error for a file in the cache that cannot be written.
    pub fn caching(path: &Path, source: std::io::Error) -> Self {
        let (path, hint) = (path.to_owned(), ", or set AF1_CACHE to a folder with room");
        Self::Write { path, source, hint }
    }
}
