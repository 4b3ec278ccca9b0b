//! The system's programs that set up networks, run as children with a bounded wait.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use tokio::io::AsyncWriteExt as _;
use tokio::process::{Child, Command};

/// Also where another program holds the kernel's network lock.
const PATIENCE: Duration = Duration::from_secs(5);

/// Of root's usual path, which lambkin's own may lack.
const DIRECTORIES: [&str; 4] = ["/usr/sbin", "/sbin", "/usr/bin", "/bin"];

/// # Errors
/// It is missing: the text says what brings it.
pub(in crate::jail) fn find_program(name: &str, package: &str) -> Result<PathBuf, String> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = DIRECTORIES.map(PathBuf::from).into_iter().chain(std::env::split_paths(&path));
    let mut places = directories.map(|directory| directory.join(name));
    places.find(|place| place.is_file()).ok_or_else(|| {
        format!("the program {name} is missing: install the package {package} (apt, dnf, apk)")
    })
}

#[derive(Debug, Clone)]
pub(super) struct Programs {
    pub(super) ip: PathBuf,
    pub(super) nft: PathBuf,
    pub(super) sh: PathBuf,
}

impl Programs {
    /// # Errors
    /// One is missing: the text says which, and what brings it.
    pub(super) fn find() -> Result<Self, String> {
        let ip = find_program("ip", "iproute2 (iproute)")?;
        Ok(Self { ip, nft: find_program("nft", "nftables")?, sh: find_program("sh", "dash")? })
    }

    pub(super) async fn nft(&self, arguments: &[&str], text: &str) -> Result<String, String> {
        let mut command = Command::new(&self.nft);
        let child = prepare(&mut command, arguments).spawn();
        finish("nft", child, text).await
    }

    pub(super) async fn ip(&self, arguments: &[&str], text: &str) -> Result<String, String> {
        let mut command = Command::new(&self.ip);
        let child = prepare(&mut command, arguments).spawn();
        finish("ip", child, text).await
    }

    /// `ip` in another network namespace.
    pub(super) async fn ip_in(&self, namespace: File, text: &str) -> Result<String, String> {
        let mut command = Command::new(&self.ip);
        prepare(&mut command, &["-batch", "-"]);
        let runtime = tokio::runtime::Handle::current();
        // A thread of its own, which ends over there: no other work ever runs in that namespace.
        let spawn = move || {
            let _runtime = runtime.enter();
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            command.spawn()
        };
        let spawned = tokio::task::spawn_blocking(|| std::thread::spawn(spawn).join()).await;
        let child = match spawned {
            Ok(Ok(child)) => child,
            Ok(Err(_)) | Err(_) => Err(io::Error::other("the thread that starts it panicked")),
        };
        finish("ip", child, text).await
    }
}

fn prepare<'a>(command: &'a mut Command, arguments: &[&str]) -> &'a mut Command {
    // Texts are read: in one language.
    let command = command.args(arguments).env_clear().env("LC_ALL", "C").kill_on_drop(true);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped())
}

/// What it printed, or what it complained of.
async fn finish(name: &str, child: io::Result<Child>, text: &str) -> Result<String, String> {
    let work = async {
        let mut child = child?;
        if let Some(mut stdin) = child.stdin.take() {
            // Fails where it has ended already, and then says why.
            let _ = stdin.write_all(text.as_bytes()).await;
        }
        child.wait_with_output().await
    };
    match tokio::time::timeout(PATIENCE, work).await {
        Ok(Ok(output)) if output.status.success() => Ok(String::from_utf8_lossy(&output.stdout).into_owned()),
        Ok(Ok(output)) => {
            let said = String::from_utf8_lossy(&output.stderr);
            Err(format!("{name}: {}", said.split_whitespace().collect::<Vec<_>>().join(" ")))
        }
        Ok(Err(error)) => Err(format!("{name}: {error}")),
        Err(_) => Err(format!("{name} took longer than {PATIENCE:?}")),
    }
}
