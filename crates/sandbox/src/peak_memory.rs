//! The most memory a process has used, measured by the kernel.
//!
//! Deliberately not here: memory of its children. The kernel keeps a peak per process; the sum over
//! a tree needs a cgroup, which comes with the jail.

use std::os::fd::OwnedFd;

/// Room for the lines before `VmHWM`: about 300 bytes, more for a user in many groups.
const STATUS_BYTES: usize = 4096;

/// An open `/proc/PID/status`. It belongs to the process, not to its number: once the process is
/// gone reading fails, whoever has the number then.
#[derive(Debug)]
pub(crate) struct PeakMemory(OwnedFd);

impl PeakMemory {
    pub(crate) fn new(status: OwnedFd) -> Self {
        Self(status)
    }

    /// Bytes. `None` where the process has ended. Called once in each invocation: 3.2 µs, of which the
    /// kernel's making of the text is nearly all. `statm` would take 0.8 µs and knows no peak.
    pub(crate) fn read(&self) -> Option<u64> {
        let mut buffer = [0; STATUS_BYTES];
        let length = rustix::io::pread(&self.0, &mut buffer, 0).ok()?;
        parse(&buffer[..length])
    }
}

fn parse(status: &[u8]) -> Option<u64> {
    const NAME: &[u8] = b"\nVmHWM:";
    let at = status.windows(NAME.len()).position(|window| window == NAME)? + NAME.len();
    let digits = status[at..].iter().skip_while(|byte| matches!(byte, b' ' | b'\t'));
    let kilobytes = digits
        .take_while(|byte| byte.is_ascii_digit())
        .fold(None, |number: Option<u64>, digit| Some(number.unwrap_or(0) * 10 + u64::from(digit - b'0')));
    kilobytes.map(|kilobytes| kilobytes * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_peak() {
        let status = b"Name:\tVmHWM:\nUmask:\t0022\nVmPeak:\t    9 kB\nVmHWM:\t   43210 kB\nVmRSS:\t 1 kB\n";
        assert_eq!(parse(status), Some(43_210 * 1024));
        assert_eq!(parse(b"Name:\tnode\nState:\tZ (zombie)\n"), None);
        assert_eq!(parse(b"Name:\tnode\nVmHWM:\t"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn is_nothing_once_the_process_is_gone() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().expect("sleep");
        let status = std::fs::File::open(format!("/proc/{}/status", child.id())).expect("its status");
        let peak = PeakMemory::new(status.into());
        let deadline = std::time::Instant::now() + std::time::Duration::from_secs(20);
        // It may still be inside `execve`, with hardly any memory.
        while peak.read().is_none_or(|bytes| bytes < 100_000) {
            assert!(std::time::Instant::now() < deadline, "{:?}", peak.read());
            std::thread::yield_now();
        }
        child.kill().expect("kill");
        child.wait().expect("wait");
        assert_eq!(peak.read(), None);
    }
}
