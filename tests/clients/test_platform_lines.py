"""The platform's own log lines (node-runtime §7.4, aws-behaviour 25 to 28), in text and as JSON, in the answer's tail and
in the kept log."""

import json
import re

import pytest

import kept
from lambda_client import create, invoke
from server import eventually

REPORT = re.compile(
    r"REPORT RequestId: (?P<id>\S+)\tDuration: (?P<duration>\d+\.\d\d) ms\tBilled Duration: (?P<billed>\d+) ms\t"
    r"Memory Size: (?P<size>\d+) MB\tMax Memory Used: (?P<used>\d+) MB\t(?:Init Duration: (?P<init>\d+\.\d\d) ms\t)?"
    r"(?:Status: (?P<status>\w+)\t?)?(?:Error Type: (?P<type>\S+)\t?)?\n"
)
# By the precise clock: Date's milliseconds are cut off.
WAITS = (
    "exports.handler=async e=>{const end=process.hrtime.bigint()+BigInt(e.ms*1e6);while(process.hrtime.bigint()<end);"
    "console.log('inside')}"
)


def ceil(text):
    return int(-(-float(text) // 1))


def kept_events(shared, name, answer):
    """The group's events, once the invocation's report is among them."""
    group = f"/aws/lambda/{name}"

    def reported():
        events = [message for stream in kept.events(shared, group).values() for message in stream]
        return events if any("report" in e.lower() and answer.id in e and "init" != e[:4].lower() for e in events) else None

    return eventually(reported, 10, "the report is kept")


def test_the_lines_of_a_cold_and_a_warm_invocation(lambda_, shared, name):
    create(lambda_, name, WAITS, MemorySize=256)
    cold, warm = invoke(lambda_, name, {"ms": 30}), invoke(lambda_, name, {"ms": 30})
    for answer, first in ((cold, True), (warm, False)):
        start, line, end, report = answer.log.splitlines(keepends=True)
        assert start == f"START RequestId: {answer.id} Version: $LATEST\n"
        assert line.endswith(f"\t{answer.id}\tINFO\tinside\n") and end == f"END RequestId: {answer.id}\n"
        fields = REPORT.fullmatch(report)
        assert fields and fields["id"] == answer.id and report.endswith("\t\n"), report
        assert fields["size"] == "256" and (fields["init"] is not None) == first and fields["status"] is None
        # Honest: the handler was busy for 30 ms, node has more than 4 MB of its own (a group does not
        # count what was read from disk before), and init is billed.
        assert 30 <= float(fields["duration"]) < 3000 and 5 <= int(fields["used"]) <= 256
        billed = float(fields["duration"]) + float(fields["init"] or 0)
        assert abs(int(fields["billed"]) - billed) <= 1.01 and int(fields["billed"]) >= ceil(fields["duration"])
    streams = kept.events(shared, f"/aws/lambda/{name}")
    kept_events(shared, name, warm)
    streams = kept.events(shared, f"/aws/lambda/{name}")
    (stream, events), = streams.items()
    assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)
    first = re.fullmatch(r"INIT_START Runtime Version: (nodejs:22\.\S+)\tRuntime Version ARN: (\S+)\n?", events[0])
    assert first and re.fullmatch(r"arn:aws:lambda:us-east-1::runtime:[0-9a-f]{64}", first[2]), events[0]
    assert sum(event.startswith("INIT_START") for event in events) == 1
    assert [e.split()[0] for e in events if e.split()[0] in ("START", "END", "REPORT")] == ["START", "END", "REPORT"] * 2
    assert "INIT_START" not in cold.log


def test_memory_used_follows_the_function(lambda_, name):
    create(lambda_, name, "exports.handler=async e=>{global.kept=Buffer.alloc(e.mb<<20,1)}", MemorySize=512, Timeout=30)
    small = int(REPORT.search(invoke(lambda_, name, {"mb": 1}).log)["used"])
    large = int(REPORT.search(invoke(lambda_, name, {"mb": 150}).log)["used"])
    assert 100 <= large - small <= 250


def test_a_timeout_says_so(lambda_, name):
    create(lambda_, name, "exports.handler=async()=>new Promise(r=>setTimeout(r,60000))", Timeout=1)
    answer = invoke(lambda_, name)
    stamp = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"
    assert re.search(rf"^{stamp} {answer.id} Task timed out after 1\.00 seconds$", answer.log, re.M), answer.log
    report = REPORT.search(answer.log)
    assert report["status"] == "timeout" and 1000 <= float(report["duration"]) < 1500
    assert f"START RequestId: {answer.id} " in answer.log and f"END RequestId: {answer.id}\n" in answer.log


def test_a_crash_shows_the_memory_it_had(lambda_, shared, name):
    if "isolation=\"jail" not in shared.log.read_text() or "missing: memory limit" in shared.log.read_text():
        pytest.skip("NOT TESTED: no group counts memory here, and a dead process takes its figure with it")
    create(lambda_, name, "exports.handler=async()=>{global.kept=Buffer.alloc(100<<20,1);process.exit(3)}", MemorySize=256)
    fields = REPORT.search(invoke(lambda_, name).log)
    assert 100 <= int(fields["used"]) <= 256


def test_memory_beyond_its_size_kills_it(lambda_, shared, name):
    if "isolation=\"jail" not in shared.log.read_text():
        pytest.skip("NOT TESTED: plain processes have no memory limit")
    code = "exports.handler=async e=>{const all=[];for(let i=0;i<e.mb;i++)all.push(Buffer.alloc(1<<20,1));return all.length}"
    create(lambda_, name, code, MemorySize=256, Timeout=60)
    assert invoke(lambda_, name, {"mb": 150}).payload == 150
    answer = invoke(lambda_, name, {"mb": 600})
    assert answer.error == "Unhandled" and answer.payload["errorType"] == "Runtime.ExitError"
    assert answer.payload["errorMessage"].endswith(" Error: Runtime exited with error: signal: killed")
    assert 240 <= int(REPORT.search(answer.log)["used"]) <= 257
    assert invoke(lambda_, name, {"mb": 1}).payload == 1


def test_a_crash_says_so(lambda_, name):
    create(lambda_, name, "exports.handler=async()=>{process.exit(7)}")
    answer = invoke(lambda_, name)
    assert f"RequestId: {answer.id} Error: Runtime exited with error: exit status 7\nRuntime.ExitError\n" in answer.log
    report = REPORT.search(answer.log)
    assert (report["status"], report["type"]) == ("error", "Runtime.ExitError")
    assert f"END RequestId: {answer.id}\n" in answer.log


def test_a_failing_init_is_reported_twice(lambda_, shared, name):
    """A real log of a failing init, §7.4: both inits with their phase, and REPORT without an Init Duration."""
    create(lambda_, name, "require('no-such-module')")
    answer = invoke(lambda_, name)
    report = REPORT.search(answer.log)
    assert (report["status"], report["type"], report["init"]) == ("error", "Runtime.ImportModuleError", None), answer.log
    events = kept_events(shared, name, answer)
    reports = [event for event in events if event.startswith("INIT_REPORT")]
    phases = [
        re.match(r"INIT_REPORT Init Duration: \d+\.\d\d ms\tPhase: (\w+)\tStatus: error\tError Type: Runtime\.ImportModuleError", r)
        for r in reports
    ]
    assert all(phases) and [phase[1] for phase in phases] == ["init", "invoke"], events
    assert sum("Uncaught Exception" in event for event in events) == 2
    order = [event.split()[0] for event in events if re.match("INIT_REPORT|START|END|REPORT", event)]
    assert order == ["INIT_REPORT", "INIT_REPORT", "START", "END", "REPORT"]


def test_the_lines_in_json(lambda_, shared, name):
    create(lambda_, name, "exports.handler=async()=>{console.log('inside')}", LoggingConfig={"LogFormat": "JSON"})
    answer = invoke(lambda_, name)
    events = [json.loads(line) for line in answer.log.splitlines()]
    kinds = [event.get("type", event.get("message")) for event in events]
    assert kinds[0] == "platform.start" and kinds[-1] == "platform.report" and "inside" in kinds
    assert all(list(event) == ["time", "type", "record"] for event in events if "type" in event)
    assert events[0]["record"]["requestId"] == answer.id and events[0]["record"]["version"] == "$LATEST"
    record = events[-1]["record"]
    assert record["requestId"] == answer.id and record["status"] == "success"
    metrics = record["metrics"]
    assert metrics.keys() == {"durationMs", "billedDurationMs", "memorySizeMB", "maxMemoryUsedMB", "initDurationMs"}
    assert metrics["memorySizeMB"] == 128 and isinstance(metrics["billedDurationMs"], int)
    stored = [json.loads(event) for event in kept_events(shared, name, answer)]
    assert stored[0]["type"] == "platform.initStart"
    record = stored[0]["record"]
    assert record["initializationType"] == "on-demand" and record["phase"] == "init"
    assert record["functionName"] == name and record["functionVersion"] == "$LATEST"
    assert "initDurationMs" not in json.loads(invoke(lambda_, name).log.splitlines()[-1])["record"]["metrics"]


def test_the_system_log_level_drops_lines(lambda_, name):
    create(lambda_, name, "exports.handler=async()=>{console.log('inside')}", LoggingConfig={"LogFormat": "JSON", "SystemLogLevel": "WARN"})
    events = [json.loads(line) for line in invoke(lambda_, name).log.splitlines()]
    assert [event.get("message") for event in events] == ["inside"]


def test_a_configured_group_is_where_the_log_goes(lambda_, shared, name):
    group = f"/my/own/{name}"
    create(lambda_, name, "exports.handler=async(e,c)=>[c.logGroupName,process.env.AWS_LAMBDA_LOG_GROUP_NAME]", LoggingConfig={"LogGroup": group})
    answer = invoke(lambda_, name)
    assert answer.payload == [group, group]
    eventually(lambda: answer.id in kept.text(shared, group), 10, "the log is in its group")
    assert not kept.events(shared, f"/aws/lambda/{name}")
