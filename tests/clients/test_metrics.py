"""CloudWatch's metrics with boto3 and the aws CLI: what functions did, what clients put, in every protocol that clients speak."""

import datetime
import json
import os
import subprocess
import sys
import threading
import time

import botocore.model
import pytest
from botocore.exceptions import ClientError

import aws_client
from lambda_client import REGION, create, invoke
from server import eventually
from test_urls import ask, publish

LAMBDA = "AWS/Lambda"


@pytest.fixture(scope="session")
def metrics(shared):
    return aws_client.client("cloudwatch", shared.endpoint)


@pytest.fixture(params=["json", "smithy-rpc-v2-cbor", "query"])
def spoken(request, monkeypatch):
    """A protocol that clients speak: Python's choose JSON, JavaScript's CBOR, older ones Query."""
    monkeypatch.setattr(botocore.model, "PRIORITY_ORDERED_SUPPORTED_PROTOCOLS", (request.param,))
    return request.param


def speaking(protocol, endpoint, validate=True):
    """A client of the protocol that was chosen."""
    made = aws_client.client("cloudwatch", endpoint, validate=validate)
    assert made.meta.service_model.resolved_protocol == protocol
    return made


def ago(**delta):
    return datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(**delta)


def dimensions(**given):
    return [{"Name": name, "Value": value} for name, value in given.items()]


def total(metrics, metric, statistic="Sum", namespace=LAMBDA, **given):
    """One statistic of the last hour."""
    statistics = {"ExtendedStatistics": [statistic]} if statistic.startswith("p") else {"Statistics": [statistic]}
    answer = metrics.get_metric_statistics(
        Namespace=namespace, MetricName=metric, Dimensions=dimensions(**given), StartTime=ago(minutes=59), EndTime=ago(minutes=-1), Period=3600, **statistics
    )
    points = answer["Datapoints"]
    assert len(points) <= 1
    if not points:
        return None
    return points[0]["ExtendedStatistics"][statistic] if statistic.startswith("p") else points[0][statistic]


def refused(call, **arguments):
    """(code, message) of a refusal."""
    with pytest.raises(ClientError) as raised:
        call(**arguments)
    error = raised.value.response["Error"]
    assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    return error["Code"], error["Message"]


FAILS = """exports.handler = async (event) => {
  if (event.fail) throw new Error('no');
  if (event.wait) await new Promise((done) => setTimeout(done, event.wait));
};"""


def test_statistics_agree_with_the_calls_that_were_made(shared, lambda_, metrics, name):
    create(lambda_, name, FAILS)
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for _ in range(7):
        assert invoke(lambda_, name).error is None
    for _ in range(3):
        assert invoke(lambda_, name, {"fail": True}).error == "Unhandled"
    for _ in range(2):
        invoke(lambda_, name, Qualifier="live")
    invoke(lambda_, name, Qualifier="1")
    invoke(lambda_, name, {"wait": 300})
    for metric, expected in [("Invocations", 14), ("Errors", 3), ("Throttles", 0)]:
        assert total(metrics, metric, FunctionName=name) == expected, metric
        assert total(metrics, metric, "SampleCount", FunctionName=name) == 14, metric
    for resource, expected in [(name, 11), (f"{name}:live", 2), (f"{name}:1", 1)]:
        assert total(metrics, "Invocations", FunctionName=name, Resource=resource) == expected, resource
    assert total(metrics, "Invocations", FunctionName=name, Resource=f"{name}:live", ExecutedVersion="1") == 2
    assert total(metrics, "Invocations") >= 14
    assert total(metrics, "Duration", "SampleCount", FunctionName=name) == 14
    assert 290 <= total(metrics, "Duration", "Maximum", FunctionName=name) < 2000
    p50, p100 = (total(metrics, "Duration", each, FunctionName=name) for each in ("p50", "p100"))
    assert p50 < 250 <= p100
    assert total(metrics, "ConcurrentExecutions", "Maximum", FunctionName=name) == 1
    assert total(metrics, "UnreservedConcurrentExecutions", "Maximum") >= 1
    # The same by the aws CLI, whose words an operator types.
    environment = {**os.environ, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_DEFAULT_REGION": REGION}
    command = ["cloudwatch", "get-metric-statistics", "--namespace", LAMBDA, "--metric-name", "Invocations"]
    command += ["--dimensions", f"Name=FunctionName,Value={name}", "--statistics", "Sum", "--period", "3600"]
    command += ["--start-time", ago(minutes=59).isoformat(), "--end-time", ago(minutes=-1).isoformat()]
    said = subprocess.run(
        [sys.executable, "-m", "awscli", "--endpoint-url", shared.endpoint, "--output", "json", *command],
        capture_output=True, env=environment, timeout=60, check=True,
    )
    points = json.loads(said.stdout)["Datapoints"]
    assert [(point["Sum"], point["Unit"]) for point in points] == [(14, "Count")]


def test_throttles_and_events(lambda_, metrics, name):
    create(lambda_, name, FAILS)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    for _ in range(4):
        with pytest.raises(ClientError):
            lambda_.invoke(FunctionName=name)
    assert total(metrics, "Throttles", FunctionName=name) == 4
    assert total(metrics, "Invocations", FunctionName=name) is None, "what is throttled is no invocation"
    lambda_.delete_function_concurrency(FunctionName=name)
    lambda_.put_function_event_invoke_config(FunctionName=name, MaximumRetryAttempts=0)
    for event in ("{}", '{"fail": true}', '{"fail": true}'):
        lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=event)
    eventually(lambda: total(metrics, "AsyncEventsDropped", FunctionName=name) == 2, 20, "two events end without success")
    assert total(metrics, "AsyncEventsReceived", FunctionName=name) == 3
    eventually(lambda: total(metrics, "Invocations", FunctionName=name) == 3, 20, "all have run")
    assert total(metrics, "AsyncEventAge", "SampleCount", FunctionName=name) == 3
    assert total(metrics, "Errors", FunctionName=name) == 2


def test_what_is_put_is_found(shared, spoken, name):
    metrics = speaking(spoken, shared.endpoint)
    namespace, at = f"Shop/{name}/{spoken}", ago(minutes=10).replace(second=30, microsecond=0)
    own = dimensions(stage="prod", page="cart")
    metrics.put_metric_data(
        Namespace=namespace,
        MetricData=[
            {"MetricName": "Latency", "Dimensions": own, "Timestamp": at, "Unit": "Milliseconds", "Values": [1, 2, 3.5], "Counts": [1, 2, 1]},
            {"MetricName": "Latency", "Dimensions": own, "Timestamp": at, "Unit": "Milliseconds", "Value": 100},
            {"MetricName": "Sets", "StatisticValues": {"SampleCount": 4, "Sum": 10, "Minimum": 1, "Maximum": 5}},
        ],
    )
    answer = metrics.get_metric_statistics(
        Namespace=namespace, MetricName="Latency", Dimensions=own[::-1], StartTime=ago(minutes=30), EndTime=ago(), Period=60,
        Statistics=["SampleCount", "Average", "Sum", "Minimum", "Maximum"], ExtendedStatistics=["p50", "p99.9"],
    )
    (point,) = answer["Datapoints"]
    assert answer["Label"] == "Latency" and point["Timestamp"] == at.replace(second=0)
    assert (point["SampleCount"], point["Sum"], point["Minimum"], point["Maximum"], point["Unit"]) == (5, 108.5, 1, 100, "Milliseconds")
    assert point["Average"] == pytest.approx(21.7)
    assert point["ExtendedStatistics"]["p50"] == pytest.approx(2, rel=0.05)
    assert point["ExtendedStatistics"]["p99.9"] == pytest.approx(100, rel=0.05)
    assert total(metrics, "Sets", "Sum", namespace) == 10
    listed = metrics.list_metrics(Namespace=namespace)["Metrics"]
    assert [(each["MetricName"], len(each["Dimensions"])) for each in listed] == [("Latency", 2), ("Sets", 0)]
    assert [each["MetricName"] for each in metrics.list_metrics(Namespace=namespace, Dimensions=[{"Name": "stage"}])["Metrics"]] == ["Latency"]
    stat = {"Metric": {"Namespace": namespace, "MetricName": "Latency", "Dimensions": own}, "Period": 60, "Stat": "Maximum"}
    data = metrics.get_metric_data(
        MetricDataQueries=[{"Id": "a", "MetricStat": stat}, {"Id": "b", "Label": "none", "MetricStat": {**stat, "Unit": "Bytes"}}],
        StartTime=ago(minutes=30), EndTime=ago(),
    )["MetricDataResults"]
    shown = [(each["Id"], each["Label"], each["Values"], each["StatusCode"]) for each in data]
    assert shown == [("a", "Latency", [100], "Complete"), ("b", "none", [], "Complete")]
    assert data[0]["Timestamps"] == [at.replace(second=0)]
    count = {"Id": "n", "MetricStat": {**stat, "Stat": "SampleCount"}, "ReturnData": False}
    math = lambda expression, **more: {"Id": "e", "Expression": expression, **more}
    for query, expected in [
        (math("a / n + 1"), [("e", "e", [21])]),
        (math("IF(n >= 5, 100 * n / SUM(n), 0)", Label="share"), [("e", "share", [100])]),
        (math(f"SEARCH('{{{namespace},page,stage}} latency', 'Maximum', 60)"), [("e", "cart prod", [100])]),
        (math("METRICS()", Label="all"), [("e", "all Latency", [100]), ("e", "all Latency", [5])]),
    ]:
        data = metrics.get_metric_data(
            MetricDataQueries=[query, {"Id": "a", "MetricStat": stat, "ReturnData": False}, count], StartTime=ago(minutes=30), EndTime=ago(),
        )["MetricDataResults"]
        assert [(each["Id"], each["Label"], each["Values"]) for each in data] == expected, query
    filled = metrics.get_metric_data(
        MetricDataQueries=[math("FILL(n, 0)"), count], StartTime=at.replace(second=0), EndTime=at.replace(second=0) + datetime.timedelta(minutes=3),
    )["MetricDataResults"]
    assert sorted(filled[0]["Values"]) == [0, 0, 5], "three minutes, two of them filled"


def test_high_resolution(shared, spoken, name):
    """`StorageResolution` 1 is told by the second for three hours, and by the minute as everything else."""
    metrics = speaking(spoken, shared.endpoint)
    namespace, begin = f"Fine/{name}/{spoken}", ago(minutes=10).replace(second=0, microsecond=0)
    after = lambda seconds: begin + datetime.timedelta(seconds=seconds)
    put = lambda metric, at, value, **more: metrics.put_metric_data(
        Namespace=namespace, MetricData=[{"MetricName": metric, "Timestamp": at, "Value": value, **more}]
    )
    for seconds, value in ((1, 1), (1, 2), (3, 4), (8, 8), (61, 16)):
        put("fine", after(seconds), value, StorageResolution=1)
    put("coarse", after(30), 5, StorageResolution=60)
    put("coarse", after(31), 6)

    def ask(metric, start, end, period):
        points = metrics.get_metric_statistics(
            Namespace=namespace, MetricName=metric, StartTime=start, EndTime=end, Period=period, Statistics=["Sum"]
        )["Datapoints"]
        stat = {"Metric": {"Namespace": namespace, "MetricName": metric, "Dimensions": []}, "Period": period, "Stat": "Sum"}
        (data,) = metrics.get_metric_data(
            MetricDataQueries=[{"Id": "a", "MetricStat": stat}], StartTime=start, EndTime=end, ScanBy="TimestampAscending"
        )["MetricDataResults"]
        found = sorted((point["Timestamp"], point["Sum"]) for point in points)
        assert list(zip(data["Timestamps"], data["Values"])) == found, "both operations say the same"
        return [((at - begin).total_seconds(), value) for at, value in found]

    for period, expected in (
        (1, [(1, 3), (3, 4), (8, 8), (61, 16)]),
        (5, [(0, 7), (5, 8), (60, 16)]),
        (10, [(0, 15), (60, 16)]),
        (30, [(0, 15), (60, 16)]),
        (60, [(0, 15), (60, 16)]),
        (300, [(0, 31)]),
    ):
        assert ask("fine", begin, after(120), period) == expected, period
        # What was put by the minute stands at its beginning.
        assert ask("coarse", begin, after(120), period) == [(0, 11)], period
    # A start is rounded down to where a period of its minute begins.
    assert ask("fine", after(7), after(60), 5) == [(5, 8)]
    assert ask("fine", after(4), after(60), 1) == [(8, 8)]
    # Three hours ago nothing is told by the second any more.
    put("old", ago(hours=4), 1, StorageResolution=1)
    put("old", ago(hours=2), 2, StorageResolution=1)
    assert [value for _, value in ask("old", ago(hours=5), ago(), 30)] == [2]
    assert [value for _, value in ask("old", ago(hours=5), ago(), 60)] == [1, 2]
    listed = metrics.list_metrics(Namespace=namespace)["Metrics"]
    assert [each["MetricName"] for each in listed] == ["coarse", "fine", "old"]
    wrong = {"MetricName": "fine", "Value": 1, "StorageResolution": 30}
    assert refused(metrics.put_metric_data, Namespace=namespace, MetricData=[wrong]) == (
        "InvalidParameterValue",
        "The parameter MetricData.member.1.StorageResolution must be a value in the set [ 1, 60 ].",
    )


def test_a_large_request_comes_packed(metrics, name):
    """botocore packs PutMetricData of more than 10 KB with gzip."""
    sent = []
    metrics.meta.events.register("before-send.cloudwatch.PutMetricData", lambda request, **_: sent.append(dict(request.headers)))
    data = [{"MetricName": f"m{number:03}", "Value": number} for number in range(600)]
    metrics.put_metric_data(Namespace=f"Many/{name}", MetricData=data)
    assert "gzip" in str(sent[0].get("Content-Encoding"))
    pages = list(metrics.get_paginator("list_metrics").paginate(Namespace=f"Many/{name}"))
    names = [each["MetricName"] for page in pages for each in page["Metrics"]]
    assert names == [each["MetricName"] for each in data] and len(pages) == 2


def test_refusals(shared, spoken, name):
    metrics, unchecked_metrics = (speaking(spoken, shared.endpoint, validate) for validate in (True, False))
    put = lambda *data: refused(metrics.put_metric_data, Namespace=name, MetricData=list(data))
    assert put({"MetricName": "m", "Value": 1, "Values": [1]}) == (
        "InvalidParameterCombination",
        "The parameters MetricData.member.1.Value and MetricData.member.1.Values are mutually exclusive and you have specified both.",
    )
    assert put({"MetricName": "m", "Value": 1}, {"MetricName": "m", "Value": float("nan")}) == (
        "InvalidParameterValue",
        "The value NaN for parameter MetricData.member.2.Value is invalid.",
    )
    assert put({"MetricName": "m"}) == ("InvalidParameterCombination", "At least one of the parameters must be specified.")
    assert refused(metrics.put_metric_data, Namespace="AWS/Mine", MetricData=[{"MetricName": "m", "Value": 1}]) == (
        "InvalidParameterValue", "The value AWS/ for parameter Namespace is invalid.",
    )
    assert put(*[{"MetricName": "m", "Value": 1}] * 1001) == ("InvalidParameterValue", "The collection MetricData must not have a size greater than 1000.")
    assert put({"MetricName": "m", "Value": 1, "Timestamp": ago(days=15)})[0] == "InvalidParameterValue"
    ask = lambda **more: refused(
        metrics.get_metric_statistics,
        **{"Namespace": name, "MetricName": "m", "StartTime": ago(days=3), "EndTime": ago(), "Period": 60, "Statistics": ["Sum"], **more},
    )
    code, message = ask()
    assert code == "InvalidParameterCombination" and message.startswith("You have requested up to 4,32") and "exceeds the limit of 1,440." in message
    assert ask(Period=61)[0] == "InvalidParameterValue"
    assert ask(EndTime=ago(days=4)) == ("InvalidParameterValue", "The parameter StartTime must be less than the parameter EndTime.")
    math = {"Id": "e", "Expression": "ANOMALY_DETECTION_BAND(a)"}
    code, message = refused(metrics.get_metric_data, MetricDataQueries=[math], StartTime=ago(days=1), EndTime=ago())
    assert code == "ValidationError" and "lambkin does not do the function ANOMALY_DETECTION_BAND at position 1" in message
    searches = [{"Id": f"s{number}", "Expression": "SEARCH('nosuchmetric', 'Sum', 60)"} for number in range(21)]
    many = lambda count: {"MetricDataQueries": searches[:count], "StartTime": ago(days=1), "EndTime": ago()}
    assert metrics.get_metric_data(**many(20))["MetricDataResults"] == []
    code, message = refused(metrics.get_metric_data, **many(21))
    assert code == "ValidationError" and "there are more than 20 searches" in message
    code, message = refused(unchecked_metrics.get_metric_statistics, Namespace=name)
    assert code == "MissingParameter" and message.startswith("The parameter MetricName is required.\n"), message
    code, message = refused(metrics.describe_alarms)
    assert code == "InvalidAction" and "DescribeAlarms" in message


def test_metrics_outlive_a_kill(server, name):
    first = server()
    metrics = aws_client.client("cloudwatch", first.endpoint)
    began = time.time()
    for minutes in (5, 0):
        data = {"MetricName": "m", "Value": 1, "Timestamp": ago(minutes=minutes), "StorageResolution": 1}
        metrics.put_metric_data(Namespace=name, MetricData=[data])
    assert total(metrics, "m", namespace=name) == 2
    put = time.time()
    # The files of the current minute and its seconds are written anew within five seconds.
    files = [first.data / "metrics" / "open-minutes", first.data / "metrics" / "seconds" / "open-seconds"]
    eventually(lambda: all(file.exists() and file.stat().st_mtime > put for file in files), 15, "it is kept")
    first.kill()
    first.start()
    metrics = aws_client.client("cloudwatch", first.endpoint)
    assert total(metrics, "m", namespace=name) == 2
    by_second = metrics.get_metric_statistics(
        Namespace=name, MetricName="m", StartTime=ago(minutes=10), EndTime=ago(minutes=-1), Period=1, Statistics=["Sum"]
    )["Datapoints"]
    seconds = sorted(point["Timestamp"].timestamp() for point in by_second)
    assert len(seconds) == 2 and int(began) - 300 <= seconds[0] <= put - 300 and int(began) <= seconds[1] <= put, seconds


def test_a_function_puts_metrics_itself(lambda_, metrics, name):
    code = """const http = require('http');
exports.handler = (event) => new Promise((done, failed) => {
  const url = new URL(process.env.AWS_ENDPOINT_URL_CLOUDWATCH);
  const headers = { 'X-Amz-Target': 'GraniteServiceVersion20100801.PutMetricData', 'Content-Type': 'application/x-amz-json-1.0', Authorization: 'AWS4-HMAC-SHA256 Credential=' + process.env.AWS_ACCESS_KEY_ID + '/20260101/' + process.env.AWS_REGION + '/monitoring/aws4_request, SignedHeaders=host, Signature=0' };
  const request = http.request({ host: url.hostname, port: url.port, method: 'POST', path: '/', headers }, (answer) => { answer.resume(); answer.on('end', () => done(answer.statusCode)); });
  request.on('error', failed); request.end(JSON.stringify(event));
});"""
    create(lambda_, name, code)
    assert invoke(lambda_, name, {"Namespace": name, "MetricData": [{"MetricName": "inside", "Value": 3}]}).payload == 200
    assert total(metrics, "inside", namespace=name) == 3


def test_provisioned_concurrency_is_measured_by_the_environments_that_ran(shared, lambda_, metrics, name):
    create(lambda_, name, FAILS, Timeout=60)
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    lambda_.put_provisioned_concurrency_config(FunctionName=name, Qualifier="live", ProvisionedConcurrentExecutions=2)
    state = lambda: lambda_.get_provisioned_concurrency_config(FunctionName=name, Qualifier="live")["Status"]
    eventually(lambda: state() == "READY", 60, "both are there")
    three = [threading.Thread(target=invoke, args=(lambda_, name, {"wait": 3000}), kwargs={"Qualifier": "live"}) for _ in range(3)]
    running = lambda: total(metrics, "ConcurrentExecutions", "Maximum", FunctionName=name)
    for number, each in enumerate(three):
        each.start()
        eventually(lambda: running() == number + 1, 30, "they run at once")
    for each in three:
        each.join(60)
    # Not of a version that keeps none.
    invoke(lambda_, name)
    by_alias = {"FunctionName": name, "Resource": f"{name}:live"}
    for given in ({"FunctionName": name}, by_alias, {**by_alias, "ExecutedVersion": "1"}):
        assert total(metrics, "ProvisionedConcurrencyInvocations", **given) == 2, given
        assert total(metrics, "ProvisionedConcurrencySpilloverInvocations", **given) == 1, given
        assert total(metrics, "ProvisionedConcurrentExecutions", "Maximum", **given) == 2, given
        assert total(metrics, "ProvisionedConcurrencyUtilization", "Maximum", **given) == 1, given
        assert total(metrics, "ProvisionedConcurrencyUtilization", "Minimum", **given) == 0.5, given
    assert total(metrics, "ProvisionedConcurrencyInvocations") >= 2
    assert total(metrics, "ProvisionedConcurrencyUtilization", "Maximum") is None, "of functions and resources alone"
    # Two are set aside, and at least the third ran beside them.
    assert total(metrics, "ClaimedAccountConcurrency", "Maximum") >= 3
    lambda_.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")


def test_requests_to_a_url_are_measured(shared, lambda_, metrics, name):
    create(lambda_, name, "exports.handler=async e=>{if(e.rawPath==='/fail')throw new Error('no');return {statusCode:+e.rawPath.slice(1)}}")
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    lambda_.create_alias(FunctionName=name, Name="shut", FunctionVersion="1")
    latest, live, shut = publish(lambda_, name), publish(lambda_, name, "live"), publish(lambda_, name, "shut", "AWS_IAM")
    for url, path, status in [
        (latest, "/200", 200), (latest, "/404", 404), (latest, "/503", 503), (latest, "/fail", 502),
        (live, "/201", 201), (shut, "/200", 403),
    ]:
        assert ask(shared, url, path=path).status == status
    expected = {
        (): (6, 2, 2),
        (f"{name}:$LATEST",): (4, 1, 2),
        (f"{name}:$LATEST", "$LATEST"): (4, 1, 2),
        (f"{name}:live",): (1, 0, 0),
        (f"{name}:live", "1"): (1, 0, 0),
        (f"{name}:shut",): (1, 1, 0),
        (f"{name}:shut", "1"): (None, None, None),
    }
    for given, counts in expected.items():
        given = dict(zip(("Resource", "ExecutedVersion"), given))
        found = tuple(total(metrics, metric, FunctionName=name, **given) for metric in ("UrlRequestCount", "Url4xxCount", "Url5xxCount"))
        assert found == counts, given
    assert total(metrics, "UrlRequestLatency", "SampleCount", FunctionName=name) == 6
    assert 0 < total(metrics, "UrlRequestLatency", "Maximum", FunctionName=name) < 60_000
    assert total(metrics, "UrlRequestCount") >= 6
    # What was refused ran nothing.
    assert total(metrics, "Invocations", FunctionName=name) == 5


def test_a_mapping_counts_its_messages(shared, lambda_, metrics, name):
    """`MetricsConfig` with EventCount; by the mapping's UUID alone, and only where it is asked for."""
    reports = """exports.handler = async (event) => ({ batchItemFailures: event.Records
      .filter((record) => JSON.parse(record.body).fails >= +record.attributes.ApproximateReceiveCount)
      .map((record) => ({ itemIdentifier: record.messageId })) });"""
    create(lambda_, name, reports)
    sqs = aws_client.client("sqs", shared.endpoint)
    url = sqs.create_queue(QueueName=name, Attributes={"VisibilityTimeout": "3"})["QueueUrl"]
    source = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    wrong = {"EventSourceArn": source, "FunctionName": name, "MetricsConfig": {"Metrics": ["KafkaMetrics"]}}
    code, message = refused(lambda_.create_event_source_mapping, **wrong)
    assert (code, message) == ("InvalidParameterValueException", "KafkaMetrics is not valid for SQS event sources.")
    made = lambda_.create_event_source_mapping(
        EventSourceArn=source, FunctionName=name, FunctionResponseTypes=["ReportBatchItemFailures"],
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"fails": [{"exists": true}]}}'}]},
    )
    uuid = made["UUID"]
    counted = lambda: {
        metric: total(metrics, metric, EventSourceMappingUUID=uuid)
        for metric in ("PolledEventCount", "FilteredOutEventCount", "InvokedEventCount", "FailedInvokeEventCount", "DeletedEventCount")
    }
    of_queue = lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    left = lambda: int(of_queue()["ApproximateNumberOfMessages"]) + int(of_queue()["ApproximateNumberOfMessagesNotVisible"])
    sqs.send_message(QueueUrl=url, MessageBody='{"fails": 0}')
    eventually(lambda: left() == 0, 60, "it is processed")
    assert set(counted().values()) == {None} and "MetricsConfig" not in made, "nobody asked for them"
    settled = lambda: lambda_.get_event_source_mapping(UUID=uuid)["State"] == "Enabled"
    lambda_.update_event_source_mapping(UUID=uuid, MetricsConfig={"Metrics": ["EventCount"]})
    eventually(settled, 30, "it is changed")
    assert lambda_.get_event_source_mapping(UUID=uuid)["MetricsConfig"] == {"Metrics": ["EventCount"]}
    # Two that succeed, one that is reported once and comes again, and one that no filter matches.
    for body in ('{"fails": 0}', '{"fails": 0}', '{"fails": 1}', '{"other": 1}'):
        sqs.send_message(QueueUrl=url, MessageBody=body)
    expected = {"PolledEventCount": 5, "FilteredOutEventCount": 1, "InvokedEventCount": 4, "FailedInvokeEventCount": 1, "DeletedEventCount": 3}
    eventually(lambda: counted() == expected, 60, f"all are counted: {counted()}")
    listed = metrics.list_metrics(Namespace=LAMBDA, Dimensions=[{"Name": "EventSourceMappingUUID", "Value": uuid}])["Metrics"]
    assert sorted(each["MetricName"] for each in listed) == sorted(expected)
    assert all(each["Dimensions"] == dimensions(EventSourceMappingUUID=uuid) for each in listed)
    lambda_.update_event_source_mapping(UUID=uuid, MetricsConfig={"Metrics": []})
    eventually(settled, 30, "it is changed")
    assert "MetricsConfig" not in lambda_.get_event_source_mapping(UUID=uuid)
    sqs.send_message(QueueUrl=url, MessageBody='{"fails": 0}')
    eventually(lambda: left() == 0, 60, "it is processed")
    assert counted() == expected, "nobody asks for them any more"
    lambda_.delete_event_source_mapping(UUID=uuid)


def test_what_cannot_be_delivered_is_measured(shared, lambda_, metrics, name):
    """A queue whose messages may have 1,024 bytes takes neither the event as a dead letter nor a record of it."""
    small = aws_client.client("sqs", shared.endpoint)
    url = small.create_queue(QueueName=name, Attributes={"MaximumMessageSize": "1024"})["QueueUrl"]
    queue = small.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    create(lambda_, name, FAILS, DeadLetterConfig={"TargetArn": queue})
    lambda_.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=0, DestinationConfig={"OnSuccess": {"Destination": queue}, "OnFailure": {"Destination": queue}}
    )
    event = lambda **more: json.dumps({"much": "x" * 2000, **more})
    lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=event(fail=True))
    eventually(lambda: total(metrics, "DeadLetterErrors", FunctionName=name) == 1, 30, "the dead letter is given up")
    eventually(lambda: total(metrics, "DestinationDeliveryFailures", FunctionName=name) == 1, 30, "and the record of the failure")
    lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=event())
    eventually(lambda: total(metrics, "DestinationDeliveryFailures", FunctionName=name) == 2, 30, "and that of the success")
    assert total(metrics, "DeadLetterErrors", FunctionName=name) == 1
    assert total(metrics, "AsyncEventsDropped", FunctionName=name) == 1
