//! Memory of a jail that has no group to count it: what its processes have for themselves, added up
//! every 20 ms. More may be used between two looks.

use crate::proc;

/// Bytes that the processes below this one have for themselves, files' pages not counted, as little as
/// in a group's limit they would matter. Init itself has hardly any.
pub(super) fn memory_below(init: i32) -> u64 {
    let mut waiting = proc::children(init);
    let mut bytes = 0;
    // A process that moves below another one meanwhile may be missed once: the next look finds it.
    while let Some(pid) = waiting.pop() {
        bytes += proc::private_memory(pid);
        waiting.extend(proc::children(pid));
    }
    bytes
}
