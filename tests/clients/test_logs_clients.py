"""Logs by the clients that people use, unmodified: `aws logs tail` of the aws CLI 2 and the SDK for JavaScript v3."""

import functools
import os
import queue
import subprocess
import threading

import pytest

import aws_client
import node_binaries
from lambda_client import REGION, create, invoke
from server import eventually
from test_sdk_js import FOLDER

LINE = "exports.handler = async (event) => console.log('line ' + event.n);"


@functools.cache
def aws_cli_2():
    """The aws CLI 2 of this machine: PyPI has version 1 alone, which has no `logs tail`."""
    for folder in os.environ["PATH"].split(os.pathsep):
        program = os.path.join(folder, "aws")
        if os.access(program, os.X_OK):
            said = subprocess.run([program, "--version"], capture_output=True, text=True, timeout=60, check=False).stdout
            if said.startswith("aws-cli/2"):
                return program
    return None


def environment():
    kept = {key: os.environ[key] for key in ("PATH", "HOME") if key in os.environ}
    return {**kept, "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "PYTHONUNBUFFERED": "1"}


def wrote(logs, name, text):
    """Whether a line of the function is kept."""
    try:
        return logs.filter_log_events(logGroupName=f"/aws/lambda/{name}", filterPattern=f'"{text}"')["events"]
    except logs.exceptions.ResourceNotFoundException:
        return []


def test_the_aws_cli_tails_and_follows(shared, lambda_, name):
    """The CLI asks every 5 seconds; that a line can be read within one is test_logs.py's."""
    program = aws_cli_2()
    if program is None:
        pytest.skip("NOT TESTED: no aws CLI 2 on this machine")
    logs = aws_client.client("logs", shared.endpoint)
    create(lambda_, name, LINE)
    first = invoke(lambda_, name, {"n": 1})
    eventually(lambda: wrote(logs, name, "REPORT"), 20, "the first lines are kept")
    command = [program, "logs", "tail", f"/aws/lambda/{name}", "--endpoint-url", shared.endpoint, "--since", "5m"]
    ran = subprocess.run([*command, "--format", "short"], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    texts = [line.split(" ", 1)[1] for line in ran.stdout.splitlines() if " " in line]
    assert [text.split(" ")[0] for text in texts[:2]] == ["INIT_START", "START"] and first.id in texts[1]
    assert any("line 1" in text for text in texts) and any(text.startswith("REPORT") for text in texts)
    ran = subprocess.run([*command, "--filter-pattern", "absent"], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")

    with subprocess.Popen([*command, "--follow"], env=environment(), stdout=subprocess.PIPE, text=True) as following:
        shown = queue.Queue()
        reader = threading.Thread(target=lambda: [shown.put(line) for line in following.stdout])
        reader.start()
        try:
            def until(text):
                lines = [shown.get(timeout=60)]
                while text not in lines[-1]:
                    lines.append(shown.get(timeout=60))
                return lines

            until("REPORT")
            second = invoke(lambda_, name, {"n": 2})
            lines = until("REPORT")
            assert all("[$LATEST]" in line for line in lines if "RequestId" in line), "the stream's name in front"
            said = [line for line in lines if "line " in line]
            assert len(said) == 1 and "line 2" in said[0] and second.id in said[0], "each line once"
        finally:
            following.kill()
            reader.join(20)


def test_the_sdk_for_javascript(shared, lambda_, name):
    assert (FOLDER / "node_modules/@aws-sdk/client-cloudwatch-logs").is_dir(), "run `npm ci` in tests/clients/sdk-js first"
    create(lambda_, name, LINE)
    logs = aws_client.client("logs", shared.endpoint)
    for number in (1, 2):
        invoke(lambda_, name, {"n": number})
        eventually(lambda number=number: wrote(logs, name, f"line {number}"), 20, "the line is kept")
    _, node = node_binaries.installed("nodejs22.x")
    done = subprocess.run(
        [node, "logs.mjs"], env={"ENDPOINT": shared.endpoint, "FUNCTION_NAME": name}, cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0 and done.stdout.strip() == "done", done.stdout + done.stderr
