//! Reserved concurrency, the account's settings, throttles.

use serde_json::json;

use super::fakes::{Answer, SIGNED, Server};
use super::{FUNCTIONS, create, created};

const TOO_MUCH: &str = "Specified ReservedConcurrentExecutions for function decreases account's \
    UnreservedConcurrentExecution below its minimum value of [100].";

async fn put(server: &Server, name: &str, reserved: i64) -> Answer {
    let body = json!({ "ReservedConcurrentExecutions": reserved }).to_string();
    server.ask("PUT", &format!("/2017-10-31/functions/{name}/concurrency"), "", body.as_bytes()).await
}

async fn get(server: &Server, name: &str) -> Answer {
    server.ask("GET", &format!("/2019-09-30/functions/{name}/concurrency"), "", b"").await
}

async fn delete(server: &Server, name: &str) -> Answer {
    server.ask("DELETE", &format!("/2017-10-31/functions/{name}/concurrency"), "", b"").await
}

async fn unreserved(server: &Server) -> serde_json::Value {
    let body = server.ask("GET", "/2016-08-19/account-settings", "", b"").await.body();
    body["AccountLimit"]["UnreservedConcurrentExecutions"].clone()
}

#[tokio::test]
async fn a_reservation_is_put_got_and_deleted() {
    let server = Server::start().await;
    created(&server, "f").await;
    created(&server, "g").await;
    assert_eq!(get(&server, "f").await.body(), json!({}));
    let function = async || server.ask("GET", &format!("{FUNCTIONS}/f"), "", b"").await.body();
    let before = function().await;
    assert_eq!(before.get("Concurrency"), None);
    for reserved in [0, 900, 7] {
        let said = json!({ "ReservedConcurrentExecutions": reserved });
        let answer = put(&server, "f", reserved).await;
        assert_eq!((answer.status, answer.body()), (200, said.clone()));
        assert_eq!(get(&server, "f").await.body(), said);
        let after = function().await;
        assert_eq!(after["Concurrency"], said);
        assert_eq!(after["Configuration"], before["Configuration"], "nothing else changes");
        assert_eq!(unreserved(&server).await, 1000 - reserved);
    }
    let settings = server.ask("GET", "/2016-08-19/account-settings/", "", b"").await;
    assert_eq!(
        (settings.status, settings.body()),
        (
            200,
            json!({
                "AccountLimit": {
                    "TotalCodeSize": 80_530_636_800_u64, "CodeSizeUnzipped": 262_144_000, "CodeSizeZipped": 52_428_800,
                    "ConcurrentExecutions": 1000, "UnreservedConcurrentExecutions": 993,
                },
                "AccountUsage": { "TotalCodeSize": 8, "FunctionCount": 2 },
            })
        )
    );
    for _ in 0..2 {
        let answer = delete(&server, "f").await;
        assert_eq!((answer.status, answer.bytes.as_slice()), (204, &b""[..]));
        assert_eq!(get(&server, "f").await.body(), json!({}));
        assert_eq!(unreserved(&server).await, 1000);
    }
    // A reservation goes with its function.
    put(&server, "g", 100).await;
    assert_eq!(server.ask("DELETE", &format!("{FUNCTIONS}/g"), "", b"").await.status, 204);
    assert_eq!(unreserved(&server).await, 1000);
}

#[tokio::test]
async fn what_cannot_be_reserved_is_refused() {
    let server = Server::start().await;
    created(&server, "f").await;
    let invalid = "InvalidParameterValueException";
    let qualified = "This operation is permitted on Lambda functions only. Aliases and versions do not support this \
                     operation. Please specify either a function name or an unqualified function ARN.";
    let unknown = "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:nothing";
    for (answer, expected) in [
        (put(&server, "f", 901).await, (400, invalid, TOO_MUCH.to_owned())),
        (put(&server, "f", i64::from(u32::MAX) + 901).await, (400, invalid, TOO_MUCH.to_owned())),
        (
            put(&server, "f", -1).await,
            (
                400,
                "ValidationException",
                "1 validation error detected: Value '-1' at 'reservedConcurrentExecutions' failed to satisfy \
                 constraint: Member must have value greater than or equal to 0"
                    .to_owned(),
            ),
        ),
        (put(&server, "f:live", 1).await, (400, invalid, qualified.to_owned())),
        (get(&server, "f:$LATEST").await, (400, invalid, qualified.to_owned())),
        (delete(&server, "f:1").await, (400, invalid, qualified.to_owned())),
        (
            put(&server, "nothing", 1000).await,
            (404, "ResourceNotFoundException", format!("{unknown}:$LATEST")),
        ),
        (get(&server, "nothing").await, (404, "ResourceNotFoundException", unknown.to_owned())),
        (delete(&server, "nothing").await, (404, "ResourceNotFoundException", unknown.to_owned())),
    ] {
        let (status, code, text) = answer.error();
        assert_eq!((status, code.as_str(), text), expected);
    }
    let body = put(&server, "f", 901).await.body();
    assert_eq!(body, json!({ "message": TOO_MUCH }), "recorded without a Type");
    let missing = server.ask("PUT", "/2017-10-31/functions/f/concurrency", "", b"{}").await.error();
    assert_eq!((missing.0, missing.1.as_str()), (400, "ValidationException"));
    assert_eq!(get(&server, "f").await.body(), json!({}));
}

#[tokio::test]
async fn two_at_once_cannot_reserve_the_same() {
    let server = Server::start().await;
    created(&server, "f").await;
    created(&server, "g").await;
    for _ in 0..20 {
        let (one, other) = tokio::join!(put(&server, "f", 600), put(&server, "g", 600));
        let mut both = [one.status, other.status];
        both.sort_unstable();
        assert_eq!(both, [200, 400]);
        delete(&server, "f").await;
        delete(&server, "g").await;
    }
    // Nothing of a refused or a finished one is left.
    assert_eq!(put(&server, "f", 900).await.status, 200);
}

/// Its activation writes the same record.
#[tokio::test]
async fn a_function_that_is_still_pending_can_have_some_and_becomes_active() {
    let server = Server::start().await;
    let answer = server.ask("POST", FUNCTIONS, "", &create("f", &json!({}))).await;
    assert_eq!(answer.status, 201);
    assert_eq!(put(&server, "f", 3).await.status, 200);
    server.settle("f").await;
    assert_eq!(get(&server, "f").await.body(), json!({ "ReservedConcurrentExecutions": 3 }));
}

#[tokio::test]
async fn a_throttle_says_why_and_when_to_come_again() {
    let server = Server::start().await;
    let mut client = server.connect().await;
    client.send("POST", &format!("{FUNCTIONS}/throttled/invocations"), SIGNED, b"{}").await;
    let answer = client.answer().await;
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (429, "TooManyRequestsException"));
    assert_eq!(answer.header("retry-after"), "1");
    let reason = "ReservedFunctionConcurrentInvocationLimitExceeded";
    assert_eq!(answer.body(), json!({ "Reason": reason, "Type": "User", "message": "Rate Exceeded." }));
}
