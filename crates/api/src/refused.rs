//! Settings that lambkin does not act on yet: a request that asks for one is refused, so that no
//! setting is ever stored and not done (DESIGN §3). Values that ask for nothing are accepted.
//!
//! When a later piece of lambkin acts on a setting, its line goes from here. A test holds that
//! every member of the service model is either acted on or stands here.

use lambkin_model::Error;

use crate::node::Node;

/// Which values ask for nothing, besides `null`, `false`, `""`, `[]`, `{}` and structures of these.
enum Neutral {
    Empty,
    Text(&'static str),
}

struct Refused {
    /// Path of the member.
    member: &'static [&'static str],
    neutral: Neutral,
    /// Completes `lambkin does not …`.
    not: &'static str,
}

const fn refused(member: &'static [&'static str], neutral: Neutral, not: &'static str) -> Refused {
    Refused { member, neutral, not }
}

/// For CreateFunction, UpdateFunctionCode, UpdateFunctionConfiguration, PublishVersion and PublishLayerVersion alike: a
/// member has one meaning in all of them.
const REFUSED: [Refused; 20] = [
    refused(&["VpcConfig"], Neutral::Empty, "attach functions to a VPC yet"),
    refused(&["FileSystemConfigs"], Neutral::Empty, "mount file systems"),
    refused(&["KMSKeyArn"], Neutral::Empty, "encrypt environment variables with KMS keys"),
    refused(&["SnapStart", "ApplyOn"], Neutral::Text("None"), "have SnapStart"),
    refused(&["ImageConfig"], Neutral::Empty, "run container images"),
    refused(&["PackageType"], Neutral::Text("Zip"), "run container images"),
    refused(&["Code", "ImageUri"], Neutral::Empty, "run container images"),
    refused(&["Code", "S3ObjectStorageMode"], Neutral::Text("COPY"), "leave code in its bucket"),
    refused(&["Code", "SourceKMSKeyArn"], Neutral::Empty, "encrypt code with KMS keys"),
    refused(&["ImageUri"], Neutral::Empty, "run container images"),
    refused(&["Content", "S3ObjectStorageMode"], Neutral::Text("COPY"), "leave code in its bucket"),
    refused(&["S3ObjectStorageMode"], Neutral::Text("COPY"), "leave code in its bucket"),
    refused(&["SourceKMSKeyArn"], Neutral::Empty, "encrypt code with KMS keys"),
    refused(&["CodeSigningConfigArn"], Neutral::Empty, "check code signatures"),
    refused(&["PublishTo"], Neutral::Empty, "publish to capacity providers"),
    refused(&["CapacityProviderConfig"], Neutral::Empty, "have capacity providers"),
    refused(&["DurableConfig"], Neutral::Empty, "have durable functions"),
    refused(&["TenancyConfig"], Neutral::Empty, "isolate tenants"),
    refused(&["RuntimeConfig"], Neutral::Empty, "have custom runtimes"),
    refused(&["AcceleratorConfig"], Neutral::Empty, "have accelerators"),
];

/// Refuses an input that asks for what lambkin does not do. The first member decides.
pub(crate) fn check(input: &Node<'_>) -> Result<(), Error> {
    check_all(&REFUSED, input)
}

fn check_all(table: &[Refused], input: &Node<'_>) -> Result<(), Error> {
    for Refused { member, neutral, not } in table {
        let value = member.iter().try_fold(input, |node, name| node.get(name));
        let asks = value.is_some_and(|value| match (neutral, value) {
            (Neutral::Text(neutral), Node::Text(text)) => text != neutral,
            (Neutral::Empty | Neutral::Text(_), value) => !value.is_neutral(),
        });
        if asks {
            return Err(refusal(not, &member.join(".")));
        }
    }
    Ok(())
}

/// Members of an event source mapping's requests that are of streams and of Kafka; the words are AWS's.
const NOT_FOR_QUEUES: [&str; 14] = [
    "StartingPosition",
    "StartingPositionTimestamp",
    "ParallelizationFactor",
    "BisectBatchOnFunctionError",
    "MaximumRecordAgeInSeconds",
    "MaximumRetryAttempts",
    "TumblingWindowInSeconds",
    "Topics",
    "Queues",
    "SourceAccessConfigurations",
    "AmazonManagedKafkaEventSourceConfig",
    "SelfManagedKafkaEventSourceConfig",
    "DocumentDBEventSourceConfig",
    "DestinationConfig",
];

/// And those that a queue's mapping may have.
const REFUSED_OF_MAPPINGS: [Refused; 3] = [
    refused(&["KMSKeyArn"], Neutral::Empty, "encrypt filter criteria with KMS keys"),
    refused(&["LoggingConfig"], Neutral::Empty, "write logs of event source mappings"),
    refused(&["ProvisionedPollerConfig"], Neutral::Empty, "provision pollers"),
];

/// Refuses a mapping of a queue that asks for what is not for queues, or what lambkin does not do.
pub(crate) fn check_mapping(input: &Node<'_>) -> Result<(), Error> {
    for member in NOT_FOR_QUEUES {
        if input.get(member).is_some_and(|value| !value.is_neutral()) {
            return Err(Error::InvalidParameterValue(format!(
                "{member} is not valid for SQS event sources."
            )));
        }
    }
    check_all(&REFUSED_OF_MAPPINGS, input)
}

/// The refusal's words, for members that are refused elsewhere too.
pub(crate) fn refusal(not: &str, member: &str) -> Error {
    Error::InvalidParameterValue(format!("lambkin does not {not} ({member})."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service_model::{Kind, MODEL};

    #[test]
    fn neutral_values_pass_and_others_do_not() {
        for (json, expected) in [
            ("{}", ""),
            (
                r#"{"VpcConfig":{"SubnetIds":[],"SecurityGroupIds":[]},"Layers":[],"DeadLetterConfig":{"TargetArn":""}}"#,
                "",
            ),
            (
                r#"{"TracingConfig":{"Mode":"PassThrough"},"SnapStart":{"ApplyOn":"None"},"PackageType":"Zip"}"#,
                "",
            ),
            (r#"{"Publish":false,"KMSKeyArn":"","FileSystemConfigs":[]}"#, ""),
            (
                r#"{"VpcConfig":{"SubnetIds":["subnet-1"]}}"#,
                "lambkin does not attach functions to a VPC yet (VpcConfig).",
            ),
            (r#"{"TracingConfig":{"Mode":"Active"}}"#, ""),
            (
                r#"{"SnapStart":{"ApplyOn":"PublishedVersions"}}"#,
                "lambkin does not have SnapStart (SnapStart.ApplyOn).",
            ),
            (r#"{"Publish":true}"#, ""),
            (
                r#"{"PublishTo":"LATEST_PUBLISHED"}"#,
                "lambkin does not publish to capacity providers (PublishTo).",
            ),
            (
                r#"{"Code":{"S3ObjectStorageMode":"REFERENCE"}}"#,
                "lambkin does not leave code in its bucket (Code.S3ObjectStorageMode).",
            ),
            (
                r#"{"Code":{"S3Bucket":"b","S3Key":"k","S3ObjectVersion":"v","S3ObjectStorageMode":"COPY"}}"#,
                "",
            ),
            (r#"{"PackageType":"Image"}"#, "lambkin does not run container images (PackageType)."),
        ] {
            let said = check(&Node::read(json.as_bytes()).unwrap()).err().map(|error| error.to_string());
            assert_eq!(said.unwrap_or_default(), expected, "{json}");
        }
    }

    #[test]
    fn every_member_is_acted_on_or_refused() {
        const ACTED_ON: [&str; 36] = [
            "FunctionName",
            "Runtime",
            "Role",
            "Handler",
            "Code.ZipFile",
            "ZipFile",
            "Description",
            "Timeout",
            "MemorySize",
            "EphemeralStorage",
            "Environment",
            "Tags",
            "Architectures",
            "LoggingConfig",
            "TracingConfig.Mode",
            "DeadLetterConfig",
            "DryRun",
            "RevisionId",
            "Qualifier",
            "Publish",
            "CodeSha256",
            "Layers",
            "LayerName",
            "Content.ZipFile",
            "Content.S3Bucket",
            "Content.S3Key",
            "Content.S3ObjectVersion",
            "Code.S3Bucket",
            "Code.S3Key",
            "Code.S3ObjectVersion",
            "S3Bucket",
            "S3Key",
            "S3ObjectVersion",
            "CompatibleRuntimes",
            "CompatibleArchitectures",
            "LicenseInfo",
        ];
        let known = |path: &str| {
            ACTED_ON.contains(&path) || REFUSED.iter().any(|refused| refused.member.join(".") == path)
        };
        for name in [
            "CreateFunction",
            "UpdateFunctionCode",
            "UpdateFunctionConfiguration",
            "PublishVersion",
            "PublishLayerVersion",
        ] {
            for member in MODEL.members(MODEL.operation(name).unwrap()) {
                let inner = match &MODEL.shape(member.shape).kind {
                    Kind::Structure(inner) => inner.as_slice(),
                    _ => &[],
                };
                let below =
                    |inner: &crate::service_model::Member| known(&format!("{}.{}", member.name, inner.name));
                assert!(
                    known(&member.name) || (!inner.is_empty() && inner.iter().all(below)),
                    "{name} {}",
                    member.name
                );
            }
        }
    }

    #[test]
    fn every_member_of_a_mapping_is_acted_on_or_refused() {
        const ACTED_ON: [&str; 12] = [
            "UUID",
            "Tags",
            "EventSourceArn",
            "FunctionName",
            "Enabled",
            "BatchSize",
            "MaximumBatchingWindowInSeconds",
            "FilterCriteria",
            "ScalingConfig",
            "FunctionResponseTypes",
            "MetricsConfig",
            // Refused with its source.
            "SelfManagedEventSource",
        ];
        for name in ["CreateEventSourceMapping", "UpdateEventSourceMapping"] {
            for member in MODEL.members(MODEL.operation(name).unwrap()) {
                let member = &*member.name;
                let refused = NOT_FOR_QUEUES.contains(&member)
                    || REFUSED_OF_MAPPINGS.iter().any(|refused| refused.member == [member]);
                assert!(ACTED_ON.contains(&member) != refused, "{name} {member}");
            }
        }
    }

    #[test]
    fn what_is_not_for_queues_is_refused() {
        for (json, expected) in [
            (r#"{"BisectBatchOnFunctionError":false,"DestinationConfig":{"OnFailure":{}},"Topics":[]}"#, ""),
            (r#"{"StartingPosition":"LATEST"}"#, "StartingPosition is not valid for SQS event sources."),
            (r#"{"ParallelizationFactor":2}"#, "ParallelizationFactor is not valid for SQS event sources."),
            (r#"{"KMSKeyArn":"arn"}"#, "lambkin does not encrypt filter criteria with KMS keys (KMSKeyArn)."),
        ] {
            let said =
                check_mapping(&Node::read(json.as_bytes()).unwrap()).err().map(|error| error.to_string());
            assert_eq!(said.unwrap_or_default(), expected, "{json}");
        }
    }
}
