"""CloudWatch Logs with boto3 and the aws CLI: groups, streams, events both ways, filter patterns, retention, and the lines that
functions write.

Not here: queries (`test_insights`), who follows (`test_logs_tail`), `lambkin logs` (`test_logs_command`).
"""

import json
import os
import subprocess
import sys
import time

import aws_client
from lambda_client import ACCOUNT, REGION, client, create, invoke
from logs_client import DAY, HOUR, filtered, now, put, refused, results, tail_of
from server import eventually


def test_groups(logs, name):
    names = [f"{name}/{each}" for each in "cab"]
    for each in names:
        logs.create_log_group(logGroupName=each, tags={"made": "here"})
    code, message = refused(logs.create_log_group, logGroupName=names[0])
    assert (code, message) == ("ResourceAlreadyExistsException", "The specified log group already exists")
    pages = list(logs.get_paginator("describe_log_groups").paginate(logGroupNamePrefix=name, PaginationConfig={"PageSize": 2}))
    assert [len(page["logGroups"]) for page in pages] == [2, 1]
    found = [each for page in pages for each in page["logGroups"]]
    assert [each["logGroupName"] for each in found] == sorted(names)
    arn = f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{names[1]}"
    assert found[0]["arn"] == arn + ":*" and found[0]["logGroupArn"] == arn
    assert abs(found[0]["creationTime"] - now()) < 60_000 and found[0]["storedBytes"] == 0 and "retentionInDays" not in found[0]
    part = logs.describe_log_groups(logGroupNamePattern=name.upper() + "/B")["logGroups"]
    assert [each["logGroupName"] for each in part] == [names[2]]

    logs.tag_resource(resourceArn=arn, tags={"a": "1", "b": "2"})
    logs.tag_log_group(logGroupName=names[1], tags={"c": "3"})
    logs.untag_resource(resourceArn=arn, tagKeys=["b"])
    assert logs.list_tags_for_resource(resourceArn=arn)["tags"] == {"made": "here", "a": "1", "c": "3"}
    logs.untag_log_group(logGroupName=names[1], tags=["a"])
    assert logs.list_tags_log_group(logGroupName=names[1])["tags"] == {"made": "here", "c": "3"}
    too_many = {f"k{number}": "v" for number in range(49)}
    assert refused(logs.tag_resource, resourceArn=arn, tags=too_many)[0] == "TooManyTagsException"

    logs.put_retention_policy(logGroupName=names[1], retentionInDays=7)
    assert logs.describe_log_groups(logGroupNamePrefix=names[1])["logGroups"][0]["retentionInDays"] == 7
    code, message = refused(logs.put_retention_policy, logGroupName=names[1], retentionInDays=2)
    assert code == "InvalidParameterException" and "Value '2' at 'retentionInDays'" in message
    logs.delete_retention_policy(logGroupName=names[1])
    assert "retentionInDays" not in logs.describe_log_groups(logGroupNamePrefix=names[1])["logGroups"][0]

    logs.put_log_group_deletion_protection(logGroupIdentifier=names[1], deletionProtectionEnabled=True)
    assert refused(logs.delete_log_group, logGroupName=names[1])[0] == "ValidationException"
    logs.put_log_group_deletion_protection(logGroupIdentifier=arn, deletionProtectionEnabled=False)
    for each in names:
        logs.delete_log_group(logGroupName=each)
    assert logs.describe_log_groups(logGroupNamePrefix=name)["logGroups"] == []
    assert refused(logs.delete_log_group, logGroupName=names[0]) == ("ResourceNotFoundException", "The specified log group does not exist.")


def test_streams(logs, group):
    for stream in ["x/1", "x/2", "y"]:
        logs.create_log_stream(logGroupName=group, logStreamName=stream)
    assert refused(logs.create_log_stream, logGroupName=group, logStreamName="y")[0] == "ResourceAlreadyExistsException"
    put(logs, group, "x/2", ["a", "b"], at=now() - 5000)
    put(logs, group, "x/1", ["c"], at=now())

    def names(**options):
        pages = logs.get_paginator("describe_log_streams").paginate(logGroupName=group, PaginationConfig={"PageSize": 1}, **options)
        return [stream["logStreamName"] for page in pages for stream in page["logStreams"]]

    assert names() == ["x/1", "x/2", "y"]
    assert names(descending=True) == ["y", "x/2", "x/1"]
    assert names(logStreamNamePrefix="x/") == ["x/1", "x/2"]
    assert names(orderBy="LastEventTime", descending=True) == ["x/1", "x/2", "y"]
    code, message = refused(logs.describe_log_streams, logGroupName=group, orderBy="LastEventTime", logStreamNamePrefix="x")
    assert (code, message) == ("InvalidParameterException", "Cannot order by LastEventTime with a logStreamNamePrefix.")
    one, two, empty = logs.describe_log_streams(logGroupName=group)["logStreams"]
    assert two["lastEventTimestamp"] - two["firstEventTimestamp"] == 1 and two["lastIngestionTime"] >= two["lastEventTimestamp"]
    assert "lastEventTimestamp" not in empty and one["arn"] == f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}:log-stream:x/1"
    logs.delete_log_stream(logGroupName=group, logStreamName="x/2")
    assert names() == ["x/1", "y"]
    missing = ("ResourceNotFoundException", "The specified log stream does not exist.")
    assert refused(logs.delete_log_stream, logGroupName=group, logStreamName="x/2") == missing
    assert refused(logs.get_log_events, logGroupName=group, logStreamName="x/2") == missing
    assert [event["message"] for event in filtered(logs, group)] == ["c"], "what a deleted stream had is gone"


def test_events_both_ways(logs, group):
    texts = [f"line {number} äß" for number in range(25)]
    put(logs, group, "s", texts)
    stream = {"logGroupName": group, "logStreamName": "s"}

    last = logs.get_log_events(**stream, limit=10)
    assert [event["message"] for event in last["events"]] == texts[15:], "the last ones, in order"
    before = logs.get_log_events(**stream, limit=10, nextToken=last["nextBackwardToken"])
    assert [event["message"] for event in before["events"]] == texts[5:15]
    again = logs.get_log_events(**stream, limit=10, nextToken=before["nextForwardToken"])
    assert again["events"] == last["events"]
    end = logs.get_log_events(**stream, nextToken=last["nextForwardToken"])
    assert end["events"] == [] and end["nextForwardToken"] == last["nextForwardToken"], "the same token at the end"
    first = logs.get_log_events(**stream, limit=10, nextToken=before["nextBackwardToken"])
    begin = logs.get_log_events(**stream, nextToken=first["nextBackwardToken"])
    assert begin["events"] == [] and begin["nextBackwardToken"] == first["nextBackwardToken"]

    put(logs, group, "s", ["new"], at=now() + 1000)
    assert [event["message"] for event in logs.get_log_events(**stream, nextToken=end["nextForwardToken"])["events"]] == ["new"]
    head = logs.get_log_events(**stream, startFromHead=True, limit=3)["events"]
    assert [event["message"] for event in head] == texts[:3]
    assert abs(head[0]["ingestionTime"] - now()) < 60_000
    inside = {"startTime": head[1]["timestamp"], "endTime": head[1]["timestamp"] + 2}
    assert [event["message"] for event in logs.get_log_events(**stream, **inside)["events"]] == texts[1:3]
    by_arn = {"logGroupIdentifier": f"arn:aws:logs:{REGION}:{ACCOUNT}:log-group:{group}", "logStreamName": "s"}
    assert logs.get_log_events(**by_arn, startFromHead=True, limit=3)["events"] == head
    for token in ["x", "f/1/s", "f/" + "9" * 56 + "/s", last["nextForwardToken"][:-1]]:
        code, message = refused(logs.get_log_events, **stream, nextToken=token)
        assert (code, message) == ("InvalidParameterException", "The specified nextToken is invalid.")
        assert refused(logs.filter_log_events, logGroupName=group, nextToken=token)[0] == "InvalidParameterException"


def test_events_that_are_not_taken(logs, unchecked_logs, group):
    logs.create_log_stream(logGroupName=group, logStreamName="s")
    stream = {"logGroupName": group, "logStreamName": "s"}
    event = lambda at, message="x": {"timestamp": at, "message": message}
    times = [now() - 15 * DAY, now() - HOUR, now(), now() + 3 * HOUR]
    rejected = logs.put_log_events(**stream, logEvents=[event(at, str(index)) for index, at in enumerate(times)])
    assert rejected["rejectedLogEventsInfo"] == {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 3}
    assert [each["message"] for each in filtered(logs, group)] == ["1", "2"]
    logs.put_retention_policy(logGroupName=group, retentionInDays=1)
    answer = logs.put_log_events(**stream, logEvents=[event(now() - 2 * DAY), event(now(), "kept")])
    assert answer["rejectedLogEventsInfo"] == {"expiredLogEventEndIndex": 1}
    logs.delete_retention_policy(logGroupName=group)

    unordered = [event(now()), event(now() - 1000)]
    code, message = refused(logs.put_log_events, **stream, logEvents=unordered)
    assert (code, message) == (
        "InvalidParameterException",
        "Log events in a single PutLogEvents request must be in chronological order.",
    )
    code, message = refused(logs.put_log_events, **stream, logEvents=[event(now() - 2 * DAY), event(now())])
    assert code == "InvalidParameterException" and message.endswith("cannot span more than 24 hours.")
    at = now()
    code, message = refused(logs.put_log_events, **stream, logEvents=[event(at, "y" * (1 << 20))])
    assert (code, message) == ("InvalidParameterException", "Upload too large: 1048602 bytes exceeds limit of 1048576")
    logs.put_log_events(**stream, logEvents=[event(at, "y" * ((1 << 20) - 26))])
    many = [event(at) for _ in range(10_001)]
    code, message = refused(unchecked_logs.put_log_events, **stream, logEvents=many)
    assert code == "InvalidParameterException" and "Member must have length less than or equal to 10000" in message
    assert refused(unchecked_logs.put_log_events, **stream, logEvents=[])[0] == "InvalidParameterException"
    assert "rejectedLogEventsInfo" not in logs.put_log_events(**stream, logEvents=many[1:])
    assert refused(logs.put_log_events, logGroupName=group, logStreamName="none", logEvents=[event(at)]) == (
        "ResourceNotFoundException",
        "The specified log stream does not exist.",
    )
    assert len(filtered(logs, group)) == 10_004


def test_filter_events_of_many_streams_in_order(logs, group):
    begin = now() - 10_000
    for number in range(3):
        logs.create_log_stream(logGroupName=group, logStreamName=f"s{number}")
        events = [{"timestamp": begin + 10 * index + number, "message": f"{number} {index}"} for index in range(300)]
        logs.put_log_events(logGroupName=group, logStreamName=f"s{number}", logEvents=events)
    expected = [f"{number} {index}" for index in range(300) for number in range(3)]
    found = filtered(logs, group, PaginationConfig={"PageSize": 70})
    assert [event["message"] for event in found] == expected
    assert len({event["eventId"] for event in found}) == 900 and {event["logStreamName"] for event in found} == {"s0", "s1", "s2"}
    newest = filtered(logs, group, startFromHead=False, startTime=begin, PaginationConfig={"PageSize": 70})
    assert [event["message"] for event in newest] == expected[::-1]
    assert [event["message"] for event in filtered(logs, group, logStreamNames=["s2", "s0"])] == [each for each in expected if each[0] != "1"]
    assert len(filtered(logs, group, logStreamNamePrefix="s1")) == 300
    bounded = filtered(logs, group, startTime=begin + 10, endTime=begin + 20)
    assert [event["message"] for event in bounded] == ["0 1", "1 1", "2 1", "0 2"], "both ends belong to it"
    both = refused(logs.filter_log_events, logGroupName=group, logStreamNames=["s1"], logStreamNamePrefix="s")
    assert both[0] == "InvalidParameterException"
    assert refused(logs.filter_log_events, logGroupName=group, logStreamNames=["none"])[0] == "ResourceNotFoundException"


def test_filter_patterns(logs, group):
    texts = [
        "[ERROR 400] BAD REQUEST",
        "[ERROR 401] UNAUTHORIZED REQUEST",
        json.dumps({"eventType": "UpdateTrail", "user": {"id": 1}, "list": [1, 2]}),
        '127.0.0.1 - frank [10/Oct/2000:13:25:15 -0700] "GET /index.html" 404 1534',
        "rare-9e107d9d-372b-4b6f-9f3e-1d5c0a6b7f88 here",
    ]
    put(logs, group, "s", texts)
    for pattern, expected in [
        ("", range(5)),
        ("ERROR -UNAUTHORIZED", [0]),
        ("?UNAUTHORIZED ?frank", [1, 3]),
        ('"BAD REQUEST"', [0]),
        ("%AUTHORIZED%", [1]),
        ('{ $.eventType = "Update*" && $.user.id = 1 && $.list[1] > 1 }', [2]),
        ("[ip, ..., status = 4*, bytes > 1000]", [3]),
        ('"9e107d9d-372b-4b6f-9f3e-1d5c0a6b7f88"', [4]),
        ("nothing", []),
    ]:
        assert [event["message"] for event in filtered(logs, group, filterPattern=pattern)] == [texts[index] for index in expected], pattern
    for pattern, said in [
        ("foo:bar", "invalid character ':' in term 'foo:bar', which wants quotes at position 4"),
        ("{ $.a = ", "a value is expected at position 9"),
        ("[a, b", "',' or ']' is expected at position 6"),
    ]:
        code, message = refused(logs.filter_log_events, logGroupName=group, filterPattern=pattern)
        assert (code, message) == ("InvalidParameterException", f"Invalid filter pattern: {said}")


LINES = """exports.handler = async (event, context) => {
  console.log('hello ' + event.n);
  console.log(JSON.stringify({ n: event.n, kind: 'json' }));
  process.stdout.write(Buffer.from([0x66, 0xff, 0xfe, 0x00, 0x6f, 0x0a]));
  process.stdout.write('no end');
  return context.logStreamName;
};"""


def test_functions_lines_are_there_by_themselves(lambda_, logs, name):
    create(lambda_, name, LINES)
    answer = invoke(lambda_, name, {"n": 7})
    group, stream = f"/aws/lambda/{name}", answer.payload
    eventually(lambda: "REPORT" in str(tail_of(logs, group)), 10, "the report is kept")
    events = logs.get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)["events"]
    texts = [event["message"] for event in events]
    assert [text.split(" ")[0] for text in texts[:2]] == ["INIT_START", "START"]
    assert texts[2].endswith("\tINFO\thello 7") or texts[2].endswith("\tINFO\thello 7\n")
    assert "f\ufffd\ufffd\0o" in texts and "no end" in [text.rstrip("\n") for text in texts], "replaced, and not lost"
    assert [text.split(" ")[0] for text in texts[-2:]] == ["END", "REPORT"]
    assert stream.startswith(time.strftime("%Y/%m/%d/[$LATEST]", time.gmtime(events[0]["timestamp"] / 1000)))
    by_id = filtered(logs, group, filterPattern=f'"{answer.id}"')
    assert {"START", "END", "REPORT"} <= {event["message"].split(" ")[0] for event in by_id}
    rows, _ = results(logs, "filter @type = 'REPORT' | fields @requestId, @duration, @maxMemoryUsed", group)
    assert rows[0]["@requestId"] == answer.id and float(rows[0]["@duration"]) > 0


def test_a_function_writes_and_reads_logs_itself(lambda_, logs, name, group):
    code = """const http = require('http');
const ask = (target, body) => new Promise((done, failed) => {
  const url = new URL(process.env.AWS_ENDPOINT_URL_CLOUDWATCH_LOGS);
  const headers = { 'X-Amz-Target': 'Logs_20140328.' + target, 'Content-Type': 'application/x-amz-json-1.1', Authorization: 'AWS4-HMAC-SHA256 Credential=' + process.env.AWS_ACCESS_KEY_ID + '/20260101/' + process.env.AWS_REGION + '/logs/aws4_request, SignedHeaders=host, Signature=0' };
  const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/', headers }, (answer) => {
    let text = ''; answer.on('data', (piece) => { text += piece; }); answer.on('end', () => done(text));
  });
  request.on('error', failed); request.end(JSON.stringify(body));
});
exports.handler = async ({ group }) => {
  await ask('CreateLogStream', { logGroupName: group, logStreamName: 'mine' });
  await ask('PutLogEvents', { logGroupName: group, logStreamName: 'mine', logEvents: [{ timestamp: Date.now(), message: 'from inside' }] });
  return JSON.parse(await ask('FilterLogEvents', { logGroupName: group })).events[0].message;
};"""
    create(lambda_, name, code)
    assert invoke(lambda_, name, {"group": group}).payload == "from inside"


def test_levels_and_formats_act(lambda_, logs, name):
    code = """exports.handler = async () => { console.debug('d'); console.info('i'); console.warn('w'); console.error('e'); };"""
    config = {"LogFormat": "JSON", "ApplicationLogLevel": "WARN", "SystemLogLevel": "INFO", "LogGroup": f"/custom/{name}"}
    create(lambda_, name, code, LoggingConfig=config)
    invoke(lambda_, name)
    eventually(lambda: "platform.report" in str(tail_of(logs, f"/custom/{name}")), 10, "the report is kept")
    events = [json.loads(message) for message in tail_of(logs, f"/custom/{name}")]
    said = [event.get("message") for event in events if "level" in event]
    assert said == ["w", "e"]
    kinds = {event["type"] for event in events if "type" in event}
    assert {"platform.start", "platform.report"} <= kinds and "platform.runtimeDone" not in kinds
    found = filtered(logs, f"/custom/{name}", filterPattern='{ $.level = "ERROR" }')
    assert [json.loads(event["message"])["message"] for event in found] == ["e"]
    streams = logs.describe_log_streams(logGroupName=f"/custom/{name}")["logStreams"]
    assert f"/{name}[$LATEST]" in streams[0]["logStreamName"]


def test_kill_9_keeps_what_was_answered(server):
    started = server()
    logs = aws_client.client("logs", started.endpoint)
    logs.create_log_group(logGroupName="g", tags={"a": "b"})
    lines = [f"line {number} " + "x" * 200 for number in range(9000)]
    for begin in range(0, 9000, 3000):
        put(logs, "g", "s", lines[begin : begin + 3000])
    lambda_ = client(started.endpoint)
    create(lambda_, "f", "exports.handler = async () => console.log('said')")
    invoke(lambda_, "f")
    eventually(lambda: "REPORT" in str(tail_of(logs, "/aws/lambda/f")), 10, "the report is kept")
    started.kill()
    logs = aws_client.client("logs", started.start().endpoint)
    assert sorted(event["message"] for event in filtered(logs, "g")) == sorted(lines)
    assert "said" in str(tail_of(logs, "/aws/lambda/f"))
    assert logs.list_tags_log_group(logGroupName="g")["tags"] == {"a": "b"}


def test_what_lambkin_does_not_do_is_refused(logs, group):
    for call, arguments in [
        (logs.put_metric_filter, {"filterName": "f", "filterPattern": "", "metricTransformations": [{"metricName": "m", "metricNamespace": "n", "metricValue": "1"}]}),
        (logs.put_subscription_filter, {"filterName": "f", "filterPattern": "", "destinationArn": "arn:aws:lambda:us-east-1:000000000000:function:f"}),
    ]:
        code, message = refused(call, logGroupName=group, **arguments)
        assert code == "InvalidOperationException" and message.startswith("lambkin does not do Put")
    assert refused(logs.create_log_group, logGroupName=group + "k", kmsKeyId="arn:aws:kms:us-east-1:000000000000:key/k")[0] == "InvalidParameterException"
    assert refused(logs.create_log_group, logGroupName=group + "k", logGroupClass="INFREQUENT_ACCESS")[0] == "InvalidParameterException"
    code, message = refused(logs.create_log_group, logGroupName="a b")
    assert code == "InvalidParameterException" and message.startswith("1 validation error detected: Value 'a b' at 'logGroupName'")


def test_the_aws_cli(shared, logs, group):
    put(logs, group, "s", ["one", "two"])
    environment = {**os.environ, "AWS_ENDPOINT_URL": shared.endpoint, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    command = [sys.executable, "-m", "awscli", "logs", "filter-log-events", "--log-group-name", group, "--filter-pattern", "two"]
    ran = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    assert ran.returncode == 0, ran.stderr
    assert [event["message"] for event in json.loads(ran.stdout)["events"]] == ["two"]
