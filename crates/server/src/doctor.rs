//! `lambkin doctor`: what this machine can do for functions, tried for real.

use lambkin_sandbox::{Config, Isolated, Isolation, Network};

use crate::arguments;
use crate::output;
use crate::places;

pub(crate) async fn run(options: arguments::Doctor) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| format!("no scratch directory: {error}"))?;
    let (system, machine) = (std::env::consts::OS, std::env::consts::ARCH);
    let mut said = vec![format!("lambkin {} on {system} {machine}", env!("CARGO_PKG_VERSION"))];
    said.extend(jail(scratch.path().join("environments")).await);
    let runtimes = places::runtimes(options.sources)?;
    let (mut installed, mut builds) = (0, 0);
    for listed in runtimes.list() {
        builds += usize::from(listed.build.is_some());
        installed += usize::from(listed.build.is_some_and(|build| build.installed.is_some()));
    }
    let rest = "the others are fetched when a function needs them";
    said.extend([
        String::new(),
        row("runtimes", &format!("{installed} of {builds} installed; {rest}")),
        String::new(),
    ]);
    output::say(&said.join("\n"))
}

fn row(what: &str, how: &str) -> String {
    format!("{what:<20}{how}")
}

async fn jail(directory: std::path::PathBuf) -> Vec<String> {
    let network = Network::Auto { allow: Vec::new() };
    match Isolated::start(Isolation::Auto, network, Config::new(directory)).await {
        Ok(isolated) => {
            let findings = isolated.findings();
            let strict = !findings.is_empty() && findings.iter().all(lambkin_sandbox::Finding::is_enough);
            let mut said: Vec<String> = findings.iter().map(ToString::to_string).collect();
            said.extend([
                String::new(),
                row("--isolation auto", &isolated.description()),
                row("--isolation strict", if strict { "starts" } else { "refuses to start" }),
                row("--network user", &user(&isolated)),
                row("--network host", &host(&isolated)),
                row("--network nat", &nat(&isolated).await),
            ]);
            isolated.shutdown().await;
            said
        }
        Err(error) => vec![row("--isolation auto", &error.to_string())],
    }
}

/// What `auto` has tried already.
fn user(isolated: &Isolated) -> String {
    match isolated.way_out() {
        Some(Ok(how)) => format!("starts, as auto does; {how}"),
        Some(Err(why)) => format!("refuses to start: {why}"),
        None => "refuses to start: it is for jails".into(),
    }
}

#[cfg(target_os = "linux")]
fn host(isolated: &Isolated) -> String {
    match isolated {
        Isolated::Jail(_) => match lambkin_sandbox::guard_is_possible() {
            Ok(how) => format!("starts; {how}"),
            Err(why) => format!("refuses to start: {why}"),
        },
        Isolated::Process(_) => "refuses to start: it is for jails".into(),
    }
}

#[cfg(not(target_os = "linux"))]
fn host(_: &Isolated) -> String {
    "refuses to start: it is for jails, which are made of what only Linux has".into()
}

#[cfg(target_os = "linux")]
async fn nat(isolated: &Isolated) -> String {
    match isolated {
        Isolated::Jail(_) => match lambkin_sandbox::nat_is_possible().await {
            Ok(how) => how,
            Err(why) => format!("is not possible: {why}"),
        },
        Isolated::Process(_) => "is not possible: it is for jails".into(),
    }
}

#[cfg(not(target_os = "linux"))]
async fn nat(_: &Isolated) -> String {
    "is not possible: it is for jails, which are made of what only Linux has".into()
}
