//! What the invoker tells of: metrics, log lines, spans.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use lambkin_model::Pending;
use lambkin_model::figure::Figure;
use lambkin_model::log::{LogEvent, LogSink, LogStreamName};
use lambkin_model::metric::{FunctionMetric, Metrics, Subject};
use lambkin_model::name::FunctionKey;
use lambkin_model::time::Timestamp;
use lambkin_model::trace::{Span, SpanId, Traces};
use tokio::sync::watch;

/// By function, qualifier and metric: how many values, and their sum.
#[derive(Default)]
pub struct Measured(Mutex<BTreeMap<(String, FunctionMetric), (usize, f64)>>);

impl Measured {
    /// Of a function by its name, or by name and qualifier.
    pub fn of(&self, resource: &str, metric: FunctionMetric) -> (usize, f64) {
        self.0.lock().unwrap().get(&(resource.to_owned(), metric)).copied().unwrap_or_default()
    }
}

impl Metrics for Measured {
    fn record(&self, _: Timestamp, of: Subject<'_>, values: &[(FunctionMetric, f64)]) {
        let resource = match of {
            Subject::Account { account, .. } => account.to_owned(),
            Subject::Function { key, qualifier: None, .. } => key.name.to_string(),
            Subject::Function { key, qualifier: Some(qualifier), .. } => format!("{}:{qualifier}", key.name),
            Subject::Mapping(key) => key.name.to_string(),
        };
        for (metric, value) in values {
            let mut measured = self.0.lock().unwrap();
            let (count, sum) = measured.entry((resource.clone(), *metric)).or_default();
            *count += 1;
            *sum += value;
        }
    }
}

pub struct Logs {
    events: Mutex<Vec<(Arc<LogStreamName>, LogEvent)>>,
    pub open: watch::Sender<bool>,
}

impl Default for Logs {
    fn default() -> Self {
        Self { events: Mutex::default(), open: watch::channel(true).0 }
    }
}

impl Logs {
    pub fn lines(&self) -> Vec<String> {
        let events = self.events.lock().unwrap();
        events.iter().map(|(_, event)| String::from_utf8(event.message.to_vec()).unwrap()).collect()
    }

    /// The platform's lines by their first word, other lines as they are.
    pub fn words(&self) -> Vec<String> {
        let platform = ["INIT_START", "INIT_REPORT", "START", "END", "REPORT"];
        let word = |line: String| {
            let first = line.split(' ').next().unwrap_or_default().to_owned();
            let timed_out = line.contains(" Task timed out after ");
            match () {
                () if platform.contains(&&*first) => first,
                () if timed_out => "TIMED OUT".to_owned(),
                () if first == "RequestId:" => "FAULT".to_owned(),
                () => line,
            }
        };
        self.lines().into_iter().map(word).collect()
    }

    pub fn streams(&self) -> BTreeSet<Arc<str>> {
        self.events.lock().unwrap().iter().map(|(name, _)| Arc::clone(&name.stream)).collect()
    }
}

impl LogSink for Logs {
    fn append(&self, stream: &Arc<LogStreamName>, events: Vec<LogEvent>) -> Option<Pending<'static, ()>> {
        self.events.lock().unwrap().extend(events.into_iter().map(|event| (Arc::clone(stream), event)));
        let mut open = self.open.subscribe();
        if *open.borrow() {
            return None;
        }
        Some(Box::pin(async move {
            open.wait_for(|open| *open).await.unwrap();
        }))
    }
}

/// Spans, as they are told.
#[derive(Default)]
pub struct Traced(pub Mutex<Vec<Span>>, AtomicU64);

impl Traces for Traced {
    fn records(&self) -> bool {
        true
    }

    fn samples(&self, function: &FunctionKey) -> bool {
        &*function.name != "never"
    }

    fn span_id(&self) -> SpanId {
        SpanId((self.1.fetch_add(1, Ordering::Relaxed) + 1).to_be_bytes())
    }

    fn record(&self, span: Span) {
        self.0.lock().unwrap().push(span);
    }

    fn figures(&self) -> Vec<Figure> {
        Vec::new()
    }
}
