//! One execution environment: the task that owns its sandbox, its process, its log and its
//! lifecycle machine. It waits for whatever happens first, tells the machine, and does what the
//! machine says.

use std::pin::Pin;
use std::sync::Arc;

use lambkin_model::exit::ExitStatus;
use lambkin_model::fault;
use lambkin_model::invocation::{FunctionError, Invocation, Outcome, Reply, RequestId};
use lambkin_model::lifecycle::{Action, Ending, Event, Lifecycle, Line, Run, Verdict};
use lambkin_model::platform_line::{Facts, Speaker};
use lambkin_model::sandbox::{Process, ProcessControl, Sandbox};
use lambkin_model::time::Moment;
use lambkin_model::{Error, Pending};
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Duration, Instant, Sleep};

use crate::assignment::Assignment;
use crate::capture::{self, Capture};
use crate::channel::{Broken, Channel, Frame};
use crate::fleet::{Fleet, Mailbox, Message, Next};
use crate::output::Output;
use crate::posted::{self, Posted};

/// Log events of a long invocation are handed on at least this often.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// How long the launcher may take to start a process before that is a failure.
const LAUNCH_TIMEOUT: Duration = Duration::from_secs(10);

/// How long the driver sleeps where nothing has a deadline; it wakes for every event anyway.
const IDLE: Duration = Duration::from_secs(3600);

pub(crate) struct Environment {
    fleet: Arc<Fleet>,
    mailbox: Mailbox,
    messages: mpsc::Receiver<Message>,
    sandbox: Box<dyn Sandbox>,
    running: Option<Running>,
    machine: Lifecycle,
    /// What its moments count from.
    epoch: Instant,
    speaker: Speaker,
    capture: Capture,
    /// The accepted invocation, until it is answered.
    assignment: Option<Box<Assignment>>,
    /// Whose lines are written now.
    request_id: Option<RequestId>,
    /// Unix time at which its time is over.
    deadline_ms: u64,
    posted: Posted,
    /// An answer that waits for the lines of this event, because the caller wants the log's end.
    held: Option<(Box<Assignment>, Result<Outcome, Error>)>,
    reported: bool,
    launch_error: Option<String>,
    peak_memory: u64,
    /// One of the inits that may run at once; given back after the first.
    gate: Option<OwnedSemaphorePermit>,
    flush_at: Option<Instant>,
    gone: bool,
}

struct Running {
    run: Run,
    channel: Channel,
    output: Output,
    exit: Pending<'static, ExitStatus>,
    control: Box<dyn ProcessControl>,
    /// The channel broke; only the process's end is awaited.
    broken: bool,
    /// Its memory was not measured yet.
    unmeasured: bool,
}

enum Happened {
    Frame(Result<Frame, Broken>),
    Exited(ExitStatus),
    Message(Option<Message>),
    Output,
    Time,
}

impl Environment {
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        mailbox: Mailbox,
        messages: mpsc::Receiver<Message>,
        sandbox: Box<dyn Sandbox>,
        capture: Capture,
        gate: OwnedSemaphorePermit,
    ) -> Self {
        let speaker = fleet.launch.speaker();
        Self {
            fleet,
            mailbox,
            messages,
            sandbox,
            running: None,
            machine: Lifecycle::default(),
            epoch: Instant::now(),
            speaker,
            capture,
            assignment: None,
            request_id: None,
            deadline_ms: 0,
            posted: Posted::default(),
            held: None,
            reported: false,
            launch_error: None,
            peak_memory: 0,
            gate: Some(gate),
            flush_at: None,
            gone: false,
        }
    }

    /// Lives until the machine says Gone.
    pub(crate) async fn live(mut self) {
        self.happened(Event::Start).await;
        let mut alarm = Box::pin(tokio::time::sleep(IDLE));
        while !self.gone {
            // Set forward only where needed: most invocations end long before their deadline, and
            // an alarm that rings early is a look at the clock.
            let wanted = self.alarm();
            if wanted < alarm.deadline() || alarm.is_elapsed() {
                alarm.as_mut().reset(wanted);
            }
            let happened = self.wait(alarm.as_mut()).await;
            self.handle(happened).await;
        }
        self.capture.flush();
        self.fleet.gone();
    }

    fn alarm(&self) -> Instant {
        let deadline = self.machine.deadline().map(|moment| self.epoch + Duration::from_micros(moment.0));
        [deadline, self.flush_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn wait(&mut self, alarm: Pin<&mut Sleep>) -> Happened {
        let Some(running) = &mut self.running else {
            return tokio::select! {
                message = self.messages.recv(), if self.machine.accepts() => Happened::Message(message),
                () = alarm => Happened::Time,
            };
        };
        if self.capture.is_behind() {
            // The store is behind and nothing is read: the pipe and the socket fill up, and the
            // function waits in its write.
            return tokio::select! {
                () = self.capture.caught_up() => Happened::Output,
                status = &mut running.exit => Happened::Exited(status),
                () = alarm => Happened::Time,
            };
        }
        let capture = &mut self.capture;
        let mut lines = |line: &[u8]| capture.push_raw(capture::now(), line);
        tokio::select! {
            biased;
            frame = running.channel.next(), if !running.broken => Happened::Frame(frame),
            message = self.messages.recv(), if self.machine.accepts() => Happened::Message(message),
            () = running.output.read(&mut lines) => Happened::Output,
            status = &mut running.exit => Happened::Exited(status),
            () = alarm => Happened::Time,
        }
    }

    async fn handle(&mut self, happened: Happened) {
        match happened {
            Happened::Frame(Ok(frame)) => self.frame(frame).await,
            Happened::Frame(Err(broken)) => {
                if let Some(running) = &mut self.running {
                    running.broken = true;
                    tracing::debug!(function = %self.fleet.launch.key, ?broken, "the channel is over");
                    let run = running.run;
                    self.happened(Event::Broken(run)).await;
                }
            }
            Happened::Message(Some(Message::Assign(assignment))) => self.assign(assignment).await,
            // The other end of the mailbox is in this task's own hands, so `None` never comes.
            Happened::Message(Some(Message::Retire) | None) => self.happened(Event::Retire).await,
            Happened::Output => {}
            Happened::Exited(status) => self.exited(status).await,
            Happened::Time => {
                if self.flush_at.is_some_and(|at| at <= Instant::now()) {
                    self.capture.flush();
                }
                self.happened(Event::Tick).await;
            }
        }
        match (self.capture.has_unflushed(), self.flush_at) {
            (true, None) => self.flush_at = Some(Instant::now() + FLUSH_EVERY),
            (false, Some(_)) => self.flush_at = None,
            (true, Some(_)) | (false, None) => {}
        }
    }

    async fn assign(&mut self, assignment: Box<Assignment>) {
        let timeout = assignment.timeout;
        self.request_id = Some(assignment.invocation.request_id);
        self.deadline_ms = capture::now().millis() + timeout / 1000;
        self.assignment = Some(assignment);
        self.posted = Posted::default();
        self.reported = false;
        self.happened(Event::Invoke { timeout }).await;
    }

    async fn frame(&mut self, frame: Frame) {
        let Some(run) = self.running.as_ref().map(|running| running.run) else { return };
        let event = match posted::read(frame) {
            Some(posted::Said::Ready) => Event::Ready(run),
            Some(posted::Said::Log(at, message)) => {
                self.capture.push_message(at, message);
                return;
            }
            Some(posted::Said::StreamStart) => Event::ResponseStarted(run),
            Some(posted::Said::StreamChunk(chunk)) => {
                self.posted.chunk(&chunk);
                return;
            }
            Some(posted::Said::InitFailed(error)) => {
                self.posted.error = Some(error);
                Event::InitFailed(run)
            }
            Some(posted::Said::Ended(result)) => {
                self.drain_output();
                // A second result must not change the first.
                let ending = match self.assignment {
                    Some(_) => self.posted.end(result),
                    None => Ending::Error,
                };
                Event::ResponseEnded(run, ending)
            }
            None => Event::Broken(run),
        };
        self.happened(event).await;
    }

    fn drain_output(&mut self) {
        if let Some(running) = &mut self.running {
            let capture = &mut self.capture;
            running.output.drain(&mut |line| capture.push_raw(capture::now(), line));
        }
    }

    /// What it left behind in the channel and the pipe comes before its end.
    async fn exited(&mut self, status: ExitStatus) {
        while let Some(frame) = self.running.as_mut().and_then(|running| running.channel.next_now()) {
            self.frame(frame).await;
        }
        self.drain_output();
        if let Some(running) = self.running.take() {
            self.happened(Event::Exited(running.run, status)).await;
        }
    }

    /// Tells the machine and does what it says.
    async fn happened(&mut self, event: Event) {
        let mut next = Some(event);
        let mut actions = Vec::new();
        while let Some(event) = next.take() {
            let now = Moment(u64::try_from(self.epoch.elapsed().as_micros()).unwrap_or(u64::MAX));
            self.machine.on(event, now, &mut actions);
            for action in actions.drain(..) {
                // At most one action of an event leads to another event: a launch that fails, or a
                // release that nobody waits for.
                if let Some(event) = self.act(action).await {
                    next = Some(event);
                }
            }
        }
        if self.reported
            && let Some((assignment, outcome)) = self.held.take()
        {
            self.reply(*assignment, outcome);
        }
    }

    async fn act(&mut self, action: Action) -> Option<Event> {
        match action {
            Action::Launch(run) => return self.launch(run).await,
            Action::Thaw(_) => self.control(|control| control.thaw()),
            Action::Freeze(_) => {
                self.capture.flush();
                self.control(|control| control.freeze());
            }
            Action::Kill(_) => self.control(|control| control.kill()),
            Action::Deliver(_) => self.deliver(),
            Action::Line(line) => self.say(line),
            Action::Answer(verdict) => self.answer(verdict),
            Action::Free => {
                let first = self.gate.take().is_some();
                return match self.fleet.release(&self.mailbox, first) {
                    Next::Wait => None,
                    Next::Retire => Some(Event::Retire),
                };
            }
            Action::Gone => self.gone = true,
        }
        None
    }

    async fn launch(&mut self, run: Run) -> Option<Event> {
        self.posted = Posted::default();
        let started = tokio::time::timeout(LAUNCH_TIMEOUT, self.sandbox.start()).await;
        let opened = match started {
            Ok(Ok(process)) => Running::new(run, process).map_err(|error| error.to_string()),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err("starting its process took too long".into()),
        };
        match opened {
            Ok(running) => {
                self.running = Some(running);
                None
            }
            Err(error) => {
                tracing::error!(function = %self.fleet.launch.key, error, "an environment's process could not be started");
                self.launch_error = Some(error);
                Some(Event::LaunchFailed(run))
            }
        }
    }

    fn control(&self, act: impl FnOnce(&dyn ProcessControl)) {
        if let Some(running) = &self.running {
            act(&*running.control);
        }
    }

    fn deliver(&mut self) {
        let (Some(running), Some(assignment)) = (&mut self.running, &mut self.assignment) else { return };
        // Measured once before the handler runs, so that a crash has a figure too.
        if running.unmeasured {
            running.unmeasured = false;
            self.peak_memory = self.peak_memory.max(running.control.peak_memory().unwrap_or(0));
        }
        let head = delivery_head(&assignment.invocation, self.deadline_ms);
        running.channel.send_invoke(&head, std::mem::take(&mut assignment.invocation.payload));
    }

    fn say(&mut self, line: Line) {
        match line {
            Line::Start => {
                let tail = self.assignment.as_ref().is_some_and(|assignment| assignment.invocation.log_tail);
                self.capture.begin(tail);
            }
            Line::Report { .. } => {
                self.reported = true;
                if let Some(bytes) = self.running.as_ref().and_then(|running| running.control.peak_memory()) {
                    self.peak_memory = self.peak_memory.max(bytes);
                }
            }
            Line::InitStart(_)
            | Line::InitReport { .. }
            | Line::TimedOut(_)
            | Line::Fault(_)
            | Line::End { .. } => self.drain_output(),
        }
        let facts = Facts {
            at: capture::now(),
            request_id: self.request_id,
            error_type: self.posted.error.as_ref().map(|error| error.error_type.as_str()),
            peak_memory: self.peak_memory,
        };
        if let Some(text) = self.speaker.say(line, &facts) {
            self.capture.push(facts.at, text.into());
        }
    }

    fn answer(&mut self, verdict: Verdict) {
        let (Some(assignment), Some(id)) = (self.assignment.take(), self.request_id) else { return };
        let unhandled = |payload| Ok(Outcome { error: Some(FunctionError::Unhandled), payload });
        let generation = self.fleet.launch.configuration().runtime.generation();
        let outcome = match verdict {
            Verdict::Posted(_) => Ok(self.posted.take_outcome()),
            Verdict::InitFailed => unhandled(self.posted.take_outcome().payload),
            Verdict::Exited(status) => unhandled(fault::exited(generation, id, status)),
            Verdict::TimedOut => unhandled(fault::timed_out(id, assignment.timeout)),
            Verdict::LaunchFailed => Err(Error::Service(self.launch_error.take().unwrap_or_default())),
        };
        if assignment.invocation.log_tail {
            self.held = Some((assignment, outcome));
        } else {
            self.reply(*assignment, outcome);
        }
    }

    fn reply(&mut self, assignment: Assignment, outcome: Result<Outcome, Error>) {
        let log_tail = self.capture.take_tail();
        let executed_version = self.fleet.launch.executed_version.clone();
        assignment.answer(outcome.map(|outcome| Reply { outcome, executed_version, log_tail }));
    }
}

impl Running {
    fn new(run: Run, process: Process) -> std::io::Result<Self> {
        Ok(Self {
            run,
            channel: Channel::new(process.channel)?,
            output: Output::new(process.output)?,
            exit: process.exit,
            control: process.control,
            broken: false,
            unmeasured: true,
        })
    }
}

/// The head of an INVOKE frame (`docs/channel.md`).
fn delivery_head(invocation: &Invocation, deadline_ms: u64) -> Vec<u8> {
    #[derive(serde::Serialize)]
    #[serde(rename_all = "camelCase")]
    struct Head<'a> {
        request_id: String,
        deadline_ms: u64,
        invoked_function_arn: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        trace_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        client_context: Option<&'a str>,
    }
    serde_json::to_vec(&Head {
        request_id: invocation.request_id.to_string(),
        deadline_ms,
        invoked_function_arn: invocation.function.arn(),
        trace_id: invocation.trace_id.as_deref(),
        client_context: invocation.client_context.as_deref(),
    })
    .expect("only strings and numbers")
}
