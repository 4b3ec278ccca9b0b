//! Asynchronous invocation from outside: sending events, and what a function's configuration says of them.

use lambkin_events::event::Event;
use lambkin_model::queue::QueueError;
use serde_json::{Value, json};

use super::fakes::{Answer, Server};
use super::{FUNCTIONS, create, created};

const EVENT: &str = "X-Amz-Invocation-Type: Event\r\n";
const ARN: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:q";

async fn config(server: &Server, method: &str, query: &str, body: &Value) -> Answer {
    let path = format!("/2019-09-25/functions/f/event-invoke-config{query}");
    let body = if matches!(method, "GET" | "DELETE") { String::new() } else { body.to_string() };
    server.ask(method, &path, "", body.as_bytes()).await
}

/// A queue of this name.
async fn queue(server: &Server, name: &str) {
    let headers = "X-Amz-Target: AmazonSQS.CreateQueue\r\nContent-Type: application/x-amz-json-1.0\r\n";
    let body = json!({ "QueueName": name }).to_string();
    let answer = server.ask("POST", "/", headers, body.as_bytes()).await;
    assert_eq!(answer.status, 200, "{}", answer.body());
}

#[tokio::test]
async fn events_are_taken_once_they_are_sent() {
    let server = Server::start().await;
    created(&server, "f").await;
    *server.queues.refuses.lock().unwrap() = None;
    let headers = format!("{EVENT}X-Amzn-Trace-Id: Root=1-5-6;Sampled=1\r\n");
    let answer = server.ask("POST", &format!("{FUNCTIONS}/f/invocations"), &headers, b" {\"a\" : 1}").await;
    assert_eq!((answer.status, answer.bytes.len()), (202, 0));
    for absent in ["x-amz-executed-version", "x-amz-function-error", "content-type"] {
        assert_eq!(answer.header(absent), "", "{absent}");
    }
    assert_eq!(answer.header("x-amzn-trace-id"), "root=1-5-6;sampled=1");
    let old = server.ask("POST", "/2014-11-13/functions/f/invoke-async/", "", b"{}").await;
    assert_eq!((old.status, old.bytes.len()), (202, 0));
    let sent = server.queues.sent.lock().unwrap();
    let events: Vec<Event> =
        sent.iter().map(|(_, message)| Event::decode(&message.content).unwrap()).collect();
    assert!(sent.iter().all(|(queue, _)| queue.0.starts_with("async/")));
    assert_eq!(events[0].request_id.to_string(), answer.header("x-amzn-requestid"));
    assert_eq!(&events[0].payload[..], b" {\"a\" : 1}", "not a byte is changed");
    assert_eq!(events[0].trace_id.as_deref(), Some("Root=1-5-6;Sampled=1"));
    let (own, payload) = (events[1].trace_id.as_deref().unwrap(), &events[1].payload[..]);
    assert!(own.starts_with("Root=1-") && own.ends_with(";Sampled=0"), "{own}");
    assert_eq!((old.header("x-amzn-trace-id"), payload), ("", &b"{}"[..]));
    assert_eq!(server.echo.seen.lock().unwrap().len(), 0, "nothing ran for it");
}

#[tokio::test]
async fn what_is_not_sent_is_not_taken() {
    let server = Server::start().await;
    created(&server, "f").await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let large = vec![b'1'; 1024 * 1024 + 1];
    let old = vec![b'1'; 256 * 1024 + 1];
    for (path, body, expected) in [
        (path.as_str(), &b"{}"[..], (500, "ServiceException", "the store is closed")),
        (
            path.as_str(),
            b"{",
            (
                400,
                "InvalidRequestContentException",
                "Could not parse request body into json: Could not parse payload into json: Unexpected end-of-input",
            ),
        ),
        (
            path.as_str(),
            &large,
            (
                413,
                "RequestTooLargeException",
                "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)",
            ),
        ),
        (
            "/2014-11-13/functions/f/invoke-async/",
            &old,
            (
                413,
                "RequestTooLargeException",
                "262145 byte payload is too large for the Event invocation type (limit 262144 bytes)",
            ),
        ),
        (
            "/2015-03-31/functions/g/invocations",
            b"{}",
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:g:$LATEST",
            ),
        ),
        (
            "/2015-03-31/functions/f:live/invocations",
            b"{}",
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:f:live",
            ),
        ),
    ] {
        let (status, code, text) = server.ask("POST", path, EVENT, body).await.error();
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{path} {text}");
        assert!(text.starts_with(expected.2), "{path}: {text}");
    }
    *server.queues.refuses.lock().unwrap() = Some(QueueError::Full("no room".into()));
    let full = server.ask("POST", &path, EVENT, b"{}").await;
    assert_eq!((full.status, full.header("x-amzn-errortype")), (429, "TooManyRequestsException"));
    assert_eq!(full.body()["Reason"], "CallerRateLimitExceeded");
    // One that is being made.
    server.ask("POST", FUNCTIONS, "", &create("new", &json!({}))).await;
    let (status, code, _) =
        server.ask("POST", &format!("{FUNCTIONS}/new/invocations"), EVENT, b"{}").await.error();
    assert_eq!((status, code.as_str()), (409, "ResourceConflictException"));
}

#[tokio::test]
async fn configurations_are_put_merged_listed_and_deleted() {
    let server = Server::start().await;
    created(&server, "f").await;
    queue(&server, "q").await;
    let document = |members: Value| {
        let mut document = json!({
            "FunctionArn": format!("{ARN}:$LATEST"),
            "LastModified": 1_767_323_045.678,
            "DestinationConfig": { "OnSuccess": {}, "OnFailure": {} },
        });
        document.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        document
    };
    let put = config(&server, "PUT", "", &json!({ "MaximumRetryAttempts": 1 })).await;
    assert_eq!((put.status, put.body()), (200, document(json!({ "MaximumRetryAttempts": 1 }))));
    let destinations = json!({ "OnFailure": { "Destination": QUEUE } });
    let merged = config(
        &server,
        "POST",
        "",
        &json!({ "MaximumEventAgeInSeconds": 60, "DestinationConfig": destinations }),
    )
    .await;
    let all = document(json!({
        "MaximumRetryAttempts": 1, "MaximumEventAgeInSeconds": 60,
        "DestinationConfig": { "OnSuccess": {}, "OnFailure": { "Destination": QUEUE } },
    }));
    assert_eq!(merged.body(), all);
    assert_eq!(config(&server, "GET", "?Qualifier=%24LATEST", &json!({})).await.body(), all);
    let listed = config(&server, "GET", "/list", &json!({})).await.body();
    assert_eq!(listed, json!({ "FunctionEventInvokeConfigs": [all] }));
    let put = config(&server, "PUT", "", &json!({ "MaximumEventAgeInSeconds": 120 })).await;
    assert_eq!(put.body(), document(json!({ "MaximumEventAgeInSeconds": 120 })), "it replaces");
    assert_eq!(config(&server, "DELETE", "", &json!({})).await.status, 204);
    let none = format!("The function {ARN}:$LATEST doesn't have an EventInvokeConfig");
    for (method, body) in
        [("GET", json!({})), ("DELETE", json!({})), ("POST", json!({ "MaximumRetryAttempts": 1 }))]
    {
        let error = config(&server, method, "", &body).await.error();
        assert_eq!(error, (404, "ResourceNotFoundException".into(), none.clone()), "{method}");
    }
    let listed = config(&server, "GET", "/list", &json!({})).await.body();
    assert_eq!(listed, json!({ "FunctionEventInvokeConfigs": [] }));
}

#[tokio::test]
async fn wrong_configurations_are_refused() {
    let server = Server::start().await;
    created(&server, "f").await;
    let invalid = "InvalidParameterValueException";
    let to = |arn: &str| json!({ "DestinationConfig": { "OnSuccess": { "Destination": arn } } });
    for (query, body, expected) in [
        ("", json!({}), (400, invalid, "You must specify at least one of error handling or destination setting.".to_owned())),
        ("", to(ARN), (400, invalid, "You can't specify the function as a destination for itself.".into())),
        ("", to(&format!("{ARN}x")), (400, invalid, format!("The destination ARN {ARN}x is invalid."))),
        ("", to(QUEUE), (400, invalid, format!("The destination ARN {QUEUE} is invalid."))),
        ("", to("arn:aws:events:eu-west-1:000000000000:event-bus/default"), (400, invalid, "lambkin has no service 'events'. Where one is elsewhere, say so with --external.".into())),
        ("", to("nothing"), (400, "ValidationException", "1 validation error detected: Value 'nothing' at 'destinationConfig.onSuccess.destination'".into())),
        ("?Qualifier=live", json!({ "MaximumRetryAttempts": 1 }), (404, "ResourceNotFoundException", "The function doesn't exist.".into())),
        ("", json!({ "MaximumRetryAttempts": 3 }), (400, "ValidationException", "1 validation error detected: Value '3' at 'maximumRetryAttempts' failed to satisfy constraint: Member must have value less than or equal to 2".into())),
        ("", json!({ "MaximumEventAgeInSeconds": 59 }), (400, "ValidationException", "1 validation error detected: Value '59' at 'maximumEventAgeInSeconds' failed to satisfy constraint: Member must have value greater than or equal to 60".into())),
    ] {
        let (status, code, text) = config(&server, "PUT", query, &body).await.error();
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{body} {text}");
        assert!(text.starts_with(&expected.2), "{body}: {text}");
    }
    let path = "/2019-09-25/functions/g/event-invoke-config";
    let unknown = server.ask("PUT", path, "", b"{\"MaximumRetryAttempts\":1}").await.error();
    assert_eq!((unknown.0, unknown.2.as_str()), (404, "The function doesn't exist."));
    let unknown = server.ask("GET", &format!("{path}/list"), "", b"").await.error();
    assert_eq!((unknown.0, unknown.2.as_str()), (404, "The function doesn't exist."));
}

#[tokio::test]
async fn dead_letter_targets_are_set_changed_and_removed() {
    let server = Server::start().await;
    queue(&server, "q").await;
    let with = |arn: &str| json!({ "DeadLetterConfig": { "TargetArn": arn } });
    let (status, _, text) = server
        .ask("POST", FUNCTIONS, "", &create("f", &with("arn:aws:sqs:eu-west-1:000000000000:no")))
        .await
        .error();
    assert_eq!(status, 400);
    assert!(text.contains("AWS.SimpleQueueService.NonExistentQueue"), "{text}");
    let made = server.ask("POST", FUNCTIONS, "", &create("f", &with(QUEUE))).await;
    assert_eq!((made.status, &made.body()["DeadLetterConfig"]), (201, &json!({ "TargetArn": QUEUE })));
    server.settle("f").await;
    let change = async |body: Value| {
        let path = format!("{FUNCTIONS}/f/configuration");
        let answer = server.ask("PUT", &path, "", body.to_string().as_bytes()).await;
        if answer.status == 200 {
            server.settle("f").await;
        }
        answer
    };
    assert_eq!(
        change(json!({ "Timeout": 4 })).await.body()["DeadLetterConfig"],
        json!({ "TargetArn": QUEUE })
    );
    let fifo = change(with("arn:aws:sqs:eu-west-1:000000000000:q.fifo")).await.error();
    assert_eq!(
        fifo.2,
        "Invalid dead letter queue ARN: FIFO SQS queue is not supported for dead letter configuration"
    );
    assert_eq!(change(with("")).await.body().get("DeadLetterConfig"), None);
    let got = server.ask("GET", &format!("{FUNCTIONS}/f/configuration"), "", b"").await.body();
    assert_eq!(got.get("DeadLetterConfig"), None);
}

#[tokio::test]
async fn recursion_is_stopped_unless_allowed() {
    let server = Server::start().await;
    created(&server, "f").await;
    let path = "/2024-08-31/functions/f/recursion-config";
    for said in ["Terminate", "Allow", "Terminate"] {
        let body = json!({ "RecursiveLoop": said });
        let put = server.ask("PUT", path, "", body.to_string().as_bytes()).await;
        assert_eq!((put.status, put.body()), (200, body.clone()));
        assert_eq!(server.ask("GET", path, "", b"").await.body(), body);
    }
    let (status, code, text) = server.ask("PUT", path, "", b"{\"RecursiveLoop\":\"x\"}").await.error();
    assert_eq!((status, code.as_str()), (400, "ValidationException"));
    assert!(text.contains("Member must satisfy enum value set: [Allow, Terminate]"), "{text}");
    let unknown = server.ask("GET", "/2024-08-31/functions/g/recursion-config", "", b"").await;
    assert_eq!(unknown.status, 404);
}
