//! The function: a script that says what comes of each event.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::error::ThrottleReason;
use lambkin_model::invocation::{FunctionError, Invocation, Invoke, Outcome, Reply, Streamed};
use lambkin_model::name::LATEST;
use lambkin_model::{Error, Pending};
use tokio::time::Instant;

/// What a script says to one event.
pub(crate) enum Said {
    /// A result.
    Result(&'static str),
    /// A result that reports these bodies' messages.
    Report(Vec<String>),
    /// It threw.
    Threw,
    /// The platform said it.
    Platform(Error),
}

pub(crate) fn throttle() -> Said {
    Said::Platform(Error::TooManyRequests {
        reason: ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded,
    })
}

/// One event that the function got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Call {
    /// Seconds since the world began.
    pub(crate) at: u64,
    /// The messages' bodies.
    pub(crate) bodies: Vec<String>,
    /// How often each was received.
    pub(crate) received: Vec<String>,
    pub(crate) function: String,
    pub(crate) trace_id: Option<String>,
    pub(crate) bytes: usize,
}

type Script = Box<dyn Fn(&Call) -> (Duration, Said) + Send + Sync>;

/// The function.
pub(crate) struct Function {
    begin: Instant,
    script: Mutex<Arc<Script>>,
    calls: Mutex<Vec<Call>>,
    running: AtomicU64,
    pub(crate) most: AtomicU64,
    /// Calls that came to their end.
    pub(crate) ended: AtomicU64,
}

impl Function {
    pub(super) fn new(begin: Instant) -> Self {
        Self {
            begin,
            script: Mutex::new(Arc::new(Box::new(|_| (Duration::ZERO, Said::Result("null"))))),
            calls: Mutex::default(),
            running: AtomicU64::new(0),
            most: AtomicU64::new(0),
            ended: AtomicU64::new(0),
        }
    }

    pub(crate) fn says(&self, script: impl Fn(&Call) -> (Duration, Said) + Send + Sync + 'static) {
        *self.script.lock().unwrap() = Arc::new(Box::new(script));
    }

    pub(crate) fn calls(&self) -> Vec<Call> {
        self.calls.lock().unwrap().clone()
    }

    /// Bodies of each call.
    pub(crate) fn bodies(&self) -> Vec<Vec<String>> {
        self.calls().into_iter().map(|call| call.bodies).collect()
    }
}

impl Invoke for Function {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(async move {
            let event: serde_json::Value = serde_json::from_slice(&invocation.payload).unwrap();
            let records = event["Records"].as_array().unwrap();
            let text = |value: &serde_json::Value| value.as_str().unwrap().to_owned();
            let call = Call {
                at: self.begin.elapsed().as_secs(),
                bodies: records.iter().map(|record| text(&record["body"])).collect(),
                received: records
                    .iter()
                    .map(|record| text(&record["attributes"]["ApproximateReceiveCount"]))
                    .collect(),
                function: invocation.function.arn(),
                trace_id: invocation.trace_id,
                bytes: invocation.payload.len(),
            };
            let running = self.running.fetch_add(1, Ordering::Relaxed) + 1;
            self.most.fetch_max(running, Ordering::Relaxed);
            self.calls.lock().unwrap().push(call.clone());
            let script = Arc::clone(&*self.script.lock().unwrap());
            let (time, said) = script(&call);
            tokio::time::sleep(time).await;
            self.running.fetch_sub(1, Ordering::Relaxed);
            self.ended.fetch_add(1, Ordering::Relaxed);
            let reply = |error, payload: String| {
                Ok(Reply {
                    outcome: Outcome { error, payload: payload.into() },
                    executed_version: LATEST.into(),
                    log_tail: None,
                    sampled: false,
                })
            };
            match said {
                Said::Result(text) => reply(None, text.into()),
                Said::Report(bodies) => {
                    let id = |record: &serde_json::Value| serde_json::json!({ "itemIdentifier": record["messageId"] });
                    let named = |record: &&serde_json::Value| bodies.contains(&text(&record["body"]));
                    let failures: Vec<_> = records.iter().filter(named).map(id).collect();
                    reply(None, serde_json::json!({ "batchItemFailures": failures }).to_string())
                }
                Said::Threw => reply(Some(FunctionError::Unhandled), r#"{"errorType":"Error"}"#.into()),
                Said::Platform(error) => Err(error),
            }
        })
    }

    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        Box::pin(async { self.invoke(invocation).await.map(Streamed::whole) })
    }
}
