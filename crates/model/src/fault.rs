//! The payloads that the platform itself produces: exits, timeouts, results that are too large
//! (node-runtime §4, aws-behaviour 12–17). Key order is AWS's.

use bytes::Bytes;

use crate::exit::ExitStatus;
use crate::invocation::RequestId;
use crate::platform_line::seconds;
use crate::runtime::Generation;

/// The process ended without a result.
#[must_use]
pub fn exited(generation: Generation, id: RequestId, status: ExitStatus) -> Bytes {
    match generation {
        Generation::G1 | Generation::G1b => {
            format!(r#"{{"errorMessage":"RequestId: {id} Process exited before completing request"}}"#)
        }
        Generation::G2 | Generation::G3 => {
            format!(r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {id} Error: {status}"}}"#)
        }
    }
    .into()
}

/// The function's time was over; `timeout` in microseconds.
#[must_use]
pub fn timed_out(id: RequestId, timeout: u64) -> Bytes {
    format!(
        r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {id} Error: Task timed out after {} seconds"}}"#,
        seconds(timeout)
    )
    .into()
}

/// The result is larger than `limit`, in bytes.
#[must_use]
pub fn response_too_large(limit: usize) -> Bytes {
    format!(
        r#"{{"errorMessage":"Response payload size exceeded maximum allowed payload size ({limit} bytes).","errorType":"Function.ResponseSizeTooLarge"}}"#
    )
    .into()
}
