"""A small OpenTelemetry collector: takes spans by OTLP over HTTP, as protobuf, and keeps them."""

import gzip
import http.server
import threading

from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from server import eventually

KINDS = {number: name.removeprefix("SPAN_KIND_") for name, number in trace_pb2.Span.SpanKind.items()}


class Span:
    """A span as a test reads it: ids as hex, times in seconds, attributes as a dict."""

    def __init__(self, wire):
        self.trace, self.id, self.parent = (each.hex() for each in (wire.trace_id, wire.span_id, wire.parent_span_id))
        self.name, self.kind = wire.name, KINDS[wire.kind]
        self.start, self.end = wire.start_time_unix_nano / 1e9, wire.end_time_unix_nano / 1e9
        self.attributes = {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in wire.attributes}
        self.failed, self.error = wire.status.code == trace_pb2.Status.STATUS_CODE_ERROR, wire.status.message
        self.links = [(each.trace_id.hex(), each.span_id.hex()) for each in wire.links]

    def __repr__(self):
        return f"{self.name} {self.id} below {self.parent} {self.start:.4f}-{self.end:.4f} {self.error}"


class Collector:
    """Listens on a port of its own. `answers` are statuses to give before 200s; a `hang` is an event to wait for first."""

    def __init__(self, answers=(), hang=None):
        self.spans, self.services, self.headers, self.requests = [], set(), [], 0
        self.answers, self.hang, self.lock = list(answers), hang, threading.Lock()
        collector = self

        class Desk(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                collector.take(self)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Desk)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def take(self, request):
        body = request.rfile.read(int(request.headers["Content-Length"]))
        if request.headers.get("Content-Encoding") == "gzip":
            body = gzip.decompress(body)
        with self.lock:
            self.requests += 1
            status = self.answers.pop(0) if self.answers else 200
        if self.hang:
            self.hang.wait(60)
        if status == 200:
            assert request.path == "/v1/traces", request.path
            assert request.headers["Content-Type"] == "application/x-protobuf"
            self.keep(trace_service_pb2.ExportTraceServiceRequest.FromString(body), request.headers)
        answer = trace_service_pb2.ExportTraceServiceResponse().SerializeToString()
        request.send_response(status)
        request.send_header("Content-Type", "application/x-protobuf")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def keep(self, exported, headers):
        with self.lock:
            self.headers.append(dict(headers))
            for resource_spans in exported.resource_spans:
                named = {each.key: each.value.string_value for each in resource_spans.resource.attributes}
                self.services.add(named["service.name"])
                for scope_spans in resource_spans.scope_spans:
                    self.spans += [Span(each) for each in scope_spans.spans]

    def of(self, trace, count):
        """The trace's spans once there are so many, in the order of their beginnings."""

        def found():
            with self.lock:
                return [span for span in self.spans if span.trace == trace]

        eventually(lambda: len(found()) >= count, 20, f"{count} spans")
        spans = sorted(found(), key=lambda span: span.start)
        assert len(spans) == count, spans
        return spans

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.hang:
            self.hang.set()
        self.server.shutdown()
        self.server.server_close()
