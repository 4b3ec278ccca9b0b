"""Asynchronous invocation: attempts, dead letters, destinations (aws-behaviour 7, 29, 51 to 55), and kill -9."""

import datetime
import http.server
import json
import re
import subprocess
import threading
import urllib.parse
import urllib.request

import boto3
import botocore.config
import pytest

import kept
from exposition import scrape
from lambda_client import ACCOUNT, REGION, active, arn, client, create, invoke, refused, zipped
from server import Server, binary, eventually

FAST = ("--event-retry-scale", "0.005")
FAILS = "exports.handler=async e=>{console.log('attempt');throw new Error('some_error_msg')}"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Queue:
    """A queue of the SQS-compatible service."""

    def __init__(self, server, name, region=REGION):
        self.sqs = service(server, "sqs", region)
        self.url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        self.arn = f"arn:aws:sqs:{region}:{ACCOUNT}:{name}"

    def receive(self, count=1, seconds=30):
        """So many messages, deleted."""
        found = []

        def all_there():
            answer = self.sqs.receive_message(
                QueueUrl=self.url, MaxNumberOfMessages=10, WaitTimeSeconds=1, MessageAttributeNames=["All"]
            )
            for message in answer.get("Messages", []):
                self.sqs.delete_message(QueueUrl=self.url, ReceiptHandle=message["ReceiptHandle"])
                found.append(message)
            return len(found) >= count

        eventually(all_there, seconds, f"{count} messages in {self.arn}")
        assert len(found) == count, found
        return found


def service(server, name, region=REGION):
    return boto3.session.Session().client(
        name,
        endpoint_url=server.endpoint,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


@pytest.fixture(scope="module")
def fast(tmp_path_factory):
    """A server whose pauses are short: 0.3 s and 0.6 s between the attempts."""
    with Server(tmp_path_factory.mktemp("fast"), *FAST) as server:
        yield server


def send(lambda_, name, event=None, **options):
    """An event's request id."""
    answer = lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event or {}), **options)
    metadata = answer["ResponseMetadata"]
    assert (answer["StatusCode"], answer["Payload"].read()) == (202, b"")
    assert "ExecutedVersion" not in answer and "FunctionError" not in answer
    return metadata["RequestId"]


def log(server, name):
    return kept.text(server, f"/aws/lambda/{name}")


def page(server):
    with urllib.request.urlopen(server.endpoint + "/_lambkin/events") as answer:
        functions = json.load(answer)["functions"]
    return {function["function"].rsplit(":", 1)[1]: function for function in functions}


def test_a_failing_event_is_tried_three_times_and_becomes_a_dead_letter(fast, name):
    lambda_, queue = client(fast.endpoint), Queue(fast, name)
    made = create(lambda_, name, FAILS, DeadLetterConfig={"TargetArn": queue.arn})
    assert made["DeadLetterConfig"] == {"TargetArn": queue.arn}
    id = send(lambda_, name, {"k": 1})
    (letter,) = queue.receive()
    assert letter["Body"] == '{"k": 1}'
    assert letter["MessageAttributes"] == {
        "RequestID": {"StringValue": id, "DataType": "String"},
        "ErrorCode": {"StringValue": "200", "DataType": "Number"},
        "ErrorMessage": {"StringValue": "some_error_msg", "DataType": "String"},
    }
    # One request id over all attempts: START, the function's line and END thrice each (aws-behaviour 29).
    for what in (f"START RequestId: {id}", "\tattempt\n", f"END RequestId: {id}"):
        eventually(lambda: log(fast, name).count(what) == 3, 10, what)
    counted = page(fast)[name]
    assert counted["backlog"] == counted["in_flight"] == counted["waiting_for_retry"] == 0
    since = counted["since_start"]
    assert (since["received"], since["retried"], since["dropped"], since["dead_lettered"]) == (1, 2, 1, 1)


def test_destinations_get_records(fast, name):
    lambda_ = client(fast.endpoint)
    done, failed = Queue(fast, f"{name}-done"), Queue(fast, f"{name}-failed")
    create(lambda_, name, "exports.handler=async e=>{if(e.fail)throw new Error('no');return {ok:e.k}}")
    destinations = {"OnSuccess": {"Destination": done.arn}, "OnFailure": {"Destination": failed.arn}}
    lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destinations)
    for attempts in (3, 1):
        if attempts == 1:
            lambda_.update_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
        ids = [send(lambda_, name, {"k": 1}), send(lambda_, name, {"fail": True})]
        records = [json.loads(done.receive()[0]["Body"]), json.loads(failed.receive()[0]["Body"])]
        for record, id in zip(records, ids):
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record.pop("timestamp"))
            assert record["requestContext"].pop("requestId") == id and UUID.fullmatch(id)
        trace = records[1]["responsePayload"].pop("trace")
        assert trace[0] == "Error: no"
        assert records == [
            {
                "version": "1.0",
                "requestContext": {
                    "functionArn": arn(name, "$LATEST"),
                    "condition": "Success",
                    "approximateInvokeCount": 1,
                },
                "requestPayload": {"k": 1},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST"},
                "responsePayload": {"ok": 1},
            },
            {
                "version": "1.0",
                "requestContext": {
                    "functionArn": arn(name, "$LATEST"),
                    "condition": "RetriesExhausted",
                    "approximateInvokeCount": attempts,
                },
                "requestPayload": {"fail": True},
                "responseContext": {"statusCode": 200, "executedVersion": "$LATEST", "functionError": "Unhandled"},
                "responsePayload": {"errorType": "Error", "errorMessage": "no"},
            },
        ]


def test_a_function_is_a_destination_too(fast, name):
    lambda_, queue = client(fast.endpoint), Queue(fast, name)
    create(lambda_, name)
    create(lambda_, f"{name}-next", "exports.handler=async e=>e.responsePayload.k")
    to = lambda target: {"OnSuccess": {"Destination": target}}
    lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=to(arn(f"{name}-next")))
    lambda_.put_function_event_invoke_config(FunctionName=f"{name}-next", DestinationConfig=to(queue.arn))
    send(lambda_, name, {"k": "through"})
    record = json.loads(queue.receive()[0]["Body"])
    assert record["responsePayload"] == "through"
    assert record["requestPayload"]["requestPayload"] == {"k": "through"}


def test_configurations(fast, name):
    lambda_ = client(fast.endpoint)
    create(lambda_, name)
    put = lambda_.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=1)
    assert put["FunctionArn"] == arn(name, "$LATEST")
    assert put["DestinationConfig"] == {"OnSuccess": {}, "OnFailure": {}}
    assert put["MaximumRetryAttempts"] == 1 and "MaximumEventAgeInSeconds" not in put
    lambda_.update_function_event_invoke_config(FunctionName=name, MaximumEventAgeInSeconds=60)
    got = lambda_.get_function_event_invoke_config(FunctionName=name, Qualifier="$LATEST")
    assert (got["MaximumRetryAttempts"], got["MaximumEventAgeInSeconds"]) == (1, 60)
    listed = lambda_.list_function_event_invoke_configs(FunctionName=name)["FunctionEventInvokeConfigs"]
    assert [config["FunctionArn"] for config in listed] == [arn(name, "$LATEST")]
    lambda_.delete_function_event_invoke_config(FunctionName=name)
    text = refused("ResourceNotFoundException", 404, lambda_.get_function_event_invoke_config, FunctionName=name)
    assert text == f"The function {arn(name, '$LATEST')} doesn't have an EventInvokeConfig"
    assert lambda_.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    assert lambda_.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")["RecursiveLoop"] == "Allow"


def test_the_old_operation_still_takes_events(fast, name):
    lambda_, queue = client(fast.endpoint), Queue(fast, name)
    create(lambda_, name)
    destination = {"OnSuccess": {"Destination": queue.arn}}
    lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    assert lambda_.invoke_async(FunctionName=name, InvokeArgs=b'{"old": true}')["Status"] == 202
    assert json.loads(queue.receive()[0]["Body"])["requestPayload"] == {"old": True}


CIRCLES = """const { SQSClient, SendMessageCommand } = require('@aws-sdk/client-sqs');
const { LambdaClient, InvokeCommand } = require('@aws-sdk/client-lambda');
exports.handler = async e => {
  console.log('passage');
  await new LambdaClient({}).send(new InvokeCommand({
    FunctionName: process.env.AWS_LAMBDA_FUNCTION_NAME, InvocationType: 'Event', Payload: JSON.stringify({n: e.n + 1}) }));
}"""


def test_a_function_that_invokes_itself_is_stopped_after_sixteen_passages(fast, name):
    lambda_, queue = client(fast.endpoint), Queue(fast, name)
    create(lambda_, name, CIRCLES, Timeout=30, MemorySize=512, DeadLetterConfig={"TargetArn": queue.arn})
    send(lambda_, name, {"n": 1})
    (letter,) = queue.receive(seconds=90)
    assert json.loads(letter["Body"]) == {"n": 17}
    assert page(fast)[name]["since_start"]["recursive"] == 1
    now = datetime.datetime.now(datetime.timezone.utc)
    points = service(fast, "cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda", MetricName="RecursiveInvocationsDropped", Dimensions=[{"Name": "FunctionName", "Value": name}],
        StartTime=now - datetime.timedelta(minutes=59), EndTime=now + datetime.timedelta(minutes=1), Period=3600, Statistics=["Sum"],
    )["Datapoints"]
    assert [point["Sum"] for point in points] == [1]
    eventually(lambda: log(fast, name).count("\tpassage\n") == 16, 10, "sixteen passages")


def test_an_event_that_was_taken_survives_kill_9(server, name, tmp_path):
    first = server(*FAST)
    lambda_, queue = client(first.endpoint), Queue(first, name)
    create(lambda_, name, "exports.handler=async e=>{if(e.wait)await new Promise(r=>setTimeout(r,600000));return 1}", Timeout=900)
    destination = {"OnSuccess": {"Destination": queue.arn}}
    lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    # Nobody may run it yet.
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    ids = {send(lambda_, name, {"number": number}) for number in range(20)}
    eventually(lambda: page(first)[name]["backlog"] + page(first)[name]["in_flight"] == 20, 10, "the backlog")
    first.kill()
    first.start()
    lambda_ = client(first.endpoint)
    queue = Queue(first, name)
    lambda_.delete_function_concurrency(FunctionName=name)
    records = [json.loads(message["Body"]) for message in queue.receive(20, 60)]
    assert {record["requestContext"]["requestId"] for record in records} == ids


def test_an_event_that_runs_at_kill_9_runs_again(server, name, tmp_path):
    first = server(*FAST, "--isolation", "process")
    lambda_ = client(first.endpoint)
    began, end = tmp_path / "began", tmp_path / "end"
    code = f"""const fs=require('fs');exports.handler=async(e,c)=>{{fs.appendFileSync({json.dumps(str(began))},c.awsRequestId+'\\n');
while(!fs.existsSync({json.dumps(str(end))}))await new Promise(r=>setTimeout(r,5))}}"""
    create(lambda_, name, code, Timeout=60)
    id = send(lambda_, name)
    eventually(lambda: began.exists(), 60, "it runs")
    first.kill()
    first.start()
    eventually(lambda: began.read_text() == f"{id}\n{id}\n", 60, "it runs again")
    end.touch()
    eventually(lambda: page(first)[name]["since_start"]["succeeded"] == 1, 30, "it ends")


def test_a_change_during_a_backlog_holds_for_what_waits(fast, name):
    lambda_, queue = client(fast.endpoint), Queue(fast, name)
    create(lambda_, name, "exports.handler=async()=>'old'")
    destination = {"OnSuccess": {"Destination": queue.arn}}
    lambda_.put_function_event_invoke_config(FunctionName=name, DestinationConfig=destination)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    send(lambda_, name)
    lambda_.update_function_code(FunctionName=name, ZipFile=zipped({"index.js": "exports.handler=async()=>'new'"}))
    active(lambda_, name)
    lambda_.delete_function_concurrency(FunctionName=name)
    assert json.loads(queue.receive()[0]["Body"])["responsePayload"] == "new"


def external(tmp_path, *entries):
    """The option for targets that are elsewhere."""
    path = tmp_path / "external.json"
    path.write_text(json.dumps([{"accessKeyId": "AKIDELSEWHERE", "secretAccessKey": "far", **entry} for entry in entries]))
    path.chmod(0o600)
    return "--external", str(path)


class Elsewhere(http.server.BaseHTTPRequestHandler):
    """Fails the first time, and keeps what comes."""

    came = []

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.came.append((self.path, dict(self.headers), body))
        status = 500 if len(self.came) == 1 else 200
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def log_message(self, *_):
        pass


def test_targets_of_another_account_or_region_are_sent_to_signed(server, name, tmp_path):
    """Against another lambkin, and against something that fails first."""
    far = server()
    records = Queue(far, "records", "eu-west-1")
    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere)
    threading.Thread(target=listener.serve_forever, daemon=True).start()
    near = server(
        *FAST,
        *external(
            tmp_path,
            {"region": "eu-west-1", "endpoint": far.endpoint},
            {"account": "111111111111", "endpoint": f"http://127.0.0.1:{listener.server_port}"},
        ),
    )
    lambda_ = client(near.endpoint)
    topic = f"arn:aws:sns:{REGION}:111111111111:topic"
    create(lambda_, name, FAILS, DeadLetterConfig={"TargetArn": topic})
    lambda_.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnFailure": {"Destination": records.arn}}
    )
    id = send(lambda_, name, {"k": 1})
    (record,) = records.receive()
    assert json.loads(record["Body"])["requestContext"]["requestId"] == id
    eventually(lambda: len(Elsewhere.came) == 2, 30, "the second try")
    listener.shutdown()
    first, second = Elsewhere.came
    assert first[2] == second[2]
    form = urllib.parse.parse_qs(second[2].decode())
    assert form["Action"] == ["Publish"] and form["TopicArn"] == [topic]
    assert form["Message"] == ['{"k": 1}']
    command = [binary(), "events", "--endpoint", near.endpoint, "--json"]

    def outbound():
        shown = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return json.loads(shown)["outbound"]

    # The record, and the dead letter at its second try.
    eventually(lambda: outbound() == {"waiting": 0, "sent": 2, "retried": 1, "given_up": 0}, 10, "both are counted")
    attributes = {form[f"MessageAttributes.entry.{n}.Name"][0]: form[f"MessageAttributes.entry.{n}.Value.StringValue"][0] for n in (1, 2, 3)}
    assert attributes == {"RequestID": id, "ErrorCode": "200", "ErrorMessage": "some_error_msg"}
    signed = second[1]["authorization"]
    assert re.match(rf"AWS4-HMAC-SHA256 Credential=AKIDELSEWHERE/\d{{8}}/{REGION}/sns/aws4_request, ", signed), signed
    bus = {"OnSuccess": {"Destination": f"arn:aws:events:{REGION}:{ACCOUNT}:event-bus/default"}}
    text = refused(
        "InvalidParameterValueException", 400, lambda_.put_function_event_invoke_config,
        FunctionName=name, DestinationConfig=bus,
    )
    assert text == "lambkin has no service 'events'. Where one is elsewhere, say so with --external."


def test_the_command_shows_what_waits(fast, name):
    lambda_ = client(fast.endpoint)
    create(lambda_, name)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for _ in range(3):
        send(lambda_, name)

    def shown(*options):
        command = [binary(), "events", name, "--endpoint", fast.endpoint, *options]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    (function,) = json.loads(shown("--json"))["functions"]
    assert function["function"] == arn(name) and function["since_start"]["received"] == 3
    assert function["backlog"] + function["in_flight"] == 3
    head, line = shown().splitlines()
    assert head.split()[:3] == ["FUNCTION", "REGION", "BACKLOG"] and line.split()[:2] == [name, REGION]
    lambda_.delete_function_concurrency(FunctionName=name)
    eventually(lambda: json.loads(shown("--json"))["functions"][0]["since_start"]["succeeded"] == 3, 30, "they end")


def test_prometheus_reads_the_same_figures(fast, name):
    dead = Queue(fast, name)
    lambda_ = client(fast.endpoint)
    create(lambda_, name, FAILS, DeadLetterConfig={"TargetArn": dead.arn})
    invoke(lambda_, name, InvocationType="Event")
    dead.receive()

    def figures():
        own = (arn(name),)
        return {family: served.samples[own] for family, served in scrape(fast.endpoint).items() if own in served.samples}

    ended = ("received", "retried", "dropped", "dead_lettered", "succeeded")
    eventually(
        lambda: [figures()[f"lambkin_events_{what}_total"] for what in ended] == [1, 2, 1, 1, 0],
        10, "an event, two more attempts, a dead letter",
    )
    assert figures()["lambkin_events_waiting"] == 0
    eventually(
        lambda: [figures()[f"lambkin_{what}_total"] for what in ("invocations", "errors", "throttles")] == [3, 3, 0],
        10, "three runs, each an error",
    )


def test_limits(fast, name):
    lambda_ = client(fast.endpoint)
    create(lambda_, name)
    send(lambda_, name, "x" * (1024 * 1024 - 2))
    text = refused(
        "RequestTooLargeException", 413, lambda_.invoke,
        FunctionName=name, InvocationType="Event", Payload=json.dumps("x" * (1024 * 1024 - 1)),
    )
    assert text == "1048577 byte payload is too large for the Event invocation type (limit 1048576 bytes)"
    assert invoke(lambda_, name, {"still": "there"}).payload == {"still": "there"}
