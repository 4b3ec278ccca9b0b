"""The SQS-compatible service, by boto3 (AWS JSON) and by hand-made Query requests. botocore itself checks the MD5 of every
body that it receives."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import time

import pytest
from botocore.exceptions import ClientError

import sqs_client
from lambda_client import ACCOUNT, create, invoke
from server import binary, eventually
from sqs_client import Query, error, md5_of_attributes, queue_arn

ATTRIBUTES = {
    "word": {"DataType": "String", "StringValue": "grün <&>\r\n"},
    "number": {"DataType": "Number.int", "StringValue": "-12.5"},
    "bytes": {"DataType": "Binary", "BinaryValue": b"\0\xff"},
}
BODY = 'line\r\n<b>&amp;"\'\t😀'


@pytest.fixture(scope="module")
def sqs(shared):
    return sqs_client.client(shared.endpoint)


@pytest.fixture(scope="module")
def query(shared):
    return Query(shared.endpoint)


@pytest.fixture
def queue(sqs, name):
    yield sqs.create_queue(QueueName=name)["QueueUrl"]


def fifo(sqs, name, **attributes):
    return sqs.create_queue(QueueName=f"{name}.fifo", Attributes={"FifoQueue": "true", **attributes})["QueueUrl"]


def refused(call, *arguments, **parameters):
    """(HTTP status, AWS's code, JSON's type, message)."""
    with pytest.raises(ClientError) as raised:
        call(*arguments, **parameters)
    response = raised.value.response
    found = response["Error"]
    return response["ResponseMetadata"]["HTTPStatusCode"], found["Code"], found.get("QueryErrorCode"), found["Message"]


def bodies(sqs, url, **parameters):
    return [each["Body"] for each in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10, **parameters).get("Messages", [])]


def count(sqs, url, kind=""):
    name = f"ApproximateNumberOfMessages{kind}"
    return int(sqs.get_queue_attributes(QueueUrl=url, AttributeNames=[name])["Attributes"][name])


def test_a_messages_life(shared, sqs, name):
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "60"}, tags={"team": "a"})["QueueUrl"]
    assert url == f"{shared.endpoint}/{ACCOUNT}/{name}"
    assert sqs.get_queue_url(QueueName=name)["QueueUrl"] == url
    trace = {"AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5759e988-bd862e3fe1be46a994272793"}}
    sent = sqs.send_message(QueueUrl=url, MessageBody=BODY, MessageAttributes=ATTRIBUTES, MessageSystemAttributes=trace)
    assert sent["MD5OfMessageBody"] == hashlib.md5(BODY.encode()).hexdigest()
    assert sent["MD5OfMessageAttributes"] == md5_of_attributes(ATTRIBUTES)
    assert sent["MD5OfMessageSystemAttributes"] == md5_of_attributes(trace)
    asked = {"MessageSystemAttributeNames": ["All"], "MessageAttributeNames": ["wo.*", "bytes"]}
    [message] = sqs.receive_message(QueueUrl=url, **asked)["Messages"]
    assert (message["MessageId"], message["Body"]) == (sent["MessageId"], BODY)
    some = {name: value for name, value in ATTRIBUTES.items() if name != "number"}
    assert message["MessageAttributes"] == some
    assert message["MD5OfMessageAttributes"] == md5_of_attributes(some)
    system = message["Attributes"]
    assert system["ApproximateReceiveCount"] == "1" and system["SenderId"] == ACCOUNT
    assert system["AWSTraceHeader"] == trace["AWSTraceHeader"]["StringValue"]
    now = time.time() * 1000
    assert now - 60_000 < int(system["SentTimestamp"]) <= int(system["ApproximateFirstReceiveTimestamp"]) <= now + 1000
    assert (count(sqs, url), count(sqs, url, "NotVisible")) == (0, 1)
    sqs.change_message_visibility(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0)
    [again] = sqs.receive_message(QueueUrl=url, AttributeNames=["ApproximateReceiveCount"])["Messages"]
    assert again["Attributes"] == {"ApproximateReceiveCount": "2"} and "MessageAttributes" not in again
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    sqs.delete_message(QueueUrl=url, ReceiptHandle=again["ReceiptHandle"])
    assert (count(sqs, url), count(sqs, url, "NotVisible")) == (0, 0)
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
    sqs.tag_queue(QueueUrl=url, Tags={"stage": ""})
    sqs.untag_queue(QueueUrl=url, TagKeys=["team"])
    assert sqs.list_queue_tags(QueueUrl=url)["Tags"] == {"stage": ""}
    sqs.delete_queue(QueueUrl=url)
    sqs.create_queue(QueueName=name)


def test_the_same_by_the_query_protocol(shared, query, name):
    parameters = {"Attribute_1_Name": "VisibilityTimeout", "Attribute_1_Value": "60", "Tag_1_Key": "team", "Tag_1_Value": "a"}
    status, root = query("CreateQueue", QueueName=name, **parameters)
    assert (status, root.tag) == (200, "CreateQueueResponse")
    url = root.findtext("CreateQueueResult/QueueUrl")
    assert url == f"{shared.endpoint}/{ACCOUNT}/{name}"
    attribute = {"MessageAttribute_1_Name": "word", "MessageAttribute_1_Value_DataType": "String"}
    # To the queue's own address, as older clients do.
    status, root = query("SendMessage", url, MessageBody=BODY, MessageAttribute_1_Value_StringValue="ü", **attribute)
    digest = md5_of_attributes({"word": {"DataType": "String", "StringValue": "ü"}})
    assert root.findtext("SendMessageResult/MD5OfMessageAttributes") == digest
    status, root = query("ReceiveMessage", QueueUrl=url, AttributeName_1="All", MessageAttributeName_1="All", WaitTimeSeconds=1)
    [message] = root.findall("ReceiveMessageResult/Message")
    assert message.findtext("Body") == BODY and message.findtext("MD5OfMessageAttributes") == digest
    assert {each.findtext("Name") for each in message.findall("Attribute")} == {
        "SenderId", "SentTimestamp", "ApproximateReceiveCount", "ApproximateFirstReceiveTimestamp",
    }
    value = message.find("MessageAttribute")
    assert (value.findtext("Name"), value.findtext("Value/StringValue")) == ("word", "ü")
    handle = message.findtext("ReceiptHandle")
    entries = {
        "DeleteMessageBatchRequestEntry_1_Id": "a", "DeleteMessageBatchRequestEntry_1_ReceiptHandle": handle,
        "DeleteMessageBatchRequestEntry_2_Id": "b", "DeleteMessageBatchRequestEntry_2_ReceiptHandle": "junk",
    }
    status, root = query("DeleteMessageBatch", QueueUrl=url, **entries)
    assert root.findtext("DeleteMessageBatchResult/DeleteMessageBatchResultEntry/Id") == "a"
    failed = root.find("DeleteMessageBatchResult/BatchResultErrorEntry")
    assert [failed.findtext(name) for name in ("Id", "Code", "SenderFault")] == ["b", "ReceiptHandleIsInvalid", "true"]
    status, root = query("GetQueueAttributes", url, AttributeName_1="VisibilityTimeout")
    assert root.findtext("GetQueueAttributesResult/Attribute/Value") == "60"
    status, root = query("DeleteQueue", url)
    assert (status, root.tag, [each.tag for each in root]) == (200, "DeleteQueueResponse", ["ResponseMetadata"])
    gone = (400, "AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist for this wsdl version.")
    assert error(query("DeleteQueue", url)) == gone


# What the service was recorded to answer, or documents: operation, parameters, (status, code, JSON's type, message).
REFUSALS = [
    ("get_queue_url", {"QueueName": "none"},
     (400, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "The specified queue does not exist.")),
    ("send_message", {"QueueUrl": "URL-none", "MessageBody": "x"},
     (400, "AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist", "The specified queue does not exist.")),
    ("create_queue", {"QueueName": "NAME", "Attributes": {"DelaySeconds": "5"}},
     (400, "QueueAlreadyExists", "QueueNameExists",
      "A queue already exists with the same name and a different value for attribute DelaySeconds")),
    ("create_queue", {"QueueName": "in.fo"},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")),
    ("create_queue", {"QueueName": "x.fifo"},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length")),
    ("create_queue", {"QueueName": "x", "Attributes": {"ContentBasedDeduplication": "true"}},
     (400, "InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute ContentBasedDeduplication.")),
    ("set_queue_attributes", {"QueueUrl": "URL", "Attributes": {"FifoQueue": "true"}},
     (400, "InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute FifoQueue.")),
    ("set_queue_attributes", {"QueueUrl": "URL", "Attributes": {"DelaySeconds": "901"}},
     (400, "InvalidAttributeValue", "InvalidAttributeValue", "Invalid value for the parameter DelaySeconds.")),
    ("set_queue_attributes", {"QueueUrl": "URL", "Attributes": {"RedrivePolicy": '{"deadLetterTargetArn": "dummy", "maxReceiveCount": 42}'}},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      'Value {"deadLetterTargetArn": "dummy", "maxReceiveCount": 42} for parameter RedrivePolicy is invalid. Reason: Invalid '
      "value for deadLetterTargetArn.")),
    ("set_queue_attributes", {"QueueUrl": "URL", "Attributes": {"Policy": "{}"}},
     (400, "AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation",
      "lambkin asks no queue's policy yet: a queue's Policy would allow and deny nothing.")),
    ("get_queue_attributes", {"QueueUrl": "URL", "AttributeNames": ["Nothing"]},
     (400, "InvalidAttributeName", "InvalidAttributeName", "Unknown Attribute Nothing.")),
    ("receive_message", {"QueueUrl": "URL", "MaxNumberOfMessages": 11},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Value 11 for parameter MaxNumberOfMessages is invalid. Reason: Must be between 1 and 10, if provided.")),
    ("receive_message", {"QueueUrl": "URL", "WaitTimeSeconds": 21},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Value 21 for parameter WaitTimeSeconds is invalid. Reason: Must be >= 0 and <= 20, if provided.")),
    ("receive_message", {"QueueUrl": "URL", "VisibilityTimeout": 43201},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Value 43201 for parameter VisibilityTimeout is invalid. Reason: Must be >= 0 and <= 43200, if provided.")),
    ("send_message", {"QueueUrl": "URL", "MessageBody": "a\0b"},
     (400, "InvalidMessageContents", "InvalidMessageContents",
      "Invalid binary character '#x0' was found in the message body, the set of allowed characters is #x9 | #xA | #xD | "
      "[#x20-#xD7FF] | [#xE000-#xFFFD] | [#x10000-#x10FFFF].")),
    ("send_message", {"QueueUrl": "URL", "MessageBody": "x" * 1_048_577},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "One or more parameters are invalid. Reason: Message must be shorter than 1048576 bytes.")),
    ("send_message", {"QueueUrl": "URL", "MessageBody": "x", "MessageAttributes": {"ErrorDetails": {"StringValue": "", "DataType": "String"}}},
     (400, "InvalidParameterValue", "InvalidParameterValueException",
      "Message (user) attribute 'ErrorDetails' must contain a non-empty value of type 'String'.")),
    ("send_message_batch", {"QueueUrl": "URL", "Entries": []},
     (400, "AWS.SimpleQueueService.EmptyBatchRequest", "EmptyBatchRequest",
      "There should be at least one SendMessageBatchRequestEntry in the request.")),
    ("send_message_batch", {"QueueUrl": "URL", "Entries": [{"Id": str(n), "MessageBody": "x"} for n in range(20)]},
     (400, "AWS.SimpleQueueService.TooManyEntriesInBatchRequest", "TooManyEntriesInBatchRequest",
      "Maximum number of entries per request are 10. You have sent 20.")),
    ("send_message_batch", {"QueueUrl": "URL", "Entries": [{"Id": "1", "MessageBody": "x"}] * 2},
     (400, "AWS.SimpleQueueService.BatchEntryIdsNotDistinct", "BatchEntryIdsNotDistinct", "Id 1 repeated.")),
    ("send_message_batch", {"QueueUrl": "URL", "Entries": [{"Id": "1", "MessageBody": "a" * 1_048_576}, {"Id": "2", "MessageBody": "b"}]},
     (400, "AWS.SimpleQueueService.BatchRequestTooLong", "BatchRequestTooLong",
      "Batch requests cannot be longer than 1048576 bytes. You have sent 1048577 bytes.")),
    ("delete_message_batch", {"QueueUrl": "URL", "Entries": [{"Id": "invalid:id", "ReceiptHandle": "x"}]},
     (400, "AWS.SimpleQueueService.InvalidBatchEntryId", "InvalidBatchEntryId",
      "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")),
    ("delete_message", {"QueueUrl": "URL", "ReceiptHandle": "fake"},
     (404, "ReceiptHandleIsInvalid", "ReceiptHandleIsInvalid", 'The input receipt handle "fake" is not a valid receipt handle.')),
    ("start_message_move_task", {"SourceArn": "ARN"},
     (400, "InvalidParameterValue", "InvalidParameterValueException", "Source queue must be configured as a Dead Letter Queue.")),
    ("list_message_move_tasks", {"SourceArn": "ARN-none"},
     (404, "ResourceNotFoundException", "ResourceNotFoundException",
      "The resource that you specified for the SourceArn parameter doesn't exist.")),
    ("add_permission", {"QueueUrl": "URL", "Label": "l", "AWSAccountIds": [ACCOUNT], "Actions": ["*"]},
     (400, "AWS.SimpleQueueService.UnsupportedOperation", "UnsupportedOperation",
      "lambkin asks no queue's policy yet: a queue's permissions would allow and deny nothing.")),
]


@pytest.mark.parametrize("operation,parameters,expected", REFUSALS, ids=[f"{n}-{each[0]}" for n, each in enumerate(REFUSALS)])
def test_what_is_refused(sqs, queue, name, operation, parameters, expected):
    def filled(value):
        if not isinstance(value, str):
            return value
        return value.replace("URL", queue).replace("NAME", name).replace("ARN", queue_arn(name))

    parameters = {key: filled(value) for key, value in parameters.items()}
    assert refused(getattr(sqs, operation), **parameters) == expected


def test_a_purge_is_once_a_minute(sqs, queue, name):
    sqs.send_message(QueueUrl=queue, MessageBody="x")
    sqs.purge_queue(QueueUrl=queue)
    assert count(sqs, queue) == 0
    text = f"Only one PurgeQueue operation on {name} is allowed every 60 seconds."
    assert refused(sqs.purge_queue, QueueUrl=queue) == (
        403, "AWS.SimpleQueueService.PurgeQueueInProgress", "PurgeQueueInProgress", text,
    )


def test_batches_fail_in_part(sqs, name):
    url = sqs.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "1024"})["QueueUrl"]
    entries = [{"Id": "fine", "MessageBody": "x"}, {"Id": "large", "MessageBody": "x" * 1025}]
    answer = sqs.send_message_batch(QueueUrl=url, Entries=entries)
    assert [each["Id"] for each in answer["Successful"]] == ["fine"]
    assert answer["Failed"] == [{
        "Id": "large", "SenderFault": True, "Code": "InvalidParameterValue",
        "Message": "One or more parameters are invalid. Reason: Message must be shorter than 1024 bytes.",
    }]
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    handles = [{"Id": "a", "ReceiptHandle": message["ReceiptHandle"]}, {"Id": "b", "ReceiptHandle": "junk"}]
    changes = [{**each, "VisibilityTimeout": 100} for each in handles]
    for answer in (sqs.change_message_visibility_batch(QueueUrl=url, Entries=changes), sqs.delete_message_batch(QueueUrl=url, Entries=handles)):
        assert answer["Successful"] == [{"Id": "a"}]
        assert [(each["Id"], each["Code"]) for each in answer["Failed"]] == [("b", "ReceiptHandleIsInvalid")]


def test_fifo_queues_keep_order_and_drop_duplicates(sqs, name):
    url = fifo(sqs, name, ContentBasedDeduplication="true")
    numbers = []
    for group, body in [("a", "a1"), ("b", "b1"), ("a", "a2"), ("a", "a1"), ("b", "b2")]:
        sent = sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group)
        numbers.append(sent["SequenceNumber"])
    assert numbers[3] == numbers[0] and len(set(numbers)) == 4 and all(len(each) == 20 for each in numbers)
    first = sqs.receive_message(QueueUrl=url, AttributeNames=["All"])["Messages"][0]
    assert first["Body"] == "a1" and first["Attributes"]["MessageGroupId"] == "a"
    assert first["Attributes"]["SequenceNumber"] == numbers[0]
    assert first["Attributes"]["MessageDeduplicationId"] == hashlib.sha256(b"a1").hexdigest()
    assert bodies(sqs, url) == ["b1", "b2"], "a2 waits for a1, and b for nobody"
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first["ReceiptHandle"])
    assert bodies(sqs, url) == ["a2"]
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x") == (
        400, "MissingParameter", "MissingRequiredParameterException", "The request must contain the parameter MessageGroupId.",
    )
    assert refused(sqs.send_message_batch, QueueUrl=url, Entries=[{"Id": "1", "MessageBody": "x"}]) == (
        400, "InvalidParameterValue", "InvalidParameterValueException", "The request must contain the parameter MessageGroupId.",
    )
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"ContentBasedDeduplication": "false"})
    text = "The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly"
    assert refused(sqs.send_message, QueueUrl=url, MessageBody="x", MessageGroupId="g")[3] == text


def test_dead_letters_go_and_come_back(sqs, name):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": queue_arn(f"{name}-dead"), "maxReceiveCount": 2}
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "0", "RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    kept = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["RedrivePolicy"])["Attributes"]["RedrivePolicy"]
    assert json.loads(kept) == policy
    assert sqs.list_dead_letter_source_queues(QueueUrl=dead)["queueUrls"] == [url]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")
    assert [bodies(sqs, url) for _ in range(3)] == [["poison"], ["poison"], []]
    [letter] = sqs.receive_message(QueueUrl=dead, AttributeNames=["All"], VisibilityTimeout=0)["Messages"]
    assert letter["MessageId"] == sent["MessageId"]
    assert letter["Attributes"]["DeadLetterQueueSourceArn"] == queue_arn(name)
    handle = sqs.start_message_move_task(SourceArn=queue_arn(f"{name}-dead"))["TaskHandle"]
    assert handle

    def task():
        [task] = sqs.list_message_move_tasks(SourceArn=queue_arn(f"{name}-dead"))["Results"]
        return task if task["Status"] != "RUNNING" else None

    ended = eventually(task, 20, "the move task ends")
    assert (ended["Status"], ended["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    assert (count(sqs, dead), bodies(sqs, url)) == (0, ["poison"])
    missing = refused(sqs.cancel_message_move_task, TaskHandle="x")
    assert missing == (400, "InvalidParameterValue", "InvalidParameterValueException", "Value for parameter TaskHandle is invalid.")


def test_a_long_poll_ends_with_the_message(sqs, queue):
    got = []
    poll = threading.Thread(target=lambda: got.extend(bodies(sqs, queue, WaitTimeSeconds=20)))
    begin = time.monotonic()
    poll.start()
    # Nothing says that a poll waits; whichever comes first, it ends with the message.
    time.sleep(0.2)
    sqs.send_message(QueueUrl=queue, MessageBody="now")
    poll.join()
    assert got == ["now"] and time.monotonic() - begin < 10


def test_a_shutdown_does_not_wait_for_long_polls(server, name):
    started = server()
    sqs = sqs_client.client(started.endpoint)
    url = sqs.create_queue(QueueName=name)["QueueUrl"]
    got = []
    poll = threading.Thread(target=lambda: got.append(bodies(sqs, url, WaitTimeSeconds=20)))
    poll.start()
    time.sleep(0.5)
    begin = time.monotonic()
    started.stop()
    poll.join()
    assert got == [[]] and time.monotonic() - begin < 15


def test_what_was_sent_is_there_after_kill(server, name):
    started = server()
    sqs = sqs_client.client(started.endpoint)
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    sent = {sqs.send_message(QueueUrl=url, MessageBody=str(n))["MessageId"] for n in range(20)}
    held = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=5)["Messages"]
    deleted = held.pop()
    sqs.delete_message(QueueUrl=url, ReceiptHandle=deleted["ReceiptHandle"])
    started.kill()
    started.start()
    sqs = sqs_client.client(started.endpoint)
    url = sqs.get_queue_url(QueueName=name)["QueueUrl"]
    found = set()
    while messages := sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        found |= {each["MessageId"] for each in messages}
    # A crash may shorten a lease, and loses no message.
    assert sent - {each["MessageId"] for each in held} - {deleted["MessageId"]} <= found
    assert deleted["MessageId"] not in found and found <= sent
    assert count(sqs, url) + count(sqs, url, "NotVisible") == 19


def test_lists_have_pages(sqs, name):
    urls = [sqs.create_queue(QueueName=f"{name}-{n}")["QueueUrl"] for n in range(5)]
    pages = list(sqs.get_paginator("list_queues").paginate(QueueNamePrefix=f"{name}-", PaginationConfig={"PageSize": 2}))
    assert [page.get("QueueUrls") for page in pages] == [urls[:2], urls[2:4], urls[4:]]
    assert "QueueUrls" not in sqs.list_queues(QueueNamePrefix=f"{name}-none")
    other = sqs_client.client(sqs.meta.endpoint_url, region="eu-west-1")
    assert "QueueUrls" not in other.list_queues(QueueNamePrefix=f"{name}-"), "another region"


def test_the_aws_cli(shared, tmp_path, name):
    variables = {
        "PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_PAGER": "",
    }

    def aws(*arguments, fails=None):
        program = os.path.join(os.path.dirname(sys.executable), "aws")
        done = subprocess.run(
            # Version 1 has an address of its own for SQS, which AWS_ENDPOINT_URL does not change.
            [sys.executable, program, "--endpoint-url", shared.endpoint, "sqs", *arguments],
            env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=120, check=False,
        )
        if fails:
            assert done.returncode and fails in done.stderr, done
            return None
        assert not done.returncode, done
        return json.loads(done.stdout) if done.stdout.strip() else None

    url = aws("create-queue", "--queue-name", name)["QueueUrl"]
    aws("send-message", "--queue-url", url, "--message-body", "by hand")
    [message] = aws("receive-message", "--queue-url", url, "--attribute-names", "All")["Messages"]
    assert message["Body"] == "by hand"
    aws("delete-message", "--queue-url", url, "--receipt-handle", message["ReceiptHandle"])
    assert aws("get-queue-attributes", "--queue-url", url, "--attribute-names", "All")["Attributes"]["QueueArn"] == queue_arn(name)
    aws("delete-queue", "--queue-url", url)
    aws("get-queue-url", "--queue-name", name, fails="(AWS.SimpleQueueService.NonExistentQueue)")


V2 = """
const AWS=require('aws-sdk');
exports.handler=(e,c,done)=>{
  const s=new AWS.SQS();
  s.getQueueUrl({QueueName:e.queue}).promise().then(r=>s.sendMessage({QueueUrl:r.QueueUrl,MessageBody:'from v2'}).promise())
    .then(()=>done(null,'sent'),done);
};
"""
V3 = """
const {SQSClient,GetQueueUrlCommand,SendMessageCommand,ReceiveMessageCommand}=require('@aws-sdk/client-sqs');
exports.handler=async e=>{
  const s=new SQSClient({}),{QueueUrl}=await s.send(new GetQueueUrlCommand({QueueName:e.queue}));
  await s.send(new SendMessageCommand({QueueUrl,MessageBody:'from v3',MessageAttributes:{a:{DataType:'String',StringValue:'b'}}}));
  return 'sent';
};
"""


@pytest.mark.parametrize("runtime,code,body", [("nodejs16.x", V2, "from v2"), ("nodejs22.x", V3, "from v3")])
def test_functions_reach_queues_without_being_told(lambda_, sqs, queue, name, runtime, code, body):
    create(lambda_, name, code, runtime, Timeout=30, MemorySize=512)
    assert invoke(lambda_, name, {"queue": name}).payload == "sent"
    [message] = sqs.receive_message(QueueUrl=queue, AttributeNames=["SenderId"], WaitTimeSeconds=5)["Messages"]
    assert (message["Body"], message["Attributes"]["SenderId"]) == (body, f"any:{name}")


def test_lambkin_queues(shared, sqs, name):
    dead = sqs.create_queue(QueueName=f"{name}-dead")["QueueUrl"]
    policy = {"deadLetterTargetArn": queue_arn(f"{name}-dead"), "maxReceiveCount": 2}
    url = sqs.create_queue(QueueName=name, Attributes={"RedrivePolicy": json.dumps(policy)})["QueueUrl"]
    for delay in (0, 0, 900):
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay)
    sqs.receive_message(QueueUrl=url)

    def run(*options):
        command = [binary(), "queues", "--endpoint", shared.endpoint, *options]
        return subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout

    [line] = [each for each in json.loads(run("--json"))["queues"] if each["name"] == name]
    assert 0 <= line.pop("oldest_seconds") < 60
    assert line == {
        "name": name, "region": "us-east-1", "arn": queue_arn(name), "visible": 1, "in_flight": 1, "delayed": 1,
        "dead_letter_queue": queue_arn(f"{name}-dead"),
    }
    [row] = [each.split() for each in run().splitlines() if each.startswith(f"{name} ")]
    assert row[:5] == [name, "us-east-1", "1", "1", "1"] and row[-1] == f"{name}-dead"
    assert count(sqs, dead) == 0
