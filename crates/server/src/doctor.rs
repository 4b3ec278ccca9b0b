//! `lambkin doctor`: what this machine can do for functions, tried for real.

use lambkin_sandbox::{Config, Isolated, Isolation, Network};

use crate::arguments;
use crate::places;

pub(crate) async fn run(options: arguments::Doctor) -> Result<(), String> {
    let scratch = tempfile::tempdir().map_err(|error| format!("no scratch directory: {error}"))?;
    println!("lambkin {} on {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH);
    jail(scratch.path().join("environments")).await;
    println!();
    let runtimes = places::runtimes(options.sources)?;
    let (mut installed, mut builds) = (0, 0);
    for listed in runtimes.list() {
        builds += usize::from(listed.build.is_some());
        installed += usize::from(listed.build.is_some_and(|build| build.installed.is_some()));
    }
    println!(
        "{:<20}{installed} of {builds} installed; the others are fetched when a function needs them",
        "runtimes"
    );
    Ok(())
}

async fn jail(directory: std::path::PathBuf) {
    let network = Network::Auto { allow: Vec::new() };
    match Isolated::start(Isolation::Auto, network, Config::new(directory)).await {
        Ok(isolated) => {
            let findings = isolated.findings();
            findings.iter().for_each(|finding| println!("{finding}"));
            let strict = !findings.is_empty() && findings.iter().all(lambkin_sandbox::Finding::is_enough);
            println!();
            println!("{:<20}{}", "--isolation auto", isolated.description());
            println!("{:<20}{}", "--isolation strict", if strict { "starts" } else { "refuses to start" });
            println!("{:<20}{}", "--network user", user(&isolated));
            println!("{:<20}{}", "--network host", host(&isolated));
            println!("{:<20}{}", "--network nat", nat(&isolated).await);
            isolated.shutdown().await;
        }
        Err(error) => println!("{:<20}{error}", "--isolation auto"),
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
