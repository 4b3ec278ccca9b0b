//! SQS at the edge: which request is for it, in both protocols, and how its errors go out.

use super::fakes::{Answer, Server};

const KEY: &str = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sqs/aws4_request, \
    SignedHeaders=host, Signature=0\r\n";
const FORM: &str = "Content-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";

/// One request with these headers alone.
async fn ask(server: &Server, method: &str, path: &str, headers: &str, body: &[u8]) -> Answer {
    let mut client = server.connect().await;
    client.send(method, path, headers, body).await;
    client.answer().await
}

async fn json(server: &Server, operation: &str, body: &str) -> Answer {
    let headers = format!(
        "Host: localhost:4566\r\n{KEY}X-Amz-Target: AmazonSQS.{operation}\r\nContent-Type: application/x-amz-json-1.0\r\n"
    );
    ask(server, "POST", "/", &headers, body.as_bytes()).await
}

async fn query(server: &Server, path: &str, body: &str) -> Answer {
    ask(server, "POST", path, &format!("Host: localhost:4566\r\n{KEY}{FORM}"), body.as_bytes()).await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).unwrap()
}

#[tokio::test]
async fn both_protocols_answer() {
    let server = Server::start().await;
    let answer = json(&server, "CreateQueue", r#"{"QueueName":"q","tags":{"a":"b"}}"#).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "application/x-amz-json-1.0"));
    assert_eq!(answer.body(), serde_json::json!({ "QueueUrl": "http://localhost:4566/000000000000/q" }));
    let answer = query(&server, "/", "Action=GetQueueUrl&QueueName=q&Version=2012-11-05").await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/xml"));
    let id = answer.header("x-amzn-requestid").to_owned();
    assert_eq!(
        text(&answer),
        format!(
            "<?xml version=\"1.0\"?><GetQueueUrlResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><GetQueueUrlResult>\
             <QueueUrl>http://localhost:4566/000000000000/q</QueueUrl></GetQueueUrlResult><ResponseMetadata><RequestId>{id}</RequestId>\
             </ResponseMetadata></GetQueueUrlResponse>"
        )
    );
    // The queue by its address, and in the query of a GET.
    let tags = query(&server, "/000000000000/q", "Action=ListQueueTags").await;
    assert!(text(&tags).contains("<Tag><Key>a</Key><Value>b</Value></Tag>"), "{}", text(&tags));
    let headers = format!("Host: localhost:4566\r\n{KEY}");
    let tags = ask(&server, "GET", "/000000000000/q?Action=ListQueueTags", &headers, b"").await;
    assert!(text(&tags).contains("<Key>a</Key>"), "{}", text(&tags));
    let untagged =
        json(&server, "UntagQueue", r#"{"QueueUrl":"http://localhost/000000000000/q","TagKeys":["a"]}"#)
            .await;
    assert_eq!((untagged.status, untagged.bytes.len()), (200, 0));
    let other_region = headers.replace("eu-west-1", "us-east-1");
    let none = ask(&server, "GET", "/?Action=ListQueues", &other_region, b"").await;
    assert!(text(&none).contains("<ListQueuesResult></ListQueuesResult>"));
}

#[tokio::test]
async fn errors_in_both_protocols() {
    let server = Server::start().await;
    json(&server, "CreateQueue", r#"{"QueueName":"q"}"#).await;
    for (operation, body, status, shape, code, message) in [
        (
            "GetQueueUrl",
            r#"{"QueueName":"none"}"#,
            400,
            "com.amazonaws.sqs#QueueDoesNotExist",
            "AWS.SimpleQueueService.NonExistentQueue;Sender",
            "The specified queue does not exist.",
        ),
        (
            "CreateQueue",
            r#"{"QueueName":"q","Attributes":{"DelaySeconds":"1"}}"#,
            400,
            "com.amazonaws.sqs#QueueNameExists",
            "QueueAlreadyExists;Sender",
            "A queue already exists with the same name and a different value for attribute DelaySeconds",
        ),
        (
            "ReceiveMessage",
            r#"{"QueueUrl":"http://h/000000000000/q","MaxNumberOfMessages":11}"#,
            400,
            "com.amazon.coral.service#InvalidParameterValueException",
            "InvalidParameterValue;Sender",
            "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.",
        ),
        (
            "SendMessage",
            r#"{"QueueUrl":"http://h/000000000000/q"}"#,
            400,
            "com.amazon.coral.service#MissingRequiredParameterException",
            "MissingParameter;Sender",
            "The request must contain the parameter MessageBody.",
        ),
        (
            "SendMessage",
            r#"{"QueueUrl":"http://h/000000000000/q","MessageBody":{}}"#,
            400,
            "com.amazon.coral.service#SerializationException",
            "MalformedInput;Sender",
            "Start of structure or map found where not expected.",
        ),
        (
            "DeleteMessage",
            r#"{"QueueUrl":"http://h/000000000000/q","ReceiptHandle":"x"}"#,
            404,
            "com.amazonaws.sqs#ReceiptHandleIsInvalid",
            "ReceiptHandleIsInvalid;Sender",
            "The input receipt handle \"x\" is not a valid receipt handle.",
        ),
        (
            "SendMessage",
            r#"{"QueueUrl":"http://h/000000000000/q","MessageBody":"m"}"#,
            503,
            "com.amazon.coral.service#ServiceUnavailableException",
            "ServiceUnavailable;Receiver",
            "the store is closed",
        ),
        (
            "AddPermission",
            r#"{"QueueUrl":"http://h/000000000000/q","Label":"l","AWSAccountIds":["0"],"Actions":["*"]}"#,
            400,
            "com.amazonaws.sqs#UnsupportedOperation",
            "AWS.SimpleQueueService.UnsupportedOperation;Sender",
            "lambkin asks no queue's policy yet: a queue's permissions would allow and deny nothing.",
        ),
        (
            "Nothing",
            "{}",
            404,
            "com.amazon.coral.service#UnknownOperationException",
            "InvalidAction;Sender",
            "The action Nothing is not valid for this endpoint.",
        ),
    ] {
        let answer = json(&server, operation, body).await;
        assert_eq!(
            (answer.status, answer.header("x-amzn-query-error")),
            (status, code),
            "{operation} {body}"
        );
        assert_eq!(answer.body(), serde_json::json!({ "__type": shape, "message": message }));
    }
    let answer = query(&server, "/", "Action=GetQueueUrl&QueueName=none").await;
    let id = answer.header("x-amzn-requestid").to_owned();
    assert_eq!(
        (answer.status, text(&answer)),
        (
            400,
            format!(
                "<?xml version=\"1.0\"?><ErrorResponse xmlns=\"http://queue.amazonaws.com/doc/2012-11-05/\"><Error><Type>Sender</Type>\
                 <Code>AWS.SimpleQueueService.NonExistentQueue</Code><Message>The specified queue does not exist for this wsdl version.\
                 </Message><Detail/></Error><RequestId>{id}</RequestId></ErrorResponse>"
            )
        )
    );
    for (path, body, code) in [
        ("/", "Action=Nothing", "<Code>InvalidAction</Code>"),
        ("/", "QueueName=q", "<Code>MissingAction</Code>"),
        (
            "/",
            "Action=ReceiveMessage&QueueUrl=http://h/000000000000/q&MaxNumberOfMessages=x",
            "<Code>MalformedInput</Code>",
        ),
        ("/", "Action=PurgeQueue&QueueUrl=http://h/q/q/q", "<Code>InvalidAddress</Code>"),
        ("/", "Action=PurgeQueue", "<Message>The request must contain the parameter QueueUrl.</Message>"),
    ] {
        let answer = query(&server, path, body).await;
        assert!(text(&answer).contains(code), "{body}: {}", text(&answer));
    }
}

#[tokio::test]
async fn the_door_is_the_same_and_speaks_the_services_language() {
    let server = Server::start().await;
    let unsigned = format!("Host: localhost\r\n{FORM}");
    let answer = ask(&server, "POST", "/", &unsigned, b"Action=ListQueues&Version=2012-11-05").await;
    assert_eq!(answer.status, 403);
    let unknown = ask(&server, "POST", "/", &unsigned, b"Action=ListQueues").await;
    assert_eq!(unknown.status, 403);
    let target = "Host: localhost\r\nX-Amz-Target: AmazonSQS.ListQueues\r\n";
    let answer = ask(&server, "POST", "/", target, b"{}").await;
    assert_eq!(answer.status, 403);
    assert_eq!(answer.body()["__type"], "com.amazon.coral.service#MissingAuthenticationTokenException");
    let foreign = format!("Host: evil.example\r\n{KEY}X-Amz-Target: AmazonSQS.ListQueues\r\n");
    let answer = ask(&server, "POST", "/", &foreign, b"{}").await;
    assert_eq!((answer.status, answer.header("x-amzn-query-error")), (403, "AccessDenied;Sender"));
    // What a page can make a browser send: an address with a signature in it.
    let address = "/?Action=DeleteQueue&QueueName=q&Version=2012-11-05&X-Amz-Signature=0&X-Amz-Credential=A%2F1%2Fr%2Fsqs%2Faws4_request";
    let answer = ask(&server, "GET", address, "Host: localhost\r\n", b"").await;
    assert_eq!(answer.status, 404, "{}", text(&answer));
    let large = format!("Host: localhost\r\n{KEY}X-Amz-Target: AmazonSQS.SendMessage\r\n");
    let answer = ask(&server, "POST", "/", &large, &vec![b'x'; 8 * 1024 * 1024 + 1]).await;
    assert_eq!((answer.status, answer.header("x-amzn-query-error")), (413, "RequestEntityTooLarge;Sender"));
    // Another service's target, signed for SQS.
    let other = format!("Host: localhost\r\n{KEY}X-Amz-Target: DynamoDB_20120810.ListTables\r\n");
    let answer = ask(&server, "POST", "/", &other, b"{}").await;
    assert_eq!((answer.status, answer.header("x-amzn-errortype")), (404, "UnknownOperationException"));
}

#[tokio::test]
async fn every_operation_of_the_model_is_answered_for() {
    let server = Server::start().await;
    let mut count = 0;
    for operation in &crate::service_model::SQS.operations {
        let answer = json(&server, &operation.name, "{}").await;
        assert_ne!(answer.header("x-amzn-query-error"), "InvalidAction;Sender", "{}", operation.name);
        count += 1;
    }
    assert_eq!(count, 23);
}
