//! Everything the data plane stands on, in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, RwLock};
use std::time::Duration;

use bytes::Bytes;
use lambkin_invoke::{Invoker, InvokerConfig, Ports};
use lambkin_model::catalog::{CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::code::{Code, CodeRead, CodeSha256};
use lambkin_model::exit::ExitStatus;
use lambkin_model::figure::Figure;
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::invocation::{Invocation, Invoke, Reply, RequestId, Streamed};
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::metric::{FunctionMetric, Metrics, Subject};
use lambkin_model::name::{DEFAULT_ACCOUNT, FunctionKey, FunctionReference, LATEST};
use lambkin_model::provisioned::Provisioned;
use lambkin_model::record::ResourceKey;
use lambkin_model::runtime::{InstalledRuntime, Runtime, RuntimeError, RuntimeNeed, RuntimeProvider};
use lambkin_model::sandbox::{
    CompileCache, LaunchError, Launcher, Layout, Process, ProcessControl, Sandbox, SandboxSpec, Sources,
};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{Span, SpanId, Traces};
use lambkin_model::version::{Published, PublishedVersion};
use lambkin_model::{Error, Pending};
use tokio::sync::{Notify, oneshot, watch};
use tokio::task::JoinHandle;

use crate::caching::Caches;
use crate::process::{Inits, Puppet};

pub struct World {
    pub invoker: Invoker,
    pub catalog: Arc<Catalog>,
    pub stage: Arc<Stage>,
    pub logs: Arc<Logs>,
    pub metrics: Arc<Measured>,
    pub traces: Arc<Traced>,
    pub code: Arc<CodeDirectory>,
    pub runtimes: Arc<Runtimes>,
    pub caches: Arc<Caches>,
    ids: AtomicU64,
}

impl World {
    pub fn new(concurrency: usize, inits: usize) -> Self {
        Self::with(InvokerConfig {
            concurrency,
            inits,
            idle_timeout: Duration::from_secs(600),
            memory: None,
            warm_pool: 0,
            ..InvokerConfig::default()
        })
    }

    pub fn with(config: InvokerConfig) -> Self {
        let (catalog, stage) = (Arc::<Catalog>::default(), Arc::<Stage>::default());
        let runtimes = Arc::<Runtimes>::default();
        let caches = Arc::<Caches>::default();
        let (logs, code) = (Arc::<Logs>::default(), Arc::<CodeDirectory>::default());
        let metrics = Arc::<Measured>::default();
        let traces = Arc::<Traced>::default();
        let ports = Ports {
            catalog: Arc::clone(&catalog) as _,
            code: Arc::clone(&code) as _,
            hot_code: None,
            runtimes: Arc::clone(&runtimes) as _,
            launcher: Arc::clone(&stage) as _,
            logs: Arc::clone(&logs) as _,
            metrics: Arc::clone(&metrics) as _,
            traces: Arc::clone(&traces) as _,
            compile_caches: Some(Arc::clone(&caches) as _),
            services: None,
        };
        Self {
            invoker: Invoker::new(ports, config),
            catalog,
            stage,
            logs,
            metrics,
            traces,
            code,
            runtimes,
            caches,
            ids: AtomicU64::new(1),
        }
    }

    /// Creates the function, or changes it.
    pub fn function(&self, name: &str, change: impl FnOnce(&mut FunctionVersion)) {
        let mut head = self.catalog.head(&key(name)).map_or_else(
            || new_head(name, self.ids.fetch_add(1, Ordering::Relaxed)),
            |stored| stored.record.clone(),
        );
        change(&mut head.latest);
        self.catalog.put(head);
    }

    /// Reserves concurrency for the function, or ends that.
    pub fn reserve(&self, name: &str, reserved: Option<u32>) {
        let mut head = self.catalog.head(&key(name)).unwrap().record.clone();
        head.reserved_concurrency = reserved;
        self.catalog.put(head);
    }

    /// Provisions concurrency for `$LATEST`, as nobody can who is not a test, or ends that; nothing where there is no
    /// such function.
    pub fn keep(&self, name: &str, requested: u32) {
        let Some(stored) = self.catalog.head(&key(name)) else { return };
        let mut head = stored.record.clone();
        match requested {
            0 => drop(head.provisioned.remove(LATEST)),
            _ => {
                let last_modified = Timestamp(self.ids.fetch_add(1, Ordering::Relaxed));
                head.provisioned.insert(LATEST.into(), Provisioned { requested, last_modified });
            }
        }
        self.catalog.put(head);
    }

    /// One with these words for its init.
    pub fn function_with_init(&self, timeout: u32, variables: &[(&str, &str)]) {
        self.function("f", |version| {
            version.configuration.timeout = timeout;
            let pairs = variables.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned()));
            version.configuration.variables = Some(pairs.collect::<BTreeMap<_, _>>());
        });
    }

    fn invocation(&self, name: &str, words: impl Into<Bytes>, log_tail: bool) -> Invocation {
        let mut id = [0; 16];
        id[8..].copy_from_slice(&self.ids.fetch_add(1, Ordering::Relaxed).to_be_bytes());
        Invocation {
            request_id: RequestId(id),
            function: FunctionReference { key: key(name), qualifier: None },
            payload: words.into(),
            client_context: None,
            trace_id: None,
            log_tail,
        }
    }

    /// Invokes the function `f` with these words.
    pub async fn run(&self, words: &str) -> Result<Reply, Error> {
        self.start(words).await.unwrap()
    }

    /// The same as text: what the function said.
    pub async fn say(&self, words: &str) -> String {
        payload(&self.run(words).await)
    }

    pub async fn tail(&self, words: &str) -> Reply {
        self.invoker.invoke(self.invocation("f", words.to_owned(), true)).await.unwrap()
    }

    /// Invokes the function `f` for its response as it comes.
    pub async fn stream(&self, words: &str) -> Result<Streamed, Error> {
        self.invoker.stream(self.invocation("f", words.to_owned(), true)).await
    }

    /// In the background.
    pub fn start(&self, words: &str) -> JoinHandle<Result<Reply, Error>> {
        self.start_of("f", words.to_owned())
    }

    pub fn start_of(&self, name: &str, words: impl Into<Bytes>) -> JoinHandle<Result<Reply, Error>> {
        let invocation = self.invocation(name, words, false);
        let invoker = self.invoker.clone();
        tokio::spawn(async move { invoker.invoke(invocation).await })
    }

    /// What the function says to these words, asked with this trace header.
    pub async fn traced(&self, name: &str, words: &str, header: Option<&str>) -> Reply {
        let mut invocation = self.invocation(name, words.to_owned(), false);
        invocation.trace_id = header.map(str::to_owned);
        self.invoker.invoke(invocation).await.unwrap()
    }

    /// The same by a qualifier.
    pub fn start_by(
        &self,
        name: &str,
        qualifier: Option<&str>,
        words: &str,
    ) -> JoinHandle<Result<Reply, Error>> {
        let mut invocation = self.invocation(name, words.to_owned(), false);
        invocation.function.qualifier = qualifier.map(str::to_owned);
        let invoker = self.invoker.clone();
        tokio::spawn(async move { invoker.invoke(invocation).await })
    }

    /// Lets everything that is under way happen; invocations of that time take no time.
    pub async fn settle(&self) {
        tokio::time::sleep(Duration::from_millis(300)).await;
    }

    /// Asserts that no permit is lost and then that nothing is left after a shutdown.
    pub async fn end(&self, concurrency: usize) {
        // What is set aside or kept for one function is nobody else's.
        for head in self.catalog.all() {
            self.catalog.change(&head.record.key.name, |head| {
                head.provisioned.clear();
                head.scaling.clear();
            });
        }
        self.function("permits", |version| version.configuration.timeout = 900);
        let all: Vec<_> = (0..concurrency).map(|_| self.start_of("permits", "sleep 50;who")).collect();
        for one in all {
            one.await.unwrap().expect("every permit came back");
        }
        self.invoker.shutdown(Duration::from_secs(5)).await;
        self.settle().await;
        assert_eq!(self.stage.sandboxes.load(Ordering::SeqCst), 0, "no sandbox is left");
        assert_eq!(self.stage.processes.load(Ordering::SeqCst), 0, "no process is left");
    }
}

pub fn payload(result: &Result<Reply, Error>) -> String {
    match result {
        Ok(reply) => String::from_utf8_lossy(&reply.outcome.payload).into_owned(),
        Err(error) => format!("{error:?}"),
    }
}

pub fn key(name: &str) -> FunctionKey {
    FunctionKey { account: DEFAULT_ACCOUNT.into(), region: "us-east-1".into(), name: name.into() }
}

fn new_head(name: &str, identity: u64) -> Head {
    let configuration = Configuration::new(
        Runtime::from_name("nodejs22.x").unwrap(),
        "arn:aws:iam::000000000000:role/r".into(),
        "index.handler".into(),
    );
    let code = Code { sha256: CodeSha256([1; 32]), size: 1, sdk_packages: BTreeSet::new(), directory: None };
    let latest = FunctionVersion {
        version: LATEST.into(),
        configuration,
        code,
        revision_id: "r".into(),
        last_modified: Timestamp(0),
        state: State::Active,
        last_update: Some(LastUpdate::Successful),
    };
    Head::new(key(name), format!("identity {identity}"), latest)
}

#[derive(Default)]
pub struct Catalog {
    heads: Mutex<HashMap<FunctionKey, Arc<Stored<Head>>>>,
    versions: Mutex<HashMap<ResourceKey, Arc<Stored<PublishedVersion>>>>,
    watchers: RwLock<Vec<Watcher>>,
    revision: AtomicU64,
    meanwhile: Mutex<Option<Meanwhile>>,
    /// After how many more looks at a head.
    after_look: Mutex<Option<(usize, Meanwhile)>>,
}

/// What another client does meanwhile.
type Meanwhile = Box<dyn FnOnce(&Catalog) + Send>;

impl Catalog {
    pub fn put(&self, head: Head) {
        let key = head.key.clone();
        let revision = Revision(self.revision.fetch_add(1, Ordering::Relaxed) + 1);
        self.heads.lock().unwrap().insert(key.clone(), Arc::new(Stored { revision, record: head }));
        self.tell(&key);
    }

    /// Publishes `$LATEST` as it is; its number.
    pub fn publish(&self, name: &str) -> u64 {
        let mut head = self.head(&key(name)).unwrap().record.clone();
        let number = head.next_version;
        let id = format!("{} {number}", head.identity);
        let body = PublishedVersion::new(&head.key, &head.latest, number, id.clone(), None);
        head.next_version += 1;
        head.versions.insert(number, Published { id: id.into(), state: State::Active });
        let stored = Arc::new(Stored { revision: Revision(1), record: body });
        self.versions.lock().unwrap().insert(stored.record.key.clone(), stored);
        self.put(head);
        number
    }

    /// Changes a head.
    pub fn change(&self, name: &str, change: impl FnOnce(&mut Head)) {
        let mut head = self.head(&key(name)).unwrap().record.clone();
        change(&mut head);
        self.put(head);
    }

    /// Does it right before a version's body is looked up.
    pub fn before_body(&self, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *self.meanwhile.lock().unwrap() = Some(Box::new(meanwhile));
    }

    /// Does it once as many looks at a head as `looks`, and one, were had, right before the last of them is answered.
    pub fn after_looks(&self, looks: usize, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *self.after_look.lock().unwrap() = Some((looks, Box::new(meanwhile)));
    }

    /// Removes a version, its body too.
    pub fn delete_version(&self, name: &str, number: u64) {
        let body = self.head(&key(name)).unwrap().record.record_key(number).unwrap();
        self.change(name, |head| drop(head.versions.remove(&number)));
        self.versions.lock().unwrap().remove(&body);
    }

    pub fn delete(&self, name: &str) {
        self.heads.lock().unwrap().remove(&key(name));
        self.tell(&key(name));
    }

    fn tell(&self, key: &FunctionKey) {
        for watcher in &*self.watchers.read().unwrap() {
            watcher(key);
        }
    }
}

impl CatalogRead for Catalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        let found = self.heads.lock().unwrap().get(key).cloned();
        let due = {
            let mut waiting = self.after_look.lock().unwrap();
            match &mut *waiting {
                Some((looks @ 1.., _)) => {
                    *looks -= 1;
                    None
                }
                Some((0, _)) | None => waiting.take(),
            }
        };
        if let Some((_, meanwhile)) = due {
            meanwhile(self);
        }
        found
    }

    fn heads(&self, _: &str, _: &str, _: Option<&str>, _: usize) -> Vec<Arc<Stored<Head>>> {
        unreachable!("the data plane lists nothing")
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.heads.lock().unwrap().values().cloned().collect()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        let meanwhile = self.meanwhile.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile(self);
        }
        self.versions.lock().unwrap().get(key).cloned()
    }

    fn watch(&self, watcher: Watcher) {
        self.watchers.write().unwrap().push(watcher);
    }
}

#[derive(Default)]
pub struct CodeDirectory {
    pub missing: AtomicBool,
}

impl CodeRead for CodeDirectory {
    fn unpacked(&self, sha256: CodeSha256) -> Option<PathBuf> {
        (!self.missing.load(Ordering::SeqCst)).then(|| PathBuf::from(format!("/code/{}", sha256.hex())))
    }
}

#[derive(Default)]
pub struct Runtimes {
    /// None is installed any more.
    pub gone: AtomicBool,
}

impl RuntimeProvider for Runtimes {
    fn check_platform(&self, _: Runtime) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn installed(&self, need: &RuntimeNeed) -> Option<InstalledRuntime> {
        // One is fetched at every look, so that both ways are gone.
        (need.runtime.major() != 20 && !self.gone.load(Ordering::SeqCst)).then(installed)
    }

    fn ensure(&self, need: RuntimeNeed) -> Pending<'_, Result<InstalledRuntime, RuntimeError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(10)).await;
            assert_eq!(need.runtime.major(), 20);
            Ok(installed())
        })
    }
}

fn installed() -> InstalledRuntime {
    InstalledRuntime {
        version: "22.1.0".into(),
        sha256: "00".into(),
        node: "/runtimes/node".into(),
        runtime_dir: "/runtimes/dir".into(),
        modules: "/runtimes/modules".into(),
    }
}

#[derive(Default)]
pub struct Stage {
    pub opened: AtomicUsize,
    pub sandboxes: Arc<AtomicUsize>,
    pub processes: Arc<AtomicUsize>,
    pub inits: Arc<Inits>,
    /// What each function's sandbox had of a compile cache, in their order.
    pub compile_caches: Arc<Mutex<Vec<CompileCache>>>,
    /// How many of the next openings and starts fail.
    pub failing_opens: AtomicUsize,
    /// How many of the next openings find what was made ahead.
    pub ready: AtomicUsize,
    pub failing_starts: Arc<AtomicUsize>,
    pub failing_assigns: Arc<AtomicUsize>,
    /// How long a start takes, in milliseconds.
    pub start_takes: Arc<AtomicU64>,
    /// How long a killed process takes to end, in milliseconds.
    pub kill_takes: Arc<AtomicU64>,
}

fn fails(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl Launcher for Stage {
    fn layout(&self, sources: &Sources, id: &str) -> Layout {
        Layout {
            task_root: sources.code.clone().unwrap_or_default(),
            runtime_dir: sources.runtime_dir.clone(),
            modules: sources.modules.clone(),
            bin: "/bin".into(),
            opt: "/opt".into(),
            tmp: Some(format!("/tmp/{id}").into()),
            services: None,
        }
    }

    fn assigns(&self) -> bool {
        true
    }

    fn has_compile_caches(&self) -> bool {
        true
    }

    fn open(&self, mut spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.start_takes.load(Ordering::SeqCst))).await;
            if fails(&self.failing_opens) {
                return Err(LaunchError("no room".into()));
            }
            self.sandboxes.fetch_add(1, Ordering::SeqCst);
            if spec.sources.code.is_some() {
                self.compile_caches.lock().unwrap().push(spec.compile_cache.clone());
            }
            let listener = spec.runtime_api.then(|| {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                let address = listener.local_addr().unwrap().to_string();
                spec.variables.insert("AWS_LAMBDA_RUNTIME_API".into(), address);
                listener.into()
            });
            let sandbox: Box<dyn Sandbox> = Box::new(Jail {
                ready: self
                    .ready
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok(),
                spec: Arc::new(spec),
                listener,
                nth: self.opened.fetch_add(1, Ordering::SeqCst) + 1,
                runs: 0,
                sandboxes: Arc::clone(&self.sandboxes),
                processes: Arc::clone(&self.processes),
                inits: Arc::clone(&self.inits),
                compile_caches: Arc::clone(&self.compile_caches),
                failing_starts: Arc::clone(&self.failing_starts),
                failing_assigns: Arc::clone(&self.failing_assigns),
                start_takes: Arc::clone(&self.start_takes),
                kill_takes: Arc::clone(&self.kill_takes),
                kill: Arc::default(),
                alive: Arc::default(),
            });
            Ok(sandbox)
        })
    }
}

struct Jail {
    ready: bool,
    spec: Arc<SandboxSpec>,
    listener: Option<OwnedFd>,
    nth: usize,
    runs: usize,
    sandboxes: Arc<AtomicUsize>,
    processes: Arc<AtomicUsize>,
    inits: Arc<Inits>,
    compile_caches: Arc<Mutex<Vec<CompileCache>>>,
    failing_starts: Arc<AtomicUsize>,
    failing_assigns: Arc<AtomicUsize>,
    start_takes: Arc<AtomicU64>,
    kill_takes: Arc<AtomicU64>,
    kill: Arc<Notify>,
    alive: Arc<AtomicBool>,
}

impl Drop for Jail {
    fn drop(&mut self) {
        self.kill.notify_one();
        self.sandboxes.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sandbox for Jail {
    fn was_ready(&self) -> bool {
        self.ready
    }

    fn runtime_api(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    fn services(&mut self) -> Option<OwnedFd> {
        None
    }

    fn assign(
        &mut self,
        mut spec: SandboxSpec,
    ) -> Pending<'_, Result<BTreeMap<String, String>, LaunchError>> {
        Box::pin(async move {
            assert_eq!(self.spec.sources.code, None, "it is assigned once");
            let same = |spec: &SandboxSpec| (spec.command.clone(), spec.memory_mb, spec.ephemeral_mb);
            assert_eq!(same(&spec), same(&self.spec), "it was started as this one would be");
            if fails(&self.failing_assigns) {
                return Err(LaunchError("nothing can be mounted".into()));
            }
            let address = self.spec.variables.get("AWS_LAMBDA_RUNTIME_API").cloned();
            spec.variables.extend(address.map(|address| ("AWS_LAMBDA_RUNTIME_API".to_owned(), address)));
            self.compile_caches.lock().unwrap().push(spec.compile_cache.clone());
            let variables = spec.variables.clone();
            self.spec = Arc::new(spec);
            Ok(variables)
        })
    }

    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.start_takes.load(Ordering::SeqCst))).await;
            if fails(&self.failing_starts) {
                return Err(LaunchError("no processes left".into()));
            }
            assert!(!self.alive.swap(true, Ordering::SeqCst), "never two processes in one sandbox");
            self.runs += 1;
            self.kill = Arc::default();
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            for end in [&ours, &theirs] {
                end.set_nonblocking(true).unwrap();
            }
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let puppet = Puppet::new(
                Arc::clone(&self.spec),
                (self.nth, self.runs),
                Arc::clone(&self.inits),
                theirs,
                writer,
            );
            let (kill, kill_takes) = (Arc::clone(&self.kill), Arc::clone(&self.kill_takes));
            let (alive, processes) = (Arc::clone(&self.alive), Arc::clone(&self.processes));
            processes.fetch_add(1, Ordering::SeqCst);
            let (exit, exited) = oneshot::channel();
            tokio::spawn(async move {
                let status = {
                    let killed = async {
                        kill.notified().await;
                        tokio::time::sleep(Duration::from_millis(kill_takes.load(Ordering::SeqCst))).await;
                        ExitStatus::Signal(9)
                    };
                    tokio::select! {
                        biased;
                        status = puppet.play() => status,
                        status = killed => status,
                    }
                };
                // Its descriptors close a moment before its end is seen.
                tokio::time::sleep(Duration::from_millis(1)).await;
                alive.store(false, Ordering::SeqCst);
                processes.fetch_sub(1, Ordering::SeqCst);
                // Nobody waits for it after its sandbox went.
                let _ = exit.send(status);
            });
            Ok(Process {
                channel: ours.into(),
                output: reader,
                exit: Box::pin(async { exited.await.unwrap_or(ExitStatus::Signal(9)) }),
                control: Box::new(Control(Arc::clone(&self.kill))),
            })
        })
    }
}

struct Control(Arc<Notify>);

impl ProcessControl for Control {
    fn kill(&self) {
        self.0.notify_one();
    }

    fn freeze(&self) {}

    fn thaw(&self) {}

    fn peak_memory(&self) -> Option<u64> {
        Some(50 * 1024 * 1024)
    }
}

/// By function, qualifier and metric: how many values, and their sum.
#[derive(Default)]
pub struct Measured(Mutex<BTreeMap<(String, FunctionMetric), (usize, f64)>>);

impl Measured {
    /// Of a function by its name, or by name and qualifier.
    pub fn of(&self, resource: &str, metric: FunctionMetric) -> (usize, f64) {
        self.0.lock().unwrap().get(&(resource.to_owned(), metric)).copied().unwrap_or_default()
    }
}

impl Metrics for Measured {
    fn record(&self, _: Timestamp, of: Subject<'_>, values: &[(FunctionMetric, f64)]) {
        let resource = match of {
            Subject::Account { account, .. } => account.to_owned(),
            Subject::Function { key, qualifier: None, .. } => key.name.to_string(),
            Subject::Function { key, qualifier: Some(qualifier), .. } => format!("{}:{qualifier}", key.name),
            Subject::Mapping(key) => key.name.to_string(),
        };
        for (metric, value) in values {
            let mut measured = self.0.lock().unwrap();
            let (count, sum) = measured.entry((resource.clone(), *metric)).or_default();
            *count += 1;
            *sum += value;
        }
    }
}

pub struct Logs {
    events: Mutex<Vec<(Arc<LogStreamName>, LogEvent)>>,
    pub open: watch::Sender<bool>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { events: Mutex::default(), open: watch::channel(true).0 }
    }
}

impl Logs {
    pub fn lines(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(_, event)| String::from_utf8(event.message.to_vec()).unwrap()).collect()
    }

    /// The platform's lines by their first word, other lines as they are.
    pub fn words(&self) -> Vec<String> {
        let platform = ["INIT_START", "INIT_REPORT", "START", "END", "REPORT"];
        let word = |line: String| {
            let first = line.split(' ').next().unwrap_or_default().to_owned();
            let timed_out = line.contains(" Task timed out after ");
            match () {
                () if platform.contains(&&*first) => first,
                () if timed_out => "TIMED OUT".to_owned(),
                () if first == "RequestId:" => "FAULT".to_owned(),
                () => line,
            }
        };
        self.lines().into_iter().map(word).collect()
    }

    pub fn streams(&self) -> BTreeSet<Arc<str>> {
        self.events.lock().unwrap().iter().map(|(name, _)| Arc::clone(&name.stream)).collect()
    }
}

impl LogSink for Logs {
    fn append(&self, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>> {
        self.events.lock().unwrap().extend(events.into_iter().map(|event| (Arc::clone(stream), event)));
        let mut open = self.open.subscribe();
        if *open.borrow() {
            return None;
        }
        Some(Box::pin(async move {
            open.wait_for(|open| *open).await.unwrap();
        }))
    }
}

/// Spans, as they are told.
#[derive(Default)]
pub struct Traced(pub Mutex<Vec<Span>>, AtomicU64);

impl Traces for Traced {
    fn records(&self) -> bool {
        true
    }

    fn samples(&self, function: &FunctionKey) -> bool {
        &*function.name != "never"
    }

    fn span_id(&self) -> SpanId {
        SpanId((self.1.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes())
    }

    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}
