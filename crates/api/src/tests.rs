//! The API from outside: raw requests over TCP, the real control plane over ports in memory.

mod fakes;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use fakes::{SIGNED, Server};

const FUNCTIONS: &str = "/2015-03-31/functions";
const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn create(name: &str, more: &serde_json::Value) -> Vec<u8> {
    let mut body = json!({
        "FunctionName": name, "Role": ROLE, "Runtime": "nodejs22.x", "Handler": "index.handler",
        "Code": { "ZipFile": STANDARD.encode(b"PK-1") },
    });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    body.to_string().into_bytes()
}

async fn created(server: &Server, name: &str) {
    let answer = server.ask("POST", FUNCTIONS, "", &create(name, &json!({}))).await;
    assert_eq!(answer.status, 201, "{:?}", answer.body());
    server.settle(name).await;
}

#[tokio::test]
async fn a_function_lives_as_on_aws() {
    let server = Server::start().await;
    let more = json!({ "Tags": { "k": "v" }, "Environment": { "Variables": { "A1": "b" } }, "Unknown": 1 });
    let answer =
        server.ask("POST", FUNCTIONS, "Content-Type: application/json\r\n", &create("f", &more)).await;
    assert_eq!(answer.status, 201);
    let mut body = answer.body();
    let arn = "arn:aws:lambda:eu-west-1:000000000000:function:f";
    let taken =
        |body: &mut serde_json::Value, member: &str| body.as_object_mut().unwrap().remove(member).unwrap();
    let revision = taken(&mut body, "RevisionId");
    let runtime_arn =
        taken(&mut body, "RuntimeVersionConfig")["RuntimeVersionArn"].as_str().unwrap().to_owned();
    assert!(runtime_arn.starts_with("arn:aws:lambda:eu-west-1::runtime:") && runtime_arn.len() == 98);
    assert_eq!(
        body,
        json!({
            "FunctionName": "f", "FunctionArn": arn, "Runtime": "nodejs22.x", "Role": ROLE, "Handler": "index.handler",
            "CodeSize": 4, "CodeSha256": "A+cpwcA2bouYW+Iy7ydGFTvupWcSBc62oIy7ZQG8QrI=", "Description": "", "Timeout": 3,
            "LastModified": "2026-01-02T03:04:05.678+0000", "Version": "$LATEST", "MemorySize": 128,
            "Environment": { "Variables": { "A1": "b" } }, "TracingConfig": { "Mode": "PassThrough" },
            "State": "Pending", "StateReason": "The function is being created.", "StateReasonCode": "Creating",
            "PackageType": "Zip", "Architectures": ["x86_64"], "EphemeralStorage": { "Size": 512 },
            "SnapStart": { "ApplyOn": "None", "OptimizationStatus": "Off" },
            "LoggingConfig": { "LogFormat": "Text", "LogGroup": "/aws/lambda/f" },
        })
    );
    server.settle("f").await;

    let got = server.ask("GET", &format!("{FUNCTIONS}/f?Qualifier=%24LATEST"), "", b"").await.body();
    assert_eq!(got["Configuration"]["FunctionArn"], format!("{arn}:$LATEST"));
    assert_eq!(got["Configuration"]["State"], "Active");
    assert_eq!(got["Configuration"]["StateReason"], serde_json::Value::Null);
    assert_ne!(got["Configuration"]["RevisionId"], revision);
    assert_eq!(got["Tags"], json!({ "k": "v" }));
    let link = got["Code"]["Location"].as_str().unwrap().strip_prefix("http://localhost").unwrap();

    // The link needs no signature, and no other link works.
    let mut client = server.connect().await;
    client.send("GET", link, "Host: localhost\r\n", b"").await;
    let zip = client.answer().await;
    assert_eq!(
        (zip.status, zip.bytes.as_slice(), zip.header("content-type")),
        (200, &b"PK-1"[..], "application/zip")
    );
    let (status, code, _) =
        server.ask("GET", &format!("{}x", &link[..link.len() - 1]), "", b"").await.error();
    assert_eq!((status, code.as_str()), (403, "AccessDeniedException"));

    let update = json!({ "Timeout": 7, "LoggingConfig": { "LogFormat": "JSON" } }).to_string();
    let path = format!("{FUNCTIONS}/f/configuration");
    let updated = server.ask("PUT", &path, "", update.as_bytes()).await;
    let body = updated.body();
    assert_eq!(
        (updated.status, &body["State"], &body["LastUpdateStatus"], &body["LastUpdateStatusReasonCode"]),
        (200, &json!("Active"), &json!("InProgress"), &json!("Creating"))
    );
    assert_eq!(
        body["LoggingConfig"],
        json!({ "LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": "/aws/lambda/f" })
    );
    assert_eq!(
        server.ask("PUT", &path, "", b"{}").await.error(),
        (
            409,
            "ResourceConflictException".into(),
            format!(
                "The operation cannot be performed at this time. An update is in progress for resource: {arn}"
            )
        )
    );
    server.settle("f").await;

    let code = json!({ "ZipFile": STANDARD.encode(b"PK-22"), "DryRun": true }).to_string();
    let dry = server.ask("PUT", &format!("{FUNCTIONS}/f/code"), "", code.as_bytes()).await;
    assert_eq!((dry.status, &dry.body()["CodeSize"]), (200, &json!(5)));
    assert_eq!(server.ask("GET", &path, "", b"").await.body()["CodeSize"], 4);

    let deleted = server.ask("DELETE", &format!("{FUNCTIONS}/f"), "", b"").await;
    assert_eq!((deleted.status, deleted.bytes.len()), (204, 0));
    assert_eq!(
        server.ask("GET", &path, "", b"").await.error(),
        (404, "ResourceNotFoundException".into(), format!("Function not found: {arn}"))
    );
}

#[tokio::test]
async fn lists_come_in_pages() {
    let server = Server::start().await;
    for index in 0..60 {
        let answer = server.ask("POST", FUNCTIONS, "", &create(&format!("f{index:02}"), &json!({}))).await;
        assert_eq!(answer.status, 201);
    }
    let mut names = Vec::new();
    let mut sizes = Vec::new();
    let mut marker = String::new();
    loop {
        let page = server.ask("GET", &format!("{FUNCTIONS}/?MaxItems=10000{marker}"), "", b"").await.body();
        let functions = page["Functions"].as_array().unwrap();
        sizes.push(functions.len());
        names.extend(functions.iter().map(|function| function["FunctionName"].as_str().unwrap().to_owned()));
        assert!(functions.iter().all(|function| function.get("State").is_none()));
        match page["NextMarker"].as_str() {
            Some(next) => marker = format!("&Marker={next}"),
            None => break,
        }
    }
    assert_eq!(sizes, [50, 10]);
    assert!(names.is_sorted() && names.len() == 60);
    let all = server.ask("GET", &format!("{FUNCTIONS}?MaxItems=1&FunctionVersion=ALL"), "", b"").await.body();
    assert_eq!(
        all["Functions"][0]["FunctionArn"],
        "arn:aws:lambda:eu-west-1:000000000000:function:f00:$LATEST"
    );
}

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    created(&server, "f").await;
    let long = "a".repeat(65);
    let with = |more: serde_json::Value| create("g", &more);
    let invalid = "InvalidParameterValueException";
    for (method, path, headers, body, expected) in [
        (
            "POST",
            FUNCTIONS,
            "",
            create("f", &json!({})),
            (409, "ResourceConflictException", "Function already exist: f"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("f:live", &json!({})),
            (400, invalid, "This operation is permitted on Lambda functions only."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create(&long, &json!({})),
            (400, invalid, "1 validation error detected: Value 'aaaa"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("a b", &json!({})),
            (
                400,
                "ValidationException",
                "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
            ),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Role": "r1" })),
            (400, "ValidationException", "1 validation error detected: Value 'r1' at 'role'"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Runtime": "cobol" })),
            (400, invalid, "Value cobol at 'runtime' failed to satisfy constraint: "),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Layers": ["arn:aws:lambda:eu-west-1:000000000000:layer:l:1"] })),
            (400, invalid, "lambkin does not have layers yet (Layers)."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Publish": true })),
            (400, invalid, "lambkin does not publish versions yet (Publish)."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": {} })),
            (400, invalid, "Please provide a source for function code."),
        ),
        ("POST", FUNCTIONS, "", with(json!({ "Code": { "ZipFile": "UEs" } })), (201, "", "")),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": { "ZipFile": "bm8gemlw" } })),
            (409, "ResourceConflictException", "Function already exist: g"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("h", &json!({ "Code": { "ZipFile": "bm8gemlw" } })),
            (400, invalid, "Could not unzip uploaded file."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": { "ZipFile": "*" } })),
            (400, "SerializationException", "The value of ZipFile is not base64: "),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            b"{".to_vec(),
            (
                400,
                "SerializationException",
                "Could not parse request body into json: Unexpected end-of-input: expected close marker for Object",
            ),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            b"[]".to_vec(),
            (400, "SerializationException", "Expected structure or null"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            vec![],
            (400, "ValidationException", "3 validation errors detected: Value null at 'functionName'"),
        ),
        (
            "POST",
            FUNCTIONS,
            "Content-Type: text/xml\r\n",
            b"{}".to_vec(),
            (415, "UnsupportedMediaTypeException", "Unsupported content type: text/xml"),
        ),
        (
            "GET",
            "/2015-03-31/functions/f?Qualifier=live",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:f:live",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/f:live?Qualifier=other",
            "",
            vec![],
            (
                400,
                invalid,
                "The derived qualifier from the function name does not match the specified qualifier.",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A111111111111%3Afunction%3Af",
            "",
            vec![],
            (403, "AccessDeniedException", ""),
        ),
        (
            "DELETE",
            "/2015-03-31/functions/f?Qualifier=%24LATEST",
            "",
            vec![],
            (400, invalid, "$LATEST version cannot be deleted without deleting the function."),
        ),
        (
            "DELETE",
            "/2015-03-31/functions/nothing",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:nothing",
            ),
        ),
        (
            "PUT",
            "/2015-03-31/functions/f/configuration",
            "",
            br#"{"RevisionId":"x"}"#.to_vec(),
            (412, "PreconditionFailedException", "The Revision Id provided does not match"),
        ),
        (
            "PUT",
            "/2015-03-31/functions/f/configuration",
            "",
            br#"{"TracingConfig":{"Mode":"Active"}}"#.to_vec(),
            (400, invalid, "lambkin does not send traces (TracingConfig.Mode)."),
        ),
        (
            "GET",
            "/2015-03-31/functions?MaxItems=0",
            "",
            vec![],
            (400, "ValidationException", "1 validation error detected: Value '0' at 'maxItems'"),
        ),
        (
            "GET",
            "/2015-03-31/functions?MaxItems=x",
            "",
            vec![],
            (400, "SerializationException", "STRING_VALUE can not be converted to an Integer"),
        ),
        ("GET", "/2015-03-31/functions?Marker=%2A", "", vec![], (400, invalid, "Invalid Marker")),
        (
            "GET",
            "/2015-03-31/functions?MasterRegion=us-west-2&FunctionVersion=ALL",
            "",
            vec![],
            (400, invalid, "lambkin does not replicate functions from us-west-2 (MasterRegion)."),
        ),
        (
            "POST",
            "/2015-03-31/functions/f/versions",
            "",
            b"{}".to_vec(),
            (404, "UnknownOperationException", "lambkin does not do PublishVersion yet."),
        ),
        (
            "GET",
            "/nothing",
            "",
            vec![],
            (404, "UnknownOperationException", "Unknown operation: GET /nothing"),
        ),
        (
            "PUT",
            "/2015-03-31/functions/f/configuration",
            "Content-Length: 1048577\r\n",
            vec![],
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 1048576 bytes for the UpdateFunctionConfiguration operation",
            ),
        ),
    ] {
        let mut client = server.connect().await;
        client.send(method, path, &format!("{SIGNED}{headers}"), &body).await;
        if headers.contains("1048577") {
            client.raw(&vec![b' '; 1_048_577]).await;
        }
        let answer = client.answer().await;
        let (status, code, text) =
            if answer.status < 300 { (answer.status, String::new(), String::new()) } else { answer.error() };
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{method} {path}: {text}");
        assert!(text.starts_with(expected.2), "{method} {path}: {text}");
        assert_eq!(answer.header("x-amzn-requestid").len(), 36);
    }
}

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
        ("f/invocations", "X-Amz-Invocation-Type: Event\r\n", b"{}", (400, "InvalidParameterValueException", "lambkin does not invoke functions asynchronously yet (InvocationType=Event).".into())),
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

#[tokio::test]
async fn large_packages() {
    let server = Server::start().await;
    let mut zip = vec![b'x'; 52_428_801];
    zip[..2].copy_from_slice(b"PK");
    for (length, expected) in
        [(52_428_801, (413, "Zipped size must be smaller than 52428800 bytes")), (52_428_800, (201, ""))]
    {
        let code = json!({ "Code": { "ZipFile": STANDARD.encode(&zip[..length]) } });
        let answer = server.ask("POST", FUNCTIONS, "", &create("f", &code)).await;
        let text = if answer.status == 201 { String::new() } else { answer.error().2 };
        assert_eq!((answer.status, text.as_str()), expected);
    }
    let mut client = server.connect().await;
    client.send("POST", FUNCTIONS, SIGNED, &vec![b' '; 70_167_212]).await;
    assert_eq!(
        client.answer().await.error(),
        (
            413,
            "RequestEntityTooLargeException".into(),
            "Request must be smaller than 70167211 bytes for the CreateFunction operation".into()
        )
    );
}

#[tokio::test]
async fn web_pages_cannot_drive_it() {
    let server = Server::start().await;
    let port = server.address.port();
    let signed = |host: &str, more: &str| SIGNED.replace("localhost", host) + more;
    for (method, path, headers, expected) in [
        ("GET", "/_lambkin/health", format!("Host: 127.0.0.1:{port}\r\n"), (200, "")),
        ("POST", "/_lambkin/health", format!("Host: 127.0.0.1:{port}\r\n"), (405, "")),
        ("GET", "/_lambkin/health", "Host: evil.example\r\n".into(), (403, "AccessDeniedException")),
        ("GET", FUNCTIONS, "Host: localhost\r\n".into(), (403, "MissingAuthenticationTokenException")),
        ("POST", FUNCTIONS, "Host: localhost\r\n".into(), (403, "MissingAuthenticationTokenException")),
        ("GET", &format!("{FUNCTIONS}?X-Amz-Signature=0"), "Host: localhost\r\n".into(), (200, "")),
        ("GET", FUNCTIONS, signed("localhost", ""), (200, "")),
        ("GET", FUNCTIONS, signed("evil.example", ""), (403, "AccessDeniedException")),
        (
            "GET",
            FUNCTIONS,
            signed("localhost", "Origin: http://evil.example\r\n"),
            (403, "AccessDeniedException"),
        ),
        ("GET", FUNCTIONS, signed("localhost", "Origin: http://localhost\r\n"), (200, "")),
        ("OPTIONS", FUNCTIONS, "Host: localhost\r\nOrigin: null\r\n".into(), (403, "AccessDeniedException")),
    ] {
        let mut client = server.connect().await;
        client.send(method, path, &headers, b"").await;
        let answer = client.answer().await;
        assert_eq!((answer.status, answer.header("x-amzn-errortype")), expected, "{method} {path} {headers}");
    }
}

#[tokio::test]
async fn shutdown_lets_running_requests_finish() {
    let mut server = Server::start().await;
    let mut idle = server.connect().await;
    idle.send("GET", "/_lambkin/health", "Host: localhost\r\n", b"").await;
    assert_eq!(idle.answer().await.status, 200);
    let mut running = server.connect().await;
    running.send("POST", &format!("{FUNCTIONS}/waits/invocations"), SIGNED, b"7").await;
    while server.echo.seen.lock().unwrap().is_empty() {
        tokio::task::yield_now().await;
    }
    server.stop();
    assert!(idle.is_closed().await);
    server.echo.released.notify_one();
    let answer = running.answer().await;
    assert_eq!((answer.status, answer.bytes.as_slice()), (200, &b"7"[..]));
    assert!(running.is_closed().await);
    server.ended().await;
}

#[tokio::test]
async fn heads_are_bounded() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client
        .send(
            "GET",
            "/_lambkin/health",
            &format!("Host: localhost\r\nX-Long: {}\r\n", "a".repeat(131_072)),
            b"",
        )
        .await;
    assert_eq!(client.answer().await.status, 431);
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
