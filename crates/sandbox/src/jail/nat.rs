//! The internet for jails: the host forwards and masquerades what they send. One table of rules for
//! all (`rules`), and for each jail a pair of virtual links: one end on the host, the other in the
//! jail's network namespace, with which both go. Needs root.
//!
//! The table is there as long as its holder (`holder`). When that dies, lambkin ends all jails and makes
//! another; a jail whose link was made meanwhile is refused.
//!
//! The jails' addresses are a 64th of those that are for a provider's own use (100.64.0.0/10), held by
//! a route that leads nowhere: so no two lambkins have the same.
//!
//! Deliberately not here: IPv6, of which jails have none.

mod holder;
mod programs;
mod resolvers;

use std::fs::{File, Permissions};
use std::net::Ipv4Addr;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;

use self::holder::Holder;
use self::programs::Programs;
pub(super) use self::programs::find_program;
pub(super) use self::resolvers::first as first_resolver;
use super::keeper::Keeper;
use super::rules::{self, Rules};
use super::wire::Request;
use crate::network::Subnet;

/// Another with every start of the machine, which ends all routes.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

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

/// A guard whose lambkin was killed takes half a second, and the time for its jails' links.
const PATIENCE: Duration = Duration::from_secs(10);

/// Between looks at a table that is going.
const LOOK: Duration = Duration::from_millis(50);

/// After a table that could not be made again.
const PAUSE: Duration = Duration::from_millis(500);

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
        rules::table(&Rules {
            name,
            owned: true,
            links,
            pool,
            allow,
            resolvers,
            never: &[],
            connections: None,
        })
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
    /// Which table it is, counted; `None` where there is none.
    held: watch::Receiver<Option<u64>>,
    stop: mpsc::Sender<()>,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// What keeps the table: everything that another holder is started with.
struct Keep {
    holder: Holder,
    start: Start,
    keeper: Keeper,
    held: watch::Sender<Option<u64>>,
}

struct Start {
    programs: Programs,
    directory: PathBuf,
    table: String,
    links: String,
    rules: String,
}

impl Start {
    async fn holder(&self) -> Result<Holder, String> {
        Holder::start(&self.programs, &self.directory, &self.table, &self.links, &self.rules).await
    }
}

impl Keep {
    /// Until it is to stop, when no jail is there any more.
    async fn keep(mut self, mut stopped: mpsc::Receiver<()>) {
        let mut number = 0;
        loop {
            tokio::select! {
                biased;
                _ = stopped.recv() => break,
                () = self.holder.ended() => {}
            }
            self.held.send_replace(None);
            tracing::error!("nft, which held the jails' network rules, has ended: all environments end");
            self.holder.abandon();
            // Fails where the spawner is dead: so are the jails.
            if let Err(error) = self.keeper.ask(Request::EndAll, Vec::new()).await {
                tracing::debug!(%error, "the spawner ended");
            }
            self.holder.let_go();
            let next = loop {
                match self.start.holder().await {
                    Ok(holder) => break Some(holder),
                    Err(error) => {
                        tracing::error!(%error, "no network rules: no function starts; trying again")
                    }
                }
                tokio::select! {
                    _ = stopped.recv() => break None,
                    () = tokio::time::sleep(PAUSE) => {}
                }
            };
            let Some(next) = next else { break };
            std::mem::replace(&mut self.holder, next).close().await;
            number += 1;
            self.held.send_replace(Some(number));
        }
        self.held.send_replace(None);
        self.holder.close().await;
    }
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

/// Waits until the table of a former lambkin with this tag is gone, and removes what else it left.
pub(super) async fn sweep(tag: &str, directory: &Path) {
    let mark = directory.join(MARK);
    let Ok(text) = std::fs::read_to_string(&mark) else { return };
    match swept(&table_of(tag), &text).await {
        Ok(()) => {
            tracing::info!("a former lambkin's network rules are gone");
            unmark(&mark);
        }
        Err(error) => {
            tracing::warn!(%error, "what a former lambkin left of its network could not be removed");
        }
    }
}

async fn swept(table: &str, mark: &str) -> Result<(), String> {
    let programs = find()?;
    let began = Instant::now();
    while has_table(&programs, table).await? {
        // Its holder's, which is still taking links away, or one that nobody holds.
        if let Err(error) = programs.nft(&["delete", "table", "inet", table], "").await
            && began.elapsed() > PATIENCE
        {
            return Err(error);
        }
        tokio::time::sleep(LOOK).await;
    }
    let mut words = mark.split_whitespace();
    let place = words.next().and_then(|place| place.parse().ok()).filter(|place| *place < PLACES);
    // After a restart of the machine the addresses may be somebody else's by now.
    if let (Some(place), Some(boot)) = (place, words.next())
        && boot == this_boot()
    {
        release(&programs, Place(place)).await;
    }
    Ok(())
}

fn this_boot() -> String {
    std::fs::read_to_string(BOOT).unwrap_or_default().trim().to_owned()
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
    pub(super) async fn start(
        keeper: Keeper,
        tag: &str,
        directory: &Path,
        allow: &[Subnet],
    ) -> Result<Self, LaunchError> {
        let programs = find().map_err(|error| LaunchError(format!("--network nat: {error}")))?;
        let resolvers = resolvers::of_host();
        let found = resolvers.as_deref().unwrap_or_default();
        let file = directory.join(RESOLVER);
        write(&file, &resolvers::file(found))?;
        // Functions read it, whatever lambkin's umask is.
        std::fs::set_permissions(&file, Permissions::from_mode(0o644))
            .map_err(|error| failed("resolv.conf")(error.to_string()))?;
        let place = take_place(&programs, tag).await.map_err(failed("no addresses for jails"))?;
        let table = table_of(tag);
        let start = Start {
            rules: place.rules(&table, allow, found),
            links: place.links(),
            directory: directory.to_owned(),
            programs: programs.clone(),
            table: table.clone(),
        };
        let mark = directory.join(MARK);
        let holder = match open(&start, &mark, place).await {
            Ok(holder) => holder,
            Err(error) => {
                release(&programs, place).await;
                unmark(&mark);
                return Err(error);
            }
        };
        let (held, holds) = watch::channel(Some(0));
        // One word, said once.
        let (stop, stopped) = mpsc::channel(1);
        let task = tokio::spawn(Keep { holder, start, keeper, held }.keep(stopped));
        Ok(Self {
            place,
            table,
            directory: directory.to_owned(),
            has_ipv6: Path::new("/proc/sys/net/ipv6").exists(),
            // Links of a lambkin that was here just before may still be going.
            next: AtomicU32::new(std::process::id().wrapping_mul(977) % JAILS),
            programs,
            resolvers,
            held: holds,
            stop,
            task: Mutex::new(Some(task)),
        })
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
        let gone = || LaunchError("--network nat: the network rules have just gone".into());
        let before = (*self.held.borrow()).ok_or_else(gone)?;
        self.attach_now(namespace).await?;
        // Else it would go on where all others are ended.
        if *self.held.borrow() == Some(before) { Ok(()) } else { Err(gone()) }
    }

    async fn attach_now(&self, namespace: File) -> Result<(), LaunchError> {
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

    /// Removes the table: every jail has ended. Forwarding stays on: others may rely on it by now.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Full where it was said already.
        let _ = self.stop.try_send(());
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the network rules were not kept");
        }
        match has_table(&self.programs, &self.table).await {
            Ok(false) => {
                release(&self.programs, self.place).await;
                unmark(&self.directory.join(MARK));
            }
            Ok(true) => {
                tracing::warn!("the network rules are still there; the next start waits for their end")
            }
            Err(error) => {
                tracing::warn!(%error, "the network rules could not be looked at; the next start does");
            }
        }
    }
}

/// The table, and then that the host forwards.
async fn open(start: &Start, mark: &Path, place: Place) -> Result<Holder, LaunchError> {
    write(mark, &format!("{} {}", place.0, this_boot()))?;
    // Before anything is forwarded.
    let holder = start.holder().await.map_err(failed("no rules"))?;
    if forwards() {
        return Ok(holder);
    }
    if let Err(error) = std::fs::write(FORWARDING, "1") {
        holder.close().await;
        return Err(failed("net.ipv4.ip_forward cannot be set")(error.to_string()));
    }
    tracing::warn!(
        "set net.ipv4.ip_forward=1 for --network nat: this machine forwards IPv4 until that is changed"
    );
    Ok(holder)
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
