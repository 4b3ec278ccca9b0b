//! Runs a filter as the kernel would: the few classic-BPF instructions that filters are made of.

use libc::sock_filter;

use super::super::assembler::{
    AND, ARCHITECTURE, ARCHITECTURE_AT, ARGUMENTS, JUMP, JUMP_EQUAL, JUMP_NOT_LESS, LOAD, NUMBER, RETURN,
};
use super::super::policy::Answer;

/// Greater, which only `seccompiler` compares by.
const JUMP_GREATER: u16 = 0x25;

#[derive(Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) architecture: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    /// Of this machine's instruction set; what is not given is 0.
    pub(super) fn new(number: u32, given: &[u64]) -> Self {
        let mut arguments = [0; 6];
        arguments[..given.len()].copy_from_slice(given);
        Self { number, architecture: ARCHITECTURE, arguments }
    }

    fn word(&self, at: u32) -> u32 {
        match at {
            NUMBER => self.number,
            ARCHITECTURE_AT => self.architecture,
            _ => {
                let at = at.checked_sub(ARGUMENTS).expect("no instruction pointer");
                let argument = self.arguments[usize::try_from(at / 8).expect("small")];
                if at.is_multiple_of(8) { argument as u32 } else { (argument >> 32) as u32 }
            }
        }
    }
}

/// Panics where a jump leads out of the program or an instruction is none that a filter has.
pub(super) fn run(program: &[sock_filter], call: &Call) -> Answer {
    let (mut at, mut accumulator) = (0, 0);
    loop {
        let sock_filter { code, jt, jf, k } = program[at];
        at += 1;
        let mut branch = |yes: bool| at += usize::from(if yes { jt } else { jf });
        match code {
            LOAD => accumulator = call.word(k),
            AND => accumulator &= k,
            JUMP => at += usize::try_from(k).expect("small"),
            JUMP_EQUAL => branch(accumulator == k),
            JUMP_NOT_LESS => branch(accumulator >= k),
            JUMP_GREATER => branch(accumulator > k),
            RETURN => return answer(k),
            other => panic!("instruction {other:x} at {}", at - 1),
        }
    }
}

fn answer(verdict: u32) -> Answer {
    match verdict & 0xffff_0000 {
        libc::SECCOMP_RET_ALLOW => Answer::Allow,
        libc::SECCOMP_RET_ERRNO => Answer::Errno((verdict & 0xffff).cast_signed()),
        libc::SECCOMP_RET_KILL_PROCESS => Answer::Kill,
        libc::SECCOMP_RET_USER_NOTIF => Answer::Tell,
        other => panic!("verdict {other:x}"),
    }
}
