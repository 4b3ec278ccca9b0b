//! Segments of system call numbers into a classic-BPF program: a binary search over their beginnings,
//! with the rules at its leaves.
//!
//! When a filter is installed the kernel runs it once for each system call number, to know which are
//! always allowed and need no filter at run time: the cost of installing is the length of the way
//! through the program, and a search is short where a list is long.
//!
//! The program is written from its end, as jumps only lead forward: what a jump leads to is there
//! before the jump.

use libc::sock_filter;

use super::policy::{Answer, Rule};

/// The word that says for which instruction set a call's number is meant (`linux/audit.h`).
#[cfg(target_arch = "x86_64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_003e;
#[cfg(target_arch = "aarch64")]
pub(super) const ARCHITECTURE: u32 = 0xc000_00b7;

/// Where `struct seccomp_data` has the number, the architecture and the first argument, which is 64
/// bits wide like the five after it; its low word comes first.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE_AT: u32 = 4;
pub(super) const ARGUMENTS: u32 = 16;

pub(super) const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
pub(super) const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
pub(super) const JUMP: u16 = 0x05; // BPF_JMP | BPF_JA
pub(super) const JUMP_EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
pub(super) const JUMP_NOT_LESS: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
pub(super) const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// The program for segments that begin at 0. Another instruction set's calls (32-bit programs) kill:
/// their numbers mean something else, and with an error for each call they could not even exit.
pub(super) fn assemble(segments: &[(u32, Rule)]) -> Box<[sock_filter]> {
    let mut program = Program { reversed: Vec::new(), leaves: Vec::new() };
    let kill = program.leaf(Rule::Always(Answer::Kill));
    let search = program.search(segments);
    let load = program.push(LOAD, NUMBER);
    debug_assert_eq!(search + 1, load, "the search follows");
    program.branch(JUMP_EQUAL, ARCHITECTURE, load, kill);
    program.push(LOAD, ARCHITECTURE_AT);
    program.reversed.reverse();
    program.reversed.into()
}

/// A place in the program, counted from its end.
type Place = usize;

struct Program {
    reversed: Vec<sock_filter>,
    /// Rules that are there already. They are shared: few differ.
    leaves: Vec<(Rule, Place)>,
}

impl Program {
    fn push(&mut self, code: u16, k: u32) -> Place {
        self.reversed.push(sock_filter { code, jt: 0, jf: 0, k });
        self.reversed.len() - 1
    }

    /// How far a next instruction would have to jump.
    fn distance(&self, to: Place) -> usize {
        self.reversed.len() - 1 - to
    }

    /// Jumps that compare reach 255 instructions; what is further away gets a plain jump on the way.
    /// `room` is what will still be written before the comparing one.
    fn near(&mut self, to: Place, room: usize) -> Place {
        match self.distance(to) {
            distance if distance + room <= usize::from(u8::MAX) => to,
            distance => self.push(JUMP, u32::try_from(distance).unwrap_or(u32::MAX)),
        }
    }

    fn branch(&mut self, code: u16, k: u32, yes: Place, no: Place) -> Place {
        let yes = self.near(yes, 1);
        let no = self.near(no, 0);
        let [jt, jf] = [yes, no].map(|to| u8::try_from(self.distance(to)).unwrap_or(u8::MAX));
        self.reversed.push(sock_filter { code, jt, jf, k });
        self.reversed.len() - 1
    }

    fn search(&mut self, segments: &[(u32, Rule)]) -> Place {
        match segments {
            [(_, rule)] => self.leaf(*rule),
            _ => {
                let (low, high) = segments.split_at(segments.len() / 2);
                let not_less = self.search(high);
                let less = self.search(low);
                self.branch(JUMP_NOT_LESS, high[0].0, not_less, less)
            }
        }
    }

    fn leaf(&mut self, rule: Rule) -> Place {
        if let Some((_, place)) = self.leaves.iter().find(|(known, _)| *known == rule) {
            return *place;
        }
        let place = match rule {
            Rule::Always(answer) => self.push(RETURN, verdict(answer)),
            Rule::Test { argument, mask, values, found, otherwise } => {
                let found = self.leaf(*found);
                let mut next = self.leaf(*otherwise);
                for value in values.iter().rev() {
                    next = self.branch(JUMP_EQUAL, *value, found, next);
                }
                if mask != u32::MAX {
                    self.push(AND, mask);
                }
                self.push(LOAD, ARGUMENTS + 8 * u32::from(argument))
            }
        };
        self.leaves.push((rule, place));
        place
    }
}

/// What a filter returns for an answer.
fn verdict(answer: Answer) -> u32 {
    match answer {
        Answer::Allow => libc::SECCOMP_RET_ALLOW,
        Answer::Errno(errno) => libc::SECCOMP_RET_ERRNO | errno.cast_unsigned(),
        Answer::Kill => libc::SECCOMP_RET_KILL_PROCESS,
        Answer::Tell => libc::SECCOMP_RET_USER_NOTIF,
    }
}
