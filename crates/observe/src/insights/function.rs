//! Functions of queries, on numbers, texts and times.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::period::Period;
use super::value::Value;

#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Function {
    Abs,
    Ceil,
    Floor,
    Sqrt,
    Log,
    Greatest,
    Least,
    IsPresent,
    IsEmpty,
    IsBlank,
    Coalesce,
    Concat,
    Strlen,
    Trim,
    Ltrim,
    Rtrim,
    ToUpper,
    ToLower,
    Substr,
    Replace,
    StrContains,
    /// Where the period of a time begins, and the next one.
    DateFloor(Period),
    DateCeil(Period),
    FromMillis,
    ToMillis,
    JsonParse,
    JsonStringify,
    IsValidIp,
    IsValidIpv4,
    IsValidIpv6,
    IsIpInSubnet,
    IsIpv4InSubnet,
    IsIpv6InSubnet,
}

/// Names, and how many arguments they take.
const FUNCTIONS: [(&str, Function, usize, usize); 33] = [
    ("abs", Function::Abs, 1, 1),
    ("ceil", Function::Ceil, 1, 1),
    ("floor", Function::Floor, 1, 1),
    ("sqrt", Function::Sqrt, 1, 1),
    ("log", Function::Log, 1, 1),
    ("greatest", Function::Greatest, 1, 100),
    ("least", Function::Least, 1, 100),
    ("ispresent", Function::IsPresent, 1, 1),
    ("isempty", Function::IsEmpty, 1, 1),
    ("isblank", Function::IsBlank, 1, 1),
    ("coalesce", Function::Coalesce, 1, 100),
    ("concat", Function::Concat, 1, 100),
    ("strlen", Function::Strlen, 1, 1),
    ("trim", Function::Trim, 1, 2),
    ("ltrim", Function::Ltrim, 1, 2),
    ("rtrim", Function::Rtrim, 1, 2),
    ("toupper", Function::ToUpper, 1, 1),
    ("upper", Function::ToUpper, 1, 1),
    ("tolower", Function::ToLower, 1, 1),
    ("lower", Function::ToLower, 1, 1),
    ("substr", Function::Substr, 2, 3),
    ("replace", Function::Replace, 3, 3),
    ("strcontains", Function::StrContains, 2, 2),
    ("frommillis", Function::FromMillis, 1, 1),
    ("tomillis", Function::ToMillis, 1, 1),
    ("jsonparse", Function::JsonParse, 1, 1),
    ("jsonstringify", Function::JsonStringify, 1, 1),
    ("isvalidip", Function::IsValidIp, 1, 1),
    ("isvalidipv4", Function::IsValidIpv4, 1, 1),
    ("isvalidipv6", Function::IsValidIpv6, 1, 1),
    ("isipinsubnet", Function::IsIpInSubnet, 2, 2),
    ("isipv4insubnet", Function::IsIpv4InSubnet, 2, 2),
    ("isipv6insubnet", Function::IsIpv6InSubnet, 2, 2),
];

impl Function {
    pub(super) fn named(name: &str) -> Option<(Self, std::ops::RangeInclusive<usize>)> {
        let name = name.to_lowercase();
        let found = FUNCTIONS.iter().find(|(own, ..)| *own == name)?;
        Some((found.1, found.2..=found.3))
    }

    pub(super) fn call(self, arguments: &[Value]) -> Value {
        let number = |index: usize| arguments.get(index).and_then(Value::number);
        let text = |index: usize| arguments.get(index).and_then(Value::text);
        let of_number = |compute: fn(f64) -> f64| {
            number(0).map(compute).filter(|result| result.is_finite()).map_or(Value::Nothing, Value::Number)
        };
        let of_text = |text: Option<String>| text.map_or(Value::Nothing, Value::Text);
        match self {
            Self::Abs => of_number(f64::abs),
            Self::Ceil => of_number(f64::ceil),
            Self::Floor => of_number(f64::floor),
            Self::Sqrt => of_number(f64::sqrt),
            Self::Log => of_number(f64::ln),
            Self::Greatest => extreme(arguments, f64::max),
            Self::Least => extreme(arguments, f64::min),
            Self::IsPresent => Value::Truth(arguments[0] != Value::Nothing),
            Self::IsEmpty => Value::Truth(text(0).is_none_or(|text| text.is_empty())),
            Self::IsBlank => Value::Truth(text(0).is_none_or(|text| text.trim().is_empty())),
            Self::Coalesce => {
                arguments.iter().find(|value| **value != Value::Nothing).cloned().unwrap_or(Value::Nothing)
            }
            Self::Concat => Value::Text(arguments.iter().filter_map(Value::text).collect()),
            Self::Strlen => text(0).map_or(Value::Nothing, |text| Value::Number(text.chars().count() as f64)),
            Self::Trim | Self::Ltrim | Self::Rtrim => {
                let of = text(1).unwrap_or_else(|| " \t\r\n".into());
                let is = |each: char| of.contains(each);
                of_text(text(0).map(|text| {
                    let begun = if self == Self::Rtrim { &text } else { text.trim_start_matches(is) };
                    if self == Self::Ltrim { begun } else { begun.trim_end_matches(is) }.to_owned()
                }))
            }
            Self::ToUpper => of_text(text(0).map(|text| text.to_uppercase())),
            Self::ToLower => of_text(text(0).map(|text| text.to_lowercase())),
            Self::Substr => {
                let (begin, length) =
                    (number(1).unwrap_or(0.0).max(0.0), number(2).unwrap_or(f64::MAX).max(0.0));
                of_text(text(0).map(|text| text.chars().skip(begin as usize).take(length as usize).collect()))
            }
            Self::Replace => match (text(0), text(1), text(2)) {
                (Some(text), Some(from), Some(to)) if !from.is_empty() => {
                    Value::Text(text.replace(&from, &to))
                }
                (text, _, _) => of_text(text),
            },
            Self::StrContains => match (text(0), text(1)) {
                (Some(text), Some(part)) => Value::Number(f64::from(u8::from(text.contains(&part)))),
                (_, _) => Value::Number(0.0),
            },
            Self::DateFloor(period) => of_time(number(0).and_then(time).map(|at| period.floor(at))),
            Self::DateCeil(period) => of_time(number(0).and_then(time).map(|at| period.ceil(at))),
            Self::FromMillis => of_time(number(0)),
            Self::ToMillis => number(0).map_or(Value::Nothing, Value::Number),
            // A map or a list stays its text; its members are found when they are asked for.
            Self::JsonParse => of_text(text(0).filter(|text| {
                let parsed = serde_json::from_str::<serde_json::Value>(text);
                parsed.is_ok_and(|json| json.is_object() || json.is_array())
            })),
            Self::JsonStringify => of_text(text(0)),
            Self::IsValidIp => Value::Truth(parsed::<IpAddr>(text(0)).is_some()),
            Self::IsValidIpv4 => Value::Truth(parsed::<Ipv4Addr>(text(0)).is_some()),
            Self::IsValidIpv6 => Value::Truth(parsed::<Ipv6Addr>(text(0)).is_some()),
            Self::IsIpInSubnet => Value::Truth(in_subnet(parsed(text(0)), text(1))),
            Self::IsIpv4InSubnet => Value::Truth(in_subnet(parsed(text(0)).filter(IpAddr::is_ipv4), text(1))),
            Self::IsIpv6InSubnet => Value::Truth(in_subnet(parsed(text(0)).filter(IpAddr::is_ipv6), text(1))),
        }
    }
}

/// A number that is a time: from 1970 to the end of the year 9999, which can be shown, and in which months are counted.
fn time(number: f64) -> Option<f64> {
    (0.0..253_402_300_800_000.0).contains(&number).then_some(number)
}

fn of_time(number: Option<f64>) -> Value {
    number.and_then(time).map_or(Value::Nothing, Value::Time)
}

fn parsed<T: std::str::FromStr>(text: Option<String>) -> Option<T> {
    text?.trim().parse().ok()
}

/// Whether an address is in `10.0.0.0/8`.
fn in_subnet(address: Option<IpAddr>, subnet: Option<String>) -> bool {
    let of = |subnet: &str| {
        let (net, prefix) = subnet.trim().split_once('/')?;
        Some((net.parse::<IpAddr>().ok()?, prefix.parse::<u32>().ok()?))
    };
    let Some((address, (net, prefix))) = address.zip(subnet.as_deref().and_then(of)) else { return false };
    let bits = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let ((address, size), (net, of)) = (bits(address), bits(net));
    let mask = u128::MAX.checked_shl(128 - prefix.min(128)).unwrap_or(0);
    size == of && prefix <= size && address & mask == net & mask
}

fn extreme(arguments: &[Value], choose: fn(f64, f64) -> f64) -> Value {
    arguments.iter().filter_map(Value::number).reduce(choose).map_or(Value::Nothing, Value::Number)
}
