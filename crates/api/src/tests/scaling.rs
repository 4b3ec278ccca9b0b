//! Scaling of versions from outside: documents, states, and what is refused.

use serde_json::{Value, json};

use super::fakes::{Answer, Server};
use super::provisioned::put as provision;
use super::{FUNCTIONS, refused, with_versions};

const ARN: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";
const INVALID: &str = "InvalidParameterValueException";
const NOT_FOUND: &str = "ResourceNotFoundException";

fn path(qualifier: &str) -> String {
    format!("/2025-11-30/functions/f/function-scaling-config?Qualifier={qualifier}")
}

async fn put(server: &Server, qualifier: &str, config: Value) -> Answer {
    let body = json!({ "FunctionScalingConfig": config }).to_string();
    server.ask("PUT", &path(qualifier), "", body.as_bytes()).await
}

async fn get(server: &Server, qualifier: &str) -> Answer {
    server.ask("GET", &path(qualifier), "", b"").await
}

fn bounds(min: u32, max: u32) -> Value {
    json!({ "MinExecutionEnvironments": min, "MaxExecutionEnvironments": max })
}

/// The data plane has as many environments of each version as its number.
#[tokio::test]
async fn what_is_requested_is_told_until_it_is_in_effect() {
    let server = with_versions("2").await;
    let nothing = json!({ "FunctionArn": format!("{ARN}:2") });
    assert_eq!((get(&server, "2").await.status, get(&server, "2").await.body()), (200, nothing.clone()));
    let requested = "RequestedFunctionScalingConfig";
    for (wanted, applied) in [
        (bounds(2, 2), bounds(2, 2)),
        (json!({ "MinExecutionEnvironments": 1 }), json!({ "MinExecutionEnvironments": 1 })),
        (json!({ "MaxExecutionEnvironments": 15_000 }), json!({ "MaxExecutionEnvironments": 15_000 })),
        // One is missing, and one too many still runs.
        (bounds(3, 4), bounds(2, 4)),
        (bounds(0, 1), bounds(0, 2)),
    ] {
        let answer = put(&server, "2", wanted.clone()).await;
        assert_eq!((answer.status, answer.body()), (202, json!({ "FunctionState": "Active" })), "{wanted}");
        let found = get(&server, "2").await.body();
        let is_there = wanted == applied;
        assert_eq!(found["AppliedFunctionScalingConfig"], applied, "{found}");
        assert_eq!(found.get(requested), (!is_there).then_some(&wanted), "{found}");
    }
    // Nothing at all takes it away.
    for body in [&b"{}"[..], br#"{"FunctionScalingConfig":{}}"#] {
        put(&server, "2", bounds(1, 2)).await;
        assert_eq!(server.ask("PUT", &path("2"), "", body).await.status, 202);
        assert_eq!(get(&server, "2").await.body(), nothing);
    }
    // It goes with its version.
    put(&server, "1", bounds(1, 1)).await;
    assert_eq!(server.ask("DELETE", &format!("{FUNCTIONS}/f?Qualifier=1"), "", b"").await.status, 204);
    refused(&get(&server, "1").await, 404, NOT_FOUND, &format!("Function not found: {ARN}:1"));
}

#[tokio::test]
async fn a_version_without_environments_is_deactivated() {
    let server = with_versions("2").await;
    let answer = put(&server, "2", bounds(0, 0)).await;
    assert_eq!((answer.status, answer.body()), (202, json!({ "FunctionState": "Deactivating" })));
    for path in ["/f/configuration?Qualifier=2", "/f?Qualifier=live"] {
        let body = server.ask("GET", &format!("{FUNCTIONS}{path}"), "", b"").await.body();
        let configuration = body.get("Configuration").unwrap_or(&body);
        assert_eq!(configuration["State"], "Deactivating", "{path}");
        assert_eq!(configuration["LastUpdateStatus"], "Successful", "{path}");
    }
    let event = "x-amz-invocation-type: Event\r\n";
    let answer = server.ask("POST", &format!("{FUNCTIONS}/f:live/invocations"), event, b"{}").await;
    let said = "The operation cannot be performed at this time. The function is currently in the following state: Deactivated";
    refused(&answer, 409, "ResourceConflictException", said);
    assert_eq!(put(&server, "2", bounds(0, 3)).await.body(), json!({ "FunctionState": "Active" }));
    let body = server.ask("GET", &format!("{FUNCTIONS}/f/configuration?Qualifier=2"), "", b"").await.body();
    assert_eq!(body["State"], "Active");
}

#[tokio::test]
async fn what_cannot_be_scaled_so_is_refused() {
    let server = with_versions("2").await;
    for qualifier in ["live", "$LATEST", ""] {
        assert_eq!(
            put(&server, qualifier, bounds(1, 1)).await.error().1,
            "ValidationException",
            "{qualifier}"
        );
        assert_eq!(get(&server, qualifier).await.error().1, "ValidationException", "{qualifier}");
    }
    // There is none: nothing can be published to it here.
    for qualifier in ["7", "$LATEST.PUBLISHED"] {
        let text = format!("Function not found: {ARN}:{qualifier}");
        refused(&put(&server, qualifier, bounds(1, 1)).await, 404, NOT_FOUND, &text);
        refused(&get(&server, qualifier).await, 404, NOT_FOUND, &text);
    }
    assert_eq!(put(&server, "2", bounds(0, 15_001)).await.error().1, "ValidationException");
    let crossed = "MinExecutionEnvironments [3] must not be greater than MaxExecutionEnvironments [2].";
    refused(&put(&server, "2", bounds(3, 2)).await, 400, INVALID, crossed);

    // Together the minimums of an account are as many as its executions.
    let most = |left: u32| {
        format!(
            "MinExecutionEnvironments [601] must not be greater than what is left of the account's concurrency [{left}]."
        )
    };
    assert_eq!(put(&server, "1", json!({ "MinExecutionEnvironments": 400 })).await.status, 202);
    let min = json!({ "MinExecutionEnvironments": 601 });
    refused(&put(&server, "2", min.clone()).await, 400, INVALID, &most(600));
    assert_eq!(put(&server, "1", json!({ "MinExecutionEnvironments": 399 })).await.status, 202);
    assert_eq!(put(&server, "2", min).await.status, 202);
    let unreserved = server.ask("GET", "/2016-08-19/account-settings", "", b"").await.body();
    assert_eq!(unreserved["AccountLimit"]["UnreservedConcurrentExecutions"], 1000, "nothing is set aside");

    // What is provisioned and what there may be at most agree, whoever comes first.
    assert_eq!(put(&server, "2", bounds(0, 2)).await.status, 202);
    let greater = "Requested Provisioned Concurrency must not be greater than the version's MaxExecutionEnvironments [2].";
    for qualifier in ["2", "live"] {
        refused(&provision(&server, qualifier, 3).await, 400, INVALID, greater);
    }
    assert_eq!(provision(&server, "live", 2).await.status, 202);
    let lower =
        "MaxExecutionEnvironments [1] must not be lower than the version's provisioned concurrency [2].";
    refused(&put(&server, "2", bounds(0, 1)).await, 400, INVALID, lower);
}
