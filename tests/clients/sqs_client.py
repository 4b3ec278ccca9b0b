"""SQS as unmodified boto3 speaks it (AWS JSON), and as boto3 before 1.28.63 did (AWS Query): made by hand and signed by
botocore, because one process has one botocore.
"""

import hashlib
import re
import struct
import urllib.parse
import urllib.request
import xml.etree.ElementTree as ElementTree

import boto3
import botocore.auth
import botocore.awsrequest
import botocore.config
import botocore.credentials

import shapes
from lambda_client import ACCOUNT, REGION

NAMESPACE = "{http://queue.amazonaws.com/doc/2012-11-05/}"


def client(endpoint, validate=True, region=REGION):
    """A boto3 client whose every answer is checked."""
    made = boto3.session.Session().client(
        "sqs",
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=validate, read_timeout=60),
    )
    shapes.install(made)
    return made


def queue_arn(name):
    return f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"


class Query:
    """One request of the Query protocol at a time: `Query(endpoint)("SendMessage", MessageBody="x")`."""

    def __init__(self, endpoint):
        self.endpoint = endpoint

    def __call__(self, action, url=None, **parameters):
        """(HTTP status, the answer's root element without its namespace)."""
        form = {"Action": action, "Version": "2012-11-05", **{name.replace("_", "."): value for name, value in parameters.items()}}
        body = urllib.parse.urlencode(form).encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded; charset=utf-8"}
        request = botocore.awsrequest.AWSRequest("POST", url or self.endpoint, data=body, headers=headers)
        credentials = botocore.credentials.Credentials("AKIDEXAMPLE", "any")
        botocore.auth.SigV4Auth(credentials, "sqs", REGION).add_auth(request)
        sent = urllib.request.Request(request.url, body, dict(request.headers), method="POST")
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return answer.status, plain(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, plain(error.read())


def plain(xml):
    root = ElementTree.fromstring(xml)
    assert root.tag.startswith(NAMESPACE), xml
    for element in root.iter():
        element.tag = element.tag.removeprefix(NAMESPACE)
    return root


def error(answer):
    """(status, code, message) of a Query answer."""
    status, root = answer
    assert root.tag == "ErrorResponse" and re.fullmatch("[0-9a-f-]{36}", root.findtext("RequestId"))
    return status, root.findtext("Error/Code"), root.findtext("Error/Message")


def md5_of_attributes(attributes):
    """The developer guide's algorithm, by another hand than lambkin's."""
    digest = hashlib.md5()
    for name in sorted(attributes):
        value = attributes[name]
        for text in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack("!I", len(text)) + text)
        binary = value["DataType"].startswith("Binary")
        data = value["BinaryValue"] if binary else value["StringValue"].encode()
        digest.update((b"\2" if binary else b"\1") + struct.pack("!I", len(data)) + data)
    return digest.hexdigest()
