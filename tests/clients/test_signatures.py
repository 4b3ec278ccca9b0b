"""Signatures of AWS's own signers, as they are and altered: in headers and in queries, for every protocol."""

import datetime
import http.client
import urllib.parse

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import pytest

import keys
import lambda_client
from lambda_client import REGION, create, invoke, refused
from server import Server

FUNCTION = "/2015-03-31/functions/f"
DOES_NOT_MATCH = "The request signature we calculated does not match the signature you provided"


@pytest.fixture(scope="module")
def running(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("signatures")) as server:
        server.key = keys.make(server)
        create(keys.client("lambda", server.endpoint, server.key), "f")
        yield server


def signed(running, method="POST", path=f"{FUNCTION}/invocations", body=b"{}", headers=None, key=None, signer=None, service="lambda", **more):
    """A request as botocore signs it."""
    credentials = botocore.credentials.Credentials(*(key or running.key))
    request = botocore.awsrequest.AWSRequest(method, running.endpoint + path, headers=headers or {}, data=body)
    signer = signer or botocore.auth.SigV4Auth
    signer(credentials, service, REGION, **more).add_auth(request)
    return request.prepare()


def send(running, request, **altered):
    """Sends it, perhaps otherwise than it was signed: (status, code or body)."""
    address = urllib.parse.urlsplit(running.endpoint)
    url = urllib.parse.urlsplit(altered.get("url", request.url))
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=60)
    path = url.path + (f"?{url.query}" if url.query else "")
    headers = {"Host": address.netloc, **{name: str(value) for name, value in request.headers.items()}, **altered.get("headers", {})}
    # The length is what is sent, or an altered body would be cut to the signed one's.
    headers = {name: value for name, value in headers.items() if value is not None and name != "Content-Length"}
    connection.request(altered.get("method", request.method), path, altered.get("body", request.body), headers)
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    assert answer.status < 500, (answer.status, text)
    return answer.status, answer.headers.get("x-amzn-errortype"), text


def test_what_was_signed_passes(running):
    for path in (f"{FUNCTION}/invocations", f"{FUNCTION}/invocations?Qualifier=%24LATEST"):
        assert send(running, signed(running, path=path)) == (200, None, "{}")
    named = f"/2015-03-31/functions/{urllib.parse.quote(lambda_client.arn('f'), safe='')}/invocations"
    assert send(running, signed(running, path=named, body=b"[1]")) == (200, None, "[1]")
    assert send(running, signed(running, "GET", FUNCTION, body=b""))[0] == 200
    hashed = signed(running, headers={"X-Amz-Content-SHA256": "UNSIGNED-PAYLOAD"})
    assert send(running, hashed, body=b'"anything"') == (200, None, '"anything"')


def test_what_was_altered_does_not(running):
    def altered(**how):
        status, code, text = send(running, signed(running, headers={"X-Amz-Log-Type": "None"}), **how)
        assert (status, code) == (403, "InvalidSignatureException"), (how, status, code, text)
        return text

    assert DOES_NOT_MATCH in altered(body=b'{"a":1}')
    assert DOES_NOT_MATCH in altered(url=f"{running.endpoint}/2015-03-31/functions/g/invocations")
    assert DOES_NOT_MATCH in altered(url=f"{running.endpoint}{FUNCTION}/invocations?Qualifier=1")
    assert DOES_NOT_MATCH in altered(headers={"X-Amz-Log-Type": "Tail"})
    assert "must be a 'SignedHeader'" in altered(headers={"X-Amz-Invocation-Type": "Event"})
    assert "not in the request" in altered(headers={"X-Amz-Log-Type": None})
    status, code, _ = send(running, signed(running, key=(running.key[0], "wrong")))
    assert (status, code) == (403, "InvalidSignatureException")
    status, code, _ = send(running, signed(running, service="sqs"))
    assert (status, code) == (403, "InvalidSignatureException")
    # A claimed hash is held to the body.
    claimed = "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a"
    request = signed(running, headers={"X-Amz-Content-SHA256": claimed})
    assert send(running, request)[0] == 200
    assert "not the one that was signed" in send(running, request, body=b"[]")[2]


def test_clocks(running, monkeypatch):
    def at(minutes):
        now = datetime.datetime.now(datetime.timezone.utc) + datetime.timedelta(minutes=minutes)
        with monkeypatch.context() as patch:
            patch.setattr(botocore.auth, "get_current_datetime", lambda *_, **__: now.replace(tzinfo=None))
            return send(running, signed(running))

    assert at(4)[0] == 200 and at(-4)[0] == 200
    for minutes, words in ((-6, "Signature expired: "), (6, "Signature not yet current: ")):
        status, code, text = at(minutes)
        assert (status, code) == (403, "InvalidSignatureException") and words in text, text


def test_signed_addresses(running):
    presigned = signed(running, "GET", FUNCTION, body=b"", signer=botocore.auth.SigV4QueryAuth, expires=60)
    assert "X-Amz-Signature=" in presigned.url
    assert send(running, presigned)[0] == 200
    for old, new in (("X-Amz-Expires=60", "X-Amz-Expires=600"), ("functions/f?", "functions/g?"), ("GET", "GET")):
        url = presigned.url.replace(old, new)
        method = "DELETE" if url == presigned.url else "GET"
        status, code, text = send(running, presigned, url=url, method=method)
        assert (status, code) == (403, "InvalidSignatureException"), text


def test_protocols_have_their_own_words(running):
    wrong = (running.key[0], "wrong")
    unknown = ("AKIAAAAAAAAAAAAAAAAA", "any")
    for service, call, arguments, mismatch, client_id in (
        ("sqs", "list_queues", {}, "InvalidSignatureException|SignatureDoesNotMatch", "UnrecognizedClientException|InvalidClientTokenId"),
        ("sns", "list_topics", {}, "SignatureDoesNotMatch", "InvalidClientTokenId"),
        ("lambda", "list_functions", {}, "InvalidSignatureException", "UnrecognizedClientException"),
    ):
        for key, codes in ((wrong, mismatch), (unknown, client_id)):
            client = keys.client(service, running.endpoint, key)
            with pytest.raises(client.exceptions.ClientError) as raised:
                getattr(client, call)(**arguments)
            response = raised.value.response
            assert response["Error"]["Code"] in codes.split("|"), response
            assert response["ResponseMetadata"]["HTTPStatusCode"] == 403
        assert getattr(keys.client(service, running.endpoint, running.key), call)(**arguments)


def test_a_token_that_nobody_has_is_refused(running):
    client = keys.client("lambda", running.endpoint, running.key, token="made-up")
    refused("UnrecognizedClientException", 403, client.list_functions)


def test_malformed_signatures_never_break_anything(running):
    good = signed(running).headers["Authorization"]
    scope = good.split("Credential=")[1].split(",")[0]
    for header in (
        "", " ", "x", "AWS4-HMAC-SHA256", "AWS4-HMAC-SHA256 ,,,", "AWS4-HMAC-SHA256 Credential=", "Bearer x", "Basic Og==",
        f"AWS4-HMAC-SHA256 Credential={scope}", good.replace("aws4_request", "aws4"), good.replace("/lambda/", "/"),
        good.replace("SignedHeaders=", "SignedHeaders=;"), good.replace("host", ""), good + "0", good.replace("Signature=", "Signature=Z"),
        good.replace(REGION, "r" * 5000), good.replace(REGION, "\u00e9"), good.replace(REGION, "%00%ff"), "AWS4-HMAC-SHA256 " + "a=b," * 2000,
        "AWS4-ECDSA-P256-SHA256 " + good.split(" ", 1)[1],
    ):
        status, code, text = send(running, signed(running), headers={"Authorization": header})
        assert 400 <= status < 500 and code, (header[:80], status, text)
    for query in ("X-Amz-Signature", "X-Amz-Signature=%FF&X-Amz-Algorithm=AWS4-HMAC-SHA256", "X-Amz-Signature=0&X-Amz-Expires=" + "9" * 400):
        status, code, text = send(running, signed(running), url=f"{running.endpoint}{FUNCTION}?{query}", headers={"Authorization": None})
        assert 400 <= status < 500 and code, (query, status, text)
    assert invoke(keys.client("lambda", running.endpoint, running.key), "f", 1).payload == 1
