//! The processes of a lambkin in namespaces of its own, where all that are seen are the test's.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::world::{said_by, until};

/// Numbers and names of the processes that are neither this one, its parent nor the world's.
pub(crate) fn others() -> Vec<(u32, String)> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").expect("processes").flatten() {
        let Ok(number) = entry.file_name().to_string_lossy().parse::<u32>() else { continue };
        let Ok(status) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let (Some(from), Some(to)) = (status.find('('), status.rfind(')')) else { continue };
        let name = &status[from + 1..to];
        let is_dead = status[to..].starts_with(") Z");
        if number != 1 && number != std::process::id() && !is_dead && name != "sleep" {
            found.push((number, name.to_owned()));
        }
    }
    found
}

pub(crate) fn numbers(name: &str) -> Vec<u32> {
    others().into_iter().filter(|(_, other)| other == name).map(|(number, _)| number).collect()
}

/// A copy of the spawner has its name for a moment.
pub(crate) fn only(name: &str) -> u32 {
    until(name, || numbers(name).len() == 1);
    numbers(name)[0]
}

/// Also what it was making: its orphans are this namespace's first process's.
pub(crate) fn gone(spawner: u32) {
    let is_orphan = |number: &u32| {
        let status = std::fs::read_to_string(format!("/proc/{number}/stat")).unwrap_or_default();
        status.split_whitespace().nth(3) == Some("1")
    };
    until("the spawner and its jails end", || {
        !numbers("lambkin-spawner").contains(&spawner) && !numbers("lambkin-init").iter().any(is_orphan)
    });
}

pub(crate) fn kill(number: u32) {
    said_by("kill", &["-9", &number.to_string()]);
}

pub(crate) fn holder(directory: &Path) -> Child {
    let own = std::env::current_exe().expect("this program");
    let mut command = Command::new(own);
    command
        .arg(crate::user::HOLDER)
        .arg(directory)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("a program")
}

pub(crate) fn finish(holder: &mut Child) {
    holder.kill().expect("killed");
    holder.wait().expect("ended");
    until("nothing is left after a kill", || others().is_empty());
}
