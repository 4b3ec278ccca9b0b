//! The machine's own `npm` client. It knows the user's registry, mirror, proxy and certificates,
//! which is why no registry's address stands in lambkin.
//!
//! npm runs in a private directory with a `package.json` of ours, so that no project around it has
//! a say, and never runs a package's scripts. Deliberately not here: what is installed for the SDK
//! (`sdk.rs`).

use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::{Bounds, SOURCE_DEADLINE, SourceError, Stop, Watched, archive};
use crate::progress::Progress;
use crate::table::Row;

/// A child's end has no timed wait in the standard library; this is how often it is asked.
const POLL: Duration = Duration::from_millis(20);
/// How much of what npm says is kept, from its end, in bytes.
const SAID: u64 = 16 * 1024;

/// The npm client.
#[derive(Debug, Clone)]
pub(crate) struct Npm {
    /// A name to look up in `PATH`, or a path.
    pub(crate) program: PathBuf,
}

/// Why npm did not do it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum NpmError {
    /// The machine has none.
    #[error("npm is not installed ({0}: {1})")]
    Missing(String, io::Error),
    /// It ended with an error; what it said.
    #[error("npm failed: {}", summary(.0))]
    Refused(String),
    /// It could not be run to its end.
    #[error(transparent)]
    Source(#[from] SourceError),
}

impl From<NpmError> for SourceError {
    fn from(error: NpmError) -> Self {
        match error {
            NpmError::Source(error) => error,
            error @ (NpmError::Missing(..) | NpmError::Refused(_)) => Self::Failed(error.to_string()),
        }
    }
}

impl Npm {
    /// Runs npm in `directory`, with the settings that make it quiet and keep scripts from running.
    pub(crate) fn run(
        &self,
        directory: &Path,
        arguments: &[&str],
        label: &str,
        stop: &Stop,
    ) -> Result<(), NpmError> {
        // A file and not a pipe: npm can then never wait for us to read, nor we for it to close.
        let mut said = tempfile::tempfile_in(directory)
            .map_err(|error| SourceError::io(format!("a file in {}", directory.display()), error))?;
        let stderr = said.try_clone().map_err(|error| SourceError::io("npm's output", error))?;
        let mut child = Command::new(&self.program)
            .args(arguments)
            .args(["--ignore-scripts", "--no-audit", "--no-fund", "--no-update-notifier", "--no-progress"])
            .args(["--loglevel=error", "--color=false", "--workspaces=false"])
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::from(stderr))
            .spawn()
            .map_err(|error| self.unstarted(error))?;
        let progress = Progress::of_time(label);
        let deadline = Instant::now() + SOURCE_DEADLINE;
        let ended = loop {
            match child.try_wait() {
                Ok(Some(status)) => break Ok(status),
                Ok(None) => {}
                Err(error) => break Err(SourceError::io("waiting for npm", error)),
            }
            if let Err(stopped) = stop.check() {
                break Err(stopped);
            }
            if Instant::now() >= deadline {
                break Err(SourceError::Failed(format!(
                    "npm had not ended after {} s",
                    SOURCE_DEADLINE.as_secs()
                )));
            }
            std::thread::sleep(POLL);
        };
        drop(progress);
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(NpmError::Refused(
                tail(&mut said).filter(|text| !text.is_empty()).unwrap_or_else(|| status.to_string()),
            )),
            Err(error) => {
                let _ = child.kill();
                let _ = child.wait();
                Err(error.into())
            }
        }
    }

    fn unstarted(&self, error: io::Error) -> NpmError {
        let program = self.program.display().to_string();
        if error.kind() == io::ErrorKind::NotFound {
            NpmError::Missing(program, error)
        } else {
            SourceError::io(format!("starting {program}"), error).into()
        }
    }

    /// Fetches the build's package and unpacks the executable to `to`.
    pub(crate) fn fetch(&self, row: &Row, to: &Path, bounds: Bounds, stop: &Stop) -> Result<(), SourceError> {
        let io = |error| SourceError::io("npm's directory", error);
        let directory = to.with_extension("npm");
        fs::create_dir(&directory).map_err(io)?;
        private_project(&directory, &serde_json::Map::new())?;
        let package = format!("{}@{}", row.package, row.version);
        self.run(&directory, &["pack", &package], &format!("npm pack {package}"), stop)?;
        let archive = fs::read_dir(&directory)
            .map_err(io)?
            .flatten()
            .map(|entry| entry.path())
            .find(|path| path.extension().is_some_and(|extension| extension == "tgz"))
            .ok_or_else(|| SourceError::Failed("npm pack has left no package behind".into()))?;
        let file = File::open(&archive).map_err(io)?;
        archive::unpack(Watched::new(file, bounds.packed, stop), to, &row.sha256, bounds, stop)
    }
}

/// Makes the directory a project of its own with these dependencies.
pub(crate) fn private_project(
    directory: &Path,
    dependencies: &serde_json::Map<String, serde_json::Value>,
) -> Result<(), SourceError> {
    let project = serde_json::json!({ "private": true, "dependencies": dependencies });
    fs::write(directory.join("package.json"), format!("{project:#}\n"))
        .map_err(|error| SourceError::io(format!("package.json in {}", directory.display()), error))
}

fn tail(said: &mut File) -> Option<String> {
    let length = said.metadata().ok()?.len();
    said.seek(SeekFrom::Start(length.saturating_sub(SAID))).ok()?;
    let mut bytes = Vec::new();
    said.take(SAID).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).trim().to_owned())
}

/// The lines that say why, on one line. npm ends with where its log is, which helps nobody here.
fn summary(said: &str) -> String {
    let lines: Vec<&str> = said
        .lines()
        .filter(|line| !line.starts_with("npm warn") && !line.contains("complete log of this run"))
        .map(|line| line.trim_start_matches("npm error").trim_start_matches("npm ERR!").trim())
        .filter(|line| !line.is_empty())
        .collect();
    let text = if lines.is_empty() { said.replace('\n', " ") } else { lines.join("; ") };
    match text.char_indices().nth(500) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::summary;

    #[test]
    fn what_npm_said_becomes_one_line() {
        let said = "npm warn old config\nnpm error code ENOTFOUND\nnpm error network getaddrinfo\n\
                    npm error A complete log of this run can be found in: x";
        assert_eq!(summary(said), "code ENOTFOUND; network getaddrinfo");
        assert!(summary(&"x".repeat(5000)).len() < 600);
    }
}
