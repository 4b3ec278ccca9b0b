//! What the calls of the Runtime API mean to an environment. Both transports drive one lifecycle, and
//! where a process is in the Runtime API's order follows from what the environment expects of it.

use lambkin_model::lifecycle::Event;
use tokio::sync::oneshot;

use super::{Environment, Expects};
use crate::channel::Broken;
use crate::posted::Said;
use crate::running::Running;
use crate::runtime_api::{self, Begin, Call, Post, Refusal, RuntimeApi, RuntimeState};

impl Environment {
    pub(super) async fn call(&mut self, call: Call) {
        match call {
            Call::Next(answer) => self.next(answer).await,
            Call::Begin(begin) => self.begin(begin).await,
            Call::Posted { id, said, answer } => {
                self.left_frames().await;
                // The rest of an earlier invocation's response is nothing of this one's.
                if id == self.posted_about(&said) {
                    if let Some(api) = self.runtime_api() {
                        api.posting = None;
                    }
                    self.said(said).await;
                }
                // Who posted may be gone: it counts all the same.
                let _ = answer.send(());
            }
        }
    }

    /// What the process wrote to the channel before it posted.
    async fn left_frames(&mut self) {
        let unbroken = |running: &mut Running| match running.broken {
            None => running.channel.next_now(),
            Some(Broken::Closed | Broken::Garbage) => None,
        };
        while let Some(frame) = self.running.as_mut().and_then(unbroken) {
            self.frame(frame).await;
        }
    }

    /// The id that such a post has now.
    fn posted_about(&self, said: &Said) -> Option<String> {
        match said {
            Said::Ended(_) => self.request_id.map(|id| id.to_string()),
            Said::InitFailed(_) | Said::Ready | Said::Log(..) | Said::Loaded(_) | Said::CacheFile(_) => None,
        }
    }

    fn runtime_api(&mut self) -> Option<&mut RuntimeApi> {
        self.running.as_mut()?.api.as_mut()
    }

    fn runtime_state(&mut self) -> RuntimeState {
        let posting = self.runtime_api().and_then(|api| {
            // A post that broke off is none.
            api.posting.take_if(|(_, grant)| grant.is_closed());
            api.posting.as_ref().map(|(post, _)| *post)
        });
        // A response that has begun and broke off cannot be given once more.
        let begun = self.assignment.as_ref().is_some_and(|assignment| assignment.has_begun());
        match (posting, self.expects) {
            (Some(post), _) => aim(post),
            (None, Expects::Init) => RuntimeState::Started,
            (None, Expects::Result) if begun => RuntimeState::InvocationResponse,
            (None, Expects::Result) => RuntimeState::Running,
            (None, Expects::Next) => RuntimeState::ResponseSent,
            (None, Expects::End) => RuntimeState::InitError,
            (None, Expects::Nothing) => RuntimeState::Ready,
        }
    }

    async fn next(&mut self, answer: oneshot::Sender<Result<runtime_api::Event, Refusal>>) {
        let from = self.runtime_state();
        let Some(running) = &mut self.running else { return };
        let (run, Some(api)) = (running.run, &mut running.api) else { return };
        // Who has gone meanwhile does not wait any more, so that they are as many as the connections.
        api.waiting.retain(|waiting| !waiting.is_closed());
        let event = match from {
            RuntimeState::Started | RuntimeState::ResponseSent => {
                api.asked = true;
                api.waiting.push_back(answer);
                return self.happened(Event::Ready(run)).await;
            }
            RuntimeState::Ready => {
                api.waiting.push_back(answer);
                return;
            }
            // Given over the channel it is not given once more here.
            RuntimeState::Running => api.given.clone(),
            RuntimeState::InitError
            | RuntimeState::InvocationResponse
            | RuntimeState::InvocationErrorResponse => None,
        };
        // Who has gone meanwhile asks again.
        let _ = answer.send(event.ok_or(Refusal::State { from, to: RuntimeState::Ready }));
    }

    async fn begin(&mut self, begin: Begin) {
        let Begin { post, id, content_type, grant, answer } = begin;
        let (from, to) = (self.runtime_state(), aim(post));
        let current = match self.expects {
            Expects::Result | Expects::Next => self.request_id.map(|id| id.to_string()),
            Expects::Init | Expects::End | Expects::Nothing => None,
        };
        let allowed = match post {
            Post::InitError => from == RuntimeState::Started,
            Post::Response | Post::StreamedResponse | Post::Error => from == RuntimeState::Running,
        };
        let granted = if post != Post::InitError && id != current {
            Err(Refusal::RequestId)
        } else if !allowed {
            Err(Refusal::State { from, to })
        } else {
            Ok(())
        };
        let Some(running) = &mut self.running else { return };
        let (run, Some(api)) = (running.run, &mut running.api) else { return };
        if granted.is_ok() {
            api.posting = Some((post, grant));
        }
        let streams = granted.is_ok() && post == Post::StreamedResponse;
        let version = &self.fleet.launch.executed_version;
        let chunks = match &mut self.assignment {
            Some(assignment) if streams => assignment.begin(version, content_type),
            Some(_) | None => None,
        };
        // Who has gone meanwhile has closed its grant.
        let _ = answer.send(granted.map(|()| chunks));
        if streams {
            self.happened(Event::ResponseStarted(run)).await;
        }
    }
}

/// The state that a post leads to.
fn aim(post: Post) -> RuntimeState {
    match post {
        Post::Response | Post::StreamedResponse => RuntimeState::InvocationResponse,
        Post::Error => RuntimeState::InvocationErrorResponse,
        Post::InitError => RuntimeState::InitError,
    }
}
