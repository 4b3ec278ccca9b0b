//! The jail's launcher: has a few shells ready, makes sandboxes of them, and ends those that are done.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::sandbox::{LaunchError, Launcher, Layout, Sandbox, SandboxSpec, Sources};
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::SPAWNER_KIND;
use super::disk::Disks;
use super::freezer::Freezer;
use super::keeper::Keeper;
use super::meminfo::MemoryFiles;
use super::outside::Outside;
use super::sandbox::JailSandbox;
use super::shell::Shell;
use super::users::Users;
use super::wire::{Ids, Mount, Shell as Made, What};
use crate::base::Base;
use crate::cgroup::{Abilities, Ability, Cgroups, Group, Limits};
use crate::directory::is_id;
use crate::finding::Finding;
use crate::landlock;
use crate::launcher::{Config, raise_open_files};
use crate::network::Network;
use crate::spawner_process::SpawnerCommand;
use crate::wire::SpawnMessage;

/// How long a shutdown may take, and the end of one jail.
const SHUTDOWN: Duration = Duration::from_secs(20);
const END: Duration = Duration::from_secs(10);
const REMOVE: Duration = Duration::from_secs(2);

/// Jails that may be ending at once; room is reserved when one begins. When full, no further sandbox
/// opens: sixteen times AWS's default concurrency.
const ENDINGS: usize = 16_384;

/// The Runtime API's port, as on AWS.
const PORT: u16 = 9001;

/// Of lambkin's own services, as it has it outside.
const SERVICES_PORT: u16 = 4566;

const TASK_ROOT: &str = "/var/task";

/// Megabytes of `/tmp` where nobody asked for more, so that ready shells have it.
const USUAL_TMP: u32 = 512;

/// Files in `/tmp` for each megabyte: one for every 8 KiB, twice what ext4 has by itself.
const FILES_PER_MB: u64 = 128;

/// Back-to-back invocations are closer together than this.
const FREEZE_AFTER: Duration = Duration::from_millis(10);

/// How a [`JailLauncher`] starts.
#[derive(Debug, Clone)]
pub struct JailConfig {
    /// Its spawner, and its directory.
    pub process: Config,
    /// 1 to 32 of a-z and 0-9: tells this lambkin's groups from another's.
    pub tag: String,
    /// Shells that are kept ready.
    pub shells: usize,
    /// Idle environments are frozen after this time.
    pub freeze_after: Duration,
    /// What functions reach.
    pub network: Network,
}

impl JailConfig {
    /// The usual: as many shells ready as there are cores.
    ///
    /// # Errors
    /// The directory cannot be made.
    pub fn new(process: Config) -> Result<Self, LaunchError> {
        let made = || {
            std::fs::create_dir_all(&process.directory)?;
            std::fs::metadata(&process.directory)
        };
        let found = made()
            .map_err(|error| LaunchError(format!("cannot make {}: {error}", process.directory.display())))?;
        Ok(Self {
            process,
            // Its number on this machine, which no other directory has at the same time.
            tag: format!("{:x}d{:x}", found.dev(), found.ino()),
            shells: std::thread::available_parallelism().map_or(1, std::num::NonZero::get),
            freeze_after: FREEZE_AFTER,
            network: Network::None,
        })
    }
}

/// Makes sandboxes that are jails. Clones are the same launcher.
#[derive(Clone)]
pub struct JailLauncher(Arc<Shared>);

struct Shared {
    base: Base,
    /// Memory sizes that have their `/proc/meminfo`.
    memory_files: MemoryFiles,
    keeper: Keeper,
    cgroups: Cgroups,
    /// Why `/tmp` is in memory, where it is.
    disks: Result<Disks, String>,
    landlock: Result<String, String>,
    outside: Outside,
    is_root: bool,
    users: Mutex<Users>,
    wanted: usize,
    ready: Mutex<Vec<Shell>>,
    /// Of jails that were never whole; few, as each is a failure or a caller that went away.
    remains: Mutex<Vec<(Arc<Group>, Ids)>>,
    /// One was taken, or something remains.
    taken: Notify,
    ended: mpsc::Sender<Arc<Shell>>,
    freezer: Freezer,
    stop: watch::Sender<()>,
    tasks: Mutex<Option<JoinHandle<()>>>,
}

impl JailLauncher {
    /// Starts the spawner, kills and removes what a former launcher with this tag left, and tries a
    /// first jail. Needs a tokio runtime.
    ///
    /// # Errors
    /// No jail can be made here; the text says at which step.
    pub async fn start(config: JailConfig) -> Result<Self, LaunchError> {
        raise_open_files();
        let tag = config.tag.clone();
        let is_root = rustix::process::geteuid().is_root();
        let directory = config.process.directory.clone();
        let name = tag.clone();
        let own = directory.clone();
        let found = tokio::task::spawn_blocking(move || {
            let cgroups = Cgroups::discover(&tag);
            let swept = cgroups.sweep();
            if swept > 0 {
                tracing::info!(swept, "removed jails that a former lambkin left");
            }
            (cgroups, Disks::open(&own, is_root), Base::prepare(&own.join("base")))
        });
        let (cgroups, disks, base) = found
            .await
            .map_err(|error| LaunchError(format!("the machine could not be looked at: {error}")))?;
        let base =
            base.map_err(|error| LaunchError(format!("the jails' root could not be made: {error}")))?;
        let Config { spawner: program, spawner_arguments: mut arguments, directory: _ } = config.process;
        arguments.push(SPAWNER_KIND.into());
        let (keeper, keep) = Keeper::start(SpawnerCommand { program, arguments })?;
        let keep = tokio::spawn(keep);
        let outside = match Outside::start(&config.network, &keeper, &name, &directory).await {
            Ok(outside) => outside,
            Err(error) => {
                // With it the spawner ends.
                drop(keeper);
                let _ = keep.await;
                return Err(error);
            }
        };
        let (ended, ends) = mpsc::channel(ENDINGS);
        let (stop, stopped) = watch::channel(());
        let shared = Arc::new(Shared {
            base,
            memory_files: MemoryFiles::new(&directory),
            keeper,
            cgroups,
            disks,
            landlock: landlock::try_out(),
            outside,
            is_root,
            users: Mutex::new(Users::new()),
            wanted: config.shells,
            ready: Mutex::default(),
            remains: Mutex::default(),
            taken: Notify::new(),
            ended,
            freezer: Freezer::new(config.freeze_after),
            stop,
            tasks: Mutex::default(),
        });
        let first = shared.make().await;
        let launcher = Self(Arc::clone(&shared));
        let tasks = tokio::spawn(serve(shared, ends, stopped, keep));
        *launcher.0.tasks.lock().unwrap_or_else(PoisonError::into_inner) = Some(tasks);
        match first {
            Ok(shell) => launcher.0.ready().push(shell),
            Err(error) => {
                launcher.shutdown().await;
                return Err(error);
            }
        }
        launcher.0.taken.notify_one();
        Ok(launcher)
    }

    /// What the jail is made of here.
    #[must_use]
    pub fn findings(&self) -> Vec<Finding> {
        let shared = &self.0;
        let finding = |what, found| Finding { what, found, required: true };
        let users = if shared.is_root {
            Ok("two of the host's users for each jail".to_owned())
        } else {
            Err("one for all jails, lambkin's own: run lambkin as root".to_owned())
        };
        let Abilities { memory, cpu, pids, freeze, kill, clone_into: _ } = shared.cgroups.abilities();
        let mut all = vec![
            finding("namespaces", Ok("user, mount, pid, ipc, uts, cgroup, net".into())),
            finding("users", users),
            finding("system calls", Ok("seccomp filter; no capabilities; no_new_privs".into())),
            finding("Landlock", shared.landlock.clone()),
            finding("network", Ok(shared.outside.description())),
        ];
        let groups = [
            ("memory limit", memory, "looked at every 20 ms instead"),
            ("CPU limit", cpu, "none instead"),
            ("process limit", pids, "RLIMIT_NPROC instead"),
            ("freezing", freeze, "signals instead"),
            ("killing at once", kill, "by init instead"),
        ];
        for (what, ability, instead) in groups {
            let found = match ability {
                Ability::Have { how } => Ok(how.to_string()),
                Ability::Missing { why } => Err(format!("{instead}: {why}")),
            };
            all.push(finding(what, found));
        }
        let tmp = match &shared.disks {
            Ok(_) => Ok("ext4 on a loop device".into()),
            Err(why) => Err(format!("in memory instead: {why}")),
        };
        all.push(Finding { what: "/tmp on disk", found: tmp, required: false });
        all
    }

    /// How functions reach the internet, or why they do not.
    pub(crate) fn way_out(&self) -> Result<String, String> {
        self.0.outside.way_out()
    }

    /// Kills every jail, waits until all are gone, and ends the spawner; gives up after 20 s. Nothing
    /// can be started afterwards.
    pub async fn shutdown(&self) {
        let tasks = self.0.tasks.lock().unwrap_or_else(PoisonError::into_inner).take();
        self.0.stop.send_replace(());
        let Some(mut tasks) = tasks else { return };
        if tokio::time::timeout(SHUTDOWN, &mut tasks).await.is_err() {
            tracing::error!("jails were not all gone after {SHUTDOWN:?}");
            tasks.abort();
        }
    }
}

/// Everything that is not asked for: refills the ready shells, freezes, ends jails.
async fn serve(
    shared: Arc<Shared>,
    mut ends: mpsc::Receiver<Arc<Shell>>,
    mut stop: watch::Receiver<()>,
    keep: JoinHandle<()>,
) {
    let mut ending = JoinSet::new();
    {
        let refill = refill(&shared);
        let freeze = shared.freezer.clone().keep();
        tokio::pin!(refill, freeze);
        loop {
            tokio::select! {
                Some(shell) = ends.recv() => drop(ending.spawn(end(Arc::clone(&shared), shell))),
                Some(_) = ending.join_next(), if !ending.is_empty() => {}
                () = &mut refill => {}
                () = &mut freeze => {}
                _ = stop.changed() => break,
            }
        }
    }
    for shell in std::mem::take(&mut *shared.ready()) {
        shell.kill();
        ending.spawn(end(Arc::clone(&shared), Arc::new(shell)));
    }
    shared.outside.close_before().await;
    // The spawner ends with its socket, and every jail with the spawner: also those whose sandbox is
    // still held.
    keep.abort();
    // It is over, whichever way.
    let _ = keep.await;
    ends.close();
    while let Ok(shell) = ends.try_recv() {
        ending.spawn(end(Arc::clone(&shared), shell));
    }
    while ending.join_next().await.is_some() {}
    shared.outside.close_after().await;
    let closing = Arc::clone(&shared);
    // Groups that could not be removed are found by the next start.
    let _ = tokio::task::spawn_blocking(move || {
        // What was being made when the end came; nothing is made any more.
        closing.cgroups.sweep();
        closing.cgroups.close();
    })
    .await;
}

async fn refill(shared: &Arc<Shared>) {
    /// After a failure, which is said where it matters.
    const PAUSE: Duration = Duration::from_millis(500);
    loop {
        shared.clear_up().await;
        while shared.ready().len() < shared.wanted {
            match shared.make().await {
                Ok(shell) => shared.ready().push(shell),
                Err(error) => {
                    tracing::warn!(%error, "no jail could be made ahead");
                    shared.clear_up().await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        shared.taken.notified().await;
    }
}

/// Waits for the end of a jail that was killed, and clears up behind it.
async fn end(shared: Arc<Shared>, shell: Arc<Shell>) {
    if tokio::time::timeout(END, shell.ended()).await.is_err() {
        tracing::error!(pid = shell.pid(), "a jail has not ended after {END:?}");
        return;
    }
    let group = Arc::clone(&shell);
    let removed = tokio::task::spawn_blocking(move || {
        group.unmount();
        // Empty already, but for what the kernel still counts.
        remove(&group.group)
    })
    .await;
    if !removed.unwrap_or(false) {
        tracing::warn!(pid = shell.pid(), "a jail's group could not be removed; the next start tries again");
    }
    shared.users().free(shell.ids());
}

fn remove(group: &Group) -> bool {
    group.remove(REMOVE) || (group.kill().is_ok() && group.remove(REMOVE))
}

/// A jail that is being made. Dropped before it is whole, by a failure or because nobody waits for it
/// any more, its group and its users are cleared up; its init ends with its socket.
struct Begun {
    shared: Arc<Shared>,
    remains: Option<(Arc<Group>, Ids)>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(remains) = self.remains.take() {
            self.shared.remains().push(remains);
            self.shared.taken.notify_one();
        }
    }
}

impl Shared {
    fn remains(&self) -> MutexGuard<'_, Vec<(Arc<Group>, Ids)>> {
        self.remains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behind jails that were never whole.
    async fn clear_up(self: &Arc<Self>) {
        let remains = std::mem::take(&mut *self.remains());
        if remains.is_empty() {
            return;
        }
        let shared = Arc::clone(self);
        let cleared = tokio::task::spawn_blocking(move || {
            for (group, ids) in remains {
                if remove(&group) {
                    shared.users().free(ids);
                } else {
                    tracing::warn!("a group could not be removed; the next start tries again");
                }
            }
        });
        // It ends early only with the runtime, and lambkin.
        let _ = cleared.await;
    }

    fn ready(&self) -> MutexGuard<'_, Vec<Shell>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn samples_memory(&self) -> bool {
        matches!(self.cgroups.abilities().memory, Ability::Missing { .. })
    }

    async fn shell(self: &Arc<Self>) -> Result<Shell, LaunchError> {
        loop {
            let ready = self.ready().pop();
            self.taken.notify_one();
            match ready {
                // With its spawner. Without room what it had stays, for the next start to find.
                Some(shell) if shell.has_ended() => drop(self.ended.try_send(Arc::new(shell))),
                Some(shell) => return Ok(shell),
                None => return self.make().await,
            }
        }
    }

    async fn make(self: &Arc<Self>) -> Result<Shell, LaunchError> {
        let (name, ids) = {
            let mut users = self.users();
            let ids = if self.is_root { users.take()? } else { Ids::Single };
            users.made += 1;
            (format!("jail-{}", users.made), ids)
        };
        let made = Made {
            base: self.base.path().to_owned(),
            ids,
            leaf: false,
            joins: 0,
            network: true,
            ports: vec![PORT, SERVICES_PORT],
        };
        let group = self.cgroups.make(&name).map_err(|error| {
            self.users().free(ids);
            LaunchError(format!("a group could not be made: {error}"))
        })?;
        let group = Arc::new(group);
        let mut begun = Begun { shared: Arc::clone(self), remains: Some((Arc::clone(&group), ids)) };
        let mut shell = Shell::make(&self.keeper, made, group).await?;
        let network = shell.network.take();
        // The router is another process than the spawner: both work at once.
        tokio::try_join!(self.connect(network, &shell), self.mount_tmp(&shell, USUAL_TMP))?;
        begun.remains = None;
        Ok(shell)
    }

    async fn connect(&self, network: Option<OwnedFd>, shell: &Shell) -> Result<(), LaunchError> {
        if let Some(network) = network {
            self.outside.attach(network).await?;
        }
        match self.outside.resolver_file() {
            Some(file) => shell.mount(&self.keeper, vec![bind(&file, "/etc/resolv.conf")], Vec::new()).await,
            None => Ok(()),
        }
    }

    fn mounts(&self, sources: &Sources, memory_mb: u32) -> Result<Vec<Mount>, LaunchError> {
        let mut mounts = vec![
            bind(&sources.node, "/var/lang/bin/node"),
            bind(&sources.runtime_dir, "/var/runtime"),
            bind(&self.memory_files.of(memory_mb)?, "/proc/meminfo"),
        ];
        mounts.extend(code_mounts(sources));
        Ok(mounts)
    }

    async fn mount_tmp(self: &Arc<Self>, shell: &Shell, mb: u32) -> Result<(), LaunchError> {
        let target = PathBuf::from("/tmp");
        if self.disks.is_err() {
            let (bytes, files) = (u64::from(mb) << 20, u64::from(mb) * FILES_PER_MB);
            let what = What::Memory { bytes, files };
            return shell.mount(&self.keeper, vec![Mount { target, what }], Vec::new()).await;
        }
        let shared = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || match &shared.disks {
            Ok(disks) => disks.make(mb).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        });
        let disk = made.await.unwrap_or_else(|error| Err(error.to_string()));
        let disk =
            disk.map_err(|error| LaunchError(format!("a disk for /tmp could not be made: {error}")))?;
        shell.mount(&self.keeper, vec![Mount { target, what: What::Given }], vec![disk]).await
    }
}

fn bind(source: &Path, target: &str) -> Mount {
    Mount { target: target.into(), what: What::Bind { source: source.to_owned() } }
}

/// What differs from function to function; nothing where there is no code yet.
pub(super) fn code_mounts(sources: &Sources) -> Vec<Mount> {
    let Some(code) = &sources.code else { return Vec::new() };
    let mut mounts = vec![bind(code, TASK_ROOT)];
    // Without any package there is no directory.
    if sources.modules.is_dir() {
        mounts.push(bind(&sources.modules, "/var/runtime/node_modules"));
    }
    mounts
}

/// What a process of this specification is started with, and its variables.
pub(super) fn message(spec: &SandboxSpec) -> Result<(SpawnMessage, BTreeMap<String, String>), LaunchError> {
    let mut variables = spec.variables.clone();
    if spec.runtime_api {
        variables.insert("AWS_LAMBDA_RUNTIME_API".into(), format!("127.0.0.1:{PORT}"));
    }
    // What has no code yet holds no directory that code will cover.
    let directory = Path::new(if spec.sources.code.is_some() { TASK_ROOT } else { "/" });
    Ok((SpawnMessage::new("", directory, &spec.command, &variables)?, variables))
}

impl JailLauncher {
    async fn open_once(&self, spec: SandboxSpec) -> Result<Box<dyn Sandbox>, LaunchError> {
        if !is_id(&spec.id) {
            return Err(LaunchError(format!("{:?} is not 32 hex digits", spec.id)));
        }
        let (message, _) = message(&spec)?;
        let end = self.0.ended.clone().try_reserve_owned();
        let end = end.map_err(|_| LaunchError(format!("more than {ENDINGS} environments are open")))?;
        let mut shell = self.0.shell().await?;
        let mut listeners = std::mem::take(&mut shell.listeners).into_iter();
        let (runtime_api, services) = (listeners.next(), listeners.next());
        let shell = Arc::new(shell);
        let mut limits = Limits::for_memory_mb(spec.memory_mb, false);
        if self.0.disks.is_err() {
            // What is in `/tmp` is memory too, and must not count as the function's.
            limits.memory += u64::from(spec.ephemeral_mb) << 20;
        }
        let sandbox = JailSandbox {
            message,
            program: spec.command.into_iter().next().unwrap_or_default(),
            runs: 0,
            limits,
            sampled: self.0.samples_memory().then_some(u64::from(spec.memory_mb) << 20),
            runtime_api: runtime_api.filter(|_| spec.runtime_api),
            services,
            freezer: self.0.freezer.clone(),
            keeper: self.0.keeper.clone(),
            end: Some(end),
            shell,
        };
        let mounts = self.0.mounts(&spec.sources, spec.memory_mb)?;
        sandbox.shell.mount(&self.0.keeper, mounts, Vec::new()).await?;
        if spec.ephemeral_mb != USUAL_TMP {
            self.0.mount_tmp(&sandbox.shell, spec.ephemeral_mb).await?;
        }
        Ok(Box::new(sandbox) as Box<dyn Sandbox>)
    }
}

impl Launcher for JailLauncher {
    fn layout(&self, _: &Sources, _: &str) -> Layout {
        Layout {
            task_root: TASK_ROOT.into(),
            runtime_dir: "/var/runtime".into(),
            modules: "/var/runtime/node_modules".into(),
            bin: "/var/lang/bin".into(),
            opt: "/opt".into(),
            tmp: None,
            services: Some((Ipv4Addr::LOCALHOST, SERVICES_PORT).into()),
        }
    }

    fn assigns(&self) -> bool {
        true
    }

    fn open(&self, spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>> {
        Box::pin(async move {
            match self.open_once(spec.clone()).await {
                // Perhaps by a spawner that has just died, which is known now: there is another one.
                Err(error) => {
                    tracing::debug!(%error, "a sandbox is tried again");
                    self.open_once(spec).await
                }
                opened => opened,
            }
        })
    }
}
