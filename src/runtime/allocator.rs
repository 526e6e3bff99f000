//! Memory of the processor: one arena for all sessions, which would each have their own otherwise, as large as the largest batch
//! that its layer has seen; and how large blocks are taken from the system.

use std::ffi::CStr;
use std::ptr;

use ort::AsPointer;
use ort::environment::Environment;
use ort::memory::{AllocationDevice, Allocator, AllocatorType, MemoryInfo, MemoryType};
use ort::session::Session;
use ort::{ortsys, sys};

/// Extend by what is asked for, instead of by powers of two.
const SAME_AS_REQUESTED: i32 = 1;

/// The runtime's own default.
const DEFAULT: i32 = -1;

/// While it lives, large blocks are taken from the system and given back one by one. Weights are folded and packed while sessions
/// are made; what is freed of that would else stay between what is kept: 160 MiB more for 513 MiB of weights. Afterwards large
/// blocks are kept for the next ones, because a run takes many of the same size and fresh pages are slow.
pub struct Loading(());

impl Loading {
    /// The smallest block that is given back at once while sessions are made.
    const SMALL: i32 = 1 << 20;

    /// The largest block that is kept afterwards: the most that the allocator would come to by itself.
    const LARGE: i32 = 1 << 25;

    /// Begins to give blocks back one by one.
    pub fn begin() -> Self {
        give_back_from(Self::SMALL);
        Self(())
    }
}

impl Drop for Loading {
    fn drop(&mut self) {
        give_back_from(Self::LARGE);
    }
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back_from(bytes: i32) {
    // SAFETY: the options concern what is allocated and freed later.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, bytes);
        libc::mallopt(libc::M_TRIM_THRESHOLD, bytes.saturating_mul(2));
    }
}

/// Other allocators decide for themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back_from(_: i32) {}

/// Registers the arena, of at most so many bytes; sessions take it if they say so.
pub fn share_arena(environment: &Environment, memory: Option<u64>) -> ort::Result<()> {
    // None is no limit.
    let memory_limit = memory.unwrap_or(0) as usize;
    let (mut memory, mut arena) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY (all calls): the environment is alive, the pointers that are passed are valid for writing, and the runtime copies
    // what the two descriptions say before they are released.
    ortsys![unsafe CreateCpuMemoryInfo(
        sys::OrtAllocatorType::OrtArenaAllocator,
        sys::OrtMemType::OrtMemTypeDefault,
        &mut memory
    )?];
    let configured = ortsys![unsafe CreateArenaCfg(memory_limit, SAME_AS_REQUESTED, DEFAULT, DEFAULT, &mut arena)];
    // SAFETY: what was made is released once, whatever happens in between.
    let registered = unsafe { ort::Error::result_from_status(configured) }.and_then(|()| {
        let environment = environment.ptr().cast_mut();
        let status = ortsys![unsafe CreateAndRegisterAllocator(environment, memory, arena)];
        unsafe { ort::Error::result_from_status(status) }
    });
    if !arena.is_null() {
        ortsys![unsafe ReleaseArenaCfg(arena)];
    }
    ortsys![unsafe ReleaseMemoryInfo(memory)];
    registered
}

/// The bytes that the arena of a session has taken from the system. It never gives one back: it is as large as the largest batch so far
/// needed.
pub fn arena_bytes(session: &Session) -> ort::Result<u64> {
    let memory = MemoryInfo::new(
        AllocationDevice::CPU,
        0,
        AllocatorType::Arena,
        MemoryType::Default,
    )?;
    let arena = Allocator::new(session, memory)?;
    let mut stats = ptr::null_mut();
    // SAFETY (all calls): the allocator is alive, what is made is released once, and the value is read before that.
    ortsys![unsafe AllocatorGetStats(arena.ptr(), &mut stats)?];
    let value = ortsys![unsafe GetKeyValue(stats, TAKEN.as_ptr())];
    let taken = (!value.is_null()).then(|| unsafe { CStr::from_ptr(value) }.to_string_lossy());
    let taken = taken.and_then(|taken| taken.parse().ok());
    ortsys![unsafe ReleaseKeyValuePairs(stats)];
    taken.ok_or_else(|| ort::Error::new("the arena does not say what it has taken"))
}

/// The arena's figure of what it has taken from the system, in bytes.
const TAKEN: &CStr = c"TotalAllocated";
