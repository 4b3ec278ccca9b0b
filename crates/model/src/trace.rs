//! Traces: what X-Ray's header `X-Amzn-Trace-Id` and W3C's `traceparent` say, who decides whether a request is
//! traced, and the port to which spans are told.
//!
//! The header goes on as text: a field that lambkin does not know stays in it.
//!
//! Deliberately not here: where spans go (`observe`), lineages (`events`), which count passages in the same header.

mod span;

use std::fmt;

use crate::name::FunctionKey;

pub use span::{NoTraces, Span, SpanKind, Traces, Value};

/// Longest header that is passed on; X-Ray's own have a fraction of it.
pub const HEADER_BYTES: usize = 1024;

/// Id of a trace. X-Ray writes it `1-<8 hex>-<24 hex>`, W3C and OpenTelemetry as 32 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// Id of a span, X-Ray's segment: 16 hex digits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// From the value of `Root`.
    fn read(root: &str) -> Option<Self> {
        let (time, unique) = root.strip_prefix("1-")?.split_once('-')?;
        if time.len() != 8 || unique.len() != 24 {
            return None;
        }
        let mut bytes = [0; 16];
        unhex(time, &mut bytes[..4])?;
        unhex(unique, &mut bytes[4..])?;
        Some(Self(bytes))
    }
}

impl SpanId {
    fn read(text: &str) -> Option<Self> {
        let mut bytes = [0; 8];
        unhex(text, &mut bytes)?;
        Some(Self(bytes))
    }
}

/// As X-Ray writes it.
impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("1-")?;
        hex(&self.0[..4], f)?;
        f.write_str("-")?;
        hex(&self.0[4..], f)
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        hex(&self.0, f)
    }
}

/// Where in which trace a request is, and whether that trace is recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace.
    pub trace: TraceId,
    /// The span that the request comes from.
    pub parent: Option<SpanId>,
    /// `None`: nobody has decided yet.
    pub sampled: Option<bool>,
}

impl TraceContext {
    /// What a header says; `None` where it names no trace.
    #[must_use]
    pub fn read(header: &str) -> Option<Self> {
        let (mut trace, mut parent, mut sampled) = (None, None, None);
        for (name, value) in header.split(';').filter_map(field) {
            if name.eq_ignore_ascii_case("Root") {
                trace = TraceId::read(value);
            } else if name.eq_ignore_ascii_case("Parent") {
                parent = SpanId::read(value);
            } else if name.eq_ignore_ascii_case("Sampled") {
                sampled = match value {
                    "1" => Some(true),
                    "0" => Some(false),
                    // X-Ray's `?` asks for a decision.
                    _ => None,
                };
            }
        }
        Some(Self { trace: trace?, parent, sampled })
    }

    /// Whether a header says that its trace is recorded, also one whose root is none of X-Ray's.
    #[must_use]
    pub fn sampled(header: &str) -> bool {
        let decision = |(name, value): (&str, &str)| name.eq_ignore_ascii_case("Sampled") && value == "1";
        header.split(';').filter_map(field).any(decision)
    }

    /// The trace that a header says is recorded; `None`: nothing is told of it.
    #[must_use]
    pub fn recorded(header: &str) -> Option<Self> {
        Self::read(header).filter(|context| context.sampled == Some(true))
    }

    /// From W3C's `traceparent`: `00-<32 hex>-<16 hex>-<flags>`.
    #[must_use]
    pub fn of_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.trim().splitn(5, '-');
        let (version, trace, parent, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        // A later version may say more behind these; version ff is none.
        let (mut known, mut bits) = ([0; 1], [0; 1]);
        unhex(version, &mut known)?;
        unhex(flags, &mut bits)?;
        if known == [0xff] || (known == [0] && parts.next().is_some()) {
            return None;
        }
        let mut id = [0; 16];
        unhex(trace, &mut id)?;
        let parent = SpanId::read(parent)?;
        (id != [0; 16] && parent.0 != [0; 8]).then_some(Self {
            trace: TraceId(id),
            parent: Some(parent),
            sampled: Some(bits[0] & 1 == 1),
        })
    }
}

/// As a header.
impl fmt::Display for TraceContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Root={}", self.trace)?;
        if let Some(parent) = self.parent {
            write!(f, ";Parent={parent}")?;
        }
        match self.sampled {
            Some(sampled) => write!(f, ";Sampled={}", u8::from(sampled)),
            None => Ok(()),
        }
    }
}

/// The header of a trace that begins, which nobody has decided about yet, from Unix time in seconds and two random
/// UUIDs: `Root=1-<8 hex: time>-<24 hex>;Parent=<16 hex>`.
#[must_use]
pub fn root(seconds: u64, root: [u8; 16], parent: [u8; 16]) -> String {
    let mut id = root;
    // X-Ray has 32 bits for the time.
    #[expect(clippy::cast_possible_truncation, reason = "until 2106, and then it begins again")]
    id[..4].copy_from_slice(&(seconds as u32).to_be_bytes());
    TraceContext { trace: TraceId(id), parent: Some(span_id(parent)), sampled: None }.to_string()
}

/// A span's id from a random UUID.
#[must_use]
pub fn span_id(uuid: [u8; 16]) -> SpanId {
    let mut id = [0; 8];
    id.copy_from_slice(&uuid[..8]);
    SpanId(id)
}

/// The header with another parent and with a decision, where they are given, behind its root; the rest as it is.
#[must_use]
pub fn with(header: &str, parent: Option<SpanId>, sampled: Option<bool>) -> String {
    use fmt::Write;
    let is =
        |part: &str, wanted: &str| field(part).is_some_and(|(name, _)| name.eq_ignore_ascii_case(wanted));
    let replaced =
        |part: &&str| (parent.is_some() && is(part, "Parent")) || (sampled.is_some() && is(part, "Sampled"));
    let parts = header.split(';').filter(|part| !part.trim().is_empty() && !replaced(part));
    let mut said = String::with_capacity(header.len() + 40);
    let mut add = |text: fmt::Arguments<'_>| {
        let bar = if said.is_empty() { "" } else { ";" };
        write!(said, "{bar}{text}").expect("a String takes everything");
    };
    let first = |part: &&str| is(part, "Root") || is(part, "Parent");
    parts.clone().filter(first).for_each(|part| add(format_args!("{part}")));
    if let Some(parent) = parent {
        add(format_args!("Parent={parent}"));
    }
    if let Some(sampled) = sampled {
        add(format_args!("Sampled={}", u8::from(sampled)));
    }
    parts.filter(|part| !first(part)).for_each(|part| add(format_args!("{part}")));
    said
}

fn field(part: &str) -> Option<(&str, &str)> {
    let (name, value) = part.split_once('=')?;
    Some((name.trim(), value.trim()))
}

fn hex(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for byte in bytes {
        let pair = [DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]];
        f.write_str(std::str::from_utf8(&pair).expect("hex digits are ASCII"))?;
    }
    Ok(())
}

/// Exactly as many digits as `bytes` takes.
fn unhex(text: &str, bytes: &mut [u8]) -> Option<()> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let text = text.as_bytes();
    if text.len() != bytes.len() * 2 {
        return None;
    }
    for (pair, byte) in text.chunks_exact(2).zip(bytes) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(())
}

/// AWS's `TracingConfig.Mode`: who decides whether a request is traced that comes without a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize)]
pub enum TracingMode {
    /// Nobody: it is not.
    #[default]
    PassThrough,
    /// lambkin, at AWS's rate: the first request of a second, and one in twenty of the others.
    Active,
}

impl TracingMode {
    /// The value on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PassThrough => "PassThrough",
            Self::Active => "Active",
        }
    }

    /// Whether a request to this function is traced that nobody upstream decided about.
    #[must_use]
    pub fn decide(self, traces: &dyn Traces, function: &FunctionKey) -> bool {
        match self {
            Self::PassThrough => false,
            Self::Active => traces.samples(function),
        }
    }

    /// For records, which say only what is not usual.
    #[must_use]
    pub fn is_pass_through(&self) -> bool {
        matches!(self, Self::PassThrough)
    }
}

/// The part of those beyond the first of a second that are traced.
const RATE: f64 = 0.05;

/// Whether a request is traced that nobody upstream decided about. `last` is the second in which one was, and `second`
/// this one; `chance` is from 0 to below 1.
#[must_use]
pub fn samples(last: Option<u64>, second: u64, chance: f64) -> bool {
    last != Some(second) || chance < RATE
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
    const ID: [u8; 16] =
        [0x57, 0x59, 0xe9, 0x88, 0xbd, 0x86, 0x2e, 0x3f, 0xe1, 0xbe, 0x46, 0xa9, 0x94, 0x27, 0x27, 0x93];
    const PARENT: SpanId = SpanId([0x53, 0x99, 0x5c, 0x3f, 0x42, 0xcd, 0x8a, 0xd8]);

    fn context(parent: Option<SpanId>, sampled: Option<bool>) -> Option<TraceContext> {
        Some(TraceContext { trace: TraceId(ID), parent, sampled })
    }

    #[test]
    fn headers() {
        for (header, expected) in [
            (format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=1"), context(Some(PARENT), Some(true))),
            (format!("Root={ROOT};Parent=53995c3f42cd8ad8;Sampled=0"), context(Some(PARENT), Some(false))),
            (format!("Sampled=? ; root={ROOT}"), context(None, None)),
            (
                format!("Self=1-67891234-12456789abcdef012345678;Root={ROOT};Parent=x;Sampled=yes"),
                context(None, None),
            ),
            (format!("Root={ROOT};Lineage=1:aae260cf:0"), context(None, None)),
            ("Root=1-5-6;Sampled=1".into(), None),
            (format!("Root={ROOT}0"), None),
            ("Root=2-5759e988-bd862e3fe1be46a994272793".into(), None),
            ("Root=1-5759e98g-bd862e3fe1be46a994272793".into(), None),
            ("Root=1-5759e988-bd862e3fe1be46a9942727é".into(), None),
            (";;=;".into(), None),
            (String::new(), None),
        ] {
            assert_eq!(TraceContext::read(&header), expected, "{header}");
        }
        let written = format!("Root={ROOT};Parent={PARENT};Sampled=1");
        assert_eq!(context(Some(PARENT), Some(true)).unwrap().to_string(), written);
        assert_eq!(TraceContext::recorded(&written), context(Some(PARENT), Some(true)));
        assert_eq!(TraceContext::recorded(&written.replace("Sampled=1", "Sampled=0")), None);
    }

    #[test]
    fn traceparents() {
        let id = "5759e988bd862e3fe1be46a994272793";
        for (text, expected) in [
            (format!("00-{id}-53995c3f42cd8ad8-01"), context(Some(PARENT), Some(true))),
            (format!(" 00-{id}-53995c3f42cd8ad8-00"), context(Some(PARENT), Some(false))),
            (format!("00-{id}-53995c3f42cd8ad8-03"), context(Some(PARENT), Some(true))),
            (format!("01-{id}-53995c3f42cd8ad8-01-more"), context(Some(PARENT), Some(true))),
            (format!("00-{id}-53995c3f42cd8ad8-01-more"), None),
            (format!("ff-{id}-53995c3f42cd8ad8-01"), None),
            (format!("00-{id}-0000000000000000-01"), None),
            (format!("00-{}-53995c3f42cd8ad8-01", "0".repeat(32)), None),
            (format!("00-{id}-53995c3f42cd8ad8"), None),
            ("".into(), None),
        ] {
            assert_eq!(TraceContext::of_traceparent(&text), expected, "{text}");
        }
    }

    #[test]
    fn parts_are_replaced_and_the_rest_stays() {
        let id = Some(PARENT);
        for (header, parent, sampled, expected) in [
            (
                "Root=r;Parent=p;Sampled=0;Lineage=1:a:0",
                id,
                Some(true),
                "Root=r;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:a:0",
            ),
            ("Root=r;Parent=p;Lineage=1:a:0", None, Some(false), "Root=r;Parent=p;Sampled=0;Lineage=1:a:0"),
            ("Root=r", None, Some(true), "Root=r;Sampled=1"),
            ("Root=r;Sampled=1", id, None, "Root=r;Parent=53995c3f42cd8ad8;Sampled=1"),
            ("Self=s;root=r;sampled=?", None, Some(false), "root=r;Sampled=0;Self=s"),
            ("Root=r;;Parent=p", None, None, "Root=r;Parent=p"),
            ("nothing", id, Some(true), "Parent=53995c3f42cd8ad8;Sampled=1;nothing"),
            ("", None, None, ""),
        ] {
            assert_eq!(with(header, parent, sampled), expected, "{header}");
        }
    }

    #[test]
    fn roots_have_their_time() {
        let mut parent = [9; 16];
        parent[..8].copy_from_slice(&PARENT.0);
        let header = root(0x5759_e988, ID, parent);
        assert_eq!(TraceContext::read(&header), context(Some(PARENT), None));
    }

    #[test]
    fn the_first_of_a_second_and_one_in_twenty() {
        for (last, second, chance, expected) in [
            (None, 5, 0.99, true),
            (Some(4), 5, 0.99, true),
            (Some(5), 5, 0.99, false),
            (Some(5), 5, 0.049, true),
            (Some(5), 5, 0.05, false),
        ] {
            assert_eq!(samples(last, second, chance), expected, "{last:?} {second} {chance}");
        }
    }
}
