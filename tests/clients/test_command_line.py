"""The command line beside `serve`: what it says to whom.

Not here: what a command shows, which is with the service that it shows.
"""

import os
import signal
import subprocess

import pytest

from server import Server, binary, eventually

QUICK = ["doctor", "events", "generate-event", "keys list", "logs", "queues", "runtimes list", "top --once"]


def run(command, endpoint, home, stdout=subprocess.PIPE, **variables):
    """The command, asking that endpoint; nothing of this machine's own lambkin."""
    return subprocess.run(
        [binary(), *command.split()],
        env={"PATH": os.environ["PATH"], "HOME": str(home), "AWS_ENDPOINT_URL": endpoint, **variables},
        stdout=stdout, stderr=subprocess.PIPE, text=True, timeout=120, check=False,
    )


@pytest.mark.parametrize("command", [*QUICK, "top --interval 0.1", "top --json --interval 0.1"])
def test_who_has_read_enough_ends_a_command(shared, tmp_path, command):
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = run(command, shared.endpoint, tmp_path, stdout=writing)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("command", [each for each in QUICK if each != "logs"])
def test_what_cannot_be_said_is_a_failure(shared, tmp_path, command):
    """Logs may have nothing to say."""
    with open("/dev/full", "w", encoding="utf-8") as full:
        done = run(command, shared.endpoint, tmp_path, stdout=full)
    assert done.returncode == 2 and "No space left on device" in done.stderr, done


def test_functions_are_served_though_nobody_reads_the_start_lines(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    with open(tmp_path / "log", "wb") as log:
        serving = subprocess.Popen(
            [binary(), "serve", "--listen", "127.0.0.1:0", "--data", tmp_path / "data", "--isolation", "process"],
            stdout=writing, stderr=log,
        )
    os.close(writing)
    try:
        eventually(lambda: b"lambkin is up" in (tmp_path / "log").read_bytes() or serving.poll() is not None, 60, "the start")
        assert serving.poll() is None, (tmp_path / "log").read_text()
    finally:
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(60) == 0


@pytest.mark.parametrize("command", ["events", "logs", "queues", "top"])
def test_where_nothing_listens_it_says_what_does(tmp_path, command):
    done = run(command, "http://127.0.0.1:1", tmp_path)
    assert done.returncode == 2 and "nothing listens there; `lambkin serve` does" in done.stderr, done


def test_a_refusal_says_why(tmp_path):
    """To who has no key, and to who has one that is none."""
    with Server(tmp_path) as server:
        subprocess.run([binary(), "keys", "create", "--data", server.data], check=True, capture_output=True)
        for command in ["events", "logs", "queues", "top"]:
            done = run(command, server.endpoint, tmp_path)
            assert done.returncode == 2 and "set the variables that `lambkin keys create` prints" in done.stderr, done
            done = run(command, server.endpoint, tmp_path, AWS_ACCESS_KEY_ID="AKIANONE", AWS_SECRET_ACCESS_KEY="none")
            assert done.returncode == 2 and "The security token included in the request is invalid. (" in done.stderr, done
