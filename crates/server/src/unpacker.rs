//! Packages are unpacked by this program once more, in a process that can do nothing else: what reads code
//! of strangers is not to be what holds everybody's keys and code.
//!
//! Deliberately not here: the policy and the answer (`lambkin_store`), the walls (`lambkin_sandbox`).

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::os::fd::AsFd as _;
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;

use lambkin_model::quota;
use lambkin_sandbox::Bounds;
use lambkin_store::{ANSWER_BYTES, Unpacker};

/// First argument of a program that is to unpack its standard input into its working directory.
pub(crate) const ARGUMENT: &str = "__unpacker";

/// What the largest package needs many times over: a second of processor time, and 60 MB of memory besides the
/// package.
const BOUNDS: Bounds = Bounds { cpu_seconds: 120, file_bytes: quota::UNZIPPED_BYTES, memory_bytes: 2 << 30 };

/// Starts the program itself, also where its file was replaced meanwhile.
#[derive(Debug)]
struct Itself;

pub(crate) fn itself() -> Arc<dyn Unpacker> {
    Arc::new(Itself)
}

impl Unpacker for Itself {
    fn unpack(&self, zip: File, directory: &Path) -> io::Result<Vec<u8>> {
        let mut process = Command::new("/proc/self/exe")
            .arg(ARGUMENT)
            .env_clear()
            .current_dir(directory)
            .stdin(zip)
            .stdout(Stdio::piped())
            .spawn()?;
        let mut answer = Vec::new();
        let read = process.stdout.take().map(|said| said.take(ANSWER_BYTES).read_to_end(&mut answer));
        // It may have more to say than it should; it has ended then, too, as nobody reads on.
        let status = process.wait()?;
        read.transpose()?;
        if !status.success() {
            tracing::warn!(%status, "a package could not be unpacked");
            answer.clear();
        }
        Ok(answer)
    }
}

/// The far side, before anything starts a thread.
pub(crate) fn run() -> ExitCode {
    let answered = File::open(".").and_then(|directory| {
        lambkin_sandbox::confine(directory.as_fd(), BOUNDS)?;
        let answer = lambkin_store::unpack_here(io::stdin().lock(), directory.into());
        io::stdout().write_all(&answer)
    });
    match answered {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lambkin: packages cannot be unpacked: {error}");
            ExitCode::FAILURE
        }
    }
}
