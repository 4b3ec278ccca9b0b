//! The way out of the router: `slirp4netns`, which speaks for its link by ordinary sockets of the
//! host's, as an ordinary user may. One for all jails. It ends with lambkin, whose end of its standard
//! input it watches.
//!
//! Deliberately not here: who may go out, and where to (`jail::rules`): it would go anywhere.

use std::ffi::OsString;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use crate::jail::nat::find_program;
use crate::jail::system::with_own_mounts;
use crate::network::Subnet;

/// Its link, in the router's namespace.
pub(super) const TAP: &str = "tap0";

/// Of all links: the larger the less it has to do, and what leaves the machine is cut by its own
/// sockets (1500 was 0.9 Gbit/s upwards where this was 2.3).
pub(super) const MTU: u32 = 65_520;

/// From its start until its link is up; 10 ms here.
const START: Duration = Duration::from_secs(5);

/// Bytes of what it complains of.
const COMPLAINTS: usize = 4096;

/// The network on its link, in what is for measuring only (RFC 2544), and so nobody's.
pub(in crate::jail) const NETWORK: Subnet = Subnet::new(Ipv4Addr::new(198, 19, 0, 0), 24);

/// Where it answers questions for names, by the host's first resolver.
pub(in crate::jail) const RESOLVER: Ipv4Addr = Ipv4Addr::new(198, 19, 0, 3);

/// # Errors
/// It is not installed: the text says how to get it.
pub(super) fn find() -> Result<PathBuf, String> {
    find_program("slirp4netns", "slirp4netns")
}

pub(super) struct Uplink {
    child: Child,
    /// It ends when this is closed, which waiting for it would do if it were the child's still.
    _alive: Option<ChildStdin>,
    /// Read away what it says, so that it never waits for a reader; end with this.
    _readers: JoinSet<()>,
}

impl Uplink {
    /// Gives the namespaces of this process a way out, and waits until it is there.
    pub(super) async fn start(program: &Path, router: i32) -> Result<Self, String> {
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            // For its sandbox it unmounts all it sees, and only `/` itself is kept from being unmounted on the host.
            with_own_mounts(&mut command);
        }
        let mut child = command
            .args(arguments(router))
            .env_clear()
            .env("LC_ALL", "C")
            // When lambkin is no more, its end closes.
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| format!("{} cannot be started: {error}", program.display()))?;
        let alive = child.stdin.take();
        let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
        let mut said = stdout.ok_or("slirp4netns has no standard output")?;
        let mut complaints = stderr.ok_or("slirp4netns has no standard error")?;
        let why = match tokio::time::timeout(START, ready(&mut said)).await {
            Ok(true) => {
                let mut readers = JoinSet::new();
                readers.spawn(read_away(said));
                readers.spawn(read_away(complaints));
                return Ok(Self { child, _alive: alive, _readers: readers });
            }
            Ok(false) => {
                let mut text = Vec::new();
                // It has closed its output: it is ending.
                let mut complaints = (&mut complaints).take(COMPLAINTS as u64);
                let read = complaints.read_to_end(&mut text);
                let _ = tokio::time::timeout(START, read).await;
                String::from_utf8_lossy(&text).split_whitespace().collect::<Vec<_>>().join(" ")
            }
            Err(_) => format!("it was not ready within {START:?}"),
        };
        Err(format!("slirp4netns: {why}"))
    }

    /// Answers when it has ended by itself. Loses nothing when dropped.
    pub(super) async fn ended(&mut self) -> String {
        match self.child.wait().await {
            Ok(status) => status.to_string(),
            Err(error) => error.to_string(),
        }
    }

    /// Ends it and waits for that.
    pub(super) async fn close(mut self) {
        // Fails where it has just ended.
        let _ = self.child.start_kill();
        let _ = tokio::time::timeout(START, self.child.wait()).await;
    }
}

fn arguments(router: i32) -> Vec<OsString> {
    let mut arguments: Vec<OsString> = [
        "--configure",
        "--disable-host-loopback",
        "--enable-sandbox",
        "--enable-seccomp",
        "--exit-fd=0",
        "--ready-fd=1",
    ]
    .map(OsString::from)
    .into();
    arguments.push(format!("--cidr={NETWORK}").into());
    arguments.push(format!("--mtu={MTU}").into());
    arguments.extend([router.to_string().into(), TAP.into()]);
    arguments
}

/// It says `1`, at a line's beginning; what it says beside that comes in lines.
async fn ready(said: &mut (impl AsyncRead + Unpin)) -> bool {
    let mut text = Vec::new();
    let mut buffer = [0; 1024];
    while text.len() < COMPLAINTS {
        match said.read(&mut buffer).await {
            Ok(0) | Err(_) => return false,
            Ok(length) => text.extend_from_slice(&buffer[..length]),
        }
        if text.split(|byte| *byte == b'\n').any(|line| line.first() == Some(&b'1')) {
            return true;
        }
    }
    false
}

async fn read_away(mut said: impl AsyncRead + Unpin) {
    let _ = tokio::io::copy(&mut said, &mut tokio::io::sink()).await;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn it_is_ready_when_it_says_so_among_its_other_lines() {
        for (said, is) in [
            ("1", true),
            ("WARNING: Support for seccomp is experimental\n1", true),
            ("1Starting slirp\n* MTU:   1500\n", true),
            ("* MTU:             65520\n", false),
            ("", false),
        ] {
            assert_eq!(ready(&mut said.as_bytes()).await, is, "{said:?}");
        }
    }
}
