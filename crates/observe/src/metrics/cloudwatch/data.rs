//! GetMetricData.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use super::math::{Expression, Line, Search, Value, World};
use super::{CloudWatch, Metric, MetricsError, Seconds, Stat, is_short, period, span};
use crate::metrics::resolution::{MINUTES, SECONDS, this_second};
use crate::metrics::series::Series;

/// Most queries of one call.
const QUERIES: usize = 500;
/// Most data points of one page.
const DATAPOINTS: usize = 100_800;
/// Most searches of one call: each looks at every metric there is.
const SEARCHES: u32 = 20;
/// Most metrics that a search finds.
const FOUND: usize = 100;

/// One query.
#[derive(Debug, Clone, PartialEq)]
pub struct DataQuery {
    /// Its id.
    pub id: String,
    /// What it is.
    pub asked: Expressed,
    /// For the legend.
    pub label: Option<String>,
    /// Whether it is answered.
    pub returned: bool,
}

/// What a query asks for.
#[derive(Debug, Clone, PartialEq)]
pub enum Expressed {
    /// `MetricStat`.
    Stat {
        /// Which metric.
        metric: Metric,
        /// Seconds.
        period: i64,
        /// Its name.
        stat: String,
        /// In this unit alone.
        unit: Option<String>,
    },
    /// Metric math.
    Expression {
        /// `Expression`.
        text: String,
        /// Seconds, of a search that says none.
        period: Option<i64>,
    },
    /// Neither.
    Nothing,
    /// Both.
    Both,
}

/// What GetMetricData is asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Data {
    /// Whose.
    pub account: String,
    /// Where.
    pub region: String,
    /// In order.
    pub queries: Vec<DataQuery>,
    /// From here.
    pub start: Seconds,
    /// Up to, not with, this.
    pub end: Seconds,
    /// The oldest first.
    pub ascending: bool,
    /// Most points of the page.
    pub most: Option<i64>,
    /// The page.
    pub token: Option<String>,
}

/// The answer to one query.
#[derive(Debug, Clone, PartialEq)]
pub struct DataResult {
    /// The query's.
    pub id: String,
    /// For the legend.
    pub label: String,
    /// Seconds since 1970 and values.
    pub points: Vec<(i64, f64)>,
    /// There is no more of it on the next page.
    pub complete: bool,
}

impl CloudWatch {
    /// GetMetricData: results in the order of the queries, and the token of the next page.
    pub fn data(&self, data: &Data) -> Result<(Vec<DataResult>, Option<String>), MetricsError> {
        let invalid = |text: &str| Err(MetricsError::Validation(text.into()));
        if data.queries.is_empty() {
            return invalid("The parameter MetricDataQueries is required.");
        }
        if data.queries.len() > QUERIES {
            return invalid("The collection MetricDataQueries must not have a size greater than 500.");
        }
        if data.start >= data.end {
            return invalid("The parameter StartTime must be less than the parameter EndTime.");
        }
        let most = match data.most {
            None => DATAPOINTS,
            Some(most) => usize::try_from(most).unwrap_or(0).min(DATAPOINTS),
        };
        if most == 0 {
            return invalid("The parameter MaxDatapoints must be greater than 0.");
        }
        let (mut stats, mut returned, mut expressions) = (Vec::new(), HashSet::new(), HashMap::new());
        for (index, query) in data.queries.iter().enumerate() {
            if data.queries[..index].iter().any(|before| before.id == query.id) {
                return invalid("The values for parameter id in MetricDataQueries are not unique.");
            }
            match read(query, index + 1)? {
                Read::Stat(read) => {
                    returned.extend(query.returned.then_some(query.id.as_str()));
                    stats.push((query.id.as_str(), read));
                }
                Read::Expression(expression) => drop(expressions.insert(query.id.as_str(), expression)),
            }
        }
        if !data.queries.iter().any(|query| query.returned) {
            return invalid("At least one of the MetricDataQueries must return data.");
        }
        if expressions.is_empty() {
            stats.retain(|(id, _)| returned.contains(id));
        }
        let lines = self.lines(&stats, (data.start, data.end))?;
        let now = this_second();
        // What FILL fills: what is kept, up to now.
        let times = |period: u32| {
            let (first, until) = span((data.start, data.end), period);
            let oldest =
                if is_short(period) { SECONDS.oldest(now) } else { MINUTES.oldest(now).saturating_mul(60) };
            let skipped = oldest.saturating_sub(first).div_ceil(period.max(1)).saturating_mul(period);
            (i64::from(first.saturating_add(skipped)), i64::from(until.min(now)))
        };
        let known = expressions.iter().map(|(id, expression)| (*id, expression)).collect();
        let searches = Cell::new(0);
        let search = |search: &Search, stat: &Stat, period: u32| {
            searches.set(searches.get() + 1);
            if searches.get() > SEARCHES {
                return Err(format!("there are more than {SEARCHES} searches"));
            }
            self.found(data, search, stat, period).map_err(|error| error.to_string())
        };
        let mut world = World::new(lines, known, &times, &search);
        let mut results = Vec::new();
        for query in data.queries.iter().filter(|query| query.returned) {
            let wrong = |reason: String| {
                MetricsError::Validation(format!("Error in expression '{}': {reason}.", query.id))
            };
            let lines = match world.of(&query.id).map_err(wrong)? {
                Value::Line(line) => vec![(None, line)],
                Value::Lines(lines) => {
                    lines.into_iter().map(|line| (Some(line.label.clone()), line)).collect()
                }
                Value::Number(_) => {
                    return Err(wrong("it comes to a number, and is to come to lines".into()));
                }
            };
            for (of, line) in lines {
                // An expression without a label is called by its id; each line of several by its own label, too.
                let own = query.label.clone().unwrap_or_else(|| {
                    let math = matches!(query.asked, Expressed::Expression { .. });
                    if math { query.id.clone() } else { line.label.clone() }
                });
                let label = match (of, &query.label) {
                    (Some(of), Some(label)) => format!("{label} {of}"),
                    (Some(of), None) => of,
                    (None, _) => own,
                };
                let mut points: Vec<_> = line.points.into_iter().collect();
                if !data.ascending {
                    points.reverse();
                }
                results.push(DataResult { id: query.id.clone(), label, points, complete: true });
            }
        }
        let skip = match &data.token {
            None => 0,
            Some(token) => token.parse().map_err(|_| MetricsError::InvalidToken)?,
        };
        Ok(page(results, skip, most))
    }

    /// The lines of what a search finds, called by what tells them apart.
    fn found(
        &self,
        data: &Data,
        search: &Search,
        stat: &Stat,
        period: u32,
    ) -> Result<Vec<Line>, MetricsError> {
        let mut found = self.store.list(MINUTES.oldest(this_second()), |series| {
            *data.account == *series.account && *data.region == *series.region && search.may_find(series)
        });
        // Words are looked for where nobody is kept from counting meanwhile.
        found.retain(|series| search.finds(series));
        found.dedup_by(|one, other| one.is_metric_of(other));
        found.truncate(FOUND);
        let several = found.windows(2).any(|two| two[0].name != two[1].name);
        let metric = |series: &Arc<Series>| Metric {
            account: data.account.clone(),
            region: data.region.clone(),
            namespace: series.namespace.to_string(),
            name: series.name.to_string(),
            dimensions: series
                .dimensions
                .iter()
                .map(|(name, value)| (name.to_string(), value.to_string()))
                .collect(),
        };
        let metrics: Vec<Metric> = found.iter().map(metric).collect();
        let stats: Vec<_> =
            metrics.iter().map(|metric| ("", StatRead { metric, period, stat: *stat, unit: None })).collect();
        let lines = self.lines(&stats, (data.start, data.end))?;
        let named = metrics.iter().zip(lines).map(|(metric, (_, line))| {
            let name = (several || metric.dimensions.is_empty()).then_some(metric.name.as_str());
            let values = metric.dimensions.iter().map(|(_, value)| value.as_str());
            Line { label: name.into_iter().chain(values).collect::<Vec<_>>().join(" "), ..line }
        });
        Ok(named.collect())
    }

    /// The lines of metrics, by their queries' ids.
    fn lines<'q>(
        &self,
        stats: &[(&'q str, StatRead<'_>)],
        time: (Seconds, Seconds),
    ) -> Result<Vec<(&'q str, Line)>, MetricsError> {
        let metrics: Vec<_> = stats.iter().map(|(_, read)| (read.metric, read.unit, read.period)).collect();
        let found = self.periods(&metrics, time)?;
        let line = |((id, read), series): (&(&'q str, StatRead<'_>), Vec<_>)| {
            // Where there are several units, the first one's, as one line cannot show two.
            let periods = series
                .into_iter()
                .map(|(_, periods)| periods)
                .find(|periods: &BTreeMap<_, _>| !periods.is_empty());
            let points = periods.unwrap_or_default();
            let points = points
                .iter()
                .filter_map(|(begin, of)| Some((i64::from(*begin), read.stat.of(of)?)))
                .collect();
            (*id, Line { label: read.metric.name.clone(), period: read.period, points })
        };
        Ok(stats.iter().zip(found).map(line).collect())
    }
}

/// A query that was read.
enum Read<'q> {
    Stat(StatRead<'q>),
    Expression(Expression),
}

struct StatRead<'q> {
    metric: &'q Metric,
    period: u32,
    stat: Stat,
    unit: Option<&'q str>,
}

fn read(query: &DataQuery, number: usize) -> Result<Read<'_>, MetricsError> {
    let invalid = |text: String| Err(MetricsError::Validation(text));
    let name = format!("MetricDataQueries.member.{number}");
    let mut letters = query.id.bytes();
    let fits = letters.next().is_some_and(|first| first.is_ascii_lowercase())
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == b'_');
    if !fits {
        return invalid(format!(
            "The value {} in parameter {name}.Id must start with a lowercase letter and have letters, digits and _ alone.",
            query.id
        ));
    }
    if query.label.as_ref().is_some_and(|label| label.contains("${")) {
        return invalid(format!("lambkin does not do dynamic labels ({name}.Label)."));
    }
    match &query.asked {
        Expressed::Stat { metric, period: seconds, stat, unit } => {
            let period = period(*seconds, &format!("{name}.MetricStat.Period"));
            let period = period.map_err(|error| MetricsError::Validation(error.to_string()))?;
            let stat = Stat::parse(stat).map_err(MetricsError::Validation)?;
            Ok(Read::Stat(StatRead { metric, period, stat, unit: unit.as_deref() }))
        }
        Expressed::Expression { text, period } => {
            let read = Expression::parse(text, *period).map(Read::Expression);
            read.or_else(|reason| invalid(format!("Error in expression '{}': {reason}.", query.id)))
        }
        Expressed::Nothing => invalid(format!("The parameter {name}.MetricStat is required.")),
        Expressed::Both => invalid(format!(
            "The parameters {name}.Expression and {name}.MetricStat are mutually exclusive and you have specified both."
        )),
    }
}

/// The page after so many points.
fn page(results: Vec<DataResult>, skip: usize, most: usize) -> (Vec<DataResult>, Option<String>) {
    let all: usize = results.iter().map(|result| result.points.len()).sum();
    let (mut before, mut left) = (skip, most);
    let mut shown = Vec::new();
    for result in results {
        let from = before.min(result.points.len());
        before -= from;
        // What was whole on a page before.
        if from == result.points.len() && from > 0 {
            continue;
        }
        let count = left.min(result.points.len() - from);
        left -= count;
        let complete = from + count == result.points.len();
        if count > 0 || result.points.is_empty() {
            let points = result.points[from..from + count].to_vec();
            shown.push(DataResult { points, complete, ..result });
        }
    }
    let next = skip + (most - left);
    (shown, (next < all).then(|| next.to_string()))
}
