"""Who follows a log by CloudWatch Logs: what `aws logs tail --follow` asks for, and when it is answered.

Not here: the clients themselves (`test_logs_clients`).
"""

import concurrent.futures
import contextlib
import threading
import time
import urllib.request

import pytest
from botocore.exceptions import ClientError

import aws_client
from lambda_client import create, invoke
from logs_client import HOUR, filtered, now, put, tail_of
from server import eventually

# Longest that an answer waits, in seconds.
HOLD = 20
OLDER_CLI = "aws-cli/2.9.19 Python/3.11.2 Linux/6.1 source/x86_64.debian.12 prompt/off command/logs.tail"


def reader(endpoint, **config):
    """A client that is `aws logs tail`, of late; botocore itself lists its features, and that it pages."""
    return aws_client.client("logs", endpoint, user_agent_extra="md/command#logs.tail", **config)


def asked(client, **options):
    """Texts and token of an answer."""
    answer = client.filter_log_events(**options)
    return [event["message"] for event in answer["events"]], answer.get("nextToken")


def page(server, path):
    with urllib.request.urlopen(f"{server.endpoint}/{path}", timeout=20) as answer:
        return answer.read().decode()


@contextlib.contextmanager
def asking(client, **options):
    """Asks meanwhile; yields what waits for (texts, token) and when they came."""
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        answer = pool.submit(lambda: (asked(client, **options), time.monotonic()))
        yield lambda: answer.result(60)


def test_who_follows_is_shown_a_line_at_once(shared, logs, group):
    begin = now() - 60_000
    put(logs, group, "s", ["one", "two"], at=begin + 10)
    follower = reader(shared.endpoint)
    options = {"logGroupName": group, "startTime": begin, "interleaved": True}
    texts, token = asked(follower, **options)
    assert texts == ["one", "two"] and token
    late = []
    for number in range(5):
        with asking(follower, **options, nextToken=token) as answer:
            put(logs, group, f"s{number}", [f"line {number}"], at=begin + 5 - number)
            written = time.monotonic()
            (texts, token), came = answer()
        assert texts == [f"line {number}"], "later, in another stream, with an older time, once"
        late.append(came - written)
    print(f"shown {max(late):.3f} s after PutLogEvents at the latest")
    assert max(late) < 1
    with asking(follower, **options, nextToken=token) as answer:
        logs.delete_log_group(logGroupName=group)
        # Not `follower.exceptions`: botocore makes these classes when first asked, and twice where two threads ask at once.
        with pytest.raises(ClientError, match="ResourceNotFoundException"):
            answer()


def test_who_does_not_follow_never_waits(shared, logs, group):
    put(logs, group, "s", ["one", "two", "three"])
    pages = reader(shared.endpoint)
    assert [event["message"] for event in filtered(pages, group, limit=1)] == ["one", "two", "three"], "it ends"
    for client, more in [(logs, {}), (pages, {"startFromHead": False})] * 3:
        began = time.monotonic()
        assert asked(client, logGroupName=group, startTime=now() + HOUR, **more) == ([], None)
        assert time.monotonic() - began < HOLD / 2


def test_an_older_cli_follows_where_it_asks_on(shared, logs, group):
    begin = now() - 60_000
    put(logs, group, "s", ["one", "two"], at=begin + 10)
    cli = aws_client.client("logs", shared.endpoint, user_agent=OLDER_CLI)
    assert asked(cli, logGroupName=group, startTime=begin) == (["one", "two"], None)
    assert asked(cli, logGroupName=group, startTime=begin) == (["one", "two"], None), "another one begins"
    put(logs, group, "t", ["late"], at=begin + 1)
    texts, token = asked(cli, logGroupName=group, startTime=begin + 10)
    assert texts == ["late"], "nothing of what it was shown"
    with asking(cli, logGroupName=group, startTime=begin + 10, nextToken=token) as answer:
        put(logs, group, "s", ["new"])
        assert answer()[0][0] == ["new"]


def test_who_waits_does_not_hold_up_the_end(server):
    server = server()
    logs, follower = aws_client.client("logs", server.endpoint), reader(server.endpoint)
    logs.create_log_group(logGroupName="g")
    _, token = asked(follower, logGroupName="g", limit=1)
    with asking(follower, logGroupName="g", nextToken=token) as answer:
        eventually(lambda: "\nlambkin_logs_followers 1\n" in page(server, "metrics"), 20, "it waits")
        began = time.monotonic()
        server.stop()
        assert time.monotonic() - began < HOLD / 2
        assert answer()[0] == ([], token), "and asks the next lambkin for the same"


def test_tail_follows_invocations_within_a_second(lambda_, logs, name):
    """What `aws logs tail --follow` asks for, over and over: FilterLogEvents from a time on, events known by their ids."""
    create(lambda_, name, "exports.handler = async (event) => { console.log('at ' + event.n); };")
    group = f"/aws/lambda/{name}"
    invoke(lambda_, name, {"n": 0})
    eventually(lambda: tail_of(logs, group), 10, "the group is there")
    seen, known, start, ended = {}, set(), now() - 1000, threading.Event()

    def follow():
        while not ended.is_set():
            for event in filtered(logs, group, interleaved=True, startTime=start):
                if event["eventId"] not in known:
                    known.add(event["eventId"])
                    seen[event["message"].rsplit("\t", 1)[-1].strip()] = time.monotonic()
            ended.wait(0.05)

    follower = threading.Thread(target=follow)
    follower.start()
    try:
        for number in range(1, 6):
            invoke(lambda_, name, {"n": number})
            answered = time.monotonic()
            eventually(lambda: f"at {number}" in seen, 10, "the line is shown")
            assert seen[f"at {number}"] - answered < 1
    finally:
        ended.set()
        follower.join(20)
