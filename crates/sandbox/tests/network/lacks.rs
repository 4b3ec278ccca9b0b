//! Machines on which `--network nat` is not possible: programs that are missing, too old, or of no use.

use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::Command;

use lambkin_sandbox::{Isolated, Isolation, JailConfig};

use crate::bed::{config, copy_self, nat};
use crate::nat::{HOLDER, can_be_tested};

pub(crate) async fn missing() {
    if !can_be_tested() {
        return;
    }
    let directory = tempfile::tempdir().expect("a temporary directory");
    std::fs::set_permissions(directory.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777))
        .expect("permissions");
    copy_self(directory.path());
    let program = directory.path().join("program");
    let refuses = |command: &mut Command, with: &str| {
        let output = command.output().expect("a program");
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(!output.status.success() && said.contains(with), "{said}");
    };
    for (program_name, package) in [("ip", "iproute2"), ("nft", "nftables")] {
        // Not seen any more: a device in its place.
        let script = format!(
            "for d in /usr/sbin /usr/bin; do test -e $d/{program_name} && mount --bind /dev/null $d/{program_name}; done\n\
             exec {} {HOLDER} {}",
            program.display(),
            directory.path().join("as-root").display()
        );
        refuses(Command::new("unshare").args(["-n", "-m", "sh", "-c", &script]), package);
    }
    // One that does not know the flag, and one that passes it over.
    let real = directory.path().join("real-nft");
    let found = ["/usr/sbin/nft", "/usr/bin/nft"].into_iter().find(|path| Path::new(path).exists());
    let found = found.expect("nft");
    std::fs::copy(found, &real).expect("a copy");
    let forgets = format!("sed -i /owner/d nat.nft; exec {} \"$@\"", real.display());
    for (script, why) in [
        (
            "echo 'Error: syntax error, unexpected owner'",
            "unexpected owner (a table with `flags owner` needs",
        ),
        ("exit 1", "nft: it has ended (a table"),
        (forgets.as_str(), "nft has not made the table its own within 5s"),
    ] {
        let fake = directory.path().join("fake-nft");
        std::fs::write(&fake, format!("#!/bin/sh\n{script}\n")).expect("written");
        std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("permissions");
        let script = format!(
            "mount --bind {} {found}; exec {} {HOLDER} {}",
            fake.display(),
            program.display(),
            directory.path().join("as-root").display()
        );
        refuses(Command::new("unshare").args(["-n", "-m", "sh", "-c", &script]), why);
    }
    let own = directory.path().join("as-user");
    refuses(Command::new(&program).arg(HOLDER).arg(own).uid(65534).gid(65534), "it needs root");
    let processes = nat(config(directory.path()));
    let JailConfig { network, process, .. } = processes;
    let error = Isolated::start(Isolation::Process, network, process).await.err().expect("a refusal");
    assert!(error.to_string().contains("plain processes"), "{error}");
}
