//! What a machine can do for the jail, and what it lacks.

use std::fmt;

/// One thing that the jail is made of, as it was found here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// Such as `memory limit`.
    pub what: &'static str,
    /// How it is done here, or why not and how to get it.
    pub found: Result<String, String>,
    /// Whether `--isolation strict` refuses to start without it.
    pub required: bool,
}

impl Finding {
    /// It is there, or can be done without.
    #[must_use]
    pub fn is_enough(&self) -> bool {
        self.found.is_ok() || !self.required
    }
}

impl fmt::Display for Finding {
    /// A line of `lambkin doctor`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mark, text) = match &self.found {
            Ok(how) => ("yes", how),
            Err(why) if self.required => ("NO", why),
            Err(why) => ("no", why),
        };
        write!(f, "{:<20}{mark:<4} {text}", self.what)
    }
}
