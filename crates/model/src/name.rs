//! Names: functions, ARNs, accounts, regions, and how a request names a function.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::Error;

/// The account every resource belongs to where none is configured.
pub const DEFAULT_ACCOUNT: &str = "000000000000";

/// `$LATEST`, the only version that can change.
pub const LATEST: &str = "$LATEST";

/// Which function: account, region and name. Cheap to clone.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct FunctionKey {
    /// Twelve digits.
    pub account: Arc<str>,
    /// `us-east-1`.
    pub region: Arc<str>,
    /// 1 to 64 of `[a-zA-Z0-9-_]`.
    pub name: Arc<str>,
}

impl FunctionKey {
    /// The unqualified ARN.
    #[must_use]
    pub fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:{}:function:{}", self.region, self.account, self.name)
    }

    /// The ARN with a qualifier.
    #[must_use]
    pub fn qualified_arn(&self, qualifier: &str) -> String {
        format!("{}:{qualifier}", self.arn())
    }
}

impl fmt::Display for FunctionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.arn())
    }
}

/// How a request names a function: key and, where given, qualifier.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FunctionReference {
    /// Which function.
    pub key: FunctionKey,
    /// Version or alias, where one was given.
    pub qualifier: Option<String>,
}

impl FunctionReference {
    /// Reads a name, a partial ARN or an ARN, each with an optional `:qualifier`.
    ///
    /// `here` gives the account and the region of the request. The constraints of the service
    /// model (pattern, length) are checked before; what comes in unchecked is refused with the
    /// pattern's own words being `api`'s. A foreign region is 404, a foreign account 403 with an
    /// empty message (aws-behaviour 45).
    pub fn parse(text: &str, qualifier: Option<&str>, account: &str, region: &str) -> Result<Self, Error> {
        let malformed = || Error::InvalidParameterValue(format!("Invalid function name or ARN: {text}"));
        let parts: Vec<&str> = text.split(':').collect();
        let (given_region, given_account, rest): (Option<&str>, Option<&str>, &[&str]) = match parts
            .as_slice()
        {
            ["arn", partition, "lambda", region, account, "function", rest @ ..]
                if partition.starts_with("aws") =>
            {
                (Some(region), Some(account), rest)
            }
            ["arn", ..] => return Err(malformed()),
            // Every leading part of AWS's pattern is optional by itself: region, account, `function`.
            [region, account, "function", rest @ ..] if is_account(account) => {
                (Some(region), Some(account), rest)
            }
            [account, "function", rest @ ..] if is_account(account) => (None, Some(account), rest),
            ["function", rest @ ..] if !rest.is_empty() => (None, None, rest),
            [account, rest @ ..] if is_account(account) && !rest.is_empty() => (None, Some(account), rest),
            rest => (None, None, rest),
        };
        let (name, derived) = match rest {
            [name] => (*name, None),
            [name, derived] => (*name, Some(*derived)),
            _ => return Err(malformed()),
        };
        if !is_function_name(name) || derived.is_some_and(|derived| !is_qualifier(derived)) {
            return Err(malformed());
        }
        if name.len() > 64 {
            // aws-behaviour 43: this code with the validation's words, not `ValidationException`.
            return Err(Error::InvalidParameterValue(format!(
                "1 validation error detected: Value '{name}' at 'functionName' failed to satisfy constraint: \
                 Member must have length less than or equal to 64"
            )));
        }
        if let Some(given) = given_region.filter(|given| *given != region) {
            return Err(Error::ResourceNotFound(format!(
                "Functions from '{given}' are not reachable in this region ('{region}')"
            )));
        }
        if given_account.is_some_and(|given| given != account) {
            return Err(Error::AccessDenied(String::new()));
        }
        if let (Some(derived), Some(qualifier)) = (derived, qualifier)
            && derived != qualifier
        {
            return Err(Error::InvalidParameterValue(
                "The derived qualifier from the function name does not match the specified qualifier.".into(),
            ));
        }
        Ok(Self {
            key: FunctionKey { account: account.into(), region: region.into(), name: name.into() },
            qualifier: qualifier.or(derived).map(str::to_owned),
        })
    }

    /// The ARN as it was invoked: with a qualifier only where one was given (aws-behaviour 20).
    #[must_use]
    pub fn arn(&self) -> String {
        match &self.qualifier {
            Some(qualifier) => self.key.qualified_arn(qualifier),
            None => self.key.arn(),
        }
    }
}

fn is_account(text: &str) -> bool {
    text.len() == 12 && text.bytes().all(|byte| byte.is_ascii_digit())
}

/// The characters of a function's name (its length is checked apart: AWS answers it apart).
#[must_use]
pub fn is_function_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// A version or alias, `$LATEST` among them.
#[must_use]
pub fn is_qualifier(text: &str) -> bool {
    text == LATEST || (text.len() <= 128 && is_function_name(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str, qualifier: Option<&str>) -> Result<String, String> {
        FunctionReference::parse(text, qualifier, DEFAULT_ACCOUNT, "us-east-1")
            .map(|reference| {
                format!("{} {}", reference.key.name, reference.qualifier.as_deref().unwrap_or("-"))
            })
            .map_err(|error| error.to_string())
    }

    #[test]
    fn reads_names_partial_arns_and_arns() {
        for (text, qualifier, expected) in [
            ("f", None, "f -"),
            ("f", Some("$LATEST"), "f $LATEST"),
            ("f:live", None, "f live"),
            ("f:live", Some("live"), "f live"),
            ("function:f", None, "f -"),
            ("000000000000:function:f", None, "f -"),
            ("000000000000:f", None, "f -"),
            ("000000000000:function:f:$LATEST", None, "f $LATEST"),
            ("us-east-1:000000000000:function:f", None, "f -"),
            ("arn:aws:lambda:us-east-1:000000000000:function:f", None, "f -"),
            ("arn:aws:lambda:us-east-1:000000000000:function:f:7", None, "f 7"),
        ] {
            assert_eq!(parse(text, qualifier), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn refuses_what_is_not_here() {
        for (text, qualifier, expected) in [
            (
                "arn:aws:lambda:ap-southeast-1:000000000000:function:f",
                None,
                "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')",
            ),
            ("arn:aws:lambda:us-east-1:111111111111:function:f", None, ""),
            (
                "f:live",
                Some("other"),
                "The derived qualifier from the function name does not match the specified qualifier.",
            ),
            ("arn:aws:s3:::bucket", None, "Invalid function name or ARN: arn:aws:s3:::bucket"),
            ("a b", None, "Invalid function name or ARN: a b"),
        ] {
            assert_eq!(parse(text, qualifier), Err(expected.to_owned()), "{text}");
        }
    }
}
