//! The internet for jails without the host's help, also as an ordinary user: a *router* (`router`), a
//! network namespace that every jail has a link to, with the rules of what is reached (`jail::rules`),
//! and one program that carries what passes them by ordinary sockets of the host's (`uplink`). The
//! host's own network is not changed, so there is nothing to be swept.
//!
//! One task owns all of it. An uplink that dies is started again. A router that dies takes all jails
//! with it, as their links have ended; the next jail has another.
//!
//! Deliberately not here: IPv6, of which jails have none.

mod router;
mod router_process;
mod uplink;
mod wire;

use std::net::Ipv4Addr;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;

pub(super) use self::router::run as run_router;
use self::router_process::Router;
use self::uplink::Uplink;
pub(super) use self::uplink::{NETWORK, RESOLVER};
use self::wire::Order;
use super::keeper::Keeper;
use super::nat::{self, find_program};
use super::netlink::Own;
use super::outside;
use super::rules::{self, Rules};
use super::wire::Request;
use crate::network::Subnet;

/// Jails that wait for their link. When full, further ones wait to be taken up.
const WAITING: usize = 64;

/// After an uplink that could not be started.
const PAUSE: Duration = Duration::from_millis(500);

/// Addresses that come and go are looked at no more often.
const SETTLE: Duration = Duration::from_millis(50);

/// Where the jails are, in what is for measuring only (RFC 2544): two addresses each.
pub(super) const POOL: Subnet = Subnet::new(Ipv4Addr::new(198, 18, 0, 0), 16);
const JAILS: u32 = 1 << 15;

/// A jail of long ago still has the number.
const TRIES: usize = 64;

/// How the names of the router's ends begin.
const LINKS: &str = "lk";

/// Connections of one jail at once: what the uplink has open is for all of them.
const CONNECTIONS: u32 = 2048;

const TABLE: &str = "lambkin";
const RESOLVER_FILE: &str = "resolv-user.conf";

/// The way to the task.
pub(super) struct Egress {
    attach: mpsc::Sender<Asked>,
    resolver: PathBuf,
    task: Mutex<Option<JoinHandle<()>>>,
    stop: mpsc::Sender<()>,
}

/// A jail's network namespace, and where it is said that it has its link.
struct Asked {
    namespace: OwnedFd,
    answer: oneshot::Sender<Result<(), LaunchError>>,
}

impl Egress {
    /// Makes all of it, and tries a first link.
    ///
    /// # Errors
    /// Something is missing: the text says what, and how to get it.
    pub(super) async fn start(keeper: Keeper, directory: &Path, allow: &[Subnet]) -> Result<Self, String> {
        let resolver = directory.join(RESOLVER_FILE);
        let mut all = All {
            uplink_program: uplink::find()?,
            nft: find_program("nft", "nftables")?,
            allow: allow.to_vec(),
            keeper,
            own: Own::watch().map_err(|error| format!("the host's addresses cannot be watched: {error}"))?,
            quiet: Instant::now(),
            up: None,
            next: 0,
        };
        if let Some(taken) = allow.iter().find(|subnet| subnet.overlaps(POOL) || subnet.overlaps(NETWORK)) {
            return Err(format!("{taken} cannot be allowed: {POOL} and {NETWORK} are the jails' own"));
        }
        outside::write(&resolver, &format!("nameserver {RESOLVER}\n"))
            .map_err(|error| format!("cannot write {}: {error}", resolver.display()))?;
        all.open().await?;
        let (attach, asked) = mpsc::channel(WAITING);
        // One word, said once.
        let (stop, stopped) = mpsc::channel(1);
        let task = Mutex::new(Some(tokio::spawn(all.keep(asked, stopped))));
        Ok(Self { attach, resolver, task, stop })
    }

    /// What `network` is then.
    pub(super) fn description() -> String {
        const WHERE: &str = "user (slirp4netns): the internet by IPv4, not the host or other functions";
        match nat::first_resolver() {
            Some(_) => format!("{WHERE}; names by the host's resolver"),
            None => format!("{WHERE}; no names: the host has no resolver with an IPv4 address"),
        }
    }

    /// What jails have as their `/etc/resolv.conf`.
    pub(super) fn resolver_file(&self) -> &Path {
        &self.resolver
    }

    /// Begins to give a jail, whose network namespace this is, its way out. What it makes goes with the
    /// namespace.
    pub(super) async fn attach(&self, namespace: OwnedFd) -> Result<Link, LaunchError> {
        let (answer, answered) = oneshot::channel();
        self.attach.send(Asked { namespace, answer }).await.map_err(|_| shut_down())?;
        Ok(Link(answered))
    }

    /// Ends all of it and waits for that.
    pub(super) async fn close(&self) {
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        // Full where it was said already.
        let _ = self.stop.try_send(());
        if let Some(task) = task
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the jails' way out could not be closed");
        }
    }
}

/// A jail's, which is being made meanwhile: the kernel lets it wait for the end of others' links.
pub(super) struct Link(oneshot::Receiver<Result<(), LaunchError>>);

impl Link {
    /// Answers when it is there; the router has a deadline.
    pub(super) async fn made(self) -> Result<(), LaunchError> {
        self.0.await.map_err(|_| shut_down())?
    }
}

fn shut_down() -> LaunchError {
    LaunchError("the launcher is shut down".into())
}

/// Everything that the task owns.
struct All {
    uplink_program: PathBuf,
    nft: PathBuf,
    allow: Vec<Subnet>,
    keeper: Keeper,
    /// The host's addresses, and until when no change of them is looked at.
    own: Own,
    quiet: Instant,
    /// `None` after the router's death, until the next jail.
    up: Option<Up>,
    /// Number of the next jail.
    next: u32,
}

struct Up {
    router: Router,
    /// The addresses that the rules refuse as the host's; `None` before there are rules.
    refused: Option<Vec<Subnet>>,
    /// `None` where it could not be started, and is to be at this time.
    uplink: Option<Uplink>,
    again: Instant,
}

/// What happens first.
enum Event {
    Asked(Option<Asked>),
    UplinkEnded(String),
    RouterEnded,
    AddressesChanged(std::io::Result<()>),
    TryAgain,
}

impl All {
    /// Until nobody asks any more, or it is to stop.
    async fn keep(mut self, mut asked: mpsc::Receiver<Asked>, mut stopped: mpsc::Receiver<()>) {
        while let Some(event) = tokio::select! {
            _ = stopped.recv() => None,
            event = self.event(&mut asked) => Some(event),
        } {
            match event {
                Event::Asked(None) => break,
                Event::Asked(Some(Asked { namespace, answer })) => {
                    let attached = self.attach(namespace.as_fd()).await;
                    // Who asked has stopped waiting; its jail ends.
                    let _ = answer.send(attached.map_err(|error| {
                        LaunchError(format!("a jail's way to the internet could not be made: {error}"))
                    }));
                }
                Event::UplinkEnded(how) => {
                    tracing::error!(%how, "slirp4netns has ended: functions' connections are cut; starting it again");
                    self.up.iter_mut().for_each(|up| up.uplink = None);
                    self.mend().await;
                }
                Event::TryAgain => self.mend().await,
                Event::AddressesChanged(changed) => {
                    match changed {
                        Ok(()) => self.mend().await,
                        Err(error) => {
                            tracing::error!(%error, "the host's addresses cannot be watched any more");
                            self.router_ended().await;
                        }
                    }
                    self.quiet = Instant::now() + SETTLE;
                }
                Event::RouterEnded => self.router_ended().await,
            }
        }
        if let Some(up) = self.up.take() {
            up.close().await;
        }
    }

    async fn event(&mut self, asked: &mut mpsc::Receiver<Asked>) -> Event {
        let Some(up) = &mut self.up else { return Event::Asked(asked.recv().await) };
        let uplink = async {
            match &mut up.uplink {
                Some(uplink) => Event::UplinkEnded(uplink.ended().await),
                None => {
                    tokio::time::sleep_until(up.again).await;
                    Event::TryAgain
                }
            }
        };
        let changed = async {
            tokio::time::sleep_until(self.quiet).await;
            self.own.changed().await
        };
        tokio::select! {
            biased;
            () = up.router.ended() => Event::RouterEnded,
            changed = changed => Event::AddressesChanged(changed),
            ended = uplink => ended,
            asked = asked.recv() => Event::Asked(asked),
        }
    }

    /// Makes a router, its rules and, behind them, its way out.
    async fn open(&mut self) -> Result<(), String> {
        let router = Router::start(&self.keeper).await?;
        let up = self.up.insert(Up { router, refused: None, uplink: None, again: Instant::now() });
        let opened = complete(up, &mut self.own, &self.allow, &self.nft, &self.uplink_program).await;
        if let Err(error) = opened {
            if let Some(up) = self.up.take() {
                up.close().await;
            }
            return Err(error);
        }
        Ok(())
    }

    /// Brings rules and uplink to where they should be. Never an uplink without its rules.
    async fn mend(&mut self) {
        let Some(up) = &mut self.up else { return };
        let mended = complete(up, &mut self.own, &self.allow, &self.nft, &self.uplink_program).await;
        if let Err(error) = mended {
            tracing::error!(%error, "functions have no way to the internet; trying again");
            if let Some(uplink) = up.uplink.take() {
                uplink.close().await;
            }
            up.again = Instant::now() + PAUSE;
        }
    }

    /// All links ended with it: no jail goes on without what it was promised.
    async fn router_ended(&mut self) {
        let Some(up) = self.up.take() else { return };
        tracing::error!("the jails' router has ended: all environments end");
        let router = up.router.pid;
        up.close().await;
        // Fails where the spawner is dead: that ended the router.
        if let Err(error) = self.keeper.ask(Request::End { router }, Vec::new()).await {
            tracing::debug!(%error, "the spawner ended");
        }
    }

    async fn attach(&mut self, namespace: BorrowedFd<'_>) -> Result<(), String> {
        if self.up.is_none() {
            self.open().await?;
        }
        let Some(up) = &self.up else { return Err("there is no router".into()) };
        let mut made = Err("no number is free".to_owned());
        for _ in 0..TRIES {
            let number = self.next;
            self.next = (self.next + 1) % JAILS;
            let (gateway, own) = (POOL.address(2 * number), POOL.address(2 * number + 1));
            let order = Order::Attach { name: format!("{LINKS}{number:04x}"), gateway, own };
            match up.router.tell(&order, &[namespace]).await? {
                Err(failure) if failure.errno == libc::EEXIST => made = Err(failure.to_string()),
                done => return done.map_err(|failure| failure.to_string()),
            }
        }
        made
    }
}

/// The rules first, where the host's addresses have changed, then the uplink.
async fn complete(
    up: &mut Up,
    own: &mut Own,
    allow: &[Subnet],
    nft: &Path,
    uplink_program: &Path,
) -> Result<(), String> {
    let refused = own.now().map_err(|error| format!("the host's addresses are not known: {error}"))?;
    if up.refused.as_ref() != Some(&refused) {
        let rules = rules::table(&Rules {
            name: TABLE,
            owned: false,
            links: LINKS,
            pool: POOL,
            allow,
            resolvers: &[RESOLVER],
            never: &[&refused[..], &[NETWORK]].concat(),
            connections: Some(CONNECTIONS),
        });
        let order = Order::Filter { nft: nft.to_owned(), rules };
        up.router.tell(&order, &[]).await?.map_err(|failure| format!("no rules: {}", failure.step))?;
        up.refused = Some(refused);
    }
    if up.uplink.is_none() {
        let uplink = Uplink::start(uplink_program, up.router.pid).await?;
        // Its link is where the rules are, and not in another process's namespaces.
        match up.router.tell(&Order::LookOut, &[]).await {
            Ok(Ok(())) => up.uplink = Some(uplink),
            Ok(Err(failure)) => {
                uplink.close().await;
                return Err(failure.to_string());
            }
            Err(error) => {
                uplink.close().await;
                return Err(error);
            }
        }
    }
    Ok(())
}

impl Up {
    async fn close(mut self) {
        if let Some(uplink) = self.uplink.take() {
            uplink.close().await;
        }
        self.router.close().await;
    }
}
