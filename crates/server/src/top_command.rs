//! `lambkin top`: what the functions of a lambkin that serves do, live. It looks every few seconds, and shows what happened between two
//! looks; the first one shows what happened since lambkin started.
//!
//! Deliberately not here: counting, which the server does, and the terminal (`screen`).

mod look;
mod rows;
mod screen;
mod table;

use std::io::IsTerminal as _;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::arguments::Top;
use crate::output;
use crate::own_api;
use look::{Look, Page};
use rows::Rows;
use screen::{Key, Screen};
use table::{Order, View};

/// Asks the server from now on whenever it is told to; one answer for each.
struct Looking {
    ask: mpsc::Sender<()>,
    answers: mpsc::Receiver<Result<Look, String>>,
}

impl Looking {
    fn begin(endpoint: Option<String>) -> Self {
        let (ask, mut asked) = mpsc::channel(1);
        let (answer, answers) = mpsc::channel(1);
        // Reading blocks, at most as long as own_api waits; the program does not wait for it at its end.
        std::thread::spawn(move || {
            while asked.blocking_recv().is_some() {
                let page = own_api::read::<Page>(endpoint.clone(), "figures");
                if answer.blocking_send(page.map(Look::new)).is_err() {
                    return;
                }
            }
        });
        Self { ask, answers }
    }

    /// Asks, where it is not being asked already.
    fn look(&self) {
        let _ = self.ask.try_send(());
    }

    async fn answer(&mut self) -> Result<Look, String> {
        self.answers.recv().await.unwrap_or_else(|| Err("nobody looks any more".into()))
    }
}

pub(crate) async fn run(options: Top) -> Result<(), String> {
    let every = Duration::from_secs_f64(options.interval);
    let looking = Looking::begin(options.endpoint);
    let live = !options.once && !options.json && std::io::stdout().is_terminal();
    if live { watch(looking, every).await } else { print(looking, every, options.once, options.json).await }
}

/// For scripts: all rows of every look, one after the other.
async fn print(mut looking: Looking, every: Duration, once: bool, json: bool) -> Result<(), String> {
    let mut before: Option<Look> = None;
    let mut beat = beat(every);
    loop {
        beat.tick().await;
        looking.look();
        let now = looking.answer().await?;
        let rows = Rows::between(before.as_ref(), &now);
        let text = if json {
            serde_json::to_string(&rows).map_err(|error| error.to_string())? + "\n"
        } else {
            let between = if before.is_some() { "\n" } else { "" };
            let lines = table::text(&rows, &View::default());
            lines.iter().fold(between.to_owned(), |text, line| text + &line.text + "\n")
        };
        if !output::more(&text)? || once {
            return Ok(());
        }
        before = Some(now);
    }
}

fn beat(every: Duration) -> tokio::time::Interval {
    let mut beat = tokio::time::interval(every);
    beat.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    beat
}

/// For a person, until a key or a signal ends it.
async fn watch(mut looking: Looking, every: Duration) -> Result<(), String> {
    let failed = |error: std::io::Error| format!("the terminal: {error}");
    let mut ends = [SignalKind::terminate(), SignalKind::hangup(), SignalKind::interrupt()]
        .map(|kind| signal(kind).map_err(failed))
        .into_iter()
        .collect::<Result<Vec<_>, _>>()?;
    let [terminate, hangup, interrupt] = &mut *ends else { return Err("three signals".into()) };
    // From here on it is given back, however this ends.
    let (mut screen, mut keys) = Screen::open().map_err(failed)?;
    let mut beat = beat(every);
    let (mut before, mut now): (Option<Look>, Option<Look>) = (None, None);
    let mut view = View::default();
    let (mut since_start, mut trouble) = (false, None);
    loop {
        tokio::select! {
            _ = terminate.recv() => return Ok(()),
            _ = hangup.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
            key = keys.recv() => match key {
                Some(Key::Quit) | None => return Ok(()),
                Some(Key::Order) => view.order = view.order.next(),
                Some(Key::SinceStart) => since_start = !since_start,
                Some(Key::Scroll(lines)) => view.scroll(lines),
                Some(Key::Redraw) => {}
            },
            _ = beat.tick() => {
                looking.look();
                continue;
            }
            answer = looking.answer() => match answer {
                Ok(look) => {
                    trouble = None;
                    before = now.replace(look);
                }
                Err(error) => trouble = Some(error),
            },
        }
        let rows = now.as_ref().map(|now| Rows::between(before.as_ref().filter(|_| !since_start), now));
        screen.draw(rows.as_ref(), &mut view, trouble.as_deref()).map_err(failed)?;
    }
}

impl Default for View {
    fn default() -> Self {
        Self { order: Order::Runs, skip: 0 }
    }
}
