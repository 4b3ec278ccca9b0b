//! Starts of environments, freezing, and what idle environments cost. Every figure stands beside one of the same run.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::Result;
use crate::http::{Connection, invoke_request};
use crate::load::median_latency;
use crate::pinned::Pinned;
use crate::server::{HANDLER, RUNTIME, Server};
use crate::table::{Table, median};

/// Between two cold starts: four in a second and more.
const ARRIVALS: Duration = Duration::from_millis(200);

/// Functions that start at the same moment.
const AT_ONCE: usize = 50;

/// Environments that are idle at once.
const IDLE: usize = 100;

/// What is measured with.
pub(crate) struct Bed<'a> {
    pub(crate) lambkin: &'a Path,
    pub(crate) runtimes: &'a Path,
    pub(crate) node: &'a Path,
    pub(crate) rounds: usize,
    pub(crate) colds: usize,
}

impl Bed<'_> {
    pub(crate) fn run(&self, table: &mut Table) -> Result {
        self.cold(&[], "from the pool", "≤ 0.5×", table)?;
        self.cold(&["--warm-pool", "0"], "without a pool", "≤ +8 ms", table)?;
        self.compile_cache(table)?;
        self.at_once(table)?;
        self.freezing(table)?;
        self.idle(table)
    }

    fn server(&self, options: &[&str], use_it: impl FnOnce(&Server) -> Result) -> Result {
        let data = tempfile::tempdir().map_err(|error| error.to_string())?;
        let server = Server::lambkin_with(self.lambkin, data.path(), self.runtimes, options)?;
        use_it(&server)?;
        server.stop()
    }

    /// One cold start after the other, each of another function, beside starts of the same binary.
    fn cold(&self, options: &[&str], how: &str, goal: &str, table: &mut Table) -> Result {
        self.server(options, |server| {
            let (mut colds, mut starts, mut cpu) = (Vec::new(), Vec::new(), 0);
            // The first few make the demand, and read the files from disk.
            let first = 3;
            for number in 0..first + self.colds {
                server.create(&format!("cold{number}"), RUNTIME, HANDLER)?;
            }
            for number in 0..first + self.colds {
                if number == first {
                    cpu = server.cpu_micros()?;
                }
                let mut connection = Connection::open(server.address)?;
                let request = invoke_request(&format!("cold{number}"));
                let began = Instant::now();
                connection.call(&request)?;
                let cold = began.elapsed();
                std::thread::sleep(ARRIVALS / 2);
                let start = node_start(self.node)?;
                std::thread::sleep(ARRIVALS / 2);
                if number >= first {
                    colds.push(cold.as_secs_f64());
                    starts.push(start.as_secs_f64());
                }
            }
            let cpu = (server.cpu_micros()? - cpu) as f64 / self.colds as f64 / 1e3;
            let (ours, theirs) = (median(colds), median(starts));
            table.row(
                &format!("cold Invoke, {how}, p50"),
                format!(
                    "{:.1} ms (processor: {cpu:.0} ms for each, with what is made ahead) against {:.1} ms for node -e 0",
                    ours * 1e3,
                    theirs * 1e3
                ),
                &format!("{:.2}×, {:+.1} ms", ours / theirs, (ours - theirs) * 1e3),
                goal,
            );
            Ok(())
        })
    }

    /// Functions of one large bundle each: their first start, which finds no compile cache, beside their third, which
    /// reads the one that the second made.
    fn compile_cache(&self, table: &mut Table) -> Result {
        let code = large_bundle();
        self.server(&["--idle-timeout", "0.1"], |server| {
            let mut starts = [Vec::new(), Vec::new(), Vec::new()];
            for number in 0..=self.colds {
                let name = format!("large{number}");
                server.create(&name, RUNTIME, &code)?;
                for starts in &mut starts {
                    let mut connection = Connection::open(server.address)?;
                    let began = Instant::now();
                    connection.call(&invoke_request(&name))?;
                    // The first makes the pool's demand.
                    if number > 0 {
                        starts.push(began.elapsed().as_secs_f64());
                    }
                    // It is idle, retired, and another process is booted.
                    std::thread::sleep(3 * ARRIVALS);
                }
            }
            let [without, making, with] = starts.map(median);
            table.row(
                &format!(
                    "cold Invoke of a bundle of {:.1} MB, with its compile cache, p50",
                    code.len() as f64 / 1e6
                ),
                format!(
                    "{:.0} ms against {:.0} ms without (the start that makes it: {:.0} ms)",
                    with * 1e3,
                    without * 1e3,
                    making * 1e3
                ),
                &format!("{:.2}×, {:+.1} ms", with / without, (with - without) * 1e3),
                "< 1×",
            );
            Ok(())
        })
    }

    /// Many cold starts at one moment, none of them ready.
    fn at_once(&self, table: &mut Table) -> Result {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let (mut ours, mut theirs) = (Vec::new(), Vec::new());
        self.server(&["--warm-pool", "0"], |server| {
            for round in 0..self.rounds.min(5) {
                let names: Vec<_> = (0..AT_ONCE).map(|number| format!("once{round}-{number}")).collect();
                for name in &names {
                    server.create(name, RUNTIME, HANDLER)?;
                }
                let mut connections = Vec::new();
                for _ in &names {
                    connections.push(Connection::open(server.address)?);
                }
                let began = Instant::now();
                for (connection, name) in connections.iter_mut().zip(&names) {
                    connection.ask(&invoke_request(name))?;
                }
                for connection in &mut connections {
                    while connection.read()?.is_none() {}
                }
                ours.push(began.elapsed().as_secs_f64());
                // As many side by side as lambkin has inits.
                theirs.push(node_starts(self.node, AT_ONCE, 2 * cores)?.as_secs_f64());
            }
            Ok(())
        })?;
        let (ours, theirs) = (median(ours), median(theirs));
        table.row(
            &format!("{AT_ONCE} cold Invokes at once, the last answer"),
            format!("{:.0} ms against {:.0} ms for as many node -e 0", ours * 1e3, theirs * 1e3),
            &format!("{:.2}×", ours / theirs),
            "≤ 1.5×",
        );
        Ok(())
    }

    /// On one core: where the kernel happens to place two processes decides more than freezing does.
    fn freezing(&self, table: &mut Table) -> Result {
        let _pinned = Pinned::to_one_core()?;
        let request = invoke_request("warm");
        let (mut jail, mut process) = (Vec::new(), Vec::new());
        self.server(&[], |ours| {
            self.server(&["--isolation", "process"], |theirs| {
                for server in [ours, theirs] {
                    server.create("warm", RUNTIME, HANDLER)?;
                    median_latency(server.address, &request, 5_000)?;
                }
                for _ in 0..self.rounds {
                    jail.push(median_latency(ours.address, &request, 1_000)?);
                    process.push(median_latency(theirs.address, &request, 1_000)?);
                }
                Ok(())
            })
        })?;
        let (ours, theirs) = (median(jail), median(process));
        table.row(
            "warm Invoke, jailed and freezing, all on one core, p50",
            format!("{:.0} µs against {:.0} µs in plain processes", ours * 1e6, theirs * 1e6),
            &format!("{:.2}×", ours / theirs),
            "≤ 1.1×",
        );
        Ok(())
    }

    fn idle(&self, table: &mut Table) -> Result {
        self.server(&["--warm-pool", "0"], |server| {
            for number in 0..IDLE {
                server.create(&format!("idle{number}"), RUNTIME, HANDLER)?;
            }
            // One, so that what all of them share is there before.
            Connection::open(server.address)?.call(&invoke_request("idle0"))?;
            std::thread::sleep(Duration::from_millis(500));
            let before = server.memory()?;
            for number in 1..IDLE {
                Connection::open(server.address)?.call(&invoke_request(&format!("idle{number}")))?;
            }
            std::thread::sleep(Duration::from_millis(500));
            let after = server.memory()?;
            let each = |kib: u64| kib as f64 / 1024.0 / (IDLE - 1) as f64;
            let beyond = each(after.others.saturating_sub(before.others));
            let node = each(after.node.saturating_sub(before.node));
            table.row(
                &format!("{IDLE} idle environments"),
                format!(
                    "{node:.1} MiB (PSS) for each Node.js, {beyond:.2} MiB beyond it; {:.0} in a GiB",
                    1024.0 / (node + beyond)
                ),
                &format!("+{beyond:.2} MiB"),
                "≤ +0.5 MiB",
            );
            Ok(())
        })
    }
}

/// As bundlers write one: many modules in one file, of whose functions a part runs at load.
fn large_bundle() -> String {
    let mut code = String::from("'use strict';\nconst modules = {};\n");
    for module in 0..190 {
        code.push_str(&format!(
            "modules.m{module} = (exports) => {{\n\
             class Base {{ constructor(input) {{ this.middleware = [input]; }} }}\n\
             function shape(name, members) {{\n  const made = {{ name, members: {{}} }};\n  \
             for (const [key, kind] of members) {{ made.members[key] = {{ kind, required: key === 'Id' }}; }}\n  \
             return Object.freeze(made);\n}}\n"
        ));
        for command in 0..8 {
            code.push_str(
                &COMMAND.replace("MODULE", &module.to_string()).replace("COMMAND", &command.to_string()),
            );
        }
        code.push_str("};\n");
    }
    code.push_str("const loaded = {};\nfor (const name of Object.keys(modules)) { modules[name](loaded[name] = {}); }\n");
    code.push_str("exports.handler = async () => Object.keys(loaded).length;\n");
    code
}

const COMMAND: &str = r"
  class CommandCOMMAND extends Base {
    constructor(input) {
      super(input);
      this.input = input;
      this.name = 'CommandMODULE_COMMAND';
    }
    serialize(input, context) {
      const headers = { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': 'ServiceMODULE.CommandCOMMAND' };
      const body = JSON.stringify(this.flatten(input));
      return { headers, body, hostname: context.endpoint, path: `/${context.path}/MODULE/COMMAND`, method: 'POST' };
    }
    flatten(input) {
      const result = {};
      for (const key of Object.keys(input || {})) {
        if (input[key] === undefined || input[key] === null) {
          continue;
        }
        result[key] = typeof input[key] === 'object' ? this.flatten(input[key]) : input[key];
      }
      return result;
    }
    async deserialize(output) {
      if (output.statusCode >= 300) {
        throw new Error(`CommandMODULE_COMMAND failed with ${output.statusCode}`);
      }
      const data = await output.body;
      return { $metadata: { httpStatusCode: output.statusCode }, ...JSON.parse(data) };
    }
  }
  exports.CommandCOMMAND = CommandCOMMAND;
  exports.schemaCOMMAND = shape('CommandMODULE_COMMAND', [['Id', 'S'], ['Name', 'S'], ['Count', 'N'], ['Tags', 'M']]);
  exports.instanceCOMMAND = new CommandCOMMAND({ name: 'MODULE_COMMAND' });
";

fn plain(node: &Path) -> Command {
    let mut command = Command::new(node);
    command.args(["-e", "0"]).env_clear().stdin(Stdio::null());
    command
}

fn node_start(node: &Path) -> Result<Duration> {
    let began = Instant::now();
    let status = plain(node).status().map_err(|error| error.to_string())?;
    let took = began.elapsed();
    if status.success() { Ok(took) } else { Err(format!("node -e 0: {status}")) }
}

fn node_starts(node: &Path, count: usize, at_once: usize) -> Result<Duration> {
    let left = std::sync::atomic::AtomicUsize::new(count);
    let began = Instant::now();
    std::thread::scope(|scope| {
        let work = || -> Result {
            use std::sync::atomic::Ordering::Relaxed;
            while left.fetch_update(Relaxed, Relaxed, |left| left.checked_sub(1)).is_ok() {
                node_start(node)?;
            }
            Ok(())
        };
        let workers: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        workers.into_iter().try_for_each(|worker| worker.join().expect("no worker panics"))
    })?;
    Ok(began.elapsed())
}
