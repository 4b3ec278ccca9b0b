"""Function URLs: made by boto3, called by real HTTP clients at their hosts and by path; what both sides get, and who may."""

import base64
import http.client
import json
import re
import shutil
import socket
import subprocess
import threading
import time
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import keys
import kept
from lambda_client import ACCOUNT, REGION, arn, create, invoke, refused
from server import Server, eventually

FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)
ANSWER = "exports.handler=async e=>{if(e.queryStringParameters?.fail)throw new Error('no');return JSON.parse(e.body)}"
STREAM = """
const pause = (ms) => new Promise((done) => setTimeout(done, ms));
let count = 0;
exports.handler = awslambda.streamifyResponse(async (event, stream) => {
  count++;
  const steps = JSON.parse(event.body ?? '[]');
  for (const step of steps) {
    if (step.meta) stream = awslambda.HttpResponseStream.from(stream, step.meta);
    if (step.type) stream.setContentType(step.type);
    if (step.write !== undefined) stream.write(step.write);
    if (step.count) stream.write(String(count));
    if (step.pause) await pause(step.pause);
    if (step.fail) throw new RangeError(step.fail);
    if (step.log) console.log(step.log);
    for (let sent = 0; sent < (step.flood ?? 0); sent += 65536) {
      if (!stream.write(Buffer.alloc(65536, 120))) await new Promise((done) => stream.once('drain', done));
    }
  }
  stream.end();
});
"""


class Reply:
    def __init__(self, answer):
        self.status, self.headers, self.body = answer.status, answer.headers, answer.read()

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:600]!r}>"


def ask(running, url, method="GET", path="/", body=None, headers=None, open_=False):
    """Asks a URL as a client whose resolver knows its host: at lambkin's address, by the host's name."""
    address, host = urllib.parse.urlsplit(running.endpoint), urllib.parse.urlsplit(url).netloc
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    # http.client joins several headers of one name to none.
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    body = body.encode() if isinstance(body, str) else body
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    for name, value in [("Host", host), *(headers or [])]:
        connection.putheader(name, value)
    connection.endheaders(body)
    answer = connection.getresponse()
    if open_:
        return connection, answer
    reply = Reply(answer)
    connection.close()
    return reply


def publish(lambda_, name, qualifier=None, auth_type="NONE", **settings):
    """A URL that everybody may call; its address."""
    qualified = {"Qualifier": qualifier} if qualifier else {}
    made = lambda_.create_function_url_config(FunctionName=name, AuthType=auth_type, **qualified, **settings)
    if auth_type == "NONE":
        allow(lambda_, name, **qualified)
    return made["FunctionUrl"]


def allow(lambda_, name, principal="*", auth_type="NONE", **qualified):
    lambda_.add_permission(
        FunctionName=name, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal=principal,
        FunctionUrlAuthType=auth_type, **qualified,
    )
    lambda_.add_permission(
        FunctionName=name, StatementId="function", Action="lambda:InvokeFunction", Principal=principal,
        InvokedViaFunctionUrl=True, **qualified,
    )


@pytest.fixture(scope="module")
def echo(shared, lambda_):
    create(lambda_, "url-echo")
    return publish(lambda_, "url-echo")


@pytest.fixture(scope="module")
def answer(shared, lambda_):
    create(lambda_, "url-answer", ANSWER)
    return publish(lambda_, "url-answer")


@pytest.fixture(scope="module")
def stream(shared, lambda_):
    create(lambda_, "url-stream", STREAM, Timeout=30)
    return publish(lambda_, "url-stream", InvokeMode="RESPONSE_STREAM")


def test_a_configuration_comes_and_goes(lambda_, name):
    create(lambda_, name)
    cors = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["GET", "PUT"], "MaxAge": 60, "AllowCredentials": False}
    made = lambda_.create_function_url_config(FunctionName=name, AuthType="AWS_IAM", Cors=cors)
    url = made["FunctionUrl"]
    assert re.fullmatch(rf"http://[a-z0-9]{{32}}\.lambda-url\.{REGION}\.localhost:\d+/", url)
    assert (made["FunctionArn"], made["AuthType"], made["Cors"]) == (arn(name), "AWS_IAM", cors)
    assert "InvokeMode" not in made and "LastModifiedTime" not in made
    found = lambda_.get_function_url_config(FunctionName=name)
    assert (found["FunctionUrl"], found["InvokeMode"], found["Cors"]) == (url, "BUFFERED", cors)
    assert found["CreationTime"] == found["LastModifiedTime"] == made["CreationTime"]
    text = refused("ResourceConflictException", 409, lambda_.create_function_url_config, FunctionName=name, AuthType="NONE")
    assert text == (
        f"Failed to create function url config for [functionArn = {arn(name)}]. Error message:  "
        "FunctionUrlConfig exists for this Lambda function"
    )
    changed = lambda_.update_function_url_config(FunctionName=name, AuthType="NONE")
    assert "InvokeMode" not in changed and (changed["AuthType"], changed["Cors"]) == ("NONE", cors)
    assert changed["LastModifiedTime"] >= changed["CreationTime"] == made["CreationTime"]
    changed = lambda_.update_function_url_config(FunctionName=name, InvokeMode="RESPONSE_STREAM", Cors={})
    assert changed["InvokeMode"] == "RESPONSE_STREAM" and "Cors" not in changed
    assert lambda_.update_function_url_config(FunctionName=name)["InvokeMode"] == "RESPONSE_STREAM"
    assert lambda_.delete_function_url_config(FunctionName=name)["ResponseMetadata"]["HTTPStatusCode"] == 204
    for call in (lambda_.get_function_url_config, lambda_.update_function_url_config, lambda_.delete_function_url_config):
        assert refused("ResourceNotFoundException", 404, call, FunctionName=name) == "The resource you requested does not exist."
    for call in (lambda_.update_function_url_config, lambda_.delete_function_url_config, lambda_.list_function_url_configs):
        assert refused("ResourceNotFoundException", 404, call, FunctionName="nobody") == "Function does not exist"
    again = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE", InvokeMode="BUFFERED")
    assert again["FunctionUrl"] != url and again["InvokeMode"] == "BUFFERED"


def test_what_is_asked_wrongly(lambda_, unchecked, name):
    create(lambda_, name)
    make = unchecked.create_function_url_config
    for arguments, words in (
        ({"AuthType": "OPEN"}, "enum value set: ["),
        ({"AuthType": "NONE", "InvokeMode": "FAST"}, "enum value set: ["),
        ({"AuthType": "NONE", "Qualifier": "1"}, "regular expression pattern: "),
        ({"AuthType": "NONE", "Cors": {"MaxAge": 86401}}, "less than or equal to 86400"),
        ({"AuthType": "NONE", "Cors": {"AllowMethods": ["OPTIONSX"]}}, "length less than or equal to 6"),
        ({}, "must not be null"),
    ):
        assert words in refused("ValidationException", 400, make, FunctionName=name, **arguments), arguments
    text = refused("ResourceNotFoundException", 404, make, FunctionName=name, AuthType="NONE", Qualifier="none")
    assert text == "Function does not exist"
    assert lambda_.list_function_url_configs(FunctionName=name)["FunctionUrlConfigs"] == []


def test_the_event_is_of_format_2(shared, lambda_, echo):
    reply = ask(
        shared, echo, "POST", "/a%20b/c?x=1&y=%26&x=2", '{"a":1}',
        [("Content-Type", "application/json"), ("Cookie", "a=1; b=2"), ("User-Agent", "test"), ("X-Many", "1"), ("X-Many", "2")],
    )
    assert (reply.status, reply.headers["Content-Type"]) == (200, "application/json"), reply
    event, host = reply.json, urllib.parse.urlsplit(echo)
    identity = host.hostname.split(".")[0]
    context = event["requestContext"]
    assert (event["version"], event["routeKey"], event["rawPath"]) == ("2.0", "$default", "/a%20b/c")
    assert event["rawQueryString"] == "x=1&y=%26&x=2" and event["queryStringParameters"] == {"x": "1,2", "y": "&"}
    assert event["cookies"] == ["a=1", "b=2"] and event["headers"]["cookie"] == "a=1; b=2" and event["headers"]["x-many"] == "1,2"
    assert (event["body"], event["isBase64Encoded"]) == ('{"a":1}', False)
    assert (event["headers"]["host"], event["headers"]["x-forwarded-for"]) == (host.netloc, "127.0.0.1")
    assert (event["headers"]["x-forwarded-proto"], event["headers"]["x-forwarded-port"]) == ("http", str(host.port))
    assert event["headers"]["x-amzn-trace-id"].startswith("Root=1-")
    assert (context["accountId"], context["apiId"], context["domainPrefix"]) == ("anonymous", identity, identity)
    assert context["domainName"] == host.hostname and "authorizer" not in context
    assert context["http"] == {"method": "POST", "path": "/a%20b/c", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "test"}
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", context["time"])
    assert abs(context["timeEpoch"] / 1000 - time.time()) < 60
    # One id everywhere.
    assert reply.headers["x-amzn-requestid"] == context["requestId"]
    eventually(lambda: context["requestId"] in kept.text(shared, "/aws/lambda/url-echo"), 10, "its log")
    bare = ask(shared, echo).json
    assert not {"body", "cookies", "queryStringParameters"} & bare.keys()
    binary = ask(shared, echo, "PUT", body=b"\x00\xff", headers=[("Content-Type", "image/png")]).json
    assert (binary["body"], binary["isBase64Encoded"]) == (base64.b64encode(b"\x00\xff").decode(), True)


def test_what_the_function_says_is_the_answer(shared, answer):
    def said(result):
        return ask(shared, answer, "POST", body=json.dumps(result), headers=[("Content-Type", "application/json")])

    for result, body in (("hello", b"hello"), (["hello", 3, True], b'["hello",3,true]'), (3, b"3"), (True, b"true"), ({"a": 1}, b'{"a":1}')):
        reply = said(result)
        assert (reply.status, reply.headers["Content-Type"], reply.body) == (200, "application/json", body)
    reply = said({"statusCode": "418", "headers": {"Content-Type": "text/plain", "X-A": 1}, "cookies": ["a=1", "b=2; Path=/"], "body": "tea"})
    assert (reply.status, reply.headers["Content-Type"], reply.headers["X-A"], reply.body) == (418, "text/plain", "1", b"tea")
    assert reply.headers.get_all("Set-Cookie") == ["a=1", "b=2; Path=/"]
    reply = said({"statusCode": 200, "isBase64Encoded": True, "body": base64.b64encode(b"\x00\xff").decode()})
    assert reply.body == b"\x00\xff"
    for malformed in ({"statusCode": 99}, {"statusCode": 200, "headers": {"a": "b\r\nc: d"}}, {"statusCode": 200, "body": "%", "isBase64Encoded": True}):
        reply = said(malformed)
        assert (reply.status, reply.body) == (502, b"Internal Server Error"), malformed
    reply = ask(shared, answer, "POST", "/?fail=1", "{}")
    assert (reply.status, reply.body) == (502, b"Internal Server Error")
    head = ask(shared, answer, "HEAD", headers=[("Content-Type", "text/plain")])
    assert head.status == 502 and head.body == b"", "it has no body to parse"


def test_limits(shared, lambda_, answer, name):
    reply = ask(shared, answer, "POST", body=b"x" * (6 * 1024 * 1024 + 1), headers=[("Content-Type", "text/plain")])
    assert reply.status == 413, reply
    # In base64 it is too large.
    reply = ask(shared, answer, "POST", body=b"x" * (5 * 1024 * 1024), headers=[("Content-Type", "image/png")])
    assert reply.status == 413, reply
    # And what grows on its way to JSON is not kept for it.
    reply = ask(shared, answer, "POST", body=b"\x01" * (5 * 1024 * 1024), headers=[("Content-Type", "text/plain")])
    assert reply.status == 413 and str(6 * 5 * 1024 * 1024)[:3] in reply.json["message"], reply
    create(lambda_, name)
    url = publish(lambda_, name)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=0)
    reply = ask(shared, url)
    assert reply.status == 429 and reply.json["Reason"] == "ReservedFunctionConcurrentInvocationLimitExceeded", reply


def test_who_is_not_there(shared, lambda_, echo, name):
    unknown = ask(shared, f"http://{'0' * 32}.lambda-url.{REGION}.localhost:1/")
    assert (unknown.status, unknown.json, unknown.headers["x-amzn-ErrorType"]) == (403, {"Message": None}, "AccessDeniedException")
    assert unknown.headers["Content-Type"] == "application/json"
    assert ask(shared, echo.replace(REGION, "eu-west-1")).json == {"Message": None}, "another region's"
    create(lambda_, name)
    url = publish(lambda_, name)
    assert ask(shared, url).status == 200
    lambda_.delete_function_url_config(FunctionName=name)
    assert ask(shared, url).json == {"Message": None}
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]
    assert ask(shared, url).status == 200
    lambda_.delete_function(FunctionName=name)
    assert ask(shared, url).json == {"Message": None}


def test_nothing_is_open_without_both_permissions(shared, lambda_, name):
    create(lambda_, name)
    url = lambda_.create_function_url_config(FunctionName=name, AuthType="NONE")["FunctionUrl"]

    def closed():
        reply = ask(shared, url)
        assert (reply.status, reply.json, reply.headers["x-amzn-ErrorType"]) == (403, {"Message": FORBIDDEN}, "AccessDeniedException")
        return True

    assert closed()
    statement = {"FunctionName": name, "Principal": "*"}
    lambda_.add_permission(**statement, StatementId="a", Action="lambda:InvokeFunctionUrl", FunctionUrlAuthType="NONE")
    assert closed()
    lambda_.add_permission(**statement, StatementId="b", Action="lambda:InvokeFunction", InvokedViaFunctionUrl=True)
    assert ask(shared, url).status == 200
    lambda_.update_function_url_config(FunctionName=name, AuthType="AWS_IAM")
    assert closed(), "what is for open URLs opens no other"
    lambda_.update_function_url_config(FunctionName=name, AuthType="NONE")
    lambda_.remove_permission(FunctionName=name, StatementId="a")
    assert closed()


def test_an_alias_has_a_url_of_its_own_that_outlives_it(shared, lambda_, name):
    create(lambda_, name, "exports.handler=async(e,c)=>c.functionVersion+' '+c.invokedFunctionArn")
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    own, live = publish(lambda_, name), publish(lambda_, name, "live")
    assert own != live
    assert ask(shared, own).body.decode() == f"$LATEST {arn(name)}"
    assert ask(shared, live).body.decode() == f"1 {arn(name, 'live')}"
    page = lambda_.list_function_url_configs(FunctionName=name, MaxItems=1)
    rest = lambda_.list_function_url_configs(FunctionName=name, Marker=page["NextMarker"])
    listed = page["FunctionUrlConfigs"] + rest["FunctionUrlConfigs"]
    assert [config["FunctionArn"] for config in listed] == [arn(name), arn(name, "live")] and "NextMarker" not in rest
    lambda_.delete_alias(FunctionName=name, Name="live")
    assert ask(shared, live).json == {"Message": FORBIDDEN}
    assert ask(shared, own).status == 200
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="$LATEST")
    allow(lambda_, name, Qualifier="live")
    assert ask(shared, live).body.decode() == f"$LATEST {arn(name, 'live')}"


def test_cors(shared, lambda_, name):
    create(lambda_, name, "exports.handler=async()=>({statusCode:200,headers:{'Access-Control-Allow-Origin':'https://evil.example'},body:'ran'})")
    origins = {"AllowOrigins": ["https://a.example"], "AllowMethods": ["PUT"], "AllowHeaders": ["x-a"], "ExposeHeaders": ["x-b"], "MaxAge": 5}
    url = publish(lambda_, name, Cors=origins)
    asked = [("Origin", "https://a.example"), ("Access-Control-Request-Method", "PUT"), ("Access-Control-Request-Headers", "x-a")]
    told = ask(shared, url, "OPTIONS", headers=asked)
    assert (told.status, told.body) == (200, b"")
    assert {name[21:]: value for name, value in told.headers.items() if name.startswith("access-control-allow-")} == {
        "origin": "https://a.example", "methods": "PUT", "headers": "x-a"
    }
    assert told.headers["access-control-max-age"] == "5"
    reply = ask(shared, url, headers=asked[:1])
    assert (reply.headers["access-control-allow-origin"], reply.headers["access-control-expose-headers"], reply.body) == ("https://a.example", "x-b", b"ran")
    other = ask(shared, url, headers=[("Origin", "https://b.example")])
    assert other.status == 200 and "access-control-allow-origin" not in other.headers
    # Without a configuration it is the function's own.
    lambda_.update_function_url_config(FunctionName=name, Cors={})
    assert ask(shared, url, "OPTIONS", headers=asked).headers["access-control-allow-origin"] == "https://evil.example"


def test_an_answer_streams(shared, stream):
    steps = [{"meta": {"statusCode": 201, "headers": {"Content-Type": "text/html", "X-A": "b"}, "cookies": ["c=d"]}}, {"write": "one"}, {"pause": 1000}, {"write": "two"}]
    connection, answer = ask(shared, stream, "POST", body=json.dumps(steps), headers=[("Content-Type", "application/json")], open_=True)
    began = time.monotonic()
    assert (answer.status, answer.headers["Content-Type"], answer.headers["X-A"]) == (201, "text/html", "b")
    assert answer.headers["Set-Cookie"] == "c=d" and answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.read1() == b"one" and time.monotonic() - began < 0.8, "the first was held back"
    assert answer.read() == b"two" and time.monotonic() - began > 0.8
    connection.close()

    def said(*steps):
        return ask(shared, stream, "POST", body=json.dumps(steps), headers=[("Content-Type", "application/json")])

    plain = said({"write": "a\0\0\0\0\0\0\0\0b"})
    assert (plain.status, plain.headers["Content-Type"], plain.body) == (200, "application/octet-stream", b"a\0\0\0\0\0\0\0\0b")
    assert said({"type": "text/csv"}, {"write": "a,b"}).headers["Content-Type"] == "text/csv"
    empty = said({"meta": {"statusCode": 404}})
    assert (empty.status, empty.body) == (200, b""), "a prelude goes out with the first write (node-runtime 9.2)"
    failed = said({"fail": "before"})
    assert (failed.status, failed.body) == (502, b"Internal Server Error")
    with pytest.raises(http.client.IncompleteRead):
        said({"write": "part"}, {"pause": 50}, {"fail": "mid"})
    assert said({"write": "well"}).body == b"well"


def test_a_function_that_does_not_stream_has_its_result_passed(shared, lambda_, name):
    create(lambda_, name, "exports.handler=async()=>({statusCode:201,body:'b'})")
    reply = ask(shared, publish(lambda_, name, InvokeMode="RESPONSE_STREAM"))
    assert (reply.status, reply.headers["Content-Type"], reply.json) == (200, "application/json", {"statusCode": 201, "body": "b"})


def test_a_client_that_goes_away_leaves_the_environment_unhurt(shared, stream):
    def count():
        return int(ask(shared, stream, "POST", body=json.dumps([{"count": True}]), headers=[("Content-Type", "application/json")]).body)

    before = count()
    steps = [{"write": "a"}, {"flood": 16 << 20}, {"log": "url ran on"}]
    connection, answer = ask(shared, stream, "POST", body=json.dumps(steps), headers=[("Content-Type", "application/json")], open_=True)
    assert answer.read(1) == b"a"
    connection.sock and connection.sock.shutdown(socket.SHUT_RDWR)
    answer.close()
    connection.close()
    eventually(lambda: "url ran on" in kept.text(shared, "/aws/lambda/url-stream"), 20, "its log")
    assert count() == before + 2


@pytest.mark.skipif(shutil.which("curl") is None, reason="no curl")
def test_curl_sees_the_stream_grow(shared, stream):
    host = urllib.parse.urlsplit(stream)
    steps = json.dumps([{"write": "one\n"}, {"pause": 1000}, {"write": "two\n"}])
    port = urllib.parse.urlsplit(shared.endpoint).port
    command = ["curl", "-sN", "--resolve", f"{host.hostname}:{port}:127.0.0.1", "-H", "Content-Type: application/json", "-d", steps, stream]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as curl:
        assert curl.stdout.readline() == b"one\n"
        began = time.monotonic()
        assert curl.stdout.readline() == b"two\n" and time.monotonic() - began > 0.5
        assert curl.wait(30) == 0


def test_pages_of_any_origin_reach_urls_and_nothing_else(shared, lambda_, echo):
    """The API's rules for Host, Origin and Authorization are not a URL's, and a URL's host opens nothing of the API."""
    assert ask(shared, echo, headers=[("Origin", "https://evil.example")]).status == 200
    reply = ask(shared, echo, path="/2015-03-31/functions/")
    assert reply.json["rawPath"] == "/2015-03-31/functions/", "its paths are the function's"
    assert ask(shared, echo, path="/_lambkin/queues").json["rawPath"] == "/_lambkin/queues"
    foreign = ask(shared, echo.replace("localhost", "evil.example"))
    assert foreign.status == 403 and "does not answer to the host" in foreign.json["Message"], foreign


@pytest.fixture(scope="module")
def signing(tmp_path_factory):
    """A server with keys, which serves URLs by path too."""
    with Server(tmp_path_factory.mktemp("urls"), "--url-listen", "127.0.0.1:0") as server:
        server.key = keys.make(server)
        server.url_port = int(server.awaits(rb"^function URLs by path: http://127\.0\.0\.1:(\d+)/<url-id>/$")[1])
        server.client = keys.client("lambda", server.endpoint, server.key)
        yield server


def sign(url, key, method="GET", body=b"", headers=None):
    request = botocore.awsrequest.AWSRequest(method, url, headers=headers or {}, data=body)
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(*key), "lambda", REGION).add_auth(request)
    return list(request.prepare().headers.items())


def test_iam_urls_know_who_signed(signing, tmp_path):
    lambda_ = signing.client
    create(lambda_, "iam")
    url = publish(lambda_, "iam", auth_type="AWS_IAM")

    def asked(key, body=b"", sent=None, path="/"):
        headers = [pair for pair in sign(url.rstrip("/") + path, key, "POST", body) if pair[0].lower() not in ("host", "content-length")]
        return ask(signing, url, "POST", path, body if sent is None else sent, headers)

    reply = asked(signing.key, b"[1]", path="/a/b?c=d")
    assert reply.status == 200, reply
    context = reply.json["requestContext"]
    assert context["accountId"] == ACCOUNT and context["authorizer"]["iam"]["accessKey"] == signing.key[0]
    assert context["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:user/ann"
    assert ask(signing, url).json == {"Message": FORBIDDEN}, "unsigned"
    assert ask(signing, url, headers=[("Authorization", "Bearer x")]).status == 400
    for reply in (asked((signing.key[0], "wrong")), asked(signing.key, b"[1]", b"[2]")):
        assert reply.status == 403 and reply.headers["x-amzn-ErrorType"] == "InvalidSignatureException", reply
    assert asked(("AKIAAAAAAAAAAAAAAAAA", "any")).headers["x-amzn-ErrorType"] == "UnrecognizedClientException"
    # What a key may do bounds it here too; a function's policy may let it in.
    bob = keys.make(signing, tmp_path, [{"Effect": "Allow", "Action": "lambda:InvokeFunctionUrl", "Resource": "*"}], "bob")
    assert asked(bob).json == {"Message": FORBIDDEN}, "one of the two actions"
    both = ["lambda:InvokeFunctionUrl", "lambda:InvokeFunction"]
    assert asked(keys.make(signing, tmp_path, [{"Effect": "Allow", "Action": both, "Resource": arn("iam")}], "both")).status == 200
    elsewhere = keys.make(signing, tmp_path, [{"Effect": "Allow", "Action": both, "Resource": arn("other")}], "elsewhere")
    assert asked(elsewhere).json == {"Message": FORBIDDEN}
    allow(lambda_, "iam", f"arn:aws:iam::{ACCOUNT}:user/elsewhere", "AWS_IAM")
    assert asked(elsewhere).status == 200
    # Once more without a body to wait for: an open URL asks nobody for a key.
    create(lambda_, "open")
    assert ask(signing, publish(lambda_, "open")).status == 200


def test_urls_by_path(signing):
    lambda_ = signing.client
    create(lambda_, "by-path")
    url = publish(lambda_, "by-path")
    identity = urllib.parse.urlsplit(url).hostname.split(".")[0]

    class Port:
        endpoint = f"http://127.0.0.1:{signing.url_port}"

    event = ask(Port, Port.endpoint, path=f"/{identity}/a/b?c=d").json
    assert (event["rawPath"], event["rawQueryString"], event["requestContext"]["apiId"]) == ("/a/b", "c=d", identity)
    assert ask(Port, Port.endpoint, path=f"/{identity}").json["rawPath"] == "/"
    for path in ("/", "/_lambkin/health", "/2015-03-31/functions/", f"/{'0' * 32}/"):
        reply = ask(Port, Port.endpoint, path=path)
        assert (reply.status, reply.json) == (403, {"Message": None}), path
    create(lambda_, "by-path-iam")
    url = publish(lambda_, "by-path-iam", auth_type="AWS_IAM")
    path = f"/{urllib.parse.urlsplit(url).hostname.split('.')[0]}/x"
    headers = [pair for pair in sign(Port.endpoint + path, signing.key) if pair[0].lower() != "host"]
    assert ask(Port, Port.endpoint, path=path, headers=headers).json["rawPath"] == "/x"
    assert ask(Port, Port.endpoint, path=path).json == {"Message": FORBIDDEN}


def test_a_url_is_the_same_after_a_restart(server):
    running = server()
    lambda_ = keys.client("lambda", running.endpoint, ("any", "any"))
    create(lambda_, "f")
    url = publish(lambda_, "f")
    signed_only = publish(lambda_, create(lambda_, "g")["FunctionName"], auth_type="AWS_IAM")
    # Where nothing is verified any signature is the owner's.
    assert ask(running, signed_only).json == {"Message": FORBIDDEN}
    context = ask(running, signed_only, headers=sign(signed_only, ("any", "any"))[1:]).json["requestContext"]
    assert context["authorizer"]["iam"]["userArn"] == f"arn:aws:iam::{ACCOUNT}:root"
    running.kill()
    running.start()
    lambda_ = keys.client("lambda", running.endpoint, ("any", "any"))
    again = lambda_.get_function_url_config(FunctionName="f")["FunctionUrl"]
    assert urllib.parse.urlsplit(again).hostname == urllib.parse.urlsplit(url).hostname
    assert ask(running, again).status == 200


def test_malformed_requests_never_break_anything(shared, echo):
    for path, headers in (
        ("/%", []), ("/%00%ff", []), ("/?%=%&&&=&a", []), ("//..//./", []), ("/" + "a" * 7000, []),
        ("/", [("Cookie", ";;; =;")]), ("/", [("X-Amz-Target", "AmazonSQS.ListQueues")]), ("/", [("Content-Type", "\xff")]),
        ("/?Action=ListQueues&Version=2012-11-05", []), ("/", [("Authorization", "x")]), ("/", [("X-Amz-Invocation-Type", "Event")]),
    ):
        reply = ask(shared, echo, path=path, headers=headers)
        assert reply.status == 200 and reply.json["rawPath"] == path.split("?")[0], (path, headers, reply)
    trace = ask(shared, echo, "TRACE")
    assert trace.status == 405, trace


def test_many_at_once(shared, echo):
    seen = []

    def one(number):
        seen.append(ask(shared, echo, "POST", body=str(number), headers=[("Content-Type", "text/plain")]).json["body"])

    threads = [threading.Thread(target=one, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert sorted(map(int, seen)) == list(range(32))
