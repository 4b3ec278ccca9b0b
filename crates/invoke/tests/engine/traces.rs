//! Traces: who decides, what the function is told, and the spans of init and invocation.

use lambkin_model::trace::{Span, SpanId, SpanKind, TraceContext, TracingMode, Value};

use crate::world::World;

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";

fn traced(sampled: &str) -> String {
    format!("Root={ROOT};Parent=53995c3f42cd8ad8{sampled};Lineage=1:aa:0")
}

fn text<'s>(span: &'s Span, key: &str) -> &'s str {
    match span.attributes.iter().find(|(name, _)| *name == key) {
        Some((_, Value::Text(text))) => text,
        other => panic!("{key}: {other:?} of {span:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn who_decides() {
    for (mode, function, header, sampled, told) in [
        (TracingMode::PassThrough, "f", Some(traced(";Sampled=1")), true, Some(true)),
        (TracingMode::PassThrough, "f", Some(traced(";Sampled=0")), false, Some(false)),
        (TracingMode::PassThrough, "f", Some(traced("")), false, Some(false)),
        (TracingMode::PassThrough, "f", None, false, Some(false)),
        (TracingMode::Active, "f", Some(traced(";Sampled=0")), false, Some(false)),
        (TracingMode::Active, "f", Some(traced("")), true, Some(true)),
        (TracingMode::Active, "f", None, true, Some(true)),
        (TracingMode::Active, "never", None, false, Some(false)),
        (TracingMode::Active, "never", Some(traced(";Sampled=1")), true, Some(true)),
        (TracingMode::Active, "f", Some("Root=1-5-6".into()), false, None),
    ] {
        let world = World::new(10, 10);
        world.function(function, |version| version.configuration.tracing = mode);
        let reply = world.traced(function, "head", header.as_deref()).await;
        let head: serde_json::Value = serde_json::from_slice(&reply.outcome.payload).unwrap();
        let passed = head["traceId"].as_str().unwrap();
        assert_eq!(reply.sampled, sampled, "{mode:?} {header:?}");
        assert_eq!(TraceContext::read(passed).and_then(|context| context.sampled), told, "{passed}");
        world.settle().await;
        let spans = world.traces.0.lock().unwrap();
        assert_eq!(spans.len(), if sampled { 2 } else { 0 }, "{mode:?} {header:?}");
        match &header {
            Some(header) if header.contains(ROOT) => {
                assert!(passed.starts_with("Root=1-5759e988-bd"), "{passed}")
            }
            Some(header) => assert_eq!(passed, header),
            None => assert!(passed.starts_with("Root=1-"), "{passed}"),
        }
        if header.is_some_and(|header| header.contains("Lineage")) {
            assert!(passed.ends_with(";Lineage=1:aa:0"), "{passed}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_cold_start_and_a_warm_one() {
    let world = World::new(10, 10);
    world.function("f", |_| {});
    let header = traced(";Sampled=1");
    let reply = world.traced("f", "head", Some(&header)).await;
    let head: serde_json::Value = serde_json::from_slice(&reply.outcome.payload).unwrap();
    let told = head["traceId"].as_str().unwrap();
    let failed = world.traced("f", "error", Some(&header)).await;
    assert!(failed.outcome.error.is_some());
    world.settle().await;
    let spans = world.traces.0.lock().unwrap();
    let [init, cold, warm] = spans.as_slice() else { panic!("{spans:?}") };
    let parent = TraceContext::read(&header).unwrap().parent;
    assert_eq!((&*init.name, &*cold.name, &*warm.name), ("init f", "f", "f"));
    assert_eq!((init.kind, cold.kind), (SpanKind::Internal, SpanKind::Server));
    assert_eq!([init.parent, cold.parent, warm.parent], [parent; 3], "beside each other");
    assert!(init.start <= init.end && init.end <= cold.start && cold.start <= cold.end);
    // What the function does hangs below its own span.
    assert_eq!(TraceContext::read(told).unwrap().parent, Some(cold.id));
    for (span, expected) in [(cold, true), (warm, false)] {
        assert!(span.attributes.contains(&("faas.coldstart", Value::Flag(expected))), "{span:?}");
        assert_eq!(text(span, "cloud.resource_id"), "arn:aws:lambda:us-east-1:000000000000:function:f");
        assert_eq!(text(span, "faas.invocation_id").len(), 36);
        assert!(text(span, "faas.instance").contains("[$LATEST]"));
    }
    assert_eq!((cold.error.as_deref(), warm.error.is_some()), (None, true));
    assert_eq!(text(warm, "error.type"), warm.error.as_deref().unwrap());
    assert!(spans.iter().all(|span| span.id != SpanId([0; 8])));
}
