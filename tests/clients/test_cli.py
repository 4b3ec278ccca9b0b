"""The README's walk with the unmodified aws CLI: create, wait, invoke, update, invoke, delete."""

import base64
import json
import os
import pathlib
import subprocess
import sys

import pytest

from lambda_client import ROLE, zipped
from server import binary

HANDLERS = {
    "nodejs6.10": (
        "index.js",
        "exports.handler=(event,context,callback)=>{console.log('value1 =',event.key1);callback(null,event.key1+' %s')}",
    ),
    "nodejs8.10": (
        "index.js",
        "exports.handler=async(event)=>{console.log('value1 =',event.key1);return event.key1+' %s'}",
    ),
    "nodejs22.x": (
        "index.mjs",
        "export const handler=async(event)=>{console.log('value1 =',event.key1);return event.key1+' %s'}",
    ),
}
EVENT = '{"key1":"value1","key2":"value2","key3":"value3"}'


@pytest.fixture
def aws(shared, tmp_path):
    """Runs the aws CLI; answers its parsed output."""
    program = pathlib.Path(sys.executable).parent / "aws"
    variables = {
        "PATH": os.environ["PATH"],
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": shared.endpoint,
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_PAGER": "",
    }

    def run(*arguments, fails=None):
        done = subprocess.run(
            [sys.executable, str(program), "lambda", *arguments],
            env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False,
        )
        if fails is not None:
            assert done.returncode != 0 and fails in done.stderr, done
            return None
        assert done.returncode == 0, done
        return json.loads(done.stdout) if done.stdout.strip() else None

    return run


@pytest.mark.parametrize("runtime", HANDLERS)
def test_the_readmes_walk(aws, tmp_path, name, runtime):
    file, code = HANDLERS[runtime]

    def package(word):
        (tmp_path / "function.zip").write_bytes(zipped({file: code % word}))
        return "fileb://function.zip"

    def invoke():
        answer = aws("invoke", "--function-name", name, "--payload", base64_or_raw(EVENT), "--log-type", "Tail", "out.json")
        assert (answer["StatusCode"], answer["ExecutedVersion"]) == (200, "$LATEST") and "FunctionError" not in answer
        log = base64.b64decode(answer["LogResult"]).decode()
        assert "value1 = value1\n" in log and log.startswith("START RequestId: ") and "\nREPORT RequestId: " in log
        return json.loads((tmp_path / "out.json").read_text())

    created = aws(
        "create-function", "--function-name", name, "--runtime", runtime, "--handler", "index.handler",
        "--role", ROLE, "--zip-file", package("first"),
    )
    assert created["State"] == "Pending" and created["FunctionName"] == name and created["Runtime"] == runtime
    aws("wait", "function-active-v2", "--function-name", name)
    assert invoke() == "value1 first"
    updated = aws("update-function-code", "--function-name", name, "--zip-file", package("second"))
    assert updated["LastUpdateStatus"] == "InProgress" and updated["CodeSha256"] != created["CodeSha256"]
    aws("wait", "function-updated-v2", "--function-name", name)
    assert invoke() == "value1 second"
    aws("update-function-configuration", "--function-name", name, "--timeout", "9")
    aws("wait", "function-updated-v2", "--function-name", name)
    assert aws("get-function-configuration", "--function-name", name)["Timeout"] == 9
    assert name in [function["FunctionName"] for function in aws("list-functions")["Functions"]]
    aws("delete-function", "--function-name", name)
    aws("get-function", "--function-name", name, fails="ResourceNotFoundException")


def base64_or_raw(text):
    """Version 1 of the CLI takes a payload as it is, version 2 in base64 unless told otherwise."""
    import awscli

    return text if awscli.__version__.startswith("1.") else base64.b64encode(text.encode()).decode()


def test_an_error_is_shown_as_awss(aws):
    aws(
        "invoke", "--function-name", "nobody", "out.json",
        fails="An error occurred (ResourceNotFoundException) when calling the Invoke operation: Function not found: "
        "arn:aws:lambda:us-east-1:000000000000:function:nobody:$LATEST",
    )


def test_reserved_concurrency(aws, tmp_path, name):
    (tmp_path / "function.zip").write_bytes(zipped({"index.js": "exports.handler=async e=>e"}))
    aws(
        "create-function", "--function-name", name, "--runtime", "nodejs22.x", "--handler", "index.handler",
        "--role", ROLE, "--zip-file", "fileb://function.zip",
    )
    aws("wait", "function-active-v2", "--function-name", name)
    of_it = ("--function-name", name)
    put = aws("put-function-concurrency", *of_it, "--reserved-concurrent-executions", "0")
    assert put == aws("get-function-concurrency", *of_it) == {"ReservedConcurrentExecutions": 0}
    assert aws("get-function", *of_it)["Concurrency"] == put
    throttle = "An error occurred (TooManyRequestsException) when calling the Invoke operation"
    aws("invoke", *of_it, "out.json", fails=throttle)
    aws("delete-function-concurrency", *of_it)
    assert aws("get-function-concurrency", *of_it) is None
    assert aws("invoke", *of_it, "out.json")["StatusCode"] == 200
    assert aws("get-account-settings")["AccountLimit"]["ConcurrentExecutions"] == 1000


def test_sample_events_are_generated(tmp_path):
    """Without a server: all of them, with the account and the region that are meant, and with parameters."""

    def generated(*words, **variables):
        command = [str(binary()), "generate-event", *words]
        done = subprocess.run(command, capture_output=True, text=True, env={"HOME": str(tmp_path), **variables})
        return done.returncode, done.stdout, done.stderr

    code, listed, _ = generated()
    names = [line.split()[0] for line in listed.splitlines() if line and not line[0].isspace()]
    assert code == 0 and len(names) >= 50 and "s3-put" in names
    for name in names:
        code, text, said = generated(name)
        assert code == 0 and json.loads(text), (name, said)
    record = json.loads(generated("s3-put", "--bucket", "b", "--key=c/d", AWS_REGION="eu-west-3")[1])["Records"][0]
    assert (record["awsRegion"], record["s3"]["bucket"]["name"], record["s3"]["object"]["key"]) == ("eu-west-3", "b", "c/d")
    assert generated("s3-put", "--nothing", "b")[0] != 0
    assert "there is no sample event" in generated("nothing")[2]
