"""Event source mappings: from SQS queues to functions, with boto3 through the real binary (aws-behaviour I)."""

import json
import threading
import time

import pytest

import kept
import sqs_client
from lambda_client import ACCOUNT, REGION, active, arn, client, create, refused, zipped
from server import eventually
from sqs_client import queue_arn

# Says which messages came, how often each was received, and in which order within the batch.
TELLS = """exports.handler=async e=>{for(const r of e.Records)console.log('GOT '+JSON.stringify(
{body:r.body,count:r.attributes.ApproximateReceiveCount,batch:e.Records.length}))}"""
# Reports the messages whose bodies say so, in each of their receives.
REPORTS = """exports.handler=async e=>{const f=[];for(const r of e.Records){const b=JSON.parse(r.body);
const n=+r.attributes.ApproximateReceiveCount;console.log('GOT '+JSON.stringify({body:b.name,count:n}));
if(n<=b.fails)f.push({itemIdentifier:r.messageId})}return {batchItemFailures:f}}"""


class World:
    """A server, its clients, and a function `f`."""

    def __init__(self, server, code):
        self.server = server
        self.lambda_, self.sqs = client(server.endpoint), sqs_client.client(server.endpoint)
        create(self.lambda_, "f", code)

    def again(self, server):
        """After a restart."""
        self.server = server
        self.lambda_, self.sqs = client(server.endpoint), sqs_client.client(server.endpoint)

    def queue(self, name, **attributes):
        attributes = {"VisibilityTimeout": "3", **attributes}
        if name.endswith(".fifo"):
            attributes["FifoQueue"] = "true"
        return self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]

    def map(self, queue, **settings):
        settings.setdefault("FunctionName", "f")
        answer = self.lambda_.create_event_source_mapping(EventSourceArn=queue_arn(queue), **settings)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 202 and answer["State"] == "Creating"
        self.until(answer["UUID"], "Enabled")
        return answer["UUID"]

    def state(self, uuid):
        try:
            return self.lambda_.get_event_source_mapping(UUID=uuid)["State"]
        except self.lambda_.exceptions.ResourceNotFoundException:
            return "gone"

    def until(self, uuid, state):
        eventually(lambda: self.state(uuid) == state, 30, f"the mapping is {state}")

    def got(self):
        """What the function said of the messages it got, in order."""
        lines = kept.text(self.server, "/aws/lambda/f").splitlines()
        return [json.loads(line.split("GOT ", 1)[1]) for line in lines if "GOT " in line]

    def counts(self, url):
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        said = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
        return tuple(int(said[name]) for name in names)

    def until_empty(self, url, seconds=60):
        eventually(lambda: self.counts(url) == (0, 0), seconds, f"nothing is left in {url}")


def plain(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_messages_reach_the_function_and_go(server):
    world = World(server(), "exports.handler=async e=>{console.log('EVENT '+JSON.stringify(e))}")
    url = world.queue("q", VisibilityTimeout="30")
    world.map("q")
    sent = world.sqs.send_message(
        QueueUrl=url,
        MessageBody='{"a":1}',
        MessageAttributes={
            "n": {"DataType": "Number", "StringValue": "6"},
            "b": {"DataType": "Binary", "BinaryValue": b"\1\2"},
        },
    )
    world.until_empty(url)

    def event():
        lines = kept.text(world.server, "/aws/lambda/f").splitlines()
        return next((json.loads(line.split("EVENT ", 1)[1]) for line in lines if "EVENT " in line), None)

    (record,) = eventually(event, 20, "the event is in the log")["Records"]
    attributes = record.pop("attributes")
    assert attributes.pop("ApproximateReceiveCount") == "1" and attributes.pop("SenderId")
    assert abs(int(attributes.pop("SentTimestamp")) / 1000 - time.time()) < 60
    assert abs(int(attributes.pop("ApproximateFirstReceiveTimestamp")) / 1000 - time.time()) < 60
    assert attributes.keys() <= {"AWSTraceHeader"}
    assert record.pop("receiptHandle")
    empty = {"stringListValues": [], "binaryListValues": []}
    assert record == {
        "messageId": sent["MessageId"],
        "body": '{"a":1}',
        "messageAttributes": {
            "n": {"stringValue": "6", **empty, "dataType": "Number"},
            "b": {"binaryValue": "AQI=", **empty, "dataType": "Binary"},
        },
        "md5OfMessageAttributes": sent["MD5OfMessageAttributes"],
        "md5OfBody": sent["MD5OfMessageBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn("q"),
        "awsRegion": REGION,
    }


def test_what_is_reported_comes_back_and_then_is_a_dead_letter(server):
    world = World(server(), REPORTS)
    dead = world.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": queue_arn("dead"), "maxReceiveCount": 2})
    url = world.queue("q", RedrivePolicy=redrive)
    bodies = [{"name": "fine", "fails": 0}, {"name": "once", "fails": 1}, {"name": "never", "fails": 9}]
    # In the queue before there is a mapping, so that they are one batch.
    entries = [{"Id": str(at), "MessageBody": json.dumps(body)} for at, body in enumerate(bodies)]
    assert len(world.sqs.send_message_batch(QueueUrl=url, Entries=entries)["Successful"]) == 3
    world.map("q", FunctionResponseTypes=["ReportBatchItemFailures"])
    world.until_empty(url)
    letters = eventually(
        lambda: world.sqs.receive_message(QueueUrl=dead, MaxNumberOfMessages=10).get("Messages"), 20, "a dead letter"
    )
    assert [json.loads(letter["Body"])["name"] for letter in letters] == ["never"]
    got = eventually(lambda: world.got() if len(world.got()) == 5 else None, 20, "all is in the log")
    assert sorted((each["body"], each["count"]) for each in got) == [
        ("fine", 1),
        ("never", 1),
        ("never", 2),
        ("once", 1),
        ("once", 2),
    ]


def test_a_failed_batch_comes_back_whole(server):
    code = TELLS.replace("exports.handler=async e=>{", "let n=0;exports.handler=async e=>{") + ""
    code = code[:-1] + ";if(n++===0)throw new Error('first')}"
    world = World(server(), code)
    url = world.queue("q")
    for body in "ab":
        world.sqs.send_message(QueueUrl=url, MessageBody=body)
    world.map("q")
    world.until_empty(url)
    got = eventually(lambda: world.got() if len(world.got()) == 4 else None, 20, "all is in the log")
    assert [(each["body"], each["count"]) for each in got] == [("a", "1"), ("b", "1"), ("a", "2"), ("b", "2")]


def test_groups_of_a_fifo_queue_keep_their_order(plain_server, tmp_path):
    seen = tmp_path / "seen"
    # A file of the host's: the log has a stream for each environment, and groups run side by side.
    code = REPORTS.replace("console.log('GOT '+", f"require('fs').appendFileSync('{seen}','\\n'+")
    world = World(plain_server(), code)
    url = world.queue("q.fifo", ContentBasedDeduplication="true")
    world.map("q.fifo", BatchSize=3, FunctionResponseTypes=["ReportBatchItemFailures"])
    for number in range(8):
        for group in "xy":
            fails = 1 if (group, number) == ("x", 2) else 0
            body = json.dumps({"name": f"{group}{number}", "fails": fails})
            world.sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=group)
    world.until_empty(url)
    got = [json.loads(line) for line in seen.read_text().split("\n") if line]
    assert {"body": "x2", "count": 2} in got
    for group in "xy":
        # Each message's last receive is the one that did not fail.
        last = {each["body"]: at for at, each in enumerate(got) if each["body"][0] == group}
        assert sorted(last, key=last.get) == [f"{group}{number}" for number in range(8)], got


def test_filters_let_only_matching_messages_through(server):
    world = World(server(), TELLS)
    url = world.queue("q")
    pattern = json.dumps({"body": {"kind": [{"prefix": "ord"}], "total": [{"numeric": [">", 10]}]}})
    world.map("q", FilterCriteria={"Filters": [{"Pattern": pattern}]})
    for body in ({"kind": "order", "total": 11}, {"kind": "order", "total": 9}, {"kind": "else", "total": 99}):
        world.sqs.send_message(QueueUrl=url, MessageBody=json.dumps(body))
    world.sqs.send_message(QueueUrl=url, MessageBody="no json")
    world.until_empty(url)
    got = eventually(world.got, 20, "the event is in the log")
    assert [json.loads(each["body"])["total"] for each in got] == [11]


def test_a_window_gathers(server):
    world = World(server(), TELLS)
    url = world.queue("q", VisibilityTimeout="30")
    world.map("q", BatchSize=100, MaximumBatchingWindowInSeconds=2)
    for number in range(25):
        world.sqs.send_message(QueueUrl=url, MessageBody=str(number))
    world.until_empty(url)
    got = eventually(lambda: world.got() if len(world.got()) == 25 else None, 20, "all is in the log")
    assert sorted(int(each["body"]) for each in got) == list(range(25))
    assert max(each["batch"] for each in got) > 10


def test_a_mapping_lives_as_on_aws(server):
    world = World(server(), TELLS)
    url = world.queue("q")
    uuid = world.map("q", FunctionName="f:$LATEST", ScalingConfig={"MaximumConcurrency": 2})
    shown = plain(world.lambda_.get_event_source_mapping(UUID=uuid))
    assert shown.pop("LastModified")
    assert shown == {
        "UUID": uuid,
        "BatchSize": 10,
        "MaximumBatchingWindowInSeconds": 0,
        "EventSourceArn": queue_arn("q"),
        "EventSourceMappingArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:event-source-mapping:{uuid}",
        "FunctionArn": arn("f", "$LATEST"),
        "FunctionResponseTypes": [],
        "ScalingConfig": {"MaximumConcurrency": 2},
        "State": "Enabled",
        "StateTransitionReason": "USER_INITIATED",
    }
    answer = world.lambda_.update_event_source_mapping(UUID=uuid, BatchSize=3)
    assert (answer["State"], answer["BatchSize"], answer["ResponseMetadata"]["HTTPStatusCode"]) == ("Updating", 3, 202)
    world.until(uuid, "Enabled")
    assert world.lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)["State"] == "Disabling"
    world.until(uuid, "Disabled")
    world.sqs.send_message(QueueUrl=url, MessageBody="waits")
    time.sleep(1)
    assert world.counts(url) == (1, 0)
    assert world.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)["State"] == "Enabling"
    world.until_empty(url)
    listed = world.lambda_.list_event_source_mappings(FunctionName="f:$LATEST")["EventSourceMappings"]
    assert [each["UUID"] for each in listed] == [uuid]
    assert world.lambda_.list_event_source_mappings(FunctionName="f")["EventSourceMappings"] == []
    # The function goes and its mapping stays (aws-behaviour 36).
    world.lambda_.delete_function(FunctionName="f")
    assert world.state(uuid) == "Enabled"
    world.sqs.send_message(QueueUrl=url, MessageBody="also waits")

    def result():
        return world.lambda_.get_event_source_mapping(UUID=uuid).get("LastProcessingResult")

    problem = eventually(result, 10, "a problem is told")
    assert problem == f"PROBLEM: Function not found: {arn('f', '$LATEST')}"
    assert world.counts(url) == (1, 0)
    create(world.lambda_, "f", TELLS)
    world.until_empty(url)
    assert result() is None
    assert world.lambda_.delete_event_source_mapping(UUID=uuid)["State"] == "Deleting"
    world.until(uuid, "gone")


def test_refusals(server):
    world = World(server(), TELLS)
    world.queue("q")
    world.queue("short", VisibilityTimeout="2")
    make = world.lambda_.create_event_source_mapping
    invalid = "InvalidParameterValueException"
    said = refused(invalid, 400, make, EventSourceArn=queue_arn("short"), FunctionName="f")
    assert said == "Queue visibility timeout: 2 seconds is less than Function timeout: 3 seconds"
    said = refused(invalid, 400, make, EventSourceArn=queue_arn("nothing"), FunctionName="f")
    assert said == (
        "Error occurred while ReceiveMessage. SQS Error Code: AWS.SimpleQueueService.NonExistentQueue. "
        "SQS Error Message: The specified queue does not exist."
    )
    uuid = world.map("q")
    said = refused("ResourceConflictException", 409, make, EventSourceArn=queue_arn("q"), FunctionName="f")
    assert said == (
        f'An event source mapping with SQS arn (" {queue_arn("q")} ") and function (" f ") already exists. '
        f"Please update or delete the existing mapping with UUID {uuid}"
    )
    unknown = "5b1cdaa1-61cc-4f7c-8a7e-27a7a4c0a001"
    said = refused("ResourceNotFoundException", 404, world.lambda_.get_event_source_mapping, UUID=unknown)
    assert said == "The resource you requested does not exist."


def test_maximum_concurrency_bounds_the_function(plain_server, tmp_path):
    code = f"""const fs=require('fs');const d='{tmp_path}/running';
exports.handler=async e=>{{const f=d+'/'+e.Records[0].messageId;fs.writeFileSync(f,'');
fs.appendFileSync('{tmp_path}/most',fs.readdirSync(d).length+'\\n');
await new Promise(r=>setTimeout(r,100));fs.unlinkSync(f)}}"""
    (tmp_path / "running").mkdir()
    world = World(plain_server(), code)
    url = world.queue("q", VisibilityTimeout="30")
    for number in range(20):
        world.sqs.send_message(QueueUrl=url, MessageBody=str(number))
    world.map("q", BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})
    world.until_empty(url)
    most = [int(line) for line in (tmp_path / "most").read_text().split()]
    assert len(most) == 20 and max(most) == 2


@pytest.mark.parametrize("kind", ["q", "q.fifo"])
def test_kill_9_loses_no_message(plain_server, tmp_path, kind):
    """Each message is processed at least once, and a FIFO queue's groups stay in order."""
    seen = tmp_path / "seen"
    code = f"""const fs=require('fs');exports.handler=async e=>{{
await new Promise(r=>setTimeout(r,30));for(const r of e.Records)fs.appendFileSync('{seen}',r.body+'\\n')}}"""
    first = plain_server()
    world = World(first, code)
    url = world.queue(kind)
    world.map(kind, BatchSize=2)
    count, sent = 60, []
    path = url.split("/", 3)[3]

    def send():
        for number in range(count):
            body = f"{'abc'[number % 3]}{number:03}"
            group = {"MessageGroupId": body[0], "MessageDeduplicationId": body} if kind.endswith(".fifo") else {}
            while True:
                try:
                    world.sqs.send_message(QueueUrl=f"{world.server.endpoint}/{path}", MessageBody=body, **group)
                    break
                except Exception:  # noqa: BLE001 - it was killed; the new one is waited for
                    time.sleep(0.1)
            sent.append(body)

    sender = threading.Thread(target=send)
    sender.start()
    for killed in range(3):
        eventually(lambda: len(sent) >= (killed + 1) * count // 5, 60, "some are sent")
        world.server.kill()
        world.again(world.server.start())
    sender.join(60)
    assert len(sent) == count
    url = f"{world.server.endpoint}/{path}"
    world.until_empty(url, 90)
    lines = seen.read_text().split()
    assert set(lines) == set(sent)
    if kind.endswith(".fifo"):
        for group in "abc":
            firsts = list(dict.fromkeys(line for line in lines if line[0] == group))
            assert firsts == sorted(firsts)


def test_an_update_of_the_function_serves_the_next_batch(server):
    world = World(server(), TELLS)
    url = world.queue("q")
    world.map("q")
    world.sqs.send_message(QueueUrl=url, MessageBody="old")
    world.until_empty(url)
    new = TELLS.replace("'GOT '", "'NEW '")
    world.lambda_.update_function_code(FunctionName="f", ZipFile=zipped({"index.js": new}))
    active(world.lambda_, "f")
    world.sqs.send_message(QueueUrl=url, MessageBody="new")
    world.until_empty(url)
    eventually(lambda: 'NEW {"body":"new"' in kept.text(world.server, "/aws/lambda/f"), 20, "the new code ran")


# A queue's address is not the same inside of a jail, so it is asked for.
CIRCLES = """const { SQSClient, GetQueueUrlCommand, SendMessageCommand } = require('@aws-sdk/client-sqs');
exports.handler = async ({ Records: [{ body }] }) => {
  console.log('GOT ' + body);
  const sqs = new SQSClient({});
  const { QueueUrl } = await sqs.send(new GetQueueUrlCommand({ QueueName: 'q' }));
  await sqs.send(new SendMessageCommand({ QueueUrl, MessageBody: String(+body + 1) }));
}"""


def test_a_loop_through_a_queue_is_stopped_after_sixteen_passages(server):
    world = World(server(), CIRCLES)
    world.lambda_.update_function_configuration(FunctionName="f", Timeout=10, MemorySize=512)
    active(world.lambda_, "f")
    dead = world.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": queue_arn("dead"), "maxReceiveCount": 2})
    url = world.queue("q", VisibilityTimeout="10", RedrivePolicy=redrive)
    world.map("q")
    world.sqs.send_message(QueueUrl=url, MessageBody="1")
    letter = eventually(lambda: world.sqs.receive_message(QueueUrl=dead).get("Messages"), 120, "a dead letter")
    assert letter[0]["Body"] == "17"
    eventually(lambda: sorted(world.got()) == list(range(1, 17)), 20, "sixteen passages")
