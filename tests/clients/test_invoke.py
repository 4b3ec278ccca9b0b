"""Invoke answers as AWS's (aws-behaviour B; node-runtime §4, §6, §10)."""

import base64
import concurrent.futures
import json
import re
import tempfile
import threading

import pytest
from botocore.exceptions import ClientError

from lambda_client import ECHO, Answer, active, arn, client, create, invoke, refused, stopwatch, zipped
from server import eventually

UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
LIMIT = 6_291_456


def test_a_result_comes_as_the_handler_gave_it(lambda_, name):
    create(lambda_, name, "exports.handler=async(e,c)=>({e,id:c.awsRequestId})")
    answer = invoke(lambda_, name, {"key1": "wert", "n": 1.5})
    assert (answer.status, answer.error, answer.version) == (200, None, "$LATEST")
    assert answer.payload == {"e": {"key1": "wert", "n": 1.5}, "id": answer.id} and UUID.fullmatch(answer.id)
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["x-amz-executed-version"] == "$LATEST"
    plain = invoke(lambda_, name, LogType="None")
    assert plain.log == "" and "x-amz-log-result" not in plain.headers


def test_a_dry_run_runs_nothing(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async()=>++n")
    answer = Answer(lambda_.invoke(FunctionName=name, InvocationType="DryRun", Payload=b"{}"))
    assert (answer.status, answer.raw, answer.version, answer.error) == (204, b"", None, None)
    assert invoke(lambda_, name).payload == 1
    unknown = {"FunctionName": "no-such-function", "InvocationType": "DryRun"}
    refused("ResourceNotFoundException", 404, lambda_.invoke, **unknown)


def test_an_error_is_a_200_that_says_unhandled(lambda_, name):
    create(lambda_, name, "exports.handler=async()=>{throw new Error('some_error_msg')}")
    answer = invoke(lambda_, name)
    assert (answer.status, answer.error, answer.version) == (200, "Unhandled", "$LATEST")
    assert list(answer.payload) == ["errorType", "errorMessage", "trace"]
    assert answer.payload["errorMessage"] == "some_error_msg"


def test_the_log_tail_is_the_last_4_kb(lambda_, name):
    create(lambda_, name, "exports.handler=async()=>{for(let i=0;i<500;i++)console.log('line '+i)}")
    encoded = lambda_.invoke(FunctionName=name, LogType="Tail")["LogResult"]
    log = base64.b64decode(encoded)
    assert len(log) == 4096
    assert b"line 499\n" in log and b"line 100\n" not in log and b"\nREPORT RequestId: " in log


def test_the_client_context_reaches_the_handler(lambda_, unchecked, name):
    create(lambda_, name, "exports.handler=async(e,c)=>c.clientContext")
    context = {"custom": {"key": "grün"}, "env": {"a": "b"}}
    encoded = base64.b64encode(json.dumps(context).encode()).decode()
    assert invoke(lambda_, name, ClientContext=encoded).payload == context
    text = "Client context must be a valid Base64-encoded JSON object."
    for wrong in ("%%%", base64.b64encode(b"not json").decode()):
        wrong = {"FunctionName": name, "ClientContext": wrong}
        assert refused("InvalidRequestContentException", 400, unchecked.invoke, **wrong) == text
    with pytest.raises(ClientError) as caught:
        unchecked.invoke(FunctionName=name, ClientContext=base64.b64encode(json.dumps("a" * 2688).encode()).decode())
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400, caught.value.response


def test_only_latest_can_be_named_as_qualifier(lambda_, name):
    create(lambda_, name, "exports.handler=async(e,c)=>c.invokedFunctionArn")
    assert invoke(lambda_, name, Qualifier="$LATEST").payload == arn(name, "$LATEST")
    assert invoke(lambda_, arn(name, "$LATEST")).payload == arn(name, "$LATEST")
    assert invoke(lambda_, name).payload == arn(name)
    for qualifier in ("1", "no-such-alias"):
        message = refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=name, Qualifier=qualifier)
        assert message == f"Function not found: {arn(name, qualifier)}"
    refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName="nobody")


@pytest.mark.parametrize("payload", [b"{", b"not json", b"\x99\x87", b'{"a":1}trailing', b"'single'", b"undefined"])
def test_a_payload_that_is_no_json_is_refused(lambda_, name, payload):
    create(lambda_, name)
    with pytest.raises(ClientError) as caught:
        lambda_.invoke(FunctionName=name, Payload=payload)
    response = caught.value.response
    assert response["Error"]["Code"] == "InvalidRequestContentException"
    assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
    start = "Could not parse request body into json: Could not parse payload into json: "
    assert response["Error"]["Message"].startswith(start), response


def test_the_recorded_wording_of_a_bad_payload(lambda_, name):
    create(lambda_, name)
    message = refused("InvalidRequestContentException", 400, lambda_.invoke, FunctionName=name, Payload=b"\x99")
    assert message == (
        "Could not parse request body into json: Could not parse payload into json: Unexpected character ((CTRL-CHAR, code "
        "153)): expected a valid value (JSON String, Number, Array, Object or token 'null', 'true' or 'false')\n at [Source: "
        "REDACTED (`StreamReadFeature.INCLUDE_SOURCE_IN_LOCATION` disabled); line: 1, column: 1]"
    )


def test_payloads_end_at_6_mb(lambda_, name):
    create(lambda_, name, "exports.handler=async e=>e.length", Timeout=30)
    largest = json.dumps("a" * (LIMIT - 2))
    assert invoke(lambda_, name, Payload=largest).payload == LIMIT - 2
    message = refused("RequestTooLargeException", 413, lambda_.invoke, FunctionName=name, Payload=json.dumps("a" * (LIMIT - 1)))
    assert "6291456 bytes" in message
    assert invoke(lambda_, name, "still here").payload == len("still here")


def test_a_result_that_is_too_large_is_an_error_and_its_log_stays(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async e=>{console.log('said');n++;return e.size?'a'.repeat(e.size):n}", Timeout=30)
    answer = invoke(lambda_, name, {"size": LIMIT + 99})
    assert answer.error == "Unhandled" and "said" in answer.log
    assert answer.payload == {
        "errorMessage": "Response payload size exceeded maximum allowed payload size (6291556 bytes).",
        "errorType": "Function.ResponseSizeTooLarge",
    }
    assert len(invoke(lambda_, name, {"size": LIMIT + 98}).raw) == LIMIT + 100
    assert invoke(lambda_, name).payload == 3


def test_concurrent_invocations_have_environments_of_their_own_and_these_are_reused(plain, name):
    code = """
const fs=require('fs'),id=require('crypto').randomUUID();let n=0,inside=0;
exports.handler=async e=>{inside++;const together=inside;fs.writeFileSync(e.dir+'/'+e.number,'');
while(fs.readdirSync(e.dir).length<e.of)await new Promise(r=>setTimeout(r,5));inside--;return {id,n:++n,together}}
"""
    create(plain, name, code, Timeout=60)

    def round_of(count, folder):
        with concurrent.futures.ThreadPoolExecutor(count) as pool:
            # Each waits until all are inside: they can only end together.
            calls = [pool.submit(invoke, plain, name, {"dir": folder, "of": count, "number": i}) for i in range(count)]
            return [call.result(90).payload for call in calls]

    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as two, tempfile.TemporaryDirectory() as three:
        first = round_of(8, one)
        assert len({answer["id"] for answer in first}) == 8
        assert {answer["n"] for answer in first} == {1} and {answer["together"] for answer in first} == {1}
        second = round_of(8, two)
        assert {a["id"] for a in second} == {a["id"] for a in first} and {a["n"] for a in second} == {2}
        # Most recently used first: one after another, one environment does all of it.
        assert len({invoke(plain, name, {"dir": three, "of": 0, "number": i}).payload["id"] for i in range(5)}) == 1


def test_beyond_the_account_limit_invocations_are_throttled(plain_server, tmp_path):
    lambda_ = client(plain_server("--max-concurrency", "2").endpoint)
    go = tmp_path / "go"
    create(
        lambda_, "busy",
        "const fs=require('fs');exports.handler=async e=>{if(e.f){fs.writeFileSync(e.f,'');"
        "while(!fs.existsSync(e.go))await new Promise(r=>setTimeout(r,10))}return 'ok'}",
        Timeout=60,
    )
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        marks = [tmp_path / "a", tmp_path / "b"]
        running = [pool.submit(invoke, lambda_, "busy", {"f": str(m), "go": str(go)}) for m in marks]
        eventually(lambda: all(mark.exists() for mark in marks), 30, "both run")
        with pytest.raises(ClientError) as caught:
            lambda_.invoke(FunctionName="busy")
        response = caught.value.response
        assert response["Error"]["Code"] == "TooManyRequestsException" and response["Error"]["Message"] == "Rate Exceeded."
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert response["Reason"] == "ConcurrentInvocationLimitExceeded"
        assert lambda_.invoke(FunctionName="busy", InvocationType="DryRun")["StatusCode"] == 204
        go.touch()
        assert [call.result(60).payload for call in running] == ["ok", "ok"]
    assert invoke(lambda_, "busy").payload == "ok"


def test_an_update_lets_running_invocations_end_on_the_old_code(plain, name, tmp_path):
    begun, go = tmp_path / "begun", tmp_path / "go"
    code = (
        "const fs=require('fs');exports.handler=async e=>{if(e.begun){fs.writeFileSync(e.begun,'');"
        "while(!fs.existsSync(e.go))await new Promise(r=>setTimeout(r,10))}return '%s'}"
    )
    create(plain, name, code % "old", Timeout=60)
    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        running = pool.submit(invoke, plain, name, {"begun": str(begun), "go": str(go)})
        eventually(begun.exists, 30, "the old code runs")
        plain.update_function_code(FunctionName=name, ZipFile=zipped({"index.js": code % "new"}))
        active(plain, name)
        assert invoke(plain, name).payload == "new"
        go.touch()
        assert running.result(60).payload == "old"
    assert invoke(plain, name).payload == "new"


def test_only_what_a_process_sees_retires_its_environments(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async()=>[++n,process.env.WORD||null]")
    assert invoke(lambda_, name).payload == [1, None]
    lambda_.update_function_configuration(FunctionName=name, Description="not seen by the process")
    active(lambda_, name)
    assert invoke(lambda_, name).payload == [2, None]
    lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {"WORD": "1"}})
    active(lambda_, name)
    assert invoke(lambda_, name).payload == [1, "1"]


def test_a_timeout_keeps_tmp_and_loses_module_state(lambda_, name):
    """aws-behaviour 12, 13; /tmp is $TMPDIR while functions run as plain processes."""
    code = (
        "const fs=require('fs'),f=require('os').tmpdir()+'/kept';let n=0;exports.handler=async e=>{n+=42;if(e.hang)"
        "{fs.writeFileSync(f,'kept');await new Promise(r=>setTimeout(r,60000))}return [n,fs.readFileSync(f,'utf8')]}"
    )
    create(lambda_, name, code, Timeout=1)
    elapsed = stopwatch()
    answer = invoke(lambda_, name, {"hang": 1})
    assert answer.error == "Unhandled" and elapsed() >= 1
    assert answer.payload == {
        "errorType": "Sandbox.Timedout",
        "errorMessage": f"RequestId: {answer.id} Error: Task timed out after 1.00 seconds",
    }
    assert invoke(lambda_, name).payload == [42, "kept"]


def test_an_idle_environment_retires(plain_server):
    lambda_ = client(plain_server("--idle-timeout", "1").endpoint)
    create(lambda_, "idle", "let n=0;exports.handler=async()=>[++n,process.pid]")
    count, pid = invoke(lambda_, "idle").payload
    assert count == 1 and invoke(lambda_, "idle").payload == [2, pid]

    def gone():
        try:
            with open(f"/proc/{pid}/stat") as stat:
                return stat.read().rsplit(")", 1)[1].split()[0] in "ZX"
        except OSError:
            return True

    eventually(gone, 20, "the environment is gone")
    assert invoke(lambda_, "idle").payload[0] == 1


def test_a_failing_init_is_run_again_inside_the_invocation(lambda_, name):
    """node-runtime §10: the second failure's error is the answer; every later invocation inits anew."""
    code = (
        "const fs=require('fs'),f=require('os').tmpdir()+'/n';let n=0;try{n=+fs.readFileSync(f)}catch{}"
        "fs.writeFileSync(f,String(n+1));if(n<2)throw new Error('init '+n);exports.handler=async()=>'up after '+n"
    )
    create(lambda_, name, code)
    answer = invoke(lambda_, name)
    assert answer.error == "Unhandled" and answer.payload["errorMessage"] == "init 1"
    assert invoke(lambda_, name).payload == "up after 2"
    assert invoke(lambda_, name).payload == "up after 2"


def test_an_init_longer_than_10_s_is_run_again_under_the_functions_timeout(lambda_, name):
    code = (
        "const fs=require('fs'),f=require('os').tmpdir()+'/n';const first=!fs.existsSync(f);fs.writeFileSync(f,'');"
        "if(first){const end=Date.now()+60000;while(Date.now()<end);}exports.handler=async()=>'second init'"
    )
    create(lambda_, name, code, Timeout=20)
    elapsed = stopwatch()
    answer = invoke(lambda_, name)
    assert answer.payload == "second init" and 10 <= elapsed() < 30
    assert "Init Duration" not in answer.log


def test_an_init_that_never_ends_runs_into_the_functions_timeout(lambda_, name):
    create(lambda_, name, "for(;;);", Timeout=2)
    answer = invoke(lambda_, name)
    assert answer.payload["errorType"] == "Sandbox.Timedout" and "after 2.00 seconds" in answer.payload["errorMessage"]


def test_a_pending_function_cannot_be_invoked_or_can(lambda_, name):
    """Between creation and Active an invocation is either refused with AWS's conflict or served, never lost."""
    create(lambda_, name, wait=False)
    try:
        assert invoke(lambda_, name, 1).payload == 1
    except ClientError as error:
        assert error.response["Error"]["Code"] == "ResourceConflictException", error.response
        assert "The operation cannot be performed at this time. The function is currently in the following state: Pending" in str(error)
    active(lambda_, name)
    assert invoke(lambda_, name, 2).payload == 2


def test_many_clients_at_once_all_get_their_own_answer(lambda_, name):
    create(lambda_, name, ECHO, Timeout=60)
    seen, lock = [], threading.Lock()

    def caller(number):
        for turn in range(25):
            answer = invoke(lambda_, name, {"caller": number, "turn": turn})
            assert answer.payload == {"caller": number, "turn": turn}, answer
            with lock:
                seen.append(answer.id)

    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        for call in [pool.submit(caller, number) for number in range(16)]:
            call.result(120)
    assert len(set(seen)) == 16 * 25
