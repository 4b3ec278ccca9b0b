//! What the pool has, and how often it had what was asked for: written by its task, read by whoever exports figures.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use lambkin_model::figure::Figure;

use super::Kind;
use crate::memory::Share;

/// Most kinds that are counted each; all others are one.
const KINDS: usize = 200;

pub(crate) struct Counts {
    size: usize,
    memory: Share,
    /// By runtime and megabytes.
    kinds: Mutex<BTreeMap<(&'static str, u32), OfKind>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct OfKind {
    ready: u64,
    hits: u64,
    misses: u64,
}

impl Counts {
    pub(super) fn new(size: usize) -> Self {
        Self { size, memory: Share::default(), kinds: Mutex::default() }
    }

    /// What its processes count of the machine's memory.
    pub(super) fn memory(&self) -> &Share {
        &self.memory
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<(&'static str, u32), OfKind>> {
        self.kinds.lock().expect("no code panics under this lock")
    }

    /// A cold start asked for one of this kind, and got it or not.
    pub(super) fn asked(&self, kind: &Kind, got: bool) {
        let mut kinds = self.lock();
        let counts = of(&mut kinds, kind);
        if got { counts.hits += 1 } else { counts.misses += 1 }
    }

    /// These wait now.
    pub(super) fn ready<'k>(&self, ready: impl Iterator<Item = &'k Kind>) {
        let mut kinds = self.lock();
        kinds.values_mut().for_each(|counts| counts.ready = 0);
        ready.for_each(|kind| of(&mut kinds, kind).ready += 1);
    }

    pub(super) fn figures(&self) -> Vec<Figure> {
        let mut figures = vec![
            Figure::gauge("lambkin_pool_limit", "Most processes that are booted ahead.", &[], self.size),
            Figure::gauge(
                "lambkin_pool_memory_bytes",
                "What the processes that were booted ahead count of the memory for functions.",
                &[],
                self.memory.load(std::sync::atomic::Ordering::Relaxed),
            ),
        ];
        for ((runtime, memory), counts) in &*self.lock() {
            let memory = if *memory == 0 { "any".to_owned() } else { memory.to_string() };
            let labels = &[("runtime", *runtime), ("memory_mb", &*memory)];
            let OfKind { ready, hits, misses } = *counts;
            figures.extend([
                Figure::gauge(
                    "lambkin_pool_processes",
                    "Processes that wait for a cold start.",
                    labels,
                    ready,
                ),
                Figure::counter(
                    "lambkin_pool_hits_total",
                    "Cold starts that took one of them.",
                    labels,
                    hits,
                ),
                Figure::counter(
                    "lambkin_pool_misses_total",
                    "Cold starts that found none of their kind.",
                    labels,
                    misses,
                ),
            ]);
        }
        figures
    }
}

fn of<'c>(kinds: &'c mut BTreeMap<(&'static str, u32), OfKind>, kind: &Kind) -> &'c mut OfKind {
    let told = kind.told();
    let told = if kinds.len() < KINDS || kinds.contains_key(&told) { told } else { ("others", 0) };
    kinds.entry(told).or_default()
}
