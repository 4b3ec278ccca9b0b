//! What tells one series of values from another.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// A metric of an account and region in one unit.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Series {
    /// Whose.
    pub account: Arc<str>,
    /// Where.
    pub region: Arc<str>,
    /// `AWS/Lambda`, or a name of the user's.
    pub namespace: Arc<str>,
    /// Of the metric.
    pub name: Arc<str>,
    /// Names and values, by name.
    pub dimensions: Arc<[(Arc<str>, Arc<str>)]>,
    /// CloudWatch's: `Count`, `Milliseconds`, `None` …
    pub unit: Arc<str>,
}

impl Series {
    /// What it takes of memory, about.
    pub(super) fn bytes(&self) -> usize {
        let of = |text: &Arc<str>| text.len() + 2 * size_of::<usize>();
        let dimensions: usize = self.dimensions.iter().map(|(name, value)| of(name) + of(value)).sum();
        size_of::<Self>() + of(&self.namespace) + of(&self.name) + of(&self.unit) + dimensions
    }

    /// Whether it is the other's metric, in whatever unit.
    pub(super) fn is_metric_of(&self, other: &Self) -> bool {
        let key = |of: &Self| {
            (
                of.account.clone(),
                of.region.clone(),
                of.namespace.clone(),
                of.name.clone(),
                of.dimensions.clone(),
            )
        };
        key(self) == key(other)
    }
}
