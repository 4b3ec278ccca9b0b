//! The internet for jails: the host forwards and masquerades what they send. One table of rules for
//! all (`rules`), and for each jail a pair of virtual links: one end on the host, the other in the
//! jail's network namespace, with which both go. Needs root.
//!
//! The jails' addresses are a 64th of those that are for a provider's own use (100.64.0.0/10), held by
//! a route that leads nowhere: so no two lambkins have the same.
//!
//! Deliberately not here: IPv6, of which jails have none.

mod programs;
mod resolvers;

use std::fs::{File, Permissions};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use lambkin_model::sandbox::LaunchError;

use self::programs::Programs;
pub(super) use self::programs::find_program;
pub(super) use self::resolvers::first as first_resolver;
use super::rules::{self, Rules};
use crate::network::Subnet;

const FORWARDING: &str = "/proc/sys/net/ipv4/ip_forward";

/// Places there are, as /16 of 100.64.0.0/10.
const PLACES: u8 = 64;

/// Jails in a place: two addresses each.
const JAILS: u32 = 1 << 15;

/// A jail of long ago still has the number, or the kernel has not yet cleared up behind it.
const TRIES: usize = 64;

/// Says that this lambkin had a table, for the next one to remove.
const MARK: &str = "nat";
const RESOLVER: &str = "resolv.conf";

/// Where the jails' addresses are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place(u8);

impl Place {
    fn pool(self) -> Subnet {
        Subnet::new(Ipv4Addr::new(100, 64 + self.0, 0, 0), 16)
    }

    /// How the names of its links begin.
    fn links(self) -> String {
        format!("lk{:02x}", self.0)
    }

    fn rules(self, name: &str, allow: &[Subnet], resolvers: &[Ipv4Addr]) -> String {
        let (links, pool) = (&self.links(), self.pool());
        rules::table(&Rules { name, links, pool, allow, resolvers, never: &[], connections: None })
    }
}

pub(super) struct Nat {
    programs: Programs,
    table: String,
    place: Place,
    directory: PathBuf,
    resolvers: Result<Vec<Ipv4Addr>, String>,
    has_ipv6: bool,
    /// Number of the next jail.
    next: AtomicU32,
}

/// Whether it could be done here: who asks is told what is missing.
///
/// # Errors
/// What is missing, and how to get it.
pub async fn nat_is_possible() -> Result<String, String> {
    let programs = find()?;
    programs.nft(&["-c", "-f", "-"], &Place(0).rules("lambkin_doctor", &[], &[])).await?;
    // Opening it changes nothing.
    if let (false, Err(error)) = (forwards(), File::options().write(true).open(FORWARDING)) {
        return Err(format!("net.ipv4.ip_forward cannot be set: {error}"));
    }
    Ok(format!("is possible; {}", names(&resolvers::of_host())))
}

fn find() -> Result<Programs, String> {
    if !rustix::process::geteuid().is_root() {
        return Err("it needs root: run lambkin as root".into());
    }
    Programs::find()
}

fn names(resolvers: &Result<Vec<Ipv4Addr>, String>) -> String {
    match resolvers {
        Ok(found) => {
            let found: Vec<_> = found.iter().map(Ipv4Addr::to_string).collect();
            format!("names by {}", found.join(", "))
        }
        Err(why) => format!("no names: {why}"),
    }
}

fn forwards() -> bool {
    std::fs::read_to_string(FORWARDING).is_ok_and(|on| on.trim() == "1")
}

fn write(path: &Path, text: &str) -> Result<(), LaunchError> {
    std::fs::write(path, text)
        .map_err(|error| LaunchError(format!("cannot write {}: {error}", path.display())))
}

fn failed(what: &str) -> impl Fn(String) -> LaunchError {
    move |error| LaunchError(format!("--network nat: {what}: {error}"))
}

fn table_of(tag: &str) -> String {
    format!("lambkin_{tag}")
}

/// Removes what a former lambkin with this tag left, where there was one with a table.
pub(super) async fn sweep(tag: &str, directory: &Path) {
    let mark = directory.join(MARK);
    let Ok(text) = std::fs::read_to_string(&mark) else { return };
    let place = text.trim().parse().ok().filter(|place| *place < PLACES).map(Place);
    match swept(&table_of(tag), place).await {
        Ok(true) => tracing::info!("removed the network rules that a former lambkin left"),
        Ok(false) => {}
        Err(error) => {
            tracing::warn!(%error, "the network rules that a former lambkin left could not be removed");
            return;
        }
    }
    unmark(&mark);
}

/// Whether there was a table. Without one, as after a restart of the machine, the addresses may be
/// somebody else's by now.
async fn swept(table: &str, place: Option<Place>) -> Result<bool, String> {
    let programs = find()?;
    let is_there = has_table(&programs, table).await?;
    if is_there {
        if let Some(place) = place {
            release(&programs, place).await;
        }
        programs.nft(&["delete", "table", "inet", table], "").await?;
    }
    Ok(is_there)
}

async fn has_table(programs: &Programs, table: &str) -> Result<bool, String> {
    let tables = programs.nft(&["list", "tables", "inet"], "").await?;
    Ok(tables.lines().any(|line| line.strip_prefix("table inet ") == Some(table)))
}

/// Where it fails somebody took the route away already.
async fn release(programs: &Programs, place: Place) {
    let pool = place.pool().to_string();
    if let Err(error) = programs.ip(&["route", "del", "unreachable", &pool], "").await {
        tracing::debug!(%error, "a route was not removed");
    }
}

fn unmark(mark: &Path) {
    if let Err(error) = std::fs::remove_file(mark) {
        tracing::warn!(%error, "{} could not be removed", mark.display());
    }
}

impl Nat {
    /// Makes the host forward, and the table. What a former lambkin left must be swept before.
    ///
    /// # Errors
    /// Something is missing: the text says what, and how to get it.
    pub(super) async fn start(tag: &str, directory: &Path, allow: &[Subnet]) -> Result<Self, LaunchError> {
        let programs = find().map_err(|error| LaunchError(format!("--network nat: {error}")))?;
        let resolvers = resolvers::of_host();
        let found = resolvers.as_deref().unwrap_or_default();
        let file = directory.join(RESOLVER);
        write(&file, &resolvers::file(found))?;
        // Functions read it, whatever lambkin's umask is.
        std::fs::set_permissions(&file, Permissions::from_mode(0o644))
            .map_err(|error| failed("resolv.conf")(error.to_string()))?;
        let place = take_place(&programs, tag).await.map_err(failed("no addresses for jails"))?;
        let nat = Self {
            place,
            table: table_of(tag),
            directory: directory.to_owned(),
            has_ipv6: Path::new("/proc/sys/net/ipv6").exists(),
            // Links of a lambkin that was here just before may still be going.
            next: AtomicU32::new(std::process::id().wrapping_mul(977) % JAILS),
            programs,
            resolvers,
        };
        let started = nat.open(allow).await;
        if started.is_err() {
            nat.close().await;
        }
        started.map(|()| nat)
    }

    async fn open(&self, allow: &[Subnet]) -> Result<(), LaunchError> {
        write(&self.directory.join(MARK), &self.place.0.to_string())?;
        let found = self.resolvers.as_deref().unwrap_or_default();
        let rules = self.place.rules(&self.table, allow, found);
        // Before anything is forwarded.
        self.programs.nft(&["-f", "-"], &rules).await.map_err(failed("no rules"))?;
        if forwards() {
            return Ok(());
        }
        std::fs::write(FORWARDING, "1")
            .map_err(|error| failed("net.ipv4.ip_forward cannot be set")(error.to_string()))?;
        tracing::warn!(
            "set net.ipv4.ip_forward=1 for --network nat: this machine forwards IPv4 until that is changed"
        );
        Ok(())
    }

    /// What `network` is then.
    pub(super) fn description(&self) -> String {
        format!("nat: the internet by IPv4, not the host or other functions; {}", names(&self.resolvers))
    }

    /// To be mounted over the jail's `/etc/resolv.conf`.
    pub(super) fn resolver_file(&self) -> PathBuf {
        self.directory.join(RESOLVER)
    }

    /// Gives a jail, whose network namespace this is, its way out. What it makes goes with the namespace.
    pub(super) async fn attach(&self, namespace: File) -> Result<(), LaunchError> {
        let mut made = Err(String::new());
        for _ in 0..TRIES {
            let number = self.next.fetch_add(1, Ordering::Relaxed) % JAILS;
            made = self.link(&namespace, number).await.map(|()| number);
            if !made.as_ref().is_err_and(|error| error.contains("File exists")) {
                break;
            }
        }
        let number = made.map_err(failed("a jail's link could not be made"))?;
        let (gateway, own) = self.addresses(number);
        let mut inside =
            format!("address add {own}/31 dev eth0\nlink set eth0 up\nroute add default via {gateway}\n");
        if self.has_ipv6 {
            inside.insert_str(0, "link set eth0 addrgenmode none\n");
        }
        self.programs.ip_in(namespace, &inside).await.map_err(failed("a jail's route could not be made"))?;
        Ok(())
    }

    async fn link(&self, namespace: &File, number: u32) -> Result<(), String> {
        let name = format!("{}{number:04x}", self.place.links());
        let path = format!("/proc/{}/fd/{}", std::process::id(), namespace.as_raw_fd());
        let (gateway, _) = self.addresses(number);
        let mut text = format!("link add {name} type veth peer name eth0 netns {path}\n");
        if self.has_ipv6 {
            // No address by itself either.
            text += &format!("link set {name} addrgenmode none\n");
        }
        text += &format!("address add {gateway}/31 dev {name}\nlink set {name} up\n");
        self.programs.ip(&["-batch", "-"], &text).await.map(drop)
    }

    /// The host's end and the jail's.
    fn addresses(&self, number: u32) -> (Ipv4Addr, Ipv4Addr) {
        let pool = self.place.pool();
        (pool.address(2 * number), pool.address(2 * number + 1))
    }

    /// Removes the table. Forwarding stays on: others may rely on it by now.
    pub(super) async fn close(&self) {
        let removed = async {
            if has_table(&self.programs, &self.table).await? {
                self.programs.nft(&["delete", "table", "inet", &self.table], "").await?;
            }
            Ok::<_, String>(())
        };
        match removed.await {
            Ok(()) => {
                release(&self.programs, self.place).await;
                unmark(&self.directory.join(MARK));
            }
            Err(error) => {
                tracing::warn!(%error, "the network rules could not be removed; the next start tries again");
            }
        }
    }
}

/// The first /16 from the tag's own on that the machine has no route into.
async fn take_place(programs: &Programs, tag: &str) -> Result<Place, String> {
    let routes = programs.ip(&["-4", "route", "show", "table", "all"], "").await?;
    let words = routes.split_whitespace().filter(|word| word.contains('.'));
    let taken: Vec<Subnet> = words.filter_map(|word| word.parse().ok()).collect();
    let first = tag.bytes().fold(0_u8, |sum, byte| sum.wrapping_mul(31).wrapping_add(byte)) % PLACES;
    let mut last = "all of 100.64.0.0/10 is in use".to_owned();
    for place in (0..PLACES).map(|step| Place((first + step) % PLACES)) {
        let pool = place.pool();
        if taken.iter().any(|taken| taken.overlaps(pool)) {
            continue;
        }
        match programs.ip(&["route", "add", "unreachable", &pool.to_string()], "").await {
            Ok(_) => return Ok(place),
            // Another lambkin was faster, where the route exists.
            Err(error) => last = error,
        }
    }
    Err(last)
}
