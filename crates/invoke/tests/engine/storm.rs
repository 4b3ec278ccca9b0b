//! Many invocations of processes that do anything, at random and repeatably: whatever happens, each
//! accepted invocation is answered once with an answer that fits its words, no permit is lost, and
//! nothing is left at the end.

use std::sync::atomic::Ordering;
use std::time::Duration;

use lambkin_invoke::InvokerConfig;
use lambkin_model::Error;
use lambkin_model::code::CodeSha256;

use crate::world::{World, payload};

/// SplitMix64: the seed says all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }

    fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[usize::try_from(self.roll(all.len() as u64)).unwrap()]
    }
}

/// What an invocation does; `MARK` is its own. It is answered with its mark, or not with any.
const DEEDS: [&str; 21] = [
    "respond MARK",
    "respond MARK",
    "respond MARK",
    "sleep 20;respond MARK",
    "sleep 300;respond MARK",
    "lines 50;respond MARK",
    "write half;respond MARK;print rest",
    "respond MARK;sleep 100",
    "respond MARK;exit 1",
    "respond MARK;ready;exit 1",
    "respond MARK;ready;sleep 30;signal 9",
    "respond MARK;hang",
    "respond MARK;respond MARK",
    "error MARK;exit 129",
    "exit 0",
    "sleep 50;exit 7",
    "log x;hang",
    "garbage;hang",
    "close;hang",
    "ready;hang",
    "big 6291557",
];

const INITS: [&str; 8] =
    ["", "", "", "sleep 40", "sleep 700", "initerror {};exit 1", "exit 2", "garbage;hang"];

#[tokio::test(start_paused = true)]
async fn whatever_happens_each_invocation_is_answered_once_and_nothing_is_left() {
    let mut answered = 0;
    for seed in 0..60 {
        answered += storm(seed).await;
    }
    assert!(answered > 2000, "the storms must get somewhere: {answered}");
}

async fn storm(seed: u64) -> usize {
    let mut dice = Dice(seed);
    let concurrency = usize::try_from(2 + dice.roll(12)).unwrap();
    let inits = usize::try_from(1 + dice.roll(3)).unwrap();
    let idle_timeout = Duration::from_millis(100 + dice.roll(3000));
    // Room for one, for a few, for all.
    let memory = dice.one_of(&[None, None, Some(130 << 20), Some(400 << 20)]);
    let world = World::with(InvokerConfig {
        concurrency,
        inits,
        idle_timeout,
        memory,
        warm_pool: 0,
        ..InvokerConfig::default()
    });
    world.stage.start_takes.store(dice.roll(20), Ordering::SeqCst);
    world.stage.kill_takes.store(dice.roll(50), Ordering::SeqCst);
    let change = |dice: &mut Dice, name: &str| {
        let (init, code) = (dice.one_of(&INITS), u8::try_from(dice.roll(3)).unwrap());
        let timeout = u32::try_from(1 + dice.roll(3)).unwrap();
        world.function(name, |version| {
            version.configuration.timeout = timeout;
            version.configuration.variables = Some([("INIT".to_owned(), init.to_owned())].into());
            version.code.sha256 = CodeSha256([code; 32]);
        });
    };
    for name in ["f", "g"] {
        change(&mut dice, name);
    }
    let mut running = Vec::new();
    for number in 0..120 {
        let mark = format!("<{number}>");
        let (name, words) = (dice.one_of(&["f", "f", "g"]), dice.one_of(&DEEDS).replace("MARK", &mark));
        running.push((mark, words.clone(), world.start_of(name, words)));
        match dice.roll(30) {
            0 => change(&mut dice, name),
            1 => world.catalog.delete(name),
            2 => world.stage.failing_opens.store(1, Ordering::SeqCst),
            3 => world.stage.failing_starts.store(1, Ordering::SeqCst),
            4 => world.logs.open.send_modify(|open| *open = !*open),
            5..=7 => {
                let at = usize::try_from(dice.roll(running.len() as u64)).unwrap();
                running.swap_remove(at).2.abort();
            }
            8 => world.keep(name, u32::try_from(dice.roll(3)).unwrap()),
            9..=15 => tokio::time::sleep(Duration::from_millis(dice.roll(400))).await,
            _ => tokio::task::yield_now().await,
        }
        if dice.roll(10) == 0 && world.run("respond still there").await.is_err() {
            change(&mut dice, "f");
        }
    }
    world.logs.open.send_replace(true);
    for name in ["f", "g"] {
        world.keep(name, 0);
    }
    let mut answered = 0;
    for (mark, words, one) in running {
        // A minute is more than any of them may take: init, the wait for its turn, three seconds.
        let result = tokio::time::timeout(Duration::from_secs(120), one).await;
        let result = result.unwrap_or_else(|_| panic!("seed {seed}: {words} was never answered")).unwrap();
        let said = payload(&result);
        match &result {
            Ok(_) => {
                answered += 1;
                assert!(!said.starts_with('<') || said == mark, "seed {seed}: {words} was answered {said}");
                let own = words.starts_with("respond <") && said != mark;
                // A response at once fails only where its process's init does, or where the process
                // dies just after it asked for more and before that could be seen.
                let others = ["{}", "exit status 2", "exit status 1", "signal: killed", "Sandbox.Timedout"];
                assert!(
                    !own || others.iter().any(|part| said.contains(part)),
                    "seed {seed}: {words}: {said}"
                );
            }
            Err(Error::TooManyRequests { .. } | Error::FunctionNotFound { .. } | Error::Service(_)) => {}
            Err(other) => panic!("seed {seed}: {words}: {other:?}"),
        }
    }
    for stage in [&world.stage.failing_opens, &*world.stage.failing_starts] {
        stage.store(0, Ordering::SeqCst);
    }
    // Those whose callers went away run on, as on AWS, and hold their permits meanwhile.
    tokio::time::sleep(Duration::from_secs(60)).await;
    world.end(concurrency).await;
    answered
}
