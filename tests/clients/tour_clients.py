"""The clients that go on the tour, unmodified: boto3 in this process, the others as programs that read a request in a
line and answer in a line. `tour.py` says in which form.
"""

import base64
import datetime
import json
import os
import pathlib
import selectors
import subprocess
import sys

import botocore
from botocore.eventstream import EventStream
from botocore.exceptions import ClientError

import aws_client
import node_binaries
from lambda_client import REGION
from server import ROOT
from tour import blob

HERE = pathlib.Path(__file__).resolve().parent
# For one answer, on a busy machine.
PATIENCE = 120


def plain(value):
    """botocore's values in the tour's form."""
    if isinstance(value, dict):
        return {key: plain(each) for key, each in value.items() if key != "ResponseMetadata"}
    if isinstance(value, (list, EventStream)):
        return [plain(each) for each in value]
    if isinstance(value, datetime.datetime):
        return {"$time": value.timestamp()}
    if hasattr(value, "read"):
        value = value.read()
    return blob(value) if isinstance(value, bytes) else value


def given(value):
    """The tour's form in botocore's values."""
    if isinstance(value, dict):
        if "$base64" in value:
            return base64.b64decode(value["$base64"])
        if "$time" in value:
            return datetime.datetime.fromtimestamp(value["$time"], datetime.timezone.utc)
        return {key: given(each) for key, each in value.items()}
    return [given(each) for each in value] if isinstance(value, list) else value


class Boto3:
    """boto3, each answer checked against botocore's model."""

    name = "boto3"
    services = {"lambda", "sqs", "logs", "cloudwatch"}

    def __init__(self, endpoint):
        self.clients = {service: aws_client.client(service, endpoint) for service in self.services}

    def has(self, service, operation):
        return operation in self.clients[service].meta.service_model.operation_names

    def ask(self, service, operation, input):
        try:
            answer = getattr(self.clients[service], botocore.xform_name(operation))(**given(input))
        except ClientError as error:
            said = error.response
            return {"status": said["ResponseMetadata"]["HTTPStatusCode"], "error": said["Error"]["Code"], "message": said["Error"]["Message"]}
        return {"status": answer["ResponseMetadata"]["HTTPStatusCode"], "output": plain(answer)}

    def close(self):
        pass


class Program:
    """A client that is a program of its own."""

    def __init__(self, endpoint, folder):
        self.errors = folder / f"{self.name}.txt"
        variables = {"PATH": os.environ["PATH"], "HOME": str(folder), "AWS_ENDPOINT_URL": endpoint, "AWS_REGION": REGION,
                     "AWS_DEFAULT_REGION": REGION, "AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any", "AWS_MAX_ATTEMPTS": "1"}
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, cwd=self.folder, env=variables
            )
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.process.stdout, selectors.EVENT_READ)
        self.left = b""

    def request(self, **request):
        self.process.stdin.write(json.dumps(request).encode() + b"\n")
        self.process.stdin.flush()
        while b"\n" not in self.left:
            assert self.selector.select(PATIENCE), f"{self.name} said nothing in {PATIENCE} s to {request}"
            piece = os.read(self.process.stdout.fileno(), 1 << 20)
            assert piece, f"{self.name} ended at {request}: {self.errors.read_text()}"
            self.left += piece
        line, self.left = self.left.split(b"\n", 1)
        said = json.loads(line)
        assert "broken" not in said, f"{self.name} at {request}: {said['broken']}"
        return said

    def has(self, service, operation):
        return self.request(service=service, has=operation)["has"]

    def ask(self, service, operation, input):
        return self.request(service=service, operation=operation, input=input)

    def close(self):
        self.selector.close()
        self.process.stdin.close()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process.wait()
            self.process.stdout.close()


class Cli(Program):
    """The aws CLI: mostly its own `main` in one process."""

    name = "cli"
    services = Boto3.services
    folder = HERE

    def command(self):
        return [sys.executable, "cli_driver.py"]


class SdkJs(Program):
    """The AWS SDK for JavaScript v3."""

    name = "sdk-js"
    services = {"lambda", "logs", "cloudwatch"}
    folder = HERE / "sdk-js"

    def command(self):
        assert (self.folder / "node_modules").is_dir(), "run `npm ci` in tests/clients/sdk-js first"
        return [node_binaries.installed("nodejs22.x")[1], "driver.mjs"]


class SdkRust(Program):
    """The AWS SDK for Rust; `cargo xtask test` builds its driver."""

    name = "sdk-rust"
    services = {"lambda"}
    folder = HERE / "sdk-rust"

    def command(self):
        program = ROOT / "target/xtask/sdk-rust/debug/lambkin-tests-sdk-rust"
        assert program.is_file(), f"no {program}: run `cargo build --locked --target-dir ../../../target/xtask/sdk-rust` in tests/clients/sdk-rust first"
        return [program]


CLIENTS = [Boto3, Cli, SdkJs, SdkRust]
