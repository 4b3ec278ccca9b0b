//! An invocation on its way to an environment, with the right to run and the way back.

use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::invocation::{Completion, Invocation, Outcome, Reply, Streamed};
use tokio::sync::oneshot;

use crate::flow::{Bandwidth, Chunks, flow};
use crate::permit::Permit;
use crate::traced::Traced;

/// One accepted invocation.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) invocation: Invocation,
    /// Of the version that runs it, in microseconds.
    pub(crate) timeout: u64,
    /// Where it belongs to a trace that is recorded.
    pub(crate) traced: Option<Traced>,
    back: Back,
    _permit: Permit,
}

/// How its caller is answered.
#[derive(Debug)]
enum Back {
    Whole(oneshot::Sender<Result<Reply, Error>>),
    /// From when its response begins.
    Stream(oneshot::Sender<Result<Streamed, Error>>, Option<Bandwidth>),
    /// It has begun; this is how it ends.
    Begun(oneshot::Sender<Completion>),
}

impl Assignment {
    pub(crate) fn whole(
        invocation: Invocation,
        timeout: u64,
        traced: Option<Traced>,
        permit: Permit,
    ) -> (Box<Self>, oneshot::Receiver<Result<Reply, Error>>) {
        let (sender, answer) = oneshot::channel();
        (Box::new(Self { invocation, timeout, traced, back: Back::Whole(sender), _permit: permit }), answer)
    }

    pub(crate) fn streamed(
        invocation: Invocation,
        timeout: u64,
        traced: Option<Traced>,
        permit: Permit,
        bandwidth: Option<Bandwidth>,
    ) -> (Box<Self>, oneshot::Receiver<Result<Streamed, Error>>) {
        let (sender, answer) = oneshot::channel();
        let back = Back::Stream(sender, bandwidth);
        (Box::new(Self { invocation, timeout, traced, back, _permit: permit }), answer)
    }

    /// The caller has gone away before it heard anything.
    pub(crate) fn is_abandoned(&self) -> bool {
        match &self.back {
            Back::Whole(sender) => sender.is_closed(),
            Back::Stream(sender, _) => sender.is_closed(),
            Back::Begun(_) => false,
        }
    }

    /// A streamed response began, and its chunks go to the caller. `None`: the caller wants the whole.
    pub(crate) fn begin(&mut self, executed_version: &Arc<str>, content_type: String) -> Option<Chunks> {
        let bandwidth = match &self.back {
            Back::Stream(_, bandwidth) => *bandwidth,
            Back::Whole(_) | Back::Begun(_) => return None,
        };
        let (chunks, complete, pieces) = flow(bandwidth);
        let sampled = self.traced.is_some();
        if let Back::Stream(sender, _) = std::mem::replace(&mut self.back, Back::Begun(complete)) {
            let executed_version = Arc::clone(executed_version);
            // A caller that has gone away wants no answer.
            let content_type = Some(content_type);
            let _ = sender.send(Ok(Streamed { executed_version, content_type, sampled, pieces }));
        }
        Some(chunks)
    }

    /// Whether its caller has the beginning of a response.
    pub(crate) fn has_begun(&self) -> bool {
        matches!(self.back, Back::Begun(_))
    }

    /// Gives the permit back first: who reads the answer may invoke again at once.
    pub(crate) fn answer(self, result: Result<Reply, Error>) {
        let Self { back, _permit, .. } = self;
        drop(_permit);
        // A caller that has gone away wants no answer.
        match back {
            Back::Whole(sender) => drop(sender.send(result)),
            Back::Stream(sender, _) => drop(sender.send(result.map(Streamed::whole))),
            Back::Begun(sender) => match result {
                Ok(Reply { outcome: Outcome { error, payload }, log_tail, .. }) => {
                    let error = error.map(|error| (error, payload));
                    drop(sender.send(Completion { error, log_tail }));
                }
                // Dropping it says that the platform failed.
                Err(error) => tracing::error!(%error, "a response broke off"),
            },
        }
    }
}
