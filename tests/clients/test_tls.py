"""TLS: clients trust the certificate they were told of, SIGHUP renews it, and bad files renew nothing."""

import http.client
import os
import signal
import ssl
import subprocess
import urllib.parse

import boto3
import botocore.config
import pytest

import keys
from lambda_client import ECHO, REGION, create, invoke
from server import binary, eventually


def certificate(directory, name="lambkin.test", *more):
    """Writes a certificate for loopback and its key."""
    cert, key = directory / "cert.pem", directory / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
         "-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", str(key), "-out", str(cert), *more],
        check=True, capture_output=True, timeout=60,
    )
    os.chmod(key, 0o600)
    return cert, key


@pytest.fixture
def secure(server, tmp_path):
    cert, key = certificate(tmp_path)
    running = server("--tls-cert", str(cert), "--tls-key", str(key))
    assert running.endpoint.startswith("https://")
    running.cert, running.key = cert, key
    return running


def client(running, service="lambda", key=("AKIDEXAMPLE", "any")):
    return boto3.session.Session().client(
        service, endpoint_url=running.endpoint, region_name=REGION, verify=str(running.cert), aws_access_key_id=key[0],
        aws_secret_access_key=key[1], config=botocore.config.Config(retries={"total_max_attempts": 1}),
    )


def shown(running):
    address = urllib.parse.urlsplit(running.endpoint)
    return ssl.get_server_certificate((address.hostname, address.port), timeout=30)


def test_clients_and_functions(secure):
    lambda_ = client(secure)
    create(lambda_, "f", ECHO)
    assert invoke(lambda_, "f", {"a": "b" * 100_000}).payload == {"a": "b" * 100_000}
    location = lambda_.get_function(FunctionName="f")["Code"]["Location"]
    assert location.startswith(secure.endpoint)
    url = client(secure, "sqs").create_queue(QueueName="q")["QueueUrl"]
    assert url.startswith(secure.endpoint)
    # A function's way in is its own, and plain.
    create(lambda_, "calls", """const{LambdaClient,InvokeCommand}=require('@aws-sdk/client-lambda');
exports.handler=async()=>Buffer.from((await new LambdaClient({}).send(new InvokeCommand({FunctionName:'f',Payload:'1'}))).Payload).toString()""",
        Timeout=60)
    assert invoke(lambda_, "calls").payload == "1"
    # With keys on top.
    ann = keys.make(secure)
    assert invoke(client(secure, key=ann), "f", 1).payload == 1


def test_plain_http_and_strangers_get_nothing(secure):
    address = urllib.parse.urlsplit(secure.endpoint)
    connection = http.client.HTTPConnection(address.hostname, address.port, timeout=30)
    with pytest.raises((http.client.HTTPException, OSError)):
        connection.request("GET", "/_lambkin/health")
        connection.getresponse()
    connection = http.client.HTTPSConnection(address.hostname, address.port, timeout=30)
    with pytest.raises(ssl.SSLCertVerificationError):
        connection.request("GET", "/_lambkin/health")


def test_lambkins_commands_trust_the_bundle_that_the_aws_cli_does(server, tmp_path):
    # An authority's own certificate is nobody's for rustls, where OpenSSL takes it.
    cert, key = certificate(tmp_path, "lambkin.test", "-addext", "basicConstraints=critical,CA:FALSE")
    running = server("--tls-cert", str(cert), "--tls-key", str(key))

    def asks(command, **variables):
        variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_ENDPOINT_URL": running.endpoint, **variables}
        done = subprocess.run([binary(), *command.split()], env=variables, capture_output=True, text=True, timeout=60)
        return done.returncode, done.stderr

    for command in ("top --once", "events", "queues", "logs"):
        code, said = asks(command)
        assert code == 2 and "UnknownIssuer" in said, said
        assert asks(command, AWS_CA_BUNDLE=str(cert)) == (0, "")
    code, said = asks("queues", AWS_CA_BUNDLE=os.devnull)
    assert code == 2 and "no certificate is in it" in said, said


def test_sighup_renews_and_bad_files_do_not(secure, tmp_path):
    first = shown(secure)
    assert first == secure.cert.read_text()
    certificate(tmp_path, "renewed.test")
    secure.process.send_signal(signal.SIGHUP)
    eventually(lambda: shown(secure) == secure.cert.read_text() != first, 30, "the new certificate is shown")
    second = shown(secure)
    good = secure.cert.read_text()
    other = tmp_path / "other"
    other.mkdir()
    for text in ("", "no certificate", certificate(other, "other.test")[0].read_text()):
        before = secure.log.read_text().count("the TLS certificate stays the former")
        secure.cert.write_text(text)
        secure.process.send_signal(signal.SIGHUP)
        eventually(
            lambda: secure.log.read_text().count("the TLS certificate stays the former") > before, 30, f"refuses {text[:20]!r}"
        )
        assert shown(secure) == second
    secure.cert.write_text(good)


def test_bad_files_are_refused_at_the_start(tmp_path):
    cert, key = certificate(tmp_path)

    def refusal(*options):
        command = [binary(), "serve", "--listen", "127.0.0.1:0", "--data", str(tmp_path / "data"), *options]
        done = subprocess.run(command, capture_output=True, text=True, timeout=60)
        assert done.returncode == 2, done
        return done.stderr

    assert "--tls-key" in refusal("--tls-cert", str(cert))
    assert "no certificate" in refusal("--tls-cert", os.devnull, "--tls-key", str(key))
    os.chmod(key, 0o644)
    assert "chmod 600" in refusal("--tls-cert", str(cert), "--tls-key", str(key))
