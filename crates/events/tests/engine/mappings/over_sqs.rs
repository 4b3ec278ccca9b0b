//! Over the SQS-compatible service itself: FIFO receipt handles that expire, redrive, message ids.

use super::{reporting, seconds};
use crate::mapping_world::{Said, SqsWorld};

/// The visibility timeout is shorter than the function runs, so that the messages' leases are extended,
/// and the handles have to stay good.
#[tokio::test(start_paused = true)]
async fn fifo_messages_stay_invisible_while_the_function_runs() {
    let world = SqsWorld::new(&[("FifoQueue", "true"), ("VisibilityTimeout", "30")], "q.fifo").await;
    world.function.says(|call| {
        let failing = call.bodies.iter().zip(&call.received).filter(|(body, _)| *body == "a-2");
        let failing = failing.filter(|(_, received)| *received == "1").map(|(body, _)| body.clone());
        (seconds(100), Said::Report(failing.collect()))
    });
    world.send(&["a-1", "a-2", "a-3", "b-1"]).await;
    world.map(reporting()).await;
    tokio::time::sleep(seconds(1)).await;
    world.send(&["a-4"]).await;
    world.until_empty().await;
    assert_eq!(world.function.bodies(), [vec!["a-1", "a-2", "a-3", "b-1"], vec!["a-2", "a-3", "a-4"]],);
    assert_eq!(world.function.calls()[1].received, ["2", "2", "1"]);
}

#[tokio::test(start_paused = true)]
async fn what_fails_too_often_is_a_dead_letter() {
    let redrive = r#"{"deadLetterTargetArn":"arn:aws:sqs:us-east-1:000000000000:dead","maxReceiveCount":3}"#;
    let world = SqsWorld::new(&[("RedrivePolicy", redrive)], "q").await;
    world.function.says(|call| {
        let bad = call.bodies.iter().filter(|body| body.starts_with("bad")).cloned();
        (seconds(1), Said::Report(bad.collect()))
    });
    world.map(reporting()).await;
    world.send(&["good-1", "bad-1", "good-2"]).await;
    world.until_empty().await;
    let bodies = world.function.bodies();
    assert_eq!(bodies.iter().flatten().filter(|body| *body == "bad-1").count(), 3, "{bodies:?}");
    assert_eq!(bodies.iter().flatten().count(), 5);
    assert_eq!(world.receive("dead").await, ["bad-1"]);
}
