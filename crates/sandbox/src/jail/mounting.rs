//! Mounts that the spawner makes for jails: detached here, where the host's files are, and attached
//! there, also while processes run in the jail.

use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MoveMountFlags, OpenTreeFlags, fsconfig_create,
    fsconfig_set_string, fsmount, fsopen, move_mount, open_tree,
};
use rustix::thread::{ThreadNameSpaceType, move_into_thread_name_spaces};

use super::system;
use super::wire::{At as _, Failure, Mount, What};

/// A copy of what is at this path, read-only, to be attached somewhere.
pub(super) fn bind(source: &Path, owners: Option<BorrowedFd<'_>>) -> Result<OwnedFd, Failure> {
    let name = || source.display().to_string();
    let flags = OpenTreeFlags::OPEN_TREE_CLONE | OpenTreeFlags::OPEN_TREE_CLOEXEC;
    let tree = open_tree(CWD, source, flags).at(&name())?;
    system::protect(tree.as_fd()).at(&name())?;
    map_owners(tree.as_fd(), owners).at(&name())?;
    Ok(tree)
}

/// Where this kernel or file system cannot, the host's root is nobody inside.
fn map_owners(tree: BorrowedFd<'_>, owners: Option<BorrowedFd<'_>>) -> Result<(), Errno> {
    let Some(owners) = owners else { return Ok(()) };
    match system::map_owners(tree, owners) {
        Err(Errno::INVAL | Errno::PERM | Errno::OPNOTSUPP) => Ok(()),
        done => done,
    }
}

/// Of this many bytes and files, for everyone to write.
fn memory(bytes: u64, files: u64, root: u32) -> Result<OwnedFd, Errno> {
    let context = fsopen("tmpfs", FsOpenFlags::FSOPEN_CLOEXEC)?;
    let context = context.as_fd();
    fsconfig_set_string(context, "size", bytes.to_string())?;
    fsconfig_set_string(context, "nr_inodes", files.to_string())?;
    fsconfig_set_string(context, "mode", "1777")?;
    fsconfig_set_string(context, "uid", root.to_string())?;
    fsconfig_set_string(context, "gid", root.to_string())?;
    fsconfig_create(context)?;
    let attributes = MountAttrFlags::MOUNT_ATTR_NOSUID | MountAttrFlags::MOUNT_ATTR_NODEV;
    fsmount(context, FsMountFlags::FSMOUNT_CLOEXEC, attributes)
}

fn detached(
    mount: &Mount,
    given: &mut impl Iterator<Item = OwnedFd>,
    owners: Option<BorrowedFd<'_>>,
    root: u32,
) -> Result<OwnedFd, Failure> {
    match &mount.what {
        What::Bind { source } => bind(source, owners),
        What::Memory { bytes, files } => memory(*bytes, *files, root).at("making a file system in memory"),
        What::Given => {
            // Fewer come where this process may not have more of them.
            let tree = given.next().ok_or(Errno::MFILE).at("receiving a mount")?;
            map_owners(tree.as_fd(), owners).at("giving a mount the jail's users")?;
            Ok(tree)
        }
    }
}

/// Mounts into the jail whose process this is, all or none; the caller must have one thread, and is
/// in its own mount namespace (`home`) again afterwards.
pub(super) fn mount_into(
    jail: BorrowedFd<'_>,
    home: BorrowedFd<'_>,
    mounts: &[Mount],
    mut given: impl Iterator<Item = OwnedFd>,
    owners: Option<BorrowedFd<'_>>,
    root: u32,
) -> Result<(), Failure> {
    let trees = mounts.iter().map(|mount| detached(mount, &mut given, owners, root));
    let trees = trees.collect::<Result<Vec<_>, _>>()?;
    move_into_thread_name_spaces(jail, ThreadNameSpaceType::MOUNT).at("entering the jail")?;
    let attached = mounts.iter().zip(&trees).try_for_each(|(mount, tree)| {
        move_mount(tree, "", CWD, &mount.target, MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH)
            .at(&mount.target.display().to_string())
    });
    if move_into_thread_name_spaces(home, ThreadNameSpaceType::MOUNT).is_err() {
        // Elsewhere it must not go on: the next request's paths would be the jail's.
        system::exit(1);
    }
    attached
}

/// The user namespace of a process.
pub(super) fn owners_of(pid: i32) -> Result<OwnedFd, Failure> {
    let path = format!("/proc/{pid}/ns/user");
    rustix::fs::open(path, OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).at("opening the user namespace")
}
