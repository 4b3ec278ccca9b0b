//! The fleets that there are, by function and version: made for whoever calls, retired as the catalog's heads change.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Weak};

use lambkin_model::Error;
use lambkin_model::catalog::{Head, Stored};
use lambkin_model::name::FunctionKey;
use lambkin_model::version::Version;
use tokio::time::Duration;

use super::{Core, shutting_down};
use crate::compile_cache::Caching;
use crate::fleet::Fleet;
use crate::keeping::Keeping;
use crate::launch::{self, Hot, Launch};
use crate::permit::{Claim, Claims};

impl Core {
    /// The fleet of a version, whatever head it was last seen to fit.
    pub(super) fn current(&self, key: &FunctionKey, version: Version) -> Option<Arc<Fleet>> {
        let fleets = self.fleets.read().expect("not poisoned");
        fleets.get(key)?.get(&version).cloned()
    }

    /// The environments of a version that fit this head: the ones there are, unless what their processes
    /// see has changed, as only `$LATEST` can. `None`: the version has gone since.
    pub(super) async fn fleet(
        self: &Arc<Self>,
        head: &Arc<Stored<Head>>,
        version: Version,
    ) -> Result<Option<Arc<Fleet>>, Error> {
        let key = &head.record.key;
        if let Some(fleet) = self.current(key, version) {
            let fits = match version {
                Version::Latest => fleet.revision.load(Ordering::Acquire) == head.revision.0,
                Version::Published(_) => fleet.launch.identity == head.record.identity,
            };
            if fits && !fleet.launch.is_stale() {
                return Ok(Some(fleet));
            }
        }
        let Some(body) = self.ports.catalog.body(head, version) else { return Ok(None) };
        let body = match version {
            Version::Latest => head.record.invocable(),
            Version::Published(_) => &*body,
        };
        let need = body.need();
        let runtime = match self.ports.runtimes.installed(&need) {
            Some(runtime) => runtime,
            None => {
                let ensured = self.ports.runtimes.ensure(need).await;
                ensured.map_err(|error| Error::InvalidRuntime(error.to_string()))?
            }
        };
        let hot = match &body.code.directory {
            Some(directory) => Some(self.hot(directory).await?),
            None => None,
        };
        let launch = Launch::new(&head.record, body, runtime, &*self.ports.code, hot)?;
        let fleet = self.fit(head, version, launch)?;
        // What changed since the head was read was told when this fleet was not there yet.
        self.changed(key);
        Ok(Some(fleet))
    }

    /// Watches a directory before anything is read of it.
    async fn hot(&self, directory: &str) -> Result<Hot, Error> {
        let hot_code = self.ports.hot_code.as_ref().ok_or_else(|| {
            Error::Service(format!(
                "{directory} is no function's code any more: lambkin was started without --hot-reload."
            ))
        })?;
        hot_code.watch(directory.into()).await.map(Hot::new).map_err(Error::Service)
    }

    fn fit(&self, head: &Stored<Head>, version: Version, launch: Launch) -> Result<Arc<Fleet>, Error> {
        let key = &head.record.key;
        let mut fleets = self.fleets.write().expect("not poisoned");
        if self.closing.load(Ordering::Acquire) {
            return Err(shutting_down());
        }
        if let Some(fleet) = fleets.get(key).and_then(|fleets| fleets.get(&version)) {
            // Another request was faster, perhaps with a newer head.
            if fleet.launch.digest == launch.digest
                || fleet.revision.load(Ordering::Acquire) > head.revision.0
            {
                fleet.revision.fetch_max(head.revision.0, Ordering::AcqRel);
                return Ok(Arc::clone(fleet));
            }
            self.retire(fleet);
        }
        // A cache is of code that stays.
        let caching = Caching::new(&launch, self.caches.clone().filter(|_| !launch.is_hot()));
        let (executions, total) = (self.permits.version(key, version), Arc::clone(&self.environments));
        let keeping = self.keeping(key, version);
        let fleet = Arc::new(Fleet::new(launch, executions, keeping, caching, head.revision.0, total));
        fleets.entry(key.clone()).or_default().insert(version, Arc::clone(&fleet));
        Ok(fleet)
    }

    /// It is no function's any more.
    pub(super) fn retire(&self, fleet: &Arc<Fleet>) {
        fleet.retire();
        fleet.caching.end();
        let mut retired = self.retired.lock().expect("not poisoned");
        retired.retain(|fleet| fleet.strong_count() > 0);
        retired.push(Arc::downgrade(fleet));
    }

    /// A head changed or went. What changes nothing for a process retires nothing: that is seen
    /// when the next invocation comes.
    ///
    /// Each part looks the head up under its own lock, so that the last of several changes is the one that counts.
    pub(super) fn changed(&self, key: &FunctionKey) {
        let claims = || {
            let head = &self.ports.catalog.head(key)?.record;
            let count = |count: u32| count as usize;
            let versions = head.keeps().into_iter().map(|(version, keep)| {
                (version, Claim { provisioned: count(keep.provisioned), most: keep.max.map(count) })
            });
            Some(Claims { reserved: head.reserved_concurrency.map(count), versions: versions.collect() })
        };
        self.permits.changed(key, claims);
        self.keep_changed(key);
        if let (false, Some(caches)) = (self.retire_changed(key), &self.caches) {
            caches.sweep();
        }
    }

    /// What is to be kept is in the head: it is there after a restart too.
    fn keep_changed(&self, key: &FunctionKey) {
        let mut keepings = self.keepings.lock().expect("not poisoned");
        let head = self.ports.catalog.head(key);
        let keeps = head.as_ref().map(|head| head.record.keeps()).unwrap_or_default();
        let of_function = keepings.entry(key.clone()).or_default();
        for version in keeps.keys() {
            self.keeping_in(of_function, *version);
        }
        of_function
            .retain(|version, _| head.as_ref().is_some_and(|head| head.record.state(*version).is_some()));
        of_function.iter().for_each(|(version, keeping)| keeping.request(keeps.get(version)));
        if of_function.is_empty() {
            keepings.remove(key);
        }
    }

    /// Returns whether the function is still there.
    fn retire_changed(&self, key: &FunctionKey) -> bool {
        let mut fleets = self.fleets.write().expect("not poisoned");
        let head = self.ports.catalog.head(key);
        let Some(of_function) = fleets.get_mut(key) else { return head.is_some() };
        of_function.retain(|version, fleet| {
            let fits = head.as_ref().is_some_and(|head| {
                head.record.identity == fleet.launch.identity
                    && match version {
                        Version::Latest => {
                            launch::same_process(head.record.invocable(), &fleet.launch.version)
                        }
                        // Numbers are never given twice.
                        Version::Published(_) => head.record.state(*version).is_some(),
                    }
            });
            if fits {
                fleet.trim();
            } else {
                self.retire(fleet);
            }
            fits
        });
        if of_function.is_empty() {
            fleets.remove(key);
        }
        head.is_some()
    }

    fn keeping(&self, key: &FunctionKey, version: Version) -> Arc<Keeping> {
        let mut keepings = self.keepings.lock().expect("not poisoned");
        self.keeping_in(keepings.entry(key.clone()).or_default(), version)
    }

    fn keeping_in(
        &self,
        of_function: &mut BTreeMap<Version, Arc<Keeping>>,
        version: Version,
    ) -> Arc<Keeping> {
        let keeping = of_function.entry(version);
        Arc::clone(keeping.or_insert_with(|| Arc::new(Keeping::new(Arc::clone(&self.missing)))))
    }
}

pub(super) async fn retire_idle(core: Weak<Core>, limit: Duration) {
    let mut beat =
        tokio::time::interval((limit / 4).clamp(Duration::from_millis(50), Duration::from_secs(5)));
    loop {
        beat.tick().await;
        let Some(core) = core.upgrade() else { return };
        for fleet in core.fleets.read().expect("not poisoned").values().flat_map(BTreeMap::values) {
            fleet.retire_idle(limit);
        }
    }
}
