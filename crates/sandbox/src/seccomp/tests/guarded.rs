//! The filter of guarded jails, by cases.

use super::super::Filter;
use super::super::policy::Answer;
use super::machine::{Call, run};

const REFUSED: Answer = Answer::Errno(libc::EPERM);
const NO_OPTION: Answer = Answer::Errno(libc::ENOPROTOOPT);
const NO_FAST_OPEN: Answer = Answer::Errno(libc::EOPNOTSUPP);

/// A level, an option, and whether it may be set.
const OPTIONS: &[(i32, i32, Answer)] = &[
    (libc::SOL_SOCKET, libc::SO_KEEPALIVE, Answer::Allow),
    (libc::SOL_SOCKET, libc::SO_SNDBUF, Answer::Allow),
    (libc::SOL_SOCKET, libc::SO_BINDTODEVICE, REFUSED),
    (libc::SOL_SOCKET, libc::SO_BINDTOIFINDEX, REFUSED),
    (libc::SOL_TCP, libc::TCP_NODELAY, Answer::Allow),
    (libc::SOL_TCP, libc::TCP_KEEPIDLE, Answer::Allow),
    (libc::SOL_TCP, libc::TCP_FASTOPEN_CONNECT, NO_OPTION),
    (libc::SOL_TCP, libc::TCP_ULP, NO_OPTION),
    (libc::SOL_IP, libc::IP_TOS, Answer::Allow),
    (libc::SOL_IP, libc::IP_OPTIONS, REFUSED),
    (libc::SOL_IP, libc::IP_UNICAST_IF, REFUSED),
    (libc::SOL_IP, libc::IP_ADD_SOURCE_MEMBERSHIP, REFUSED),
    (libc::SOL_IP, 42, REFUSED), // MCAST_JOIN_GROUP
    (libc::SOL_IPV6, libc::IPV6_V6ONLY, Answer::Allow),
    (libc::SOL_IPV6, libc::IPV6_RTHDR, REFUSED),
    (libc::SOL_IPV6, 42, REFUSED),
    (libc::SOL_UDP, 1, Answer::Allow),
];

fn answer(call: i64, arguments: &[u64]) -> Answer {
    run(&Filter::for_guarded().0, &Call::new(call as u32, arguments))
}

#[test]
fn who_would_reach_or_be_reached_is_told() {
    for call in [libc::SYS_connect, libc::SYS_bind, libc::SYS_listen] {
        assert_eq!(answer(call, &[3, 0, 16]), Answer::Tell, "{call}");
        // The filter for functions leaves them to it.
        let above = run(&Filter::for_functions().0, &Call::new(call as u32, &[3, 0, 16]));
        assert_eq!(above, Answer::Allow, "{call}");
    }
    for call in [libc::SYS_socket, libc::SYS_accept4, libc::SYS_write, libc::SYS_clone, libc::SYS_execve] {
        assert_eq!(answer(call, &[3, 0, 16]), Answer::Allow, "{call}");
    }
}

#[test]
fn sending_connects_nobody() {
    let fast = libc::MSG_FASTOPEN as u64;
    for also in [0, libc::MSG_NOSIGNAL as u64, 7 << 32] {
        for (call, place) in [(libc::SYS_sendto, 3), (libc::SYS_sendmmsg, 3), (libc::SYS_sendmsg, 2)] {
            let with = |flags: u64| {
                let mut arguments = [3, 0, 0, 0];
                arguments[place] = flags;
                answer(call, &arguments)
            };
            assert_eq!(with(also), Answer::Allow, "{call}");
            assert_eq!(with(fast | also), NO_FAST_OPEN, "{call}");
        }
    }
}

#[test]
fn options_are_told_apart() {
    for (level, option, expected) in OPTIONS {
        for above in [0, 1 << 32] {
            let arguments = [3, above | *level as u64, above | *option as u64];
            assert_eq!(answer(libc::SYS_setsockopt, &arguments), *expected, "{level} {option}");
        }
    }
    assert_eq!(answer(libc::SYS_getsockopt, &[3, 1, 77]), NO_OPTION);
    assert_eq!(answer(libc::SYS_getsockopt, &[3, 1, libc::SO_ERROR as u64]), Answer::Allow);
    assert_eq!(answer(libc::SYS_getsockopt, &[3, 6, 77]), Answer::Allow);
}

#[test]
fn a_socket_does_not_tell_of_its_network() {
    for refused in [libc::SIOCGIFCONF, libc::SIOCGIFADDR, libc::SIOCGIFNAME, 0x890b, 0x89e0, 0x89ff, 0x8b1b] {
        assert_eq!(answer(libc::SYS_ioctl, &[3, refused]), REFUSED, "{refused:x}");
        assert_eq!(answer(libc::SYS_ioctl, &[3, (1 << 32) | refused]), REFUSED, "{refused:x}");
    }
    for allowed in [libc::FIONREAD, libc::FIONBIO, libc::TIOCGWINSZ, 0x8905, 0x8906] {
        assert_eq!(answer(libc::SYS_ioctl, &[3, allowed]), Answer::Allow, "{allowed:x}");
    }
}
