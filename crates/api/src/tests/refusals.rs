//! What is refused, with which status, code and words: a line each.

use serde_json::json;

use super::fakes::{SIGNED, Server};
use super::{FUNCTIONS, create, created};

const EFS: &str = "arn:aws:elasticfilesystem:eu-west-1:000000000000:access-point/fsap-0123456789abcdef0";

#[tokio::test]
async fn refusals() {
    let server = Server::start().await;
    created(&server, "f").await;
    let long = "a".repeat(65);
    let with = |more: serde_json::Value| create("g", &more);
    let invalid = "InvalidParameterValueException";
    for (method, path, headers, body, expected) in [
        (
            "POST",
            FUNCTIONS,
            "",
            create("f", &json!({})),
            (409, "ResourceConflictException", "Function already exist: f"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("f:live", &json!({})),
            (400, invalid, "This operation is permitted on Lambda functions only."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create(&long, &json!({})),
            (400, invalid, "1 validation error detected: Value 'aaaa"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("a b", &json!({})),
            (
                400,
                "ValidationException",
                "1 validation error detected: Value 'a b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
            ),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Role": "r1" })),
            (400, "ValidationException", "1 validation error detected: Value 'r1' at 'role'"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Runtime": "cobol" })),
            (400, invalid, "Value cobol at 'runtime' failed to satisfy constraint: "),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "FileSystemConfigs": [{ "Arn": EFS, "LocalMountPath": "/mnt/x" }] })),
            (400, invalid, "lambkin does not mount file systems (FileSystemConfigs)."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "PublishTo": "LATEST_PUBLISHED" })),
            (400, invalid, "lambkin does not publish to capacity providers (PublishTo)."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": {} })),
            (400, invalid, "Please provide a source for function code."),
        ),
        ("POST", FUNCTIONS, "", with(json!({ "Code": { "ZipFile": "UEs" } })), (201, "", "")),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": { "ZipFile": "bm8gemlw" } })),
            (409, "ResourceConflictException", "Function already exist: g"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            create("h", &json!({ "Code": { "ZipFile": "bm8gemlw" } })),
            (400, invalid, "Could not unzip uploaded file."),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            with(json!({ "Code": { "ZipFile": "*" } })),
            (400, "SerializationException", "The value of ZipFile is not base64: "),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            b"{".to_vec(),
            (
                400,
                "SerializationException",
                "Could not parse request body into json: Unexpected end-of-input: expected close marker for Object",
            ),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            b"[]".to_vec(),
            (400, "SerializationException", "Expected structure or null"),
        ),
        (
            "POST",
            FUNCTIONS,
            "",
            vec![],
            (400, "ValidationException", "3 validation errors detected: Value null at 'functionName'"),
        ),
        (
            "POST",
            FUNCTIONS,
            "Content-Type: text/xml\r\n",
            b"{}".to_vec(),
            (415, "UnsupportedMediaTypeException", "Unsupported content type: text/xml"),
        ),
        (
            "GET",
            "/2015-03-31/functions/f?Qualifier=live",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:f:live",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/f:live?Qualifier=other",
            "",
            vec![],
            (
                400,
                invalid,
                "The derived qualifier from the function name does not match the specified qualifier.",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aus-east-1%3A000000000000%3Afunction%3Af",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Functions from 'us-east-1' are not reachable in this region ('eu-west-1')",
            ),
        ),
        (
            "GET",
            "/2015-03-31/functions/arn%3Aaws%3Alambda%3Aeu-west-1%3A111111111111%3Afunction%3Af",
            "",
            vec![],
            (403, "AccessDeniedException", ""),
        ),
        (
            "DELETE",
            "/2015-03-31/functions/f?Qualifier=%24LATEST",
            "",
            vec![],
            (400, invalid, "$LATEST version cannot be deleted without deleting the function."),
        ),
        (
            "DELETE",
            "/2015-03-31/functions/nothing",
            "",
            vec![],
            (
                404,
                "ResourceNotFoundException",
                "Function not found: arn:aws:lambda:eu-west-1:000000000000:function:nothing",
            ),
        ),
        (
            "PUT",
            "/2015-03-31/functions/f/configuration",
            "",
            br#"{"RevisionId":"x"}"#.to_vec(),
            (412, "PreconditionFailedException", "The Revision Id provided does not match"),
        ),
        (
            "GET",
            "/2015-03-31/functions?MaxItems=0",
            "",
            vec![],
            (400, "ValidationException", "1 validation error detected: Value '0' at 'maxItems'"),
        ),
        (
            "GET",
            "/2015-03-31/functions?MaxItems=x",
            "",
            vec![],
            (400, "SerializationException", "STRING_VALUE can not be converted to an Integer"),
        ),
        ("GET", "/2015-03-31/functions?Marker=%2A", "", vec![], (400, invalid, "Invalid Marker")),
        (
            "GET",
            "/2015-03-31/functions?MasterRegion=us-west-2&FunctionVersion=ALL",
            "",
            vec![],
            (400, invalid, "lambkin does not replicate functions from us-west-2 (MasterRegion)."),
        ),
        (
            "POST",
            "/2015-03-31/functions/f/code-signing-config",
            "",
            b"{}".to_vec(),
            (
                404,
                "UnknownOperationException",
                "Unknown operation: POST /2015-03-31/functions/f/code-signing-config",
            ),
        ),
        (
            "GET",
            "/nothing",
            "",
            vec![],
            (404, "UnknownOperationException", "Unknown operation: GET /nothing"),
        ),
        (
            "PUT",
            "/2015-03-31/functions/f/configuration",
            "Content-Length: 1048577\r\n",
            vec![],
            (
                413,
                "RequestEntityTooLargeException",
                "Request must be smaller than 1048576 bytes for the UpdateFunctionConfiguration operation",
            ),
        ),
    ] {
        let mut client = server.connect().await;
        client.send(method, path, &format!("{SIGNED}{headers}"), &body).await;
        if headers.contains("1048577") {
            client.raw(&vec![b' '; 1_048_577]).await;
        }
        let answer = client.answer().await;
        let (status, code, text) =
            if answer.status < 300 { (answer.status, String::new(), String::new()) } else { answer.error() };
        assert_eq!((status, code.as_str()), (expected.0, expected.1), "{method} {path}: {text}");
        assert!(text.starts_with(expected.2), "{method} {path}: {text}");
        assert_eq!(answer.header("x-amzn-requestid").len(), 36);
    }
}
