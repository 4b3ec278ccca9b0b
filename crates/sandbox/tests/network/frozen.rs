//! Freezing a jail of `--network host` while a thread of it waits in `connect`: the kernel's freezer does not get at
//! who waits for lambkin's answer, which must neither keep the others awake nor be lost.

use std::net::{TcpListener, UdpSocket};
use std::time::Duration;

use lambkin_model::sandbox::{Process, Sandbox};
use lambkin_sandbox::JailConfig;
use tokio::io::AsyncReadExt as _;
use tokio::net::unix::pipe;

use crate::bed::Bed;
use crate::host::{SILENT, connecting, guards, host};
use crate::waiting::{deadline, within};
use crate::world::{HOST, World, address, ip, serve, until};

/// In the internet, where nobody is until a datagram comes to the other address.
const LATE: &str = "198.51.100.78:443";
const COMES: &str = "198.51.100.1:7000";

/// Who ticks does so every millisecond: after this time without a tick it stands still.
const QUIET: Duration = Duration::from_millis(300);

/// In the internet: somebody who is there late.
pub(crate) fn comes_late(world: &World) {
    let socket = world.enter(|| UdpSocket::bind(COMES).expect("a socket"));
    let (wakes, woken) = std::sync::mpsc::channel();
    std::thread::spawn(move || while socket.recv(&mut [0; 8]).is_ok() && wakes.send(()).is_ok() {});
    world.spawn(move || {
        woken.recv().expect("a datagram");
        ip(&format!("address add {}/32 dev lo\n", address(LATE).ip()));
        serve(&TcpListener::bind(LATE).expect("a listener"));
    });
}

/// A process that ticks while a thread of it connects.
struct Ticking {
    _jail: Box<dyn Sandbox>,
    process: Process,
    output: pipe::Receiver,
}

impl Ticking {
    async fn start(bed: &Bed, number: u8, to: &str) -> Self {
        let mut jail = bed.open(number, &[format!("tick:{to}")]).await;
        let process = within(jail.start()).await.expect("a process");
        let output = process.output.try_clone().expect("a copy");
        let output = pipe::Receiver::from_owned_fd(output).expect("a pipe");
        let mut ticking = Self { _jail: jail, process, output };
        let mut said = String::new();
        while connecting() != 1 {
            said += &ticking.says().await.expect("it ticks");
            assert!(!said.contains("late"), "it does not connect: {said}");
        }
        ticking
    }

    /// What it says next; nothing where it stands still.
    async fn says(&mut self) -> Option<String> {
        let mut buffer = [0; 4096];
        let read = tokio::time::timeout(QUIET, self.output.read(&mut buffer)).await.ok()?;
        let length = read.expect("text");
        assert_ne!(length, 0, "it has ended");
        Some(String::from_utf8_lossy(&buffer[..length]).into_owned())
    }

    async fn ticks(&mut self) {
        let heard = tokio::time::timeout(deadline(), self.output.read_u8()).await;
        heard.expect("in time").expect("a tick");
    }

    async fn freeze(&mut self) {
        self.process.control.freeze();
        let still = async { while self.says().await.is_some() {} };
        tokio::time::timeout(deadline(), still).await.expect("it stands still");
    }
}

pub(crate) async fn frozen() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    // Without jails that nobody asked for.
    let bed = Bed::with(directory, |config| JailConfig { shells: 0, ..host(config) });
    let bed = bed.await.expect("a launcher");

    // Its connection comes while it is frozen, and it has it when it goes on.
    let mut late = Ticking::start(&bed, 1, LATE).await;
    late.freeze().await;
    let here = UdpSocket::bind("0.0.0.0:0").expect("a socket");
    here.send_to(b"come", COMES).expect("sent");
    // What is asked for is asked for again after 1, 3, 7 and 15 seconds.
    let connected = async {
        while connecting() > 0 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    within(connected).await;
    assert_eq!(late.says().await, None, "it is still frozen");
    late.process.control.thaw();
    let mut said = String::new();
    while !said.contains(&format!("late {HOST}\n")) {
        said += &late.says().await.expect("it goes on");
    }
    drop(late);

    // One that never comes: the others go on, stand still again, and all of it can be ended.
    for thawed in [true, false] {
        let mut silent = Ticking::start(&bed, 2 + u8::from(thawed), SILENT).await;
        silent.freeze().await;
        silent.process.control.thaw();
        silent.ticks().await;
        assert_eq!(connecting(), 1, "nothing interrupts it");
        silent.freeze().await;
        if thawed {
            silent.process.control.kill();
            within(&mut silent.process.exit).await;
        }
        drop(silent);
        until("nobody connects any more", || connecting() == 0);
    }
    until("their guards end", || guards() == 0);
    bed.launcher.shutdown().await;
}
