"""Logs by the clients that people use, unmodified: `aws logs tail` of the aws CLI 2 and the SDK for JavaScript v3."""

import functools
import os
import queue
import subprocess
import threading
import time

import pytest

import aws_client
import node_binaries
from lambda_client import REGION, create, invoke
from server import eventually
from test_sdk_js import FOLDER

LINE = "exports.handler = async (event) => console.log('line ' + event.n);"


@functools.cache
def aws_cli_2():
    """The aws CLI 2: what the set-up of the tests found, or this machine's. PyPI has version 1 alone, which has no `logs tail`."""
    found = [os.environ["LAMBKIN_AWS_CLI"]] if "LAMBKIN_AWS_CLI" in os.environ else []
    for program in found + [os.path.join(folder, "aws") for folder in os.environ["PATH"].split(os.pathsep)]:
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


@pytest.fixture
def tail(shared, lambda_, name):
    """A function that ran once, and the command that shows its lines."""
    program = aws_cli_2()
    if program is None:
        pytest.skip("NOT TESTED: no aws CLI 2 on this machine")
    logs = aws_client.client("logs", shared.endpoint)
    create(lambda_, name, LINE)
    first = invoke(lambda_, name, {"n": 1})
    eventually(lambda: wrote(logs, name, "REPORT"), 20, "the first lines are kept")
    return first, [program, "logs", "tail", f"/aws/lambda/{name}", "--endpoint-url", shared.endpoint, "--since", "5m"]


class Following:
    """`aws logs tail --follow` and what it shows."""

    def __init__(self, command):
        self.process = subprocess.Popen([*command, "--follow"], env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        self.shown = queue.Queue()
        self.reader = threading.Thread(target=lambda: [self.shown.put((time.monotonic(), line)) for line in self.process.stdout])
        self.reader.start()

    def until(self, text):
        """The lines up to the one with this in it, and when that came."""
        lines = []
        while not lines or text not in lines[-1]:
            at, line = self.shown.get(timeout=60)
            lines.append(line)
        return lines, at

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.reader.join(20)
        self.process.communicate()


def test_the_aws_cli_tails(tail):
    first, command = tail
    ran = subprocess.run([*command, "--format", "short"], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert ran.returncode == 0, ran.stderr
    texts = [line.split(" ", 1)[1] for line in ran.stdout.splitlines() if " " in line]
    assert [text.split(" ")[0] for text in texts[:2]] == ["INIT_START", "START"] and first.id in texts[1]
    assert any("line 1" in text for text in texts) and any(text.startswith("REPORT") for text in texts)
    ran = subprocess.run([*command, "--filter-pattern", "absent"], env=environment(), capture_output=True, text=True, timeout=60, check=False)
    assert (ran.returncode, ran.stdout) == (0, "")


def test_the_aws_cli_follows_within_a_second(tail, lambda_, name, record_property):
    """Debian's CLI says no more of `--follow` than that it asks on, five seconds after it was shown the end."""
    _, command = tail
    with Following(command) as following:
        following.until("REPORT")
        # It asks on while this runs: what comes until then it is shown then, each line once.
        invoke(lambda_, name, {"n": 2})
        lines, _ = following.until("line 2")
        late = []
        for number in range(3, 8):
            answer = invoke(lambda_, name, {"n": number})
            answered = time.monotonic()
            more, at = following.until(f"line {number}")
            lines += more
            late.append(at - answered)
            assert answer.id in more[-1]
        more, _ = following.until("REPORT")
        lines += more
        assert all("[$LATEST]" in line for line in lines if "RequestId" in line), "the stream's name in front"
        said = [line.split("line ")[1].strip() for line in lines if "line " in line]
        assert said == ["2", "3", "4", "5", "6", "7"], "each line once"
        record_property("seconds", late)
        print(f"shown {max(late):.3f} s after the answer at the latest: {[round(each, 3) for each in late]}")
        assert max(late) < 1


def test_the_aws_cli_ends_where_the_group_does(tail, shared, lambda_, name):
    _, command = tail
    with Following(command) as following:
        following.until("REPORT")
        invoke(lambda_, name, {"n": 2})
        following.until("line 2")
        aws_client.client("logs", shared.endpoint).delete_log_group(logGroupName=f"/aws/lambda/{name}")
        assert following.process.wait(60) != 0
        assert "ResourceNotFoundException" in following.process.stderr.read()


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
