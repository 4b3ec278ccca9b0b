//! ListMetrics.

use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::{CloudWatch, MetricsError};
use crate::metrics::resolution::{MINUTES, this_minute};
use crate::metrics::series::Series;

/// Metrics of one page.
const PAGE: usize = 500;
/// Metrics are listed for two weeks after their last value.
const LISTED: u32 = 14 * 24 * 60;
/// `RecentlyActive: PT3H`.
const RECENTLY: u32 = 3 * 60;

/// Which metrics.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wanted {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// Of this namespace.
    pub namespace: Option<String>,
    /// Of this name.
    pub name: Option<String>,
    /// With these dimensions, of any value or of this one.
    pub dimensions: Vec<(String, Option<String>)>,
    /// That had values in the last three hours.
    pub recently_active: bool,
    /// The page.
    pub token: Option<String>,
}

/// A page of metrics.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// In any one of their units.
    pub metrics: Vec<Arc<Series>>,
    /// Of the next page.
    pub next: Option<String>,
}

impl CloudWatch {
    /// ListMetrics: in order of namespaces and names.
    pub fn list(&self, wanted: &Wanted) -> Result<Listed, MetricsError> {
        let kept = if wanted.recently_active { RECENTLY } else { LISTED.min(MINUTES.kept) };
        let fits = |given: &Option<String>, found: &str| given.as_deref().is_none_or(|given| given == found);
        let mut found = self.store.list(this_minute().saturating_sub(kept), |series| {
            *wanted.account == *series.account
                && *wanted.region == *series.region
                && fits(&wanted.namespace, &series.namespace)
                && fits(&wanted.name, &series.name)
                && wanted.dimensions.iter().all(|(name, value)| {
                    series.dimensions.iter().any(|(own, of)| **own == **name && fits(value, of))
                })
        });
        found.dedup_by(|one, other| one.is_metric_of(other));
        if let Some(token) = &wanted.token {
            let last = found.iter().position(|series| mark(series) == *token);
            found.drain(..=last.ok_or(MetricsError::InvalidToken)?);
        }
        let next = (found.len() > PAGE).then(|| mark(&found[PAGE - 1]));
        found.truncate(PAGE);
        Ok(Listed { metrics: found, next })
    }
}

/// What the token of the page after this metric is.
fn mark(series: &Series) -> String {
    let mut hash = Sha256::new();
    let mut part = |text: &str| {
        hash.update(text.len().to_le_bytes());
        hash.update(text);
    };
    part(&series.namespace);
    part(&series.name);
    for (name, value) in series.dimensions.iter() {
        part(name);
        part(value);
    }
    hash.finalize()[..16].iter().map(|byte| format!("{byte:02x}")).collect()
}
