//! Many functions of ten versions each, made through the API as clients would.

use std::collections::HashSet;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use base64::Engine as _;
use serde_json::json;

use crate::Result;
use crate::http::{Connection, request};
use crate::server::{RUNTIME, Server};

/// Of each function, beside `$LATEST`.
pub(crate) const VERSIONS: usize = 10;
/// At once; writes that wait for a sync share the next one.
const CLIENTS: usize = 64;
/// Functions that a client makes by turns: when it comes back to one, its last change is in use.
const GROUP: usize = 8;

pub(crate) struct Seeded {
    pub(crate) seconds: f64,
    /// Versions a second in the first tenth and in the last.
    pub(crate) first: f64,
    pub(crate) last: f64,
}

/// A function's name, by its number.
pub(crate) fn name(number: usize) -> String {
    format!("function-{number:06}")
}

/// Makes so many functions with their versions.
pub(crate) fn seed(server: &Server, functions: usize) -> Result<Seeded> {
    let codes: Vec<String> = [b"exports.handler = async () => 1;", b"exports.handler = async () => 2;"]
        .iter()
        .map(|code| {
            let zip = zipped(&[("index.js", &code[..])])?;
            Ok(base64::engine::general_purpose::STANDARD.encode(zip))
        })
        .collect::<Result<_>>()?;
    let total = functions * VERSIONS;
    let (next, done) = (AtomicUsize::new(0), AtomicUsize::new(0));
    // Microseconds after which a tenth was done, and nine tenths.
    let (tenth, nine_tenths) = (AtomicU64::new(0), AtomicU64::new(0));
    let began = Instant::now();
    let count = || {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        let now = u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX);
        if done == total / 10 {
            tenth.store(now, Ordering::Relaxed);
        }
        if done == total - total / 10 {
            nine_tenths.store(now, Ordering::Relaxed);
        }
    };
    let client = || -> Result {
        let mut connection = Connection::open(server.address)?;
        loop {
            let from = next.fetch_add(GROUP, Ordering::Relaxed);
            if from >= functions {
                return Ok(());
            }
            let group = from..(from + GROUP).min(functions);
            for version in 0..VERSIONS {
                for number in group.clone() {
                    publish(&mut connection, &name(number), version, &codes[version % codes.len()])?;
                    count();
                }
            }
        }
    };
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..CLIENTS).map(|_| scope.spawn(client)).collect();
        let ended = clients
            .into_iter()
            .map(|client| client.join().unwrap_or_else(|_| Err("a client panicked".into())));
        ended.collect::<Result<Vec<()>>>()
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let tenths = |micros: f64| (total / 10) as f64 / micros * 1e6;
    Ok(Seeded {
        seconds,
        first: tenths(tenth.into_inner() as f64),
        last: tenths(seconds * 1e6 - nine_tenths.into_inner() as f64),
    })
}

/// The function's next version; with the first one the function itself is made.
fn publish(connection: &mut Connection, name: &str, version: usize, code: &str) -> Result {
    let request = if version == 0 {
        let body = json!({
            "FunctionName": name, "Runtime": RUNTIME, "Role": "arn:aws:iam::000000000000:role/bench",
            "Handler": "index.handler", "Code": { "ZipFile": code }, "Publish": true,
        });
        request("POST", "/2015-03-31/functions", body.to_string().as_bytes())
    } else {
        let body = json!({ "ZipFile": code, "Publish": true }).to_string();
        request("PUT", &format!("/2015-03-31/functions/{name}/code"), body.as_bytes())
    };
    loop {
        match connection.call(&request) {
            Ok(_) => return Ok(()),
            // Its last change is on its way.
            Err(error) if version > 0 && error.starts_with("409") => {}
            Err(error) => return Err(error),
        }
    }
}

/// A package of these files.
pub(crate) fn zipped(files: &[(&str, &[u8])]) -> Result<Vec<u8>> {
    let mut zip = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    for (name, content) in files {
        zip.start_file(*name, options).map_err(|error| error.to_string())?;
        zip.write_all(content).map_err(|error| error.to_string())?;
    }
    Ok(zip.finish().map_err(|error| error.to_string())?.into_inner())
}

/// Bytes that a directory takes on disk; what has several names counts once.
pub(crate) fn disk(directory: &Path) -> Result<u64> {
    fn sum(directory: &Path, seen: &mut HashSet<(u64, u64)>) -> std::io::Result<u64> {
        let mut bytes = 0;
        for entry in fs::read_dir(directory)? {
            let entry = entry?;
            let metadata = match entry.metadata() {
                // What works meanwhile takes files away.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                metadata => metadata?,
            };
            if metadata.is_dir() {
                bytes += sum(&entry.path(), seen)?;
            } else if seen.insert((metadata.dev(), metadata.ino())) {
                bytes += metadata.blocks() * 512;
            }
        }
        Ok(bytes)
    }
    sum(directory, &mut HashSet::new()).map_err(|error| format!("{}: {error}", directory.display()))
}
