//! Who an environment is, by its own listener and by its session token.

use std::collections::HashMap;
use std::net::TcpListener;
use std::time::{Duration, SystemTime};

use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use lambkin_model::name::FunctionKey;
use lambkin_model::services::{Caller, Credentials, Services as _};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::oneshot;
use tokio::time::timeout;

use super::ROLE;
use super::fakes::{Client, SIGNED, Server};
use crate::Callers;

const PATH: &str = "/_lambkin/caller";

fn caller(name: &str) -> Caller {
    let function =
        FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() };
    Caller { function, version: "$LATEST".into(), role: ROLE.into() }
}

fn said(name: &str) -> Value {
    json!({ "function": format!("arn:aws:lambda:us-east-1:000000000000:function:{name}:$LATEST"), "role": ROLE })
}

async fn who(mut client: Client, headers: &str) -> Value {
    client.send("GET", PATH, headers, b"").await;
    let answer = client.answer().await;
    if answer.status == 200 { answer.body() } else { answer.status.into() }
}

/// Headers of a request that is signed with these credentials, as the SDKs do it.
fn signed(credentials: &Credentials) -> String {
    let (id, secret) = (&credentials.access_key_id, &credentials.secret_access_key);
    let token = credentials.session_token.clone();
    let identity = aws_credential_types::Credentials::new(id, secret, token, None, "test").into();
    let parameters = v4::SigningParams::builder()
        .identity(&identity)
        .region("us-east-1")
        .name("lambda")
        .time(SystemTime::now())
        .settings(SigningSettings::default())
        .build()
        .unwrap()
        .into();
    let url = format!("http://localhost{PATH}");
    let request =
        SignableRequest::new("GET", &url, [("host", "localhost")].into_iter(), SignableBody::Bytes(b""));
    let (instructions, _) = sign(request.unwrap(), &parameters).unwrap().into_parts();
    let headers = instructions.headers().map(|(name, value)| format!("{name}: {value}\r\n"));
    headers.fold("Host: localhost\r\n".into(), |all, header| all + &header)
}

/// What is altered in them, and what remains.
fn token(credentials: &Credentials) -> String {
    format!("{SIGNED}X-Amz-Security-Token: {}\r\n", credentials.session_token.as_deref().unwrap())
}

#[tokio::test]
async fn a_token_is_an_environment_s_while_it_lives() {
    let server = Server::start().await;
    let first = server.callers.admit(caller("first"));
    let second = server.callers.admit(caller("second"));
    assert_ne!(first.credentials(), second.credentials());
    assert_eq!(first.endpoint(), format!("http://{}", server.address));
    assert_eq!(who(server.connect().await, &signed(first.credentials())).await, said("first"));
    assert_eq!(who(server.connect().await, &signed(second.credentials())).await, said("second"));
    assert_eq!(who(server.connect().await, SIGNED).await, json!({}));
    // Who learns a token has nothing of it without the secret, and no other secret fits.
    assert_eq!(who(server.connect().await, &token(first.credentials())).await, 400);
    let (secret, id) =
        (second.credentials().secret_access_key.clone(), second.credentials().access_key_id.clone());
    let forged = Credentials { secret_access_key: secret, ..first.credentials().clone() };
    assert_eq!(who(server.connect().await, &signed(&forged)).await, 403);
    let forged = Credentials { access_key_id: id, ..forged };
    assert_eq!(who(server.connect().await, &signed(&forged)).await, 403);
    let unknown = Credentials { session_token: Some("other".into()), ..forged };
    assert_eq!(who(server.connect().await, &signed(&unknown)).await, json!({}));
    let credentials = first.credentials().clone();
    drop(first);
    assert_eq!(who(server.connect().await, &signed(&credentials)).await, json!({}), "it is gone");
}

#[tokio::test]
async fn its_listener_is_stronger_than_what_it_says() {
    let server = Server::start().await;
    let (inside, other) = (server.callers.admit(caller("inside")), server.callers.admit(caller("other")));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    let (end, ended) = oneshot::channel::<()>();
    let serving = tokio::spawn(inside.serve(listener.into(), Box::pin(async { drop(ended.await) })));
    assert_eq!(who(Client::connect(address).await, SIGNED).await, said("inside"));
    assert_eq!(who(Client::connect(address).await, &token(other.credentials())).await, said("inside"));
    // Who learns its token has nothing of it.
    assert_eq!(who(server.connect().await, &signed(inside.credentials())).await, json!({}));
    // The same API, with the function's region where the request names none.
    let mut client = Client::connect(address).await;
    let signed = "Host: localhost\r\nAuthorization: any\r\n";
    client.send("GET", "/2015-03-31/functions/nobody", signed, b"").await;
    let answer = client.answer().await;
    assert_eq!(answer.status, 404);
    assert!(answer.body()["Message"].as_str().unwrap().contains(":us-east-1:"), "{:?}", answer.body());
    // A page in a function's browser is a page.
    let mut client = Client::connect(address).await;
    client.send("GET", "/2015-03-31/functions", "Host: localhost\r\n", b"").await;
    assert_eq!(client.answer().await.status, 403, "not signed");
    // A connection that waits does not hold up the end.
    let waiting = Client::connect(address).await;
    drop(end);
    timeout(Duration::from_secs(5), serving).await.expect("ended").unwrap();
    assert!(TcpStream::connect(address).await.is_err(), "the listener is closed");
    drop(waiting);
}

#[test]
fn a_role_s_credentials_are_its_function_s() {
    let real =
        Credentials { access_key_id: "AKIA".into(), secret_access_key: "s".into(), session_token: None };
    let callers = Callers::new("0.0.0.0:4566".parse().unwrap(), HashMap::from([(ROLE.into(), real.clone())]));
    let with = callers.admit(caller("f"));
    assert_eq!((with.credentials(), with.endpoint()), (&real, "http://127.0.0.1:4566"));
    let without = callers.admit(Caller { role: "arn:aws:iam::1:role/other".into(), ..caller("f") });
    assert_ne!(without.credentials(), &real);
    assert!(!format!("{:?}", without.credentials()).contains(&without.credentials().secret_access_key));
}
