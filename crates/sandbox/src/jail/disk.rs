//! `/tmp` on disk: an ext4 file system of exactly the size, in a sparse file without a name, behind a
//! loop device. A full one answers ENOSPC, and its files are not the function's memory, unlike those
//! of a file system in memory, which the kernel counts into the group of whoever writes them.
//!
//! Needs the host's root, a loop driver and `mkfs.ext4`. Nothing is left behind, however lambkin ends:
//! the file has no name any more, and the device lets go of it with the last mount.
//!
//! Mounted here, by blocking threads, and only attached by the spawner: mounting waits for the disk,
//! milliseconds on a busy one, and the spawner does one thing after the other for all jails.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::fs::{AtFlags, Mode, OFlags, SeekFrom, fchmod, openat, unlinkat};
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsconfig_set_flag, fsconfig_set_string,
    fsmount, fsopen,
};

use super::system;

/// Makes disks. Blocks.
pub(super) struct Disks {
    directory: PathBuf,
    /// Empty file systems by their megabytes.
    templates: Mutex<HashMap<u32, PathBuf>>,
}

impl Disks {
    /// Tries one.
    pub(super) fn open(directory: &Path, is_root: bool) -> Result<Self, String> {
        if !is_root {
            return Err("an ordinary user may not attach loop devices".into());
        }
        // A file that a former lambkin was about to take the name from.
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            if entry.file_name().as_encoded_bytes().starts_with(b"disk-") {
                let _ = fs::remove_file(entry.path());
            }
        }
        let disks = Self { directory: directory.to_owned(), templates: Mutex::default() };
        match disks.make(512) {
            Ok(_) => Ok(disks),
            Err(error) => Err(format!("no loop device with ext4 could be made: {error}")),
        }
    }

    /// A new file system of so many megabytes that everyone may write: its mount, attached nowhere.
    pub(super) fn make(&self, mb: u32) -> io::Result<OwnedFd> {
        let template = self.template(mb)?;
        let name = self.directory.join(format!("disk-{}", unique()));
        let image = OpenOptions::new().read(true).write(true).create_new(true).open(&name)?;
        let copied = copy_sparse(&template, &image);
        // From here on only its device holds it.
        fs::remove_file(&name)?;
        copied?;
        mount(image)
    }

    fn template(&self, mb: u32) -> io::Result<PathBuf> {
        let mut templates = self.templates.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(template) = templates.get(&mb) {
            return Ok(template.clone());
        }
        let path = self.directory.join(format!("disk-template-{mb}"));
        let file = File::create(&path)?;
        file.set_len(u64::from(mb) << 20)?;
        make_file_system(&path)?;
        // Once for all disks: the kernel reads and changes both on the disk itself.
        let made = mount(OpenOptions::new().read(true).write(true).open(&path)?)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(&made, ".", flags, Mode::empty())?;
        unlinkat(&root, "lost+found", AtFlags::REMOVEDIR)?;
        fchmod(&root, Mode::from_raw_mode(0o1777))?;
        // Unmounted, so that everything is in the file, when the second of the two is closed.
        drop((root, made));
        templates.insert(mb, path.clone());
        Ok(path)
    }
}

/// Mounts the file system in a file, without setuid and devices.
fn mount(image: File) -> io::Result<OwnedFd> {
    // Until it is mounted the device must be held.
    let (path, _device) = system::attach_loop(image.into())?;
    let context = fsopen("ext4", FsOpenFlags::FSOPEN_CLOEXEC)?;
    fsconfig_set_string(context.as_fd(), "source", &path)?;
    // It is gone with the environment: nothing has to survive a crash, and what the kernel zeroes in
    // the background is zero already, in a file's holes.
    fsconfig_set_flag(context.as_fd(), "nobarrier")?;
    fsconfig_set_flag(context.as_fd(), "noinit_itable")?;
    fsconfig_create(context.as_fd())?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    Ok(fsmount(context.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, attributes)?)
}

/// Where systems have it; a service's PATH may lack them.
const MKFS: [&str; 4] = ["/usr/sbin/mkfs.ext4", "/sbin/mkfs.ext4", "/usr/bin/mkfs.ext4", "mkfs.ext4"];

fn make_file_system(path: &Path) -> io::Result<()> {
    let program = MKFS.iter().find(|program| Path::new(program).exists()).unwrap_or(&MKFS[3]);
    let made = Command::new(program)
        // No journal: it is gone with the environment. No blocks for root: the function has them all.
        .args(["-q", "-F", "-O", "^has_journal,^resize_inode", "-m", "0", "-b", "4096"])
        .args(["-E", "nodiscard,lazy_itable_init=1,root_owner=0:0"])
        .arg(path)
        .env_clear()
        .stdin(Stdio::null())
        .output()?;
    if made.status.success() {
        return Ok(());
    }
    Err(io::Error::other(format!("{program}: {}", String::from_utf8_lossy(&made.stderr).trim())))
}

/// Only what is there: 60 KiB of 512 MB.
fn copy_sparse(template: &Path, to: &File) -> io::Result<()> {
    let mut from = File::open(template)?;
    let length = from.metadata()?.len();
    to.set_len(length)?;
    let mut to = to;
    let mut at = 0;
    while at < length {
        let start = match rustix::fs::seek(&from, SeekFrom::Data(at)) {
            Ok(start) => start,
            // Nothing but holes from here on.
            Err(rustix::io::Errno::NXIO) => break,
            Err(error) => return Err(error.into()),
        };
        let end = rustix::fs::seek(&from, SeekFrom::Hole(start))?;
        from.seek(io::SeekFrom::Start(start))?;
        to.seek(io::SeekFrom::Start(start))?;
        io::copy(&mut (&mut from).take(end - start), &mut to)?;
        at = end;
    }
    to.flush()
}

/// A name that nobody else has.
fn unique() -> String {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}
