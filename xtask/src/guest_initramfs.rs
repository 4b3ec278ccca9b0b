//! What the guest's kernel starts with: busybox, and the modules without which it does not see its disk.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::guest::only_entry;
use crate::tools::{self, Result};

/// Drivers of the disk. Its file system is in Debian's kernels.
const MODULES: [&str; 2] = ["virtio_pci", "virtio_blk"];

/// From the guest's root, whose busybox also runs here: it is static.
pub(crate) fn make(root: &Path, place: &Path, archive: &Path) -> Result {
    let said = |path: &Path, error: std::io::Error| format!("{}: {error}", path.display());
    let busybox = root.join("bin/busybox");
    let modules = only_entry(&root.join("lib/modules"), "")?;
    let version = modules.file_name().expect("a name").to_owned();
    tools::run(Command::new(&busybox).args(["depmod", "-b"]).arg(root).arg(&version))?;

    if place.exists() {
        fs::remove_dir_all(place).map_err(|error| said(place, error))?;
    }
    let copy = |from: &Path, to: &Path| {
        fs::create_dir_all(to.parent().expect("a directory")).map_err(|error| said(to, error))?;
        fs::copy(from, to).map(drop).map_err(|error| said(from, error))
    };
    copy(&busybox, &place.join("bin/busybox"))?;
    let init = place.join("init");
    copy(&tools::root().join("tests/guest/initramfs.sh"), &init)?;
    fs::set_permissions(&init, std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .map_err(|error| said(&init, error))?;
    let to = place.join("lib/modules").join(&version);
    let dependencies =
        fs::read_to_string(modules.join("modules.dep")).map_err(|error| said(&modules, error))?;
    for name in ["modules.dep", "modules.alias", "modules.symbols"] {
        copy(&modules.join(name), &to.join(name))?;
    }
    for file in needed(&dependencies) {
        copy(&modules.join(&file), &to.join(&file))?;
    }
    let list = "find . | \"$0\" cpio -o -H newc";
    let output = fs::File::create(archive).map_err(|error| said(archive, error))?;
    let mut pack = Command::new("sh");
    pack.args(["-c", list]).arg(&busybox).current_dir(place).stdout(output).stderr(Stdio::null());
    tools::run(&mut pack)
}

/// `file: dependency dependency`, for each module.
fn needed(dependencies: &str) -> Vec<PathBuf> {
    let is_wanted = |file: &str| {
        let name = file.rsplit('/').next().unwrap_or(file);
        MODULES.iter().any(|module| name.strip_prefix(module).is_some_and(|rest| rest.starts_with(".ko")))
    };
    dependencies
        .lines()
        .filter_map(|line| line.split_once(':'))
        .filter(|(file, _)| is_wanted(file))
        .flat_map(|(file, others)| std::iter::once(file).chain(others.split_ascii_whitespace()))
        .map(PathBuf::from)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_module_comes_with_what_it_needs() {
        let text =
            "kernel/a/virtio_blk.ko: kernel/b/virtio.ko\nkernel/a/virtio_net.ko: kernel/c/failover.ko\n";
        assert_eq!(needed(text), ["kernel/a/virtio_blk.ko", "kernel/b/virtio.ko"].map(PathBuf::from));
    }
}
