//! What CloudWatch Logs' operations read of their input.

use std::collections::BTreeMap;

use lambkin_observe::GroupKey;
use lambkin_observe::logs::LogsError;

use crate::api::Call;
use crate::node::Node;

/// An input with the call it came by.
pub(super) struct Input<'i> {
    pub(super) node: &'i Node<'i>,
    pub(super) call: &'i Call<'i>,
}

/// The groups that are asked for.
pub(super) enum Wanted {
    Prefix(String),
    Part(String),
    Names(Vec<String>),
}

impl<'i> Input<'i> {
    pub(super) fn text(&self, name: &str) -> Option<&'i str> {
        self.node.text(name)
    }

    pub(super) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// A member that the model requires: the constraints said so before.
    pub(super) fn need(&self, name: &str) -> Result<&'i str, LogsError> {
        self.text(name).ok_or_else(|| LogsError::InvalidParameter(format!("{name} must not be null")))
    }

    pub(super) fn integer(&self, name: &str) -> Option<i64> {
        self.node.integer(name)
    }

    pub(super) fn count(&self, name: &str) -> Option<usize> {
        self.integer(name).and_then(|count| usize::try_from(count).ok())
    }

    pub(super) fn boolean(&self, name: &str) -> bool {
        self.node.boolean(name)
    }

    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        self.node.list(name).unwrap_or_default()
    }

    pub(super) fn tags(&self, name: &str) -> BTreeMap<String, String> {
        self.node.texts(name).unwrap_or_default()
    }

    /// Refuses members that lambkin would not act on.
    pub(super) fn refuse(&self, members: &[&str], not: &str) -> Result<(), LogsError> {
        let asked = members.iter().find(|name| self.node.get(name).is_some_and(|value| !value.is_neutral()));
        asked.map_or(Ok(()), |name| Err(super::refusal(name, not)))
    }

    /// A group of the caller's account and region.
    pub(super) fn key(&self, name: &str) -> Result<GroupKey, LogsError> {
        Ok(self.key_of(self.need(name)?))
    }

    fn key_of(&self, name: &str) -> GroupKey {
        GroupKey { account: self.call.account.into(), region: (&*self.call.region).into(), name: name.into() }
    }

    /// A group by its name or ARN.
    pub(super) fn identified(&self, name: &str) -> Result<GroupKey, LogsError> {
        self.key_or_arn(self.need(name)?)
    }

    pub(super) fn key_or_arn(&self, given: &str) -> Result<GroupKey, LogsError> {
        if given.starts_with("arn:") { self.key_of_arn(given) } else { Ok(self.key_of(given)) }
    }

    /// A group by its ARN.
    pub(super) fn arn(&self, name: &str) -> Result<GroupKey, LogsError> {
        self.key_of_arn(self.need(name)?)
    }

    fn key_of_arn(&self, arn: &str) -> Result<GroupKey, LogsError> {
        let parts: Vec<&str> = arn.splitn(7, ':').collect();
        let ["arn", _, "logs", region, account, "log-group", name] = parts[..] else {
            return Err(LogsError::InvalidParameter(format!("{arn} is not the ARN of a log group.")));
        };
        if account != self.call.account {
            return Err(LogsError::GroupNotFound);
        }
        let name = name.strip_suffix(":*").unwrap_or(name);
        Ok(GroupKey { account: account.into(), region: region.into(), name: name.into() })
    }

    /// The group that an operation is about, by the one or the other member.
    pub(super) fn group(&self) -> Result<GroupKey, LogsError> {
        match (self.text("logGroupName"), self.text("logGroupIdentifier")) {
            (Some(name), None) => Ok(self.key_of(name)),
            (None, Some(given)) => self.key_or_arn(given),
            (Some(_), Some(_)) => Err(LogsError::InvalidParameter(
                "LogGroup name and LogGroup ARN are mutually exclusive parameters.".into(),
            )),
            (None, None) => {
                Err(LogsError::InvalidParameter("Must specify logGroupName or logGroupIdentifier.".into()))
            }
        }
    }

    pub(super) fn groups(&self) -> Result<Wanted, LogsError> {
        let identifiers = self.texts("logGroupIdentifiers");
        match (self.owned("logGroupNamePrefix"), self.owned("logGroupNamePattern")) {
            (Some(_), Some(_)) => Err(LogsError::InvalidParameter(
                "LogGroup name prefix and LogGroup name pattern are mutually exclusive parameters.".into(),
            )),
            (Some(prefix), None) => Ok(Wanted::Prefix(prefix)),
            (None, Some(part)) => Ok(Wanted::Part(part)),
            (None, None) if identifiers.is_empty() => Ok(Wanted::Prefix(String::new())),
            (None, None) => {
                let keys = identifiers.iter().map(|given| Ok(self.key_or_arn(given)?.name.to_string()));
                keys.collect::<Result<_, LogsError>>().map(Wanted::Names)
            }
        }
    }
}
