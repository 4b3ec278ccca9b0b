"""Insights: queries as people write them, AWS's own samples for Lambda among them, and what is malformed."""

import json

import pytest

from lambda_client import create, invoke
from logs_client import put, refused, results, tail_of
from server import eventually


def test_insights(logs, group):
    levels = ["INFO", "INFO", "ERROR", "INFO", "ERROR"]
    put(logs, group, "s", [json.dumps({"level": level, "took": 10 * index}) for index, level in enumerate(levels)])
    rows, statistics = results(logs, "fields @timestamp, took | filter level = 'ERROR' | sort took desc", group)
    assert [row["took"] for row in rows] == ["40", "20"] and len(rows[0]["@timestamp"]) == 23
    assert statistics["recordsMatched"] == 2 and statistics["recordsScanned"] == 5
    rows, _ = results(logs, "stats count(*) as n, avg(took) as mean, pct(took, 90) as p by level | sort n desc", group)
    assert [(row["level"], row["n"], row["mean"]) for row in rows] == [("INFO", "3", "13.3333"), ("ERROR", "2", "30")]
    rows, _ = results(logs, "stats count(*) as n by bin(1h)", group)
    assert sum(int(row["n"]) for row in rows) == 5
    rows, _ = results(logs, "fields @message", group, limit=2)
    assert [json.loads(row["@message"])["took"] for row in rows] == [40, 30]
    queries = logs.describe_queries(logGroupName=group, status="Complete")["queries"]
    assert queries[0]["queryString"] == "fields @message" and len(queries) == 4
    assert refused(logs.get_query_results, queryId="none")[0] == "ResourceNotFoundException"
    with pytest.raises(logs.exceptions.MalformedQueryException) as raised:
        logs.start_query(logGroupName=group, startTime=0, endTime=1, queryString="fields took | filter level = ")
    place = raised.value.response["queryCompileError"]["location"]
    assert place == {"startCharOffset": 29, "endCharOffset": 30} and "a value is expected" in str(raised.value)


def test_the_samples_for_lambda(lambda_, logs, name):
    """Of AWS's guide: memory that is not needed, and the share of cold starts."""
    create(lambda_, name, "exports.handler = async () => 1")
    group = f"/aws/lambda/{name}"
    for _ in range(2):
        invoke(lambda_, name)
    eventually(lambda: str(tail_of(logs, group)).count("REPORT") == 2, 20, "both reports are kept")
    (row,), _ = results(
        logs,
        """filter @type = "REPORT"
        | stats max(@memorySize / 1000 / 1000) as provisonedMemoryMB,
            min(@maxMemoryUsed / 1000 / 1000) as smallestMemoryRequestMB,
            avg(@maxMemoryUsed / 1000 / 1000) as avgMemoryUsedMB,
            max(@maxMemoryUsed / 1000 / 1000) as maxMemoryUsedMB,
            provisonedMemoryMB - maxMemoryUsedMB as overProvisionedMB""",
        group,
    )
    assert float(row["provisonedMemoryMB"]) == 128 and 0 < float(row["maxMemoryUsedMB"]) < 128
    assert float(row["overProvisionedMB"]) == 128 - float(row["maxMemoryUsedMB"])
    cold = 'stats sum(strcontains(@message, "Init Duration")) / count(*) * 100 as coldStartPct, avg(@duration) by bin(1d)'
    rows, _ = results(logs, f'filter @type = "REPORT" | {cold}', group)
    # Around midnight there are two days.
    assert [float(row["coldStartPct"]) for row in rows] in ([50.0], [100.0, 0.0]) and float(rows[0]["avg(@duration)"]) > 0


def test_one_of_each_is_the_first_by_the_sort(logs, group):
    put(logs, group, "s", [json.dumps({"server": server, "n": n}) for n, server in enumerate("abab")])
    for query, expected in [
        ("fields server, n | sort @timestamp desc | dedup server", [("b", "3"), ("a", "2")]),
        ("fields server, n | dedup server", [("b", "3"), ("a", "2")]),
        ("fields server, n | sort @timestamp asc | dedup server | limit 1", [("a", "0")]),
    ]:
        rows, _ = results(logs, query, group)
        assert [(row["server"], row["n"]) for row in rows] == expected, query
    rows, _ = results(logs, "fields n | limit 3 | stats count(*) as n, sum(n) as sum | fields sum / n as mean", group)
    assert [(row["n"], row["sum"], row["mean"]) for row in rows] == [("3", "6", "2")]
