//! Functions that go in circles, as AWS finds them: the trace header carries a lineage, a count for each
//! function that the event has passed. AWS's SDKs inside of functions hand the header on to queues, topics
//! and functions. After 16 passages the next one is stopped, unless the function allows it.
//!
//! The wire is what AWS's headers show: `Lineage=1:<8 hex>:<count>`, several functions with a bar between,
//! and without the leading `1:` in headers from before 2024.
//!
//! Deliberately not here: where the header is kept on its way; SQS and SNS keep it with their messages.

use std::sync::Arc;

use lambkin_model::catalog::CatalogRead;
use lambkin_model::invocation::{Invocation, Invoke, Reply, Streamed};
use lambkin_model::name::FunctionKey;
use lambkin_model::{Error, Pending};

/// Passages of one event through one function; the next one is stopped.
pub const PASSAGES: u32 = 16;

/// Most functions of one lineage: the header stays below a kilobyte. The oldest go first.
const FUNCTIONS: usize = 32;

/// How a header shows a function: not its name, as AWS does not.
#[must_use]
pub fn mark(function: &FunctionKey) -> u32 {
    // FNV-1a: a mark that stays, of no secret.
    let text = [&*function.account, &*function.region, &*function.name];
    let bytes = text.iter().flat_map(|part| part.bytes().chain([b':']));
    bytes.fold(0x811c_9dc5, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193))
}

/// How often the event behind this header has passed the function already.
#[must_use]
pub fn passages(header: &str, function: u32) -> u32 {
    let mut counts = lineage(header).into_iter().filter(|(mark, _)| *mark == function);
    counts.next().map_or(0, |(_, count)| count.saturating_add(1))
}

/// The header as the function itself gets it: one passage further.
#[must_use]
pub fn passed(header: &str, function: u32) -> String {
    let mut lineage = lineage(header);
    match lineage.iter_mut().find(|(mark, _)| *mark == function) {
        Some((_, count)) => *count = count.saturating_add(1),
        None => lineage.push((function, 0)),
    }
    let excess = lineage.len().saturating_sub(FUNCTIONS);
    lineage.drain(..excess);
    let mut said = String::with_capacity(header.len() + 24);
    for field in header.split(';').filter(|field| value(field).is_none() && !field.is_empty()) {
        said.push_str(field);
        said.push(';');
    }
    said.push_str("Lineage=1:");
    for (index, (mark, count)) in lineage.iter().enumerate() {
        use std::fmt::Write;
        let bar = if index == 0 { "" } else { "|" };
        write!(said, "{bar}{mark:08x}:{count}").expect("a String takes everything");
    }
    said
}

/// Marks and counts, the first function first. What cannot be read is not there.
fn lineage(header: &str) -> Vec<(u32, u32)> {
    let Some(value) = header.split(';').find_map(value) else { return Vec::new() };
    let read = |each: &str| {
        // The last two parts; before them is the version.
        let (rest, count) = each.rsplit_once(':')?;
        let mark = rest.rsplit_once(':').map_or(rest, |(_, mark)| mark);
        Some((u32::from_str_radix(mark, 16).ok()?, count.parse().ok()?))
    };
    value.split('|').filter_map(read).take(FUNCTIONS).collect()
}

fn value(field: &str) -> Option<&str> {
    let (name, value) = field.split_once('=')?;
    name.trim().eq_ignore_ascii_case("Lineage").then_some(value.trim())
}

/// The door with a guard before it.
pub struct Guard {
    inner: Arc<dyn Invoke>,
    catalog: Arc<dyn CatalogRead>,
}

impl Guard {
    /// Before this door.
    #[must_use]
    pub fn new(inner: Arc<dyn Invoke>, catalog: Arc<dyn CatalogRead>) -> Self {
        Self { inner, catalog }
    }
}

impl Guard {
    /// Writes into the trace that the function was passed, or refuses to pass it once more.
    fn pass(&self, invocation: &mut Invocation) -> Result<(), Error> {
        let key = &invocation.function.key;
        let Some(header) = &mut invocation.trace_id else { return Ok(()) };
        let function = mark(key);
        if passages(header, function) >= PASSAGES
            && self.catalog.head(key).is_some_and(|head| !head.record.recursion_allowed)
        {
            tracing::warn!(function = %key, request_id = %invocation.request_id, "stopped: it goes in circles");
            return Err(Error::RecursiveInvocation);
        }
        *header = passed(header, function);
        Ok(())
    }
}

impl Invoke for Guard {
    fn invoke(&self, mut invocation: Invocation) -> Pending<'_, Result<Reply, Error>> {
        match self.pass(&mut invocation) {
            Ok(()) => self.inner.invoke(invocation),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }

    fn stream(&self, mut invocation: Invocation) -> Pending<'_, Result<Streamed, Error>> {
        match self.pass(&mut invocation) {
            Ok(()) => self.inner.stream(invocation),
            Err(error) => Box::pin(std::future::ready(Err(error))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lineages() {
        for (header, function, before, after) in [
            ("Root=1-a;Parent=b;Sampled=0", 0xaa, 0, "Root=1-a;Parent=b;Sampled=0;Lineage=1:000000aa:0"),
            ("Root=1-a;Lineage=1:000000aa:0", 0xaa, 1, "Root=1-a;Lineage=1:000000aa:1"),
            ("Root=1-a;Lineage=000000aa:0", 0xaa, 1, "Root=1-a;Lineage=1:000000aa:1"),
            ("Lineage=1:000000aa:15;Root=1-a", 0xaa, 16, "Root=1-a;Lineage=1:000000aa:16"),
            (
                "Root=1-a;Lineage=aae260cf:0|74085691:3",
                0x7408_5691,
                4,
                "Root=1-a;Lineage=1:aae260cf:0|74085691:4",
            ),
            ("Root=1-a;Lineage=1:aae260cf:0", 0xaa, 0, "Root=1-a;Lineage=1:aae260cf:0|000000aa:0"),
            ("Root=1-a;Lineage=1:aa:4294967295", 0xaa, u32::MAX, "Root=1-a;Lineage=1:000000aa:4294967295"),
            ("Root=1-a;Lineage=x:y|:|1:zz:0", 0xaa, 0, "Root=1-a;Lineage=1:000000aa:0"),
            ("", 0xaa, 0, "Lineage=1:000000aa:0"),
        ] {
            assert_eq!(passages(header, function), before, "{header}");
            assert_eq!(passed(header, function), after, "{header}");
        }
    }

    #[test]
    fn stays_short() {
        let header = (0..1000).fold("Root=1-a".to_owned(), |header, function| passed(&header, function));
        assert!(header.len() < 512, "{}", header.len());
        assert_eq!((passages(&header, 999), passages(&header, 0)), (1, 0));
    }

    #[test]
    fn sixteen_passages_run() {
        let mut header = "Root=1-a".to_owned();
        let mut runs = 0;
        while passages(&header, 7) < PASSAGES {
            header = passed(&header, 7);
            runs += 1;
        }
        assert_eq!(runs, 16);
    }
}
