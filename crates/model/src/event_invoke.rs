//! Asynchronous invocation as rules: how often and how long an event is tried, what becomes of it in the
//! end, and what a function's configuration says of that. Sources: AWS's pages on asynchronous
//! invocation, and answers recorded from the service (aws-behaviour 51 to 55).
//!
//! Deliberately not here: queues, the documents that are sent to destinations, any clock.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::time::Timestamp;

/// Retries after a function's error, unless configured.
pub const RETRY_ATTEMPTS: u32 = 2;
/// Seconds that an event is kept, unless configured: 6 hours.
pub const EVENT_AGE_SECONDS: u32 = 21_600;
/// Shortest age that can be configured.
pub const SHORTEST_EVENT_AGE_SECONDS: u32 = 60;
/// The pause after a function's first error; the second one's is twice as long.
const AFTER_ERROR: Duration = Duration::from_secs(60);
/// The first pause after a throttle or an error of the platform.
const FIRST_HOLD: Duration = Duration::from_secs(1);
/// The longest.
const LONGEST_HOLD: Duration = Duration::from_secs(300);

/// AWS's `FunctionEventInvokeConfig`, of one qualifier. `None` is what was not said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct EventInvokeConfig {
    /// 0 to 2.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_retry_attempts: Option<u32>,
    /// Seconds, 60 to 21,600.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub maximum_event_age: Option<u32>,
    /// ARN that successes are recorded at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_success: Option<String>,
    /// ARN that failures are recorded at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub on_failure: Option<String>,
    /// When it was last written.
    pub last_modified: Timestamp,
}

/// How an event is to be treated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RetryPolicy {
    /// Attempts after the first that failed by the function's own error.
    pub retries: u32,
    /// How old it may become.
    pub age: Duration,
    /// Factor of every pause: 1 is AWS's. Tests and developers wait less.
    pub scale: f64,
}

impl RetryPolicy {
    /// What the configuration says, or AWS's defaults.
    #[must_use]
    pub fn new(config: Option<&EventInvokeConfig>, scale: f64) -> Self {
        let retries = config.and_then(|config| config.maximum_retry_attempts).unwrap_or(RETRY_ATTEMPTS);
        let age = config.and_then(|config| config.maximum_event_age).unwrap_or(EVENT_AGE_SECONDS);
        Self { retries, age: Duration::from_secs(age.into()), scale }
    }

    /// The pause before an event is tried again that the platform did not run `held` times before,
    /// 1 second to 5 minutes.
    #[must_use]
    pub fn hold(&self, held: u8) -> Duration {
        let pause = FIRST_HOLD.saturating_mul(1 << held.min(16));
        pause.min(LONGEST_HOLD).mul_f64(self.scale)
    }

    /// Whether an event of this age may still be tried.
    #[must_use]
    pub fn is_too_old(&self, age: Duration) -> bool {
        age >= self.age
    }

    /// What becomes of an event after an attempt. `age` is its age now.
    #[must_use]
    pub fn after(&self, attempt: Attempt, so_far: Progress, age: Duration) -> Next {
        let progress = so_far.with(attempt);
        let (condition, pause) = match attempt {
            Attempt::Success => return Next::End(Condition::Success),
            Attempt::Recursive => return Next::End(Condition::RecursiveInvocation),
            // What is gone does not come back: the retries would find as much.
            Attempt::Gone => return Next::End(Condition::RetriesExhausted),
            Attempt::ZeroConcurrency => return Next::End(Condition::ZeroReservedConcurrency),
            Attempt::FunctionError if u32::from(so_far.errors) >= self.retries => {
                return Next::End(Condition::RetriesExhausted);
            }
            Attempt::FunctionError => (
                Condition::EventAgeExceeded,
                AFTER_ERROR.mul_f64(self.scale) * (u32::from(so_far.errors) + 1),
            ),
            Attempt::Throttled | Attempt::SystemError => {
                (Condition::EventAgeExceeded, self.hold(so_far.holds))
            }
        };
        // AWS looks ahead: an event that would be too old by its next attempt ends now, while the
        // response that belongs into its record is at hand.
        if self.is_too_old(age) || (attempt == Attempt::FunctionError && self.is_too_old(age + pause)) {
            return Next::End(condition);
        }
        // A pause never goes beyond the age, so that the end comes in time.
        Next::Again { after: pause.min(self.age.saturating_sub(age)), progress }
    }
}

/// How an attempt went.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Attempt {
    /// The function answered.
    Success,
    /// Its own error, a timeout among them.
    FunctionError,
    /// No concurrency was left (429).
    Throttled,
    /// The platform could not run it (500).
    SystemError,
    /// It is reserved no concurrency at all.
    ZeroConcurrency,
    /// It, or the version or alias, is no more (404).
    Gone,
    /// It goes in circles.
    Recursive,
}

/// What an event has gone through so far; fits the mark of a queue's message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Progress {
    /// Attempts that ended by the function's error.
    pub errors: u8,
    /// Times that the platform did not run it since.
    pub holds: u8,
}

impl Progress {
    /// Out of a message's mark.
    #[must_use]
    pub fn of(mark: u32) -> Self {
        let [errors, holds, ..] = mark.to_le_bytes();
        Self { errors, holds }
    }

    /// Into a message's mark.
    #[must_use]
    pub fn mark(self) -> u32 {
        u32::from_le_bytes([self.errors, self.holds, 0, 0])
    }

    /// AWS's `approximateInvokeCount` after this attempt.
    #[must_use]
    pub fn invoked(self, attempt: Attempt) -> u32 {
        let counts = match attempt {
            Attempt::Success | Attempt::FunctionError | Attempt::Gone => 1,
            Attempt::Throttled | Attempt::SystemError | Attempt::ZeroConcurrency | Attempt::Recursive => 0,
        };
        u32::from(self.errors) + counts
    }

    fn with(self, attempt: Attempt) -> Self {
        match attempt {
            Attempt::FunctionError => Self { errors: self.errors.saturating_add(1), holds: 0 },
            Attempt::Throttled | Attempt::SystemError => {
                Self { errors: self.errors, holds: self.holds.saturating_add(1) }
            }
            Attempt::Success | Attempt::ZeroConcurrency | Attempt::Gone | Attempt::Recursive => self,
        }
    }
}

/// What becomes of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing more: it is recorded where that is wanted, and forgotten.
    End(Condition),
    /// It is tried again.
    Again {
        /// After this pause.
        after: Duration,
        /// What it has gone through by then.
        progress: Progress,
    },
}

/// AWS's `condition` of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Condition {
    /// The function answered.
    Success,
    /// It failed as often as it may.
    RetriesExhausted,
    /// It became too old.
    EventAgeExceeded,
    /// The function may not run at all.
    ZeroReservedConcurrency,
    /// The function goes in circles.
    RecursiveInvocation,
}

impl Condition {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "Success",
            Self::RetriesExhausted => "RetriesExhausted",
            Self::EventAgeExceeded => "EventAgeExceeded",
            Self::ZeroReservedConcurrency => "ZeroReservedConcurrency",
            Self::RecursiveInvocation => "RecursiveInvocation",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn again(after: Duration, errors: u8, holds: u8) -> Next {
        Next::Again { after, progress: Progress { errors, holds } }
    }

    #[test]
    fn what_becomes_of_an_event() {
        use Attempt::{FunctionError, Gone, Recursive, Success, SystemError, Throttled, ZeroConcurrency};
        use Condition::{
            EventAgeExceeded, RecursiveInvocation, RetriesExhausted, Success as Succeeded,
            ZeroReservedConcurrency,
        };
        let end = Next::End;
        for (retries, age, attempt, errors, holds, old, expected) in [
            // Three attempts, a minute and two between them.
            (2, 21_600, FunctionError, 0, 0, 0, again(seconds(60), 1, 0)),
            (2, 21_600, FunctionError, 1, 0, 61, again(seconds(120), 2, 0)),
            (2, 21_600, FunctionError, 2, 0, 182, end(RetriesExhausted)),
            (1, 21_600, FunctionError, 0, 0, 0, again(seconds(60), 1, 0)),
            (1, 21_600, FunctionError, 1, 0, 61, end(RetriesExhausted)),
            (0, 21_600, FunctionError, 0, 0, 0, end(RetriesExhausted)),
            // It was configured down while the event waited.
            (0, 21_600, FunctionError, 2, 0, 0, end(RetriesExhausted)),
            // An attempt that would come too late is not waited for.
            (2, 60, FunctionError, 0, 0, 0, end(EventAgeExceeded)),
            (2, 60, FunctionError, 0, 0, 1, end(EventAgeExceeded)),
            (2, 61, FunctionError, 0, 0, 0, again(seconds(60), 1, 0)),
            (2, 100, FunctionError, 1, 0, 62, end(EventAgeExceeded)),
            // What is over is over, however old.
            (2, 60, Success, 0, 0, 99, end(Succeeded)),
            (2, 60, FunctionError, 2, 0, 99, end(RetriesExhausted)),
            // Throttles count no attempt, and end by age alone.
            (2, 21_600, Throttled, 0, 0, 0, again(seconds(1), 0, 1)),
            (0, 21_600, Throttled, 0, 1, 1, again(seconds(2), 0, 2)),
            (2, 21_600, SystemError, 1, 7, 99, again(seconds(128), 1, 8)),
            (2, 21_600, SystemError, 1, 9, 99, again(seconds(300), 1, 10)),
            (2, 21_600, Throttled, 0, 255, 21_000, again(seconds(300), 0, 255)),
            (2, 21_600, Throttled, 0, 255, 21_500, again(seconds(100), 0, 255)),
            (2, 21_600, Throttled, 0, 20, 21_600, end(EventAgeExceeded)),
            // A function's error begins the holds anew.
            (2, 21_600, FunctionError, 0, 9, 0, again(seconds(60), 1, 0)),
            (2, 21_600, ZeroConcurrency, 0, 0, 0, end(ZeroReservedConcurrency)),
            (2, 21_600, Gone, 0, 0, 0, end(RetriesExhausted)),
            (2, 21_600, Recursive, 0, 0, 0, end(RecursiveInvocation)),
        ] {
            let policy = RetryPolicy { retries, age: seconds(age), scale: 1.0 };
            let progress = Progress { errors, holds };
            let next = policy.after(attempt, progress, seconds(old));
            assert_eq!(next, expected, "{policy:?} {attempt:?} {progress:?} {old}");
        }
    }

    #[test]
    fn pauses_are_scaled_and_ages_are_not() {
        let policy = RetryPolicy::new(None, 0.01);
        let next = policy.after(Attempt::FunctionError, Progress::default(), seconds(0));
        assert_eq!(next, again(Duration::from_millis(600), 1, 0));
        assert_eq!(policy.hold(0), Duration::from_millis(10));
        assert_eq!(policy.age, seconds(21_600));
        let config = EventInvokeConfig {
            maximum_retry_attempts: Some(1),
            maximum_event_age: Some(60),
            ..EventInvokeConfig::default()
        };
        let policy = RetryPolicy::new(Some(&config), 1.0);
        assert_eq!((policy.retries, policy.age), (1, seconds(60)));
        assert!(!policy.is_too_old(Duration::from_millis(59_999)) && policy.is_too_old(seconds(60)));
    }

    #[test]
    fn counts_and_marks() {
        for (errors, attempt, expected) in [
            (0, Attempt::Success, 1),
            (2, Attempt::FunctionError, 3),
            (0, Attempt::Throttled, 0),
            (1, Attempt::Throttled, 1),
            (0, Attempt::ZeroConcurrency, 0),
            (1, Attempt::Gone, 2),
        ] {
            let progress = Progress { errors, holds: 3 };
            assert_eq!(progress.invoked(attempt), expected);
            assert_eq!(Progress::of(progress.mark()), progress);
        }
        assert_eq!(Progress::of(0), Progress::default());
    }
}
