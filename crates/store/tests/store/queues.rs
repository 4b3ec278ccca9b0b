//! The conformance suite of the queues port: what its documentation says, as cases that any store behind it must
//! pass. Each case has a queue of its own.

mod lanes;
mod leases;
mod looking;
mod messages;
mod parts;
mod waiting;

use std::sync::Arc;

use lambkin_model::queue::{QueueError, QueueName};
use lambkin_store::{Faulty, Plan, Store, StoreConfig};

use crate::support::{SOON, runtime};
use lanes::{lanes_are_in_order, lanes_begin_again, lanes_wait_for_delays, lanes_wait_for_every_lease};
use leases::{extends, holds, leases_end, refuses_handles, releases};
use looking::{counts_each, counts_many, expires, names_queues, peeks, purges};
use messages::{
    bounds_content, deduplicates, delays, keeps_order, knows_no_queue, sends_and_receives, settles_with_posts,
};
pub(crate) use parts::{Any, in_lane, message, number};
use parts::{LONG, await_one, counts, send, settle};
use waiting::{gives_back_what_nobody_took, serves_many_at_once, tells_watchers, wakes_who_waits};

/// Runs the cases named, each on a queue of its own, all at once.
macro_rules! cases {
    ($queues:expr, $($case:ident),+ $(,)?) => {{
        let mut tasks = tokio::task::JoinSet::new();
        $(
            let (queues, queue) = (Arc::clone($queues), QueueName(concat!("test/", stringify!($case)).into()));
            tasks.spawn(async move {
                let case = tokio::spawn($case(queues, queue));
                tokio::time::timeout(4 * SOON, case).await.map(|done| (stringify!($case), done))
            });
        )+
        for done in tasks.join_all().await {
            let (name, done) = done.expect("a case ends");
            assert!(done.is_ok(), "the case {name} failed");
        }
    }};
}

/// What any store of queues must do.
pub(crate) async fn conforms(queues: &Any) {
    cases!(
        queues,
        sends_and_receives,
        knows_no_queue,
        keeps_order,
        leases_end,
        refuses_handles,
        extends,
        releases,
        holds,
        delays,
        deduplicates,
        lanes_are_in_order,
        lanes_wait_for_every_lease,
        lanes_wait_for_delays,
        lanes_begin_again,
        settles_with_posts,
        bounds_content,
        peeks,
        counts_each,
        counts_many,
        names_queues,
        purges,
        expires,
        wakes_who_waits,
        gives_back_what_nobody_took,
        tells_watchers,
        serves_many_at_once,
    );
}

#[test]
fn sqlite_queues_conform() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let queues: Any = store.queues();
    runtime().block_on(conforms(&queues));
    assert!(store.close(SOON));
}

#[test]
fn faulty_queues_without_faults_conform() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let queues: Any = Arc::new(Faulty::new(store.queues()));
    runtime().block_on(conforms(&queues));
}

/// What fails by plan changes nothing: a settlement that fails leaves its message and sends nothing.
#[test]
fn faulty_queues_fail_by_plan() {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let faulty = Arc::new(Faulty::new(store.queues()));
    let queues: Any = faulty.clone();
    let (queue, dead) = (QueueName("test/faulty".into()), QueueName("test/dead".into()));
    runtime().block_on(async {
        send(&queues, &queue, [message(1)]).await;
        let received = await_one(&queues, &queue, LONG).await;
        for plan in [Plan::Every, Plan::Nth(1), Plan::NoSpace, Plan::CloseAfter(0)] {
            faulty.set(plan);
            let failed = settle(&queues, &received.handle, vec![(dead.clone(), message(1))]).await;
            let expected = if plan == Plan::NoSpace {
                matches!(failed, Err(QueueError::Full(_)))
            } else {
                matches!(failed, Err(QueueError::Unavailable(_)))
            };
            assert!(expected, "{plan:?}: {failed:?}");
            faulty.set(plan);
            assert!(queues.send(vec![(queue.clone(), message(2))]).await.is_err());
            faulty.set(Plan::Sound);
            assert_eq!(counts(&queues, &queue).await, (0, 1, 0));
            assert_eq!(counts(&queues, &dead).await, (0, 0, 0));
        }
        faulty.set(Plan::RaceAtNth(1));
        assert_eq!(settle(&queues, &received.handle, vec![]).await, Err(QueueError::Stale));
        // Without room there is still room to settle.
        faulty.set(Plan::NoSpace);
        settle(&queues, &received.handle, vec![]).await.unwrap();
        assert_eq!(queues.names("test/").await.unwrap(), []);
    });
}
