"""Unmodified boto3 against a lambkin, and the few steps that most tests share."""

import base64
import io
import json
import stat
import time
import zipfile

import boto3
import botocore.config
from botocore.exceptions import ClientError

import shapes
from server import eventually

ACCOUNT = "000000000000"
REGION = "us-east-1"
ROLE = f"arn:aws:iam::{ACCOUNT}:role/any"
ECHO = "exports.handler=async e=>e"


def client(endpoint, validate=True, region=REGION, **config):
    """A boto3 client whose every answer is checked. `validate=False` sends what boto3 itself would refuse."""
    config = {"read_timeout": 120, "max_pool_connections": 64, **config}
    made = boto3.session.Session().client(
        "lambda",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=validate, **config),
    )
    shapes.install(made)
    return made


def arn(name, qualifier=None):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:{name}" + (f":{qualifier}" if qualifier else "")


def zipped(files):
    """A deployment package; a file is its text, its bytes, or {"text", "mode"}."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            mode = 0o644
            if isinstance(content, dict):
                mode, content = int(content["mode"], 8), content["text"]
            entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(entry, content)
    return buffer.getvalue()


def create(lambda_, name, code=ECHO, runtime="nodejs22.x", wait=True, **settings):
    """Creates a function of one file, or of {name: content}, and waits until it is active."""
    files = code if isinstance(code, dict) else {"index.js": code}
    answer = lambda_.create_function(
        FunctionName=name,
        Runtime=runtime,
        Role=settings.pop("Role", ROLE),
        Handler=settings.pop("Handler", "index.handler"),
        Code={"ZipFile": zipped(files)},
        **settings,
    )
    if wait:
        active(lambda_, name)
    return answer


def active(lambda_, name, seconds=300):
    """Waits until the function can be invoked and changed. A runtime may have to be fetched first."""

    def settled():
        configuration = lambda_.get_function_configuration(FunctionName=name)
        assert configuration["State"] != "Failed", configuration
        done = configuration["State"] == "Active" and configuration.get("LastUpdateStatus") == "Successful"
        return configuration if done else None

    return eventually(settled, seconds, f"{name} active")


class Answer:
    """What Invoke said, read to its end."""

    def __init__(self, parsed):
        self.raw = parsed["Payload"].read()
        self.status = parsed["StatusCode"]
        self.error = parsed.get("FunctionError")
        self.version = parsed.get("ExecutedVersion")
        self.log = base64.b64decode(parsed.get("LogResult", "")).decode("utf-8", "replace")
        self.id = parsed["ResponseMetadata"]["RequestId"]
        self.headers = parsed["ResponseMetadata"]["HTTPHeaders"]

    @property
    def payload(self):
        return json.loads(self.raw)

    def __repr__(self):
        return f"<{self.status} {self.error} {self.raw[:600]!r} log {self.log[-1500:]!r}>"


def invoke(lambda_, name, event=None, **options):
    options.setdefault("LogType", "Tail")
    if "Payload" not in options:
        options["Payload"] = json.dumps({} if event is None else event)
    return Answer(lambda_.invoke(FunctionName=name, **options))


def refused(code, status, call, **arguments):
    """The message of the error that a call has to end with."""
    try:
        answer = call(**arguments)
    except ClientError as error:
        response = error.response
    else:
        raise AssertionError(f"{code} is expected: {answer}")
    assert (response["Error"]["Code"], response["ResponseMetadata"]["HTTPStatusCode"]) == (code, status), response
    return response["Error"]["Message"]


def stopwatch():
    """Seconds since now."""
    began = time.monotonic()
    return lambda: time.monotonic() - began
