//! What comes from an environment's process: frames, output, its end.

use lambkin_model::exit::ExitStatus;
use lambkin_model::lifecycle::Event;

use super::{Environment, Expects};
use crate::capture;
use crate::channel::{Broken, Frame};
use crate::posted;
use crate::running::Running;
use crate::runtime_api::Call;

impl Environment {
    pub(super) async fn frame(&mut self, frame: Frame) {
        let Some(running) = &self.running else { return };
        match posted::read(frame) {
            // "next" by a process that cannot have read what it was given is against the rules too.
            Some(said) if !(matches!(said, posted::Said::Ready) && running.channel.has_unsent()) => {
                self.said(said).await;
            }
            Some(_) | None => self.happened(Event::Broken(running.run)).await,
        }
    }

    pub(super) async fn said(&mut self, said: posted::Said) {
        let Some(running) = &mut self.running else { return };
        let run = running.run;
        let event = match said {
            posted::Said::Ready => {
                if let Some(api) = &mut running.api {
                    api.asked = false;
                }
                if self.expects == Expects::Init
                    && let Some(share) = self.share.take()
                {
                    share.seal();
                }
                if self.expects == Expects::Init {
                    self.init_ended(true);
                }
                Event::Ready(run)
            }
            posted::Said::Loaded(micros) => {
                if self.expects == Expects::Init
                    && let Some(share) = &self.share
                {
                    let (function, part) = (&self.fleet.launch.key.name, share.part());
                    tracing::debug!(%function, micros, cache = ?part, "its handler is loaded");
                    let memory = self.fleet.launch.memory();
                    share.loaded(micros, || memory.saturating_sub(running.measure_memory()));
                }
                return;
            }
            posted::Said::CacheFile(file) => {
                if self.expects == Expects::Init
                    && let Some(share) = &mut self.share
                {
                    share.file(file);
                }
                return;
            }
            posted::Said::Log(at, message) => {
                self.capture.push_raw(at, &message);
                return;
            }
            posted::Said::InitFailed(error) => {
                if self.expects != Expects::Init {
                    return;
                }
                self.expects = Expects::End;
                self.posted.error = Some(error);
                // It ends next, and then it is too late.
                self.peak_memory = self.peak_memory.max(running.measure_memory());
                Event::InitFailed(run)
            }
            posted::Said::Ended(result) => {
                // A second result must not change the first, nor one that was not asked for the next.
                if self.expects != Expects::Result {
                    return;
                }
                Event::ResponseEnded(run, self.posted.end(result))
            }
        };
        self.happened(event).await;
    }

    pub(super) fn drain_output(&mut self) {
        if let Some(running) = &mut self.running {
            let capture = &mut self.capture;
            running.output.drain(&mut |line| capture.push_raw(capture::now(), line));
        }
    }

    /// What it left behind in the channel and the pipe comes before its end.
    pub(super) async fn exited(&mut self, status: ExitStatus) {
        // After garbage there is no next frame to be found.
        let left = |running: &mut Running| match running.broken {
            Some(Broken::Garbage) => None,
            Some(Broken::Closed) | None => running.channel.next_now(),
        };
        while let Some(frame) = self.running.as_mut().and_then(left) {
            self.frame(frame).await;
        }
        while let Some(call) = self.left_call().await {
            self.call(call).await;
        }
        // What the next process of this sandbox does in its init may be what an event left there.
        self.share = None;
        if let Some(mut running) = self.running.take() {
            self.init_ended(false);
            self.expects = Expects::Nothing;
            // A group still knows; a process alone has taken it with it.
            self.peak_memory = self.peak_memory.max(running.control.peak_memory().unwrap_or(0));
            let capture = &mut self.capture;
            running.output.finish(&mut |line| capture.push_raw(capture::now(), line));
            self.happened(Event::Exited(running.run, status)).await;
            if self.fleet.withdraw(&self.mailbox) {
                self.happened(Event::Retire).await;
            }
        }
    }

    async fn left_call(&mut self) -> Option<Call> {
        self.running.as_mut()?.api.as_mut()?.left().await
    }
}
