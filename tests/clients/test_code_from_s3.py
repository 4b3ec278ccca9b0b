"""Code from buckets: a directory's, an S3-compatible service's, and directories that are the code as they are (aws-behaviour 40)."""

import contextlib
import http.server
import json
import threading
import time

import pytest

import keys
from lambda_client import ROLE, active, arn, client, create, invoke, refused, zipped

INVALID = "InvalidParameterValueException"


def said(error, text):
    return f"Error occurred while GetObject. S3 Error Code: {error}. S3 Error Message: {text}"


NO_BUCKET = said("NoSuchBucket", "The specified bucket does not exist")
NO_KEY = said("NoSuchKey", "The specified key does not exist.")


def create_from(lambda_, name, source, **settings):
    settings = {"Handler": "index.handler", "Runtime": "nodejs22.x", "Role": ROLE, **settings}
    return lambda_.create_function(FunctionName=name, Code=source, **settings)


def returning(word):
    return zipped({"index.js": f"exports.handler=async()=>'{word}'"})


@pytest.fixture(scope="module")
def buckets(tmp_path_factory):
    directory = tmp_path_factory.mktemp("buckets")
    (directory / "code" / "deep").mkdir(parents=True)
    return directory


@pytest.fixture(scope="module")
def apps(tmp_path_factory):
    return tmp_path_factory.mktemp("apps")


@pytest.fixture(scope="module")
def local(tmp_path_factory, buckets, apps):
    from server import Server

    apps.chmod(0o755)
    options = ("--buckets", str(buckets), "--hot-reload", str(apps))
    with Server(tmp_path_factory.mktemp("local"), *options) as server:
        yield client(server.endpoint)


def test_functions_and_layers_from_a_directory_of_buckets(local, buckets, name):
    (buckets / "code" / "deep" / "one two.zip").write_bytes(returning("one"))
    (buckets / "code" / "two.zip").write_bytes(returning("two"))
    (buckets / "code" / "layer.zip").write_bytes(zipped({"nodejs/node_modules/own/index.js": "exports.word='layer'"}))
    created = create_from(local, name, {"S3Bucket": "code", "S3Key": "deep/one two.zip"}, Publish=True)
    assert created["CodeSize"] == len(returning("one")) and created["Version"] == "1"
    active(local, name)
    assert invoke(local, name).payload == "one"
    two = {"S3Bucket": "code", "S3Key": "two.zip"}
    dry = local.update_function_code(FunctionName=name, DryRun=True, **two)
    updated = local.update_function_code(FunctionName=name, **two)
    assert dry["CodeSha256"] == updated["CodeSha256"] != created["CodeSha256"]
    active(local, name)
    assert invoke(local, name).payload == "two" and invoke(local, name, Qualifier="1").payload == "one"
    layer = local.publish_layer_version(LayerName=name, Content={"S3Bucket": "code", "S3Key": "layer.zip"})
    code = "exports.handler=async()=>require('own').word"
    create(local, name + "-l", code, Layers=[layer["LayerVersionArn"]])
    assert invoke(local, name + "-l").payload == "layer"


def test_what_is_not_there_is_said_in_the_words_of_s3(local, lambda_, buckets, name):
    (buckets / "code" / "no.zip").write_bytes(b"no zip")
    for code, text in [
        ({"S3Bucket": "missing", "S3Key": "k"}, NO_BUCKET),
        ({"S3Bucket": "code", "S3Key": "k"}, NO_KEY),
        ({"S3Bucket": "code", "S3Key": "../code/no.zip"}, NO_KEY),
        ({"S3Bucket": "code", "S3Key": "no.zip", "S3ObjectVersion": "1"}, said("NoSuchVersion", "The specified version does not exist.")),
        ({"S3Bucket": "code", "S3Key": "no.zip"}, "Could not unzip uploaded file. Please check your file, then try to upload again."),
        ({"S3Bucket": "code"}, "Please provide a source for function code."),
        ({"S3Bucket": "code", "S3Key": "k", "ZipFile": returning("")}, "Please do not provide other FunctionCode parameters when providing a ZipFile."),
    ]:
        assert refused(INVALID, 400, create_from, lambda_=local, name=name, source=code) == text
        if "ZipFile" not in code:
            assert refused(INVALID, 400, local.publish_layer_version, LayerName=name, Content=code) == text
    text = refused(INVALID, 400, create_from, lambda_=local, name=name, source={"ImageUri": "i"}, PackageType="Image")
    assert text == "lambkin does not run container images (PackageType)."
    # Without buckets.
    text = refused(INVALID, 400, create_from, lambda_=lambda_, name=name, source={"S3Bucket": "code", "S3Key": "k"})
    assert text.startswith("lambkin has no buckets.")
    text = refused(INVALID, 400, create_from, lambda_=lambda_, name=name, source={"S3Bucket": "hot-reload", "S3Key": "/tmp"})
    assert text == "lambkin reloads code only of directories that its operator named with --hot-reload DIR."


def test_an_object_needs_the_right_to_read_it(server, buckets, tmp_path):
    (buckets / "code" / "mine.zip").write_bytes(returning("mine"))
    running = server("--buckets", str(buckets))
    policy = [
        {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "arn:aws:s3:::code/mine*"},
    ]
    lambda_ = keys.client("lambda", running.endpoint, keys.make(running, tmp_path, policy))
    create_from(lambda_, "f", {"S3Bucket": "code", "S3Key": "mine.zip"})
    other = {"S3Bucket": "code", "S3Key": "other.zip"}
    text = refused("AccessDeniedException", 403, lambda_.update_function_code, FunctionName="f", **other)
    assert "s3:GetObject on resource: arn:aws:s3:::code/other.zip because" in text


def test_hot_code_needs_the_right_to_its_own_path(server, tmp_path):
    """What is authorized is where the directory is, by whatever words it was named."""
    root = tmp_path / "apps"
    for part in ("open", "closed"):
        (root / part).mkdir(parents=True)
        (root / part / "index.js").write_text(f"exports.handler=async()=>'{part}'")
    (root / "open" / "link").symlink_to(root / "closed")
    running = server("--hot-reload", str(root))
    arns = f"arn:aws:s3:::hot-reload/{root}"
    policy = [
        {"Effect": "Allow", "Action": ["lambda:*", "iam:PassRole"], "Resource": "*"},
        {"Effect": "Allow", "Action": "s3:GetObject", "Resource": [f"{arns}/open", f"{arns}/open/*"]},
    ]
    lambda_ = keys.client("lambda", running.endpoint, keys.make(running, tmp_path, policy))
    create_from(lambda_, "f", {"S3Bucket": "hot-reload", "S3Key": f"{root}/open"})
    for key in ("closed", "open/link", "open/../closed", "open/./../closed", "open//link"):
        hot = {"S3Bucket": "hot-reload", "S3Key": f"{root}/{key}"}
        text = refused("AccessDeniedException", 403, lambda_.update_function_code, FunctionName="f", **hot)
        assert f"s3:GetObject on resource: {arns}/closed because" in text or key == "closed", (key, text)
    active(lambda_, "f")
    assert invoke(lambda_, "f").payload == "open"


def test_lambkin_s_own_directories_are_no_hot_code(server, tmp_path):
    running = server("--hot-reload", str(tmp_path))
    lambda_ = client(running.endpoint)
    for own in (running.data, running.data / "code", tmp_path):
        hot = {"S3Bucket": "hot-reload", "S3Key": str(own)}
        assert "lambkin's own files" in refused(INVALID, 400, create_from, lambda_=lambda_, name="f", source=hot)
    own = running.data.parent.parent / "lambkin-1" / "data"
    own.mkdir(parents=True)
    with pytest.raises(AssertionError, match="is in lambkin's own"):
        server("--hot-reload", str(own))


class Bucket(http.server.BaseHTTPRequestHandler):
    """As much of S3 as GetObject asks for: who asks must have signed."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        signed = self.headers.get("Authorization", "")
        self.server.seen.append((self.path, signed))
        if "/s3/aws4_request" not in signed or "x-amz-content-sha256" not in self.headers:
            return self.answer(403, b"<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>")
        content = self.server.objects.get(self.path)
        if content is None:
            error = b"<Error><Code>NoSuchKey</Code><Message>The specified key does not exist.</Message></Error>"
            return self.answer(404, error)
        if content == "endless":
            self.send_response(200)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            piece = b"%x\r\n" % (1 << 20) + bytes(1 << 20) + b"\r\n"
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(piece)
                    self.server.sent += 1 << 20
            self.close_connection = True
            return None
        return self.answer(200, content)

    def answer(self, status, content):
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def test_objects_of_a_service_that_speaks_s3(server, tmp_path, name):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Bucket) as service:
        threading.Thread(target=service.serve_forever, daemon=True).start()
        service.seen, service.sent = [], 0
        service.objects = {
            "/far/a/b%20c.zip": returning("far"),
            "/far/a/b%20c.zip?versionId=v1": returning("older"),
            "/far/endless": "endless",
        }
        external = tmp_path / "external.json"
        endpoint = f"http://127.0.0.1:{service.server_address[1]}"
        rule = {"service": "s3", "endpoint": endpoint, "accessKeyId": "AKIDFAR", "secretAccessKey": "secret"}
        external.write_text(json.dumps([rule]))
        external.chmod(0o600)
        lambda_ = client(server("--external", str(external)).endpoint)
        code = {"S3Bucket": "far", "S3Key": "a/b c.zip"}
        create_from(lambda_, name, code)
        active(lambda_, name)
        assert invoke(lambda_, name).payload == "far"
        lambda_.update_function_code(FunctionName=name, S3ObjectVersion="v1", **code)
        active(lambda_, name)
        assert invoke(lambda_, name).payload == "older"
        assert "Credential=AKIDFAR/" in service.seen[0][1]
        missing = {"S3Bucket": "far", "S3Key": "missing"}
        assert refused(INVALID, 400, lambda_.update_function_code, FunctionName=name, **missing) == NO_KEY
        endless = {"S3Bucket": "far", "S3Key": "endless"}
        text = refused(INVALID, 400, lambda_.update_function_code, FunctionName=name, **endless)
        assert text == "Unzipped size must be smaller than 262144000 bytes"
        assert service.sent < 300 << 20
        service.shutdown()
    text = refused("ServiceException", 500, lambda_.update_function_code, FunctionName=name, **code)
    assert "arn:aws:s3:::far/a/b c.zip" in text


def check_hot(lambda_, directory, name):
    directory.mkdir(mode=0o755)
    (directory / "index.js").write_text("let n=0;exports.handler=async()=>['first',++n,require('./word').word]")
    (directory / "word.js").write_text("exports.word='a'")
    hot = {"S3Bucket": "hot-reload", "S3Key": str(directory)}
    created = create_from(lambda_, name, hot, Timeout=30)
    assert created["CodeSize"] == 0
    active(lambda_, name)
    assert lambda_.get_function(FunctionName=name)["Code"]["Location"] == f"file://{directory}"
    assert [invoke(lambda_, name).payload for _ in range(3)] == [["first", 1, "a"], ["first", 2, "a"], ["first", 3, "a"]]

    def replaced():
        (directory / "fresh").write_text("exports.handler=async()=>'second'")
        (directory / "fresh").rename(directory / "index.js")

    def another_directory():
        (directory / "index.js").unlink()
        (directory / "word.js").unlink()
        directory.rmdir()
        directory.mkdir(mode=0o755)
        (directory / "index.js").write_text("exports.handler=async()=>'third'")

    for change, expected in [
        (lambda: (directory / "word.js").write_text("exports.word='b'"), ["first", 1, "b"]),
        (replaced, "second"),
        (another_directory, "third"),
        (lambda: (directory / "index.js").write_text("exports.handler=async()=>'fourth'"), "fourth"),
    ]:
        change()
        changed = time.monotonic()
        # What is invoked 100 ms after the change, or later, runs the new code, in a new environment.
        payload = None
        while payload != expected:
            began = time.monotonic()
            payload = invoke(lambda_, name).payload
            assert payload == expected or began - changed < 0.1, f"{payload} {began - changed:.3f} s after the change"
    assert sorted(path.name for path in directory.iterdir()) == ["index.js"], "nothing is put there"
    # A version never changes; this does.
    text = f"A version cannot be published of code that is reloaded as it changes ({directory})."
    assert refused(INVALID, 400, lambda_.publish_version, FunctionName=name) == text
    assert refused(INVALID, 400, create_from, lambda_=lambda_, name=name + "-p", source=hot, Publish=True) == text
    # And back to what is kept.
    lambda_.update_function_code(FunctionName=name, ZipFile=returning("zip"))
    active(lambda_, name)
    assert invoke(lambda_, name).payload == "zip"


def test_hot_code_is_the_directory(local, apps, name):
    check_hot(local, apps / name, name)


def test_hot_code_in_process_mode(plain_server, tmp_path, name):
    apps = tmp_path / "apps"
    apps.mkdir()
    check_hot(client(plain_server("--hot-reload", str(apps)).endpoint), apps / name, name)
    assert [path.name for path in apps.iterdir()] == [name], "nothing is put beside it"


def test_hot_code_is_below_the_roots_only(local, apps, tmp_path, name):
    (apps / "link").symlink_to(tmp_path)
    for key in ("/etc", str(tmp_path), str(apps / "link"), str(apps / ".."), str(apps / "missing")):
        text = refused(INVALID, 400, create_from, lambda_=local, name=name, source={"S3Bucket": "hot-reload", "S3Key": key})
        assert text == f"{key} is not a directory below {apps} (--hot-reload)."
    text = refused(INVALID, 400, create_from, lambda_=local, name=name, source={"S3Bucket": "hot-reload", "S3Key": "apps"})
    assert text == "apps is not an absolute path."
    text = refused(
        INVALID, 400, local.publish_layer_version, LayerName=name, Content={"S3Bucket": "hot-reload", "S3Key": str(apps)}
    )
    assert text == "lambkin reloads the code of functions only, no layers."


def test_hot_code_ends_with_its_flag(server, tmp_path, name):
    (tmp_path / "app").mkdir(mode=0o755)
    tmp_path.chmod(0o755)
    (tmp_path / "app" / "index.js").write_text("exports.handler=async()=>1")
    running = server("--hot-reload", str(tmp_path / "app"))
    lambda_ = client(running.endpoint)
    create_from(lambda_, name, {"S3Bucket": "hot-reload", "S3Key": str(tmp_path / "app")})
    active(lambda_, name)
    assert invoke(lambda_, name).payload == 1
    running.stop()
    running.options = ()
    running.start()
    lambda_ = client(running.endpoint)
    text = refused("ServiceException", 500, lambda_.invoke, FunctionName=name)
    assert "without --hot-reload" in text
    assert lambda_.get_function(FunctionName=name)["Configuration"]["FunctionArn"] == arn(name)
