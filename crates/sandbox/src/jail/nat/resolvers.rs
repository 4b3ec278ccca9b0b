//! Who resolves names for jails: the host's upstream resolvers, where they are on other machines.

use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::Path;

/// The second is systemd-resolved's, where the first only names its own listener on loopback.
const FILES: [&str; 2] = ["/etc/resolv.conf", "/run/systemd/resolve/resolv.conf"];

/// As many as the C library reads.
const MOST: usize = 3;

/// Those that jails can reach, or why there are none.
pub(super) fn of_host() -> Result<Vec<Ipv4Addr>, String> {
    let mut own = Vec::new();
    for file in FILES.map(Path::new) {
        let Ok(text) = std::fs::read_to_string(file) else { continue };
        let (reached, not) = sort(&text, is_own);
        if !reached.is_empty() {
            return Ok(reached);
        }
        own.extend(not);
    }
    Err(match own.as_slice() {
        [] => "the host has no resolver".into(),
        own => format!("the host's resolver {} is not reached from jails", own.join(", ")),
    })
}

/// The one that slirp4netns asks: the first with an IPv4 address, wherever it is.
pub(in crate::jail) fn first() -> Option<Ipv4Addr> {
    let text = std::fs::read_to_string(FILES[0]).ok()?;
    let (found, _) = sort(&text, |_| false);
    found.first().copied()
}

/// An address of this machine: nobody else's can be bound.
fn is_own(address: Ipv4Addr) -> bool {
    address.is_loopback() || address.is_unspecified() || UdpSocket::bind((address, 0)).is_ok()
}

fn sort(text: &str, is_own: impl Fn(Ipv4Addr) -> bool) -> (Vec<Ipv4Addr>, Vec<String>) {
    let (mut reached, mut not) = (Vec::new(), Vec::new());
    for line in text.lines() {
        let mut words = line.split_whitespace();
        let (Some("nameserver"), Some(address)) = (words.next(), words.next()) else { continue };
        match address.parse() {
            Ok(IpAddr::V4(address)) if !is_own(address) => reached.push(address),
            Ok(IpAddr::V4(_) | IpAddr::V6(_)) | Err(_) => not.push(address.to_owned()),
        }
    }
    reached.dedup();
    reached.truncate(MOST);
    (reached, not)
}

/// The jails' `/etc/resolv.conf`. No search domains: those are private networks' names.
pub(super) fn file(resolvers: &[Ipv4Addr]) -> String {
    resolvers.iter().map(|address| format!("nameserver {address}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_resolvers_on_other_machines_are_reached() {
        let text = "# nameserver 1.1.1.1\nsearch example.org\nnameserver 127.0.0.53\nnameserver 192.0.2.53\n\
                    nameserver 192.0.2.53\nnameserver fd00::1\n nameserver\t198.51.100.1 # second\nnameserver 203.0.113.9\n";
        let own = |address: Ipv4Addr| address.is_loopback() || address == Ipv4Addr::new(203, 0, 113, 9);
        let (reached, not) = sort(text, own);
        assert_eq!(file(&reached), "nameserver 192.0.2.53\nnameserver 198.51.100.1\n");
        assert_eq!(not, ["127.0.0.53", "fd00::1", "203.0.113.9"]);
    }

    #[test]
    fn loopback_is_this_machine_s() {
        assert!(is_own(Ipv4Addr::LOCALHOST) && is_own(Ipv4Addr::UNSPECIFIED));
        assert!(!is_own(Ipv4Addr::new(192, 0, 2, 253)));
    }
}
