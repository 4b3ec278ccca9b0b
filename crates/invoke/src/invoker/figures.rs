//! Figures of the data plane: what runs, what is there to run in, how it began.
//!
//! Deliberately not here: what invocations took and how they ended, which `Ports::metrics` is told. Labels are bounded: functions
//! are those that are known to the permits, as the catalog has them, and those that still have environments.

use std::collections::BTreeMap;
use std::sync::Weak;

use lambkin_model::figure::{Figure, Figures};
use lambkin_model::name::FunctionKey;

use super::{Core, Invoker};
use crate::fleet::{Census, Fleet};
use crate::permit::Counted;

impl Figures for Invoker {
    fn figures(&self) -> Vec<Figure> {
        self.0.figures()
    }
}

impl Core {
    fn figures(&self) -> Vec<Figure> {
        let (inits, inits_limit) = self.gate.running();
        let mut figures = vec![
            Figure::gauge(
                "lambkin_concurrency_limit",
                "Concurrent executions that the account may have.",
                &[],
                self.config.concurrency,
            ),
            Figure::gauge(
                "lambkin_concurrency_unreserved",
                "Those of them that are set aside for no function.",
                &[],
                self.permits.unreserved(),
            ),
            Figure::gauge("lambkin_inits_running", "Inits that run, and boots ahead of any.", &[], inits),
            Figure::gauge("lambkin_inits_limit", "Most of them at once.", &[], inits_limit),
            Figure::gauge(
                "lambkin_memory_used_bytes",
                "What execution environments and booted processes count of the memory for functions.",
                &[],
                self.memory.used(),
            ),
        ];
        figures.extend(self.memory.limit().map(|limit| {
            Figure::gauge("lambkin_memory_limit_bytes", "The memory for functions.", &[], limit)
        }));
        let pool = self.pool.lock().expect("not poisoned").clone();
        figures.extend(pool.iter().flat_map(crate::pool::Pool::figures));
        let mut functions: BTreeMap<FunctionKey, (Option<Counted>, Census)> = BTreeMap::new();
        for (key, counted) in self.permits.counted() {
            functions.entry(key).or_default().0 = Some(counted);
        }
        self.with_fleets(|fleet| {
            functions.entry(fleet.launch.key.clone()).or_default().1 += fleet.census();
        });
        for (key, (counted, census)) in &functions {
            of_function(&key.arn(), *counted, *census, &mut figures);
        }
        figures
    }

    /// Shows each fleet, and those that end.
    fn with_fleets(&self, mut show: impl FnMut(&Fleet)) {
        {
            let fleets = self.fleets.read().expect("not poisoned");
            fleets.values().flat_map(BTreeMap::values).for_each(|fleet| show(fleet));
        }
        let retired = self.retired.lock().expect("not poisoned").clone();
        retired.iter().filter_map(Weak::upgrade).for_each(|fleet| show(&fleet));
    }
}

fn of_function(arn: &str, counted: Option<Counted>, census: Census, figures: &mut Vec<Figure>) {
    let labels = &[("function", arn)];
    let Census { starting, idle, busy, leaving, memory } = census;
    for (state, count) in [("starting", starting), ("idle", idle), ("busy", busy), ("leaving", leaving)] {
        figures.push(Figure::gauge(
            "lambkin_environments",
            "Execution environments by state.",
            &[("function", arn), ("state", state)],
            count,
        ));
    }
    figures.push(Figure::gauge(
        "lambkin_environments_memory_bytes",
        "What they count of the memory for functions.",
        labels,
        memory,
    ));
    let Some(Counted { running, provisioned, started }) = counted else { return };
    figures.push(Figure::gauge(
        "lambkin_concurrent_executions",
        "Invocations that run, or wait for an environment.",
        labels,
        running,
    ));
    for (level, count) in started.cold {
        figures.push(Figure::counter(
            "lambkin_cold_starts_total",
            "Environments that started for an invocation, by what was ready: nothing (L0), a jail (L1), a process in it (L2).",
            &[("function", arn), ("level", level.name())],
            count,
        ));
    }
    figures.push(Figure::counter(
        "lambkin_warm_starts_total",
        "Invocations that found an idle environment of their function (L3).",
        labels,
        started.warm,
    ));
    if provisioned > 0 || started.provisioned > 0 {
        figures.push(Figure::gauge(
            "lambkin_provisioned_concurrency",
            "Environments that are to be kept initialised.",
            labels,
            provisioned,
        ));
        figures.push(Figure::counter(
            "lambkin_provisioned_starts_total",
            "Environments that started to be kept.",
            labels,
            started.provisioned,
        ));
    }
}
