"""The semantics table: its files, which runtimes a row means, and how an answer is compared with it.

A row is one line of `tests/semantics/*.jsonl`; README.md beside this folder explains its keys. Nothing here knows a
server: `test_semantics.py` runs the rows.
"""

import json
import pathlib
import re

RUNTIMES = {
    6: "nodejs6.10",
    8: "nodejs8.10",
    16: "nodejs16.x",
    18: "nodejs18.x",
    20: "nodejs20.x",
    22: "nodejs22.x",
    24: "nodejs24.x",
    26: "nodejs26.x",
}
FOLDER = pathlib.Path(__file__).resolve().parent.parent / "semantics"

ROW_KEYS = {
    "id", "spec", "skip", "code", "files", "handler", "layers", "vars", "timeout", "memory", "logging", "event",
    "invokes",
    "expect", "omit",
}
STEP_KEYS = {"event", "payload", "clientContext", "clientContextText", "qualifier"}
EXPECT_KEYS = {"ok", "unhandled", "handled", "raw", "lines", "log", "has", "nolog", "kept", "nokept"}

# What `${name}` stands for inside a string, where it does not depend on the invocation.
PATTERNS = {
    "any": r"[\s\S]*",
    "line": r"[^\n]*",
    "word": r"\S+",
    "n": r"\d+",
    # A newline inside one log event: a carriage return where the event went through a pipe (§7.1).
    "newline": r"[\r\n]",
    "TS": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "STREAM": r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}",
}
# /var/task, /var/runtime, /var/lang and /opt: host paths while functions run as plain processes.
PATHS = ("TASK_ROOT", "RUNTIME_DIR", "LANG_DIR", "OPT")
PATH = r"/[^\s'\"():]*?[^\s'\"():/]"
WHOLE = {
    "${any}": lambda value: True,
    "${array}": lambda value: isinstance(value, list),
    "${object}": lambda value: isinstance(value, dict),
    "${string}": lambda value: isinstance(value, str),
}
TOKEN = re.compile(r"\$\{(\w+)\}")


def select(selector):
    """The runtimes, by major number, that `all`, `6`, `16-22`, `24+` or several of these name."""
    chosen = set()
    for word in selector.split():
        if word == "all":
            chosen |= set(RUNTIMES)
            continue
        bounds = re.fullmatch(r"(\d+)(?:(\+)|-(\d+))?", word)
        if not bounds:
            raise ValueError(f"not a selector: {word!r}")
        low = int(bounds[1])
        high = 10**6 if bounds[2] else int(bounds[3] or low)
        if low not in RUNTIMES or (bounds[3] and high not in RUNTIMES):
            raise ValueError(f"{word!r} names a runtime outside the table")
        chosen |= {number for number in RUNTIMES if low <= number <= high}
    return chosen


class Row:
    """One line of the table."""

    def __init__(self, source, data):
        self.source = source
        self.data = data
        self.id = data["id"]
        self.skip = data.get("skip")

    def expected(self, number):
        """What the runtime has to do, one item per invocation; None where the row says why it does not apply."""
        for selector, expectation in self.data.get("expect", {}).items():
            if number in select(selector):
                return expectation if isinstance(expectation, list) else [expectation]
        return None

    def steps(self):
        if "invokes" in self.data:
            return self.data["invokes"]
        return [{"event": self.data.get("event", {})}]

    def files(self):
        return self.data.get("files") or {"index.js": self.data["code"]}

    def is_slow(self):
        """Rows that wait for a deadline or fill a heap begin first, so that they do not end last."""
        return "timeout" in self.data

    def problems(self):
        """Everything that is wrong with the line itself."""
        found = [f"unknown key {key}" for key in self.data.keys() - ROW_KEYS]
        if not self.data.get("spec"):
            found.append("no spec reference")
        if self.skip is not None:
            if not self.skip.strip():
                found.append("left out without a reason")
            found += [f"left out and has {key}" for key in self.data.keys() - {"id", "spec", "skip"}]
            return found
        if ("code" in self.data) == ("files" in self.data):
            found.append("needs either code or files")
        if "invokes" in self.data and "event" in self.data:
            found.append("event belongs into invokes")
        for step in self.steps():
            found += [f"unknown key {key} in a step" for key in step.keys() - STEP_KEYS]
        settled = []
        for part in ("expect", "omit"):
            for selector, value in self.data.get(part, {}).items():
                try:
                    settled += select(selector)
                except ValueError as error:
                    found.append(str(error))
                if part == "omit":
                    if not (isinstance(value, str) and value.strip()):
                        found.append(f"omits {selector} without a reason")
                    continue
                items = value if isinstance(value, list) else [value]
                if len(items) != len(self.steps()):
                    found.append(f"{len(items)} expectations for {len(self.steps())} invocations on {selector}")
                for item in items:
                    found += [f"unknown expectation {key}" for key in item.keys() - EXPECT_KEYS]
                    if len(item.keys() & {"ok", "unhandled", "handled", "raw"}) == 0:
                        found.append(f"no result expected on {selector}")
        for number, name in RUNTIMES.items():
            if settled.count(number) != 1:
                found.append(f"says {settled.count(number)} times what holds on {name}")
        return found


def load():
    """All rows, in the files' order."""
    rows = []
    for path in sorted(FOLDER.glob("*.jsonl")):
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            if line.strip():
                rows.append(Row(f"{path.name}:{number}", json.loads(line)))
    return rows


def regex(text, facts):
    """The regular expression of an expected string. `facts` are literal values by name."""
    seen = set()

    def part(match):
        name = match[1]
        if name in facts:
            return re.escape(facts[name])
        if name in PATHS:
            if name in seen:
                return f"(?P={name})"
            seen.add(name)
            return f"(?P<{name}>{PATH})"
        return PATTERNS[name]

    pieces, end = [], 0
    for match in TOKEN.finditer(text):
        pieces += [re.escape(text[end:match.start()]), part(match)]
        end = match.end()
    return "".join(pieces) + re.escape(text[end:])


def differences(expected, actual, facts, where="payload"):
    """How a JSON value differs from the expected one. Objects must have the same keys in the same order."""
    if isinstance(expected, str):
        if expected in WHOLE:
            return [] if WHOLE[expected](actual) else [f"{where}: {actual!r:.200} is no {expected}"]
        if isinstance(actual, str) and re.fullmatch(regex(expected, facts), actual):
            return []
        return [f"{where}: {actual!r:.500} where {expected!r} is expected"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        if list(expected) != list(actual):
            return [f"{where}: members {list(actual)} where {list(expected)} are expected"]
        return [d for key in expected for d in differences(expected[key], actual[key], facts, f"{where}.{key}")]
    if isinstance(expected, list) and isinstance(actual, list):
        wanted = expected
        if wanted and wanted[-1] == "${more}":
            wanted = wanted[:-1]
            actual = actual[: len(wanted)] if len(actual) >= len(wanted) else actual
        if len(wanted) != len(actual):
            return [f"{where}: {len(actual)} items where {len(wanted)} are expected: {actual!r:.500}"]
        return [d for i, item in enumerate(wanted) for d in differences(item, actual[i], facts, f"{where}[{i}]")]
    if type(expected) is type(actual) and expected == actual:
        return []
    return [f"{where}: {actual!r:.500} where {expected!r} is expected"]


def find(text, pattern, facts, start=0):
    """Where whole lines of `text` match, from `start` on; None where none do."""
    return re.compile(rf"^{regex(pattern, facts)}$", re.M).search(text, start)


def log_differences(expectation, text, facts):
    """What `lines`, `log`, `has` and `nolog` miss in the log's tail."""
    found = []
    if "lines" in expectation:
        body = re.search(
            r"^START RequestId: %s Version: \S+\n(.*?)^END RequestId: %s$" % (facts["ID"], facts["ID"]), text, re.M | re.S
        )
        wanted = "".join(regex(line, facts) + "\n" for line in expectation["lines"])
        if body is None:
            found.append("no START and END around the invocation's lines")
        elif not re.fullmatch(wanted, body[1]):
            found.append(f"between START and END stands {body[1]!r} where {expectation['lines']!r} are expected")
    at = 0
    for pattern in expectation.get("log", []):
        match = find(text, pattern, facts, at)
        if match is None:
            found.append(f"no line {pattern!r}" + (" after those before it" if at else ""))
        else:
            at = match.end()
    found += [f"no line {pattern!r}" for pattern in expectation.get("has", []) if not find(text, pattern, facts)]
    found += [f"line {pattern!r} is there" for pattern in expectation.get("nolog", []) if find(text, pattern, facts)]
    return found
