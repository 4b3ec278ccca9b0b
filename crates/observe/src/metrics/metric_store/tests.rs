mod high_resolution;

use std::fs;
use std::time::Instant;

use lambkin_model::figure::{FigureValue, Figures};
use lambkin_model::name::FunctionKey;
use lambkin_model::record::ResourceKey;

use super::functions::TOTALS_MOST;
use super::*;
use crate::log_writer::millis;
use crate::metrics::resolution::MINUTES;

fn series(name: &str) -> Arc<Series> {
    Arc::new(Series {
        account: "0".into(),
        region: "r".into(),
        namespace: "N".into(),
        name: name.into(),
        dimensions: Arc::from([("d".into(), "v".into())]),
        unit: "Count".into(),
    })
}

fn one(value: f64) -> Statistics {
    let mut statistics = Statistics::default();
    statistics.add(value, 1.0);
    statistics
}

fn open(directory: &Path) -> MetricStore {
    MetricStore::open(directory, &MetricConfig::default()).unwrap()
}

/// Sum of each of the series' minutes.
fn sums(store: &MetricStore, series: &Arc<Series>) -> Vec<(u32, f64)> {
    let read = store.read(std::slice::from_ref(series), StorageResolution::Standard, (0, u32::MAX)).unwrap();
    read[0].iter().map(|(minute, statistics)| (*minute, statistics.sum)).collect()
}

fn state(directory: &Path) -> State {
    let directory = directory.join("metrics");
    fs::create_dir_all(&directory).unwrap();
    State::open(&directory, 1 << 30).unwrap()
}

#[test]
fn what_was_put_is_read_before_and_after_a_close() {
    let directory = tempfile::tempdir().unwrap();
    let (a, b, now) = (series("a"), series("b"), this_minute());
    let store = open(directory.path());
    for (minute, of, value) in [(now - 3, &a, 1.0), (now - 3, &a, 2.0), (now, &a, 4.0), (now, &b, 8.0)] {
        store.put(At::minute(minute), Arc::clone(of), &one(value)).unwrap();
    }
    let expected = vec![(now - 3, 3.0), (now, 4.0)];
    assert_eq!(sums(&store, &a), expected);
    store.close();
    assert_eq!(sums(&store, &a), expected);
    let store = open(directory.path());
    assert_eq!(sums(&store, &a), expected);
    assert_eq!(sums(&store, &b), [(now, 8.0)]);
    assert_eq!(store.list(now, |_| true), [a, b]);
    assert_eq!(store.list(now + 1, |_| true), Vec::<Arc<Series>>::new());
}

/// Wherever between two writes lambkin is killed, nothing that was written is lost or counted twice.
#[test]
fn a_kill_loses_at_most_what_was_not_kept() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_minute());
    let files = |state: &State| {
        (fs::read(&state.minutes.writer.extent.path).unwrap(), fs::read(state.minutes.path_of_open()).ok())
    };
    let mut before = state(directory.path());
    before.add(At::minute(now - 1), Arc::clone(&a), &one(1.0)).unwrap();
    before.add(At::minute(now + 1), Arc::clone(&a), &one(2.0)).unwrap();
    before.minutes.keep().unwrap();
    let (_, kept) = files(&before);
    before.minutes.flush(now);
    let (written, kept_after) = files(&before);
    assert_ne!(kept, kept_after);
    let path = before.minutes.writer.extent.path.clone();
    drop(before);
    // The frame is there, and the file of open minutes is still the one before it.
    fs::write(directory.path().join("metrics").join(MINUTES.open_file), kept.unwrap()).unwrap();
    let found = |directory: &Path| {
        let state = state(directory);
        let mut found: Vec<(u32, f64)> = Vec::new();
        let wanted = HashMap::from([(&*a, 0)]);
        file::read(&state.minutes.writer.extent, &wanted, (0, u32::MAX), &mut |_, minute, of| {
            found.push((minute, of.sum))
        })
        .unwrap();
        found.extend(state.minutes.open.iter().map(|(minute, open)| (*minute, open[&a].sum)));
        found
    };
    assert_eq!(found(directory.path()), [(now - 1, 1.0), (now + 1, 2.0)]);
    // A frame that is cut off anywhere is as if it had not been written.
    for length in [written.len() - 1, written.len() / 2, 9] {
        fs::write(&path, &written[..length]).unwrap();
        assert_eq!(found(directory.path()), [(now - 1, 1.0), (now + 1, 2.0)], "{length}");
    }
}

#[test]
fn what_is_broken_is_cut_and_written_on() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_minute());
    let mut state = state(directory.path());
    state.add(At::minute(now - 5), Arc::clone(&a), &one(1.0)).unwrap();
    state.minutes.flush(now);
    let whole = state.minutes.writer.extent.bytes;
    state.add(At::minute(now - 4), Arc::clone(&a), &one(2.0)).unwrap();
    state.minutes.flush(now);
    let path = state.minutes.writer.extent.path.clone();
    drop(state);
    let mut bytes = fs::read(&path).unwrap();
    let last = bytes.len() - 1;
    bytes[last] ^= 1;
    fs::write(&path, bytes).unwrap();
    let mut state = self::state(directory.path());
    assert_eq!(state.minutes.writer.extent.bytes, whole);
    state.add(At::minute(now - 3), Arc::clone(&a), &one(4.0)).unwrap();
    state.minutes.flush(now);
    drop(state);
    let store = open(directory.path());
    assert_eq!(sums(&store, &a), [(now - 5, 1.0), (now - 3, 4.0)]);
}

#[test]
fn the_oldest_go_for_age_and_for_room() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_minute());
    let mut state = state(directory.path());
    let write = |state: &mut State, minute: u32| {
        state.add(At::minute(minute), Arc::clone(&a), &one(1.0)).unwrap();
        state.minutes.flush(now + 1);
    };
    // A file for each day.
    write(&mut state, now - MINUTES.kept - 2);
    write(&mut state, now - 24 * 60);
    write(&mut state, now);
    assert_eq!(state.minutes.files.len(), 2);
    state.sweep(now * 60);
    let left: Vec<_> = state.minutes.files.iter().map(|file| file.slots).collect();
    assert_eq!(left, [Some((now - 24 * 60, now - 24 * 60))]);
    state.cap = state.minutes.writer.extent.bytes;
    state.sweep(now * 60);
    assert_eq!(state.minutes.files.len(), 0);
    assert_eq!(state.minutes.bytes(), state.minutes.writer.extent.bytes);
}

#[test]
fn a_series_that_is_wanted_twice_is_read_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (wanted, minute) = (series("a"), this_minute());
    let store = open(directory.path());
    store.put(At::minute(minute - 5), Arc::clone(&wanted), &one(1.0)).unwrap();
    store.close();
    drop(store);
    // One value in a file, one in memory.
    let store = open(directory.path());
    store.put(At::minute(minute), Arc::clone(&wanted), &one(2.0)).unwrap();
    let read = store
        .read(&[Arc::clone(&wanted), series("b"), wanted], StorageResolution::Standard, (0, u32::MAX))
        .unwrap();
    let sums: Vec<f64> = read.iter().map(|minutes| minutes.values().map(|of| of.sum).sum()).collect();
    assert_eq!(sums, [3.0, 0.0, 3.0]);
}

#[test]
fn functions_have_awss_dimensions() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let key = FunctionKey { account: "0".into(), region: "r".into(), name: "f".into() };
    let at = Timestamp(u64::from(this_minute()) * 60_000_000);
    let of = |qualifier, version| Subject::Function { key: &key, qualifier, version: Some(version) };
    let invoked = [(FunctionMetric::Invocations, 1.0)];
    store.record(at, of(None, "$LATEST"), &invoked);
    store.record(at, of(None, "$LATEST"), &invoked);
    store.record(at, of(Some("7"), "7"), &invoked);
    store.record(at, of(Some("live"), "7"), &invoked);
    store.record(at, of(None, "$LATEST"), &[(FunctionMetric::ConcurrentExecutions, 3.0)]);
    store.record(at, of(Some("live"), "7"), &[(FunctionMetric::ProvisionedConcurrencyUtilization, 0.5)]);
    store.record(at, of(Some("$LATEST"), "$LATEST"), &[(FunctionMetric::UrlRequestCount, 1.0)]);
    let account = Subject::Account { account: "0", region: "r" };
    store.record(at, account, &[(FunctionMetric::ConcurrentExecutions, 5.0)]);
    let mapping = ResourceKey { account: "0".into(), region: "r".into(), name: "uuid".into() };
    store.record(at, Subject::Mapping(&mapping), &[(FunctionMetric::PolledEventCount, 3.0)]);
    store.record(at, Subject::Mapping(&mapping), &[(FunctionMetric::PolledEventCount, 4.0)]);
    let listed = store.list(0, |_| true);
    let read = store.read(&listed, StorageResolution::Standard, (0, u32::MAX)).unwrap();
    let found: Vec<(String, String, f64)> = listed
        .iter()
        .zip(read)
        .map(|(series, minutes)| {
            let dimensions: Vec<String> =
                series.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
            (series.name.to_string(), dimensions.join(" "), minutes.values().map(|of| of.sum).sum())
        })
        .collect();
    let expected = [
        ("ConcurrentExecutions", "", 5.0),
        ("ConcurrentExecutions", "FunctionName=f", 3.0),
        ("Invocations", "", 4.0),
        ("Invocations", "ExecutedVersion=7 FunctionName=f Resource=f:live", 1.0),
        ("Invocations", "FunctionName=f", 4.0),
        ("Invocations", "FunctionName=f Resource=f", 2.0),
        ("Invocations", "FunctionName=f Resource=f:7", 1.0),
        ("Invocations", "FunctionName=f Resource=f:live", 1.0),
        ("PolledEventCount", "EventSourceMappingUUID=uuid", 7.0),
        ("ProvisionedConcurrencyUtilization", "ExecutedVersion=7 FunctionName=f Resource=f:live", 0.5),
        ("ProvisionedConcurrencyUtilization", "FunctionName=f", 0.5),
        ("ProvisionedConcurrencyUtilization", "FunctionName=f Resource=f:live", 0.5),
        ("UrlRequestCount", "", 1.0),
        ("UrlRequestCount", "ExecutedVersion=$LATEST FunctionName=f Resource=f:$LATEST", 1.0),
        ("UrlRequestCount", "FunctionName=f", 1.0),
        ("UrlRequestCount", "FunctionName=f Resource=f:$LATEST", 1.0),
    ];
    assert_eq!(found, expected.map(|(name, dimensions, sum)| (name.to_owned(), dimensions.to_owned(), sum)));
    let figures = store.figures();
    let of = |name| figures.iter().find(|figure| figure.name == name).expect("a figure");
    assert_eq!(of("lambkin_invocations_total").value, 4_u64.into());
    assert!(of("lambkin_invocations_total").labels[0].1.ends_with(":function:f"));
    assert_eq!(of("lambkin_errors_total").value, 0_u64.into());
    assert_eq!(of("lambkin_metrics_series").value, listed.len().into());
}

/// The figures' sums are right however many functions there are, and their labels are bounded.
#[test]
fn functions_beyond_the_bound_are_counted_together() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let at = Timestamp(u64::from(this_minute()) * 60_000_000);
    for number in 0..TOTALS_MOST + 3 {
        let key = FunctionKey { account: "0".into(), region: "r".into(), name: format!("f{number}").into() };
        let of = Subject::Function { key: &key, qualifier: None, version: Some("$LATEST") };
        store.record(at, of, &[(FunctionMetric::Invocations, 1.0), (FunctionMetric::Duration, 30.0)]);
        if number < TOTALS_MOST {
            store.shared.look();
        }
    }
    let figures = store.figures();
    let of = |name: &str| -> Vec<_> { figures.iter().filter(|figure| figure.name == name).collect() };
    let invocations = of("lambkin_invocations_total");
    assert_eq!(invocations.len(), TOTALS_MOST + 1);
    let others = invocations.last().unwrap();
    assert_eq!((&*others.labels[0].1, &others.value), ("others", &3_u64.into()));
    let durations = of("lambkin_duration_seconds");
    let FigureValue::Histogram(last) = &durations.last().unwrap().value else { panic!("{durations:?}") };
    let at = |bound: f64| last.cumulative().find(|(each, _)| *each == bound).unwrap().1;
    assert_eq!((at(0.02), at(0.05), last.count()), (0, 3, 3));
    assert!((last.sum() - 0.09).abs() < 1e-9);
    // Of a few digits, for there may be many.
    let [(value, 3)] = durations.last().unwrap().values[..] else { panic!("{durations:?}") };
    assert!((value / 0.03 - 1.0).abs() < 0.0222 && value.to_string().len() <= 8, "{value}");
    assert!(of("lambkin_events_age_seconds").is_empty(), "nothing was an event");
}

/// Whatever log lines name, there is room for what functions did and clients put, and for other groups.
#[test]
fn log_lines_have_a_share() {
    let directory = tempfile::tempdir().unwrap();
    let now = this_minute();
    let mut state = state(directory.path());
    let group = |number: usize| GroupKey {
        account: "0".into(),
        region: "r".into(),
        name: format!("/aws/lambda/{number}").into(),
    };
    let named = |group: usize, name: usize| Series::clone(&series(&format!("{group}-{name}")));
    // Of a group; each minute begins one of its points of this minute, of which it has twice as many.
    let fill = |state: &mut State, of: usize, from: usize, minute: u32| {
        (from..9000)
            .take_while(|name| {
                state.extract(&group(of), now, At::minute(minute), named(of, *name), &one(1.0))
            })
            .count()
    };
    assert_eq!(fill(&mut state, 0, 0, now), 2000);
    assert_eq!(fill(&mut state, 0, 2000, now), 0);
    assert_eq!(fill(&mut state, 0, 0, now), 2000, "values of known series are taken");
    assert_eq!(fill(&mut state, 0, 0, now - 1), 2000);
    assert_eq!(fill(&mut state, 0, 0, now - 2), 0, "minutes begun in a minute");
    assert!(
        state.extract(&group(0), now + 1, At::minute(now - 3), named(0, 0), &one(1.0)),
        "in the next minute"
    );
    assert!(!state.extract(&group(0), now + 1, At::minute(now), named(0, 2000), &one(1.0)));
    // Of all groups.
    for other in 1..10 {
        assert_eq!(fill(&mut state, other, 0, now), 2000, "{other}");
    }
    assert_eq!(fill(&mut state, 10, 0, now), 0);
    state.add(At::minute(now), series("put"), &one(1.0)).unwrap();
    assert!(
        state.extract(&group(10), now, At::minute(now), Series::clone(&series("put")), &one(1.0)),
        "what a client put before"
    );
    // What went makes room, in the end.
    let later = now + 10;
    state.add(At::minute(later), Arc::new(named(0, 1)), &one(1.0)).unwrap();
    state.sweep((later + MINUTES.kept) * 60);
    assert_eq!(state.known.len(), 1);
    assert_eq!(fill(&mut state, 0, 2000, later), 1999);
    assert_eq!(fill(&mut state, 10, 0, later), 2000);
}

#[test]
fn log_lines_have_a_share_of_memory() {
    let directory = tempfile::tempdir().unwrap();
    let (now, mut state) = (this_minute(), state(directory.path()));
    let group = |name: &str| GroupKey { account: "0".into(), region: "r".into(), name: name.into() };
    let wide = |name: usize| Series {
        dimensions: (0..30).map(|n| (format!("d{n}").into(), "v".repeat(1024).into())).collect(),
        ..Series::clone(&series(&name.to_string()))
    };
    let taken = |state: &mut State, of: &str, from: usize| {
        (from..)
            .take_while(|name| state.extract(&group(of), now, At::minute(now), wide(*name), &one(1.0)))
            .count()
    };
    let of_one = taken(&mut state, "a", 0);
    assert!((60..70).contains(&of_one), "{of_one}");
    let of_all: usize = (1..30).map(|n| taken(&mut state, &n.to_string(), n * 1000)).sum();
    assert!((of_all + of_one) * 32_000 < 21 << 20, "{of_all}");
    // The statistics of open minutes are written down before they are too much.
    for minute in 0..120 {
        for name in 0..of_one {
            assert!(state.extract(
                &group("a"),
                now + minute / 60,
                At::minute(now + minute),
                wide(name),
                &one(1.0)
            ));
            assert!(state.minutes.open_bytes <= MINUTES.open_bytes);
        }
    }
    assert!(state.minutes.writer.extent.slots.is_some());
    let counted: usize =
        state.minutes.open.values().flatten().map(|(series, of)| series.bytes() + of.bytes()).sum();
    assert_eq!(state.minutes.open_bytes, counted);
}

/// Nobody knows any more whose the series were: they are the first one's that uses them.
#[test]
fn shares_are_found_again_after_a_restart() {
    let directory = tempfile::tempdir().unwrap();
    let now = this_minute();
    let group = GroupKey { account: "0".into(), region: "r".into(), name: "g".into() };
    let named = |name: usize| Series::clone(&series(&name.to_string()));
    let fill = |state: &mut State, from: usize| {
        (from..9000)
            .take_while(|name| state.extract(&group, now, At::minute(now + 1), named(*name), &one(1.0)))
            .count()
    };
    let mut before = state(directory.path());
    assert_eq!(fill(&mut before, 0), 2000);
    before.minutes.flush(u32::MAX);
    drop(before);
    let mut after = state(directory.path());
    assert_eq!(after.known.len(), 2000);
    for name in 0..1500 {
        assert!(after.extract(&group, now, At::minute(now), named(name), &one(1.0)));
    }
    assert_eq!(fill(&mut after, 2000), 500);
}

/// Run with `--run-ignored only`, in release.
#[test]
#[ignore = "measures, and holds nothing"]
fn measure_recording() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let keys: Vec<FunctionKey> = (0..20)
        .map(|n| FunctionKey {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: format!("function-{n}").into(),
        })
        .collect();
    let begin = Instant::now();
    for round in 0..2_000_000_u32 {
        let key = &keys[round as usize % keys.len()];
        let at = Timestamp(millis() * 1000);
        let of = Subject::Function { key, qualifier: None, version: Some("$LATEST") };
        let took = f64::from(round % 900);
        let values = [
            (FunctionMetric::Invocations, 1.0),
            (FunctionMetric::Errors, 0.0),
            (FunctionMetric::Throttles, 0.0),
        ];
        store.record(at, of, &values);
        store.record(at, of, &[(FunctionMetric::Duration, took)]);
    }
    println!("an invocation's four values: {:?}", begin.elapsed() / 2_000_000);
}
