//! Running a test, and waiting in it.

use std::time::Duration;

/// No wait takes longer, unless it failed; on a machine that says that it is slow, times `slowness`.
const DEADLINE: Duration = Duration::from_secs(30);

/// `$LAMBKIN_TEST_SLOWNESS`: how many times slower this machine is than a usual one.
pub(crate) fn slowness() -> u32 {
    std::env::var("LAMBKIN_TEST_SLOWNESS").ok().and_then(|factor| factor.parse().ok()).unwrap_or(1)
}

pub(crate) fn deadline() -> Duration {
    DEADLINE * slowness()
}

/// Two threads, as lambkin has more than one.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("a runtime").block_on(test);
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(deadline(), future).await.expect("in time")
}
