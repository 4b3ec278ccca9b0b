//! `cargo xtask fuzz`: malformed requests, made from botocore's service models, against a server that must stay whole.
//! `tests/clients/fuzz.py` makes and judges them; a short form is a test of the clients' ring.

use crate::set_up::venv;
use crate::tools::{self, Result};

/// Answers once every request was sent, with an error if any was answered wrongly. Without a seed one is drawn, and said.
pub(crate) fn run(requests: u32, seed: Option<u32>, number: Option<u32>) -> Result {
    let lambkin = tools::checked_lambkin()?;
    let runtimes = tools::scratch("runtimes");
    tools::run(
        tools::command(&lambkin).args(["runtimes", "install", "nodejs22.x", "--runtimes"]).arg(&runtimes),
    )?;
    let mut command = tools::command(venv()?);
    command.args(["tests/clients/fuzz.py", "--requests", &requests.to_string()]);
    for (option, value) in [("--seed", seed), ("--number", number)] {
        command.args(value.iter().flat_map(|value| [option.to_owned(), value.to_string()]));
    }
    tools::run(command.env("LAMBKIN_BIN", lambkin).env("LAMBKIN_RUNTIMES", runtimes))
}
