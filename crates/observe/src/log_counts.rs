//! What the log store did since lambkin started, and how it is: counted by its thread, read by whoever exports figures.

use std::sync::atomic::{AtomicU64, Ordering};

use lambkin_model::figure::Figure;

/// Of the writer.
#[derive(Debug, Default)]
pub(crate) struct LogCounts {
    /// Events that are on their files, and the bytes of their messages.
    pub(crate) events: AtomicU64,
    pub(crate) bytes: AtomicU64,
    /// Events that were dropped before they were written: the disk refused for too long.
    pub(crate) lost: AtomicU64,
    /// Events that were dropped for the cap, after they were written.
    pub(crate) pushed_out: AtomicU64,
    /// Bytes on disk at the last sweep, and groups.
    pub(crate) kept: AtomicU64,
    pub(crate) groups: AtomicU64,
}

/// The queue at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct QueueLoad {
    /// Bytes in it and in the writer's hands.
    pub(crate) bytes: usize,
    /// Above which callers wait.
    pub(crate) mark: usize,
    /// Callers that were asked to wait, ever.
    pub(crate) waits: u64,
}

pub(crate) fn add(counter: &AtomicU64, count: usize) {
    counter.fetch_add(count as u64, Ordering::Relaxed);
}

impl LogCounts {
    pub(crate) fn figures(&self, queue: QueueLoad, cap: u64, followers: usize) -> Vec<Figure> {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let dropped = "Log events that were dropped, by why: the disk refused them, or all logs together may take no more.";
        let lost = |reason, counter| {
            Figure::counter(
                "lambkin_logs_dropped_events_total",
                dropped,
                &[("reason", reason)],
                read(counter),
            )
        };
        vec![
            Figure::counter(
                "lambkin_logs_written_events_total",
                "Log events that were written.",
                &[],
                read(&self.events),
            ),
            Figure::counter(
                "lambkin_logs_written_bytes_total",
                "Bytes of their messages.",
                &[],
                read(&self.bytes),
            ),
            lost("disk", &self.lost),
            lost("cap", &self.pushed_out),
            Figure::gauge(
                "lambkin_logs_bytes",
                "Bytes of logs on disk, at most 30 s ago.",
                &[],
                read(&self.kept),
            ),
            Figure::gauge("lambkin_logs_limit_bytes", "Most of them.", &[], cap),
            Figure::gauge("lambkin_logs_groups", "Log groups, at most 30 s ago.", &[], read(&self.groups)),
            Figure::gauge(
                "lambkin_logs_followers",
                "Requests that wait for something new in a log group.",
                &[],
                followers,
            ),
            Figure::gauge(
                "lambkin_logs_queue_bytes",
                "Bytes of log events that wait to be written.",
                &[],
                queue.bytes,
            ),
            Figure::gauge(
                "lambkin_logs_queue_limit_bytes",
                "Bytes above which functions wait before they write more.",
                &[],
                queue.mark,
            ),
            Figure::counter(
                "lambkin_logs_queue_waits_total",
                "How often a function waited because the log store was behind.",
                &[],
                queue.waits,
            ),
        ]
    }
}
