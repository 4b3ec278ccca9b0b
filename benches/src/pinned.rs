//! Pinning to one core. A round trip between two processes costs several times as much where each has to
//! wake the other's core, and the kernel places them as it likes: on one core both servers are measured alike.

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::Result;

/// This thread, and every process that it starts meanwhile, runs on one core until this is dropped.
pub(crate) struct Pinned(CpuSet);

impl Pinned {
    pub(crate) fn to_one_core() -> Result<Self> {
        let allowed = sched_getaffinity(None).map_err(|error| error.to_string())?;
        let last = (0..CpuSet::MAX_CPU).rev().find(|core| allowed.is_set(*core)).ok_or("no core")?;
        let mut one = CpuSet::new();
        one.set(last);
        sched_setaffinity(None, &one).map_err(|error| error.to_string())?;
        Ok(Self(allowed))
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // What was allowed before is allowed still.
        let _ = sched_setaffinity(None, &self.0);
    }
}
