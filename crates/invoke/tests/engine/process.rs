//! A process of the fake launcher: it reads words and does them over a real channel and a real pipe.
//!
//! `sleep MS` · `print TEXT` (a line on its output) · `write TEXT` (no newline; `\xNN` escapes) ·
//! `lines N` · `widen` (its pipe, to 1 MiB) · `log TEXT` · `logs N` (a LOG frame of N bytes) · `respond TEXT` · `big N` ·
//! `error BODY` · `handled BODY` · `initerror BODY` · `biginiterror N` · `ready` · `garbage` · `close` · `exit N` ·
//! `loaded MICROS` · `cache NAME CONTENT` (a file of a compile cache) · `signal N` · `hang` · `talk` and `shout` (without end) · `who` (responds `sandbox.run.count`) · `length` (responds the
//! payload's) · `variable NAME` · `head` (responds the head that came with the invocation).

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use lambkin_model::exit::ExitStatus;
use lambkin_model::sandbox::SandboxSpec;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::pipe;

use crate::hostile::Talker;

/// How many processes are before their first READY, and the most there were at once.
#[derive(Default)]
pub struct Inits {
    now: AtomicUsize,
    pub peak: AtomicUsize,
    /// Generic processes that wait for their variables, and what ends them.
    pub generic: AtomicUsize,
    pub end_generic: tokio::sync::Notify,
    /// A thread writes without end.
    pub talking: Arc<AtomicBool>,
}

struct Initing(Arc<Inits>);

impl Initing {
    fn begin(inits: Arc<Inits>) -> Self {
        let now = inits.now.fetch_add(1, Ordering::SeqCst) + 1;
        inits.peak.fetch_max(now, Ordering::SeqCst);
        Self(inits)
    }
}

impl Drop for Initing {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}

struct Waiting(Arc<Inits>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.generic.fetch_sub(1, Ordering::SeqCst);
    }
}

pub struct Puppet {
    pub spec: Arc<SandboxSpec>,
    /// Order of its sandbox's making, from 1.
    pub sandbox: usize,
    /// Order of its start in the sandbox, from 1.
    pub run: usize,
    pub inits: Arc<Inits>,
    channel: Option<UnixStream>,
    output: pipe::Sender,
    count: usize,
    payload_length: usize,
    head: serde_json::Value,
}

struct Given {
    head: serde_json::Value,
    payload: Vec<u8>,
}

impl Puppet {
    pub fn new(
        spec: Arc<SandboxSpec>,
        (sandbox, run): (usize, usize),
        inits: Arc<Inits>,
        channel: std::os::unix::net::UnixStream,
        output: OwnedFd,
    ) -> Self {
        Self {
            spec,
            sandbox,
            run,
            inits,
            channel: Some(UnixStream::from_std(channel).unwrap()),
            output: pipe::Sender::from_owned_fd(output).unwrap(),
            count: 0,
            payload_length: 0,
            head: serde_json::Value::Null,
        }
    }

    /// Does what its variables and then its invocations say, until it ends.
    pub async fn play(mut self) -> ExitStatus {
        if self.spec.variables.contains_key("HTTP") {
            return crate::caller::play(self).await;
        }
        let mut initing = Initing::begin(Arc::clone(&self.inits));
        if self.spec.variables.contains_key("_LAMBKIN_GENERIC") {
            assert!(self.spec.variables.keys().all(|name| !name.starts_with("INIT")), "of no function");
            self.frame(0x10, b"").await;
            drop(initing);
            self.inits.generic.fetch_add(1, Ordering::SeqCst);
            let _waiting = Waiting(Arc::clone(&self.inits));
            let inits = Arc::clone(&self.inits);
            let variables = tokio::select! {
                variables = self.assigned() => variables,
                () = inits.end_generic.notified() => return ExitStatus::Code(7),
            };
            self.spec = Arc::new(SandboxSpec { variables, ..(*self.spec).clone() });
            initing = Initing::begin(Arc::clone(&self.inits));
        }
        let names = [format!("INIT_S{}", self.sandbox), format!("INIT_{}", self.run), "INIT".into()];
        let init = names.iter().find_map(|name| self.spec.variables.get(name).cloned());
        if let Some(status) = self.act(&init.unwrap_or_default()).await {
            return status;
        }
        self.frame(0x11, b"").await;
        drop(initing);
        loop {
            let given = self.given().await;
            let Ok(words) = String::from_utf8(given.payload) else { return ExitStatus::Code(99) };
            self.count += 1;
            self.payload_length = words.len();
            self.head = given.head;
            // A long payload is words and filling.
            let words = words.split('#').next().unwrap_or_default();
            if let Some(status) = self.act(words).await {
                return status;
            }
            self.frame(0x11, b"").await;
        }
    }

    async fn act(&mut self, words: &str) -> Option<ExitStatus> {
        for step in words.split(';').map(str::trim).filter(|step| !step.is_empty()) {
            let (word, rest) = step.split_once(' ').unwrap_or((step, ""));
            let number = || rest.parse::<usize>().unwrap_or_else(|_| panic!("{step}: no number"));
            match word {
                "sleep" => tokio::time::sleep(Duration::from_millis(number() as u64)).await,
                "print" => self.write(format!("{rest}\n").as_bytes()).await,
                "write" => self.write(&unescape(rest)).await,
                "lines" => {
                    for line in 0..number() {
                        self.write(format!("line {line}\n").as_bytes()).await;
                    }
                }
                "widen" => {
                    rustix::pipe::fcntl_setpipe_size(&self.output, 1024 * 1024).unwrap();
                }
                "log" => self.log(rest.as_bytes()).await,
                "logs" => self.log(&vec![b'l'; number()]).await,
                "loaded" => {
                    let micros = u32::try_from(number()).unwrap();
                    self.frame(0x19, &micros.to_le_bytes()).await;
                }
                "cache" => {
                    let (name, content) = rest.split_once(' ').unwrap();
                    let mut body = u16::try_from(name.len()).unwrap().to_le_bytes().to_vec();
                    body.extend([name.as_bytes(), content.as_bytes()].concat());
                    self.frame(0x1a, &body).await;
                }
                "respond" => self.frame(0x12, rest.as_bytes()).await,
                "big" => self.frame(0x12, &vec![b'1'; number()]).await,
                "error" => self.frame(0x13, &error(Some(0), rest)).await,
                "handled" => self.frame(0x13, &error(Some(1), rest)).await,
                "biginiterror" => self.frame(0x14, &error(None, &"1".repeat(number()))).await,
                "initerror" => self.frame(0x14, &error(None, rest)).await,
                "ready" => self.frame(0x11, b"").await,
                "garbage" => self.bytes(&[0xff; 64]).await,
                "close" => self.close_channel(),
                "exit" => return Some(ExitStatus::Code(rest.parse().unwrap())),
                "signal" => return Some(ExitStatus::Signal(rest.parse().unwrap())),
                // Both until it is killed.
                "talk" => {
                    let Some(channel) = self.channel.take() else { continue };
                    let _talker =
                        Talker::over_channel(channel.into_std().unwrap(), Arc::clone(&self.inits.talking));
                    std::future::pending::<()>().await;
                }
                "shout" => {
                    let output = self.output.as_fd().try_clone_to_owned().unwrap();
                    let _talker =
                        Talker::over_output(std::fs::File::from(output), Arc::clone(&self.inits.talking));
                    std::future::pending::<()>().await;
                }
                "hang" => std::future::pending().await,
                "who" => {
                    let text = format!("{}.{}.{}", self.sandbox, self.run, self.count);
                    self.frame(0x12, text.as_bytes()).await;
                }
                "length" => self.frame(0x12, self.payload_length.to_string().as_bytes()).await,
                "variable" => {
                    let value = self.spec.variables.get(rest).cloned().unwrap_or_default();
                    self.frame(0x12, value.as_bytes()).await;
                }
                "head" => {
                    let text = self.head.to_string();
                    self.frame(0x12, text.as_bytes()).await;
                }
                other => panic!("no such word: {other}"),
            }
        }
        None
    }

    async fn log(&mut self, message: &[u8]) {
        let mut body = vec![3, 0];
        body.extend_from_slice(&1_767_323_045_678_901_u64.to_le_bytes());
        body.extend_from_slice(message);
        self.frame(0x15, &body).await;
    }

    pub async fn frame(&mut self, kind: u8, body: &[u8]) {
        let mut bytes = u32::try_from(body.len() + 1).unwrap().to_le_bytes().to_vec();
        bytes.push(kind);
        bytes.extend_from_slice(body);
        self.bytes(&bytes).await;
    }

    /// Where lambkin's end is gone, it waits for its own.
    async fn bytes(&mut self, bytes: &[u8]) {
        let Some(channel) = &mut self.channel else { return std::future::pending().await };
        if channel.write_all(bytes).await.is_err() {
            std::future::pending().await
        }
    }

    pub fn close_channel(&mut self) {
        self.channel = None;
    }

    pub async fn write(&mut self, bytes: &[u8]) {
        if self.output.write_all(bytes).await.is_err() {
            std::future::pending().await
        }
    }

    async fn assigned(&mut self) -> BTreeMap<String, String> {
        let Some(channel) = &mut self.channel else { return std::future::pending().await };
        let read = async {
            let length = channel.read_u32_le().await? as usize;
            assert_eq!(channel.read_u8().await?, 2, "ASSIGN");
            let mut body = vec![0; length - 1];
            channel.read_exact(&mut body).await?;
            std::io::Result::Ok(serde_json::from_slice(&body)?)
        };
        match read.await {
            Ok(variables) => variables,
            Err(_) => std::future::pending().await,
        }
    }

    async fn given(&mut self) -> Given {
        let Some(channel) = &mut self.channel else { return std::future::pending().await };
        match read(channel).await {
            Ok(given) => given,
            Err(_) => std::future::pending().await,
        }
    }
}

async fn read(channel: &mut UnixStream) -> std::io::Result<Given> {
    let length = channel.read_u32_le().await? as usize;
    assert_eq!(channel.read_u8().await?, 1, "INVOKE");
    let head_length = channel.read_u32_le().await? as usize;
    let mut head = vec![0; head_length];
    channel.read_exact(&mut head).await?;
    let mut payload = vec![0; length - 5 - head_length];
    // In small sips: it must come whole to a slow reader too.
    for part in payload.chunks_mut(50_000) {
        channel.read_exact(part).await?;
        tokio::task::yield_now().await;
    }
    Ok(Given { head: serde_json::from_slice(&head)?, payload })
}

fn error(handled: Option<u8>, body: &str) -> Vec<u8> {
    const TYPE: &str = "Function.Fake";
    let mut bytes: Vec<u8> = handled.into_iter().collect();
    bytes.extend_from_slice(&u16::try_from(TYPE.len()).unwrap().to_le_bytes());
    bytes.extend_from_slice(TYPE.as_bytes());
    bytes.extend_from_slice(body.as_bytes());
    bytes
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
