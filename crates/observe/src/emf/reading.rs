//! What a document says: values of metrics, and how much of it breaks the rules. One thing that is wrong drops what it says,
//! never what stands beside it.

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use super::document::Document;
use super::target;
use crate::metrics::cloudwatch::{DIMENSIONS, FUTURE, PAST, visible};
use crate::metrics::{At, Series, Statistics, StorageResolution};

/// Most metrics of one directive.
const METRICS: usize = 100;
/// Most values by series that one document makes, and most of its metrics and of its dimension sets: lambkin's own bound, ten
/// dimension sets of a full directive.
pub(super) const DATA: usize = 1000;
/// Longest names that CloudWatch's operations can ask for, in characters.
const NAME: usize = 255;
const DIMENSION_NAME: usize = 250;
const DIMENSION_VALUE: usize = 1024;
const UNITS: [&str; 27] = [
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// What is wrong with a part of a document, as CloudWatch counts it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fault {
    /// It has not the form of the format: `EMFParsingErrors`.
    Form,
    /// It breaks a limit, or names what is not there: `EMFValidationErrors`.
    Rule,
}

/// What a document says.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) data: Vec<(At, Series, Statistics)>,
    /// What reading it cost: each datum, and eight values, are one.
    pub(super) cost: usize,
    pub(super) malformed: usize,
    pub(super) invalid: usize,
}

impl Reading {
    pub(super) fn count(&mut self, fault: Fault) {
        match fault {
            Fault::Form => self.malformed += 1,
            Fault::Rule => self.invalid += 1,
        }
    }
}

type Dimension = (Arc<str>, Arc<str>);
type Dimensions = Arc<[Dimension]>;

/// Whose series these are.
pub(super) struct Place<'a> {
    pub(super) account: &'a Arc<str>,
    pub(super) region: &'a Arc<str>,
}

/// `now` is in milliseconds since 1970.
pub(super) fn read(document: &Document<'_>, place: &Place<'_>, now: u64) -> Reading {
    let mut reader = Reader {
        document,
        place,
        dimensions: HashMap::new(),
        targets: HashMap::new(),
        metrics: 0,
        sets: 0,
        second: 0,
        reading: Reading::default(),
    };
    if let Err(fault) = reader.all(now) {
        reader.reading.count(fault);
    }
    reader.reading
}

struct Reader<'d> {
    document: &'d Document<'d>,
    place: &'d Place<'d>,
    /// Members of the root that were read before: many may refer to one.
    dimensions: HashMap<&'d str, Option<Dimension>>,
    targets: HashMap<&'d str, Option<(Statistics, usize)>>,
    metrics: usize,
    sets: usize,
    /// When all of it is, since 1970.
    second: u32,
    reading: Reading,
}

impl<'d> Reader<'d> {
    fn all(&mut self, now: u64) -> Result<(), Fault> {
        let document = self.document;
        let at = document.timestamp.as_ref().and_then(Value::as_f64).ok_or(Fault::Form)?;
        let directives = document.directives.as_array().ok_or(Fault::Form)?;
        self.second = second(at, now).ok_or(Fault::Rule)?;
        for directive in directives {
            if let Err(fault) = self.directive(directive) {
                self.reading.count(fault);
            }
        }
        Ok(())
    }

    fn directive(&mut self, directive: &'d Value) -> Result<(), Fault> {
        let directive = directive.as_object().ok_or(Fault::Form)?;
        let namespace = directive.get("Namespace").and_then(Value::as_str).ok_or(Fault::Form)?;
        let metrics = directive.get("Metrics").and_then(Value::as_array).ok_or(Fault::Form)?;
        let sets = match directive.get("Dimensions") {
            // AWS's exporters leave it out, and mean a metric without dimensions.
            None => &[],
            Some(sets) => sets.as_array().ok_or(Fault::Form)?.as_slice(),
        };
        if !fits(namespace, NAME) || namespace.starts_with(':') || namespace.starts_with("AWS/") {
            return Err(Fault::Rule);
        }
        self.metrics += metrics.len();
        self.sets += sets.len();
        if metrics.len() > METRICS || self.metrics > DATA || self.sets > DATA {
            return Err(Fault::Rule);
        }
        let mut valid: Vec<Dimensions> = Vec::new();
        for set in sets {
            match self.dimension_set(set) {
                Ok(set) => valid.push(set),
                Err(fault) => self.reading.count(fault),
            }
        }
        if sets.is_empty() {
            valid.push(Arc::new([]));
        }
        if self.reading.data.len() + metrics.len() * valid.len() > DATA {
            return Err(Fault::Rule);
        }
        let namespace: Arc<str> = namespace.into();
        for metric in metrics {
            if let Err(fault) = self.metric(metric, &namespace, &valid) {
                self.reading.count(fault);
            }
        }
        Ok(())
    }

    fn dimension_set(&mut self, set: &'d Value) -> Result<Dimensions, Fault> {
        let names = set.as_array().ok_or(Fault::Form)?;
        if names.len() > DIMENSIONS {
            return Err(Fault::Rule);
        }
        let mut dimensions = Vec::with_capacity(names.len());
        for name in names {
            let name = name.as_str().ok_or(Fault::Form)?;
            let root = &self.document.root;
            let known = self.dimensions.entry(name).or_insert_with(|| {
                let value: String = serde_json::from_str(root.member(name)?.get()).ok()?;
                let valid =
                    fits(name, DIMENSION_NAME) && !name.starts_with(':') && fits(&value, DIMENSION_VALUE);
                valid.then(|| (name.into(), value.into()))
            });
            dimensions.push(known.clone().ok_or(Fault::Rule)?);
        }
        dimensions.sort();
        let twice = dimensions.windows(2).any(|pair| pair[0].0 == pair[1].0);
        if twice { Err(Fault::Rule) } else { Ok(dimensions.into()) }
    }

    fn metric(&mut self, metric: &'d Value, namespace: &Arc<str>, sets: &[Dimensions]) -> Result<(), Fault> {
        let metric = metric.as_object().ok_or(Fault::Form)?;
        let name = metric.get("Name").and_then(Value::as_str).ok_or(Fault::Form)?;
        let unit = match metric.get("Unit") {
            None => "None",
            // AWS's exporters write an empty one for none.
            Some(unit) => {
                Some(unit.as_str().ok_or(Fault::Form)?).filter(|unit| !unit.is_empty()).unwrap_or("None")
            }
        };
        let resolution = match metric.get("StorageResolution") {
            None => 60,
            Some(resolution) => resolution.as_i64().ok_or(Fault::Form)?,
        };
        let is_name = (1..=NAME).contains(&name.chars().count()) && !name.contains(char::is_control);
        let resolution = StorageResolution::of(resolution).ok_or(Fault::Rule)?;
        if !is_name || !UNITS.contains(&unit) {
            return Err(Fault::Rule);
        }
        let root = &self.document.root;
        let target = self.targets.entry(name);
        let target = target.or_insert_with(|| target::read(root.member(name)?.get()));
        let (statistics, values) = target.as_ref().ok_or(Fault::Rule)?;
        self.reading.cost += values / 8 + sets.len();
        let (name, unit): (Arc<str>, Arc<str>) = (name.into(), unit.into());
        for dimensions in sets {
            let series = Series {
                account: Arc::clone(self.place.account),
                region: Arc::clone(self.place.region),
                namespace: Arc::clone(namespace),
                name: Arc::clone(&name),
                dimensions: Arc::clone(dimensions),
                unit: Arc::clone(&unit),
            };
            let at = At { second: self.second, resolution };
            self.reading.data.push((at, series, statistics.clone()));
        }
        Ok(())
    }
}

fn fits(text: &str, most: usize) -> bool {
    visible(text) && text.len() <= most
}

/// The second of a time in milliseconds; `None` where it is too long ago or in the future.
fn second(at: f64, now: u64) -> Option<u32> {
    #[expect(clippy::cast_precision_loss, reason = "milliseconds since 1970 fit")]
    let age = now as f64 - at;
    if !(-FUTURE * 1000.0..=PAST * 1000.0).contains(&age) {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is about now")]
    Some((at / 1000.0).floor() as u32)
}

#[cfg(test)]
mod tests;
