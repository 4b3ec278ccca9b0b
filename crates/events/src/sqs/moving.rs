//! Message move tasks: redrive of a dead-letter queue. Each is a loop of its own over the source queue, whose
//! record says how it stands, so that a restart goes on with it. A message is deleted and sent in one step.
//!
//! Deliberately not here: dead letters on their way into the queue (`receiving`).

use std::pin::pin;
use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use lambkin_model::queue::{Handle, Lease, Message, MessageId, Post, QueueError, Receive, Received};
use lambkin_model::record::ResourceKey;
use lambkin_model::sqs::{MoveStatus, MoveTask, Queue, key_of_arn};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc::error::TrySendError;
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, sleep_until};

use super::envelope::Envelope;
use super::{Sqs, SqsError, locked, sweeper};

/// Most messages of one step; a tenth of a second's worth where there is a rate.
const STEP: usize = 10;
/// How often a running task's count is written down.
const WRITTEN: Duration = Duration::from_secs(10);
/// Pause after the store failed.
const FAILED_PAUSE: Duration = Duration::from_secs(1);

/// A task as `ListMessageMoveTasks` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MoveListing {
    /// How it stands, with its count as of now.
    pub task: MoveTask,
    /// By which it can be cancelled; only while it runs.
    pub handle: Option<String>,
}

/// What a task's handle says.
#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TaskHandle {
    task_id: String,
    source_arn: String,
}

impl TaskHandle {
    fn of(source: &ResourceKey, task: &MoveTask) -> String {
        let handle = Self { task_id: task.id.clone(), source_arn: source.arn("sqs") };
        STANDARD.encode(serde_json::to_vec(&handle).expect("two texts"))
    }
}

/// How a task ends.
enum End {
    Completed,
    Cancelled,
    Failed(&'static str),
}

impl Sqs {
    /// What runs beside the service until `stop`: the sweeper, and move tasks, those of a former process
    /// among them. When it returns none of it runs; tasks go on at the next start.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let Some(mut begun) = locked(&self.0.begun).take() else { return };
        let mut tasks = JoinSet::new();
        for queue in self.all_queues() {
            for task in queue.moves.iter().filter(|task| task.is_active()) {
                tasks.spawn(self.clone().carry_out(queue.key.clone(), task.clone()));
            }
        }
        let mut rounds = interval(sweeper::EVERY);
        rounds.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut stop = pin!(stop);
        loop {
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some((source, task)) = begun.recv() => { tasks.spawn(self.clone().carry_out(source, task)); }
                Some(ended) = tasks.join_next() => if let Err(error) = ended {
                    // Its record says that it runs; the next start goes on with it.
                    tracing::error!(%error, "a message move task failed");
                },
                _ = rounds.tick() => self.sweep().await,
            }
        }
        tasks.shutdown().await;
    }

    /// `StartMessageMoveTask`; answers the task's handle.
    pub async fn start_move(
        &self,
        source_arn: &str,
        destination_arn: Option<&str>,
        rate: Option<i64>,
    ) -> Result<String, SqsError> {
        let source = key_of_arn(source_arn).ok_or_else(|| malformed("SourceArn"))?;
        let queue = self.queue(&source).ok_or_else(|| missing("SourceArn"))?;
        let wrong = |text: &str| Err(SqsError::InvalidParameterValue(text.into()));
        let feeds = |each: &Queue| each.attributes.redrive.as_ref().is_some_and(|to| to.target == source);
        if !self.0.records.all().iter().any(|each| feeds(&each.record)) {
            return wrong("Source queue must be configured as a Dead Letter Queue.");
        }
        if let Some(arn) = destination_arn {
            let key = key_of_arn(arn).ok_or_else(|| malformed("DestinationArn"))?;
            let destination = self.queue(&key).ok_or_else(|| missing("DestinationArn"))?;
            if key == source {
                return wrong("Source queue arn and destination queue arn cannot be the same.");
            }
            if destination.record.is_fifo() != queue.record.is_fifo() {
                return wrong("Source queue and destination queue must be of the same type.");
            }
        }
        let rate = match rate {
            None => None,
            Some(rate) => match u32::try_from(rate) {
                Ok(valid) if (1..=MoveTask::RATE).contains(&rate) => Some(valid),
                Ok(_) | Err(_) => {
                    let reason = format!("Must be between 1 and {}, if provided.", MoveTask::RATE);
                    return Err(SqsError::value(&rate.to_string(), "MaxNumberOfMessagesPerSecond", &reason));
                }
            },
        };
        let place = match self.0.moves.try_reserve() {
            Ok(place) if self.active_moves(&source.account) < MoveTask::ACTIVE => place,
            Ok(_) | Err(TrySendError::Full(())) => {
                return Err(SqsError::OverLimit(format!(
                    "At most {} message move tasks can be active at once.",
                    MoveTask::ACTIVE
                )));
            }
            Err(TrySendError::Closed(())) => {
                return Err(SqsError::Unavailable("lambkin is shutting down.".into()));
            }
        };
        let task = MoveTask {
            id: uuid::Uuid::from_bytes((self.0.ambient.uuid)()).to_string(),
            destination: destination_arn.map(str::to_owned),
            rate,
            started: self.now(),
            to_move: self.counts(&queue.record).await?.visible,
            moved: 0,
            status: MoveStatus::Running,
            failure: None,
        };
        self.update(&source, |queue| {
            if queue.moves.iter().any(MoveTask::is_active) {
                return Err(SqsError::InvalidParameterValue(
                    "There is already a task running. Only one active task is allowed for a source queue arn at a given time."
                        .into(),
                ));
            }
            queue.moves.insert(0, task.clone());
            queue.moves.truncate(MoveTask::KEPT);
            Ok(())
        })
        .await?;
        let handle = TaskHandle::of(&source, &task);
        place.send((source, task));
        Ok(handle)
    }

    /// `ListMessageMoveTasks`: the newest first.
    pub fn list_moves(&self, source_arn: &str, max: Option<i64>) -> Result<Vec<MoveListing>, SqsError> {
        let source = key_of_arn(source_arn).ok_or_else(|| malformed("SourceArn"))?;
        let max = max.unwrap_or(1);
        let Some(most) = usize::try_from(max).ok().filter(|max| (1..=MoveTask::KEPT).contains(max)) else {
            let reason = format!("Must be between 1 and {}, if provided.", MoveTask::KEPT);
            return Err(SqsError::value(&max.to_string(), "MaxResults", &reason));
        };
        let queue = self.queue(&source).ok_or_else(|| missing("SourceArn"))?;
        let listing = |task: &MoveTask| MoveListing {
            handle: (task.status == MoveStatus::Running).then(|| TaskHandle::of(&source, task)),
            task: MoveTask { moved: self.moved(task), ..task.clone() },
        };
        Ok(queue.record.moves.iter().take(most).map(listing).collect())
    }

    /// `CancelMessageMoveTask`; answers how many messages it has moved.
    pub async fn cancel_move(&self, handle: &str) -> Result<u64, SqsError> {
        let read = STANDARD.decode(handle).ok();
        let read = read.and_then(|bytes| serde_json::from_slice::<TaskHandle>(&bytes).ok());
        let invalid = || SqsError::InvalidParameterValue("Value for parameter TaskHandle is invalid.".into());
        let read = read.ok_or_else(invalid)?;
        let source = key_of_arn(&read.source_arn).ok_or_else(invalid)?;
        let queue = self.queue(&source).ok_or_else(|| missing("SourceArn"))?;
        let absent = || SqsError::ResourceNotFound("Task does not exist.".into());
        let task = queue.record.moves.iter().find(|task| task.id == read.task_id).ok_or_else(absent)?;
        self.update(&source, |queue| match queue.moves.iter_mut().find(|task| task.id == read.task_id) {
            None => Err(absent()),
            Some(task) if task.status == MoveStatus::Running => {
                task.status = MoveStatus::Cancelling;
                Ok(())
            }
            Some(task) => Err(SqsError::UnsupportedOperation(format!(
                "Only a running task can be cancelled; this one is {}.",
                task.status.as_str()
            ))),
        })
        .await?;
        Ok(self.moved(task))
    }

    /// The queue of a task's handle; `None`: it is none.
    #[must_use]
    pub fn move_source(&self, handle: &str) -> Option<ResourceKey> {
        let read = STANDARD.decode(handle).ok()?;
        key_of_arn(&serde_json::from_slice::<TaskHandle>(&read).ok()?.source_arn)
    }

    /// What a task has moved: as counted by this process, or else as it was written down.
    fn moved(&self, task: &MoveTask) -> u64 {
        locked(&self.0.moved).get(&task.id).copied().unwrap_or(task.moved)
    }

    fn active_moves(&self, account: &str) -> usize {
        let queues = self.0.records.all();
        let own = queues.iter().filter(|queue| &*queue.record.key.account == account);
        own.flat_map(|queue| &queue.record.moves).filter(|task| task.is_active()).count()
    }

    /// Moves until nothing is left, it is told to end, or it cannot go on; and writes down how it ended.
    async fn carry_out(self, source: ResourceKey, task: MoveTask) {
        let mut moved = task.moved;
        let end = self.move_all(&source, &task, &mut moved).await;
        let (status, failure) = match end {
            Some(End::Completed) => (MoveStatus::Completed, None),
            Some(End::Cancelled) => (MoveStatus::Cancelled, None),
            Some(End::Failed(why)) => (MoveStatus::Failed, Some(why.to_owned())),
            // The source is gone, and its tasks with it.
            None => {
                locked(&self.0.moved).remove(&task.id);
                return;
            }
        };
        let write = |queue: &mut Queue| {
            if let Some(own) = queue.moves.iter_mut().find(|each| each.id == task.id) {
                (own.status, own.moved, own.failure) = (status, moved, failure.clone());
            }
            Ok(())
        };
        while let Err(error @ SqsError::Unavailable(_)) = self.update(&source, write).await {
            tracing::warn!(queue = %source, %error, "the end of a message move task could not be written");
            sleep(FAILED_PAUSE).await;
        }
        locked(&self.0.moved).remove(&task.id);
    }

    async fn move_all(&self, source: &ResourceKey, task: &MoveTask, moved: &mut u64) -> Option<End> {
        let step = task.rate.map_or(STEP, |rate| (rate as usize / 10).clamp(1, STEP));
        let mut next = Instant::now();
        let mut written = Instant::now();
        loop {
            let queue = self.queue(source)?;
            let own = queue.record.moves.iter().find(|each| each.id == task.id)?;
            if own.status == MoveStatus::Cancelling {
                return Some(End::Cancelled);
            }
            let ask = Receive { max: step, lease: Lease::Held, wait: Duration::ZERO };
            let received = match self.0.store.receive(&queue.record.store_name(), ask).await {
                Ok(received) => received,
                Err(error) => {
                    tracing::warn!(queue = %source, %error, "a message move task waits for the store");
                    sleep(FAILED_PAUSE).await;
                    continue;
                }
            };
            if received.is_empty() {
                return Some(End::Completed);
            }
            let count = received.len();
            if let Some(end) = self.move_some(task, received, moved).await {
                return Some(end);
            }
            locked(&self.0.moved).insert(task.id.clone(), *moved);
            if written.elapsed() >= WRITTEN {
                written = Instant::now();
                let so_far = *moved;
                let write = |queue: &mut Queue| {
                    if let Some(own) = queue.moves.iter_mut().find(|each| each.id == task.id) {
                        own.moved = so_far;
                    }
                    Ok(())
                };
                // A count that is not written is written next time.
                let _ = self.update(source, write).await;
            }
            match task.rate {
                Some(rate) => {
                    next = next.max(Instant::now())
                        + Duration::from_secs(1) * u32::try_from(count).unwrap_or(1) / rate;
                    sleep_until(next).await;
                }
                None => tokio::task::yield_now().await,
            }
        }
    }

    /// Moves what was received; what cannot be moved is given back.
    async fn move_some(&self, task: &MoveTask, received: Vec<Received>, moved: &mut u64) -> Option<End> {
        let mut settled: Vec<(Handle, Vec<Post>)> = Vec::new();
        let mut end = None;
        for each in received {
            if end.is_none() {
                match self.redriven(task, &each) {
                    Ok(post) => {
                        settled.push((each.handle, vec![post]));
                        continue;
                    }
                    Err(why) => end = Some(End::Failed(why)),
                }
            }
            // One that is not given back is given back by the next start.
            let _ = self.0.store.release(&each.handle, Duration::ZERO, each.mark).await;
        }
        let handles: Vec<Handle> = settled.iter().map(|(handle, _)| handle.clone()).collect();
        let results = if settled.is_empty() { Vec::new() } else { self.0.store.settle(settled).await };
        let mut pause = false;
        for (handle, result) in handles.iter().zip(results) {
            match result {
                Ok(()) => *moved += 1,
                // Purged meanwhile.
                Err(QueueError::Stale) => {}
                Err(
                    error @ (QueueError::Full(_) | QueueError::TooLarge { .. } | QueueError::Unavailable(_)),
                ) => {
                    tracing::warn!(%error, "a message could not be moved yet");
                    let _ = self.0.store.release(handle, Duration::ZERO, 0).await;
                    pause = true;
                }
            }
        }
        if pause {
            sleep(FAILED_PAUSE).await;
        }
        end
    }

    /// The message as it goes back. To AWS it is a new one: with another id, sent now, never received.
    fn redriven(&self, task: &MoveTask, each: &Received) -> Result<Post, &'static str> {
        const NO_SOURCE: &str = "CouldNotDetermineMessageSource";
        let mut envelope = Envelope::decode(&each.content).map_err(|_| NO_SOURCE)?;
        let source = envelope.dead_letter_source.take();
        let arn = task.destination.as_deref().or(source.as_deref()).ok_or(NO_SOURCE)?;
        let target = key_of_arn(arn).and_then(|key| self.queue(&key));
        let target = target.ok_or("AWS.SimpleQueueService.NonExistentQueue")?;
        envelope.received_before = 0;
        let message = Message {
            id: new_id(&task.id, each.id),
            lane: each.lane.clone().filter(|_| target.record.is_fifo()),
            deduplication: None,
            sent: None,
            delay: Duration::ZERO,
            mark: 0,
            content: envelope.encode(),
        };
        Ok((target.record.store_name(), message))
    }
}

/// The same each time for a message of a task, so that a repeated step sends no second one.
fn new_id(task: &str, old: MessageId) -> MessageId {
    let digest = Sha256::new().chain_update(task).chain_update(old.0).finalize();
    let bytes: [u8; 16] = digest[..16].try_into().expect("of 32 bytes");
    MessageId(uuid::Builder::from_random_bytes(bytes).into_uuid().into_bytes())
}

fn malformed(parameter: &str) -> SqsError {
    SqsError::InvalidParameterValue(format!(
        "You must use this format to specify the {parameter}: arn:<partition>:<service>:<region>:<account-id>:<resource-id>"
    ))
}

fn missing(parameter: &str) -> SqsError {
    SqsError::ResourceNotFound(format!(
        "The resource that you specified for the {parameter} parameter doesn't exist."
    ))
}
