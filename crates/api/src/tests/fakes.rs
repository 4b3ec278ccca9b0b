//! The ports in memory, and a server over them that raw requests are sent to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use lambkin_control::{Ambient, Control, Policy, Stores};
use lambkin_model::catalog::{Catalog, CatalogError, CatalogRead, Head, Revision, Stored, Watcher};
use lambkin_model::code::{Code, CodeError, CodeRead, CodeSha256, CodeStore, Contents};
use lambkin_model::error::ThrottleReason;
use lambkin_model::invocation::{FunctionError, Invocation, Invoke, Outcome, Reply, Streamed};
use lambkin_model::kept::{Kept, Provisioning};
use lambkin_model::name::{FunctionKey, LATEST};
use lambkin_model::record::ResourceKey;
use lambkin_model::runtime::{InstalledRuntime, Runtime, RuntimeError, RuntimeNeed, RuntimeProvider};
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{NoTraces, TraceContext};
use lambkin_model::version::{PublishedVersion, Version};
use lambkin_model::{Error, Pending};
use lambkin_observe::LogStore;
use lambkin_observe::logs::Logs;
use lambkin_observe::metrics::{MetricConfig, MetricStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Notify, oneshot};

use super::no_queues::{MemoryRecords, NoQueues};
use crate::{Api, ApiConfig, Callers, Machine, Own, Rooms, serve};

type Versions = BTreeMap<ResourceKey, Arc<Stored<PublishedVersion>>>;

/// What another client does meanwhile.
type Meanwhile = Box<dyn FnOnce(&MemoryCatalog) + Send>;

#[derive(Default)]
pub(super) struct MemoryCatalog(
    Mutex<BTreeMap<FunctionKey, Arc<Stored<Head>>>>,
    AtomicU64,
    Mutex<Versions>,
    Mutex<Option<(u32, Meanwhile)>>,
);

impl MemoryCatalog {
    /// Does it right before the `nth` look-up of a version's body from now, counted from 1.
    pub(super) fn before_body(&self, nth: u32, meanwhile: impl FnOnce(&Self) + Send + 'static) {
        *self.3.lock().unwrap() = Some((nth, Box::new(meanwhile)));
    }

    /// Whether what was to be done meanwhile was done.
    pub(super) fn has_met(&self) -> bool {
        self.3.lock().unwrap().is_none()
    }

    /// Changes the only function that there is, or deletes it, and removes the bodies that it does not name any more.
    pub(super) fn meddle(&self, change: impl FnOnce(Head) -> Option<Head>) {
        let mut heads = self.0.lock().unwrap();
        let (key, stored) = heads.pop_first().unwrap();
        let changed = change(stored.record.clone());
        let named = |body: &ResourceKey| {
            let mut numbers =
                changed.iter().flat_map(|head| head.versions.keys().map(move |each| (head, each)));
            numbers.any(|(head, number)| head.record_key(*number).as_ref() == Some(body))
        };
        self.2.lock().unwrap().retain(|body, _| named(body));
        if let Some(record) = changed {
            let revision = Revision(self.1.fetch_add(1, Ordering::Relaxed) + 1);
            heads.insert(key, Arc::new(Stored { revision, record }));
        }
    }
}

impl CatalogRead for MemoryCatalog {
    fn head(&self, key: &FunctionKey) -> Option<Arc<Stored<Head>>> {
        self.0.lock().unwrap().get(key).cloned()
    }

    fn heads(
        &self,
        account: &str,
        region: &str,
        after: Option<&str>,
        limit: usize,
    ) -> Vec<Arc<Stored<Head>>> {
        let heads = self.0.lock().unwrap();
        let here = |key: &&FunctionKey| &*key.account == account && &*key.region == region;
        let later = |key: &&FunctionKey| after.is_none_or(|after| &*key.name > after);
        heads
            .iter()
            .filter(|(key, _)| here(key) && later(key))
            .take(limit)
            .map(|(_, head)| head.clone())
            .collect()
    }

    fn all(&self) -> Vec<Arc<Stored<Head>>> {
        self.0.lock().unwrap().values().cloned().collect()
    }

    fn version(&self, key: &ResourceKey) -> Option<Arc<Stored<PublishedVersion>>> {
        let waiting = self.3.lock().unwrap().take();
        match waiting {
            Some((1, meanwhile)) => meanwhile(self),
            Some((nth, meanwhile)) => *self.3.lock().unwrap() = Some((nth - 1, meanwhile)),
            None => {}
        }
        self.2.lock().unwrap().get(key).cloned()
    }

    fn watch(&self, _: Watcher) {}
}

impl Catalog for MemoryCatalog {
    fn put_version(&self, version: PublishedVersion) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            let revision = Revision(self.1.fetch_add(1, Ordering::Relaxed) + 1);
            let mut versions = self.2.lock().unwrap();
            versions.insert(version.key.clone(), Arc::new(Stored { revision, record: version }));
            Ok(revision)
        })
    }

    fn delete_version(&self, _: Revision, key: ResourceKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            let gone = self.2.lock().unwrap().remove(&key);
            gone.map(|_| ()).ok_or(CatalogError::Conflict)
        })
    }

    fn versions(&self) -> Vec<Arc<Stored<PublishedVersion>>> {
        self.2.lock().unwrap().values().cloned().collect()
    }

    fn put(&self, expected: Option<Revision>, head: Head) -> Pending<'_, Result<Revision, CatalogError>> {
        Box::pin(async move {
            // As on a disk: others get a turn between the decision and its write.
            tokio::task::yield_now().await;
            let revision = {
                let mut heads = self.0.lock().unwrap();
                if heads.get(&head.key).map(|stored| stored.revision) != expected {
                    return Err(CatalogError::Conflict);
                }
                let revision = Revision(self.1.fetch_add(1, Ordering::Relaxed) + 1);
                heads.insert(head.key.clone(), Arc::new(Stored { revision, record: head }));
                revision
            };
            // And between the write and its answer.
            tokio::task::yield_now().await;
            Ok(revision)
        })
    }

    fn delete(&self, expected: Revision, key: FunctionKey) -> Pending<'_, Result<(), CatalogError>> {
        Box::pin(async move {
            let mut heads = self.0.lock().unwrap();
            if heads.get(&key).map(|stored| stored.revision) != Some(expected) {
                return Err(CatalogError::Conflict);
            }
            heads.remove(&key);
            Ok(())
        })
    }
}

/// Takes whatever begins as a zip file does.
pub(super) struct Packages(tempfile::TempDir, Mutex<Option<Box<dyn FnOnce() + Send>>>);

impl Packages {
    /// What another client does right after the next package is kept or looked at.
    pub(super) fn after_look(&self, meanwhile: impl FnOnce() + Send + 'static) {
        *self.1.lock().unwrap() = Some(Box::new(meanwhile));
    }

    fn looked(&self) {
        let meanwhile = self.1.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile();
        }
    }
}

/// As many bytes unzipped as the zip's text says after `PK`; `PKx` has extensions.
fn contents_of(zip: &[u8]) -> Contents {
    let text = std::str::from_utf8(&zip[2..]).unwrap_or_default();
    Contents { unzipped: text.parse().unwrap_or(1), extensions: text == "x" }
}

impl CodeRead for Packages {
    fn unpacked(&self, _: CodeSha256) -> Option<PathBuf> {
        None
    }
}

impl CodeStore for Packages {
    fn put(&self, zip: Bytes) -> Pending<'_, Result<Code, CodeError>> {
        Box::pin(async move {
            let (code, _) = self.check(zip.clone()).await?;
            std::fs::write(self.0.path().join(code.sha256.hex()), &zip).unwrap();
            self.looked();
            Ok(code)
        })
    }

    fn check(&self, zip: Bytes) -> Pending<'_, Result<(Code, Contents), CodeError>> {
        Box::pin(async move {
            if !zip.starts_with(b"PK") {
                return Err(CodeError::Unusable("no zip".into()));
            }
            let (sha256, size) = (CodeSha256::of(&zip), zip.len() as u64);
            Ok((Code { sha256, size, sdk_packages: [].into(), directory: None }, contents_of(&zip)))
        })
    }

    fn contents(&self, sha256: CodeSha256) -> Pending<'_, Result<Contents, CodeError>> {
        let zip = std::fs::read(self.0.path().join(sha256.hex())).unwrap();
        self.looked();
        Box::pin(async move { Ok(contents_of(&zip)) })
    }

    fn stack(&self, _: Vec<CodeSha256>) -> Pending<'_, Result<(), CodeError>> {
        Box::pin(async { Ok(()) })
    }

    fn zip(&self, sha256: CodeSha256) -> Option<PathBuf> {
        Some(self.0.path().join(sha256.hex())).filter(|path| path.exists())
    }

    fn sweep(&self, _: HashSet<CodeSha256>, _: Duration) -> Pending<'_, Result<usize, CodeError>> {
        Box::pin(async { Ok(0) })
    }
}

/// Every runtime is there, as soon as the gate opens.
#[derive(Default)]
struct Runtimes(Arc<Notify>);

impl RuntimeProvider for Runtimes {
    fn check_platform(&self, _: Runtime) -> Result<(), RuntimeError> {
        Ok(())
    }

    fn installed(&self, _: &RuntimeNeed) -> Option<InstalledRuntime> {
        None
    }

    fn ensure(&self, _: RuntimeNeed) -> Pending<'_, Result<InstalledRuntime, RuntimeError>> {
        Box::pin(async {
            self.0.notified().await;
            Ok(InstalledRuntime {
                version: String::new(),
                sha256: String::new(),
                node: PathBuf::new(),
                runtime_dir: PathBuf::new(),
                modules: PathBuf::new(),
            })
        })
    }
}

/// Answers with its payload; the function's name asks for something else.
#[derive(Default)]
pub(super) struct Echo {
    pub(super) seen: Mutex<Vec<Invocation>>,
    pub(super) released: Notify,
}

impl Provisioning for Echo {
    /// As many as the version's number are there, and all but one of them are free.
    fn kept(&self, _: &FunctionKey, version: Version) -> Kept {
        let Version::Published(number) = version else { unreachable!("nobody can provision $LATEST") };
        let allocated = usize::try_from(number).unwrap();
        Kept { requested: 2, allocated, available: allocated - 1, failure: None }
    }

    fn environments(&self, _: &FunctionKey, version: Version) -> usize {
        let Version::Published(number) = version else { return 0 };
        usize::try_from(number).unwrap()
    }
}

impl Invoke for Echo {
    fn invoke(&self, invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        Box::pin(async move {
            let name = invocation.function.key.name.to_string();
            let payload = invocation.payload.clone();
            let sampled = invocation.trace_id.as_deref().is_some_and(TraceContext::sampled);
            let log_tail = invocation.log_tail.then(|| Bytes::from_static(b"END"));
            self.seen.lock().unwrap().push(invocation);
            let error = match name.as_str() {
                "unhandled" => Some(FunctionError::Unhandled),
                "panics" => panic!("asked for"),
                "throttled" => {
                    let reason = ThrottleReason::ReservedFunctionConcurrentInvocationLimitExceeded;
                    return Err(Error::TooManyRequests { reason });
                }
                "waits" => {
                    self.released.notified().await;
                    None
                }
                _ => None,
            };
            Ok(Reply {
                outcome: Outcome { error, payload },
                executed_version: LATEST.into(),
                log_tail,
                sampled,
            })
        })
    }

    fn stream(&self, invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        Box::pin(async { Ok(Streamed::whole(self.invoke(invocation).await?)) })
    }
}

/// The server on a free port.
pub(super) struct Server {
    pub(super) address: std::net::SocketAddr,
    pub(super) echo: Arc<Echo>,
    pub(super) callers: Callers,
    pub(super) queues: Arc<NoQueues>,
    pub(super) catalog: Arc<MemoryCatalog>,
    pub(super) packages: Arc<Packages>,
    runtimes: Arc<Notify>,
    _logs: tempfile::TempDir,
    stop: Option<oneshot::Sender<()>>,
    serving: tokio::task::JoinHandle<()>,
}

impl Server {
    pub(super) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let runtimes = Arc::new(Notify::new());
        let ambient =
            Ambient { now: || Timestamp(1_767_323_045_678_901), uuid: || uuid::Uuid::new_v4().to_string() };
        let catalog = Arc::new(MemoryCatalog::default());
        let packages = Arc::new(Packages(tempfile::tempdir().unwrap(), Mutex::default()));
        let queues = Arc::new(NoQueues::default());
        let control = Control::new(
            Stores {
                catalog: Arc::<MemoryCatalog>::clone(&catalog),
                code: Arc::<Packages>::clone(&packages),
                layers: MemoryRecords::empty(),
                layer_versions: MemoryRecords::empty(),
                roles: MemoryRecords::empty(),
                managed_policies: MemoryRecords::empty(),
                buckets: None,
                hot_code: None,
            },
            Arc::new(Runtimes(runtimes.clone())),
            ambient,
            Policy::default(),
        );
        let echo = Arc::new(Echo::default());
        let callers = Callers::new(address, HashMap::new());
        let config = ApiConfig::new("000000000000", address);
        let events = super::no_queues::events(&queues, Arc::<MemoryCatalog>::clone(&catalog), echo.clone());
        let directory = tempfile::tempdir().unwrap();
        let metrics = Arc::new(MetricStore::open(directory.path(), &MetricConfig::default()).unwrap());
        let logs = LogStore::open(directory.path(), &lambkin_observe::Config::default(), None).unwrap();
        let logs = Logs::new(Arc::new(logs));
        let own = Own { test_events: MemoryRecords::empty(), machine: Box::new(Machine::default) };
        let rooms = Rooms {
            control,
            invoke: echo.clone(),
            provisioning: echo.clone(),
            events,
            logs,
            metrics,
            traces: Arc::new(NoTraces),
            figures: Vec::new(),
        };
        let api = Api::new(config, rooms, own, &callers);
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { stopped.await.unwrap_or_default() };
        let serving = tokio::spawn(serve(listener, api, shutdown, Duration::from_secs(5)));
        Self {
            address,
            echo,
            callers,
            queues,
            catalog,
            packages,
            runtimes,
            _logs: directory,
            stop: Some(stop),
            serving,
        }
    }

    pub(super) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// One request on a connection of its own, signed, with the usual headers.
    pub(super) async fn ask(&self, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
        let mut client = self.connect().await;
        client.send(method, path, &format!("{SIGNED}{headers}"), body).await;
        client.answer().await
    }

    /// From now on every change of a function ends by itself.
    pub(super) fn settle_all(&self) {
        let runtimes = Arc::clone(&self.runtimes);
        tokio::spawn(async move {
            loop {
                runtimes.notify_one();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
        });
    }

    /// Lets the one pending change of a function end.
    pub(super) async fn settle(&self, name: &str) {
        self.runtimes.notify_one();
        let path = format!("/2015-03-31/functions/{name}/configuration");
        let wait = async {
            loop {
                let body = self.ask("GET", &path, "", b"").await.body();
                if body["State"] == "Active" && body["LastUpdateStatus"] == "Successful" {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), wait).await.expect("settles");
    }

    pub(super) fn stop(&mut self) {
        self.stop.take().unwrap().send(()).unwrap();
    }

    pub(super) async fn ended(self) {
        tokio::time::timeout(Duration::from_secs(10), self.serving).await.expect("in time").unwrap();
    }
}

pub(super) const SIGNED: &str = "Host: localhost\r\nAuthorization: AWS4-HMAC-SHA256 \
    Credential=AKID/20260101/eu-west-1/lambda/aws4_request, SignedHeaders=host, Signature=0\r\n";

pub(super) struct Client(TcpStream);

impl Client {
    pub(super) async fn connect(address: std::net::SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self(stream)
    }
}

impl Client {
    pub(super) async fn send(&mut self, method: &str, path: &str, headers: &str, body: &[u8]) {
        let length =
            if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
        let mut request = format!("{method} {path} HTTP/1.1\r\n{headers}{length}\r\n").into_bytes();
        request.extend_from_slice(body);
        self.raw(&request).await;
    }

    pub(super) async fn raw(&mut self, bytes: &[u8]) {
        self.0.write_all(bytes).await.unwrap();
    }

    pub(super) async fn answer(&mut self) -> Answer {
        let read = async {
            let mut bytes = Vec::new();
            loop {
                if let Some(answer) = Answer::parse(&bytes) {
                    return answer;
                }
                let read = self.0.read_buf(&mut bytes).await.unwrap();
                assert!(read > 0, "the connection was closed: {}", String::from_utf8_lossy(&bytes));
            }
        };
        tokio::time::timeout(Duration::from_secs(20), read).await.expect("an answer")
    }

    /// The server has closed.
    pub(super) async fn is_closed(&mut self) -> bool {
        let mut byte = [0];
        let read =
            tokio::time::timeout(Duration::from_secs(10), self.0.read(&mut byte)).await.expect("in time");
        !matches!(read, Ok(1))
    }
}

#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: BTreeMap<String, String>,
    pub(super) bytes: Vec<u8>,
}

impl Answer {
    fn parse(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).unwrap();
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().unwrap();
        let headers: BTreeMap<String, String> = lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned()))
            .collect();
        let length = headers.get("content-length").map_or(0, |length| length.parse().unwrap());
        let body = &bytes[end + 4..];
        (body.len() >= length).then(|| Self { status, headers, bytes: body[..length].to_vec() })
    }

    pub(super) fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    pub(super) fn body(&self) -> serde_json::Value {
        serde_json::from_slice(&self.bytes).expect("JSON")
    }

    /// Status, code and message.
    pub(super) fn error(&self) -> (u16, String, String) {
        let body = self.body();
        let text = body.get("message").or(body.get("Message")).and_then(|text| text.as_str());
        (self.status, self.header("x-amzn-errortype").to_owned(), text.unwrap_or_default().to_owned())
    }
}
