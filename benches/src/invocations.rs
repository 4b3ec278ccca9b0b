//! Warm invocations against a bare Node.js server, memory over many of them, and many functions.
//!
//! Warm figures are taken twice: where the kernel places the processes, and with everything on one core,
//! because a bare server may share its client's core by chance and then answers several times as fast.

use std::path::Path;
use std::process::Command;

use crate::Bench;
use crate::Result;
use crate::http::{Connection, EVENT, invoke_request, request};
use crate::load::{Load, median_latency};
use crate::pinned::Pinned;
use crate::server::{HANDLER, RUNTIME, Server};
use crate::table::{Table, median};

const CONNECTIONS: usize = 16;
/// Answers at once whatever is asked.
const BARE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/bare.js");

/// How much is measured.
pub(crate) struct Scale {
    rounds: usize,
    /// Seconds of load before the warm rounds: V8 compiles a process's hot code after thousands of
    /// invocations, and lambkin has a process for each connection.
    warm_up: f64,
    requests: usize,
    seconds: f64,
    soak: usize,
    functions: usize,
}

impl Scale {
    pub(crate) const QUICK: Self =
        Self { rounds: 3, warm_up: 2.0, requests: 500, seconds: 0.5, soak: 5_000, functions: 50 };
    pub(crate) const WHOLE: Self =
        Self { rounds: 10, warm_up: 15.0, requests: 3_000, seconds: 2.0, soak: 200_000, functions: 1_000 };
}

pub(crate) fn run(scale: &Scale, bench: &Bench, node: &Path, table: &mut Table) -> Result {
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let server = Server::lambkin(&bench.lambkin, data.path(), &bench.runtimes)?;
    let bare = || Server::start(Command::new(node).arg(BARE));
    let idle = server.resident_kib()?;
    server.create("bench", RUNTIME, HANDLER)?;
    warm(scale, &server, &bare()?, "", table)?;
    {
        let _pinned = Pinned::to_one_core()?;
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::lambkin(&bench.lambkin, data.path(), &bench.runtimes)?;
        server.create("bench", RUNTIME, HANDLER)?;
        warm(scale, &server, &bare()?, ", all on one core", table)?;
    }
    table.row("RSS, idle", format!("{:.1} MiB", mib(idle)), "", "≤ 40 MiB");
    soak(scale, &server, table)?;
    many_functions(scale, server, bench, data.path(), table)
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

fn many_functions(scale: &Scale, server: Server, bench: &Bench, data: &Path, table: &mut Table) -> Result {
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
        let again = Server::lambkin(&bench.lambkin, data, &bench.runtimes)?;
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

fn mib(kib: u64) -> f64 {
    kib as f64 / 1024.0
}
