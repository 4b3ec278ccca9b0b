//! SNS at the edge: its documents, and every operation of its model answered or refused by name.

use super::fakes::{Answer, Server};

const HEAD: &str = "Host: localhost:4566\r\nAuthorization: AWS4-HMAC-SHA256 Credential=AKID/20260101/eu-west-1/sns/aws4_request, \
    SignedHeaders=host, Signature=0\r\nContent-Type: application/x-www-form-urlencoded; charset=utf-8\r\n";

async fn ask(server: &Server, body: &str) -> Answer {
    let mut client = server.connect().await;
    client.send("POST", "/", HEAD, body.as_bytes()).await;
    client.answer().await
}

fn text(answer: &Answer) -> String {
    String::from_utf8(answer.bytes.clone()).unwrap()
}

#[tokio::test]
async fn documents_go_in_and_out() {
    let server = Server::start().await;
    let create = "Action=CreateTopic&Version=2010-03-31&Name=t&Attributes.entry.1.key=DisplayName&Attributes.entry.1.value=Shown\
                  &Tags.member.1.Key=a&Tags.member.1.Value=b";
    let answer = ask(&server, create).await;
    assert_eq!((answer.status, answer.header("content-type")), (200, "text/xml"));
    let id = answer.header("x-amzn-requestid");
    assert_eq!(
        text(&answer),
        format!(
            "<?xml version=\"1.0\"?><CreateTopicResponse xmlns=\"http://sns.amazonaws.com/doc/2010-03-31/\"><CreateTopicResult>\
             <TopicArn>arn:aws:sns:eu-west-1:000000000000:t</TopicArn></CreateTopicResult><ResponseMetadata><RequestId>{id}\
             </RequestId></ResponseMetadata></CreateTopicResponse>"
        )
    );
    let topic = "TopicArn=arn%3Aaws%3Asns%3Aeu-west-1%3A000000000000%3At";
    let answer = text(&ask(&server, &format!("Action=GetTopicAttributes&{topic}")).await);
    assert!(
        answer.contains("<Attributes><entry><key>DisplayName</key><value>Shown</value></entry>"),
        "{answer}"
    );
    let arn = topic.replace("TopicArn", "ResourceArn");
    let answer = text(&ask(&server, &format!("Action=ListTagsForResource&{arn}")).await);
    assert!(answer.contains("<Tags><member><Key>a</Key><Value>b</Value></member></Tags>"), "{answer}");
    // Message attributes arrive: this one is refused for its type.
    let attribute = "MessageAttributes.entry.1.Name=n&MessageAttributes.entry.1.Value.DataType=Date\
                     &MessageAttributes.entry.1.Value.StringValue=v";
    let answer = ask(&server, &format!("Action=Publish&{topic}&Message=m&{attribute}")).await;
    assert_eq!(answer.status, 400);
    let said = "<Error><Type>Sender</Type><Code>ParameterValueInvalid</Code><Message>The message attribute 'n' has an invalid";
    assert!(text(&answer).contains(said), "{}", text(&answer));
    let answer = ask(&server, &format!("Action=Publish&{topic}&Message=m")).await;
    assert!(
        answer.status == 200 && text(&answer).contains("<PublishResult><MessageId>"),
        "{}",
        text(&answer)
    );
    // A queue's subscriber, where the store is closed: nothing was published.
    let subscribe =
        format!("Action=Subscribe&{topic}&Protocol=sqs&Endpoint=arn:aws:sqs:eu-west-1:000000000000:q");
    let answer = ask(&server, &subscribe).await;
    assert!(
        text(&answer).contains("<SubscriptionArn>arn:aws:sns:eu-west-1:000000000000:t:"),
        "{}",
        text(&answer)
    );
    let mut client = server.connect().await;
    let queue = HEAD.replace("/sns/", "/sqs/");
    client.send("POST", "/", &queue, b"Action=CreateQueue&QueueName=q").await;
    assert_eq!(client.answer().await.status, 200);
    let answer = ask(&server, &format!("Action=Publish&{topic}&Message=m")).await;
    assert_eq!(answer.status, 500);
    assert!(text(&answer).contains("<Type>Receiver</Type><Code>InternalError</Code>"), "{}", text(&answer));
}

#[tokio::test]
async fn every_operation_of_the_model_is_answered_for() {
    let server = Server::start().await;
    let (mut built, mut refused) = (0, Vec::new());
    for operation in &crate::service_model::SNS.operations {
        let answer = text(&ask(&server, &format!("Action={}", operation.name)).await);
        if answer.contains("<Code>InvalidAction</Code>") {
            let reason = format!("lambkin does not do SNS&apos;s {}: ", operation.name);
            assert!(answer.contains(&reason) || answer.contains(&reason.replace("&apos;", "'")), "{answer}");
            refused.push(&*operation.name);
        } else {
            built += 1;
        }
    }
    assert_eq!(built, 17, "{refused:?}");
    let others =
        ["AddPermission", "CreatePlatformApplication", "GetSMSAttributes", "PutDataProtectionPolicy"];
    assert!(others.iter().all(|other| refused.contains(other)), "{refused:?}");
    let unknown = text(&ask(&server, "Action=Nothing").await);
    assert!(unknown.contains("The action Nothing is not valid for this endpoint."), "{unknown}");
}

#[tokio::test]
async fn a_request_is_bounded() {
    let server = Server::start().await;
    let body = format!("Action=Publish&Message={}", "x".repeat(lambkin_model::sns::REQUEST_BYTES));
    let answer = ask(&server, &body).await;
    assert_eq!(answer.status, 413);
    assert!(text(&answer).contains("<Code>RequestEntityTooLarge</Code>"), "{}", text(&answer));
}
