"""Node.js binaries are fetched once from any source, verified, kept, and used offline after that; a source that has
another binary is refused. No test here reaches a network: npm is not on the PATH and the mirror is local or dead."""

import concurrent.futures
import functools
import http.server
import io
import os
import pathlib
import shutil
import subprocess
import tarfile
import threading

import pytest
from botocore.exceptions import ClientError

import node_binaries
from lambda_client import ROLE, client, create, invoke, zipped
from server import binary, eventually

DEAD = "http://127.0.0.1:9"
ALL = [f"nodejs{v}" for v in ("4.3", "6.10", "8.10", "10.x", "12.x", "14.x", "16.x", "18.x", "20.x", "22.x", "24.x", "26.x")]
# The small ones, for speed.
OLD = "nodejs6.10"
PLATFORM = f"{os.uname().sysname.lower()}-{ {'x86_64': 'x64', 'aarch64': 'arm64'}.get(os.uname().machine, os.uname().machine) }"


@pytest.fixture
def runtimes(tmp_path):
    """Runs `lambkin runtimes` on a cache of its own."""

    def run(*arguments, code=0, mirror=DEAD):
        options = ["--runtimes", str(tmp_path / "cache"), "--node-mirror", mirror]
        done = subprocess.run(
            [binary(), "runtimes", *arguments, *options], env=no_npm(tmp_path), capture_output=True, text=True, timeout=300, check=False
        )
        assert (done.returncode == 0) == (code == 0) and "panicked" not in done.stderr, done
        return done

    run.cache = tmp_path / "cache"
    run.table = lambda: node_binaries.table("--runtimes", str(tmp_path / "cache"))
    return run


def no_npm(tmp_path):
    """An environment whose PATH has the machine's own tools and no npm."""
    tools = tmp_path / "bin"
    if not tools.is_dir():
        tools.mkdir()
        for tool in ("sh", "env"):
            (tools / tool).symlink_to(shutil.which(tool))
    return {"PATH": str(tools), "HOME": str(tmp_path)}


@pytest.fixture
def node_dir(tmp_path):
    """A directory of node binaries in the layout of the cache, with the old runtime's."""
    version, node = node_binaries.installed(OLD)
    place = tmp_path / "binaries" / f"{version}-{PLATFORM}" / "bin" / "node"
    place.parent.mkdir(parents=True)
    shutil.copy(node, place)
    return tmp_path / "binaries"


class Mirror:
    """A mirror of nodejs.org's distribution on loopback that counts what is asked of it."""

    def __init__(self, folder):
        self.folder, self.asked = folder, []
        mirror = self

        class Handler(http.server.SimpleHTTPRequestHandler):
            def do_GET(self):
                mirror.asked.append(self.path)
                super().do_GET()

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)
        self.thread.start()

    def add(self, version, node):
        name = f"node-v{version}-{PLATFORM}"
        folder = pathlib.Path(self.folder) / f"v{version}"
        folder.mkdir(parents=True)
        with tarfile.open(folder / f"{name}.tar.gz", "w:gz", compresslevel=1) as archive:
            entry = tarfile.TarInfo(f"{name}/bin/node")
            entry.size, entry.mode = len(node), 0o755
            archive.addfile(entry, io.BytesIO(node))

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def mirror(tmp_path):
    (tmp_path / "mirror").mkdir()
    made = Mirror(tmp_path / "mirror")
    yield made
    made.close()


def test_they_are_listed_installed_and_removed(runtimes, node_dir):
    assert list(runtimes.table()) == [runtime for runtime in ALL if runtime in runtimes.table()] and len(runtimes.table()) == len(ALL)
    assert all(path is None for _, path in runtimes.table().values())
    runtimes("install", OLD, "--node-dir", str(node_dir))
    version, path = runtimes.table()[OLD]
    assert subprocess.run([path, "--version"], capture_output=True, text=True, check=True).stdout == f"v{version}\n"
    assert pathlib.Path(path).is_relative_to(runtimes.cache)
    runtimes("remove", OLD)
    assert runtimes.table()[OLD][1] is None
    assert not list(runtimes.cache.rglob("bin/node"))


def test_a_mirror_serves_and_the_cache_does_after_it(runtimes, mirror):
    version, node = node_binaries.installed(OLD)
    mirror.add(version, pathlib.Path(node).read_bytes())
    runtimes("install", OLD, mirror=mirror.url)
    assert len(mirror.asked) == 1 and runtimes.table()[OLD][1]
    # Offline after the first fetch.
    runtimes("install", OLD)
    assert len(mirror.asked) == 1


def test_another_binary_is_refused(runtimes, node_dir, mirror):
    version, node = node_binaries.installed(OLD)
    wrong = pathlib.Path(node).read_bytes() + b"\0"
    mirror.add(version, wrong)
    place, = node_dir.rglob("bin/node")
    place.write_bytes(wrong)
    said = runtimes("install", OLD, "--node-dir", str(node_dir), code=1, mirror=mirror.url).stderr
    assert "SHA-256" in said and OLD in said
    assert runtimes.table()[OLD][1] is None and not list(runtimes.cache.rglob("bin/node"))


def test_a_truncated_archive_is_refused(runtimes, mirror):
    version, node = node_binaries.installed(OLD)
    mirror.add(version, pathlib.Path(node).read_bytes())
    archive, = pathlib.Path(mirror.folder).rglob("*.tar.gz")
    archive.write_bytes(archive.read_bytes()[:-1000])
    runtimes("install", OLD, code=1, mirror=mirror.url)
    assert runtimes.table()[OLD][1] is None


def test_a_cached_binary_that_has_changed_is_not_run(runtimes, node_dir, server, tmp_path):
    runtimes("install", OLD, "--node-dir", str(node_dir))
    path = pathlib.Path(runtimes.table()[OLD][1])
    os.chmod(path, 0o755)
    with open(path, "ab") as file:
        file.write(b"tampered")
    running = server("--runtimes", str(runtimes.cache), "--node-mirror", DEAD, variables=no_npm(tmp_path))
    said = failure(client(running.endpoint), OLD)
    assert "SHA-256" in said or "could not be fetched" in said
    # With a source it is fetched anew.
    runtimes("install", OLD, "--node-dir", str(node_dir))
    assert b"tampered" != path.read_bytes()[-8:]


def failure(lambda_, runtime):
    """What a function whose runtime cannot be had says, at creation or at its first invocation."""
    try:
        create(lambda_, "unfetchable", "exports.handler=(e,c,cb)=>cb(null,1)", runtime, wait=False)

        def settled():
            configuration = lambda_.get_function_configuration(FunctionName="unfetchable")
            return configuration if configuration["State"] != "Pending" else None

        configuration = eventually(settled, 60, "the function has left Pending")
        if configuration["State"] == "Failed":
            return configuration["StateReason"]
        answer = invoke(lambda_, "unfetchable")
        raise AssertionError(f"it ran: {answer}")
    except ClientError as error:
        return error.response["Error"]["Message"]


def test_a_runtime_that_cannot_be_had_says_what_to_do_and_the_others_run(server, node_dir, runtimes, tmp_path):
    runtimes("install", OLD, "--node-dir", str(node_dir))
    running = server("--runtimes", str(runtimes.cache), "--node-mirror", DEAD, variables=no_npm(tmp_path))
    lambda_ = client(running.endpoint)
    said = failure(lambda_, "nodejs20.x")
    assert "nodejs20.x" in said and "--node-mirror" in said and "--node-dir" in said and "npm" in said, said
    create(lambda_, "offline", "exports.handler=(e,c,cb)=>cb(null,process.version)", OLD)
    assert invoke(lambda_, "offline").payload == "v" + node_binaries.installed(OLD)[0]


def test_one_fetch_however_many_wait(server, mirror, tmp_path):
    version, node = node_binaries.installed(OLD)
    mirror.add(version, pathlib.Path(node).read_bytes())
    running = server("--runtimes", str(tmp_path / "cache"), "--node-mirror", mirror.url, variables=no_npm(tmp_path))
    lambda_ = client(running.endpoint)
    package = zipped({"index.js": "exports.handler=(e,c,cb)=>cb(null,e)"})

    def make(number):
        lambda_.create_function(
            FunctionName=f"waits-{number}", Runtime=OLD, Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
        )
        eventually(
            lambda: lambda_.get_function_configuration(FunctionName=f"waits-{number}")["State"] == "Active", 120, "active"
        )
        return invoke(lambda_, f"waits-{number}", number).payload

    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        assert list(pool.map(make, range(8))) == list(range(8))
    assert len(mirror.asked) == 1, mirror.asked
