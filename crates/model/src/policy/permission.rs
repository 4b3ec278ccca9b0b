//! AddPermission's statement, as recorded from AWS (aws-behaviour 67), and what a function URL asks of a
//! function's policy.

use serde_json::{Map, Value, json};

use super::{Access, Context, Denial, Document, Identity, Principal, authorize};
use crate::Error;

/// What AddPermission is given.
#[derive(Debug, Clone, Copy, Default)]
pub struct Permission<'a> {
    /// `StatementId`.
    pub sid: &'a str,
    /// `lambda:InvokeFunction`.
    pub action: &'a str,
    /// A service, an account, an ARN or `*`.
    pub principal: &'a str,
    /// `SourceArn`.
    pub source_arn: Option<&'a str>,
    /// `SourceAccount`.
    pub source_account: Option<&'a str>,
    /// `EventSourceToken`.
    pub event_source_token: Option<&'a str>,
    /// `PrincipalOrgID`.
    pub organization: Option<&'a str>,
    /// `FunctionUrlAuthType`.
    pub url_auth_type: Option<&'a str>,
    /// `InvokedViaFunctionUrl`.
    pub via_url: Option<bool>,
}

impl Permission<'_> {
    /// The statement that allows it on this resource.
    pub fn statement(&self, resource: &str) -> Result<Value, Error> {
        let refused = |text: &str| Err(Error::InvalidParameterValue(text.into()));
        if self.url_auth_type.is_some()
            && !matches!(self.action, "lambda:InvokeFunctionUrl" | "lambda:*" | "*")
        {
            return refused("FunctionUrlAuthType is only supported for lambda:InvokeFunctionUrl action");
        }
        if self.via_url.is_some() && !matches!(self.action, "lambda:InvokeFunction" | "lambda:*" | "*") {
            return refused("InvokedViaFunctionUrl is only supported for lambda:InvokeFunction action");
        }
        let principal = match self.principal {
            "*" => json!("*"),
            id if id.len() == 12 && id.bytes().all(|byte| byte.is_ascii_digit()) => {
                json!({ "AWS": format!("arn:aws:iam::{id}:root") })
            }
            arn if arn.starts_with("arn:") => json!({ "AWS": arn }),
            service if service.contains('.') => json!({ "Service": service }),
            _ => {
                return refused(
                    "The provided principal was invalid. Please check the principal and try again.",
                );
            }
        };
        let mut equal = Map::new();
        let mut equals = |key: &str, value: Option<&str>| {
            if let Some(value) = value {
                equal.insert(key.into(), json!(value));
            }
        };
        equals("AWS:SourceAccount", self.source_account);
        equals("lambda:EventSourceToken", self.event_source_token);
        equals("aws:PrincipalOrgID", self.organization);
        equals("lambda:FunctionUrlAuthType", self.url_auth_type);
        let mut conditions = Map::new();
        if !equal.is_empty() {
            conditions.insert("StringEquals".into(), Value::Object(equal));
        }
        if let Some(via_url) = self.via_url {
            conditions.insert("Bool".into(), json!({ "lambda:InvokedViaFunctionUrl": via_url.to_string() }));
        }
        if let Some(arn) = self.source_arn {
            conditions.insert("ArnLike".into(), json!({ "AWS:SourceArn": arn }));
        }
        let mut statement = json!({
            "Sid": self.sid,
            "Effect": "Allow",
            "Principal": principal,
            "Action": self.action,
            "Resource": resource,
        });
        if !conditions.is_empty() {
            statement["Condition"] = Value::Object(conditions);
        }
        Ok(statement)
    }
}

/// Whether this caller may call a function by its URL: as on AWS since October 2025 that needs
/// `lambda:InvokeFunctionUrl` and `lambda:InvokeFunction`. `resource` is the function's ARN, with its qualifier
/// where the URL has one, `auth_type` the URL's (`NONE`, `AWS_IAM`), `context` what else is known.
pub fn url_access(
    principal: Principal<'_>,
    identity: Identity<'_>,
    policy: Option<&Document>,
    resource: &str,
    owner: &str,
    auth_type: &str,
    context: Context,
) -> Result<(), Denial> {
    let context = context
        .with("lambda:FunctionUrlAuthType", auth_type)
        .with("lambda:InvokedViaFunctionUrl", "true")
        .with("lambda:FunctionArn", resource);
    ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"].into_iter().try_for_each(|action| {
        authorize(&Access { principal, identity, action, resource, owner, policy, context: &context })
    })
}
