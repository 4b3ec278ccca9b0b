//! The compile cache of one launch: what each of its environments has of it, and the task behind all of
//! them that keeps caches and removes them.
//!
//! Deliberately not here: when a cache pays (`model::compile_cache`), and how it is kept (the port).

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use lambkin_model::catalog::CatalogRead;
use lambkin_model::compile_cache::{
    CacheFile, CacheOwner, CompileCaches, MOST_BYTES, MOST_FILES, Part, Stage, is_name, is_possible,
};
use lambkin_model::sandbox::CompileCache;
use tokio::sync::mpsc;

use crate::launch::Launch;

/// What waits for the task. When full, a cache is not kept, or its removal is left to the next start of
/// lambkin or of the function.
const ERRANDS: usize = 16;

enum Errand {
    /// At most `MOST_BYTES` each; there are no more of them than inits at once.
    Keep(Arc<Caching>, Vec<CacheFile>),
    /// No cache of this function version but the one of this launch.
    Retain(CacheOwner, Option<[u8; 32]>),
    /// No caches of functions that are gone.
    Sweep,
}

/// The way to the task.
#[derive(Clone)]
pub(crate) struct Caches {
    port: Arc<dyn CompileCaches>,
    errands: mpsc::Sender<Errand>,
}

impl Caches {
    /// With its task, which ends when the last `Caches` is gone.
    pub(crate) fn new(
        port: Arc<dyn CompileCaches>,
        catalog: Arc<dyn CatalogRead>,
    ) -> (Self, impl Future<Output = ()> + Send) {
        let (errands, received) = mpsc::channel(ERRANDS);
        let keeping = keep(Arc::clone(&port), catalog, received);
        (Self { port, errands }, keeping)
    }

    fn send(&self, errand: Errand) {
        if let Err(error) = self.errands.try_send(errand) {
            match error.into_inner() {
                Errand::Keep(caching, _) => drop(caching.made(false)),
                Errand::Retain(..) | Errand::Sweep => {}
            }
        }
    }

    /// Functions may be gone.
    pub(crate) fn sweep(&self) {
        self.send(Errand::Sweep);
    }
}

/// What former lambkins left of functions that are gone is removed first.
async fn keep(
    port: Arc<dyn CompileCaches>,
    catalog: Arc<dyn CatalogRead>,
    mut errands: mpsc::Receiver<Errand>,
) {
    let mut next = Some(Errand::Sweep);
    while let Some(errand) = next {
        let (port, catalog) = (Arc::clone(&port), Arc::clone(&catalog));
        let done = tokio::task::spawn_blocking(move || match errand {
            Errand::Keep(caching, files) => caching.keep(&*port, &files),
            Errand::Retain(owner, launch) => port.retain(&owner.identity, &owner.version, launch),
            Errand::Sweep => {
                let all = catalog.all();
                let identities: HashSet<_> = all.iter().map(|head| head.record.identity.clone()).collect();
                port.sweep(&identities);
            }
        });
        if let Err(error) = done.await {
            tracing::error!(%error, "a compile cache was neither kept nor removed");
        }
        next = errands.recv().await;
    }
}

/// Of one launch.
pub(crate) struct Caching {
    owner: CacheOwner,
    stage: Mutex<Stage>,
    /// Where there are none, it stays without.
    caches: Option<Caches>,
}

impl Caching {
    /// Whatever other caches there are of that function version are removed.
    pub(crate) fn new(launch: &Launch, caches: Option<Caches>) -> Arc<Self> {
        let owner = CacheOwner {
            identity: launch.identity.clone(),
            version: launch.executed_version.to_string(),
            launch: launch.digest,
        };
        let stage = match &caches {
            Some(caches) if is_possible(launch.configuration()) => match caches.port.find(&owner) {
                Some(_) => Stage::Kept,
                None => Stage::Unknown,
            },
            Some(_) | None => Stage::Without,
        };
        if let Some(caches) = &caches {
            caches.send(Errand::Retain(owner.clone(), Some(owner.launch)));
        }
        Arc::new(Self { owner, stage: Mutex::new(stage), caches })
    }

    fn stage(&self) -> MutexGuard<'_, Stage> {
        self.stage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An environment starts.
    pub(crate) fn start(self: &Arc<Self>) -> (CompileCache, Share) {
        let mut stage = self.stage();
        let (mut part, next) = stage.start();
        *stage = next;
        let cache = match part {
            Part::None => CompileCache::None,
            Part::Make => CompileCache::Empty,
            Part::Use => match self.caches.as_ref().and_then(|caches| caches.port.find(&self.owner)) {
                Some(directory) => CompileCache::Kept(directory),
                None => {
                    *stage = stage.lost();
                    part = Part::None;
                    CompileCache::None
                }
            },
        };
        drop(stage);
        (cache, Share { caching: Arc::clone(self), part, files: Vec::new(), bytes: 0 })
    }

    /// Whether it is the one that environments get from now on.
    fn made(&self, well: bool) -> bool {
        let mut stage = self.stage();
        let was_making = *stage == Stage::Making;
        *stage = stage.made(well);
        was_making && well
    }

    /// The launch is no function's any more.
    pub(crate) fn end(&self) {
        *self.stage() = Stage::Without;
        if let Some(caches) = &self.caches {
            caches.send(Errand::Retain(self.owner.clone(), None));
        }
    }

    /// Blocking.
    fn keep(&self, port: &dyn CompileCaches, files: &[CacheFile]) {
        if *self.stage() != Stage::Making {
            return;
        }
        let kept: Option<PathBuf> = port.keep(&self.owner, files);
        tracing::debug!(identity = self.owner.identity, files = files.len(), ?kept, "a compile cache");
        if !self.made(kept.is_some()) && kept.is_some() {
            // The launch has ended meanwhile.
            port.retain(&self.owner.identity, &self.owner.version, None);
        }
    }
}

/// What one environment has of it, until its first init is over. Nothing that its process says after that
/// counts.
pub(crate) struct Share {
    caching: Arc<Caching>,
    part: Part,
    files: Vec<CacheFile>,
    bytes: usize,
}

impl Share {
    pub(crate) fn part(&self) -> Part {
        self.part
    }

    /// Its handler is loaded. `room` is the memory that the function has left, in bytes.
    pub(crate) fn loaded(&self, micros: u32, room: impl FnOnce() -> u64) {
        if self.part == Part::None && *self.caching.stage() == Stage::Unknown {
            let room = room();
            let mut stage = self.caching.stage();
            *stage = stage.loaded(micros, room);
        }
    }

    /// One more file of what it makes. One file too many, and there is no cache.
    pub(crate) fn file(&mut self, file: CacheFile) {
        if self.part != Part::Make {
            return;
        }
        self.bytes += file.name.len() + file.content.len();
        if !is_name(&file.name) || self.bytes > MOST_BYTES || self.files.len() >= MOST_FILES {
            self.part = Part::None;
            self.files = Vec::new();
            self.caching.made(false);
            return;
        }
        // Its own bytes, not the buffer that they were read into.
        self.files.push(CacheFile { content: bytes::Bytes::copy_from_slice(&file.content), ..file });
    }

    /// Init is over, and well.
    pub(crate) fn seal(mut self) {
        if self.part == Part::Make
            && !self.files.is_empty()
            && let Some(caches) = &self.caching.caches
        {
            self.part = Part::None;
            caches.send(Errand::Keep(Arc::clone(&self.caching), std::mem::take(&mut self.files)));
        }
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        if self.part == Part::Make {
            self.caching.made(false);
        }
    }
}
