//! Traces: which requests are recorded that nobody else decided about, and the spans of those that are, on their way to
//! a collector by OpenTelemetry's protocol (OTLP). Whoever tells of a span waits for nobody: a thread sends them, and
//! what it has no room for while the collector is slow or away is dropped, counted and said.
//!
//! Deliberately not here: HTTP and where the collector is (behind [`Collector`]), what is told of (whoever does it, by the
//! port `Traces`).

mod otlp;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use lambkin_model::figure::Figure;
use lambkin_model::name::FunctionKey;
use lambkin_model::trace::{self, Span, SpanId, Traces, span_id};

/// Spans that wait for the collector; beyond, new ones are dropped. About 1 KB each.
const WAITING: usize = 8192;
/// Most spans of one request.
const BATCH: usize = 512;
/// How long the first span waits for others to go with it.
const GATHER: Duration = Duration::from_secs(1);
/// Pauses after a request that may be tried again; they double.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// How often a request is tried before its spans are dropped.
const TRIES: u32 = 6;
/// Between two warnings.
const TELL: Duration = Duration::from_secs(10);
/// Functions share the seconds in which one was traced by their hash: a bound, at the price of a few traces less.
const SECONDS: usize = 1024;

/// Where spans are sent.
pub trait Collector: Send {
    /// Sends an `ExportTraceServiceRequest` as protobuf and answers with the response's bytes. Blocking, for a
    /// bounded time.
    fn send(&self, request: &[u8]) -> Result<Vec<u8>, Unsent>;
}

/// Why a request did not go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unsent {
    /// Another try may find it otherwise.
    Now(String),
    /// It is refused for what it is.
    Ever(String),
}

/// Chance and the clock, and the way out.
pub struct Exporter {
    /// The second in which a function's request was traced last, by the function's hash.
    seconds: Vec<AtomicU64>,
    /// `None`: there is no collector, and there are no spans.
    sending: Option<Arc<Sending>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

struct Sending {
    state: Mutex<State>,
    /// Something to send, or the end.
    wake: Condvar,
    /// The thread has ended.
    ended: Condvar,
    exported: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Default)]
struct State {
    spans: Vec<Span>,
    closing: bool,
    ended: bool,
}

impl Exporter {
    /// Decides, and has no spans made.
    #[must_use]
    pub fn off() -> Self {
        Self::new(None, None)
    }

    /// To this collector. Starts a thread.
    pub fn start(collector: Box<dyn Collector>) -> std::io::Result<Self> {
        let sending = Arc::new(Sending {
            state: Mutex::default(),
            wake: Condvar::new(),
            ended: Condvar::new(),
            exported: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
        });
        let own = Arc::clone(&sending);
        let thread = std::thread::Builder::new().name("lambkin-traces".into()).spawn(move || {
            own.run(&*collector);
            own.state().ended = true;
            own.ended.notify_all();
        })?;
        Ok(Self::new(Some(sending), Some(thread)))
    }

    fn new(sending: Option<Arc<Sending>>, thread: Option<JoinHandle<()>>) -> Self {
        let seconds = std::iter::repeat_with(|| AtomicU64::new(0)).take(SECONDS).collect();
        Self { seconds, sending, thread: Mutex::new(thread) }
    }

    /// Sends what there is, for so long at the most; a request that hangs is left to itself. Blocking.
    pub fn close(&self, timeout: Duration) {
        let Some(sending) = &self.sending else { return };
        let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take() else { return };
        let mut state = sending.state();
        state.closing = true;
        sending.wake.notify_all();
        let waited = sending.ended.wait_timeout_while(state, timeout, |state| !state.ended);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if state.ended {
            drop(state);
            // It has nothing left to do but return.
            let _ = thread.join();
        } else {
            tracing::warn!("the collector took too long: the last spans are not sent");
        }
    }
}

impl Sending {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn run(&self, collector: &dyn Collector) {
        let mut told = Told { dropped: 0, last: None };
        while let Some(batch) = self.batch() {
            let count = batch.len() as u64;
            match self.send(collector, &otlp::request(&batch)) {
                Ok(refused) => {
                    self.exported.fetch_add(count.saturating_sub(refused), Ordering::Relaxed);
                    self.dropped.fetch_add(refused.min(count), Ordering::Relaxed);
                    told.tell(self, "the collector refused some");
                }
                Err(reason) => {
                    self.dropped.fetch_add(count, Ordering::Relaxed);
                    told.tell(self, &reason);
                }
            }
        }
    }

    /// Waits for spans, and a moment for more of them. `None`: it is closed and there are none.
    fn batch(&self) -> Option<Vec<Span>> {
        let poisoned = PoisonError::into_inner;
        let state = self.state();
        let state = self.wake.wait_while(state, |state| state.spans.is_empty() && !state.closing);
        let state = state.unwrap_or_else(poisoned);
        let gathering = |state: &mut State| state.spans.len() < BATCH && !state.closing;
        let state = self.wake.wait_timeout_while(state, GATHER, gathering);
        let (mut state, _) = state.unwrap_or_else(|error| error.into_inner());
        let count = state.spans.len().min(BATCH);
        let batch: Vec<Span> = state.spans.drain(..count).collect();
        (!batch.is_empty()).then_some(batch)
    }

    /// How many spans of it the collector refused.
    fn send(&self, collector: &dyn Collector, request: &[u8]) -> Result<u64, String> {
        let mut pause = FIRST_PAUSE;
        let mut tries = 1;
        loop {
            match collector.send(request) {
                Ok(response) => return Ok(otlp::refused(&response)),
                Err(Unsent::Ever(reason)) => return Err(reason),
                Err(Unsent::Now(reason)) if tries >= TRIES || self.state().closing => return Err(reason),
                Err(Unsent::Now(reason)) => tracing::debug!(reason, tries, "spans cannot be sent yet"),
            }
            let state = self.state();
            // Woken early only by the end: another try is the last one then.
            drop(self.wake.wait_timeout_while(state, pause, |state| !state.closing));
            pause = (pause * 2).min(LONGEST_PAUSE);
            tries += 1;
        }
    }
}

/// What the log has of drops.
struct Told {
    dropped: u64,
    last: Option<Instant>,
}

impl Told {
    fn tell(&mut self, sending: &Sending, reason: &str) {
        let dropped = sending.dropped.load(Ordering::Relaxed);
        if dropped == self.dropped || self.last.is_some_and(|last| last.elapsed() < TELL) {
            return;
        }
        tracing::warn!(spans = dropped - self.dropped, reason, "spans were dropped");
        (self.dropped, self.last) = (dropped, Some(Instant::now()));
    }
}

impl Traces for Exporter {
    fn records(&self) -> bool {
        self.sending.is_some()
    }

    fn samples(&self, function: &FunctionKey) -> bool {
        use std::hash::{DefaultHasher, Hash, Hasher};
        let mut hasher = DefaultHasher::new();
        function.hash(&mut hasher);
        #[expect(clippy::cast_possible_truncation, reason = "some bits of a hash")]
        let last = &self.seconds[hasher.finish() as usize % SECONDS];
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        // Zero is no second that was.
        let before = last.swap(since.as_secs(), Ordering::Relaxed);
        trace::samples((before != 0).then_some(before), since.as_secs(), chance())
    }

    fn span_id(&self) -> SpanId {
        span_id(uuid::Uuid::new_v4().into_bytes())
    }

    fn record(&self, span: Span) {
        let Some(sending) = &self.sending else { return };
        let mut state = sending.state();
        if state.spans.len() >= WAITING || state.closing {
            drop(state);
            sending.dropped.fetch_add(1, Ordering::Relaxed);
            return;
        }
        state.spans.push(span);
        let count = state.spans.len();
        drop(state);
        if count == 1 || count == BATCH {
            sending.wake.notify_one();
        }
    }

    fn figures(&self) -> Vec<Figure> {
        let Some(sending) = &self.sending else { return Vec::new() };
        let figure = |name, help, counter: &AtomicU64| {
            Figure::counter(name, help, &[], counter.load(Ordering::Relaxed))
        };
        vec![
            figure("lambkin_spans_exported_total", "Spans that the collector took.", &sending.exported),
            figure(
                "lambkin_spans_dropped_total",
                "Spans that were dropped: the collector was slow, away, or refused them.",
                &sending.dropped,
            ),
        ]
    }
}

/// From 0 to below 1.
fn chance() -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit")]
    let bits = (uuid::Uuid::new_v4().as_u128() as u64 & ((1 << 53) - 1)) as f64;
    bits / (1_u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use lambkin_model::figure::FigureValue;
    use lambkin_model::time::Timestamp;
    use lambkin_model::trace::{SpanKind, TraceId};

    use super::*;

    fn span() -> Span {
        Span {
            trace: TraceId([1; 16]),
            id: SpanId([2; 8]),
            parent: Some(SpanId([3; 8])),
            name: "n".into(),
            kind: SpanKind::Server,
            start: Timestamp(5),
            end: Timestamp(7),
            attributes: vec![("faas.coldstart", true.into()), ("faas.name", "f".into())],
            error: Some("why".into()),
            links: Vec::new(),
        }
    }

    struct Desk(Mutex<mpsc::Receiver<Result<Vec<u8>, Unsent>>>, mpsc::Sender<usize>);

    /// Says what it is told to, in order, and hangs until it is told.
    impl Collector for Desk {
        fn send(&self, request: &[u8]) -> Result<Vec<u8>, Unsent> {
            let _ = self.1.send(otlp::count(request));
            self.0.lock().unwrap().recv().unwrap_or_else(|_| Err(Unsent::Ever("gone".into())))
        }
    }

    type Told = (mpsc::Sender<Result<Vec<u8>, Unsent>>, mpsc::Receiver<usize>);

    fn exporter() -> (Exporter, Told) {
        let (say, said) = mpsc::channel();
        let (tell, told) = mpsc::channel();
        (Exporter::start(Box::new(Desk(Mutex::new(said), tell))).unwrap(), (say, told))
    }

    fn counts(exporter: &Exporter) -> (u64, u64) {
        let count = |figure: &Figure| match figure.value {
            FigureValue::Whole(count) => count,
            FigureValue::Real(_) | FigureValue::Histogram(_) => panic!("{figure:?} counts"),
        };
        let figures = exporter.figures();
        (count(&figures[0]), count(&figures[1]))
    }

    #[test]
    fn spans_are_sent_and_counted() {
        let (exporter, (say, told)) = exporter();
        (0..3).for_each(|_| exporter.record(span()));
        say.send(Ok(otlp::partly(1))).unwrap();
        exporter.close(Duration::from_secs(10));
        assert_eq!(told.recv(), Ok(3));
        assert_eq!(counts(&exporter), (2, 1), "one was refused");
        exporter.record(span());
        assert_eq!(counts(&exporter), (2, 2), "too late");
    }

    #[test]
    fn a_request_that_may_is_tried_again_and_another_is_not() {
        let (exporter, (say, told)) = exporter();
        for unsent in [Unsent::Now("503".into()), Unsent::Ever("400".into())] {
            say.send(Err(unsent)).unwrap();
        }
        say.send(Ok(Vec::new())).unwrap();
        exporter.record(span());
        assert_eq!((told.recv(), told.recv()), (Ok(1), Ok(1)));
        exporter.record(span());
        assert_eq!(told.recv(), Ok(1));
        exporter.close(Duration::from_secs(10));
        assert_eq!(counts(&exporter), (1, 1));
    }

    /// Whoever records comes back at once, and a close too.
    #[test]
    fn a_collector_that_hangs_holds_up_nobody() {
        let (exporter, (say, told)) = exporter();
        (0..BATCH).for_each(|_| exporter.record(span()));
        assert_eq!(told.recv(), Ok(BATCH));
        (0..WAITING + 7).for_each(|_| exporter.record(span()));
        assert_eq!(counts(&exporter), (0, 7));
        exporter.close(Duration::ZERO);
        drop(say);
    }

    #[test]
    fn the_first_request_of_a_second_is_traced() {
        let exporter = Exporter::off();
        let key = |name: &str| FunctionKey { account: "1".into(), region: "r".into(), name: name.into() };
        assert!(exporter.samples(&key("f")) && exporter.samples(&key("g")));
        let sampled = (0..10_000).filter(|_| exporter.samples(&key("f"))).count();
        assert!((200..1500).contains(&sampled), "{sampled}");
        assert!(!exporter.records());
    }
}
