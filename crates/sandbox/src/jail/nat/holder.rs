//! Who holds the table: an `nft` of ours, whose it is (`flags owner`). Nobody else can change it, a
//! `nft flush ruleset` passes it by, and it goes when that `nft` ends.
//!
//! So that must be last. Between lambkin and `nft` stands a guard, which has `nft`'s standard input and
//! ends only when lambkin says that all jails are gone. Where lambkin dies without a word it first takes
//! every jail's link away, until for half a second there was none: what lambkin had begun comes as late.
//! Both are out of reach of a terminal's signals and of those that a service is stopped with.
//!
//! Deliberately not here: what the rules are (`jail::rules`), what ends with the holder (`nat`).

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, Command};
use tokio::task::JoinSet;

use super::programs::Programs;

/// Loading takes some milliseconds; also where another program changes rules.
const PATIENCE: Duration = Duration::from_secs(5);

/// Lines of what `nft` complains of.
const COMPLAINTS: usize = 8;

/// The rules, in lambkin's directory, which is the holder's own: no name is quoted.
const FILE: &str = "nat.nft";

/// `$0` the table, `$1` the program ip, `$2` how the links' names begin.
const GUARD: &str = r#"
trap '' TERM INT HUP
printf '%s\n' 'include "./nat.nft"' "list table inet $0"
read -r word && exit 0
quiet=0
while [ "$quiet" -lt 10 ]; do
  quiet=$((quiet + 1))
  while read -r name rest; do
    case $name in "$2"*) quiet=0; "$1" link delete "${name%%:*}" ;; esac
  done </proc/self/net/dev >/dev/null 2>&1
  sleep 0.05
done
"#;

/// `$0` the program nft.
const NFT: &str = r#"trap '' TERM INT HUP; exec "$0" -i 2>&1"#;

#[derive(Debug)]
pub(super) struct Holder {
    guard: Child,
    nft: Child,
    /// The guard acts when this is closed.
    alive: Option<ChildStdin>,
    /// Reads away what `nft` says, so that it never waits for a reader; ends with this.
    _reader: JoinSet<()>,
}

impl Holder {
    /// Makes the table, and says so only when it is there and owned.
    ///
    /// # Errors
    /// There is none: what `nft` complains of.
    pub(super) async fn start(
        programs: &Programs,
        directory: &Path,
        table: &str,
        links: &str,
        rules: &str,
    ) -> Result<Self, String> {
        let failed = |error: std::io::Error| error.to_string();
        std::fs::write(directory.join(FILE), rules)
            .map_err(|error| format!("cannot write {FILE}: {error}"))?;
        let mut guard = shell(programs, directory, GUARD)
            .arg(table)
            .arg(&programs.ip)
            .arg(links)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let alive = guard.stdin.take();
        let words: Stdio = guard.stdout.take().ok_or("no pipe")?.try_into().map_err(failed)?;
        let mut command = shell(programs, directory, NFT);
        let spawned = command.arg(&programs.nft).stdin(words).stderr(Stdio::null()).spawn();
        // Its copy of the guard's end.
        drop(command);
        let mut nft = spawned.map_err(failed)?;
        let said = nft.stdout.take().ok_or("no pipe")?;
        let mut said = BufReader::new(said).lines();
        let owned = tokio::time::timeout(PATIENCE, owned(&mut said)).await;
        let mut holder = Self { guard, nft, alive, _reader: JoinSet::new() };
        match owned.unwrap_or_else(|_| Err(format!("nft has not made the table its own within {PATIENCE:?}")))
        {
            Ok(()) => {
                holder._reader.spawn(async move { while let Ok(Some(_)) = said.next_line().await {} });
                Ok(holder)
            }
            Err(why) => {
                holder.close().await;
                // One that is nobody's would stay. Fails where there is none.
                let _ = programs.nft(&["delete", "table", "inet", table], "").await;
                Err(format!("nft: {why} (a table with `flags owner` needs nftables 0.9.9 and Linux 5.12)"))
            }
        }
    }

    /// Answers when one of the two has ended by itself, and so the table is gone. Loses nothing when
    /// dropped.
    pub(super) async fn ended(&mut self) {
        tokio::select! {
            _ = self.guard.wait() => {}
            _ = self.nft.wait() => {}
        }
    }

    /// As if lambkin had died: the guard takes the jails' links away.
    pub(super) fn abandon(&mut self) {
        self.alive = None;
    }

    /// Where only the guard has ended, the table goes too.
    pub(super) fn let_go(&mut self) {
        // Fails where it has ended.
        let _ = self.nft.start_kill();
    }

    /// Ends it, and with it the table: no jail may be there any more.
    pub(super) async fn close(mut self) {
        if let Some(mut alive) = self.alive.take() {
            // Fails where it has ended.
            let _ = alive.write_all(b"done\n").await;
        }
        for child in [&mut self.guard, &mut self.nft] {
            if tokio::time::timeout(PATIENCE, child.wait()).await.is_err() {
                // Fails where it has just ended.
                let _ = child.kill().await;
            }
        }
    }
}

/// Lives on when it is dropped: it sees lambkin's end by itself.
fn shell(programs: &Programs, directory: &Path, script: &str) -> Command {
    let mut command = Command::new(&programs.sh);
    command.args(["-c", script]).current_dir(directory).process_group(0).stdout(Stdio::piped());
    // `nft -i` would write a history into its home.
    command.env_clear().env("LC_ALL", "C").env("HOME", "/dev/null");
    command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    command
}

/// Reads on until `nft` has shown the table as its own.
async fn owned(said: &mut Lines<BufReader<impl AsyncRead + Unpin>>) -> Result<(), String> {
    let mut complaints = Vec::new();
    loop {
        let line = said.next_line().await.map_err(|error| error.to_string())?;
        match line.as_deref().map(str::trim) {
            // First, as it shows the line that it does not know.
            Some(line) if line.contains("Error") || !complaints.is_empty() => {
                complaints.push(line.to_owned())
            }
            Some(line) if line.starts_with("flags ") && line.contains("owner") => return Ok(()),
            Some(_) => {}
            None if complaints.is_empty() => return Err("it has ended".into()),
            None => return Err(complaints.join(" ")),
        }
        // The second is of the table that is not there.
        if complaints.len() >= COMPLAINTS
            || complaints.iter().filter(|line| line.contains("Error")).count() > 1
        {
            return Err(complaints.join(" "));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_table_is_ours_when_nft_shows_it_so() {
        for (said, is) in [
            ("table inet lambkin_x { # progname nft\n\tflags owner\n\n\tset never {\n", Ok(())),
            ("table inet lambkin_x {\n\tflags owner,persist\n", Ok(())),
            ("table inet lambkin_x {\n\tset never {\n\t\tflags interval\n", Err("it has ended")),
            (
                "./nat.nft:4:9-13: Error: syntax error\nflags owner\n^^^^^\n",
                Err("./nat.nft:4:9-13: Error: syntax error flags owner ^^^^^"),
            ),
            (
                "Error: No such file\nlist table\n^^^\nError: more\nand more\n",
                Err("Error: No such file list table ^^^ Error: more"),
            ),
        ] {
            let mut lines = BufReader::new(said.as_bytes()).lines();
            assert_eq!(owned(&mut lines).await, is.map_err(str::to_owned), "{said:?}");
        }
    }
}
