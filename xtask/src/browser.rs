//! The ring `browser`: the console in Chromium, against the real binary, with boto3 reading back.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::test;
use crate::tools::{self, Result};

/// Asks apt for Chromium and what it needs that this machine lacks, with package lists of its own, and unpacks it here:
/// nothing is installed, and nobody needs to be root.
const FETCH: &str = r#"
set -e
mkdir -p lists/partial cache/archives/partial debs
set -- -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)"
apt-get "$@" --quiet update
packages=$(apt-get "$@" --simulate --no-install-recommends install chromium fonts-dejavu-core | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
cd debs
apt-get "$@" --quiet download $packages
cd ..
for package in debs/*.deb; do dpkg --extract "$package" .; done
rm -r debs lists cache
"#;

/// Starts what was unpacked.
const START: &str = r#"#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
for libraries in "$here"/usr/lib/*-linux-gnu* "$here"/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_SYSROOT="$here"
exec "$here/usr/lib/chromium/chromium" "$@"
"#;

/// What is to be said where there is no browser.
pub(crate) const MISSING: &str = "the console; there is no Chromium here, and apt-get has none";

pub(crate) fn ring(chromium: &Path, lambkin: &Path, runtimes: &Path) -> Result {
    let screenshots = std::env::var_os("LAMBKIN_SCREENSHOTS")
        .map_or_else(|| tools::scratch("screenshots"), |place| tools::root().join(place));
    fs::create_dir_all(&screenshots).map_err(|error| format!("{}: {error}", screenshots.display()))?;
    let console = tools::root().join("console");
    // The binary's build had npm fetch what the types are checked with, too.
    tools::run(tools::command("npm").current_dir(console).args(["run", "check"]))?;
    let tests = tools::root().join("tests/browser");
    tools::run(tools::command("npm").current_dir(&tests).args(["ci", "--no-audit", "--no-fund"]))?;
    tools::run(
        tools::command("npm")
            .current_dir(&tests)
            .args(["test"])
            .env("LAMBKIN_BIN", lambkin)
            .env("LAMBKIN_RUNTIMES", runtimes)
            .env("LAMBKIN_CHROMIUM", chromium)
            .env("LAMBKIN_SCREENSHOTS", &screenshots)
            .env("LAMBKIN_PYTHON", test::venv()?),
    )
}

/// The machine's Chromium, or Debian's, under `target/`.
pub(crate) fn chromium() -> Option<PathBuf> {
    let known = ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"];
    if let Some(chromium) = known.iter().map(PathBuf::from).find(|chromium| works(chromium)) {
        return Some(chromium);
    }
    let place = tools::scratch("chromium");
    let fetched = place.join("start");
    if works(&fetched) {
        return Some(fetched);
    }
    fetch(&place, &fetched).then_some(fetched)
}

fn fetch(place: &Path, start: &Path) -> bool {
    eprintln!("fetching Chromium's packages into {}", place.display());
    let _ = fs::remove_dir_all(place);
    let fetched = fs::create_dir_all(place).is_ok()
        && Command::new("sh")
            .args(["-c", FETCH])
            .current_dir(place)
            .status()
            .is_ok_and(|status| status.success());
    fetched && fs::write(start, START).is_ok() && executable(start) && works(start)
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).is_ok()
}

#[cfg(not(unix))]
fn executable(_: &Path) -> bool {
    true
}

fn works(chromium: &Path) -> bool {
    Command::new(chromium).arg("--version").output().is_ok_and(|output| output.status.success())
}
