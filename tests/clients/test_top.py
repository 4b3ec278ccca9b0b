"""`lambkin top`: what functions do, live on a terminal and in print for scripts."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import termios
import time

import pytest

from lambda_client import REGION, arn, client, create, invoke
from server import Server, binary, eventually

FAILS = """exports.handler = async (event) => {
  if (event.fail) throw new Error('no');
  if (event.wait) await new Promise((done) => setTimeout(done, event.wait));
};"""

SECONDS = 30


@pytest.fixture(scope="module")
def traffic(tmp_path_factory):
    """A server with two functions: one ran 6 times, 2 of them failed, one took 300 ms; the other was throttled and has an event that waits."""
    with Server(tmp_path_factory.mktemp("top")) as server:
        lambda_ = client(server.endpoint)
        create(lambda_, "busy", FAILS)
        create(lambda_, "shut", FAILS)
        lambda_.put_function_concurrency(FunctionName="shut", ReservedConcurrentExecutions=0)
        for event in ({}, {}, {}, {"fail": True}, {"fail": True}, {"wait": 300}):
            invoke(lambda_, "busy", event)
        with pytest.raises(lambda_.exceptions.TooManyRequestsException):
            lambda_.invoke(FunctionName="shut")
        invoke(lambda_, "shut", InvocationType="Event")
        yield server


def top(server, *options, **more):
    command = [binary(), "top", "--endpoint", server.endpoint, *options]
    return subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, **more)


def test_once_shows_what_happened_since_the_start(traffic):
    said = top(traffic, "--once")
    assert said.returncode == 0 and said.stderr == ""
    of_all, of_machine, head, *lines = said.stdout.splitlines()
    assert re.match(r"lambkin \S+ \(\w+\), up .+; since its start, .+: 6 runs, \S+/s, 2 errors, \d+ throttled$", of_all)
    assert re.match(r"2 functions, 0 of 1000 executions, \d+ environments and \d+ booted ahead, memory \d+ of \d+ MB, backlog 1$", of_machine)
    assert head.split() == "FUNCTION REGION RUNS/S ERRORS THROTTLED P50 P99 RUNNING ENVS (COLD) MEMORY BACKLOG".split()
    rows = {line.split()[0]: line.split() for line in lines}
    assert list(rows) == ["busy", "shut"], "the most runs first"
    assert (rows["busy"][1], rows["busy"][3], rows["busy"][4], rows["busy"][-1]) == (REGION, "2", "0", "0")
    assert rows["shut"][2:4] == ["0", "0"] and int(rows["shut"][4]) >= 1 and rows["shut"][5:7] == ["-", "-"] and rows["shut"][-1] == "1"


def test_json_has_the_same_figures(traffic):
    said = json.loads(top(traffic, "--once", "--json").stdout)
    busy, shut = said["functions"]
    assert (busy["function"], shut["function"]) == (arn("busy"), arn("shut"))
    assert (busy["runs"], busy["errors"], busy["throttles"], busy["running"], busy["backlog"]) == (6, 2, 0, 0, 0)
    assert busy["runs_per_second"] == pytest.approx(6 / said["seconds"])
    # The longest took 300 ms and is in the bucket up to 500 ms, or beyond where the machine was busy.
    assert 0 < busy["p50_seconds"] < busy["p99_seconds"] and busy["p99_seconds"] > 0.2
    assert busy["environments"] >= busy["cold_starts"] >= 1 and busy["memory_bytes"] > 1 << 20
    assert (shut["runs"], shut["p50_seconds"], shut["cold_starts"], shut["backlog"]) == (0, None, 0, 1) and shut["throttles"] >= 1
    assert said["seconds"] == said["uptime_seconds"] > 0 and said["functions_known"] == 2


def test_looks_show_what_happened_between_them(server):
    started = server()
    lambda_ = client(started.endpoint)
    create(lambda_, "f", FAILS)
    for _ in range(3):
        invoke(lambda_, "f")
    command = [binary(), "top", "--endpoint", started.endpoint, "--json", "--interval", "0.3"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        try:
            looks = (json.loads(line) for line in running.stdout)
            first = next(looks)
            assert (first["functions"][0]["runs"], first["seconds"]) == (3, first["uptime_seconds"])
            for _ in range(4):
                invoke(lambda_, "f", {"fail": True})
            seen = errors = 0
            deadline = time.monotonic() + SECONDS
            while seen < 4:
                assert time.monotonic() < deadline
                look = next(looks)
                (row,) = look["functions"]
                assert look["seconds"] < look["uptime_seconds"]
                assert row["runs_per_second"] == pytest.approx(row["runs"] / look["seconds"])
                assert (row["p50_seconds"] is None) == (row["runs"] == 0)
                seen, errors = seen + row["runs"], errors + row["errors"]
            assert (seen, errors) == (4, 4), "each is shown once"
        finally:
            running.kill()


def test_without_a_server_it_says_so(server):
    gone = server()
    gone.stop()
    said = top(gone, "--once")
    assert said.returncode == 2 and said.stdout == "" and gone.endpoint in said.stderr


class Terminal:
    """`lambkin top` on a terminal of its own, and what is on its screen."""

    def __init__(self, endpoint, rows=20, columns=120):
        self.master, self.slave = pty.openpty()
        termios.tcsetwinsize(self.slave, (rows, columns))
        self.before = termios.tcgetattr(self.slave)
        self.said = ""
        command = [binary(), "top", "--endpoint", endpoint, "--interval", "0.2"]
        streams = {"stdin": self.slave, "stdout": self.slave, "stderr": subprocess.PIPE}
        environment = {**os.environ, "TERM": "xterm-256color"}
        self.process = subprocess.Popen(command, start_new_session=True, env=environment, **streams)

    def read(self):
        while select.select([self.master], [], [], 0)[0]:
            self.said += os.read(self.master, 65536).decode(errors="replace")
        return self.said

    def screen(self):
        """The lines of the last whole drawing."""
        drawings = self.read().split("\x1b[?2026h")
        if len(drawings) < 2:
            return []
        whole = [each for each in drawings[1:] if "\x1b[?2026l" in each]
        lines = {}
        for row, text in re.findall(r"\x1b\[(\d+);1H((?:(?!\x1b\[\d+;1H).)*)", whole[-1] if whole else "", re.S):
            lines[int(row)] = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", text).rstrip()
        return [lines[row] for row in sorted(lines)]

    def shows(self, condition, what):
        def look():
            assert self.process.poll() is None, self.process.stderr.read()
            lines = self.screen()
            return lines and condition(lines)

        try:
            return eventually(look, SECONDS, what)
        except AssertionError as error:
            raise AssertionError(f"{error}; it shows {self.screen()}") from None

    def press(self, keys):
        os.write(self.master, keys.encode())

    def end(self):
        """Its exit code; the terminal is as it was."""
        code = self.process.wait(SECONDS)
        self.read()
        assert "\x1b[?1049h" in self.said and self.said.rstrip().endswith("\x1b[?25h"), "its screen is left, and the cursor shown again"
        assert self.said.count("\x1b[?1049l") == 1
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's modes are as they were"
        assert self.process.stderr.read() == b""
        return code

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.process.stderr.close()
        os.close(self.master)
        os.close(self.slave)


@pytest.fixture
def terminal(traffic):
    made = []

    def open_terminal(**options):
        made.append(Terminal(traffic.endpoint, **options))
        return made[-1]

    yield open_terminal
    for each in made:
        each.close()


def functions(lines):
    head = next(index for index, line in enumerate(lines) if line.startswith("FUNCTION"))
    return [line.split()[0] for line in lines[head + 1 : -1] if line]


def test_the_live_screen_and_its_keys(traffic, terminal):
    shown = terminal()
    shown.shows(lambda lines: functions(lines) == ["busy", "shut"], "both functions")
    assert termios.tcgetattr(shown.slave) != shown.before, "keys come one by one"
    shown.shows(lambda lines: "the last" in lines[0] and ": 0 runs" in lines[0], "nothing happened between two looks")
    assert shown.screen()[-1].startswith("q ends")
    lambda_ = client(traffic.endpoint)
    shown.press("a")
    shown.shows(lambda lines: "since its start" in lines[0], "since the start")
    shown.press("s")
    shown.shows(lambda lines: "by errors" in lines[-1] and functions(lines) == ["busy", "shut"], "by errors and throttles")
    shown.press("ssss")
    shown.shows(lambda lines: "by backlog" in lines[-1] and functions(lines) == ["shut", "busy"], "by backlog")
    invoke(lambda_, "busy")
    shown.press("a")
    shown.shows(lambda lines: "the last" in lines[0], "between two looks")
    shown.press("q")
    assert shown.end() == 0


@pytest.mark.parametrize("how", ["escape", "interrupt", "terminate", "hangup"])
def test_however_it_ends_the_terminal_is_given_back(terminal, how):
    shown = terminal()
    shown.shows(lambda lines: functions(lines), "the functions")
    match how:
        case "escape":
            shown.press("\x1b")
        case "interrupt":
            shown.press("\x03")
        case "terminate":
            shown.process.send_signal(signal.SIGTERM)
        case "hangup":
            shown.process.send_signal(signal.SIGHUP)
    assert shown.end() == 0


def test_a_small_terminal_shows_what_fits_and_scrolls(terminal):
    shown = terminal(rows=5, columns=30)
    shown.shows(lambda lines: functions(lines) == ["busy"], "one of two")
    assert all(len(line) <= 30 for line in shown.screen())
    shown.press("j")
    shown.shows(lambda lines: functions(lines) == ["shut"], "the other")
    shown.press("jjjjk")
    shown.shows(lambda lines: functions(lines) == ["busy"], "it does not scroll beyond the end")
    shown.press("q")
    assert shown.end() == 0


def test_a_server_that_went_is_waited_for(server):
    started = server()
    shown = Terminal(started.endpoint)
    try:
        shown.shows(lambda lines: lines[0].startswith("lambkin"), "the server")
        started.stop()
        shown.shows(lambda lines: "trying again" in lines[-1], "it is gone")
        shown.press("q")
        assert shown.end() == 0
    finally:
        shown.close()
