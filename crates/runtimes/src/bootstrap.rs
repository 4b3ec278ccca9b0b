//! The bootstrap that runs inside the function's process: embedded in the binary, one bundle per
//! generation, and laid out in the cache as the directory that is `LAMBDA_RUNTIME_DIR`.
//!
//! Deliberately not here: what the bootstrap does (`runtimes/node/`), and how the bundles are made
//! (`build/`).

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use lambkin_model::runtime::{BOOTSTRAP_FILE, Generation, Runtime};

use crate::ca_bundle;
use crate::cache::{Cache, hex_sha256};

/// A `package.json` far above the cache, in someone's home, must not turn the bootstrap into an ES
/// module; the nearest one decides, so there is one beside it.
const PACKAGE_JSON: &str = "{\"private\":true,\"type\":\"commonjs\"}\n";

/// The bundle of a generation.
fn bundle(generation: Generation) -> &'static str {
    match generation {
        Generation::G1 => include_str!(concat!(env!("OUT_DIR"), "/g1.js")),
        Generation::G1b => include_str!(concat!(env!("OUT_DIR"), "/g1b.js")),
        Generation::G2 => include_str!(concat!(env!("OUT_DIR"), "/g2.js")),
        Generation::G3 => include_str!(concat!(env!("OUT_DIR"), "/g3.js")),
    }
}

/// The runtime's directory in the cache, written where it is missing or not as it should be.
///
/// Cheap when everything is there: it only reads. File by file through a rename, so that processes
/// sharing the cache see each file whole, and a running function never loses one.
pub(crate) fn place(cache: &Cache, runtime: Runtime) -> io::Result<PathBuf> {
    let bundle = bundle(runtime.generation());
    // The file's name too: a former lambkin's file of another name must not lie beside it, where a
    // handler could find it through NODE_PATH.
    let hash = hex_sha256(format!("{BOOTSTRAP_FILE}\n{bundle}").as_bytes());
    let directory = cache.root().join("bootstrap").join(&hash[..16]).join(runtime.name());
    write(&directory, BOOTSTRAP_FILE, bundle)?;
    write(&directory, "package.json", PACKAGE_JSON)?;
    if runtime.major() >= ca_bundle::SINCE {
        ca_bundle::place(&directory, &ca_bundle::HOST)?;
    }
    make_mount_point(&directory.join("node_modules"))?;
    Ok(directory)
}

/// An empty directory; a former lambkin had a link there.
fn make_mount_point(path: &Path) -> io::Result<()> {
    if path.is_symlink() {
        fs::remove_file(path)?;
    }
    fs::create_dir_all(path)
}

fn write(directory: &Path, name: &str, text: &str) -> io::Result<()> {
    let path = directory.join(name);
    if fs::read(&path).is_ok_and(|found| found == text.as_bytes()) {
        return Ok(());
    }
    fs::create_dir_all(directory)?;
    let file = tempfile::NamedTempFile::new_in(directory)?;
    fs::write(file.path(), text)?;
    // Temporary files are private; the function's process may run as another user.
    fs::set_permissions(file.path(), fs::Permissions::from_mode(0o644))?;
    file.persist(&path)?;
    Ok(())
}
