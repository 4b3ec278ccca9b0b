//! What is asked of the queues' writer, on its way there and back.
//!
//! Deliberately not here: the order in which it is done.

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::queue::{Handle, QueueError, QueueName, Receive, Received};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::queue_desk::{Desk, Trouble};
use crate::queue_lease::Expiry;

/// KiB of requests that are on their way to the writer, the content of messages counted. When it is used up, a
/// request waits for room, at most [`ROOM_WAIT`], and then answers `Unavailable`.
const ROOM: u32 = 64 << 10;
/// What a request counts beside content, in KiB: bounds their number at 4,096.
const SMALL: u32 = 16;
/// How long a request waits for room.
const ROOM_WAIT: Duration = Duration::from_secs(30);

/// How far a request has come in a transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// It can be answered once the transaction is on disk.
    Done,
    /// There is more of it to do, in a later transaction.
    Again,
    /// There is no message yet.
    Wait,
}

/// A request. It may be attempted again when the transaction of the last attempt was rolled back.
pub(crate) trait Request: Send {
    /// Whether its answer says that something is on disk.
    fn is_durable(&self) -> bool;

    fn attempt(&mut self, desk: &mut Desk) -> Result<Step, rusqlite::Error>;

    /// Answers with what the last attempt came to.
    fn answer(self: Box<Self>);

    fn refuse(self: Box<Self>, error: QueueError);
}

type Answer<T> = oneshot::Sender<Result<T, QueueError>>;

/// A request that is done in one attempt.
pub(crate) struct Asked<T, F> {
    pub durable: bool,
    pub act: F,
    pub result: Option<Result<T, QueueError>>,
    pub answer: Answer<T>,
}

impl<T: Send, F: FnMut(&mut Desk) -> Result<T, Trouble> + Send> Request for Asked<T, F> {
    fn is_durable(&self) -> bool {
        self.durable
    }

    fn attempt(&mut self, desk: &mut Desk) -> Result<Step, rusqlite::Error> {
        self.result = Some(match (self.act)(desk) {
            Ok(result) => Ok(result),
            Err(Trouble::Refused(error)) => Err(error),
            Err(Trouble::Sqlite(error)) => return Err(error),
        });
        Ok(Step::Done)
    }

    fn answer(self: Box<Self>) {
        if let Some(result) = self.result {
            // A caller that went away has it done all the same.
            let _ = self.answer.send(result);
        }
    }

    fn refuse(self: Box<Self>, error: QueueError) {
        let _ = self.answer.send(Err(error));
    }
}

/// An expiry, which takes a transaction for each piece.
pub(crate) struct Expiring {
    pub name: QueueName,
    pub then: lambkin_model::time::Timestamp,
    pub expiry: Option<Expiry>,
    pub answer: Answer<u64>,
}

impl Request for Expiring {
    fn is_durable(&self) -> bool {
        true
    }

    fn attempt(&mut self, desk: &mut Desk) -> Result<Step, rusqlite::Error> {
        let mut expiry = match &self.expiry {
            Some(expiry) => expiry.clone(),
            None => desk.expiry(&self.name, self.then),
        };
        let last = desk.expire(&mut expiry)?;
        self.expiry = Some(expiry);
        Ok(if last { Step::Done } else { Step::Again })
    }

    fn answer(self: Box<Self>) {
        let _ = self.answer.send(Ok(self.expiry.map_or(0, |expiry| expiry.gone)));
    }

    fn refuse(self: Box<Self>, error: QueueError) {
        let _ = self.answer.send(Err(error));
    }
}

/// A receive, which may wait.
pub(crate) struct Receiving {
    pub name: QueueName,
    pub ask: Receive,
    pub result: Vec<Received>,
    pub answer: Answer<Delivery>,
    pub inbox: Arc<Inbox>,
}

impl Receiving {
    /// Nobody waits for it any more.
    pub(crate) fn is_abandoned(&self) -> bool {
        self.answer.is_closed()
    }

    pub(crate) fn attempt(&mut self, desk: &mut Desk) -> Result<Step, rusqlite::Error> {
        self.result.clear();
        if self.is_abandoned() || self.ask.max == 0 {
            return Ok(Step::Done);
        }
        self.result = desk.receive(&self.name, self.ask.max, self.ask.lease)?;
        Ok(if self.result.is_empty() && !self.ask.wait.is_zero() { Step::Wait } else { Step::Done })
    }

    pub(crate) fn answer(self) {
        // What cannot be delivered is given back where it is dropped.
        let _ = self.answer.send(Ok(Delivery { received: self.result, inbox: self.inbox }));
    }

    pub(crate) fn refuse(self, error: QueueError) {
        let _ = self.answer.send(Err(error));
    }
}

/// Received messages on their way to whoever asked. Dropped on the way, they are given back.
pub(crate) struct Delivery {
    received: Vec<Received>,
    inbox: Arc<Inbox>,
}

impl Delivery {
    pub(crate) fn accept(mut self) -> Vec<Received> {
        std::mem::take(&mut self.received)
    }
}

impl Drop for Delivery {
    fn drop(&mut self) {
        if self.received.is_empty() {
            return;
        }
        let handles: Vec<Handle> = self.received.drain(..).map(|received| received.handle).collect();
        let (answer, _) = oneshot::channel();
        let undo = move |desk: &mut Desk| {
            for handle in &handles {
                match desk.undo(handle) {
                    // Its lease was over meanwhile.
                    Ok(()) | Err(Trouble::Refused(_)) => {}
                    Err(Trouble::Sqlite(error)) => return Err(Trouble::Sqlite(error)),
                }
            }
            Ok(())
        };
        let request = Asked { durable: false, act: undo, result: None, answer };
        // Without room of its own: there are no more of these than there were receives with room.
        self.inbox.post(Posted { work: Work::Other(Box::new(request)), size: 0, _room: None });
    }
}

/// Receives are apart from others, as they may wait.
pub(crate) enum Work {
    Receive(Receiving),
    Other(Box<dyn Request>),
}

/// A request in the inbox.
pub(crate) struct Posted {
    pub work: Work,
    /// KiB.
    pub size: u32,
    _room: Option<OwnedSemaphorePermit>,
}

/// The way to the writer.
#[derive(Debug)]
pub(crate) struct Inbox {
    sender: Mutex<Option<std_mpsc::Sender<Posted>>>,
    room: Arc<Semaphore>,
}

impl Inbox {
    pub(crate) fn new() -> (Arc<Self>, std_mpsc::Receiver<Posted>) {
        let (sender, receiver) = std_mpsc::channel();
        let room = Arc::new(Semaphore::new(ROOM as usize));
        (Arc::new(Self { sender: Mutex::new(Some(sender)), room }), receiver)
    }

    /// Nothing more comes in.
    pub(crate) fn close(&self) {
        self.sender.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.room.close();
    }

    fn post(&self, posted: Posted) -> bool {
        let sender = self.sender.lock().unwrap_or_else(PoisonError::into_inner);
        sender.as_ref().is_some_and(|sender| sender.send(posted).is_ok())
    }

    /// Brings a request with so many bytes of content to the writer.
    pub(crate) async fn send(&self, work: Work, bytes: usize) -> Result<(), QueueError> {
        let size = u32::try_from(bytes >> 10).unwrap_or(u32::MAX).saturating_add(SMALL).min(ROOM);
        let room = tokio::time::timeout(ROOM_WAIT, Arc::clone(&self.room).acquire_many_owned(size));
        let room = room.await.map_err(|_| {
            QueueError::Unavailable("the queues' disk is too slow for what is asked of it".into())
        })?;
        let posted = Posted { work, size, _room: Some(room.map_err(|_| closed())?) };
        if self.post(posted) { Ok(()) } else { Err(closed()) }
    }
}

pub(crate) fn closed() -> QueueError {
    QueueError::Unavailable("the store is closed".into())
}
