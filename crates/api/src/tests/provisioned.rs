//! Provisioned concurrency from outside: documents, what is refused, and what it takes of the account (aws-behaviour 3, 66).

use serde_json::{Value, json};

use super::fakes::{Answer, Server};
use super::{FUNCTIONS, refused, with_versions};

const ARN: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";
const INVALID: &str = "InvalidParameterValueException";

fn path(qualifier: &str) -> String {
    format!("/2019-09-30/functions/f/provisioned-concurrency?Qualifier={qualifier}")
}

pub(super) async fn put(server: &Server, qualifier: &str, count: u32) -> Answer {
    let body = json!({ "ProvisionedConcurrentExecutions": count }).to_string();
    server.ask("PUT", &path(qualifier), "", body.as_bytes()).await
}

async fn get(server: &Server, qualifier: &str) -> Answer {
    server.ask("GET", &path(qualifier), "", b"").await
}

async fn reserve(server: &Server, count: u32) -> Answer {
    let body = json!({ "ReservedConcurrentExecutions": count }).to_string();
    server.ask("PUT", "/2017-10-31/functions/f/concurrency", "", body.as_bytes()).await
}

async fn unreserved(server: &Server) -> Value {
    let answer = server.ask("GET", "/2016-08-19/account-settings", "", b"").await;
    answer.body()["AccountLimit"]["UnreservedConcurrentExecutions"].clone()
}

#[tokio::test]
async fn configurations_come_and_go() {
    let server = with_versions("1").await;
    let none = "No Provisioned Concurrency Config found for this function";
    let code = "ProvisionedConcurrencyConfigNotFoundException";
    refused(&get(&server, "1").await, 404, code, none);
    let answer = put(&server, "1", 2).await;
    assert_eq!(answer.status, 202, "{}", answer.body());
    let document = |allocated: u32, available: u32, status: &str| {
        json!({
            "RequestedProvisionedConcurrentExecutions": 2, "AllocatedProvisionedConcurrentExecutions": allocated,
            "AvailableProvisionedConcurrentExecutions": available, "Status": status,
            "LastModified": "2026-01-02T03:04:05+0000",
        })
    };
    assert_eq!(answer.body(), document(0, 0, "IN_PROGRESS"));
    assert_eq!(get(&server, "1").await.body(), document(1, 0, "IN_PROGRESS"));
    assert_eq!(put(&server, "2", 2).await.status, 202);
    assert_eq!(get(&server, "2").await.body(), document(2, 1, "READY"));
    assert_eq!(unreserved(&server).await, 996);
    let list = async |query: &str| {
        let path = format!("/2019-09-30/functions/f/provisioned-concurrency?List=ALL{query}");
        server.ask("GET", &path, "", b"").await.body()
    };
    let first = list("&MaxItems=1").await;
    let marker = first["NextMarker"].as_str().unwrap();
    let mut expected = document(1, 0, "IN_PROGRESS");
    expected["FunctionArn"] = json!(format!("{ARN}:1"));
    assert_eq!(first["ProvisionedConcurrencyConfigs"], json!([expected]));
    let second = list(&format!("&MaxItems=1&Marker={marker}")).await;
    assert_eq!(second["ProvisionedConcurrencyConfigs"][0]["FunctionArn"], format!("{ARN}:2"));
    assert!(second.get("NextMarker").is_none());
    for _ in 0..2 {
        assert_eq!(server.ask("DELETE", &path("1"), "", b"").await.status, 204);
    }
    refused(&get(&server, "1").await, 404, code, none);
    // It goes with its version.
    assert_eq!(server.ask("DELETE", &format!("{FUNCTIONS}/f?Qualifier=2"), "", b"").await.status, 204);
    assert_eq!(
        (unreserved(&server).await, list("").await["ProvisionedConcurrencyConfigs"].clone()),
        (json!(1000), json!([]))
    );
}

#[tokio::test]
async fn what_cannot_be_provisioned_is_refused() {
    let server = with_versions("1").await;
    let latest = "Provisioned Concurrency Configs cannot be applied to unpublished function versions.";
    refused(&put(&server, "$LATEST", 1).await, 400, INVALID, latest);
    let must = "The function resource provided must be an alias or a published version.";
    refused(&get(&server, "$LATEST").await, 400, INVALID, must);
    let no_version = format!("Function not found: {ARN}:7");
    refused(&put(&server, "7", 1).await, 404, "ResourceNotFoundException", &no_version);
    let no_alias = format!("Cannot find alias arn: {ARN}:no");
    refused(&put(&server, "no", 1).await, 404, "ResourceNotFoundException", &no_alias);
    assert_eq!(put(&server, "1", 0).await.error().1, "ValidationException");

    assert_eq!(put(&server, "live", 2).await.status, 202);
    let pointed = "Version is pointed by a Provisioned Concurrency alias";
    refused(&put(&server, "1", 1).await, 409, "ResourceConflictException", pointed);
    assert_eq!(server.ask("DELETE", &path("live"), "", b"").await.status, 204);
    assert_eq!(put(&server, "1", 2).await.status, 202);
    let provisioned =
        "Alias can't be used for Provisioned Concurrency configuration on an already Provisioned version";
    refused(&put(&server, "live", 1).await, 409, "ResourceConflictException", provisioned);

    let greater = "Specified ConcurrentExecutions for function is greater than account's unreserved concurrency [1000].";
    refused(&put(&server, "2", 999).await, 400, INVALID, greater);
    let minimum = "Specified ConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below its minimum value of [100].";
    refused(&put(&server, "2", 899).await, 400, INVALID, minimum);
    assert_eq!(put(&server, "2", 898).await.status, 202);
    assert_eq!(unreserved(&server).await, 100);
    assert_eq!(server.ask("DELETE", &path("2"), "", b"").await.status, 204);

    let lower = " ReservedConcurrentExecutions  1 should not be lower than function's total provisioned concurrency [2].";
    refused(&reserve(&server, 1).await, 400, INVALID, lower);
    assert_eq!(reserve(&server, 3).await.status, 200);
    let more = "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function";
    refused(&put(&server, "2", 2).await, 400, INVALID, more);
    assert_eq!(put(&server, "2", 1).await.status, 202);
    assert_eq!(unreserved(&server).await, 997, "what is provisioned is of what is reserved");
}
