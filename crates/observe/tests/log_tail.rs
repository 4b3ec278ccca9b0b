//! A group's tail from outside: whatever comes, in whatever order of times, page by page, while blocks are made and old
//! ones go, whoever follows sees each event once.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::time::Timestamp;
use lambkin_observe::logs::{Filtered, Logs, LogsError, Tail, Tailed};
use lambkin_observe::{Config, GroupKey, LogStore};
use proptest::prelude::*;

const SOON: Duration = Duration::from_secs(20);
/// Some time of which nothing is too old.
const TIME: u64 = 1_800_000_000_000;

fn key() -> GroupKey {
    GroupKey { account: "000000000000".into(), region: "us-east-1".into(), name: "g".into() }
}

struct World {
    store: Arc<LogStore>,
    logs: Logs,
}

impl World {
    /// Blocks are small, so that there are many.
    fn open(directory: &Path) -> Self {
        let config = Config { block_bytes: 4096, cap: 1 << 20, ..Config::default() };
        let store = Arc::new(LogStore::open(directory, &config, None).unwrap());
        Self { logs: Logs::new(Arc::clone(&store)), store }
    }

    fn write(&self, stream: &str, events: &[(u64, String)]) {
        let GroupKey { account, region, name } = key();
        let name = Arc::new(LogStreamName { account, region, group: name, stream: stream.into() });
        let event = |(at, text): &(u64, String)| LogEvent {
            at: Timestamp(at * 1000),
            message: Bytes::from(text.clone()),
        };
        assert!(self.store.append(&name, events.iter().map(event).collect()).is_none());
        assert!(self.store.flush(SOON));
    }

    fn tail(&self, filtered: &Filtered<'_>, tail: Option<Tail>) -> Tailed {
        // By the token, as a client has it.
        let tail = tail.map(|tail| tail.to_string().parse().unwrap());
        self.logs.tail(&key(), filtered, tail).unwrap()
    }

    /// Reads on to the end.
    fn read(&self, filtered: &Filtered<'_>, tail: &mut Option<Tail>) -> Vec<String> {
        let mut texts = Vec::new();
        loop {
            let tailed = self.tail(filtered, tail.take());
            let (nothing, end) = (tailed.events.is_empty(), tailed.tail.is_at_end());
            texts
                .extend(tailed.events.iter().map(|found| String::from_utf8(found.message.to_vec()).unwrap()));
            *tail = Some(tailed.tail);
            if nothing && end {
                return texts;
            }
        }
    }
}

fn line(at: u64, text: &str) -> (u64, String) {
    (TIME + at, text.to_owned())
}

#[test]
fn late_lines_of_several_streams_are_seen_once() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    world.write("a", &[line(10, "a10"), line(30, "a30")]);
    world.write("b", &[line(20, "b20")]);
    let all = Filtered { start: Some(TIME.cast_signed()), limit: Some(2), ..Filtered::default() };
    let mut tail = None;
    assert_eq!(world.read(&all, &mut tail), ["a10", "b20", "a30"], "in the order of times");
    assert_eq!(tail.as_ref().unwrap().asks_again_from(), TIME + 30);
    assert_eq!(world.read(&all, &mut tail), [""; 0]);
    // Older than what was shown, equal to it and newer; more than one page.
    world.write("c", &[line(5, "c5"), line(30, "c30")]);
    world.write("a", &[line(30, "a30 again"), line(40, "a40")]);
    world.write("b", &[line(1, "b1")]);
    assert_eq!(world.read(&all, &mut tail), ["b1", "c5", "c30", "a30 again", "a40"]);
    // Before what was asked for at first.
    world.write("a", &[(TIME - 1, "too old".into()), line(0, "a0")]);
    assert_eq!(world.read(&all, &mut tail), ["a0"]);
    assert_eq!(tail.unwrap().asks_again_from(), TIME + 40);
}

#[test]
fn what_comes_between_two_pages_is_in_the_next_window() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    world.write("a", &[line(10, "1"), line(20, "2"), line(30, "3")]);
    let all = Filtered { limit: Some(2), ..Filtered::default() };
    let first = world.tail(&all, None);
    assert_eq!((first.events.len(), first.tail.is_at_end()), (2, false));
    // A page is over that has nothing of this.
    world.write("b", &[line(15, "between")]);
    let second = world.tail(&all, Some(first.tail));
    assert_eq!(&second.events[0].message[..], b"3");
    assert!(second.tail.is_at_end(), "what had come at first is read");
    assert_eq!(world.read(&all, &mut Some(second.tail)), ["between"]);
}

#[test]
fn filters_hold_for_all_that_comes() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    world.write("x/1", &[line(1, "yes 1"), line(2, "no 2")]);
    let filtered = Filtered { prefix: Some("x/"), pattern: Some("yes"), ..Filtered::default() };
    let mut tail = None;
    assert_eq!(world.read(&filtered, &mut tail), ["yes 1"]);
    world.write("y", &[line(3, "yes 3")]);
    world.write("x/2", &[line(4, "no 4"), line(5, "yes 5")]);
    assert_eq!(world.read(&filtered, &mut tail), ["yes 5"], "a stream that was made meanwhile too");
}

#[test]
fn there_is_news_of_what_comes_and_goes() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    world.write("a", &[line(1, "1")]);
    world.write("b", &[line(2, "2")]);
    let all = Filtered::default();
    let mut tail = None;
    world.read(&all, &mut tail);
    let waiting = world.tail(&all, tail.clone());
    assert!(!waiting.news.has_changed().unwrap(), "nothing came");
    world.write("a", &[line(3, "3")]);
    assert!(waiting.news.has_changed().unwrap());

    let names = ["b".to_owned()];
    let of_stream = Filtered { streams: Some(&names), ..Filtered::default() };
    let waiting = world.tail(&of_stream, tail.clone());
    world.logs.delete_stream(&key(), "b").unwrap();
    assert!(waiting.news.has_changed().unwrap());
    let error = world.logs.tail(&key(), &of_stream, tail.clone()).unwrap_err();
    assert_eq!(error, LogsError::StreamNotFound);

    let waiting = world.tail(&all, tail.clone());
    world.logs.delete_group(&key()).unwrap();
    // Where the group itself is dropped, that is news too.
    assert!(waiting.news.has_changed().unwrap_or(true));
    assert_eq!(world.logs.tail(&key(), &all, tail.clone()).unwrap_err(), LogsError::GroupNotFound);
    // One of that name is another: it has what nobody has seen, wherever it stands.
    world.write("a", &[line(1, "of another")]);
    assert_eq!(world.read(&all, &mut tail), ["of another"]);
}

#[test]
fn retention_takes_away_what_was_not_read() {
    let directory = tempfile::tempdir().unwrap();
    let world = World::open(directory.path());
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let now = u64::try_from(now.as_millis()).unwrap();
    let all = Filtered { limit: Some(1), ..Filtered::default() };
    world.write("a", &[(now - 9 * 86_400_000, "old".into())]);
    let mut tail = Some(world.tail(&all, None).tail);
    world.write("a", &[(now - 8 * 86_400_000, "expired".into()), (now, "kept".into())]);
    world.logs.set_retention(&key(), Some(7)).unwrap();
    assert_eq!(world.read(&all, &mut tail), ["kept"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Writes of random times and sizes, readers that stop anywhere, a store that is opened anew.
    #[test]
    fn each_line_is_seen_once_in_the_order_of_windows(
        steps in prop::collection::vec((0_usize..4, prop::collection::vec((0_u64..1000, 0_usize..300), 1..40), 0_usize..4, 0_u8..20), 1..30),
        limit in 1_usize..50,
    ) {
        let directory = tempfile::tempdir().unwrap();
        let mut world = World::open(directory.path());
        let all = Filtered { limit: Some(limit), ..Filtered::default() };
        let (mut written, mut shown) = (0_usize, Vec::new());
        let mut tail: Option<Tail> = None;
        for (stream, lines, pages, restart) in &steps {
            let events: Vec<(u64, String)> = lines.iter().map(|(at, length)| {
                written += 1;
                (TIME + at, format!("{written} {}", "x".repeat(*length)))
            }).collect();
            world.write(["a", "b", "c", "d"][*stream], &events);
            for _ in 0..*pages {
                let tailed = world.tail(&all, tail.take());
                let times: Vec<u64> = tailed.events.iter().map(|found| found.position.at).collect();
                prop_assert!(times.is_sorted());
                shown.extend(tailed.events.iter().map(|found| found.message.clone()));
                tail = Some(tailed.tail);
            }
            if *restart == 0 {
                drop(world);
                world = World::open(directory.path());
            }
        }
        shown.extend(world.read(&all, &mut tail).into_iter().map(Bytes::from));
        let numbers: HashSet<usize> = shown
            .iter()
            .map(|text| std::str::from_utf8(text).unwrap().split(' ').next().unwrap().parse().unwrap())
            .collect();
        prop_assert_eq!((shown.len(), numbers.len()), (written, written));
    }
}
