//! `cargo xtask guest`: lambkin on a machine like most of its users': systemd, and cgroup v2 alone. A small Debian
//! is put together from its packages and booted by qemu, in software: no rights are needed here, and no KVM. What it
//! runs is in `tests/guest`.
//!
//! Deliberately not here: what is on its disk (`guest_disk`), how it gets to its disk (`guest_initramfs`).

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use crate::guest_disk::{Disk, Programs};
use crate::tools::{self, Result};

const QEMU: &str = "qemu-system-x86_64";
/// A software processor is 10 to 30 times slower than a real one: the waits of the tests are this much longer.
const SLOWNESS: u32 = 6;
/// For all parts.
const PATIENCE: Duration = Duration::from_mins(40);
/// Lines that wait to be shown; then the guest's own writing waits.
const LINES: usize = 64;
/// What the guest says last.
const THROUGH: &str = "guest: all parts are through, 0 failed";

/// A service that has no use here costs seconds at this speed.
const MASKED: [&str; 7] = [
    "systemd-udevd.service",
    "systemd-udevd-kernel.socket",
    "systemd-udevd-control.socket",
    "systemd-udev-trigger.service",
    "systemd-hwdb-update.service",
    "systemd-journal-flush.service",
    "systemd-update-utmp.service",
];

/// `only` is the beginning of parts' names.
pub(crate) fn run(only: Option<&str>) -> Result {
    if let Some(word) = only
        && !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    {
        return Err(format!("no part is called {word:?}"));
    }
    let missing = |why: &str| Err(format!("NOT TESTED: cgroup v2 under systemd, in a guest: {why}"));
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return missing("the guest is x86_64 Linux, and so must this machine be");
    }
    if !works(QEMU) {
        return missing("there is no qemu-system-x86_64 here (Debian: qemu-system-x86)");
    }
    let place = tools::scratch("guest");
    let packages = match Disk::fetch(&place) {
        Ok(packages) => packages,
        Err(why) => return missing(&why),
    };
    let disk = packages.make(&Programs::build()?)?;
    boot(&disk, &place.join("console.log"), only)
}

fn works(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok_and(|output| output.status.success())
}

fn boot(disk: &Disk, console: &Path, only: Option<&str>) -> Result {
    let mut words: Vec<String> =
        ["console=ttyS0", "panic=-1", "cgroup_no_v1=all", "systemd.unit=guest.service"]
            .map(str::to_owned)
            .to_vec();
    words.extend(MASKED.iter().map(|unit| format!("systemd.mask={unit}")));
    words.push(format!("guest.slowness={SLOWNESS}"));
    words.extend(only.map(|only| format!("guest.only={only}")));
    let mut command = tools::command(QEMU);
    command.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "3G", "-display", "none"]);
    command.args(["-nodefaults", "-no-user-config", "-no-reboot"]);
    command.arg("-kernel").arg(disk.kernel()?).arg("-initrd").arg(disk.initramfs());
    command.args(["-append", &words.join(" ")]);
    // What the guest writes is forgotten.
    command.arg("-drive").arg(format!("file={},format=raw,if=virtio,snapshot=on", disk.image().display()));
    command.arg("-serial").arg(format!("file:{}", console.display())).args(["-serial", "stdio"]);
    let started = Instant::now();
    let guest = Guest(
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| format!("{QEMU}: {error}"))?,
    );
    eprintln!("guest: it boots, which takes a minute; its console is {}", console.display());
    let said = guest.listen(started + PATIENCE)?;
    if said.last().is_some_and(|line| line == THROUGH) {
        eprintln!("guest: {:.0?}", started.elapsed());
        return Ok(());
    }
    let failed: Vec<&str> =
        said.iter().filter(|line| line.contains(" FAILED,")).map(String::as_str).collect();
    match failed[..] {
        [] => Err(format!(
            "the guest ended before its parts were through; its console is {}",
            console.display()
        )),
        [..] => Err(failed.join("; ")),
    }
}

/// The machine; it ends when this is dropped.
struct Guest(Child);

impl Guest {
    /// Shows what it says, until it ends; returns the lines that are about parts.
    fn listen(mut self, deadline: Instant) -> Result<Vec<String>> {
        let output = self.0.stdout.take().expect("a pipe");
        let (sender, lines) = sync_channel(LINES);
        let reader = thread::spawn(move || {
            for line in BufReader::new(output).split(b'\n').map_while(std::result::Result::ok) {
                if sender.send(String::from_utf8_lossy(&line).trim_end().to_owned()).is_err() {
                    return;
                }
            }
        });
        let mut said = Vec::new();
        let ended = loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    println!("{line}");
                    if line.starts_with("guest: ") {
                        said.push(line);
                    }
                }
                Err(RecvTimeoutError::Disconnected) => break Ok(said),
                Err(RecvTimeoutError::Timeout) => {
                    break Err(format!("the guest is not through after {PATIENCE:?}"));
                }
            }
        };
        drop((self, lines));
        reader.join().map_err(|_| "the guest's reader panicked".to_owned())?;
        ended
    }
}

impl Drop for Guest {
    fn drop(&mut self) {
        // It has ended already, or is to.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Of a directory that has one such entry.
pub(crate) fn only_entry(directory: &Path, prefix: &str) -> Result<PathBuf> {
    let entries =
        std::fs::read_dir(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .find(is_it)
        .ok_or_else(|| format!("{} has no {prefix}*", directory.display()))
}
