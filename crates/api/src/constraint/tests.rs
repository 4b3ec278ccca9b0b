//! AWS's words for what Lambda refuses.

use lambkin_model::Error;

use super::check;
use crate::node::Node;
use crate::service_model::MODEL;

const ROLE: &str = "arn:aws:iam::000000000000:role/r";

fn message(operation: &str, json: &str) -> String {
    let input = Node::read(json.as_bytes()).unwrap();
    match check(&MODEL, MODEL.operation(operation).unwrap(), &input) {
        Ok(()) => String::new(),
        Err(Error::Validation(text)) => text,
        Err(other) => format!("{other:?}"),
    }
}

fn create(members: &str) -> String {
    let base = format!(r#""FunctionName":"f","Code":{{"ZipFile":"UEs="}},"Role":"{ROLE}""#);
    message("CreateFunction", &format!("{{{base}{members}}}"))
}

#[test]
fn members_of_a_function() {
    let one = |rest: &str| format!("1 validation error detected: {rest}");
    for (members, expected) in [
        ("", String::new()),
        (
            r#","Role":"r1""#,
            one(
                r"Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
            ),
        ),
        // The enum of runtimes is no constraint of the model: the control plane answers it (38).
        (r#","Runtime":"cobol""#, String::new()),
        (
            r#","MemorySize":127"#,
            one(
                "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
            ),
        ),
        (
            r#","PackageType":"Tar""#,
            one(
                "Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [Zip, Image]",
            ),
        ),
        (
            r#","Architectures":["x86_64","arm64"]"#,
            one(
                "Value '[x86_64, arm64]' at 'architectures' failed to satisfy constraint: Member must have length less than or equal to 1",
            ),
        ),
        (
            r#","Architectures":["s390x"]"#,
            one(
                "Value '[s390x]' at 'architectures' failed to satisfy constraint: Member must satisfy constraint: [Member must satisfy enum value set: [x86_64, arm64], Member must not be null]",
            ),
        ),
        (
            r#","Environment":{"Variables":{"1a":"secret"}}"#,
            one(
                "Value at 'environment.variables' failed to satisfy constraint: Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+, Member must not be null]",
            ),
        ),
        (
            r#","EphemeralStorage":{}"#,
            one("Value null at 'ephemeralStorage.size' failed to satisfy constraint: Member must not be null"),
        ),
        (
            r#","FileSystemConfigs":[{"LocalMountPath":"/mnt/a"}]"#,
            one(
                "Value null at 'fileSystemConfigs.1.member.arn' failed to satisfy constraint: Member must not be null",
            ),
        ),
        (
            r#","LoggingConfig":{"LogFormat":"XML"}"#,
            one(
                "Value 'XML' at 'loggingConfig.logFormat' failed to satisfy constraint: Member must satisfy enum value set: [JSON, Text]",
            ),
        ),
        (
            r#","Timeout":0,"Handler":"a b""#,
            r"2 validation errors detected: Value 'a b' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: [^\s]+; Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1".into(),
        ),
        (r#","Unknown":{"x":1}"#, String::new()),
        (r#","Description":null"#, String::new()),
        (r#","Timeout":"3""#, r#"Serialization("STRING_VALUE can not be converted to an Integer")"#.into()),
        (r#","Handler":7"#, r#"Serialization("NUMBER_VALUE can not be converted to a String")"#.into()),
        (r#","Handler":[]"#, r#"Serialization("Start of list found where not expected")"#.into()),
        (r#","Layers":"l""#, r#"Serialization("Expected list or null")"#.into()),
    ] {
        assert_eq!(create(members), expected, "{members}");
    }
}

#[test]
fn names_and_what_must_be_there() {
    let long = "a".repeat(171);
    let name = r"(arn:(aws[a-zA-Z-]*)?:lambda:)?((eusc-)?[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1}:)?(\d{12}:)?(function:)?([a-zA-Z0-9-_\.]+)(:(\$LATEST(\.PUBLISHED)?|[a-zA-Z0-9-_]+))?";
    for (operation, json, expected) in [
        (
            "CreateFunction",
            "{}".to_owned(),
            "3 validation errors detected: Value null at 'functionName' failed to satisfy constraint: Member must not be null; Value null at 'role' failed to satisfy constraint: Member must not be null; Value null at 'code' failed to satisfy constraint: Member must not be null".to_owned(),
        ),
        (
            "GetFunction",
            r#"{"FunctionName":"a b"}"#.into(),
            format!("1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: {name}"),
        ),
        (
            "GetFunction",
            format!(r#"{{"FunctionName":"{long}"}}"#),
            format!("1 validation error detected: Value '{long}' at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 170"),
        ),
        (
            "GetFunction",
            r#"{"FunctionName":"f","Qualifier":"a.b"}"#.into(),
            r"1 validation error detected: Value 'a.b' at 'qualifier' failed to satisfy constraint: Member must satisfy regular expression pattern: \$(LATEST(\.PUBLISHED)?)|[a-zA-Z0-9-_$]+".into(),
        ),
        (
            "ListFunctions",
            r#"{"MaxItems":0}"#.into(),
            "1 validation error detected: Value '0' at 'maxItems' failed to satisfy constraint: Member must have value greater than or equal to 1".into(),
        ),
        (
            "Invoke",
            r#"{"FunctionName":"f","InvocationType":"event"}"#.into(),
            "1 validation error detected: Value 'event' at 'invocationType' failed to satisfy constraint: Member must satisfy enum value set: [Event, RequestResponse, DryRun]".into(),
        ),
    ] {
        assert_eq!(message(operation, &json), expected, "{operation} {json}");
    }
}
