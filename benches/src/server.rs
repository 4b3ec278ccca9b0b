//! A server under measurement: started on a free port, killed when dropped.

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use base64::Engine as _;
use serde_json::{Value, json};

use crate::Result;
use crate::control_seed::zipped;
use crate::http::{Connection, request};

pub(crate) const RUNTIME: &str = "nodejs22.x";
pub(crate) const HANDLER: &str = "exports.handler = async (event) => event.key1;";

pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// From the start of the process to its `listening` line.
    pub(crate) ready: Duration,
}

/// In KiB.
pub(crate) struct Memory {
    /// Of Node.js's processes.
    pub(crate) node: u64,
    /// Of all others.
    pub(crate) others: u64,
}

impl Server {
    /// Starts a command that prints `listening on http://ADDR:PORT`.
    pub(crate) fn start(command: &mut Command) -> Result<Self> {
        let began = Instant::now();
        let mut process =
            command.stdout(Stdio::piped()).spawn().map_err(|error| format!("{command:?}: {error}"))?;
        let mut lines = BufReader::new(process.stdout.take().expect("piped above")).lines();
        let found = lines.by_ref().map_while(std::result::Result::ok).find_map(|line| {
            line.strip_prefix("listening on http://").and_then(|address| address.trim().parse().ok())
        });
        let Some(address) = found else {
            let _ = process.kill();
            let _ = process.wait();
            return Err(format!("{command:?} did not start"));
        };
        let ready = began.elapsed();
        // What it prints later must not fill the pipe.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(Self { process, address, ready })
    }

    /// `lambkin serve` on this data directory, otherwise in its default configuration.
    pub(crate) fn lambkin(binary: &Path, data: &Path, runtimes: &Path) -> Result<Self> {
        Self::lambkin_with(binary, data, runtimes, &[])
    }

    /// The same with more options.
    pub(crate) fn lambkin_with(
        binary: &Path,
        data: &Path,
        runtimes: &Path,
        options: &[&str],
    ) -> Result<Self> {
        let mut command = Command::new(binary);
        command
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .arg("--runtimes")
            .arg(runtimes)
            .args(options);
        Self::start(command.env("LAMBKIN_LOG", "warn"))
    }

    /// Resident memory of the process itself, in KiB.
    pub(crate) fn resident_kib(&self) -> Result<u64> {
        let path = format!("/proc/{}/status", self.process.id());
        let status = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
        line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("VmRSS:{line}"))
    }

    /// Microseconds of processor time that it and all processes below it have used so far.
    pub(crate) fn cpu_micros(&self) -> Result<u64> {
        let mut nanos = 0;
        for pid in self.tree()? {
            let Ok(threads) = std::fs::read_dir(format!("/proc/{pid}/task")) else { continue };
            for thread in threads.flatten() {
                let Ok(text) = std::fs::read_to_string(thread.path().join("schedstat")) else { continue };
                nanos += text.split(' ').next().and_then(|first| first.parse::<u64>().ok()).unwrap_or(0);
            }
        }
        Ok(nanos / 1000)
    }

    /// KiB of memory (PSS) of it and all processes below it. Those of jails show it to root alone.
    pub(crate) fn memory(&self) -> Result<Memory> {
        let mut memory = Memory { node: 0, others: 0 };
        for pid in self.tree()? {
            let path = format!("/proc/{pid}/smaps_rollup");
            let text = std::fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
            let line = text.lines().find_map(|line| line.strip_prefix("Pss:")).ok_or("no Pss")?;
            let kib: u64 = line.trim().trim_end_matches(" kB").parse().map_err(|_| format!("Pss:{line}"))?;
            let program = std::fs::read_link(format!("/proc/{pid}/exe")).unwrap_or_default();
            let part = if program.ends_with("node") { &mut memory.node } else { &mut memory.others };
            *part += kib;
        }
        Ok(memory)
    }

    /// It and all processes below it.
    fn tree(&self) -> Result<Vec<u32>> {
        let mut parents = Vec::new();
        for entry in std::fs::read_dir("/proc").map_err(|error| error.to_string())?.flatten() {
            // A process that has just ended is not counted any more.
            let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
                continue;
            };
            let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
            // pid (name) state parent: the name may hold anything.
            let parent = stat.rsplit_once(") ").and_then(|(_, rest)| rest.split(' ').nth(1)?.parse().ok());
            parents.push((pid, parent.unwrap_or(0)));
        }
        let mut tree = vec![self.process.id()];
        let mut next = 0;
        while let Some(of) = tree.get(next).copied() {
            tree.extend(parents.iter().filter(|(_, parent)| *parent == of).map(|(pid, _)| *pid));
            next += 1;
        }
        Ok(tree)
    }

    /// Ends it as an operator would, and waits.
    pub(crate) fn stop(mut self) -> Result {
        let terminated = Command::new("kill").arg(self.process.id().to_string()).status();
        terminated.map_err(|error| error.to_string())?;
        self.process.wait().map_err(|error| error.to_string())?;
        Ok(())
    }

    /// Creates a function of one file `index.js` and waits until it is active.
    pub(crate) fn create(&self, name: &str, runtime: &str, code: &str) -> Result {
        let body = json!({
            "FunctionName": name,
            "Runtime": runtime,
            "Role": "arn:aws:iam::000000000000:role/bench",
            "Handler": "index.handler",
            "Code": { "ZipFile": base64::engine::general_purpose::STANDARD.encode(zipped(&[("index.js", code.as_bytes())])?) },
        });
        let mut connection = Connection::open(self.address)?;
        connection.call(&request("POST", "/2015-03-31/functions", body.to_string().as_bytes()))?;
        let deadline = Instant::now() + Duration::from_secs(120);
        let get = request("GET", &format!("/2015-03-31/functions/{name}/configuration"), b"");
        loop {
            let answer: Value =
                serde_json::from_slice(&connection.call(&get)?).map_err(|error| error.to_string())?;
            match answer["State"].as_str() {
                Some("Active") => return Ok(()),
                Some("Pending") if Instant::now() < deadline => std::thread::sleep(Duration::from_millis(5)),
                _ => return Err(format!("{name} does not become active: {answer}")),
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
