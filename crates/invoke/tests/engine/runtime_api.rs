//! Processes that speak the HTTP Runtime API (`caller.rs`). In real time: the kernel's TCP knows no
//! other.

use std::time::{Duration, Instant};

use lambkin_model::invocation::FunctionError;
use tokio::task::JoinSet;

use crate::world::World;

const ID: &str = "00000000-0000-0000-0000-000000000002";
const ACCEPTED: &str = r#"202 Accepted {"status":"OK"}"#;
const BAD_ID: &str =
    r#"400 Bad Request {"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}"#;
const TOO_LARGE: &str = r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (6291556 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#;
const REFUSED_SIZE: &str = r#"413 Payload Too Large {"errorMessage":"Exceeded maximum allowed payload size (6291556 bytes).","errorType":"RequestEntityTooLarge"}"#;

fn transition(from: &str, to: &str) -> String {
    format!(
        r#"403 Forbidden {{"errorMessage":"State transition from {from} to {to} failed for runtime. Error: State transition is not allowed","errorType":"InvalidStateTransition"}}"#
    )
}

fn world(timeout: u32, variables: &[(&str, &str)]) -> World {
    let world = World::new(4, 2);
    world.function_with_init(timeout, &[&[("HTTP", "1")], variables].concat());
    world
}

/// Rows run side by side: each has waits in real time.
async fn all_pass(mut rows: JoinSet<()>) {
    while let Some(row) = rows.join_next().await {
        row.unwrap();
    }
}

/// Words → the invocation's answer, its error, and what the process was answered.
#[tokio::test]
async fn each_call_has_its_answer_and_none_out_of_order_changes_the_outcome() {
    let sent = "RuntimeResponseSentState";
    let (response, error, ready) = ("InvocationResponse", "InvocationErrorResponse", "Ready");
    let unhandled = Some(FunctionError::Unhandled);
    let own = |rest: &str| format!("post /runtime/invocation/$ID/{rest}");
    let two = |first: &str, second: &str| [first.to_owned(), second.to_owned()].join("\n");
    let mut rows = JoinSet::new();
    for (words, outcome, failed, answers) in [
        ("respond ok".to_owned(), "ok", None, ACCEPTED.to_owned()),
        ("respond".into(), "", None, ACCEPTED.into()),
        ("error {}".into(), "{}", unhandled, ACCEPTED.into()),
        ("stream a b".into(), "ab", None, ACCEPTED.into()),
        ("stream".into(), "", None, ACCEPTED.into()),
        // The error's body in the trailer is base64.
        ("failstream a".into(), "{2}", unhandled, ACCEPTED.into()),
        // Another's id, and none.
        ("post /runtime/invocation/other/response x;respond ok".into(), "ok", None, two(BAD_ID, ACCEPTED)),
        ("post /runtime/invocation/other/error x;respond ok".into(), "ok", None, two(BAD_ID, ACCEPTED)),
        // Twice.
        (format!("respond ok;{}", own("response x")), "ok", None, two(ACCEPTED, &transition(sent, response))),
        (format!("respond ok;{}", own("error x")), "ok", None, two(ACCEPTED, &transition(sent, error))),
        (
            format!("error {{1}};{}", own("response x")),
            "{1}",
            unhandled,
            two(ACCEPTED, &transition(sent, response)),
        ),
        // What belongs to an init.
        ("initerror {};respond ok".into(), "ok", None, two(&transition("Running", "InitError"), ACCEPTED)),
        // "next" again is the same invocation again.
        ("ask;asked;respond ok".into(), "ok", None, two("200 OK true", ACCEPTED)),
        // On another connection.
        ("anew;respond ok".into(), "ok", None, ACCEPTED.into()),
        // Nothing else while a body is under way; one that is not finished was never begun.
        (
            format!("hold;{};{};get /runtime/invocation/next;finish", own("response x"), own("error x")),
            "held",
            None,
            [
                &transition(response, response),
                &transition(response, error),
                &transition(response, ready),
                ACCEPTED,
            ]
            .join("\n"),
        ),
        ("hold;open 0;insist ok".into(), "ok", None, String::new()),
        ("get /ping;respond ok".into(), "ok", None, two("200 OK pong", ACCEPTED)),
        (
            "get /runtime/ping;respond ok".into(),
            "ok",
            None,
            two("404 Not Found 404 page not found", ACCEPTED),
        ),
        (
            "post /runtime/invocation/next;respond ok".into(),
            "ok",
            None,
            two("405 Method Not Allowed ", ACCEPTED),
        ),
        (
            "mode buffered;respond ok".into(),
            "ok",
            None,
            two(
                r#"400 Bad Request {"errorMessage":"Invalid function response mode","errorType":"InvalidFunctionResponseMode"}"#,
                ACCEPTED,
            ),
        ),
        ("mode streaming".into(), "{}", None, ACCEPTED.into()),
        (
            "truncated;respond ok".into(),
            "ok",
            None,
            two(
                r#"400 Bad Request {"errorMessage":"HTTP request detected as truncated","errorType":"TruncatedHTTPRequest"}"#,
                ACCEPTED,
            ),
        ),
        ("raw garbage\\r\\n\\r\\n;respond ok".into(), "ok", None, two("400 Bad Request ", ACCEPTED)),
        ("big 6291556".into(), "#6291556", None, ACCEPTED.into()),
        ("big 6291557".into(), TOO_LARGE, unhandled, REFUSED_SIZE.into()),
        ("big 20000000".into(), TOO_LARGE, unhandled, REFUSED_SIZE.into()),
        ("begin;parts 96 65536;part more;end".into(), "#6291460", None, ACCEPTED.into()),
        ("begin;parts 100 65536;end".into(), TOO_LARGE, unhandled, REFUSED_SIZE.into()),
    ] {
        rows.spawn(async move {
            let world = world(5, &[]);
            let reply = world.run(&words).await.unwrap();
            let said = String::from_utf8_lossy(&reply.outcome.payload).into_owned();
            match outcome.strip_prefix('#') {
                Some(length) => assert_eq!(said.len().to_string(), length, "{words}"),
                None => assert_eq!(said, outcome, "{words}"),
            }
            assert_eq!(reply.outcome.error, failed, "{words}");
            assert_eq!(world.say("report").await, answers, "{words}");
            // Between invocations there is none to answer.
            assert_eq!(world.say("respond ok;later").await, "ok");
            world.settle().await;
            assert_eq!(world.say("report").await, [ACCEPTED, BAD_ID].join("\n"), "{words}");
            assert_eq!(world.say("who").await, "1.1.5", "{words}: still the same process");
            world.end(4).await;
        });
    }
    all_pass(rows).await;
}

#[tokio::test]
async fn one_environment_does_not_know_the_invocations_of_another() {
    let world = world(5, &[]);
    let other = world.start("sleep 700;respond mine");
    tokio::time::sleep(Duration::from_millis(200)).await;
    assert_eq!(world.say(&format!("post /runtime/invocation/{ID}/response stolen;report")).await, BAD_ID);
    assert_eq!(crate::world::payload(&other.await.unwrap()), "mine");
    world.end(4).await;
}

#[tokio::test]
async fn next_waits_over_a_freeze_and_says_which_invocation_it_is() {
    let world = world(5, &[("INIT", "print loaded;close")]);
    assert_eq!(world.say("who").await, "1.1.1");
    world.settle().await;
    assert_eq!(world.say("who").await, "1.1.2", "also without the channel");
    let headers: serde_json::Value = serde_json::from_str(&world.say("headers").await).unwrap();
    assert_eq!(headers["lambda-runtime-aws-request-id"], "00000000-0000-0000-0000-000000000004");
    assert_eq!(
        headers["lambda-runtime-invoked-function-arn"],
        "arn:aws:lambda:us-east-1:000000000000:function:f"
    );
    assert!(headers["lambda-runtime-trace-id"].as_str().unwrap().starts_with("Root=1-"));
    assert_eq!(headers["content-type"], "application/json");
    assert_eq!(headers.get("lambda-runtime-client-context"), None);
    let deadline: u64 = headers["lambda-runtime-deadline-ms"].as_str().unwrap().parse().unwrap();
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    assert!((now..now + 5000).contains(&u128::from(deadline)));
    assert_eq!(world.say("print said;respond ok").await, "ok");
    world.settle().await;
    let words = world.logs.words().join(" ");
    assert_eq!(
        words,
        "INIT_START loaded START END REPORT START END REPORT START END REPORT START said END REPORT"
    );
    world.end(4).await;
}

#[tokio::test]
async fn an_init_s_error_is_answered_and_nothing_is_allowed_after_it() {
    let init = "initerror {\"errorType\":\"Runtime.Fake\"};get /runtime/invocation/next;initerror {};exit 1";
    let world = world(5, &[("INIT", init), ("INIT_3", "")]);
    let reply = world.run("who").await.unwrap();
    assert_eq!(reply.outcome.error, Some(FunctionError::Unhandled));
    assert_eq!(reply.outcome.payload, r#"{"errorType":"Runtime.Fake"}"#);
    world.settle().await;
    assert!(world.logs.lines().iter().any(|line| line.contains("Error Type: Runtime.Fake")));
    assert_eq!(world.say("who").await, "1.3.1");
    world.end(4).await;
}

#[tokio::test]
async fn a_crash_is_the_platform_s_to_answer_and_the_next_run_has_the_same_address() {
    let exited = format!(
        r#"{{"errorType":"Runtime.ExitError","errorMessage":"RequestId: {ID} Error: Runtime exited with error: exit status 7"}}"#
    );
    let mut rows = JoinSet::new();
    for (words, expected) in [
        ("exit 7", &*exited),
        // Closed before it is seen to use anything else, the channel is still unused.
        ("close;exit 7", &exited),
        ("truncated;exit 7", &exited),
        // A result counts.
        ("respond ok;exit 7", "ok"),
        // And what it asked for is not given to its successor.
        ("late;exit 7", &exited),
        ("respond ok;late;exit 7", "ok"),
    ] {
        let (words, expected) = (words.to_owned(), expected.to_owned());
        rows.spawn(async move {
            let world = world(5, &[("INIT_2", "sleep 150")]);
            assert_eq!(world.say(&words).await, expected, "{words}");
            world.settle().await;
            assert_eq!(world.say("who").await, "1.2.1", "{words}");
            world.end(4).await;
        });
    }
    all_pass(rows).await;
}

#[tokio::test]
async fn time_is_over_for_those_who_wait_and_for_those_who_flood() {
    for words in ["hang", "ask;hang", "flood"] {
        let world = world(1, &[]);
        let begun = Instant::now();
        assert!(world.say(words).await.contains("Task timed out after 1.00 seconds"), "{words}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{words}: {:?}", begun.elapsed());
        world.settle().await;
        assert_eq!(world.say("who").await, "1.2.1", "{words}");
        world.end(4).await;
    }
}

#[tokio::test]
async fn more_connections_than_there_is_room_for_wait_for_room() {
    let world = world(2, &[]);
    // Seven beside the one that is kept; the eighth waits until they close.
    assert_eq!(world.say("open 7;respond ok").await, "ok");
    let waits = world.start("open 30;anew;respond late");
    tokio::time::sleep(Duration::from_millis(300)).await;
    assert!(!waits.is_finished(), "it has shut itself out");
    assert!(crate::world::payload(&waits.await.unwrap()).contains("Task timed out after 2.00 seconds"));
    world.settle().await;
    assert_eq!(world.say("open 7;open 0;anew;respond ok").await, "ok");
    world.end(4).await;
}
