//! What a lambkin of `--network nat` has on the machine: processes, tables, routes, links.

use crate::world::said_by;

/// Processes in this network whose command line this is part of.
pub(crate) fn processes(part: &str) -> Vec<u32> {
    let own = std::fs::read_link("/proc/self/ns/net").expect("a namespace");
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    let numbers = all.filter_map(|entry| entry.file_name().to_string_lossy().parse::<u32>().ok());
    let is_it = |number: &u32| {
        let line = std::fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
        let network = std::fs::read_link(format!("/proc/{number}/ns/net"));
        network.is_ok_and(|network| network == own)
            && String::from_utf8_lossy(&line).replace('\0', " ").contains(part)
    };
    numbers.filter(is_it).collect()
}

pub(crate) fn children(parent: u32) -> Vec<u32> {
    let path = format!("/proc/{parent}/task/{parent}/children");
    let text = std::fs::read_to_string(path).expect("children");
    text.split_whitespace().map(|number| number.parse().expect("a number")).collect()
}

pub(crate) fn kill(number: u32, signal: &str) {
    said_by("kill", &[signal, &number.to_string()]);
}

/// lambkin's traces on the machine: tables and routes.
pub(crate) fn traces() -> (usize, usize) {
    let tables = said_by("nft", &["list", "tables"]);
    let routes = said_by("ip", &["-4", "route", "show", "table", "all"]);
    let unreachable = routes.lines().filter(|route| route.starts_with("unreachable 100.")).count();
    (tables.lines().filter(|table| table.contains("lambkin_")).count(), unreachable)
}

pub(crate) fn links() -> usize {
    said_by("ip", &["-o", "link"]).lines().filter(|link| link.contains(": lk")).count()
}
