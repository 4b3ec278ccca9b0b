//! What tests of sandboxes of either kind stand on: ids, what a process writes, and where a directory is whose.

use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime};

use tempfile::TempDir;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::waiting::{deadline, within};

/// A directory that is removed at the end, or another's.
pub(crate) enum Place {
    Own(TempDir),
    Given(PathBuf),
}

impl Place {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Self::Own(directory) => directory.path(),
            Self::Given(directory) => directory,
        }
    }
}

/// Waits for a condition that nothing announces.
pub(crate) async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + deadline();
    while !condition() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// 32 decimal digits, so that it is a fraction of `sleep`'s seconds too.
pub(crate) fn fresh_id() -> String {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let time = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).expect("after 1970").subsec_nanos();
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{:012}{time:010}{next:010}", std::process::id())
}

/// All that a process writes until everybody has closed it.
pub(crate) async fn read(output: OwnedFd) -> String {
    let mut output = pipe::Receiver::from_owned_fd(output).expect("a non-blocking pipe");
    let mut text = String::new();
    within(output.read_to_string(&mut text)).await.expect("UTF-8");
    text
}
