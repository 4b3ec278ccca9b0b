//! The guest's disk: Debian's packages, unpacked without running anything of theirs and the programs under test.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::guest::only_entry;
use crate::guest_initramfs;
use crate::tools::{self, Result};

/// What they need comes with them.
const PACKAGES: &[&str] = &[
    "base-files",
    "bash",
    "busybox-static",
    "coreutils",
    "dash",
    "dbus",
    "dbus-user-session",
    "e2fsprogs",
    "findutils",
    "grep",
    "iproute2",
    "libpam-systemd",
    "libstdc++6",
    "linux-image-cloud-amd64",
    "mount",
    "nftables",
    "passwd",
    "procps",
    "sed",
    "slirp4netns",
    "systemd",
    "systemd-sysv",
    "util-linux",
];

/// Of a machine on which nothing is installed. Leaves the packages alone that this machine has.
const FETCH: &str = "mkdir -p archives/partial && apt-get --quiet=2 --yes --download-only --no-install-recommends \
    -o Dir::State::status=/dev/null -o Debug::NoLocking=1 -o APT::Sandbox::User= -o Dir::Cache::archives=\"$PWD/archives\" \
    install \"$@\"";

/// `/bin` and the like are links, as Debian's `usrmerge` leaves them. Files are whoever's, until the guest starts.
const UNPACK: &str = "set -e; rm -rf root; mkdir -p root/usr; \
    for each in bin sbin lib lib64; do mkdir root/usr/$each; ln -s usr/$each root/$each; done; \
    for each in archives/*.deb; do dpkg-deb --fsys-tarfile \"$each\" | tar -x -C root --no-same-owner --keep-directory-symlink -f -; done; \
    ln -sf busybox root/bin/modprobe; ln -sf ../bin/busybox root/sbin/modprobe; \
    rm -rf root/usr/share/doc root/usr/share/man root/usr/share/locale root/usr/share/perl";

const COPY: &str = "rm -rf root/guest; mkdir -p root/guest root/usr/local/bin; cp \"$1\" root/guest";

/// Sparse; the guest writes into memory of qemu's.
const SIZE: &str = "4G";

pub(crate) struct Disk {
    place: PathBuf,
}

impl Disk {
    /// Fails where Debian's packages cannot be had.
    pub(crate) fn fetch(place: &Path) -> Result<Self> {
        fs::create_dir_all(place).map_err(|error| format!("{}: {error}", place.display()))?;
        let disk = Self { place: place.to_owned() };
        let stamp = place.join("packages");
        let wanted = PACKAGES.join(" ");
        if fs::read_to_string(&stamp).is_ok_and(|had| had == wanted) {
            return Ok(disk);
        }
        disk.shell(FETCH, PACKAGES)?;
        disk.shell(UNPACK, &[])?;
        fs::write(&stamp, wanted).map_err(|error| format!("{}: {error}", stamp.display()))?;
        Ok(disk)
    }

    pub(crate) fn make(self, programs: &Programs) -> Result<Self> {
        let put = |name: &str, text: &str| {
            let path = self.root().join(name);
            fs::write(&path, text).map_err(|error| format!("{}: {error}", path.display()))
        };
        let script = tools::root().join("tests/guest/run.sh");
        self.shell(COPY, &[&script.to_string_lossy()])?;
        for (name, program) in &programs.files {
            let to = self.root().join(name);
            fs::copy(program, &to).map_err(|error| format!("{}: {error}", program.display()))?;
        }
        let unit = include_str!("../../tests/guest/guest.service");
        put("etc/systemd/system/guest.service", unit)?;
        put("etc/passwd", PASSWD)?;
        put("etc/group", GROUP)?;
        put("etc/subuid", SUBORDINATE)?;
        put("etc/subgid", SUBORDINATE)?;
        put("etc/pam.d/systemd-user", PAM)?;
        put("etc/pam.d/other", PAM)?;
        put("etc/machine-id", "0123456789abcdef0123456789abcdef\n")?;
        put("etc/hostname", "guest\n")?;
        put("etc/hosts", "127.0.0.1 localhost guest\n")?;
        put("etc/resolv.conf", "nameserver 192.0.2.53\n")?;
        let mtab = self.root().join("etc/mtab");
        if mtab.symlink_metadata().is_err() {
            symlink("/proc/self/mounts", &mtab).map_err(|error| format!("{}: {error}", mtab.display()))?;
        }
        guest_initramfs::make(&self.root(), &self.place.join("initramfs.d"), &self.initramfs())?;
        let make = "rm -f disk && PATH=$PATH:/sbin:/usr/sbin mke2fs -q -t ext4 -O ^has_journal -E root_owner=0:0 -d root disk \"$1\"";
        self.shell(make, &[SIZE])?;
        Ok(self)
    }

    pub(crate) fn kernel(&self) -> Result<PathBuf> {
        only_entry(&self.root().join("boot"), "vmlinuz-")
    }

    pub(crate) fn initramfs(&self) -> PathBuf {
        self.place.join("initramfs")
    }

    pub(crate) fn image(&self) -> PathBuf {
        self.place.join("disk")
    }

    fn root(&self) -> PathBuf {
        self.place.join("root")
    }

    fn shell(&self, script: &str, arguments: &[&str]) -> Result {
        let mut command = tools::command("bash");
        tools::run(command.args(["-c", script, "bash"]).args(arguments).current_dir(&self.place))
    }
}

const PASSWD: &str = "root:x:0:0:root:/root:/bin/bash\n\
    messagebus:x:100:100::/nonexistent:/bin/sh\n\
    user:x:1000:1000::/home/user:/bin/bash\n\
    nobody:x:65534:65534::/nonexistent:/bin/sh\n";
const GROUP: &str = "root:x:0:\ntty:x:5:\nmessagebus:x:100:\nuser:x:1000:\nnogroup:x:65534:\n";
const SUBORDINATE: &str = "user:100000:65536\n";
const PAM: &str =
    "auth required pam_permit.so\naccount required pam_permit.so\nsession required pam_systemd.so\n";

/// What is tested.
pub(crate) struct Programs {
    /// Where each goes.
    files: Vec<(&'static str, PathBuf)>,
}

impl Programs {
    /// lambkin itself is built too, unless `$LAMBKIN_BIN` is one.
    pub(crate) fn build() -> Result<Self> {
        let lambkin = match std::env::var_os("LAMBKIN_BIN") {
            Some(given) => given.into(),
            None => tools::lambkin()?,
        };
        let built = tools::cargo_output(&[
            "test",
            "--package=lambkin-sandbox",
            "--no-run",
            "--message-format=json-render-diagnostics",
        ])?;
        let of = |name: &str| {
            built
                .lines()
                .filter_map(|line| serde_json::from_str::<Value>(line).ok())
                .filter(|message| message["target"]["name"] == name)
                .find_map(|message| message["executable"].as_str().map(PathBuf::from))
                .ok_or_else(|| format!("cargo built no test {name}"))
        };
        let files = vec![
            ("usr/local/bin/lambkin", lambkin),
            ("guest/groups", of("lambkin_sandbox")?),
            ("guest/jail", of("jail")?),
            ("guest/network", of("network")?),
        ];
        Ok(Self { files })
    }
}
