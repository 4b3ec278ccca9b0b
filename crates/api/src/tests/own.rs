//! lambkin's own API: samples for everybody, saved test events for who signs.

use std::path::Path;

use serde_json::json;

use super::created;
use super::fakes::{SIGNED, Server};

/// The build script's.
#[path = "../../build/npm.rs"]
mod npm;

#[tokio::test]
async fn test_events_belong_to_their_function() {
    let server = Server::start().await;
    let at = |name: &str| format!("/_lambkin/test-events/hello{name}");
    assert_eq!(server.ask("GET", &at(""), "", b"").await.status, 404, "there is no function yet");
    created(&server, "hello").await;
    assert_eq!(server.ask("GET", &at(""), "", b"").await.body(), json!({ "events": {} }));
    assert_eq!(server.ask("PUT", &at("/one"), "", b"{\"a\": 1}").await.status, 204);
    assert_eq!(server.ask("PUT", &at("/two"), "", b"2").await.status, 204);
    let refused = server.ask("PUT", &at("/three"), "", b"{").await;
    assert_eq!((refused.status, refused.header("x-amzn-errortype")), (400, "InvalidParameterValueException"));
    assert_eq!(server.ask("DELETE", &at("/two"), "", b"").await.status, 204);
    assert_eq!(server.ask("DELETE", &at("/two"), "", b"").await.status, 404);
    let saved = json!({ "events": { "one": "{\"a\": 1}" } });
    assert_eq!(server.ask("GET", &at(""), "", b"").await.body(), saved);
    // A function of this name that is created later is another one.
    assert_eq!(server.ask("DELETE", "/2015-03-31/functions/hello", "", b"").await.status, 204);
    created(&server, "hello").await;
    assert_eq!(server.ask("GET", &at(""), "", b"").await.body(), json!({ "events": {} }));
}

#[tokio::test]
async fn what_changes_something_is_signed() {
    let server = Server::start().await;
    created(&server, "hello").await;
    for (method, path, headers, status) in [
        ("GET", "/_lambkin/health", "Host: localhost\r\n", 200),
        ("GET", "/_lambkin/machine", "Host: localhost\r\n", 200),
        ("GET", "/_lambkin/sample-events/sqs", "Host: localhost\r\n", 200),
        ("POST", "/_lambkin/sample-events/sqs", SIGNED, 405),
        ("GET", "/_lambkin/test-events/hello", "Host: localhost\r\n", 403),
        ("PUT", "/_lambkin/test-events/hello/one", "Host: localhost\r\n", 403),
        ("DELETE", "/_lambkin/test-events/hello/one", "Host: localhost\r\n", 403),
        ("POST", "/_lambkin/test-events/hello/one", SIGNED, 404),
        ("POST", "/console", SIGNED, 405),
    ] {
        let mut client = server.connect().await;
        client.send(method, path, headers, b"1").await;
        assert_eq!(client.answer().await.status, status, "{method} {path}");
    }
    let page = server.ask("GET", "/console", "", b"").await;
    assert!(page.header("content-security-policy").contains("script-src 'self';"));
    assert_eq!((page.header("x-content-type-options"), page.header("set-cookie")), ("nosniff", ""));
}

#[tokio::test]
async fn a_browser_is_shown_the_way_to_the_console() {
    let server = Server::start().await;
    let page = "Host: localhost\r\nAccept: text/html,*/*;q=0.8\r\n";
    let signed = format!("{SIGNED}Accept: text/html\r\n");
    for (method, path, headers, to) in [
        ("GET", "/", page, "/console"),
        ("GET", "/", "Host: localhost\r\nAccept: */*\r\n", ""),
        ("GET", "/", &signed, ""),
        ("GET", "/?Action=ListQueues", page, ""),
        ("GET", "/2015-03-31/functions", page, ""),
    ] {
        let mut client = server.connect().await;
        client.send(method, path, headers, b"").await;
        let answer = client.answer().await;
        assert_eq!(answer.header("location"), to, "{method} {path} {headers}");
        assert_eq!(answer.status == 303, !to.is_empty());
    }
}

#[tokio::test]
async fn sample_events_are_filled_in() {
    let server = Server::start().await;
    let samples = server.ask("GET", "/_lambkin/sample-events", "", b"").await.body();
    assert!(samples["events"].as_array().unwrap().len() >= 50);
    let path = "/_lambkin/sample-events/s3-put?region=eu-west-3&key=a+b%2Fc";
    let event = server.ask("GET", path, "", b"").await.body();
    let record = &event["Records"][0];
    assert_eq!(
        (&record["awsRegion"], &record["s3"]["object"]["key"]),
        (&json!("eu-west-3"), &json!("a b/c"))
    );
    assert_eq!(server.ask("GET", "/_lambkin/sample-events/s3-put?nothing=1", "", b"").await.status, 400);
    assert_eq!(server.ask("GET", "/_lambkin/sample-events/nothing", "", b"").await.status, 404);
    assert_eq!(server.ask("GET", "/_lambkin/sample-eventsx", "", b"").await.status, 404);
}

#[test]
fn where_npm_is_missing_the_build_says_so() {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let said = npm::build("no-npm-of-this-name", here, &here.join("nowhere"));
    assert_eq!(said, Err("there is no npm on this machine".to_owned()));
}
