//! A base being filled: copies of the host's files under their own paths, with the links on the way to
//! them, and nothing that can be written or that runs as somebody else.

use std::collections::{HashMap, VecDeque};
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File, Permissions};
use std::io;
use std::os::unix::fs::{
    DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink,
};
use std::path::{Component, Path, PathBuf};

use super::manifest::Manifest;
use super::recipe::Recipe;

/// As the kernel's own limit on links in one path.
const MOST_LINKS: usize = 40;

/// Something on the way to a file of the host's.
enum Step {
    Directory(PathBuf),
    Link(PathBuf, PathBuf),
    File(PathBuf),
}

pub(super) struct Tree {
    root: PathBuf,
    tops: Vec<PathBuf>,
    /// Where a file of the host's is already: programs that are one file under many names stay so.
    copied: HashMap<(u64, u64), PathBuf>,
}

impl Tree {
    pub(super) fn new(root: &Path, recipe: &Recipe) -> io::Result<Self> {
        DirBuilder::new().mode(0o755).create(root)?;
        Ok(Self { root: root.to_owned(), tops: recipe.tops.clone(), copied: HashMap::new() })
    }

    /// Where a path of the jail is for now.
    fn at(&self, path: &Path) -> PathBuf {
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.at(path).symlink_metadata().is_ok()
    }

    pub(super) fn directory(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().mode(0o755).recursive(true).create(self.at(path))
    }

    /// With the directories above it, which must not be links.
    pub(super) fn file(&self, path: &Path, bytes: &[u8], executable: bool) -> io::Result<()> {
        self.directory(path.parent().unwrap_or(path))?;
        let at = self.at(path);
        fs::write(&at, bytes)?;
        fs::set_permissions(&at, Permissions::from_mode(mode(executable)))
    }

    pub(super) fn link(&self, path: &Path, target: &Path) -> io::Result<()> {
        self.directory(path.parent().unwrap_or(path))?;
        match symlink(target, self.at(path)) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// Copies a file or a directory's way (not what is in it), so that it is found under `path`, too,
    /// and takes down what it was made from.
    ///
    /// # Errors
    ///
    /// `NotFound` where it is missing; `PermissionDenied` where a link leads out of the recipe's
    /// directories. Nothing is copied then.
    pub(super) fn copy(&mut self, path: &Path, manifest: &mut Manifest) -> io::Result<()> {
        let steps = self.steps(path)?;
        for step in steps {
            match step {
                Step::Directory(directory) => self.directory(&directory)?,
                Step::Link(link, target) => {
                    manifest.add(&link);
                    self.link(&link, &target)?;
                }
                Step::File(file) => {
                    manifest.add(&file);
                    self.copy_file(&file)?;
                }
            }
        }
        Ok(())
    }

    /// Walks as the kernel does.
    fn steps(&self, path: &Path) -> io::Result<Vec<Step>> {
        let mut steps = Vec::new();
        let mut links = 0;
        let mut at = PathBuf::from("/");
        let mut rest: VecDeque<OsString> = components(path).collect();
        while let Some(name) = rest.pop_front() {
            if name == ".." {
                at.pop();
                continue;
            }
            at.push(&name);
            if !self.tops.iter().any(|top| at.starts_with(top) || top.starts_with(&at)) {
                return Err(io::ErrorKind::PermissionDenied.into());
            }
            let metadata = fs::symlink_metadata(&at)?;
            if metadata.is_symlink() {
                links += 1;
                if links > MOST_LINKS {
                    return Err(io::Error::other("too many links"));
                }
                let target = fs::read_link(&at)?;
                steps.push(Step::Link(at.clone(), target.clone()));
                if target.is_absolute() {
                    at = PathBuf::from("/");
                } else {
                    at.pop();
                }
                for name in components(&target).collect::<Vec<_>>().into_iter().rev() {
                    rest.push_front(name);
                }
            } else if metadata.is_dir() {
                steps.push(Step::Directory(at.clone()));
            } else if metadata.is_file() && rest.is_empty() {
                steps.push(Step::File(at.clone()));
            } else {
                return Err(io::ErrorKind::NotFound.into());
            }
        }
        Ok(steps)
    }

    fn copy_file(&mut self, path: &Path) -> io::Result<()> {
        let to = self.at(path);
        if to.symlink_metadata().is_ok() {
            return Ok(());
        }
        let mut source = File::open(path)?;
        let metadata = source.metadata()?;
        let identity = (metadata.dev(), metadata.ino());
        if let Some(copied) = self.copied.get(&identity) {
            return fs::hard_link(copied, to);
        }
        let mut copy = File::options().write(true).create_new(true).mode(0o600).open(&to)?;
        // Shares the blocks where the file system can.
        io::copy(&mut source, &mut copy)?;
        // Set-id bits and file capabilities stay behind.
        copy.set_permissions(Permissions::from_mode(mode(metadata.mode() & 0o111 != 0)))?;
        self.copied.insert(identity, to);
        Ok(())
    }

    /// Nothing more comes: the directories become read-only. Owners keep the right to make them
    /// writable, so the jail mounts the whole read-only besides.
    pub(super) fn close(self) -> io::Result<()> {
        close(&self.root)
    }
}

fn mode(executable: bool) -> u32 {
    if executable { 0o555 } else { 0o444 }
}

fn close(directory: &Path) -> io::Result<()> {
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            close(&entry.path())?;
        }
    }
    fs::set_permissions(directory, Permissions::from_mode(0o555))
}

/// Names and `..`, without what leads nowhere.
fn components(path: &Path) -> impl Iterator<Item = OsString> {
    path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}
