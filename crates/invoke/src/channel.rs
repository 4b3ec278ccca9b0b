//! lambkin's end of the channel (`docs/channel.md`): frames in and out of a non-blocking socket.
//!
//! What a process sends is hostile: the body of a frame is kept up to its kind's limit and the rest
//! is read and thrown away, so memory stays bounded whatever length it claims.

use std::io;
use std::os::fd::OwnedFd;

use bytes::{Buf, Bytes, BytesMut};
use lambkin_model::channel::{FrameKind, HEADER_BYTES, INVOKE};
use rustix::io::Errno;
use tokio::io::{AsyncReadExt, Interest};
use tokio::net::UnixStream;

/// Room for what is read at once: for small frames, and within a large one.
const READ_BYTES: usize = 4 * 1024;
const READ_MORE_BYTES: usize = 64 * 1024;

/// A frame from the process.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    pub(crate) kind: FrameKind,
    pub(crate) body: Bytes,
    /// The body was longer than its kind's limit; `body` is its beginning.
    pub(crate) cut: bool,
}

/// Why no more frames come.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Broken {
    /// The process closed its end, or ended.
    Closed,
    /// It broke the rules.
    Garbage,
}

pub(crate) struct Channel {
    socket: UnixStream,
    decoder: Decoder,
    /// What could not be written at once.
    unsent: [Bytes; 2],
}

impl Channel {
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Self> {
        Ok(Self {
            socket: UnixStream::from_std(socket.into())?,
            decoder: Decoder::default(),
            unsent: [Bytes::new(), Bytes::new()],
        })
    }

    /// The next frame; meanwhile it sends what could not be sent at once. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Frame, Broken> {
        loop {
            if let Some(frame) = self.decoder.next()? {
                return Ok(frame);
            }
            if self.has_unsent() {
                let ready = self.socket.ready(Interest::READABLE | Interest::WRITABLE).await;
                if ready.map_err(|_| Broken::Closed)?.is_writable() {
                    // Where it fails, what the process said before it went is still to be read.
                    self.write();
                }
                match self.socket.try_read_buf(self.decoder.room()) {
                    Ok(0) => return Err(Broken::Closed),
                    Ok(read) => self.decoder.last_read = read,
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                    Err(_) => return Err(Broken::Closed),
                }
                continue;
            }
            match self.socket.read_buf(self.decoder.room()).await {
                Ok(0) | Err(_) => return Err(Broken::Closed),
                Ok(read) => self.decoder.last_read = read,
            }
        }
    }

    /// A frame that is there already, for what a process left behind when it ended.
    pub(crate) fn next_now(&mut self) -> Option<Frame> {
        let mut scratch = [0; READ_BYTES];
        loop {
            match self.decoder.next() {
                Ok(Some(frame)) => return Some(frame),
                Ok(None) => {}
                Err(_) => return None,
            }
            // Asks the kernel, not tokio: what tokio knows may be older than the process's end.
            match rustix::io::read(&self.socket, &mut scratch) {
                Ok(0) => return None,
                Ok(read) => self.decoder.room().extend_from_slice(&scratch[..read]),
                Err(Errno::INTR) => {}
                Err(_) => return None,
            }
        }
    }

    /// Begins to send an invocation; [`next`](Self::next) sends what does not fit now.
    pub(crate) fn send_invoke(&mut self, head: &[u8], payload: Bytes) {
        let length = 1 + 4 + head.len() + payload.len();
        let mut first = BytesMut::with_capacity(HEADER_BYTES + 4 + head.len());
        // Both fit: a head is bounded by the request's headers, a payload by its quota.
        first.extend_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        first.extend_from_slice(&[INVOKE]);
        first.extend_from_slice(&u32::try_from(head.len()).unwrap_or(u32::MAX).to_le_bytes());
        first.extend_from_slice(head);
        self.unsent = [first.freeze(), payload];
        self.write();
    }

    /// Begins to send another frame; as [`send_invoke`](Self::send_invoke).
    pub(crate) fn send(&mut self, kind: u8, body: Bytes) {
        let mut first = BytesMut::with_capacity(HEADER_BYTES);
        first.extend_from_slice(&u32::try_from(1 + body.len()).unwrap_or(u32::MAX).to_le_bytes());
        first.extend_from_slice(&[kind]);
        self.unsent = [first.freeze(), body];
        self.write();
    }

    /// Whether the process cannot have read its invocation yet.
    pub(crate) fn has_unsent(&self) -> bool {
        self.unsent.iter().any(|part| !part.is_empty())
    }

    /// As much as fits now. An error shows as a closed channel to the reader.
    fn write(&mut self) {
        while self.has_unsent() {
            let parts = [io::IoSlice::new(&self.unsent[0]), io::IoSlice::new(&self.unsent[1])];
            match self.socket.try_write_vectored(&parts) {
                Ok(mut written) => {
                    for part in &mut self.unsent {
                        let from_this = written.min(part.len());
                        part.advance(from_this);
                        written -= from_this;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => self.unsent = [Bytes::new(), Bytes::new()],
            }
        }
    }
}

/// Cuts a stream of bytes into frames.
#[derive(Default)]
struct Decoder {
    buffer: BytesMut,
    /// The frame being read: kind, bytes of the body still to keep, bytes still to throw away.
    current: Option<(FrameKind, usize, usize)>,
    last_read: usize,
}

impl Decoder {
    /// Where the next bytes go. While nothing waits here an environment holds little memory.
    fn room(&mut self) -> &mut BytesMut {
        let more = self.current.is_some() || self.last_read >= READ_BYTES;
        let room = if more { READ_MORE_BYTES } else { READ_BYTES };
        self.buffer.reserve(room);
        &mut self.buffer
    }

    fn next(&mut self) -> Result<Option<Frame>, Broken> {
        let (kind, keep, mut skip) = match self.current {
            Some(current) => current,
            None => {
                if self.buffer.len() < HEADER_BYTES {
                    return Ok(None);
                }
                let length = self.buffer.get_u32_le() as usize;
                let kind = FrameKind::from_byte(self.buffer.get_u8());
                let (Some(body), Some(kind)) = (length.checked_sub(1), kind) else {
                    return Err(Broken::Garbage);
                };
                let keep = body.min(kind.body_limit());
                (kind, keep, body - keep)
            }
        };
        let cut = skip > 0;
        // The kept part stays at the buffer's front; what follows it goes as it comes.
        if self.buffer.len() > keep && skip > 0 {
            let thrown = skip.min(self.buffer.len() - keep);
            let tail = self.buffer.split_off(keep + thrown);
            self.buffer.truncate(keep);
            self.buffer.unsplit(tail);
            skip -= thrown;
        }
        if self.buffer.len() < keep || skip > 0 {
            // `cut` must survive until the frame is complete: at least one byte stays to be skipped.
            self.current = Some((kind, keep, skip));
            return Ok(None);
        }
        self.current = None;
        Ok(Some(Frame { kind, body: self.buffer.split_to(keep).freeze(), cut }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use lambkin_model::quota;

    fn frame(kind: u8, body: &[u8]) -> Vec<u8> {
        let mut bytes = u32::try_from(body.len() + 1).unwrap().to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(body);
        bytes
    }

    fn decode(chunks: impl Iterator<Item = Vec<u8>>) -> Result<Vec<Frame>, Broken> {
        let mut decoder = Decoder::default();
        let mut frames = Vec::new();
        for chunk in chunks {
            decoder.room().extend_from_slice(&chunk);
            while let Some(frame) = decoder.next()? {
                frames.push(frame);
            }
            assert!(decoder.buffer.len() <= quota::RESPONSE_BYTES + READ_MORE_BYTES, "the buffer is bounded");
        }
        Ok(frames)
    }

    #[test]
    fn cuts_frames_however_they_arrive() {
        let mut stream = frame(0x12, b"{\"a\":1}");
        stream.extend(frame(0x11, b""));
        stream.extend(frame(0x15, b"line"));
        for size in 1..=stream.len() {
            let frames = decode(stream.chunks(size).map(<[u8]>::to_vec)).unwrap();
            let kinds: Vec<FrameKind> = frames.iter().map(|frame| frame.kind).collect();
            assert_eq!(kinds, [FrameKind::Response, FrameKind::Ready, FrameKind::Log], "in chunks of {size}");
            assert_eq!(&frames[0].body[..], b"{\"a\":1}");
        }
    }

    #[test]
    fn keeps_no_more_than_the_limit_and_finds_the_next_frame() {
        for extra in [0, 1, 100_000] {
            let mut stream = frame(0x12, &vec![b'x'; quota::RESPONSE_BYTES + extra]);
            stream.extend(frame(0x11, b""));
            let frames = decode(stream.chunks(60_000).map(<[u8]>::to_vec)).unwrap();
            assert_eq!(frames.len(), 2);
            assert_eq!((frames[0].body.len(), frames[0].cut), (quota::RESPONSE_BYTES, extra > 0));
            assert_eq!(frames[1].kind, FrameKind::Ready);
        }
    }

    #[test]
    fn refuses_garbage() {
        assert_eq!(decode(std::iter::once(vec![0xff; 64])), Err(Broken::Garbage));
        assert_eq!(decode(std::iter::once(vec![0; 5])), Err(Broken::Garbage));
    }
}
