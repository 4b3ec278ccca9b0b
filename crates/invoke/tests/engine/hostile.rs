//! A process that never stops talking must stop neither the clock nor its own next invocation. It
//! talks from a thread, so that there is always more than the engine has read.

use std::io::{ErrorKind, Write};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::world::World;

/// Talks until it is dropped.
pub struct Talker {
    talking: Arc<AtomicBool>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Talker {
    pub fn over_channel(channel: UnixStream, talking: Arc<AtomicBool>) -> Self {
        // Many small frames in one write: writing them costs less than reading them.
        let mut frame = vec![21, 0, 0, 0, 0x15];
        frame.extend_from_slice(&[0; 20]);
        Self::begin(channel, frame.repeat(4000), talking)
    }

    pub fn over_output(output: impl Write + Send + 'static, talking: Arc<AtomicBool>) -> Self {
        Self::begin(output, b"lines\n".repeat(10_000), talking)
    }

    fn begin(mut to: impl Write + Send + 'static, bytes: Vec<u8>, talking: Arc<AtomicBool>) -> Self {
        let (full, is_full) = std::sync::mpsc::channel();
        talking.store(true, Ordering::SeqCst);
        let talks = Arc::clone(&talking);
        let talk = move || {
            let mut at = 0;
            while talks.load(Ordering::SeqCst) {
                match to.write(&bytes[at..]) {
                    Ok(written) => at = (at + written) % bytes.len(),
                    // Only the first is waited for.
                    Err(error) if error.kind() == ErrorKind::WouldBlock => drop(full.send(())),
                    Err(_) => return,
                }
            }
        };
        let thread = Some(std::thread::spawn(talk));
        is_full.recv().unwrap();
        Self { talking, thread }
    }
}

impl Drop for Talker {
    fn drop(&mut self) {
        self.talking.store(false, Ordering::SeqCst);
        self.thread.take().unwrap().join().unwrap();
    }
}

/// Paused time does not go by itself while there is always something to do.
async fn let_time_pass(world: &World) {
    loop {
        let talking = world.stage.inits.talking.load(Ordering::SeqCst);
        tokio::time::advance(Duration::from_millis(if talking { 1000 } else { 1 })).await;
        tokio::task::yield_now().await;
    }
}

#[tokio::test(start_paused = true)]
async fn endless_talk_is_over_at_the_deadline() {
    for words in ["talk", "shout"] {
        let world = World::new(4, 2);
        world.function("f", |version| version.configuration.timeout = 1);
        let said = tokio::select! {
            said = world.say(words) => said,
            () = let_time_pass(&world) => unreachable!(),
        };
        assert!(said.contains("Task timed out after 1.00 seconds"), "{words}: {said}");
        world.settle().await;
        assert_eq!(world.say("who").await, "1.2.1", "{words}");
        world.end(4).await;
    }
}

#[tokio::test(start_paused = true)]
async fn talk_between_invocations_keeps_none_waiting() {
    let world = World::new(4, 2);
    world.function("f", |version| version.configuration.timeout = 1);
    let said = tokio::select! {
        said = async {
            world.say("respond ok;ready;talk").await;
            world.say("who").await
        } => said,
        () = let_time_pass(&world) => unreachable!(),
    };
    // It was given to the talking process, which answers nothing.
    assert!(said.contains("Task timed out after 1.00 seconds"), "{said}");
    world.settle().await;
    assert_eq!(world.say("who").await, "1.2.1");
    world.end(4).await;
}
