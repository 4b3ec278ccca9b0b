//! Measures instead of testing: `cargo test --release -p lambkin-sandbox --lib costs -- --ignored --nocapture`

use std::time::{Duration, Instant};

use super::super::{Group, Limits};
use super::bed::{Bed, PATIENCE, await_that, ended, start};

const ROUNDS: usize = 100;

fn timed<T>(times: &mut Vec<Duration>, work: impl FnOnce() -> T) -> T {
    let start = Instant::now();
    let result = work();
    times.push(start.elapsed());
    result
}

#[test]
#[ignore = "measures"]
fn costs() {
    const NAMES: [&str; 12] = [
        "make",
        "limit",
        "limit again",
        "joins",
        "freeze",
        "until frozen",
        "thaw",
        "peak",
        "memory",
        "cpu usage",
        "kill",
        "kill + remove",
    ];
    let limits = |init| Limits::for_memory_mb(512, init);
    for bed in Bed::all() {
        let mut times: [Vec<Duration>; NAMES.len()] = Default::default();
        for round in 0..ROUNDS {
            let [made, limit, again, joins, freeze, frozen, thaw, peak, memory, usage, kill, remove] =
                &mut times;
            let group: Group = timed(made, || bed.group(&format!("g{round}")));
            timed(limit, || group.limit(&limits(true))).expect("limit");
            timed(joins, || group.joins()).expect("joins");
            let mut child = start(&group, &["sleep", "60"]);
            timed(again, || group.limit(&limits(false))).expect("limit");
            let start = Instant::now();
            timed(freeze, || group.freeze()).expect("freeze");
            await_that("frozen", || group.is_frozen());
            frozen.push(start.elapsed());
            timed(thaw, || group.thaw()).expect("thaw");
            timed(peak, || group.peak_memory());
            timed(memory, || group.memory());
            timed(usage, || group.cpu_usage());
            let start = Instant::now();
            timed(kill, || group.kill()).expect("kill");
            assert!(group.remove(PATIENCE));
            remove.push(start.elapsed());
            ended(&mut child);
        }
        println!("{bed}");
        for (name, mut times) in NAMES.into_iter().zip(times) {
            times.sort_unstable();
            println!("{name:14} median {:>10.1?}  p90 {:>10.1?}", times[ROUNDS / 2], times[ROUNDS * 9 / 10]);
        }
        let mut times = Vec::new();
        for round in 0..ROUNDS {
            let group = bed.group(&format!("e{round}"));
            timed(&mut times, || group.remove(Duration::ZERO));
        }
        times.sort_unstable();
        println!("remove, empty  median {:>10.1?}  p90 {:>10.1?}", times[ROUNDS / 2], times[ROUNDS * 9 / 10]);
    }
}
