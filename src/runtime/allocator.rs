//! Memory of the processor: one arena for all sessions, which would each have their own otherwise, as large as the largest batch
//! that its layer has seen; and how large blocks are taken from the system.

use std::ptr;

use ort::AsPointer;
use ort::environment::Environment;
use ort::{ortsys, sys};

/// Extend by what is asked for, instead of by powers of two.
const SAME_AS_REQUESTED: i32 = 1;

/// The runtime's own default.
const DEFAULT: i32 = -1;

/// From this size on memory that is freed goes back to the system at once.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
const OWN_PAGES: libc::c_int = 1 << 20;

/// Has large blocks taken from the system and given back one by one. Weights are folded and packed while a session is made;
/// what is freed of that would else stay between what is kept: 160 MiB more for 513 MiB of weights.
pub fn return_large_blocks() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    // SAFETY: the option concerns later allocations only.
    unsafe {
        libc::mallopt(libc::M_MMAP_THRESHOLD, OWN_PAGES);
    }
}

/// Registers the arena; sessions take it if they say so.
pub fn share_arena(environment: &Environment) -> ort::Result<()> {
    let (mut memory, mut arena) = (ptr::null_mut(), ptr::null_mut());
    // SAFETY (all calls): the environment is alive, the pointers that are passed are valid for writing, and the runtime copies
    // what the two descriptions say before they are released.
    ortsys![unsafe CreateCpuMemoryInfo(
        sys::OrtAllocatorType::OrtArenaAllocator,
        sys::OrtMemType::OrtMemTypeDefault,
        &mut memory
    )?];
    let configured =
        ortsys![unsafe CreateArenaCfg(0, SAME_AS_REQUESTED, DEFAULT, DEFAULT, &mut arena)];
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
