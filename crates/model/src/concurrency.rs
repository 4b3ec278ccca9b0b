//! Concurrent executions: how an account's limit is shared between functions with reserved
//! concurrency and all the others. The decisions alone, over counts; who counts is in `invoke`.

use crate::Error;
use crate::error::ThrottleReason;
use crate::quota;

/// Concurrent executions of the account that no function may reserve: AWS's 100, or all of them
/// where the account has fewer (AWS answers an account of 10 with a minimum of 10).
#[must_use]
pub fn minimum_unreserved(limit: usize) -> usize {
    limit.min(quota::UNRESERVED_CONCURRENT_EXECUTIONS)
}

/// Whether a function that has `held` reserved may have `wanted`, beside the `others` of the
/// account. What takes nothing from the unreserved ones is always allowed, also where they are
/// below their minimum because the limit was lowered.
pub fn check_reservation(limit: usize, others: usize, held: u32, wanted: u32) -> Result<(), Error> {
    let minimum = minimum_unreserved(limit);
    let left = limit.checked_sub(others).and_then(|left| left.checked_sub(wanted as usize));
    if wanted <= held || left.is_some_and(|left| left >= minimum) {
        Ok(())
    } else {
        Err(Error::UnreservedConcurrency { minimum })
    }
}

/// What runs when an invocation asks for its permit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Load {
    /// The account's limit.
    pub limit: usize,
    /// All that run.
    pub running: usize,
    /// Those of functions without reserved concurrency.
    pub unreserved_running: usize,
    /// All that is reserved.
    pub reserved: usize,
    /// Where the function has some reserved: how many, and how many of its own run.
    pub own: Option<(usize, usize)>,
    /// Where the version has a bound of its own, as its scaling says: how many, and how many of it run.
    pub version: Option<(usize, usize)>,
}

/// Whether one more may run, and AWS's reason where not.
///
/// A reservation that was made or lowered a moment ago may find more running than it leaves room
/// for. They finish; until then the account's limit holds for those with a reservation too.
///
/// Of AWS's reasons a reservation's is the one of a bound that the function's owner has set; the account's would say that all
/// functions are throttled.
pub fn admit(load: Load) -> Result<(), ThrottleReason> {
    let unreserved = load.limit.saturating_sub(load.reserved);
    let is_full = |(most, running): (usize, usize)| running >= most;
    match load.own {
        _ if load.version.is_some_and(is_full) => {
            Err(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded)
        }
        Some(own) if is_full(own) => Err(ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded),
        None if load.unreserved_running >= unreserved => {
            Err(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        Some(_) | None if load.running >= load.limit => {
            Err(ThrottleReason::ConcurrentInvocationLimitExceeded)
        }
        Some(_) | None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reservations_leave_a_minimum() {
        for (limit, others, held, wanted, refused_with) in [
            (1000, 0, 0, 900, None),
            (1000, 0, 0, 901, Some(100)),
            (1000, 500, 0, 400, None),
            (1000, 500, 0, 401, Some(100)),
            // Its own does not count twice.
            (1000, 0, 900, 900, None),
            (1000, 0, 0, u32::MAX, Some(100)),
            // Nothing is taken.
            (1000, 900, 0, 0, None),
            (200, 500, 300, 250, None),
            (200, 500, 300, 301, Some(100)),
            // A small account keeps all of its own.
            (10, 0, 0, 0, None),
            (10, 0, 0, 1, Some(10)),
            (100, 0, 0, 1, Some(100)),
            (101, 0, 0, 1, None),
        ] {
            let expected =
                refused_with.map_or(Ok(()), |minimum| Err(Error::UnreservedConcurrency { minimum }));
            assert_eq!(
                check_reservation(limit, others, held, wanted),
                expected,
                "{limit} {others} {held} {wanted}"
            );
        }
    }

    #[test]
    fn admits() {
        use ThrottleReason::ConcurrentInvocationLimitExceeded as Account;
        use ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded as Function;
        for (limit, running, unreserved_running, reserved, own, expected) in [
            (10, 0, 0, 0, None, Ok(())),
            (10, 9, 9, 0, None, Ok(())),
            (10, 10, 10, 0, None, Err(Account)),
            // What is reserved is nobody else's, also where it is idle.
            (10, 6, 6, 4, None, Err(Account)),
            (10, 5, 5, 4, None, Ok(())),
            (10, 9, 5, 4, None, Ok(())),
            (10, 6, 6, 4, Some((4, 0)), Ok(())),
            (10, 9, 6, 4, Some((4, 3)), Ok(())),
            (10, 4, 0, 4, Some((4, 4)), Err(Function)),
            (10, 0, 0, 0, Some((0, 0)), Err(Function)),
            // It was lowered while five ran.
            (10, 5, 0, 3, Some((3, 5)), Err(Function)),
            // It was made while the others used everything.
            (10, 10, 10, 4, Some((4, 0)), Err(Account)),
            // More is reserved than there is: the limit was lowered.
            (10, 0, 0, 20, None, Err(Account)),
            (10, 9, 0, 20, Some((20, 9)), Ok(())),
            (10, 10, 0, 20, Some((20, 10)), Err(Account)),
        ] {
            let load = Load { limit, running, unreserved_running, reserved, own, version: None };
            assert_eq!(admit(load), expected, "{load:?}");
            // A bound of the version's own takes part in nothing of that, and none is passed by it.
            assert_eq!(admit(Load { version: Some((2, 1)), ..load }), expected, "{load:?}");
            for version in [(2, 2), (2, 5), (0, 0)] {
                assert_eq!(admit(Load { version: Some(version), ..load }), Err(Function), "{load:?}");
            }
        }
    }
}
