//! Signatures (AWS's version 4) of requests, in a header or in the query: verified by signing again. What
//! needs the body is left to whoever reads it (`body`), which cannot be forgotten: there is no other way to it.
//!
//! Deliberately not here: what a caller may do (`access`), and environments, which are known by their listener.

mod canonical;
mod said;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use aws_sigv4::sign::v4::{calculate_signature, generate_signing_key};
use http::header::HeaderName;
use http::request::Parts;
use lambkin_model::Error;
use lambkin_model::keys::{Key, KeyRing, Keys};
use lambkin_model::time::Timestamp;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use said::Said;

const CONTENT_SHA256: HeaderName = HeaderName::from_static("x-amz-content-sha256");
const UNSIGNED: &str = "UNSIGNED-PAYLOAD";
const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// How far clocks may be apart, in seconds.
const SKEW: u64 = 5 * 60;
/// Signing keys that are kept. Full: all go, and are made again as they are wanted.
const DERIVED: usize = 256;
/// Longest name under which one is kept; AWS's own have some 70 characters.
const SCOPE: usize = 160;

/// Who signed, from the keys that there are.
pub(crate) struct Verifier {
    keys: Arc<dyn Keys>,
    /// Signing keys by id, day, region and service. A lock for the length of a look.
    derived: Mutex<HashMap<String, Derived>>,
}

/// A key as it signs for one day, region and service.
#[derive(Clone)]
struct Derived {
    /// Of which it was made: another key of the same id has another.
    key: Arc<Key>,
    signs: [u8; 32],
}

/// What is still to be seen of the body.
#[derive(Default)]
pub(crate) enum Unread {
    /// Nothing: it was not signed, and said so.
    #[default]
    Nothing,
    /// The signature holds for a body of this hash.
    Hash(String),
    /// The signature holds for the body or it does not.
    Signature(Box<Unsigned>),
}

/// What is signed, without the body's hash.
pub(crate) struct Unsigned {
    canonical: String,
    /// First lines of what is signed.
    head: String,
    signs: [u8; 32],
    given: String,
}

impl Verifier {
    pub(crate) fn new(keys: Arc<dyn Keys>) -> Self {
        Self { keys, derived: Mutex::default() }
    }

    /// The keys, where signatures are verified.
    pub(crate) fn ring(&self) -> Option<Arc<KeyRing>> {
        self.keys.ring()
    }

    /// Whose request it is, as far as can be said before its body is read. `service`: as its scope must name it;
    /// `None`: whatever it names.
    pub(crate) fn check(
        &self,
        ring: &KeyRing,
        parts: &Parts,
        service: Option<&str>,
        now: Timestamp,
    ) -> Result<(Arc<Key>, Unread), Error> {
        let said = Said::read(parts)?;
        said.check_scope(service)?;
        said.check_time(now)?;
        let key = ring.get(&said.key_id).ok_or(Error::UnrecognizedClient)?;
        // Such a token is an environment's, and this is none.
        if said.has_token {
            return Err(Error::UnrecognizedClient);
        }
        self.sign(key, parts, said)
    }

    /// Whether it is signed with the key of the session whose token it has, as far as can be said before its body is read.
    pub(crate) fn check_session(
        &self,
        key: &Arc<Key>,
        parts: &Parts,
        service: Option<&str>,
        now: Timestamp,
    ) -> Result<Unread, Error> {
        let said = Said::read(parts)?;
        said.check_scope(service)?;
        said.check_time(now)?;
        if said.key_id != key.id {
            return Err(Error::UnrecognizedClient);
        }
        self.sign(key, parts, said).map(|(_, unread)| unread)
    }

    /// Signs again.
    fn sign(&self, key: &Arc<Key>, parts: &Parts, said: Said<'_>) -> Result<(Arc<Key>, Unread), Error> {
        let derived = self.derive(key, &said)?;
        let canonical = canonical::request(parts, &said)?;
        let unsigned = Unsigned {
            canonical,
            head: format!("{ALGORITHM}\n{}\n{}\n", said.time, said.scope),
            signs: derived.signs,
            given: said.signature.into_owned(),
        };
        let claimed = parts.headers.get_all(CONTENT_SHA256).iter().collect::<Vec<_>>();
        let claimed = match claimed[..] {
            [] => return Ok((derived.key, Unread::Signature(Box::new(unsigned)))),
            [claimed] => claimed.to_str().unwrap_or_default(),
            _ => return Err(invalid("x-amz-content-sha256 was given more than once.")),
        };
        if claimed.starts_with("STREAMING-") {
            return Err(invalid(&format!(
                "lambkin does not take payloads that are signed in chunks (x-amz-content-sha256: {claimed})."
            )));
        }
        unsigned.check(claimed)?;
        let unread =
            if claimed == UNSIGNED { Unread::Nothing } else { Unread::Hash(claimed.to_ascii_lowercase()) };
        Ok((derived.key, unread))
    }

    fn derive(&self, key: &Arc<Key>, said: &Said<'_>) -> Result<Derived, Error> {
        let name = format!("{}/{}", said.key_id, said.scope);
        let mut derived = self.derived.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = derived.get(&name).filter(|known| Arc::ptr_eq(&known.key, key)) {
            return Ok(known.clone());
        }
        let day = said.moment.0 / 1_000_000;
        let day = SystemTime::UNIX_EPOCH + Duration::from_secs(day);
        let signing = generate_signing_key(&key.secret, day, &said.region, &said.service);
        let signs: [u8; 32] =
            signing.as_ref().try_into().map_err(|_| Error::Service("a signing key is wrong".into()))?;
        let made = Derived { key: Arc::clone(key), signs };
        // A stranger may name any region, of any length.
        if name.len() <= SCOPE {
            if derived.len() >= DERIVED {
                derived.clear();
            }
            derived.insert(name, made.clone());
        }
        Ok(made)
    }
}

impl Unread {
    /// Whether this body is the one that was signed.
    pub(crate) fn check(self, body: &[u8]) -> Result<(), Error> {
        match self {
            Self::Nothing => Ok(()),
            Self::Hash(claimed) => {
                if bool::from(sha256(body).as_bytes().ct_eq(claimed.as_bytes())) {
                    Ok(())
                } else {
                    Err(invalid("The body is not the one that was signed (x-amz-content-sha256)."))
                }
            }
            Self::Signature(unsigned) => unsigned.check(&sha256(body)),
        }
    }
}

impl Unsigned {
    fn check(&self, payload_hash: &str) -> Result<(), Error> {
        let request = format!("{}{payload_hash}", self.canonical);
        let text = format!("{}{}", self.head, sha256(request.as_bytes()));
        let right = calculate_signature(self.signs, text.as_bytes());
        if bool::from(right.as_bytes().ct_eq(self.given.as_bytes())) {
            return Ok(());
        }
        Err(invalid(
            "The request signature we calculated does not match the signature you provided. Check your AWS Secret \
             Access Key and signing method. Consult the service documentation for details.",
        ))
    }
}

fn sha256(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    Sha256::digest(bytes).iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

fn invalid(why: &str) -> Error {
    Error::InvalidSignature(why.into())
}
