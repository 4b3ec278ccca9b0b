//! Links under which a plain GET downloads a deployment package, as AWS's `Code.Location` does:
//! nobody can guess one, and it goes stale after ten minutes.
//!
//! A link is its own proof (HMAC-SHA256 over the package and the expiry, keyed at start), so
//! there is no table to keep bounded.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use lambkin_model::code::CodeSha256;
use sha2::{Digest, Sha256};

/// Where links begin.
pub(crate) const PATH: &str = "/_lambkin/code/";
/// AWS's links hold ten minutes.
const SECONDS: u64 = 600;
/// Block size of SHA-256.
const BLOCK: usize = 64;

pub(crate) struct CodeLinks {
    key: [u8; BLOCK],
}

impl CodeLinks {
    /// With a new key: links of an earlier process are stale.
    pub(crate) fn new() -> Self {
        let mut key = [0; BLOCK];
        for part in key.chunks_mut(16) {
            part.copy_from_slice(uuid::Uuid::new_v4().as_bytes());
        }
        Self { key }
    }

    /// The opaque end of a link, given the time in seconds since 1970.
    pub(crate) fn token(&self, sha256: CodeSha256, now: u64) -> String {
        let mut text = Vec::with_capacity(72);
        text.extend_from_slice(&(now + SECONDS).to_be_bytes());
        text.extend_from_slice(&sha256.0);
        let proof = self.proof(&text);
        text.extend_from_slice(&proof);
        URL_SAFE_NO_PAD.encode(text)
    }

    /// The package a token is for, unless it is made up or stale.
    pub(crate) fn read(&self, token: &str, now: u64) -> Option<CodeSha256> {
        let bytes: [u8; 72] = URL_SAFE_NO_PAD.decode(token).ok()?.try_into().ok()?;
        let (text, proof) = bytes.split_at(40);
        // Without a branch on the content: time must not tell how much of a guess was right.
        let differs = self.proof(text).iter().zip(proof).fold(0, |differs, (a, b)| differs | (a ^ b));
        let (expires, sha256) = text.split_at(8);
        let expires = u64::from_be_bytes(expires.try_into().ok()?);
        (differs == 0 && now < expires).then_some(CodeSha256(sha256.try_into().ok()?))
    }

    /// HMAC-SHA256 (RFC 2104).
    fn proof(&self, text: &[u8]) -> [u8; 32] {
        let inner =
            Sha256::new().chain_update(self.key.map(|byte| byte ^ 0x36)).chain_update(text).finalize();
        Sha256::new().chain_update(self.key.map(|byte| byte ^ 0x5c)).chain_update(inner).finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_hmac_sha256() {
        // RFC 4231, test case 2.
        let mut key = [0; BLOCK];
        key[..4].copy_from_slice(b"Jefe");
        let proof = CodeLinks { key }.proof(b"what do ya want for nothing?");
        assert_eq!(
            CodeSha256(proof).hex(),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn holds_ten_minutes_and_cannot_be_changed() {
        let links = CodeLinks::new();
        let sha256 = CodeSha256::of(b"zip");
        let token = links.token(sha256, 1000);
        assert_eq!(links.read(&token, 1599), Some(sha256));
        assert_eq!(links.read(&token, 1600), None);
        for index in 0..token.len() {
            let mut other = token.clone().into_bytes();
            other[index] = if other[index] == b'A' { b'B' } else { b'A' };
            assert_eq!(links.read(&String::from_utf8(other).unwrap(), 1000), None);
        }
        assert_eq!(CodeLinks::new().read(&token, 1000), None);
        assert_eq!(links.read("", 1000), None);
    }
}
