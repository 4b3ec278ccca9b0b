//! The API from outside: raw requests over TCP, the real control plane over ports in memory.

mod callers;
mod concurrency;
mod event_invoke;
mod fakes;
mod functions;
mod invocations;
mod layers;
mod mappings;
mod no_queues;
mod own;
mod permissions;
mod provisioned;
mod races;
mod refusals;
mod scaling;
mod sns;
mod sqs;
mod transport;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use fakes::{Answer, Server};

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

/// `f` with the versions 1 and 2, and the alias `live` of one of them.
async fn with_versions(live: &str) -> Server {
    let server = Server::start().await;
    created(&server, "f").await;
    for description in ["one", "two"] {
        let body = json!({ "Description": description }).to_string();
        server.ask("PUT", &format!("{FUNCTIONS}/f/configuration"), "", body.as_bytes()).await;
        server.settle("f").await;
        let answer = server.ask("POST", &format!("{FUNCTIONS}/f/versions"), "", b"{}").await;
        assert_eq!(answer.status, 201, "{}", answer.body());
    }
    let alias = json!({ "Name": "live", "FunctionVersion": live }).to_string();
    let answer = server.ask("POST", &format!("{FUNCTIONS}/f/aliases"), "", alias.as_bytes()).await;
    assert_eq!(answer.status, 201, "{}", answer.body());
    server
}

#[track_caller]
fn refused(answer: &Answer, status: u16, code: &str, text: &str) {
    assert_eq!(answer.error(), (status, code.to_owned(), text.to_owned()));
}
