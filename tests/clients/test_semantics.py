"""The semantics table on every runtime: a row is a line of tests/semantics, a test is a row on a runtime.

All chosen rows run side by side in a few threads, begun by the first of them; each test then waits for its own result.
$SEMANTICS_THREADS says how many.
"""

import base64
import collections
import concurrent.futures
import json
import os
import re

import pytest

import kept
import lambda_client
import rows
from server import eventually

ROWS = rows.load()
SECTIONS = (
    "1.1 1.2 1.3 1.4 2.1 2.2 2.3 2.4 3.1 3.2 3.3 3.4 4 5.1 5.2 6 7.1 7.2 7.3 7.4 8.1 8.2 8.3 8.4 8.5"
).split()
THREADS = int(os.environ.get("SEMANTICS_THREADS", "5"))
# For the whole table, seen from one row of it.
DEADLINE = 1500

CASES = [(row, number) for row in ROWS if row.skip is None for number in rows.RUNTIMES if row.expected(number) is not None]


def test_every_row_says_what_holds_on_every_runtime():
    """A row without a result for a runtime, and without a reason for that, is a mistake."""
    ids = collections.Counter(row.id for row in ROWS)
    found = [f"{name} is there {count} times" for name, count in ids.items() if count > 1]
    found += [f"{row.source} {row.id}: {problem}" for row in ROWS for problem in row.problems()]
    assert not found, "\n".join(found)


def test_every_section_of_the_specification_has_rows():
    named = {re.match(r"\d+(\.\d)?", word)[0] for row in ROWS for word in row.data["spec"].split() if word[0].isdigit()}
    assert not set(SECTIONS) - named


@pytest.mark.parametrize("row", [pytest.param(row, id=row.id) for row in ROWS if row.skip is not None])
def test_left_out(row):
    pytest.skip(row.skip)


class Table:
    """The chosen rows, running."""

    def __init__(self, server, cases):
        self.server = server
        self.lambda_ = lambda_client.client(server.endpoint)
        self.pool = concurrent.futures.ThreadPoolExecutor(THREADS, thread_name_prefix="row")
        ordered = sorted(cases, key=lambda case: not case[0].is_slow())
        self.results = {(row.id, number): self.pool.submit(self.run, row, number) for row, number in ordered}

    def close(self):
        self.pool.shutdown(wait=True, cancel_futures=True)

    def run(self, row, number):
        """All differences of one row on one runtime."""
        name = f"{row.id.replace('.', '-')[:58]}-{number}"
        data = row.data
        settings = {"Timeout": data.get("timeout", 10), "MemorySize": data.get("memory", 128)}
        if "vars" in data:
            settings["Environment"] = {"Variables": data["vars"]}
        if "logging" in data:
            settings["LoggingConfig"] = data["logging"]
        settings["Handler"] = data.get("handler", "index.handler")
        settings["Layers"] = [self.layer(f"{name}-{at}", files) for at, files in enumerate(data.get("layers", []))]
        lambda_client.create(self.lambda_, name, row.files(), rows.RUNTIMES[number], **settings)
        try:
            found = []
            for index, (step, expectation) in enumerate(zip(row.steps(), row.expected(number), strict=True)):
                found += [f"invocation {index + 1}: {d}" for d in self.step(name, number, step, expectation)]
            return found
        finally:
            self.lambda_.delete_function(FunctionName=name)

    def layer(self, name, files):
        content = {"ZipFile": lambda_client.zipped(files)}
        return self.lambda_.publish_layer_version(LayerName=name, Content=content)["LayerVersionArn"]

    def step(self, name, number, step, expectation):
        options = {"Payload": step["payload"] if "payload" in step else json.dumps(step.get("event", {}))}
        if "qualifier" in step:
            options["Qualifier"] = step["qualifier"]
        context = step.get("clientContextText") or ("clientContext" in step and json.dumps(step["clientContext"]))
        if context:
            options["ClientContext"] = base64.b64encode(context.encode()).decode()
        answer = lambda_client.invoke(self.lambda_, name, **options)
        facts = {"ID": answer.id, "FN": name, "ARN": lambda_client.arn(name), "RUNTIME": rows.RUNTIMES[number]}
        found = []
        result = expectation.keys() & {"ok", "unhandled", "handled"}
        wanted = {"ok": None, "unhandled": "Unhandled", "handled": "Handled"}[next(iter(result), "ok")]
        if answer.error != wanted:
            found.append(f"FunctionError is {answer.error} where {wanted} is expected")
        if "raw" in expectation and answer.raw != expectation["raw"].encode():
            found.append(f"the payload is {answer.raw[:300]!r} where {expectation['raw']!r} is expected")
        for key in result:
            if expectation[key] == "${any}":
                continue
            try:
                found += rows.differences(expectation[key], answer.payload, facts)
            except ValueError:
                found.append(f"the payload is no JSON: {answer.raw[:300]!r}")
        found += rows.log_differences(expectation, answer.log, facts)
        found += self.kept(name, answer, expectation, facts)
        if found:
            found.append(repr(answer))
        return found

    def kept(self, name, answer, expectation, facts):
        """What the kept log lacks. It is written off the invoke path, so that REPORT may be awaited."""
        if not expectation.keys() & {"kept", "nokept"}:
            return []
        group = f"/aws/lambda/{name}"
        report = re.compile(rf'^(REPORT RequestId: {answer.id}|(?=.*"platform\.report").*{answer.id})', re.M)
        eventually(lambda: report.search(kept.text(self.server, group)), 10, "the invocation's report is kept")
        text = kept.text(self.server, group)
        found = [
            f"the kept log has no line {pattern!r}: {text!r:.1500}"
            for pattern in expectation.get("kept", [])
            if not rows.find(text, pattern, facts)
        ]
        patterns = expectation.get("nokept", [])
        return found + [f"the kept log has the line {pattern!r}" for pattern in patterns if rows.find(text, pattern, facts)]


@pytest.fixture(scope="session")
def table(request, shared):
    chosen = [item.callspec.params["case"] for item in request.session.items if getattr(item, "originalname", "") == "test_row"]
    running = Table(shared, chosen)
    yield running
    running.close()


@pytest.mark.parametrize("case", [pytest.param(case, id=f"{case[0].id}-{rows.RUNTIMES[case[1]]}") for case in CASES])
def test_row(table, case):
    row, number = case
    found = table.results[row.id, number].result(timeout=DEADLINE)
    assert not found, f"{row.source} (§{row.data['spec']})\n" + "\n".join(found)
