//! `cargo xtask chaos`: kills lambkin over and over while clients use it, and compares what they were told with what
//! happened. `tests/chaos` has the clients, the ledger and the layer that forgets.

use std::path::Path;

use crate::set_up::venv;
use crate::test::pytest;
use crate::tools::{self, Result};

/// Kills in `cargo xtask test`, and those of them that are power cuts.
const SHORT: [(u32, bool); 2] = [(20, false), (15, true)];

pub(crate) struct Chaos {
    pub(crate) cycles: u32,
    pub(crate) seed: Option<u32>,
    pub(crate) forgetful: bool,
}

impl Chaos {
    pub(crate) fn run(&self, lambkin: &Path, runtimes: &Path) -> Result {
        let mut command = tools::command(venv()?);
        command.args(["tests/chaos/chaos.py", "--cycles", &self.cycles.to_string()]);
        if let Some(seed) = self.seed {
            command.args(["--seed", &seed.to_string()]);
        }
        if self.forgetful {
            command.arg("--forgetful");
        }
        tools::run(command.env("LAMBKIN_BIN", lambkin).env("LAMBKIN_RUNTIMES", runtimes))
    }
}

/// The ring: first the tests of what convicts, then the kills.
pub(crate) fn ring(lambkin: &Path, runtimes: &Path, arguments: &[String]) -> Result {
    pytest("tests/chaos", lambkin, runtimes, None, arguments)?;
    for (cycles, forgetful) in SHORT {
        Chaos { cycles, seed: None, forgetful }.run(lambkin, runtimes)?;
    }
    Ok(())
}

pub(crate) fn run(chaos: &Chaos) -> Result {
    let lambkin = tools::lambkin()?;
    let runtimes = tools::scratch("runtimes");
    tools::run(
        tools::command(&lambkin).args(["runtimes", "install", "nodejs22.x", "--runtimes"]).arg(&runtimes),
    )?;
    chaos.run(&lambkin, &runtimes)
}
