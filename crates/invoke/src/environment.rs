//! One execution environment: the task that owns its sandbox, its process, its log and its
//! lifecycle machine. It waits for whatever happens first, tells the machine, and does what the
//! machine says.

mod calls;
mod hearing;
mod telling;

use std::pin::Pin;
use std::sync::Arc;

use lambkin_model::Error;
use lambkin_model::exit::ExitStatus;
use lambkin_model::invocation::{Outcome, RequestId};
use lambkin_model::kept::KeepFailure;
use lambkin_model::lifecycle::{Action, Event, Lifecycle, Run};
use lambkin_model::platform_line::Speaker;
use lambkin_model::provisioned::Initialization;
use lambkin_model::sandbox::{LaunchError, ProcessControl, Sandbox};
use lambkin_model::time::{Moment, Timestamp};
use tokio::sync::mpsc;
use tokio::time::{Duration, Instant, Sleep};

use crate::assignment::Assignment;
use crate::capture::{self, Capture};
use crate::channel::{Broken, Frame};
use crate::compile_cache::Share;
use crate::fleet::{Fleet, Freed, Mailbox, Message, Next};
use crate::gate::Turn;
use crate::keeping::KeptRun;
use crate::pool::Assigned;
use crate::posted::Posted;
use crate::running::{Running, call, delivery_head};
use crate::runtime_api::{self, Call, Listener, RuntimeApi};
use crate::traced::{Init, Told, Traced};

/// Log events of a long invocation are handed on at least this often.
const FLUSH_EVERY: Duration = Duration::from_millis(250);

/// Frames come before the clock and the mailbox: a result that is there at the deadline counts, and
/// a process's end is seen before it is given more. A process that never stops talking must not hold
/// them off: that late, the clock comes first, and after so many frames of a frozen one its mailbox.
const CLOCK_FIRST: Duration = Duration::from_millis(100);
const MAILBOX_FIRST: u32 = 1000;

/// How long the driver sleeps where nothing has a deadline; it wakes for every event anyway.
const IDLE: Duration = Duration::from_secs(3600);

pub(crate) struct Environment {
    fleet: Arc<Fleet>,
    mailbox: Mailbox,
    messages: mpsc::Receiver<Message>,
    sandbox: Box<dyn Sandbox>,
    /// Of the Runtime API, over all runs.
    listener: Option<Arc<Listener>>,
    running: Option<Running>,
    /// For the first run, where it came from the pool.
    booted: Option<Assigned>,
    machine: Lifecycle,
    /// What its moments count from.
    epoch: Instant,
    speaker: Speaker,
    capture: Capture,
    told: Told,
    /// The accepted invocation, until it is answered.
    assignment: Option<Box<Assignment>>,
    /// When it began, and by which qualifier: what is measured of it.
    began: Timestamp,
    qualifier: Option<String>,
    /// Where it belongs to a trace that is recorded.
    traced: Option<Traced>,
    /// Where this environment is kept: the invocation, until it is answered.
    kept_run: Option<KeptRun>,
    /// It is this environment's first, which was not started ahead.
    cold: bool,
    /// The last init, until an invocation has told of it.
    init: Option<Init>,
    /// Whose lines are written now.
    request_id: Option<RequestId>,
    /// Unix time at which its time is over.
    deadline_ms: u64,
    posted: Posted,
    expects: Expects,
    /// Frames since it accepts an invocation.
    chatter: u32,
    /// An answer that waits for the lines of this event, because the caller wants the log's end.
    held: Option<(Box<Assignment>, Result<Outcome, Error>)>,
    reported: bool,
    launch_error: Option<String>,
    peak_memory: u64,
    /// Since its last invocation.
    is_free: bool,
    /// It has answered, and is counted on to become free.
    comes_back: bool,
    /// Of its launch's compile cache, until its first init is over.
    share: Option<Share>,
    /// One of the inits that may run at once; given back after the first.
    gate: Option<Turn>,
    flush_at: Option<Instant>,
    /// Empty; kept for its room.
    actions: Vec<Action>,
    gone: bool,
}

/// What the process may say now; anything else is refused.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Expects {
    /// How its init went.
    Init,
    /// The result of the invocation it was given.
    Result,
    /// "next", after the result.
    Next,
    /// Its own end, after its init failed.
    End,
    /// Nothing but log events.
    Nothing,
}

enum Happened {
    Frame(Result<Frame, Broken>),
    Call(Call),
    Exited(ExitStatus),
    Message(Option<Message>),
    Output,
    Time,
}

impl Environment {
    #[expect(clippy::too_many_arguments, reason = "its parts, each of a type of its own, and one caller")]
    pub(crate) fn new(
        fleet: Arc<Fleet>,
        mailbox: Mailbox,
        messages: mpsc::Receiver<Message>,
        sandbox: Box<dyn Sandbox>,
        capture: Capture,
        told: Told,
        booted: Option<Assigned>,
        share: Share,
        gate: Turn,
    ) -> Self {
        let speaker = fleet.launch.speaker(mailbox.initialization);
        let init = Some(Init { began: gate.at, ended: None });
        Self {
            fleet,
            mailbox,
            messages,
            sandbox,
            listener: None,
            running: None,
            booted,
            machine: Lifecycle::default(),
            epoch: Instant::now(),
            speaker,
            capture,
            told,
            assignment: None,
            began: Timestamp(0),
            qualifier: None,
            traced: None,
            kept_run: None,
            cold: false,
            init,
            request_id: None,
            deadline_ms: 0,
            posted: Posted::default(),
            expects: Expects::Nothing,
            chatter: 0,
            held: None,
            reported: false,
            launch_error: None,
            peak_memory: 0,
            is_free: false,
            comes_back: false,
            share: Some(share),
            gate: Some(gate),
            flush_at: None,
            actions: Vec::new(),
            gone: false,
        }
    }

    /// Lives until the machine says Gone.
    pub(crate) async fn live(mut self) {
        self.happened(Event::Start).await;
        self.schedule_flush();
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
            // Frames that were read together are there at once: a talkative process must not keep
            // the thread from other environments.
            tokio::task::consume_budget().await;
        }
    }

    fn deadline(&self) -> Option<Instant> {
        self.machine.deadline().map(|moment| self.epoch + Duration::from_micros(moment.0))
    }

    fn alarm(&self) -> Instant {
        [self.deadline(), self.flush_at].into_iter().flatten().min().unwrap_or_else(|| Instant::now() + IDLE)
    }

    async fn wait(&mut self, alarm: Pin<&mut Sleep>) -> Happened {
        if self.deadline().is_some_and(|deadline| deadline + CLOCK_FIRST <= Instant::now()) {
            return Happened::Time;
        }
        if self.chatter >= MAILBOX_FIRST
            && self.machine.accepts()
            && let Ok(message) = self.messages.try_recv()
        {
            return Happened::Message(Some(message));
        }
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
                biased;
                () = self.capture.caught_up() => Happened::Output,
                status = &mut running.exit => Happened::Exited(status),
                // An invocation has its deadline, its wait in the mailbox has none.
                message = self.messages.recv(), if self.machine.accepts() => Happened::Message(message),
                () = alarm => Happened::Time,
            };
        }
        let capture = &mut self.capture;
        let mut lines = |line: &[u8]| capture.push_raw(capture::now(), line);
        tokio::select! {
            biased;
            frame = running.channel.next(), if running.broken.is_none() => Happened::Frame(frame),
            call = call(&mut running.api) => Happened::Call(call),
            status = &mut running.exit => Happened::Exited(status),
            message = self.messages.recv(), if self.machine.accepts() => Happened::Message(message),
            () = running.output.read(&mut lines) => Happened::Output,
            () = alarm => Happened::Time,
        }
    }

    async fn handle(&mut self, happened: Happened) {
        match happened {
            Happened::Frame(Ok(frame)) => {
                self.chatter += 1;
                self.frame(frame).await;
            }
            Happened::Frame(Err(broken)) => {
                if let Some(running) = &mut self.running {
                    tracing::debug!(function = %self.fleet.launch.key, ?broken, "the channel is over");
                    // Who speaks HTTP has no use for the channel.
                    let unused =
                        broken == Broken::Closed && running.api.as_ref().is_some_and(RuntimeApi::is_used);
                    running.broken = Some(broken);
                    let run = running.run;
                    if !unused {
                        self.happened(Event::Broken(run)).await;
                    }
                }
            }
            Happened::Call(call) => {
                self.chatter += 1;
                self.call(call).await;
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
        self.chatter = if self.machine.accepts() { self.chatter } else { 0 };
        self.schedule_flush();
    }

    fn schedule_flush(&mut self) {
        match (self.capture.has_unflushed(), self.flush_at) {
            (true, None) => self.flush_at = Some(Instant::now() + FLUSH_EVERY),
            (false, Some(_)) => self.flush_at = None,
            (true, Some(_)) | (false, None) => {}
        }
    }

    async fn assign(&mut self, assignment: Box<Assignment>) {
        let timeout = assignment.timeout;
        self.is_free = false;
        self.request_id = Some(assignment.invocation.request_id);
        self.began = capture::now();
        self.deadline_ms = self.began.millis() + timeout / 1000;
        self.qualifier.clone_from(&assignment.invocation.function.qualifier);
        self.traced = assignment.traced;
        // Nobody waits for what is kept.
        let ahead = self.mailbox.initialization == Initialization::Provisioned;
        // It ended now, or it may have failed long ago.
        let init = self.init.take();
        self.cold = init.is_some() && !ahead;
        if let (Some(init), Some(traced)) = (init.filter(|_| !ahead), &self.traced) {
            traced.init(&*self.told.traces, &self.fleet.launch, init, false);
        }
        self.assignment = Some(assignment);
        self.reported = false;
        self.kept_run = ahead.then(|| self.fleet.keeping.run());
        self.measure_kept();
        self.happened(Event::Invoke { timeout }).await;
    }

    /// Tells the machine and does what it says.
    async fn happened(&mut self, event: Event) {
        let mut next = Some(event);
        let mut actions = std::mem::take(&mut self.actions);
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
        self.actions = actions;
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
                self.expects = Expects::Nothing;
                self.capture.flush();
                self.control(|control| control.freeze());
            }
            Action::Kill(_) => self.control(|control| control.kill()),
            Action::Deliver(_) => self.deliver(),
            Action::Line(line) => self.say(line),
            Action::Answer(verdict) => self.answer(verdict),
            Action::Free => {
                let freed = match (self.gate.take(), std::mem::take(&mut self.comes_back)) {
                    (Some(_), _) => Freed::Started,
                    (None, true) => Freed::Back,
                    (None, false) => Freed::Answered,
                };
                self.is_free = true;
                let why = || self.launch_error.clone().map_or(KeepFailure::Init, KeepFailure::Platform);
                let cold = self.running.is_none().then(why);
                return match self.fleet.release(&self.mailbox, freed, cold) {
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
        self.expects = Expects::Init;
        // The first began with what was made for it.
        self.init.get_or_insert_with(|| Init { began: capture::now(), ended: None });
        match self.start(run).await {
            Ok(running) => {
                self.running = Some(running);
                None
            }
            Err(error) => {
                tracing::error!(function = %self.fleet.launch.key, %error, "an environment's process could not be started");
                self.launch_error = Some(error.to_string());
                self.init_ended(false);
                Some(Event::LaunchFailed(run))
            }
        }
    }

    /// The one that runs, where one does.
    fn init_ended(&mut self, well: bool) {
        if let Some(init) = &mut self.init {
            init.ended.get_or_insert_with(|| (capture::now(), well));
        }
    }

    async fn start(&mut self, run: Run) -> Result<Running, LaunchError> {
        if let Some(socket) = self.sandbox.runtime_api() {
            let listener = Listener::new(socket).map_err(|error| LaunchError(error.to_string()))?;
            self.listener = Some(Arc::new(listener));
        }
        let mut running = match self.booted.take() {
            Some(booted) => booted.begin(run),
            None => Running::start(run, &mut *self.sandbox).await?,
        };
        running.api = self.listener.clone().map(RuntimeApi::start);
        Ok(running)
    }

    fn control(&self, act: impl FnOnce(&dyn ProcessControl)) {
        if let Some(running) = &self.running {
            act(&*running.control);
        }
    }

    fn deliver(&mut self) {
        let (Some(running), Some(assignment)) = (&mut self.running, &mut self.assignment) else { return };
        self.posted = Posted::default();
        self.expects = Expects::Result;
        // Before the handler runs too, so that a crash has a figure.
        self.peak_memory = self.peak_memory.max(running.measure_memory());
        let payload = std::mem::take(&mut assignment.invocation.payload);
        if let Some(api) = running.api.as_mut().filter(|api| api.asked) {
            api.deliver(runtime_api::Event::new(&assignment.invocation, self.deadline_ms, payload));
            return;
        }
        let head = delivery_head(&assignment.invocation, self.deadline_ms);
        running.channel.send_invoke(&head, payload);
    }
}

/// Also where it is ended by force, at the end of a shutdown, or by a bug.
impl Drop for Environment {
    fn drop(&mut self) {
        self.fleet.gone(&self.mailbox, self.gate.is_none(), self.gate.is_some() || self.comes_back);
    }
}
