//! A streamed response on its way from the process to the client: bounded, so that a slow client slows
//! its function and nothing else. The connection of the post that carries it (`runtime_api/request.rs`)
//! writes, whoever answers the client reads, and the environment says how it ended.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use lambkin_model::Error;
use lambkin_model::invocation::{Completion, Piece, Pieces};
use lambkin_model::quota;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Duration, Instant, sleep_until};

/// Chunks that wait for the client; each is at most what the Runtime API reads at once (64 KiB). Full:
/// the post waits, its connection fills up, and the function's stream says that it needs to drain.
const CHUNKS: usize = 4;

/// How fast a streamed response passes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bandwidth {
    /// Bytes that pass as fast as they can.
    pub burst: u64,
    /// Bytes in a second after that.
    pub per_second: u64,
}

impl Bandwidth {
    /// AWS's.
    pub const AWS: Self =
        Self { burst: quota::STREAM_BURST_BYTES, per_second: quota::STREAM_BYTES_PER_SECOND };
}

/// Where the process's chunks go in.
#[derive(Debug)]
pub(crate) struct Chunks {
    /// `None`: the client has gone away, and what comes is thrown away.
    sender: Option<mpsc::Sender<Bytes>>,
    /// Bytes that may still come.
    left: usize,
    pace: Option<Pace>,
}

/// The response is larger than a streamed one may be.
#[derive(Debug)]
pub(crate) struct TooLarge;

impl Chunks {
    /// Waits until the client has room for it.
    pub(crate) async fn send(&mut self, chunk: Bytes) -> Result<(), TooLarge> {
        self.left = self.left.checked_sub(chunk.len()).ok_or(TooLarge)?;
        let Some(sender) = &self.sender else { return Ok(()) };
        if let Some(pace) = &mut self.pace {
            pace.pass(chunk.len()).await;
        }
        if sender.send(chunk).await.is_err() {
            self.sender = None;
        }
        Ok(())
    }
}

/// A bandwidth in use.
#[derive(Debug)]
struct Pace {
    /// Bytes that still pass at once.
    burst: u64,
    per_second: u64,
    /// When the bytes that passed are paid for.
    free_at: Instant,
}

impl Pace {
    async fn pass(&mut self, bytes: usize) {
        let bytes = bytes as u64;
        let at_once = bytes.min(self.burst);
        self.burst -= at_once;
        let slowly = bytes - at_once;
        if slowly > 0 {
            let takes = Duration::from_micros(slowly.saturating_mul(1_000_000) / self.per_second.max(1));
            self.free_at = self.free_at.max(Instant::now()) + takes;
            sleep_until(self.free_at).await;
        }
    }
}

/// What the client reads.
struct Flow {
    chunks: mpsc::Receiver<Bytes>,
    completion: oneshot::Receiver<Completion>,
}

/// Both ends of a response, and what ends it.
pub(crate) fn flow(bandwidth: Option<Bandwidth>) -> (Chunks, oneshot::Sender<Completion>, Box<dyn Pieces>) {
    let (sender, chunks) = mpsc::channel(CHUNKS);
    let (complete, completion) = oneshot::channel();
    let pace =
        bandwidth.map(|Bandwidth { burst, per_second }| Pace { burst, per_second, free_at: Instant::now() });
    let chunks_in = Chunks { sender: Some(sender), left: quota::STREAMED_RESPONSE_BYTES, pace };
    (chunks_in, complete, Box::new(Flow { chunks, completion }))
}

impl Pieces for Flow {
    /// All chunks first: the end is known before a slow client has read them.
    fn poll_piece(&mut self, context: &mut Context<'_>) -> Poll<Result<Piece, Error>> {
        if let Some(chunk) = ready!(self.chunks.poll_recv(context)) {
            return Poll::Ready(Ok(Piece::Chunk(chunk)));
        }
        let ended = ready!(Pin::new(&mut self.completion).poll(context));
        // An environment always completes; only its abort at the end of a shutdown drops the sender.
        Poll::Ready(ended.map(Piece::End).map_err(|_| crate::invoker::shutting_down()))
    }
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_six_megabytes_pass_at_once_and_the_rest_at_two_a_second() {
        let (mut chunks, complete, mut pieces) = flow(Some(Bandwidth::AWS));
        let begun = Instant::now();
        let writing = tokio::spawn(async move {
            let mut marks = Vec::new();
            for _ in 0..10 {
                chunks.send(Bytes::from(vec![0; 1024 * 1024])).await.unwrap();
                marks.push(begun.elapsed().as_millis());
            }
            marks
        });
        let completion = Completion { error: None, log_tail: None };
        complete.send(completion.clone()).unwrap();
        let mut read = 0;
        loop {
            match poll_fn(|context| pieces.poll_piece(context)).await.unwrap() {
                Piece::Chunk(chunk) => read += chunk.len(),
                Piece::End(end) => {
                    assert_eq!(end, completion);
                    break;
                }
            }
        }
        assert_eq!(read, 10 * 1024 * 1024);
        let marks = writing.await.unwrap();
        assert_eq!((marks[5], marks[7] / 10, marks[9] / 10), (0, 100, 200), "{marks:?}");
    }

    #[tokio::test]
    async fn a_response_is_bounded_whether_or_not_somebody_reads_it() {
        let (mut chunks, _complete, pieces) = flow(None);
        drop(pieces);
        let megabyte = Bytes::from(vec![0; 1024 * 1024]);
        for _ in 0..200 {
            chunks.send(megabyte.clone()).await.unwrap();
        }
        assert!(chunks.send(Bytes::from_static(b"1")).await.is_err());
    }
}
