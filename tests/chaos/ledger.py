"""What the clients were told, kept outside of lambkin: each request with what it was answered, on its lines in a file.

`ok` is True where the answer was a success, False where it was a refusal that changes nothing (4xx), and None where it
is not known what became of the request: no answer, or a 5xx.

Deliberately not here: what must follow from it (verdict.py).
"""

import json
import threading
import time


class Ledger:
    def __init__(self, path):
        self.path = path
        self.facts = []
        self._file = open(path, "a", buffering=1)
        self._lock = threading.Lock()

    def note(self, what, **fact):
        """A fact, in the order in which they became known."""
        fact = {"what": what, "at": time.monotonic(), **fact}
        with self._lock:
            self.facts.append(fact)
            self._file.write(json.dumps(fact) + "\n")

    def all(self, what):
        with self._lock:
            return [fact for fact in self.facts if fact["what"] == what]

    def close(self):
        self._file.close()


def reports(path):
    """What functions said of their executions, in that order. A line may be cut where its process was killed."""
    found = []
    if path.exists():
        for line in path.read_text().splitlines():
            try:
                found.append(json.loads(line))
            except ValueError:
                continue
    return found
