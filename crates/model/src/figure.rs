//! Figures: whatever a room counts, in one form for whoever exports or shows it.
//!
//! Deliberately not here: how they are written down, and who counts what.

/// Whether it only grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FigureKind {
    /// Since lambkin started; it never falls.
    Counter,
    /// At this moment.
    Gauge,
}

/// One figure at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
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
    /// The value. Times are whole seconds.
    pub value: u64,
}

impl Figure {
    /// A counter.
    #[must_use]
    pub fn counter(
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) -> Self {
        Self::new(FigureKind::Counter, name, help, labels, value)
    }

    /// A gauge.
    #[must_use]
    pub fn gauge(
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) -> Self {
        Self::new(FigureKind::Gauge, name, help, labels, value)
    }

    fn new(
        kind: FigureKind,
        name: &'static str,
        help: &'static str,
        labels: &[(&'static str, &str)],
        value: u64,
    ) -> Self {
        let labels = labels.iter().map(|(name, value)| (*name, (*value).to_owned())).collect();
        Self { name, kind, help, labels, value }
    }
}
