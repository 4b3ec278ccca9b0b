//! The ring `browser`: the console in Chromium, against the real binary, with boto3 reading back.

use std::fs;
use std::path::Path;

use crate::set_up::venv;
use crate::tools::{self, Result};

pub(crate) fn ring(chromium: &Path, lambkin: &Path, runtimes: &Path) -> Result {
    let screenshots = std::env::var_os("LAMBKIN_SCREENSHOTS")
        .map_or_else(|| tools::scratch("screenshots"), |place| tools::root().join(place));
    fs::create_dir_all(&screenshots).map_err(|error| format!("{}: {error}", screenshots.display()))?;
    let console = tools::root().join("console");
    // The binary's build had npm fetch what the types are checked with, too.
    tools::run(tools::command("npm").current_dir(console).args(["run", "check"]))?;
    let tests = tools::root().join("tests/browser");
    tools::run(
        tools::command("npm")
            .current_dir(&tests)
            .args(["test"])
            .env("LAMBKIN_BIN", lambkin)
            .env("LAMBKIN_RUNTIMES", runtimes)
            .env("LAMBKIN_CHROMIUM", chromium)
            .env("LAMBKIN_SCREENSHOTS", &screenshots)
            .env("LAMBKIN_PYTHON", venv()?),
    )
}
