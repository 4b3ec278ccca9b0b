//! Where a call leads, as its caller wrote it.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4};

use rustix::io::Errno;
use rustix::net::AddressFamily;

use super::OWN;

/// Longest that the kernel takes.
pub(super) const MOST_BYTES: usize = 128;

/// Lengths of the two, without what was added to the second later.
const V4_BYTES: usize = 16;
const V6_BYTES: usize = 24;

/// A copy that nobody changes any more.
pub(super) struct Address {
    pub(super) bytes: [u8; MOST_BYTES],
    pub(super) length: usize,
}

/// Seen from a jail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum To {
    /// Ends a connection.
    Nobody,
    /// The jail itself.
    Inside,
    Outside(SocketAddrV4),
    /// By IPv6, of which jails have none.
    OutsideByIpv6,
}

impl Address {
    /// The kernel's own bounds, by what it takes as the length.
    pub(super) fn room(length: u64) -> Result<usize, Errno> {
        let length = usize::try_from((length as u32).cast_signed()).map_err(|_| Errno::INVAL)?;
        if length <= MOST_BYTES { Ok(length) } else { Err(Errno::INVAL) }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn family(&self) -> Result<AddressFamily, Errno> {
        let family = self.bytes().first_chunk().ok_or(Errno::INVAL)?;
        Ok(AddressFamily::from_raw(u16::from_ne_bytes(*family)))
    }

    /// Its port, where it has one.
    pub(super) fn port(&self) -> Option<u16> {
        Some(u16::from_be_bytes(*self.bytes().get(2..)?.first_chunk()?))
    }

    /// Where a TCP socket of this family would connect to.
    pub(super) fn to(&self, family: AddressFamily) -> Result<To, Errno> {
        let given = self.family()?;
        if given == AddressFamily::UNSPEC {
            return Ok(To::Nobody);
        }
        let is_v4 = family == AddressFamily::INET;
        if self.length < if is_v4 { V4_BYTES } else { V6_BYTES } {
            return Err(Errno::INVAL);
        }
        if given != family {
            return Err(Errno::AFNOSUPPORT);
        }
        let port = self.port().ok_or(Errno::INVAL)?;
        let address = if is_v4 {
            Ipv4Addr::from(*self.bytes[4..].first_chunk().ok_or(Errno::INVAL)?)
        } else {
            let address = Ipv6Addr::from(*self.bytes[8..].first_chunk::<16>().ok_or(Errno::INVAL)?);
            match address.to_ipv4_mapped() {
                Some(mapped) => mapped,
                None if address.is_loopback() || address.is_unspecified() => return Ok(To::Inside),
                None => return Ok(To::OutsideByIpv6),
            }
        };
        // Where names are asked for is the host's, by TCP.
        if address.is_loopback() || address.is_unspecified() || (address == OWN && port != super::NAMES) {
            return Ok(To::Inside);
        }
        Ok(To::Outside(SocketAddrV4::new(address, port)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(family: AddressFamily, rest: &[u8]) -> Address {
        let mut address = Address { bytes: [0; MOST_BYTES], length: 2 + rest.len() };
        address.bytes[..2].copy_from_slice(&family.as_raw().to_ne_bytes());
        address.bytes[2..2 + rest.len()].copy_from_slice(rest);
        address
    }

    fn v4(port: u16, address: [u8; 4]) -> Address {
        written(AddressFamily::INET, &[&port.to_be_bytes()[..], &address, &[0; 8]].concat())
    }

    fn v6(port: u16, address: &str) -> Address {
        let address: Ipv6Addr = address.parse().expect("an address");
        let rest = [&port.to_be_bytes()[..], &[0; 4], &address.octets(), &[0; 4]].concat();
        written(AddressFamily::INET6, &rest)
    }

    #[test]
    fn where_it_leads() {
        let (four, six) = (AddressFamily::INET, AddressFamily::INET6);
        let outside = |address: [u8; 4], port| Ok(To::Outside(SocketAddrV4::new(address.into(), port)));
        for (address, family, expected) in [
            (v4(80, [198, 51, 100, 1]), four, outside([198, 51, 100, 1], 80)),
            (v4(80, [127, 9, 9, 9]), four, Ok(To::Inside)),
            (v4(80, [0, 0, 0, 0]), four, Ok(To::Inside)),
            (v4(80, OWN.octets()), four, Ok(To::Inside)),
            (v4(53, OWN.octets()), four, outside(OWN.octets(), 53)),
            (v6(80, "::1"), six, Ok(To::Inside)),
            (v6(80, "::"), six, Ok(To::Inside)),
            (v6(80, "::ffff:127.0.0.1"), six, Ok(To::Inside)),
            (v6(80, "::ffff:198.51.100.1"), six, outside([198, 51, 100, 1], 80)),
            (v6(80, "::127.0.0.1"), six, Ok(To::OutsideByIpv6)),
            (v6(80, "fd00:ec2::254"), six, Ok(To::OutsideByIpv6)),
            (v6(80, "64:ff9b::7f00:1"), six, Ok(To::OutsideByIpv6)),
            (v4(80, [198, 51, 100, 1]), six, Err(Errno::INVAL)),
            (v6(80, "::1"), four, Err(Errno::AFNOSUPPORT)),
            (written(AddressFamily::UNSPEC, &[]), four, Ok(To::Nobody)),
            (written(AddressFamily::INET, &[0; 13]), four, Err(Errno::INVAL)),
            (Address { bytes: [0; MOST_BYTES], length: 1 }, four, Err(Errno::INVAL)),
        ] {
            assert_eq!(address.to(family), expected, "{:?}", address.bytes());
        }
    }

    #[test]
    fn lengths_are_the_kernel_s() {
        assert_eq!(Address::room(16), Ok(16));
        assert_eq!(Address::room(128), Ok(128));
        assert_eq!(Address::room((7 << 32) | 16), Ok(16));
        for length in [129, u64::from(u32::MAX), 1 << 31] {
            assert_eq!(Address::room(length), Err(Errno::INVAL), "{length}");
        }
    }
}
