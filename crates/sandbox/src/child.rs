//! Starting one process out of the spawner, which is the only caller: it has a single thread, so
//! what happens between fork and exec may not meet another thread's lock.
#![expect(unsafe_code, reason = "the hook between fork and exec, and the system calls it makes")]

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};

use rustix::process::{Resource, Rlimit};

use crate::wire::Spawn;

/// Descriptor of the channel in the process (`docs/channel.md`).
const CHANNEL: i32 = 3;

/// AWS's limit on open files (aws-behaviour 23).
const OPEN_FILES: u64 = 1024;

/// Starts it with exactly these variables, descriptors 0 to 3, a session of its own and AWS's limits.
pub(crate) fn start(spawn: &Spawn, channel: OwnedFd, output: OwnedFd) -> io::Result<Child> {
    let (program, arguments) =
        spawn.command.split_first().ok_or_else(|| io::Error::from(io::ErrorKind::InvalidInput))?;
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs(&spawn.variables)
        .current_dir(&spawn.directory)
        .stdin(File::open("/dev/null")?)
        .stdout(output.try_clone()?)
        .stderr(output);
    let channel_fd = channel.as_raw_fd();
    let prepare = move || {
        rustix::process::setsid()?;
        #[cfg(target_os = "linux")]
        rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL))?;
        let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
        rustix::process::setrlimit(Resource::Nofile, limit(OPEN_FILES))?;
        rustix::process::setrlimit(Resource::Core, limit(0))?;
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        // SAFETY: plain system calls on descriptor numbers. Descriptor 3 is the spawner's own socket
        // in its parent, so the standard library's pipe for exec errors is never this number.
        unsafe {
            if libc::dup2(channel_fd, CHANNEL) < 0 {
                return Err(io::Error::last_os_error());
            }
            // At exec and not now: that pipe must live until then.
            #[cfg(target_os = "linux")]
            if libc::syscall(libc::SYS_close_range, CHANNEL + 1, u32::MAX, libc::CLOSE_RANGE_CLOEXEC) < 0 {
                return Err(io::Error::last_os_error());
            }
        }
        Ok(())
    };
    // SAFETY: the hook allocates nothing and takes no lock; it only makes system calls.
    unsafe { command.pre_exec(prepare) };
    command.spawn()
}
