//! Sample events: what AWS's services send to a function, as templates with parameters. One set for the console, for
//! `/_lambkin/sample-events` and for `lambkin generate-event`.
//!
//! A template is a file of `events/`: a title, the service it belongs to, its parameters with their usual values, and the
//! event, in whose strings `{{name}}` stands for a parameter and `{{base64:name}}` for its Base64. Every template also knows
//! `account` and `region`. Written from the services' documented shapes; what is in them is made up.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One template.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SampleEvent {
    /// Its name: `s3-put`.
    #[serde(default)]
    pub name: String,
    /// For people: `S3 object put`.
    pub title: String,
    /// The service that sends it: `S3`.
    pub service: String,
    /// Parameters and their usual values.
    pub parameters: Map<String, Value>,
    /// The event, with placeholders.
    #[serde(skip_serializing)]
    event: Value,
}

macro_rules! templates {
    ($($name:literal,)*) => {
        /// Names and files, in order of names.
        const TEMPLATES: &[(&str, &str)] = &[$(($name, include_str!(concat!("../events/", $name, ".json"))),)*];
    };
}

templates![
    "alb-multi-value-request",
    "alb-request",
    "alexa-intent",
    "alexa-launch",
    "alexa-smart-home-discovery",
    "apigateway-http-api",
    "apigateway-http-api-authorizer",
    "apigateway-request-authorizer",
    "apigateway-rest-proxy",
    "apigateway-token-authorizer",
    "apigateway-websocket-connect",
    "apigateway-websocket-disconnect",
    "apigateway-websocket-message",
    "appsync-authorizer",
    "appsync-resolver",
    "cloudformation-create",
    "cloudformation-delete",
    "cloudformation-update",
    "cloudfront-origin-request",
    "cloudfront-origin-response",
    "cloudfront-viewer-request",
    "cloudfront-viewer-response",
    "cloudwatch-alarm",
    "cloudwatch-logs",
    "codebuild-state-change",
    "codecommit",
    "codepipeline-job",
    "cognito-create-auth-challenge",
    "cognito-custom-message",
    "cognito-define-auth-challenge",
    "cognito-post-authentication",
    "cognito-post-confirmation",
    "cognito-pre-authentication",
    "cognito-pre-sign-up",
    "cognito-pre-token-generation",
    "cognito-user-migration",
    "cognito-verify-auth-challenge",
    "config-item-change",
    "config-scheduled",
    "connect-contact-flow",
    "documentdb-change-stream",
    "dynamodb-stream",
    "eventbridge-custom",
    "eventbridge-ec2-state-change",
    "eventbridge-ecr-push",
    "eventbridge-s3-object-created",
    "eventbridge-scheduler",
    "firehose-kinesis-source",
    "firehose-transformation",
    "function-url",
    "hello-world",
    "iot-button",
    "iot-rule",
    "kafka-msk",
    "kafka-self-managed",
    "kinesis",
    "lambda-destination-failure",
    "lambda-destination-success",
    "lex-v1",
    "lex-v2",
    "mq-activemq",
    "mq-rabbitmq",
    "s3-batch",
    "s3-delete",
    "s3-object-lambda",
    "s3-put",
    "scheduled-event",
    "secrets-manager-rotation",
    "ses-receive",
    "sns",
    "sqs",
    "sqs-fifo",
    "step-functions-task",
    "step-functions-task-token",
];

impl SampleEvent {
    /// Every template, in order of names.
    pub fn all() -> impl Iterator<Item = Self> {
        TEMPLATES.iter().map(|(name, text)| read(name, text))
    }

    /// The template of this name.
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        let index = TEMPLATES.binary_search_by_key(&name, |(name, _)| name).ok()?;
        Some(read(name, TEMPLATES[index].1))
    }

    /// The event for an account and a region, with these parameters and the usual values of all others. Says which
    /// parameter it does not have.
    pub fn event(&self, account: &str, region: &str, given: &[(String, String)]) -> Result<Value, String> {
        let mut values = self.parameters.clone();
        values.insert("account".into(), account.into());
        values.insert("region".into(), region.into());
        for (name, value) in given {
            match values.get_mut(name) {
                Some(place) => *place = Value::from(value.as_str()),
                None => {
                    let known: Vec<&str> = values.keys().map(String::as_str).collect();
                    return Err(format!(
                        "{} has no parameter '{name}'; it has {}",
                        self.name,
                        known.join(", ")
                    ));
                }
            }
        }
        Ok(filled(&self.event, &values))
    }
}

fn read(name: &str, text: &str) -> SampleEvent {
    let template: SampleEvent = serde_json::from_str(text).expect("a test reads every template");
    SampleEvent { name: name.into(), ..template }
}

/// Keys may have placeholders too, as the topics of Kafka are keys.
fn filled(value: &Value, values: &Map<String, Value>) -> Value {
    match value {
        Value::String(text) => Value::String(replaced(text, values)),
        Value::Array(items) => Value::Array(items.iter().map(|item| filled(item, values)).collect()),
        Value::Object(members) => Value::Object(
            members.iter().map(|(key, value)| (replaced(key, values), filled(value, values))).collect(),
        ),
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// One pass: what a parameter brings in is not looked at again.
fn replaced(text: &str, values: &Map<String, Value>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        let Some((name, behind)) = after.split_once("}}") else { break };
        let (encoded, key) = match name.strip_prefix("base64:") {
            Some(key) => (true, key),
            None => (false, name),
        };
        // What is no parameter is text.
        let Some(value) = values.get(key).and_then(Value::as_str) else {
            out.push_str(before);
            out.push_str("{{");
            rest = after;
            continue;
        };
        out.push_str(before);
        if encoded {
            STANDARD.encode_string(value, &mut out);
        } else {
            out.push_str(value);
        }
        rest = behind;
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_the_directory() {
        let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/events");
        let mut files: Vec<String> = std::fs::read_dir(directory)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        files.sort();
        let mut table: Vec<String> = TEMPLATES.iter().map(|(name, _)| format!("{name}.json")).collect();
        assert!(TEMPLATES.is_sorted_by_key(|(name, _)| name), "names are searched by halves");
        table.sort();
        assert_eq!(table, files);
        assert!(files.len() >= 50);
    }

    #[test]
    fn every_template_is_filled_and_every_parameter_used() {
        for template in SampleEvent::all() {
            let name = &template.name;
            let text = template.event("123123123123", "eu-north-1", &[]).unwrap().to_string();
            assert!(!text.contains("{{"), "{name}: a placeholder is left");
            assert!(!template.title.is_empty() && !template.service.is_empty(), "{name}");
            for (parameter, usual) in &template.parameters {
                assert!(usual.is_string(), "{name}: {parameter}");
                let given = [(parameter.clone(), "\"marked\"".to_owned())];
                let marked = template.event("123123123123", "eu-north-1", &given).unwrap().to_string();
                let encoded = STANDARD.encode("\"marked\"");
                let used = marked.contains(r#"\"marked\""#) || marked.contains(&encoded);
                assert!(used, "{name}: {parameter} is not used");
            }
        }
    }

    #[test]
    fn values_are_filled_in_once() {
        let template = SampleEvent::find("s3-put").unwrap();
        let given = [("bucket".to_owned(), "{{key}}".to_owned()), ("key".to_owned(), "a".to_owned())];
        let event = template.event("000000000000", "eu-west-1", &given).unwrap();
        let record = &event["Records"][0];
        assert_eq!(record["awsRegion"], "eu-west-1");
        assert_eq!(record["s3"]["bucket"]["arn"], "arn:aws:s3:::{{key}}");
        assert_eq!(record["s3"]["object"]["key"], "a");
        let wrong = template.event("000000000000", "eu-west-1", &[("buckets".into(), "b".into())]);
        assert_eq!(
            wrong.unwrap_err(),
            "s3-put has no parameter 'buckets'; it has bucket, key, account, region"
        );
        assert_eq!(SampleEvent::find("nothing"), None);
    }

    #[test]
    fn what_is_no_parameter_is_text() {
        let values = Map::from_iter([("a".to_owned(), Value::from("1"))]);
        for (text, expected) in [
            ("{{a}}{{b}}", "1{{b}}"),
            ("{{", "{{"),
            ("}}{{a}}", "}}1"),
            ("{{base64:a}}", "MQ=="),
            ("{{{{a}}", "{{1"),
        ] {
            assert_eq!(replaced(text, &values), expected);
        }
    }
}
