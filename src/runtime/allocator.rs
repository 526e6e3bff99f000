//! One CPU arena for all sessions. Each would have its own otherwise, as large as the largest batch that its layer has seen.

use std::ptr;

use ort::AsPointer;
use ort::environment::Environment;
use ort::{ortsys, sys};

/// Extend by what is asked for, instead of by powers of two.
const SAME_AS_REQUESTED: i32 = 1;

/// The runtime's own default.
const DEFAULT: i32 = -1;

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
