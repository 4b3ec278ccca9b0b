//! What AWS's own managed policies allow, of those that functions' roles have. Facts of AWS's Managed Policy Reference.
//!
//! Deliberately not here: policies for what nothing here answers.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::json;

use crate::policy::{Document, Kind};

/// Before a policy's path and name.
const PREFIX: &str = "arn:aws:iam::aws:policy/";

const LOGS: [&str; 3] = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];

/// By path and name: what is allowed on everything, and whether writing logs is among it.
const POLICIES: [(&str, bool, &[&str]); 13] = [
    ("AdministratorAccess", false, &["*"]),
    ("AmazonSNSFullAccess", false, &["sns:*"]),
    ("AmazonSQSFullAccess", false, &["sqs:*"]),
    (
        "AmazonSQSReadOnlyAccess",
        false,
        &[
            "sqs:GetQueueAttributes",
            "sqs:GetQueueUrl",
            "sqs:ListDeadLetterSourceQueues",
            "sqs:ListQueues",
            "sqs:ListMessageMoveTasks",
            "sqs:ListQueueTags",
        ],
    ),
    (
        "AWSXRayDaemonWriteAccess",
        false,
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:GetSamplingStatisticSummaries",
        ],
    ),
    ("CloudWatchLogsFullAccess", false, &["logs:*", "cloudwatch:GenerateQuery"]),
    ("service-role/AWSLambdaBasicExecutionRole", true, &[]),
    (
        "service-role/AWSLambdaDynamoDBExecutionRole",
        true,
        &[
            "dynamodb:DescribeStream",
            "dynamodb:GetRecords",
            "dynamodb:GetShardIterator",
            "dynamodb:ListStreams",
        ],
    ),
    (
        "service-role/AWSLambdaKinesisExecutionRole",
        true,
        &[
            "kinesis:DescribeStream",
            "kinesis:DescribeStreamSummary",
            "kinesis:GetRecords",
            "kinesis:GetShardIterator",
            "kinesis:ListShards",
            "kinesis:ListStreams",
            "kinesis:SubscribeToShard",
        ],
    ),
    ("service-role/AWSLambdaRole", false, &["lambda:InvokeFunction"]),
    (
        "service-role/AWSLambdaSQSQueueExecutionRole",
        true,
        &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    ),
    (
        "service-role/AWSLambdaVPCAccessExecutionRole",
        true,
        &[
            "ec2:CreateNetworkInterface",
            "ec2:DescribeNetworkInterfaces",
            "ec2:DescribeSubnets",
            "ec2:DeleteNetworkInterface",
            "ec2:AssignPrivateIpAddresses",
            "ec2:UnassignPrivateIpAddresses",
        ],
    ),
    (
        "AWSLambda_FullAccess",
        false,
        &[
            "cloudformation:DescribeStacks",
            "cloudformation:ListStackResources",
            "cloudwatch:ListMetrics",
            "cloudwatch:GetMetricData",
            "ec2:DescribeSecurityGroups",
            "ec2:DescribeSubnets",
            "ec2:DescribeVpcs",
            "kms:DescribeKey",
            "kms:ListAliases",
            "iam:GetPolicy",
            "iam:GetPolicyVersion",
            "iam:GetRole",
            "iam:GetRolePolicy",
            "iam:ListAttachedRolePolicies",
            "iam:ListRolePolicies",
            "iam:ListRoles",
            "lambda:*",
            "logs:DescribeLogGroups",
            "states:DescribeStateMachine",
            "states:ListStateMachines",
            "tag:GetResources",
            "xray:GetTraceSummaries",
            "xray:BatchGetTraces",
        ],
    ),
];

static DOCUMENTS: LazyLock<HashMap<&'static str, Document>> = LazyLock::new(|| {
    let document = |(name, logs, actions): &(&'static str, bool, &[&str])| {
        let actions: Vec<&str> = actions.iter().copied().chain(LOGS.into_iter().filter(|_| *logs)).collect();
        let mut statements = vec![json!({ "Effect": "Allow", "Action": actions, "Resource": "*" })];
        if *name == "AWSLambda_FullAccess" {
            statements.push(json!({
                "Effect": "Allow", "Action": "iam:PassRole", "Resource": "*",
                "Condition": { "StringEquals": { "iam:PassedToService": "lambda.amazonaws.com" } },
            }));
            statements.push(json!({
                "Effect": "Allow", "Resource": "arn:aws:logs:*:*:log-group:/aws/lambda/*",
                "Action": [
                    "logs:DescribeLogStreams", "logs:GetLogEvents", "logs:FilterLogEvents", "logs:StartLiveTail", "logs:StopLiveTail",
                ],
            }));
        }
        let text = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        (*name, Document::read(&text, Kind::Identity).expect("a table of policies"))
    };
    POLICIES.iter().map(document).collect()
});

/// What the policy of this ARN says, where it is AWS's own and known here.
#[must_use]
pub fn aws_managed(arn: &str) -> Option<&'static Document> {
    DOCUMENTS.get(arn.strip_prefix(PREFIX)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::{Context, Decision, Principal, decide};

    #[test]
    fn what_they_allow() {
        for (name, action, allowed) in [
            ("service-role/AWSLambdaBasicExecutionRole", "logs:PutLogEvents", true),
            ("service-role/AWSLambdaBasicExecutionRole", "sqs:ReceiveMessage", false),
            ("service-role/AWSLambdaSQSQueueExecutionRole", "sqs:ReceiveMessage", true),
            ("service-role/AWSLambdaSQSQueueExecutionRole", "sqs:SendMessage", false),
            ("AWSLambda_FullAccess", "lambda:DeleteFunction", true),
            ("AWSLambda_FullAccess", "iam:PassRole", true),
            ("AWSLambda_FullAccess", "iam:CreateRole", false),
        ] {
            let document = aws_managed(&format!("{PREFIX}{name}")).unwrap();
            let context = Context::default().with("iam:PassedToService", "lambda.amazonaws.com");
            let principal = Principal::Aws { account: "0", arn: "a", role: None };
            let decided = decide([document], &principal, action, "*", &context) == Decision::Allowed;
            assert_eq!(decided, allowed, "{name} {action}");
        }
        assert_eq!(POLICIES.len(), DOCUMENTS.len());
        assert!(aws_managed("arn:aws:iam::aws:policy/Nothing").is_none());
    }
}
