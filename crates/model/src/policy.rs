//! Policies as IAM writes them: one document of statements for what a resource lets others do, and for what
//! an identity may do. Reading one refuses what its evaluation would not understand, so that no statement is
//! kept that does not act.
//!
//! Deliberately not here: where documents are kept, and who is calling.

mod condition;
mod evaluate;
mod glob;
mod permission;
mod statement;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

pub use evaluate::{Access, Context, Decision, Denial, Identity, Principal, authorize, decide};
pub use permission::{Permission, url_access};
use statement::Statement;

/// Most bytes of a resource's policy, as AWS counts them.
pub const RESOURCE_POLICY_BYTES: usize = 20_480;
/// Most bytes of one identity policy's document: IAM's 10,240 characters without white space, with room for it.
pub const IDENTITY_POLICY_BYTES: usize = 32_768;
/// Most statements of one document, and most values of one list in it.
const STATEMENTS: usize = 256;
const VALUES: usize = 1_024;

/// What a document is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A resource: its statements name principals.
    Resource,
    /// An identity: its statements name none.
    Identity,
    /// A role's trust: principals, and no resource.
    Trust,
}

/// A document that was read: its text as it was given, and what it says. Written as its text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Document {
    text: String,
    statements: Vec<Statement>,
}

impl Document {
    /// Reads one, or says what is wrong with it.
    pub fn read(text: &str, kind: Kind) -> Result<Self, String> {
        let document = Self::parse(text)?;
        document.statements.iter().try_for_each(|statement| statement.check(kind))?;
        let mut sids: Vec<&str> =
            document.statements.iter().filter_map(|statement| statement.sid.as_deref()).collect();
        sids.sort_unstable();
        if let Some(twice) = sids.windows(2).find(|pair| pair[0] == pair[1]) {
            return Err(format!("Statement IDs (SID) in a single policy must be unique: {}", twice[0]));
        }
        Ok(document)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let value: serde_json::Value =
            serde_json::from_str(text).map_err(|error| format!("The policy is not JSON: {error}"))?;
        let serde_json::Value::Object(members) = value else {
            return Err("The policy is not a JSON object".into());
        };
        let mut statements = Vec::new();
        for (name, value) in &members {
            match (name.as_str(), value) {
                ("Version", serde_json::Value::String(version))
                    if matches!(version.as_str(), "2012-10-17" | "2008-10-17") => {}
                ("Id", serde_json::Value::String(_)) => {}
                ("Statement", serde_json::Value::Array(all)) if all.len() <= STATEMENTS => {
                    statements = all.iter().map(Statement::read).collect::<Result<_, _>>()?;
                }
                ("Statement", one @ serde_json::Value::Object(_)) => {
                    statements = vec![Statement::read(one)?];
                }
                ("Version" | "Id" | "Statement", _) => {
                    return Err(format!("The policy's {name} is not valid"));
                }
                _ => return Err(format!("The policy has an unknown element: {name}")),
            }
        }
        if statements.is_empty() {
            return Err("The policy has no Statement".into());
        }
        Ok(Self { text: text.to_owned(), statements })
    }

    /// As it was given.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether a statement has this id.
    #[must_use]
    pub fn has(&self, sid: &str) -> bool {
        self.statements.iter().any(|statement| statement.sid.as_deref() == Some(sid))
    }

    /// With a statement more, which is JSON.
    pub fn with(before: Option<&Self>, statement: serde_json::Value) -> Result<Self, String> {
        let mut document = match before {
            Some(before) => before.value(),
            None => serde_json::json!({ "Version": "2012-10-17", "Id": "default", "Statement": [] }),
        };
        match &mut document["Statement"] {
            serde_json::Value::Array(all) => all.push(statement),
            one => *one = serde_json::Value::Array(vec![one.take(), statement]),
        }
        Self::read(&document.to_string(), Kind::Resource)
    }

    /// Without the statement of this id; `None`: no statement is left.
    #[must_use]
    pub fn without(&self, sid: &str) -> Option<Self> {
        let mut document = self.value();
        let serde_json::Value::Array(all) = &mut document["Statement"] else { return None };
        all.retain(|statement| statement["Sid"] != sid);
        // What is left was read before.
        Self::parse(&document.to_string()).ok()
    }

    fn value(&self) -> serde_json::Value {
        serde_json::from_str(&self.text).expect("it was read")
    }
}

impl TryFrom<String> for Document {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::parse(&text)
    }
}

impl From<Document> for String {
    fn from(document: Document) -> Self {
        document.text
    }
}
