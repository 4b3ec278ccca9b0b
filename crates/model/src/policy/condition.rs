//! Conditions: an operator, a key of the request, and values of which one must fit.
//!
//! Deliberately not here: which keys a request has. One that lambkin does not know has no value, as in IAM.

use std::net::IpAddr;

use super::{Context, VALUES, glob};

/// One key under one operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Condition {
    operator: Operator,
    /// Of a key with several values.
    of: Of,
    if_exists: bool,
    key: String,
    values: Vec<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Of {
    One,
    All,
    Any,
}

/// How two texts are compared, and whether it is to be so or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Compare { how: How, negated: bool },
    Null,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Text,
    TextIgnoringCase,
    Pattern,
    Arn,
    Number(Order),
    Date(Order),
    Boolean,
    Address,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Order {
    Equal,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
}

impl Condition {
    /// All of a statement's `Condition`.
    pub(super) fn read_all(value: &serde_json::Value) -> Result<Vec<Self>, String> {
        let serde_json::Value::Object(operators) = value else {
            return Err("A statement's Condition is not an object".into());
        };
        let mut conditions = Vec::new();
        for (name, keys) in operators {
            let (operator, of, if_exists) =
                operator(name).ok_or_else(|| format!("The condition operator {name} is not known"))?;
            let serde_json::Value::Object(keys) = keys else {
                return Err(format!("The condition {name} is not an object of keys"));
            };
            for (key, values) in keys {
                let values = texts(values)
                    .filter(|values| !values.is_empty() && values.len() <= VALUES)
                    .ok_or_else(|| format!("The condition {name} has no valid values for {key}"))?;
                if let Some(wrong) = values.iter().find(|value| !operator.takes(value)) {
                    return Err(format!("The condition {name} does not take the value {wrong}"));
                }
                conditions.push(Self { operator, of, if_exists, key: key.clone(), values });
            }
        }
        Ok(conditions)
    }

    pub(super) fn holds(&self, context: &Context) -> bool {
        let given = context.get(&self.key);
        let (how, negated) = match self.operator {
            Operator::Null => {
                return self.values.iter().any(|wanted| (wanted == "true") == given.is_none());
            }
            Operator::Compare { how, negated } => (how, negated),
        };
        let Some(given) = given else {
            return match self.of {
                Of::One => self.if_exists || negated,
                Of::All => true,
                Of::Any => self.if_exists,
            };
        };
        let fits = |value: &String| {
            let any = self.values.iter().any(|wanted| {
                glob::resolved(wanted, context).is_some_and(|wanted| compare(how, &wanted, value))
            });
            any != negated
        };
        match (self.of, negated) {
            (Of::All, _) | (Of::One, true) => given.iter().all(fits),
            (Of::Any, _) | (Of::One, false) => given.iter().any(fits),
        }
    }
}

impl Operator {
    /// Whether a policy's value can be compared at all. One with a variable is known later.
    fn takes(self, value: &str) -> bool {
        match self {
            Self::Null => matches!(value, "true" | "false"),
            Self::Compare { .. } if value.contains("${") => true,
            Self::Compare { how, .. } => match how {
                How::Text | How::TextIgnoringCase | How::Pattern | How::Arn => true,
                How::Number(_) => value.parse::<f64>().is_ok(),
                How::Date(_) => date(value).is_some(),
                How::Boolean => matches!(value.to_ascii_lowercase().as_str(), "true" | "false"),
                How::Address => network(value).is_some(),
            },
        }
    }
}

fn operator(name: &str) -> Option<(Operator, Of, bool)> {
    let (of, name) = match name.split_once(':') {
        Some(("ForAllValues", name)) => (Of::All, name),
        Some(("ForAnyValue", name)) => (Of::Any, name),
        Some(_) => return None,
        None => (Of::One, name),
    };
    let (name, if_exists) = match name.strip_suffix("IfExists") {
        Some(name) => (name, true),
        None => (name, false),
    };
    let compare = |how, negated| Operator::Compare { how, negated };
    let operator = match name {
        "StringEquals" => compare(How::Text, false),
        "StringNotEquals" => compare(How::Text, true),
        "StringEqualsIgnoreCase" => compare(How::TextIgnoringCase, false),
        "StringNotEqualsIgnoreCase" => compare(How::TextIgnoringCase, true),
        "StringLike" => compare(How::Pattern, false),
        "StringNotLike" => compare(How::Pattern, true),
        // As in IAM the two are the same.
        "ArnEquals" | "ArnLike" => compare(How::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => compare(How::Arn, true),
        "NumericEquals" => compare(How::Number(Order::Equal), false),
        "NumericNotEquals" => compare(How::Number(Order::Equal), true),
        "NumericLessThan" => compare(How::Number(Order::Less), false),
        "NumericLessThanEquals" => compare(How::Number(Order::LessOrEqual), false),
        "NumericGreaterThan" => compare(How::Number(Order::Greater), false),
        "NumericGreaterThanEquals" => compare(How::Number(Order::GreaterOrEqual), false),
        "DateEquals" => compare(How::Date(Order::Equal), false),
        "DateNotEquals" => compare(How::Date(Order::Equal), true),
        "DateLessThan" => compare(How::Date(Order::Less), false),
        "DateLessThanEquals" => compare(How::Date(Order::LessOrEqual), false),
        "DateGreaterThan" => compare(How::Date(Order::Greater), false),
        "DateGreaterThanEquals" => compare(How::Date(Order::GreaterOrEqual), false),
        "Bool" => compare(How::Boolean, false),
        "IpAddress" => compare(How::Address, false),
        "NotIpAddress" => compare(How::Address, true),
        "Null" if !if_exists => Operator::Null,
        _ => return None,
    };
    Some((operator, of, if_exists))
}

fn compare(how: How, wanted: &str, value: &str) -> bool {
    match how {
        How::Text => wanted == value,
        How::TextIgnoringCase => wanted.eq_ignore_ascii_case(value),
        How::Pattern => glob::matches(wanted, value),
        How::Arn => glob::matches_arn(wanted, value),
        How::Boolean => wanted.eq_ignore_ascii_case(value),
        How::Number(order) => match (value.parse::<f64>(), wanted.parse::<f64>()) {
            (Ok(value), Ok(wanted)) => value.partial_cmp(&wanted).is_some_and(|is| order.fits(is)),
            _ => false,
        },
        How::Date(order) => match (date(value), date(wanted)) {
            (Some(value), Some(wanted)) => order.fits(value.cmp(&wanted)),
            _ => false,
        },
        How::Address => match (network(wanted), value.parse::<IpAddr>()) {
            (Some((network, bits)), Ok(address)) => contains(network, bits, address),
            _ => false,
        },
    }
}

impl Order {
    fn fits(self, is: std::cmp::Ordering) -> bool {
        match self {
            Self::Equal => is.is_eq(),
            Self::Less => is.is_lt(),
            Self::LessOrEqual => is.is_le(),
            Self::Greater => is.is_gt(),
            Self::GreaterOrEqual => is.is_ge(),
        }
    }
}

/// Milliseconds since 1970, of a date of ISO 8601 or of seconds.
fn date(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<i64>() {
        return seconds.checked_mul(1000);
    }
    if let Ok(time) = text.parse::<jiff::Timestamp>() {
        return Some(time.as_millisecond());
    }
    let day: jiff::civil::Date = text.parse().ok()?;
    Some(day.to_zoned(jiff::tz::TimeZone::UTC).ok()?.timestamp().as_millisecond())
}

/// An address with how many of its bits count.
fn network(text: &str) -> Option<(IpAddr, u32)> {
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits.parse().ok()?)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().ok()?;
    let most = if address.is_ipv4() { 32 } else { 128 };
    let bits = bits.unwrap_or(most);
    (bits <= most).then_some((address, bits))
}

fn contains(network: IpAddr, bits: u32, address: IpAddr) -> bool {
    match (network, address.to_canonical()) {
        (IpAddr::V4(network), IpAddr::V4(address)) => {
            let other = network.to_bits() ^ address.to_bits();
            other.checked_shr(32 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V6(network), IpAddr::V6(address)) => {
            let other = network.to_bits() ^ address.to_bits();
            other.checked_shr(128 - bits).unwrap_or(0) == 0
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
    }
}

/// A text or a list of texts, numbers and booleans among them.
pub(super) fn texts(value: &serde_json::Value) -> Option<Vec<String>> {
    match value {
        serde_json::Value::String(text) => Some(vec![text.clone()]),
        serde_json::Value::Bool(value) => Some(vec![value.to_string()]),
        serde_json::Value::Number(number) => Some(vec![number.to_string()]),
        serde_json::Value::Array(items) => {
            let one = |item: &serde_json::Value| match item {
                serde_json::Value::Array(_) => None,
                item => texts(item)?.pop(),
            };
            items.iter().map(one).collect()
        }
        serde_json::Value::Null | serde_json::Value::Object(_) => None,
    }
}
