//! Layers: what a version of one is, how it is named, and how a function refers to it.
//!
//! A layer's record holds the last number that was given, so that none is given twice; each version is a record of its
//! own. A function holds the content's hash beside the ARN: what it uses stays, whatever becomes of the version.
//!
//! Deliberately not here: who writes the records (`control`), and where contents are kept (`code`).

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::catalog::ResourcePolicy;
use crate::code::{Code, CodeSha256};
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;

/// A layer that a function uses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UsedLayer {
    /// Its version's ARN, as it was given.
    pub arn: String,
    /// Its content.
    pub code: Code,
}

/// What the code store keeps for these layers together: later ones cover earlier ones. `None`: there are no layers.
#[must_use]
pub fn stack(layers: &[UsedLayer]) -> Option<CodeSha256> {
    let contents: Vec<CodeSha256> = layers.iter().map(|layer| layer.code.sha256).collect();
    CodeSha256::of_stack(&contents)
}

/// A layer, with or without versions.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Layer {
    /// Account, region and name.
    pub key: ResourceKey,
    /// The last version's number, there or deleted.
    pub last_version: u64,
}

impl Record for Layer {
    const KIND: &'static str = "layer";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

/// A published version of a layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerVersion {
    /// See [`LayerVersionName::record_key`].
    pub key: ResourceKey,
    /// Which it is.
    pub name: LayerVersionName,
    /// The content: a zip file.
    pub code: Code,
    /// Free text, at most 256 characters.
    pub description: String,
    /// When it was published.
    pub created: Timestamp,
    /// Runtimes that it says it is for; lists are filtered by them and nothing else is.
    pub compatible_runtimes: Vec<String>,
    /// Architectures, likewise.
    pub compatible_architectures: Vec<String>,
    /// Of its software.
    pub license_info: Option<String>,
    /// Who may use it.
    pub policy: Option<ResourcePolicy>,
}

impl Record for LayerVersion {
    const KIND: &'static str = "layer-version";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

/// What a list of layers is filtered by.
#[derive(Debug, Clone, Default)]
pub struct LayerFilter {
    /// `nodejs22.x`.
    pub runtime: Option<String>,
    /// `x86_64`.
    pub architecture: Option<String>,
}

impl LayerVersion {
    /// Whether it says that it is for these.
    #[must_use]
    pub fn fits(&self, filter: &LayerFilter) -> bool {
        let fits =
            |asked: &Option<String>, said: &[String]| asked.as_ref().is_none_or(|asked| said.contains(asked));
        fits(&filter.runtime, &self.compatible_runtimes)
            && fits(&filter.architecture, &self.compatible_architectures)
    }
}

/// Which layer, and which version of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerVersionName {
    /// The layer.
    pub layer: ResourceKey,
    /// Counted from 1.
    pub version: u64,
}

/// Sorts before whatever a layer's name may have, so that a layer's versions follow each other.
const SEPARATOR: char = '!';

impl LayerVersionName {
    /// Of an ARN: `arn:aws:lambda:us-east-1:000000000000:layer:name:1`.
    #[must_use]
    pub fn parse(arn: &str) -> Option<Self> {
        let (layer, version) = arn.rsplit_once(':')?;
        let version = version.bytes().all(|byte| byte.is_ascii_digit()).then(|| version.parse().ok())??;
        Some(Self { layer: parse_arn(layer)?, version })
    }

    /// The key of its record: a layer's newest version comes first.
    #[must_use]
    pub fn record_key(&self) -> ResourceKey {
        let ResourceKey { account, region, name } = &self.layer;
        let name = format!("{name}{SEPARATOR}{:020}", u64::MAX - self.version);
        ResourceKey { account: Arc::clone(account), region: Arc::clone(region), name: name.into() }
    }

    /// The name after which the layer's versions older than this one come; `None`: all of them.
    #[must_use]
    pub fn older_than(layer: &ResourceKey, version: Option<u64>) -> Arc<str> {
        match version {
            Some(version) => Self { layer: layer.clone(), version }.record_key().name,
            None => format!("{}{SEPARATOR}", layer.name).into(),
        }
    }
}

impl fmt::Display for LayerVersionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", arn(&self.layer), self.version)
    }
}

/// A layer's ARN.
#[must_use]
pub fn arn(layer: &ResourceKey) -> String {
    format!("arn:aws:lambda:{}:{}:layer:{}", layer.region, layer.account, layer.name)
}

/// The layer of an ARN.
#[must_use]
pub fn parse_arn(arn: &str) -> Option<ResourceKey> {
    let parts: Vec<&str> = arn.split(':').collect();
    let ["arn", _, "lambda", region, account, "layer", name] = parts[..] else { return None };
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let named = !name.is_empty() && name.bytes().all(plain) && region.bytes().all(plain);
    let account = Some(account).filter(|account| account.bytes().all(|byte| byte.is_ascii_digit()))?;
    named.then(|| ResourceKey { account: account.into(), region: region.into(), name: name.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_arns() {
        let arn = "arn:aws:lambda:eu-west-1:000000000000:layer:a_B-1";
        for (text, expected) in [
            (format!("{arn}:7"), Some(7)),
            (format!("{arn}:0"), Some(0)),
            (arn.to_owned(), None),
            (format!("{arn}:"), None),
            (format!("{arn}:+1"), None),
            (format!("{arn}:99999999999999999999"), None),
            (format!("{arn}:x"), None),
            (arn.replace("layer", "function"), None),
            (arn.replace("a_B-1", "a/b:1"), None),
            (arn.replace("a_B-1", ":1"), None),
        ] {
            let name = LayerVersionName::parse(&text);
            assert_eq!(name.as_ref().map(|name| name.version), expected, "{text}");
            if let Some(name) = name {
                assert_eq!(name.to_string(), text);
            }
        }
    }

    #[test]
    fn the_newest_comes_first_and_layers_do_not_mix() {
        let layer = |name: &str| ResourceKey { account: "1".into(), region: "r".into(), name: name.into() };
        let key = |name: &str, version| LayerVersionName { layer: layer(name), version }.record_key();
        let sorted = [key("a", 12), key("a", 9), key("a", 1), key("a-b", 1), key("aa", 3), key("b", 1)];
        assert!(sorted.is_sorted(), "{sorted:?}");
        assert!(*LayerVersionName::older_than(&layer("a"), None) < *sorted[0].name);
        assert_eq!(LayerVersionName::older_than(&layer("a"), Some(9)), sorted[1].name);
    }
}
