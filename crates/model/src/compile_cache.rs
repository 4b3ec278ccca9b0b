//! Node.js's compile cache (`module.enableCompileCache`): for which functions it pays, who makes it, and
//! the port to where it is kept.
//!
//! V8 trusts what is in a cache. So one is made of an environment's first init alone, before any event,
//! and is given to nobody but later environments of the very same launch: who could have put something
//! into it is the package itself, which runs there in any case. Deliberately not here: files, mounts, and
//! what a launch is (`invoke`).

use std::path::PathBuf;

use crate::function::Configuration;

/// Loading a handler must take this much CPU time, in microseconds, for a cache to pay. Node.js spends 1 to
/// 2.5 ms on having a cache and saves 8 to 18 % of the loading: below 20 ms it loses.
pub const PAYS_FROM_MICROS: u32 = 40_000;

/// Bytes of a launch's cache: a bundle of 2.9 MB has 0.4, its 170 single files 1.5.
pub const MOST_BYTES: usize = 8 << 20;

/// Files of a launch's cache, one for each module.
pub const MOST_FILES: usize = 4096;

/// Memory that a function must have left after its init, in bytes, for a cache to be made: Node.js holds the
/// new cache, and so does the file system in memory that it writes it to.
pub const ROOM: u64 = 4 * MOST_BYTES as u64;

/// Bytes of a file's name in a cache.
const MOST_NAME: usize = 128;

/// Node.js's own settings of it, or such that show: a function with one of these is left alone. What
/// a wrapper starts is not known.
const OWN: [&str; 4] =
    ["NODE_COMPILE_CACHE", "NODE_DISABLE_COMPILE_CACHE", "NODE_V8_COVERAGE", "AWS_LAMBDA_EXEC_WRAPPER"];

/// Whether such a function may have one at all.
#[must_use]
pub fn is_possible(configuration: &Configuration) -> bool {
    let mut names = configuration.variables.iter().flatten().map(|(name, _)| name.as_str());
    // `module.flushCompileCache` came with 22.10.
    configuration.runtime.major() >= 22 && !names.any(|name| OWN.contains(&name))
}

/// What an environment that starts has of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Nothing.
    None,
    /// An empty directory, of which the cache is made.
    Make,
    /// The cache, to read.
    Use,
}

/// How far a launch is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It has none and gets none: not possible here, does not pay, or could not be made.
    Without,
    /// Nobody knows yet how long its handler takes to load.
    Unknown,
    /// Its handler takes long: the next environment makes the cache.
    Wanted,
    /// An environment makes it.
    Making,
    /// It is there.
    Kept,
}

impl Stage {
    /// An environment starts: what it has, and the stage from now on.
    #[must_use]
    pub fn start(self) -> (Part, Self) {
        match self {
            Self::Without | Self::Unknown | Self::Making => (Part::None, self),
            Self::Wanted => (Part::Make, Self::Making),
            Self::Kept => (Part::Use, self),
        }
    }

    /// A first init is over that had no part in it: it took this much CPU time to load its handler, and left
    /// this much memory, in bytes.
    #[must_use]
    pub fn loaded(self, micros: u32, room: u64) -> Self {
        match self {
            Self::Unknown if micros >= PAYS_FROM_MICROS && room >= ROOM => Self::Wanted,
            Self::Unknown => Self::Without,
            Self::Without | Self::Wanted | Self::Making | Self::Kept => self,
        }
    }

    /// It was there and is not any more: whether it still pays is to be seen.
    #[must_use]
    pub fn lost(self) -> Self {
        match self {
            Self::Kept => Self::Unknown,
            Self::Without | Self::Unknown | Self::Wanted | Self::Making => self,
        }
    }

    /// Whoever made it is done. Where it failed it is not tried again: it costs each time.
    #[must_use]
    pub fn made(self, well: bool) -> Self {
        match self {
            Self::Making if well => Self::Kept,
            Self::Making => Self::Without,
            Self::Without | Self::Unknown | Self::Wanted | Self::Kept => self,
        }
    }
}

/// Whose cache it is.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CacheOwner {
    /// Of the function, new at each creation.
    pub identity: String,
    /// `$LATEST` or a number.
    pub version: String,
    /// Of everything its processes see.
    pub launch: [u8; 32],
}

/// One file of a cache, as a process gave it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheFile {
    /// `directory/file`.
    pub name: String,
    /// What is in it.
    pub content: bytes::Bytes,
}

/// Whether a file of a cache may have this name: those that Node.js gives are
/// `v22.23.3-x64-9ac5647c-993/8f0a1b92`.
#[must_use]
pub fn is_name(name: &str) -> bool {
    let plain = |part: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_');
        !part.is_empty() && !part.starts_with('.') && part.bytes().all(allowed)
    };
    name.len() <= MOST_NAME
        && name.split_once('/').is_some_and(|(directory, file)| plain(directory) && plain(file))
}

/// Port: where caches are kept. What is lost costs time, never more.
pub trait CompileCaches: Send + Sync {
    /// The directory of one that is there. Fast, and counts as use.
    fn find(&self, owner: &CacheOwner) -> Option<PathBuf>;

    /// Keeps one, within a bound for all of them: those that were not used for longest go. Every other cache
    /// of that function version goes too. `None` where it could not be kept. Blocking.
    fn keep(&self, owner: &CacheOwner, files: &[CacheFile]) -> Option<PathBuf>;

    /// Removes the caches of a function version, but for the one of `launch`. Blocking.
    fn retain(&self, identity: &str, version: &str, launch: Option<[u8; 32]>);

    /// Removes all caches of functions that are not these. Blocking.
    fn sweep(&self, identities: &std::collections::HashSet<String>);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_made_once_and_only_where_it_pays() {
        let (light, heavy, room) = (PAYS_FROM_MICROS - 1, PAYS_FROM_MICROS, ROOM);
        for (stage, micros, left, expected) in [
            (Stage::Unknown, light, room, Stage::Without),
            (Stage::Unknown, heavy, room, Stage::Wanted),
            (Stage::Unknown, u32::MAX, room - 1, Stage::Without),
            (Stage::Unknown, 0, u64::MAX, Stage::Without),
            (Stage::Without, heavy, room, Stage::Without),
            (Stage::Wanted, light, room, Stage::Wanted),
            (Stage::Making, light, room, Stage::Making),
            (Stage::Kept, light, 0, Stage::Kept),
        ] {
            assert_eq!(stage.loaded(micros, left), expected, "{stage:?} after {micros} µs");
        }
        for (stage, part, next, made, failed) in [
            (Stage::Without, Part::None, Stage::Without, Stage::Without, Stage::Without),
            (Stage::Unknown, Part::None, Stage::Unknown, Stage::Unknown, Stage::Unknown),
            (Stage::Wanted, Part::Make, Stage::Making, Stage::Wanted, Stage::Wanted),
            (Stage::Making, Part::None, Stage::Making, Stage::Kept, Stage::Without),
            (Stage::Kept, Part::Use, Stage::Kept, Stage::Kept, Stage::Kept),
        ] {
            assert_eq!(stage.start(), (part, next), "{stage:?}");
            assert_eq!((stage.made(true), stage.made(false)), (made, failed), "{stage:?}");
        }
    }

    #[test]
    fn names_lead_nowhere_else() {
        for name in ["v22.23.3-x64-9ac5647c-993/8f0a1b92", "a/b", "a/b.c_D"] {
            assert!(is_name(name), "{name}");
        }
        let long = format!("a/{}", "b".repeat(MOST_NAME));
        for name in
            ["", "a", "/a", "a/", "a/b/c", "../a", "a/..", ".a/b", "a/.b", "a/b\0", "a/b c", "é/a", &long]
        {
            assert!(!is_name(name), "{name}");
        }
    }
}
