//! Invoke from outside.

use super::fakes::{SIGNED, Server};
use super::{FUNCTIONS, created};

#[tokio::test]
async fn invocations() {
    let server = Server::start().await;
    created(&server, "f").await;
    let headers = "X-Amz-Log-Type: Tail\r\nX-Amz-Client-Context: eyJhIjoxfQ==\r\n";
    let answer =
        server.ask("POST", &format!("{FUNCTIONS}/f:live/invocations"), headers, b" {\"a\" : 1}").await;
    assert_eq!(
        (answer.status, answer.bytes.as_slice()),
        (200, &b" {\"a\" : 1}"[..]),
        "not a byte is changed"
    );
    assert_eq!(answer.header("content-type"), "application/json");
    assert_eq!(answer.header("x-amz-executed-version"), "$LATEST");
    assert_eq!(answer.header("x-amz-log-result"), "RU5E");
    assert!(!answer.headers.contains_key("x-amz-function-error"));
    assert!(answer.header("x-amzn-trace-id").starts_with("root=1-"));
    let seen = server.echo.seen.lock().unwrap().pop().unwrap();
    assert_eq!(answer.header("x-amzn-requestid"), seen.request_id.to_string());
    assert_eq!(seen.request_id.0[6] >> 4, 4, "UUID v4");
    assert_eq!(seen.client_context.as_deref(), Some(r#"{"a":1}"#));
    assert_eq!(seen.function.arn(), "arn:aws:lambda:eu-west-1:000000000000:function:f:live");

    let unhandled = server.ask("POST", &format!("{FUNCTIONS}/unhandled/invocations"), "", b"").await;
    assert_eq!((unhandled.status, unhandled.bytes.as_slice()), (200, &b"{}"[..]));
    assert_eq!(unhandled.header("x-amz-function-error"), "Unhandled");

    let dry = "X-Amz-Invocation-Type: DryRun\r\n";
    let answer = server.ask("POST", &format!("{FUNCTIONS}/f/invocations"), dry, b"").await;
    assert_eq!((answer.status, answer.header("x-amz-executed-version")), (204, ""));

    let lambda = "arn:aws:lambda:eu-west-1:000000000000:function";
    let content = "InvalidRequestContentException";
    for (path, headers, body, expected) in [
        ("g/invocations", dry, &b""[..], (404, "ResourceNotFoundException", format!("Function not found: {lambda}:g:$LATEST"))),
        ("f/invocations", "X-Amz-Invocation-Type: event\r\n", b"{}", (400, "ValidationException", "1 validation error detected: Value 'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]".into())),
        ("f/invocations", "X-Amz-Log-Type: All\r\n", b"{}", (400, "ValidationException", "1 validation error detected: Value 'All' at 'logType' failed to satisfy constraint: Member must satisfy enum value set: [None, Tail]".into())),
        ("f/invocations", "X-Amz-Tenant-Id: t\r\n", b"{}", (400, "InvalidParameterValueException", "lambkin does not isolate tenants (TenantId).".into())),
        ("f/invocations", "X-Amz-Client-Context: string\r\n", b"{}", (400, content, "Client context must be a valid Base64-encoded JSON object.".into())),
        ("f/invocations", "", b"{\"a\":}", (400, content, "Could not parse request body into json: Could not parse payload into json: Unexpected character ('}' (code 125)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 6]".into())),
        ("a%20b/invocations", "", b"{}", (400, "ValidationException", "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: (arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\\d{1}:)?(\\d{12}:)?(function:)?([a-zA-Z0-9-_\\.]+)(:(\\$LATEST(\\.PUBLISHED)?|[a-zA-Z0-9-_]+))?".into())),
        ("f/invocations?Qualifier=a.b", "", b"{}", (400, "ValidationException", "1 validation error detected: Value 'a.b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \\$(LATEST(\\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".into())),
        ("f:a/invocations?Qualifier=b", "", b"{}", (400, "InvalidParameterValueException", "The derived qualifier from the function name does not match the specified qualifier.".into())),
        ("panics/invocations", "", b"{}", (500, "ServiceException", "lambkin failed; its log says why.".into())),
    ] {
        let (status, code, text) = server.ask("POST", &format!("{FUNCTIONS}/{path}"), headers, body).await.error();
        assert_eq!((status, code.as_str(), text), expected, "{path} {headers}");
    }
}

#[tokio::test]
async fn payloads_are_bounded_and_the_connection_survives() {
    let server = Server::start().await;
    let path = format!("{FUNCTIONS}/f/invocations");
    let mut client = server.connect().await;
    let mut payload = vec![b'a'; 6 * 1024 * 1024];
    payload[0] = b'"';
    *payload.last_mut().unwrap() = b'"';
    client.send("POST", &path, SIGNED, &payload).await;
    let answer = client.answer().await;
    assert!(answer.status == 200 && answer.bytes == payload, "6 MB exactly pass");

    payload.push(b' ');
    client.send("POST", &path, SIGNED, &payload).await;
    let too_large = (
        413,
        "RequestTooLargeException".to_owned(),
        "6291457 byte payload is too large for the RequestResponse invocation type (limit 6291456 bytes)"
            .to_owned(),
    );
    assert_eq!(client.answer().await.error(), too_large);

    // Without an announced length it is counted.
    let mut client = server.connect().await;
    client.send("POST", &path, &format!("{SIGNED}Transfer-Encoding: chunked\r\n"), b"").await;
    for _ in 0..97 {
        client.raw(b"10000\r\n").await;
        client.raw(&vec![b' '; 0x10000]).await;
        client.raw(b"\r\n").await;
    }
    client.raw(b"0\r\n\r\n").await;
    let (status, code, _) = client.answer().await.error();
    assert_eq!((status, code.as_str()), (413, "RequestTooLargeException"));

    // The same connection goes on, after a body that was not wanted and after a panic.
    client.send("POST", &format!("{FUNCTIONS}/panics/invocations"), SIGNED, b"1").await;
    assert_eq!(client.answer().await.status, 500);
    client.send("POST", &path, SIGNED, b"1").await;
    assert_eq!(client.answer().await.bytes, b"1");
}

/// Warm invocations over loopback against an `Invoke` that does nothing: what the API itself costs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement, not a promise"]
async fn measure_throughput() {
    let server = std::sync::Arc::new(Server::start().await);
    for connections in [1, 16] {
        let start = std::time::Instant::now();
        let mut tasks = tokio::task::JoinSet::new();
        let each = 20_000 / connections;
        for _ in 0..connections {
            let server = server.clone();
            tasks.spawn(async move {
                let mut client = server.connect().await;
                for _ in 0..each {
                    client
                        .send("POST", "/2015-03-31/functions/f/invocations", SIGNED, br#"{"key1":"value1"}"#)
                        .await;
                    assert_eq!(client.answer().await.status, 200);
                }
            });
        }
        while let Some(ended) = tasks.join_next().await {
            ended.unwrap();
        }
        let seconds = start.elapsed().as_secs_f64();
        let all = f64::from(each * connections);
        println!("{connections} connections: {:.0}/s, {:.1} µs each", all / seconds, seconds / all * 1e6);
    }
}
