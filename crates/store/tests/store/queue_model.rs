//! Queues against a list in memory: any walk of sends, receives, settlements and their like, with restarts in
//! between, leaves both with the same content, and gives nobody what is somebody else's.

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use lambkin_model::queue::{
    Counts, Handle, Lease, Message, MessageId, Post, QueueError, QueueName, Queues, Receive, Sent,
};
use lambkin_model::time::Timestamp;
use lambkin_store::{Store, StoreConfig};
use proptest::prelude::*;

use crate::queues::{Any, message};
use crate::support::{SOON, runtime};

/// No walk takes so long: what is delayed or leased for this stays so.
const LONG: Duration = Duration::from_secs(3600);
const QUEUES: [&str; 2] = ["walk/a", "walk/b"];
const LANES: [Option<&str>; 4] = [None, None, Some("x"), Some("y")];

#[derive(Debug, Clone)]
struct Send {
    queue: usize,
    lane: usize,
    text: Option<u8>,
    delayed: bool,
    /// Second since 1970 it says it was sent; `None`: now.
    sent: Option<u64>,
}

#[derive(Debug, Clone)]
enum Step {
    Send(Vec<Send>),
    Receive {
        queue: usize,
        max: usize,
        held: bool,
    },
    /// The first number picks a handle that was given at any time.
    Extend(usize, bool),
    Release {
        handle: usize,
        delayed: bool,
        mark: u32,
    },
    Settle(Vec<(usize, Vec<Send>)>),
    Purge(usize),
    Expire {
        queue: usize,
        second: u64,
    },
    Restart,
}

fn a_send() -> impl Strategy<Value = Send> {
    let text = prop::option::weighted(0.2, 0..3_u8);
    let sent = prop::option::weighted(0.3, 1..20_u64);
    (0..QUEUES.len(), 0..LANES.len(), text, prop::bool::weighted(0.2), sent)
        .prop_map(|(queue, lane, text, delayed, sent)| Send { queue, lane, text, delayed, sent })
}

fn step() -> impl Strategy<Value = Step> {
    let queue = 0..QUEUES.len();
    let handle = any::<usize>();
    let settled = (any::<usize>(), prop::collection::vec(a_send(), 0..2));
    prop_oneof![
        8 => prop::collection::vec(a_send(), 1..5).prop_map(Step::Send),
        8 => (queue.clone(), 1..5_usize, any::<bool>())
            .prop_map(|(queue, max, held)| Step::Receive { queue, max, held }),
        3 => (handle, any::<bool>()).prop_map(|(handle, long)| Step::Extend(handle, long)),
        4 => (handle, prop::bool::weighted(0.2), 0..3_u32)
            .prop_map(|(handle, delayed, mark)| Step::Release { handle, delayed, mark }),
        5 => prop::collection::vec(settled, 1..4).prop_map(Step::Settle),
        1 => queue.clone().prop_map(Step::Purge),
        1 => (queue, 1..25_u64).prop_map(|(queue, second)| Step::Expire { queue, second }),
        1 => Just(Step::Restart),
    ]
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Ready,
    Delayed,
    Held,
    Leased,
}

struct Kept {
    sent: Sent,
    lane: Option<&'static str>,
    first_sent: Option<u64>,
    standing: Standing,
    /// The handle that is good for it.
    handle: Option<Handle>,
    received: u32,
    mark: u32,
}

impl Kept {
    fn is_taken(&self) -> bool {
        matches!(self.standing, Standing::Held | Standing::Leased)
    }
}

#[derive(Default)]
struct Model {
    queues: [Vec<Kept>; 2],
    texts: BTreeMap<(usize, u8), Sent>,
    handles: Vec<Handle>,
    ids: u32,
}

impl Model {
    fn posts(&mut self, sends: &[Send]) -> Vec<Post> {
        let post = |send: &Send| {
            self.ids += 1;
            let message = Message {
                lane: LANES[send.lane].map(Into::into),
                deduplication: send.text.map(|text| format!("text {text}").into()),
                sent: send.sent.map(|second| Timestamp(second * 1_000_000)),
                delay: if send.delayed { LONG } else { Duration::ZERO },
                ..message(self.ids)
            };
            (QueueName(QUEUES[send.queue].into()), message)
        };
        sends.iter().map(post).collect()
    }

    /// What was sent is there, or repeats what it must. `places` are not known where a settlement sent it.
    fn sent(&mut self, sends: &[Send], posts: &[Post], answers: Option<&[Sent]>) {
        for (at, (send, (_, message))) in sends.iter().zip(posts).enumerate() {
            let first = send.text.and_then(|text| self.texts.get(&(send.queue, text)).copied());
            let answer = answers.map(|answers| answers[at]);
            if let Some(first) = first {
                if let Some(answer) = answer {
                    assert_eq!((answer.id, answer.duplicate), (first.id, true));
                }
                continue;
            }
            let sent = answer.unwrap_or(Sent { id: message.id, sequence: 0, duplicate: false });
            assert_eq!((sent.id, sent.duplicate), (message.id, false));
            if let Some(text) = send.text {
                self.texts.insert((send.queue, text), sent);
            }
            self.queues[send.queue].push(Kept {
                sent,
                lane: LANES[send.lane],
                first_sent: send.sent,
                standing: if send.delayed { Standing::Delayed } else { Standing::Ready },
                handle: None,
                received: 0,
                mark: message.mark,
            });
        }
    }

    /// How many a receive may have: whatever is ready without a lane, and of each lane that nobody has any of
    /// what is ready at its front.
    fn available(&self, queue: usize) -> HashSet<MessageId> {
        let mut available = HashSet::new();
        let mut shut: HashSet<&str> =
            self.queues[queue].iter().filter(|kept| kept.is_taken()).filter_map(|kept| kept.lane).collect();
        for kept in &self.queues[queue] {
            let ready = kept.standing == Standing::Ready;
            match kept.lane {
                None if ready => available.insert(kept.sent.id),
                Some(lane) if ready && !shut.contains(lane) => available.insert(kept.sent.id),
                Some(lane) => shut.insert(lane),
                None => false,
            };
        }
        available
    }

    fn find(&mut self, handle: &Handle) -> Option<(usize, usize)> {
        let of = |queue: usize| {
            self.queues[queue]
                .iter()
                .position(|kept| kept.handle.as_ref() == Some(handle))
                .map(|at| (queue, at))
        };
        of(0).or_else(|| of(1))
    }

    fn handle(&self, pick: usize) -> Option<Handle> {
        (!self.handles.is_empty()).then(|| self.handles[pick % self.handles.len()].clone())
    }

    async fn same(&self, queues: &Any) {
        for (queue, name) in self.queues.iter().zip(QUEUES) {
            let name = QueueName(name.into());
            let peeked = queues.peek(&name, 0, 1000).await.unwrap();
            let found: Vec<_> = peeked.iter().map(|each| (each.id, each.received, each.mark)).collect();
            let expected: Vec<_> =
                queue.iter().map(|kept| (kept.sent.id, kept.received, kept.mark)).collect();
            assert_eq!(found, expected, "{name}");
            let Counts { visible, in_flight, delayed, oldest } = queues.counts(&name).await.unwrap();
            let count = |standings: &[Standing]| {
                queue.iter().filter(|kept| standings.contains(&kept.standing)).count() as u64
            };
            assert_eq!(
                (visible, in_flight, delayed),
                (
                    count(&[Standing::Ready]),
                    count(&[Standing::Held, Standing::Leased]),
                    count(&[Standing::Delayed])
                ),
                "{name}"
            );
            let expected = queue.iter().map(|kept| kept.first_sent.unwrap_or(u64::MAX)).min();
            let found =
                oldest.map(|oldest| if oldest.0 < 100_000_000 { oldest.0 / 1_000_000 } else { u64::MAX });
            assert_eq!(found, expected, "{name}");
            let named = queues.names("walk/").await.unwrap().contains(&name);
            assert_eq!(named, !queue.is_empty());
        }
    }
}

async fn receive(queues: &Any, model: &mut Model, queue: usize, max: usize, held: bool) {
    let lease = if held { Lease::Held } else { Lease::For(LONG) };
    let ask = Receive { max, lease, wait: Duration::ZERO };
    let available = model.available(queue);
    let received = queues.receive(&QueueName(QUEUES[queue].into()), ask).await.unwrap();
    assert_eq!(received.len(), max.min(available.len()), "of {available:?}");
    let mut order: BTreeMap<&str, Vec<u64>> = BTreeMap::new();
    for each in &received {
        assert!(available.contains(&each.id), "{each:?}");
        let kept = model.queues[queue].iter_mut().find(|kept| kept.sent.id == each.id).unwrap();
        assert!(!kept.is_taken(), "it was received twice");
        kept.standing = if held { Standing::Held } else { Standing::Leased };
        kept.received += u32::from(!held);
        kept.handle = Some(each.handle.clone());
        assert_eq!((each.received, each.mark, each.lane.as_deref()), (kept.received, kept.mark, kept.lane));
        assert_eq!(each.first_received.0 != 0, each.received > 0);
        if let Some(lane) = kept.lane {
            order.entry(lane).or_default().push(each.sequence);
        }
        assert!(!model.handles.contains(&each.handle), "a handle is given once");
        model.handles.push(each.handle.clone());
    }
    // What was taken of a lane is its front.
    for (lane, places) in order {
        assert!(places.is_sorted());
        let taken = model.queues[queue].iter().filter(|kept| kept.lane == Some(lane)).take(places.len());
        assert!(taken.into_iter().all(Kept::is_taken), "{lane}");
    }
}

async fn walk(directory: &std::path::Path, steps: Vec<Step>) {
    let open = || Store::open(directory, StoreConfig::default()).unwrap();
    let mut store = open();
    let mut model = Model::default();
    for step in steps {
        let queues: Any = store.queues();
        match step {
            Step::Send(sends) => {
                let posts = model.posts(&sends);
                let answers = queues.send(posts.clone()).await.unwrap();
                model.sent(&sends, &posts, Some(&answers));
            }
            Step::Receive { queue, max, held } => receive(&queues, &mut model, queue, max, held).await,
            Step::Extend(pick, long) => {
                let Some(handle) = model.handle(pick) else { continue };
                let lease = if long { LONG } else { Duration::ZERO };
                let answer = queues.extend(&handle, lease).await;
                match model.find(&handle) {
                    Some((queue, at)) => {
                        answer.unwrap();
                        model.queues[queue][at].standing =
                            if long { Standing::Leased } else { Standing::Ready };
                    }
                    None => assert_eq!(answer, Err(QueueError::Stale)),
                }
            }
            Step::Release { handle, delayed, mark } => {
                let Some(handle) = model.handle(handle) else { continue };
                let delay = if delayed { LONG } else { Duration::ZERO };
                let answer = queues.release(&handle, delay, mark).await;
                match model.find(&handle) {
                    Some((queue, at)) => {
                        answer.unwrap();
                        let kept = &mut model.queues[queue][at];
                        kept.standing = if delayed { Standing::Delayed } else { Standing::Ready };
                        (kept.handle, kept.mark) = (None, mark);
                    }
                    None => assert_eq!(answer, Err(QueueError::Stale)),
                }
            }
            Step::Settle(settled) => {
                let mut asked = Vec::new();
                for (pick, sends) in settled {
                    let Some(handle) = model.handle(pick) else { continue };
                    let posts = model.posts(&sends);
                    asked.push((handle, posts, sends));
                }
                let settled =
                    asked.iter().map(|(handle, posts, _)| (handle.clone(), posts.clone())).collect();
                let answers = queues.settle(settled).await;
                for ((handle, posts, sends), answer) in asked.iter().zip(answers) {
                    match model.find(handle) {
                        Some((queue, at)) => {
                            answer.unwrap();
                            model.queues[queue].remove(at);
                            model.sent(sends, posts, None);
                        }
                        None => assert_eq!(answer, Err(QueueError::Stale)),
                    }
                }
            }
            Step::Purge(queue) => {
                queues.purge(&QueueName(QUEUES[queue].into())).await.unwrap();
                model.queues[queue].clear();
                model.texts.retain(|(of, _), _| *of != queue);
            }
            Step::Expire { queue, second } => {
                let then = Timestamp(second * 1_000_000);
                let gone = queues.expire(&QueueName(QUEUES[queue].into()), then).await.unwrap();
                let before = model.queues[queue].len();
                let young = |kept: &Kept| kept.first_sent.is_none_or(|sent| sent >= second);
                model.queues[queue].retain(|kept| kept.is_taken() || young(kept));
                assert_eq!(gone, (before - model.queues[queue].len()) as u64);
            }
            Step::Restart => {
                drop(queues);
                drop(store);
                store = open();
                for kept in model.queues.iter_mut().flatten().filter(|kept| kept.standing == Standing::Held) {
                    (kept.standing, kept.handle) = (Standing::Ready, None);
                }
            }
        }
        let queues: Any = store.queues();
        model.same(&queues).await;
    }
    assert!(store.close(SOON));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_walk_leaves_what_the_model_says(steps in prop::collection::vec(step(), 1..80)) {
        let directory = tempfile::tempdir().unwrap();
        runtime().block_on(walk(directory.path(), steps));
    }
}

/// All of a backlog comes, each once, whoever takes it by whatever lease, also over restarts.
#[test]
fn a_backlog_is_drained_over_restarts() {
    let directory = tempfile::tempdir().unwrap();
    let queue = QueueName("walk/backlog".into());
    let mut left = 3000;
    let mut store = Store::open(directory.path(), StoreConfig::default()).unwrap();
    let mut seen = HashSet::new();
    let posts: Vec<Post> = (0..left).map(|number| (queue.clone(), message(number))).collect();
    runtime().block_on(store.queues().send(posts)).unwrap();
    for round in 0.. {
        let queues: Arc<_> = store.queues();
        runtime().block_on(async {
            for _ in 0..10 {
                let lease = if round % 2 == 0 { Lease::Held } else { Lease::For(LONG) };
                let ask = Receive { max: 60, lease, wait: Duration::ZERO };
                let mut taken = queues.receive(&queue, ask).await.unwrap();
                // Of what is held, some is given back and some forgotten, which comes again after the restart.
                if lease == Lease::Held && left > 500 {
                    taken.truncate(50);
                    let back = taken.pop().unwrap();
                    queues.release(&back.handle, Duration::ZERO, back.mark).await.unwrap();
                }
                left -= u32::try_from(taken.len()).unwrap();
                assert!(taken.iter().all(|each| seen.insert(each.id)));
                let settled = taken.into_iter().map(|each| (each.handle, vec![])).collect();
                assert!(queues.settle(settled).await.iter().all(Result::is_ok));
            }
        });
        drop((queues, store));
        store = Store::open(directory.path(), StoreConfig::default()).unwrap();
        let counted = runtime().block_on(store.queues().counts(&queue)).unwrap();
        assert_eq!((counted.visible, counted.in_flight), (u64::from(left), 0), "in round {round}");
        if left == 0 {
            break;
        }
    }
}
