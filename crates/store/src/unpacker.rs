//! Unpacking by somebody else: a package is code of strangers, and what reads it should be able to hurt
//! nobody. Whoever opens the store may say who unpacks; both ends of what is said then are here.
//!
//! Deliberately not here: how that one is started and held (it is a process, `server`'s to start), the
//! policy (`package`).

use std::fmt::Debug;
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::OwnedFd;
use std::path::Path;

use bytes::Bytes;
use lambkin_model::code::CodeError;
use lambkin_model::quota;
use serde::{Deserialize, Serialize};

use crate::package::{Limits, Unpacked, unpack};
use crate::sdk_references::is_sdk_package;

/// Bytes of an answer. Names of packages that the code refers to make it long: a thousand of them are 30 KB.
pub const ANSWER_BYTES: u64 = 1 << 20;

/// Who unpacks packages for the store.
pub trait Unpacker: Debug + Send + Sync {
    /// What [`unpack_here`] answers to the zip file and the directory, which is empty. Blocking; at most
    /// [`ANSWER_BYTES`].
    ///
    /// # Errors
    ///
    /// Where it could not be started. One that ends without an answer has an empty one.
    fn unpack(&self, zip: File, directory: &Path) -> io::Result<Vec<u8>>;
}

#[derive(Debug, Serialize, Deserialize)]
enum Answer {
    Unpacked(Unpacked),
    Unusable(String),
    TooLarge,
    Unavailable(String),
}

/// The far side: unpacks, and says what is to be answered.
#[must_use]
pub fn unpack_here(mut zip: impl Read, directory: OwnedFd) -> Vec<u8> {
    let mut bytes = Vec::new();
    let unpacked = match zip.read_to_end(&mut bytes) {
        Ok(_) => unpack(&Bytes::from(bytes), directory, Limits::default()),
        Err(error) => Err(CodeError::Unavailable(format!("the package cannot be read: {error}"))),
    };
    let answer = match unpacked {
        Ok(unpacked) => Answer::Unpacked(unpacked),
        Err(CodeError::Unusable(why)) => Answer::Unusable(why),
        Err(CodeError::UnzippedTooLarge) => Answer::TooLarge,
        Err(CodeError::Unavailable(why)) => Answer::Unavailable(why),
    };
    serde_json::to_vec(&answer).expect("strings and numbers")
}

/// The near side. The answer is believed in nothing that counts: it may be the package's own words.
pub(crate) fn unpack_by(
    unpacker: &dyn Unpacker,
    zip: &Path,
    directory: &Path,
) -> Result<Unpacked, CodeError> {
    let asked = File::open(zip).and_then(|zip| unpacker.unpack(zip, directory));
    let answer = asked
        .map_err(|error| CodeError::Unavailable(format!("packages cannot be unpacked here: {error}")))?;
    let ended = || CodeError::Unusable("what unpacked it ended without an answer".into());
    match serde_json::from_slice(&answer).map_err(|_| ended())? {
        Answer::Unpacked(unpacked)
            if unpacked.written <= quota::UNZIPPED_BYTES
                && unpacked.sdk_packages.iter().all(|name| is_sdk_package(name)) =>
        {
            Ok(unpacked)
        }
        Answer::Unpacked(_) => Err(ended()),
        Answer::Unusable(why) => Err(CodeError::Unusable(why)),
        Answer::TooLarge => Err(CodeError::UnzippedTooLarge),
        Answer::Unavailable(why) => Err(CodeError::Unavailable(why)),
    }
}

#[cfg(test)]
mod tests;
