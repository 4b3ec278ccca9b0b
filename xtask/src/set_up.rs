//! What the rings need before they run. On a fresh machine that takes Rust, Python 3 and npm; everything else is built, or
//! fetched under `target/`, pinned, while the compiler has the processors.

use std::path::PathBuf;
use std::thread;

use crate::debian::Program;
use crate::test::Ring;
use crate::tools::{self, Result, SDK_RUST};

/// The stores on NATS JetStream are tested with it.
const NATS_SERVER: Program = Program {
    name: "nats-server",
    known: &["nats-server", "/usr/sbin/nats-server"],
    packages: "nats-server",
    start: r#"#!/bin/sh
exec "$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)/usr/sbin/nats-server" "$@"
"#,
    version: "nats-server",
    without: "the stores on NATS JetStream",
};

/// The aws CLI 2: what Python's packages have is version 1, which tails no logs.
const AWS_CLI: Program = Program {
    name: "aws-cli",
    known: &["/usr/local/bin/aws", "/usr/bin/aws", "/opt/homebrew/bin/aws"],
    packages: "awscli",
    start: r#"#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
export PYTHONPATH="$here/usr/lib/python3/dist-packages"
exec /usr/bin/python3 "$here/usr/bin/aws" "$@"
"#,
    version: "aws-cli/2",
    without: "`aws logs tail`",
};

const CHROMIUM: Program = Program {
    name: "chromium",
    known: &["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"],
    packages: "chromium fonts-dejavu-core",
    start: r#"#!/bin/sh
here=$(CDPATH= cd -- "$(dirname -- "$0")" && pwd)
for libraries in "$here"/usr/lib/*-linux-gnu* "$here"/lib/*-linux-gnu*; do
  LD_LIBRARY_PATH="$libraries${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
done
export LD_LIBRARY_PATH
[ -e /etc/fonts/fonts.conf ] || export FONTCONFIG_SYSROOT="$here"
exec "$here/usr/lib/chromium/chromium" "$@"
"#,
    version: "",
    without: "the console",
};

/// What all rings share, and what of other people's programs there is.
pub(crate) struct Ready {
    pub(crate) lambkin: PathBuf,
    pub(crate) runtimes: PathBuf,
    pub(crate) programs: Programs,
}

/// Each by `None` where no ring wants it, and by what cannot be tested where there is none.
#[derive(Default)]
pub(crate) struct Programs {
    pub(crate) nats_server: Option<Result<PathBuf>>,
    pub(crate) aws_cli: Option<Result<PathBuf>>,
    pub(crate) chromium: Option<Result<PathBuf>>,
}

impl Ready {
    pub(crate) fn for_rings(wanted: impl Fn(Ring) -> bool + Copy + Send) -> Result<Self> {
        let wants_node = [Ring::Bootstrap, Ring::Clients, Ring::Browser, Ring::Chaos].into_iter().any(wanted);
        thread::scope(|scope| {
            let programs = scope.spawn(move || fetch(wanted));
            let lambkin = tools::checked_lambkin()?;
            let runtimes = tools::scratch("runtimes");
            let mut install = tools::command(&lambkin);
            install.args(["runtimes", "install", "--runtimes"]).arg(&runtimes);
            let installed = wants_node.then(|| scope.spawn(move || tools::run(&mut install)));
            if wanted(Ring::Clients) {
                let target = tools::scratch("sdk-rust").display().to_string();
                tools::run_cargo(&[
                    "build",
                    "--locked",
                    "--manifest-path",
                    SDK_RUST,
                    "--target-dir",
                    &target,
                ])?;
            }
            if let Some(installed) = installed {
                installed.join().expect("it does not panic")?;
            }
            let programs = programs.join().expect("it does not panic")?;
            Ok(Self { lambkin, runtimes, programs })
        })
    }
}

impl Programs {
    /// What cannot be tested.
    pub(crate) fn untested(&self) -> impl Iterator<Item = &str> {
        let all = [&self.nats_server, &self.aws_cli, &self.chromium];
        all.into_iter().flatten().filter_map(|found| found.as_ref().err().map(String::as_str))
    }
}

/// What does not wait for the compiler.
fn fetch(wanted: impl Fn(Ring) -> bool) -> Result<Programs> {
    let mut programs = Programs::default();
    if wanted(Ring::Rust) {
        programs.nats_server = Some(NATS_SERVER.find());
    }
    if wanted(Ring::Clients) {
        npm_ci("tests/clients/sdk-js")?;
        programs.aws_cli = Some(AWS_CLI.find());
    }
    if wanted(Ring::Browser) {
        npm_ci("tests/browser")?;
        programs.chromium = Some(CHROMIUM.find());
    }
    if [Ring::Clients, Ring::Browser, Ring::Chaos].into_iter().any(wanted) {
        venv()?;
    }
    Ok(programs)
}

fn npm_ci(directory: &str) -> Result {
    tools::run(
        tools::command("npm")
            .args(["ci", "--no-audit", "--no-fund"])
            .current_dir(tools::root().join(directory)),
    )
}

/// Python of a virtual environment with exactly the pinned packages.
pub(crate) fn venv() -> Result<PathBuf> {
    let place = tools::scratch("venv");
    let python = place.join("bin/python");
    let requirements = tools::root().join("tests/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)
        .map_err(|error| format!("{}: {error}", requirements.display()))?;
    let stamp = place.join("requirements.txt");
    if std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted) {
        return Ok(python);
    }
    tools::run(tools::command("python3").args(["-m", "venv", "--clear"]).arg(&place))?;
    let pip = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--requirement"];
    tools::run(tools::command(&python).args(pip).arg(&requirements))?;
    std::fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
    Ok(python)
}
