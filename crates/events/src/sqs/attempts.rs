//! `ReceiveRequestAttemptId`: a FIFO receive whose answer got lost is repeated and gets the same messages
//! with the same handles. Remembered for five minutes and in this process only, as it is an answer lost on
//! the way that it helps against.

use std::collections::{HashMap, VecDeque};
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::ReceivedMessage;
use super::locked;

/// How long an attempt is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Most attempts that are remembered, with their messages. Full: the oldest is forgotten, and a repetition of it
/// gets other messages.
const MOST: usize = 256;

/// A queue's identity and an attempt's id.
type Key = (String, String);

#[derive(Default)]
pub(super) struct Attempts(Mutex<State>);

#[derive(Default)]
struct State {
    answers: HashMap<Key, (Instant, Vec<ReceivedMessage>)>,
    order: VecDeque<(Instant, Key)>,
}

impl Attempts {
    pub(super) fn answer(&self, key: &Key) -> Option<Vec<ReceivedMessage>> {
        let state = locked(&self.0);
        let (at, answer) = state.answers.get(key)?;
        (at.elapsed() < REMEMBERED).then(|| answer.clone())
    }

    pub(super) fn remember(&self, key: Key, answer: &[ReceivedMessage]) {
        let mut state = locked(&self.0);
        let now = Instant::now();
        while state.order.len() >= MOST || state.order.front().is_some_and(|(at, _)| now - *at >= REMEMBERED)
        {
            let Some((at, oldest)) = state.order.pop_front() else { break };
            if state.answers.get(&oldest).is_some_and(|(kept, _)| *kept == at) {
                state.answers.remove(&oldest);
            }
        }
        state.order.push_back((now, key.clone()));
        state.answers.insert(key, (now, answer.to_vec()));
    }

    pub(super) fn forget(&self, key: &Key) {
        locked(&self.0).answers.remove(key);
    }
}
