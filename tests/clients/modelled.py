"""Requests made from botocore's service models alone: the smallest input that a model allows, and its bytes on the
wire in the model's protocol. Nothing here asks lambkin what it takes.
"""

import http.client
import json
import pathlib
import re
import urllib.parse

import boto3
import botocore.serialize

import shapes
from lambda_client import REGION

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
SESSION = boto3.session.Session()._session
ARN = "arn:aws:lambda:us-east-1:000000000000:"
# The first that a text's constraints allow is a sample of it.
TEXTS = (
    "sample", "1", "lambda:InvokeFunction", "a.b", "index.handler", "arn:aws:iam::000000000000:role/r", f"{ARN}function:sample", f"{ARN}layer:sample:1",
    f"{ARN}event-source-mapping:00000000-0000-4000-8000-000000000000", "arn:aws:sqs:us-east-1:000000000000:sample",
    f"{ARN}code-signing-config:csc-00000000000000000", f"{ARN}capacity-provider:sample", "/mnt/sample", "s" * 40, "https://sample.example",
    "subnet-00000000", "sg-00000000", "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-00000000000000000", "2020-01-01",
    "arn:aws:kms:us-east-1:000000000000:key/1", "m5.large",
    "lambda:GetLayerVersion", "broker.example:9092", "arn:aws:lambda:us-east-1::runtime:" + "0" * 64,
    "arn:aws:lambda:us-east-1:000000000000:runtime/sample", "00000000-0000-4000-8000-000000000000", "000000000000", "/", "v1",
    "{}", "arn:aws:iam::000000000000:policy/p",
)


def service(name):
    return SESSION.get_service_model(name)


def built():
    """Lambda's operations that the README's table calls built."""
    row = re.search(r"^\| \d+, built \| (.*) \|$", (ROOT / "README.md").read_text(), re.M)
    return row[1].split(", ")


def matches(pattern, text):
    return re.fullmatch(shapes.python(pattern), text) is not None


def allowed(shape, text):
    facts = shape.metadata
    return facts.get("min", 0) <= len(text) <= facts.get("max", len(text)) and ("pattern" not in facts or matches(facts["pattern"], text))


def sample(shape):
    """A value that breaks no constraint, as small as can be."""
    kind, facts = shape.type_name, shape.metadata
    if kind == "string":
        found = shape.enum[0] if shape.enum else next((text for text in TEXTS if allowed(shape, text)), None)
        assert found is not None, f"no sample of {shape.name} {facts}: add one to TEXTS"
        return found
    if kind == "structure":
        return {name: sample(shape.members[name]) for name in shape.required_members}
    if kind == "list":
        return [sample(shape.member)] * max(1, facts.get("min", 1))
    if kind == "map":
        keys = [sample(shape.key), *(f"more{number}" for number in range(1, facts.get("min", 1)))]
        return {key: sample(shape.value) for key in keys}
    if kind == "timestamp":
        return 1_700_000_000
    return {"boolean": True, "blob": b"UEsF"}.get(kind, max(1, facts.get("min", 1)))


def request(operation, given, protocol=None):
    """(method, path and query, headers, body) of an input that botocore does not check."""
    model = operation.service_model
    made = botocore.serialize.create_serializer(protocol or model.resolved_protocol, include_validation=False).serialize_to_request(given, operation)
    query = made["query_string"]
    pairs = [(k, v) for k, vs in query.items() for v in (vs if isinstance(vs, list) else [vs])] if isinstance(query, dict) else []
    path = made["url_path"] + ("&" if "?" in made["url_path"] else "?") * bool(pairs) + urllib.parse.urlencode(pairs, quote_via=urllib.parse.quote)
    body = made["body"]
    if isinstance(body, dict):
        body = urllib.parse.urlencode(body)
    headers = {**made["headers"], "Authorization": authorization(model.signing_name)}
    return made["method"], path, {key: str(value) for key, value in headers.items()}, body.encode() if isinstance(body, str) else body


def authorization(service_name):
    scope = f"AKIDEXAMPLE/20260101/{REGION}/{service_name}/aws4_request"
    return f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host;x-amz-date, Signature={'0' * 64}"


class Wire:
    """One connection that is kept."""

    def __init__(self, endpoint):
        self.connection = http.client.HTTPConnection(urllib.parse.urlsplit(endpoint).netloc, timeout=60)

    def send(self, method, path, headers, body):
        """(status, headers, body) of the answer."""
        try:
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            return answer.status, answer.headers, answer.read()
        except (http.client.HTTPException, OSError):
            self.connection.close()
            raise


def error(headers, body):
    """(code, message) of a JSON error."""
    said = json.loads(body)
    code = headers.get("x-amzn-ErrorType") or said.get("__type", "")
    return code.split(":")[0].rsplit("#", 1)[-1], said.get("message", said.get("Message"))
