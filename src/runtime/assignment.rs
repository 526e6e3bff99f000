//! Which execution provider each node of a session really was assigned to, as the runtime itself says.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::ortsys;
use ort::session::Session;

/// The session option that makes the runtime keep the information.
pub const RECORD: &str = "session.record_ep_graph_assignment_info";

/// The number of nodes by provider.
pub fn nodes_by_provider(session: &Session) -> ort::Result<BTreeMap<String, usize>> {
    let mut counts = BTreeMap::new();
    // SAFETY (all three calls): the session is alive and was made with [`RECORD`]; the pointers that are passed are
    // valid for writing, and what the runtime returns belongs to the session.
    let (mut groups, mut group_count) = (ptr::null(), 0);
    ortsys![unsafe Session_GetEpGraphAssignmentInfo(session.ptr(), &mut groups, &mut group_count)?];
    for i in 0..group_count {
        // SAFETY: the runtime returned an array of `group_count` pointers that lives as long as the session.
        let group = unsafe { *groups.add(i) };
        let mut name: *const c_char = ptr::null();
        ortsys![unsafe EpAssignedSubgraph_GetEpName(group, &mut name)?];
        let (mut nodes, mut node_count) = (ptr::null(), 0);
        ortsys![unsafe EpAssignedSubgraph_GetNodes(group, &mut nodes, &mut node_count)?];
        // SAFETY: the runtime returned a NUL-terminated string that lives as long as the session.
        let name = unsafe { CStr::from_ptr(name) }
            .to_string_lossy()
            .into_owned();
        *counts.entry(name).or_insert(0) += node_count;
    }
    Ok(counts)
}
