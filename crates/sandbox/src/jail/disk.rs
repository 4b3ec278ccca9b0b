//! `/tmp` on disk: an ext4 file system of exactly the size, in a sparse file without a name, behind a
//! loop device. A full one answers ENOSPC, and its files are not the function's memory, unlike those
//! of a file system in memory, which the kernel counts into the group of whoever writes them.
//!
//! Needs the host's root, a loop driver and `mkfs.ext4`. Nothing is left behind, however lambkin ends:
//! the file has no name any more, and the device lets go of it with the last mount.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use rustix::fs::SeekFrom;

use super::system;

/// A block device with a new file system; attached as long as this, or a mount of it, is there.
pub(super) struct Disk {
    pub(super) path: PathBuf,
    _device: OwnedFd,
}

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

    pub(super) fn make(&self, mb: u32) -> io::Result<Disk> {
        let template = self.template(mb)?;
        let name = self.directory.join(format!("disk-{}", unique()));
        let image = OpenOptions::new().read(true).write(true).create_new(true).open(&name)?;
        let copied = copy_sparse(&template, &image);
        // From here on only its device holds it.
        fs::remove_file(&name)?;
        copied?;
        let (path, device) = system::attach_loop(image.into())?;
        Ok(Disk { path, _device: device })
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
        templates.insert(mb, path.clone());
        Ok(path)
    }
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
