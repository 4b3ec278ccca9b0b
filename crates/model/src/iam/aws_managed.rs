//! What AWS's own managed policies allow, of those that functions' roles have. Each was
//! compared with the default version that AWS publishes, which is beside its name.
//!
//! Deliberately not here: policies for what nothing here answers.

use std::collections::HashMap;
use std::sync::LazyLock;

use serde_json::json;

use crate::policy::{Document, Kind};

/// Before a policy's path and name.
const PREFIX: &str = "arn:aws:iam::aws:policy/";

const LOGS: [&str; 3] = ["logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"];

/// By path and name: the default version, whether writing logs is allowed, and what else is, on everything.
const POLICIES: [(&str, u8, bool, &[&str]); 13] = [
    ("AdministratorAccess", 1, false, &["*"]),
    ("AmazonSNSFullAccess", 1, false, &["sns:*"]),
    ("AmazonSQSFullAccess", 1, false, &["sqs:*"]),
    (
        "AmazonSQSReadOnlyAccess",
        4,
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
        2,
        false,
        &[
            "xray:PutTraceSegments",
            "xray:PutTelemetryRecords",
            "xray:GetSamplingRules",
            "xray:GetSamplingTargets",
            "xray:GetSamplingStatisticSummaries",
        ],
    ),
    (
        "CloudWatchLogsFullAccess",
        3,
        false,
        &["logs:*", "cloudwatch:GenerateQuery", "cloudwatch:GenerateQueryResultsSummary"],
    ),
    ("service-role/AWSLambdaBasicExecutionRole", 1, true, &[]),
    (
        "service-role/AWSLambdaDynamoDBExecutionRole",
        1,
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
        2,
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
    ("service-role/AWSLambdaRole", 1, false, &["lambda:InvokeFunction"]),
    (
        "service-role/AWSLambdaSQSQueueExecutionRole",
        1,
        true,
        &["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"],
    ),
    (
        "service-role/AWSLambdaVPCAccessExecutionRole",
        3,
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
        5,
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
    let document = |(name, _, logs, actions): &(&'static str, u8, bool, &[&str])| {
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
            statements.push(json!({
                "Effect": "Allow", "Action": "iam:CreateServiceLinkedRole",
                "Resource": "arn:aws:iam::*:role/aws-service-role/lambda.amazonaws.com/AWSServiceRoleForLambda",
                "Condition": { "StringEquals": { "iam:AWSServiceName": "lambda.amazonaws.com" } },
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
            ("CloudWatchLogsFullAccess", "cloudwatch:GenerateQueryResultsSummary", true),
            ("CloudWatchLogsFullAccess", "cloudwatch:GetMetricData", false),
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
