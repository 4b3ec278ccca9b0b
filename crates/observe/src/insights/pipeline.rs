//! Running a query: events go through its commands one by one; what must be kept until the end (sorted rows, groups of
//! `stats`) is bounded.

use std::collections::{HashMap, HashSet};

use super::query::{Command, Query};
use super::row::{Row, Source, shown_time};
use super::stats::Gathered;
use super::value::Value;

/// Groups of `stats`, and values that `dedup` remembers.
const GROUPS: usize = 100_000;
/// Bytes of rows that are kept.
const BYTES: usize = 32 << 20;

/// A row of a result: names and values, in order.
pub(crate) type Shown = Vec<(String, String)>;

/// A row that waits for the end, with what it is sorted by.
struct Kept {
    keys: Vec<Value>,
    shown: Shown,
    bytes: usize,
}

/// A query on its way.
pub(crate) struct Run<'q> {
    query: &'q Query,
    /// Commands before `stats`, and where that is.
    stats: Option<usize>,
    groups: HashMap<Vec<String>, (Vec<Value>, Vec<Gathered>)>,
    seen: HashSet<Vec<String>>,
    rows: Vec<Kept>,
    bytes: usize,
    matched: u64,
    failed: Option<&'static str>,
}

impl<'q> Run<'q> {
    pub(crate) fn new(query: &'q Query) -> Self {
        let stats = query.commands.iter().position(|command| matches!(command, Command::Stats { .. }));
        Self {
            query,
            stats,
            groups: HashMap::new(),
            seen: HashSet::new(),
            rows: Vec::new(),
            bytes: 0,
            matched: 0,
            failed: None,
        }
    }

    /// Events that came through.
    pub(crate) fn matched(&self) -> u64 {
        self.matched
    }

    /// Takes an event; `false`: the query has failed.
    pub(crate) fn take(&mut self, source: Source<'_>) -> bool {
        if self.failed.is_some() {
            return false;
        }
        let mut row = Row::of(source);
        let before = self.stats.unwrap_or(self.query.commands.len());
        if !self.through(&mut row, 0..before) {
            return self.failed.is_none();
        }
        self.matched += 1;
        match self.stats {
            Some(_) => self.gather(&row),
            None => self.keep(&row),
        }
        self.failed.is_none()
    }

    /// Whether the row comes through these commands.
    fn through(&mut self, row: &mut Row<'_>, commands: std::ops::Range<usize>) -> bool {
        for command in &self.query.commands[commands] {
            match command {
                Command::Fields(fields) => {
                    for (expression, name) in fields {
                        // A field under its own name stays what it is, and is shown as that.
                        if !matches!(expression, super::expression::Expression::Field(field) if field == name)
                        {
                            let value = expression.value(row);
                            row.set(name, value);
                        }
                    }
                }
                Command::Filter(condition) => {
                    if !condition.value(row).is_true() {
                        return false;
                    }
                }
                Command::Parse { from, with, names } => {
                    let text = from.value(row).text().unwrap_or_default();
                    let captures = with.captures(text.as_bytes());
                    for (index, name) in names.iter().enumerate() {
                        let group = captures
                            .as_ref()
                            .and_then(|captures| captures.name(name).or_else(|| captures.get(index + 1)));
                        let value = group.map(|group| String::from_utf8_lossy(group.as_bytes()).into_owned());
                        row.set(name, value.map_or(Value::Nothing, Value::Text));
                    }
                }
                Command::Dedup(keys) => {
                    let key: Vec<String> =
                        keys.iter().map(|key| key.value(row).text().unwrap_or_default()).collect();
                    if !self.seen.insert(key) {
                        return false;
                    }
                    if self.seen.len() > GROUPS {
                        self.failed = Some("dedup has more than 100,000 values");
                        return false;
                    }
                }
                Command::Sort(_) | Command::Limit(_) | Command::Stats { .. } => {}
            }
        }
        true
    }

    fn gather(&mut self, row: &Row<'_>) {
        let Some(Command::Stats { aggregates, by }) = self.stats.map(|index| &self.query.commands[index])
        else {
            return;
        };
        let values: Vec<Value> = by.iter().map(|(expression, _)| expression.value(row)).collect();
        let key: Vec<String> = values.iter().map(|value| value.text().unwrap_or_default()).collect();
        if self.groups.len() >= GROUPS && !self.groups.contains_key(&key) {
            self.failed = Some("stats has more than 100,000 groups");
            return;
        }
        let new = || (values, aggregates.iter().map(|_| Gathered::default()).collect());
        let (_, gathered) = self.groups.entry(key).or_insert_with(new);
        for (aggregate, gathered) in aggregates.iter().zip(gathered) {
            if !aggregate.add(gathered, row) {
                self.failed = Some("count_distinct has more than 100,000 values");
            }
        }
    }

    /// By what rows are sorted: by the last `sort`, else the newest first.
    fn keys(&self, row: &Row<'_>) -> Vec<Value> {
        let sort = self.query.commands.iter().rev().find_map(|command| match command {
            Command::Sort(keys) => Some(keys),
            Command::Fields(_)
            | Command::Filter(_)
            | Command::Parse { .. }
            | Command::Stats { .. }
            | Command::Dedup(_)
            | Command::Limit(_) => None,
        });
        match sort {
            Some(keys) => keys.iter().map(|(key, _)| key.value(row)).collect(),
            None if row.has_source() => vec![row.get("@timestamp")],
            None => Vec::new(),
        }
    }

    fn directions(&self) -> Vec<bool> {
        let sort = self.query.commands.iter().rev().find_map(|command| match command {
            Command::Sort(keys) => Some(keys.iter().map(|(_, descending)| *descending).collect()),
            Command::Fields(_)
            | Command::Filter(_)
            | Command::Parse { .. }
            | Command::Stats { .. }
            | Command::Dedup(_)
            | Command::Limit(_) => None,
        });
        sort.unwrap_or_else(|| vec![true])
    }

    fn keep(&mut self, row: &Row<'_>) {
        let mut names: Vec<&str> = self.query.shown.iter().map(String::as_str).collect();
        if names.is_empty() {
            names = if self.stats.is_some() { Vec::new() } else { vec!["@timestamp", "@message"] };
        }
        if row.has_source() && !names.contains(&"@ptr") {
            names.push("@ptr");
        }
        let shown: Shown =
            names.iter().filter_map(|name| Some(((*name).to_owned(), row.show(name)?))).collect();
        let keys = self.keys(row);
        let bytes = shown.iter().map(|(name, value)| name.len() + value.len() + 64).sum::<usize>()
            + keys.iter().map(Value::bytes).sum::<usize>();
        self.bytes += bytes;
        self.rows.push(Kept { keys, shown, bytes });
        if self.rows.len() >= 2 * self.query.limit.max(1000) {
            self.cut();
        }
        if self.bytes > BYTES {
            self.cut();
            if self.bytes > BYTES {
                self.failed = Some("the results are larger than 32 MB");
            }
        }
    }

    /// Forgets the rows beyond the limit.
    fn cut(&mut self) {
        let directions = self.directions();
        self.rows.sort_by(|one, two| {
            let pairs = one.keys.iter().zip(&two.keys).zip(&directions);
            let mut orders = pairs.map(|((one, two), descending)| {
                let order = one.order(two);
                if *descending { order.reverse() } else { order }
            });
            orders.find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        self.rows.truncate(self.query.limit);
        self.bytes = self.rows.iter().map(|row| row.bytes).sum();
    }

    /// The results, or why there are none.
    pub(crate) fn finish(mut self) -> Result<Vec<Shown>, &'static str> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        if let Some(index) = self.stats
            && let Command::Stats { aggregates, by } = &self.query.commands[index]
        {
            let mut groups = std::mem::take(&mut self.groups);
            if groups.is_empty() && by.is_empty() && aggregates.iter().all(|each| each.of.is_none()) {
                // A count of nothing is zero.
                groups.insert(
                    Vec::new(),
                    (Vec::new(), aggregates.iter().map(|_| Gathered::default()).collect()),
                );
            }
            let mut rows: Vec<_> = groups.into_iter().collect();
            rows.sort_by(|(one, _), (two, _)| one.cmp(two));
            self.matched = self.matched.max(rows.len() as u64);
            let after = index + 1..self.query.commands.len();
            for (_, (values, gathered)) in rows {
                let mut made = Vec::new();
                for ((expression, name), value) in by.iter().zip(values) {
                    let shown = match (expression, &value) {
                        // Times are shown as such; they sort as texts too.
                        (
                            super::expression::Expression::Call(super::function::Function::Bin(_), _),
                            Value::Number(at),
                        ) => Value::Text(shown_time(*at as u64)),
                        (_, _) => value,
                    };
                    made.push((name.clone(), shown));
                }
                for (aggregate, gathered) in aggregates.iter().zip(&gathered) {
                    made.push((aggregate.name.clone(), aggregate.result(gathered)));
                }
                let mut row = Row::made(made);
                if self.through(&mut row, after.clone()) {
                    self.keep(&row);
                }
            }
        }
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        self.cut();
        Ok(self.rows.into_iter().map(|row| row.shown).collect())
    }
}
