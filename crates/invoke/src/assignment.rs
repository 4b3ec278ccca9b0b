//! An invocation on its way to an environment, with the right to run and the way back.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lambkin_model::Error;
use lambkin_model::invocation::{Invocation, Reply};
use tokio::sync::oneshot;

/// The right to one concurrent execution. Given back when dropped.
#[derive(Debug)]
pub(crate) struct Permit(Arc<AtomicUsize>);

impl Permit {
    /// One of `limit`, where one is left.
    pub(crate) fn acquire(running: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        running
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| (count < limit).then_some(count + 1))
            .ok()
            .map(|_| Self(Arc::clone(running)))
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

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
