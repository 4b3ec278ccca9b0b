//! The attack list: a row per attack, each really tried in a jail, and tried outside of one as well,
//! so that nothing passes because its tool is missing. Every row runs twice: as root, and as an
//! ordinary user (this program once more, as user 65534).
//!
//! What cannot be shown outside on this machine is said (`NOT TESTED`) and not counted as held. Rows
//! that need Node.js are in `tests/clients/test_jail.py`, those of packages in `lambkin-store`.

#![cfg(target_os = "linux")]

mod acts;
mod assignment;
mod bed;
mod bombs;
mod calls;
#[path = "../common/command_line.rs"]
mod command_line;
mod deaths;
mod freezing;
mod neighbours;
mod processes;
mod report;
mod rows;
#[path = "../common/sandboxes.rs"]
mod sandboxes;
mod syscalls;
mod tries;
#[path = "../common/waiting.rs"]
mod waiting;
mod walls;

use std::process::ExitCode;

use command_line::asked_for;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        [lambkin_sandbox::SPAWNER_ARGUMENT, ..] => lambkin_sandbox::run_spawner(),
        [tries::PROBE, row, place] => tries::probe(row, place),
        [tries::OWN, row] => return tries::own(row),
        [tries::OWN_INIT, row] => return tries::own_init(row),
        [acts::ACT, name, ref rest @ ..] => acts::run(name, rest),
        [deaths::VICTIM, directory] => deaths::victim(directory),
        [report::AS_USER, row] => return report::as_user(row),
        ["--table"] => rows::print_table(),
        _ => {
            let rows = asked_for(&arguments, rows::ROWS, |row| row.name);
            return rows.map_or(ExitCode::SUCCESS, report::run);
        }
    }
    ExitCode::SUCCESS
}
