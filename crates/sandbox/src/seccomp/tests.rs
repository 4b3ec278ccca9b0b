//! The filter as a program, run by an interpreter here, against the table and against `seccompiler`'s
//! program for the same policy; and in the kernel (`calls`).

mod calls;
mod guarded;
mod machine;

use std::collections::BTreeMap;

use libc::sock_filter;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter, SeccompRule,
    TargetArch,
};

use super::assembler::{ARCHITECTURE, assemble};
use super::policy::{self, Answer, Rule};
use super::{Filter, policy::ALLOW};
use machine::{Call, run};

const REFUSED: Answer = Answer::Errno(libc::EPERM);
const MISSING: Answer = Answer::Errno(libc::ENOSYS);
const NO_PROTOCOL: Answer = Answer::Errno(libc::EPROTONOSUPPORT);

fn answer(call: i64, arguments: &[u64]) -> Answer {
    run(&Filter::for_functions().0, &Call::new(call as u32, arguments))
}

/// The rule of the table, walked without any program.
fn by_table(rules: &BTreeMap<u32, Rule>, call: &Call) -> Answer {
    let known = if cfg!(target_arch = "x86_64") {
        matches!(call.number, 0..=334 | 424..=469)
    } else {
        matches!(call.number, 0..=243 | 260..=294 | 424..=469)
    };
    let mut rule = match rules.get(&call.number) {
        Some(rule) => *rule,
        None if known => ALLOW,
        None => return MISSING,
    };
    loop {
        match rule {
            Rule::Always(answer) => return answer,
            Rule::Test { argument, mask, values, found, otherwise } => {
                let value = call.arguments[usize::from(argument)] as u32 & mask;
                rule = if values.contains(&value) { *found } else { *otherwise };
            }
        }
    }
}

/// Arguments that a rule may tell apart, with and without something in the high word.
fn arguments() -> Vec<[u64; 3]> {
    let values = [0, 1, 2, 3, 5, 6, 10, 16, 17, 40, 58, 132, 262, 0x5412, 0x541c, 0x1000_0000, 0x2_0000];
    let flags = u64::from((libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK).cast_unsigned());
    let firsts =
        values.into_iter().chain([u64::from(u32::MAX), 0x5a00_0011, 1 << 32, (1 << 32) | 0x1000_0000]);
    let mut all = Vec::new();
    for first in firsts {
        for second in [0, 1, 2, 3, 1 | flags, 3 | flags, 5, 0x5412, 0x541c, 0x5413, (1 << 32) | 0x5412] {
            for third in [0, 1, 6, 9, 15, 17, 58, 132, 255, 262, 1 << 32] {
                all.push([first, second, third]);
            }
        }
    }
    all
}

#[test]
fn every_number_gets_its_answer_in_the_table() {
    let rules = policy::rules();
    let filter = &Filter::for_functions().0;
    let every: Vec<u32> = (0..=600).chain([0x4000_0000, 0x4000_0065, 0x7fff_ffff, u32::MAX]).collect();
    for number in every {
        for arguments in arguments().iter().step_by(7) {
            let call = Call::new(number, arguments);
            assert_eq!(run(filter, &call), by_table(&rules, &call), "{call:x?}");
        }
    }
    // A rule outside the known ranges would never be met.
    for number in rules.keys() {
        assert_ne!(by_table(&BTreeMap::new(), &Call::new(*number, &[])), MISSING, "{number}");
    }
}

#[test]
fn arguments_are_told_apart() {
    let new_user = libc::CLONE_NEWUSER as u64;
    let thread = (libc::CLONE_VM | libc::CLONE_THREAD | libc::CLONE_SIGHAND) as u64;
    assert_eq!(answer(libc::SYS_clone, &[libc::SIGCHLD as u64]), Answer::Allow);
    assert_eq!(answer(libc::SYS_clone, &[thread]), Answer::Allow);
    assert_eq!(answer(libc::SYS_clone, &[thread | new_user]), REFUSED);
    for flag in [0x2_0000, 0x200_0000, 0x400_0000, 0x800_0000, 0x1000_0000, 0x2000_0000, 0x4000_0000] {
        assert_eq!(answer(libc::SYS_clone, &[flag | 17]), REFUSED, "{flag:x}");
    }
    assert_eq!(answer(libc::SYS_clone3, &[0]), MISSING);

    assert_eq!(answer(libc::SYS_ioctl, &[0, libc::TIOCGWINSZ]), Answer::Allow);
    for above in [0, 1 << 32, u64::MAX << 32] {
        // The kernel takes 32 bits, so what is above must not hide the command.
        assert_eq!(answer(libc::SYS_ioctl, &[0, above | libc::TIOCSTI]), REFUSED);
        assert_eq!(answer(libc::SYS_ioctl, &[0, above | libc::TIOCLINUX]), REFUSED);
        assert_eq!(answer(libc::SYS_socket, &[above | 40, 1, 0]), REFUSED);
    }

    let sockets = [
        ((libc::AF_UNIX, libc::SOCK_SEQPACKET, 0), Answer::Allow),
        ((libc::AF_INET, libc::SOCK_STREAM | libc::SOCK_CLOEXEC, 0), Answer::Allow),
        ((libc::AF_INET6, libc::SOCK_DGRAM | libc::SOCK_NONBLOCK, libc::IPPROTO_UDP), Answer::Allow),
        ((libc::AF_INET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, libc::IPPROTO_ICMP), REFUSED),
        ((libc::AF_INET6, libc::SOCK_RAW, libc::IPPROTO_TCP), REFUSED),
        ((libc::AF_INET, libc::SOCK_SEQPACKET, libc::IPPROTO_SCTP), REFUSED),
        ((libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_SCTP), NO_PROTOCOL),
        ((libc::AF_INET, libc::SOCK_STREAM, libc::IPPROTO_MPTCP), NO_PROTOCOL),
        ((libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_ROUTE), Answer::Allow),
        ((libc::AF_NETLINK, libc::SOCK_RAW, libc::NETLINK_NETFILTER), NO_PROTOCOL),
        ((libc::AF_VSOCK, libc::SOCK_STREAM, 0), REFUSED),
        ((libc::AF_PACKET, libc::SOCK_RAW, 0), REFUSED),
        ((libc::AF_ALG, libc::SOCK_SEQPACKET, 0), REFUSED),
        ((libc::AF_TIPC, libc::SOCK_STREAM, 0), REFUSED),
    ];
    for ((domain, kind, protocol), expected) in sockets {
        let arguments = [domain, kind, protocol].map(|argument| argument as u64);
        assert_eq!(answer(libc::SYS_socket, &arguments), expected, "{domain} {kind} {protocol}");
        assert_eq!(answer(libc::SYS_socketpair, &arguments), expected, "{domain} {kind} {protocol}");
    }
    assert_eq!(answer(libc::SYS_personality, &[0xffff_ffff]), Answer::Allow);
    assert_eq!(answer(libc::SYS_personality, &[0x4_0000]), REFUSED);
}

#[test]
fn another_instruction_set_is_killed() {
    for architecture in [0x4000_0003, 0xc000_003e, 0xc000_00b7, 0x4000_0028, 0] {
        let mut call = Call::new(libc::SYS_getpid as u32, &[]);
        call.architecture = architecture;
        let expected = if architecture == ARCHITECTURE { Answer::Allow } else { Answer::Kill };
        assert_eq!(run(&Filter::for_functions().0, &call), expected, "{architecture:x}");
    }
}

/// Long enough for jumps that do not fit into one instruction.
#[test]
fn a_long_table_is_searched_too() {
    let rule = |number: u32| Rule::Always(Answer::Errno(i32::try_from(number % 97).expect("small")));
    let segments: Vec<(u32, Rule)> = (0..1500).map(|number| (number * 3, rule(number))).collect();
    let program = assemble(&segments);
    for number in (0..4600).chain([u32::MAX]) {
        let expected = match rule((number / 3).min(1499)) {
            Rule::Always(answer) => answer,
            Rule::Test { .. } => unreachable!("none was made"),
        };
        assert_eq!(run(&program, &Call::new(number, &[])), expected, "{number}");
    }
}

/// A linear program from another hand. It knows one errno for each filter, so there are three; the
/// kernel would stack them.
#[test]
fn seccompiler_agrees() {
    let [refused, missing, no_protocol] = oracle();
    let filter = &Filter::for_functions().0;
    let (rules, all) = (policy::rules(), arguments());
    for number in 0..=600 {
        // Where the table does not look at them, a few do.
        let step = if let Some(Rule::Test { .. }) = rules.get(&number) { 1 } else { 211 };
        for arguments in all.iter().step_by(step) {
            let call = Call::new(number, arguments);
            let oracle = [&refused, &no_protocol, &missing].into_iter().map(|program| run(program, &call));
            let oracle =
                oracle.fold(Answer::Allow, |said, next| if said == Answer::Allow { next } else { said });
            assert_eq!(run(filter, &call), oracle, "{call:x?}");
        }
    }
}

fn oracle() -> [Vec<sock_filter>; 3] {
    let eq = |argument, value: i32| condition(argument, SeccompCmpOp::Eq, value.cast_unsigned());
    let ne = |argument, value: i32| condition(argument, SeccompCmpOp::Ne, value.cast_unsigned());
    let masked = |argument, mask, value| condition(argument, SeccompCmpOp::MaskedEq(mask), value);
    let mut refused: BTreeMap<i64, Vec<SeccompRule>> = BTreeMap::new();
    let mut missing = BTreeMap::new();
    let mut no_protocol = BTreeMap::new();
    for (number, rule) in policy::rules() {
        match rule {
            Rule::Always(REFUSED) => drop(refused.insert(i64::from(number), Vec::new())),
            Rule::Always(MISSING) => drop(missing.insert(i64::from(number), Vec::new())),
            Rule::Always(other) => panic!("{other:?} needs a filter here"),
            // Said again below, in another way.
            Rule::Test { .. } => {}
        }
    }
    let unknown = if cfg!(target_arch = "x86_64") { 335..=423 } else { 295..=423 };
    let hole = if cfg!(target_arch = "x86_64") { 0..0 } else { 244..260 };
    missing.extend(unknown.chain(470..=600).chain(hole).map(|number| (number, Vec::new())));

    let spaces = [17, 25, 26, 27, 28, 29, 30];
    refused.insert(libc::SYS_clone, spaces.map(|bit| rule([masked(0, 1 << bit, 1 << bit)])).into());
    refused.insert(libc::SYS_ioctl, vec![rule([eq(1, 0x5412)]), rule([eq(1, 0x541c)])]);
    refused.insert(libc::SYS_personality, vec![rule([ne(0, 0), ne(0, -1)])]);
    let (unix, four, six, netlink) = (libc::AF_UNIX, libc::AF_INET, libc::AF_INET6, libc::AF_NETLINK);
    let mut bad_sockets = vec![rule([ne(0, unix), ne(0, four), ne(0, six), ne(0, netlink)])];
    let mut bad_protocols = vec![rule([eq(0, netlink), ne(2, 0)])];
    for domain in [four, six] {
        let bad_types = (0..16).filter(|kind| *kind != 1 && *kind != 2);
        bad_sockets.extend(bad_types.map(|kind| rule([eq(0, domain), masked(1, 0xf, kind)])));
        for kind in [1, 2] {
            let named = [ne(2, 0), ne(2, 1), ne(2, 6), ne(2, 17), ne(2, 58)];
            bad_protocols.push(rule([eq(0, domain), masked(1, 0xf, kind)].into_iter().chain(named)));
        }
    }
    for call in [libc::SYS_socket, libc::SYS_socketpair] {
        refused.insert(call, bad_sockets.clone());
        no_protocol.insert(call, bad_protocols.clone());
    }
    let errnos = [libc::EPERM, libc::ENOSYS, libc::EPROTONOSUPPORT];
    let mut filters = [refused, missing, no_protocol].into_iter();
    errnos.map(|errno| compile(filters.next().expect("three"), errno))
}

fn condition(argument: u8, operator: SeccompCmpOp, value: u32) -> SeccompCondition {
    SeccompCondition::new(argument, SeccompCmpArgLen::Dword, operator, value.into()).expect("a condition")
}

fn rule(conditions: impl IntoIterator<Item = SeccompCondition>) -> SeccompRule {
    SeccompRule::new(conditions.into_iter().collect()).expect("a rule")
}

fn compile(rules: BTreeMap<i64, Vec<SeccompRule>>, errno: i32) -> Vec<sock_filter> {
    let architecture = TargetArch::try_from(std::env::consts::ARCH).expect("one of theirs");
    let matched = SeccompAction::Errno(errno.cast_unsigned());
    let filter = SeccompFilter::new(rules, SeccompAction::Allow, matched, architecture).expect("a filter");
    let program = BpfProgram::try_from(filter).expect("a program");
    program
        .iter()
        .map(|theirs| sock_filter { code: theirs.code, jt: theirs.jt, jf: theirs.jf, k: theirs.k })
        .collect()
}
