//! Rows that wait for others, in their order and within bounds.

use std::cmp::Ordering;

use super::row::{Row, Source};
use super::value::Value;
use crate::store::search::Position;

/// Bytes of rows that are kept.
const BYTES: usize = 32 << 20;
const TOO_LARGE: &str = "the results are larger than 32 MB";

/// A row with what it needs of its event.
#[derive(Debug)]
pub(super) struct Held {
    event: Option<Event>,
    made: Vec<(String, Value)>,
}

#[derive(Debug)]
struct Event {
    position: Position,
    ingested: u64,
    log: String,
    stream: String,
    message: String,
}

impl Held {
    pub(super) fn of(row: &Row<'_>) -> Self {
        let event = row.source().map(|source| Event {
            position: source.position,
            ingested: source.ingested,
            log: source.log.to_owned(),
            stream: source.stream.to_owned(),
            message: source.message.to_owned(),
        });
        Self { event, made: row.made().to_vec() }
    }

    pub(super) fn bytes(&self) -> usize {
        let event = self.event.as_ref().map_or(0, |event| {
            event.log.len() + event.stream.len() + event.message.len() + size_of::<Event>()
        });
        let made = self.made.iter().map(|(name, value)| name.len() + value.bytes() + 64);
        event + made.sum::<usize>()
    }

    /// Goes on with the row.
    pub(super) fn with<T>(&mut self, on: impl FnOnce(&mut Row<'_>) -> T) -> T {
        let source = self.event.as_ref().map(|event| Source {
            position: event.position,
            ingested: event.ingested,
            log: &event.log,
            stream: &event.stream,
            message: &event.message,
        });
        let mut row = Row::again(source, std::mem::take(&mut self.made));
        let said = on(&mut row);
        self.made = row.into_made();
        said
    }
}

/// What a row is sorted by, each descending or not.
#[derive(Debug, Clone, Default)]
pub(super) struct Keys(Vec<(Value, bool)>);

impl Keys {
    pub(super) fn of(keys: impl Iterator<Item = (Value, bool)>) -> Self {
        Self(keys.collect())
    }

    pub(super) fn compare(&self, other: &Self) -> Ordering {
        let pairs = self.0.iter().zip(&other.0);
        let orders = pairs.map(|((one, descending), (two, _))| {
            let order = one.order(two);
            if *descending { order.reverse() } else { order }
        });
        orders.into_iter().find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.iter().map(|(value, _)| value.bytes() + 32).sum()
    }
}

/// The first rows of all, by their keys; equal ones as they came.
#[derive(Debug)]
pub(super) struct Firsts<T> {
    rows: Vec<(Keys, T, usize)>,
    bytes: usize,
    most: usize,
}

impl<T> Firsts<T> {
    pub(super) fn new(most: usize) -> Self {
        Self { rows: Vec::new(), bytes: 0, most }
    }

    pub(super) fn push(&mut self, keys: Keys, row: T, bytes: usize) -> Result<(), &'static str> {
        let bytes = bytes + keys.bytes();
        self.bytes += bytes;
        self.rows.push((keys, row, bytes));
        if self.rows.len() >= self.most.max(1000).saturating_mul(2) || self.bytes > BYTES {
            self.cut();
        }
        if self.bytes > BYTES { Err(TOO_LARGE) } else { Ok(()) }
    }

    /// Forgets the rows beyond the first.
    fn cut(&mut self) {
        self.rows.sort_by(|(one, ..), (two, ..)| one.compare(two));
        self.rows.truncate(self.most);
        self.bytes = self.rows.iter().map(|(.., bytes)| bytes).sum();
    }

    pub(super) fn sorted(mut self) -> Vec<T> {
        self.cut();
        self.rows.into_iter().map(|(_, row, _)| row).collect()
    }
}
