"""Node.js's compile cache: a function whose handler takes long to load has it from its third environment on, it is made
of an init before any event, and neither an invocation nor another function gets near it."""

import os
import pathlib
import random
import shutil
import tempfile
import time

import pytest

import kept
from lambda_client import active, client, create, invoke, zipped
from server import Server, below, eventually, processes
from test_jail import IS_ROOT, for_user

# It burns the time that a large bundle takes, so that how fast the machine is decides nothing.
HEAVY = """const module_ = require('module'), fs = require('fs');
const { answer } = require('./lib.js');
for (const began = process.cpuUsage().user; process.cpuUsage().user - began < 60000;);
const token = Math.random();
exports.handler = async () => {
  const attempt = (act) => { try { act(); return 'done'; } catch (error) { return error.code; } };
  const directory = module_.getCompileCacheDir && module_.getCompileCacheDir();
  const folders = directory ? fs.readdirSync('/var/lang/cache/compile') : [];
  const files = folders.flatMap((folder) => fs.readdirSync(`/var/lang/cache/compile/${folder}`).map((file) => `/var/lang/cache/compile/${folder}/${file}`));
  const writes = [attempt(() => fs.writeFileSync('/var/lang/cache/compile/evil', 'x')),
    ...files.map((file) => attempt(() => fs.writeFileSync(file, 'evil'))), ...files.map((file) => attempt(() => fs.unlinkSync(file)))];
  return { token, answer, directory: directory || null, files, writes, env: Object.keys(process.env).sort(),
    cached: Object.keys(require.cache).sort(), argv: process.argv, execArgv: process.execArgv };
};"""
LIB = "exports.answer = 42;"
CODE = {"index.js": HEAVY, "lib.js": LIB}
RUNTIMES = ["nodejs22.x", "nodejs24.x"]


@pytest.fixture(params=["root", "ordinary user"] if IS_ROOT else ["ordinary user"])
def jail(request):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="lambkin-cache-"))
    directory.chmod(0o755)
    other = IS_ROOT and request.param != "root"
    server = for_user(directory) if other else Server(directory, "--isolation", "auto")
    # Each invocation is a cold start, of a process of its own.
    server.options = (*server.options, "--idle-timeout", "0.1", "--warm-pool", "0")
    try:
        with server:
            assert "jail (" in server.log.read_text(), f"no jail on this machine: {server.tail()}"
            yield server
    finally:
        shutil.rmtree(directory, ignore_errors=True)


class Function:
    """A function and its environments: those that a token names."""

    def __init__(self, server, name, code=CODE, **settings):
        self.server, self.lambda_, self.name, self.tokens = server, client(server.endpoint), name, set()
        create(self.lambda_, name, code, Timeout=60, **settings)

    def cold(self):
        """The first answer of a new environment: the former one is gone."""
        answer = invoke(self.lambda_, self.name).payload
        assert answer["token"] not in self.tokens
        self.tokens.add(answer["token"])
        eventually(lambda: not nodes(self.server), 20, "the environment retires")
        return answer

    def cached(self):
        """The first answer of an environment that reads its cache: kept a moment after the second one's init."""
        for _ in range(8):
            answer = self.cold()
            if reads(answer):
                return answer
        raise AssertionError(f"no environment reads a cache: {answer}")


def reads(answer):
    """Whether there was a cache, and not one to be made."""
    return answer["files"] and answer["writes"][0] == "EROFS"


def nodes(server):
    alive = processes()
    return [pid for pid in below(alive, server.process.pid) if b"/var/lang/bin/node" in alive[pid][2]]


def on_disk(server):
    # Not rglob(): it fails where a directory goes while it looks.
    below = os.walk(server.data / "compile-caches")
    return sorted(pathlib.Path(directory, file) for directory, _, files in below for file in files)


def same(answer):
    """What a function sees of itself beside the cache."""
    own = ("token", "directory", "files", "writes")
    return {key: value for key, value in answer.items() if key not in own}


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_the_third_environment_reads_what_the_second_made(jail, runtime):
    heavy = Function(jail, "heavy", runtime=runtime)
    first, making = heavy.cold(), heavy.cold()
    assert (first["directory"], first["files"]) == (None, []) and making["directory"], (first, making)
    # Its directory is its own: what its event did to it is nowhere else.
    assert making["writes"][0] == "done"
    cached = heavy.cached()
    assert len(cached["files"]) == 2 and set(cached["writes"]) == {"EROFS"}, cached
    assert same(first) == same(making) == same(cached), "it sees nothing else of it"
    assert [path.read_bytes() for path in on_disk(jail)].count(b"evil") == 0 and len(on_disk(jail)) == 2


def test_node_accepts_it_and_does_without_a_broken_one(jail):
    settings = {"Environment": {"Variables": {"NODE_DEBUG_NATIVE": "COMPILE_CACHE"}}}
    heavy = Function(jail, "heavy", **settings)
    heavy.cached()

    def accepted():
        said = kept.text(jail, "/aws/lambda/heavy")
        return said if all(f"/var/task/{file} was accepted" in said for file in CODE) else None

    said = eventually(accepted, 10, "Node.js says that it accepted the cache of each file")
    before = said.count("was accepted")
    for number, path in enumerate(on_disk(jail)):
        content = bytearray(path.read_bytes())
        if number % 2:
            content = content[: len(content) // 2]
        else:
            for at in random.Random(number).sample(range(len(content)), min(64, len(content))):
                content[at] ^= 0x55
        path.write_bytes(content)
    broken = heavy.cold()
    assert broken["answer"] == 42 and reads(broken), broken
    assert kept.text(jail, "/aws/lambda/heavy").count("was accepted") == before, "what is broken is not used"


def test_nobody_else_has_it(jail):
    lambda_ = client(jail.endpoint)
    heavy = Function(jail, "heavy")
    heavy.cached()
    of_heavy = on_disk(jail)
    # The same package, byte for byte.
    other = Function(jail, "other")
    assert other.cold()["directory"] is None
    lambda_.update_function_code(FunctionName="heavy", ZipFile=zipped({**CODE, "lib.js": "exports.answer = 43;"}))
    active(lambda_, "heavy")
    answer = heavy.cold()
    assert (answer["answer"], answer["directory"]) == (43, None)
    eventually(lambda: not set(of_heavy) & set(on_disk(jail)), 10, "the former version's cache goes")
    assert heavy.cached()["answer"] == 43
    lambda_.update_function_configuration(FunctionName="heavy", MemorySize=256)
    active(lambda_, "heavy")
    assert heavy.cold()["directory"] is None, "V8 refuses one that was made under other flags"
    heavy.cached()
    lambda_.delete_function(FunctionName="heavy")
    eventually(lambda: not on_disk(jail), 10, "a deleted function's cache goes")


def test_it_outlives_lambkin(jail):
    Function(jail, "heavy").cached()
    jail.stop()
    jail.start()
    answer = invoke(client(jail.endpoint), "heavy").payload
    assert reads(answer), answer


def test_light_functions_and_those_with_their_own_are_left_alone(jail):
    light = Function(jail, "light", {**CODE, "index.js": HEAVY.replace("60000", "0")})
    assert [light.cold()["directory"] for _ in range(3)] == [None] * 3
    own = Function(jail, "own", Environment={"Variables": {"NODE_COMPILE_CACHE": "/tmp/mine"}})
    answers = [own.cold() for _ in range(3)]
    assert all(answer["directory"].startswith("/tmp/mine/") for answer in answers), answers
    assert on_disk(jail) == []


def test_processes_that_were_booted_ahead_have_it_too(server):
    variables = {**os.environ, "LAMBKIN_LOG": "lambkin_invoke=debug,warn"}
    started = server("--isolation", "auto", "--idle-timeout", "0.1", "--warm-pool", "2", variables=variables)
    lambda_ = client(started.endpoint)
    create(lambda_, "heavy", CODE, Timeout=60)
    tokens = set()

    def from_the_pool_with_a_cache():
        before = started.log.read_text().count("took a process that was booted ahead")
        answer = invoke(lambda_, "heavy").payload
        # Where the former environment has not retired yet.
        time.sleep(0.3)
        is_new = answer["token"] not in tokens
        tokens.add(answer["token"])
        pooled = started.log.read_text().count("took a process that was booted ahead") > before
        return answer if is_new and pooled and reads(answer) else None

    answer = eventually(from_the_pool_with_a_cache, 60, "an environment from the pool that has a cache")
    assert len(answer["files"]) == 2 and set(answer["writes"]) == {"EROFS"}, answer
