//! Running a query: events go through its commands one by one as far as each is for itself, up to the first `limit`,
//! `dedup` or `stats`; what comes after that is done with the rows that are left. What is kept is bounded.

use std::collections::{HashMap, HashSet};

use super::expression::Expression;
use super::groups::Groups;
use super::held::{Firsts, Held, Keys};
use super::query::{Command, Query};
use super::row::{Row, Source};
use super::value::Value;

/// Values that `dedup` remembers.
const VALUES: usize = 100_000;

/// A row of a result: names and values, in order.
pub(crate) type Shown = Vec<(String, String)>;

/// A query on its way.
pub(crate) struct Run<'q> {
    query: &'q Query,
    /// The first command that is about more than one row.
    turn: usize,
    kept: Kept<'q>,
    matched: u64,
    failed: Option<&'static str>,
}

/// What that command, or the end, keeps of the events.
enum Kept<'q> {
    Shown(Firsts<Shown>),
    Limited(Firsts<Held>),
    Distinct(Distinct),
    Groups(Groups<'q>),
}

/// The first row of each value, in the order of the rows.
#[derive(Default)]
struct Distinct {
    places: HashMap<Vec<String>, usize>,
    rows: Vec<(Keys, Held)>,
    bytes: usize,
}

impl<'q> Run<'q> {
    pub(crate) fn new(query: &'q Query) -> Self {
        let turns =
            |command: &Command| matches!(command, Command::Limit(_) | Command::Dedup(_) | Command::Stats(_));
        let turn = query.commands.iter().position(turns).unwrap_or(query.commands.len());
        let kept = match query.commands.get(turn) {
            Some(Command::Limit(limit)) => Kept::Limited(Firsts::new(*limit)),
            Some(Command::Dedup(_)) => Kept::Distinct(Distinct::default()),
            Some(Command::Stats(stats)) => Kept::Groups(Groups::of(stats)),
            Some(Command::Fields(_) | Command::Filter(_) | Command::Parse { .. } | Command::Sort(_))
            | None => Kept::Shown(Firsts::new(query.limit)),
        };
        Self { query, turn, kept, matched: 0, failed: None }
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
        let mut keys = None;
        for command in &self.query.commands[..self.turn] {
            if let Command::Sort(by) = command {
                keys = Some(keys_of(by, &row));
            } else if !comes_through(command, &mut row) {
                return true;
            }
        }
        self.matched += 1;
        self.failed = self.keep(keys, &row).err();
        self.failed.is_none()
    }

    fn keep(&mut self, keys: Option<Keys>, row: &Row<'_>) -> Result<(), &'static str> {
        if let Kept::Groups(groups) = &mut self.kept {
            return groups.take(row);
        }
        // The newest first, where nothing else is said.
        let keys = keys.unwrap_or_else(|| Keys::of([(row.get("@timestamp"), true)].into_iter()));
        match (&mut self.kept, self.query.commands.get(self.turn)) {
            (Kept::Distinct(distinct), Some(Command::Dedup(by))) => distinct.take(keys, row, by),
            (Kept::Limited(firsts), _) => {
                let held = Held::of(row);
                let bytes = held.bytes();
                firsts.push(keys, held, bytes)
            }
            (Kept::Shown(firsts), _) => {
                let shown = shown(self.query, row);
                let bytes = shown.iter().map(|(name, value)| name.len() + value.len() + 64).sum();
                firsts.push(keys, shown, bytes)
            }
            (Kept::Distinct(_) | Kept::Groups(_), _) => Ok(()),
        }
    }

    /// The results, or why there are none.
    pub(crate) fn finish(self) -> Result<Vec<Shown>, &'static str> {
        if let Some(failed) = self.failed {
            return Err(failed);
        }
        let rows = match self.kept {
            Kept::Shown(firsts) => return Ok(firsts.sorted()),
            Kept::Limited(firsts) => firsts.sorted(),
            Kept::Distinct(distinct) => distinct.sorted(),
            Kept::Groups(groups) => groups.rows(),
        };
        let after = &self.query.commands[self.turn + 1..];
        let mut rows = after.iter().try_fold(rows, |rows, command| all_through(command, rows))?;
        rows.truncate(self.query.limit);
        Ok(rows.iter_mut().map(|row| row.with(|row| shown(self.query, row))).collect())
    }
}

impl Distinct {
    fn take(&mut self, keys: Keys, row: &Row<'_>, by: &[Expression]) -> Result<(), &'static str> {
        let key = key_of(by, row);
        let before = key.as_ref().and_then(|key| self.places.get(key)).copied();
        if before.is_some_and(|place| keys.compare(&self.rows[place].0).is_ge()) {
            return Ok(());
        }
        let held = Held::of(row);
        self.bytes += held.bytes() + keys.bytes();
        match before {
            Some(place) => {
                let (old_keys, old) = std::mem::replace(&mut self.rows[place], (keys, held));
                self.bytes -= old.bytes() + old_keys.bytes();
            }
            None => {
                if let Some(key) = key {
                    self.places.insert(key, self.rows.len());
                }
                self.rows.push((keys, held));
            }
        }
        if self.places.len() > VALUES {
            return Err("dedup has more than 100,000 values");
        }
        if self.bytes > 32 << 20 { Err("dedup keeps more than 32 MB") } else { Ok(()) }
    }

    fn sorted(mut self) -> Vec<Held> {
        self.rows.sort_by(|(one, _), (two, _)| one.compare(two));
        self.rows.into_iter().map(|(_, row)| row).collect()
    }
}

/// What `dedup` compares; nothing is a duplicate of nothing.
fn key_of(by: &[Expression], row: &Row<'_>) -> Option<Vec<String>> {
    by.iter().map(|key| key.value(row).text()).collect()
}

fn keys_of(by: &[(Expression, bool)], row: &Row<'_>) -> Keys {
    Keys::of(by.iter().map(|(key, descending)| (key.value(row), *descending)))
}

/// A command that is about one row; `false`: it goes no further.
fn comes_through(command: &Command, row: &mut Row<'_>) -> bool {
    match command {
        Command::Fields(fields) => {
            for (expression, name) in fields {
                // A field under its own name stays what it is, and is shown as that.
                if !matches!(expression, Expression::Field(field) if field == name) {
                    let value = expression.value(row);
                    row.set(name, value);
                }
            }
        }
        Command::Filter(condition) => return condition.value(row).is_true(),
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
        Command::Sort(_) | Command::Limit(_) | Command::Stats(_) | Command::Dedup(_) => {}
    }
    true
}

/// Any command, on the rows that are left, in their order.
fn all_through(command: &Command, mut rows: Vec<Held>) -> Result<Vec<Held>, &'static str> {
    match command {
        Command::Sort(by) => {
            let mut sorted: Vec<_> =
                rows.into_iter().map(|mut row| (row.with(|row| keys_of(by, row)), row)).collect();
            sorted.sort_by(|(one, _), (two, _)| one.compare(two));
            rows = sorted.into_iter().map(|(_, row)| row).collect();
        }
        Command::Limit(limit) => rows.truncate(*limit),
        Command::Dedup(by) => {
            let mut seen = HashSet::new();
            rows.retain_mut(|row| row.with(|row| key_of(by, row)).is_none_or(|key| seen.insert(key)));
        }
        Command::Stats(stats) => {
            let mut groups = Groups::of(stats);
            for mut row in rows {
                row.with(|row| groups.take(row))?;
            }
            rows = groups.rows();
        }
        Command::Fields(_) | Command::Filter(_) | Command::Parse { .. } => {
            rows.retain_mut(|row| row.with(|row| comes_through(command, row)));
        }
    }
    Ok(rows)
}

/// A row as a result has it.
fn shown(query: &Query, row: &Row<'_>) -> Shown {
    let mut names: Vec<&str> = query.shown.iter().map(String::as_str).collect();
    if row.source().is_some() {
        if names.is_empty() {
            names = vec!["@timestamp", "@message"];
        }
        if !names.contains(&"@ptr") {
            names.push("@ptr");
        }
    }
    names.iter().filter_map(|name| Some(((*name).to_owned(), row.show(name)?))).collect()
}
