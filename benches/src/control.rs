//! `cargo xtask bench --control`: what ten thousand functions cost beside ten, what publishing a version and a weighted
//! alias cost, verified signatures, and the first byte of a streamed response. Of two things that are compared, each is
//! asked by turns with the other, so that whatever disturbs hits both alike.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use base64::Engine as _;
use rustix::time::{ClockId, clock_gettime};
use serde_json::{Value, json};

use crate::Result;
use crate::control_seed::{VERSIONS, disk, name, seed, zipped};
use crate::http::{Connection, invoke_request, request, signed_request};
use crate::server::{HANDLER, RUNTIME, Server};
use crate::table::{Table, median};

/// Functions of the small server.
const FEW: usize = 10;
/// Functions of one page.
const PAGE: usize = 10;
/// Bytes of the package that is published over and over.
const LARGE: usize = 20 << 20;
/// What the handler writes first: when it does, by the machine's monotonic clock in nanoseconds.
const STREAMING: &str = "exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  stream.write(`at=${process.hrtime.bigint()};`);
  await new Promise((resolve) => setTimeout(resolve, 10));
  stream.end();
});";

/// What is asked of a function, by its name: what follows `/functions/`.
type PathOf = fn(&str) -> String;

/// How much is measured.
pub(crate) struct Scale {
    functions: usize,
    /// Requests of each kind.
    requests: usize,
    /// Invocations before those that count: V8 compiles a process's hot code after thousands.
    warm_up: usize,
    publications: usize,
    streams: usize,
}

impl Scale {
    pub(crate) const QUICK: Self =
        Self { functions: 1_000, requests: 1_000, warm_up: 1_000, publications: 5, streams: 50 };
    pub(crate) const WHOLE: Self =
        Self { functions: 10_000, requests: 10_000, warm_up: 20_000, publications: 20, streams: 500 };
}

pub(crate) fn run(scale: &Scale, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let start = || Server::lambkin(lambkin, data.path(), runtimes);
    many_functions(scale, start, lambkin, runtimes, table)?;
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let server = Server::lambkin(lambkin, data.path(), runtimes)?;
    publishing(scale, &server, data.path(), table)?;
    alias(scale, &server, table)?;
    streaming(scale, &server, table)?;
    signatures(scale, &server, lambkin, runtimes, table)?;
    server.stop()
}

/// Until it does nothing by itself any more: what was made just now is still written, or made ready.
fn rested(server: &Server) -> Result {
    for _ in 0..300 {
        let before = server.cpu_micros()?;
        std::thread::sleep(Duration::from_millis(200));
        if server.cpu_micros()?.saturating_sub(before) < 2_000 {
            return Ok(());
        }
    }
    Err("after a minute the server is still busy with what was made".into())
}

/// Seconds of the median request to each of two servers, which are asked by turns; each goes through its requests over and
/// over.
fn by_turns(
    servers: [&Server; 2],
    requests: [&[Vec<u8>]; 2],
    warm_up: usize,
    count: usize,
) -> Result<[f64; 2]> {
    let mut connections = [Connection::open(servers[0].address)?, Connection::open(servers[1].address)?];
    let mut seconds = [Vec::with_capacity(count), Vec::with_capacity(count)];
    for turn in 0..warm_up + count {
        for ((connection, requests), seconds) in connections.iter_mut().zip(requests).zip(&mut seconds) {
            let request = &requests[turn % requests.len()];
            let began = Instant::now();
            connection.call(request)?;
            if turn >= warm_up {
                seconds.push(began.elapsed().as_secs_f64());
            }
        }
    }
    Ok(seconds.map(median))
}

/// A row of two medians.
fn compare(table: &mut Table, what: &str, [ours, theirs]: [f64; 2], goal: &str) {
    let measured = format!("{:.0} µs against {:.0} µs", ours * 1e6, theirs * 1e6);
    table.row(what, measured, &format!("{:.2}×", ours / theirs), goal);
}

/// Reads with many functions of ten versions each, against the same with ten functions.
fn many_functions(
    scale: &Scale,
    start: impl Fn() -> Result<Server>,
    lambkin: &Path,
    runtimes: &Path,
    table: &mut Table,
) -> Result {
    let few_data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let few = Server::lambkin(lambkin, few_data.path(), runtimes)?;
    seed(&few, FEW)?;
    let many = start()?;
    let before = many.resident_kib()?;
    let seeded = seed(&many, scale.functions)?;
    let after = many.resident_kib()?;
    let size = format!("{} functions of {VERSIONS} versions", scale.functions);
    table.row(
        &format!("{size}, made through the API"),
        format!(
            "{:.0} s, {:.0} versions/s; {:.1} KiB of memory for each function",
            seeded.seconds,
            (scale.functions * VERSIONS) as f64 / seeded.seconds,
            (after.saturating_sub(before)) as f64 / scale.functions as f64
        ),
        &format!("{:.2}× the rate in the last tenth of the first tenth's", seeded.last / seeded.first),
        "",
    );

    rested(&many)?;
    let step = (scale.functions / 500).max(1);
    let get = |numbers: &mut dyn Iterator<Item = usize>, of: PathOf| -> Vec<Vec<u8>> {
        numbers
            .map(|number| request("GET", &format!("/2015-03-31/functions/{}", of(&name(number))), b""))
            .collect()
    };
    let kinds: [(&str, PathOf); 3] = [
        ("GetFunction", str::to_owned),
        ("GetFunction of a version", |name| format!("{name}?Qualifier=5")),
        ("ListVersionsByFunction", |name| format!("{name}/versions?MaxItems=50")),
    ];
    for (what, path) in kinds {
        let (ours, theirs) = (get(&mut (0..scale.functions).step_by(step), path), get(&mut (0..FEW), path));
        let measured = by_turns([&many, &few], [&ours, &theirs], scale.requests / 10, scale.requests)?;
        compare(table, &format!("{what}, {size} against {FEW}, p50"), measured, "≤ 1.2×");
    }
    let list = |marker: &str, all: &str| {
        request("GET", &format!("/2015-03-31/functions?MaxItems={PAGE}{all}{marker}"), b"")
    };
    let middle = format!("&Marker={}", middle(&many, scale.functions)?);
    let pages = [
        ("the first page of ListFunctions", "", ""),
        ("a page of ListFunctions in the middle", &middle, ""),
        ("a page of ListFunctions with all versions", "", "&FunctionVersion=ALL"),
    ];
    for (what, marker, all) in pages {
        let (ours, theirs) = ([list(marker, all)], [list("", all)]);
        let measured = by_turns([&many, &few], [&ours, &theirs], scale.requests / 10, scale.requests)?;
        compare(table, &format!("{what}, {size} against {FEW}, p50"), measured, "≤ 1.2×");
    }

    many.stop()?;
    let again = start()?;
    table.row(
        &format!("ready with {size} in the store"),
        format!("{:.0} ms", again.ready.as_secs_f64() * 1e3),
        &format!(
            "{:.1} µs for each version",
            again.ready.as_secs_f64() * 1e6 / (scale.functions * VERSIONS) as f64
        ),
        "",
    );
    again.stop()?;
    few.stop()
}

/// The marker of half of the functions.
fn middle(server: &Server, functions: usize) -> Result<String> {
    let mut connection = Connection::open(server.address)?;
    let mut marker = String::new();
    for _ in 0..functions / 2 / 50 {
        let path = format!("/2015-03-31/functions?MaxItems=50{marker}");
        let answer = call(&mut connection, "GET", &path, &Value::Null)?;
        marker = format!("&Marker={}", answer["NextMarker"].as_str().ok_or("no NextMarker")?);
    }
    Ok(marker.trim_start_matches("&Marker=").to_owned())
}

fn call(connection: &mut Connection, method: &str, path: &str, body: &Value) -> Result<Value> {
    let body = if body.is_null() { String::new() } else { body.to_string() };
    let answer = connection.call(&request(method, path, body.as_bytes()))?;
    serde_json::from_slice(&answer).map_err(|error| error.to_string())
}

/// Waits until a function's change is in use.
fn settled(connection: &mut Connection, name: &str) -> Result {
    let deadline = Instant::now() + Duration::from_secs(60);
    let path = format!("/2015-03-31/functions/{name}/configuration");
    while Instant::now() < deadline {
        if call(connection, "GET", &path, &Value::Null)?["LastUpdateStatus"] == "Successful" {
            return Ok(());
        }
    }
    Err(format!("{name} does not settle"))
}

/// Versions of a function with a large package, against those of a small one: time, and what comes on disk.
fn publishing(scale: &Scale, server: &Server, data: &Path, table: &mut Table) -> Result {
    let mut connection = Connection::open(server.address)?;
    let mut noise = 0x9e37_79b9_7f4a_7c15_u64;
    let ballast: Vec<u8> = std::iter::repeat_with(|| {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (noise >> 56) as u8
    })
    .take(LARGE)
    .collect();
    for (name, ballast) in [("large", &ballast[..]), ("small", &[])] {
        let zip = zipped(&[("index.js", HANDLER.as_bytes()), ("ballast", ballast)])?;
        let body = json!({
            "FunctionName": name, "Runtime": RUNTIME, "Role": "arn:aws:iam::000000000000:role/bench",
            "Handler": "index.handler",
            "Code": { "ZipFile": base64::engine::general_purpose::STANDARD.encode(zip) },
        });
        call(&mut connection, "POST", "/2015-03-31/functions", &body)?;
        settled(&mut connection, name)?;
    }
    let mut seconds = [Vec::new(), Vec::new()];
    let mut grown = [0_u64; 2];
    for number in 0..=scale.publications {
        for (of, name) in ["large", "small"].into_iter().enumerate() {
            let change = json!({ "Description": number.to_string() });
            call(&mut connection, "PUT", &format!("/2015-03-31/functions/{name}/configuration"), &change)?;
            settled(&mut connection, name)?;
            let before = disk(data)?;
            let began = Instant::now();
            let answer =
                call(&mut connection, "POST", &format!("/2015-03-31/functions/{name}/versions"), &json!({}))?;
            let took = began.elapsed().as_secs_f64();
            let expected = format!("{}", number + 1);
            if answer["Version"].as_str() != Some(&expected) {
                return Err(format!("not version {expected}: {answer}"));
            }
            // The first makes the catalog's files grow.
            if number > 0 {
                seconds[of].push(took);
                grown[of] += disk(data)?.saturating_sub(before);
            }
        }
    }
    let [large, small] = seconds.map(median);
    table.row(
        &format!("PublishVersion of a package of {} MiB against one of 1 KB, p50", LARGE >> 20),
        format!("{:.2} ms against {:.2} ms", large * 1e3, small * 1e3),
        &format!("{:.2}×", large / small),
        "≤ 1.2×",
    );
    let kib = |bytes: u64| bytes as f64 / 1024.0 / scale.publications as f64;
    table.row(
        &format!("disk that comes with each such version, {} of them", scale.publications),
        format!("{:.1} KiB against {:.1} KiB", kib(grown[0]), kib(grown[1])),
        "",
        "no code",
    );
    Ok(())
}

/// An invocation through an alias with two versions against one of `$LATEST`.
fn alias(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    let mut connection = Connection::open(server.address)?;
    let function = "/2015-03-31/functions/small";
    let live = json!({
        "Name": "live", "FunctionVersion": "1", "RoutingConfig": { "AdditionalVersionWeights": { "2": 0.5 } },
    });
    call(&mut connection, "POST", &format!("{function}/aliases"), &live)?;
    let event = invoke_request("small");
    let head = event.windows(4).position(|four| four == b"\r\n\r\n").ok_or("no head")?;
    let ours = [request("POST", &format!("{function}/invocations?Qualifier=live"), &event[head + 4..])];
    let measured = by_turns([server, server], [&ours, &[event]], scale.warm_up, scale.requests)?;
    compare(
        table,
        "warm Invoke through a weighted alias against $LATEST, 1 connection, p50",
        measured,
        "≤ 1.1×",
    );
    Ok(())
}

/// The same signed requests to a server that verifies them and to one that has no keys.
fn signatures(scale: &Scale, without: &Server, lambkin: &Path, runtimes: &Path, table: &mut Table) -> Result {
    let data = tempfile::tempdir().map_err(|error| error.to_string())?;
    let with = Server::lambkin(lambkin, data.path(), runtimes)?;
    for server in [&with, without] {
        server.create("signed", RUNTIME, HANDLER)?;
    }
    let made = Command::new(lambkin).args(["keys", "create", "--json", "--data"]).arg(data.path()).output();
    let made = made.map_err(|error| error.to_string())?;
    let key: Value = serde_json::from_slice(&made.stdout).map_err(|error| error.to_string())?;
    let (id, secret) = (key["accessKeyId"].as_str(), key["secretAccessKey"].as_str());
    let (id, secret) = id.zip(secret).ok_or_else(|| format!("no key: {key}"))?;
    let event = json!({ "key1": "value1", "filler": "x".repeat(990) }).to_string();
    let path = "/2015-03-31/functions/signed/invocations";
    let unsigned = Connection::open(with.address)?.call(&request("POST", path, event.as_bytes()));
    if !unsigned.is_err_and(|error| error.starts_with("403")) {
        return Err("what is signed with no key of lambkin's is not refused".into());
    }
    let signed = [signed_request("POST", path, event.as_bytes(), id, secret)?];
    let measured = by_turns([&with, without], [&signed, &signed], scale.warm_up, scale.requests)?;
    let what =
        format!("warm Invoke with its signature verified against not, body of {} bytes, p50", event.len());
    compare(table, &what, measured, "≤ 1.15×");
    with.stop()
}

/// From the handler's first write to its first byte at the client, one clock for both.
fn streaming(scale: &Scale, server: &Server, table: &mut Table) -> Result {
    server.create("streaming", RUNTIME, STREAMING)?;
    let path = "/2021-11-15/functions/streaming/response-streaming-invocations";
    let request = request("POST", path, b"{}");
    let mut stream = TcpStream::connect(server.address).map_err(|error| error.to_string())?;
    stream.set_nodelay(true).map_err(|error| error.to_string())?;
    let timeout = Some(Duration::from_secs(60));
    stream.set_read_timeout(timeout).map_err(|error| error.to_string())?;
    let mut late = Vec::with_capacity(scale.streams);
    for number in 0..scale.streams + 10 {
        stream.write_all(&request).map_err(|error| error.to_string())?;
        let (mut answer, mut first) = (Vec::new(), None);
        let mut buffer = [0; 16 * 1024];
        while !answer.ends_with(b"\r\n0\r\n\r\n") {
            let read = stream.read(&mut buffer).map_err(|error| error.to_string())?;
            let now = clock_gettime(ClockId::Monotonic);
            if read == 0 {
                return Err(format!("the answer ended early: {}", String::from_utf8_lossy(&answer)));
            }
            answer.extend_from_slice(&buffer[..read]);
            if first.is_none()
                && let Some(written) = written(&answer)
            {
                first = Some((now.tv_sec as f64 + now.tv_nsec as f64 / 1e9) - written);
            }
        }
        let first = first.ok_or_else(|| String::from_utf8_lossy(&answer).into_owned())?;
        if number >= 10 {
            late.push(first);
        }
    }
    late.sort_by(f64::total_cmp);
    let at = |part: f64| late[((late.len() - 1) as f64 * part) as usize] * 1e3;
    table.row(
        "a streamed response's first byte at the client, after the handler's write, p50",
        format!("{:.2} ms (p95 {:.2} ms)", at(0.5), at(0.95)),
        "",
        "≤ 2 ms",
    );
    Ok(())
}

/// Seconds of the machine's clock when the handler wrote, where its words are there.
fn written(answer: &[u8]) -> Option<f64> {
    let at = answer.windows(3).position(|three| three == b"at=")? + 3;
    let length = answer[at..].iter().position(|byte| *byte == b';')?;
    let nanoseconds: f64 = std::str::from_utf8(&answer[at..at + length]).ok()?.parse().ok()?;
    Some(nanoseconds / 1e9)
}
