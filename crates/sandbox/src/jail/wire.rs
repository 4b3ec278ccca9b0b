//! The wire between lambkin and the jail's spawner: one `SOCK_SEQPACKET` message per request, and
//! one per answer, in the same order; descriptors beside it. Both ends are the same executable, so
//! there is no version.
//!
//! Deliberately not here: the wire to each jail's init, which is that of process mode
//! (`crate::wire`): start, kill, started, ended.

use std::path::PathBuf;

use rustix::io::Errno;
use serde::{Deserialize, Serialize};

/// What the spawner is asked for.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Request {
    /// A jail with nothing in it. Comes with init's end of its socket, then the v2 group's directory
    /// where `leaf`, then the files of the groups that init joins by itself.
    /// Answered by `Cloned`, with its pidfd; init then speaks for itself: whether it is ready, with its
    /// mount namespace, its network namespace and the listeners.
    Clone(Shell),
    /// The process between all jails and the way out of them (`egress::router`). Comes with its end of
    /// its socket. Answered by `Cloned`, with its pidfd; the router then speaks for itself.
    Route,
    /// The spawner is to end, and every jail with it, if this is its router. If not: `Another`.
    End { router: i32 },
    /// Ends the spawner and every jail. Is not answered.
    EndAll,
    /// Mounts into a jail. Comes with its mount namespace, then the mounts that are given, in their order.
    /// Answered by `Mounted`.
    Mount { pid: i32, mounts: Vec<Mount>, root: u32 },
}

/// What a jail is before it has code.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Shell {
    /// The directory that becomes `/`, read-only.
    pub(super) base: PathBuf,
    pub(super) ids: Ids,
    pub(super) leaf: bool,
    /// How many groups init joins by itself.
    pub(super) joins: usize,
    /// A network of its own: nothing but loopback, until lambkin adds to it.
    pub(super) network: bool,
    /// Its calls are told (`guard`): init's first word then comes with where, and with the socket that is asked for
    /// names, behind the two namespaces.
    pub(super) guarded: bool,
    /// Of the listeners on its loopback.
    pub(super) ports: Vec<u16>,
}

/// Who is who inside: number inside, number outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) enum Ids {
    /// Two users of the host for each jail, so that no two jails share one: root inside, and the
    /// function's user.
    Pair { root: u32 },
    /// An ordinary user has one number only, its own: the function's user inside. Init's power over
    /// the jail then comes from having made it, not from being root.
    Single,
}

/// Something that a jail finds in a place.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Mount {
    /// Absolute, as the jail sees it; must be there.
    pub(super) target: PathBuf,
    pub(super) what: What,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) enum What {
    /// A directory or file of the host, read-only.
    Bind { source: PathBuf },
    /// A file system in memory that everyone may write, of this many bytes and files.
    Memory { bytes: u64, files: u64 },
    /// A mount that lambkin has made, attached nowhere yet.
    Given,
}

/// What the spawner answers.
#[derive(Debug, Serialize, Deserialize)]
pub(super) enum Answer {
    /// Comes with a pidfd.
    Cloned {
        pid: i32,
    },
    Mounted,
    /// The spawner that was meant is dead.
    Another,
    Failed(Failure),
}

/// A step that did not work. Also what init says of the jail's set-up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{step}: {}", std::io::Error::from_raw_os_error(*errno))]
pub(super) struct Failure {
    pub(super) step: String,
    pub(super) errno: i32,
}

/// Names the step that an error comes from.
pub(super) trait At<T> {
    fn at(self, step: &str) -> Result<T, Failure>;
}

impl<T> At<T> for Result<T, Errno> {
    fn at(self, step: &str) -> Result<T, Failure> {
        self.map_err(|errno| Failure { step: step.to_owned(), errno: errno.raw_os_error() })
    }
}

impl<T> At<T> for Result<T, std::io::Error> {
    fn at(self, step: &str) -> Result<T, Failure> {
        self.map_err(|error| Failure { step: step.to_owned(), errno: error.raw_os_error().unwrap_or(0) })
    }
}
