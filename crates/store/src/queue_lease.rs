//! Who has which message, and what that means for the others of its lane: receive, extend, release, settle, expire.
//!
//! `message.due` of the file says when a message can be received. Of a lane only the first message has one, and
//! it is not before the last lease of the lane ends. A message that this process holds keeps its due time: it is
//! behind its queue's cursor, or in `held`, and so nobody finds it; held ones of a lane are counted beside.
//!
//! Deliberately not here: transactions, and who waits for messages.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use bytes::{BufMut, Bytes, BytesMut};
use lambkin_model::queue::{Handle, Lease, Post, QueueError, QueueName, Received};
use lambkin_model::time::Timestamp;

use crate::queue_desk::{ANSWER, Desk, PIECE, Trouble, fit, signed, timestamp, unsigned};
use crate::queue_file::MessageRow;
use crate::queue_tally::end;

/// A message that this process holds ([`Lease::Held`]).
#[derive(Debug, Clone)]
pub(crate) struct Hold {
    pub queue: i64,
    pub lane: Option<Arc<str>>,
    receipt: i64,
    due: Option<i64>,
    mark: u32,
}

/// Which message a handle is good for.
struct Place {
    queue: i64,
    seq: i64,
    /// Whether it is held; leased if not.
    held: bool,
}

/// A receive under way.
struct Taking {
    queue: i64,
    max: usize,
    held: bool,
    now: i64,
    until: i64,
    receipt: i64,
    bytes: usize,
    taken: Vec<Received>,
}

impl Taking {
    fn is_full(&self) -> bool {
        self.taken.len() >= self.max || self.bytes >= ANSWER
    }
}

/// Where an expiry goes on.
#[derive(Debug, Clone)]
pub(crate) struct Expiry {
    queue: Option<i64>,
    then: i64,
    /// Behind this place; `None` when all places have been looked at.
    place: Option<i64>,
    moved: (i64, i64),
    pub gone: u64,
}

impl Desk {
    pub(crate) fn receive(
        &mut self,
        name: &QueueName,
        max: usize,
        lease: Lease,
    ) -> Result<Vec<Received>, rusqlite::Error> {
        let Some(id) = self.names.get(name).copied() else { return Ok(Vec::new()) };
        let now = self.clock.tick();
        let (held, until) = match lease {
            Lease::Held => (true, now),
            // A lease of no time must not be over before this receive is.
            Lease::For(lasts) => (false, end(now, lasts).max(now + 1)),
        };
        let receipt = self.next_receipt(held);
        let mut taking = Taking { queue: id, max, held, now, until, receipt, bytes: 0, taken: Vec::new() };
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.tally.pass(now);
        }
        while !taking.is_full()
            && let Some((_, seq)) = self.queues.get_mut(&id).and_then(|queue| queue.returned.pop_first())
        {
            if let Some(row) = self.file.message(id, seq)?
                && row.due.is_some_and(|due| due <= now)
            {
                self.take_lane(&mut taking, row)?;
            }
        }
        while !taking.is_full() {
            let cursor = self.queues.get(&id).map_or((i64::MIN, 0), |queue| queue.cursor);
            let limit = (max - taking.taken.len()).min(PIECE);
            let rows = self.file.due(id, cursor, now, limit)?;
            let last = rows.len() < limit;
            for row in rows {
                if taking.is_full() {
                    break;
                }
                if let (Some(queue), Some(due)) = (self.queues.get_mut(&id), row.due) {
                    queue.cursor = (due, row.seq);
                }
                self.take_lane(&mut taking, row)?;
            }
            if last {
                break;
            }
        }
        Ok(taking.taken)
    }

    /// Takes a message that is due, and the ones of its lane that follow it.
    fn take_lane(&mut self, taking: &mut Taking, row: MessageRow) -> Result<(), rusqlite::Error> {
        if self.held.contains_key(&row.seq) {
            return Ok(());
        }
        let Some(lane) = row.lane.clone() else { return self.take(taking, row) };
        if self.lane_holds.contains_key(&(taking.queue, Arc::clone(&lane))) {
            // It comes again when the last of them goes.
            return Ok(());
        }
        let mut after = row.seq;
        self.take(taking, row)?;
        while !taking.is_full() {
            let limit = (taking.max - taking.taken.len()).min(PIECE);
            let rows = self.file.lane(taking.queue, &lane, after, limit)?;
            let last = rows.len() < limit;
            for row in rows {
                if taking.is_full() || row.ready > taking.now {
                    return Ok(());
                }
                after = row.seq;
                self.take(taking, row)?;
            }
            if last {
                break;
            }
        }
        Ok(())
    }

    fn take(&mut self, taking: &mut Taking, mut row: MessageRow) -> Result<(), rusqlite::Error> {
        let content = self.file.body(row.seq)?;
        if taking.held {
            let hold = Hold {
                queue: taking.queue,
                lane: row.lane.clone(),
                receipt: taking.receipt,
                due: row.due,
                mark: row.mark,
            };
            self.hold(row.seq, hold);
            if row.receipt > 0 {
                // The handle of its last lease is not good any more, also after a restart.
                row.receipt = -row.receipt;
                self.file.update(taking.queue, &row)?;
            }
        } else {
            row.received += 1;
            if row.received == 1 {
                row.first_received = taking.now;
            }
            row.receipt = taking.receipt;
            row.ready = taking.until;
            row.due = row.due.map(|_| taking.until);
            self.file.update(taking.queue, &row)?;
            if let Some(queue) = self.queues.get_mut(&taking.queue) {
                queue.tally.add(taking.until, true, 1);
            }
        }
        taking.bytes += content.len();
        taking.taken.push(Received {
            handle: handle(taking.queue, row.seq, taking.receipt),
            id: row.id,
            sequence: unsigned(row.seq),
            lane: row.lane,
            sent: timestamp(row.sent),
            received: row.received,
            first_received: timestamp(row.first_received),
            mark: row.mark,
            content,
        });
        Ok(())
    }

    fn hold(&mut self, seq: i64, hold: Hold) {
        if let Some(queue) = self.queues.get_mut(&hold.queue) {
            queue.tally.held += 1;
        }
        if let Some(lane) = &hold.lane {
            *self.lane_holds.entry((hold.queue, Arc::clone(lane))).or_default() += 1;
        }
        let before = self.held.insert(seq, hold);
        self.journal.push((seq, before));
    }

    fn let_go(&mut self, seq: i64) -> Option<Hold> {
        let hold = self.held.remove(&seq)?;
        self.journal.push((seq, Some(hold.clone())));
        if let Some(queue) = self.queues.get_mut(&hold.queue) {
            queue.tally.held -= 1;
        }
        if let Some(lane) = &hold.lane {
            let key = (hold.queue, Arc::clone(lane));
            if let Some(count) = self.lane_holds.get_mut(&key) {
                *count -= 1;
                if *count == 0 {
                    self.lane_holds.remove(&key);
                }
            }
        }
        Some(hold)
    }

    /// The message that a handle is good for.
    fn locate(&mut self, handle: &Handle) -> Result<(Place, Option<MessageRow>), Trouble> {
        let (queue, seq, receipt) = parse(handle).ok_or(QueueError::Stale)?;
        if let Some(hold) = self.held.get(&seq) {
            if hold.queue == queue && hold.receipt == receipt {
                return Ok((Place { queue, seq, held: true }, None));
            }
            return Err(QueueError::Stale.into());
        }
        if !self.queues.contains_key(&queue) {
            return Err(QueueError::Stale.into());
        }
        let now = self.clock.tick();
        let mut row = self.file.message(queue, seq)?.ok_or(QueueError::Stale)?;
        if row.receipt != receipt {
            // Leases are not synced, and a power cut takes them: the handle of a former process' lease is good while
            // nobody has been given the message since, who would have a higher receipt.
            let is_delayed = row.receipt <= 0 && row.ready > now;
            if !self.is_lease_before(receipt) || row.receipt.abs() >= receipt || is_delayed {
                return Err(QueueError::Stale.into());
            }
            row.receipt = receipt;
        }
        if let Some(queue) = self.queues.get_mut(&queue) {
            queue.tally.pass(now);
        }
        Ok((Place { queue, seq, held: false }, Some(row)))
    }

    /// The row of a located message.
    fn row(&self, place: &Place, row: Option<MessageRow>) -> Result<MessageRow, Trouble> {
        match row {
            Some(row) => Ok(row),
            None => Ok(self.file.message(place.queue, place.seq)?.ok_or(QueueError::Stale)?),
        }
    }

    pub(crate) fn extend(&mut self, handle: &Handle, lasts: Duration) -> Result<(), Trouble> {
        let (place, row) = self.locate(handle)?;
        let mut row = self.row(&place, row)?;
        if let Some(hold) = self.let_go(place.seq) {
            row.receipt = hold.receipt;
        }
        let now = self.clock.tick();
        self.change(&place, row, now, end(now, lasts))?;
        if lasts.is_zero() {
            self.arrive(place.queue);
        }
        Ok(())
    }

    pub(crate) fn release(&mut self, handle: &Handle, delay: Duration, mark: u32) -> Result<(), Trouble> {
        let (place, row) = self.locate(handle)?;
        let same = |hold: &Hold| hold.mark == mark && delay.is_zero();
        if place.held && self.held.get(&place.seq).is_some_and(same) {
            self.put_back(place.seq)?;
        } else {
            let mut row = self.row(&place, row)?;
            let leased = row.receipt > 0;
            self.let_go(place.seq);
            let now = self.clock.tick();
            if leased && let Some(queue) = self.queues.get_mut(&place.queue) {
                queue.tally.subtract(row.ready, true);
                row.ready = now;
            }
            row.receipt = -row.receipt.abs();
            row.mark = mark;
            self.change(&place, row, now, end(now, delay))?;
        }
        self.arrive(place.queue);
        Ok(())
    }

    /// A held message is there again as if nobody had held it.
    fn put_back(&mut self, seq: i64) -> Result<(), rusqlite::Error> {
        let Some(hold) = self.let_go(seq) else { return Ok(()) };
        match (&hold.lane, hold.due) {
            (Some(lane), _) => self.offer(hold.queue, lane),
            (None, Some(due)) => {
                if let Some(queue) = self.queues.get_mut(&hold.queue) {
                    queue.returned.insert((due, seq));
                }
                Ok(())
            }
            (None, None) => Ok(()),
        }
    }

    /// Writes a message that is ready at another time, by its lease or by a delay.
    fn change(
        &mut self,
        place: &Place,
        mut row: MessageRow,
        now: i64,
        ready: i64,
    ) -> Result<(), rusqlite::Error> {
        if let Some(queue) = self.queues.get_mut(&place.queue) {
            queue.tally.pass(now);
            queue.tally.subtract(row.ready, row.receipt > 0);
            queue.tally.add(ready, row.receipt > 0, 1);
        }
        row.ready = ready;
        row.due = row.due.map(|_| ready);
        self.file.update(place.queue, &row)?;
        if let Some(lane) = &row.lane {
            self.refresh(place.queue, lane)?;
        }
        // Whoever waits may have to wake at another time.
        self.touch(place.queue);
        Ok(())
    }

    /// What was received by somebody who went away: as if it had not been.
    pub(crate) fn undo(&mut self, handle: &Handle) -> Result<(), Trouble> {
        let (place, row) = self.locate(handle)?;
        match row {
            None => self.put_back(place.seq)?,
            Some(mut row) => {
                let now = self.clock.tick();
                if let Some(queue) = self.queues.get_mut(&place.queue) {
                    queue.tally.subtract(row.ready, true);
                }
                row.ready = now;
                row.receipt = -row.receipt;
                row.received = row.received.saturating_sub(1);
                if row.received == 0 {
                    row.first_received = 0;
                }
                self.change(&place, row, now, now)?;
            }
        }
        self.arrive(place.queue);
        Ok(())
    }

    pub(crate) fn settle(&mut self, handle: &Handle, posts: &[Post]) -> Result<(), Trouble> {
        fit(posts)?;
        let (place, row) = self.locate(handle)?;
        let (ready, leased, lane) = match row {
            Some(row) => (row.ready, row.receipt > 0, row.lane),
            // A held message was ready before.
            None => (0, false, self.let_go(place.seq).and_then(|hold| hold.lane)),
        };
        self.remove(place.queue, place.seq, ready, leased)?;
        if let Some(lane) = lane {
            self.refresh(place.queue, &lane)?;
        }
        for (name, message) in posts {
            self.put(name, message)?;
        }
        Ok(())
    }

    /// Makes the first message of a lane due when it can be received.
    fn refresh(&mut self, queue: i64, lane: &Arc<str>) -> Result<(), rusqlite::Error> {
        let now = self.clock.tick();
        let Some(first) = self.file.lane(queue, lane, 0, 1)?.pop() else { return Ok(()) };
        let wanted = first.ready.max(self.file.lane_lease(queue, lane)?.unwrap_or(0));
        let changed = match first.due {
            None => true,
            Some(due) => due != wanted && (due > now || wanted > now),
        };
        if changed {
            // Not before now, where the cursor may have been already.
            self.file.set_due(queue, first.seq, wanted.max(now))?;
        }
        self.touch(queue);
        self.offer(queue, lane)
    }

    /// Lets the first message of a lane be found behind the cursor, where it is due and no other is held.
    fn offer(&mut self, id: i64, lane: &Arc<str>) -> Result<(), rusqlite::Error> {
        if self.lane_holds.contains_key(&(id, Arc::clone(lane))) {
            return Ok(());
        }
        let Some(first) = self.file.lane(id, lane, 0, 1)?.pop() else { return Ok(()) };
        if let (Some(queue), Some(due)) = (self.queues.get_mut(&id), first.due)
            && (due, first.seq) <= queue.cursor
        {
            queue.returned.insert((due, first.seq));
        }
        self.touch(id);
        Ok(())
    }

    /// Removes a piece of what is expired; says whether that was the last.
    pub(crate) fn expire(&mut self, expiry: &mut Expiry) -> Result<bool, rusqlite::Error> {
        // The queue was purged meanwhile, and may be there again.
        let Some(id) = expiry.queue.filter(|id| self.queues.contains_key(id)) else { return Ok(true) };
        let (rows, last) = match expiry.place {
            Some(place) => {
                let mut rows = self.file.places(id, place, PIECE)?;
                let young = rows.iter().position(|row| row.sent >= expiry.then);
                let last = young.is_some() || rows.len() < PIECE;
                // Whatever is behind the first that is young enough is younger, or moved.
                rows.truncate(young.unwrap_or(rows.len()));
                expiry.place = rows.last().filter(|_| !last).map(|row| row.seq);
                (rows, false)
            }
            None => {
                let rows = self.file.moved(id, expiry.moved, expiry.then, PIECE)?;
                let last = rows.len() < PIECE;
                expiry.moved = rows.last().map_or(expiry.moved, |row| (row.sent, row.seq));
                (rows, last)
            }
        };
        let now = self.clock.tick();
        let mut lanes = BTreeSet::new();
        if let Some(queue) = self.queues.get_mut(&id) {
            queue.tally.pass(now);
        }
        for row in rows {
            if row.is_leased(now) || self.held.contains_key(&row.seq) {
                continue;
            }
            if self.remove(id, row.seq, row.ready, row.receipt > 0)? {
                expiry.gone += 1;
                lanes.extend(row.lane);
            }
        }
        for lane in lanes {
            self.refresh(id, &lane)?;
        }
        Ok(last)
    }

    pub(crate) fn expiry(&self, name: &QueueName, then: Timestamp) -> Expiry {
        let queue = self.names.get(name).copied();
        Expiry { queue, then: signed(then.0), place: Some(0), moved: (i64::MIN, 0), gone: 0 }
    }
}

/// Queue, sequence and receipt, 8 bytes each.
fn handle(queue: i64, seq: i64, receipt: i64) -> Handle {
    let mut bytes = BytesMut::with_capacity(24);
    [queue, seq, receipt].into_iter().for_each(|number| bytes.put_i64(number));
    Handle(bytes.freeze())
}

fn parse(handle: &Handle) -> Option<(i64, i64, i64)> {
    let bytes: &Bytes = &handle.0;
    let number = |at: usize| Some(i64::from_be_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    let (queue, seq, receipt) = (number(0)?, number(8)?, number(16)?);
    // In the file it is not above 0 for messages that nobody has.
    (bytes.len() == 24 && receipt > 0).then_some((queue, seq, receipt))
}
