//! Figures: whatever a room counts, in one form for whoever exports or shows it.
//!
//! Deliberately not here: how they are written down, and who counts what.

/// What its values mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Since lambkin started; it never falls.
    Counter,
    /// At this moment.
    Gauge,
    /// How often which values came, since lambkin started; its counts never fall.
    Histogram,
}

/// One figure at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct Figure {
    /// In the words of Prometheus: `lambkin_events_received_total`. All figures of a name have the same kind, the
    /// same help and the same labels' names.
    pub name: &'static str,
    /// Its kind.
    pub kind: FigureKind,
    /// One sentence.
    pub help: &'static str,
    /// What it is of: names and values, in the same order for all figures of a name. Values are as they are, not
    /// escaped.
    pub labels: Vec<(&'static str, String)>,
    /// The value, in the unit that the name ends with: seconds, bytes.
    pub value: FigureValue,
    /// Of a histogram that is known more finely: values in order, each right to 2.2 %, and how many there were of it. For
    /// percentiles; Prometheus has the bounds.
    pub values: Vec<(f64, u64)>,
}

/// A figure's value.
#[derive(Debug, Clone, PartialEq)]
pub enum FigureValue {
    /// A whole number.
    Whole(u64),
    /// Any number: parts of seconds.
    Real(f64),
    /// Of [`FigureKind::Histogram`], and of no other.
    Histogram(Box<Histogram>),
}

impl From<u64> for FigureValue {
    fn from(value: u64) -> Self {
        Self::Whole(value)
    }
}

impl From<usize> for FigureValue {
    fn from(value: usize) -> Self {
        Self::Whole(value as u64)
    }
}

impl From<f64> for FigureValue {
    fn from(value: f64) -> Self {
        Self::Real(value)
    }
}

/// Port: what counts, and says how much.
pub trait Figures: Send + Sync {
    /// All figures at this moment. For seconds, not for requests; it waits for no disk.
    fn figures(&self) -> Vec<Figure>;
}

impl Figure {
    /// A counter.
    #[must_use]
    pub fn counter(
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: impl Into<FigureValue>,
    ) -> Self {
        Self::new(FigureKind::Counter, name, help, labels, value.into())
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: impl Into<FigureValue>,
    ) -> Self {
        Self::new(FigureKind::Gauge, name, help, labels, value.into())
    }

    /// A histogram.
    #[must_use]
    pub fn histogram(
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: Histogram,
    ) -> Self {
        let value = FigureValue::Histogram(Box::new(value));
        Self::new(FigureKind::Histogram, name, help, labels, value)
    }

    fn new(
        kind: FigureKind,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: FigureValue,
    ) -> Self {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { name, kind, help, labels, value, values: Vec::new() }
    }
}

/// Most bounds of a histogram.
const BOUNDS: usize = 20;

/// Bounds for how long functions run, in seconds: up to the longest timeout that there is.
pub const DURATIONS: [f64; 19] = [
    0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 60.0, 180.0,
    300.0, 900.0,
];

/// Bounds for how long events waited, in seconds: up to the longest that they are kept.
pub const AGES: [f64; 15] =
    [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 3600.0, 21_600.0];

/// How often which values came. Recording allocates nothing.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Histogram {
    bounds: &'static [f64],
    /// Of each bound those above the last one and not above it; then those above all.
    counts: [u64; BOUNDS + 1],
    sum: f64,
}

impl Histogram {
    /// Without a value; `bounds` rise, and are at most twenty: any more are left out.
    #[must_use]
    pub fn new(bounds: &'static [f64]) -> Self {
        Self { bounds: &bounds[..bounds.len().min(BOUNDS)], counts: [0; BOUNDS + 1], sum: 0.0 }
    }

    /// A value more.
    pub fn record(&mut self, value: f64) {
        self.counts[self.bounds.partition_point(|bound| *bound < value)] += 1;
        self.sum += value;
    }

    /// Another one's values too, which has the same bounds.
    pub fn merge(&mut self, other: &Self) {
        debug_assert_eq!(self.bounds, other.bounds);
        self.counts.iter_mut().zip(other.counts).for_each(|(own, other)| *own += other);
        self.sum += other.sum;
    }

    /// How many values.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// Their sum.
    #[must_use]
    pub fn sum(&self) -> f64 {
        self.sum
    }

    /// Each bound, and how many values are not above it.
    pub fn cumulative(&self) -> impl Iterator<Item = (f64, u64)> {
        let counts = self.counts.iter().scan(0, |sum, count| {
            *sum += count;
            Some(*sum)
        });
        self.bounds.iter().copied().zip(counts)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_counted_at_the_first_bound_that_is_not_below_it() {
        let mut histogram = Histogram::new(&[0.1, 1.0, 10.0]);
        for value in [0.0, 0.1, 0.11, 1.0, 10.0, 10.1, 1e9] {
            histogram.record(value);
        }
        assert_eq!(histogram.cumulative().collect::<Vec<_>>(), [(0.1, 2), (1.0, 4), (10.0, 5)]);
        assert_eq!(histogram.count(), 7);
        let mut twice = histogram;
        twice.merge(&histogram);
        assert_eq!(twice.cumulative().map(|(_, count)| count).collect::<Vec<_>>(), [4, 8, 10]);
        assert_eq!((twice.count(), twice.sum()), (14, 2.0 * histogram.sum()));
    }

    #[test]
    fn bounds_rise_and_are_all_kept() {
        for bounds in [&DURATIONS[..], &AGES[..]] {
            assert!(bounds.is_sorted_by(|one, next| one < next) && bounds.len() <= BOUNDS);
        }
    }
}
