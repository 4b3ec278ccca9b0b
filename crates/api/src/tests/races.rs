//! Requests that meet a deletion by another client between two of their steps.

use lambkin_model::catalog::Head;
use serde_json::json;

use super::fakes::{MemoryCatalog, SIGNED, Server};
use super::{FUNCTIONS, create, created};

type Meanwhile = fn(&MemoryCatalog);

/// DeleteFunction.
fn function(catalog: &MemoryCatalog) {
    catalog.meddle(|_| None);
}

/// DeleteFunction of version 1, after the alias was moved to version 2.
fn version(catalog: &MemoryCatalog) {
    catalog.meddle(|mut head: Head| {
        head.versions.remove(&1);
        if let Some(alias) = head.aliases.get_mut("live") {
            alias.version = lambkin_model::version::Version::Published(2);
        }
        Some(head)
    });
}

/// A function `f` with versions 1 and 2, and an alias `live` of the first.
async fn two() -> Server {
    let server = Server::start().await;
    created(&server, "f").await;
    for number in 1..=2 {
        let published = server.ask("POST", &format!("{FUNCTIONS}/f/versions"), "", b"{}").await;
        assert_eq!((published.status, &published.body()["Version"]), (201, &json!(number.to_string())));
        let update = json!({ "Timeout": number }).to_string();
        let updated = server.ask("PUT", &format!("{FUNCTIONS}/f/configuration"), "", update.as_bytes()).await;
        assert_eq!(updated.status, 200);
        server.settle("f").await;
    }
    let alias = br#"{"Name":"live","FunctionVersion":"1"}"#;
    assert_eq!(server.ask("POST", &format!("{FUNCTIONS}/f/aliases"), "", alias).await.status, 201);
    server
}

/// What is answered is what was so at some moment between question and answer, never a failure of ours.
#[tokio::test]
async fn a_version_that_goes_while_it_is_looked_at() {
    // Which look-up of a body meets the deletion, what is deleted, the answer's status and version.
    let rows: [(&str, &str, u32, Meanwhile, u16, &str); 12] = [
        ("GET", "f?Qualifier=1", 1, function, 404, ""),
        ("GET", "f?Qualifier=1", 1, version, 404, ""),
        ("GET", "f?Qualifier=live", 1, function, 404, ""),
        ("GET", "f?Qualifier=live", 1, version, 200, "2"),
        ("GET", "f/configuration?Qualifier=1", 1, version, 404, ""),
        ("GET", "f/configuration?Qualifier=live", 1, version, 200, "2"),
        ("GET", "f/versions", 1, function, 200, ""),
        // Its first look is for what was published last: something has changed since.
        ("POST", "f/versions", 1, function, 404, ""),
        ("POST", "f/versions", 2, function, 201, "3"),
        ("PUT", "f/code", 1, function, 409, ""),
        ("PUT", "f/code", 2, function, 200, "3"),
        ("DELETE", "f?Qualifier=2", 1, function, 204, ""),
    ];
    for (method, path, nth, meanwhile, status, version) in rows {
        let server = two().await;
        server.catalog.before_body(nth, meanwhile);
        let body: &[u8] = match method {
            "PUT" => br#"{"ZipFile":"UEstMg==","Publish":true}"#,
            "POST" => b"{}",
            _ => b"",
        };
        let answer = server.ask(method, &format!("{FUNCTIONS}/{path}"), "", body).await;
        let case = format!("{method} {path} {nth}");
        assert_eq!(answer.status, status, "{case}: {}", String::from_utf8_lossy(&answer.bytes));
        if !version.is_empty() {
            let body = answer.body();
            let found = body.get("Configuration").unwrap_or(&body);
            assert_eq!(found["Version"], version, "{case}");
        }
        // A request that does not look so often has nothing to fear.
        assert!(server.catalog.has_met() || nth == 2, "{case}: nothing happened meanwhile");
    }
}

/// Deployment tools add permissions right after the function: its activation goes on.
#[tokio::test]
async fn what_changes_beside_a_function_does_not_stop_its_activation() {
    let server = Server::start().await;
    assert_eq!(server.ask("POST", FUNCTIONS, "", &create("f", &json!({}))).await.status, 201);
    for statement in ["created", "changed"] {
        let permission = json!({
            "StatementId": statement, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com",
        });
        let permission = permission.to_string();
        let path = "/2015-03-31/functions/f/policy";
        let before = server.ask("GET", &format!("{FUNCTIONS}/f/configuration"), "", b"").await.body();
        assert_eq!(server.ask("POST", path, "", permission.as_bytes()).await.status, 201, "{statement}");
        let after = server.ask("GET", &format!("{FUNCTIONS}/f/configuration"), "", b"").await.body();
        assert_ne!(before["RevisionId"], after["RevisionId"], "a permission is a change of the function's");
        assert!(after["State"] == "Pending" || after["LastUpdateStatus"] == "InProgress", "{after}");
        server.settle("f").await;
        let update = server.ask("PUT", &format!("{FUNCTIONS}/f/configuration"), "", b"{}").await;
        assert_eq!(update.status, 200, "{statement}");
    }
}

/// Everybody creates, changes, publishes, looks at and deletes the same function.
#[tokio::test]
async fn a_storm_of_changes_has_no_failure_of_ours() {
    const CLIENTS: usize = 16;
    const TURNS: usize = 60;
    let server = Server::start().await;
    server.settle_all();
    let address = server.address;
    let clients: Vec<_> = (0..CLIENTS)
        .map(|client| {
            tokio::spawn(async move {
                let mut connection = super::fakes::Client::connect(address).await;
                let mut seen = Vec::new();
                for turn in 0..TURNS {
                    // Each client in an order of its own.
                    let what = (client * 7 + turn * (2 * client + 1)) % 12;
                    let (method, path, body) = match what {
                        0 | 1 => ("POST", String::new(), create("f", &json!({ "Publish": what == 1 }))),
                        2 => (
                            "PUT",
                            "/f/configuration".into(),
                            json!({ "Timeout": turn + 1 }).to_string().into(),
                        ),
                        3 => ("PUT", "/f/code".into(), br#"{"ZipFile":"UEstMg==","Publish":true}"#.to_vec()),
                        4 | 5 => ("POST", "/f/versions".into(), b"{}".to_vec()),
                        6 => (
                            "POST",
                            "/f/aliases".into(),
                            br#"{"Name":"live","FunctionVersion":"1"}"#.to_vec(),
                        ),
                        7 => ("GET", "/f?Qualifier=live".into(), Vec::new()),
                        8 => ("GET", "/f/versions".into(), Vec::new()),
                        9 => ("DELETE", "/f/aliases/live".into(), Vec::new()),
                        10 => ("DELETE", "/f?Qualifier=1".into(), Vec::new()),
                        _ => ("DELETE", "/f".into(), Vec::new()),
                    };
                    connection.send(method, &format!("{FUNCTIONS}{path}"), SIGNED, &body).await;
                    let answer = connection.answer().await;
                    assert!(
                        matches!(answer.status, 200..=204 | 404 | 409),
                        "{method} {path}: {} {}",
                        answer.status,
                        String::from_utf8_lossy(&answer.bytes)
                    );
                    seen.push((what, answer.status));
                }
                seen
            })
        })
        .collect();
    let mut seen = std::collections::BTreeSet::new();
    for client in clients {
        seen.extend(client.await.unwrap());
    }
    assert!(seen.contains(&(4, 201)) && seen.contains(&(11, 204)), "it was no storm: {seen:?}");
}
