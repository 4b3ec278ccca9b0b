//! Who may talk to the server, and how its connections begin and end.

use super::FUNCTIONS;
use super::fakes::{SIGNED, Server};

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

#[tokio::test]
async fn nobody_waits_for_a_body_that_is_not_wanted() {
    let server = Server::start().await;
    for (path, length, status) in [
        (FUNCTIONS, 70_167_212_u64, 413),
        (FUNCTIONS, 1_000_000_000_000_000, 413),
        ("/2015-03-31/functions/f/invocations", 6_291_457, 413),
        ("/nothing", 100, 404),
    ] {
        for expect in ["", "Expect: 100-continue\r\n"] {
            let mut client = server.connect().await;
            client.send("POST", path, &format!("{SIGNED}{expect}Content-Length: {length}\r\n"), b"").await;
            // Far less than is announced, and then silence.
            client.raw(if expect.is_empty() { b"{" } else { b"" }).await;
            assert_eq!(client.answer().await.status, status, "{path} {length} {expect}");
        }
    }
}
