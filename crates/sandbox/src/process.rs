//! A running process as its environment sees it: killed through the spawner, measured through
//! `/proc`.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use lambkin_model::sandbox::ProcessControl;

use crate::connection::Connection;

pub(crate) struct PlainProcess {
    connection: Arc<Connection>,
    id: u64,
    /// Kept open: it goes on meaning this process, whoever gets its pid later.
    status: Option<File>,
}

impl PlainProcess {
    pub(crate) fn new(connection: Arc<Connection>, id: u64, pid: i32) -> Self {
        Self { connection, id, status: File::open(format!("/proc/{pid}/status")).ok() }
    }
}

impl ProcessControl for PlainProcess {
    fn kill(&self) {
        self.connection.kill(self.id);
    }

    /// The blocking read of the bootstrap is the freeze of its JavaScript thread. What else the
    /// process has (children, other threads) runs on: stopping those takes the jail's cgroup.
    fn freeze(&self) {}

    fn thaw(&self) {}

    /// `VmHWM` of the process itself; what its children use is not seen without a cgroup.
    fn peak_memory(&self) -> Option<u64> {
        let mut buffer = [0; 4096];
        let read = self.status.as_ref()?.read_at(&mut buffer, 0).ok()?;
        let text = std::str::from_utf8(&buffer[..read]).ok()?;
        let line = text.split_once("VmHWM:")?.1;
        let kib: u64 = line.split_once(" kB")?.0.trim().parse().ok()?;
        Some(kib * 1024)
    }
}
