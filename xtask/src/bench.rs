//! `cargo xtask bench`: lambkin in its default configuration against a bare Node.js server, in
//! interleaved rounds of one run, so that a noisy machine disturbs both alike. Prints a table of
//! medians and ratios; it judges nothing.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::http::{Connection, request};
use crate::server::Server;
use crate::tools::{self, Result};

const RUNTIME: &str = "nodejs22.x";
const HANDLER: &str = "exports.handler = async (event) => event.key1;";
const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","key3":"value3"}"#;

/// How much is measured.
struct Scale {
    rounds: usize,
    requests: usize,
    seconds: f64,
    colds: usize,
    soak: usize,
    functions: usize,
}

pub(crate) fn run(quick: bool) -> Result {
    let scale = if quick {
        Scale { rounds: 3, requests: 500, seconds: 0.5, colds: 5, soak: 5_000, functions: 50 }
    } else {
        Scale { rounds: 10, requests: 3_000, seconds: 2.0, colds: 20, soak: 200_000, functions: 1_000 }
    };
    let lambkin = tools::lambkin()?;
    let runtimes = tools::scratch("runtimes");
    tools::run(
        Command::new(&lambkin)
            .args(["runtimes", "install", RUNTIME, "--runtimes"])
            .arg(&runtimes)
            .stdout(Stdio::null()),
    )?;
    let node = node_binary(&lambkin, &runtimes)?;
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let server = Server::lambkin(&lambkin, data.path(), &runtimes)?;
    let bare = Server::start(Command::new(&node).arg(tools::root().join("benches/bare.js")))?;
    let idle = server.resident_kib()?;
    server.create("bench", RUNTIME, HANDLER)?;

    let mut table = Table::default();
    warm(&scale, &server, &bare, &mut table)?;
    cold(&scale, &server, &node, &mut table)?;
    table.row("RSS, idle", format!("{:.1} MiB", mib(idle)), "", "≤ 40 MiB");
    soak(&scale, &server, &mut table)?;
    many_functions(&scale, server, &lambkin, data.path(), &runtimes, &mut table)?;
    table.print();
    Ok(())
}

fn warm(scale: &Scale, server: &Server, bare: &Server, table: &mut Table) -> Result {
    let (ours, theirs) = (invoke_request("bench"), request("POST", "/", EVENT));
    // Both have run their code before the first measured round, with all the environments that the
    // widest round needs.
    throughput(server.address, &ours, 16, 1.0)?;
    throughput(bare.address, &theirs, 16, 1.0)?;
    let (mut latencies, mut rates) = ([Vec::new(), Vec::new()], [Vec::new(), Vec::new()]);
    for _ in 0..scale.rounds {
        for (index, (address, bytes)) in
            [(server.address, &ours), (bare.address, &theirs)].into_iter().enumerate()
        {
            latencies[index].push(median_latency(address, bytes, scale.requests)?);
        }
        for (index, (address, bytes)) in
            [(server.address, &ours), (bare.address, &theirs)].into_iter().enumerate()
        {
            rates[index].push(throughput(address, bytes, 16, scale.seconds)?);
        }
    }
    let [ours, theirs] = latencies.map(median);
    table.row(
        "warm Invoke, 1 connection, p50",
        format!("{:.0} µs against {:.0} µs", ours * 1e6, theirs * 1e6),
        &format!("{:.2}×", ours / theirs),
        "≤ 2.5×",
    );
    let [ours, theirs] = rates.map(median);
    table.row(
        "warm Invoke, 16 connections",
        format!("{ours:.0}/s against {theirs:.0}/s"),
        &format!("{:.2}×", ours / theirs),
        "≥ 0.7×",
    );
    Ok(())
}

fn cold(scale: &Scale, server: &Server, node: &Path, table: &mut Table) -> Result {
    let empty = tempfile::NamedTempFile::with_suffix(".js").map_err(|error| error.to_string())?;
    let (mut colds, mut starts) = (Vec::new(), Vec::new());
    for number in 0..scale.colds {
        let name = format!("cold{number}");
        server.create(&name, RUNTIME, HANDLER)?;
        let mut connection = Connection::open(server.address)?;
        let began = Instant::now();
        connection.call(&invoke_request(&name))?;
        colds.push(began.elapsed().as_secs_f64());
        let began = Instant::now();
        let status =
            Command::new(node).arg(empty.path()).env_clear().status().map_err(|error| error.to_string())?;
        starts.push(began.elapsed().as_secs_f64());
        if !status.success() {
            return Err(format!("node on an empty script: {status}"));
        }
    }
    let (ours, theirs) = (median(colds), median(starts));
    table.row(
        "cold Invoke",
        format!("{:.1} ms against {:.1} ms for node on an empty script", ours * 1e3, theirs * 1e3),
        &format!("+{:.1} ms", (ours - theirs) * 1e3),
        "≤ +12 ms",
    );
    Ok(())
}

/// Memory over many invocations, looked at after the first tenth and at the end.
fn soak(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    let bytes = invoke_request("bench");
    let mut connection = Connection::open(server.address)?;
    let mut early = 0;
    for number in 0..scale.soak {
        connection.call(&bytes)?;
        if number == scale.soak / 10 {
            early = server.resident_kib()?;
        }
    }
    let late = server.resident_kib()?;
    table.row(
        &format!("RSS over {} invocations", scale.soak),
        format!("{:.1} MiB after a tenth, {:.1} MiB at the end", mib(early), mib(late)),
        &format!("{:+.1} MiB", mib(late) - mib(early)),
        "flat",
    );
    Ok(())
}

fn many_functions(
    scale: &Scale,
    server: Server,
    lambkin: &Path,
    data: &Path,
    runtimes: &Path,
    table: &mut Table,
) -> Result {
    let bytes = invoke_request("bench");
    let few = median_latency(server.address, &bytes, scale.requests)?;
    for number in 0..scale.functions {
        server.create(&format!("one-of-many-{number}"), RUNTIME, HANDLER)?;
    }
    let many = median_latency(server.address, &bytes, scale.requests)?;
    table.row(
        &format!("p50 with {} functions registered", scale.functions),
        format!("{:.0} µs against {:.0} µs", many * 1e6, few * 1e6),
        &format!("{:+.3} ms", (many - few) * 1e3),
        "≤ +1 ms",
    );
    server.stop()?;
    let mut ready = Vec::new();
    for _ in 0..scale.rounds {
        let again = Server::lambkin(lambkin, data, runtimes)?;
        ready.push(again.ready.as_secs_f64());
        again.stop()?;
    }
    table.row(
        &format!("ready with {} functions in the store", scale.functions),
        format!("{:.0} ms", median(ready) * 1e3),
        "",
        "≤ 150 ms",
    );
    Ok(())
}

fn invoke_request(name: &str) -> Vec<u8> {
    request("POST", &format!("/2015-03-31/functions/{name}/invocations"), EVENT)
}

fn node_binary(lambkin: &Path, runtimes: &Path) -> Result<PathBuf> {
    let output = Command::new(lambkin).args(["runtimes", "list", "--runtimes"]).arg(runtimes).output();
    let output = output.map_err(|error| error.to_string())?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.lines().find(|line| line.starts_with(RUNTIME)).ok_or("the runtime is not listed")?;
    line.split('\t').nth(3).map(PathBuf::from).ok_or_else(|| format!("it is not installed: {line}"))
}

/// Seconds of the median request over one kept connection.
fn median_latency(address: SocketAddr, bytes: &[u8], count: usize) -> Result<f64> {
    let mut connection = Connection::open(address)?;
    for _ in 0..count / 20 {
        connection.call(bytes)?;
    }
    let mut seconds = Vec::with_capacity(count);
    for _ in 0..count {
        let began = Instant::now();
        connection.call(bytes)?;
        seconds.push(began.elapsed().as_secs_f64());
    }
    Ok(median(seconds))
}

/// Requests a second over `connections` kept connections, each with a thread of its own.
fn throughput(address: SocketAddr, bytes: &[u8], connections: usize, seconds: f64) -> Result<f64> {
    let began = Instant::now();
    let end = began + Duration::from_secs_f64(seconds);
    let counts = std::thread::scope(|scope| {
        let client = || -> Result<usize> {
            let mut connection = Connection::open(address)?;
            let mut count = 0;
            while Instant::now() < end {
                connection.call(bytes)?;
                count += 1;
            }
            Ok(count)
        };
        let clients: Vec<_> = (0..connections).map(|_| scope.spawn(client)).collect();
        clients
            .into_iter()
            .map(|client| client.join().expect("no client panics"))
            .collect::<Result<Vec<usize>>>()
    })?;
    Ok(counts.iter().sum::<usize>() as f64 / began.elapsed().as_secs_f64())
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// A table in Markdown, ready for the README.
#[derive(Default)]
struct Table(Vec<[String; 4]>);

impl Table {
    fn row(&mut self, what: &str, measured: String, ratio: &str, goal: &str) {
        self.0.push([what.to_owned(), measured, ratio.to_owned(), goal.to_owned()]);
    }

    fn print(&self) {
        println!("\n| what | measured | ratio | goal |\n|---|---|---|---|");
        for [what, measured, ratio, goal] in &self.0 {
            println!("| {what} | {measured} | {ratio} | {goal} |");
        }
    }
}
