//! Event source mappings of queues: their operations, and the pollers that feed functions from queues.
//!
//! A message is in its queue until it is deleted, and leased to its poller meanwhile, so nothing has to be
//! kept here: after a crash it becomes visible again.
//!
//! Deliberately not here: queues (behind [`source::Source`]), how functions are run (behind `Invoke`), AWS's
//! documents.

mod hold;
mod poller;
mod run;
pub mod source;
mod supervisor;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::Error;
use lambkin_model::catalog::{CatalogError, CatalogRead, Revision, Stored};
use lambkin_model::invocation::{Invoke, RequestId};
use lambkin_model::mapping::{Change, Mapping, QueueSource, Settings, State, check_visibility};
use lambkin_model::metric::Metrics;
use lambkin_model::name::FunctionReference;
use lambkin_model::pattern::Pattern;
use lambkin_model::record::{Records, ResourceKey};
use lambkin_model::tags;
use lambkin_model::trace::Traces;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use self::source::{Source, SourceError};
use crate::Ambient;

/// How long an operation waits for another's change to settle before it says that the mapping is in use.
/// AWS answers at once, and is in between for seconds where lambkin is for milliseconds.
const SETTLING: Duration = Duration::from_secs(2);

/// What mappings stand on.
#[derive(Clone)]
pub struct Ports {
    /// The mappings.
    pub records: Arc<dyn Records<Mapping>>,
    /// Functions.
    pub catalog: Arc<dyn CatalogRead>,
    /// Queues.
    pub source: Arc<dyn Source>,
    /// The door to functions.
    pub invoke: Arc<dyn Invoke>,
    /// Who follows traces.
    pub traces: Arc<dyn Traces>,
    /// Who counts what becomes of messages, where a mapping says so.
    pub metrics: Arc<dyn Metrics>,
    /// Clock and chance.
    pub ambient: Ambient,
}

/// CreateEventSourceMapping.
#[derive(Debug, Clone)]
pub struct CreateMapping {
    /// Which function.
    pub function: FunctionReference,
    /// ARN of the queue.
    pub source: Option<String>,
    /// Whether it polls.
    pub enabled: bool,
    /// What differs from AWS's defaults.
    pub change: Change,
    /// Its tags.
    pub tags: BTreeMap<String, String>,
}

/// UpdateEventSourceMapping.
#[derive(Debug, Clone, Default)]
pub struct UpdateMapping {
    /// Another function.
    pub function: Option<FunctionReference>,
    /// Whether it polls.
    pub enabled: Option<bool>,
    /// What changes.
    pub change: Change,
}

/// All event source mappings, and whoever polls for them.
pub struct Mappings {
    core: Arc<Core>,
    close: watch::Sender<bool>,
    supervisor: Mutex<Option<JoinHandle<()>>>,
}

struct Core {
    ports: Ports,
    /// A record changed.
    changes: watch::Sender<()>,
    /// A function or a queue changed.
    surroundings: watch::Sender<()>,
    problems: Arc<Problems>,
    /// Pairs of queue and function that are being written, so that two at once do not both find none.
    /// Bounded by the requests being answered.
    claims: Mutex<HashSet<(String, String)>>,
}

/// What is wrong now, by mapping: AWS's `LastProcessingResult`. At most one text for each mapping.
#[derive(Default)]
struct Problems(Mutex<HashMap<ResourceKey, String>>);

impl Problems {
    fn set(&self, key: &ResourceKey, problem: Option<String>) {
        let mut problems = self.0.lock().expect("no code panics under this lock");
        match problem {
            Some(problem) => {
                if problems.get(key) != Some(&problem) {
                    tracing::warn!(mapping = %key.name, problem, "an event source mapping does not get on");
                    problems.insert(key.clone(), problem);
                }
            }
            None => {
                if problems.remove(key).is_some() {
                    tracing::info!(mapping = %key.name, "an event source mapping gets on again");
                }
            }
        }
    }
}

/// One of the claims, until what it is for was written.
struct Claim<'a>(&'a Core, (String, String));

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        self.0.claims.lock().expect("no code panics under this lock").remove(&self.1);
    }
}

impl Mappings {
    /// Over these ports, whose changes are watched from now on. [`start`](Self::start) makes it poll.
    #[must_use]
    pub fn new(ports: Ports) -> Arc<Self> {
        let (changes, surroundings) = (watch::Sender::new(()), watch::Sender::new(()));
        let tell = |sender: &watch::Sender<()>| {
            let sender = sender.clone();
            move || sender.send_replace(())
        };
        let (record, function, queue) = (tell(&changes), tell(&surroundings), tell(&surroundings));
        ports.records.watch(Box::new(move |_| record()));
        ports.catalog.watch(Box::new(move |_| function()));
        ports.source.watch(Box::new(move |_| queue()));
        let (problems, claims) = (Arc::default(), Mutex::default());
        let core = Arc::new(Core { ports, changes, surroundings, problems, claims });
        Arc::new(Self { core, close: watch::Sender::new(false), supervisor: Mutex::new(None) })
    }

    /// Begins to poll. Needs a tokio runtime.
    pub fn start(&self) {
        let task = supervisor::supervise(Arc::clone(&self.core), self.close.subscribe());
        let mut supervisor = self.supervisor.lock().expect("no code panics under this lock");
        *supervisor = Some(tokio::spawn(task));
    }

    /// Receives nothing more and lets what runs finish within `grace`; what is cut off becomes visible in
    /// its queue again.
    pub async fn shutdown(&self, grace: Duration) {
        self.close.send_replace(true);
        let supervisor = self.supervisor.lock().expect("no code panics under this lock").take();
        let Some(mut supervisor) = supervisor else { return };
        if tokio::time::timeout(grace, &mut supervisor).await.is_err() {
            supervisor.abort();
            // Cancelled, as it was asked to be.
            let _ = supervisor.await;
        }
    }

    /// CreateEventSourceMapping: the mapping is `Creating` when this answers, and becomes `Enabled` by itself.
    pub async fn create(
        &self,
        account: &str,
        region: &str,
        request: CreateMapping,
    ) -> Result<Mapping, Error> {
        let source = QueueSource::parse(request.source.as_deref(), region)?;
        let settings = Settings::new().with(request.change, source.fifo)?;
        filters(&settings.filters)?;
        let id = RequestId((self.core.ports.ambient.uuid)()).to_string();
        let mapping = Mapping {
            key: ResourceKey { account: account.into(), region: region.into(), name: id.into() },
            source: source.key.arn("sqs"),
            function: request.function.key,
            qualifier: request.function.qualifier,
            settings,
            enabled: request.enabled,
            state: State::created(request.enabled),
            last_modified: (self.core.ports.ambient.now)(),
            tags: request.tags,
        };
        tags::merge(&mut BTreeMap::new(), &mapping.tags)?;
        self.check(&mapping)?;
        let _claim = self.claim(&mapping)?;
        self.put(None, mapping).await
    }

    /// UpdateEventSourceMapping.
    pub async fn update(&self, key: &ResourceKey, request: UpdateMapping) -> Result<Mapping, Error> {
        let in_use =
            || Error::ResourceInUse("Cannot update the event source mapping because it is in use.".into());
        let stored = self.settled(key).await?;
        let (state, enabled) = stored.record.state.changed(request.enabled).ok_or_else(in_use)?;
        let fifo = stored.record.source.ends_with(".fifo");
        let settings = stored.record.settings.with(request.change, fifo)?;
        filters(&settings.filters)?;
        let mut mapping = Mapping { settings, enabled, state, ..stored.record.clone() };
        if let Some(function) = request.function {
            (mapping.function, mapping.qualifier) = (function.key, function.qualifier);
        }
        mapping.last_modified = (self.core.ports.ambient.now)();
        // One that rests can be changed whatever has become of its queue and its function.
        if enabled || mapping.function_arn() != stored.record.function_arn() {
            self.check(&mapping)?;
        }
        let _claim = self.claim(&mapping)?;
        match self.put(Some(stored.revision), mapping).await {
            Err(Error::ResourceConflict(_)) => Err(in_use()),
            other => other,
        }
    }

    /// DeleteEventSourceMapping: `Deleting` until what runs has finished.
    pub async fn delete(&self, key: &ResourceKey) -> Result<Mapping, Error> {
        let in_use =
            || Error::ResourceInUse("Cannot delete the event source mapping because it is in use.".into());
        let stored = self.settled(key).await?;
        if !stored.record.state.settled() {
            return Err(in_use());
        }
        let mapping = Mapping { state: State::Deleting, ..stored.record.clone() };
        match self.put(Some(stored.revision), mapping).await {
            Err(Error::ResourceConflict(_)) => Err(in_use()),
            other => other,
        }
    }

    /// TagResource.
    pub async fn tag(&self, key: &ResourceKey, more: &BTreeMap<String, String>) -> Result<(), Error> {
        tags::check(more)?;
        self.change_tags(key, |all| tags::merge(all, more)).await
    }

    /// UntagResource.
    pub async fn untag(&self, key: &ResourceKey, names: &[String]) -> Result<(), Error> {
        let untag = |all: &mut BTreeMap<String, String>| {
            all.retain(|name, _| !names.contains(name));
            Ok(())
        };
        self.change_tags(key, untag).await
    }

    /// Writes the tags as changed, whatever else changes the record meanwhile.
    async fn change_tags(
        &self,
        key: &ResourceKey,
        change: impl Fn(&mut BTreeMap<String, String>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        loop {
            let stored = self.get(key)?;
            let mut mapping = stored.record.clone();
            change(&mut mapping.tags)?;
            match self.put(Some(stored.revision), mapping).await {
                Ok(_) => return Ok(()),
                // Look again.
                Err(Error::ResourceConflict(_)) => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// GetEventSourceMapping.
    pub fn get(&self, key: &ResourceKey) -> Result<Arc<Stored<Mapping>>, Error> {
        let unknown = || Error::ResourceNotFound("The resource you requested does not exist.".into());
        self.core.ports.records.get(key).ok_or_else(unknown)
    }

    /// ListEventSourceMappings: those of an account and region, behind `after`, in order of their UUIDs; at
    /// most `limit`, and only those of a queue or a function where one is named.
    #[must_use]
    pub fn list(
        &self,
        account: &str,
        region: &str,
        source: Option<&str>,
        function: Option<&FunctionReference>,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Mapping>>> {
        let function = function.map(FunctionReference::arn);
        let all = self.core.ports.records.list(account, region, after, usize::MAX);
        let wanted = |stored: &Arc<Stored<Mapping>>| {
            source.is_none_or(|source| source == stored.record.source)
                && function.as_ref().is_none_or(|function| *function == stored.record.function_arn())
        };
        all.into_iter().filter(wanted).take(limit).collect()
    }

    /// What keeps it from getting on, as AWS's `LastProcessingResult` says it: `PROBLEM: …`.
    #[must_use]
    pub fn problem(&self, key: &ResourceKey) -> Option<String> {
        self.core.problems.0.lock().expect("no code panics under this lock").get(key).cloned()
    }

    /// The mapping once it rests, or as it is where that takes too long.
    async fn settled(&self, key: &ResourceKey) -> Result<Arc<Stored<Mapping>>, Error> {
        let mut changes = self.core.changes.subscribe();
        let wait = async {
            loop {
                changes.mark_unchanged();
                let stored = self.get(key);
                let waits = stored.as_ref().is_ok_and(|stored| {
                    // What is finishing may take its time, and what goes is gone.
                    !stored.record.state.settled()
                        && !matches!(stored.record.state, State::Disabling | State::Deleting)
                });
                if !waits || changes.changed().await.is_err() {
                    return stored;
                }
            }
        };
        let settled = tokio::time::timeout(SETTLING, wait).await;
        settled.unwrap_or_else(|_| self.get(key))
    }

    /// Whether there are the function and the queue, and they fit.
    fn check(&self, mapping: &Mapping) -> Result<(), Error> {
        let ports = &self.core.ports;
        let function = ports.catalog.head(&mapping.function).and_then(|head| {
            let version = head.record.version(mapping.qualifier.as_deref())?;
            ports.catalog.body(&head, version)
        });
        let Some(function) = function else {
            return Err(Error::InvalidParameterValue("Function does not exist".into()));
        };
        let Some(queue) = ports.source.queue(&queue_key(mapping)) else {
            return Err(Error::InvalidParameterValue(format!(
                "Error occurred while ReceiveMessage. {}",
                SourceError::NoQueue
            )));
        };
        check_visibility(queue.visibility, function.configuration.timeout)
    }

    /// Where there is no other mapping of the same queue and function.
    fn claim(&self, mapping: &Mapping) -> Result<Claim<'_>, Error> {
        let pair = (mapping.source.clone(), mapping.function_arn());
        let mut claims = self.core.claims.lock().expect("no code panics under this lock");
        // Looked at under the lock: a claim goes only after the records show what was written.
        let all = self.core.ports.records.all();
        let other = all.iter().map(|stored| &stored.record).find(|other| {
            other.key != mapping.key && other.source == pair.0 && other.function_arn() == pair.1
        });
        if let Some(other) = other {
            return Err(other.duplicate());
        }
        if !claims.insert(pair.clone()) {
            return Err(Error::ResourceConflict(
                "Another event source mapping of this queue and function is being written.".into(),
            ));
        }
        Ok(Claim(&self.core, pair))
    }

    async fn put(&self, expected: Option<Revision>, mapping: Mapping) -> Result<Mapping, Error> {
        match self.core.ports.records.put(expected, mapping.clone()).await {
            Ok(_) => Ok(mapping),
            Err(CatalogError::Conflict) => Err(Error::ResourceConflict("The mapping was changed.".into())),
            Err(CatalogError::Unavailable(reason)) => Err(Error::Service(reason)),
        }
    }
}

/// Where it reads from. Its ARN was read when it was made.
fn queue_key(mapping: &Mapping) -> ResourceKey {
    let source = QueueSource::parse(Some(&mapping.source), &mapping.key.region);
    source.map_or_else(|_| mapping.key.clone(), |source| source.key)
}

/// The patterns of a mapping's filters.
fn filters(patterns: &[String]) -> Result<Vec<Pattern>, Error> {
    let read = |pattern: &String| {
        Pattern::parse(pattern).map_err(|error| {
            tracing::debug!(pattern, %error, "refused a filter");
            Error::InvalidParameterValue("Invalid filter pattern definition.".into())
        })
    };
    patterns.iter().map(read).collect()
}
