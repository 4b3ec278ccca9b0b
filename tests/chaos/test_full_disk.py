"""A disk that fills up: sends are refused with an error, what was acknowledged stays, deletes make room, and when there is
room again everything goes on. The data directory is a file system of 160 MB in a mount namespace of lambkin's own.
"""

import json
import os
import pathlib
import subprocess
import uuid

import pytest
from botocore.exceptions import ClientError

import lambda_client
import ledger
import world
from server import Server, eventually

SIZE = 160 << 20
BODY = 200_000


@pytest.fixture
def small(tmp_path):
    """A lambkin whose data directory is small, and that directory, as the test sees it."""
    data = tmp_path / "lambkin" / "data"
    mount = f"mkdir -p {data} && mount -t tmpfs -o size={SIZE} tmpfs {data}"
    unshare = ["unshare", "--map-root-user", "--mount", "sh", "-c"]
    if subprocess.run([*unshare, mount], capture_output=True, check=False).returncode != 0:
        pytest.skip("this machine gives no mount namespace")
    options = ["--isolation", "process", "--warm-pool", "0"]
    server = Server(tmp_path / "lambkin", *options, wrapper=[*unshare, mount + ' && exec "$@"', "sh"])
    server.start()
    yield server, pathlib.Path(f"/proc/{server.process.pid}/root{data}")
    if server.process.returncode is None:
        server.kill()


def free(directory):
    disk = os.statvfs(directory)
    return disk.f_bavail * disk.f_frsize


def fill(directory, leave):
    """Takes the disk's room, but for so many bytes."""
    with open(directory / "ballast", "ab") as ballast:
        while (room := free(directory) - leave) > 0:
            try:
                ballast.write(b"\0" * min(room, 1 << 20))
                ballast.flush()
            except OSError:
                break


def refused(call, **arguments):
    """The status of an answer, where it is a refusal."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return None


def drain(clients, url):
    """Bodies' ids of all messages, which are deleted; what refuses is asked again for a while."""
    found = []

    def step():
        messages = clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
        for message in messages:
            clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            found.append(json.loads(message["Body"])["id"])
        return not messages

    eventually(step, 60, "the queue is drained")
    return found


def test_a_full_disk_refuses_and_loses_nothing(small):
    server, data = small
    clients = world.Clients(server.endpoint)
    reports = server.directory / "reports"
    url = clients.sqs.create_queue(QueueName="queue", Attributes={"VisibilityTimeout": "60"})["QueueUrl"]
    variables = {"WHERE": "function", "REPORTS": str(reports)}
    lambda_client.create(clients.lambda_, "function", world.HANDLER, Environment={"Variables": variables})
    # Nothing of it runs, so that events stay on the disk as messages do.
    clients.lambda_.put_function_concurrency(FunctionName="function", ReservedConcurrentExecutions=0)
    acknowledged, events = [], []

    def send():
        identity = str(uuid.uuid4())
        body = json.dumps({"id": identity, "filling": "x" * BODY})
        status = refused(clients.sqs.send_message, QueueUrl=url, MessageBody=body)
        acknowledged.extend([identity] if status is None else [])
        return status

    def event():
        identity = str(uuid.uuid4())
        payload = json.dumps({"id": identity, "fate": "ok", "filling": "x" * BODY})
        status = refused(clients.lambda_.invoke, FunctionName="function", InvocationType="Event", Payload=payload)
        events.extend([identity] if status is None else [])
        return status

    # First lambkin's own floor, which keeps room for what makes room.
    for _ in range(SIZE // BODY):
        statuses = send(), event()
        if None not in statuses:
            break
    assert statuses[0] in (500, 503) and statuses[1] == 429, statuses
    assert len(acknowledged) > 50 and len(events) > 50 and free(data) > 32 << 20
    assert clients.counts("queue") == (len(acknowledged), 0, 0)

    # Another program takes most of that room: deleting goes on.
    fill(data, leave=8 << 20)
    assert send() in (500, 503) and event() == 429
    messages = clients.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10)["Messages"]
    for message in messages:
        clients.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    gone = {json.loads(message["Body"])["id"] for message in messages}
    assert gone and gone < set(acknowledged)

    # And all of it: lambkin answers, with errors, and does not end.
    fill(data, leave=0)
    assert send() in (500, 503) and event() in (429, 500)
    refused(clients.sqs.receive_message, QueueUrl=url, MaxNumberOfMessages=10, VisibilityTimeout=0)
    assert server.process.poll() is None
    assert clients.lambda_.list_functions()["Functions"]

    # There is room again: whatever was acknowledged is there, once, and sending goes on.
    (data / "ballast").unlink()
    left = drain(clients, url)
    assert sorted(left) == sorted(set(acknowledged) - gone)
    eventually(lambda: send() is None, 10, "messages are taken again")
    eventually(lambda: event() is None, 10, "events are taken again")
    clients.lambda_.delete_function_concurrency(FunctionName="function")
    ran = lambda: {report["id"] for report in ledger.reports(reports)}
    eventually(lambda: ran() >= set(events), 60, "every accepted event runs")
    server.stop()
