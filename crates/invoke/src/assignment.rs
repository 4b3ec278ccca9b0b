//! An invocation on its way to an environment, with the right to run and the way back.

use lambkin_model::Error;
use lambkin_model::invocation::{Invocation, Reply};
use tokio::sync::oneshot;

use crate::permit::Permit;

/// One accepted invocation.
#[derive(Debug)]
pub(crate) struct Assignment {
    pub(crate) invocation: Invocation,
    /// Of the version that runs it, in microseconds.
    pub(crate) timeout: u64,
    reply: oneshot::Sender<Result<Reply, Error>>,
    _permit: Permit,
}

impl Assignment {
    pub(crate) fn new(
        invocation: Invocation,
        timeout: u64,
        permit: Permit,
    ) -> (Box<Self>, oneshot::Receiver<Result<Reply, Error>>) {
        let (reply, answer) = oneshot::channel();
        (Box::new(Self { invocation, timeout, reply, _permit: permit }), answer)
    }

    /// The caller has gone away.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.reply.is_closed()
    }

    /// Gives the permit back first: who reads the answer may invoke again at once.
    pub(crate) fn answer(self, result: Result<Reply, Error>) {
        let Self { reply, _permit, .. } = self;
        drop(_permit);
        // A caller that has gone away wants no answer.
        let _ = reply.send(result);
    }
}
