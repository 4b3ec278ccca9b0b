"""Malformed requests against a lambkin, made from botocore's service models: `cargo xtask fuzz`.

Each is made from the seed and its number alone, so that a failing one can be made again. Half of them are signed, for
a server that verifies signatures, and then altered.
"""

import argparse
import base64
import concurrent.futures
import contextlib
import http.client
import json
import pathlib
import random
import re
import socket
import sys
import tempfile
import threading
import time
import types
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import botocore.parsers
from botocore.exceptions import ClientError

import aws_client
import constraints
import keys
import lambda_client
import modelled
from lambda_client import REGION
from server import Server

# Model, protocol that is spoken. All of a model's operations are sent, the refused ones too.
SERVICES = (
    ("lambda", "rest-json"), ("logs", "json"), ("sqs", "json"), ("sqs", "query"), ("sns", "query"), ("sts", "query"),
    ("cloudwatch", "json"), ("cloudwatch", "smithy-rpc-v2-cbor"), ("cloudwatch", "query"), ("iam", "query"),
)
# Some that lambkin does not have: they are refused in their own protocols.
ABSENT = (("cloudformation", "query"), ("dynamodb", "json"), ("s3", "rest-xml"))
# The largest request that lambkin reads (aws-behaviour 41). Its memory may grow by one of them.
BODY_BYTES = 70_167_211
THREADS = 4
ROUND = 2000
VALUES = (
    None, True, "", " ", "a" * 300, "é☃\U0001f600", "\0", "../../etc/passwd", "%00%ff", "$LATEST", "a:b:c", "arn:aws:lambda:us-east-1:000000000000:function:",
    "arn:aws:lambda:us-east-1:000000000000:function:sample:$LATEST", "{\"a\":", "=", 0, -1, 2**31, 2**63, -(2**63) - 1, 1.5, 1e308, [], {}, [None], [[]], {"": ""},
    [1] * 200, {"a": {"b": {"c": []}}},
)
HEADERS = (
    ("Content-Type", ("", "text/plain", "application/x-amz-json-1.1", "application/cbor", "application/x-www-form-urlencoded", "\xff", "application/vnd.amazon.eventstream")),
    ("X-Amz-Target", ("", "AmazonSQS.", "Logs_20140328.Nothing", "GraniteServiceVersion20100801.PutMetricData", "." * 3000)),
    ("Authorization", ("", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 Credential=/////, SignedHeaders=;;, Signature=", "Basic eDp5", "Bearer \xff", "AWS4-HMAC-SHA256 " + "," * 500)),
    ("X-Amz-Date", ("", "20260230T250000Z", "99999999T999999Z", "0")),
    ("X-Amz-Content-SHA256", ("", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "UNSIGNED-PAYLOAD", "0" * 64)),
    ("X-Amz-Security-Token", ("", "x" * 4000)),
    ("X-Amz-Decoded-Content-Length", ("-1", "18446744073709551616", "1")),
    ("X-Amz-Invocation-Type", ("", "Event", "event", "DryRun", "\xe9")),
    ("X-Amz-Client-Context", ("", "%%%", "e30=", "bnVsbA==", "A" * 4000)),
    ("X-Amz-Log-Type", ("", "Tail", "tail")),
    ("X-Amzn-Trace-Id", ("", "Root=", "Root=1-0-0;;;Sampled=9", "\xff" * 50)),
    ("Content-Encoding", ("gzip", "br", "aws-chunked", "identity")),
    ("Smithy-Protocol", ("", "rpc-v2-cbor", "rpc-v9")),
    ("Host", ("", "a b", "evil.example", "localhost:99999", "[::1", "x.lambda-url.us-east-1.localhost")),
    ("Origin", ("null", "http://evil.example", "")),
    ("Expect", ("100-continue", "nothing")),
    ("Range", ("bytes=9-1", "bytes=-")),
    ("Content-Length", ("-1", "18446744073709551616", "4, 4", "x", "999999999999")),
    ("Transfer-Encoding", ("chunked, chunked", "gzip", "x")),
)
CHUNKED = (
    b"zz\r\nab\r\n0\r\n\r\n", b"-1\r\n\r\n", b"ffffffffffffffffff\r\na", b"5\r\nab\r\n0\r\n\r\n", b"2;" + b"x" * 5000 + b"\r\n{}\r\n0\r\n\r\n",
    b"2\r\n{}0\r\n\r\n", b"2\r\n{}\r\n0\r\nX-T: \0\r\n\r\n", b"\r\n\r\n", b"2\n{}\n0\n\n",
    b"5;chunk-signature=" + b"0" * 64 + b"\r\nhello\r\n0;chunk-signature=\r\n\r\n", b"2\r\n{",
)
TRUST = json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]})
PACKAGE = lambda_client.zipped({"index.js": lambda_client.ECHO, "node_modules/a/index.js": "x" * 500})


class Made(types.SimpleNamespace):
    """One request: its service, protocol and operation, its bytes, and whether it can be followed by another."""


def sources():
    for name, protocol in SERVICES + ABSENT:
        service = modelled.service(name)
        for operation in service.operation_names:
            # A host that an input says is none without that input.
            if "{" not in ((service.operation_model(operation).endpoint or {}).get("hostPrefix") or ""):
                yield name, protocol, operation


ALL = list(sources())


def often():
    """By service and protocol, what is sent most: what lambkin does of a service, and all of Lambda's."""
    for name, protocol in SERVICES:
        facts = constraints.SERVICES.get(name)
        built = modelled.service(name).operation_names if facts is None or name == "lambda" else facts.operations
        yield [(name, protocol, operation) for operation in built]


OFTEN = list(often())
# Lambda's share is four of the others'.
WEIGHTS = [4 if name == "lambda" else 1 for name, _ in SERVICES]


def full(chance, shape, depth=0):
    """A valid input with some of what is optional."""
    if shape.type_name != "structure" or depth > 4:
        return modelled.sample(shape)
    wanted = set(shape.required_members) | {name for name in shape.members if chance.random() < 0.3}
    return {name: given(chance, name, member, depth) for name, member in shape.members.items() if name in wanted}


def given(chance, name, member, depth):
    # No time is spent waiting for messages.
    if name == "WaitTimeSeconds":
        return 0
    if name == "ZipFile":
        return damaged(chance, PACKAGE) if chance.random() < 0.9 else PACKAGE
    try:
        return full(chance, member, depth + 1)
    except (AssertionError, RecursionError, re.error):
        return "no sample"


def damaged(chance, data):
    """Bytes changed, cut, doubled or put between."""
    data = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        at = chance.randrange(len(data) + 1)
        match chance.randrange(5):
            case 0 if data:
                data[at % len(data)] = chance.randrange(256)
            case 1:
                del data[at:]
            case 2:
                data[at:at] = chance.randbytes(chance.choice((1, 4, 64)))
            case 3:
                data[at:at] = data[: chance.randrange(1, 200)]
            case _:
                del data[at : at + chance.randrange(1, 20)]
    return bytes(data)


def mutated(chance, value):
    """One of its values is another."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        key = chance.choice(list(value))
        return {**value, key: mutated(chance, value[key])}
    if isinstance(value, list) and value and chance.random() < 0.7:
        return [*value[:-1], mutated(chance, value[-1])]
    return chance.choice(VALUES)


def make(seed, number, signer=None):
    chance = random.Random(f"{seed}/{number}")
    name, protocol, operation = chance.choice(chance.choices(OFTEN, WEIGHTS)[0] if chance.random() < 0.8 else ALL)
    service = modelled.service(name)
    model = service.operation_model(operation)
    value = full(chance, model.input_shape) if model.input_shape else {}
    if chance.random() < 0.5:
        value = mutated(chance, value)
    try:
        method, path, headers, body = modelled.request(model, value if isinstance(value, dict) else {}, protocol)
        body = bytes(memoryview(body or b""))
    except Exception:  # botocore cannot write everything that JSON can say; the document goes as it is.
        members = model.input_shape.members.items()
        plain = {key: "sample" for key, member in members if member.serialization.get("location") == "uri"}
        method, path, headers, body = modelled.request(model, plain, protocol)
        body = json.dumps(value, default=lambda raw: base64.b64encode(raw).decode()).encode()
    if signer:
        headers = signer(name, method, path, headers, body)
    headers = list(headers.items())
    tail, reusable = None, True
    what = chance.randrange(14)
    if what == 0:
        body = damaged(chance, body)
    elif what == 1:
        path = path[:1] + urllib.parse.quote(damaged(chance, path[1:].encode()), safe="/?&=%:+-_.~!*'()")
    elif what == 2:
        path += ("&" if "?" in path else "?") + chance.choice(("Qualifier=%", "X-Amz-Signature=&X-Amz-Algorithm=AWS4-HMAC-SHA256", "MaxItems=99999999999999999999", "Marker=%ff%00", "&&==", "FunctionVersion=x"))
    elif what in (3, 4):
        for key, values in chance.sample(HEADERS, chance.choice((1, 1, 3))):
            headers = [pair for pair in headers if pair[0].lower() != key.lower()] + [(key, chance.choice(values))]
            reusable &= key not in ("Content-Length", "Transfer-Encoding", "Expect", "Host")
    elif what == 5 and headers:
        at = chance.randrange(len(headers))
        headers[at] = (headers[at][0], damaged(chance, headers[at][1].encode()).decode("latin-1").translate({10: None, 13: None}))
    elif what == 6:
        headers.append(("Transfer-Encoding", "chunked"))
        tail, reusable = chance.choice(CHUNKED), False
    elif what == 7:
        body = chance.choice((b"[" * 20_000, b'{"a":' * 20_000, b"\x9f" * 20_000, b"\xbb\xff\xff\xff\xff\xff\xff\xff\xff", b"a=" * 10_000, b"\0" * 70_000, chance.randbytes(300)))
    elif what == 8:
        method = chance.choice(("GET", "PUT", "POST", "DELETE", "PATCH", "HEAD", "OPTIONS", "TRACE", "X"))
    names = {key.lower() for key, _ in headers}
    if "host" not in names:
        headers.append(("Host", "localhost"))
    if tail is None and "content-length" not in names:
        headers.append(("Content-Length", str(len(body))))
    head = f"{method} {path} HTTP/1.1\r\n" + "".join(f"{key}: {said}\r\n" for key, said in headers) + "\r\n"
    sent = head.encode("latin-1", "replace") + (body if tail is None else tail)
    return Made(number=number, service=name, protocol=protocol, operation=operation, method=method, sent=sent, reusable=reusable, altered=what)


class Connection:
    """Sends bytes, and reads an answer if one comes."""

    def __init__(self, endpoint):
        at = urllib.parse.urlsplit(endpoint)
        self.address = (at.hostname, at.port)
        self.socket = None

    def close(self):
        if self.socket:
            self.socket.close()
        self.socket = None

    def exchange(self, made):
        """(status, headers, body), or None where the server ended a connection that was not HTTP."""
        fresh = self.socket is None
        if fresh:
            self.socket = socket.create_connection(self.address, timeout=60)
        try:
            self.socket.sendall(made.sent)
            if not made.reusable:
                # Where the server has ended it already, its answer is there nevertheless.
                with contextlib.suppress(OSError):
                    self.socket.shutdown(socket.SHUT_WR)
            answer = http.client.HTTPResponse(self.socket, method=made.method)
            answer.begin()
            got = answer.status, answer.headers, answer.read()
        except (ConnectionError, http.client.BadStatusLine, http.client.IncompleteRead):
            self.close()
            # A kept connection may have ended before.
            return None if fresh or not made.reusable else self.exchange(made)
        if not made.reusable or answer.will_close:
            self.close()
        return got


def complaint(made, got):
    """What is wrong with an answer, or None."""
    if got is None:
        return "no answer" if made.reusable and made.altered not in (1, 5) else None
    status, headers, body = got
    if status >= 500:
        return f"{status}"
    if not body or "x-amzn-requestid" not in headers or "vnd.amazon.eventstream" in headers.get("content-type", ""):
        return None  # Refused below the API, or nothing to read.
    kind = headers.get("content-type", "")
    try:
        if "json" in kind:
            json.loads(body)
        if status >= 400 and (made.altered in (0, 7) or made.altered >= 9):  # Its service and protocol are as they were made.
            model = modelled.service(made.service).operation_model(made.operation)
            answer = {"status_code": status, "headers": headers, "body": body}
            said = botocore.parsers.create_parser(made.protocol).parse(answer, model.output_shape)
            # Where an answer has none, the parser takes its status.
            if said["Error"].get("Code") in (None, "", str(status)):
                return f"{status} without a code"
    except Exception as error:  # Whatever the client's parser stumbles over.
        return f"{status} {kind} cannot be read: {error!r}"
    return None


def sign_with(key):
    credentials = botocore.credentials.Credentials(*key)

    def sign(service, method, path, headers, body):
        plain = {name: value for name, value in headers.items() if name.lower() != "authorization"}
        request = botocore.awsrequest.AWSRequest(method, f"http://localhost{path}", plain, body)
        botocore.auth.SigV4Auth(credentials, modelled.service(service).signing_name, REGION).add_auth(request)
        return dict(request.headers.items())

    return sign


class Target:
    """A server under fire."""

    def __init__(self, server, sign=None, key=None):
        self.server, self.sign, self.key = server, sign, key
        self.local = threading.local()

    def prepare(self):
        """What requests name is there again."""
        for service, create in (
            ("lambda", lambda one: lambda_client.create(one, "sample")), ("sqs", lambda one: one.create_queue(QueueName="sample")),
            ("sns", lambda one: one.create_topic(Name="sample")), ("logs", lambda one: one.create_log_group(logGroupName="sample")),
            ("iam", lambda one: one.create_role(RoleName="sample", AssumeRolePolicyDocument=TRUST)),
        ):
            one = keys.client(service, self.server.endpoint, self.key) if self.key else aws_client.client(service, self.server.endpoint)
            try:
                create(one)
            except ClientError as error:
                assert error.response["Error"]["Code"] in ("ResourceConflictException", "ResourceAlreadyExistsException", "QueueNameExists", "QueueAlreadyExists", "EntityAlreadyExists"), error

    def one(self, seed, number):
        made = make(seed, number, self.sign)
        connection = getattr(self.local, "connection", None) or Connection(self.server.endpoint)
        self.local.connection = connection
        began = time.monotonic()
        try:
            got = connection.exchange(made)
            found = complaint(made, got)
        except Exception as error:  # Of the exchange itself: a timeout.
            connection.close()
            got, found = None, repr(error)
        status = got[0] if got else 0
        taken = time.monotonic() - began
        return made, status, found and f"#{number} {made.service}/{made.protocol} {made.operation} ({taken:.1f} s): {found}: {got and got[2][:300]}\n  sent {made.sent[:600]!r}"

    def peak(self):
        """Most memory that it ever had, in bytes."""
        status = pathlib.Path(f"/proc/{self.server.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) << 10

    def verdict(self, grown):
        """What is wrong with the server itself."""
        found = []
        if self.server.process.poll() is not None:
            found.append(f"lambkin ended with {self.server.process.returncode}")
        if "panicked" in (log := self.server.log.read_text(errors="replace")):
            found.append("lambkin panicked: " + log[log.index("panicked") - 200 :][:1000])
        if grown > BODY_BYTES:
            found.append(f"memory grew by {grown >> 20} MiB")
        return found


def run(targets, seed, numbers, say=print):
    """What is wrong, as texts, and answers counted by status."""
    found, statuses = [], {}
    for target in targets:
        target.prepare()
    before = [target.peak() for target in targets]
    with concurrent.futures.ThreadPoolExecutor(THREADS) as pool:
        for start in range(0, len(numbers), ROUND):
            for _, status, wrong in pool.map(lambda number: targets[number % len(targets)].one(seed, number), numbers[start : start + ROUND]):
                statuses[status] = statuses.get(status, 0) + 1
                if wrong:
                    found.append(wrong)
            dead = [target for target in targets if target.server.process.poll() is not None]
            if dead or len(found) > 50:
                break
            if start + ROUND < len(numbers):
                for target in targets:
                    target.prepare()
    grown = [target.peak() - peak for target, peak in zip(targets, before)]
    for target, more in zip(targets, grown):
        found += target.verdict(more)
    say(f"seed {seed}: {sum(statuses.values())} requests, {dict(sorted(statuses.items()))}, memory grew by {[f'{more >> 20} MiB' for more in grown]}")
    return found


def attack(directory, seed, numbers):
    """Two servers, one open and one that verifies."""
    with Server(directory / "open") as plain, Server(directory / "keys") as guarded:
        key = keys.make(guarded)
        return run([Target(plain), Target(guarded, sign_with(key), key)], seed, numbers)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument("--number", type=int, help="only this request of the seed")
    options = parser.parse_args()
    numbers = range(options.requests) if options.number is None else [options.number]
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="lambkin-fuzz-") as directory:
        found = attack(pathlib.Path(directory), options.seed, numbers)
    print("\n".join(found))
    sys.exit(bool(found))


if __name__ == "__main__":
    main()
