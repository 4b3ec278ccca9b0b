//! How a process ended, and how AWS says it.

use std::fmt;

/// The end of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ExitStatus {
    /// It exited with this code.
    Code(i32),
    /// This signal ended it.
    Signal(i32),
}

impl fmt::Display for ExitStatus {
    /// AWS's words after `Error: `, with Go's names of signals (node-runtime §4).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Code(0) => f.write_str("Runtime exited without providing a reason"),
            Self::Code(code) => write!(f, "Runtime exited with error: exit status {code}"),
            Self::Signal(signal) => match signal_name(signal) {
                Some(name) => write!(f, "Runtime exited with error: signal: {name}"),
                None => write!(f, "Runtime exited with error: signal: signal {signal}"),
            },
        }
    }
}

/// Go's `syscall.Signal.String()` for the signals that end a process on Linux.
fn signal_name(signal: i32) -> Option<&'static str> {
    Some(match signal {
        1 => "hangup",
        2 => "interrupt",
        3 => "quit",
        4 => "illegal instruction",
        5 => "trace/breakpoint trap",
        6 => "aborted",
        7 => "bus error",
        8 => "floating point exception",
        9 => "killed",
        10 => "user defined signal 1",
        11 => "segmentation fault",
        12 => "user defined signal 2",
        13 => "broken pipe",
        14 => "alarm clock",
        15 => "terminated",
        24 => "CPU time limit exceeded",
        25 => "file size limit exceeded",
        31 => "bad system call",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::ExitStatus;

    #[test]
    fn says_what_aws_says() {
        for (status, text) in [
            (ExitStatus::Code(0), "Runtime exited without providing a reason"),
            (ExitStatus::Code(127), "Runtime exited with error: exit status 127"),
            (ExitStatus::Signal(9), "Runtime exited with error: signal: killed"),
            (ExitStatus::Signal(11), "Runtime exited with error: signal: segmentation fault"),
            (ExitStatus::Signal(40), "Runtime exited with error: signal: signal 40"),
        ] {
            assert_eq!(status.to_string(), text);
        }
    }
}
