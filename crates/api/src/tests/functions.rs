//! The life of functions, as the documents tell it.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::fakes::{SIGNED, Server};
use super::{FUNCTIONS, ROLE, create};

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
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
