//! `cargo xtask coverage`: puts the table of Lambda's operations into the README. That it is there and right is a test
//! of `lambkin-api`.

use std::fs;

use crate::tools::{self, Result};

/// Before and after the table.
const MARKS: [&str; 2] = ["<!-- cargo xtask coverage -->\n\n", "<!-- end -->"];

pub(crate) fn run() -> Result {
    let table = tools::cargo_output(&["run", "--quiet", "--package=lambkin-api", "--example=coverage"])?;
    let path = tools::root().join("README.md");
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let readme = fs::read_to_string(&path).map_err(failed)?;
    let parts = readme.split_once(MARKS[0]).and_then(|(before, rest)| {
        let (_, after) = rest.split_once(MARKS[1])?;
        Some((before, after))
    });
    let (before, after) = parts.ok_or_else(|| format!("{} has no place for it", path.display()))?;
    print!("{table}");
    fs::write(&path, format!("{before}{}{table}\n{}{after}", MARKS[0], MARKS[1])).map_err(failed)
}
