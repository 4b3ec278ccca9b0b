//! Everything the data plane stands on, in memory.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use bytes::Bytes;
use lambkin_invoke::{Invoker, InvokerConfig, Ports};
use lambkin_model::Error;
use lambkin_model::catalog::{CatalogRead as _, Head};
use lambkin_model::code::{Code, CodeSha256};
use lambkin_model::function::{Configuration, FunctionVersion, LastUpdate, State};
use lambkin_model::invocation::{Invocation, Invoke as _, Reply, RequestId, Streamed};
use lambkin_model::name::{DEFAULT_ACCOUNT, FunctionKey, FunctionReference, LATEST};
use lambkin_model::provisioned::Provisioned;
use lambkin_model::runtime::Runtime;
use lambkin_model::time::Timestamp;
use tokio::task::JoinHandle;

use crate::caching::Caches;
use crate::catalog::Catalog;
use crate::provided::{CodeDirectory, Runtimes};
use crate::stage::Stage;
use crate::told::{Logs, Measured, Traced};

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
