//! The internet for jails by the host's own sockets, without any program, rule or right: a jail has a network namespace
//! with nothing but loopback, and lambkin makes its connections outside. `connect`, `bind` and `listen` of all its
//! processes are told to lambkin (`seccomp::guarded`, `calls`), which makes them itself, or puts a
//! socket of the host's network, connected to where the rules allow, into the place of the caller's
//! (`watch`). What is sent then goes past lambkin.
//!
//! A function can never connect such a socket to anybody else: by itself Landlock lets it connect and bind
//! nothing, whatever descriptor it puts where, and `listen` is lambkin's.
//!
//! Deliberately not here: UDP but for names (`names`), IPv6.

mod address;
mod budget;
mod caller;
mod calls;
mod held;
mod names;
mod socket;
mod watch;

use std::net::{Ipv4Addr, TcpListener};
use std::os::fd::{AsFd as _, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use lambkin_model::sandbox::LaunchError;
use rustix::io::Errno;
use rustix::process::{Resource, getrlimit};

use self::budget::Budget;
use self::calls::Calls;
use self::held::Held;
use self::names::Names;
use self::watch::Watch;
use super::egress::{NETWORK, POOL, RESOLVER};
use super::netlink::Netlink;
use super::rules::Reach;
use crate::landlock;
use crate::network::Subnet;

/// A jail's own address beside loopback, at which names are asked for: that of `user`'s resolver. With it
/// programs see that there is IPv4, and prefer it to the IPv6 that there is not.
pub(super) const OWN: Ipv4Addr = RESOLVER;

/// DNS.
pub(super) const NAMES: u16 = 53;

/// Connections and questions of all jails that are waited for at once: this part of the descriptors that lambkin may
/// have, each of which is one or two.
const SHARE_OF_DESCRIPTORS: u64 = 4;
/// Where there is no limit.
const MOST_WAITED_FOR: u64 = 65_536;

/// A thread's; it holds little more than the longest datagram twice.
const STACK_BYTES: usize = 128 * 1024;

const RESOLVER_FILE: &str = "resolv-host.conf";

type Works = fn() -> bool;

/// What of this kernel is needed, with the first one that has it.
const NEEDED: [(&str, Works); 3] = [
    ("seccomp's user notification (Linux 5.9)", calls::works),
    ("pidfd_getfd and process_vm_readv (Linux 5.6, CONFIG_CROSS_MEMORY_ATTACH)", caller::works),
    ("SO_NETNS_COOKIE (Linux 5.14)", numbers_networks),
];

/// With it not even who may everything looks into another process.
const PTRACE_SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";
const NOBODY: &str = "3";

/// What a guard has inside of a jail, made by its init.
pub(super) struct Post {
    /// Where its calls are told.
    pub(super) calls: OwnedFd,
    /// Who is asked for names there.
    pub(super) names: OwnedFd,
}

pub(super) struct Guard {
    rules: Arc<Reach>,
    budget: Budget,
    resolver: PathBuf,
}

impl Guard {
    /// # Errors
    /// Something is missing: the text says what.
    pub(super) fn start(directory: &Path, allow: &[Subnet]) -> Result<Self, String> {
        missing()?;
        if let Some(taken) = allow.iter().find(|subnet| subnet.overlaps(POOL) || subnet.overlaps(NETWORK)) {
            return Err(format!("{taken} cannot be allowed: {POOL} and {NETWORK} are the jails' own"));
        }
        let resolver = directory.join(RESOLVER_FILE);
        super::outside::write(&resolver, &format!("nameserver {OWN}\n"))
            .map_err(|error| format!("cannot write {}: {error}", resolver.display()))?;
        Ok(Self { rules: Arc::new(Reach::new(allow)), budget: Budget::of(most_waited_for()), resolver })
    }

    /// What `network` is then.
    pub(super) fn description() -> String {
        const WHERE: &str =
            "host (guarded sockets): the internet by IPv4 and TCP, not the host or other functions";
        match names::resolver() {
            Some(_) => format!("{WHERE}; names by the host's resolver"),
            None => format!("{WHERE}; no names: the host has no resolver with an IPv4 address"),
        }
    }

    /// What jails have as their `/etc/resolv.conf`.
    pub(super) fn resolver_file(&self) -> &Path {
        &self.resolver
    }

    /// Stands guard until the jail has ended.
    pub(super) fn attach(&self, post: Post) -> Result<(), LaunchError> {
        let failed = |error: std::io::Error| LaunchError(format!("a jail could not be guarded: {error}"));
        let made = || -> std::io::Result<Watch> {
            Ok(Watch {
                network: socket::network(post.names.as_fd())?,
                calls: Calls::new(post.calls),
                names: Names::new(post.names, self.budget.clone()),
                rules: Arc::clone(&self.rules),
                tables: Netlink::open()?,
                held: Held::new()?,
                budget: self.budget.clone(),
                waiting: Vec::new(),
            })
        };
        let watch = made().map_err(failed)?;
        let thread = std::thread::Builder::new().name("lambkin-guard".into()).stack_size(STACK_BYTES);
        // It ends with the jail.
        thread.spawn(|| watch.serve()).map(drop).map_err(failed)
    }
}

/// What `lambkin doctor` says of `--network host`.
pub fn guard_is_possible() -> Result<String, String> {
    missing().map(|()| Guard::description())
}

fn missing() -> Result<(), String> {
    landlock::knows_tcp()?;
    if let Some((what, _)) = NEEDED.iter().find(|(_, works)| !works()) {
        return Err(format!("{what} is missing, or kept from lambkin"));
    }
    match std::fs::read_to_string(PTRACE_SCOPE) {
        Ok(scope) if scope.trim() == NOBODY => {
            Err(format!("{PTRACE_SCOPE} is {NOBODY}: no process looks into another"))
        }
        Ok(_) | Err(_) => Ok(()),
    }
}

fn most_waited_for() -> usize {
    let most = getrlimit(Resource::Nofile).current.map(|limit| limit / SHARE_OF_DESCRIPTORS);
    usize::try_from(most.unwrap_or(MOST_WAITED_FOR).min(MOST_WAITED_FOR)).unwrap_or(usize::MAX)
}

fn numbers_networks() -> bool {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).is_ok_and(|socket| socket::network(socket.as_fd()).is_ok())
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::IO)
}
