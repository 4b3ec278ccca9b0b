//! The table of a jail that is given sockets of the host's (`jail::guard`): which calls lambkin is told of
//! and makes itself, and what may not be done with a socket that is in another network than its owner.
//!
//! What a call does to a host's socket and to one of the jail's cannot be told apart here, so both are
//! refused what is only wrong for the first.

use std::collections::BTreeMap;

use libc::{ENOPROTOOPT, EOPNOTSUPP};

use super::policy::{ALLOW, Answer, REFUSE, Rule, number};

const TELL: Rule = Rule::Always(Answer::Tell);

/// A connection made by sending, without any `connect`: as on a kernel that has no TCP Fast Open.
const NO_FAST_OPEN: Rule = Rule::Always(Answer::Errno(EOPNOTSUPP));

/// As on a kernel that has no such option.
const NO_OPTION: Rule = Rule::Always(Answer::Errno(ENOPROTOOPT));

const FAST_OPEN: u32 = libc::MSG_FASTOPEN.cast_unsigned();

/// `sendto` and `sendmmsg` have their flags in the fourth argument, `sendmsg` in the third.
const SEND: Rule = Rule::Test {
    argument: 3,
    mask: FAST_OPEN,
    values: &[FAST_OPEN],
    found: &NO_FAST_OPEN,
    otherwise: &ALLOW,
};
const SEND_MESSAGE: Rule = Rule::Test {
    argument: 2,
    mask: FAST_OPEN,
    values: &[FAST_OPEN],
    found: &NO_FAST_OPEN,
    otherwise: &ALLOW,
};

/// Lists the links, addresses, routes and radios of the network that a socket is in. Who owns a socket, its
/// urgent mark and its time of arrival (0x8901 to 0x8907) are its own.
const IOCTL: Rule = Rule::Test {
    argument: 1,
    mask: u32::MAX,
    values: &[0x8901, 0x8902, 0x8903, 0x8904, 0x8905, 0x8906, 0x8907],
    found: &ALLOW,
    otherwise: &Rule::Test {
        argument: 1,
        mask: !0xff,
        values: &[0x8900, 0x8b00],
        found: &REFUSE,
        otherwise: &ALLOW,
    },
};

/// `linux/in.h`: what a program sets on its own connection. Not the routes that its packets take, the link that they
/// leave by, nor groups that the host would join.
const IP: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[
        libc::IP_TOS.cast_unsigned(),
        libc::IP_TTL.cast_unsigned(),
        libc::IP_PKTINFO.cast_unsigned(),
        libc::IP_MTU_DISCOVER.cast_unsigned(),
        libc::IP_RECVERR.cast_unsigned(),
        libc::IP_RECVTTL.cast_unsigned(),
        libc::IP_RECVTOS.cast_unsigned(),
        libc::IP_FREEBIND.cast_unsigned(),
        21, // IP_MINTTL
        24, // IP_BIND_ADDRESS_NO_PORT
        26, // IP_RECVERR_RFC4884
        51, // IP_LOCAL_PORT_RANGE
    ],
    found: &ALLOW,
    otherwise: &REFUSE,
};

/// `linux/in6.h`, likewise.
const IPV6: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[
        libc::IPV6_UNICAST_HOPS.cast_unsigned(),
        libc::IPV6_MTU_DISCOVER.cast_unsigned(),
        libc::IPV6_RECVERR.cast_unsigned(),
        libc::IPV6_V6ONLY.cast_unsigned(),
        libc::IPV6_RECVPKTINFO.cast_unsigned(),
        libc::IPV6_RECVHOPLIMIT.cast_unsigned(),
        libc::IPV6_DONTFRAG.cast_unsigned(),
        libc::IPV6_RECVTCLASS.cast_unsigned(),
        libc::IPV6_TCLASS.cast_unsigned(),
        70, // IPV6_AUTOFLOWLABEL
        73, // IPV6_MINHOPCOUNT
        78, // IPV6_FREEBIND
    ],
    found: &ALLOW,
    otherwise: &REFUSE,
};

/// The link that packets leave by, of which the kernel lets everybody choose one.
const SOCKET: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[libc::SO_BINDTODEVICE.cast_unsigned(), libc::SO_BINDTOIFINDEX.cast_unsigned()],
    found: &REFUSE,
    otherwise: &ALLOW,
};

/// Another protocol over the same socket (SMC's connects by itself), and connections by the first write.
const TCP: Rule = Rule::Test {
    argument: 2,
    mask: u32::MAX,
    values: &[libc::TCP_ULP.cast_unsigned(), libc::TCP_FASTOPEN_CONNECT.cast_unsigned()],
    found: &NO_OPTION,
    otherwise: &ALLOW,
};

const SET_OPTION: Rule = level(
    &[libc::SOL_IP.cast_unsigned()],
    &IP,
    &level(
        &[libc::SOL_IPV6.cast_unsigned()],
        &IPV6,
        &level(
            &[libc::SOL_SOCKET.cast_unsigned()],
            &SOCKET,
            &level(&[libc::SOL_TCP.cast_unsigned()], &TCP, &ALLOW),
        ),
    ),
);

/// lambkin calls `listen` for who asks for it, and so is who a client of theirs on a path would be given as a pidfd.
const GET_OPTION: Rule = level(
    &[libc::SOL_SOCKET.cast_unsigned()],
    &Rule::Test {
        argument: 2,
        mask: u32::MAX,
        values: &[SO_PEERPIDFD],
        found: &NO_OPTION,
        otherwise: &ALLOW,
    },
    &ALLOW,
);

/// `asm-generic/socket.h`.
const SO_PEERPIDFD: u32 = 77;

const fn level(values: &'static [u32], found: &'static Rule, otherwise: &'static Rule) -> Rule {
    Rule::Test { argument: 1, mask: u32::MAX, values, found, otherwise }
}

/// Those numbers that are not simply allowed or unknown.
pub(super) fn rules() -> BTreeMap<u32, Rule> {
    let all = [
        (libc::SYS_connect, TELL),
        (libc::SYS_bind, TELL),
        (libc::SYS_listen, TELL),
        (libc::SYS_sendto, SEND),
        (libc::SYS_sendmmsg, SEND),
        (libc::SYS_sendmsg, SEND_MESSAGE),
        (libc::SYS_ioctl, IOCTL),
        (libc::SYS_setsockopt, SET_OPTION),
        (libc::SYS_getsockopt, GET_OPTION),
    ];
    all.into_iter().map(|(call, rule)| (number(call), rule)).collect()
}
