//! What was recorded of functions, as the metrics that AWS has of it, and as totals since lambkin started.

use std::collections::BTreeMap;
use std::sync::Arc;

use lambkin_model::metric::{FunctionMetric, Spread};
use lambkin_model::name::FunctionKey;

use super::state::State;
use crate::metrics::pending::{Distributions, Entry, OfFunction, Pending};
use crate::metrics::resolution::At;
use crate::metrics::series::Series;
use crate::metrics::statistics::Statistics;

/// Most functions that have totals of their own; those of all others are one.
pub(super) const TOTALS_MOST: usize = 2_000;
const NAMESPACE: &str = "AWS/Lambda";

/// What happened to a function since lambkin started.
#[derive(Default)]
pub(super) struct Totals {
    pub(super) values: BTreeMap<FunctionMetric, Statistics>,
    pub(super) distributions: Distributions,
}

impl State {
    /// Gives what was recorded of functions to the metrics that AWS has of it: of the account, by function, by resource, and,
    /// of an alias, by the version that ran.
    pub(super) fn take(&mut self, pending: Pending) {
        if pending.lost > 0 {
            tracing::warn!(
                values = pending.lost,
                "values of metrics were dropped: too many functions at once"
            );
        }
        let (functions, accounts, mappings) = pending.into_subjects();
        for ((account, region), entries) in accounts {
            for (minute, metric, statistics) in values(&entries) {
                self.add_function_metric((&account, &region), minute, metric, &[], statistics);
            }
        }
        for (key, entries) in mappings {
            let place = (&*key.account, &*key.region);
            for (minute, metric, statistics) in values(&entries) {
                let by_mapping = ("EventSourceMappingUUID", &*key.name);
                self.add_function_metric(place, minute, metric, &[by_mapping], statistics);
            }
        }
        for (key, of_function) in functions {
            self.total(&key, &of_function);
            let place = (&*key.account, &*key.region);
            for entry in &of_function.entries {
                let qualifier = entry.qualifier.as_deref();
                let resource =
                    qualifier.map_or_else(|| key.name.to_string(), |of| format!("{}:{of}", key.name));
                let by_function = ("FunctionName", &*key.name);
                let by_resource = ("Resource", &*resource);
                let is_alias = qualifier.is_some_and(|of| entry.version.as_deref() != Some(of));
                for (metric, statistics) in &entry.values {
                    let mut add = |dimensions: &[(&str, &str)]| {
                        self.add_function_metric(place, entry.minute, *metric, dimensions, statistics);
                    };
                    let spread = metric.spread();
                    add(&[by_function]);
                    if spread >= Spread::Account {
                        add(&[]);
                    }
                    if spread >= Spread::Resources {
                        add(&[by_function, by_resource]);
                        let told = is_alias || spread >= Spread::Versions;
                        if let Some(version) = entry.version.as_deref().filter(|_| told) {
                            add(&[("ExecutedVersion", version), by_function, by_resource]);
                        }
                    }
                }
            }
        }
    }

    fn add_function_metric(
        &mut self,
        (account, region): (&str, &str),
        minute: u32,
        metric: FunctionMetric,
        dimensions: &[(&str, &str)],
        statistics: &Statistics,
    ) {
        let series = Series {
            account: account.into(),
            region: region.into(),
            namespace: NAMESPACE.into(),
            name: metric.name().into(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect(),
            unit: metric.unit().into(),
        };
        if let Err(error) = self.add(At::minute(minute), Arc::new(series), statistics) {
            tracing::warn!(%error, metric = metric.name(), "a value of a metric was dropped");
        }
    }

    fn total(&mut self, key: &FunctionKey, of_function: &OfFunction) {
        let totals = if self.totals.len() >= TOTALS_MOST && !self.totals.contains_key(key) {
            &mut self.other_totals
        } else {
            self.totals.entry(key.clone()).or_default()
        };
        for (_, metric, statistics) in values(&of_function.entries) {
            totals.values.entry(metric).or_default().merge(statistics);
        }
        totals.distributions.merge(&of_function.distributions);
    }
}

fn values(entries: &[Entry]) -> impl Iterator<Item = (u32, FunctionMetric, &Statistics)> {
    entries
        .iter()
        .flat_map(|entry| entry.values.iter().map(|(metric, statistics)| (entry.minute, *metric, statistics)))
}
