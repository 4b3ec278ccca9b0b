//! Event source mappings at the edge: AWS's documents and refusals. Nobody polls here, so that a mapping
//! stays as the operation left it.

use serde_json::{Value, json};

use super::created;
use super::fakes::{Answer, Server};

const MAPPINGS: &str = "/2015-03-31/event-source-mappings";
const QUEUE: &str = "arn:aws:sqs:eu-west-1:000000000000:q";

async fn queue(server: &Server, name: &str) {
    let key = "Authorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sqs/aws4_request, \
        SignedHeaders=host, Signature=0\r\n";
    let headers = format!("Host: localhost\r\n{key}X-Amz-Target: AmazonSQS.CreateQueue\r\n");
    let fifo = if name.ends_with(".fifo") { json!({ "FifoQueue": "true" }) } else { json!({}) };
    let body = json!({ "QueueName": name, "Attributes": fifo }).to_string();
    let mut client = server.connect().await;
    let content = "Content-Type: application/x-amz-json-1.0\r\n";
    client.send("POST", "/", &format!("{headers}{content}"), body.as_bytes()).await;
    assert_eq!(client.answer().await.status, 200);
}

async fn create(server: &Server, more: Value) -> Answer {
    let mut body = json!({ "EventSourceArn": QUEUE, "FunctionName": "f" });
    for (key, value) in more.as_object().unwrap() {
        body[key] = value.clone();
    }
    server.ask("POST", MAPPINGS, "", body.to_string().as_bytes()).await
}

async fn world() -> Server {
    let server = Server::start().await;
    created(&server, "f").await;
    queue(&server, "q").await;
    server
}

#[tokio::test]
async fn documents_are_awss() {
    let server = world().await;
    let answer = create(&server, json!({})).await;
    let mut body = answer.body();
    assert_eq!(answer.status, 202);
    let uuid = body["UUID"].as_str().unwrap().to_owned();
    assert_eq!(uuid.len(), 36);
    assert_eq!(
        body,
        json!({
            "UUID": uuid, "BatchSize": 10, "MaximumBatchingWindowInSeconds": 0, "EventSourceArn": QUEUE,
            "FunctionArn": "arn:aws:lambda:eu-west-1:000000000000:function:f", "LastModified": 1_767_225_600.0,
            "State": "Creating", "StateTransitionReason": "USER_INITIATED", "FunctionResponseTypes": [],
            "EventSourceMappingArn": format!("arn:aws:lambda:eu-west-1:000000000000:event-source-mapping:{uuid}"),
        })
    );
    assert_eq!(server.ask("GET", &format!("{MAPPINGS}/{uuid}"), "", b"").await.body(), body);
    // Whatever rests is changed at once.
    let settings = json!({
        "FunctionName": "f:$LATEST", "Enabled": false, "BatchSize": 100, "MaximumBatchingWindowInSeconds": 5,
        "FunctionResponseTypes": ["ReportBatchItemFailures"], "ScalingConfig": { "MaximumConcurrency": 7 },
        "FilterCriteria": { "Filters": [{ "Pattern": "{\"body\":{\"a\":[1]}}" }] },
    });
    let answer = create(&server, settings.clone()).await;
    body = answer.body();
    assert_eq!((answer.status, &body["State"]), (202, &json!("Disabled")));
    for (name, value) in settings.as_object().unwrap() {
        if name != "FunctionName" && name != "Enabled" {
            assert_eq!(body[name], *value, "{name}");
        }
    }
    assert_eq!(body["FunctionArn"], "arn:aws:lambda:eu-west-1:000000000000:function:f:$LATEST");
    let second = body["UUID"].as_str().unwrap().to_owned();
    let less = json!({ "FilterCriteria": {}, "ScalingConfig": {}, "FunctionResponseTypes": [] }).to_string();
    let answer = server.ask("PUT", &format!("{MAPPINGS}/{second}"), "", less.as_bytes()).await;
    body = answer.body();
    assert_eq!((answer.status, &body["State"], &body["BatchSize"]), (202, &json!("Updating"), &json!(100)));
    assert_eq!((body.get("FilterCriteria"), body.get("ScalingConfig")), (None, None));
    assert_eq!(body["FunctionResponseTypes"], json!([]));

    let list = async |query: &str| server.ask("GET", &format!("{MAPPINGS}/?{query}"), "", b"").await.body();
    let ids = |body: &Value| -> Vec<String> {
        let all = body["EventSourceMappings"].as_array().unwrap().iter();
        all.map(|mapping| mapping["UUID"].as_str().unwrap().to_owned()).collect()
    };
    let mut both = vec![uuid.clone(), second.clone()];
    both.sort();
    assert_eq!(ids(&list("").await), both);
    let page = list("MaxItems=1").await;
    assert_eq!(ids(&page), both[..1]);
    let marker = page["NextMarker"].as_str().unwrap();
    let page = list(&format!("MaxItems=1&Marker={marker}")).await;
    assert_eq!((ids(&page), page.get("NextMarker")), (both[1..].to_vec(), None));
    assert_eq!(ids(&list("FunctionName=f").await), [uuid]);
    assert_eq!(ids(&list("FunctionName=f%3A%24LATEST").await), [second]);
    assert_eq!(ids(&list(&format!("EventSourceArn={QUEUE}x")).await), Vec::<String>::new());
}

#[tokio::test]
async fn deleting_answers_with_the_mapping() {
    let server = world().await;
    let body = create(&server, json!({ "Enabled": false })).await.body();
    let path = format!("{MAPPINGS}/{}", body["UUID"].as_str().unwrap());
    let answer = server.ask("DELETE", &path, "", b"").await;
    assert_eq!((answer.status, &answer.body()["State"]), (202, &json!("Deleting")));
    assert_eq!(
        server.ask("DELETE", &path, "", b"").await.error(),
        (
            400,
            "ResourceInUseException".into(),
            "Cannot delete the event source mapping because it is in use.".into()
        )
    );
    let unknown = format!("{MAPPINGS}/5b1cdaa1-61cc-4f7c-8a7e-27a7a4c0a001");
    for method in ["GET", "PUT", "DELETE"] {
        assert_eq!(
            server.ask(method, &unknown, "", b"{}").await.error(),
            (404, "ResourceNotFoundException".into(), "The resource you requested does not exist.".into()),
            "{method}"
        );
    }
}

#[tokio::test]
async fn refusals_are_awss() {
    let server = world().await;
    queue(&server, "q.fifo").await;
    let fifo = format!("{QUEUE}.fifo");
    let kinesis = "arn:aws:kinesis:eu-west-1:000000000000:stream/s";
    let window =
        "Maximum batch window in seconds must be greater than 0 if maximum batch size is greater than 10";
    let pattern = |text: &str| json!({ "FilterCriteria": { "Filters": [{ "Pattern": text }] } });
    for (request, code, expected) in [
        (json!({ "BatchSize": 11 }), "InvalidParameterValueException", window),
        (
            json!({ "BatchSize": 0 }),
            "ValidationException",
            "1 validation error detected: Value '0' at 'batchSize' failed to satisfy constraint: Member must have value \
             greater than or equal to 1",
        ),
        (
            json!({ "ScalingConfig": { "MaximumConcurrency": 1 } }),
            "ValidationException",
            "1 validation error detected: Value '1' at 'scalingConfig.maximumConcurrency' failed to satisfy constraint: \
             Member must have value greater than or equal to 2",
        ),
        (
            json!({ "EventSourceArn": fifo, "MaximumBatchingWindowInSeconds": 1 }),
            "InvalidParameterValueException",
            "Batching window is not supported for FIFO queues",
        ),
        (
            json!({ "EventSourceArn": fifo, "BatchSize": 11 }),
            "InvalidParameterValueException",
            "Maximum batch size must be between 1 and 10 inclusive",
        ),
        (pattern("{"), "InvalidParameterValueException", "Invalid filter pattern definition."),
        (
            json!({ "StartingPosition": "LATEST" }),
            "InvalidParameterValueException",
            "StartingPosition is not valid for SQS event sources.",
        ),
        (
            json!({ "EventSourceArn": kinesis, "StartingPosition": "LATEST" }),
            "InvalidParameterValueException",
            "lambkin does not poll Kinesis streams; it polls SQS queues (EventSourceArn).",
        ),
        (json!({ "EventSourceArn": null }), "InvalidParameterValueException", "Unrecognized event source."),
        (json!({ "FunctionName": "nobody" }), "InvalidParameterValueException", "Function does not exist"),
        (
            json!({ "EventSourceArn": format!("{QUEUE}nothing") }),
            "InvalidParameterValueException",
            "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. \
             SQS Error Message: The specified queue does not exist.",
        ),
    ] {
        let said = create(&server, request.clone()).await.error();
        assert_eq!(said, (400, code.into(), expected.into()), "{request}");
    }
    let uuid = create(&server, json!({})).await.body()["UUID"].as_str().unwrap().to_owned();
    assert_eq!(
        create(&server, json!({})).await.error(),
        (
            409,
            "ResourceConflictException".into(),
            format!(
                "An event source mapping with SQS arn (\" {QUEUE} \") and function (\" f \") already exists. \
                 Please update or delete the existing mapping with UUID {uuid}"
            )
        )
    );
}
