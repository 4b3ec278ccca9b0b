"""What the bootstrap says on the wire, on each real Node.js it is given (docs/channel.md; the Node.js specification).

usage: wire_test.py <directory of Node.js binaries> [test name ...]

Each test names the majors it holds for. Messages, log lines and payloads as a client sees them are the business of the
black-box tests; here is the wire, and what cannot be seen from outside.
"""
import glob
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

from supervisor import Process

HERE = os.path.dirname(os.path.abspath(__file__))
ALL = [4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26]
G1 = [4, 6, 8]
G2 = [10, 12, 14, 16, 18, 20, 22]
G3 = [24, 26]
TESTS = []
NODES = {}
# What Node.js or a library reads when it starts: such a process is never generic.
AT_START = ("NODE_", "LD_", "UV_", "TZ", "LANG", "LC_", "HOME")
BUNDLES = {}
GENERIC = False


def test(majors):
    def register(function):
        TESTS.append((function, majors))
        return function
    return register


def start(major, code=None, **options):
    files = dict(options.pop("files", {}))
    if code is not None:
        files[options.pop("name", "index.js")] = code
    generic = GENERIC and not any(name.startswith(AT_START) for name in options.get("env") or {})
    p = Process(NODES[major], major, BUNDLES, files, generic=generic, **options)
    if generic:
        booted = p.until("BOOTED")
        assert kinds(booted) == ["BOOTED"], booted
        p.assign()
    return p


def handler(major, body):
    """A handler that returns a value, in each generation's way."""
    if major < 8:
        return f"exports.handler = function (event, context, callback) {{ callback(null, (function () {{ {body} }})()); }};"
    return f"exports.handler = async function (event, context) {{ {body} }};"


def kinds(frames):
    return [frame.kind for frame in frames]


def one(frames, kind):
    found = [frame for frame in frames if frame.kind == kind]
    assert len(found) == 1, f"{kind} in {frames}"
    return found[0]


def call(process, payload="{}", **head):
    process.invoke(payload, **head)
    return process.until()


def response(process, payload="{}", **head):
    return one(call(process, payload, **head), "RESPONSE").value


@test(ALL)
def loading_is_timed(major):
    p = start(major, "var end = Date.now() + 50; while (Date.now() < end); " + handler(major, "return 1;"))
    assert kinds(p.until()) == ["READY"]
    assert len(p.loaded) == (1 if major >= 22 else 0) and all(10_000 < micros < 10_000_000 for micros in p.loaded), p.loaded
    assert response(p) == 1
    p.close()


@test([22, 24, 26])
def compile_cache(major):
    """Made of an init before its READY, where its directory is there and may be written; then read."""
    code = {"index.js": "exports.handler = async () => ({ n: require('./lib.js').n, env: Object.keys(process.env) })", "lib.js": "exports.n = 1"}
    with tempfile.TemporaryDirectory() as lang:
        os.mkdir(os.path.join(lang, "bin"))
        node = shutil.copy(os.path.realpath(NODES[major]), os.path.join(lang, "bin", "node"))
        directory = os.path.join(lang, "cache", "compile")
        os.makedirs(directory)
        original, NODES[major] = NODES[major], node
        try:
            for mode, made in [(0o755, False), (0o777, True)]:
                os.chmod(directory, mode)
                p = start(major, files=code)
                frames = p.until()
                files = [frame for frame in frames if frame.kind == "COMPILE_CACHE"]
                assert kinds(frames) == ["COMPILE_CACHE"] * len(files) + ["READY"] and bool(files) == made, (frames, p.raw)
                assert response(p)["n"] == 1 and not any("CACHE" in name for name in response(p)["env"])
                if not made:
                    p.close()
            for frame in files:
                assert open(os.path.join(directory, frame.name), "rb").read() == frame.content
            os.chmod(directory, 0o755)
            # A cache knows modules by their paths.
            again = start(major, files=code, env={"NODE_DEBUG_NATIVE": "COMPILE_CACHE"}, task=p.task)
            assert kinds(again.until()) == ["READY"] and response(again)["n"] == 1
            assert b"was accepted" in again.raw, again.raw
            again.close()
            p.close()
        finally:
            NODES[major] = original


@test(ALL)
def events_and_identity(major):
    p = start(major, handler(major, """
        var fds = require('child_process').execSync('ls /proc/self/fd').toString().split('\\n').filter(Boolean);
        return { event: event, argv: process.argv, isMain: require.main === module, main: typeof require.main, cwd: process.cwd(),
          fds: fds.length, trace: process.env._X_AMZN_TRACE_ID, keys: Object.keys(context),
          internal: Object.keys(process.env).filter(function (k) { return k.indexOf('_LAMBDA') === 0; }),
          cached: Object.keys(require.cache).some(function (f) { return /runtime.index.js$/.test(f); }) };"""))
    assert kinds(p.until()) == ["READY"]
    got = response(p, '{"key":"\\u00fc"}')
    assert got["event"] == {"key": "ü"}
    entry = "node_modules/awslambda/index.js" if major < 10 else "index.js" if major < 14 else "index.mjs"
    assert got["argv"][1:] == [os.path.join(p.runtime, entry)], got["argv"]
    assert got["isMain"] is False and got["cwd"] == p.task and got["internal"] == [], got
    assert (got.get("main", "undefined") == "undefined") == (major >= 14), got
    assert got["fds"] == 4, "a child inherited the channel"
    assert got["cached"] == (10 <= major < 14)
    assert got["trace"] == "Root=1-2-3"
    assert "trace" not in response(p, traceId=None)
    complete = ["functionVersion", "functionName", "memoryLimitInMB", "logGroupName", "logStreamName", "clientContext",
                "identity", "invokedFunctionArn", "awsRequestId"]
    expected = {
        "g1": ["callbackWaitsForEmptyEventLoop", "done", "succeed", "fail", "logGroupName", "logStreamName",
               "functionName", "memoryLimitInMB", "functionVersion", "getRemainingTimeInMillis", "invokeid",
               "awsRequestId", "invokedFunctionArn"],
        "g2": ["callbackWaitsForEmptyEventLoop", "succeed", "fail", "done"] + complete
        + (["tenantId"] if major >= 20 else []) + ["getRemainingTimeInMillis"],
        "g3": ["clientContext", "identity", "invokedFunctionArn", "awsRequestId", "tenantId", "xRayTraceId",
               "getRemainingTimeInMillis", "functionName", "functionVersion", "memoryLimitInMB", "logGroupName",
               "logStreamName"]}
    assert got["keys"] == expected["g1" if major < 10 else "g2" if major < 24 else "g3"], got["keys"]
    p.close()


@test(ALL)
def is_the_same_process_whether_generic_or_not(major):
    """All that the function can see of how its process began."""
    code = handler(major, """
        var sorted = function (o) { return Object.keys(o).sort(); };
        var child = require('child_process').execSync('env; pwd').toString().split('\\n').sort();
        var env = {}; Object.keys(process.env).forEach(function (k) { env[k] = process.env[k]; });
        return { env: env, order: Object.keys(process.env), child: child, argv: process.argv, execArgv: process.execArgv,
          title: process.title, cwd: process.cwd(), main: typeof require.main, cache: sorted(require.cache),
          globals: sorted(global), paths: require('module').globalPaths || null, parent: module.parent && module.parent.id,
          loaded: (process.moduleLoadList || []).length, listeners: process.eventNames ? process.eventNames().map(String) : [],
          stack: new Error('x').stack, early: early };""").replace("exports.handler", """
        var early = { stack: new Error('e').stack, fromEnv: process.env.MINE, order: [] };
        process.nextTick(function () { early.order.push('tick'); });
        setImmediate(function () { early.order.push('immediate'); });
        Promise.resolve().then(function () { early.order.push('promise'); });
        exports.handler""", 1)
    seen = []
    for generic in (False, True):
        p = Process(NODES[major], major, BUNDLES, {"index.js": code}, env={"MINE": "m", "ZED": "ü=1"}, generic=generic)
        if generic:
            p.until("BOOTED")
            p.assign()
        assert kinds(p.until()) == ["READY"], p.raw
        # Each process has a directory and a Runtime API of its own.
        said = json.dumps(response(p)).replace(p.directory, "DIRECTORY").replace(p.api.address, "RUNTIME-API")
        seen.append(json.loads(said))
        p.close()
    for key in seen[0]:
        assert seen[0][key] == seen[1][key], f"{key}:\n{seen[0][key]}\n{seen[1][key]}"
    assert seen[1]["early"]["fromEnv"] == "m" and "_LAMBKIN_GENERIC" not in seen[1]["env"]


@test(ALL)
def a_generic_process_waits_and_ends_with_the_channel(major):
    for last, code in ((None, 0), (b"\x01\x00\x00\x00\x07", 1)):
        p = Process(NODES[major], major, BUNDLES, generic=True)
        assert kinds(p.until("BOOTED")) == ["BOOTED"]
        assert not p.pump(0.1), "it says nothing more"
        if last is None:
            p.channel.shutdown(socket.SHUT_WR)
        else:
            p.channel.sendall(last)
        assert p.end() == code and p.raw == b""
        p.close()


@test(ALL)
def caller_contexts(major):
    p = start(major, handler(major, "return { c: context.clientContext, i: context.identity };"))
    p.until()
    identity = '{"cognitoIdentityId":"a","cognitoIdentityPoolId":"b"}'
    got = response(p, clientContext='{"custom":{"x":1}}', cognitoIdentity=identity)
    assert got == {"c": {"custom": {"x": 1}}, "i": json.loads(identity)}
    frames = call(p, clientContext="{oops")
    if major in G3:
        assert p.end() == 1 and b"Failed to parse lambda-runtime-client-context as JSON" in p.raw
    else:
        message = "Unable to parse clientContext as json" if major in G1 else "Cannot parse ClientContext as json: "
        assert one(frames, "ERROR").value["errorMessage"].startswith(message)
        assert response(p) is not None
    p.close()


@test(ALL)
def large_payloads(major):
    p = start(major, handler(major, "return event;"))
    p.until()
    for text in ("é" * 3000000, "x" * 70000, "y", "z" * 65520, "€" * 21840):
        assert response(p, json.dumps(text, ensure_ascii=False)) == text
    # Larger than lambkin reads; it must still be one frame.
    frames = call(p, json.dumps("a" * 6400000))
    assert len(one(frames, "RESPONSE").text) == 6400002
    p.close()


@test(ALL)
def output_precedes_result(major):
    p = start(major, handler(major, """
        process.stdout.write(new Array(300001).join('o')); process.stderr.write(new Array(300001).join('e'));
        if (event.exit) { process.exit(3); }
        return 1;"""))
    p.until()
    p.invoke()
    p.until("RESPONSE")
    assert len(p.raw) == 600000, len(p.raw)
    p.until()
    p.invoke('{"exit":true}')
    assert p.end() == 3 and len(p.raw) == 1200000, len(p.raw)
    p.close()


@test(ALL)
def replaced_builtins(major):
    p = start(major, """
        var fs = require('fs');
        ['readSync', 'writeSync', 'writeFileSync'].forEach(function (k) { fs[k] = function () { throw new Error(k); }; });
        JSON.parse = JSON.stringify = function () { throw new Error('json'); };
        process.reallyExit = process.listeners = function () { throw new Error('process'); };
        global.setImmediate = global.setTimeout = function () { throw new Error('timer'); };
        """ + handler(major, "console.log('still'); return event;"))
    p.until()
    for _ in range(2):
        p.invoke("[1]")
        frames = p.until()
        assert kinds(frames) == ["LOG", "RESPONSE", "READY"] and frames[1].value == [1], frames
    p.close()


@test(ALL)
def log_frames(major):
    p = start(major, handler(major, """
        console.log('a\\nb %s', 'c'); console.error('bad'); console.log(new Array(1500001).join('€'));
        return 1;"""))
    p.until()
    before = time.time() * 1e6
    frames = call(p, requestId="r-1")
    logs = [f for f in frames if f.kind == "LOG"]
    stamp, rest = logs[0].text.split("\t", 1)
    assert rest == ("r-1\ta\nb c" if major in G1 else "r-1\tINFO\ta\nb c"), rest
    assert abs(logs[0].micros - before) < 5e6 and len(stamp) == 24 and logs[0].json == 0
    assert [f.level for f in logs[:2]] == ([0, 0] if major in G1 else [3, 5])
    parts = logs[2:]
    assert all(len(f.body) <= 1048576 for f in parts) and len(parts) == 5
    assert "".join(f.text for f in parts).endswith("€" * 1500000)
    p.close()


@test(ALL)
def errors(major):
    code = "class E extends TypeError {} var e = new E('m'); e.name = 'Mine'; e.code = 7;"
    body = "callback(e)" if major < 8 else "throw e"
    p = start(major, "'use strict';" + code +
              f"exports.handler = {'' if major < 8 else 'async '}function (event, context, callback) {{ {body}; }};"
              .replace(", callback", ", callback" if major < 8 else ""))
    p.until()
    error = one(call(p), "ERROR")
    assert error.type == "Mine"
    if major in G1:
        assert error.handled == 1 and list(error.value) == ["errorMessage", "errorType", "stackTrace"]
        assert error.value["errorMessage"] == "m" and not error.value["stackTrace"][0].startswith(" ")
        assert all(p.runtime not in line for line in error.value["stackTrace"])
    else:
        assert error.handled == 0 and list(error.value) == ["errorType", "errorMessage", "trace"]
        assert error.value["trace"][0].endswith(": m")
    p.close()


@test(ALL)
def oversized_errors(major):
    big = "new Error(new Array(7000001).join('m'))"
    p = start(major, f"exports.handler = function (e, c, cb) {{ cb({big}); }};" if major < 8
              else f"exports.handler = async () => {{ throw {big}; }};")
    p.until()
    frames = call(p)
    # lambkin answers Function.ResponseSizeTooLarge to a RESPONSE of that size.
    assert len(one(frames, "RESPONSE").body) > 7000000 and kinds(frames)[-1] == "READY"
    assert all(len(f.body) <= 1048576 for f in frames if f.kind == "LOG")
    p.close()
    if major >= 10:
        p = start(major, f"throw {big}")
        error = p.until()[-1]
        assert error.kind == "INIT_ERROR" and len(error.body) < 6291556 and error.value["errorMessage"][:2] == "mm"
        p.close()


@test([m for m in ALL if m >= 16])
def result_and_ready_in_one_write(major):
    p = start(major, "exports.handler = async (event) => event;")
    p.until()
    for number in range(50):
        p.invoke(str(number))
        # One read right after the first byte: two writes would be two reads, at least now and then.
        select.select([p.channel], [], [], 10)
        p.pump(0)
        assert kinds(p.frames) == ["RESPONSE", "READY"] and p.frames[0].value == number, p.frames
        p.frames = []
    p.close()


@test([m for m in ALL if m >= 10])
def a_result_is_not_held_back(major):
    busy = "const until = Date.now() + 1500; while (Date.now() < until);"
    later = {"timer": f"setTimeout(() => {{ {busy} }}, 0)", "immediate": f"setImmediate(() => {{ {busy} }})",
             "own succeed": f"const own = context.succeed; context.succeed = (v) => {{ own(v); {busy} }}"}
    if major in G3:
        later = {}  # Its results leave one turn late anyway.
    for name, code in later.items():
        p = start(major, f"exports.handler = async (event, context) => {{ {code}; return 1; }};")
        p.until()
        p.invoke()
        began = time.time()
        assert one(p.until("RESPONSE"), "RESPONSE").value == 1, name
        assert time.time() - began < 1, name
        assert kinds(p.until()) == ["READY"], name
        p.close()
    # What ends the process in the turn between the result and READY takes nothing back.
    ends = {"exit": "process.exit(7)", "reallyExit": "process.reallyExit(7)"}
    if major in G2:
        ends["rejection"] = "{ throw new Error('late'); }"
    for name, code in ends.items():
        late = f"{{ toJSON: () => {{ Promise.resolve().then(() => {code}); return 1; }} }}"
        p = start(major, f"exports.handler = async () => ({late});")
        p.until()
        p.invoke()
        assert "RESPONSE" in kinds(p.until("READY")), name
        assert p.end() == (128 if name == "rejection" else 7), name
        p.close()


@test([8, 10, 12, 14, 16, 18, 20, 22, 24, 26])
def frozen_between_events(major):
    p = start(major, """let n = 0; exports.handler = async (event) => {
        if (event.wait) { await new Promise((resolve) => setTimeout(resolve, 60)); return n; }
        setTimeout(() => { n += 1; console.log('timer'); }, 20); return n; };""")
    p.until()
    assert response(p) == 0
    time.sleep(0.2)
    assert not p.pump(0) and p.frames == [], "something ran while the process was frozen"
    frames = call(p, '{"wait":1}', requestId="id-2")
    assert "\tid-2\t" in frames[0].text and one(frames, "RESPONSE").value == 1
    p.close()


@test(ALL)
def end_of_channel(major):
    p = start(major, "process.on('exit', function () { console.log('exit'); });" + handler(major, "return 1;"))
    p.until()
    p.channel.shutdown(1)
    assert p.end() == 0 and p.frames == [] and p.raw == b""
    p.close()
    if major == 4:
        return  # A handled signal crashes it; see signals_in_the_blocking_read.
    p = start(major, "process.on('SIGTERM', function () { console.log('term'); process.exit(0); });"
              + handler(major, "return 1;"))
    p.until()
    p.process.send_signal(signal.SIGTERM)
    p.channel.shutdown(1)
    assert p.end() == 0 and "term" in one(p.frames, "LOG").text
    p.close()


@test(ALL)
def broken_frame(major):
    p = start(major, handler(major, "return 1;"))
    p.until()
    p.channel.sendall(b"\0\0\0\0")
    assert p.end() == 1
    p.close()


# Not on 4.3: its libuv crashes where a handled signal interrupts any blocking fs.readSync.
@test([m for m in ALL if m > 4])
def signals_in_the_blocking_read(major):
    p = start(major, "var n = 0; process.on('SIGUSR2', function () { n += 1; });"
              + ("exports.handler = function (e, c, cb) { setTimeout(function () { cb(null, n); }, 20); };" if major < 24
                 else "exports.handler = async () => new Promise((r) => setTimeout(() => r(n), 20));"))
    p.until()
    time.sleep(0.05)
    p.process.send_signal(signal.SIGUSR2)
    time.sleep(0.05)
    assert response(p) == 1
    p.close()


@test(ALL)
def trickled_frames(major):
    p = start(major, handler(major, "return event;"))
    p.until()
    real, sent = p.channel, []

    class Collect:
        def sendall(self, data):
            sent.append(data)
    p.channel = Collect()
    p.invoke('"slow"')
    p.invoke('"next"')
    p.channel = real
    stream = b"".join(sent)
    for i in range(0, len(stream), 37):
        real.sendall(stream[i:i + 37])
        time.sleep(0.001)
    assert one(p.until(), "RESPONSE").value == "slow"
    assert one(p.until(), "RESPONSE").value == "next"
    p.close()


@test(G1)
def g1_deferred_faults(major):
    for code, prefix, value in [
            ("exports.x = 1", "Handler 'handler' missing on module 'index'",
             {"errorMessage": "Handler 'handler' missing on module 'index'"}),
            (None, "Unable to import module 'index': Error\n", None),
            ("var a = ){", "Syntax error in module 'index': SyntaxError\n", None)]:
        p = start(major, code)
        assert kinds(p.until()) == ["READY"]
        for _ in range(2):
            frames = call(p)
            assert kinds(frames) == ["LOG", "ERROR", "READY"] and frames[1].handled == 0
            assert frames[0].text.startswith(prefix), frames[0]
            assert value is None or frames[1].value == value
        p.close()
    p = start(major)
    p.until()
    frames = call(p)
    # The message line is dropped once for the log and the first frame once more for the payload (section 1.1).
    assert "_resolveFilename" in frames[0].text.split("\n")[1]
    trace = frames[1].value["stackTrace"]
    assert trace[0].startswith("Function.Module._load") and trace[-1].startswith("require ("), trace
    p.close()
    p = start(major, "throw new Error('boom')")
    p.until()
    assert kinds(call(p)) == ["LOG", "ERROR"] and p.end() == 1
    p.close()


@test(G1)
def g1_completions(major):
    for body, kind, text in [
            ("setTimeout(function () { console.log('t') }, 30); callback(null, 1)", "RESPONSE", "1"),
            ("callback(null, event); event.x = 2", "RESPONSE", "{}"),
            ("return 5", "RESPONSE", "null"),
            ("return Promise.resolve(3)", "RESPONSE", "3" if major == 8 else "null"),
            ("context.succeed(function () {})", "RESPONSE", "null"),
            ("context.fail()", "ERROR", '{"errorMessage":null}'),
            ("callback(false)", "ERROR", '{"errorMessage":"false"}'),
            ("callback({})", "ERROR", '{"errorMessage":"[object Object]"}'),
            ("var a = {}; a.a = a; context.done(null, a)", "ERROR",
             '{"errorMessage":"Converting circular structure to JSON","errorType":"TypeError","stackTrace":[]}')]:
        p = start(major, f"exports.handler = function (event, context, callback) {{ {body} }};")
        p.until()
        frames = call(p)
        assert one(frames, kind).text == text, (body, frames)
        assert frames[0].kind == "LOG" or "setTimeout" not in body
        p.close()
    p = start(major, "exports.handler = function (e, c, cb) { cb(new Array(300001).join('x')); };")
    p.until()
    log = one(call(p, requestId="r"), "LOG").text.split("\t")[2]
    assert log.endswith("x - Truncated by Lambda") and len(log) == 262144 + 22
    p.close()
    p = start(major, "exports.handler = function () { throw new TypeError('x'); };")
    p.until()
    assert kinds(call(p)) == ["LOG"] and p.end() == 1
    p.close()


@test(G2)
def g2_init_errors(major):
    for code, type_, label, status in [
            ("require('nope')", "Runtime.ImportModuleError", "Uncaught Exception ", 129),
            ("exports.x = 1", "Runtime.HandlerNotFound", "Uncaught Exception ", 129),
            ("var a = ){", "Runtime.UserCodeSyntaxError", "Uncaught Exception ", 129),
            ("throw 'text'", "string", "Uncaught Exception ", 129),
            ("Promise.reject(new Error('x')); exports.handler = () => {}", "Runtime.UnhandledPromiseRejection",
             "Unhandled Promise Rejection ", 128)]:
        p = start(major, code)
        frames = p.until()
        assert kinds(frames)[-2:] == ["LOG", "INIT_ERROR"] and p.end() == status, (code, frames)
        assert frames[-1].type == type_ == frames[-1].value["errorType"]
        assert frames[-2].text.split("\t")[1:4] == ["undefined", "ERROR", label], frames[-2]
        if type_ == "Runtime.ImportModuleError":
            lines = frames[-1].value["errorMessage"].split("\n")
            last = {10: "Error: Cannot find module 'nope'", 12: f"- {p.runtime}/index.js"}
            assert lines[-1] == last.get(major, f"- {p.runtime}/index.mjs")
        p.close()
    if major >= 14:
        p = start(major, "await new Promise(() => {})", name="index.mjs")
        assert p.until() == [] and p.end() == 13
        p.close()


@test(G2)
def g2_completions(major):
    exit_error = major >= 18
    for code, kind, text in [
            ("(e, c, cb) => { setTimeout(() => console.log('t'), 30); cb(null, 1) }", "RESPONSE", "1"),
            ("(e, c, cb) => { cb(null, e); e.x = 2 }", "RESPONSE", '{"x":2}'),
            ("() => 5", "RESPONSE", "null"),
            ("() => ({ then(f) { f(6); return { catch() {} } } })", "RESPONSE", "6"),
            ("() => new Promise(() => {})", "RESPONSE", "null"),
            ("async () => new Promise(() => {})", "ERROR" if exit_error else "RESPONSE", None if exit_error else "null"),
            ("() => { throw undefined }", "RESPONSE", "null"),
            ("async () => { throw undefined }", "ERROR", '{"errorType":"string","errorMessage":"handled","trace":[]}'),
            ("(e, c, cb) => { cb(null, 1); throw new Error('x') }", "RESPONSE", "1"),
            ("(e, c) => { c.fail({}) }", "ERROR", '{"errorType":"object","errorMessage":"[object Object]","trace":[]}'),
            ("async () => { throw { name: 'N', message: 'M\\x7f', stack: 'S\\nT' } }", "ERROR",
             '{"errorType":"N","errorMessage":"M%7F","trace":["S","T"]}')]:
        p = start(major, f"exports.handler = {code};", env={"AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING": "1"})
        assert kinds(p.until()) == ["READY"]
        for _ in range(2):
            frames = call(p)
            assert text is None or one(frames, kind).text == text, (code, frames)
            assert text is not None or one(frames, kind).type == "Runtime.NodeJsExit"
        p.close()
    p = start(major, "exports.handler = (e, c, cb) => cb()")
    assert kinds(p.until()) == (["LOG", "READY"] if major >= 20 else ["READY"])
    p.close()


@test(G2)
def g2_late_and_crashing(major):
    p = start(major, """let reject; exports.handler = async (e) => {
        if (e.hang) { return new Promise((a, b) => { reject = b; }); }
        setTimeout(() => reject(new Error('late')), 10);
        await new Promise((r) => setTimeout(r, 40)); return 'mine'; };""")
    p.until()
    call(p, '{"hang":1}')
    frames = call(p)
    assert [k for k in kinds(frames) if k != "LOG"] == ["RESPONSE", "READY"] and one(frames, "RESPONSE").value == "mine"
    p.close()
    p = start(major, "exports.handler = async () => { Promise.reject(new Error('q')); return 'hi'; };")
    p.until()
    assert kinds(call(p)) == ["RESPONSE", "LOG", "ERROR"] and p.end() == 128
    p.close()
    p = start(major, "exports.handler = (e, c, cb) => { setTimeout(() => { throw new RangeError('r'); }, 5); };")
    p.until()
    frames = call(p)
    assert kinds(frames) == ["LOG", "ERROR"] and frames[1].type == "RangeError" and p.end() == 129
    p.close()


@test(G3)
def g3_init_and_death(major):
    for code, type_ in [("require('nope')", "Runtime.ImportModuleError"),
                        ("exports.handler = (a, b, c) => {}", "Runtime.CallbackHandlerDeprecated"),
                        ("var a = ){", "Runtime.UserCodeSyntaxError")]:
        p = start(major, code)
        frames = p.until()
        assert kinds(frames) == ["LOG", "INIT_ERROR"] and p.end() == 1, frames
        assert frames[1].type == type_ and frames[0].text.split("\t")[1:4] == ["-", "ERROR", "Init Error "]
        assert b"Node.js v" in p.raw
        p.close()
    for code, name, status in [("await new Promise(() => {})", "index.mjs", 0),
                               ("Promise.reject(new Error('x')); exports.handler = () => 1", "index.js", 1)]:
        p = start(major, code, name=name)
        assert [k for k in kinds(p.until("never")) if k != "READY"] == [] and p.end() == status
        p.close()
    for code, payload, status in [("() => 1", "nojson", 1), ("async () => new Promise(() => {})", "{}", 0),
                                  ("() => { Promise.reject(new Error('x')); return 1 }", "{}", 1)]:
        p = start(major, f"exports.handler = {code}")
        p.until()
        assert call(p, payload) == [] and p.end() == status, code
        p.close()
    p = start(major, files={"foo/index.js": "exports.handler = () => 1"}, handler="foo.handler")
    assert f"imported from {p.runtime}/index.mjs" in p.until()[-1].value["errorMessage"]
    p.close()


@test(G3)
def g3_completions(major):
    for code, kind, text in [
            ("() => 5", "RESPONSE", "5"),
            ("() => undefined", "RESPONSE", "null"),
            ("() => ({ then(f) { f(6) } })", "RESPONSE", "6"),
            ("() => { throw undefined }", "ERROR", '{"errorType":"undefined","errorMessage":"undefined","trace":[]}'),
            ("() => { throw { name: 'N', message: 'M', stack: 'S' } }", "ERROR",
             '{"errorType":"object","errorMessage":"[object Object]","trace":[]}'),
            ("() => [awslambda.InvokeStore.getRequestId(), awslambda.InvokeStore.getXRayTraceId()]", "RESPONSE",
             '["id-1","Root=1-2-3"]')]:
        p = start(major, f"export default {{ handler: {code} }};")
        p.until()
        assert one(call(p), kind).text == text, code
        p.close()


@test([14, 16, 18, 20, 22, 24, 26])
def streams(major):
    def run(body, options="async "):
        p = start(major, f"exports.handler = awslambda.streamifyResponse({options}(event, stream, context) => {{ {body} }});")
        ready = p.until()
        assert kinds(ready) == ["READY"], (ready, p.raw, p.process.poll())
        return p, call(p)

    p, frames = run("""stream = awslambda.HttpResponseStream.from(stream, { statusCode: 201 });
        stream.write('a'); stream.write({ b: 1 }); stream.write(Buffer.alloc(3000000)); stream.end('z');""")
    post = p.posted()
    assert post.path == "/2018-06-01/runtime/invocation/id-1/response" and post.complete
    assert post.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert post.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert post.body == b'{"statusCode":201}' + bytes(8) + b'a{"b":1}' + bytes(3000000) + b"z"
    assert kinds(frames) == ["READY"]
    # The next has a post of its own.
    p.api.posts.clear()
    assert kinds(call(p, requestId="id-2")) == ["READY"] and "/id-2/" in p.posted().path
    p.close()

    p, frames = run("awslambda.HttpResponseStream.from(stream, { statusCode: 201 }).end();")
    assert kinds(frames) == ["READY"] and p.posted().complete and p.posted().body == b""
    p.close()

    p, frames = run("stream.write('a'); throw new TypeError('mid');")
    assert kinds(frames) == ["LOG", "ERROR", "READY"]
    assert frames[1].type == "TypeError" and frames[1].value["errorMessage"] == "mid"
    assert p.posted().body == b"a" and p.posted().complete
    p.close()

    p, frames = run("throw new TypeError('early');")
    assert kinds(frames) == ["LOG", "ERROR", "READY"] and p.api.posts == []
    p.close()

    p, frames = run("stream.end('fin');", options="")
    assert kinds(frames) == ["LOG", "READY"] and p.posted().body == b"fin"
    p.close()

    p, frames = run("""try { stream.setContentType('a\\nb') } catch (e) { console.log(e.code) }
        stream.write('a'); try { stream.setContentType('x') } catch (e) { console.log(e.name) }
        stream.on('finish', () => console.log('finish')); stream.end();""")
    assert [f.text.split("\t")[-1] for f in frames if f.kind == "LOG"] == [
        "ERR_INVALID_CHAR", "Runtime.InvalidStreamingOperation", "finish"], frames
    p.close()

    p, frames = run("""const { pipeline } = require('stream'); const { Readable } = require('stream');
        await new Promise((done, fail) => pipeline(Readable.from(['a', 'b', 'c']), stream, (e) => e ? fail(e) : done()));""")
    assert kinds(frames) == ["READY"] and p.posted().body == b"abc"
    p.close()

    p, frames = run("stream.write('a'); stream.destroy(new Error('d'));")
    assert p.end() == (128 if major < 24 else 1) and not any(post.complete for post in p.api.posts)
    p.close()

    p = start(major, "exports.handler = awslambda.streamifyResponse(async (e, s) => { s.write('a'); });")
    p.until()
    p.invoke()
    limit = time.time() + 10
    while not (p.api.posts and p.api.posts[0].body):
        assert p.until(timeout=0.05) == [] and time.time() < limit, "what is written is sent at once"
    assert p.until(timeout=0.3) == [] and p.process.poll() is None and not p.api.posts[0].complete
    p.close()


@test([14, 16, 18, 20, 22, 24, 26])
def a_slow_client_does_not_hold_the_event_loop(major):
    p = start(major, """const { once } = require('events');
        exports.handler = awslambda.streamifyResponse(async (event, stream) => {
          let turns = 0, waits = 0;
          const timer = setInterval(() => { if (++turns === 20) console.log('turns'); }, 5);
          for (let i = 0; i < 256; i++) {
            if (!stream.write(Buffer.alloc(65536, 97))) { waits++; await once(stream, 'drain'); }
          }
          clearInterval(timer);
          console.log(waits);
          stream.end();
        });""")
    p.until()
    p.api.reads.clear()
    p.invoke()
    # 16 MiB fit nowhere: it turns while its response waits.
    assert one(p.until("LOG"), "LOG").text.endswith("turns")
    p.api.reads.set()
    frames = p.until()
    assert kinds(frames) == ["LOG", "READY"], frames
    assert int(frames[0].text.split("\t")[-1]) > 100, frames
    assert p.posted().body == b"a" * (256 * 65536)
    p.close()


@test([14, 16, 18, 20, 22, 24, 26])
def json_logs(major):
    p = start(major, """exports.handler = async () => {
        console.debug('no'); console.info({ a: new RangeError('r') }); console.warn('two', new TypeError('t'), 3);
        console.error(10n); console.table([1]); return 1; };""",
              env={"AWS_LAMBDA_LOG_FORMAT": "json", "AWS_LAMBDA_LOG_LEVEL": "info"})
    p.until()
    logs = [f for f in call(p) if f.kind == "LOG"]
    if major == 14:
        assert [f.json for f in logs] == [0] * 5 and "\tDEBUG\tno" in logs[0].text
    else:
        assert [(f.level, f.json) for f in logs] == [(3, 1), (4, 1), (5, 1), (3, 1)], logs
        records = [json.loads(f.text) for f in logs]
        assert list(records[0]) == ["timestamp", "level", "requestId", "message"]
        assert list(records[0]["message"]["a"])[:3] == ["errorType", "errorMessage", "stackTrace"]
        assert list(records[1])[4:] == ["errorType", "errorMessage", "stackTrace"]
        assert records[1]["message"].startswith("two TypeError: t\n") and records[2]["message"] == "10n"
    p.close()


def find_nodes(directory):
    for path in sorted(glob.glob(os.path.join(directory, "**", "node*"), recursive=True)):
        if not (os.path.isfile(path) and os.access(path, os.X_OK)):
            continue
        try:
            version = subprocess.run([path, "--version"], capture_output=True, timeout=20).stdout.decode().strip()
        except (OSError, subprocess.TimeoutExpired):
            continue  # Another machine's binary.
        if version.startswith("v") and version[1:].split(".")[0].isdigit():
            NODES[int(version[1:].split(".")[0])] = path


def main():
    find_nodes(sys.argv[1])
    majors = [m for m in ALL if m in NODES]
    builder = NODES[max(majors)] if majors and max(majors) >= 12 else "node"
    for entry in ("g1", "g1b", "g2", "g3"):
        command = [builder, os.path.join(HERE, "bundle.js"), os.path.join(HERE, "..", f"{entry}.js")]
        BUNDLES[entry] = subprocess.run(command, capture_output=True, check=True).stdout.decode()
    failed = ran = 0
    for mode, function, wanted in [(mode, *test) for mode in (False, True) for test in TESTS]:
        if sys.argv[2:] and function.__name__ not in sys.argv[2:]:
            continue
        global GENERIC
        GENERIC = mode
        for major in wanted:
            if major not in NODES:
                continue
            ran += 1
            began = time.time()
            try:
                function(major)
            except Exception:
                failed += 1
                print(f"FAILED {function.__name__} on Node.js {major}{' (generic)' if mode else ''}")
                traceback.print_exc()
            if os.environ.get("TIMES"):
                print(f"{time.time() - began:6.2f} s {function.__name__} {major}")
    print(f"{ran} tests on Node.js {majors}, {failed} failed")
    return 1 if failed or not ran else 0


if __name__ == "__main__":
    sys.exit(main())
