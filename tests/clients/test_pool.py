"""Processes that are booted before it is known whose they will be (docs/channel.md, "generic"): what a function can tell
of it, which is nothing. The semantics table holds for both kinds; here is what it cannot see."""

import glob
import itertools
import json

import pytest

from lambda_client import client, create, invoke

RUNTIMES = ["nodejs8.10", "nodejs16.x", "nodejs22.x", "nodejs24.x"]

TELLS = """const fs = require('fs');
global.invocations = (global.invocations || 0);
global.token = Math.random();
exports.handler = async () => {
  const refused = file => { try { fs.writeFileSync(file, ''); return 'written' } catch (error) { return error.code } };
  const env = require('child_process').execSync('env').toString().split('\\n').filter(Boolean).sort();
  return { own: Object.entries(process.env), env, cwd: process.cwd(), files: fs.readdirSync('.').sort(), argv: process.argv,
    execArgv: process.execArgv, title: process.title, user: process.getuid(), task: refused('/var/task/new'),
    tmp: refused('/tmp/new'), invocations: ++global.invocations, token: global.token };
};"""

# Of one environment or of one lambkin.
OWN = ("AWS_LAMBDA_LOG_STREAM_NAME", "_X_AMZN_TRACE_ID", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")


def took(server):
    """Functions whose processes came from the pool."""
    lines = server.log.read_text(errors="replace").splitlines()
    return {line.rsplit(":", 1)[1] for line in lines if "took a process that was booted ahead" in line}


def start(server, *options):
    started = server("--isolation", "auto", *options, variables={"LAMBKIN_LOG": "lambkin_invoke=debug,warn", "PATH": ""})
    if "plain processes" in started.log.read_text(errors="replace"):
        pytest.skip("no jail can be made here")
    return started


def from_the_pool(started, lambda_, name, **settings):
    """A new function's first answer, by a process that was booted ahead; which function that was."""
    for number in itertools.count():
        assert number < 50, f"no process was booted ahead; {started.tail()}"
        new = f"{name}-{number}"
        create(lambda_, new, TELLS, **settings)
        answer = invoke(lambda_, new)
        if new in took(started):
            return new, answer.payload


def seen(answer, name):
    """All but what differs from one environment to the other."""
    text = json.dumps({key: value for key, value in answer.items() if key != "token"}).replace(name, "NAME")
    answer = json.loads(text)
    answer["own"] = [pair for pair in answer["own"] if pair[0] not in OWN]
    answer["env"] = [line for line in answer["env"] if not line.startswith(OWN)]
    return answer


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_function_cannot_tell(server, runtime):
    settings = {"runtime": runtime, "Environment": {"Variables": {"MINE": "ü", "AWS_XRAY_CONTEXT_MISSING": "mine"}}}
    pooled = start(server, "--warm-pool", "2")
    name, answer = from_the_pool(pooled, client(pooled.endpoint), "f", **settings)
    alone = start(server, "--warm-pool", "0")
    lambda_ = client(alone.endpoint)
    create(lambda_, name, TELLS, **settings)
    expected = invoke(lambda_, name).payload
    assert took(alone) == set()
    assert seen(answer, name) == seen(expected, name)
    assert dict(answer["own"])["MINE"] == "ü" and answer["task"] == "EROFS" and answer["files"] == ["index.js"]


def test_no_two_functions_share_a_process(server):
    pooled = start(server, "--warm-pool", "2")
    lambda_ = client(pooled.endpoint)
    tokens = set()
    for number in range(4):
        name, answer = from_the_pool(pooled, lambda_, f"f{number}", runtime="nodejs22.x")
        assert answer["invocations"] == 1
        again = invoke(lambda_, name).payload
        assert (again["invocations"], again["token"]) == (2, answer["token"])
        tokens.add(answer["token"])
    assert len(tokens) == 4


def test_what_node_reads_at_its_start_is_there_at_its_start(server):
    pooled = start(server, "--warm-pool", "2")
    lambda_ = client(pooled.endpoint)
    from_the_pool(pooled, lambda_, "f", runtime="nodejs22.x")
    variables = {"TZ": "America/New_York", "NODE_OPTIONS": "--no-warnings"}
    code = "exports.handler = async () => [new Date(0).getHours(), process.execArgv.length, process.env.TZ]"
    create(lambda_, "own", code, runtime="nodejs22.x", Environment={"Variables": variables})
    assert invoke(lambda_, "own").payload[::2] == [19, "America/New_York"]
    assert "own" not in took(pooled)


def test_it_is_off_where_nobody_wants_it(server):
    alone = start(server, "--warm-pool", "0")
    lambda_ = client(alone.endpoint)
    for number in range(3):
        create(lambda_, f"f{number}", TELLS)
        invoke(lambda_, f"f{number}")
    assert took(alone) == set()


def test_libraries_of_the_package_are_found(server):
    """The dynamic linker remembers for ever that there was no /var/task/lib when the process started."""
    pooled = start(server, "--warm-pool", "2")
    lambda_ = client(pooled.endpoint)
    (library,) = (glob.glob("/lib/*-linux-gnu/libm.so.6") + glob.glob("/lib64/libm.so.6"))[:1]
    code = "exports.handler=async()=>{try{process.dlopen({exports:{}},'libmine.so')}catch(error){return error.message}}"
    with open(library, "rb") as file:
        files = {"index.js": code, "lib/libmine.so": file.read()}
    for number in itertools.count():
        assert number < 50, f"no process was booted ahead; {pooled.tail()}"
        name = f"f-{number}"
        create(lambda_, name, files)
        # What Node.js says of a library that it found and that is no module of its.
        assert "did not self-register" in invoke(lambda_, name).payload
        if name in took(pooled):
            return
