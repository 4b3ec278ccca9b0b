//! Reading request bodies: never more than the operation takes, never for ever, and of all large
//! bodies together never more than a budget.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use lambkin_model::Error;
use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::{Instant, timeout};

use crate::signature::Unread;

/// Longest silence within a body.
const IDLE: Duration = Duration::from_secs(30);
/// Longest a body may take altogether.
const WHOLE: Duration = Duration::from_secs(300);
/// Longest wait for room in the budget.
const ROOM: Duration = Duration::from_secs(60);
/// Bodies up to this size are bounded by the number of connections alone.
const SMALL_BYTES: usize = 64 * 1024;
/// What all larger bodies may take at once, with what is decoded out of them.
const BUDGET_BYTES: usize = 512 * 1024 * 1024;
/// What is read and thrown away of a body that nobody wants, so that the client has sent it and
/// looks for the answer instead of meeting a closed connection.
const UNWANTED_BYTES: usize = 128 * 1024 * 1024;
/// How long that may take.
const UNWANTED: Duration = Duration::from_secs(10);
/// A client that is silent for this long is taken to wait for the answer.
const UNWANTED_IDLE: Duration = Duration::from_millis(200);

/// Bodies from this size on are parsed and decoded where they do not hold up other requests.
const LONG_WORK_BYTES: usize = 1024 * 1024;

/// Does work that takes as long as `bytes` are many.
pub(crate) fn work<T>(bytes: usize, work: impl FnOnce() -> T) -> T {
    let threads = tokio::runtime::Handle::current().runtime_flavor();
    if bytes >= LONG_WORK_BYTES && threads == tokio::runtime::RuntimeFlavor::MultiThread {
        tokio::task::block_in_place(work)
    } else {
        work()
    }
}

/// A request's body, with what its signature says of it.
pub(crate) struct RequestBody {
    incoming: Incoming,
    unread: Unread,
}

impl RequestBody {
    pub(crate) fn new(incoming: Incoming) -> Self {
        Self { incoming, unread: Unread::Nothing }
    }

    /// Whoever reads it from now on gets it only where it is the one that was signed.
    pub(crate) fn require(&mut self, unread: Unread) {
        self.unread = unread;
    }

    fn checked(&mut self, bytes: &[u8]) -> Result<(), Error> {
        let unread = std::mem::take(&mut self.unread);
        work(bytes.len(), || unread.check(bytes))
    }

    /// Reads and drops what is left of it, within bounds.
    pub(crate) async fn discard(&mut self) {
        discard(&mut self.incoming).await;
    }
}

/// Room for large bodies, in KiB. Full: requests wait for `ROOM`, then are refused.
pub(crate) struct Budget(Semaphore);

/// A body that was read, with its room in the budget.
pub(crate) struct Read<'b> {
    pub(crate) bytes: Bytes,
    _room: Option<SemaphorePermit<'b>>,
}

impl Budget {
    pub(crate) fn new() -> Self {
        Self(Semaphore::new(BUDGET_BYTES / 1024))
    }

    /// Reads a body of at most `limit` bytes. `too_large` words the refusal, given the length as
    /// far as it is known. `decoded`: the caller will decode the body, so it takes room twice.
    pub(crate) async fn read(
        &self,
        body: &mut RequestBody,
        limit: usize,
        decoded: bool,
        too_large: impl Fn(u64) -> Error,
    ) -> Result<Read<'_>, Error> {
        let announced = body.incoming.size_hint().exact();
        if let Some(length) = announced.filter(|length| *length > limit as u64) {
            return Err(too_large(length));
        }
        let most = announced.and_then(|length| usize::try_from(length).ok()).unwrap_or(limit);
        let room = self.room(if decoded { most * 2 } else { most }).await?;
        let until = Instant::now() + WHOLE;
        let Some(first) = next(&mut body.incoming, until).await? else {
            body.checked(b"")?;
            return Ok(Read { bytes: Bytes::new(), _room: room });
        };
        if first.len() > limit {
            return Err(too_large(first.len() as u64));
        }
        // The usual case: the body came in one piece and is passed on as it is.
        if body.incoming.is_end_stream() {
            body.checked(&first)?;
            return Ok(Read { bytes: first, _room: room });
        }
        let mut all = BytesMut::with_capacity(if announced.is_some() { most } else { 2 * first.len() });
        all.extend_from_slice(&first);
        while let Some(more) = next(&mut body.incoming, until).await? {
            if all.len() + more.len() > limit {
                return Err(too_large((all.len() + more.len()) as u64));
            }
            all.extend_from_slice(&more);
        }
        body.checked(&all)?;
        Ok(Read { bytes: all.freeze(), _room: room })
    }

    async fn room(&self, bytes: usize) -> Result<Option<SemaphorePermit<'_>>, Error> {
        if bytes <= SMALL_BYTES {
            return Ok(None);
        }
        let kib = u32::try_from(bytes.div_ceil(1024)).unwrap_or(u32::MAX);
        match timeout(ROOM, self.0.acquire_many(kib)).await {
            Ok(Ok(permit)) => Ok(Some(permit)),
            Ok(Err(_)) | Err(_) => {
                Err(Error::Service("Too many large requests at once; try again later.".into()))
            }
        }
    }
}

/// The next piece of a body; trailers are dropped.
async fn next(body: &mut Incoming, until: Instant) -> Result<Option<Bytes>, Error> {
    let late = || Error::InvalidRequestContent("The request body did not arrive in time.".into());
    loop {
        if Instant::now() > until {
            return Err(late());
        }
        match timeout(IDLE, body.frame()).await.map_err(|_| late())? {
            None => return Ok(None),
            Some(Err(error)) => {
                return Err(Error::InvalidRequestContent(format!(
                    "The request body could not be read: {error}"
                )));
            }
            Some(Ok(frame)) => {
                if let Ok(data) = frame.into_data() {
                    return Ok(Some(data));
                }
            }
        }
    }
}

/// Reads and drops what is left of a body, within bounds.
async fn discard(body: &mut Incoming) {
    if body.is_end_stream() || body.size_hint().lower() > UNWANTED_BYTES as u64 {
        return;
    }
    let until = Instant::now() + UNWANTED;
    let mut dropped = 0;
    while let Ok(Some(Ok(frame))) = timeout(UNWANTED_IDLE, body.frame()).await {
        dropped += frame.data_ref().map_or(0, Bytes::len);
        if dropped > UNWANTED_BYTES || Instant::now() > until {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn large_bodies_share_a_budget() {
        let budget = Budget::new();
        assert!(budget.room(SMALL_BYTES).await.unwrap().is_none(), "small ones need no room");
        let half = budget.room(BUDGET_BYTES / 2).await.unwrap();
        let rest = budget.room(BUDGET_BYTES / 2).await.unwrap();
        assert!(matches!(budget.room(SMALL_BYTES + 1).await, Err(Error::Service(_))), "after a minute");
        let (waited, ()) = tokio::join!(budget.room(SMALL_BYTES + 1), async { drop(half) });
        assert!(waited.unwrap().is_some());
        drop(rest);
    }
}
