"""The SNS-compatible service with boto3 and the aws CLI: topics, subscriptions, filters, deliveries to queues and functions."""

import json
import os
import pathlib
import subprocess
import sys
import uuid

import pytest
from botocore.exceptions import ClientError

import aws_client
from lambda_client import ACCOUNT, REGION, arn, create, invoke
from server import binary, eventually

RAW = {"RawMessageDelivery": "true"}


@pytest.fixture(scope="session")
def sns(shared):
    return aws_client.client("sns", shared.endpoint)


@pytest.fixture(scope="session")
def sqs(shared):
    return aws_client.client("sqs", shared.endpoint)


class Queue:
    """A queue to look into."""

    def __init__(self, sqs, name):
        self.sqs = sqs
        self.url = sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = queue_arn(name)

    def receive(self, count):
        """Receives and deletes so many messages, which must be there, and no more."""
        messages = []

        def take():
            taken = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
            ).get("Messages", [])
            for message in taken:
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
            messages.extend(taken)
            return len(messages) >= count

        eventually(take, 20, f"{count} messages in {self.arn}")
        take()
        assert len(messages) == count, messages
        return messages

    def bodies(self, count):
        return sorted(message["Body"] for message in self.receive(count))


@pytest.fixture
def queue(sqs, name):
    made = []

    def make(suffix=""):
        made.append(Queue(sqs, name[:60] + suffix))
        return made[-1]

    yield make
    for each in made:
        sqs.delete_queue(QueueUrl=each.url)


@pytest.fixture
def topic(sns, name):
    topic_arn = sns.create_topic(Name=name)["TopicArn"]
    yield topic_arn
    sns.delete_topic(TopicArn=topic_arn)


def queue_arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


def subscribe(sns, topic, queue, **attributes):
    attributes = {key: value if isinstance(value, str) else json.dumps(value) for key, value in attributes.items()}
    return sns.subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue.arn, Attributes=attributes, ReturnSubscriptionArn=True
    )["SubscriptionArn"]


def text(value, data_type="String"):
    return {"DataType": data_type, "StringValue": value}


def test_a_topics_life(sns, name):
    tags = [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}]
    topic = sns.create_topic(Name=name, Attributes={"DisplayName": "Shown"}, Tags=tags)["TopicArn"]
    assert topic == f"arn:aws:sns:{REGION}:{ACCOUNT}:{name}"
    assert sns.create_topic(Name=name)["TopicArn"] == topic
    assert sns.create_topic(Name=name, Tags=tags[:1])["TopicArn"] == topic
    attributes = sns.get_topic_attributes(TopicArn=topic)["Attributes"]
    policy = json.loads(attributes.pop("Policy"))
    assert policy["Statement"][0]["Resource"] == topic
    assert json.loads(attributes.pop("EffectiveDeliveryPolicy"))["http"]["defaultHealthyRetryPolicy"]["numRetries"] == 3
    assert attributes == {
        "DisplayName": "Shown", "Owner": ACCOUNT, "SubscriptionsConfirmed": "0", "SubscriptionsDeleted": "0",
        "SubscriptionsPending": "0", "TopicArn": topic,
    }
    sns.set_topic_attributes(TopicArn=topic, AttributeName="DisplayName", AttributeValue="Other")
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["DisplayName"] == "Other"
    sns.untag_resource(ResourceArn=topic, TagKeys=["a"])
    sns.tag_resource(ResourceArn=topic, Tags=[{"Key": "b", "Value": "3"}])
    assert sns.list_tags_for_resource(ResourceArn=topic)["Tags"] == [{"Key": "b", "Value": "3"}]
    pages = sns.get_paginator("list_topics").paginate()
    assert topic in [each["TopicArn"] for page in pages for each in page["Topics"]]
    sns.delete_topic(TopicArn=topic)
    sns.delete_topic(TopicArn=topic)
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_topic_attributes(TopicArn=topic)


def test_a_subscriptions_life(sns, topic, queue):
    made = queue()
    subscription = subscribe(sns, topic, made)
    assert subscription.rsplit(":", 1)[0] == topic and uuid.UUID(subscription.rsplit(":", 1)[1])
    assert subscribe(sns, topic, made) == subscription
    defaults = {
        "ConfirmationWasAuthenticated": "true", "Endpoint": made.arn, "Owner": ACCOUNT, "PendingConfirmation": "false",
        "Protocol": "sqs", "RawMessageDelivery": "false", "SubscriptionArn": subscription,
        "SubscriptionPrincipal": f"arn:aws:iam::{ACCOUNT}:root", "TopicArn": topic,
    }
    assert sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"] == defaults

    def change(attribute, value):
        sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName=attribute, AttributeValue=value)
        return sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]

    # Recorded: the scope shows only beside a policy, and the policy as it was written.
    assert change("FilterPolicyScope", "MessageBody") == defaults
    policy = json.dumps({"object": {"key": [{"prefix": "auto-"}]}})
    filtered = {**defaults, "FilterPolicy": policy, "FilterPolicyScope": "MessageBody"}
    assert change("FilterPolicy", policy) == filtered
    assert change("FilterPolicy", "") == defaults
    listed = {key: defaults[key] for key in ("Endpoint", "Owner", "Protocol", "SubscriptionArn", "TopicArn")}
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == [listed]
    pages = sns.get_paginator("list_subscriptions").paginate()
    assert listed in [each for page in pages for each in page["Subscriptions"]]
    assert sns.get_topic_attributes(TopicArn=topic)["Attributes"]["SubscriptionsConfirmed"] == "1"
    sns.unsubscribe(SubscriptionArn=subscription)
    sns.unsubscribe(SubscriptionArn=subscription)
    assert sns.list_subscriptions_by_topic(TopicArn=topic)["Subscriptions"] == []
    with pytest.raises(sns.exceptions.NotFoundException):
        sns.get_subscription_attributes(SubscriptionArn=subscription)


def test_wrapped_and_raw(sns, topic, queue, shared):
    wrapped, raw = queue("-wrapped"), queue("-raw")
    subscription = subscribe(sns, topic, wrapped)
    subscribe(sns, topic, raw, **RAW)
    attributes = {"number": text("99.12", "Number"), "bytes": {"DataType": "Binary", "BinaryValue": b"\x02\x03\x04"}}
    body = "\u00f6\u00a7a1\"_!?,. \u00a3$-"
    published = sns.publish(TopicArn=topic, Message=body, Subject="[Subject] Test", MessageAttributes=attributes)
    got = wrapped.receive(1)[0]
    assert "MessageAttributes" not in got
    notification = json.loads(got["Body"])
    assert list(notification) == [
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertURL", "UnsubscribeURL", "MessageAttributes",
    ]
    assert notification["Type"] == "Notification" and notification["MessageId"] == published["MessageId"]
    assert (notification["TopicArn"], notification["Subject"], notification["Message"]) == (topic, "[Subject] Test", body)
    assert notification["MessageAttributes"] == {
        "number": {"Type": "Number", "Value": "99.12"}, "bytes": {"Type": "Binary", "Value": "AgME"},
    }
    assert notification["UnsubscribeURL"] == f"{shared.endpoint}/?Action=Unsubscribe&SubscriptionArn={subscription}"
    got = raw.receive(1)[0]
    assert got["Body"] == body
    assert got["MessageAttributes"] == {
        "number": {"DataType": "Number", "StringValue": "99.12"},
        "bytes": {"DataType": "Binary", "BinaryValue": b"\x02\x03\x04"},
    }
    # MessageStructure: each protocol its own text.
    structure = json.dumps({"default": "default field", "sqs": json.dumps({"field": "value"})})
    sns.publish(TargetArn=topic, Message=structure, MessageStructure="json")
    assert raw.bodies(1) == ['{"field": "value"}']
    assert json.loads(wrapped.bodies(1)[0])["Message"] == '{"field": "value"}'


def test_filters_of_both_scopes(sns, topic, queue):
    by_attribute, by_body, everything = queue("-attribute"), queue("-body"), queue("-all")
    policy = {"store": ["example"], "price": [{"numeric": [">=", 100]}], "interests": [{"anything-but": ["rugby"]}]}
    subscribe(sns, topic, by_attribute, FilterPolicy=policy, **RAW)
    body = {"a": {"b": [{"prefix": "x"}]}, "$or": [{"c": [1]}, {"d": [{"exists": False}]}]}
    subscribe(sns, topic, by_body, FilterPolicy=body, FilterPolicyScope="MessageBody", **RAW)
    subscribe(sns, topic, everything, **RAW)
    passing = {"store": text("example"), "price": text("100", "Number"), "interests": text('["rugby","golf"]', "String.Array")}
    messages = [
        ("1", passing),
        ("2", {**passing, "price": text("99.9", "Number")}),
        ("3", {**passing, "interests": text('["rugby"]', "String.Array")}),
        ("4", {key: passing[key] for key in ("store", "price")}),
        ('{"a":{"b":"xy"},"c":1,"d":2}', {}),
        ('{"a":{"b":"xy"}}', {}),
        ('{"a":{"b":"xy"},"d":2}', {}),
        ('{"a":{"b":"yx"}}', {}),
    ]
    for message, attributes in messages:
        sns.publish(TopicArn=topic, Message=message, MessageAttributes=attributes)
    assert by_attribute.bodies(1) == ["1"]
    assert by_body.bodies(2) == ['{"a":{"b":"xy"},"c":1,"d":2}', '{"a":{"b":"xy"}}']
    assert everything.bodies(len(messages)) == sorted(message for message, _ in messages)


def test_what_a_subscription_cannot_deliver_goes_to_its_dead_letter_queue(sns, sqs, topic, queue):
    dead, gone = queue("-dead"), queue("-gone")
    policy = {"deadLetterTargetArn": dead.arn}
    subscription = subscribe(sns, topic, gone, RedrivePolicy=policy)
    assert json.loads(sns.get_subscription_attributes(SubscriptionArn=subscription)["Attributes"]["RedrivePolicy"]) == policy
    sns.publish(TopicArn=topic, Message="before")
    assert json.loads(gone.bodies(1)[0])["Message"] == "before"
    sqs.delete_queue(QueueUrl=gone.url)
    sns.publish(TopicArn=topic, Message="after", MessageAttributes={"k": text("v")})
    got = dead.receive(1)[0]
    assert "MessageAttributes" not in got
    assert json.loads(got["Body"])["Message"] == "after"
    sns.set_subscription_attributes(SubscriptionArn=subscription, AttributeName="RawMessageDelivery", AttributeValue="true")
    sns.publish(TopicArn=topic, Message="raw", MessageAttributes={"k": text("v")})
    got = dead.receive(1)[0]
    assert got["Body"] == "raw" and got["MessageAttributes"] == {"k": text("v")}
    sqs.create_queue(QueueName=gone.arn.rsplit(":", 1)[1])


def test_batches(sns, topic, queue):
    made = queue()
    subscribe(sns, topic, made, **RAW)
    entries = [{"Id": str(n), "Message": f"message {n}", "MessageAttributes": {"n": text(str(n), "Number")}} for n in range(10)]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == [each["Id"] for each in entries]
    assert len({each["MessageId"] for each in answer["Successful"]}) == 10 and answer["Failed"] == []
    assert made.bodies(10) == [f"message {n}" for n in range(10)]
    entries = [{"Id": "good", "Message": "good"}, {"Id": "bad", "Message": "x", "Subject": "two\nlines"}]
    answer = sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["good"]
    assert answer["Failed"] == [
        {"Id": "bad", "Code": "InvalidParameter", "Message": "Invalid parameter: Subject", "SenderFault": True}
    ]
    assert made.bodies(1) == ["good"]


def many(count, **more):
    return [{"Id": str(n), "Message": "x", **more} for n in range(count)]


# Recorded from SNS: operation, parameters over {"TopicArn": topic}, code, status, message.
REFUSALS = [
    ("publish", {"TopicArn": "test-topic", "Message": "x"}, "InvalidParameter", 400,
     "Invalid parameter: TopicArn Reason: An ARN must have at least 6 elements, not 1"),
    ("publish", {"Message": ""}, "InvalidParameter", 400, "Invalid parameter: Empty message"),
    ("publish", {"Message": "x" * 262_145}, "InvalidParameter", 400, "Invalid parameter: Message too long"),
    ("publish", {"Message": "x", "Subject": ""}, "InvalidParameter", 400, "Invalid parameter: Subject"),
    ("publish", {"Message": "{x", "MessageStructure": "json"}, "InvalidParameter", 400,
     "Invalid parameter: Message Structure - JSON message body failed to parse"),
    ("publish", {"Message": '{"sqs":"x"}', "MessageStructure": "json"}, "InvalidParameter", 400,
     "Invalid parameter: Message Structure - No default entry in JSON message body"),
    ("publish", {"Message": "x", "MessageAttributes": {"attr1": text("")}}, "ParameterValueInvalid", 400,
     "The message attribute 'attr1' must contain non-empty message attribute value for message attribute type 'String'."),
    ("publish", {"Message": "x", "MessageAttributes": {"attr1": {"StringValue": "x"}}}, "ValidationError", 400,
     "1 validation error detected: Value null at 'messageAttributes.attr1.member.dataType' failed to satisfy constraint: "
     "Member must not be null"),
    ("publish", {"TopicArn": None, "Message": "x"}, "InvalidParameter", 400,
     "Invalid parameter: TopicArn or TargetArn Reason: no value for required parameter"),
    ("publish", {"TopicArn": None, "TargetArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:endpoint/APNS/a/b", "Message": "x"},
     "InvalidParameter", 400, "Invalid parameter: TargetArn Reason: No endpoint found for the target arn specified"),
    ("publish", {"TopicArn": None, "PhoneNumber": "+123123123", "Message": "x"}, "InvalidParameter", 400,
     "Invalid parameter: PhoneNumber Reason: lambkin sends no SMS"),
    ("publish_batch", {"PublishBatchRequestEntries": many(11)}, "TooManyEntriesInBatchRequest", 400,
     "The batch request contains more entries than permissible."),
    ("publish_batch", {"PublishBatchRequestEntries": []}, "EmptyBatchRequest", 400,
     "The batch request doesn't contain any entries."),
    ("publish_batch", {"PublishBatchRequestEntries": many(1) * 2}, "BatchEntryIdsNotDistinct", 400,
     "Two or more batch entries in the request have the same Id."),
    ("publish_batch", {"PublishBatchRequestEntries": [{"Id": "a b", "Message": "x"}]}, "InvalidBatchEntryId", 400,
     "The Id of a batch entry in a batch request doesn't abide by the specification."),
    ("publish_batch", {"PublishBatchRequestEntries": [{**each, "Message": "x" * 140_000} for each in many(2)]},
     "BatchRequestTooLong", 400, "The length of all the messages put together is more than the limit."),
    ("subscribe", {"Protocol": "test-protocol", "Endpoint": "x"}, "InvalidParameter", 400,
     "Invalid parameter: Amazon SNS does not support this protocol string: test-protocol"),
    ("subscribe", {"Protocol": "email", "Endpoint": "a@example.com"}, "InvalidParameter", 400,
     "Invalid parameter: Protocol Reason: lambkin delivers to sqs and lambda, and not to email"),
    ("subscribe", {"Protocol": "sqs", "Endpoint": "http://127.0.0.1/q"}, "InvalidParameter", 400,
     "Invalid parameter: SQS endpoint ARN"),
    ("subscribe", {"Protocol": "sqs", "Endpoint": queue_arn("q"), "Attributes": {"RawMessageDelivery": "wrongvalue"}},
     "InvalidParameter", 400,
     "Invalid parameter: Attributes Reason: RawMessageDelivery: Invalid value [wrongvalue]. Must be true or false."),
    ("subscribe", {"Protocol": "sqs", "Endpoint": queue_arn("q"), "Attributes": {"FilterPolicy": '{"key":[["value"]]}'}},
     "InvalidParameter", 400,
     "Invalid parameter: Attributes Reason: FilterPolicy: Match value must be String, number, true, false, or null\n at "
     "[Source: REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 10]"),
    ("subscribe", {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:missing", "Protocol": "sqs", "Endpoint": queue_arn("q")},
     "NotFound", 404, "Topic does not exist"),
    ("subscribe", {"TopicArn": f"arn:aws:sns:us-west-1:{ACCOUNT}:t", "Protocol": "sqs", "Endpoint": queue_arn("q")},
     "InvalidParameter", 400, "Invalid parameter: TopicArn"),
    ("get_topic_attributes", {"TopicArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:missing"}, "NotFound", 404, "Topic does not exist"),
    ("set_topic_attributes", {"AttributeName": "FifoTopic", "AttributeValue": "false"}, "InvalidParameter", 400,
     "Invalid parameter: AttributeName"),
    ("set_topic_attributes", {"AttributeName": "Policy", "AttributeValue": "{}"}, "InvalidParameter", 400,
     "Invalid parameter: Policy: lambkin asks no topic's policy yet: a topic's policy would allow and deny nothing"),
    ("create_topic", {"TopicArn": None, "Name": "bad name"}, "InvalidParameter", 400, "Invalid parameter: Topic Name"),
    ("create_topic", {"TopicArn": None, "Name": "a.fifo", "Attributes": {"FifoTopic": "true"}}, "InvalidParameter", 400,
     "Invalid parameter: Topic Name Reason: lambkin has no FIFO topics"),
    ("tag_resource", {"TopicArn": None, "ResourceArn": f"arn:aws:sns:{REGION}:{ACCOUNT}:missing", "Tags": []},
     "ResourceNotFound", 404, "Resource does not exist"),
    ("confirm_subscription", {"Token": "51b2ff3edb475b7d91550e0ab6edf0c1de2a34e6ebaf6"}, "InvalidParameter", 400, "Invalid token"),
    ("confirm_subscription", {"Token": "51b2ff3edb475b7d91550e0ab6edf0c1de2a34e6ebaf6c2262a001bcb7e051c43aa00022ceecce70bd2a67b"},
     "InvalidParameter", 400, "Invalid parameter: Token"),
    ("unsubscribe", {"TopicArn": None, "SubscriptionArn": "x"}, "InvalidParameter", 400,
     "Invalid parameter: SubscriptionArn Reason: An ARN must have at least 6 elements, not 1"),
    ("add_permission", {"Label": "x", "AWSAccountId": [ACCOUNT], "ActionName": ["Publish"]}, "InvalidAction", 400,
     "lambkin does not do SNS's AddPermission: it has no SMS, no mobile push, no topic policies and no inspection of messages"),
    ("create_platform_application", {"TopicArn": None, "Name": "a", "Platform": "APNS", "Attributes": {}}, "InvalidAction", 400,
     "lambkin does not do SNS's CreatePlatformApplication: it has no SMS, no mobile push, no topic policies and no inspection of messages"),
]


@pytest.mark.parametrize("number", range(len(REFUSALS)))
def test_refusals(shared, topic, number):
    operation, given, code, status, message = REFUSALS[number]
    unchecked = aws_client.client("sns", shared.endpoint, validate=False)
    given = {key: value for key, value in {"TopicArn": topic, **given}.items() if value is not None}
    with pytest.raises(ClientError) as raised:
        getattr(unchecked, operation)(**given)
    response = raised.value.response
    assert response["Error"] == {"Type": "Sender", "Code": code, "Message": message}
    assert response["ResponseMetadata"]["HTTPStatusCode"] == status


# Sends what it gets to the queue of its environment variable.
FORWARDS = """
import { SQSClient, GetQueueUrlCommand, SendMessageCommand } from '@aws-sdk/client-sqs';
const client = new SQSClient({});
export const handler = async (event) => {
  const { QueueUrl } = await client.send(new GetQueueUrlCommand({ QueueName: process.env.QUEUE }));
  await client.send(new SendMessageCommand({ QueueUrl, MessageBody: JSON.stringify(event) }));
};
"""


def test_a_function_gets_the_event(sns, lambda_, topic, queue, name):
    made = queue()
    create(lambda_, name, {"index.mjs": FORWARDS}, Environment={"Variables": {"QUEUE": made.arn.rsplit(":", 1)[1]}}, Timeout=30)
    subscription = sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn(name), ReturnSubscriptionArn=True)["SubscriptionArn"]
    permit(lambda_, name, topic)
    published = sns.publish(TopicArn=topic, Message="Hello world.", MessageAttributes={"attr1": text("1", "Number")})
    event = json.loads(made.bodies(1)[0])
    notification = event["Records"][0].pop("Sns")
    assert event == {"Records": [{"EventSource": "aws:sns", "EventVersion": "1.0", "EventSubscriptionArn": subscription}]}
    assert list(notification) == [
        "Type", "MessageId", "TopicArn", "Subject", "Message", "Timestamp", "SignatureVersion", "Signature",
        "SigningCertUrl", "UnsubscribeUrl", "MessageAttributes",
    ]
    assert (notification["MessageId"], notification["Subject"]) == (published["MessageId"], None)
    assert (notification["TopicArn"], notification["Message"]) == (topic, "Hello world.")
    assert notification["MessageAttributes"] == {"attr1": {"Type": "Number", "Value": "1"}}
    # A function that is gone: the event goes to the subscription's dead-letter queue.
    sns.set_subscription_attributes(
        SubscriptionArn=subscription, AttributeName="RedrivePolicy",
        AttributeValue=json.dumps({"deadLetterTargetArn": made.arn}),
    )
    lambda_.delete_function(FunctionName=name)
    sns.publish(TopicArn=topic, Message="too late")
    assert json.loads(made.bodies(1)[0])["Message"] == "too late"


def permit(lambda_, name, topic, **options):
    """Lets a topic invoke a function."""
    lambda_.add_permission(
        FunctionName=name, StatementId="sns", Action="lambda:InvokeFunction", Principal="sns.amazonaws.com", SourceArn=topic, **options
    )


def test_a_function_says_which_topics_invoke_it(shared, sns, lambda_, topic, queue, name):
    made = queue()
    create(lambda_, name, {"index.mjs": FORWARDS}, Environment={"Variables": {"QUEUE": made.arn.rsplit(":", 1)[1]}}, Timeout=30)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    redrive = json.dumps({"deadLetterTargetArn": made.arn})

    def subscribe(endpoint):
        return sns.subscribe(
            TopicArn=topic, Protocol="lambda", Endpoint=endpoint, Attributes={"RedrivePolicy": redrive}, ReturnSubscriptionArn=True
        )["SubscriptionArn"]

    def got(message):
        """Whether the function got it; else its text is in the dead-letter queue."""
        sns.publish(TopicArn=topic, Message=message)
        document = json.loads(made.bodies(1)[0])
        notification = document["Records"][0]["Sns"] if "Records" in document else document
        assert notification["Message"] == message
        return "Records" in document

    subscription = subscribe(arn(name))
    assert not got("nobody said that it may")
    permit(lambda_, name, topic + "-other")
    assert not got("another topic may")
    lambda_.remove_permission(FunctionName=name, StatementId="sns")
    permit(lambda_, name, topic)
    assert got("it may")
    statements = json.loads(lambda_.get_policy(FunctionName=name)["Policy"])["Statement"]
    deny = {"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "lambda:*", "Resource": arn(name)}
    lambda_.put_resource_policy(ResourceArn=arn(name), Policy=json.dumps({"Version": "2012-10-17", "Statement": [*statements, deny]}))
    assert not got("a denial wins")
    sns.unsubscribe(SubscriptionArn=subscription)
    subscribe(f"{arn(name)}:live")
    assert not got("an alias has a policy of its own")
    permit(lambda_, name, topic, Qualifier="live", SourceAccount=ACCOUNT)
    assert got("which lets it in")
    command = [binary(), "events", name, "--endpoint", shared.endpoint, "--json"]
    (counted,) = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)["functions"]
    assert counted["since_start"]["received"] == 2, counted


PUBLISHES = """
import { SNSClient, PublishCommand } from '@aws-sdk/client-sns';
const client = new SNSClient({});
export const handler = async (TopicArn) => (await client.send(new PublishCommand({ TopicArn, Message: 'from inside' }))).MessageId;
"""


def test_a_function_publishes(sns, lambda_, topic, queue, name):
    made = queue()
    subscribe(sns, topic, made)
    create(lambda_, name, {"index.mjs": PUBLISHES}, Timeout=30)
    message_id = invoke(lambda_, name, topic).payload
    notification = json.loads(made.bodies(1)[0])
    assert (notification["MessageId"], notification["Message"]) == (message_id, "from inside")


def test_a_functions_dead_letters_and_results_go_to_a_topic(sns, lambda_, topic, queue, name):
    made = queue()
    subscribe(sns, topic, made)
    code = "exports.handler=async e=>{if(e.fail)throw new Error('as asked');return 'done'}"
    create(lambda_, name, code, DeadLetterConfig={"TargetArn": topic})
    lambda_.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": topic}}
    )
    failed = lambda_.invoke(FunctionName=name, InvocationType="Event", Payload='{"fail":1}')
    # Recorded: the event as it was, and why it failed as attributes.
    notification = json.loads(made.bodies(1)[0])
    assert notification["Message"] == '{"fail":1}'
    assert notification["MessageAttributes"] == {
        "RequestID": {"Type": "String", "Value": failed["ResponseMetadata"]["RequestId"]},
        "ErrorCode": {"Type": "Number", "Value": "200"},
        "ErrorMessage": {"Type": "String", "Value": "as asked"},
    }
    lambda_.invoke(FunctionName=name, InvocationType="Event", Payload="{}")
    record = json.loads(json.loads(made.bodies(1)[0])["Message"])
    assert (record["requestContext"]["condition"], record["responsePayload"]) == ("Success", "done")
    missing = topic + "-missing"
    with pytest.raises(ClientError) as raised:
        lambda_.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": missing})
    assert raised.value.response["Error"]["Code"] == "InvalidParameterValueException"


def test_what_was_published_is_there_after_a_kill(server):
    first = server()
    sns, sqs = aws_client.client("sns", first.endpoint), aws_client.client("sqs", first.endpoint)
    topic = sns.create_topic(Name="t")["TopicArn"]
    queues = [Queue(sqs, f"q{n}") for n in range(3)]
    for each in queues:
        subscribe(sns, topic, each, FilterPolicy={"k": ["v"]}, **RAW)
    for n in range(10):
        sns.publish(TopicArn=topic, Message=f"{n}", MessageAttributes={"k": text("v")})
    first.kill()
    second = first.start()
    sns, sqs = aws_client.client("sns", second.endpoint), aws_client.client("sqs", second.endpoint)
    for each in queues:
        assert Queue(sqs, each.arn.rsplit(":", 1)[1]).bodies(10) == [str(n) for n in range(10)]
    sns.publish(TopicArn=topic, Message="filtered")
    sns.publish(TopicArn=topic, Message="after", MessageAttributes={"k": text("v")})
    assert Queue(sqs, "q0").bodies(1) == ["after"]


def test_with_the_aws_cli(shared, tmp_path, name):
    program = pathlib.Path(sys.executable).parent / "aws"
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": shared.endpoint, "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_PAGER": "",
    }

    def aws(*arguments):
        done = subprocess.run(
            # Version 1 has an address of its own for SQS, which AWS_ENDPOINT_URL does not change.
            [sys.executable, str(program), "--endpoint-url", shared.endpoint, *arguments],
            env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )
        assert done.returncode == 0, done
        return json.loads(done.stdout) if done.stdout.strip() else None

    topic = aws("sns", "create-topic", "--name", name, "--attributes", "DisplayName=Shown", "--tags", "Key=a,Value=b")["TopicArn"]
    url = aws("sqs", "create-queue", "--queue-name", name)["QueueUrl"]
    subscription = aws(
        "sns", "subscribe", "--topic-arn", topic, "--protocol", "sqs", "--notification-endpoint", queue_arn(name),
        "--attributes", json.dumps({"FilterPolicy": json.dumps({"color": ["red"]}), **RAW}), "--return-subscription-arn",
    )["SubscriptionArn"]
    assert aws("sns", "get-subscription-attributes", "--subscription-arn", subscription)["Attributes"]["RawMessageDelivery"] == "true"
    for color in ("blue", "red"):
        attributes = json.dumps({"color": text(color)})
        aws("sns", "publish", "--topic-arn", topic, "--message", f"it is {color}", "--message-attributes", attributes)
    got = aws("sqs", "receive-message", "--queue-url", url, "--message-attribute-names", "All", "--wait-time-seconds", "5")
    assert [each["Body"] for each in got["Messages"]] == ["it is red"]
    aws("sns", "publish-batch", "--topic-arn", topic, "--publish-batch-request-entries", json.dumps(many(2)))
    assert aws("sns", "list-subscriptions-by-topic", "--topic-arn", topic)["Subscriptions"][0]["SubscriptionArn"] == subscription
    aws("sns", "unsubscribe", "--subscription-arn", subscription)
    aws("sns", "delete-topic", "--topic-arn", topic)
    aws("sqs", "delete-queue", "--queue-url", url)
