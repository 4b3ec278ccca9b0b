"""boto3 for the browser's tests: each line on standard input is a call as JSON, each line of the answer what it gave.

A list of parameters is as many calls at once. The service `zip` is none: it makes a package in
Base64, or reads one."""

import base64
import concurrent.futures
import io
import json
import sys
import zipfile

import boto3

clients = {}


def decoded(value):
    """JSON has no bytes: {"base64": text} stands for some, {"zip": {name: text or bytes}} for a package."""
    if isinstance(value, dict):
        if value.keys() == {"base64"}:
            return base64.b64decode(value["base64"])
        if value.keys() == {"zip"}:
            package = io.BytesIO()
            with zipfile.ZipFile(package, "w", zipfile.ZIP_DEFLATED) as files:
                for name, text in value["zip"].items():
                    entry = zipfile.ZipInfo(name)
                    # Readable for whoever the function runs as.
                    entry.external_attr = 0o644 << 16
                    files.writestr(entry, decoded(text), zipfile.ZIP_DEFLATED)
            return package.getvalue()
        return {name: decoded(inner) for name, inner in value.items()}
    return value


def answer(asked):
    if asked["service"] == "zip" and asked["operation"] == "read":
        with zipfile.ZipFile(io.BytesIO(base64.b64decode(asked["parameters"]["zip"]))) as package:
            return {"files": {name: package.read(name).decode(errors="replace") for name in package.namelist()}}
    if asked["service"] == "zip":
        return {"ZipFile": base64.b64encode(decoded({"zip": asked["parameters"]["files"]})).decode()}
    key = (asked["endpoint"], asked["region"], asked["service"])
    if key not in clients:
        clients[key] = boto3.client(
            asked["service"],
            endpoint_url=asked["endpoint"],
            region_name=asked["region"],
            aws_access_key_id="any",
            aws_secret_access_key="any",
        )
    operation = getattr(clients[key], asked["operation"])

    def call(parameters):
        gave = operation(**decoded(parameters))
        return {name: value.read().decode() if hasattr(value, "read") else value for name, value in gave.items()}

    if isinstance(asked["parameters"], list):
        with concurrent.futures.ThreadPoolExecutor(8) as several:
            return list(several.map(call, asked["parameters"]))
    return call(asked["parameters"])


for line in sys.stdin:
    try:
        said = {"answer": answer(json.loads(line))}
    except Exception as error:  # What boto3 raises is an answer, too: the test says whether it wanted that.
        said = {"error": f"{type(error).__name__}: {error}"}
    print(json.dumps(said, default=str), flush=True)
