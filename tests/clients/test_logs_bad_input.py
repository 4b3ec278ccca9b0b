"""What should not come, and does: tokens that were made elsewhere, patterns and queries that cannot be, batches of which
nothing is taken, and functions that write bytes and lines as no logger would. Nothing of a function's output is lost.
"""

import time

import pytest

import aws_client
from lambda_client import create, invoke
from logs_client import DAY, HOUR, filtered, now, put, refused, tail_of
from server import eventually


def test_tokens_from_elsewhere(logs, group):
    put(logs, group, "s", ["one", "two", "three"])
    logs.create_log_group(logGroupName=f"{group}2")
    event_token = logs.get_log_events(logGroupName=group, logStreamName="s")["nextForwardToken"]
    group_token = logs.describe_log_groups(logGroupNamePrefix=group, limit=1)["nextToken"]
    filter_token = logs.filter_log_events(logGroupName=group, limit=1)["nextToken"]
    invalid = ("InvalidParameterException", "The specified nextToken is invalid.")
    for token in ["x", "n/6", "n/zz", "t/1", "f//s", "é", "0" * 3000, event_token, "f/" + "9" * 56 + "/s"]:
        assert refused(logs.describe_log_groups, nextToken=token) == invalid, token
        assert refused(logs.describe_log_streams, logGroupName=group, nextToken=token) == invalid, token
        assert refused(logs.describe_log_streams, logGroupName=group, orderBy="LastEventTime", nextToken=token) == invalid, token
    for token in ["x", "f/1/s", group_token, filter_token[:-2], filter_token[2:], filter_token.replace("f/", "g/")]:
        assert refused(logs.filter_log_events, logGroupName=group, nextToken=token) == invalid, token
        assert refused(logs.get_log_events, logGroupName=group, logStreamName="s", nextToken=token) == invalid, token
    # What no page ever ended at is a place all the same, and answers what is behind it.
    beyond = "f/" + str(now() + HOUR).zfill(20) + "0" * 36 + "/s"
    assert logs.get_log_events(logGroupName=group, logStreamName="s", nextToken=beyond)["events"] == []


def test_times_that_cannot_be(shared, logs, group):
    stream = {"logGroupName": group, "logStreamName": "s"}
    logs.create_log_stream(**stream)
    batch = lambda *times: [{"timestamp": at, "message": str(at)} for at in times]
    at = now()
    for times, rejected in [
        ([at - 16 * DAY, at - 15 * DAY], {"tooOldLogEventEndIndex": 2}),
        ([at + 3 * HOUR, at + 400 * DAY], {"tooNewLogEventStartIndex": 0}),
        ([at - 15 * DAY, at + 3 * HOUR], {"tooOldLogEventEndIndex": 1, "tooNewLogEventStartIndex": 1}),
        # Seconds and microseconds instead of milliseconds.
        ([at // 1000], {"tooOldLogEventEndIndex": 1}),
        ([at * 1000], {"tooNewLogEventStartIndex": 0}),
        ([0, 1], {"tooOldLogEventEndIndex": 2}),
        ([2**62], {"tooNewLogEventStartIndex": 0}),
    ]:
        assert logs.put_log_events(**stream, logEvents=batch(*times))["rejectedLogEventsInfo"] == rejected, times
    unchecked = aws_client.client("logs", shared.endpoint, validate=False)
    code, message = refused(unchecked.put_log_events, **stream, logEvents=batch(-1))
    assert code == "InvalidParameterException" and "Member must have value greater than or equal to 0" in message
    assert filtered(logs, group) == []
    # What is just taken, with a minute for a busy machine.
    logs.put_log_events(**stream, logEvents=batch(at - 14 * DAY + 60_000))
    logs.put_log_events(**stream, logEvents=batch(at + 2 * HOUR))
    assert len(filtered(logs, group, endTime=at + 3 * HOUR)) == 2
    code, message = refused(logs.get_log_events, **stream, startTime=at, endTime=at - 1)
    assert (code, message) == ("InvalidParameterException", "endTime must not be before startTime")


def test_patterns_and_queries_say_where(logs, group):
    put(logs, group, "s", ["one"])
    for pattern, place in [
        ("one -", "a term is expected at position 6"),
        ('"one', "the closing \" is missing at position 2"),
        ("ein-wort", "invalid character '-' in term 'ein-wort', which wants quotes at position 4"),
        ("äöü é:x", "invalid character ':' in term 'é:x', which wants quotes at position 6"),
        ("{ $.a = 1 && }", "a selector that begins with $ is expected at position 14"),
        ("[a, b=]", "a value is expected at position 7"),
        ("%a(%", None),
    ]:
        code, message = refused(logs.filter_log_events, logGroupName=group, filterPattern=pattern)
        assert code == "InvalidParameterException" and message.startswith("Invalid filter pattern: "), pattern
        assert place is None or message == f"Invalid filter pattern: {place}"
    code, message = refused(logs.filter_log_events, logGroupName=group, filterPattern="x" * 1025)
    assert code == "InvalidParameterException" and "1024" in message
    at = int(time.time())
    for query, begin in [
        ("fields @message | filter", 24),
        ("fields @message | filter x ==== 3", 28),
        ("sort by", 7),
        ("stats count(*) by bin(", 22),
        ("limit ten", 6),
        ("nonsense", 0),
        ("filter x = 'ä' ß", 15),
    ]:
        with pytest.raises(logs.exceptions.MalformedQueryException) as raised:
            logs.start_query(logGroupName=group, startTime=at - 60, endTime=at, queryString=query)
        place = raised.value.response["queryCompileError"]["location"]
        assert place == {"startCharOffset": begin, "endCharOffset": begin + 1}, query


BYTES = """exports.handler = async (event) => {
  const write = (bytes) => process.stdout.write(bytes);
  const line = (bytes) => write(Buffer.concat([Buffer.from(bytes), Buffer.from('\\n')]));
  // Every byte but the one that ends a line, in one line each way.
  const every = Array.from({ length: 256 }, (_, byte) => byte).filter((byte) => byte !== 10);
  line(every);
  line(every.reverse());
  line([0xc3]);                                    // The first half of a character,
  line([0xa4]);                                    // the second,
  line([0xed, 0xa0, 0x80]);                        // half of a surrogate pair,
  line([0xf8, 0x88, 0x80, 0x80, 0x80]);            // and what no character is written as.
  line([]);
  write('carriage\\rreturn\\r\\n');
  for (const byte of Buffer.from('piece by piece ä\\n')) {
    write(Buffer.from([byte]));
    await new Promise((done) => setTimeout(done, 1));
  }
  for (let number = 0; number < 2000; number += 1) line([0xff, 0xfe, ...Buffer.from(` binary ${number}`)]);
  require('child_process').execFileSync('printf', ['child %b', '\\\\377\\\\n'], { stdio: 'inherit' });
  write('the last line has no end');
  if (event.exit) process.exit(3);
  if (event.hang) await new Promise((done) => setTimeout(done, 60000));
};"""


@pytest.mark.parametrize("ending, event", [("answers", {}), ("exits", {"exit": True}), ("times out", {"hang": True})])
def test_bytes_that_are_no_text(lambda_, logs, name, ending, event):
    create(lambda_, name, BYTES, Timeout=20 if ending != "times out" else 6)
    answer = invoke(lambda_, name, event)
    assert (answer.error is None) == (ending == "answers")
    group = f"/aws/lambda/{name}"
    eventually(lambda: "REPORT" in str(tail_of(logs, group)), 20, "the report is kept")
    texts = [message.rstrip("\n") for message in tail_of(logs, group)]
    first = bytes(byte for byte in range(256) if byte != 10).decode(errors="replace")
    last = bytes(byte for byte in range(255, -1, -1) if byte != 10).decode(errors="replace")
    said = [text for text in texts if not text.startswith(("INIT_START", "START", "END", "REPORT"))]
    assert said[0] == first and said[1] == last, "one replacement for each byte that is none, and nothing else"
    expected = ["\ufffd", "\ufffd", "\ufffd" * 3, "\ufffd" * 5]
    assert said[2:6] == expected
    rest = [text for text in said[6:] if text]
    assert rest[0].startswith("carriage\rreturn") and rest[1] == "piece by piece ä"
    assert rest[2:2002] == [f"\ufffd\ufffd binary {number}" for number in range(2000)], "each of them, in order"
    assert rest[2002] == "child \ufffd" and rest[2003] == "the last line has no end"
