//! The launcher: sandboxes and processes as a stage has them, each a task that plays its part (`process`).

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use lambkin_model::Pending;
use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::{
    CompileCache, LaunchError, Launcher, Layout, Process, ProcessControl, Sandbox, SandboxSpec, Sources,
};
use tokio::sync::{Notify, oneshot};

use crate::process::{Inits, Puppet};

#[derive(Default)]
pub struct Stage {
    pub opened: AtomicUsize,
    pub sandboxes: Arc<AtomicUsize>,
    pub processes: Arc<AtomicUsize>,
    pub inits: Arc<Inits>,
    /// What each function's sandbox had of a compile cache, in their order.
    pub compile_caches: Arc<Mutex<Vec<CompileCache>>>,
    /// How many of the next openings and starts fail.
    pub failing_opens: AtomicUsize,
    /// How many of the next openings find what was made ahead.
    pub ready: AtomicUsize,
    pub failing_starts: Arc<AtomicUsize>,
    pub failing_assigns: Arc<AtomicUsize>,
    /// How long a start takes, in milliseconds.
    pub start_takes: Arc<AtomicU64>,
    /// How long a killed process takes to end, in milliseconds.
    pub kill_takes: Arc<AtomicU64>,
}

fn fails(counter: &AtomicUsize) -> bool {
    counter.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |count| count.checked_sub(1)).is_ok()
}

impl Launcher for Stage {
    fn layout(&self, sources: &Sources, id: &str) -> Layout {
        Layout {
            task_root: sources.code.clone().unwrap_or_default(),
            runtime_dir: sources.runtime_dir.clone(),
            modules: sources.modules.clone(),
            bin: "/bin".into(),
            opt: "/opt".into(),
            tmp: Some(format!("/tmp/{id}").into()),
            services: None,
        }
    }

    fn assigns(&self) -> bool {
        true
    }

    fn has_compile_caches(&self) -> bool {
        true
    }

    fn open(&self, mut spec: SandboxSpec) -> Pending<'_, Result<Box<dyn Sandbox>, LaunchError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.start_takes.load(Ordering::SeqCst))).await;
            if fails(&self.failing_opens) {
                return Err(LaunchError("no room".into()));
            }
            self.sandboxes.fetch_add(1, Ordering::SeqCst);
            if spec.sources.code.is_some() {
                self.compile_caches.lock().unwrap().push(spec.compile_cache.clone());
            }
            let listener = spec.runtime_api.then(|| {
                let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
                listener.set_nonblocking(true).unwrap();
                let address = listener.local_addr().unwrap().to_string();
                spec.variables.insert("AWS_LAMBDA_RUNTIME_API".into(), address);
                listener.into()
            });
            let sandbox: Box<dyn Sandbox> = Box::new(Jail {
                ready: self
                    .ready
                    .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1))
                    .is_ok(),
                spec: Arc::new(spec),
                listener,
                nth: self.opened.fetch_add(1, Ordering::SeqCst) + 1,
                runs: 0,
                sandboxes: Arc::clone(&self.sandboxes),
                processes: Arc::clone(&self.processes),
                inits: Arc::clone(&self.inits),
                compile_caches: Arc::clone(&self.compile_caches),
                failing_starts: Arc::clone(&self.failing_starts),
                failing_assigns: Arc::clone(&self.failing_assigns),
                start_takes: Arc::clone(&self.start_takes),
                kill_takes: Arc::clone(&self.kill_takes),
                kill: Arc::default(),
                alive: Arc::default(),
            });
            Ok(sandbox)
        })
    }
}

struct Jail {
    ready: bool,
    spec: Arc<SandboxSpec>,
    listener: Option<OwnedFd>,
    nth: usize,
    runs: usize,
    sandboxes: Arc<AtomicUsize>,
    processes: Arc<AtomicUsize>,
    inits: Arc<Inits>,
    compile_caches: Arc<Mutex<Vec<CompileCache>>>,
    failing_starts: Arc<AtomicUsize>,
    failing_assigns: Arc<AtomicUsize>,
    start_takes: Arc<AtomicU64>,
    kill_takes: Arc<AtomicU64>,
    kill: Arc<Notify>,
    alive: Arc<AtomicBool>,
}

impl Drop for Jail {
    fn drop(&mut self) {
        self.kill.notify_one();
        self.sandboxes.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Sandbox for Jail {
    fn was_ready(&self) -> bool {
        self.ready
    }

    fn runtime_api(&mut self) -> Option<OwnedFd> {
        self.listener.take()
    }

    fn services(&mut self) -> Option<OwnedFd> {
        None
    }

    fn assign(
        &mut self,
        mut spec: SandboxSpec,
    ) -> Pending<'_, Result<BTreeMap<String, String>, LaunchError>> {
        Box::pin(async move {
            assert_eq!(self.spec.sources.code, None, "it is assigned once");
            let same = |spec: &SandboxSpec| (spec.command.clone(), spec.memory_mb, spec.ephemeral_mb);
            assert_eq!(same(&spec), same(&self.spec), "it was started as this one would be");
            if fails(&self.failing_assigns) {
                return Err(LaunchError("nothing can be mounted".into()));
            }
            let address = self.spec.variables.get("AWS_LAMBDA_RUNTIME_API").cloned();
            spec.variables.extend(address.map(|address| ("AWS_LAMBDA_RUNTIME_API".to_owned(), address)));
            self.compile_caches.lock().unwrap().push(spec.compile_cache.clone());
            let variables = spec.variables.clone();
            self.spec = Arc::new(spec);
            Ok(variables)
        })
    }

    fn start(&mut self) -> Pending<'_, Result<Process, LaunchError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_millis(self.start_takes.load(Ordering::SeqCst))).await;
            if fails(&self.failing_starts) {
                return Err(LaunchError("no processes left".into()));
            }
            assert!(!self.alive.swap(true, Ordering::SeqCst), "never two processes in one sandbox");
            self.runs += 1;
            self.kill = Arc::default();
            let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
            for end in [&ours, &theirs] {
                end.set_nonblocking(true).unwrap();
            }
            let (reader, writer) = rustix::pipe::pipe().unwrap();
            let puppet = Puppet::new(
                Arc::clone(&self.spec),
                (self.nth, self.runs),
                Arc::clone(&self.inits),
                theirs,
                writer,
            );
            let (kill, kill_takes) = (Arc::clone(&self.kill), Arc::clone(&self.kill_takes));
            let (alive, processes) = (Arc::clone(&self.alive), Arc::clone(&self.processes));
            processes.fetch_add(1, Ordering::SeqCst);
            let (exit, exited) = oneshot::channel();
            tokio::spawn(async move {
                let status = {
                    let killed = async {
                        kill.notified().await;
                        tokio::time::sleep(Duration::from_millis(kill_takes.load(Ordering::SeqCst))).await;
                        ExitStatus::Signal(9)
                    };
                    tokio::select! {
                        biased;
                        status = puppet.play() => status,
                        status = killed => status,
                    }
                };
                // Its descriptors close a moment before its end is seen.
                tokio::time::sleep(Duration::from_millis(1)).await;
                alive.store(false, Ordering::SeqCst);
                processes.fetch_sub(1, Ordering::SeqCst);
                // Nobody waits for it after its sandbox went.
                let _ = exit.send(status);
            });
            Ok(Process {
                channel: ours.into(),
                output: reader,
                exit: Box::pin(async { exited.await.unwrap_or(ExitStatus::Signal(9)) }),
                control: Box::new(Control(Arc::clone(&self.kill))),
            })
        })
    }
}

struct Control(Arc<Notify>);

impl ProcessControl for Control {
    fn kill(&self) {
        self.0.notify_one();
    }

    fn freeze(&self) {}

    fn thaw(&self) {}

    fn peak_memory(&self) -> Option<u64> {
        Some(50 * 1024 * 1024)
    }
}
