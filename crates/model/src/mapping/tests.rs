use super::*;

fn change() -> Change {
    Change::default()
}

#[test]
fn settings_keep_awss_rules() {
    let window =
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    for (change, fifo, expected) in [
        (change(), false, ""),
        (change(), true, ""),
        (Change { batch_size: Some(10), ..change() }, true, ""),
        (
            Change { batch_size: Some(11), ..change() },
            true,
            "Maximum batch size must be between 1 and 10 inclusive",
        ),
        (Change { batch_size: Some(11), ..change() }, false, window),
        (Change { batch_size: Some(11), batching_window: Some(1), ..change() }, false, ""),
        (Change { batch_size: Some(10_000), batching_window: Some(300), ..change() }, false, ""),
        (
            Change { batching_window: Some(1), ..change() },
            true,
            "Batching window is not supported for FIFO queues",
        ),
        (Change { filters: Some(vec!["{}".into(); 5]), ..change() }, false, ""),
        (
            Change { filters: Some(vec!["{}".into(); 6]), ..change() },
            false,
            "Filter criteria may have at most 5 filters.",
        ),
    ] {
        let said = Settings::new().with(change.clone(), fifo).err().map(|error| error.to_string());
        assert_eq!(said.unwrap_or_default(), expected, "{change:?}");
    }
}

#[test]
fn a_change_leaves_what_it_does_not_name() {
    let first = Change {
        batch_size: Some(50),
        batching_window: Some(5),
        report_failures: Some(true),
        filters: Some(vec!["{}".into()]),
        maximum_concurrency: Some(Some(7)),
        event_counts: Some(true),
    };
    let settings = Settings::new().with(first, false).unwrap();
    assert_eq!(settings.with(change(), false).unwrap(), settings);
    let less = Change { filters: Some(Vec::new()), maximum_concurrency: Some(None), ..change() };
    let less = settings.with(less, false).unwrap();
    assert_eq!((less.filters.len(), less.maximum_concurrency, less.batch_size), (0, None, 50));
    // The rules hold for the whole, whichever half was changed last.
    assert!(settings.with(Change { batching_window: Some(0), ..change() }, false).is_err());
}

#[test]
fn states_move_as_awss_do() {
    use State::{Creating, Deleting, Disabled, Disabling, Enabled, Enabling, Updating};
    assert_eq!((State::created(true), State::created(false)), (Creating, Disabled));
    for (state, enabled, expected) in [
        (Enabled, None, Some((Updating, true))),
        (Enabled, Some(true), Some((Updating, true))),
        (Enabled, Some(false), Some((Disabling, false))),
        (Disabled, None, Some((Updating, false))),
        (Disabled, Some(false), Some((Updating, false))),
        (Disabled, Some(true), Some((Enabling, true))),
        (Creating, None, None),
        (Enabling, Some(false), None),
        (Disabling, Some(true), None),
        (Updating, None, None),
        (Deleting, None, None),
    ] {
        assert_eq!(state.changed(enabled), expected, "{state:?} {enabled:?}");
    }
}

#[test]
fn sources() {
    for (arn, expected) in [
        (Some("arn:aws:sqs:us-east-1:000000000000:q"), "000000000000/us-east-1/q standard"),
        (Some("arn:aws:sqs:us-east-1:000000000000:q.fifo"), "000000000000/us-east-1/q.fifo fifo"),
        (None, "Unrecognized event source."),
        (Some(""), "Unrecognized event source."),
        (Some("arn:aws:s3:::bucket"), "Unrecognized event source."),
        (Some("q"), "Unrecognized event source."),
        (
            Some("arn:aws:sqs:eu-west-1:000000000000:q"),
            "The event source and the function must be in the same region: 'eu-west-1' is not 'us-east-1'.",
        ),
        (
            Some("arn:aws:kinesis:us-east-1:000000000000:stream/s"),
            "lambkin does not poll Kinesis streams; it polls SQS queues (EventSourceArn).",
        ),
        (
            Some("arn:aws:dynamodb:us-east-1:000000000000:table/t/stream/2026-01-01T00:00:00.000"),
            "lambkin does not poll DynamoDB streams; it polls SQS queues (EventSourceArn).",
        ),
    ] {
        let said = match QueueSource::parse(arn, "us-east-1") {
            Ok(source) => format!("{} {}", source.key, if source.fifo { "fifo" } else { "standard" }),
            Err(error) => error.to_string(),
        };
        assert_eq!(said, expected, "{arn:?}");
    }
}

#[test]
fn the_visibility_timeout_covers_the_functions() {
    assert_eq!(check_visibility(Duration::from_secs(60), 60), Ok(()));
    assert_eq!(
        check_visibility(Duration::from_secs(30), 60).unwrap_err().to_string(),
        "Queue visibility timeout: 30 seconds is less than Function timeout: 60 seconds"
    );
}

#[test]
fn names() {
    let mapping = Mapping {
        key: ResourceKey { account: "000000000000".into(), region: "us-east-1".into(), name: "u".into() },
        source: "arn:aws:sqs:us-east-1:000000000000:q".into(),
        function: FunctionKey {
            account: "000000000000".into(),
            region: "us-east-1".into(),
            name: "f".into(),
        },
        qualifier: Some("$LATEST".into()),
        settings: Settings::new(),
        enabled: true,
        state: State::Enabled,
        last_modified: Timestamp(0),
        tags: std::collections::BTreeMap::new(),
    };
    assert_eq!(mapping.arn(), "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:u");
    assert_eq!(mapping.function_arn(), "arn:aws:lambda:us-east-1:000000000000:function:f:$LATEST");
    assert_eq!(
        Mapping { qualifier: None, ..mapping }.duplicate().to_string(),
        "An event source mapping with SQS arn (\" arn:aws:sqs:us-east-1:000000000000:q \") and function (\" f \") \
         already exists. Please update or delete the existing mapping with UUID u"
    );
}

/// A record of format 1, as it was first written.
#[test]
fn reads_format_1() {
    let kept = include_str!("mapping-1.json");
    let mapping: Mapping = serde_json::from_str(kept).unwrap();
    assert_eq!(mapping.settings.maximum_concurrency, Some(5));
    assert_eq!(serde_json::to_string(&mapping).unwrap(), kept.trim_end());
}

#[test]
fn reads_format_2() {
    let kept = include_str!("mapping-2.json");
    let mapping: Mapping = serde_json::from_str(kept).unwrap();
    assert_eq!(mapping.tags["team"], "orders");
    assert_eq!(serde_json::to_string(&mapping).unwrap(), kept.trim_end());
}

#[test]
fn reads_format_3() {
    let kept = include_str!("mapping-3.json");
    let mapping: Mapping = serde_json::from_str(kept).unwrap();
    assert!(mapping.settings.event_counts);
    assert_eq!(serde_json::to_string(&mapping).unwrap(), kept.trim_end());
}
