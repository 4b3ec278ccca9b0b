//! One running process of an environment: its two pipes, its end, the control over it.

use lambkin_model::Pending;
use lambkin_model::exit::ExitStatus;
use lambkin_model::invocation::Invocation;
use lambkin_model::lifecycle::Run;
use lambkin_model::sandbox::{LaunchError, Process, ProcessControl, Sandbox};
use tokio::time::{Duration, Instant};

use crate::channel::{Broken, Channel};
use crate::output::Output;
use crate::runtime_api::{Call, RuntimeApi};

/// How long the launcher may take to make a sandbox or to start a process before that is a failure.
pub(crate) const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);

/// A measurement of memory costs about 5 µs of an invocation of 50. Sixteen busy environments on two cores
/// have one in a millisecond each.
const MEASURE_EVERY: Duration = Duration::from_millis(20);

pub(crate) struct Running {
    pub(crate) run: Run,
    pub(crate) channel: Channel,
    pub(crate) output: Output,
    pub(crate) exit: Pending<'static, ExitStatus>,
    pub(crate) control: Box<dyn ProcessControl>,
    /// Where the process may speak HTTP instead.
    pub(crate) api: Option<RuntimeApi>,
    /// Why the channel is over; only calls of the Runtime API and the process's end are awaited.
    pub(crate) broken: Option<Broken>,
    /// What its memory was when it was measured last, and when that was.
    measured: Option<(u64, Instant)>,
}

impl Running {
    pub(crate) async fn start(run: Run, sandbox: &mut dyn Sandbox) -> Result<Self, LaunchError> {
        let started = tokio::time::timeout(LAUNCH_TIMEOUT, sandbox.start()).await;
        let too_long = || LaunchError("starting its process took too long".into());
        let Process { channel, output, exit, control } = started.map_err(|_| too_long())??;
        match (Channel::new(channel), Output::new(output)) {
            (Ok(channel), Ok(output)) => {
                Ok(Self { run, channel, output, exit, control, api: None, broken: None, measured: None })
            }
            (Err(error), _) | (_, Err(error)) => {
                // The next start needs this one's end.
                control.kill();
                tokio::time::timeout(LAUNCH_TIMEOUT, exit).await.map_err(|_| too_long())?;
                Err(LaunchError(error.to_string()))
            }
        }
    }

    /// Most memory it has used so far, in bytes. The kernel's mark never falls, so what is not seen
    /// now is seen the next time; back-to-back invocations share a measurement.
    pub(crate) fn measure_memory(&mut self) -> u64 {
        match self.measured {
            Some((bytes, at)) if at.elapsed() < MEASURE_EVERY => bytes,
            Some(_) | None => {
                let bytes = self.control.peak_memory().unwrap_or(0);
                self.measured = Some((bytes, Instant::now()));
                bytes
            }
        }
    }
}

/// The next call of the Runtime API. Cancel-safe.
pub(crate) async fn call(api: &mut Option<RuntimeApi>) -> Call {
    match api {
        Some(api) => api.next().await,
        None => std::future::pending().await,
    }
}

/// The head of an INVOKE frame (`docs/channel.md`).
pub(crate) fn delivery_head(invocation: &Invocation, deadline_ms: u64) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        request_id: String,
        deadline_ms: u64,
        invoked_function_arn: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_context: Option<&'a str>,
    }
    serde_json::to_vec(&Head {
        request_id: invocation.request_id.to_string(),
        deadline_ms,
        invoked_function_arn: invocation.function.arn(),
        trace_id: invocation.trace_id.as_deref(),
        client_context: invocation.client_context.as_deref(),
    })
    .expect("only strings and numbers")
}
