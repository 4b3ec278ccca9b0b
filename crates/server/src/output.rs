//! What commands say on stdout. Whoever reads may have had enough (`lambkin top | head`), which is no failure; a full disk is.

use std::io::{ErrorKind, Write as _};

use serde::Serialize;

/// Says all that there is to say.
pub(crate) fn say(text: &str) -> Result<(), String> {
    more(text).map(|_| ())
}

/// The same as JSON.
pub(crate) fn json(value: &impl Serialize) -> Result<(), String> {
    say(&(serde_json::to_string_pretty(value).map_err(|error| error.to_string())? + "\n"))
}

/// Says a piece of it, and tells whether somebody still reads.
pub(crate) fn more(text: &str) -> Result<bool, String> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("stdout: {error}")),
    }
}
