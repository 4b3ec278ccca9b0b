"""Traces: X-Ray's header and TracingConfig, and spans by OTLP, as a collector sees them."""

import json
import os
import re
import secrets
import threading
import time
import urllib.request

import pytest

from collector import Collector
from lambda_client import arn, client, create, invoke
from server import Server, eventually
from test_events import FAST, Queue

TELLS = """exports.handler = async (event, context) => {
  if (event.fail) throw new TypeError('no');
  return { env: process.env._X_AMZN_TRACE_ID, context: context.xRayTraceId };
}"""


class Trace:
    """A trace that a caller begins."""

    def __init__(self, sampled="1"):
        self.id, self.parent = secrets.token_hex(16), secrets.token_hex(8)
        self.root = f"1-{self.id[:8]}-{self.id[8:]}"
        decision = "" if sampled is None else f";Sampled={sampled}"
        self.header = f"Root={self.root};Parent={self.parent}{decision}"
        self.traceparent = f"00-{self.id}-{self.parent}-0{sampled or 0}"

    def client(self, server):
        """A client whose requests carry it."""
        lambda_ = client(server.endpoint)

        def add(request, **_):
            request.headers["X-Amzn-Trace-Id"] = self.header

        lambda_.meta.events.register("before-send.lambda", add)
        return lambda_


def fields(header):
    return dict(field.split("=", 1) for field in header.split(";"))


@pytest.fixture(scope="module")
def collector():
    with Collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def traced(tmp_path_factory, collector):
    """A server with a collector, whose pauses between attempts are short."""
    variables = {**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_EXPORTER_OTLP_HEADERS": "api-key=a%20b"}
    with Server(tmp_path_factory.mktemp("traced"), *FAST, variables=variables) as server:
        yield server


def test_a_cold_call_and_a_warm_one(traced, collector, name):
    lambda_ = client(traced.endpoint)
    create(lambda_, name, TELLS, runtime="nodejs24.x")
    trace = Trace()
    answer = invoke(trace.client(traced), name)
    api, init, ran = collector.of(trace.id, 3)
    assert [api.name, init.name, ran.name] == ["Lambda/Invoke", f"init {name}", name]
    assert [api.kind, init.kind, ran.kind] == ["SERVER", "INTERNAL", "SERVER"]
    assert [api.parent, init.parent, ran.parent] == [trace.parent, api.id, api.id]
    assert api.start <= init.start < init.end <= ran.start < ran.end and ran.start < api.end
    assert answer.payload["env"] == answer.payload["context"]
    told = fields(answer.payload["env"])
    assert (told["Root"], told["Parent"], told["Sampled"]) == (trace.root, ran.id, "1"), "its own spans hang below"
    request_id = answer.id
    expected = {
        "faas.name": name,
        "faas.version": "$LATEST",
        "faas.invocation_id": request_id,
        "faas.coldstart": True,
        "faas.max_memory": 128 << 20,
        "cloud.resource_id": arn(name),
        "aws.lambda.invoked_arn": arn(name),
    }
    assert {key: ran.attributes[key] for key in expected} == expected
    assert api.attributes["aws.request_id"] == request_id and api.attributes["http.response.status_code"] == 200
    assert collector.services == {"lambkin"} and all(each["api-key"] == "a b" for each in collector.headers)
    assert answer.headers["x-amzn-trace-id"] == f"root={trace.root};sampled=1"
    again = Trace()
    failed = invoke(again.client(traced), name, {"fail": True})
    assert failed.error == "Unhandled"
    api, ran = collector.of(again.id, 2)
    assert (ran.parent, ran.attributes["faas.coldstart"], ran.failed, ran.error) == (api.id, False, True, "TypeError")
    assert not api.failed, "the request was answered"


def test_an_event_waits_fails_and_is_recorded(traced, collector, name):
    lambda_, queue = client(traced.endpoint), Queue(traced, name)
    create(lambda_, name, TELLS)
    lambda_.put_function_event_invoke_config(
        FunctionName=name, MaximumRetryAttempts=1, DestinationConfig={"OnFailure": {"Destination": queue.arn}}
    )
    trace = Trace()
    trace.client(traced).invoke(FunctionName=name, InvocationType="Event", Payload='{"fail": true}')
    spans = collector.of(trace.id, 7)
    of = lambda named: [span for span in spans if span.name == named]
    (api,), (init,), (sent,) = of("Lambda/Invoke"), of(f"init {name}"), of(f"destination {name}")
    waits, runs = of(f"queue {name}"), of(name)
    assert api.parent == trace.parent and all(span.parent == api.id for span in spans if span is not api)
    assert [wait.attributes["lambkin.attempt"] for wait in waits] == [1, 2]
    assert [(run.error, run.attributes["faas.coldstart"]) for run in runs] == [("TypeError", True), ("TypeError", False)]
    assert waits[0].end <= init.end <= runs[0].start < runs[0].end
    # The first attempt's end is not known to the queue before it is there: a hair's breadth.
    assert runs[0].end - 0.05 <= waits[1].start < waits[1].end <= runs[1].start
    assert waits[1].end - waits[1].start >= 0.25, "the pause before the retry"
    assert runs[1].start < sent.start <= sent.end and (waits[0].kind, sent.kind) == ("CONSUMER", "PRODUCER")
    assert sent.attributes["messaging.destination.name"] == name and not sent.failed
    answer = queue.sqs.receive_message(
        QueueUrl=queue.url, WaitTimeSeconds=5, MessageSystemAttributeNames=["AWSTraceHeader"]
    )
    carried = fields(answer["Messages"][0]["Attributes"]["AWSTraceHeader"])
    assert (carried["Root"], carried["Parent"], carried["Sampled"]) == (trace.root, sent.id, "1")


def test_a_message_takes_its_trace_to_the_function(traced, collector, name):
    lambda_, queue = client(traced.endpoint), Queue(traced, name)
    create(lambda_, name, TELLS)
    trace = Trace()
    header = {"AWSTraceHeader": {"DataType": "String", "StringValue": trace.header}}
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody="m", MessageSystemAttributes=header)
    lambda_.create_event_source_mapping(FunctionName=name, EventSourceArn=queue.arn)
    receive, init, ran = collector.of(trace.id, 3)
    assert [receive.name, init.name, ran.name] == [f"receive {name}", f"init {name}", name]
    assert {receive.parent, init.parent, ran.parent} == {trace.parent}
    assert receive.start < receive.end <= ran.start and receive.attributes["messaging.batch.message_count"] == 1


def test_a_url_and_w3cs_header(traced, collector, name):
    lambda_ = client(traced.endpoint)
    create(lambda_, name, TELLS)
    lambda_.add_permission(
        FunctionName=name, StatementId="s", Principal="*", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE"
    )
    lambda_.add_permission(
        FunctionName=name, StatementId="i", Principal="*", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True
    )
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    host = url.split("/")[2]
    trace = Trace()
    request = urllib.request.Request(traced.endpoint + "/a/b", headers={"Host": host, "traceparent": trace.traceparent})
    with urllib.request.urlopen(request) as answer:
        assert answer.headers["x-amzn-trace-id"] == f"root={trace.root};sampled=1"
        assert fields(json.load(answer)["env"])["Root"] == trace.root
    api, init, ran = collector.of(trace.id, 3)
    assert [api.name, api.parent, init.parent, ran.parent] == ["GET", trace.parent, api.id, api.id]
    assert (api.attributes["url.path"], api.attributes["faas.trigger"]) == ("/a/b", "http")


@pytest.mark.parametrize("mode", ["PassThrough", "Active"])
def test_who_decides(traced, collector, name, mode):
    lambda_ = client(traced.endpoint)
    made = create(lambda_, name, TELLS, TracingConfig={"Mode": mode})
    assert made["TracingConfig"] == {"Mode": mode}
    for given, sampled in (("0", "0"), (None, "1" if mode == "Active" else "0"), ("1", "1")):
        trace = Trace(given)
        # A second of its own: in the second of the one before one in twenty is traced.
        time.sleep(1.1 if given is None and mode == "Active" else 0)
        answer = invoke(trace.client(traced), name)
        told = fields(answer.payload["env"])
        assert (told["Root"], told["Sampled"]) == (trace.root, sampled), (mode, given)
        assert (told["Parent"] == trace.parent) == (sampled == "0"), "a trace that is not recorded has no span here"
        says = f"XRAY TraceId: {trace.root}\tSegmentId: {told['Parent']}\tSampled: true\t"
        assert (says in answer.log) == (mode == "Active" and sampled == "1"), answer
    # And one that is changed decides anew, in the same environment.
    lambda_.update_function_configuration(FunctionName=name, TracingConfig={"Mode": "PassThrough"})
    eventually(
        lambda: lambda_.get_function_configuration(FunctionName=name)["LastUpdateStatus"] == "Successful", 10, "update"
    )
    assert lambda_.get_function_configuration(FunctionName=name)["TracingConfig"] == {"Mode": "PassThrough"}
    assert fields(invoke(Trace(None).client(traced), name).payload["env"])["Sampled"] == "0"


def test_a_collector_that_is_away_comes_back(server, name):
    with Collector(answers=[503, 503]) as collector:
        running = server("--otlp-endpoint", collector.endpoint)
        lambda_ = client(running.endpoint)
        create(lambda_, name, TELLS)
        trace = Trace()
        invoke(trace.client(running), name)
        collector.of(trace.id, 3)
        assert collector.requests >= 3


def test_a_collector_that_hangs_hurts_nothing(server, name):
    with Collector(hang=threading.Event()) as collector:
        running = server("--otlp-endpoint", collector.endpoint)
        lambda_ = client(running.endpoint)
        create(lambda_, name, TELLS)
        traced = Trace().client(running)
        invoke(traced, name)
        eventually(lambda: collector.requests == 1, 10, "a request that hangs")
        began = time.monotonic()
        for _ in range(200):
            assert invoke(traced, name).error is None
        assert time.monotonic() - began < 10, "200 calls while the collector hangs"
        began = time.monotonic()
        running.stop()
        assert time.monotonic() - began < 10, "the end does not wait for it"


def test_a_dead_collector_is_told_of(server, name):
    with Collector() as collector:
        endpoint = collector.endpoint
    running = server("--otlp-endpoint", endpoint)
    lambda_ = client(running.endpoint)
    create(lambda_, name, TELLS)
    assert invoke(Trace().client(running), name).error is None
    with urllib.request.urlopen(running.endpoint + "/metrics") as answer:
        assert b"\nlambkin_spans_dropped_total 0\n" in answer.read()
    running.stop()
    assert re.search(r"spans were dropped.* spans=3 ", running.log.read_text()), "its last try was in vain"
