//! Every figure of what moves events, for whoever exports metrics: what waits now, and what happened since the
//! start.
//!
//! Deliberately not here: the counting itself (`counters`), and lambkin's pages for people (`api`).

use lambkin_model::Error;
use lambkin_model::figure::Figure;
use lambkin_model::queue::Counts;
use lambkin_model::time::Timestamp;

use crate::Events;
use crate::asynchronous::Backlog;
use crate::counters::{Counted, OutboundCounted};

type Labels<'a> = &'a [(&'static str, &'a str)];

impl Events {
    /// All of them at this moment. Asks the store once for each kind of queue, however many there are: for seconds, not for
    /// requests.
    pub async fn figures(&self) -> Result<Vec<Figure>, Error> {
        let now = self.asynchronous.now();
        let mut figures = Vec::new();
        for backlog in self.asynchronous.backlogs().await? {
            of_function(&backlog, now, &mut figures);
        }
        let queues = self.sqs.counts_of_all().await.map_err(|error| Error::Service(error.to_string()))?;
        for (queue, counts) in queues {
            of_queue(&queue.arn(), &counts, now, &mut figures);
        }
        of_outbound(self.asynchronous.outbound().await?, &mut figures);
        figures.push(Figure::counter(
            "lambkin_sns_notifications_lost_total",
            "Notifications of SNS that neither a subscriber nor a dead-letter queue took.",
            &[],
            self.sns.undelivered(),
        ));
        Ok(figures)
    }
}

/// Seconds since the oldest was sent; 0 where there is none, as AWS has it.
fn age(counts: &Counts, now: Timestamp) -> u64 {
    counts.oldest.map_or(0, |oldest| now.0.saturating_sub(oldest.0) / 1_000_000)
}

fn of_function(backlog: &Backlog, now: Timestamp, figures: &mut Vec<Figure>) {
    let arn = backlog.function.arn();
    let labels: Labels<'_> = &[("function", &arn)];
    let counts = &backlog.counts;
    // Without `..`: whatever comes to be counted comes to be shown.
    let Counted {
        received,
        running,
        succeeded,
        retried,
        throttled,
        dropped,
        dead_lettered,
        recorded,
        recursive,
        undelivered,
        delivery_failures,
    } = backlog.since;
    for (name, help, value) in [
        ("lambkin_events_waiting", "Events that are ready to run.", counts.visible),
        ("lambkin_events_in_flight", "Events that the dispatcher has taken.", counts.in_flight),
        ("lambkin_events_delayed", "Events whose next attempt is not due yet.", counts.delayed),
        ("lambkin_events_oldest_seconds", "Age of the oldest event.", age(counts, now)),
        ("lambkin_events_running", "Attempts that are running.", running),
        ("lambkin_deliveries_waiting", "Dead letters and records that wait for their target.", undelivered),
    ] {
        figures.push(Figure::gauge(name, help, labels, value));
    }
    for (name, help, value) in [
        ("lambkin_events_received_total", "Events that were taken.", received),
        ("lambkin_events_succeeded_total", "Events that succeeded.", succeeded),
        ("lambkin_events_retried_total", "Attempts that are tried again.", retried),
        ("lambkin_events_throttled_total", "Attempts that found no concurrency.", throttled),
        ("lambkin_events_dropped_total", "Events that ended without success.", dropped),
        ("lambkin_events_dead_lettered_total", "Dropped events that became dead letters.", dead_lettered),
        ("lambkin_events_recorded_total", "Records that went to destinations.", recorded),
        ("lambkin_events_recursive_total", "Events that were dropped as they went in circles.", recursive),
        (
            "lambkin_deliveries_failed_total",
            "Dead letters and records that were given up.",
            delivery_failures,
        ),
    ] {
        figures.push(Figure::counter(name, help, labels, value));
    }
}

fn of_queue(arn: &str, counts: &Counts, now: Timestamp, figures: &mut Vec<Figure>) {
    let labels: Labels<'_> = &[("queue", arn)];
    for (name, help, value) in [
        ("lambkin_sqs_messages_visible", "Messages that can be received.", counts.visible),
        ("lambkin_sqs_messages_in_flight", "Messages that were received and not deleted.", counts.in_flight),
        ("lambkin_sqs_messages_delayed", "Messages that cannot be received yet.", counts.delayed),
        ("lambkin_sqs_oldest_seconds", "Age of the oldest message.", age(counts, now)),
    ] {
        figures.push(Figure::gauge(name, help, labels, value));
    }
}

fn of_outbound(outbound: OutboundCounted, figures: &mut Vec<Figure>) {
    let OutboundCounted { waiting, sent, retried, given_up } = outbound;
    let help = "Deliveries that wait to be sent to services elsewhere.";
    figures.push(Figure::gauge("lambkin_outbound_waiting", help, &[], waiting));
    for (name, help, value) in [
        ("lambkin_outbound_sent_total", "Deliveries that a service elsewhere took.", sent),
        ("lambkin_outbound_retried_total", "Deliveries elsewhere that are tried again.", retried),
        ("lambkin_outbound_given_up_total", "Deliveries elsewhere that were given up.", given_up),
    ] {
        figures.push(Figure::counter(name, help, &[], value));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use lambkin_model::figure::FigureKind;
    use lambkin_model::name::FunctionKey;

    use super::*;

    fn all() -> Vec<Figure> {
        let mut figures = Vec::new();
        for name in ["f", "g"] {
            let function =
                FunctionKey { account: "000000000000".into(), region: "us-east-1".into(), name: name.into() };
            let since = Counted { received: 9, running: 1, dropped: 2, undelivered: 3, ..Counted::default() };
            let oldest = Some(Timestamp(2_000_000));
            let counts = Counts { visible: 4, in_flight: 1, delayed: 2, oldest };
            of_function(&Backlog { function, counts, since }, Timestamp(77_500_000), &mut figures);
        }
        of_queue("arn:aws:sqs:us-east-1:000000000000:q", &Counts::default(), Timestamp(0), &mut figures);
        let outbound = OutboundCounted { waiting: 1, sent: 2, retried: 3, given_up: 4 };
        of_outbound(outbound, &mut figures);
        figures
    }

    /// What exporters rely on: a name has one kind, one help and one set of labels, no figure comes twice, and
    /// counters are called so.
    #[test]
    fn names_are_consistent() {
        let (mut families, mut seen) = (BTreeMap::new(), BTreeSet::new());
        for figure in all() {
            let names: Vec<_> = figure.labels.iter().map(|(name, _)| *name).collect();
            let family = (figure.kind == FigureKind::Counter, figure.help, names);
            assert_eq!(*families.entry(figure.name).or_insert_with(|| family.clone()), family);
            assert_eq!(figure.name.ends_with("_total"), figure.kind == FigureKind::Counter, "{figure:?}");
            assert!(figure.help.ends_with('.') && figure.name.starts_with("lambkin_"), "{figure:?}");
            assert!(seen.insert((figure.name, figure.labels.clone())), "{figure:?}");
        }
        assert_eq!(families.len(), 23);
    }

    #[test]
    fn values_are_those_that_were_counted() {
        let figures = all();
        let f = "arn:aws:lambda:us-east-1:000000000000:function:f";
        for (name, label, value) in [
            ("lambkin_events_waiting", f, 4_u64),
            ("lambkin_events_oldest_seconds", f, 75),
            ("lambkin_events_received_total", f, 9),
            ("lambkin_events_dropped_total", f, 2),
            ("lambkin_deliveries_waiting", f, 3),
            ("lambkin_sqs_oldest_seconds", "arn:aws:sqs:us-east-1:000000000000:q", 0),
        ] {
            let found = figures.iter().find(|figure| figure.name == name && figure.labels[0].1 == label);
            assert_eq!(found.map(|figure| &figure.value), Some(&value.into()), "{name}");
        }
        let given_up = figures.iter().find(|figure| figure.name == "lambkin_outbound_given_up_total");
        assert_eq!(given_up.map(|figure| &figure.value), Some(&4_u64.into()));
    }
}
