//! Permissions from outside: statements, whole policies, revisions and limits.

use serde_json::{Value, json};

use super::fakes::{Answer, Server};
use super::{FUNCTIONS, created, refused};

const ARN: &str = "arn:aws:lambda:eu-west-1:000000000000:function:f";

async fn add(server: &Server, query: &str, body: &Value) -> Answer {
    server.ask("POST", &format!("{FUNCTIONS}/f/policy{query}"), "", body.to_string().as_bytes()).await
}

async fn policy(server: &Server) -> Answer {
    server.ask("GET", &format!("{FUNCTIONS}/f/policy"), "", b"").await
}

async fn revision(server: &Server) -> String {
    let answer = server.ask("GET", &format!("{FUNCTIONS}/f/configuration"), "", b"").await;
    answer.body()["RevisionId"].as_str().unwrap().to_owned()
}

fn permission(sid: &str) -> Value {
    json!({ "StatementId": sid, "Action": "lambda:InvokeFunction", "Principal": "sns.amazonaws.com" })
}

#[tokio::test]
async fn statements_come_and_go() {
    let server = Server::start().await;
    created(&server, "f").await;
    let before = revision(&server).await;
    let answer = add(&server, "", &permission("a")).await;
    assert_eq!(answer.status, 201, "{}", answer.body());
    let statement = format!(
        r#"{{"Sid":"a","Effect":"Allow","Principal":{{"Service":"sns.amazonaws.com"}},"Action":"lambda:InvokeFunction","Resource":"{ARN}"}}"#
    );
    assert_eq!(answer.body()["Statement"], json!(statement));
    let answer = policy(&server).await.body();
    let document = format!(r#"{{"Version":"2012-10-17","Id":"default","Statement":[{statement}]}}"#);
    assert_eq!(answer["Policy"], json!(document));
    // As recorded: the function's revision is the policy's.
    let after = revision(&server).await;
    assert!(answer["RevisionId"] == json!(after) && after != before);

    let again = add(&server, "", &permission("a")).await;
    refused(
        &again,
        409,
        "ResourceConflictException",
        "The statement id (a) provided already exists. Please provide a new statement id, or remove the existing statement.",
    );
    let mut old = permission("b");
    old["RevisionId"] = json!(before);
    refused(
        &add(&server, "", &old).await,
        412,
        "PreconditionFailedException",
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest Revision Id",
    );
    let path = format!("{FUNCTIONS}/f/policy/a?RevisionId={after}");
    assert_eq!(server.ask("DELETE", &path, "", b"").await.status, 204);
    refused(
        &policy(&server).await,
        404,
        "ResourceNotFoundException",
        "The resource you requested does not exist.",
    );
}

#[tokio::test]
async fn refusals_are_recorded_ones() {
    let server = Server::start().await;
    created(&server, "f").await;
    let latest = add(&server, "?Qualifier=$LATEST", &permission("a")).await;
    refused(
        &latest,
        400,
        "InvalidParameterValueException",
        "We currently do not support adding policies for $LATEST.",
    );
    let alias = add(&server, "?Qualifier=live", &permission("a")).await;
    refused(&alias, 404, "ResourceNotFoundException", &format!("Cannot find alias arn: {ARN}:live"));
    let version = add(&server, "?Qualifier=42", &permission("a")).await;
    refused(&version, 404, "ResourceNotFoundException", &format!("Function not found: {ARN}:42"));
    let mut body = permission("a");
    body["Principal"] = json!("nobody");
    let principal = add(&server, "", &body).await;
    refused(
        &principal,
        400,
        "InvalidParameterValueException",
        "The provided principal was invalid. Please check the principal and try again.",
    );
    let remove = server.ask("DELETE", &format!("{FUNCTIONS}/f/policy/a"), "", b"").await;
    refused(&remove, 404, "ResourceNotFoundException", "No policy is associated with the given resource.");
    add(&server, "", &permission("a")).await;
    let remove = server.ask("DELETE", &format!("{FUNCTIONS}/f/policy/b"), "", b"").await;
    refused(&remove, 404, "ResourceNotFoundException", "Statement b is not found in resource policy.");
    let gone = server.ask("DELETE", &format!("{FUNCTIONS}/g/policy/b"), "", b"").await;
    refused(
        &gone,
        404,
        "ResourceNotFoundException",
        &format!("No policy found for: {}g", &ARN[..ARN.len() - 1]),
    );
}

#[tokio::test]
async fn a_policy_is_bounded() {
    let server = Server::start().await;
    created(&server, "f").await;
    for index in 0..200 {
        let answer = add(&server, "", &permission(&format!("{index:0>90}"))).await;
        if answer.status != 201 {
            let (status, code, text) = answer.error();
            assert_eq!((status, code.as_str()), (400, "PolicyLengthExceededException"));
            assert!(
                text.starts_with("The final policy size (") && text.ends_with("the limit (20480)."),
                "{text}"
            );
            let kept = policy(&server).await.body()["Policy"].as_str().unwrap().len();
            assert!(kept <= 20_480 && index > 50);
            return;
        }
    }
    panic!("a policy without an end");
}

#[tokio::test]
async fn whole_policies() {
    let server = Server::start().await;
    created(&server, "f").await;
    let path = format!("/2026-07-09/resource-policy/{ARN}");
    let text = format!(
        r#"{{"Version":"2012-10-17","Statement":{{"Effect":"Deny","Principal":"*","Action":"lambda:*","Resource":"{ARN}"}}}}"#
    );
    let put = server.ask("PUT", &path, "", json!({ "Policy": text }).to_string().as_bytes()).await;
    assert_eq!(put.status, 200, "{}", put.body());
    let got = server.ask("GET", &path, "", b"").await.body();
    assert_eq!((&got["Policy"], &got["RevisionId"]), (&json!(text), &put.body()["RevisionId"]));
    // The same document: a statement comes to what there is.
    assert_eq!(add(&server, "", &permission("a")).await.status, 201);
    let both = policy(&server).await.body()["Policy"].as_str().unwrap().to_owned();
    let both: Value = serde_json::from_str(&both).unwrap();
    assert_eq!(both["Statement"].as_array().unwrap().len(), 2);
    let old = format!("{path}?RevisionId={}", got["RevisionId"].as_str().unwrap());
    assert_eq!(server.ask("DELETE", &old, "", b"").await.status, 412);
    assert_eq!(server.ask("DELETE", &path, "", b"").await.status, 204);
    assert_eq!(server.ask("GET", &path, "", b"").await.status, 404);
    for (policy, complaint) in [
        ("{}", "The policy has no Statement"),
        (r#"{"Statement":{"Effect":"Allow","Action":"*","Resource":"*"}}"#, "A statement has no Principal"),
        (
            r#"{"Statement":{"Effect":"Allow","Principal":"*","Action":"*","Resource":"*","Condition":{"Like":{"a:b":"c"}}}}"#,
            "The condition operator Like is not known",
        ),
    ] {
        let put = server.ask("PUT", &path, "", json!({ "Policy": policy }).to_string().as_bytes()).await;
        refused(&put, 400, "InvalidParameterValueException", complaint);
    }
}
