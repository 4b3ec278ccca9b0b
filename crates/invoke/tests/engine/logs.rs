//! What the function says, on its way to the log store and to the caller.

use std::time::Duration;

use lambkin_model::quota;

use crate::world::{World, payload};

const MIB: usize = 1024 * 1024;

/// Words → the events between START and END.
#[tokio::test(start_paused = true)]
async fn output_becomes_events() {
    let lines: Vec<String> = (0..5000).map(|line| format!("line {line}")).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let long = "l".repeat(MIB);
    for (words, expected) in [
        ("print one;print two;who", &["one", "two"][..]),
        // What was written before the result comes before END, whole lines or not.
        ("write no end;who", &["no end"]),
        ("write a;sleep 10;write b;sleep 10;print c;who", &["abc"]),
        ("write a;exit 1", &["a"]),
        ("print a;signal 9", &["a"]),
        ("print a;hang", &["a"]),
        ("print a;garbage;hang", &["a"]),
        ("write \\xc3;sleep 10;write \\xa9\\x0a;who", &["é"]),
        ("write \\xff-\\xfe\\x0a;who", &["\u{fffd}-\u{fffd}"]),
        ("write a\\x0d\\x0a;who", &["a\r"]),
        ("log a\nb;who", &["a\nb"]),
        ("log \\;log b;exit 1", &["\\", "b"]),
        ("logs 1048576;who", &[&long]),
        ("logs 1048600;log b;who", &[&long, "b"]),
        ("lines 5000;who", &lines),
        ("lines 5000;exit 1", &lines),
    ] {
        let world = World::new(4, 2);
        world.function("f", |_| {});
        world.run(words).await.unwrap();
        world.settle().await;
        let all = world.logs.words();
        assert_eq!(all[..2], ["INIT_START", "START"], "{words}");
        assert_eq!(all[2..2 + expected.len()], *expected, "{words}");
        assert_eq!(all[2 + expected.len()], "END", "{words}");
        assert_eq!(world.logs.streams().len(), 1, "{words}");
        world.invoker.shutdown(Duration::ZERO).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_line_without_an_end_becomes_several_events() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 900);
    let mut words = b"write ".to_vec();
    words.resize(6 + 3 * MIB / 2, b'x');
    words.extend_from_slice(b";who");
    world.start_of("f", words).await.unwrap().unwrap();
    world.settle().await;
    let lines = world.logs.lines();
    let said: Vec<&String> = lines.iter().filter(|line| line.starts_with('x')).collect();
    assert_eq!(said.iter().map(|line| line.len()).sum::<usize>(), 3 * MIB / 2);
    assert!(said.iter().all(|line| line.len() <= quota::LOG_EVENT_BYTES), "an event is at most 1 MiB");
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn the_tail_is_the_last_four_kilobytes_from_start_to_report() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    let tail = |reply: lambkin_model::invocation::Reply| {
        String::from_utf8(reply.log_tail.expect("asked for").to_vec()).unwrap()
    };
    let short = tail(world.tail("print hello;who").await);
    let words: Vec<&str> = short.lines().map(|line| line.split(' ').next().unwrap()).collect();
    assert_eq!(words, ["START", "hello", "END", "REPORT"], "INIT_START is not in it");
    assert!(short.contains("Init Duration") && short.ends_with("\t\n"));
    // It holds the answer until REPORT is written, also where the process does not ask for more.
    let held = tail(world.tail("respond ok;print after;hang").await);
    assert!(held.contains("after\n") && held.contains("REPORT"), "{held}");
    for words in ["lines 2000;who", "lines 2000;exit 1"] {
        let reply = world.tail(words).await;
        let long = tail(reply);
        assert_eq!(long.len(), quota::LOG_TAIL_BYTES, "{words}");
        assert!(long.contains("line 1999\nEND ") && long.contains("\nREPORT "), "{words}: {long}");
    }
    assert_eq!(world.run("who").await.unwrap().log_tail, None);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn without_a_tail_the_answer_does_not_wait_for_the_process() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    let begun = tokio::time::Instant::now();
    assert_eq!(world.say("respond ok;sleep 2000").await, "ok");
    assert!(begun.elapsed() < Duration::from_millis(10));
    // The next one waits for this environment, and its own time begins when it is given to it.
    assert_eq!(world.say("sleep 2500;who").await, "1.1.2");
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_store_that_is_behind_slows_the_function_and_loses_nothing() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 60);
    world.say("who").await;
    world.settle().await;
    let before = world.logs.lines().len();
    world.logs.open.send_replace(false);
    let running = world.start("lines 200000;logs 100;who");
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert!(!running.is_finished(), "the function waits in its write");
    let kept: usize = world.logs.lines()[before..].iter().map(String::len).sum();
    assert!(kept < MIB, "{kept} bytes were taken from a function while the store was behind");
    world.logs.open.send_replace(true);
    assert_eq!(payload(&running.await.unwrap()), "1.1.2");
    world.settle().await;
    let lines = world.logs.lines();
    let said = lines[before..].iter().filter(|line| line.starts_with("line ")).enumerate();
    let mut count = 0;
    for (index, line) in said {
        assert_eq!(*line, format!("line {index}"));
        count += 1;
    }
    assert_eq!(count, 200_000);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_log_store_that_is_behind_holds_no_deadline_up() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    world.say("who").await;
    world.logs.open.send_replace(false);
    let begun = tokio::time::Instant::now();
    assert!(world.say("lines 200000;who").await.contains("Sandbox.Timedout"));
    assert!(begun.elapsed() < Duration::from_millis(3100));
    assert!(world.say("exit 5").await.contains("RequestId"), "an exit is seen");
    world.logs.open.send_replace(true);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dying_process_left_in_its_pipe_is_kept_though_the_store_is_behind() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    world.say("who").await;
    world.logs.open.send_replace(false);
    // 64 KiB make a batch, so the store is behind when the rest is written and the process exits.
    assert!(
        world.say("logs 70000;sleep 100;widen;lines 20000;log last;exit 5").await.contains("exit status 5")
    );
    world.settle().await;
    let words = world.logs.words();
    let at = |word: &str| words.iter().rposition(|line| line == word).unwrap_or_else(|| panic!("{word}"));
    assert!(at("line 19999") < at("END") && at("last") < at("END") && at("END") < at("FAULT"));
    world.logs.open.send_replace(true);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn the_lines_of_a_long_invocation_are_handed_on_while_it_runs() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 60);
    let running = world.start("print early;sleep 10000;who");
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.logs.words(), ["INIT_START", "START", "early"]);
    running.await.unwrap().unwrap();
    world.end(4).await;
}
