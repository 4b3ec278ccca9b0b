"""The tour: one table of calls, in their order, that every client makes of a server (README.md has its keys).

A client is asked in one form and answers in one: JSON, where a blob is {"$base64": text}, a moment {"$time": seconds}.
Nothing here knows a client: `tour_clients.py` has them, `test_tour.py` runs the table.
"""

import base64
import datetime
import http.client
import json
import pathlib
import re
import time
import urllib.parse

from lambda_client import ACCOUNT, REGION, ROLE, arn, zipped
from server import eventually

FOLDER = pathlib.Path(__file__).resolve().parent / "tour"
KEYS = {"service", "call", "input", "status", "answer", "error", "message", "until", "save", "shows", "without"}
# What changes nothing, by its first word; or calls that show what others have changed.
READERS = re.compile("Get|List|Describe|Filter|Invoke$|ReceiveMessage$|GET$")
# A wait's end, for a busy machine.
WAIT = 120


class Row:
    """One line of the table."""

    def __init__(self, file, number, data):
        self.where = f"{file}:{number} {data['call']}"
        self.service, self.call = data.get("service", "lambda"), data["call"]
        self.input, self.answer = data.get("input", {}), data.get("answer", {})
        self.status, self.error, self.message = data.get("status"), data.get("error"), data.get("message")
        self.until, self.save, self.shows = data.get("until", False), data.get("save", {}), data.get("shows", [])
        # Clients that have no such operation, and why.
        self.without = data.get("without", {})
        self.unknown = data.keys() - KEYS


def load(name):
    """All rows, in the file's order. Blank lines are for those who read it."""
    lines = enumerate((FOLDER / f"{name}.jsonl").read_text(encoding="utf-8").splitlines(), 1)
    return [Row(f"{name}.jsonl", number, json.loads(line)) for number, line in lines if line.strip()]


def not_shown(rows):
    """What is wrong with the table itself: unknown keys, and changes that no later row looks at."""
    found = [f"{row.where}: unknown keys {row.unknown}" for row in rows if row.unknown]
    found += [f"{row.where}: shows, and reads nothing" for row in rows if row.shows and not READERS.match(row.call)]
    changed, shown = set(), set()
    for row in rows:
        found += [f"{row.where}: shows {each}, which was not called before" for each in row.shows if each not in changed]
        shown |= set(row.shows)
        changed.add(row.call)
    unseen = sorted({row.call for row in rows if row.service not in ("sqs", "http") and not READERS.match(row.call)} - shown)
    # A stream is its own effect.
    return found + [f"nothing shows the effect of {call}" for call in unseen if call != "InvokeWithResponseStream"]


class Tour:
    """The table with one client, against one server."""

    def __init__(self, client, others, name, endpoint):
        self.client, self.others, self.endpoint = client, others, endpoint
        self.known = {"name": name, "arn": arn(name), "role": ROLE, "account": ACCOUNT, "region": REGION, "sqs": f"arn:aws:sqs:{REGION}:{ACCOUNT}"}
        # Operations that the client itself has run as the table wants them.
        self.ran = set()

    def run(self, rows):
        for row in rows:
            if self.client.name in row.without:
                assert not self.client.has(row.service, row.call), f"{row.where}: {self.client.name} has it"
                continue
            said = []

            def holds(row=row, said=said):
                said[:] = [self.ask(row)]
                return self.problem(row, said[0]) is None

            if not row.until:
                assert holds(), f"{self.client.name}: {row.where}: {self.problem(row, said[0])}: {json.dumps(said[0])[:3000]}"
            else:
                try:
                    eventually(holds, WAIT, row.where)
                except AssertionError:
                    raise AssertionError(f"{self.client.name}: {row.where}: {self.problem(row, said[0])} after {WAIT} s: {json.dumps(said[0])[:3000]}") from None
            for name, path in row.save.items():
                self.known[name] = at(said[0]["output"], path)
            if row.service in self.client.services:
                self.ran.add((row.service, row.call))

    def ask(self, row):
        given = self.filled(row.input)
        if row.service == "http":
            return get(given["url"], self.endpoint)
        client = self.client if row.service in self.client.services else self.others
        return client.ask(row.service, row.call, given)

    def problem(self, row, said):
        """What of the answer is not as the row says; None where all is."""
        if said.get("error") != row.error:
            return f"error {said.get('error')} ({said.get('message')}), not {row.error}"
        # The CLI says no status.
        if row.status is not None and said["status"] not in (None, row.status):
            return f"status {said['status']}, not {row.status}"
        if row.error is not None:
            expected = self.filled(row.message)
            return None if expected in (None, said["message"]) else f"message {said['message']!r}, not {expected!r}"
        return self.differs(row.answer, said["output"], "answer")

    def filled(self, value):
        """An input in the form that clients are asked in."""
        if isinstance(value, str):
            if re.fullmatch(r"\$\{\w+\}", value):
                return self.known[value[2:-1]]
            return re.sub(r"\$\{(\w+)\}", lambda name: str(self.known[name[1]]), value)
        if isinstance(value, list):
            return [self.filled(each) for each in value]
        if not isinstance(value, dict):
            return value
        if "$zip" in value:
            return blob(zipped({name: text if isinstance(text, str) else (FOLDER / text["$file"]).read_text() for name, text in value["$zip"].items()}))
        if "$json" in value:
            return blob(json.dumps(self.filled(value["$json"])).encode())
        if "$string" in value:
            return json.dumps(self.filled(value["$string"]))
        if "$ago" in value:
            return {"$time": time.time() - value["$ago"]}
        if "$seconds_ago" in value:
            return int(time.time()) - value["$seconds_ago"]
        if "$millis_ago" in value:
            return int(time.time() * 1000) - value["$millis_ago"]
        return {key: self.filled(each) for key, each in value.items()}

    def differs(self, expected, found, where):
        """The first difference, None where there is none: objects may have more members than are expected, lists no more items."""
        if isinstance(expected, dict):
            if "$json" in expected:
                text = base64.b64decode(found["$base64"]) if isinstance(found, dict) and "$base64" in found else found
                try:
                    return self.differs(expected["$json"], json.loads(text), f"{where}(JSON)")
                except (TypeError, ValueError):
                    return f"{where} is no JSON: {found!r}"
            if "$zip" in expected:
                return None if self.filled(expected) == found else f"{where} is not the package"
            if "$like" in expected:
                return None if isinstance(found, str) and re.fullmatch(self.filled(expected["$like"]), found) else f"{where} is {found!r}"
            if "$recent" in expected:
                return None if abs(seconds(found) - time.time()) < expected["$recent"] else f"{where} is not of now: {found!r}"
            if not isinstance(found, dict):
                return f"{where} is no object: {found!r}"
            for key, each in expected.items():
                if each == {"$absent": True}:
                    if key in found:
                        return f"{where}.{key} is there: {found[key]!r}"
                elif key not in found:
                    return f"{where}.{key} is not there"
                elif (problem := self.differs(each, found[key], f"{where}.{key}")) is not None:
                    return problem
            return None
        if isinstance(expected, list):
            if not isinstance(found, list) or len(found) != len(expected):
                return f"{where} has not {len(expected)} items: {found!r}"
            problems = (self.differs(each, item, f"{where}[{index}]") for index, (each, item) in enumerate(zip(expected, found)))
            return next((problem for problem in problems if problem is not None), None)
        expected = self.filled(expected)
        return None if (expected, isinstance(expected, bool)) == (found, isinstance(found, bool)) else f"{where} is {found!r}, not {expected!r}"


def blob(content):
    return {"$base64": base64.b64encode(content).decode()}


def at(value, path):
    for step in path.split("."):
        value = value[int(step) if step.isdecimal() else step]
    return value


def seconds(moment):
    """A moment as clients show it: the CLI as the service wrote it."""
    if isinstance(moment, dict):
        moment = moment["$time"]
    if isinstance(moment, str):
        return datetime.datetime.fromisoformat(moment).timestamp()
    # CloudWatch Logs counts milliseconds.
    return moment / 1000 if moment > 1e11 else moment


def get(url, endpoint):
    """What a browser gets. Names below localhost are this machine, which not every resolver knows."""
    parts = urllib.parse.urlsplit(url)
    connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=60)
    try:
        connection.request("GET", f"{parts.path}?{parts.query}", headers={"Host": parts.netloc})
        answer = connection.getresponse()
        return {"status": answer.status, "output": {"body": blob(answer.read())}}
    finally:
        connection.close()
