//! The language runtimes: their names, their generation of AWS's Node.js runtime code, the flags
//! and the paths that depend on them (node-runtime §0, §8.2).

use std::collections::BTreeSet;
use std::fmt;
use std::path::PathBuf;

use crate::Pending;
use crate::code::CodeSha256;

/// Generation of AWS's runtime code: it decides behaviour, not the Node.js version.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Generation {
    /// nodejs4.3 and nodejs6.10.
    G1,
    /// nodejs8.10: as G1, and native promises are awaited.
    G1b,
    /// nodejs10.x to nodejs22.x.
    G2,
    /// nodejs24.x and later.
    G3,
}

impl Generation {
    /// Short name, used for the bootstrap's file.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::G1 => "g1",
            Self::G1b => "g1b",
            Self::G2 => "g2",
            Self::G3 => "g3",
        }
    }
}

/// One of the runtimes lambkin runs, `nodejs22.x`.
#[derive(Clone, Copy)]
pub struct Runtime(&'static Facts);

struct Facts {
    name: &'static str,
    /// Node.js's major version.
    major: u32,
    generation: Generation,
    /// AWS refuses to create or update functions with it (aws-behaviour 39).
    retired: bool,
}

static RUNTIMES: [Facts; 12] = [
    Facts { name: "nodejs4.3", major: 4, generation: Generation::G1, retired: true },
    Facts { name: "nodejs6.10", major: 6, generation: Generation::G1, retired: true },
    Facts { name: "nodejs8.10", major: 8, generation: Generation::G1b, retired: true },
    Facts { name: "nodejs10.x", major: 10, generation: Generation::G2, retired: true },
    Facts { name: "nodejs12.x", major: 12, generation: Generation::G2, retired: true },
    Facts { name: "nodejs14.x", major: 14, generation: Generation::G2, retired: true },
    Facts { name: "nodejs16.x", major: 16, generation: Generation::G2, retired: false },
    Facts { name: "nodejs18.x", major: 18, generation: Generation::G2, retired: false },
    Facts { name: "nodejs20.x", major: 20, generation: Generation::G2, retired: false },
    Facts { name: "nodejs22.x", major: 22, generation: Generation::G2, retired: false },
    Facts { name: "nodejs24.x", major: 24, generation: Generation::G3, retired: false },
    Facts { name: "nodejs26.x", major: 26, generation: Generation::G3, retired: false },
];

impl Runtime {
    /// Every runtime, oldest first.
    pub fn all() -> impl Iterator<Item = Self> {
        RUNTIMES.iter().map(Self)
    }

    /// The runtime of this exact name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        RUNTIMES.iter().find(|facts| facts.name == name).map(Self)
    }

    /// AWS's identifier, `nodejs22.x`.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.0.name
    }

    /// Node.js's major version.
    #[must_use]
    pub fn major(self) -> u32 {
        self.0.major
    }

    /// Generation of AWS's runtime code.
    #[must_use]
    pub fn generation(self) -> Generation {
        self.0.generation
    }

    /// AWS no longer creates or updates functions with it.
    #[must_use]
    pub fn retired(self) -> bool {
        self.0.retired
    }

    /// Whether its functions have a Runtime API (node-runtime §8.1).
    #[must_use]
    pub fn has_runtime_api(self) -> bool {
        self.0.major >= 10
    }

    /// Which AWS SDK for JavaScript is requirable without being packaged.
    #[must_use]
    pub fn sdk(self) -> Sdk {
        if self.0.major <= 16 { Sdk::V2 } else { Sdk::V3 }
    }

    /// AWS's `RuntimeVersionArn`. The 64 hex digits are opaque on AWS; here they follow from the name.
    #[must_use]
    pub fn version_arn(self, region: &str) -> String {
        format!("arn:aws:lambda:{region}::runtime:{}", CodeSha256::of(self.0.name.as_bytes()).hex())
    }

    /// The flags AWS starts node with, for this much memory and the function's own `NODE_OPTIONS`
    /// (§8.2, §8.4). What a user asks for there wins over AWS's, though node reads its command line
    /// last: so a flag that it contradicts is left out.
    #[must_use]
    pub fn node_flags(self, memory_mb: u32, node_options: &str) -> Vec<String> {
        let semi = (memory_mb / 20).max(1);
        if self.0.major <= 8 {
            // From dumps: 1,229 at 1,536 MB and 2,547 at 3,008 MB. In tenths of a megabyte.
            let executable = memory_mb.min(1600);
            let old = (10 * memory_mb - memory_mb - executable + 5) / 10;
            let mut flags =
                vec![format!("--max-old-space-size={old}"), format!("--max-semi-space-size={semi}")];
            // Node.js 8 does not know it any more.
            if self.0.major <= 6 {
                flags.push(format!("--max-executable-size={}", (executable / 10).max(1)));
            }
            flags.push("--expose-gc".into());
            return flags;
        }
        let mut flags = vec!["--expose-gc".into(), "--max-http-header-size".into(), "81920".into()];
        let asks = |flag: &str| node_options.replace('_', "-").contains(flag);
        if self.0.major < 24 || !(asks("--max-semi-space-size") || asks("--max-old-space-size")) {
            flags.push(format!("--max-semi-space-size={semi}"));
            flags.push(format!("--max-old-space-size={}", memory_mb - memory_mb / 10));
        }
        if matches!(self.0.major, 20 | 22) && !asks("--experimental-require-module") {
            flags.push("--no-experimental-require-module".into());
        }
        if self.0.major == 22 && !asks("--experimental-detect-module") {
            flags.push("--no-experimental-detect-module".into());
        }
        flags
    }
}

/// Generation of the AWS SDK for JavaScript that a runtime carries (§8.2).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Sdk {
    /// `aws-sdk`, up to nodejs16.x.
    V2,
    /// `@aws-sdk/*`, from nodejs18.x.
    V3,
}

impl PartialEq for Runtime {
    fn eq(&self, other: &Self) -> bool {
        self.0.name == other.0.name
    }
}

impl Eq for Runtime {}

impl std::hash::Hash for Runtime {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        self.0.name.hash(state);
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl fmt::Display for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.name)
    }
}

impl serde::Serialize for Runtime {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.0.name)
    }
}

impl<'de> serde::Deserialize<'de> for Runtime {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        Self::from_name(&name).ok_or_else(|| serde::de::Error::custom(format!("unknown runtime {name}")))
    }
}

/// The machine's own architecture, in AWS's words; whatever a function asks for runs on it.
#[must_use]
pub fn host_architecture() -> &'static str {
    if cfg!(target_arch = "aarch64") { "arm64" } else { "x86_64" }
}

/// What a function needs of its runtime.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeNeed {
    /// Which runtime.
    pub runtime: Runtime,
    /// Packages of the AWS SDK that the code refers to without carrying them, such as `aws-sdk`
    /// or `@aws-sdk/client-s3`.
    pub sdk_packages: BTreeSet<String>,
}

/// A runtime on this machine, ready to start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstalledRuntime {
    /// Node.js's full version, `22.1.0`.
    pub version: String,
    /// Lower-case hex SHA-256 of the `node` executable.
    pub sha256: String,
    /// The `node` executable.
    pub node: PathBuf,
    /// The directory that is `LAMBDA_RUNTIME_DIR`: it holds the bootstrap ([`BOOTSTRAP_FILE`]) and
    /// an empty `node_modules`.
    pub runtime_dir: PathBuf,
    /// `node_modules` with the AWS SDK, or a link to it; not there where none was installed.
    pub modules: PathBuf,
}

/// Why a runtime is not there. The text names what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuntimeError {
    /// There is no build of it for this platform.
    #[error("{0}")]
    NoBuild(String),
    /// No source had it, or what they had is not the pinned binary.
    #[error("{0}")]
    Unavailable(String),
}

/// The bootstrap's file in [`InstalledRuntime::runtime_dir`]. AWS has `index.mjs` there, which a
/// handler `/index.x` does not find through `NODE_PATH`; an `index.js` it would find.
pub const BOOTSTRAP_FILE: &str = "index.cjs";

/// Port: where runtimes come from.
pub trait RuntimeProvider: Send + Sync {
    /// Whether there is a build for this platform at all; says so where there is none.
    fn check_platform(&self, runtime: Runtime) -> Result<(), RuntimeError>;

    /// The runtime, if it is complete on this machine. Fast and local: it never fetches.
    fn installed(&self, need: &RuntimeNeed) -> Option<InstalledRuntime>;

    /// The runtime, fetched where needed: one fetch however many wait. Has its own deadlines.
    fn ensure(&self, need: RuntimeNeed) -> Pending<'_, Result<InstalledRuntime, RuntimeError>>;
}

#[cfg(test)]
mod tests {
    use super::Runtime;

    #[test]
    fn flags_follow_the_generation() {
        let old = "--expose-gc --max-http-header-size 81920 --max-semi-space-size=6 --max-old-space-size=116";
        let no_require = "--no-experimental-require-module";
        let no_detect = "--no-experimental-detect-module";
        for (name, memory, options, expected) in [
            (
                "nodejs4.3",
                3008,
                "",
                "--max-old-space-size=2547 --max-semi-space-size=150 --max-executable-size=160 --expose-gc"
                    .to_owned(),
            ),
            (
                "nodejs6.10",
                1536,
                "",
                "--max-old-space-size=1229 --max-semi-space-size=76 --max-executable-size=153 --expose-gc"
                    .to_owned(),
            ),
            (
                "nodejs8.10",
                128,
                "",
                "--max-old-space-size=102 --max-semi-space-size=6 --expose-gc".to_owned(),
            ),
            ("nodejs18.x", 128, "", old.to_owned()),
            ("nodejs22.x", 128, "", format!("{old} {no_require} {no_detect}")),
            ("nodejs22.x", 128, "--experimental-require-module", format!("{old} {no_detect}")),
            ("nodejs22.x", 128, "--max-old-space-size=64", format!("{old} {no_require} {no_detect}")),
            (
                "nodejs24.x",
                128,
                "--max_old_space_size=64",
                "--expose-gc --max-http-header-size 81920".to_owned(),
            ),
        ] {
            let flags = Runtime::from_name(name).unwrap().node_flags(memory, options);
            assert_eq!(flags.join(" "), expected, "{name} {options}");
        }
    }
}
