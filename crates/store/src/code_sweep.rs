//! Removes deployment packages that nothing refers to any more.
//!
//! Deliberately not here: who calls this and when. What was seen unreferenced is remembered in
//! memory only, so that a restart begins the grace again; a sweep at start has no grace to keep.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use lambkin_model::code::{CodeError, CodeSha256};

use crate::file_code_store::{Shelf, unavailable};

impl Shelf {
    pub(crate) fn sweep(&self, keep: &HashSet<CodeSha256>, grace: Duration) -> Result<usize, CodeError> {
        let mut there = HashSet::new();
        for entry in fs::read_dir(&self.directory).map_err(unavailable)? {
            let name = entry.map_err(unavailable)?.file_name();
            there.extend(name.to_str().and_then(CodeSha256::from_hex));
        }
        let mut taken = Vec::new();
        {
            let now = Instant::now();
            let mut unreferenced = self.unreferenced.lock().unwrap_or_else(PoisonError::into_inner);
            unreferenced.retain(|sha256, _| there.contains(sha256) && !keep.contains(sha256));
            for sha256 in there.difference(keep) {
                let since = *unreferenced.entry(*sha256).or_insert(now);
                if now.duration_since(since) < grace {
                    continue;
                }
                // Renamed under the lock and removed outside: removing a large package takes long.
                let away = self.staging_path();
                match fs::rename(self.place(*sha256), &away) {
                    Ok(()) => taken.push(away),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(unavailable(error)),
                }
                unreferenced.remove(sha256);
            }
        }
        for away in &taken {
            if let Err(error) = fs::remove_dir_all(away) {
                tracing::warn!("{} was not removed ({error}); the next start does", away.display());
            }
        }
        Ok(taken.len())
    }
}
