//! Streamed responses, from processes that speak the Runtime API (`caller.rs`). In real time: the
//! kernel's TCP knows no other.

use std::time::{Duration, Instant};

use lambkin_model::invocation::{Completion, FunctionError, Piece, Streamed};
use lambkin_model::quota;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::world::World;

fn world(concurrency: usize, timeout: u32) -> World {
    let world = World::new(concurrency, 4);
    world.function_with_init(timeout, &[("HTTP", "1")]);
    world
}

/// All that comes: bytes and how it ended. Panics after half a minute.
async fn rest(mut streamed: Streamed) -> (Vec<u8>, Completion) {
    let read = async {
        let mut bytes = Vec::new();
        loop {
            match streamed.next().await.expect("the platform is well") {
                Piece::Chunk(chunk) => bytes.extend_from_slice(&chunk),
                Piece::End(completion) => return (bytes, completion),
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(30), read).await.expect("an end")
}

fn details(completion: &Completion) -> String {
    match &completion.error {
        Some((FunctionError::Unhandled, details)) => String::from_utf8_lossy(details).into_owned(),
        Some((FunctionError::Handled, _)) => panic!("of nodejs4.3 to 8.10 alone"),
        None => String::new(),
    }
}

/// Words → what the client reads, a part of its error, and the process that runs the next invocation.
#[tokio::test]
async fn a_response_ends_as_its_function_does() {
    let mut rows = JoinSet::new();
    for (words, body, error, next) in [
        ("stream a b", "ab", "", "1.1.2"),
        ("stream", "", "", "1.1.2"),
        ("begin;part a;sleep 50;part b;end", "ab", "", "1.1.2"),
        // Not streamed: there at once, and whole.
        ("respond ok", "ok", "", "1.1.2"),
        ("error {\"errorType\":\"Mine\"}", "", "{\"errorType\":\"Mine\"}", "1.1.2"),
        ("big 6291557", "", "maximum allowed payload size (6291556 bytes)", "1.1.2"),
        // In the middle.
        ("failstream a", "a", "{2}", "1.1.2"),
        ("begin;part a;sleep 50;exit 7", "a", "Runtime exited with error: exit status 7", "1.2.1"),
        ("begin;part a;break;sleep 50;exit 7", "a", "Runtime exited with error: exit status 7", "1.2.1"),
        ("begin;part a;hang", "a", "Task timed out after 1.00 seconds", "1.2.1"),
        ("hang", "", "Task timed out after 1.00 seconds", "1.2.1"),
        // What broke off is not begun once more.
        ("begin;part a;sleep 50;break;sleep 50;respond b;exit 7", "a", "exit status 7", "1.2.1"),
    ] {
        rows.spawn(async move {
            let world = world(4, 1);
            let (bytes, completion) = rest(world.stream(words).await.unwrap()).await;
            assert_eq!(String::from_utf8_lossy(&bytes), body, "{words}");
            let details = details(&completion);
            assert!(details.contains(error) && details.is_empty() == error.is_empty(), "{words}: {details}");
            let tail = completion.log_tail.expect("asked for");
            assert!(String::from_utf8_lossy(&tail).contains("REPORT RequestId: "), "{words}");
            world.settle().await;
            assert_eq!(world.say("who").await, next, "{words}");
            world.end(4).await;
        });
    }
    while let Some(row) = rows.join_next().await {
        row.unwrap();
    }
}

#[tokio::test]
async fn an_answer_begins_before_it_ends() {
    let world = world(2, 5);
    assert_eq!(world.say("who").await, "1.1.1");
    let begun = Instant::now();
    let mut streamed = world.stream("begin;part a;sleep 700;part b;end").await.unwrap();
    assert_eq!(
        (&*streamed.executed_version, streamed.content_type.as_deref()),
        ("$LATEST", Some("text/plain"))
    );
    assert_eq!(streamed.next().await.unwrap(), Piece::Chunk("a".into()));
    assert!(begun.elapsed() < Duration::from_millis(500), "{:?}", begun.elapsed());
    assert_eq!(rest(streamed).await.0, b"b");
    assert!(begun.elapsed() >= Duration::from_millis(700));
    world.end(2).await;
}

/// 32 MiB for a client that reads nothing: what is on its way is a few socket buffers, the function waits in its
/// write, and everybody else is served.
#[tokio::test]
async fn a_slow_client_slows_its_function_and_nobody_else() {
    let world = world(4, 20);
    let streamed = world.stream("begin;parts 512 65536;end;print written").await.unwrap();
    sleep(Duration::from_millis(500)).await;
    assert_eq!(world.say("respond meanwhile").await, "meanwhile");
    let written = || world.logs.lines().iter().any(|line| line == "written");
    assert!(!written(), "nobody has read it");
    assert_eq!(rest(streamed).await.0.len(), 512 * 65536);
    world.settle().await;
    assert!(written());
    world.end(4).await;
}

#[tokio::test]
async fn a_function_whose_client_has_gone_away_runs_on() {
    let world = world(4, 20);
    let mut streamed = world.stream("begin;parts 512 65536;end;print written").await.unwrap();
    assert!(matches!(streamed.next().await, Ok(Piece::Chunk(_))));
    drop(streamed);
    let until = Instant::now() + Duration::from_secs(10);
    while !world.logs.lines().iter().any(|line| line == "written") {
        assert!(Instant::now() < until, "it still waits for its client");
        sleep(Duration::from_millis(10)).await;
    }
    world.settle().await;
    assert_eq!(world.say("who").await, "1.1.2", "the environment is unhurt");
    world.end(4).await;
}

#[tokio::test]
async fn a_streamed_response_has_at_most_200_megabytes() {
    let world = world(2, 60);
    let (bytes, completion) = rest(world.stream("begin;parts 3201 65536;end").await.unwrap()).await;
    assert!(bytes.len() <= quota::STREAMED_RESPONSE_BYTES, "{}", bytes.len());
    assert!(bytes.len() > quota::STREAMED_RESPONSE_BYTES - 65536, "{}", bytes.len());
    assert_eq!(
        details(&completion),
        r#"{"errorMessage":"Response payload size exceeded maximum allowed payload size (209715200 bytes).","errorType":"Function.ResponseSizeTooLarge"}"#
    );
    world.settle().await;
    assert_eq!(world.say("who").await, "1.1.2");
    world.end(2).await;
}

/// Readers of all kinds at once; each response is its own, and nothing is left.
#[tokio::test]
async fn a_storm_of_readers() {
    let world = std::sync::Arc::new(world(16, 10));
    let mut readers = JoinSet::new();
    for number in 0..160_u32 {
        let world = std::sync::Arc::clone(&world);
        readers.spawn(async move {
            let mark = format!("mark-{number}");
            let words = match number % 5 {
                0 => format!("begin;part {mark};end"),
                1 => format!("begin;part {mark};parts 40 20000;end"),
                2 => format!("begin;part {mark};parts 40 20000;exit 3"),
                3 => format!("respond {mark}"),
                _ => format!("stream {mark}"),
            };
            // As AWS's SDKs: again, after a throttle.
            let mut streamed = loop {
                match world.stream(&words).await {
                    Ok(streamed) => break streamed,
                    Err(_) => sleep(Duration::from_millis(20)).await,
                }
            };
            match streamed.next().await.unwrap() {
                Piece::Chunk(chunk) => assert!(chunk.starts_with(mark.as_bytes()), "{chunk:?}"),
                // A crash may be faster than what it wrote.
                Piece::End(completion) => return assert!(number % 5 == 2 && completion.error.is_some()),
            }
            match number % 3 {
                0 => drop(streamed),
                1 => drop(rest(streamed).await),
                _ => {
                    sleep(Duration::from_millis(50)).await;
                    drop(rest(streamed).await);
                }
            }
        });
    }
    while let Some(reader) = readers.join_next().await {
        reader.unwrap();
    }
    world.settle().await;
    std::sync::Arc::into_inner(world).expect("all are done").end(16).await;
}
