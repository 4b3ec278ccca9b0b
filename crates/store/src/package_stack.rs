//! Lays unpacked packages over each other: what a function finds in `/opt`. Files are hard links into the packages, so
//! that a stack costs directories only, and stay when a package goes. As in an overlay, what is not a directory covers
//! and is covered as a whole.
//!
//! Deliberately not here: where stacks are kept (`file_code_store`), and how large they may be (`control`).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;

use lambkin_model::code::{CodeError, Contents};
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use crate::file_code_store::unavailable;

const DIRECTORY: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
const NO_LINK: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC);

/// Fills `root`, which is empty; the last package is on top. Returns how many files and directories were made.
pub(crate) fn lay(packages: &[OwnedFd], root: &OwnedFd) -> Result<usize, CodeError> {
    let mut made = 0;
    // From the top: what is there covers what comes.
    for package in packages.iter().rev() {
        below(package, root, &mut made).map_err(|error| unavailable(error.into()))?;
    }
    Ok(made)
}

fn below(from: &OwnedFd, to: &OwnedFd, made: &mut usize) -> Result<(), Errno> {
    for entry in Dir::read_from(from)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let stat = rustix::fs::statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        let placed = match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                let placed = rustix::fs::mkdirat(to, name, Mode::from_raw_mode(0o755));
                let inner = match rustix::fs::openat(to, name, DIRECTORY, Mode::empty()) {
                    // Something else covers it.
                    Err(Errno::NOTDIR | Errno::LOOP) => continue,
                    opened => opened?,
                };
                if placed.is_ok() {
                    // The umask is the user's; what functions see is not.
                    rustix::fs::fchmod(&inner, Mode::from_raw_mode(0o755))?;
                }
                below(&rustix::fs::openat(from, name, DIRECTORY, Mode::empty())?, &inner, made)?;
                placed
            }
            FileType::RegularFile => match rustix::fs::linkat(from, name, to, name, AtFlags::empty()) {
                // Linked too often, or on a file system without links.
                Err(Errno::MLINK | Errno::PERM | Errno::XDEV | Errno::OPNOTSUPP) => {
                    copy(from, to, name, Mode::from_raw_mode(stat.st_mode))
                }
                linked => linked,
            },
            FileType::Symlink => {
                rustix::fs::symlinkat(rustix::fs::readlinkat(from, name, Vec::new())?, to, name)
            }
            // No package has others.
            _ => Err(Errno::INVAL),
        };
        match placed {
            Ok(()) => *made += 1,
            Err(Errno::EXIST) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn copy(from: &OwnedFd, to: &OwnedFd, name: &std::ffi::CStr, mode: Mode) -> Result<(), Errno> {
    let source = rustix::fs::openat(from, name, OFlags::RDONLY | NO_LINK, Mode::empty())?;
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | NO_LINK;
    let target = rustix::fs::openat(to, name, flags, Mode::from_raw_mode(0o600))?;
    rustix::fs::fchmod(&target, mode)?;
    let copied = io::copy(&mut File::from(source), &mut File::from(target));
    copied.map(drop).map_err(|error| Errno::from_io_error(&error).unwrap_or(Errno::IO))
}

/// What is in an unpacked package; `unzipped` where that is known already.
pub(crate) fn contents(directory: &Path, unzipped: Option<u64>) -> io::Result<Contents> {
    let root = rustix::fs::openat(CWD, directory, DIRECTORY, Mode::empty())?;
    let unzipped = unzipped.map_or_else(|| bytes(&root), Ok)?;
    let extensions = has_extensions(&root)?;
    Ok(Contents { unzipped, extensions })
}

fn has_extensions(root: &OwnedFd) -> Result<bool, Errno> {
    let stat = match rustix::fs::statat(root, "extensions", AtFlags::SYMLINK_NOFOLLOW) {
        Err(Errno::NOENT) => return Ok(false),
        stat => stat?,
    };
    Ok(match FileType::from_raw_mode(stat.st_mode) {
        FileType::Directory => {
            has_executable(&rustix::fs::openat(root, "extensions", DIRECTORY, Mode::empty())?)?
        }
        // It may lead anywhere, into another layer too.
        FileType::Symlink => true,
        _ => false,
    })
}

fn has_executable(directory: &OwnedFd) -> Result<bool, Errno> {
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let stat = rustix::fs::statat(directory, entry.file_name(), AtFlags::SYMLINK_NOFOLLOW)?;
        let file = FileType::from_raw_mode(stat.st_mode) != FileType::Directory;
        if file && stat.st_mode & 0o111 != 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

fn bytes(directory: &OwnedFd) -> Result<u64, Errno> {
    let mut sum = 0;
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name.to_bytes() == b"." || name.to_bytes() == b".." {
            continue;
        }
        let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)?;
        sum += match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => bytes(&rustix::fs::openat(directory, name, DIRECTORY, Mode::empty())?)?,
            _ => u64::try_from(stat.st_size).unwrap_or(0),
        };
    }
    Ok(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    fn open(path: &Path) -> OwnedFd {
        rustix::fs::openat(CWD, path, DIRECTORY, Mode::empty()).unwrap()
    }

    #[test]
    fn later_ones_cover_earlier_ones() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        let write = |path: &str| {
            fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            fs::write(at(path), path).unwrap();
        };
        for path in ["1/both", "1/d/one", "1/d/both", "1/file-then-directory", "1/directory-then-file/x"] {
            write(path);
        }
        for path in ["2/both", "2/d/two", "2/d/both", "2/file-then-directory/x", "2/directory-then-file"] {
            write(path);
        }
        // A link on top hides the directory below, which is not written through it.
        write("1/linked/inner");
        fs::create_dir_all(at("outside")).unwrap();
        symlink("../outside", at("2/linked")).unwrap();
        symlink("both", at("1/link")).unwrap();
        fs::set_permissions(at("1/d/one"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::create_dir(at("root")).unwrap();
        lay(&[open(&at("1")), open(&at("2"))], &open(&at("root"))).unwrap();
        for (path, expected) in [
            ("both", "2/both"),
            ("d/one", "1/d/one"),
            ("d/two", "2/d/two"),
            ("d/both", "2/d/both"),
            ("file-then-directory/x", "2/file-then-directory/x"),
            ("directory-then-file", "2/directory-then-file"),
            ("link", "2/both"),
        ] {
            assert_eq!(fs::read_to_string(at("root").join(path)).unwrap(), expected, "{path}");
        }
        assert_eq!(fs::read_link(at("root/linked")).unwrap(), Path::new("../outside"));
        assert_eq!(fs::read_dir(at("outside")).unwrap().count(), 0);
        let (one, of) = (fs::metadata(at("root/d/one")).unwrap(), fs::metadata(at("1/d/one")).unwrap());
        assert_eq!((one.ino(), one.mode() & 0o777), (of.ino(), 0o755), "a link costs nothing");
        // A copy says the same.
        copy(&open(&at("1/d")), &open(&at("root")), c"one", Mode::from_raw_mode(0o755)).unwrap();
        let copied = fs::metadata(at("root/one")).unwrap();
        assert_eq!((copied.len(), copied.mode() & 0o777), (one.len(), 0o755));
    }

    #[test]
    fn contents_of_a_package() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path);
        fs::create_dir_all(at("extensions/not-this")).unwrap();
        fs::write(at("a"), b"123").unwrap();
        fs::write(at("extensions/notes.txt"), b"45").unwrap();
        let found = || contents(directory.path(), None).unwrap();
        assert_eq!(found(), Contents { unzipped: 5, extensions: false });
        fs::set_permissions(at("extensions/notes.txt"), fs::Permissions::from_mode(0o755)).unwrap();
        assert_eq!(found(), Contents { unzipped: 5, extensions: true });
        assert_eq!(contents(directory.path(), Some(7)).unwrap().unzipped, 7);
        fs::rename(at("extensions"), at("elsewhere")).unwrap();
        assert!(!found().extensions);
        symlink("elsewhere", at("extensions")).unwrap();
        assert!(found().extensions, "by a link");
        fs::remove_file(at("extensions")).unwrap();
        fs::write(at("extensions"), "no directory").unwrap();
        assert!(!found().extensions);
    }
}
