//! `lambkin serve`: opens the store, wires the rooms together, serves until a signal, and closes
//! everything in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambkin_api::{Api, ApiConfig, Callers, Machine, Own, Rooms};
use lambkin_control::{Ambient, Control, Policy, Stores};
use lambkin_events::outbound::Carrier;
use lambkin_events::recursion::Guard;
use lambkin_invoke::{Bandwidth, Invoker, InvokerConfig, Ports};
use lambkin_model::bucket::Buckets;
use lambkin_model::hot_code::HotCode;
use lambkin_model::iam::{ManagedPolicy, Role};
use lambkin_model::invocation::Invoke;
use lambkin_model::keys::Keys;
use lambkin_model::layer::{Layer, LayerVersion};
use lambkin_model::name::DEFAULT_ACCOUNT;
use lambkin_model::test_event::TestEvents;
use lambkin_model::time::Timestamp;
use lambkin_observe::LogStore;
use lambkin_observe::logs::Logs;
use lambkin_observe::metrics::{MetricConfig, MetricStore};
use lambkin_sandbox::Isolated;
use lambkin_store::{HotDirectories, Kinds, QueueConfig, Store, StoreConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::Serve;
use crate::buckets;
use crate::collector;
use crate::events;
use crate::external::Couriers;
use crate::keys::KeyFile;
use crate::memory_budget;
use crate::output;
use crate::places;
use crate::process_figures::ProcessFigures;
use crate::role_credentials;
use crate::tls::Files;

/// Packages that no function uses go after this time: longer than an invocation may run on them.
const CODE_GRACE: Duration = Duration::from_secs(20 * 60);

/// How long each store may take to write its last at a shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a collector may take for the last spans: nothing waits for it otherwise, and no shutdown for long.
const TRACES_TIMEOUT: Duration = Duration::from_secs(2);

pub(crate) async fn serve(options: Serve) -> Result<(), String> {
    let data = places::data(options.data)?;
    let keys = Arc::new(KeyFile::open(&data)?);
    let verified = keys.ring().is_some();
    let reachable =
        [Some(options.listen), options.url_listen].into_iter().flatten().find(|at| !at.ip().is_loopback());
    if let Some(address) = reachable
        && keys.ring().is_none_or(|ring| ring.is_empty())
        && !options.allow_unauthenticated
    {
        return Err(format!(
            "{address} can be reached from other machines, and there is no key to verify signatures by: whoever reaches \
             it can run code here. Make one (lambkin keys create), listen on 127.0.0.1, or say --allow-unauthenticated"
        ));
    }
    if let Some(address) = options.metrics_listen.filter(|at| !at.ip().is_loopback())
        && !options.allow_unauthenticated_metrics
    {
        return Err(format!(
            "{address} can be reached from other machines, and signatures are not verified there: whoever reaches it reads \
             what functions and queues there are and what they do. Listen on 127.0.0.1, or say --allow-unauthenticated-metrics"
        ));
    }
    let files = options.tls_cert.zip(options.tls_key).map(|(certificate, key)| Files { certificate, key });
    let tls = files.as_ref().map(Files::open).transpose()?;
    let network = options.network.with(options.network_allow)?;
    let roles = match &options.role_credentials {
        Some(file) => role_credentials::read(file, role_credentials::shared())?,
        None => HashMap::new(),
    };
    let couriers = match &options.external {
        Some(file) => Some(Arc::new(Couriers::read(file, role_credentials::shared())?)),
        None => None,
    };
    let buckets = buckets::Sources::new(options.buckets, couriers.clone())?;
    let buckets: Option<Arc<dyn Buckets>> = buckets.map(|buckets| Arc::new(buckets) as _);
    let carrier: Option<Arc<dyn Carrier>> = couriers.map(|couriers| couriers as _);
    let queues = QueueConfig {
        max_bytes: options.max_backlog.map(|megabytes| megabytes.saturating_mul(1 << 20)),
        ..QueueConfig::default()
    };
    let config = StoreConfig { queues, kinds: kinds(), unpacker: places::unpacker() };
    let store = Store::open(&data, config).map_err(|error| error.to_string())?;
    let log_config = lambkin_observe::Config {
        cap: options.log_cap.saturating_mul(1 << 20),
        ..lambkin_observe::Config::default()
    };
    let metric_config = MetricConfig { cap: options.metric_cap.saturating_mul(1 << 20) };
    let metrics = Arc::new(MetricStore::open(&data, &metric_config).map_err(|error| error.to_string())?);
    let logs = LogStore::open(&data, &log_config, Some(Arc::clone(&metrics)));
    let logs = Arc::new(logs.map_err(|error| error.to_string())?);
    let cached = places::runtimes_root(options.sources.runtimes.clone())?;
    let traces = Arc::new(collector::exporter(options.otlp_endpoint.as_deref())?);
    let runtimes = Arc::new(places::runtimes(options.sources)?);
    let hot_code = hot_code(&options.hot_reload, [data.clone(), cached])?;
    let sandboxes = lambkin_sandbox::Config::new(data.join("environments"));
    let sandboxes = Isolated::start(options.isolation.into(), network, sandboxes).await;
    let sandboxes = sandboxes.map_err(|error| error.to_string())?;
    let ambient = Ambient { now, uuid: || uuid::Uuid::new_v4().to_string() };
    let policy = Policy {
        refuse_retired_runtimes: options.refuse_deprecated_runtimes,
        concurrency: options.max_concurrency,
    };
    let control = Control::new(
        Stores {
            catalog: store.catalog(),
            code: store.code(),
            layers: store.records::<Layer>(),
            layer_versions: store.records::<LayerVersion>(),
            roles: store.records::<Role>(),
            managed_policies: store.records::<ManagedPolicy>(),
            buckets,
            hot_code: hot_code.clone(),
        },
        runtimes.clone(),
        ambient,
        policy,
    );
    let listener = bind(options.listen).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let (url_listener, url_address) = bind_where(options.url_listen).await?.unzip();
    let (metrics_listener, metrics_address) = bind_where(options.metrics_listen).await?.unzip();
    // Plain processes have no listener of their own, and clients that would trust the certificate.
    let inner = match &tls {
        Some(_) => Some(TcpListener::bind("127.0.0.1:0").await.map_err(|error| error.to_string())?),
        None => None,
    };
    let inside = match &inner {
        Some(inner) => inner.local_addr().map_err(|error| error.to_string())?,
        None => address,
    };
    let callers = Callers::new(inside, roles);
    let ports = Ports {
        catalog: store.catalog(),
        code: store.code(),
        hot_code,
        runtimes,
        launcher: sandboxes.launcher(),
        logs: logs.clone(),
        metrics: metrics.clone(),
        traces: traces.clone(),
        compile_caches: Some(store.compile_caches()),
        services: Some(Arc::new(callers.clone())),
    };
    let memory = memory_budget::budget(options.memory_share);
    let invoker = Invoker::new(
        ports,
        InvokerConfig {
            concurrency: options.max_concurrency,
            idle_timeout: Duration::from_secs_f64(options.idle_timeout),
            memory: memory.map(|(budget, _)| budget),
            warm_pool: options.warm_pool.unwrap_or_else(memory_budget::warm_pool),
            stream_bandwidth: options.throttle_streams.then_some(Bandwidth::AWS),
            ..InvokerConfig::default()
        },
    );
    metrics.sample(invoker.sampler());
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    let orphans = control.sweep_versions().await.map_err(|error| error.to_string())?;
    if orphans > 0 {
        tracing::info!(orphans, "removed versions that were never published or not wholly deleted");
    }
    control.resume();
    let sweeper = tokio::spawn(sweep_code(Arc::clone(&control)));
    let guard: Arc<dyn Invoke> = Arc::new(Guard::new(Arc::new(invoker.clone()), store.catalog()));
    let event_options = events::Options {
        concurrency: options.max_concurrency,
        retry_scale: options.event_retry_scale,
        address: if tls.is_some() { format!("https://{address}") } else { callers.endpoint().to_owned() },
        payload_limit: options.event_payload_limit,
        metrics: metrics.clone(),
        traces: traces.clone(),
        carrier,
    };
    let moving = events::Running::start(&store, Arc::clone(&guard), &event_options);
    let api = Api::new(
        ApiConfig { keys, secure: tls.is_some(), ..ApiConfig::new(DEFAULT_ACCOUNT, address) },
        Rooms {
            control: Arc::clone(&control),
            invoke: guard,
            provisioning: Arc::new(invoker.clone()),
            events: moving.events.clone(),
            logs: Logs::new(Arc::clone(&logs)),
            metrics: Arc::clone(&metrics),
            traces: traces.clone(),
            figures: vec![
                Arc::new(invoker.clone()),
                logs.clone(),
                Arc::new(ProcessFigures::new(&data, sandboxes.kind())),
            ],
        },
        own(&store, &sandboxes, &invoker, memory),
        &callers,
    );
    let sqs = moving.events.sqs.clone();
    tracing::info!(
        data = %data.display(),
        isolation = sandboxes.description(),
        memory_mb = memory.map(|(budget, _)| budget >> 20),
        "lambkin is up"
    );
    // Before anybody is told that lambkin is up: until then SIGHUP ends it.
    let following = match (files, &tls) {
        (Some(files), Some(tls)) => Some(files.follow(tls.clone())?),
        _ => None,
    };
    greet(address, (url_address, metrics_address), memory, verified, tls.is_some());
    let (stopping, stopped) = watch::channel(());
    let stop = async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "shutting down: running invocations may finish");
        sqs.close();
        stopping.send_replace(());
    };
    let grace = Duration::from_secs_f64(options.grace);
    let by_path = async {
        let Some(listener) = url_listener else { return };
        let mut stopped = stopped.clone();
        let stop = async move { drop(stopped.changed().await) };
        lambkin_api::serve_urls(listener, Arc::clone(&api), tls.clone(), stop, grace).await;
    };
    let scraped = async {
        let Some(listener) = metrics_listener else { return };
        let mut stopped = stopped.clone();
        let stop = async move { drop(stopped.changed().await) };
        lambkin_api::serve_metrics(listener, Arc::clone(&api), tls.clone(), stop, grace).await;
    };
    let drained = async {
        let mut stopped = stopped.clone();
        let _ = stopped.changed().await;
        moving.drain(grace).await;
    };
    let (ended, end) = watch::channel(());
    let served = async {
        match tls.clone() {
            Some(tls) => lambkin_api::serve_tls(listener, Arc::clone(&api), tls, stop, grace).await,
            None => lambkin_api::serve(listener, Arc::clone(&api), stop, grace).await,
        }
        ended.send_replace(());
    };
    let inside = async {
        let Some(inner) = inner else { return };
        let mut end = end;
        let stop = async move { drop(end.changed().await) };
        lambkin_api::serve(inner, Arc::clone(&api), stop, Duration::ZERO).await;
    };
    tokio::join!(served, by_path, scraped, inside, drained);
    if let Some(following) = following {
        following.abort();
        let _ = following.await;
    }
    sweeper.abort();
    moving.shutdown().await;
    control.shutdown().await;
    // What the API let finish has finished; what it cut off does not get another grace.
    invoker.shutdown(Duration::from_millis(500)).await;
    sandboxes.shutdown().await;
    let closing = tokio::task::spawn_blocking(move || {
        traces.close(TRACES_TIMEOUT);
        if let Err(error) = logs.close(CLOSE_TIMEOUT) {
            tracing::warn!(%error, "not every log line could be written in time");
        }
        // After the logs, whose last lines may be metrics.
        metrics.close();
        if !store.close(CLOSE_TIMEOUT) {
            tracing::warn!("the store could not be closed in time");
        }
    });
    closing.await.map_err(|error| error.to_string())?;
    tracing::info!("lambkin is down");
    Ok(())
}

/// The kinds of records that there are beside the catalog's own.
fn kinds() -> Kinds {
    events::kinds(Kinds::default())
        .with::<Layer>()
        .with::<LayerVersion>()
        .with::<Role>()
        .with::<ManagedPolicy>()
        .with::<TestEvents>()
}

/// What lambkin's own API shows of this machine, and where it keeps what it saves.
fn own(store: &Store, sandboxes: &Isolated, invoker: &Invoker, memory: Option<(u64, u64)>) -> Own {
    let (isolation, invoker) = (sandboxes.description(), invoker.clone());
    let look = move || {
        let (environments, bytes) = invoker.load();
        Machine {
            isolation: isolation.clone(),
            memory_mb: memory.map(|(budget, _)| budget >> 20),
            memory_used_mb: bytes >> 20,
            environments,
        }
    };
    Own { test_events: store.records(), machine: Box::new(look) }
}

/// Code that is reloaded as it changes, from below `roots`; never from lambkin's `own` directories.
fn hot_code(roots: &[PathBuf], own: [PathBuf; 2]) -> Result<Option<Arc<dyn HotCode>>, String> {
    if roots.is_empty() {
        return Ok(None);
    }
    for directory in &own {
        std::fs::create_dir_all(directory).map_err(|error| format!("{}: {error}", directory.display()))?;
    }
    let directories = HotDirectories::new(roots, &own).map_err(|error| error.to_string())?;
    Ok(Some(Arc::new(directories)))
}

async fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).await.map_err(|error| format!("cannot listen on {address}: {error}"))
}

/// A listener with its address, where one is asked for.
async fn bind_where(asked: Option<SocketAddr>) -> Result<Option<(TcpListener, SocketAddr)>, String> {
    let Some(address) = asked else { return Ok(None) };
    let listener = bind(address).await?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    Ok(Some((listener, address)))
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(u64::try_from(since.as_micros()).unwrap_or(u64::MAX))
}

async fn sweep_code(control: Arc<Control>) {
    // Nothing of a former process runs any more.
    let mut grace = Duration::ZERO;
    loop {
        match control.sweep_code(grace).await {
            Ok(0) => {}
            Ok(count) => tracing::info!(count, "removed deployment packages that no function uses"),
            Err(error) => tracing::warn!(%error, "deployment packages could not be swept"),
        }
        grace = CODE_GRACE;
        tokio::time::sleep(CODE_GRACE / 2).await;
    }
}

/// The line that tools wait for comes first.
fn greet(
    address: SocketAddr,
    (urls, metrics): (Option<SocketAddr>, Option<SocketAddr>),
    memory: Option<(u64, u64)>,
    verified: bool,
    secure: bool,
) {
    let scheme = if secure { "https" } else { "http" };
    let mut said = format!("listening on {scheme}://{address}\n");
    if let Some(urls) = urls {
        said += &format!("function URLs by path: {scheme}://{urls}/<url-id>/\n");
    }
    if let Some(metrics) = metrics {
        said += &format!("metrics for Prometheus, without signatures: {scheme}://{metrics}/metrics\n");
    }
    said += &match memory {
        Some((budget, of)) => format!("memory for functions: {} MB of {} MB\n", budget >> 20, of >> 20),
        None => "memory for functions: no bound\n".to_owned(),
    };
    if lambkin_api::has_console() {
        said += &format!("console: {scheme}://{address}/console\n");
    }
    if verified {
        said += "signatures are verified: sign with a key of `lambkin keys create`\n";
    } else {
        said += &first_function(&format!("{scheme}://{address}"));
    }
    // Functions are served whether somebody reads this or not.
    if let Err(error) = output::say(&said) {
        tracing::warn!("{error}");
    }
}

fn first_function(endpoint: &str) -> String {
    format!(
        r#"
Try it, with the aws CLI (any credentials will do):

  export AWS_ENDPOINT_URL={endpoint} AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo 'exports.handler = async (event) => `Hello, ${{event.name}}!`' > index.js && zip hello.zip index.js
  aws lambda create-function --function-name hello --runtime nodejs22.x --handler index.handler \
      --role arn:aws:iam::{DEFAULT_ACCOUNT}:role/any --zip-file fileb://hello.zip
  aws lambda wait function-active-v2 --function-name hello
  echo '{{"name":"world"}}' > event.json
  aws lambda invoke --function-name hello --payload fileb://event.json --log-type Tail out.json && cat out.json

"#
    )
}
