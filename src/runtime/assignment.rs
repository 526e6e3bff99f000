//! Which execution provider each node of a session really was assigned to, as the runtime itself says.

use std::collections::BTreeMap;
use std::ffi::{CStr, c_char};
use std::ptr;

use ort::AsPointer;
use ort::ortsys;
use ort::session::Session;

/// The session option that makes the runtime keep the information.
pub const RECORD: &str = "session.record_ep_graph_assignment_info";

/// The nodes that each provider executes, by provider: operator and name.
pub fn nodes_by_provider(session: &Session) -> ort::Result<BTreeMap<String, Vec<[String; 2]>>> {
    let mut all: BTreeMap<String, Vec<[String; 2]>> = BTreeMap::new();
    // SAFETY (all calls): the session is alive and was made with [`RECORD`]; the pointers that are passed are valid for writing,
    // and what the runtime returns belongs to the session.
    let (mut groups, mut group_count) = (ptr::null(), 0);
    ortsys![unsafe Session_GetEpGraphAssignmentInfo(session.ptr(), &mut groups, &mut group_count)?];
    for i in 0..group_count {
        // SAFETY: the runtime returned an array of `group_count` pointers that lives as long as the session.
        let group = unsafe { *groups.add(i) };
        let mut name: *const c_char = ptr::null();
        ortsys![unsafe EpAssignedSubgraph_GetEpName(group, &mut name)?];
        let (mut nodes, mut node_count) = (ptr::null(), 0);
        ortsys![unsafe EpAssignedSubgraph_GetNodes(group, &mut nodes, &mut node_count)?];
        let of_provider = all.entry(text(name)).or_default();
        for n in 0..node_count {
            // SAFETY: as above, of `node_count` pointers.
            let node = unsafe { *nodes.add(n) };
            let (mut operator, mut name) = (ptr::null(), ptr::null());
            ortsys![unsafe EpAssignedNode_GetOperatorType(node, &mut operator)?];
            ortsys![unsafe EpAssignedNode_GetName(node, &mut name)?];
            of_provider.push([text(operator), text(name)]);
        }
    }
    Ok(all)
}

/// A string of the runtime.
fn text(pointer: *const c_char) -> String {
    if pointer.is_null() {
        return String::new();
    }
    // SAFETY: the runtime returned a NUL-terminated string that lives as long as the session.
    unsafe { CStr::from_ptr(pointer) }
        .to_string_lossy()
        .into_owned()
}
