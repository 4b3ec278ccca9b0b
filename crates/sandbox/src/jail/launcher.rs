//! The jail's launcher: makes sandboxes of shells (`stock`), and says what jails are made of here.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::compile_cache::{MOST_BYTES, MOST_FILES};
use lambkin_model::sandbox::{CompileCache, LaunchError, Launcher, Layout, Sandbox, SandboxSpec, Sources};
use tokio::sync::{Notify, mpsc, watch};

use super::SPAWNER_KIND;
use super::disk::Disks;
use super::freezer::Freezer;
use super::keeper::Keeper;
use super::meminfo::MemoryFiles;
use super::outside::Outside;
use super::sandbox::JailSandbox;
use super::stock::{self, Stock, USUAL_TMP};
use super::users::Users;
use super::wire::{Mount, What};
use crate::base::{Base, COMPILE_CACHE};
use crate::cgroup::{Abilities, Ability, Cgroups, Limits};
use crate::directory::is_id;
use crate::finding::Finding;
use crate::landlock;
use crate::launcher::{Config, raise_open_files};
use crate::network::Network;
use crate::spawner_process::SpawnerCommand;
use crate::wire::SpawnMessage;

/// How long a shutdown may take.
const SHUTDOWN: Duration = Duration::from_secs(20);

/// Jails that may be ending at once; room is reserved when one begins. When full, no further sandbox
/// opens: sixteen times AWS's default concurrency.
const ENDINGS: usize = 16_384;

/// The Runtime API's port, as on AWS.
pub(super) const PORT: u16 = 9001;

/// Of lambkin's own services, as it has it outside.
pub(super) const SERVICES_PORT: u16 = 4566;

const TASK_ROOT: &str = "/var/task";
const OPT: &str = "/opt";

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
pub struct JailLauncher(Arc<Stock>);

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
        let stock = Arc::new(Stock {
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
        let first = stock.make_ahead().await;
        let launcher = Self(Arc::clone(&stock));
        let tasks = tokio::spawn(stock::serve(stock, ends, stopped, keep));
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
        let stock = &self.0;
        let finding = |what, found| Finding { what, found, required: true };
        let users = if stock.is_root {
            Ok("two of the host's users for each jail".to_owned())
        } else {
            Err("one for all jails, lambkin's own: run lambkin as root".to_owned())
        };
        let Abilities { memory, cpu, pids, freeze, kill, clone_into: _ } = stock.cgroups.abilities();
        let mut all = vec![
            finding("namespaces", Ok("user, mount, pid, ipc, uts, cgroup, net".into())),
            finding("users", users),
            finding("system calls", Ok("seccomp filter; no capabilities; no_new_privs".into())),
            finding("Landlock", stock.landlock.clone()),
            finding("network", Ok(stock.outside.description())),
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
        let tmp = match &stock.disks {
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

fn bind(source: &Path, target: &str) -> Mount {
    Mount { target: target.into(), what: What::Bind { source: source.to_owned() } }
}

/// What differs from function to function; nothing where there is no code yet.
pub(super) fn code_mounts(spec: &SandboxSpec) -> Vec<Mount> {
    let sources = &spec.sources;
    let Some(code) = &sources.code else { return Vec::new() };
    let mut mounts = vec![bind(code, TASK_ROOT)];
    mounts.extend(sources.opt.as_deref().map(|opt| bind(opt, OPT)));
    // Without any package there is no directory.
    if sources.modules.is_dir() {
        mounts.push(bind(&sources.modules, "/var/runtime/node_modules"));
    }
    match &spec.compile_cache {
        CompileCache::None => {}
        CompileCache::Empty => {
            // With room for names, and for the copy that Node.js renames.
            let (bytes, files) = (MOST_BYTES as u64, MOST_FILES as u64 + 64);
            mounts.push(Mount { target: COMPILE_CACHE.into(), what: What::Memory { bytes, files } });
        }
        CompileCache::Kept(directory) => mounts.push(bind(directory, COMPILE_CACHE)),
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
    fn mounts(&self, spec: &SandboxSpec) -> Result<Vec<Mount>, LaunchError> {
        let sources = &spec.sources;
        let mut mounts = vec![
            bind(&sources.node, "/var/lang/bin/node"),
            bind(&sources.runtime_dir, "/var/runtime"),
            bind(&self.0.memory_files.of(spec.memory_mb)?, "/proc/meminfo"),
        ];
        mounts.extend(self.0.outside.resolver_file().map(|file| bind(&file, "/etc/resolv.conf")));
        mounts.extend(code_mounts(spec));
        Ok(mounts)
    }

    async fn open_once(&self, spec: SandboxSpec) -> Result<Box<dyn Sandbox>, LaunchError> {
        if !is_id(&spec.id) {
            return Err(LaunchError(format!("{:?} is not 32 hex digits", spec.id)));
        }
        let (message, _) = message(&spec)?;
        let end = self.0.ended.clone().try_reserve_owned();
        let end = end.map_err(|_| LaunchError(format!("more than {ENDINGS} environments are open")))?;
        let (mut shell, ready) = self.0.shell().await?;
        let mut listeners = std::mem::take(&mut shell.listeners).into_iter();
        let (runtime_api, services) = (listeners.next(), listeners.next());
        let link = shell.link.take();
        let shell = Arc::new(shell);
        let mut limits = Limits::for_memory_mb(spec.memory_mb, false);
        if self.0.disks.is_err() {
            // What is in `/tmp` is memory too, and must not count as the function's.
            limits.memory += u64::from(spec.ephemeral_mb) << 20;
        }
        let mounts = self.mounts(&spec)?;
        let sandbox = JailSandbox {
            message,
            program: spec.command.into_iter().next().unwrap_or_default(),
            runs: 0,
            limits,
            sampled: self.0.samples_memory().then_some(u64::from(spec.memory_mb) << 20),
            runtime_api: runtime_api.filter(|_| spec.runtime_api),
            services,
            link,
            freezer: self.0.freezer.clone(),
            keeper: self.0.keeper.clone(),
            end: Some(end),
            shell,
            ready,
        };
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
            opt: OPT.into(),
            tmp: None,
            services: Some((Ipv4Addr::LOCALHOST, SERVICES_PORT).into()),
        }
    }

    fn assigns(&self) -> bool {
        true
    }

    fn has_compile_caches(&self) -> bool {
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
