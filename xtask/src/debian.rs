//! Programs that tests need and a machine may lack: the machine's own, or else Debian's, unpacked under `target/`. Nothing is
//! installed, and nobody needs to be root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::tools::{self, Result};

/// Asks apt for `$PACKAGES` and what they need that this machine lacks, with package lists of its own, and unpacks it here.
const FETCH: &str = r#"
set -e
mkdir -p lists/partial cache/archives/partial debs
set -- -o Dir::State::Lists="$PWD/lists" -o Dir::Cache="$PWD/cache" -o Debug::NoLocking=1 -o APT::Sandbox::User="$(id -un)"
apt-get "$@" --quiet update
packages=$(apt-get "$@" --simulate --no-install-recommends install $PACKAGES | sed -n 's/^Inst \([^ ]*\) .*/\1/p')
cd debs
apt-get "$@" --quiet download $packages
cd ..
for package in debs/*.deb; do dpkg --extract "$package" .; done
rm -r debs lists cache
"#;

/// A program of Debian's.
pub(crate) struct Program {
    /// Its directory under `target/`.
    pub(crate) name: &'static str,
    /// Where machines have it.
    pub(crate) known: &'static [&'static str],
    pub(crate) packages: &'static str,
    /// The script that starts what was unpacked beside it.
    pub(crate) start: &'static str,
    /// How its `--version` begins.
    pub(crate) version: &'static str,
    /// What cannot be tested without it.
    pub(crate) without: &'static str,
}

impl Program {
    /// Where it is; an error says what cannot be tested: it is not here, and apt-get has none.
    pub(crate) fn find(&self) -> Result<PathBuf> {
        if let Some(known) = self.known.iter().map(PathBuf::from).find(|known| self.works(known)) {
            return Ok(known);
        }
        let place = tools::scratch(self.name);
        let fetched = place.join("start");
        if self.works(&fetched) || self.fetch(&place, &fetched) {
            return Ok(fetched);
        }
        Err(format!("{}; there is no {} here, and apt-get has none", self.without, self.name))
    }

    fn fetch(&self, place: &Path, start: &Path) -> bool {
        eprintln!("fetching the packages of {} into {}", self.name, place.display());
        let _ = fs::remove_dir_all(place);
        let fetched = fs::create_dir_all(place).is_ok()
            && Command::new("sh")
                .args(["-c", FETCH])
                .env("PACKAGES", self.packages)
                .current_dir(place)
                .status()
                .is_ok_and(|status| status.success());
        fetched && fs::write(start, self.start).is_ok() && executable(start) && self.works(start)
    }

    fn works(&self, program: &Path) -> bool {
        let output = Command::new(program).arg("--version").output();
        output
            .is_ok_and(|output| output.status.success() && output.stdout.starts_with(self.version.as_bytes()))
    }
}

#[cfg(unix)]
fn executable(path: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755)).is_ok()
}

#[cfg(not(unix))]
fn executable(_: &Path) -> bool {
    true
}
