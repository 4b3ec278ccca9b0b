"""A lambkin under test: started on port 0 with a data directory of its own, watched, and ended.

Not here: what it answers.
"""

import os
import pathlib
import re
import select
import signal
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
START = 20
STOP = 40


def binary():
    """The program under test: $LAMBKIN_BIN, else what cargo built last, release first."""
    given = os.environ.get("LAMBKIN_BIN")
    candidates = [pathlib.Path(given)] if given else [ROOT / "target" / kind / "lambkin" for kind in ("release", "debug")]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate.resolve())
    raise RuntimeError(f"no lambkin binary at {', '.join(map(str, candidates))}: build it, or set LAMBKIN_BIN")


def runtimes_options():
    """One cache of Node.js binaries for all servers of a run."""
    cache = os.environ.get("LAMBKIN_RUNTIMES")
    return ["--runtimes", cache] if cache else []


def eventually(condition, seconds, what):
    """Polls until `condition` returns something true, which is the answer. Fails when time is up."""
    deadline = time.monotonic() + seconds
    while True:
        answer = condition()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        select.select([], [], [], 0.01)


def processes():
    """Live processes by number: (start time, parent, what was said at their start). In a jail little is said."""
    found = {}
    for entry in pathlib.Path("/proc").iterdir():
        if not entry.name.isdigit() or int(entry.name) == os.getpid():
            continue
        try:
            stat = (entry / "stat").read_text().rsplit(")", 1)[1].split()
            command = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        try:
            command += b"\0environ" + (entry / "environ").read_bytes()
        except OSError:
            pass
        if stat[0] not in "ZX":
            found[int(entry.name)] = (stat[19], int(stat[1]), command)
    return found


def processes_naming(text):
    """Live processes with `text` in their command line or environment."""
    return {pid for pid, (_, _, command) in processes().items() if text.encode() in command}


def below(all_processes, root):
    """Those that `root` has started, directly or not."""
    family = {root}
    while more := {pid for pid, (_, parent, _) in all_processes.items() if parent in family} - family:
        family |= more
    return family - {root}


class Server:
    """`lambkin serve`. Its log goes to `<directory>/lambkin.log`, which outlives it."""

    def __init__(self, directory, *options, variables=None, wrapper=()):
        self.directory = pathlib.Path(directory)
        self.data = self.directory / "data"
        self.log = self.directory / "lambkin.log"
        self.options = options
        # Children inherit nothing of this; it marks lambkin's own processes among all of the machine.
        self.variables = {**(os.environ if variables is None else variables), "LAMBKIN_TEST_MARK": str(self.directory)}
        self.wrapper = list(wrapper)
        self.process = None
        self.endpoint = None
        # What was below it when it was told to end.
        self.family = set()

    def command(self):
        listen = ["--listen", "127.0.0.1:0", "--data", str(self.data)]
        options = list(self.options)
        shared = [] if "--runtimes" in options else runtimes_options()
        return [*self.wrapper, binary(), "serve", *listen, *shared, *options]

    def start(self):
        self.directory.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=log, env=self.variables
            )
        self.said = b""
        self.endpoint = self.awaits(rb"^listening on (https?://\S+)$")[1].decode()
        return self

    def awaits(self, line):
        """The match of a line that it says at its start."""
        deadline = time.monotonic() + START
        while not (match := re.search(line, self.said, re.M)):
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([self.process.stdout], [], [], left)[0]:
                raise AssertionError(f"lambkin said nothing in {START} s; {self.tail()}")
            piece = os.read(self.process.stdout.fileno(), 65536)
            if not piece:
                raise AssertionError(f"lambkin ended with {self.process.wait(START)} at its start; {self.tail()}")
            self.said += piece
        return match

    def terminate(self):
        """SIGTERM, without waiting."""
        self.remember()
        self.process.send_signal(signal.SIGTERM)

    def wait(self, seconds=STOP):
        """The exit code."""
        try:
            code = self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise AssertionError(f"lambkin did not end in {seconds} s; {self.tail()}") from None
        self.process.stdout.close()
        return code

    def kill(self):
        """kill -9."""
        self.remember()
        self.process.kill()
        self.process.wait(STOP)
        self.process.stdout.close()

    def stop(self):
        """A clean end, and nothing left behind."""
        if self.process is None or self.process.returncode is not None:
            return
        self.terminate()
        code = self.wait()
        assert code == 0, f"lambkin ended with {code}; {self.tail()}"
        self.assert_nothing_is_left()

    def remember(self):
        alive = processes()
        self.family |= {(pid, alive[pid][0]) for pid in below(alive, self.process.pid)}

    def left(self):
        """Its processes that live, the functions' among them: what it started, or what names its directory."""
        alive = processes()
        mine = below(alive, self.process.pid)
        return {
            pid: command.split(b"\0environ")[0].replace(b"\0", b" ")[:200].decode(errors="replace")
            for pid, (start, _, command) in alive.items()
            if pid in mine or (pid, start) in self.family or str(self.directory).encode() in command
        }

    def assert_nothing_is_left(self):
        eventually(lambda: not self.left(), 10, f"processes left behind: {self.left()}")

    def tail(self):
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return f"its log is {self.log}, and ends:\n{text[-3000:]}"

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        if self.process.returncode is None:
            try:
                self.stop()
            finally:
                if self.process.returncode is None:
                    self.kill()
