//! What becomes of events: retries, ages, throttles, fairness, changes, targets that are away, shutdowns.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::queue::{QueueError, Queues as _};
use serde_json::{Value, json};

use crate::events::{Act, OTHER, QUEUE, World, configured, key, throttle};

fn json_of(text: &str) -> Value {
    serde_json::from_str(text).unwrap()
}

#[tokio::test(start_paused = true)]
async fn an_event_runs_once_and_is_gone() {
    let mut world = World::new();
    world.function("f", |head| configured(head, |config| config.on_success = Some(QUEUE.into())));
    world.start();
    let id = world.send("f").await;
    world.until("it ends", |world| world.counted("f").succeeded == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.attempts("f").len(), 1);
    assert_eq!(world.functions.attempts.lock().unwrap()[0].2, id);
    assert_eq!(world.counts("f").await.oldest, None);
    let record = json_of(&world.letters()[0].1);
    assert_eq!(record["requestContext"]["requestId"], id.to_string());
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 1);
    assert_eq!(record["responsePayload"], json!({ "ok": true }));
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn errors_are_retried_and_then_told_to_both() {
    for (retries, begins) in
        [(None, vec![0.0, 60.0, 180.0]), (Some(1), vec![0.0, 60.0]), (Some(0), vec![0.0])]
    {
        let mut world = World::new();
        world.function("f", |head| {
            head.latest.configuration.dead_letter = Some(QUEUE.into());
            configured(head, |config| {
                config.maximum_retry_attempts = retries;
                config.on_failure = Some(OTHER.into());
                config.on_success = Some("arn:aws:sqs:us-east-1:000000000000:never".into());
            });
        });
        world.behaves("f", |_, _| Act::Fail);
        world.start();
        let begin = tokio::time::Instant::now();
        let id = world.send("f").await;
        world.until("it ends", |world| world.counted("f").dropped == 1).await;
        let first = world.attempts("f")[0];
        let since: Vec<f64> =
            world.attempts("f").iter().map(|at| ((at - first) * 10.0).round() / 10.0).collect();
        assert_eq!(since, begins, "{retries:?} {begin:?}");
        let ids: Vec<_> = world.functions.attempts.lock().unwrap().iter().map(|attempt| attempt.2).collect();
        assert!(ids.iter().all(|each| *each == id), "one request id over all attempts");
        let letters = world.letters();
        assert_eq!(letters.iter().map(|(arn, _)| arn.as_str()).collect::<Vec<_>>(), [OTHER, QUEUE]);
        let record = json_of(&letters[0].1);
        assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
        assert_eq!(record["requestContext"]["approximateInvokeCount"], begins.len());
        assert_eq!(record["responseContext"]["functionError"], "Unhandled");
        assert_eq!(letters[1].1, "{\"k\":1}", "the event itself");
        let counted = world.counted("f");
        assert_eq!(
            (counted.dead_lettered, counted.recorded, counted.retried),
            (1, 1, begins.len() as u64 - 1)
        );
        world.stop(1.0).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_retry_that_would_come_too_late_is_not_waited_for() {
    let mut world = World::new();
    world.function("f", |head| {
        configured(head, |config| {
            config.maximum_event_age = Some(100);
            config.on_failure = Some(OTHER.into());
        });
    });
    world.behaves("f", |_, _| Act::Fail);
    world.start();
    world.send("f").await;
    world.until("it ends", |world| world.counted("f").dropped == 1).await;
    assert_eq!(world.attempts("f").len(), 2, "at 0 and 60 seconds; the third would be at 180");
    let record = json_of(&world.letters()[0].1);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 2);
    assert_eq!(record["responsePayload"]["errorMessage"], "no");
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn throttles_wait_and_count_no_attempt() {
    let mut world = World::new();
    world.function("f", |_| {});
    // Shut for the first minute, then open.
    world.behaves("f", |_, nth| if nth <= 6 { throttle() } else { Act::Succeed });
    world.start();
    for _ in 0..20 {
        world.send("f").await;
    }
    world.until("they end", |world| world.counted("f").succeeded == 20).await;
    let attempts = world.attempts("f");
    assert_eq!(attempts.len(), 26);
    // The window's first events find the door shut together; from then on one asks for all.
    let asked: Vec<f64> =
        attempts.windows(2).map(|pair| pair[1] - pair[0]).filter(|pause| *pause > 0.5).collect();
    assert!(asked.windows(2).all(|pair| pair[1] > pair[0] * 1.8), "{asked:?}");
    assert_eq!(world.counted("f").dropped, 0);
    assert_eq!(world.counted("f").throttled, 6);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn what_stays_throttled_ends_by_its_age() {
    let mut world = World::new();
    world.function("f", |head| {
        head.latest.configuration.dead_letter = Some(QUEUE.into());
        configured(head, |config| {
            config.maximum_event_age = Some(60);
            config.on_failure = Some(OTHER.into());
        });
    });
    world.behaves("f", |_, _| throttle());
    world.start();
    let begin = tokio::time::Instant::now();
    for _ in 0..100 {
        world.send("f").await;
    }
    world.until("they end", |world| world.counted("f").dropped == 100).await;
    assert!((60.0..62.0).contains(&begin.elapsed().as_secs_f64()), "{:?}", begin.elapsed());
    let letters = world.letters();
    assert_eq!(letters.len(), 200);
    let record = json_of(&letters[0].1);
    assert_eq!(record["requestContext"]["condition"], "EventAgeExceeded");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record["responseContext"], json!({ "statusCode": 429 }));
    assert_eq!(record.get("responsePayload"), None);
    assert!(world.attempts("f").len() < 20, "one asks for all: {}", world.attempts("f").len());
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn errors_of_the_platform_are_retried_with_growing_pauses() {
    let mut world = World::new();
    world.function("f", |_| {});
    world.behaves("f", |_, nth| match nth {
        ..=4 => Act::Refuse(Error::Service("no process".into())),
        _ => Act::Succeed,
    });
    world.start();
    world.send("f").await;
    world.until("it ends", |world| world.counted("f").succeeded == 1).await;
    let attempts = world.attempts("f");
    let pauses: Vec<f64> = attempts.windows(2).map(|pair| (pair[1] - pair[0]).round()).collect();
    assert_eq!(pauses, [1.0, 2.0, 4.0, 8.0]);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_reserved_goes_to_its_letters_at_once_or_waits() {
    let mut world = World::new();
    world.function("told", |head| {
        head.reserved_concurrency = Some(0);
        head.latest.configuration.dead_letter = Some(QUEUE.into());
        configured(head, |config| config.on_failure = Some(OTHER.into()));
    });
    world.function("waits", |head| head.reserved_concurrency = Some(0));
    world.start();
    world.send("told").await;
    world.send("waits").await;
    tokio::time::sleep(Duration::from_secs(10)).await;
    let record = json_of(&world.letters()[0].1);
    assert_eq!(record["requestContext"]["condition"], "ZeroReservedConcurrency");
    assert_eq!(record["requestContext"]["approximateInvokeCount"], 0);
    assert_eq!(record.get("responseContext"), None);
    assert_eq!(world.counts("waits").await.in_flight, 1);
    assert_eq!(world.functions.attempts.lock().unwrap().len(), 0);
    // A change is seen at once, whatever the pause has grown to.
    tokio::time::sleep(Duration::from_secs(200)).await;
    world.function("waits", |head| head.reserved_concurrency = None);
    tokio::time::sleep(Duration::from_millis(100)).await;
    assert_eq!(world.counted("waits").succeeded, 1);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_long_backlog_does_not_delay_another_function() {
    let mut world = World::with(10);
    for name in ["long", "short"] {
        world.function(name, |_| {});
        world.behaves(name, |_, _| Act::Succeed.after(0.1));
    }
    for _ in 0..3_000 {
        world.send("long").await;
    }
    world.start();
    tokio::time::sleep(Duration::from_secs(5)).await;
    let begin = tokio::time::Instant::now();
    world.send("short").await;
    world.until("it ends", |world| world.counted("short").succeeded == 1).await;
    assert!(begin.elapsed() < Duration::from_millis(400), "{:?}", begin.elapsed());
    let done = world.counted("long").succeeded;
    assert!((200..3_000).contains(&done), "the backlog is there, and moves: {done}");
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn ends_share_their_writes_and_a_lone_one_does_not_wait() {
    let mut world = World::with(1);
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Succeed.after(0.001));
    for _ in 0..500 {
        world.send("f").await;
    }
    world.start();
    world.until("they end", |world| world.counted("f").succeeded == 500).await;
    assert_eq!(world.counts("f").await.oldest, None);
    let writes = world.queues.settlings.load(Ordering::Relaxed);
    assert!((1..100).contains(&writes), "one after the other they would be 500: {writes}");
    world.send("f").await;
    tokio::time::sleep(Duration::from_millis(6)).await;
    assert_eq!(world.counts("f").await.oldest, None, "it is written at once");
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_bound_of_the_function_is_found_and_used() {
    let mut world = World::with(900);
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Succeed.after(1.0));
    world.limit("f", 7);
    for _ in 0..700 {
        world.send("f").await;
    }
    world.start();
    let begin = tokio::time::Instant::now();
    world.until("they end", |world| world.counted("f").succeeded == 700).await;
    let ideal = 700.0 / 7.0;
    let took = begin.elapsed().as_secs_f64();
    assert!(took < ideal * 1.25, "{took} of {ideal}");
    assert_eq!(world.functions.most.lock().unwrap()[&key("f")], 7);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn waiting_functions_get_many_at_once() {
    let mut world = World::with(500);
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Succeed.after(2.0));
    for _ in 0..3_000 {
        world.send("f").await;
    }
    world.start();
    let begin = tokio::time::Instant::now();
    world.until("they end", |world| world.counted("f").succeeded == 3_000).await;
    let took = begin.elapsed().as_secs_f64();
    assert!(took < 60.0, "one after the other it would take 6,000 s, with 500 at once 12: {took}");
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_change_holds_for_what_waits() {
    let mut world = World::new();
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Fail);
    world.start();
    world.send("f").await;
    world.until("one attempt", |world| world.counted("f").retried == 1).await;
    // New code, and no more retries.
    world.behaves("f", |_, _| Act::Succeed);
    world.function("f", |head| configured(head, |config| config.on_success = Some(QUEUE.into())));
    world.until("it ends", |world| world.counted("f").succeeded == 1).await;
    assert_eq!(world.attempts("f").len(), 2);
    assert_eq!(json_of(&world.letters()[0].1)["requestContext"]["approximateInvokeCount"], 2);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_deleted_functions_events_end_where_they_were_to_fail() {
    let mut world = World::new();
    world.function("f", |head| {
        head.latest.configuration.dead_letter = Some(QUEUE.into());
        configured(head, |config| config.on_failure = Some(OTHER.into()));
    });
    world.function("untold", |_| {});
    for name in ["f", "untold"] {
        for _ in 0..100 {
            world.send(name).await;
        }
        world.delete(name);
    }
    // Another one of the name is another function.
    world.function("f", |head| head.identity = "another".into());
    world.start();
    world
        .until("they end", |world| world.counted("f").dropped + world.counted("untold").dropped == 200)
        .await;
    assert!(world.functions.attempts.lock().unwrap().is_empty());
    let letters = world.letters();
    assert_eq!(letters.len(), 200);
    let record = json_of(&letters[0].1);
    assert_eq!(record["requestContext"]["condition"], "RetriesExhausted");
    assert_eq!(record["responseContext"], json!({ "statusCode": 404 }));
    for name in ["f", "untold"] {
        world.until("nothing is left", |_| true).await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(world.counts(name).await.oldest, None);
    }
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_is_away_gets_it_later() {
    let mut world = World::new();
    world.function("f", |head| head.latest.configuration.dead_letter = Some(QUEUE.into()));
    world.function("f", |head| configured(head, |config| config.maximum_retry_attempts = Some(0)));
    world.behaves("f", |_, _| Act::Fail);
    world.letters.missing.lock().unwrap().insert(QUEUE.into());
    world.start();
    world.send("f").await;
    world.until("it ends", |world| world.counted("f").undelivered == 1).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(world.counts("f").await.oldest, None, "the event itself is over");
    world.stop(1.0).await;
    // What is kept is kept over a restart.
    world.start();
    tokio::time::sleep(Duration::from_secs(600)).await;
    assert_eq!(world.letters(), []);
    world.letters.missing.lock().unwrap().clear();
    world.until("it is delivered", |world| world.counted("f").dead_lettered == 1).await;
    assert_eq!(world.letters()[0], (QUEUE.to_owned(), "{\"k\":1}".to_owned()));
    let attributes: Vec<String> =
        world.letters.posted.lock().unwrap()[0].1.attributes.iter().map(|each| each.name.clone()).collect();
    assert_eq!(attributes, ["RequestID", "ErrorCode", "ErrorMessage"]);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_target_that_stays_away_is_given_up_and_counted() {
    let mut world = World::new();
    world.function("f", |head| head.latest.configuration.dead_letter = Some(QUEUE.into()));
    world.behaves("f", |_, _| Act::Fail);
    world.letters.missing.lock().unwrap().insert(QUEUE.into());
    world.start();
    world.send("f").await;
    world.until("it is given up", |world| world.counted("f").delivery_failures == 1).await;
    let counted = world.counted("f");
    assert_eq!((counted.undelivered, counted.dead_lettered), (0, 0));
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_function_as_destination_gets_an_event() {
    let mut world = World::new();
    let other = "arn:aws:lambda:us-east-1:000000000000:function:g";
    world.function("f", |head| configured(head, |config| config.on_success = Some(other.into())));
    world.function("g", |_| {});
    world.start();
    world.send("f").await;
    world.until("it ends", |world| world.counted("g").succeeded == 1).await;
    let attempts = world.functions.attempts.lock().unwrap();
    let record: Value = serde_json::from_slice(&attempts[1].1).unwrap();
    assert_eq!(record["requestContext"]["condition"], "Success");
    assert_ne!(attempts[0].2, attempts[1].2, "an invocation of its own");
}

#[tokio::test(start_paused = true)]
async fn circles_end_at_the_dead_letter_queue() {
    let mut world = World::new();
    world.function("f", |head| head.latest.configuration.dead_letter = Some(QUEUE.into()));
    world.behaves("f", |_, _| Act::Refuse(Error::RecursiveInvocation));
    world.start();
    world.send("f").await;
    world.until("it ends", |world| world.counted("f").recursive == 1).await;
    assert_eq!((world.attempts("f").len(), world.letters().len()), (1, 1), "it is not tried again");
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_lets_running_ones_end_and_leaves_the_rest() {
    let mut world = World::with(4);
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Succeed.after(2.0));
    for _ in 0..10 {
        world.send("f").await;
    }
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = tokio::time::Instant::now();
    world.stop(30.0).await;
    assert_eq!(begin.elapsed().as_secs(), 1, "as long as they run");
    assert_eq!(world.counted("f").succeeded, 4);
    let counts = world.counts("f").await;
    assert_eq!(counts.visible + counts.in_flight, 6);
}

#[tokio::test(start_paused = true)]
async fn a_shutdown_does_not_wait_for_ever() {
    let mut world = World::new();
    world.function("f", |_| {});
    world.behaves("f", |_, _| Act::Succeed.after(600.0));
    world.send("f").await;
    world.start();
    tokio::time::sleep(Duration::from_secs(1)).await;
    let begin = tokio::time::Instant::now();
    world.stop(3.0).await;
    assert_eq!(begin.elapsed().as_secs(), 3);
    assert_ne!(world.counts("f").await.oldest, None, "it runs again with the next process");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_a_while_loses_nothing() {
    let mut world = World::new();
    world.function("f", |head| head.latest.configuration.dead_letter = Some(QUEUE.into()));
    world.function("f", |head| configured(head, |config| config.maximum_retry_attempts = Some(0)));
    world.behaves("f", |_, _| Act::Fail);
    world.start();
    world.send("f").await;
    world.queues.fail(Some(QueueError::Full("no room".into())));
    let asked = world.asked("f");
    assert!(matches!(world.asynchronous.send(asked).await, Err(Error::TooManyRequests { .. })));
    world.queues.fail(Some(QueueError::Unavailable("no disk".into())));
    let asked = world.asked("f");
    assert!(matches!(world.asynchronous.send(asked).await, Err(Error::Service(_))));
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_ne!(world.counts("f").await.oldest, None, "neither the event nor its letter is lost");
    world.queues.fail(None);
    tokio::time::sleep(Duration::from_secs(10)).await;
    assert_eq!(world.counts("f").await.oldest, None);
    assert_eq!(world.attempts("f").len(), 1);
    world.stop(1.0).await;
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_is_refused() {
    let world = World::new();
    world.function("f", |_| {});
    let nothing = world.asynchronous.send(world.asked("nothing")).await.unwrap_err();
    let arn = "arn:aws:lambda:us-east-1:000000000000:function:nothing:$LATEST";
    assert_eq!(nothing, Error::FunctionNotFound { arn: arn.into() });
    let mut asked = world.asked("f");
    asked.payload = vec![b'1'; 1024 * 1024 + 1].into();
    let said = world.asynchronous.send(asked).await.unwrap_err().to_string();
    let expected = "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)";
    assert_eq!(said, expected);
}

const ELSEWHERE: &str = "arn:aws:sqs:us-east-1:111111111111:letters";

#[tokio::test(start_paused = true)]
async fn what_goes_elsewhere_waits_until_it_is_taken() {
    let mut world = World::new();
    world.function("f", |head| configured(head, |config| config.on_success = Some(ELSEWHERE.into())));
    world.elsewhere.away.store(true, std::sync::atomic::Ordering::Relaxed);
    world.start();
    for _ in 0..30 {
        world.send("f").await;
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!((world.counted("f").succeeded, world.counts("f").await.oldest), (30, None));
    assert_eq!(world.elsewhere.came.lock().unwrap().len(), 0);
    // Over a restart.
    world.stop(5.0).await;
    world.start();
    world.elsewhere.away.store(false, std::sync::atomic::Ordering::Relaxed);
    world.until("all came", |world| world.elsewhere.came.lock().unwrap().len() == 30).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    let came = world.elsewhere.came.lock().unwrap();
    let ids: std::collections::BTreeSet<String> = came
        .iter()
        .map(|(arn, record)| {
            assert_eq!((arn.as_str(), record.trace_id.as_deref()), (ELSEWHERE, Some("Root=1-a")));
            json_of(std::str::from_utf8(&record.body).unwrap())["requestContext"]["requestId"].to_string()
        })
        .collect();
    assert_eq!((came.len(), ids.len()), (30, 30), "each once");
}

#[tokio::test(start_paused = true)]
async fn what_nobody_takes_elsewhere_is_given_up_and_counted() {
    let mut world = World::new();
    world.function("f", |head| configured(head, |config| config.on_success = Some(ELSEWHERE.into())));
    world.elsewhere.away.store(true, std::sync::atomic::Ordering::Relaxed);
    world.start();
    world.send("f").await;
    let given_up =
        |world: &World| world.counters.outbound.given_up.load(std::sync::atomic::Ordering::Relaxed);
    world.until("it is given up", |world| given_up(world) == 1).await;
    assert!(world.queues.names("outbound/").await.unwrap().is_empty());
    world.stop(1.0).await;
}
