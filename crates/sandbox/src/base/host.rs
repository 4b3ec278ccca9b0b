//! The host's programs and the libraries that they need.
//!
//! Which libraries those are the host's dynamic loader says (`--list`, which runs nothing of the
//! program): it has the cache, the paths in the files and the variants for this processor right, which a
//! reader of ELF headers would have to do again. The files are the host's own, so they are trusted.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::process::Command;

use super::manifest::Manifest;
use super::recipe::{LINKS, NEEDED, Recipe, WANTED};
use super::tree::Tree;

/// The loader's path is a part of each program, the same on every Linux with the GNU C library.
#[cfg(target_arch = "x86_64")]
const LOADER: &str = "/lib64/ld-linux-x86-64.so.2";
#[cfg(target_arch = "aarch64")]
const LOADER: &str = "/lib/ld-linux-aarch64.so.1";

/// The loader's list of where libraries are; it changes when one is installed.
const LOADER_CACHE: &str = "/etc/ld.so.cache";

pub(super) fn copy(recipe: &Recipe, tree: &mut Tree, manifest: &mut Manifest) -> io::Result<()> {
    for link in LINKS.map(Path::new) {
        manifest.add(link);
        if link.exists() {
            tree.copy(link, manifest)?;
        }
    }
    manifest.add(Path::new(LOADER_CACHE));
    manifest.add(Path::new(LOADER));
    let Some(shell) = find(recipe, "sh", manifest) else {
        return Err(io::Error::new(io::ErrorKind::NotFound, "there is no shell in /usr/bin or /bin"));
    };
    let mut libraries = node_libraries(&shell)?;
    for name in &recipe.programs {
        let Some(program) = find(recipe, name, manifest) else { continue };
        match program_libraries(&program) {
            Ok(needed) => {
                if let Err(error) = tree.copy(&program, manifest) {
                    tracing::debug!("{} is not in the base: {error}", program.display());
                    continue;
                }
                libraries.extend(needed);
            }
            Err(error) => tracing::debug!("{} is not in the base: {error}", program.display()),
        }
    }
    for library in libraries {
        let context =
            |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", library.display()));
        tree.copy(&library, manifest).map_err(context)?;
    }
    Ok(())
}

fn find(recipe: &Recipe, name: &str, manifest: &mut Manifest) -> Option<PathBuf> {
    recipe.search.iter().map(|directory| directory.join(name)).find(|path| {
        manifest.add(path);
        path.is_file()
    })
}

/// Those of the two lists that the host has, and what they need.
///
/// # Errors
///
/// `NotFound` where the loader or a needed library is missing.
fn node_libraries(program: &Path) -> io::Result<BTreeSet<PathBuf>> {
    // Asked as if they were to be loaded into some program; those that are missing are left out.
    let preload = [NEEDED.as_slice(), WANTED.as_slice()].concat().join(" ");
    let libraries = list(program, &preload)?;
    let missing =
        |name: &&str| !libraries.iter().any(|path| path.file_name().is_some_and(|file| file == *name));
    let missing: Vec<&str> = NEEDED.into_iter().filter(missing).collect();
    if missing.is_empty() {
        return Ok(libraries);
    }
    let message = format!("Node.js needs libraries that are not installed: {}", missing.join(", "));
    Err(io::Error::new(io::ErrorKind::NotFound, message))
}

/// What a program's file needs; nothing for a shell's script.
fn program_libraries(program: &Path) -> io::Result<BTreeSet<PathBuf>> {
    let mut head = [0; 64];
    let length = File::open(program)?.read(&mut head)?;
    match &head[..length] {
        [0x7f, b'E', b'L', b'F', ..] => list(program, ""),
        script if is_for_shell(script) => Ok(BTreeSet::new()),
        _ => Err(io::Error::other("neither a program nor a shell's script")),
    }
}

/// Whether the first line names one of the base's own shells.
fn is_for_shell(script: &[u8]) -> bool {
    let line = script.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let Some(words) = line.strip_prefix(b"#!").and_then(|words| std::str::from_utf8(words).ok()) else {
        return false;
    };
    let interpreter = words.split_whitespace().next().unwrap_or_default();
    ["/bin/sh", "/bin/bash", "/usr/bin/sh", "/usr/bin/bash"].contains(&interpreter)
}

/// Runs the loader, and reads lines such as `libc.so.6 => /lib/libc.so.6 (0x7f00)`. The loader itself has
/// a path and no arrow, the kernel's own library neither.
fn list(program: &Path, preload: &str) -> io::Result<BTreeSet<PathBuf>> {
    let mut command = Command::new(LOADER);
    let output = command.env_clear().env("LD_PRELOAD", preload).arg("--list").arg(program).output();
    let output = output.map_err(|error| {
        io::Error::new(error.kind(), format!("the GNU C library's loader {LOADER} cannot be run: {error}"))
    })?;
    let text = String::from_utf8_lossy(&output.stdout);
    if !output.status.success() || text.contains("not found") {
        let said = String::from_utf8_lossy(&output.stderr);
        return Err(io::Error::other(format!(
            "the loader said {}: {}{}",
            output.status,
            text.trim(),
            said.trim()
        )));
    }
    let path = |line: &str| {
        let place = line.split_once(" => ").map_or(line, |(_, place)| place);
        let place = place.trim().rsplit_once(" (").map_or(place.trim(), |(place, _)| place);
        place.starts_with('/').then(|| PathBuf::from(place))
    };
    Ok(text.lines().filter_map(path).collect())
}
