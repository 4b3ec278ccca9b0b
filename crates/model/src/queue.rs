//! The port to queues: the one primitive under asynchronous invocation, the SQS-compatible service,
//! dead-letter queues and destinations. A queue is there as soon as something is sent to it.
//!
//! Deliberately not here: what a message means, retries and their delays, limits of AWS's services,
//! fan-out. All of that stands above this port, in `events`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::Pending;
use crate::time::Timestamp;

/// Which queue: `async/<function's identity>`, `sqs/<queue's identity>`. An identity is new at each creation, so
/// that nothing sent to a deleted queue comes up in another of its name.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct QueueName(pub Arc<str>);

impl fmt::Display for QueueName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// UUID of a message. A store that cannot settle atomically drops the second message of an id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MessageId(pub [u8; 16]);

/// How long a deduplication id is remembered, as SQS does.
pub const DEDUPLICATION: Duration = Duration::from_secs(300);

/// A message to send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id, which it keeps in whatever queue it comes to.
    pub id: MessageId,
    /// Messages of one lane are received in the order they were sent in: none of them while another is leased,
    /// and none before those ahead of it, which may be delayed. One receive may take several. SQS calls it a
    /// message group. `None`: in order as far as it costs nothing.
    pub lane: Option<Arc<str>>,
    /// A message of the same queue and text within [`DEDUPLICATION`] is not sent again.
    pub deduplication: Option<Arc<str>>,
    /// When it was first sent, to another queue perhaps; `None`: now. Its age counts from here.
    pub sent: Option<Timestamp>,
    /// It is not received before this has passed.
    pub delay: Duration,
    /// A number of its sender's, handed out with it, changed by [`Queues::release`].
    pub mark: u32,
    /// Whatever it says. At most 2 MiB; longer is `TooLarge`.
    pub content: Bytes,
}

/// Where a message was put.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sent {
    /// Its id, or that of the message it repeats.
    pub id: MessageId,
    /// Its place: later messages of the store have higher numbers.
    pub sequence: u64,
    /// Whether it is a repetition and nothing was sent.
    pub duplicate: bool,
}

/// Who may settle a received message: opaque, at most 64 bytes, good until another receives the message; a
/// store may forget it once its lease is over.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Handle(pub Bytes);

/// How long a received message is nobody else's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lease {
    /// While this process lives, and until it is settled or released. Costs no write; `received` is not counted.
    Held,
    /// For so long, restarts or not. `received` is counted.
    For(Duration),
}

/// What is asked of [`Queues::receive`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Receive {
    /// At most so many messages.
    pub max: usize,
    /// For how long.
    pub lease: Lease,
    /// How long to wait for the first one. Zero: answers with what is there.
    pub wait: Duration,
}

/// A received message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Received {
    /// To settle it with.
    pub handle: Handle,
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub sequence: u64,
    /// Its lane.
    pub lane: Option<Arc<str>>,
    /// When it was first sent.
    pub sent: Timestamp,
    /// How often it was received, this time included, by [`Lease::For`].
    pub received: u32,
    /// When that was for the first time.
    pub first_received: Timestamp,
    /// Its sender's number.
    pub mark: u32,
    /// What it says.
    pub content: Bytes,
}

/// A message that somebody looks at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peeked {
    /// Its id.
    pub id: MessageId,
    /// Its place.
    pub sequence: u64,
    /// When it was first sent.
    pub sent: Timestamp,
    /// When it can be received; its lease's end, where it has one that ends.
    pub ready: Timestamp,
    /// How often it was received by [`Lease::For`].
    pub received: u32,
    /// Its sender's number.
    pub mark: u32,
    /// What it says.
    pub content: Bytes,
}

/// How much is in a queue. Approximate on a store of many machines.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Messages that can be received, or wait behind others of their lane.
    pub visible: u64,
    /// Leased ones.
    pub in_flight: u64,
    /// Those whose delay is not over.
    pub delayed: u64,
    /// When the oldest was first sent; `None` where there is none.
    pub oldest: Option<Timestamp>,
}

/// A message to send, and where to.
pub type Post = (QueueName, Message);

/// Why a queue could not do it. Nothing was changed, unless it says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum QueueError {
    /// The message was deleted or received again, or the handle never was one.
    #[error("the handle is not valid any more")]
    Stale,
    /// The configured cap, or the floor of free disk, is reached.
    #[error("{0}")]
    Full(String),
    /// A message is larger than a store takes.
    #[error("a message has {length} bytes and the store takes {limit}")]
    TooLarge {
        /// Bytes of its content.
        length: usize,
        /// Most bytes.
        limit: usize,
    },
    /// The store is closed or its disk failed. After a failed disk it is not known what is on it.
    #[error("{0}")]
    Unavailable(String),
}

/// Called after something was sent to or released in a queue. It must not block.
pub type Arrivals = Box<dyn Fn(&QueueName) + Send + Sync>;

/// Port: queues. What answers `Ok` is on disk, but for leases, which a crash may shorten.
///
/// Each answer may be dropped: what was asked for happens or not, and a message received by nobody
/// is released.
pub trait Queues: Send + Sync {
    /// Sends all, or on an error none (a store of many machines: some, whose repetition is harmless by id).
    fn send(&self, posts: Vec<Post>) -> Pending<'_, Result<Vec<Sent>, QueueError>>;

    /// Up to `max` messages that are ready, oldest first.
    fn receive(&self, queue: &QueueName, ask: Receive) -> Pending<'_, Result<Vec<Received>, QueueError>>;

    /// The lease lasts for so long from now; zero: the message is ready at once, and the handle stays
    /// good until somebody receives it.
    fn extend(&self, handle: &Handle, lease: Duration) -> Pending<'_, Result<(), QueueError>>;

    /// Gives a message back: it is ready after `delay`, with this mark, and the handle is not valid any more.
    fn release(&self, handle: &Handle, delay: Duration, mark: u32) -> Pending<'_, Result<(), QueueError>>;

    /// For each handle: deletes its message and sends the posts in its stead. On disk the two happen
    /// together; on a store of many machines the posts come first and once by their ids.
    fn settle(&self, settled: Vec<(Handle, Vec<Post>)>) -> Pending<'_, Vec<Result<(), QueueError>>>;

    /// Looks at up to `max` messages behind `after`, in order of their places, leased ones too.
    fn peek(&self, queue: &QueueName, after: u64, max: usize)
    -> Pending<'_, Result<Vec<Peeked>, QueueError>>;

    /// How much is in it; costs no more for a long queue than for a short one.
    fn counts(&self, queue: &QueueName) -> Pending<'_, Result<Counts, QueueError>>;

    /// The same of every queue that has messages and whose name begins with `prefix`, in no order: one question, however many
    /// they are.
    fn counts_of_all(&self, prefix: &str) -> Pending<'_, Result<Vec<(QueueName, Counts)>, QueueError>>;

    /// Queues that have messages and whose names begin with `prefix`, in no order.
    fn names(&self, prefix: &str) -> Pending<'_, Result<Vec<QueueName>, QueueError>>;

    /// Removes every message, leased ones too, and what is known of deduplication.
    fn purge(&self, queue: &QueueName) -> Pending<'_, Result<(), QueueError>>;

    /// Removes messages first sent before `then` that are not leased; says how many.
    fn expire(&self, queue: &QueueName, then: Timestamp) -> Pending<'_, Result<u64, QueueError>>;

    /// Tells `arrivals` from now on of queues whose names begin with `prefix`.
    fn watch(&self, prefix: &str, arrivals: Arrivals);
}
