"""`lambkin logs`: what functions wrote, in text and in JSON, on a terminal and in print."""

import json
import os
import pty
import subprocess
import time

from lambda_client import REGION, create, invoke
from logs_client import tail_of
from server import binary, eventually


def test_lambkin_logs_shows_and_follows(shared, lambda_, logs, name):
    create(lambda_, name, "exports.handler = async (event) => { console.log('at ' + event.n + '\\nand more'); };")
    first = invoke(lambda_, name, {"n": 1})
    eventually(lambda: "REPORT" in str(tail_of(logs, f"/aws/lambda/{name}")), 10, "the report is kept")
    command = [binary(), "logs", name, "--endpoint", shared.endpoint, "--region", REGION]
    ran = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ran.returncode == 0, ran.stderr
    lines = ran.stdout.splitlines()
    assert len(lines) == 5 and "INIT_START" in lines[0] and "\x1b" not in ran.stdout
    assert lines[2].endswith(f" {first.id} INFO at 1\\nand more")
    assert f" {first.id} REPORT " in lines[4] and " (billed " in lines[4] and " of 128 MB, init " in lines[4]
    ran = subprocess.run([*command, "--filter", "at", "--json"], capture_output=True, text=True, timeout=30)
    (event,) = map(json.loads, ran.stdout.splitlines())
    assert event["logGroup"] == f"/aws/lambda/{name}" and "at 1" in event["message"]
    ran = subprocess.run([*command, "--filter", "a:b"], capture_output=True, text=True, timeout=30)
    assert ran.returncode == 2 and "Invalid filter pattern" in ran.stderr

    with subprocess.Popen([*command, "--follow"], stdout=subprocess.PIPE, text=True) as following:
        try:
            shown = (line for line in following.stdout)
            assert any("REPORT" in line for line in shown)
            invoke(lambda_, name, {"n": 2})
            answered = time.monotonic()
            assert "START" in next(shown) and "at 2" in next(shown)
            assert time.monotonic() - answered < 1
        finally:
            following.kill()


def test_json_is_shown_as_text_is_wherever_it_is(shared, lambda_, logs, name):
    """A function that logs JSON to a group of its own choice, on a terminal."""
    config = {"LogFormat": "JSON", "SystemLogLevel": "DEBUG", "LogGroup": f"/custom/{name}"}
    create(lambda_, name, "exports.handler = async () => { console.warn('one\\ntwo'); throw new Error('no'); };", LoggingConfig=config)
    ran = invoke(lambda_, name)
    eventually(lambda: "platform.report" in str(tail_of(logs, f"/custom/{name}")), 20, "the report is kept")
    command = [binary(), "logs", name, "--endpoint", shared.endpoint, "--region", REGION]
    said = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert said.returncode == 0, said.stderr
    lines = [line.split(" ", 1)[1] for line in said.stdout.splitlines()]
    assert lines[0].startswith("INIT_START Runtime Version: nodejs") and f"{ran.id} START Version: $LATEST" in lines
    assert f"{ran.id} WARN one\\ntwo" in lines and any(line.startswith(f"{ran.id} ERROR {{") and '"errorMessage":"no"' in line for line in lines)
    (report,) = [line for line in lines if line.startswith(f"{ran.id} REPORT ")]
    assert " ms (billed " in report and " of 128 MB, init " in report and ", error, " in report
    master, slave = pty.openpty()
    environment = {key: value for key, value in os.environ.items() if key != "NO_COLOR"}
    with subprocess.Popen(command, stdout=slave, env=environment) as showing:
        os.close(slave)
        text = b""
        # A terminal whose other end is gone is an error on Linux.
        try:
            while piece := os.read(master, 65536):
                text += piece
        except OSError:
            pass
        assert showing.wait(30) == 0
    os.close(master)
    assert f"\x1b[33mWARN one\\ntwo\x1b[0m".encode() in text and b"\x1b[34mREPORT " in text and f"\x1b[2m{ran.id}\x1b[0m".encode() in text


def test_what_a_timeout_leaves_has_its_id(shared, lambda_, logs, name):
    create(lambda_, name, "exports.handler = async (event) => event.exit ? process.exit(3) : new Promise(() => setTimeout(() => {}, 9e6))", Timeout=1)
    timeout, exit = invoke(lambda_, name), invoke(lambda_, name, {"exit": True})
    eventually(lambda: "exit status 3" in str(tail_of(logs, f"/aws/lambda/{name}")), 20, "what is left is kept")
    command = [binary(), "logs", name, "--endpoint", shared.endpoint, "--region", REGION]
    lines = [line.split(" ", 1)[1] for line in subprocess.run(command, capture_output=True, text=True, timeout=30).stdout.splitlines()]
    assert f"{timeout.id} Task timed out after 1.00 seconds" in lines
    assert any(line.startswith(f"{exit.id} Error: Runtime exited with error: exit status 3") for line in lines)
