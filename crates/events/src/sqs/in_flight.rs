//! How many messages of a queue are in flight at most, so that the quota is kept without counting at
//! each receive: what was counted last and what was handed out since is never too little.

use std::collections::HashMap;
use std::sync::Mutex;

use lambkin_model::sqs::IN_FLIGHT;

use super::locked;

/// By queue identity. Queues that are gone are forgotten by the sweeper.
#[derive(Default)]
pub(super) struct InFlight(Mutex<HashMap<String, u64>>);

impl InFlight {
    /// Whether `more` certainly fit; `false`: count first.
    pub(super) fn fits(&self, identity: &str, more: usize) -> bool {
        locked(&self.0).get(identity).is_some_and(|most| most + more as u64 <= IN_FLIGHT)
    }

    pub(super) fn counted(&self, identity: &str, in_flight: u64) {
        locked(&self.0).insert(identity.to_owned(), in_flight);
    }

    pub(super) fn handed_out(&self, identity: &str, count: usize) {
        if let Some(most) = locked(&self.0).get_mut(identity) {
            *most += count as u64;
        }
    }

    pub(super) fn keep(&self, known: impl Fn(&str) -> bool) {
        locked(&self.0).retain(|identity, _| known(identity));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asks_to_be_counted_before_it_is_too_late() {
        let flights = InFlight::default();
        assert!(!flights.fits("q", 1), "nothing is known");
        flights.counted("q", IN_FLIGHT - 10);
        assert!(flights.fits("q", 10));
        flights.handed_out("q", 1);
        assert!(!flights.fits("q", 10));
        flights.counted("q", 0);
        assert!(flights.fits("q", 10));
        flights.keep(|identity| identity != "q");
        assert!(!flights.fits("q", 1));
    }
}
