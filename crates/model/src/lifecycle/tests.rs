//! Scripts of the lifecycles that AWS documents, and random walks over everything else.

use super::*;

/// A driver that plays every process and checks the promises after each step.
#[derive(Default)]
struct Walk {
    machine: Lifecycle,
    now: Moment,
    alive: Option<Run>,
    /// It was told to kill this one.
    killed: Option<Run>,
    thawed: bool,
    /// An invocation was accepted and not answered.
    open: bool,
    /// One was answered and its REPORT is not written.
    unreported: bool,
    answered: u64,
    accepted: u64,
    free: bool,
    gone: bool,
    trace: Vec<String>,
}

impl Walk {
    fn send(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        if let Event::Exited(run, _) = event
            && self.alive == Some(run)
        {
            self.alive = None;
            self.thawed = false;
        }
        if let Event::LaunchFailed(run) = event
            && self.alive == Some(run)
        {
            self.alive = None;
            self.thawed = false;
        }
        if matches!(event, Event::Invoke { .. }) && self.machine.accepts() {
            self.open = true;
            self.unreported = true;
            self.free = false;
            self.accepted += 1;
        }
        self.machine.on(event, self.now, &mut actions);
        for action in &actions {
            self.done(*action);
        }
        if self.trace.len() > 40 {
            self.trace.remove(0);
        }
        self.trace.push(format!("{event:?} -> {actions:?}"));
        if self.killed.is_some() && self.killed == self.alive {
            assert!(!self.machine.accepts(), "accepts with a killed process: {:#?}", self.trace);
            let soon = self.now.plus(END_MICROS);
            assert!(self.machine.deadline().is_some_and(|deadline| deadline <= soon), "{:#?}", self.trace);
        }
        if self.thawed {
            assert!(self.machine.deadline().is_some(), "thawed without a deadline: {:#?}", self.trace);
        }
        actions
    }

    fn done(&mut self, action: Action) {
        match action {
            Action::Launch(run) => {
                assert_eq!(self.alive, None, "two processes: {:#?}", self.trace);
                self.alive = Some(run);
                self.thawed = true;
            }
            Action::Thaw(run) | Action::Deliver(run) => {
                assert_eq!(self.alive, Some(run), "{action:?} to a dead process: {:#?}", self.trace);
                assert_ne!(self.killed, Some(run), "{action:?} to a killed process: {:#?}", self.trace);
                self.thawed = true;
            }
            Action::Freeze(run) => {
                assert_eq!(self.alive, Some(run));
                self.thawed = false;
            }
            Action::Kill(run) => {
                assert_eq!(self.alive, Some(run), "{:#?}", self.trace);
                self.killed = Some(run);
            }
            Action::Answer(verdict) => {
                let posted = matches!(verdict, Verdict::Posted(_));
                assert!(!posted || self.killed != self.alive, "a killed one's result: {:#?}", self.trace);
                assert!(self.open, "answered twice: {:#?}", self.trace);
                self.open = false;
                self.answered += 1;
            }
            Action::Line(Line::Report { .. }) => {
                assert!(self.unreported, "reported twice: {:#?}", self.trace);
                self.unreported = false;
            }
            Action::Line(
                Line::InitStart(_)
                | Line::InitReport { .. }
                | Line::Start
                | Line::TimedOut(_)
                | Line::Fault(_)
                | Line::End { .. },
            ) => {}
            Action::Free => {
                assert!(!self.free, "free twice: {:#?}", self.trace);
                self.free = true;
            }
            Action::Gone => {
                assert_eq!(self.alive, None, "gone with a process: {:#?}", self.trace);
                self.gone = true;
            }
        }
    }
}

/// SplitMix64: enough randomness for a walk, and the seed says all.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % sides
    }
}

/// Promises: each accepted invocation is answered exactly once and reported exactly once; never two
/// processes; one that was killed is given nothing and says nothing, and its end is awaited shortly; thawed means a deadline exists; Gone leaves no process.
#[test]
fn random_walks_keep_the_promises() {
    let mut completed = 0;
    for seed in 0..20_000 {
        let mut dice = Dice(seed);
        let mut walk = Walk::default();
        walk.send(Event::Start);
        for _ in 0..150 {
            walk.now = walk.now.plus(dice.roll(3_000_000));
            // Mostly the living process's run, sometimes a dead one's.
            let run = match dice.roll(8) {
                0 => Run(u32::try_from(dice.roll(4)).unwrap()),
                _ => walk.alive.unwrap_or(Run(1)),
            };
            let event = match dice.roll(if seed % 4 == 0 { 21 } else { 20 }) {
                0..=4 => Event::Ready(run),
                5..=8 => Event::Invoke { timeout: 1_000_000 + dice.roll(9_000_000) },
                9..=11 => {
                    Event::ResponseEnded(run, if dice.roll(2) == 0 { Ending::Success } else { Ending::Error })
                }
                12 => Event::ResponseStarted(run),
                13 => Event::InitFailed(run),
                14 => Event::Broken(run),
                15 => Event::LaunchFailed(run),
                16 => Event::Exited(run, ExitStatus::Code(1)),
                17..=19 => Event::Tick,
                _ => Event::Retire,
            };
            // The world's own rules: a process fails to start only before it says anything, and a
            // dead one does not die again.
            let impossible = match event {
                Event::LaunchFailed(run) => {
                    walk.alive == Some(run)
                        && !matches!(
                            walk.machine.state,
                            State::Init { failed: false, .. }
                                | State::Invoke(Invoke { step: Step::Init { failed: false }, .. })
                        )
                }
                Event::Start
                | Event::Invoke { .. }
                | Event::InitFailed(_)
                | Event::Ready(_)
                | Event::ResponseStarted(_)
                | Event::ResponseEnded(..)
                | Event::Broken(_)
                | Event::Exited(..)
                | Event::Tick
                | Event::Retire => false,
            };
            if !impossible {
                walk.send(event);
            }
        }
        // Whatever happened, it can be ended, and then everything accepted was answered.
        walk.send(Event::Retire);
        for _ in 0..20 {
            walk.now = walk.machine.deadline().unwrap_or(walk.now);
            walk.send(Event::Tick);
            if let Some(run) = walk.alive {
                walk.send(Event::Exited(run, ExitStatus::Signal(9)));
            }
        }
        assert!(walk.gone, "it does not end: {:#?}", walk.trace);
        assert!(!walk.open && !walk.unreported, "an invocation was lost: {:#?}", walk.trace);
        assert_eq!(walk.accepted, walk.answered);
        completed += walk.answered;
    }
    assert!(completed > 100_000, "the walks must get somewhere: {completed}");
}

const SECOND: u64 = 1_000_000;

fn lines(actions: &[Action]) -> Vec<&'static str> {
    actions
        .iter()
        .filter_map(|action| match action {
            Action::Line(line) => Some(match line {
                Line::InitStart(_) => "INIT_START",
                Line::InitReport { phase: Phase::Init, .. } => "INIT_REPORT init",
                Line::InitReport { phase: Phase::Invoke, .. } => "INIT_REPORT invoke",
                Line::Start => "START",
                Line::TimedOut(_) => "TIMED_OUT",
                Line::Fault(_) => "FAULT",
                Line::End { .. } => "END",
                Line::Report { init: Some(_), .. } => "REPORT with init",
                Line::Report { init: None, .. } => "REPORT",
            }),
            Action::Launch(_)
            | Action::Thaw(_)
            | Action::Deliver(_)
            | Action::Freeze(_)
            | Action::Kill(_)
            | Action::Answer(_)
            | Action::Free
            | Action::Gone => None,
        })
        .collect()
}

fn answers(actions: &[Action]) -> Vec<Verdict> {
    actions
        .iter()
        .filter_map(|action| if let Action::Answer(verdict) = action { Some(*verdict) } else { None })
        .collect()
}

#[test]
fn a_cold_start_reports_its_init_once() {
    let mut walk = Walk::default();
    let run = Run(1);
    walk.send(Event::Start);
    walk.now = walk.now.plus(SECOND / 10);
    walk.send(Event::Ready(run));
    assert_eq!(lines(&walk.send(Event::Invoke { timeout: 3 * SECOND })), ["START"]);
    let answered = walk.send(Event::ResponseEnded(run, Ending::Success));
    assert_eq!(answers(&answered), [Verdict::Posted(Ending::Success)]);
    assert_eq!(lines(&walk.send(Event::Ready(run))), ["END", "REPORT with init"]);
    walk.send(Event::Invoke { timeout: 3 * SECOND });
    walk.send(Event::ResponseEnded(run, Ending::Success));
    assert_eq!(lines(&walk.send(Event::Ready(run))), ["END", "REPORT"]);
}

#[test]
fn a_failed_init_runs_again_inside_the_invocation() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.send(Event::InitFailed(Run(1)));
    assert_eq!(lines(&walk.send(Event::Exited(Run(1), ExitStatus::Code(129)))), ["INIT_REPORT init"]);
    assert_eq!(lines(&walk.send(Event::Invoke { timeout: 3 * SECOND })), ["INIT_START"]);
    walk.send(Event::InitFailed(Run(2)));
    let ended = walk.send(Event::Exited(Run(2), ExitStatus::Code(129)));
    assert_eq!(answers(&ended), [Verdict::InitFailed]);
    assert_eq!(lines(&ended), ["INIT_REPORT invoke", "START", "END", "REPORT"]);
    // And once more for every later invocation.
    assert_eq!(lines(&walk.send(Event::Invoke { timeout: 3 * SECOND })), ["INIT_START"]);
}

#[test]
fn an_init_over_ten_seconds_is_repeated_under_the_function_s_timeout() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.now = walk.now.plus(10 * SECOND);
    assert_eq!(lines(&walk.send(Event::Tick)), ["INIT_REPORT init"]);
    walk.send(Event::Exited(Run(1), ExitStatus::Signal(9)));
    walk.send(Event::Invoke { timeout: 60 * SECOND });
    walk.now = walk.now.plus(20 * SECOND);
    assert_eq!(lines(&walk.send(Event::Ready(Run(2)))), ["INIT_REPORT invoke", "START"]);
    walk.send(Event::ResponseEnded(Run(2), Ending::Success));
    assert_eq!(lines(&walk.send(Event::Ready(Run(2)))), ["END", "REPORT"], "no Init Duration after a reset");
}

#[test]
fn a_timeout_answers_at_once_and_resets() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.send(Event::Ready(Run(1)));
    walk.send(Event::Invoke { timeout: 3 * SECOND });
    walk.now = walk.now.plus(3 * SECOND);
    let overdue = walk.send(Event::Tick);
    assert_eq!(answers(&overdue), [Verdict::TimedOut]);
    assert_eq!(lines(&overdue), ["END", "REPORT with init", "TIMED_OUT"]);
    assert!(!walk.machine.accepts(), "not before the process is gone");
    walk.send(Event::ResponseEnded(Run(1), Ending::Success));
    walk.send(Event::Exited(Run(1), ExitStatus::Signal(9)));
    assert!(walk.machine.accepts() && walk.free);
}

#[test]
fn a_result_before_a_crash_wins_and_the_crash_is_reported() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.send(Event::Ready(Run(1)));
    walk.send(Event::Invoke { timeout: 3 * SECOND });
    walk.send(Event::ResponseEnded(Run(1), Ending::Success));
    assert_eq!(
        answers(&walk.send(Event::ResponseEnded(Run(1), Ending::Error))),
        [],
        "the second result is refused"
    );
    let crashed = walk.send(Event::Exited(Run(1), ExitStatus::Code(128)));
    assert_eq!(lines(&crashed), ["END", "REPORT with init", "FAULT"]);
    assert_eq!(answers(&crashed), []);
}

#[test]
fn a_process_that_breaks_the_rules_between_invocations_is_replaced_before_the_next() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.send(Event::Ready(Run(1)));
    assert_eq!(walk.send(Event::Broken(Run(1))), [Action::Kill(Run(1))]);
    assert!(!walk.machine.accepts());
    walk.send(Event::Exited(Run(1), ExitStatus::Code(1)));
    assert_eq!(lines(&walk.send(Event::Invoke { timeout: 3 * SECOND })), ["INIT_START"]);
}

#[test]
fn a_process_that_breaks_the_rules_and_does_not_die_is_an_exit_after_two_seconds() {
    let mut walk = Walk::default();
    walk.send(Event::Start);
    walk.send(Event::Ready(Run(1)));
    walk.send(Event::Invoke { timeout: 900 * SECOND });
    walk.send(Event::Broken(Run(1)));
    assert_eq!(answers(&walk.send(Event::ResponseEnded(Run(1), Ending::Success))), []);
    walk.now = walk.now.plus(END_MICROS);
    assert_eq!(answers(&walk.send(Event::Tick)), [Verdict::Exited(ExitStatus::Signal(9))]);
    assert!(!walk.machine.accepts(), "not before the process is gone");
}
