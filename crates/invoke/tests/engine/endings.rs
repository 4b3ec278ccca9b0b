//! How an invocation ends: its answer, its log lines, and what the next one finds.

use lambkin_model::invocation::FunctionError;
use lambkin_model::runtime::Runtime;
use std::time::Duration;
use tokio::time::Instant;

use crate::world::{World, payload};

const TOO_LARGE: &str = r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#;
const GOOD: &str = "START END REPORT";
const FAULT: &str = "START END REPORT FAULT";
const ID: &str = "00000000-0000-0000-0000-000000000002";

/// Words → payload (`#N` ones), error, log lines, and who answers next: `1.1.2` is the same process,
/// `1.2.1` a new one in the same sandbox.
#[tokio::test(start_paused = true)]
async fn each_ending_has_its_answer_its_lines_and_its_aftermath() {
    let exited = |words: &str| {
        format!(
            r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {ID} Error: Runtime exited {words}"}}"#
        )
    };
    let old = format!(r#"{{"errorMessage":"RequestId: {ID} Process exited before completing request"}}"#);
    let killed = exited("with error: signal: killed");
    let timed_out = format!(
        r#"{{"errorType":"Sandbox.Timedout","errorMessage":"RequestId: {ID} Error: Task timed out after 3.00 seconds"}}"#
    );
    let (handled, unhandled) = (Some(FunctionError::Handled), Some(FunctionError::Unhandled));
    for (runtime, words, expected, error, lines, next) in [
        ("nodejs22.x", "respond ok", "ok", None, GOOD, "1.1.2"),
        ("nodejs22.x", "respond", "", None, GOOD, "1.1.2"),
        ("nodejs20.x", "respond ok", "ok", None, GOOD, "1.1.2"),
        ("nodejs22.x", "error {}", "{}", unhandled, GOOD, "1.1.2"),
        ("nodejs8.10", "handled {}", "{}", handled, GOOD, "1.1.2"),
        // A second result is refused.
        ("nodejs22.x", "respond a;respond b", "a", None, GOOD, "1.1.2"),
        ("nodejs22.x", "respond a;error b", "a", None, GOOD, "1.1.2"),
        ("nodejs22.x", "error a;respond b", "a", unhandled, GOOD, "1.1.2"),
        // What belongs to an init changes no invocation.
        ("nodejs22.x", "initerror bad;respond ok", "ok", None, GOOD, "1.1.2"),
        // Exits.
        ("nodejs22.x", "exit 0", &exited("without providing a reason"), unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "exit 127", &exited("with error: exit status 127"), unhandled, FAULT, "1.2.1"),
        (
            "nodejs22.x",
            "signal 11",
            &exited("with error: signal: segmentation fault"),
            unhandled,
            FAULT,
            "1.2.1",
        ),
        ("nodejs8.10", "exit 1", &old, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "error {1};exit 129", "{1}", unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "respond ok;exit 1", "ok", None, FAULT, "1.2.1"),
        // Time.
        ("nodejs22.x", "sleep 2990;respond ok", "ok", None, GOOD, "1.1.2"),
        ("nodejs22.x", "hang", &timed_out, unhandled, "START END REPORT TIMED OUT", "1.2.1"),
        (
            "nodejs22.x",
            "sleep 3500;respond late",
            &timed_out,
            unhandled,
            "START END REPORT TIMED OUT",
            "1.2.1",
        ),
        ("nodejs22.x", "respond ok;hang", "ok", None, "START END REPORT TIMED OUT", "1.2.1"),
        // Size.
        ("nodejs22.x", "big 6291556", "#6291556", None, GOOD, "1.1.2"),
        ("nodejs22.x", "big 6291557", TOO_LARGE, unhandled, GOOD, "1.1.2"),
        ("nodejs22.x", "big 20000000", TOO_LARGE, unhandled, GOOD, "1.1.2"),
        // The rules of the channel broken: killed.
        ("nodejs22.x", "garbage;hang", &killed, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "garbage;respond late;hang", &killed, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "close;hang", &killed, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "ready;hang", &killed, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "ready;respond late;hang", &killed, unhandled, FAULT, "1.2.1"),
        ("nodejs22.x", "respond ok;garbage;hang", "ok", None, FAULT, "1.2.1"),
    ] {
        let world = World::new(4, 2);
        world.function("f", |version| {
            version.configuration.runtime = Runtime::from_name(runtime).unwrap();
        });
        let begun = Instant::now();
        let reply = world.run(words).await.unwrap();
        assert!(begun.elapsed() < Duration::from_millis(3100), "{words}");
        let said = String::from_utf8_lossy(&reply.outcome.payload).into_owned();
        match expected.strip_prefix('#') {
            Some(length) => assert_eq!(said.len().to_string(), length, "{words}"),
            None => assert_eq!(said, expected, "{words}"),
        }
        assert_eq!((reply.outcome.error, &*reply.executed_version), (error, "$LATEST"), "{words}");
        world.settle().await;
        if words.contains("respond ok;hang") {
            tokio::time::sleep(Duration::from_secs(3)).await;
        }
        assert_eq!(world.logs.words().join(" "), format!("INIT_START {lines}"), "{runtime} {words}");
        assert_eq!(world.say("who").await, next, "{words}");
        world.end(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_answers_at_the_deadline_and_not_when_the_process_is_gone() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 1);
    world.say("who").await;
    world.stage.kill_takes.store(5000, std::sync::atomic::Ordering::SeqCst);
    let begun = Instant::now();
    assert!(world.say("hang").await.contains("Sandbox.Timedout"));
    assert!((1000..1010).contains(&begun.elapsed().as_millis()), "{:?}", begun.elapsed());
    // The next one gets this environment's next process: what the function left in /tmp is there.
    assert_eq!(world.say("who").await, "1.2.1");
    world.stage.kill_takes.store(0, std::sync::atomic::Ordering::SeqCst);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn a_process_that_broke_the_rules_and_does_not_die_is_not_waited_for() {
    for words in ["garbage;hang", "close;hang", "ready;hang"] {
        let world = World::new(4, 2);
        world.function("f", |version| version.configuration.timeout = 900);
        world.say("who").await;
        world.stage.kill_takes.store(60_000, std::sync::atomic::Ordering::SeqCst);
        let begun = Instant::now();
        assert!(world.say(words).await.contains("signal: killed"), "{words}");
        assert!(begun.elapsed() < Duration::from_secs(3), "{words}");
        tokio::time::sleep(Duration::from_secs(100)).await;
        world.stage.kill_takes.store(0, std::sync::atomic::Ordering::SeqCst);
        assert_eq!(world.say("who").await, "1.2.1", "{words}");
        world.end(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_process_that_dies_between_invocations_costs_the_next_one_nothing_but_its_init() {
    for init in ["", "sleep 50"] {
        let world = World::new(4, 2);
        world.function_with_init(3, &[("INIT_2", init)]);
        // READY is sent, and then it dies; at any distance from the next invocation.
        assert_eq!(world.say("respond ok;ready;exit 1").await, "ok");
        assert_eq!(world.say("who").await, "1.2.1");
        assert_eq!(world.say("respond ok;ready;sleep 10;exit 1").await, "ok");
        world.settle().await;
        assert_eq!(world.say("who").await, "1.3.1");
        assert_eq!(world.say("respond ok;ready;garbage;hang").await, "ok");
        world.settle().await;
        assert_eq!(world.say("who").await, "1.4.1");
        world.end(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_process_is_told_which_invocation_it_is() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 7);
    let now = || {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
        u64::try_from(since.as_millis()).unwrap()
    };
    let before = now();
    let head: serde_json::Value = serde_json::from_str(&world.say("head").await).unwrap();
    assert_eq!(head["requestId"], ID);
    assert_eq!(head["invokedFunctionArn"], "arn:aws:lambda:us-east-1:000000000000:function:f");
    assert!((before + 7000..=now() + 7000).contains(&head["deadlineMs"].as_u64().unwrap()));
    assert!(head["traceId"].as_str().unwrap().starts_with("Root=1-"));
    assert_eq!(head.get("clientContext"), None);
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn six_megabytes_reach_a_process_that_reads_slowly() {
    let world = World::new(4, 2);
    world.function("f", |_| {});
    let mut words = b"print reading;length;#".to_vec();
    words.resize(6 * 1024 * 1024, b'x');
    for _ in 0..3 {
        let reply = world.start_of("f", words.clone()).await.unwrap();
        assert_eq!(payload(&reply), "6291456");
    }
    world.end(4).await;
}
