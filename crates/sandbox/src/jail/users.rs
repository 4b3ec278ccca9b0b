//! The host's users that jails use: two each, where lambkin is root.

use std::collections::HashSet;

use lambkin_model::sandbox::LaunchError;

use super::wire::Ids;

/// The first user of the host that jails use, and how many pairs there are. Distributions, containers
/// and directories stay below (systemd's table of users, "UIDS-GIDS").
const FIRST_USER: u32 = 0x7000_0000;
const PAIRS: u32 = 500_000;

/// Which of the host's users are in use.
pub(super) struct Users {
    next: u32,
    taken: HashSet<u32>,
    /// Jails so far: names groups.
    pub(super) made: u64,
}

impl Users {
    /// Begins somewhere, so that two lambkins on a machine hardly ever use the same.
    pub(super) fn new() -> Self {
        let next = std::process::id().wrapping_mul(7919) % PAIRS;
        Self { next, taken: HashSet::new(), made: 0 }
    }

    pub(super) fn take(&mut self) -> Result<Ids, LaunchError> {
        for _ in 0..PAIRS {
            let root = FIRST_USER + 2 * (self.next % PAIRS);
            self.next = self.next.wrapping_add(1);
            if self.taken.insert(root) {
                return Ok(Ids::Pair { root });
            }
        }
        Err(LaunchError(format!("more than {PAIRS} jails")))
    }

    pub(super) fn free(&mut self, ids: Ids) {
        match ids {
            Ids::Pair { root } => drop(self.taken.remove(&root)),
            Ids::Single => {}
        }
    }
}
