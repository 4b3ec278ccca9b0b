//! `lambkin serve`: opens the store, wires the rooms together, serves until a signal, and closes
//! everything in order.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use lambkin_api::{Api, ApiConfig, Callers};
use lambkin_control::{Ambient, Control, Policy};
use lambkin_events::outbound::Carrier;
use lambkin_events::recursion::Guard;
use lambkin_invoke::{Invoker, InvokerConfig, Ports};
use lambkin_model::invocation::Invoke;
use lambkin_model::name::DEFAULT_ACCOUNT;
use lambkin_model::time::Timestamp;
use lambkin_observe::LogStore;
use lambkin_sandbox::Isolated;
use lambkin_store::{QueueConfig, Store, StoreConfig};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use crate::arguments::Serve;
use crate::events;
use crate::external::Couriers;
use crate::memory_budget;
use crate::places;
use crate::role_credentials;

/// Packages that no function uses go after this time: longer than an invocation may run on them.
const CODE_GRACE: Duration = Duration::from_secs(20 * 60);

/// How long each store may take to write its last at a shutdown.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

pub(crate) async fn serve(options: Serve) -> Result<(), String> {
    if !options.listen.ip().is_loopback() && !options.allow_unauthenticated {
        return Err(format!(
            "{} can be reached from other machines, and lambkin does not verify signatures yet: whoever reaches it can \
             run code here. Listen on 127.0.0.1, or say --allow-unauthenticated",
            options.listen
        ));
    }
    let network = options.network.with(options.network_allow)?;
    let roles = match &options.role_credentials {
        Some(file) => role_credentials::read(file, role_credentials::shared())?,
        None => HashMap::new(),
    };
    let carrier: Option<Arc<dyn Carrier>> = match &options.external {
        Some(file) => Some(Arc::new(Couriers::read(file, role_credentials::shared())?)),
        None => None,
    };
    let data = places::data(options.data)?;
    let queues = QueueConfig {
        max_bytes: options.max_backlog.map(|megabytes| megabytes.saturating_mul(1 << 20)),
        ..QueueConfig::default()
    };
    let config = StoreConfig { queues, kinds: events::kinds(StoreConfig::default().kinds) };
    let store = Store::open(&data, config).map_err(|error| error.to_string())?;
    let logs = Arc::new(
        LogStore::open(&data, &lambkin_observe::Config::default()).map_err(|error| error.to_string())?,
    );
    let runtimes = Arc::new(places::runtimes(options.sources)?);
    let sandboxes = lambkin_sandbox::Config::new(data.join("environments"));
    let sandboxes = Isolated::start(options.isolation.into(), network, sandboxes).await;
    let sandboxes = sandboxes.map_err(|error| error.to_string())?;
    let ambient = Ambient { now, uuid: || uuid::Uuid::new_v4().to_string() };
    let policy = Policy {
        refuse_retired_runtimes: options.refuse_deprecated_runtimes,
        concurrency: options.max_concurrency,
    };
    let control = Control::new(store.catalog(), store.code(), runtimes.clone(), ambient, policy);
    let listener = TcpListener::bind(options.listen).await;
    let listener = listener.map_err(|error| format!("cannot listen on {}: {error}", options.listen))?;
    let address = listener.local_addr().map_err(|error| error.to_string())?;
    let callers = Callers::new(address, roles);
    let ports = Ports {
        catalog: store.catalog(),
        code: store.code(),
        runtimes,
        launcher: sandboxes.launcher(),
        logs: logs.clone(),
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
            ..InvokerConfig::default()
        },
    );
    let mut interrupt = signal(SignalKind::interrupt()).map_err(|error| error.to_string())?;
    let mut terminate = signal(SignalKind::terminate()).map_err(|error| error.to_string())?;
    control.resume();
    let sweeper = tokio::spawn(sweep_code(Arc::clone(&control)));
    let guard: Arc<dyn Invoke> = Arc::new(Guard::new(Arc::new(invoker.clone()), store.catalog()));
    let event_options = events::Options {
        concurrency: options.max_concurrency,
        retry_scale: options.event_retry_scale,
        address: callers.endpoint().to_owned(),
        payload_limit: options.event_payload_limit,
        carrier,
    };
    let moving = events::Running::start(&store, Arc::clone(&guard), &event_options);
    let api = Api::new(
        ApiConfig::new(DEFAULT_ACCOUNT, address),
        Arc::clone(&control),
        guard,
        moving.events.clone(),
        &callers,
    );
    let sqs = moving.events.sqs.clone();
    tracing::info!(
        data = %data.display(),
        isolation = sandboxes.description(),
        memory_mb = memory.map(|(budget, _)| budget >> 20),
        "lambkin is up"
    );
    greet(address, memory);
    let (stopping, stopped) = oneshot::channel::<()>();
    let stop = async move {
        let name = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        tracing::info!(signal = name, "shutting down: running invocations may finish");
        sqs.close();
        // Nobody listens any more only where serving failed.
        let _ = stopping.send(());
    };
    let grace = Duration::from_secs_f64(options.grace);
    let drained = async {
        let _ = stopped.await;
        moving.drain(grace).await;
    };
    tokio::join!(lambkin_api::serve(listener, api, stop, grace), drained);
    sweeper.abort();
    moving.shutdown().await;
    control.shutdown().await;
    // What the API let finish has finished; what it cut off does not get another grace.
    invoker.shutdown(Duration::from_millis(500)).await;
    sandboxes.shutdown().await;
    let closing = tokio::task::spawn_blocking(move || {
        if let Err(error) = logs.close(CLOSE_TIMEOUT) {
            tracing::warn!(%error, "not every log line could be written in time");
        }
        if !store.close(CLOSE_TIMEOUT) {
            tracing::warn!("the store could not be closed in time");
        }
    });
    closing.await.map_err(|error| error.to_string())?;
    tracing::info!("lambkin is down");
    Ok(())
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
fn greet(address: SocketAddr, memory: Option<(u64, u64)>) {
    println!("listening on http://{address}");
    match memory {
        Some((budget, of)) => println!("memory for functions: {} MB of {} MB", budget >> 20, of >> 20),
        None => println!("memory for functions: no bound"),
    }
    println!(
        r#"
Try it, with the aws CLI (any credentials will do):

  export AWS_ENDPOINT_URL=http://{address} AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
  echo 'exports.handler = async (event) => `Hello, ${{event.name}}!`' > index.js && zip hello.zip index.js
  aws lambda create-function --function-name hello --runtime nodejs22.x --handler index.handler \
      --role arn:aws:iam::{DEFAULT_ACCOUNT}:role/any --zip-file fileb://hello.zip
  aws lambda wait function-active-v2 --function-name hello
  echo '{{"name":"world"}}' > event.json
  aws lambda invoke --function-name hello --payload fileb://event.json --log-type Tail out.json && cat out.json
"#
    );
}
