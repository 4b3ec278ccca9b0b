"""Kills lambkin with `kill -9` at random moments, over and over, while clients use it, and compares at the end what they
were told with what happened. `--forgetful` takes away, at each kill, what lambkin had not synced.

    python tests/chaos/chaos.py --cycles 200 --seed 7 --forgetful

A race is reproduced as far as a seed can: the requests, the moments of the kills and what a power cut takes are drawn from it.
"""

import argparse
import os
import pathlib
import random
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "clients"))

from botocore.exceptions import ClientError

import power_cut
import verdict
import workload
import world
from ledger import Ledger, reports
from server import Server, processes_naming

# How long lambkin runs between two kills, in seconds.
LIVES = (0.2, 3.0)
# A failed event waits 1 and 2 minutes on AWS; here that part of it.
RETRY_SCALE = 0.005
# How long it may take at the end until everything has run or lies in its queue, in seconds.
QUIET = 120
# Written past libc, or made anew at each start: their durability is shown by the tests of `store`.
LEFT_ALONE = ("code", "environments", "lock")


class Chaos:
    def __init__(self, directory, seed, forgetful=False, lies=False, say=print):
        self.directory = pathlib.Path(directory).resolve()
        self.directory.mkdir(parents=True, exist_ok=True)
        self.seed, self.forgetful, self.lies, self.say = seed, forgetful or lies, lies, say
        self.chance = random.Random(seed)
        self.ledger = Ledger(self.directory / "ledger.jsonl")
        self.reports = self.directory / "reports.jsonl"
        self.journal = self.directory / "journal"
        self.received = {queue: [] for queue in world.RESULTS}
        self.cuts = [0, 0]
        self.quiet = QUIET
        options = ["--isolation", "process", "--event-retry-scale", str(RETRY_SCALE), "--warm-pool", "0"]
        self.server = Server(self.directory / "lambkin", *options, variables=self._variables())

    def _variables(self):
        if not self.forgetful:
            return None
        data = self.directory / "lambkin" / "data"
        return {**os.environ, **power_cut.variables(data, self.journal, self.directory, LEFT_ALONE, self.lies)}

    def where(self):
        return (
            f"seed {self.seed}{', forgetful' if self.forgetful else ''}; ledger {self.ledger.path}; "
            f"reports {self.reports}; data {self.server.data}; log {self.server.log}"
        )

    def run(self, cycles):
        """The violations."""
        work = workload.Workload(self.ledger, self.seed)
        try:
            clients = self._start()
            world.build(clients, self.reports)
            work.use(clients)
            work.start()
            for cycle in range(cycles):
                time.sleep(self.chance.uniform(*LIVES))
                self._kill()
                work.use(None)
                clients = self._start()
                work.use(clients)
                self.say(f"kill {cycle + 1} of {cycles}: {len(self.ledger.facts)} facts, {self._lines()} executions")
            work.stop_sending()
            self._settle(clients, lambda: self._read_results(clients))
            work.stop()
            found = [*work.problems, *self._read_rest(clients), *self._violations()]
            found += self._counts_are_zero(clients)
        except ClientError as error:
            # Whatever the run made is there as long as it runs.
            found = [*work.problems, f"lambkin refuses what it has taken before: {error}"]
        finally:
            work.stop()
            self._end()
        return found + self._left()

    def _start(self):
        self.server.start()
        return world.Clients(self.server.endpoint)

    def _kill(self):
        """As power cuts do it, where asked for: all or some of what was not synced is gone."""
        self.server.kill()
        if self.forgetful:
            seed = None if self.chance.random() < 0.5 else self.chance.getrandbits(32)
            pages, names = power_cut.cut(self.server.data, self.journal, seed)
            self.cuts[0] += pages
            self.cuts[1] += names

    def _end(self):
        if self.server.process is not None and self.server.process.poll() is None:
            self.server.stop()

    def _violations(self):
        leases_last = not self.forgetful
        return list(verdict.violations(self.ledger.facts, reports(self.reports), self.received, leases_last))

    def _lines(self):
        return len(reports(self.reports))

    def _settle(self, clients, read):
        """Until nothing is missing of events, mappings and notifications, or time is up."""
        end = time.monotonic() + self.quiet
        while time.monotonic() < end:
            read()
            # What clients still receive themselves is looked at when all is read.
            missing = [each for each in self._violations() if not each.startswith(("post", "orders"))]
            busy = [queue for queue in ("work", "steps.fifo") if any(clients.counts(queue))]
            if not missing and not busy:
                return
            time.sleep(0.5)
        self.say(f"still not quiet after {self.quiet} s: {missing[:3]} {busy}")

    def _read_results(self, clients):
        for queue in self.received:
            while self._take(clients, queue):
                pass

    def _take(self, clients, queue):
        """Receives and deletes up to ten messages; what is received is kept."""
        messages = workload.receive(clients, self.ledger, queue, _certain)
        if messages:
            if queue in self.received:
                facts = self.ledger.all("receive")
                self.received[queue] += facts[-1]["messages"]
            done = workload.delete(clients, self.ledger, queue, messages, _certain)
            assert len(done) == len(messages), f"{queue}: {len(done)} of {len(messages)} deleted"
        return len(messages)

    def _read_rest(self, clients):
        """Receives what clients have left, when no lease is left, and compares it with what the counts said."""
        for queue in ("post", "orders.fifo"):
            end = time.monotonic() + 2 * world.VISIBILITY
            while any((counts := clients.counts(queue))[1:]) and time.monotonic() < end:
                time.sleep(0.1)
            if any(counts[1:]):
                yield f"{queue}: {counts} (visible, in flight, delayed) although every lease has ended"
            read = 0
            while got := self._take(clients, queue):
                read += got
            if read != counts[0]:
                yield f"{queue}: {counts[0]} messages by the count, {read} received"

    def _counts_are_zero(self, clients):
        for queue in [*world.STANDARD, *world.FIFO]:
            if queue != "gone" and any(counts := clients.counts(queue)):
                yield f"{queue}: {counts} (visible, in flight, delayed) although everything was deleted"

    def _left(self):
        """Nothing of lambkin's, and nothing of its functions', is on the machine."""
        left = {pid for pid in processes_naming(str(self.directory)) if pid != os.getpid()}
        found = [f"processes are left: {sorted(left)}"] if left else []
        mounts = pathlib.Path("/proc/self/mounts").read_text().splitlines()
        found += [f"left mounted: {line}" for line in mounts if str(self.directory) in line]
        environments = self.server.data / "environments"
        # An empty directory that all environments share.
        left = [path for path in environments.glob("*") if path.name != "opt"] if environments.exists() else []
        found += [f"left behind: {path}" for path in left]
        return found


def _certain(call, **arguments):
    """At the end lambkin is there, and has to answer."""
    return True, call(**arguments)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--cycles", type=int, default=200, help="kills [%(default)s]")
    parser.add_argument("--seed", type=int, default=None, help="of a former run [drawn]")
    parser.add_argument("--forgetful", action="store_true", help="also undo what was not synced")
    parser.add_argument("--directory", help="where everything is kept [a new one]")
    parser.add_argument("--lies", action="store_true", help="the disk never syncs: this has to end with violations")
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else random.SystemRandom().getrandbits(32)
    directory = options.directory or tempfile.mkdtemp(prefix="lambkin-chaos-")
    chaos = Chaos(directory, seed, options.forgetful, options.lies, say=lambda text: print(text, flush=True))
    print(chaos.where(), flush=True)
    found = chaos.run(options.cycles)
    for each in found[:50]:
        print(f"VIOLATION: {each}")
    facts = chaos.ledger.facts
    kinds = {what: sum(fact["what"] == what for fact in facts) for what in sorted({fact["what"] for fact in facts})}
    print(f"{options.cycles} kills, {kinds}, {len(reports(chaos.reports))} executions, {len(found)} violations")
    if options.forgetful:
        print(f"undone at the kills: {chaos.cuts[0]} changes of bytes, {chaos.cuts[1]} of names")
    if found:
        print(chaos.where())
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
