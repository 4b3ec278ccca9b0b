"""Log lines in CloudWatch's embedded metric format become metrics, as on AWS: what functions print and what clients put."""

import concurrent.futures
import datetime
import json
import time

import pytest

import aws_client
import lambda_client
from lambda_client import create, invoke
from server import eventually

# Three ways to print a document: the runtime's console, what AWS's client libraries have instead of it, and plain standard output.
PRINTS = """
const { Console } = require('console');
const own = new Console({ stdout: process.stdout, stderr: process.stderr });
const line = (by, change) => ({
  _aws: { Timestamp: Date.now(), CloudWatchMetrics: [{ Namespace: process.env.SPACE, Dimensions: [['by']],
    Metrics: [{ Name: 'Took', Unit: 'Milliseconds' }] }] },
  by, Took: 5, ...change });
exports.handler = async () => {
  console.log(JSON.stringify(line('console')));
  console.error(JSON.stringify(line('error')));
  console.log(line('object'));
  console.log('metrics:', JSON.stringify(line('prefixed')));
  console.log(JSON.stringify(line('broken', { Took: 'long' })));
  own.log(JSON.stringify(line('own', { Took: [1, 2, 3] })));
  process.stdout.write(JSON.stringify(line('last')) + '\\n');
};"""


@pytest.fixture(scope="session")
def metrics(shared):
    return aws_client.client("cloudwatch", shared.endpoint)


@pytest.fixture(scope="session")
def logs(shared):
    return aws_client.client("logs", shared.endpoint)


def ago(**delta):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**delta)


def now():
    return int(time.time() * 1000)


def dimensions(given):
    return [{"Name": name, "Value": value} for name, value in given.items()]


def statistics(metrics, namespace, metric, **given):
    """(number of values, sum, unit) around now; None where there are none."""
    points = metrics.get_metric_statistics(
        Namespace=namespace, MetricName=metric, Dimensions=dimensions(given), StartTime=ago(hours=2), EndTime=ago(hours=-2), Period=14400,
        Statistics=["SampleCount", "Sum"],
    )["Datapoints"]
    assert len(points) <= 1
    return (points[0]["SampleCount"], points[0]["Sum"], points[0]["Unit"]) if points else None


def listed(metrics, namespace):
    pages = metrics.get_paginator("list_metrics").paginate(Namespace=namespace)
    return [(metric["MetricName"], {each["Name"]: each["Value"] for each in metric["Dimensions"]}) for page in pages for metric in page["Metrics"]]


def document(namespace, values, at=None, sets=(("page",),), **members):
    """A document of these metrics, whose units are Count."""
    metadata = {"Namespace": namespace, "Dimensions": sets, "Metrics": [{"Name": name, "Unit": "Count"} for name in values]}
    return json.dumps({"_aws": {"Timestamp": at or now(), "CloudWatchMetrics": [metadata]}, **members, **values})


def put(logs, group, messages):
    """Into a new stream of the group; what they say is metrics when this returns."""
    try:
        logs.create_log_group(logGroupName=group)
    except logs.exceptions.ResourceAlreadyExistsException:
        pass
    stream = str(time.monotonic_ns())
    logs.create_log_stream(logGroupName=group, logStreamName=stream)
    at = now()
    logs.put_log_events(logGroupName=group, logStreamName=stream, logEvents=[{"timestamp": at, "message": message} for message in messages])
    return stream


# In JSON the runtime makes records of what its console is told, which are none of the format; AWS's documentation says so too.
@pytest.mark.parametrize("log_format, by_console", [("Text", {"console", "error"}), ("JSON", set())])
def test_what_functions_print(lambda_, metrics, name, log_format, by_console):
    namespace, group = f"Printed/{name}", f"/aws/lambda/{name}"
    create(lambda_, name, PRINTS, LoggingConfig={"LogFormat": log_format}, Environment={"Variables": {"SPACE": namespace}})
    for _ in range(3):
        assert invoke(lambda_, name).error is None
    # Events of one stream are taken in their order.
    eventually(lambda: statistics(metrics, namespace, "Took", by="last") == (3, 15, "Milliseconds"), 30, "what was printed last is a metric")
    assert statistics(metrics, namespace, "Took", by="own") == (9, 18, "Milliseconds")
    for by in by_console:
        assert statistics(metrics, namespace, "Took", by=by) == (3, 15, "Milliseconds")
    assert listed(metrics, namespace) == [("Took", {"by": by}) for by in sorted({"own", "last"} | by_console)]
    wrong = statistics(metrics, "AWS/Logs", "EMFValidationErrors", LogGroupName=group)
    assert wrong == ((3, 3, "None") if log_format == "Text" else None)
    assert statistics(metrics, "AWS/Logs", "EMFParsingErrors", LogGroupName=group) is None


def test_what_clients_put(metrics, logs, name):
    namespace, at = f"Put/{name}", now() - 10 * 60_000
    put(logs, name, [
        document(namespace, {"Orders": 2, "Items": [1, 2, 4]}, at, [["page"], ["page", "stage"], []], page="cart", stage="prod"),
        document(namespace, {"Orders": 5}, at + 60_000, page="cart"),
        "an ordinary line",
    ])
    # Without a wait: an answered PutLogEvents is a metric.
    assert statistics(metrics, namespace, "Orders", page="cart") == (2, 7, "Count")
    assert statistics(metrics, namespace, "Items", page="cart", stage="prod") == (3, 7, "Count")
    assert statistics(metrics, namespace, "Items") == (3, 7, "Count")
    assert listed(metrics, namespace) == [
        (metric, own) for metric in ("Items", "Orders") for own in ({}, {"page": "cart"}, {"page": "cart", "stage": "prod"})
    ]
    # The minutes are those of the documents, not of the events.
    minute = at // 60_000 * 60
    stat = {"Metric": {"Namespace": namespace, "MetricName": "Orders", "Dimensions": dimensions({"page": "cart"})}, "Period": 60, "Stat": "Sum"}
    result = metrics.get_metric_data(
        MetricDataQueries=[{"Id": "orders", "MetricStat": stat}, {"Id": "most", "MetricStat": {**stat, "Stat": "Maximum", "Period": 3600}}],
        StartTime=minute - 60, EndTime=minute + 3540, ScanBy="TimestampAscending",
    )["MetricDataResults"]
    assert [int(each.timestamp()) for each in result[0]["Timestamps"]] == [minute, minute + 60]
    assert (result[0]["Values"], result[1]["Values"]) == ([2, 5], [5])
    # One metric with what PutMetricData puts.
    metrics.put_metric_data(Namespace=namespace, MetricData=[{"MetricName": "Orders", "Dimensions": dimensions({"page": "cart"}), "Unit": "Count", "Value": 10}])
    assert statistics(metrics, namespace, "Orders", page="cart") == (3, 17, "Count")


def test_high_resolution(metrics, logs, name):
    namespace, at = f"Fine/{name}", now() // 60_000 * 60_000 - 5 * 60_000
    fine = lambda seconds, value: json.dumps({
        "_aws": {"Timestamp": at + seconds * 1000, "CloudWatchMetrics": [{
            "Namespace": namespace, "Dimensions": [[]], "Metrics": [{"Name": "Orders", "StorageResolution": 1}, {"Name": "Items"}]}]},
        "Orders": value, "Items": value})
    put(logs, name, [fine(1, 1), fine(1, 2), fine(12, 4), fine(70, 8)])

    def ask(metric, period):
        points = metrics.get_metric_statistics(
            Namespace=namespace, MetricName=metric, StartTime=at // 1000, EndTime=at // 1000 + 120, Period=period, Statistics=["Sum"]
        )["Datapoints"]
        return sorted((int(point["Timestamp"].timestamp()) - at // 1000, point["Sum"]) for point in points)

    assert ask("Orders", 1) == [(1, 3), (12, 4), (70, 8)]
    assert ask("Orders", 10) == [(0, 3), (10, 4), (70, 8)]
    assert ask("Orders", 60) == [(0, 7), (60, 8)]
    assert ask("Items", 1) == [(0, 7), (60, 8)], "by the minute"


def test_the_old_header_is_not_needed_and_does_no_harm(shared, metrics, name):
    logs = aws_client.client("logs", shared.endpoint)
    logs.meta.events.register("before-sign.cloudwatch-logs.PutLogEvents", lambda request, **_: request.headers.add_header("x-amzn-logs-format", "json/emf"))
    put(logs, name, [document(f"Put/{name}", {"Orders": 1}, page="cart")])
    assert statistics(metrics, f"Put/{name}", "Orders", page="cart") == (1, 1, "Count")


def test_what_is_wrong_is_counted_and_kept_as_a_line(metrics, logs, name):
    namespace = f"Put/{name}"
    right = document(namespace, {"Orders": 1}, page="cart")
    lines = [
        right,
        right.replace('"cart"', '"cart'),
        right.replace('"Timestamp"', '"Time"'),
        document("AWS/Lambda", {"Invocations": 1000}, page="cart"),
        document(namespace, {"Orders": 1}, now() - 15 * 24 * 3600 * 1000, page="cart"),
        document(namespace, {"Orders": 1}, now() + 3 * 3600 * 1000, page="cart"),
        document(namespace, {"Orders": 1}, page=7),
        document(namespace, {"Orders": list(range(101)), "Left": 1}, page="cart"),
    ]
    stream = put(logs, name, lines)
    assert statistics(metrics, namespace, "Orders", page="cart") == (1, 1, "Count")
    assert statistics(metrics, namespace, "Left", page="cart") == (1, 1, "Count")
    assert statistics(metrics, "AWS/Lambda", "Invocations", page="cart") is None
    assert statistics(metrics, "AWS/Logs", "EMFParsingErrors", LogGroupName=name) == (2, 2, "None")
    assert statistics(metrics, "AWS/Logs", "EMFValidationErrors", LogGroupName=name) == (5, 5, "None")
    kept = logs.get_log_events(logGroupName=name, logStreamName=stream, startFromHead=True)["events"]
    assert [event["message"] for event in kept] == lines


def test_a_group_cannot_make_metrics_without_end(metrics, logs, name):
    namespace = f"Flood/{name}"
    lines = [document(namespace, {f"m{number}-{each}": 1 for each in range(100)}, page="cart") for number in range(25)]
    put(logs, name, lines)
    assert len(listed(metrics, namespace)) == 2000
    assert statistics(metrics, "AWS/Logs", "EMFValidationErrors", LogGroupName=name) == (500, 500, "None")
    # What is known goes on, and so do others.
    put(logs, name, lines[:1])
    assert statistics(metrics, namespace, "m0-0", page="cart") == (2, 2, "Count")
    put(logs, f"{name}-other", lines[-1:])
    assert statistics(metrics, namespace, "m24-0", page="cart") == (1, 1, "Count")


def test_what_is_printed_while_lambkin_goes_down_is_kept(server):
    """An invocation that runs may end; its last lines are written after that, and their metrics after them."""
    running = server()
    lambda_ = lambda_client.client(running.endpoint)
    waits = PRINTS.replace("async () => {", "async () => { console.log('ready'); await new Promise((done) => setTimeout(done, 1000));")
    create(lambda_, "last", waits, Environment={"Variables": {"SPACE": "Last"}})
    logs = aws_client.client("logs", running.endpoint)
    with concurrent.futures.ThreadPoolExecutor() as pool:
        answer = pool.submit(invoke, lambda_, "last")
        ready = lambda: logs.filter_log_events(logGroupName="/aws/lambda/last", filterPattern="ready")["events"]
        eventually(lambda: "/aws/lambda/last" in str(logs.describe_log_groups()) and ready(), 20, "the function runs")
        running.stop()
        assert answer.result().error is None
    running.start()
    assert statistics(aws_client.client("cloudwatch", running.endpoint), "Last", "Took", by="last") == (1, 5, "Milliseconds")
