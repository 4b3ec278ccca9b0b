//! Init ahead of the first invocation, and inside one.

use std::time::Duration;

use lambkin_model::invocation::FunctionError;
use tokio::time::Instant;

use crate::world::World;

/// Words of the inits → the answer of `who`, its log lines, and the time it takes in milliseconds.
#[tokio::test(start_paused = true)]
async fn a_failed_init_runs_again_inside_the_invocation() {
    let posted = r#"{"errorType":"Function.Fake"}"#;
    let fail = &*format!("initerror {posted};exit 129");
    let linger = &*format!("initerror {posted};hang");
    let lie = &*format!("initerror {posted};ready;hang");
    let exit = "exit status 7";
    let twice = "INIT_START INIT_REPORT INIT_REPORT START END REPORT";
    let twice_exited = &*format!("{twice} FAULT");
    let twice_timed_out = &*format!("{twice} TIMED OUT");
    let again = "INIT_START INIT_REPORT START END REPORT";
    for (inits, timeout, expected, lines, took) in [
        (&[("INIT", "sleep 100")][..], 3, "1.1.1", "INIT_START START END REPORT", 100),
        (&[("INIT", fail)], 3, posted, twice, 0),
        // It announced its end, so it is given two seconds for it.
        (&[("INIT", linger)], 3, posted, twice, 4000),
        (&[("INIT", lie)], 3, posted, twice, 0),
        (&[("INIT_1", fail)], 3, "1.2.1", again, 0),
        (&[("INIT", "exit 7")], 3, exit, twice_exited, 0),
        (&[("INIT", "garbage;hang")], 3, "signal: killed", twice_exited, 0),
        (&[("INIT", "close;hang")], 3, "signal: killed", twice_exited, 0),
        (&[("INIT_1", "garbage;ready;hang")], 3, "1.2.1", again, 0),
        (&[("INIT_1", "exit 7")], 3, "1.2.1", again, 0),
        // Ten seconds ahead of it, then the function's own time.
        (&[("INIT", "sleep 12000")], 60, "1.2.1", again, 22_000),
        (&[("INIT", "hang")], 3, "Task timed out after 3.00 seconds", twice_timed_out, 13_000),
        (&[("INIT", "sleep 9900")], 3, "1.1.1", "INIT_START START END REPORT", 9_900),
        // What it says before it was given anything is no result.
        (&[("INIT", "respond early")], 3, "1.1.1", "INIT_START START END REPORT", 0),
        (&[("INIT", "error early")], 3, "1.1.1", "INIT_START START END REPORT", 0),
        (&[("INIT_1", "exit 7"), ("INIT_2", "error early")], 3, "1.2.1", again, 0),
        (&[("INIT_1", "exit 7"), ("INIT_2", "big 7000000")], 3, "1.2.1", again, 0),
    ] {
        let world = World::new(4, 2);
        world.function_with_init(timeout, inits);
        let begun = Instant::now();
        let reply = world.run("who").await.unwrap();
        let (said, took_now) = (String::from_utf8_lossy(&reply.outcome.payload), begun.elapsed().as_millis());
        assert!(said.contains(expected), "{inits:?}: {said}");
        let failed = !said.starts_with("1.");
        assert_eq!(reply.outcome.error, failed.then_some(FunctionError::Unhandled), "{inits:?}");
        assert!((took..took + 30).contains(&took_now), "{inits:?}: {took_now}");
        world.settle().await;
        assert_eq!(world.logs.words().join(" "), lines, "{inits:?}");
        let report = world.logs.lines().into_iter().find(|line| line.starts_with("REPORT")).unwrap();
        let reset = lines.contains("INIT_REPORT");
        assert_eq!(report.contains("Init Duration"), !reset, "{inits:?}: {report}");
        world.invoker.shutdown(Duration::from_secs(5)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn every_later_invocation_starts_a_failing_init_anew() {
    let world = World::new(4, 2);
    world.function_with_init(3, &[("INIT", "initerror {};exit 1"), ("INIT_4", "")]);
    for expected in ["{}", "{}", "1.4.1", "1.4.2"] {
        assert_eq!(world.say("who").await, expected);
    }
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn init_start_is_in_the_log_while_the_init_still_runs() {
    let world = World::new(4, 2);
    world.function_with_init(3, &[("INIT", "sleep 5000")]);
    let running = world.start("who");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(world.logs.words(), ["INIT_START"]);
    running.await.unwrap().unwrap();
    world.end(4).await;
}

#[tokio::test(start_paused = true)]
async fn an_init_error_too_large_to_keep_is_said_so() {
    let world = World::new(4, 2);
    world.function_with_init(3, &[]);
    world.function("f", |version| {
        let variables = [("INIT".to_owned(), "biginiterror 7000000;exit 1".to_owned())];
        version.configuration.variables = Some(variables.into());
    });
    assert!(world.say("who").await.contains("Function.ResponseSizeTooLarge"));
    world.end(4).await;
}
