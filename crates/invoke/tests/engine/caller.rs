//! A process of the fake launcher that speaks the Runtime API instead of the channel, where the
//! variable `HTTP` is set. `$ID` is the running invocation.
//!
//! `respond TEXT` · `insist TEXT` (until it is accepted) · `error BODY` · `initerror BODY` · `big N` · `stream PART …` · `failstream PART …` ·
//! `begin` (a streamed response), `part TEXT`, `parts N SIZE`, `end` or `break` · `get PATH` ·
//! `post PATH BODY` · `mode MODE` (a response with this response mode) · `raw TEXT` (on a connection of its own) ·
//! `truncated` · `hold` (half a response) and `finish` (the other half) · `later` (a response once the invocation is over) · `anew` (from now on another connection) · `open N` (idle connections) · `ask` ("next" on another
//! connection) and `asked` (its answer) · `late` ("next"
//! on as many connections as there can be) · `report` (responds what was answered so far) · `headers` (responds those of the
//! invocation) · `who` · `flood` · `close` (the channel) · `print TEXT` · `sleep MS` · `exit N` · `hang`.

use std::collections::BTreeMap;
use std::io;
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::process::Puppet;

const NEXT: &str = "/runtime/invocation/next";
const STREAMING: &str = "Lambda-Runtime-Function-Response-Mode: streaming\r\nTransfer-Encoding: chunked\r\n\
    Trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n";

pub async fn play(mut puppet: Puppet) -> ExitStatus {
    let address = puppet.spec.variables["AWS_LAMBDA_RUNTIME_API"].clone();
    let mut caller = Caller {
        address,
        connection: None,
        idle: Vec::new(),
        streaming: None,
        answers: Vec::new(),
        later: None,
        count: 0,
    };
    let init = [format!("INIT_{}", puppet.run), "INIT".into()];
    let init = init.iter().find_map(|name| puppet.spec.variables.get(name).cloned()).unwrap_or_default();
    if let Some(status) = caller.act(&mut puppet, &init, &Event::default()).await {
        return status;
    }
    loop {
        let event = caller.call("GET", NEXT, "", b"").await.expect("an invocation");
        assert_eq!(event.status, "200 OK", "{}", event.text());
        caller.count += 1;
        let words = event.text();
        if let Some(status) = caller.act(&mut puppet, &words, &event).await {
            return status;
        }
    }
}

struct Caller {
    address: String,
    connection: Option<TcpStream>,
    idle: Vec<TcpStream>,
    streaming: Option<TcpStream>,
    answers: Vec<String>,
    later: Option<JoinHandle<Event>>,
    count: usize,
}

/// Any answer.
#[derive(Default)]
struct Event {
    status: String,
    headers: BTreeMap<String, String>,
    body: Vec<u8>,
}

impl Event {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl Caller {
    async fn act(&mut self, puppet: &mut Puppet, words: &str, event: &Event) -> Option<ExitStatus> {
        let id = event.headers.get("lambda-runtime-aws-request-id").cloned().unwrap_or_default();
        let words = words.replace("$ID", &id);
        let response = format!("/runtime/invocation/{id}/response");
        for step in words.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
            let number = || rest.parse::<usize>().unwrap_or_else(|_| panic!("{step}: no number"));
            match word {
                "respond" => self.post(&response, "", rest.as_bytes()).await,
                "big" => self.post(&response, "", &vec![b'1'; number()]).await,
                "mode" => {
                    let mode = format!("Lambda-Runtime-Function-Response-Mode: {rest}\r\n");
                    self.post(&response, &mode, b"{}").await;
                }
                "error" => {
                    let path = format!("/runtime/invocation/{id}/error");
                    self.post(
                        &path,
                        "Lambda-Runtime-Function-Error-Type: Function.Fake\r\n",
                        rest.as_bytes(),
                    )
                    .await;
                }
                "initerror" => {
                    let header = "Lambda-Runtime-Function-Error-Type: Runtime.Fake\r\n";
                    self.post("/runtime/init/error", header, rest.as_bytes()).await;
                }
                "stream" => self.stream(&response, rest, "").await,
                "failstream" => {
                    let trailers = "Lambda-Runtime-Function-Error-Type: Fake\r\nLambda-Runtime-Function-Error-Body: ezJ9\r\n";
                    self.stream(&response, rest, trailers).await;
                }
                "begin" => {
                    let headers = format!("Content-Type: text/plain\r\n{STREAMING}");
                    let mut connection = self.connect().await;
                    connection.write_all(head("POST", &response, &headers).as_bytes()).await.unwrap();
                    self.streaming = Some(connection);
                }
                "part" => self.part(rest.as_bytes()).await,
                "parts" => {
                    let (times, size) = rest.split_once(' ').unwrap();
                    let part = vec![b'1'; size.parse().unwrap()];
                    for _ in 0..times.parse::<usize>().unwrap() {
                        self.part(&part).await;
                    }
                }
                "end" => {
                    if let Some(mut connection) = self.streaming.take() {
                        // Where it is refused the server may close before all is sent.
                        let _ = connection.write_all(b"0\r\n\r\n").await;
                        let answer = read(&mut connection).await.expect("an answer");
                        self.note(&answer);
                    }
                }
                "break" => self.streaming = None,
                "get" => {
                    let answer = self.call("GET", rest, "", b"").await.expect("an answer");
                    self.note(&answer);
                }
                "post" => {
                    let (path, body) = rest.split_once(' ').unwrap_or((rest, ""));
                    self.post(path, "", body.as_bytes()).await;
                }
                "raw" => {
                    let mut connection = self.connect().await;
                    connection.write_all(rest.replace("\\r\\n", "\r\n").as_bytes()).await.unwrap();
                    let answer = read(&mut connection).await.expect("an answer");
                    self.note(&answer);
                }
                "truncated" => {
                    let mut connection = self.connect().await;
                    let head = head("POST", &response, "Content-Length: 100\r\n");
                    connection.write_all(&[head.as_bytes(), b"half"].concat()).await.unwrap();
                    connection.shutdown().await.unwrap();
                    let answer = read(&mut connection).await.expect("an answer");
                    self.note(&answer);
                }
                "hold" => {
                    let mut connection = self.connect().await;
                    let head = head("POST", &response, "Content-Length: 4\r\nExpect: 100-continue\r\n");
                    connection.write_all(head.as_bytes()).await.unwrap();
                    // It comes once the body is wanted.
                    assert_eq!(read(&mut connection).await.unwrap().status, "100 Continue");
                    connection.write_all(b"he").await.unwrap();
                    self.idle.push(connection);
                }
                "finish" => {
                    let mut connection = self.idle.pop().expect("who holds");
                    connection.write_all(b"ld").await.unwrap();
                    let answer = read(&mut connection).await.expect("an answer");
                    self.note(&answer);
                }
                "later" => {
                    let mut connection = self.connect().await;
                    let head = head("POST", &response, "Content-Length: 0\r\n");
                    self.later = Some(tokio::spawn(async move {
                        loop {
                            connection.write_all(head.as_bytes()).await.unwrap();
                            let answer = read(&mut connection).await.expect("an answer");
                            if answer.status != "403 Forbidden" {
                                return answer;
                            }
                        }
                    }));
                }
                "insist" => {
                    while self.answers.pop().is_none_or(|answer| !answer.starts_with("202")) {
                        self.post(&response, "", rest.as_bytes()).await;
                    }
                }
                "anew" => self.connection = None,
                "open" => {
                    self.idle.clear();
                    for _ in 0..number() {
                        let connection = self.connect().await;
                        self.idle.push(connection);
                    }
                }
                "ask" => {
                    let mut connection = self.connect().await;
                    connection.write_all(head("GET", NEXT, "").as_bytes()).await.unwrap();
                    self.idle.push(connection);
                }
                "asked" => {
                    let mut connection = self.idle.pop().expect("who asked");
                    let answer = read(&mut connection).await.expect("an invocation");
                    let same = answer.headers["lambda-runtime-aws-request-id"] == id;
                    self.answers.push(format!("{} {same}", answer.status));
                }
                "late" => {
                    for _ in 0..20 {
                        let mut connection = self.connect().await;
                        connection.write_all(head("GET", NEXT, "").as_bytes()).await.unwrap();
                        self.idle.push(connection);
                    }
                }
                "report" => {
                    if let Some(later) = self.later.take() {
                        let answer = later.await.unwrap();
                        self.note(&answer);
                    }
                    let answers = self.answers.join("\n");
                    self.post(&response, "", answers.as_bytes()).await;
                    self.answers.clear();
                }
                "headers" => {
                    let headers = serde_json::to_vec(&event.headers).unwrap();
                    self.post(&response, "", &headers).await;
                }
                "who" => {
                    let who = format!("{}.{}.{}", puppet.sandbox, puppet.run, self.count);
                    self.post(&response, "", who.as_bytes()).await;
                }
                "flood" => loop {
                    self.post("/runtime/invocation/none/response", "", b"").await;
                    self.answers.clear();
                },
                "close" => puppet.close_channel(),
                "print" => puppet.write(format!("{rest}\n").as_bytes()).await,
                "sleep" => tokio::time::sleep(Duration::from_millis(number() as u64)).await,
                "exit" => return Some(ExitStatus::Code(rest.parse().unwrap())),
                "hang" => std::future::pending().await,
                other => panic!("no such word: {other}"),
            }
        }
        None
    }

    fn note(&mut self, answer: &Event) {
        self.answers.push(format!("{} {}", answer.status, answer.text().trim_end()));
    }

    async fn post(&mut self, path: &str, headers: &str, body: &[u8]) {
        let answer = self.call("POST", path, headers, body).await.expect("an answer");
        self.note(&answer);
    }

    /// Where the response is refused there is nobody to read it any more.
    async fn part(&mut self, bytes: &[u8]) {
        let Some(connection) = &mut self.streaming else { return };
        let chunk = [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat();
        if connection.write_all(&chunk).await.is_err() {
            self.streaming = None;
        }
    }

    async fn stream(&mut self, path: &str, parts: &str, trailers: &str) {
        let mut text = head("POST", path, STREAMING);
        for part in parts.split(' ').filter(|part| !part.is_empty()) {
            text.push_str(&format!("{:x}\r\n{part}\r\n", part.len()));
        }
        text.push_str(&format!("0\r\n{trailers}\r\n"));
        let mut connection = self.connect().await;
        connection.write_all(text.as_bytes()).await.unwrap();
        let answer = read(&mut connection).await.expect("an answer");
        self.note(&answer);
    }

    async fn connect(&self) -> TcpStream {
        TcpStream::connect(&self.address).await.expect("the listener is there")
    }

    /// On the connection that is kept.
    async fn call(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) -> io::Result<Event> {
        if self.connection.is_none() {
            self.connection = Some(self.connect().await);
        }
        let connection = self.connection.as_mut().unwrap();
        let head = head(method, path, &format!("{headers}Content-Length: {}\r\n", body.len()));
        connection.write_all(head.as_bytes()).await?;
        // Where it is refused the server may close before all is sent; its answer is there.
        let _ = connection.write_all(body).await;
        read(connection).await
    }
}

fn head(method: &str, path: &str, headers: &str) -> String {
    format!("{method} /2018-06-01{path} HTTP/1.1\r\nHost: api\r\n{headers}\r\n")
}

async fn read(connection: &mut TcpStream) -> io::Result<Event> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(connection.read_u8().await?);
    }
    let head = String::from_utf8(head).expect("text");
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default().trim_start_matches("HTTP/1.1 ").to_owned();
    let headers: BTreeMap<_, _> = lines
        .filter_map(|line| line.split_once(": "))
        .map(|(name, value)| (name.to_lowercase(), value.to_owned()))
        .collect();
    let length = headers.get("content-length").map_or(0, |length| length.parse().expect("a length"));
    let mut body = vec![0; length];
    connection.read_exact(&mut body).await?;
    Ok(Event { status, headers, body })
}
