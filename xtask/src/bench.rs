//! `cargo xtask bench`: lambkin in its default configuration against a bare Node.js server, in
//! interleaved rounds of one run, so that a noisy machine disturbs both alike. Prints a table of
//! medians and ratios; it judges nothing.
//!
//! Warm figures are taken twice: where the kernel places the processes, and with everything on one core,
//! because a bare server may share its client's core by chance and then answers several times as fast.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Instant;

use crate::bench_cold::Bed;
use crate::bench_control;
use crate::bench_events;
use crate::bench_logs;
use crate::http::{Connection, request};
use crate::load::Load;
use crate::pinned::Pinned;
use crate::server::Server;
use crate::tools::{self, Result};

pub(crate) const RUNTIME: &str = "nodejs22.x";
pub(crate) const HANDLER: &str = "exports.handler = async (event) => event.key1;";
const CONNECTIONS: usize = 16;
const EVENT: &[u8] = br#"{"key1":"value1","key2":"value2","key3":"value3"}"#;

/// What of it is measured where not all is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Starts,
    Events,
    Logs,
    Control,
}

/// How much is measured.
struct Scale {
    rounds: usize,
    /// Seconds of load before the warm rounds: V8 compiles a process's hot code after thousands of
    /// invocations, and lambkin has a process for each connection.
    warm_up: f64,
    requests: usize,
    seconds: f64,
    colds: usize,
    soak: usize,
    functions: usize,
}

pub(crate) fn run(quick: bool, part: Option<Part>, lambkin: Option<PathBuf>) -> Result {
    if part == Some(Part::Logs) && cfg!(debug_assertions) {
        return optimised(quick, lambkin.as_deref());
    }
    let scale = if quick {
        Scale { rounds: 3, warm_up: 2.0, requests: 500, seconds: 0.5, colds: 5, soak: 5_000, functions: 50 }
    } else {
        Scale {
            rounds: 10,
            warm_up: 15.0,
            requests: 3_000,
            seconds: 2.0,
            colds: 20,
            soak: 200_000,
            functions: 1_000,
        }
    };
    let lambkin = lambkin.map_or_else(tools::lambkin, Ok)?;
    let runtimes = tools::scratch("runtimes");
    tools::run(
        Command::new(&lambkin)
            .args(["runtimes", "install", RUNTIME, "--runtimes"])
            .arg(&runtimes)
            .stdout(Stdio::null()),
    )?;
    let node = node_binary(&lambkin, &runtimes)?;
    let mut table = Table::default();
    if part == Some(Part::Events) {
        let scale = if quick { bench_events::Scale::QUICK } else { bench_events::Scale::WHOLE };
        bench_events::run(&scale, &lambkin, &runtimes, &mut table)?;
        table.print();
        return Ok(());
    }
    if part == Some(Part::Logs) {
        let scale = if quick { bench_logs::Scale::QUICK } else { bench_logs::Scale::WHOLE };
        bench_logs::run(&scale, &lambkin, &runtimes, &mut table)?;
        table.print();
        return Ok(());
    }
    if part == Some(Part::Control) {
        let scale = if quick { bench_control::Scale::QUICK } else { bench_control::Scale::WHOLE };
        bench_control::run(&scale, &lambkin, &runtimes, &mut table)?;
        table.print();
        return Ok(());
    }
    let bed =
        Bed { lambkin: &lambkin, runtimes: &runtimes, node: &node, rounds: scale.rounds, colds: scale.colds };
    if part == Some(Part::Starts) {
        bed.run(&mut table)?;
        table.print();
        return Ok(());
    }
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let server = Server::lambkin(&lambkin, data.path(), &runtimes)?;
    let bare = || Server::start(Command::new(&node).arg(tools::root().join("benches/bare.js")));
    let idle = server.resident_kib()?;
    server.create("bench", RUNTIME, HANDLER)?;

    warm(&scale, &server, &bare()?, "", &mut table)?;
    {
        let _pinned = Pinned::to_one_core()?;
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::lambkin(&lambkin, data.path(), &runtimes)?;
        server.create("bench", RUNTIME, HANDLER)?;
        warm(&scale, &server, &bare()?, ", all on one core", &mut table)?;
    }
    bed.run(&mut table)?;
    table.row("RSS, idle", format!("{:.1} MiB", mib(idle)), "", "≤ 40 MiB");
    soak(&scale, &server, &mut table)?;
    many_functions(&scale, server, &lambkin, data.path(), &runtimes, &mut table)?;
    table.print();
    Ok(())
}

/// The log store and SQLite are measured in this process too, where a debug build would slow one of them more than the other.
fn optimised(quick: bool, lambkin: Option<&Path>) -> Result {
    let lambkin = lambkin.map(std::path::absolute).transpose().map_err(|error| error.to_string())?;
    let lambkin = lambkin.map(|path| path.display().to_string());
    let mut arguments = vec!["run", "--quiet", "--release", "--package", "xtask", "--", "bench", "--logs"];
    arguments.extend(quick.then_some("--quick"));
    arguments.extend(lambkin.iter().flat_map(|path| ["--lambkin", path]));
    tools::run_cargo(&arguments)
}

fn warm(scale: &Scale, server: &Server, bare: &Server, placement: &str, table: &mut Table) -> Result {
    let both = [(server, invoke_request("bench")), (bare, request("POST", "/", EVENT))];
    for (server, bytes) in &both {
        Load::run(server.address, bytes, CONNECTIONS, scale.warm_up)?;
    }
    let mut latencies = [Vec::new(), Vec::new()];
    let mut rates = [Vec::new(), Vec::new()];
    let mut costs = [Vec::new(), Vec::new()];
    for _ in 0..scale.rounds {
        for ((server, bytes), latencies) in both.iter().zip(&mut latencies) {
            latencies.push(median_latency(server.address, bytes, scale.requests)?);
        }
        for (((server, bytes), rates), costs) in both.iter().zip(&mut rates).zip(&mut costs) {
            let before = server.cpu_micros()?;
            let load = Load::run(server.address, bytes, CONNECTIONS, scale.seconds)?;
            rates.push(load.rate());
            costs.push((server.cpu_micros()? - before) as f64 / load.answered as f64);
        }
    }
    let [ours, theirs] = latencies.map(median);
    table.row(
        &format!("warm Invoke, 1 connection{placement}, p50"),
        format!("{:.0} µs against {:.0} µs", ours * 1e6, theirs * 1e6),
        &format!("{:.2}×", ours / theirs),
        "≤ 2.5×",
    );
    let [ours, theirs] = rates.map(median);
    table.row(
        &format!("warm Invoke, {CONNECTIONS} connections{placement}"),
        format!("{ours:.0}/s against {theirs:.0}/s"),
        &format!("{:.2}×", ours / theirs),
        "≥ 0.7×",
    );
    let [ours, theirs] = costs.map(median);
    table.row(
        &format!("processor time of each{placement}"),
        format!("{ours:.0} µs against {theirs:.0} µs"),
        &format!("{:.2}×", ours / theirs),
        "",
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

pub(crate) fn invoke_request(name: &str) -> Vec<u8> {
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
pub(crate) fn median_latency(address: SocketAddr, bytes: &[u8], count: usize) -> Result<f64> {
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

pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}

/// A table in Markdown, ready for docs/speed.md.
#[derive(Default)]
pub(crate) struct Table(Vec<[String; 4]>);

impl Table {
    pub(crate) fn row(&mut self, what: &str, measured: String, ratio: &str, goal: &str) {
        // At once too: a whole run takes long, and may fail later.
        eprintln!("{what}: {measured}, {ratio}");
        self.0.push([what.to_owned(), measured, ratio.to_owned(), goal.to_owned()]);
    }

    fn print(&self) {
        println!("\n| what | measured | ratio | goal |\n|---|---|---|---|");
        for [what, measured, ratio, goal] in &self.0 {
            println!("| {what} | {measured} | {ratio} | {goal} |");
        }
    }
}
