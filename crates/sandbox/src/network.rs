//! What functions reach by network, as the operator says it.
//!
//! Deliberately not here: how it is done (`jail::outside`).

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

/// What a jail reaches beyond its own loopback. Plain processes have the host's network.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Network {
    /// Nothing.
    #[default]
    None,
    /// As [`Network::User`] where that works here, or else nothing.
    Auto {
        /// Private networks that are reached too.
        allow: Vec<Subnet>,
    },
    /// The same as with [`Network::Nat`], by a program instead of the host's forwarding.
    User {
        /// Private networks that are reached too.
        allow: Vec<Subnet>,
    },
    /// The same, for TCP alone, by sockets that lambkin makes and hands in.
    Host {
        /// Private networks that are reached too.
        allow: Vec<Subnet>,
    },
    /// The internet by IPv4, from the host's address; not the host, no other jail, no metadata
    /// service, and of the private networks only these.
    Nat {
        /// Private networks that are reached too.
        allow: Vec<Subnet>,
    },
}

impl Network {
    /// Its name on the command line, where only a jail can have it.
    pub(crate) fn for_jails(&self) -> Option<&'static str> {
        match self {
            Self::None | Self::Auto { .. } => None,
            Self::User { .. } => Some("user"),
            Self::Nat { .. } => Some("nat"),
            Self::Host { .. } => Some("host"),
        }
    }
}

/// An IPv4 network, such as `10.1.0.0/16`; an address alone is a network of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Subnet {
    address: Ipv4Addr,
    length: u8,
}

impl Subnet {
    #[cfg(target_os = "linux")]
    pub(crate) const fn new(address: Ipv4Addr, length: u8) -> Self {
        Self { address, length }
    }

    #[cfg(target_os = "linux")]
    pub(crate) fn overlaps(self, other: Self) -> bool {
        let mask = mask(self.length.min(other.length));
        self.address.to_bits() & mask == other.address.to_bits() & mask
    }

    /// The address with this number in it.
    #[cfg(target_os = "linux")]
    pub(crate) fn address(self, number: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.address.to_bits() | number)
    }
}

fn mask(length: u8) -> u32 {
    u32::MAX.checked_shl(32 - u32::from(length)).unwrap_or(0)
}

impl FromStr for Subnet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (address, length) = text.split_once('/').unwrap_or((text, "32"));
        let parsed = address.parse::<Ipv4Addr>().ok().zip(length.parse().ok().filter(|length| *length <= 32));
        let (address, length) = parsed.ok_or("an IPv4 network such as 10.1.0.0/16")?;
        let first = Ipv4Addr::from_bits(address.to_bits() & mask(length));
        if first == address {
            Ok(Self { address, length })
        } else {
            Err(format!("not a network's first address; {first}/{length} is"))
        }
    }
}

impl fmt::Display for Subnet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_subnet_is_written_as_it_is_read() {
        for (text, as_written) in
            [("10.1.0.0/16", "10.1.0.0/16"), ("10.1.2.3", "10.1.2.3/32"), ("0.0.0.0/0", "0.0.0.0/0")]
        {
            assert_eq!(text.parse::<Subnet>().map(|subnet| subnet.to_string()), Ok(as_written.to_owned()));
        }
        for text in ["", "10.1/16", "10.0.0.0/33", "10.0.0.0/-1", "fd00::/8", "ten", "10.1.0.1/16"] {
            assert!(text.parse::<Subnet>().is_err(), "{text}");
        }
        assert!("10.1.2.3/16".parse::<Subnet>().is_err_and(|error| error.contains("10.1.0.0/16")));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn subnets_overlap_where_one_holds_the_other() {
        let overlaps = |one: &str, other: &str| {
            let (one, other): (Subnet, Subnet) = (one.parse().expect("one"), other.parse().expect("other"));
            assert_eq!(one.overlaps(other), other.overlaps(one));
            one.overlaps(other)
        };
        assert!(overlaps("100.64.0.0/10", "100.71.0.0/16"));
        assert!(overlaps("0.0.0.0/0", "100.71.0.0/16"));
        assert!(overlaps("100.71.0.7/32", "100.71.0.0/16"));
        assert!(!overlaps("100.72.0.0/16", "100.71.0.0/16"));
    }
}
