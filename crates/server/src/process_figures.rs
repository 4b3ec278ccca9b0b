//! Figures of lambkin's own process, in Prometheus's usual names where it has some, and of its files.
//!
//! Deliberately not here: functions' processes, which are not lambkin's own.

use std::path::{Path, PathBuf};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use lambkin_model::figure::{Figure, Figures};

/// Files of the data directory that may grow, beside logs and metrics, which have figures of their own.
const FILES: [(&str, [&str; 2]); 2] = [
    ("catalog", ["catalog.sqlite", "catalog.sqlite-wal"]),
    ("queues", ["queues.sqlite", "queues.sqlite-wal"]),
];

/// Of this process, which runs since this was made.
pub(crate) struct ProcessFigures {
    data: PathBuf,
    isolation: &'static str,
    started: SystemTime,
    since: Instant,
}

impl ProcessFigures {
    pub(crate) fn new(data: &Path, isolation: &'static str) -> Self {
        Self { data: data.to_owned(), isolation, started: SystemTime::now(), since: Instant::now() }
    }
}

impl Figures for ProcessFigures {
    fn figures(&self) -> Vec<Figure> {
        let started = self.started.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        let labels = &[("version", env!("CARGO_PKG_VERSION")), ("isolation", self.isolation)];
        let mut figures = vec![
            Figure::gauge("lambkin_build_info", "Always 1; the labels say what this is.", labels, 1_u64),
            Figure::gauge(
                "lambkin_uptime_seconds",
                "Since lambkin started.",
                &[],
                self.since.elapsed().as_secs_f64(),
            ),
            Figure::gauge("process_start_time_seconds", "When lambkin started, since 1970.", &[], started),
        ];
        for (store, files) in FILES {
            let bytes: u64 = files
                .iter()
                .filter_map(|file| std::fs::metadata(self.data.join(file)).ok())
                .map(|file| file.len())
                .sum();
            let help = "Bytes of the files of a store.";
            figures.push(Figure::gauge("lambkin_store_bytes", help, &[("store", store)], bytes));
        }
        figures.extend(of_system());
        figures
    }
}

/// What Linux says; elsewhere nothing.
fn of_system() -> Vec<Figure> {
    let mut figures = Vec::new();
    if let Some(Memory { resident, virtual_size }) = memory() {
        figures.extend([
            Figure::gauge("process_resident_memory_bytes", "Memory that lambkin has.", &[], resident),
            Figure::gauge("process_virtual_memory_bytes", "Addresses that lambkin has.", &[], virtual_size),
        ]);
    }
    if let Some(seconds) = cpu_seconds() {
        let help = "CPU time of lambkin itself, in user and system.";
        figures.push(Figure::counter("process_cpu_seconds_total", help, &[], seconds));
    }
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is what reads the directory.
        let open = open.count().saturating_sub(1);
        figures.push(Figure::gauge("process_open_fds", "Files and sockets that are open.", &[], open));
        let limit = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        let limit = limit.unwrap_or(u64::MAX);
        figures.push(Figure::gauge("process_max_fds", "Most of them.", &[], limit));
    }
    figures
}

struct Memory {
    resident: u64,
    virtual_size: u64,
}

fn memory() -> Option<Memory> {
    let text = std::fs::read_to_string("/proc/self/status").ok()?;
    // `VmRSS:     1234 kB`
    let bytes = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().trim_end_matches("kB").trim_end().parse::<u64>().ok()? << 10)
    };
    Some(Memory { resident: bytes("VmRSS:")?, virtual_size: bytes("VmSize:")? })
}

fn cpu_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/self/stat").ok()?;
    // The program's name, in brackets, may have any character in it; the third field is behind it.
    let (_, fields) = text.rsplit_once(')')?;
    let mut times = fields.split_ascii_whitespace().skip(11).map(|field| field.parse::<u32>().ok());
    let ticks = f64::from(times.next()??) + f64::from(times.next()??);
    // The kernel says hundredths of a second to every program, whatever its own clock.
    Some(ticks / 100.0)
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use lambkin_model::figure::FigureValue;

    use super::*;

    #[test]
    fn a_process_has_memory_files_and_time() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("queues.sqlite"), [0; 70]).unwrap();
        std::fs::write(directory.path().join("queues.sqlite-wal"), [0; 7]).unwrap();
        let figures = ProcessFigures::new(directory.path(), "jail").figures();
        let of = |name: &str| {
            let found: Vec<_> = figures.iter().filter(|figure| figure.name == name).collect();
            match found.last().map(|figure| &figure.value) {
                Some(FigureValue::Whole(value)) => *value as f64,
                Some(FigureValue::Real(value)) => *value,
                other => panic!("{name}: {other:?}"),
            }
        };
        assert_eq!(of("lambkin_store_bytes"), 77.0);
        assert!((1e5..1e10).contains(&of("process_resident_memory_bytes")));
        assert!(of("process_virtual_memory_bytes") >= of("process_resident_memory_bytes"));
        assert!((0.0..1e4).contains(&of("process_cpu_seconds_total")));
        let before = of("process_open_fds");
        let file = std::fs::File::open("/proc/self/stat").unwrap();
        assert!(before >= 3.0 && before < of("process_max_fds"));
        drop(file);
        assert!(of("process_start_time_seconds") > 1.7e9);
    }
}
