//! The ring `browser`: the console in Chromium, against the real binary, with boto3 reading back.

use std::fs;
use std::path::{Path, PathBuf};

use crate::debian::Program;
use crate::test;
use crate::tools::{self, Result};

/// The machine's Chromium, or Debian's.
const CHROMIUM: Program = Program {
    name: "chromium",
    known: &["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
    packages: "chromium fonts-dejavu-core",
    start: r#"#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
for libraries in "$here"/usr/lib/*-linux-gnu* "$here"/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_SYSROOT="$here"
exec "$here/usr/lib/chromium/chromium" "$@"
"#,
    version: "",
};

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
    CHROMIUM.find()
}
