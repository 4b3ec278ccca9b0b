//! `cargo xtask bench --events`: asynchronous invocation against synchronous, and the SQS-compatible service
//! against raw SQLite, in interleaved rounds of one run.

use std::net::SocketAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::Result;
use crate::http::{Connection, event_request, invoke_request, request, sqs_request};
use crate::load::Load;
use crate::server::{HANDLER, RUNTIME, Server};
use crate::table::{Table, median};

const CONNECTIONS: usize = 16;
const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","key3":"value3"}"#;
const FUNCTION: &str = "bench";
/// A function with an event now and then, beside the backlog of the other.
const OTHER: &str = "other";
/// Bytes of a message's body.
const BODY: usize = 1024;
const BATCH: usize = 10;
const SHORT: usize = 1_000;

/// How much is measured.
pub(crate) struct Scale {
    rounds: usize,
    warm_up: f64,
    seconds: f64,
    backlog: usize,
    /// Messages of each round.
    messages: usize,
}

impl Scale {
    pub(crate) const QUICK: Self =
        Self { rounds: 3, warm_up: 2.0, seconds: 0.5, backlog: 20_000, messages: 100 };
    pub(crate) const WHOLE: Self =
        Self { rounds: 9, warm_up: 15.0, seconds: 2.0, backlog: 1_000_000, messages: 1_000 };
}

pub(crate) fn run(scale: &Scale, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    let with_server = |use_it: &mut dyn FnMut(&Server, &Path) -> Result| {
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::lambkin(lambkin, data.path(), runtimes)?;
        use_it(&server, data.path())?;
        server.stop()
    };
    with_server(&mut |server, _| events(scale, server, table))?;
    with_server(&mut |server, data| batches(scale, server, data, table))?;
    with_server(&mut |server, _| long_queue(scale, server, table))
}

/// Accepting while the dispatcher runs, then a backlog that is let go at once.
fn events(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    server.create(FUNCTION, RUNTIME, HANDLER)?;
    server.create(OTHER, RUNTIME, HANDLER)?;
    let (invoke, event) = (invoke_request(FUNCTION), event_request(FUNCTION, EVENT));
    Load::run(server.address, &invoke, CONNECTIONS, scale.warm_up)?;
    let (mut synchronous, mut accepted) = (Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        synchronous.push(Load::run(server.address, &invoke, CONNECTIONS, scale.seconds)?.rate());
        accepted.push(Load::run(server.address, &event, CONNECTIONS, scale.seconds)?.rate());
        drained(server, None)?;
    }
    let (rate, accepted) = (median(synchronous), median(accepted));
    table.row(
        &format!("events accepted, {CONNECTIONS} connections, dispatcher running"),
        format!("{accepted:.0}/s against {rate:.0}/s synchronously"),
        &format!("{:.2}×", accepted / rate),
        "≥ 0.5×",
    );

    let before = server.resident_kib()?;
    reserve(server, Some(0))?;
    let load = Load::count(server.address, &event, CONNECTIONS, scale.backlog)?;
    let accepted_at = server.resident_kib()?;
    let there = backlog(server)?;
    if there != scale.backlog as u64 {
        return Err(format!("{there} events wait and not {}", scale.backlog));
    }
    reserve(server, None)?;
    let began = (Instant::now(), server.cpu_micros()?);
    between(scale, server, table)?;
    let most = drained(server, Some(before))?.1;
    let drain = began.0.elapsed();
    let cost = (server.cpu_micros()? - began.1) as f64 / scale.backlog as f64;
    let before_load = server.cpu_micros()?;
    let load_after = Load::run(server.address, &invoke, CONNECTIONS, scale.seconds)?;
    let cost_of_one = (server.cpu_micros()? - before_load) as f64 / load_after.answered as f64;
    let after = load_after.rate();
    let mib = |kib: u64| (kib.saturating_sub(before)) as f64 / 1024.0;
    table.row(
        &format!("RSS with a backlog of {} events", scale.backlog),
        format!("accepted at {:.0}/s", load.rate()),
        &format!("{:+.1} MiB, {:+.1} MiB at most while it is drained", mib(accepted_at), mib(most)),
        "≤ +100 MB",
    );
    let drain = scale.backlog as f64 / drain.as_secs_f64();
    let synchronous = f64::midpoint(rate, after);
    table.row(
        "the backlog drained",
        format!("{drain:.0}/s against {synchronous:.0}/s synchronously, {cost:.0} µs of processor each against {cost_of_one:.0}"),
        &format!("{:.2}×", drain / synchronous),
        "≥ 0.8×",
    );
    Ok(())
}

/// Another function's events while the backlog is drained: how long each takes, and how many of the backlog's end
/// meanwhile.
fn between(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    let event = event_request(OTHER, EVENT);
    let (mut took, mut ended) = (Vec::new(), Vec::new());
    // The first has a cold start.
    for round in 0..=scale.rounds {
        let done = succeeded(server, OTHER)?;
        let others = succeeded(server, FUNCTION)?;
        let began = Instant::now();
        Load::count(server.address, &event, 1, 1)?;
        while succeeded(server, OTHER)? == done {
            if began.elapsed() > Duration::from_secs(60) {
                return Err("an event does not run beside the backlog".into());
            }
        }
        if round > 0 {
            took.push(began.elapsed().as_secs_f64() * 1e3);
            ended.push((succeeded(server, FUNCTION)? - others) as f64);
        }
    }
    let left = backlog(server)?;
    table.row(
        &format!("another function's event in front of a backlog of {}", scale.backlog),
        format!("{:.1} ms; {left} still waited", median(took)),
        &format!("{:.0} of the backlog end meanwhile", median(ended)),
        "a few",
    );
    Ok(())
}

/// A function's events that have succeeded.
fn succeeded(server: &Server, function: &str) -> Result<u64> {
    let functions = page(server)?;
    let suffix = format!(":{function}");
    let found =
        functions.iter().find(|each| each["function"].as_str().is_some_and(|arn| arn.ends_with(&suffix)));
    Ok(found.and_then(|each| each["since_start"]["succeeded"].as_u64()).unwrap_or(0))
}

/// Waits until no event waits or runs. How long that took, and the most memory meanwhile.
fn drained(server: &Server, resident: Option<u64>) -> Result<(Duration, u64)> {
    let began = Instant::now();
    let mut most = resident.unwrap_or(0);
    while backlog(server)? > 0 {
        if began.elapsed() > Duration::from_secs(600) {
            return Err("the backlog is not drained in 600 s".into());
        }
        most = most.max(server.resident_kib()?);
        std::thread::sleep(Duration::from_millis(20));
    }
    Ok((began.elapsed(), most))
}

/// Events of all functions that are waiting or running.
fn backlog(server: &Server) -> Result<u64> {
    let functions = page(server)?;
    let count = |function: &Value, name: &str| {
        function[name].as_u64().ok_or_else(|| format!("no {name} in {function}"))
    };
    let mut total = 0;
    for function in &functions {
        for name in ["backlog", "in_flight", "waiting_for_retry"] {
            total += count(function, name)?;
        }
    }
    Ok(total)
}

/// lambkin's page of events, by function.
fn page(server: &Server) -> Result<Vec<Value>> {
    let answer = Connection::open(server.address)?.call(&request("GET", "/_lambkin/events", b""))?;
    let mut answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
    match answer["functions"].take() {
        Value::Array(functions) => Ok(functions),
        other => Err(format!("no functions in {other}")),
    }
}

fn reserve(server: &Server, executions: Option<u64>) -> Result {
    let (method, version) =
        if executions.is_some() { ("PUT", "2017-10-31") } else { ("DELETE", "2017-10-31") };
    let path = format!("/{version}/functions/{FUNCTION}/concurrency");
    let body = executions.map(|count| json!({ "ReservedConcurrentExecutions": count }).to_string());
    let request = request(method, &path, body.unwrap_or_default().as_bytes());
    Connection::open(server.address)?.call(&request).map(drop)
}

/// A client of the SQS-compatible service, over one kept connection.
struct Sqs(Connection);

impl Sqs {
    fn open(address: SocketAddr) -> Result<Self> {
        Connection::open(address).map(Self)
    }

    fn call(&mut self, operation: &str, body: &Value) -> Result<Value> {
        let answer = self.0.call(&sqs_request(operation, body))?;
        if answer.is_empty() {
            return Ok(Value::Null);
        }
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        match answer["Failed"].as_array() {
            Some(failed) if !failed.is_empty() => Err(answer.to_string()),
            Some(_) | None => Ok(answer),
        }
    }

    /// Makes a queue; its URL.
    fn create(&mut self, name: &str) -> Result<String> {
        let answer = self.call("CreateQueue", &json!({ "QueueName": name }))?;
        Ok(answer["QueueUrl"].as_str().ok_or("no QueueUrl")?.to_owned())
    }

    fn send(&mut self, url: &str, body: &str, count: usize) -> Result {
        let sent = if count == 1 {
            self.call("SendMessage", &json!({ "QueueUrl": url, "MessageBody": body }))
        } else {
            self.call("SendMessageBatch", &batch_of(url, body, count))
        };
        sent.map(drop)
    }

    /// Handles of so many messages.
    fn receive(&mut self, url: &str, count: usize) -> Result<Vec<String>> {
        let asked = json!({ "QueueUrl": url, "MaxNumberOfMessages": count });
        let answer = self.call("ReceiveMessage", &asked)?;
        let messages = answer["Messages"].as_array().map(Vec::as_slice).unwrap_or_default();
        let handles: Vec<String> = messages
            .iter()
            .filter_map(|message| message["ReceiptHandle"].as_str().map(str::to_owned))
            .collect();
        if handles.len() == count {
            Ok(handles)
        } else {
            Err(format!("{} messages of {count}", handles.len()))
        }
    }

    fn delete(&mut self, url: &str, handles: &[String]) -> Result {
        let deleted = if let [handle] = handles {
            self.call("DeleteMessage", &json!({ "QueueUrl": url, "ReceiptHandle": handle }))
        } else {
            let entry = |(id, handle)| json!({ "Id": format!("{id}"), "ReceiptHandle": handle });
            let entries: Vec<Value> = handles.iter().enumerate().map(entry).collect();
            self.call("DeleteMessageBatch", &json!({ "QueueUrl": url, "Entries": entries }))
        };
        deleted.map(drop)
    }

    /// Messages a second, sent, received and deleted by so many at once.
    fn round(&mut self, url: &str, body: &str, count: usize, messages: usize) -> Result<f64> {
        let began = Instant::now();
        for _ in 0..messages / count {
            self.send(url, body, count)?;
            let handles = self.receive(url, count)?;
            self.delete(url, &handles)?;
        }
        Ok((messages / count * count) as f64 / began.elapsed().as_secs_f64())
    }
}

fn batch_of(url: &str, body: &str, count: usize) -> Value {
    let entries: Vec<Value> =
        (0..count).map(|id| json!({ "Id": id.to_string(), "MessageBody": body })).collect();
    json!({ "QueueUrl": url, "Entries": entries })
}

/// One client, one request at a time.
fn batches(scale: &Scale, server: &Server, data: &Path, table: &mut Table) -> Result {
    let mut sqs = Sqs::open(server.address)?;
    let url = sqs.create("bench")?;
    let body = "x".repeat(BODY);
    // Beside lambkin's own files: on the same disk.
    let mut raw = Raw::open(&data.join("raw.sqlite")).map_err(|error| error.to_string())?;
    sqs.round(&url, &body, 1, scale.messages / 10)?;
    let (mut single, mut batch, mut rows) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..scale.rounds {
        single.push(sqs.round(&url, &body, 1, scale.messages)?);
        batch.push(sqs.round(&url, &body, BATCH, scale.messages)?);
        rows.push(raw.round(&body, scale.messages).map_err(|error| error.to_string())?);
    }
    let (single, batch, rows) = (median(single), median(batch), median(rows));
    table.row(
        "SQS: send, receive, delete 1 KB, by ten against by one",
        format!("{batch:.0}/s against {single:.0}/s"),
        &format!("{:.2}×", batch / single),
        "≥ 4×",
    );
    table.row(
        "the same by ten, against rows of raw SQLite written and deleted by ten",
        format!("{batch:.0}/s against {rows:.0}/s"),
        &format!("{:.2}×", batch / rows),
        "≥ 0.3×",
    );
    Ok(())
}

/// SQLite with the same sync setting, and nothing around it.
struct Raw(Database);

impl Raw {
    fn open(path: &Path) -> rusqlite::Result<Self> {
        let database = Database::open(path)?;
        database.pragma_update(None, "journal_mode", "WAL")?;
        database.pragma_update(None, "synchronous", "FULL")?;
        database
            .execute_batch("CREATE TABLE rows (number INTEGER PRIMARY KEY, body BLOB NOT NULL) STRICT")?;
        Ok(Self(database))
    }

    /// Rows a second, in transactions of ten.
    fn round(&mut self, body: &str, rows: usize) -> rusqlite::Result<f64> {
        let began = Instant::now();
        for _ in 0..rows / BATCH {
            let mut numbers = Vec::with_capacity(BATCH);
            let transaction = self.0.transaction()?;
            for _ in 0..BATCH {
                transaction
                    .prepare_cached("INSERT INTO rows (body) VALUES (?1)")?
                    .execute([body.as_bytes()])?;
                numbers.push(transaction.last_insert_rowid());
            }
            transaction.commit()?;
            let transaction = self.0.transaction()?;
            for number in numbers {
                transaction.prepare_cached("DELETE FROM rows WHERE number = ?1")?.execute([number])?;
            }
            transaction.commit()?;
        }
        Ok((rows / BATCH * BATCH) as f64 / began.elapsed().as_secs_f64())
    }
}

/// What one message costs in a short queue and in a long one of the same server: each message of one beside one of
/// the other, so that whatever disturbs hits both alike.
fn long_queue(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    let body = "x".repeat(BODY);
    let mut queues = Vec::new();
    for (name, length) in [("short", SHORT), ("long", scale.backlog)] {
        let url = Sqs::open(server.address)?.create(name)?;
        let batch = sqs_request("SendMessageBatch", &batch_of(&url, "x", BATCH));
        Load::count(server.address, &batch, CONNECTIONS, length.div_ceil(BATCH))?;
        queues.push((url, Vec::new(), Vec::new()));
    }
    let messages = scale.messages / 4;
    // Opened now: filling takes longer than lambkin keeps a connection that rests.
    let mut sqs = Sqs::open(server.address)?;
    // The first round warms both up.
    for round in 0..=scale.rounds {
        for _ in 0..messages {
            for (url, sends, _) in &mut queues {
                let began = Instant::now();
                sqs.send(url, &body, 1)?;
                sends.extend((round > 0).then(|| began.elapsed().as_secs_f64()));
            }
        }
        for _ in 0..messages {
            for (url, _, receives) in &mut queues {
                let began = Instant::now();
                let handles = sqs.receive(url, 1)?;
                sqs.delete(url, &handles)?;
                receives.extend((round > 0).then(|| began.elapsed().as_secs_f64()));
            }
        }
    }
    let [(_, short_sends, short_receives), (_, long_sends, long_receives)] =
        queues.try_into().map_err(|_| "two queues")?;
    for (what, short, long) in [
        ("sending", median(short_sends), median(long_sends)),
        ("receiving and deleting", median(short_receives), median(long_receives)),
    ] {
        table.row(
            &format!("{what} a message with {} in the queue against {SHORT}", scale.backlog),
            format!("{:.0} µs against {:.0} µs", long * 1e6, short * 1e6),
            &format!("{:.2}×", long / short),
            "≤ 1.2×",
        );
    }
    Ok(())
}
