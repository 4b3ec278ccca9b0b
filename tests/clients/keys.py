"""Access keys of a server's data directory, by `lambkin keys`, and clients that sign with them."""

import json
import subprocess
import urllib.error
import urllib.request

import boto3
import botocore.config
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import shapes
from lambda_client import REGION
from server import binary


def run(server, *arguments):
    """`lambkin keys …` on this server's data, answered in JSON where it has something to say."""
    command = [binary(), "keys", *arguments, "--data", str(server.data)]
    if arguments[0] != "revoke":
        command.append("--json")
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout) if done.stdout else done.stderr


def make(server, directory=None, policy=None, name="ann", account=None):
    """A new key: (id, secret)."""
    options = ["--account", account] if account else []
    if policy is not None:
        file = directory / f"{name}.json"
        file.write_text(json.dumps({"Version": "2012-10-17", "Statement": policy}))
        options += ["--policy", str(file)]
    made = run(server, "create", "--name", name, *options)
    return made["accessKeyId"], made["secretAccessKey"]


def client(service, endpoint, key, token=None, **config):
    """A client that signs with this key."""
    made = boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        aws_session_token=token,
        config=botocore.config.Config(retries={"total_max_attempts": 1}, **config),
    )
    shapes.install(made)
    return made


def signed(running, key, method, path, body=None, host=None):
    """Status and body of a request that this key signs, to this host of lambkin's."""
    headers = {"Host": host} if host else {}
    request = AWSRequest(method=method, url=f"{running.endpoint}{path}", data=body, headers=headers)
    SigV4Auth(Credentials(*key), "lambda", REGION).add_auth(request)
    sent = urllib.request.Request(request.url, data=body, method=method, headers=dict(request.headers))
    try:
        with urllib.request.urlopen(sent, timeout=60) as answer:
            return answer.status, answer.read()
    except urllib.error.HTTPError as refusal:
        return refusal.code, refusal.read()
