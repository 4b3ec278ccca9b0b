//! One statement: what it says of whom, of which actions and of which resources.

use serde_json::Value;

use super::condition::{Condition, texts};
use super::{Context, Kind, Principal, VALUES, glob};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Statement {
    pub(super) sid: Option<String>,
    pub(super) allow: bool,
    principals: Option<Listed<Named>>,
    actions: Option<Listed<String>>,
    resources: Option<Listed<String>>,
    conditions: Vec<Condition>,
}

/// These, or all but these.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Listed<T> {
    items: Vec<T>,
    not: bool,
}

/// A principal as a statement names it.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Named {
    Everyone,
    /// All of an account, as far as its own policies let them.
    Account(String),
    Arn(String),
    Service(String),
}

/// How a statement's principal is the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Meant {
    /// As one of an account: its identity's own policies decide.
    Account,
    Itself,
}

impl Statement {
    pub(super) fn read(value: &Value) -> Result<Self, String> {
        let Value::Object(members) = value else { return Err("A statement is not an object".into()) };
        let mut effect = None;
        let mut statement = Self {
            sid: None,
            allow: false,
            principals: None,
            actions: None,
            resources: None,
            conditions: Vec::new(),
        };
        for (name, value) in members {
            match (name.as_str(), value) {
                ("Sid", Value::String(sid)) => {
                    statement.sid = Some(sid.clone()).filter(|sid| !sid.is_empty());
                }
                ("Effect", Value::String(text)) if matches!(text.as_str(), "Allow" | "Deny") => {
                    effect = Some(text == "Allow");
                }
                ("Principal" | "NotPrincipal", value) if statement.principals.is_none() => {
                    statement.principals =
                        Some(Listed { items: named(value)?, not: name.starts_with("Not") });
                }
                ("Action" | "NotAction", value) if statement.actions.is_none() => {
                    statement.actions = Some(listed(name, value)?);
                }
                ("Resource" | "NotResource", value) if statement.resources.is_none() => {
                    statement.resources = Some(listed(name, value)?);
                }
                ("Condition", value) => statement.conditions = Condition::read_all(value)?,
                _ => return Err(format!("A statement has an invalid element: {name}")),
            }
        }
        statement.allow = effect.ok_or("A statement has no Effect of Allow or Deny")?;
        if statement.actions.is_none() {
            return Err("A statement has no Action".into());
        }
        Ok(statement)
    }

    /// What a document of this kind must have, and must not.
    pub(super) fn check(&self, kind: Kind) -> Result<(), String> {
        let (principal, resource) = (self.principals.is_some(), self.resources.is_some());
        match kind {
            Kind::Resource if !principal => Err("A statement has no Principal".into()),
            Kind::Resource if !resource => Err("A statement has no Resource".into()),
            Kind::Identity if principal => Err("Policy document should not specify a principal.".into()),
            Kind::Identity if !resource => Err("Policy statement must contain resources.".into()),
            Kind::Trust if !principal => Err("A statement has no Principal".into()),
            Kind::Trust if resource => Err("Has prohibited field Resource".into()),
            Kind::Resource | Kind::Identity | Kind::Trust => {
                let actions = self.actions.iter().flat_map(|actions| &actions.items);
                let wrong = actions.into_iter().find(|action| *action != "*" && !action.contains(':'));
                match wrong {
                    Some(wrong) => Err(format!("Actions/Conditions must be prefaced by a vendor: {wrong}")),
                    None => Ok(()),
                }
            }
        }
    }

    /// How it speaks of this request; `None`: not at all. Without a principal it is of whoever has it.
    pub(super) fn speaks(
        &self,
        principal: &Principal<'_>,
        action: &str,
        resource: &str,
        context: &Context,
    ) -> Option<Meant> {
        let meant = match &self.principals {
            None => Some(Meant::Itself),
            Some(listed) => {
                let meant = listed.items.iter().filter_map(|named| named.means(principal)).max();
                if listed.not { meant.is_none().then_some(Meant::Itself) } else { meant }
            }
        }?;
        let acts = |listed: &Listed<String>| {
            listed.items.iter().any(|pattern| glob::matches_ignoring_case(pattern, action)) != listed.not
        };
        let is_of = |listed: &Listed<String>| {
            let fits = |pattern: &String| {
                glob::resolved(pattern, context).is_some_and(|pattern| glob::matches(&pattern, resource))
            };
            listed.items.iter().any(fits) != listed.not
        };
        let speaks = self.actions.as_ref().is_some_and(acts)
            && self.resources.as_ref().is_none_or(is_of)
            && self.conditions.iter().all(|condition| condition.holds(context));
        speaks.then_some(meant)
    }
}

impl Named {
    fn means(&self, principal: &Principal<'_>) -> Option<Meant> {
        match (self, principal) {
            (Self::Everyone, _) => Some(Meant::Itself),
            (Self::Service(named), Principal::Service(service)) if named == service => Some(Meant::Itself),
            (Self::Account(named), Principal::Aws { account, .. }) if named == account => {
                Some(Meant::Account)
            }
            (Self::Arn(named), Principal::Aws { arn, role, .. })
                if named == arn || Some(named.as_str()) == *role =>
            {
                Some(Meant::Itself)
            }
            (Self::Service(_) | Self::Account(_) | Self::Arn(_), _) => None,
        }
    }
}

fn listed(name: &str, value: &Value) -> Result<Listed<String>, String> {
    let items = texts(value).filter(|items| !items.is_empty() && items.len() <= VALUES);
    let items = items.ok_or_else(|| format!("A statement's {name} is not valid"))?;
    Ok(Listed { items, not: name.starts_with("Not") })
}

fn named(value: &Value) -> Result<Vec<Named>, String> {
    let invalid = || "Invalid principal in policy".to_owned();
    match value {
        Value::String(text) if text == "*" => Ok(vec![Named::Everyone]),
        Value::Object(kinds) => {
            let mut all = Vec::new();
            for (kind, names) in kinds {
                let names = texts(names).filter(|names| names.len() <= VALUES).ok_or_else(invalid)?;
                for name in names {
                    all.push(match kind.as_str() {
                        "AWS" if name == "*" => Named::Everyone,
                        "AWS" => {
                            account(&name).map(Named::Account).or_else(|| arn(&name)).ok_or_else(invalid)?
                        }
                        "Service" if name.contains('.') => Named::Service(name),
                        "Federated" | "CanonicalUser" => {
                            return Err(format!("lambkin has no {kind} principals"));
                        }
                        _ => return Err(invalid()),
                    });
                }
            }
            if all.is_empty() { Err(invalid()) } else { Ok(all) }
        }
        _ => Err(invalid()),
    }
}

/// The account that `123456789012` or its root's ARN names.
fn account(name: &str) -> Option<String> {
    let id = match name.split(':').collect::<Vec<_>>()[..] {
        ["arn", partition, "iam", "", id, "root"] if partition.starts_with("aws") => id,
        [id] => id,
        _ => return None,
    };
    (id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit())).then(|| id.to_owned())
}

fn arn(name: &str) -> Option<Named> {
    let parts: Vec<&str> = name.splitn(6, ':').collect();
    let known = matches!(parts[..], ["arn", _, "iam" | "sts", "", _, rest] if rest.contains('/'));
    // IAM takes no patterns here.
    (known && !name.contains(['*', '?'])).then(|| Named::Arn(name.to_owned()))
}
