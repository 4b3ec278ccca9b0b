//! `ReceiveRequestAttemptId`: a FIFO receive whose answer got lost is repeated and gets the same messages
//! with the same handles. Remembered for five minutes and in this process only, as it is an answer lost on
//! the way that it helps against.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::time::Duration;

use tokio::time::Instant;

use super::ReceivedMessage;
use super::locked;

/// How long an attempt is remembered.
const REMEMBERED: Duration = Duration::from_secs(300);
/// Most attempts that are remembered, and most bytes of their messages: a few of the largest. Full: the oldest is
/// forgotten, and a repetition of it gets other messages.
const MOST: usize = 256;
const MOST_BYTES: usize = 32 * 1024 * 1024;

/// A queue's identity and an attempt's id.
type Key = (String, String);

/// The oldest first.
#[derive(Default)]
pub(super) struct Attempts(Mutex<VecDeque<Attempt>>);

struct Attempt {
    key: Key,
    at: Instant,
    bytes: usize,
    answer: Vec<ReceivedMessage>,
}

impl Attempts {
    pub(super) fn answer(&self, key: &Key) -> Option<Vec<ReceivedMessage>> {
        let attempts = locked(&self.0);
        let attempt = attempts.iter().find(|attempt| attempt.key == *key)?;
        (attempt.at.elapsed() < REMEMBERED).then(|| attempt.answer.clone())
    }

    pub(super) fn remember(&self, key: Key, answer: &[ReceivedMessage]) {
        self.forget(&key);
        let bytes = answer.iter().map(size).sum();
        let mut attempts = locked(&self.0);
        attempts.push_back(Attempt { key, at: Instant::now(), bytes, answer: answer.to_vec() });
        let mut held: usize = attempts.iter().map(|attempt| attempt.bytes).sum();
        while let Some(oldest) = attempts.front()
            && (attempts.len() > MOST || held > MOST_BYTES || oldest.at.elapsed() >= REMEMBERED)
        {
            held -= oldest.bytes;
            attempts.pop_front();
        }
    }

    pub(super) fn forget(&self, key: &Key) {
        locked(&self.0).retain(|attempt| attempt.key != *key);
    }
}

fn size(message: &ReceivedMessage) -> usize {
    lambkin_model::sqs::size(&message.body, &message.attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambkin_model::time::Timestamp;

    fn message(bytes: usize) -> ReceivedMessage {
        ReceivedMessage {
            id: String::new(),
            receipt: String::new(),
            body: "x".repeat(bytes),
            attributes: Vec::new(),
            sender: String::new(),
            sent: Timestamp(0),
            received: 1,
            first_received: Timestamp(0),
            trace_header: None,
            group: None,
            deduplication: None,
            sequence: None,
            dead_letter_source: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn is_bounded_by_number_bytes_and_time() {
        let key = |n: usize| ("q".to_owned(), n.to_string());
        let attempts = Attempts::default();
        for n in 0..=MOST {
            attempts.remember(key(n), &[message(1)]);
        }
        assert!(attempts.answer(&key(0)).is_none() && attempts.answer(&key(1)).is_some());
        attempts.remember(key(0), &[message(MOST_BYTES)]);
        assert!(attempts.answer(&key(MOST)).is_none() && attempts.answer(&key(0)).is_some());
        tokio::time::advance(REMEMBERED).await;
        assert!(attempts.answer(&key(0)).is_none());
    }
}
