//! ARNs of topics and subscriptions, and what SNS says of others.
//!
//! Deliberately not here: ARNs of what is subscribed ([`super::subscription`]).

use std::sync::Arc;

use super::SnsError;
use crate::record::ResourceKey;

/// An ARN's parts; the last may have colons. `parameter` is the one that it came in.
pub fn parse_arn<'a>(parameter: &str, arn: &'a str) -> Result<[&'a str; 6], SnsError> {
    let parts: Vec<&str> = arn.splitn(6, ':').collect();
    parts.try_into().map_err(|_| {
        let count = arn.split(':').count();
        SnsError::parameter(format!("{parameter} Reason: An ARN must have at least 6 elements, not {count}"))
    })
}

/// The topic that an ARN of this region names.
pub fn topic_key(parameter: &str, arn: &str, region: &str) -> Result<ResourceKey, SnsError> {
    let key = key(parameter, arn, region)?;
    if key.name.contains(':') { Err(SnsError::parameter(parameter)) } else { Ok(key) }
}

/// The subscription that an ARN of this region names: its name is the topic's, a colon and a UUID.
pub fn subscription_key(arn: &str, region: &str) -> Result<ResourceKey, SnsError> {
    let parameter = "SubscriptionArn";
    let key = key(parameter, arn, region)?;
    if key.name.split(':').count() == 2 { Ok(key) } else { Err(SnsError::parameter(parameter)) }
}

fn key(parameter: &str, arn: &str, of: &str) -> Result<ResourceKey, SnsError> {
    let parts = parse_arn(parameter, arn)?;
    let ["arn", partition, "sns", region, account, name] = parts else {
        return Err(SnsError::parameter(parameter));
    };
    // SNS serves no other region's topics.
    let fine = partition.starts_with("aws")
        && region == of
        && account.len() == 12
        && account.bytes().all(|byte| byte.is_ascii_digit())
        && !name.is_empty()
        && !name.contains('/');
    if !fine {
        return Err(SnsError::parameter(parameter));
    }
    Ok(ResourceKey { account: Arc::from(account), region: Arc::from(region), name: Arc::from(name) })
}
