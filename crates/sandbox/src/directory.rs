//! The directories of process mode: what an environment finds where, making them, removing them.
//!
//! Deliberately not here: when they are removed (`supervisor`), and the code and runtimes in them.

use std::ffi::OsStr;
use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use lambkin_model::sandbox::{LaunchError, Layout, Sources};

/// The launcher's base directory.
#[derive(Debug, Clone)]
pub(crate) struct Base(PathBuf);

impl Base {
    /// Makes it where it is missing.
    pub(crate) fn open(path: &Path) -> Result<Self, LaunchError> {
        let made = || {
            // Processes start elsewhere: what they are told must be absolute.
            let base = Self(std::path::absolute(path)?);
            make_private(&base.0)?;
            // A function of a former run may have put something there.
            remove(&base.opt());
            DirBuilder::new().mode(0o555).recursive(true).create(base.opt())?;
            Ok(base)
        };
        made().map_err(|error: io::Error| LaunchError(format!("cannot make {}: {error}", path.display())))
    }

    /// What every function without layers finds as `/opt`, empty.
    fn opt(&self) -> PathBuf {
        self.0.join("opt")
    }

    /// The one directory that has all of an environment's.
    pub(crate) fn environment(&self, id: &str) -> PathBuf {
        self.0.join(id)
    }

    fn tmp(&self, id: &str) -> PathBuf {
        self.environment(id).join("tmp")
    }

    pub(crate) fn layout(&self, sources: &Sources, id: &str) -> Layout {
        Layout {
            // Without one, as nothing is started here, none is looked for.
            task_root: sources.code.clone().unwrap_or_default(),
            runtime_dir: sources.runtime_dir.clone(),
            modules: sources.modules.clone(),
            bin: sources.node.parent().unwrap_or(Path::new("/")).to_owned(),
            opt: sources.opt.clone().unwrap_or_else(|| self.opt()),
            tmp: Some(self.tmp(id)),
            services: None,
        }
    }

    /// Makes the directories of a new environment.
    pub(crate) fn prepare(&self, sources: &Sources, id: &str) -> Result<(), LaunchError> {
        let tmp = self.tmp(id);
        make_private(&tmp).map_err(|error| LaunchError(format!("cannot make {}: {error}", tmp.display())))?;
        if !sources.borrowed {
            link_modules(sources);
        }
        Ok(())
    }

    /// Directories of all environments.
    pub(crate) fn environments(&self) -> Vec<PathBuf> {
        let Ok(entries) = fs::read_dir(&self.0) else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.path())).filter(|path| *path != self.opt()).collect()
    }
}

/// Ids name directories and are looked for in other processes' variables, so they must be both
/// harmless and unmistakable.
pub(crate) fn is_id(id: &str) -> bool {
    id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// With the directories above it that are missing; those are private too.
fn make_private(path: &Path) -> io::Result<()> {
    DirBuilder::new().mode(0o700).recursive(true).create(path)
}

/// `import` does not look at `NODE_PATH`, only into `node_modules` of the directories above; so the
/// SDK is put beside the task root. Where that is not possible, `require` still finds it.
fn link_modules(sources: &Sources) {
    let Some(parent) = sources.code.as_deref().and_then(Path::parent) else { return };
    let Ok(modules) = fs::canonicalize(&sources.modules) else { return };
    let link = parent.join("node_modules");
    if fs::read_link(&link).is_ok_and(|target| target == modules) {
        return;
    }
    let placed = || {
        // Beside it and renamed, so that no process ever finds it missing.
        let fresh = parent.join(format!(".node_modules-{}", std::process::id()));
        match fs::remove_file(&fresh) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        symlink(&modules, &fresh)?;
        // Fails where a directory of the user's has the name: it stays.
        fs::rename(&fresh, &link).inspect_err(|_| drop(fs::remove_file(&fresh)))
    };
    if let Err(error) = placed() {
        tracing::debug!("{} does not lead to the SDK: {error}", link.display());
    }
}

/// Removes a directory and says so in the log where it cannot.
pub(crate) fn remove(directory: &Path) {
    let removed = fs::remove_dir_all(directory).or_else(|error| {
        if error.kind() != io::ErrorKind::PermissionDenied {
            return Err(error);
        }
        // A function may have taken the permissions away from its own directories.
        make_removable(directory)?;
        fs::remove_dir_all(directory)
    });
    match removed {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!("{} was not removed ({error}); the next start tries again", directory.display());
        }
        Ok(()) | Err(_) => {}
    }
}

fn make_removable(directory: &Path) -> io::Result<()> {
    fs::set_permissions(directory, Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        // Not of what a link leads to.
        if entry.file_type()?.is_dir() {
            make_removable(&entry.path())?;
        }
    }
    Ok(())
}

/// The environment's id that a leftover directory is named after.
pub(crate) fn id_of(directory: &Path) -> Option<String> {
    directory.file_name().and_then(OsStr::to_str).filter(|name| is_id(name)).map(str::to_owned)
}
