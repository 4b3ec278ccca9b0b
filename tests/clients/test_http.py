"""Requests as no SDK sends them: what a web page or a broken client could try gets AWS's kind of error, and nothing is
buffered without end (DESIGN §3; aws-behaviour A)."""

import base64
import errno
import http.client
import json
import re
import socket
import urllib.parse

import pytest

from lambda_client import ECHO, ROLE, create, invoke, zipped

AUTHORIZATION = {
    "Authorization": "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/us-east-1/lambda/aws4_request, "
    "SignedHeaders=host;x-amz-date, Signature=00"
}
FUNCTIONS = "/2015-03-31/functions"
UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


class Reply:
    def __init__(self, response):
        self.status = response.status
        self.headers = {name.lower(): value for name, value in response.getheaders()}
        self.body = response.read()
        self.code = self.headers.get("x-amzn-errortype", "").split(":")[0]

    def __repr__(self):
        return f"<{self.status} {self.headers} {self.body[:400]!r}>"


def send(shared, method, path, body=None, headers=AUTHORIZATION, host=None):
    address = urllib.parse.urlsplit(shared.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
    connection.putheader("Host", host or address.netloc)
    for key, value in (headers or {}).items():
        connection.putheader(key, value)
    if body is not None:
        connection.putheader("Content-Length", str(len(body)))
    connection.endheaders(body)
    reply = Reply(connection.getresponse())
    connection.close()
    return reply


@pytest.fixture
def function(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async()=>++n")
    return name


def test_an_error_has_awss_form_on_the_wire(shared):
    reply = send(shared, "GET", f"{FUNCTIONS}/nobody")
    assert reply.status == 404 and reply.code == "ResourceNotFoundException", reply
    assert reply.headers["content-type"] == "application/json" and UUID.fullmatch(reply.headers["x-amzn-requestid"])
    assert json.loads(reply.body) == {
        "Type": "User",
        "Message": "Function not found: arn:aws:lambda:us-east-1:000000000000:function:nobody",
    }


@pytest.mark.parametrize(
    "method, path, body",
    [
        ("POST", FUNCTIONS, b"{}"),
        ("POST", f"{FUNCTIONS}/NAME/invocations", b"{}"),
        ("PUT", f"{FUNCTIONS}/NAME/configuration", b'{"Timeout":9}'),
        ("DELETE", f"{FUNCTIONS}/NAME", None),
    ],
)
def test_nothing_changes_without_an_authorization(lambda_, shared, function, method, path, body):
    reply = send(shared, method, path.replace("NAME", function), body, headers=None)
    assert reply.status == 403 and reply.code == "MissingAuthenticationTokenException", reply
    assert lambda_.get_function_configuration(FunctionName=function)["Timeout"] == 3
    assert invoke(lambda_, function).payload == 1


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1.evil.example", "localhost.evil.example:4566", "10.255.255.1"])
def test_a_foreign_host_is_refused(shared, host):
    """DNS rebinding: a page's own name that points here."""
    assert send(shared, "GET", FUNCTIONS, host="localhost").status == 200
    assert send(shared, "GET", FUNCTIONS, host=host).status == 403


@pytest.mark.parametrize("origin", ["http://evil.example", "https://evil.example", "null", "http://localhost:1"])
def test_a_foreign_origin_is_refused(lambda_, shared, function, origin):
    headers = {**AUTHORIZATION, "Origin": origin}
    assert send(shared, "GET", FUNCTIONS, headers=headers).status == 403
    assert send(shared, "POST", f"{FUNCTIONS}/{function}/invocations", b"{}", headers).status == 403
    assert send(shared, "OPTIONS", FUNCTIONS, headers=headers).headers.get("access-control-allow-origin") is None
    assert invoke(lambda_, function).payload == 1


@pytest.mark.parametrize("body", [b"", b"not json", b"[]", b"null", b'"text"', b'{"FunctionName":', b"\xff\xfe{}"])
def test_a_body_that_is_no_json_object_is_refused(shared, body):
    reply = send(shared, "POST", FUNCTIONS, body)
    assert reply.status == 400 and reply.code, reply
    assert json.loads(reply.body).keys() & {"message", "Message"}, reply


@pytest.mark.parametrize("member, value", [("Timeout", "nine"), ("Environment", []), ("Handler", 7)])
def test_a_member_of_the_wrong_type_is_refused(shared, name, member, value):
    request = {
        "FunctionName": name, "Runtime": "nodejs22.x", "Role": ROLE, "Handler": "index.handler",
        "Code": {"ZipFile": base64.b64encode(zipped({"index.js": ECHO})).decode()}, member: value,
    }
    reply = send(shared, "POST", FUNCTIONS, json.dumps(request).encode())
    assert reply.status == 400 and reply.code in ("SerializationException", "ValidationException"), reply
    assert send(shared, "GET", f"{FUNCTIONS}/{name}").status == 404


def test_a_required_member_that_is_missing_is_a_validation_error(shared):
    reply = send(shared, "POST", FUNCTIONS, b'{"FunctionName":"incomplete"}')
    assert reply.status == 400 and reply.code == "ValidationException", reply
    message = json.loads(reply.body)
    message = message.get("message", message.get("Message"))
    assert "at 'role' failed to satisfy constraint: Member must not be null" in message, message


def test_a_media_type_other_than_json_is_refused_for_the_control_plane(shared, name):
    for media in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", "application/xml"):
        reply = send(shared, "POST", FUNCTIONS, b"{}", {**AUTHORIZATION, "Content-Type": media})
        assert 400 <= reply.status < 500 and reply.code, reply
    for media in ("application/json", "application/x-amz-json-1.1", "application/json; charset=utf-8"):
        reply = send(shared, "POST", FUNCTIONS, b"{}", {**AUTHORIZATION, "Content-Type": media})
        assert reply.code == "ValidationException", reply


def test_an_oversized_body_is_refused_before_it_is_sent(shared):
    """The answer comes while the body is still outstanding: it cannot have been buffered."""
    address = urllib.parse.urlsplit(shared.endpoint)
    for path, length, text in (
        (FUNCTIONS, 70_167_212, b"Request must be smaller than 70167211 bytes for the CreateFunction operation"),
        (f"{FUNCTIONS}/any/invocations", 6_291_457, b"6291456"),
        (FUNCTIONS, 10**15, b"Request must be smaller than 70167211 bytes"),
    ):
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            head = [f"POST {path} HTTP/1.1", f"Host: {address.netloc}", f"Content-Length: {length}"]
            head += [f"{key}: {value}" for key, value in AUTHORIZATION.items()]
            connection.sendall("\r\n".join([*head, "", ""]).encode() + b'{"')
            answer = b""
            while b"\r\n\r\n" not in answer or text not in answer:
                piece = connection.recv(65536)
                assert piece, answer
                answer += piece
            assert answer.startswith(b"HTTP/1.1 413 "), answer


def test_a_chunked_body_is_bounded_too(shared):
    address = urllib.parse.urlsplit(shared.endpoint)
    with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
        head = [f"POST {FUNCTIONS}/any/invocations HTTP/1.1", f"Host: {address.netloc}", "Transfer-Encoding: chunked"]
        head += [f"{key}: {value}" for key, value in AUTHORIZATION.items()]
        connection.sendall("\r\n".join([*head, "", ""]).encode())
        chunk = b"100000\r\n" + b"1" * 0x100000 + b"\r\n"
        try:
            for _ in range(64):
                connection.sendall(chunk)
        except OSError:
            pass  # It has stopped reading.
        try:
            answer = connection.recv(65536)
        except ConnectionResetError:
            return  # The answer was lost to the reset that unread bytes cause.
        assert answer.startswith(b"HTTP/1.1 413 "), answer


@pytest.mark.parametrize(
    "method, path",
    [
        ("GET", "/"),
        ("GET", "/2015-03-31/nonsense"),
        ("PATCH", FUNCTIONS),
        ("DELETE", FUNCTIONS),
        ("GET", "/2015-03-31/functions/a/b/c"),
        ("GET", "/2099-01-01/functions"),
        ("POST", "/2015-03-31/functions/a%2Fb/invocations"),
    ],
)
def test_an_unknown_route_is_an_error_of_awss_form(shared, method, path):
    reply = send(shared, method, path, b"{}" if method in ("POST", "PATCH") else None)
    assert 400 <= reply.status < 500 and reply.code, reply
    assert json.loads(reply.body).keys() & {"message", "Message"}, reply
    assert UUID.fullmatch(reply.headers["x-amzn-requestid"]), reply


# Operations of the service model that lambkin refuses for good: never a success that does nothing.
REFUSED = [
    ("DELETE", "/2020-06-30/functions/NAME/code-signing-config", None),
    ("GET", "/2020-04-22/code-signing-configs", None),
    ("GET", "/2025-11-30/capacity-providers", None),
    ("GET", "/2025-12-01/functions/NAME/durable-executions", None),
]


@pytest.mark.parametrize("method, path, body", REFUSED, ids=[f"{m} {p.rsplit('/', 1)[1]}" for m, p, _ in REFUSED])
def test_a_refused_operation_says_so(shared, function, method, path, body):
    reply = send(shared, method, path.replace("NAME", function), body)
    assert (reply.status, reply.code) == (404, "UnknownOperationException"), reply
    said = json.loads(reply.body)
    assert said.keys() == {"message"} and said["message"].startswith("lambkin does not do "), reply


def test_a_wrong_invocation_or_log_type_is_a_validation_error(shared, function):
    for header in ("X-Amz-Invocation-Type", "X-Amz-Log-Type"):
        reply = send(shared, "POST", f"{FUNCTIONS}/{function}/invocations", b"{}", {**AUTHORIZATION, header: "Sometimes"})
        assert reply.status == 400, reply
        assert b"Value 'Sometimes' at '" in reply.body and b"Member must satisfy enum value set: [" in reply.body, reply


def test_a_page_size_out_of_range_is_a_validation_error(shared):
    for given in ("0", "10001", "many"):
        assert send(shared, "GET", f"{FUNCTIONS}/?MaxItems={given}").status == 400


def test_a_connection_serves_many_requests(shared, function):
    address = urllib.parse.urlsplit(shared.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    for number in range(1, 21):
        connection.request("POST", f"{FUNCTIONS}/{function}/invocations", b"{}", AUTHORIZATION)
        assert connection.getresponse().read() == str(number).encode()
    connection.close()


def test_garbage_closes_its_connection_only(lambda_, shared, function):
    address = urllib.parse.urlsplit(shared.endpoint)
    for garbage in (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"GET / HTTP/9.9\r\n\r\n", b"\0" * 10_000):
        with socket.create_connection((address.hostname, address.port), timeout=30) as connection:
            try:
                connection.sendall(garbage)
                connection.shutdown(socket.SHUT_WR)
                while connection.recv(65536):
                    pass
            except ConnectionError:
                pass
            except OSError as error:
                assert error.errno == errno.ENOTCONN
    assert invoke(lambda_, function).payload == 1
