//! What options take: each from its text, or what it should have been.

use lambkin_model::quota;
use lambkin_model::runtime::Runtime;

pub(super) fn runtime(name: &str) -> Result<Runtime, String> {
    Runtime::from_name(name).ok_or_else(|| {
        let known: Vec<&str> = Runtime::all().map(Runtime::name).collect();
        format!("it is one of {}", known.join(", "))
    })
}

/// A time back, in milliseconds.
pub(super) fn period(text: &str) -> Result<u64, String> {
    let (count, unit) = text.split_at(text.find(|each: char| !each.is_ascii_digit()).unwrap_or(text.len()));
    let millis = match unit {
        "s" => 1000,
        "m" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        _ => 0,
    };
    match count.parse::<u64>().ok().and_then(|count| count.checked_mul(millis)) {
        Some(period) if millis > 0 => Ok(period),
        Some(_) | None => Err("a number and s, m, h or d, such as 10m".into()),
    }
}

/// As IAM takes it.
pub(super) fn user_name(text: &str) -> Result<String, String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte);
    if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("1 to 64 letters, digits and _+=,.@-".into())
    }
}

pub(super) fn account_id(text: &str) -> Result<String, String> {
    if text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit()) {
        Ok(text.to_owned())
    } else {
        Err("twelve digits".into())
    }
}

pub(super) fn seconds(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.0..=1e9).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number of seconds".into()),
    }
}

pub(super) fn interval(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(seconds) if (0.1..=3600.0).contains(&seconds) => Ok(seconds),
        Ok(_) | Err(_) => Err("a number of seconds, 0.1 to 3600".into()),
    }
}

/// What a store's queue takes with what stands around it.
pub(super) fn event_payload(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(bytes) if bytes <= quota::EVENT_PAYLOAD_BYTES => Ok(bytes),
        Ok(_) | Err(_) => Err(format!("at most {} bytes", quota::EVENT_PAYLOAD_BYTES)),
    }
}

pub(super) fn variable(text: &str) -> Result<(String, String), String> {
    text.split_once('=')
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .ok_or_else(|| "KEY=VALUE".into())
}
