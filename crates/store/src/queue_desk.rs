//! What the queues' writer works at: the file, and what it knows of the queues beside it. Everything here but who
//! holds what is read from the file again after a transaction that failed.
//!
//! Deliberately not here: threads, waiting, and what receiving, settling and lanes mean (`queue_lease`).

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::path::Path;
use std::sync::Arc;

use lambkin_model::queue::{Counts, DEDUPLICATION, Message, Peeked, Post, QueueError, QueueName, Sent};
use lambkin_model::time::Timestamp;

use crate::OpenError;
use crate::queue_clock::QueueClock;
use crate::queue_file::{MessageRow, QueueFile, Remembered};
use crate::queue_lease::Hold;
use crate::queue_room::{QueueConfig, Room};
use crate::queue_tally::{Tally, end};

/// Longest content of a message.
pub(crate) const LARGEST: usize = 2 << 20;
/// A receive or a look answers with no more messages once their content has come to this.
pub(crate) const ANSWER: usize = 16 << 20;
/// Sequence numbers that are taken from the file at a time.
const SEQUENCES: i64 = 1 << 20;
/// Messages that a purge or an expiry removes in one transaction: some milliseconds.
pub(crate) const PIECE: usize = 500;
/// How often the clock is noted in the file, in microseconds.
const NOTE: i64 = 10_000_000;

/// Why something was not done.
pub(crate) enum Trouble {
    /// Nothing was changed.
    Refused(QueueError),
    /// The transaction has to be rolled back.
    Sqlite(rusqlite::Error),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<QueueError> for Trouble {
    fn from(error: QueueError) -> Self {
        Self::Refused(error)
    }
}

/// What is known of a queue beside its messages.
pub(crate) struct Queue {
    pub name: QueueName,
    pub tally: Tally,
    /// Everything that was due at this place or before it is held, or in `returned`.
    pub cursor: (i64, i64),
    /// Messages behind the cursor that nobody holds any more: due time and sequence.
    pub returned: BTreeSet<(i64, i64)>,
}

pub(crate) struct Desk {
    pub file: QueueFile,
    pub clock: QueueClock,
    pub names: BTreeMap<QueueName, i64>,
    pub queues: HashMap<i64, Queue>,
    /// By sequence.
    pub held: HashMap<i64, Hold>,
    /// How many messages of a lane are held, where any is.
    pub lane_holds: HashMap<(i64, Arc<str>), usize>,
    /// What `held` was before this transaction, the last change at the end.
    pub journal: Vec<(i64, Option<Hold>)>,
    /// Queues in which this transaction may have made something ready, for those that wait.
    pub touched: BTreeSet<QueueName>,
    /// Those that something was sent to or released in, for the watchers.
    pub arrived: BTreeSet<QueueName>,
    pub room: Room,
    receipt: i64,
    /// Receipts above this are this process's.
    former: i64,
    sequence: i64,
    /// Sequence numbers below this are ours to give.
    sequences: i64,
    latest_sent: i64,
    noted: i64,
    /// Purged queues whose messages are still in the file.
    graves: VecDeque<i64>,
    /// The last tidying gave disk back.
    shrunk: bool,
}

impl Desk {
    pub(crate) fn open(path: &Path, config: QueueConfig) -> Result<Self, OpenError> {
        let failed =
            |error: rusqlite::Error| OpenError::Queues { path: path.to_owned(), reason: error.to_string() };
        let mut file = QueueFile::open(path)?;
        file.begin(true).map_err(failed)?;
        let (epoch, sequence, noted) = file.enter().map_err(failed)?;
        for (queue, _) in file.queues().map_err(failed)? {
            file.remove_queue(queue).map_err(failed)?;
        }
        file.commit().map_err(failed)?;
        let clock = QueueClock::new(noted);
        let mut desk = Self {
            file,
            names: BTreeMap::new(),
            queues: HashMap::new(),
            held: HashMap::new(),
            lane_holds: HashMap::new(),
            journal: Vec::new(),
            touched: BTreeSet::new(),
            arrived: BTreeSet::new(),
            room: Room::new(path, config),
            // Unlike any of a former opening's, in this and in the file: 2^39 receives each.
            receipt: epoch << 40,
            former: epoch << 40,
            sequence,
            sequences: sequence,
            latest_sent: clock.wall(),
            noted: 0,
            graves: VecDeque::new(),
            shrunk: false,
            clock,
        };
        desk.reload().map_err(failed)?;
        Ok(desk)
    }

    /// Reads from the file what is kept in memory beside it.
    fn reload(&mut self) -> Result<(), rusqlite::Error> {
        let now = self.clock.tick();
        (self.names, self.queues, self.graves) = Default::default();
        self.lane_holds.clear();
        self.touched.clear();
        self.arrived.clear();
        self.sequences = self.sequence;
        self.noted = 0;
        for (id, name) in self.file.queues()? {
            match name.map(QueueName) {
                Some(name) => self.add(id, name),
                None => self.graves.push_back(id),
            }
        }
        for (id, total, waiting) in self.file.totals(now)? {
            let Some(queue) = self.queues.get_mut(&id) else { continue };
            queue.tally.total = total;
            queue.tally.pass(now);
            if waiting > 0 {
                for (until, leased, count) in self.file.ends(id, now)? {
                    queue.tally.add(until, leased, count);
                }
            }
        }
        for hold in self.held.values() {
            if let Some(queue) = self.queues.get_mut(&hold.queue) {
                queue.tally.held += 1;
            }
            if let Some(lane) = &hold.lane {
                *self.lane_holds.entry((hold.queue, Arc::clone(lane))).or_default() += 1;
            }
        }
        Ok(())
    }

    fn add(&mut self, id: i64, name: QueueName) {
        let queue = Queue {
            name: name.clone(),
            tally: Tally::default(),
            cursor: (i64::MIN, 0),
            returned: BTreeSet::new(),
        };
        self.names.insert(name, id);
        self.queues.insert(id, queue);
    }

    /// Begins a transaction.
    pub(crate) fn begin(&mut self, durable: bool) -> Result<(), rusqlite::Error> {
        self.journal.clear();
        self.touched.clear();
        self.arrived.clear();
        self.room.renew();
        self.file.begin(durable)?;
        let now = self.clock.tick();
        if durable && now - self.noted > NOTE {
            self.file.set_clock(now)?;
            self.noted = now;
        }
        Ok(())
    }

    pub(crate) fn commit(&self) -> Result<(), rusqlite::Error> {
        self.file.commit()
    }

    /// Undoes everything since `begin`.
    pub(crate) fn roll_back(&mut self) -> Result<(), rusqlite::Error> {
        self.file.roll_back()?;
        while let Some((seq, before)) = self.journal.pop() {
            match before {
                Some(hold) => self.held.insert(seq, hold),
                None => self.held.remove(&seq),
            };
        }
        self.reload()
    }

    /// Something of this queue may be ready now.
    pub(crate) fn touch(&mut self, queue: i64) {
        if let Some(queue) = self.queues.get(&queue) {
            self.touched.insert(queue.name.clone());
        }
    }

    /// Something was sent to this queue, or released in it.
    pub(crate) fn arrive(&mut self, queue: i64) {
        self.touch(queue);
        if let Some(queue) = self.queues.get(&queue) {
            self.arrived.insert(queue.name.clone());
        }
    }

    /// Those of leases are even, of held messages odd.
    pub(crate) fn next_receipt(&mut self, held: bool) -> i64 {
        self.receipt += 2;
        self.receipt | i64::from(held)
    }

    /// Whether a receipt is that of a lease, given by a former opening of the file.
    pub(crate) fn is_lease_before(&self, receipt: i64) -> bool {
        receipt <= self.former && receipt % 2 == 0
    }

    fn next_sequence(&mut self) -> Result<i64, rusqlite::Error> {
        if self.sequence >= self.sequences {
            self.sequences = self.sequence + SEQUENCES;
            self.file.set_sequence(self.sequences)?;
        }
        self.sequence += 1;
        Ok(self.sequence - 1)
    }

    pub(crate) fn send(&mut self, posts: &[Post]) -> Result<Vec<Sent>, Trouble> {
        fit(posts)?;
        let bytes = posts.iter().map(|(_, message)| message.content.len() as u64).sum();
        self.room.take(bytes, &self.file)?;
        Ok(posts.iter().map(|(name, message)| self.put(name, message)).collect::<Result<_, _>>()?)
    }

    /// Puts a message that [`fit`] let through into its queue.
    pub(crate) fn put(&mut self, name: &QueueName, message: &Message) -> Result<Sent, rusqlite::Error> {
        let now = self.clock.tick();
        let queue = match self.names.get(name) {
            Some(queue) => *queue,
            None => {
                let queue = self.file.make_queue(&name.0)?;
                self.add(queue, name.clone());
                queue
            }
        };
        if let Some(text) = &message.deduplication {
            // Two go for each that comes, so that what is over does not pile up.
            self.file.forget(now, 2)?;
            if let Some(known) = self.file.remembered(queue, text)?.filter(|known| known.until > now) {
                return Ok(Sent { id: known.id, sequence: unsigned(known.seq), duplicate: true });
            }
        }
        let seq = self.next_sequence()?;
        let wall = self.clock.wall();
        // A message that says when it was sent may be older than others ahead of it, or claim to be younger than
        // now, which would make all that follow it moved ones.
        let sent = message.sent.map_or(self.latest_sent.max(wall), |sent| signed(sent.0).min(wall));
        let moved = sent < self.latest_sent;
        self.latest_sent = self.latest_sent.max(sent);
        let ready = end(now, message.delay);
        let alone = match &message.lane {
            Some(lane) => self.file.lane(queue, lane, 0, 1)?.is_empty(),
            None => true,
        };
        let row = MessageRow {
            seq,
            due: alone.then_some(ready),
            ready,
            receipt: 0,
            received: 0,
            first_received: 0,
            sent,
            mark: message.mark,
            id: message.id,
            lane: message.lane.clone(),
        };
        self.file.insert(queue, &row, moved, &message.content)?;
        if let Some(text) = &message.deduplication {
            let until = now + i64::try_from(DEDUPLICATION.as_micros()).unwrap_or(i64::MAX / 2);
            self.file.remember(queue, text, &Remembered { seq, id: message.id, until })?;
        }
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.tally.pass(now);
            queue.tally.total += 1;
            queue.tally.add(ready, false, 1);
        }
        self.arrive(queue);
        Ok(Sent { id: message.id, sequence: unsigned(seq), duplicate: false })
    }

    /// Removes a message for good; says whether it was there.
    pub(crate) fn remove(
        &mut self,
        queue: i64,
        seq: i64,
        ready: i64,
        leased: bool,
    ) -> Result<bool, rusqlite::Error> {
        let found = self.file.delete(queue, seq)?;
        if found && let Some(queue) = self.queues.get_mut(&queue) {
            queue.tally.total -= 1;
            queue.tally.subtract(ready, leased);
        }
        Ok(found)
    }

    pub(crate) fn counts(&mut self, name: &QueueName) -> Result<Counts, Trouble> {
        let now = self.clock.tick();
        let Some((id, queue)) = self.names.get(name).and_then(|id| Some((id, self.queues.get_mut(id)?)))
        else {
            return Ok(Counts::default());
        };
        queue.tally.pass(now);
        Ok(Counts {
            visible: queue.tally.visible(),
            in_flight: queue.tally.held + queue.tally.leased,
            delayed: queue.tally.delayed,
            oldest: self.file.oldest(*id)?.map(timestamp),
        })
    }

    pub(crate) fn counts_of_all(&mut self, prefix: &str) -> Result<Vec<(QueueName, Counts)>, Trouble> {
        let names = self.names(prefix).into_iter();
        names.map(|name| self.counts(&name).map(|counts| (name, counts))).collect()
    }

    pub(crate) fn names(&self, prefix: &str) -> Vec<QueueName> {
        let from = QueueName(prefix.into());
        let names = self.names.range(from..).take_while(|(name, _)| name.0.starts_with(prefix));
        let filled = names.filter(|(_, id)| self.queues.get(id).is_some_and(|queue| queue.tally.total > 0));
        filled.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn peek(&self, name: &QueueName, after: u64, max: usize) -> Result<Vec<Peeked>, Trouble> {
        let (mut peeked, mut bytes, mut after) = (Vec::new(), 0, signed(after));
        let Some(queue) = self.names.get(name) else { return Ok(peeked) };
        while peeked.len() < max {
            let limit = PIECE.min(max - peeked.len());
            let rows = self.file.places(*queue, after, limit)?;
            let last = rows.len() < limit;
            for row in rows {
                let content = self.file.body(row.seq)?;
                bytes += content.len();
                after = row.seq;
                peeked.push(Peeked {
                    id: row.id,
                    sequence: unsigned(row.seq),
                    sent: timestamp(row.sent),
                    ready: timestamp(row.ready),
                    received: row.received,
                    mark: row.mark,
                    content,
                });
                if bytes >= ANSWER {
                    return Ok(peeked);
                }
            }
            if last {
                break;
            }
        }
        Ok(peeked)
    }

    /// The queue's messages are nobody's from now on, which costs the same for many and for few; [`Self::bury`]
    /// takes them out of the file.
    pub(crate) fn purge(&mut self, name: &QueueName) -> Result<(), Trouble> {
        let Some(id) = self.names.remove(name) else { return Ok(()) };
        self.file.unname_queue(id)?;
        self.queues.remove(&id);
        let gone: Vec<i64> =
            self.held.iter().filter(|(_, hold)| hold.queue == id).map(|(seq, _)| *seq).collect();
        for seq in gone {
            let before = self.held.remove(&seq);
            self.journal.push((seq, before));
        }
        self.lane_holds.retain(|(queue, _), _| *queue != id);
        self.graves.push_back(id);
        Ok(())
    }

    /// Whether [`Self::bury`] has something to do.
    pub(crate) fn has_graves(&self) -> bool {
        !self.graves.is_empty()
    }

    /// Removes a piece of what was purged.
    pub(crate) fn bury(&mut self) -> Result<(), rusqlite::Error> {
        if let Some(queue) = self.graves.front().copied()
            && !self.file.clear(queue, PIECE)?
        {
            self.file.remove_queue(queue)?;
            self.graves.pop_front();
        }
        Ok(())
    }

    /// When the next message of a queue becomes due; now, where one is due.
    pub(crate) fn next_due(&mut self, name: &QueueName) -> Result<Option<i64>, rusqlite::Error> {
        let now = self.clock.tick();
        match self.names.get(name) {
            Some(queue) => self.file.next_due(*queue, now),
            None => Ok(None),
        }
    }

    /// What can be done while nobody asks for anything: forgets deduplication ids, gives disk back. Whether
    /// there is more of it.
    pub(crate) fn tidy(&mut self) -> Result<bool, rusqlite::Error> {
        /// Free pages that are kept, as they will be wanted again, and that one piece gives back: 4 MiB each.
        const PAGES: u32 = 1024;
        let now = self.clock.tick();
        self.file.begin(false)?;
        let forgot = self.file.forget(now, PIECE)? == PIECE;
        let shrunk = self.file.shrink(PAGES, PAGES)?;
        self.file.commit()?;
        if self.shrunk && !shrunk {
            // Only this makes the file itself smaller.
            self.file.checkpoint()?;
        }
        self.shrunk = shrunk;
        Ok(forgot || shrunk)
    }
}

/// Whether a store takes these at all.
pub(crate) fn fit(posts: &[Post]) -> Result<(), QueueError> {
    let lengths = posts.iter().map(|(_, message)| message.content.len());
    match lengths.max().filter(|length| *length > LARGEST) {
        Some(length) => Err(QueueError::TooLarge { length, limit: LARGEST }),
        None => Ok(()),
    }
}

/// SQLite's integers are signed; no time or sequence comes near the sign.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

pub(crate) fn unsigned(number: i64) -> u64 {
    u64::try_from(number).unwrap_or(0)
}

pub(crate) fn timestamp(micros: i64) -> Timestamp {
    Timestamp(unsigned(micros))
}
