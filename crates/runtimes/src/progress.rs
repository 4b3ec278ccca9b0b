//! How a fetch shows that it goes on: a bar or a spinner on a terminal, log lines elsewhere.
//!
//! Deliberately not here: what is fetched. Nothing depends on the display.

use std::io::IsTerminal;
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};

/// Several fetches share the one terminal.
static TERMINAL: LazyLock<MultiProgress> = LazyLock::new(MultiProgress::new);

/// One fetch on display, until it is dropped.
pub(crate) struct Progress {
    label: String,
    started: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    /// A download of so many bytes, if that is known.
    pub(crate) fn of_bytes(label: &str, total: Option<u64>) -> Self {
        let template = if total.is_some() {
            "{msg} [{bar:30}] {bytes}/{total_bytes} {bytes_per_sec} {eta}"
        } else {
            "{spinner} {msg} {bytes} {bytes_per_sec}"
        };
        Self::new(label, template, total)
    }

    /// Something that tells nothing of itself but that it has not ended.
    pub(crate) fn of_time(label: &str) -> Self {
        Self::new(label, "{spinner} {msg} {elapsed}", None)
    }

    fn new(label: &str, template: &str, total: Option<u64>) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let bar = TERMINAL.add(match total {
                Some(total) => ProgressBar::new(total),
                None => ProgressBar::new_spinner(),
            });
            if let Ok(style) = ProgressStyle::with_template(template) {
                bar.set_style(style);
            }
            bar.set_message(label.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            tracing::info!("fetching: {label}");
        }
        Self { label: label.to_owned(), started: Instant::now(), bar }
    }

    /// So many bytes more.
    pub(crate) fn advance(&self, bytes: u64) {
        if let Some(bar) = &self.bar {
            bar.inc(bytes);
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        match &self.bar {
            Some(bar) => bar.finish_and_clear(),
            None => {
                tracing::info!("ended after {:.1} s: {}", self.started.elapsed().as_secs_f64(), self.label)
            }
        }
    }
}
