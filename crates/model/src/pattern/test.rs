//! The comparisons: one value of a pattern's list against one leaf of an event.
//!
//! Deliberately not here: how they are written, and how a leaf is found.

use std::net::IpAddr;

use serde_json::{Number, Value};

use super::wildcard::Wildcard;

/// Largest number that ranges compare, up or down: event-ruler's.
pub(super) const RANGE_LIMIT: f64 = 5_000_000_000.0;

/// A comparison of texts.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Words {
    Equals(String),
    /// In lower case.
    EqualsIgnoreCase(String),
    Prefix(String),
    /// In lower case.
    PrefixIgnoreCase(String),
    Suffix(String),
    /// In lower case.
    SuffixIgnoreCase(String),
    Wildcard(Wildcard),
}

impl Words {
    fn matches(&self, text: &str) -> bool {
        match self {
            Self::Equals(wanted) => text == wanted,
            Self::EqualsIgnoreCase(wanted) => text.to_lowercase() == *wanted,
            Self::Prefix(wanted) => text.starts_with(wanted.as_str()),
            Self::PrefixIgnoreCase(wanted) => text.to_lowercase().starts_with(wanted.as_str()),
            Self::Suffix(wanted) => text.ends_with(wanted.as_str()),
            Self::SuffixIgnoreCase(wanted) => text.to_lowercase().ends_with(wanted.as_str()),
            Self::Wildcard(wanted) => wanted.matches(text),
        }
    }
}

/// An end of a range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Bound {
    pub(super) value: f64,
    /// Whether the value itself is in the range.
    pub(super) included: bool,
}

/// One value of a pattern's list.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Test {
    Null,
    Bool(bool),
    Number(Number),
    Words(Words),
    /// An address, however it is written.
    Address(IpAddr),
    /// From, to.
    Range(Option<Bound>, Option<Bound>),
    /// Addresses that agree with this one in so many first bits.
    Network(IpAddr, u8),
    /// None of these numbers; all else does.
    NotNumbers(Vec<Number>),
    /// None of these texts; all else does.
    NotWords(Vec<Words>),
    /// There is such a leaf.
    Present,
    /// There is none; [`super::tree`] looks itself.
    Absent,
}

impl Test {
    /// Whether a leaf passes.
    pub(super) fn passes(&self, leaf: &Value) -> bool {
        match (self, leaf) {
            (Self::Null, leaf) => leaf.is_null(),
            (Self::Bool(wanted), leaf) => leaf.as_bool() == Some(*wanted),
            (Self::Number(wanted), Value::Number(number)) => equal(wanted, number),
            (Self::Words(wanted), Value::String(text)) => wanted.matches(text),
            (Self::Address(wanted), Value::String(text)) => text.parse() == Ok(*wanted),
            (Self::Range(from, to), Value::Number(number)) => within(*from, *to, number),
            (Self::Network(network, bits), Value::String(text)) => {
                text.parse().is_ok_and(|address| in_network(*network, *bits, address))
            }
            (Self::NotNumbers(barred), Value::Number(number)) => {
                !barred.iter().any(|barred| equal(barred, number))
            }
            (Self::NotWords(barred), Value::String(text)) => {
                !barred.iter().any(|barred| barred.matches(text))
            }
            (Self::NotNumbers(_) | Self::NotWords(_) | Self::Present, _) => true,
            (
                Self::Number(_)
                | Self::Words(_)
                | Self::Address(_)
                | Self::Range(..)
                | Self::Network(..)
                | Self::Absent,
                _,
            ) => false,
        }
    }
}

/// Whole numbers exactly, others as floating point.
fn equal(left: &Number, right: &Number) -> bool {
    match (whole(left), whole(right)) {
        (Some(left), Some(right)) => left == right,
        _ => left.as_f64() == right.as_f64(),
    }
}

fn whole(number: &Number) -> Option<i128> {
    number.as_i64().map(i128::from).or_else(|| number.as_u64().map(i128::from))
}

fn within(from: Option<Bound>, to: Option<Bound>, number: &Number) -> bool {
    let Some(number) = number.as_f64().filter(|number| number.abs() <= RANGE_LIMIT) else { return false };
    from.is_none_or(|from| number > from.value || from.included && number == from.value)
        && to.is_none_or(|to| number < to.value || to.included && number == to.value)
}

fn in_network(network: IpAddr, bits: u8, address: IpAddr) -> bool {
    match (network, address) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(32 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            (network.to_bits() ^ address.to_bits()).checked_shr(128 - u32::from(bits)).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}
