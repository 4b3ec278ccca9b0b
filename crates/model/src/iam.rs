//! IAM's roles and customer managed policies: what is kept of them, how they are named, and how many there may be.
//!
//! A role's policies bound what its functions ask of lambkin. One that goes while functions still have it leaves a mark, so that they may do
//! nothing from then on instead of everything.
//!
//! Deliberately not here: what policies say (`policy`), and who changes them (`control`).

mod aws_managed;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use aws_managed::aws_managed;

use crate::policy::{Document, Kind};
use crate::record::{Record, ResourceKey};
use crate::time::Timestamp;

/// IAM has no regions; this stands where a key has one.
const REGION: &str = "aws-global";
/// Roles of an account.
pub const ROLES: usize = 1_000;
/// Customer managed policies of an account.
pub const POLICIES: usize = 1_500;
/// Managed policies of a role.
pub const POLICIES_PER_ROLE: usize = 10;
/// Versions of a managed policy.
pub const VERSIONS: usize = 5;
/// Tags of a role or a policy.
pub const TAGS: usize = 50;
/// Characters of a trust policy, without white space.
const TRUST: usize = 2_048;
/// Characters of all inline policies of a role together, without white space.
const INLINE: usize = 10_240;
/// Characters of a version of a managed policy, without white space.
const MANAGED: usize = 6_144;

/// What IAM refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum IamError {
    /// There is no such role, policy or version.
    #[error("{0}")]
    NoSuchEntity(String),
    /// There is one of that name.
    #[error("{0}")]
    EntityAlreadyExists(String),
    /// Something hangs on it.
    #[error("{0}")]
    DeleteConflict(String),
    /// It is no policy, or none that lambkin would follow.
    #[error("{0}")]
    MalformedPolicyDocument(String),
    /// One too many, or too long.
    #[error("{0}")]
    LimitExceeded(String),
    /// A parameter cannot be what it is.
    #[error("{0}")]
    InvalidInput(String),
    /// A constraint of the service model.
    #[error("{0}")]
    Validation(String),
    /// An operation that lambkin does not do.
    #[error("lambkin does not do IAM's {0}.")]
    UnsupportedOperation(String),
    /// The store failed.
    #[error("{0}")]
    Failure(String),
}

/// A role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// See [`key`].
    pub key: ResourceKey,
    /// `AROA` and seventeen more.
    pub id: String,
    /// As it was given.
    pub name: String,
    /// `/`, or more with a slash at both ends.
    pub path: String,
    /// Who may assume it.
    pub trust: Document,
    /// Free text.
    pub description: Option<String>,
    /// Seconds; 3,600 to 43,200. Nobody assumes roles here but functions, whose sessions last as long as they do.
    pub max_session: i64,
    /// By name.
    pub tags: BTreeMap<String, String>,
    /// Policies of its own, by name.
    pub inline: BTreeMap<String, Document>,
    /// Managed policies, in the order of attaching.
    pub attached: Vec<Attached>,
    /// When it was created.
    pub created: Timestamp,
    /// It is gone, but functions had it then.
    pub deleted: bool,
}

/// A managed policy of a role.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attached {
    /// Its ARN.
    pub arn: String,
    /// Its id, which another of the same name has not; `None`: it is AWS's.
    pub id: Option<String>,
}

impl Record for Role {
    const KIND: &'static str = "role";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl Role {
    /// `arn:aws:iam::000000000000:role/path/name`.
    #[must_use]
    pub fn arn(&self) -> String {
        arn(&self.key.account, "role", &self.path, &self.name)
    }
}

/// A customer managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManagedPolicy {
    /// See [`key`].
    pub key: ResourceKey,
    /// `ANPA` and seventeen more.
    pub id: String,
    /// As it was given.
    pub name: String,
    /// `/`, or more with a slash at both ends.
    pub path: String,
    /// Free text.
    pub description: Option<String>,
    /// By name.
    pub tags: BTreeMap<String, String>,
    /// At least one and at most [`VERSIONS`], the oldest first.
    pub versions: Vec<PolicyVersion>,
    /// The number of the version that counts.
    pub default: u32,
    /// The number that was given last.
    pub last: u32,
    /// When it was created.
    pub created: Timestamp,
    /// When its newest version was, or another was made the default.
    pub updated: Timestamp,
}

/// A version of a managed policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyVersion {
    /// Counted from 1: `v1`.
    pub number: u32,
    /// What it says.
    pub document: Document,
    /// When it was created.
    pub created: Timestamp,
}

impl Record for ManagedPolicy {
    const KIND: &'static str = "managed-policy";
    const FORMAT: u32 = 1;

    fn key(&self) -> &ResourceKey {
        &self.key
    }
}

impl ManagedPolicy {
    /// `arn:aws:iam::000000000000:policy/path/name`.
    #[must_use]
    pub fn arn(&self) -> String {
        arn(&self.key.account, "policy", &self.path, &self.name)
    }

    /// What counts.
    #[must_use]
    pub fn document(&self) -> Option<&Document> {
        self.version(self.default).map(|version| &version.document)
    }

    /// One of its versions.
    #[must_use]
    pub fn version(&self, number: u32) -> Option<&PolicyVersion> {
        self.versions.iter().find(|version| version.number == number)
    }
}

/// The ARN of a role or a policy.
#[must_use]
pub fn arn(account: &str, kind: &str, path: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:{kind}{path}{name}")
}

/// The key of a role or a policy: names that differ in case alone are the same to IAM.
#[must_use]
pub fn key(account: &str, name: &str) -> ResourceKey {
    ResourceKey { account: account.into(), region: REGION.into(), name: name.to_ascii_lowercase().into() }
}

/// The key that an ARN of this kind (`role`, `policy`) says; `None`: it is none.
#[must_use]
pub fn key_of_arn(given: &str, kind: &str) -> Option<ResourceKey> {
    let mut parts = given.splitn(6, ':').skip(1);
    let (_, service, region) = (parts.next()?, parts.next()?, parts.next()?);
    let (account, resource) = (parts.next()?, parts.next()?);
    let (own, name) = resource.split_once('/')?;
    let name = name.rsplit('/').next().filter(|name| !name.is_empty())?;
    (service == "iam" && region.is_empty() && own == kind).then(|| key(account, name))
}

/// A new id, like IAM's: what it begins with, and what a random UUID says.
#[must_use]
pub fn id(kind: &str, uuid: &str) -> String {
    const DIGITS: &[u8; 32] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";
    let random = uuid.bytes().filter_map(|digit| char::from(digit).to_digit(16));
    let random = random.fold(0_u128, |sum, digit| (sum << 4) | u128::from(digit));
    let digit = |place: u32| char::from(DIGITS[usize::try_from((random >> (5 * place)) & 31).unwrap_or(0)]);
    kind.chars().chain((0..17).map(digit)).collect()
}

/// Reads who may assume a role.
pub fn trust(text: &str) -> Result<Document, IamError> {
    if length(text) > TRUST {
        return Err(IamError::LimitExceeded(format!("Cannot exceed quota for ACLSizePerRole: {TRUST}")));
    }
    Document::read(text, Kind::Trust).map_err(IamError::MalformedPolicyDocument)
}

/// Reads a version of a managed policy.
pub fn managed(text: &str) -> Result<Document, IamError> {
    if length(text) > MANAGED {
        return Err(IamError::LimitExceeded(format!("Cannot exceed quota for PolicySize: {MANAGED}")));
    }
    Document::read(text, Kind::Identity).map_err(IamError::MalformedPolicyDocument)
}

/// Reads an inline policy.
pub fn inline(text: &str) -> Result<Document, IamError> {
    Document::read(text, Kind::Identity).map_err(IamError::MalformedPolicyDocument)
}

/// Whether a role's inline policies are not too long together.
pub fn check_inline(role: &Role) -> Result<(), IamError> {
    if role.inline.values().map(|document| length(document.text())).sum::<usize>() > INLINE {
        return Err(IamError::LimitExceeded(format!(
            "Maximum policy size of {INLINE} bytes exceeded for role {}",
            role.name
        )));
    }
    Ok(())
}

/// Adds tags, or changes their values; the names of IAM's tags are the same in any case.
pub fn tag(tags: &mut BTreeMap<String, String>, more: &[(String, String)]) -> Result<(), IamError> {
    for (index, (name, value)) in more.iter().enumerate() {
        if more[..index].iter().any(|(other, _)| other.eq_ignore_ascii_case(name)) {
            return Err(IamError::InvalidInput(
                "Duplicate tag keys found. Please note that Tag keys are case insensitive.".into(),
            ));
        }
        tags.retain(|other, _| !other.eq_ignore_ascii_case(name));
        tags.insert(name.clone(), value.clone());
    }
    if tags.len() > TAGS {
        return Err(IamError::LimitExceeded(format!(
            "The number of tags has reached the maximum limit. {TAGS}"
        )));
    }
    Ok(())
}

/// As IAM counts.
fn length(text: &str) -> usize {
    text.chars().filter(|character| !character.is_whitespace()).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        assert_eq!(
            key_of_arn("arn:aws:iam::000000000000:role/a/b/Name", "role"),
            Some(key("000000000000", "name"))
        );
        for other in
            ["arn:aws:iam::000000000000:policy/x", "arn:aws:iam::0:role/", "arn:aws:sts::0:role/x", "x"]
        {
            assert_eq!(key_of_arn(other, "role"), None, "{other}");
        }
        let made = id("AROA", "0123abcd-89ef-4abc-8def-0123456789ab");
        assert!(
            made.len() == 21 && made.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit())
        );
        assert_ne!(made, id("AROA", "0123abcd-89ef-4abc-8def-0123456789ac"));
    }

    #[test]
    fn documents_and_tags_are_bounded() {
        let identity = |actions: usize| {
            let actions: Vec<String> = (0..actions).map(|index| format!("sqs:A{index:0>50}")).collect();
            serde_json::json!({ "Statement": { "Effect": "Allow", "Action": actions, "Resource": "*" } })
                .to_string()
        };
        let spaced = identity(50) + &" ".repeat(MANAGED);
        assert!(managed(&spaced).is_ok(), "white space does not count");
        assert!(matches!(managed(&identity(120)), Err(IamError::LimitExceeded(_))));
        assert!(matches!(managed("{}"), Err(IamError::MalformedPolicyDocument(_))));
        assert!(matches!(trust(&" x".repeat(2_049)), Err(IamError::LimitExceeded(_))));
        let mut tags = BTreeMap::new();
        let of = |name: &str| vec![(name.to_owned(), "v".to_owned())];
        tag(&mut tags, &of("Key")).unwrap();
        tag(&mut tags, &of("key")).unwrap();
        assert_eq!(tags.keys().collect::<Vec<_>>(), ["key"]);
        assert!(tag(&mut tags, &[of("a"), of("A")].concat()).is_err());
        let many: Vec<(String, String)> = (0..TAGS).map(|index| (index.to_string(), String::new())).collect();
        assert!(matches!(tag(&mut tags, &many), Err(IamError::LimitExceeded(_))));
    }
}
