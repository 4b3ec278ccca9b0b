//! `cargo xtask bench --logs`: the log store against SQLite rows, gzip and zstd over the same seeded lines, and what
//! keeping a line costs an invocation, in interleaved rounds of one run.

use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::time::Timestamp;
use lambkin_observe::metrics::{MetricConfig, MetricStore};
use lambkin_observe::{Config, LogStore};
use rusqlite::Connection as Database;
use serde_json::{Value, json};

use crate::Result;
use crate::http::{Connection, invoke_request, logs_request};
use crate::load::Load;
use crate::server::{RUNTIME, Server};
use crate::table::{Table, median};

const CONNECTIONS: usize = 16;
const GROUP: &str = "/bench/logs";
/// The middle of the same lines.
const SMALL: &str = "/bench/small";
const SMALL_EVENTS: usize = 100_000;
/// Once in all lines, in their middle.
const RARE: &str = "needle-7d2f41c8-93ab-4e6d-8a10-5b7c99e0f3d2";
const DEADLINE: Duration = Duration::from_secs(600);
/// One line, of which nothing is the same twice.
const TALKER: &str = "exports.handler = async (event, context) => { console.log('took ' + Math.random() + ' of ' + \
                      context.awsRequestId); return event.key1; };";
/// Events that go to the store together, as of an invocation.
const BATCH: usize = 40;

/// How much is measured.
pub(crate) struct Scale {
    rounds: usize,
    warm_up: f64,
    seconds: f64,
    /// Lines of 100 bytes of each round of ingest.
    ingest: usize,
    /// Lines of the group that is searched.
    events: usize,
}

impl Scale {
    pub(crate) const QUICK: Self =
        Self { rounds: 3, warm_up: 3.0, seconds: 1.0, ingest: 200_000, events: 1_000_000 };
    pub(crate) const WHOLE: Self =
        Self { rounds: 7, warm_up: 15.0, seconds: 2.0, ingest: 1_000_000, events: 10_000_000 };
}

pub(crate) fn run(scale: &Scale, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    keeping(scale, lambkin, runtimes, table)?;
    ingest(scale, table)?;
    searching(scale, lambkin, runtimes, table)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

/// Invocations with a line that is kept, against one that is thrown away; and twice thrown away, which says what such a
/// difference means on this machine in this minute.
fn keeping(scale: &Scale, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    const WHICH: [&[&str]; 3] = [&[], &["--log-cap", "0"], &["--log-cap", "0"]];
    let invoke = invoke_request("bench");
    let mut servers = Vec::new();
    for options in WHICH {
        let data = tempfile::tempdir().map_err(text)?;
        let server = Server::lambkin_with(lambkin, data.path(), runtimes, options)?;
        server.create("bench", RUNTIME, TALKER)?;
        Load::run(server.address, &invoke, CONNECTIONS, scale.warm_up)?;
        servers.push((server, data));
    }
    let (mut rates, mut costs) = ([const { Vec::new() }; 3], [const { Vec::new() }; 3]);
    for round in 0..scale.rounds * 3 {
        // Each first in its turn: what one leaves behind is the next one's to bear.
        for turn in 0..WHICH.len() {
            let which = (round + turn) % WHICH.len();
            let server = &servers[which].0;
            let before = server.cpu_micros()?;
            let load = Load::run(server.address, &invoke, CONNECTIONS, scale.seconds)?;
            rates[which].push(load.rate());
            costs[which].push((server.cpu_micros()? - before) as f64 / load.answered as f64);
        }
    }
    let ([kept, thrown, again], [kept_cost, thrown_cost, again_cost]) =
        (rates.map(median), costs.map(median));
    let mut row = |what: &str, rate: f64, cost: f64, goal: &str| {
        table.row(
            what,
            format!(
                "{rate:.0}/s against {thrown:.0}/s, {cost:.1} µs of processor each against {thrown_cost:.1}"
            ),
            &format!(
                "{:+.1} %, processor {:+.1} %",
                (rate / thrown - 1.0) * 100.0,
                (cost / thrown_cost - 1.0) * 100.0
            ),
            goal,
        );
    };
    row(
        &format!("warm Invoke with a console line, {CONNECTIONS} connections, kept against thrown away"),
        kept,
        kept_cost,
        "≥ -5 %",
    );
    row("the same, thrown away against thrown away: noise", again, again_cost, "");
    servers.into_iter().try_for_each(|(server, _)| server.stop())
}

/// Numbers that are the same in each run.
struct Seeded(u64);

impl Seeded {
    fn next(&mut self) -> u64 {
        // SplitMix64.
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn uuid(&mut self) -> String {
        let (one, two) = (self.next(), self.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            one >> 32,
            one >> 16 & 0xFFFF,
            one & 0xFFF,
            two >> 48 & 0x3FFF | 0x8000,
            two & 0xFFFF_FFFF_FFFF
        )
    }
}

/// What functions write: START, lines of text and JSON, END, REPORT, an invocation after the other.
struct Corpus {
    seeded: Seeded,
    at: u64,
    id: String,
    place: u32,
}

impl Corpus {
    fn new(begin: u64) -> Self {
        Self { seeded: Seeded(42), at: begin, id: String::new(), place: 0 }
    }

    fn line(&mut self) -> (u64, String) {
        let time = Timestamp(self.at * 1000).iso();
        let seeded = &mut self.seeded;
        let line = match self.place {
            0 => {
                self.id = seeded.uuid();
                format!("START RequestId: {} Version: $LATEST", self.id)
            }
            1 | 3 => format!(
                "{time}\t{}\tINFO\torder {} of customer {} took {} ms",
                self.id,
                seeded.below(1_000_000),
                seeded.uuid(),
                seeded.below(900)
            ),
            2 => format!(
                "{{\"timestamp\":\"{time}\",\"level\":\"INFO\",\"requestId\":\"{}\",\"message\":{{\"item\":\"{}\",\"count\":{},\"price\":{}.{:02}}}}}",
                self.id,
                seeded.uuid(),
                seeded.below(20),
                seeded.below(1000),
                seeded.below(100)
            ),
            4 => format!("END RequestId: {}", self.id),
            _ => {
                let took = seeded.below(200_000);
                format!(
                    "REPORT RequestId: {}\tDuration: {}.{:02} ms\tBilled Duration: {} ms\tMemory Size: 128 MB\tMax Memory Used: {} MB\t",
                    self.id,
                    took / 100,
                    took % 100,
                    took / 100 + 1,
                    60 + seeded.below(40)
                )
            }
        };
        self.place = (self.place + 1) % 6;
        self.at += u64::from(self.place == 0);
        (self.at, line)
    }
}

fn stream(group: &str) -> Arc<LogStreamName> {
    Arc::new(LogStreamName {
        account: "000000000000".into(),
        region: "us-east-1".into(),
        group: group.into(),
        stream: "2026/01/02/[$LATEST]8f507cfc0a1b4697b07aac58fc914c95".into(),
    })
}

/// Appends, waiting where the store is behind.
fn append(
    store: &LogStore,
    runtime: &tokio::runtime::Runtime,
    stream: &Arc<LogStreamName>,
    events: Vec<LogEvent>,
) {
    if let Some(behind) = store.append(stream, events) {
        runtime.block_on(behind);
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().build().map_err(text)
}

/// Lines of 100 bytes, against a row each in transactions of 1,000.
fn ingest(scale: &Scale, table: &mut Table) -> Result {
    let runtime = runtime()?;
    let mut corpus = Corpus::new(now());
    let lines: Vec<(u64, Bytes)> = (0..scale.ingest)
        .map(|_| {
            let (at, line) = corpus.line();
            let mut line = line.into_bytes();
            while line.len() < 100 {
                line.extend_from_slice(corpus.seeded.uuid().as_bytes());
            }
            line.truncate(100);
            (at, line.into())
        })
        .collect();
    let mut seconds = [Vec::new(), Vec::new(), Vec::new()];
    let mut processor = [Vec::new(), Vec::new(), Vec::new()];
    for _ in 0..scale.rounds {
        let data = tempfile::tempdir().map_err(text)?;
        // As it is served: each line is looked at for metrics.
        let metrics = MetricStore::open(data.path(), &MetricConfig::default()).map_err(text)?;
        let store = LogStore::open(data.path(), &Config::default(), Some(Arc::new(metrics))).map_err(text)?;
        let stream = stream(GROUP);
        let (began, before) = (Instant::now(), processor_time()?);
        for batch in lines.chunks(BATCH) {
            let event =
                |(at, line): &(u64, Bytes)| LogEvent { at: Timestamp(at * 1000), message: line.clone() };
            append(&store, &runtime, &stream, batch.iter().map(event).collect());
        }
        if !store.flush(DEADLINE) {
            return Err("the log store does not get done".into());
        }
        seconds[0].push(began.elapsed().as_secs_f64());
        processor[0].push(processor_time()? - before);
        store.close(DEADLINE).map_err(text)?;
        for (which, index) in [(1, BY_TIME), (2, "")] {
            let file = data.path().join("rows.sqlite");
            let mut database = Database::open(&file).map_err(text)?;
            let (began, before) = (Instant::now(), processor_time()?);
            sqlite(&mut database, index, &lines).map_err(text)?;
            seconds[which].push(began.elapsed().as_secs_f64());
            processor[which].push(processor_time()? - before);
            database.close().map_err(|(_, error)| error.to_string())?;
            fs::remove_file(file).map_err(text)?;
        }
    }
    let count = lines.len() as f64;
    let [own, rows, bare] = seconds.map(|seconds| count / median(seconds));
    let [own_cost, rows_cost, bare_cost] = processor.map(|seconds| median(seconds) / count * 1e6);
    let mut row = |what: &str, rate: f64, cost: f64, goal: &str| {
        table.row(
            what,
            format!("{own:.0}/s against {rate:.0}/s, {own_cost:.2} µs of processor each against {cost:.2}"),
            &format!("{:.2}×, processor {:.2}×", own / rate, cost / own_cost),
            goal,
        );
    };
    row(
        "log lines of 100 bytes taken, against a SQLite row each, found by stream and time, in transactions of 1,000 (WAL, not synced either)",
        rows,
        rows_cost,
        "≥ 3×",
    );
    row("the same against rows without any index", bare, bare_cost, "");
    Ok(())
}

/// Seconds of processor that the threads of this process have used, which are still there.
fn processor_time() -> Result<f64> {
    let mut nanos = 0;
    for thread in fs::read_dir("/proc/self/task").map_err(text)? {
        let path = thread.map_err(text)?.path().join("schedstat");
        let said = fs::read_to_string(path).map_err(text)?;
        nanos += said.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
    }
    Ok(nanos as f64 / 1e9)
}

const BY_TIME: &str = "CREATE INDEX by_time ON events (stream, at)";

/// A row for each line.
fn sqlite(database: &mut Database, index: &str, lines: &[(u64, Bytes)]) -> rusqlite::Result<()> {
    database.pragma_update(None, "journal_mode", "WAL")?;
    database.pragma_update(None, "synchronous", "NORMAL")?;
    database.execute_batch(
        "CREATE TABLE events (stream INTEGER NOT NULL, at INTEGER NOT NULL, message TEXT NOT NULL) STRICT",
    )?;
    database.execute_batch(index)?;
    for batch in lines.chunks(1000) {
        let transaction = database.transaction()?;
        {
            let mut insert =
                transaction.prepare_cached("INSERT INTO events (stream, at, message) VALUES (1, ?1, ?2)")?;
            for (at, line) in batch {
                insert.execute((*at as i64, std::str::from_utf8(line).unwrap_or_default()))?;
            }
        }
        transaction.commit()?;
    }
    Ok(())
}

/// A large group: its size on disk, a rare term in it while more comes, and a read that is bounded by time.
fn searching(scale: &Scale, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    let runtime = runtime()?;
    let data = tempfile::tempdir().map_err(text)?;
    let raw = data.path().join("raw.log");
    let begin = now() - scale.events as u64 / 6 - 1000;
    {
        let store = LogStore::open(data.path(), &Config::default(), None).map_err(text)?;
        let (stream, small, mut corpus) = (stream(GROUP), stream(SMALL), Corpus::new(begin));
        let mut file = BufWriter::new(File::create(&raw).map_err(text)?);
        let mut batch = Vec::with_capacity(BATCH);
        for number in 0..scale.events {
            let (at, mut line) = corpus.line();
            if number == scale.events / 2 {
                line = format!("{line} {RARE}");
            }
            file.write_all(line.as_bytes()).and_then(|()| file.write_all(b"\n")).map_err(text)?;
            batch.push(LogEvent { at: Timestamp(at * 1000), message: line.into() });
            if batch.len() == BATCH {
                if number.abs_diff(scale.events / 2) <= SMALL_EVENTS / 2 {
                    append(&store, &runtime, &small, batch.clone());
                }
                append(&store, &runtime, &stream, std::mem::take(&mut batch));
            }
        }
        append(&store, &runtime, &stream, batch);
        file.flush().map_err(text)?;
        if !store.flush(DEADLINE) {
            return Err("the log store does not get done".into());
        }
        store.close(DEADLINE).map_err(text)?;
    }
    let run = |program: &str, arguments: &[&str]| -> Result {
        let status =
            Command::new(program).args(arguments).arg(&raw).stdout(Stdio::null()).status().map_err(text)?;
        if status.success() { Ok(()) } else { Err(format!("{program} failed")) }
    };
    run("zstd", &["-3", "-q", "-k"])?;
    let of_zstd = fs::metadata(raw.with_extension("log.zst")).map_err(text)?.len();
    let directory = data.path().join("logs/000000000000/us-east-1").join(GROUP.replace('/', "%2F"));
    let own = size_of(&directory).map_err(text)?;
    let lines = fs::metadata(&raw).map_err(text)?.len();
    run("gzip", &["-k"])?;
    table.row(
        &format!(
            "disk for {} log events ({} MB of text), against zstd -3 of the text",
            scale.events,
            lines / 1_000_000
        ),
        format!("{:.1} MB against {:.1} MB", own as f64 / 1e6, of_zstd as f64 / 1e6),
        &format!("{:.3}×", own as f64 / of_zstd as f64),
        "≤ 1.1×",
    );

    let server = Server::lambkin(lambkin, data.path(), runtimes)?;
    let mut client = Client::open(server.address)?;
    client.call("CreateLogStream", &json!({ "logGroupName": GROUP, "logStreamName": "more" }))?;
    let zipped = raw.with_extension("log.gz");
    let (stop, taken) = (AtomicBool::new(false), AtomicU64::new(0));
    let (finding, zgrep, elapsed) = std::thread::scope(|scope| -> Result<(f64, f64, f64)> {
        let ingesting = scope.spawn(|| more(server.address, GROUP, &stop, &taken));
        let began = Instant::now();
        let measured = (|| {
            let (mut finding, mut zgrep) = (Vec::new(), Vec::new());
            for _ in 0..scale.rounds {
                let began = Instant::now();
                let found = client.filter(GROUP, &json!({ "filterPattern": format!("\"{RARE}\"") }))?;
                finding.push(began.elapsed().as_secs_f64());
                if found != 1 {
                    return Err(format!("{found} events with the rare term"));
                }
                let began = Instant::now();
                let counted = Command::new("zgrep").args(["-c", RARE]).arg(&zipped).output().map_err(text)?;
                zgrep.push(began.elapsed().as_secs_f64());
                if counted.stdout != b"1\n" {
                    return Err(format!("zgrep says {}", String::from_utf8_lossy(&counted.stdout)));
                }
            }
            Ok((median(finding), median(zgrep)))
        })();
        stop.store(true, Ordering::Relaxed);
        let elapsed = began.elapsed().as_secs_f64();
        ingesting.join().map_err(|_| "ingesting panicked")??;
        measured.map(|(finding, zgrep)| (finding, zgrep, elapsed))
    })?;
    let rate = taken.load(Ordering::Relaxed) as f64 / elapsed;
    table.row(
        &format!(
            "a rare term in {} events by FilterLogEvents, against zgrep, while {rate:.0} events/s come",
            scale.events
        ),
        format!("{:.0} ms against {:.0} ms", finding * 1e3, zgrep * 1e3),
        &format!("{:.1}× faster", zgrep / finding),
        "≥ 5×",
    );

    // A second and a half in the middle of both.
    let from = begin + scale.events as u64 / 12;
    let bounds = json!({ "startTime": from, "endTime": from + 1500 });
    let events = client.filter(SMALL, &bounds)?;
    let mut times = [Vec::new(), Vec::new()];
    for _ in 0..scale.rounds * 3 {
        for (group, times) in [SMALL, GROUP].into_iter().zip(&mut times) {
            let began = Instant::now();
            let found = client.filter(group, &bounds)?;
            times.push(began.elapsed().as_secs_f64());
            if found != events {
                return Err(format!("{found} events of {events}"));
            }
        }
    }
    let [alone, among] = times.map(median);
    table.row(
        &format!(
            "a read of {events} events by time among {}, against the same among {SMALL_EVENTS}",
            scale.events
        ),
        format!("{:.1} ms against {:.1} ms", among * 1e3, alone * 1e3),
        &format!("{:.2}×", among / alone),
        "about 1×",
    );
    server.stop()
}

/// Puts events until it is told to stop.
fn more(address: SocketAddr, group: &str, stop: &AtomicBool, taken: &AtomicU64) -> Result {
    let mut client = Client::open(address)?;
    let mut corpus = Corpus::new(now());
    while !stop.load(Ordering::Relaxed) {
        let at = now();
        let events: Vec<Value> =
            (0..1000).map(|_| json!({ "timestamp": at, "message": corpus.line().1 })).collect();
        client.call(
            "PutLogEvents",
            &json!({ "logGroupName": group, "logStreamName": "more", "logEvents": events }),
        )?;
        taken.fetch_add(1000, Ordering::Relaxed);
    }
    Ok(())
}

/// CloudWatch Logs over one kept connection.
struct Client(Connection);

impl Client {
    fn open(address: SocketAddr) -> Result<Self> {
        Connection::open(address).map(Self)
    }

    fn call(&mut self, operation: &str, input: &Value) -> Result<Value> {
        let answer = self.0.call(&logs_request(operation, input))?;
        if answer.is_empty() { Ok(Value::Null) } else { serde_json::from_slice(&answer).map_err(text) }
    }

    /// How many events FilterLogEvents answers, by every page of it.
    fn filter(&mut self, group: &str, input: &Value) -> Result<usize> {
        let mut input = input.clone();
        input["logGroupName"] = json!(group);
        let mut count = 0;
        loop {
            let page = self.call("FilterLogEvents", &input)?;
            count += page["events"].as_array().ok_or("no events")?.len();
            match page["nextToken"].as_str() {
                Some(token) => input["nextToken"] = json!(token),
                None => return Ok(count),
            }
        }
    }
}

fn size_of(directory: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes += if metadata.is_dir() { size_of(&entry.path())? } else { metadata.len() };
    }
    Ok(bytes)
}

/// Milliseconds since 1970.
fn now() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(now.as_millis()).unwrap_or(u64::MAX)
}
