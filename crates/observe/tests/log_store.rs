//! The log store from outside: what is appended is read, in order, whatever the names and however lambkin ended, and
//! nothing is lost while the disk refuses for a while.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lambkin_model::figure::Figures;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::time::Timestamp;
use lambkin_observe::metrics::cloudwatch::{CloudWatch, Metric, StatisticsQuery};
use lambkin_observe::metrics::{MetricConfig, MetricStore};
use lambkin_observe::{Config, GroupKey, LogStore, Position, Read};

const SOON: Duration = Duration::from_secs(20);

fn name(group: &str, stream: &str) -> Arc<LogStreamName> {
    Arc::new(LogStreamName {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        group: group.into(),
        stream: stream.into(),
    })
}

fn key(stream: &LogStreamName) -> GroupKey {
    GroupKey { account: stream.account.clone(), region: stream.region.clone(), name: stream.group.clone() }
}

fn event(millis: u64, message: &str) -> LogEvent {
    LogEvent { at: Timestamp(millis * 1000), message: Bytes::copy_from_slice(message.as_bytes()) }
}

/// Small blocks and segments, so that there are many.
fn small() -> Config {
    Config { block_bytes: 4096, cap: 1 << 20, ..Config::default() }
}

fn open(directory: &Path, config: &Config) -> LogStore {
    LogStore::open(directory, config, None).unwrap()
}

fn append(store: &LogStore, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) {
    assert!(store.append(stream, events).is_none());
}

/// All of a stream, page by page.
fn read(store: &LogStore, stream: &LogStreamName) -> Vec<(u64, String)> {
    let mut all = Vec::new();
    let mut from = Position::of(0);
    loop {
        let read = Read { from, stream: Some(&stream.stream), limit: 700, ..Read::default() };
        let Some(page) = store.read(&key(stream), &read).unwrap() else { return all };
        all.extend(
            page.events
                .iter()
                .map(|found| (found.position.at, String::from_utf8(found.message.to_vec()).unwrap())),
        );
        match page.next {
            Some(next) => from = next,
            None => return all,
        }
    }
}

fn messages(store: &LogStore, stream: &LogStreamName) -> Vec<String> {
    read(store, stream).into_iter().map(|(_, message)| message).collect()
}

fn times(store: &LogStore, stream: &LogStreamName) -> Vec<u64> {
    read(store, stream).into_iter().map(|(at, _)| at).collect()
}

/// Where the store keeps a group of a plain name.
fn directory_of(directory: &Path, group: &str) -> PathBuf {
    directory.join("logs/000000000000/us-east-1").join(group)
}

fn files(directory: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<PathBuf> = entries.filter(|path| path.to_str().unwrap().ends_with(suffix)).collect();
    files.sort();
    files
}

#[test]
fn keeps_events_in_order() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Config::default());
    let stream = name("/aws/lambda/hello", "2026/01/02/[$LATEST]0a1b");
    append(&store, &stream, vec![event(1, "INIT_START"), event(2, "START \"x\"\n")]);
    append(&store, &stream, vec![event(3, "END")]);
    assert!(store.flush(SOON));
    let expected = [(1, "INIT_START"), (2, "START \"x\"\n"), (3, "END")];
    assert_eq!(read(&store, &stream), expected.map(|(at, message)| (at, message.to_owned())));
}

#[test]
fn an_event_is_written_without_anyone_asking() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Config::default());
    let stream = name("g", "s");
    // The second one finds the writer asleep or gathering: both must end by themselves.
    for count in 1..=2 {
        append(&store, &stream, vec![event(1, "x")]);
        let begin = Instant::now();
        while read(&store, &stream).len() < count {
            assert!(begin.elapsed() < Duration::from_secs(5), "event {count} is not written");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

#[test]
fn closing_writes_what_is_queued_and_opening_goes_on() {
    let directory = tempfile::tempdir().unwrap();
    let stream = name("g", "s");
    for round in 0..3_u64 {
        let store = open(directory.path(), &small());
        for at in 0..1000 {
            append(&store, &stream, vec![event(round * 1000 + at, "x")]);
        }
        store.close(SOON).unwrap();
        append(&store, &stream, vec![event(0, "late")]);
        store.close(SOON).unwrap();
    }
    let store = open(directory.path(), &small());
    assert_eq!(times(&store, &stream), (0..3000).collect::<Vec<_>>());
    assert!(files(&directory_of(directory.path(), "g"), ".blocks").len() == 1);
}

#[test]
fn pages_interleave_streams_by_time_both_ways() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &small());
    let streams = [name("g", "a"), name("g", "b"), name("g", "c")];
    let mut expected = Vec::new();
    for round in 0..600_u64 {
        let stream = &streams[(round % 3) as usize];
        // Each third one comes late, beyond its block.
        let at = if round % 7 == 0 { round / 2 } else { round + 1000 };
        append(&store, stream, vec![event(at, &format!("{round} of {}", "x".repeat(20)))]);
        expected.push((at, round));
    }
    assert!(store.flush(SOON));
    assert!(store.read(&key(&streams[0]), &Read::default()).unwrap().unwrap().next.is_none());
    expected.sort_unstable();
    let number = |found: &lambkin_observe::Found| {
        let text = String::from_utf8(found.message.to_vec()).unwrap();
        (found.position.at, text.split(' ').next().unwrap().parse::<u64>().unwrap())
    };
    for limit in [1, 7, 100, 599, 600, 601] {
        let (mut forward, mut from) = (Vec::new(), Position::of(0));
        loop {
            let page =
                store.read(&key(&streams[0]), &Read { from, limit, ..Read::default() }).unwrap().unwrap();
            assert!(page.events.len() <= limit);
            forward.extend(page.events.iter().map(number));
            let Some(next) = page.next else { break };
            from = next;
        }
        assert_eq!(forward, expected, "pages of {limit}");
        let (mut backward, mut until) = (Vec::new(), Position::of(u64::MAX));
        loop {
            let asked = Read { until, limit, newest: true, ..Read::default() };
            let page = store.read(&key(&streams[0]), &asked).unwrap().unwrap();
            backward.extend(page.events.iter().rev().map(number));
            let Some(next) = page.next else { break };
            until = next;
        }
        backward.reverse();
        assert_eq!(backward, expected, "pages of {limit} from the end");
    }
    let asked = Read { from: Position::of(1100), until: Position::of(1200), ..Read::default() };
    let page = store.read(&key(&streams[0]), &asked).unwrap().unwrap();
    let inside: Vec<_> = expected.iter().filter(|(at, _)| (1100..1200).contains(at)).copied().collect();
    assert_eq!(page.events.iter().map(number).collect::<Vec<_>>(), inside);
}

#[test]
fn torn_ends_are_cut_off() {
    let directory = tempfile::tempdir().unwrap();
    let group = directory_of(directory.path(), "g");
    let stream = name("g", "s");
    let fill = |from: u64, count: u64| {
        let store = open(directory.path(), &small());
        for at in from..from + count {
            append(&store, &stream, vec![event(at, &format!("{at} {}", "x".repeat(50)))]);
            // The last one stands in the tail alone.
            if at % 50 == 0 || at + 2 == from + count {
                assert!(store.flush(SOON));
            }
        }
        store.close(SOON).unwrap();
    };
    fill(0, 500);
    // The tail in the middle of its last frame.
    let [tail] = &files(&group, ".tail")[..] else { panic!("one tail") };
    let length = fs::metadata(tail).unwrap().len();
    fs::OpenOptions::new().write(true).open(tail).unwrap().set_len(length - 3).unwrap();
    let store = open(directory.path(), &small());
    let kept = times(&store, &stream);
    assert!(kept.len() < 500 && kept.len() > 300, "{}", kept.len());
    assert_eq!(kept, (0..kept.len() as u64).collect::<Vec<_>>());
    drop(store);
    fill(kept.len() as u64, 300);
    // A block that is half there: its tail was not removed yet, so nothing is missing.
    let store = open(directory.path(), &small());
    let all = times(&store, &stream);
    drop(store);
    assert_eq!(all, (0..kept.len() as u64 + 300).collect::<Vec<_>>());
    let segments = files(&group, ".blocks");
    let segment = segments.last().unwrap();
    let whole = fs::read(segment).unwrap();
    for torn in [whole[..40].to_vec(), whole[..100].to_vec(), vec![0; 200]] {
        fs::write(segment, [&whole[..], &torn[..]].concat()).unwrap();
        let store = open(directory.path(), &small());
        assert_eq!(times(&store, &stream), all);
        assert_eq!(fs::metadata(segment).unwrap().len(), whole.len() as u64);
    }
    // A damaged byte inside costs its block at most, and no other.
    let mut damaged = whole.clone();
    damaged[whole.len() / 2] ^= 0x55;
    fs::write(segment, &damaged).unwrap();
    let store = open(directory.path(), &small());
    let left = times(&store, &stream);
    assert!(left.len() < all.len() && !left.is_empty(), "{}", left.len());
    fill(10_000, 10);
}

/// A power cut may leave any file shorter than it was, and lambkin may be killed before a directory has its first.
#[test]
fn a_group_whose_settings_are_torn_goes_on() {
    let long = "l".repeat(400);
    for (torn, known) in [(Some("{\n  \"format\": 1,"), true), (Some(""), true), (None, true), (None, false)]
    {
        let directory = tempfile::tempdir().unwrap();
        let streams = [name(if known { "g" } else { &long }, "s"), name("h", "s")];
        let store = open(directory.path(), &small());
        append(&store, &streams[0], vec![event(1, "before")]);
        append(&store, &streams[1], vec![event(1, "before")]);
        store.close(SOON).unwrap();
        let groups = directory_of(directory.path(), "");
        for entry in fs::read_dir(&groups).unwrap() {
            let settings = entry.unwrap().path().join("group.json");
            match torn {
                Some(text) => fs::write(settings, text).unwrap(),
                None => fs::remove_file(settings).unwrap(),
            }
        }
        let store = open(directory.path(), &small());
        for stream in &streams {
            append(&store, stream, vec![event(2, "after")]);
        }
        assert!(store.flush(SOON));
        for stream in &streams {
            assert_eq!(messages(&store, stream), ["before", "after"], "{torn:?}");
        }
        store.close(SOON).unwrap();
        // And is known by its name again.
        assert_eq!(messages(&open(directory.path(), &small()), &streams[0]).len(), 2);
    }
}

/// The writer is another process, killed while it writes as fast as it can.
#[test]
fn kill_9_loses_a_second_at_most_and_nothing_in_between() {
    const WRITER: &str = "LAMBKIN_TEST_LOG_WRITER";
    if let Some(directory) = std::env::var_os(WRITER) {
        let store = open(Path::new(&directory), &small());
        for at in 0.. {
            append(
                &store,
                &name("g", "s"),
                vec![event(at, &format!("{at} {}", "y".repeat(at as usize % 90)))],
            );
            if at % 100 == 0 {
                assert!(store.flush(SOON));
                println!("written {at}");
            }
        }
    }
    use std::io::BufRead as _;
    let directory = tempfile::tempdir().unwrap();
    for round in 0..5_usize {
        let mut writer = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "kill_9_loses_a_second_at_most_and_nothing_in_between", "--nocapture"])
            .env(WRITER, directory.path())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        let lines = std::io::BufReader::new(writer.stdout.take().unwrap()).lines();
        let told =
            lines.map_while(Result::ok).filter_map(|line| line.split("written ").nth(1)?.parse::<u64>().ok());
        let last = told.take(3 + round * 17).last().unwrap();
        writer.kill().unwrap();
        writer.wait().unwrap();
        let store = open(directory.path(), &small());
        let read = read(&store, &name("g", "s"));
        assert!(read.len() as u64 > last, "{} events, and {last} were written", read.len());
        for (index, (at, message)) in read.iter().enumerate() {
            assert_eq!((*at, message), (index as u64, &format!("{index} {}", "y".repeat(index % 90))));
        }
        assert!(store.delete_group(&key(&name("g", "s"))).unwrap());
    }
}

#[test]
fn logs_of_older_lambkins_are_taken_in() {
    const EVENTS: u64 = 30_000;
    let directory = tempfile::tempdir().unwrap();
    let group = directory_of(directory.path(), "%2Faws%2Flambda%2Ff");
    fs::create_dir_all(&group).unwrap();
    let long = "l".repeat(300);
    let shortened = format!("{}~{}", "l".repeat(200), "0".repeat(32));
    let old = |stream: &str, events: std::ops::Range<u64>| {
        let mut text: String =
            events.map(|at| format!("{{\"timestamp\":{at},\"message\":\"{stream} {at}\"}}\n")).collect();
        text.push_str("{\"timestamp\":12,\"mess");
        text
    };
    fs::write(group.join("2026%2F01%2F02%2F[$LATEST]0a1b.ndjson"), old("a", 0..EVENTS)).unwrap();
    fs::write(group.join(format!("{shortened}.ndjson")), old("b", 0..3)).unwrap();
    fs::write(group.join(format!("{shortened}.name")), &long).unwrap();
    let streams = [name("/aws/lambda/f", "2026/01/02/[$LATEST]0a1b"), name("/aws/lambda/f", &long)];
    let store = open(directory.path(), &Config::default());
    // The writer looks at all groups first: who reads while it takes one in waits, and sees all of it.
    let begin = Instant::now();
    while !group.join("group.json").exists() {
        assert!(begin.elapsed() < SOON);
        std::thread::yield_now();
    }
    let first = messages(&store, &streams[0]);
    assert_eq!(first.len() as u64, EVENTS);
    assert!(first.iter().enumerate().all(|(at, message)| *message == format!("a {at}")));
    assert_eq!(messages(&store, &streams[1]), ["b 0", "b 1", "b 2"]);
    drop(store);
    assert!(files(&group, ".ndjson").is_empty() && files(&group, ".name").is_empty());
    // Killed before the file was removed: what is there already is not taken twice.
    fs::write(group.join("2026%2F01%2F02%2F[$LATEST]0a1b.ndjson"), old("a", 0..EVENTS + 1)).unwrap();
    let store = open(directory.path(), &Config::default());
    assert_eq!(messages(&store, &streams[0]).len() as u64, EVENTS + 1);
}

#[test]
fn hostile_names_stay_below_the_directory_and_apart() {
    let outside = tempfile::tempdir().unwrap();
    let directory = outside.path().join("data");
    let long = "l".repeat(400);
    let groups =
        ["../../../../escape", "/etc", "..", ".", "a/b", "a%2Fb", "x.name", "~", &long, &format!("{long}2")];
    let mut account = (*name("g", "s")).clone();
    account.account = "../..".into();
    account.region = "..".into();
    let account = Arc::new(account);
    for round in 0..2 {
        let store = open(&directory, &Config::default());
        if round == 0 {
            for group in groups {
                for stream in groups {
                    append(&store, &name(group, stream), vec![event(1, &format!("{group} {stream}"))]);
                }
            }
            append(&store, &account, vec![event(1, "x")]);
            assert!(store.flush(SOON));
        }
        let mut sorted = groups.to_vec();
        sorted.sort_unstable();
        let keys = store.groups("000000000000", "us-east-1", "");
        assert_eq!(keys.iter().map(|key| &*key.name).collect::<Vec<_>>(), sorted);
        for group in groups {
            let streams = store.streams(&key(&name(group, "")), "").unwrap().unwrap();
            assert_eq!(streams.iter().map(|stream| &*stream.name).collect::<Vec<_>>(), sorted);
            for stream in groups {
                assert_eq!(messages(&store, &name(group, stream)), [format!("{group} {stream}")]);
            }
        }
        assert_eq!(messages(&store, &account), ["x"]);
        let there: Vec<_> =
            fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, ["data"]);
        assert_eq!(fs::read_dir(&directory).unwrap().count(), 1);
    }
}

#[test]
fn more_groups_than_open_files() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Config { open_files: 3, ..small() });
    for round in 0..20 {
        for group in 0..10 {
            append(&store, &name(&group.to_string(), "s"), vec![event(round, &"x".repeat(400))]);
        }
        if round % 5 == 0 {
            assert!(store.flush(SOON));
        }
    }
    assert!(store.flush(SOON));
    for group in 0..10 {
        assert_eq!(times(&store, &name(&group.to_string(), "s")), (0..20).collect::<Vec<_>>());
    }
}

#[test]
fn logs_that_are_removed_while_it_runs_come_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Config::default());
    let stream = name("g", "s");
    append(&store, &stream, vec![event(1, "old")]);
    assert!(store.flush(SOON));
    fs::remove_dir_all(directory.path().join("logs")).unwrap();
    assert!(messages(&store, &stream).is_empty());
    append(&store, &stream, vec![event(2, "new")]);
    assert!(store.flush(SOON));
    assert_eq!(messages(&store, &stream), ["new"]);
}

#[test]
fn a_deleted_group_or_stream_begins_anew() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &small());
    let (stream, other) = (name("g", "s"), name("g", "other"));
    for at in 0..200 {
        append(&store, &stream, vec![event(at, &"x".repeat(60))]);
        append(&store, &other, vec![event(at, "y")]);
    }
    assert!(store.flush(SOON));
    assert_eq!(store.delete_stream(&key(&stream), "s").unwrap(), Some(true));
    assert_eq!(store.delete_stream(&key(&stream), "s").unwrap(), Some(false));
    assert!(messages(&store, &stream).is_empty());
    append(&store, &stream, vec![event(7, "new")]);
    assert!(store.flush(SOON));
    drop(store);
    let store = open(directory.path(), &small());
    assert_eq!(messages(&store, &stream), ["new"]);
    assert_eq!(times(&store, &other), (0..200).collect::<Vec<_>>());
    let all = store.read(&key(&stream), &Read { limit: 1000, ..Read::default() }).unwrap().unwrap();
    assert_eq!(all.events.len(), 201, "events of a deleted stream are nobody's");
    assert!(store.delete_group(&key(&stream)).unwrap());
    assert!(!store.delete_group(&key(&stream)).unwrap());
    assert!(store.read(&key(&stream), &Read::default()).unwrap().is_none());
    append(&store, &stream, vec![event(8, "again")]);
    assert!(store.flush(SOON));
    assert_eq!(messages(&store, &stream), ["again"]);
    assert!(messages(&store, &other).is_empty());
}

#[test]
fn retention_hides_at_once_and_deletes() {
    let directory = tempfile::tempdir().unwrap();
    let stream = name("g", "old");
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
    let day = 24 * 60 * 60 * 1000;
    {
        let store = open(directory.path(), &small());
        for at in 0..500 {
            append(&store, &stream, vec![event(now - 10 * day + at, &"x".repeat(60))]);
        }
        append(&store, &name("g", "new"), vec![event(now, "y")]);
        assert!(store.flush(SOON));
        assert!(store.set(&key(&stream), |settings| settings.retention_days = Some(3)).unwrap());
        assert!(messages(&store, &stream).is_empty());
        assert_eq!(messages(&store, &name("g", "new")), ["y"]);
    }
    // A start looks for what is too old.
    let store = open(directory.path(), &small());
    let group = directory_of(directory.path(), "g");
    let begin = Instant::now();
    while !files(&group, ".blocks").is_empty() {
        assert!(begin.elapsed() < SOON, "nothing is deleted");
        std::thread::sleep(Duration::from_millis(5));
    }
    assert_eq!(messages(&store, &name("g", "new")), ["y"]);
}

#[test]
fn beyond_the_cap_the_oldest_go_and_a_line_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let config = small();
    let store = open(directory.path(), &config);
    let (old, new) = (name("old", "s"), name("new", "s"));
    let mut seed = 1_u64;
    let mut noise = || {
        (0..12)
            .map(|_| {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                format!("{seed:016x}")
            })
            .collect::<String>()
    };
    for at in 0..4000 {
        append(&store, &old, vec![event(at, &noise())]);
    }
    for at in 4000..16_000 {
        append(&store, &new, vec![event(at, &noise())]);
        if at % 500 == 0 {
            assert!(store.flush(SOON));
        }
    }
    assert!(store.flush(SOON));
    let sizes = |group: &str| -> u64 {
        let entries = fs::read_dir(directory_of(directory.path(), group)).unwrap();
        entries.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
    };
    assert!(sizes("old") + sizes("new") <= config.cap / 8 * 9, "{} {}", sizes("old"), sizes("new"));
    let left = times(&store, &new);
    assert_eq!(left.last(), Some(&15_999));
    assert_eq!(left, (left[0]..16_000).collect::<Vec<_>>(), "what goes is the oldest");
    assert!(left.len() > 1000, "{} are left", left.len());
    assert!(times(&store, &old).is_empty());
    let notices = messages(&store, &name("old", "[lambkin]"));
    assert!(notices.iter().any(|notice| notice.contains("were dropped: all logs together may take 1 MB")));
}

/// A group whose tail is a link to a device that is always full.
fn full(directory: &Path) -> PathBuf {
    let path = directory_of(directory, "g").join("000000000001.tail");
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    symlink("/dev/full", &path).unwrap();
    path
}

/// A store whose group `g` is open and cannot be written.
fn open_full(directory: &Path, config: &Config) -> (LogStore, PathBuf) {
    let store = open(directory, config);
    store.create_group(&key(&name("g", "full"))).unwrap();
    let path = full(directory);
    (store, path)
}

#[test]
fn a_full_disk_slows_and_loses_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let (store, path) = open_full(directory.path(), &Config { queue_bytes: 64 * 1024, ..Config::default() });
    let stream = name("g", "full");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut sent = 0;
    let room = loop {
        let wait = store.append(&stream, vec![event(sent, &"x".repeat(1000))]);
        sent += 1;
        assert!(sent < 1000, "the queue has no bound");
        if let Some(wait) = wait {
            break wait;
        }
    };
    assert!(!store.flush(Duration::from_millis(300)));
    fs::remove_file(path).unwrap();
    runtime.block_on(async { tokio::time::timeout(SOON, room).await }).expect("there is room again");
    assert!(store.flush(SOON));
    assert_eq!(read(&store, &stream).len() as u64, sent);
}

/// What is tried again is written once, and so are the metrics in it: after the lines, before they are said to be there.
#[test]
fn metrics_in_lines_come_with_the_lines() {
    let directory = tempfile::tempdir().unwrap();
    let metrics = Arc::new(MetricStore::open(directory.path(), &MetricConfig::default()).unwrap());
    let store = LogStore::open(directory.path(), &Config::default(), Some(Arc::clone(&metrics))).unwrap();
    let (stream, cloudwatch) = (name("g", "full"), CloudWatch::new(metrics));
    store.create_group(&key(&stream)).unwrap();
    let path = full(directory.path());
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    let line = format!(
        r#"{{"_aws":{{"Timestamp":{now},"CloudWatchMetrics":[{{"Namespace":"N","Dimensions":[[]],"Metrics":[{{"Name":"m"}}]}}]}},"m":3}}"#
    );
    append(&store, &stream, vec![event(1, &line), event(2, "x"), event(3, &line)]);
    let sums = || {
        let points = cloudwatch.statistics(&StatisticsQuery {
            metric: Metric {
                account: "000000000000".into(),
                region: "us-east-1".into(),
                namespace: "N".into(),
                name: "m".into(),
                dimensions: Vec::new(),
            },
            start: now as f64 / 1000.0 - 600.0,
            end: now as f64 / 1000.0 + 600.0,
            period: 3600,
            statistics: vec!["Sum".into()],
            extended: Vec::new(),
            unit: None,
        });
        points.unwrap().iter().map(|point| point.statistics["Sum"]).collect::<Vec<_>>()
    };
    assert!(!store.flush(Duration::from_millis(300)));
    assert_eq!(sums(), Vec::<f64>::new());
    fs::remove_file(path).unwrap();
    assert!(store.flush(SOON));
    assert_eq!(sums(), [6.0]);
    assert_eq!(messages(&store, &stream).len(), 3);
    // Whoever closes the metrics after the lines has all of them.
    append(&store, &stream, vec![event(4, &line)]);
    store.close(SOON).unwrap();
    assert_eq!(sums(), [9.0]);
}

#[test]
fn after_patience_the_oldest_go_and_a_line_says_so() {
    let directory = tempfile::tempdir().unwrap();
    let config = Config { queue_bytes: 64 * 1024, patience: Duration::from_millis(200), ..Config::default() };
    let (store, path) = open_full(directory.path(), &config);
    let (stream, other) = (name("g", "full"), name("h", "other"));
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let mut sent = 0_u64;
    loop {
        sent += 1;
        if let Some(room) = store.append(&stream, vec![event(sent, &"x".repeat(1000))]) {
            runtime.block_on(async { tokio::time::timeout(SOON, room).await }).expect("functions go on");
            break;
        }
    }
    fs::remove_file(path).unwrap();
    append(&store, &other, vec![event(1, "y")]);
    append(&store, &stream, vec![event(u64::MAX / 4000, "last")]);
    assert!(store.flush(SOON));
    let kept = messages(&store, &stream);
    let notice = kept.iter().find(|message| message.starts_with("[lambkin: ")).expect("a notice");
    let lost: u64 = notice.split(' ').nth(1).unwrap().parse().unwrap();
    assert_eq!(lost + kept.len() as u64 - 1, sent + 1);
    assert_eq!(kept.last().map(String::as_str), Some("last"));
    assert_eq!(messages(&store, &other), ["y"]);
    // What the figures say: what was kept but the notice, and what was not.
    let figures = store.figures();
    let of = |name: &str| &figures.iter().find(|figure| figure.name == name).expect("a figure").value;
    assert_eq!(of("lambkin_logs_dropped_events_total"), &lost.into());
    assert_eq!(of("lambkin_logs_written_events_total"), &(sent + 2 - lost).into());
    assert_eq!(of("lambkin_logs_written_bytes_total"), &((sent - lost) * 1000 + 5).into());
    assert_eq!(of("lambkin_logs_queue_waits_total"), &1_u64.into());
    assert_eq!(of("lambkin_logs_queue_bytes"), &0_u64.into());
}

#[test]
fn closing_on_a_full_disk_ends_and_says_what_is_left() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = open_full(directory.path(), &Config::default());
    append(&store, &name("g", "full"), vec![event(1, "x"), event(2, "y")]);
    append(&store, &name("g", "other"), vec![event(1, "x")]);
    let undrained = store.close(Duration::from_millis(200)).unwrap_err();
    assert_eq!(undrained.events, 3);
}

/// What `append` costs its caller, as the invoke path calls it. Run with `--run-ignored only`.
#[test]
#[ignore = "measures, and holds nothing"]
fn measure_append() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path(), &Config::default());
    let stream = name("/aws/lambda/hello", "2026/01/02/[$LATEST]0a1b");
    let line = Bytes::from_static(
        b"2026-01-02T03:04:05.678Z\t8f507cfc-xmpl-4697-b07a-ac58fc914c95\tINFO\thello world",
    );
    let mut costs = Vec::new();
    for round in 0..200_000_u64 {
        let events = (0..4).map(|_| LogEvent { at: Timestamp(round), message: line.clone() }).collect();
        let begin = Instant::now();
        let wait = store.append(&stream, events);
        costs.push(begin.elapsed());
        drop(wait);
        // 15,000 invocations a second, which is beyond what the invoke path reaches.
        while begin.elapsed() < Duration::from_micros(66) {
            std::hint::spin_loop();
        }
    }
    let begin = Instant::now();
    assert!(store.flush(SOON));
    let drained = begin.elapsed();
    costs.sort_unstable();
    let at = |share: f64| costs[(share * (costs.len() - 1) as f64) as usize];
    let sum: Duration = costs.iter().sum();
    println!(
        "append of 4 events: mean {:?}, p50 {:?}, p99 {:?}, p99.9 {:?}; drained in {drained:?}",
        sum / costs.len() as u32,
        at(0.5),
        at(0.99),
        at(0.999)
    );
}
