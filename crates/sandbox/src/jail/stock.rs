//! The jails that have no function: a few are ready, more are made when asked for, and those that are
//! done are ended.
//!
//! Deliberately not here: what makes a shell a function's sandbox (`launcher`), and what is in one
//! (`shell`).

use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use lambkin_model::sandbox::LaunchError;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};

use super::disk::Disks;
use super::freezer::Freezer;
use super::keeper::Keeper;
use super::launcher::{PORT, SERVICES_PORT};
use super::meminfo::MemoryFiles;
use super::outside::Outside;
use super::shell::Shell;
use super::users::Users;
use super::wire::{Ids, Mount, Shell as Made, What};
use crate::base::Base;
use crate::cgroup::{Ability, Cgroups, Group};

/// How long the end of one jail may take.
const END: Duration = Duration::from_secs(10);
const REMOVE: Duration = Duration::from_secs(2);

/// Megabytes of `/tmp` where nobody asked for more, so that ready shells have it.
pub(super) const USUAL_TMP: u32 = 512;

/// Files in `/tmp` for each megabyte: one for every 8 KiB, twice what ext4 has by itself.
const FILES_PER_MB: u64 = 128;

pub(super) struct Stock {
    pub(super) base: Base,
    /// Memory sizes that have their `/proc/meminfo`.
    pub(super) memory_files: MemoryFiles,
    pub(super) keeper: Keeper,
    pub(super) cgroups: Cgroups,
    /// Why `/tmp` is in memory, where it is.
    pub(super) disks: Result<Disks, String>,
    pub(super) landlock: Result<String, String>,
    pub(super) outside: Outside,
    pub(super) is_root: bool,
    pub(super) users: Mutex<Users>,
    pub(super) wanted: usize,
    pub(super) ready: Mutex<Vec<Shell>>,
    /// Of jails that were never whole; few, as each is a failure or a caller that went away.
    pub(super) remains: Mutex<Vec<(Arc<Group>, Ids)>>,
    /// One was taken, or something remains.
    pub(super) taken: Notify,
    pub(super) ended: mpsc::Sender<Arc<Shell>>,
    pub(super) freezer: Freezer,
    pub(super) stop: watch::Sender<()>,
    pub(super) tasks: Mutex<Option<JoinHandle<()>>>,
}

/// Everything that is not asked for: refills the ready shells, freezes, ends jails.
pub(super) async fn serve(
    stock: Arc<Stock>,
    mut ends: mpsc::Receiver<Arc<Shell>>,
    mut stop: watch::Receiver<()>,
    keep: JoinHandle<()>,
) {
    let mut ending = JoinSet::new();
    {
        let refill = refill(&stock);
        let freeze = stock.freezer.clone().keep();
        tokio::pin!(refill, freeze);
        loop {
            tokio::select! {
                Some(shell) = ends.recv() => drop(ending.spawn(end(Arc::clone(&stock), shell))),
                Some(_) = ending.join_next(), if !ending.is_empty() => {}
                () = &mut refill => {}
                () = &mut freeze => {}
                _ = stop.changed() => break,
            }
        }
    }
    for shell in std::mem::take(&mut *stock.ready()) {
        shell.kill();
        ending.spawn(end(Arc::clone(&stock), Arc::new(shell)));
    }
    stock.outside.close_before().await;
    // The spawner ends with its socket, and every jail with the spawner: also those whose sandbox is
    // still held.
    keep.abort();
    // It is over, whichever way.
    let _ = keep.await;
    ends.close();
    while let Ok(shell) = ends.try_recv() {
        ending.spawn(end(Arc::clone(&stock), shell));
    }
    while ending.join_next().await.is_some() {}
    stock.outside.close_after().await;
    let closing = Arc::clone(&stock);
    // Groups that could not be removed are found by the next start.
    let _ = tokio::task::spawn_blocking(move || {
        // What was being made when the end came; nothing is made any more.
        closing.cgroups.sweep();
        closing.cgroups.close();
    })
    .await;
}

async fn refill(stock: &Arc<Stock>) {
    /// After a failure, which is said where it matters.
    const PAUSE: Duration = Duration::from_millis(500);
    loop {
        stock.clear_up().await;
        while stock.ready().len() < stock.wanted {
            match stock.make_ahead().await {
                Ok(shell) => stock.ready().push(shell),
                Err(error) => {
                    tracing::warn!(%error, "no jail could be made ahead");
                    stock.clear_up().await;
                    tokio::time::sleep(PAUSE).await;
                }
            }
        }
        stock.taken.notified().await;
    }
}

/// Waits for the end of a jail that was killed, and clears up behind it.
async fn end(stock: Arc<Stock>, shell: Arc<Shell>) {
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
    stock.users().free(shell.ids());
}

fn remove(group: &Group) -> bool {
    group.remove(REMOVE) || (group.kill().is_ok() && group.remove(REMOVE))
}

/// A jail that is being made. Dropped before it is whole, by a failure or because nobody waits for it
/// any more, its group and its users are cleared up; its init ends with its socket.
struct Begun {
    stock: Arc<Stock>,
    remains: Option<(Arc<Group>, Ids)>,
}

impl Drop for Begun {
    fn drop(&mut self) {
        if let Some(remains) = self.remains.take() {
            self.stock.remains().push(remains);
            self.stock.taken.notify_one();
        }
    }
}

impl Stock {
    fn remains(&self) -> MutexGuard<'_, Vec<(Arc<Group>, Ids)>> {
        self.remains.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Behind jails that were never whole.
    async fn clear_up(self: &Arc<Self>) {
        let remains = std::mem::take(&mut *self.remains());
        if remains.is_empty() {
            return;
        }
        let stock = Arc::clone(self);
        let cleared = tokio::task::spawn_blocking(move || {
            for (group, ids) in remains {
                if remove(&group) {
                    stock.users().free(ids);
                } else {
                    tracing::warn!("a group could not be removed; the next start tries again");
                }
            }
        });
        // It ends early only with the runtime, and lambkin.
        let _ = cleared.await;
    }

    pub(super) fn ready(&self) -> MutexGuard<'_, Vec<Shell>> {
        self.ready.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn users(&self) -> MutexGuard<'_, Users> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn samples_memory(&self) -> bool {
        matches!(self.cgroups.abilities().memory, Ability::Missing { .. })
    }

    /// A shell, and whether it was ready.
    pub(super) async fn shell(self: &Arc<Self>) -> Result<(Shell, bool), LaunchError> {
        loop {
            let ready = self.ready().pop();
            self.taken.notify_one();
            match ready {
                // With its spawner. Without room what it had stays, for the next start to find.
                Some(shell) if shell.has_ended() => drop(self.ended.try_send(Arc::new(shell))),
                Some(shell) => return Ok((shell, true)),
                None => return Ok((self.make().await?, false)),
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
            guarded: self.outside.guards(),
            ports: vec![PORT, SERVICES_PORT],
        };
        let group = self.cgroups.make(&name).map_err(|error| {
            self.users().free(ids);
            LaunchError(format!("a group could not be made: {error}"))
        })?;
        let group = Arc::new(group);
        let mut begun = Begun { stock: Arc::clone(self), remains: Some((Arc::clone(&group), ids)) };
        let mut shell = Shell::make(&self.keeper, made, group).await?;
        if let Some(network) = shell.network.take() {
            shell.link = self.outside.attach(network, shell.post.take()).await?;
        }
        self.mount_tmp(&shell, USUAL_TMP).await?;
        begun.remains = None;
        Ok(shell)
    }

    /// One that nobody waits for yet.
    pub(super) async fn make_ahead(self: &Arc<Self>) -> Result<Shell, LaunchError> {
        let mut shell = self.make().await?;
        let linked = match shell.link.take() {
            Some(link) => link.made().await,
            None => Ok(()),
        };
        if let Err(error) = linked {
            shell.kill();
            // Without room what it had stays, for the next start to find.
            let _ = self.ended.try_send(Arc::new(shell));
            return Err(error);
        }
        Ok(shell)
    }

    pub(super) async fn mount_tmp(self: &Arc<Self>, shell: &Shell, mb: u32) -> Result<(), LaunchError> {
        let target = PathBuf::from("/tmp");
        if self.disks.is_err() {
            let (bytes, files) = (u64::from(mb) << 20, u64::from(mb) * FILES_PER_MB);
            let what = What::Memory { bytes, files };
            return shell.mount(&self.keeper, vec![Mount { target, what }], Vec::new()).await;
        }
        let stock = Arc::clone(self);
        let made = tokio::task::spawn_blocking(move || match &stock.disks {
            Ok(disks) => disks.make(mb).map_err(|error| error.to_string()),
            Err(why) => Err(why.clone()),
        });
        let disk = made.await.unwrap_or_else(|error| Err(error.to_string()));
        let disk =
            disk.map_err(|error| LaunchError(format!("a disk for /tmp could not be made: {error}")))?;
        shell.mount(&self.keeper, vec![Mount { target, what: What::Given }], vec![disk]).await
    }
}
