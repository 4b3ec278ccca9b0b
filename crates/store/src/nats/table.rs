//! A JetStream key-value bucket with compare-and-set, and a task that follows all of its changes in their order.
//!
//! The server publishes each change once more, with its sequence: that is what is listened to. A gap, whatever it
//! comes from, is filled by asking for the messages in it. JetStream's ordered consumer is not used: that of version
//! 2.9 may pass over messages that are written just as it begins.
//!
//! Deliberately not here: what is in the bucket.

use std::sync::Arc;
use std::time::Duration;

use async_nats::Client;
use async_nats::header::{HeaderMap, NATS_EXPECTED_LAST_SUBJECT_SEQUENCE};
use async_nats::jetstream::context::PublishErrorKind;
use async_nats::jetstream::kv::{self, Operation};
use async_nats::jetstream::stream::{LastRawMessageErrorKind, Republish};
use async_nats::jetstream::{self, stream};
use bytes::Bytes;
use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::task::JoinHandle;

/// What the server calls a change's sequence where it publishes it again.
const SEQUENCE: &str = "Nats-Sequence";
/// After so long without a change the server is asked whether there was one.
const QUIET: Duration = Duration::from_secs(2);
/// How long a write waits until its change has come back.
const SEEN: Duration = Duration::from_secs(30);

/// Hears of each change of a table, this process's own too, in their order.
pub(super) trait Follower: Send + Sync + 'static {
    /// `None` where the key's value went.
    fn follow(&self, key: &str, revision: u64, value: Option<&Bytes>) -> Result<(), String>;
}

/// Why a write was not made.
#[derive(Debug)]
pub(super) enum WriteError {
    /// The key is not at the expected revision.
    Conflict,
    /// The server did not answer; it may have been made.
    Unavailable(String),
}

#[derive(Debug)]
pub(super) struct Table {
    pub(super) bucket: kv::Store,
    context: jetstream::Context,
    seen: watch::Receiver<u64>,
    task: JoinHandle<()>,
}

impl Drop for Table {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Table {
    /// Opens or makes a bucket, whose keys go after `max_age` if that is not zero, and waits until the follower has heard
    /// of all that is in it.
    pub(super) async fn open(
        client: &Client,
        context: &jetstream::Context,
        name: &str,
        replicas: usize,
        max_age: Duration,
        follower: Arc<impl Follower>,
    ) -> Result<Self, String> {
        // The client's own way to make a bucket does not understand what servers of version 2.9 say of accounts.
        let config = stream::Config {
            name: format!("KV_{name}"),
            subjects: vec![format!("$KV.{name}.>")],
            max_messages_per_subject: 1,
            discard: stream::DiscardPolicy::New,
            allow_rollup: true,
            num_replicas: replicas,
            max_age,
            republish: Some(Republish {
                source: ">".into(),
                destination: format!("{name}-changes.>"),
                headers_only: false,
            }),
            ..stream::Config::default()
        };
        context.get_or_create_stream(config).await.map_err(|error| error.to_string())?;
        let bucket = context.get_key_value(name).await.map_err(|error| error.to_string())?;
        let changes = client.subscribe(format!("{name}-changes.>")).await;
        let mut changes = changes.map_err(|error| error.to_string())?;
        // So that what is written from now on is heard.
        client.flush().await.map_err(|error| error.to_string())?;
        let (tell, seen) = watch::channel(0);
        let subject = format!("{name}-changes.{}", bucket.prefix);
        let mut following = Following {
            stream: bucket.stream.clone(),
            prefix: bucket.prefix.clone(),
            follower,
            last: 0,
            tell,
            unread: None,
        };
        following.catch_up(None).await?;
        if let Some(unread) = following.unread.take() {
            return Err(unread);
        }
        let task = tokio::spawn(async move {
            loop {
                let followed = match tokio::time::timeout(QUIET, changes.next()).await {
                    Ok(Some(change)) => following.hear(&subject, &change).await,
                    // The connection was closed.
                    Ok(None) => return,
                    Err(_) => following.catch_up(None).await,
                };
                if let Err(error) = followed {
                    tracing::warn!("the changes of other machines stall: {error}");
                }
            }
        });
        Ok(Self { bucket, context: context.clone(), seen, task })
    }

    /// Writes a value, or removes it, where its key is still at `expected`; 0 where it never was. Answers the new revision.
    pub(super) async fn write(
        &self,
        key: &str,
        value: Option<Bytes>,
        expected: u64,
    ) -> Result<u64, WriteError> {
        let subject = format!("{}{key}", self.bucket.prefix);
        let mut headers = HeaderMap::new();
        headers.insert(NATS_EXPECTED_LAST_SUBJECT_SEQUENCE, expected.to_string());
        if value.is_none() {
            headers.insert("KV-Operation", "DEL");
        }
        let said = |error: async_nats::jetstream::context::PublishError| match error.kind() {
            PublishErrorKind::WrongLastSequence => WriteError::Conflict,
            PublishErrorKind::StreamNotFound
            | PublishErrorKind::WrongLastMessageId
            | PublishErrorKind::TimedOut
            | PublishErrorKind::BrokenPipe
            | PublishErrorKind::MaxAckPending
            | PublishErrorKind::MaxPayloadExceeded
            | PublishErrorKind::Other => WriteError::Unavailable(error.to_string()),
        };
        let sent = self.context.publish_with_headers(subject, headers, value.unwrap_or_default()).await;
        Ok(sent.map_err(said)?.await.map_err(said)?.sequence)
    }

    /// Writes a value where there is none, whether or not there was one.
    pub(super) async fn create(&self, key: &str, value: Bytes) -> Result<u64, WriteError> {
        match self.write(key, Some(value.clone()), 0).await {
            Err(WriteError::Conflict) => {}
            done @ (Ok(_) | Err(WriteError::Unavailable(_))) => return done,
        }
        match self.entry(key).await? {
            Some((revision, None)) => self.write(key, Some(value), revision).await,
            Some((_, Some(_))) | None => Err(WriteError::Conflict),
        }
    }

    /// The last change of a key as the server has it: its revision, and the value where it did not go.
    pub(super) async fn entry(&self, key: &str) -> Result<Option<(u64, Option<Bytes>)>, WriteError> {
        let entry = self.bucket.entry(key).await;
        let entry = entry.map_err(|error| WriteError::Unavailable(error.to_string()))?;
        Ok(entry.map(|entry| {
            let value = (entry.operation == Operation::Put).then_some(entry.value);
            (entry.revision, value)
        }))
    }

    /// Waits until the follower has heard of this revision.
    pub(super) async fn seen(&self, revision: u64) -> Result<(), String> {
        let mut seen = self.seen.clone();
        let heard = seen.wait_for(|last| *last >= revision);
        match tokio::time::timeout(SEEN, heard).await {
            Ok(Ok(_)) => Ok(()),
            Ok(Err(_)) => Err("the store is closed".into()),
            Err(_) => Err("the server does not tell of changes".into()),
        }
    }

    /// Forgets the keys that begin so and were last changed before `revision`, without telling the followers.
    pub(super) async fn forget(&self, keys: &str, revision: Option<u64>) -> Result<(), String> {
        let filter = format!("{}{keys}.>", self.bucket.prefix);
        let stream: &stream::Stream = &self.bucket.stream;
        let purged = match revision {
            Some(revision) => stream.purge().sequence(revision).filter(filter).await,
            None => stream.purge().filter(filter).await,
        };
        purged.map(|_| ()).map_err(|error| error.to_string())
    }
}

/// What the task has.
struct Following<F> {
    stream: stream::Stream,
    prefix: String,
    follower: Arc<F>,
    /// The follower has heard of every change up to here that still matters.
    last: u64,
    tell: watch::Sender<u64>,
    /// The last change that could not be read.
    unread: Option<String>,
}

impl<F: Follower> Following<F> {
    /// A change came; what should have come before it is asked for.
    async fn hear(&mut self, prefix: &str, change: &async_nats::Message) -> Result<(), String> {
        let headers = change.headers.as_ref().ok_or("a change has no sequence")?;
        let revision = headers.get(SEQUENCE).and_then(|text| text.as_str().parse().ok());
        let revision: u64 = revision.ok_or("a change has no sequence")?;
        if revision > self.last + 1 {
            self.catch_up(Some(revision - 1)).await?;
        }
        if revision == self.last + 1 {
            let key = change.subject.strip_prefix(prefix).ok_or("it is no key of the bucket")?;
            self.apply(key, revision, headers, &change.payload);
        }
        Ok(())
    }

    /// Asks for each message that is there behind the last one heard of, up to `to`, or to the end. What is not there any
    /// more was written over by something that is, or purged.
    async fn catch_up(&mut self, to: Option<u64>) -> Result<(), String> {
        let to = match to {
            Some(to) => to,
            None => self.stream.get_info().await.map_err(|error| error.to_string())?.state.last_sequence,
        };
        while self.last < to {
            let next =
                self.stream.get_first_raw_message_by_subject(format!("{}>", self.prefix), self.last + 1);
            match next.await {
                Ok(message) => {
                    let key = message.subject.strip_prefix(&self.prefix).unwrap_or_default().to_owned();
                    self.apply(&key, message.sequence, &message.headers, &message.payload);
                }
                Err(error) if error.kind() == LastRawMessageErrorKind::NoMessageFound => self.is_at(to),
                Err(error) => return Err(error.to_string()),
            }
        }
        Ok(())
    }

    fn apply(&mut self, key: &str, revision: u64, headers: &HeaderMap, payload: &Bytes) {
        let value = headers.get("KV-Operation").is_none().then_some(payload);
        if let Err(error) = self.follower.follow(key, revision, value) {
            tracing::error!(key, revision, "a change cannot be read: {error}");
            self.unread = Some(format!("{key} cannot be read: {error}"));
        }
        self.is_at(revision);
    }

    fn is_at(&mut self, revision: u64) {
        self.last = revision;
        self.tell.send_replace(revision);
    }
}
