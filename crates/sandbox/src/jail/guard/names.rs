//! Names for a jail: what it sends to its resolver's address goes on to the host's first resolver, each
//! question from a socket of its own, and only that question's answer comes back.

use std::io;
use std::net::{Ipv4Addr, SocketAddr, UdpSocket};
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use super::NAMES;
use super::budget::{Budget, Share};
use crate::jail::nat::first_resolver;

/// Questions of one jail at once. Further ones are lost, as by a resolver that has too many.
const MOST: usize = 64;

/// As long as the C library waits before it asks again.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is longer than what resolvers say over UDP is lost.
const MOST_BYTES: usize = 4096;

const HEADER: usize = 12;
/// In the third byte: it is an answer.
const IS_ANSWER: u8 = 0x80;
/// In the fourth byte: the resolver failed.
const FAILED: u8 = 2;

pub(super) struct Names {
    /// In the jail's network.
    socket: UdpSocket,
    budget: Budget,
    questions: Vec<Question>,
}

struct Question {
    /// In the host's, connected to its resolver.
    socket: UdpSocket,
    from: SocketAddr,
    asked: Vec<u8>,
    until: Instant,
    _share: Share,
}

impl Names {
    pub(super) fn new(socket: OwnedFd, budget: Budget) -> Self {
        Self { socket: socket.into(), budget, questions: Vec::new() }
    }

    /// What is waited for: first the jail's, then the resolver's.
    pub(super) fn awaited(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        let answers = self.questions.iter().map(|question| question.socket.as_fd());
        std::iter::once(self.socket.as_fd()).chain(answers)
    }

    /// When the next is given up.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.questions.iter().map(|question| question.until).min()
    }

    /// Does what these say is there, in the order of [`Names::awaited`].
    pub(super) fn go_on(&mut self, ready: &[bool]) {
        let now = Instant::now();
        let Self { socket, questions, .. } = self;
        let mut ready = ready.iter().copied();
        let asked = ready.next().unwrap_or(false);
        questions.retain(|question| {
            let answered = ready.next().unwrap_or(false);
            now < question.until && !(answered && question.answer(socket))
        });
        if asked {
            self.take();
        }
    }

    /// The questions that are there, as far as there is room: what is left comes next.
    fn take(&mut self) {
        let mut buffer = [0; MOST_BYTES + 1];
        for _ in 0..MOST {
            // An error is of an answer that nobody took.
            let Ok((length, from)) = self.socket.recv_from(&mut buffer) else { return };
            let asked = buffer[..length].to_vec();
            let is_question = (HEADER..=MOST_BYTES).contains(&length) && asked[2] & IS_ANSWER == 0;
            if !is_question || self.questions.len() >= MOST {
                continue;
            }
            let Some(share) = self.budget.take() else { continue };
            match ask(&asked) {
                Ok(socket) => {
                    let until = Instant::now() + PATIENCE;
                    self.questions.push(Question { socket, from, asked, until, _share: share });
                }
                Err(error) => {
                    tracing::debug!(%error, "the host's resolver cannot be asked");
                    fail(&self.socket, asked, from);
                }
            }
        }
    }
}

impl Question {
    /// Hands an answer on, and says whether it is done with.
    fn answer(&self, jail: &UdpSocket) -> bool {
        let mut buffer = [0; MOST_BYTES + 1];
        loop {
            match self.socket.recv(&mut buffer) {
                Ok(length) if length > MOST_BYTES => return true,
                Ok(length) => {
                    let answer = &buffer[..length];
                    let is_its = answer.get(..2) == self.asked.get(..2);
                    if is_its && answer.get(2).is_some_and(|flags| flags & IS_ANSWER != 0) {
                        // Who asked may have gone.
                        let _ = jail.send_to(answer, self.from);
                        return true;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return false,
                // Nobody is there.
                Err(_) => {
                    fail(jail, self.asked.clone(), self.from);
                    return true;
                }
            }
        }
    }
}

/// The host's resolver as it is now, where it speaks IPv4.
pub(super) fn resolver() -> Option<Ipv4Addr> {
    first_resolver()
}

fn ask(question: &[u8]) -> io::Result<UdpSocket> {
    let resolver = resolver().ok_or(io::ErrorKind::NotFound)?;
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.set_nonblocking(true)?;
    socket.connect((resolver, NAMES))?;
    socket.send(question)?;
    Ok(socket)
}

/// Says that it failed, to the question as it was asked.
fn fail(jail: &UdpSocket, mut asked: Vec<u8>, to: SocketAddr) {
    if let Some([flags, code]) = asked.get_mut(2..4) {
        (*flags, *code) = (*flags | IS_ANSWER, FAILED);
    }
    // Who asked may have gone.
    let _ = jail.send_to(&asked, to);
}
