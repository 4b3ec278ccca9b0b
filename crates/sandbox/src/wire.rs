//! The wire between lambkin and its spawner: one `SOCK_SEQPACKET` message per request or reply,
//! descriptors beside it (`SCM_RIGHTS`). Both ends are the same executable, so there is no version.
//!
//! Strings travel NUL-terminated, so that the spawner hands the received bytes to `execve` as they
//! are. Deliberately not here: when to read or write.

use std::collections::BTreeMap;
use std::ffi::CStr;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::LaunchError;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg,
};

/// Largest message. The kernel takes one whole or refuses it, up to `SO_SNDBUF` (208 KiB where
/// nobody changed it); a function's variables are at most 4 KiB.
pub(crate) const MAX_MESSAGE: usize = 128 * 1024;

/// Most descriptors beside one message.
const MAX_DESCRIPTORS: usize = 8;

const SPAWN: u8 = 1;
const KILL: u8 = 2;
const STOP: u8 = 3;
const CONTINUE: u8 = 4;
const SPAWNED: u8 = 1;
const FAILED: u8 = 2;
const EXITED: u8 = 3;

/// Kind and run number.
const HEADER: usize = 9;

/// What lambkin asks for. A *run* is one start of a process; its number is never used again.
pub(crate) enum Request<'a> {
    /// Comes with the process's end of the channel and the writing end of its output.
    Spawn {
        run: u64,
        /// Text that the variables of all its processes contain.
        marker: &'a CStr,
        plan: Plan<'a>,
    },
    Kill {
        run: u64,
    },
    /// Only to a jail's init, where nothing better can freeze: stops every process of the run.
    Stop {
        run: u64,
    },
    Continue {
        run: u64,
    },
}

/// What is started.
pub(crate) struct Plan<'a> {
    /// Working directory.
    pub(crate) directory: &'a CStr,
    /// The program's path and its arguments.
    pub(crate) command: Vec<&'a CStr>,
    /// `NAME=value`.
    pub(crate) variables: Vec<&'a CStr>,
}

/// What the spawner answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reply {
    /// The program runs. Comes with its open `/proc/PID/status` where there is one.
    Spawned {
        run: u64,
        pid: i32,
    },
    Failed {
        run: u64,
        step: Step,
        errno: i32,
    },
    /// It and all that it started have ended.
    Exited {
        run: u64,
        status: ExitStatus,
    },
}

/// What did not work about a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    Fork,
    SetUp,
    Directory,
    Program,
}

impl Step {
    pub(crate) const fn code(self) -> u8 {
        match self {
            Self::Fork => 0,
            Self::SetUp => 1,
            Self::Directory => 2,
            Self::Program => 3,
        }
    }

    /// What is said to the operator.
    pub(crate) fn failure(self, program: &str, errno: i32) -> String {
        let error = io::Error::from_raw_os_error(errno);
        match self {
            Self::Fork => format!("no process could be made: {error}"),
            Self::SetUp => format!("the process could not be set up: {error}"),
            Self::Directory => format!("the task root cannot be entered: {error}"),
            Self::Program => format!("{program} cannot be run: {error}"),
        }
    }

    pub(crate) fn from_code(code: u8) -> Option<Self> {
        [Self::Fork, Self::SetUp, Self::Directory, Self::Program].into_iter().find(|step| step.code() == code)
    }
}

/// The `Spawn` of one sandbox, encoded once; each start stamps its run on a copy.
#[derive(Debug, Clone)]
pub(crate) struct SpawnMessage(Vec<u8>);

impl SpawnMessage {
    /// Fails on what `execve` could not be given: a NUL inside, too much of it, no program.
    pub(crate) fn new(
        marker: &str,
        directory: &Path,
        command: &[String],
        variables: &BTreeMap<String, String>,
    ) -> Result<Self, LaunchError> {
        if command.is_empty() {
            return Err(LaunchError("the command line is empty".into()));
        }
        let mut bytes = vec![0; HEADER];
        bytes[0] = SPAWN;
        for count in [command.len(), variables.len()] {
            bytes.extend_from_slice(&u32::try_from(count).unwrap_or(u32::MAX).to_le_bytes());
        }
        let mut string = |parts: &[&[u8]]| {
            for part in parts {
                if part.contains(&0) {
                    let text = String::from_utf8_lossy(part).into_owned();
                    return Err(LaunchError(format!("a NUL in what a process is given: {text:?}")));
                }
                bytes.extend_from_slice(part);
            }
            bytes.push(0);
            Ok(())
        };
        string(&[marker.as_bytes()])?;
        string(&[directory.as_os_str().as_bytes()])?;
        for argument in command {
            string(&[argument.as_bytes()])?;
        }
        for (name, value) in variables {
            string(&[name.as_bytes(), b"=", value.as_bytes()])?;
        }
        if bytes.len() > MAX_MESSAGE {
            let length = bytes.len();
            return Err(LaunchError(format!(
                "the command line and the variables take {length} bytes, more than {MAX_MESSAGE}"
            )));
        }
        Ok(Self(bytes))
    }

    pub(crate) fn for_run(&self, run: u64) -> Vec<u8> {
        let mut bytes = self.0.clone();
        bytes[1..HEADER].copy_from_slice(&run.to_le_bytes());
        bytes
    }
}

pub(crate) fn kill_message(run: u64) -> Vec<u8> {
    header(KILL, run)
}

/// See [`Request::Stop`].
#[cfg(target_os = "linux")]
pub(crate) fn stop_message(run: u64, stop: bool) -> Vec<u8> {
    header(if stop { STOP } else { CONTINUE }, run)
}

fn header(kind: u8, run: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER + 5);
    bytes.push(kind);
    bytes.extend_from_slice(&run.to_le_bytes());
    bytes
}

impl<'a> Request<'a> {
    /// `None` is a message that lambkin does not send.
    pub(crate) fn decode(bytes: &'a [u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (kind, run) = (reader.byte()?, reader.u64()?);
        match kind {
            SPAWN => {
                let (arguments, variables) = (reader.u32()?, reader.u32()?);
                let marker = reader.string()?;
                let directory = reader.string()?;
                let command = (0..arguments).map(|_| reader.string()).collect::<Option<_>>()?;
                let variables = (0..variables).map(|_| reader.string()).collect::<Option<_>>()?;
                Some(Self::Spawn { run, marker, plan: Plan { directory, command, variables } })
            }
            KILL => Some(Self::Kill { run }),
            STOP => Some(Self::Stop { run }),
            CONTINUE => Some(Self::Continue { run }),
            _ => None,
        }
    }
}

impl Reply {
    pub(crate) fn encode(self) -> Vec<u8> {
        let (kind, run, tag, value) = match self {
            Self::Spawned { run, pid } => (SPAWNED, run, 0, pid),
            Self::Failed { run, step, errno } => (FAILED, run, step.code(), errno),
            Self::Exited { run, status: ExitStatus::Code(code) } => (EXITED, run, 0, code),
            Self::Exited { run, status: ExitStatus::Signal(signal) } => (EXITED, run, 1, signal),
        };
        let mut bytes = header(kind, run);
        bytes.push(tag);
        bytes.extend_from_slice(&value.to_le_bytes());
        bytes
    }

    /// `None` is a message that the spawner does not send.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader(bytes);
        let (kind, run, tag, value) = (reader.byte()?, reader.u64()?, reader.byte()?, reader.i32()?);
        Some(match (kind, tag) {
            (SPAWNED, 0) => Self::Spawned { run, pid: value },
            (FAILED, step) => Self::Failed { run, step: Step::from_code(step)?, errno: value },
            (EXITED, 0) => Self::Exited { run, status: ExitStatus::Code(value) },
            (EXITED, 1) => Self::Exited { run, status: ExitStatus::Signal(value) },
            _ => return None,
        })
    }
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*head)
    }

    fn byte(&mut self) -> Option<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_le_bytes)
    }

    fn i32(&mut self) -> Option<i32> {
        self.array().map(i32::from_le_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_le_bytes)
    }

    fn string(&mut self) -> Option<&'a CStr> {
        let string = CStr::from_bytes_until_nul(self.0).ok()?;
        self.0 = &self.0[string.to_bytes_with_nul().len()..];
        Some(string)
    }
}

/// Sends one message whole, or nothing of it.
pub(crate) fn send(socket: BorrowedFd<'_>, bytes: &[u8], descriptors: &[BorrowedFd<'_>]) -> io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    if !descriptors.is_empty() && !control.push(SendAncillaryMessage::ScmRights(descriptors)) {
        return Err(io::Error::other("too many descriptors beside a message"));
    }
    sendmsg(socket, &[IoSlice::new(bytes)], &mut control, SEND)?;
    Ok(())
}

/// Sends one message without descriptors, where there is room for it.
pub(crate) fn send_now(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<()> {
    let flags = SEND.union(SendFlags::DONTWAIT);
    sendmsg(socket, &[IoSlice::new(bytes)], &mut SendAncillaryBuffer::default(), flags)?;
    Ok(())
}

/// Receives one message without waiting; `None` is the end: the other side is gone.
pub(crate) fn receive(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    receive_with(socket, buffer, RECEIVE)
}

/// The same, waiting for it.
#[cfg(target_os = "linux")]
pub(crate) fn receive_waiting(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    receive_with(socket, buffer, RecvFlags::CMSG_CLOEXEC)
}

fn receive_with(
    socket: BorrowedFd<'_>,
    buffer: &mut [u8],
    flags: RecvFlags,
) -> io::Result<Option<(usize, Vec<OwnedFd>)>> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(MAX_DESCRIPTORS))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = recvmsg(socket, &mut [IoSliceMut::new(buffer)], &mut control, flags)?;
    let mut descriptors = Vec::new();
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    // Descriptors are cut off where this process may not have more of them: the receiver finds fewer.
    if received.flags.contains(ReturnFlags::TRUNC) {
        return Err(io::Error::other("a message between lambkin and its spawner was cut off"));
    }
    Ok((received.bytes > 0).then_some((received.bytes, descriptors)))
}

// Both processes ignore SIGPIPE where a message cannot say so.
#[cfg(not(target_vendor = "apple"))]
const SEND: SendFlags = SendFlags::NOSIGNAL;
#[cfg(target_vendor = "apple")]
const SEND: SendFlags = SendFlags::empty();

#[cfg(target_os = "linux")]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT.union(RecvFlags::CMSG_CLOEXEC);
// The spawner marks what its children must not have in each child.
#[cfg(not(target_os = "linux"))]
const RECEIVE: RecvFlags = RecvFlags::DONTWAIT;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plan_arrives_as_it_was_sent() {
        let variables =
            BTreeMap::from([("A".to_owned(), "1".to_owned()), ("EMPTY".to_owned(), String::new())]);
        let command = ["/bin/sh".to_owned(), String::new(), "x y".to_owned()];
        let message = SpawnMessage::new("mark", Path::new("/var"), &command, &variables).expect("a plan");
        let bytes = message.for_run(7);
        let Some(Request::Spawn { run: 7, marker, plan }) = Request::decode(&bytes) else {
            panic!("not a spawn")
        };
        assert_eq!((marker, plan.directory), (c"mark", c"/var"));
        assert_eq!(plan.command, [c"/bin/sh", c"", c"x y"]);
        assert_eq!(plan.variables, [c"A=1", c"EMPTY="]);
        assert!((0..bytes.len()).all(|length| Request::decode(&bytes[..length]).is_none()), "cut off");
    }

    #[test]
    fn replies_arrive_as_they_were_sent() {
        for reply in [
            Reply::Spawned { run: 1, pid: 4_000_000 },
            Reply::Failed { run: u64::MAX, step: Step::Program, errno: 2 },
            Reply::Exited { run: 3, status: ExitStatus::Code(255) },
            Reply::Exited { run: 3, status: ExitStatus::Signal(9) },
        ] {
            assert_eq!(Reply::decode(&reply.encode()), Some(reply));
        }
    }

    #[test]
    fn what_execve_could_not_be_given_is_refused() {
        let none = BTreeMap::new();
        let plan = |command: &[String]| SpawnMessage::new("m", Path::new("/"), command, &none).map(|_| ());
        assert!(plan(&[]).is_err());
        assert!(plan(&["a\0b".into()]).is_err());
        assert!(plan(&["a".into(), "b".repeat(MAX_MESSAGE)]).is_err());
        assert_eq!(plan(&["a".into(), "b".repeat(MAX_MESSAGE / 2)]), Ok(()));
    }
}
