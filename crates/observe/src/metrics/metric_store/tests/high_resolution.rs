//! Values that are kept by the second too.

use super::*;
use crate::metrics::resolution::{SECONDS, this_second};

fn high(second: u32) -> At {
    At { second, resolution: StorageResolution::High }
}

/// Sum of each of the series' seconds.
fn by_second(store: &MetricStore, series: &Arc<Series>) -> Vec<(u32, f64)> {
    let read = store.read(std::slice::from_ref(series), StorageResolution::High, (0, u32::MAX)).unwrap();
    read[0].iter().map(|(second, statistics)| (*second, statistics.sum)).collect()
}

#[test]
fn seconds_are_kept_beside_their_minutes() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_second());
    let store = open(directory.path());
    let old = now - SECONDS.kept - 60;
    for (at, value) in [
        (high(now - 90), 1.0),
        (high(now - 90), 2.0),
        (high(now), 4.0),
        (At { resolution: StorageResolution::Standard, ..high(now - 1) }, 8.0),
        // Its second is over for CloudWatch.
        (high(old), 16.0),
    ] {
        store.put(at, Arc::clone(&a), &one(value)).unwrap();
    }
    let holds = |store: &MetricStore| {
        assert_eq!(by_second(store, &a), [(now - 90, 3.0), (now, 4.0)]);
        let by_minute = sums(store, &a);
        assert_eq!(by_minute.iter().map(|(_, sum)| sum).sum::<f64>(), 31.0);
        assert_eq!(by_minute[0], (old / 60, 16.0));
        assert_eq!(store.list(0, |_| true), [Arc::clone(&a)]);
    };
    holds(&store);
    store.close();
    holds(&store);
    holds(&open(directory.path()));
}

/// As of minutes: a frame that is written while the file of open seconds is behind is not taken twice.
#[test]
fn a_kill_counts_no_second_twice() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_second());
    let mut before = state(directory.path());
    before.add(high(now - 90), Arc::clone(&a), &one(1.0)).unwrap();
    before.add(high(now + 60), Arc::clone(&a), &one(2.0)).unwrap();
    before.seconds.keep().unwrap();
    let kept = fs::read(before.seconds.path_of_open()).unwrap();
    before.seconds.flush_before_minute(now / 60);
    let path = before.seconds.path_of_open();
    drop(before);
    fs::write(path, kept).unwrap();
    assert_eq!(by_second(&open(directory.path()), &a), [(now - 90, 1.0), (now + 60, 2.0)]);
}

/// Seconds go for age and for room without the minutes that they are in, and before them.
#[test]
fn seconds_go_before_minutes() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_second());
    let mut state = state(directory.path());
    for ago in [SECONDS.kept + SECONDS.of_file, 2 * SECONDS.of_file, 0] {
        // Put when they were new.
        state.seconds.merge(now - ago, Arc::clone(&a), &one(1.0));
        state.minutes.merge((now - ago) / 60, Arc::clone(&a), &one(1.0));
        state.seconds.flush(u32::MAX);
        state.minutes.flush(u32::MAX);
    }
    assert_eq!(state.seconds.files.len(), 2, "a file for each quarter of an hour");
    let minutes = state.minutes.bytes();
    state.sweep(now);
    let left: Vec<_> = state.seconds.files.iter().map(|file| file.slots).collect();
    assert_eq!(left, [Some((now - 2 * SECONDS.of_file, now - 2 * SECONDS.of_file))]);
    state.seconds.cap = state.seconds.bytes() - 1;
    state.sweep(now);
    assert_eq!((state.seconds.files.len(), state.minutes.bytes()), (0, minutes));
    // What both take is what the cap bounds.
    assert_eq!(state.bytes(), state.seconds.bytes() + minutes);
}

#[test]
fn open_seconds_are_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let (a, now) = (series("a"), this_second());
    let mut state = state(directory.path());
    for ahead in 0..=u32::try_from(SECONDS.open_most).unwrap() {
        state.seconds.merge(now + ahead, Arc::clone(&a), &one(1.0));
    }
    assert!(state.seconds.open.is_empty(), "they are written down early");
    assert!(state.seconds.writer.extent.slots.is_some());
}

/// A group's lines begin so many seconds in a minute; beyond, their values are in minutes alone and are counted as refused.
#[test]
fn log_lines_have_a_share_of_seconds() {
    let directory = tempfile::tempdir().unwrap();
    let (minute, now) = (this_minute(), this_second());
    let mut state = state(directory.path());
    let group =
        |number: usize| GroupKey { account: "0".into(), region: "r".into(), name: number.to_string().into() };
    let fill = |state: &mut State, of: usize, minute: u32| {
        let series = Series::clone(&series(&of.to_string()));
        (0..20_000_u32)
            .take_while(|ago| {
                let at = high(now - ago % 10_000 + minute % 2 * 3600);
                let series = Series { unit: (ago / 10_000).to_string().into(), ..series.clone() };
                state.extract(&group(of), minute, at, series, &one(1.0))
            })
            .count()
    };
    assert_eq!(fill(&mut state, 0, minute / 2 * 2), 12_000);
    assert_eq!(fill(&mut state, 0, minute / 2 * 2), 12_000, "known seconds go on");
    let beyond = high(now - 9999);
    let unit = Series { unit: "1".into(), ..Series::clone(&series("0")) };
    assert!(!state.extract(&group(0), minute / 2 * 2, beyond, unit.clone(), &one(7.0)));
    let wanted = [Arc::new(unit)];
    let sum =
        |minute: u32| state.minutes.open.get(&minute).and_then(|open| open.get(&wanted[0])).map(|of| of.sum);
    assert!(sum(beyond.second / 60).is_some_and(|sum| sum >= 7.0), "its minute has it");
    for other in 1..5 {
        assert_eq!(fill(&mut state, other, minute / 2 * 2), 12_000, "{other}");
    }
    assert_eq!(fill(&mut state, 5, minute / 2 * 2), 0, "of all groups");
    assert_eq!(fill(&mut state, 0, minute / 2 * 2 + 1), 12_000, "in the next minute");
}
