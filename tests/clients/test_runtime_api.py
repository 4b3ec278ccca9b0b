"""The HTTP Runtime API: a runtime of the function's own, begun by an exec wrapper, that speaks nothing else.

The client here is plain Node.js over AWS's public description of the API; none of lambkin's own runtime runs beside it.
"""

import re

import pytest

import kept
from lambda_client import create, invoke
from server import eventually

# AWS's wrappers get the runtime's command line; this one keeps the `node` of it.
WRAPPER = {"text": '#!/bin/sh\nexec "$1" "$LAMBDA_TASK_ROOT/runtime.js"\n', "mode": "755"}
RUNTIME = """
const http = require('http');
const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
const [host, port] = process.env.AWS_LAMBDA_RUNTIME_API.split(':');

function call(method, path, body, headers) {
  return new Promise((resolve, reject) => {
    const options = { host, port, method, path: '/2018-06-01' + path, headers, agent };
    http
      .request(options, (answer) => {
        let text = '';
        answer.setEncoding('utf8').on('data', (part) => (text += part));
        answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, text }));
      })
      .on('error', reject)
      .end(body);
  });
}

async function main() {
  console.log('my own runtime');
  if (process.env.FAILS) {
    const body = JSON.stringify({ errorType: 'Runtime.Mine', errorMessage: 'no init', stackTrace: [] });
    const answer = await call('POST', '/runtime/init/error', body, { 'Lambda-Runtime-Function-Error-Type': 'Runtime.Mine' });
    console.log('init error', answer.status);
    process.exit(3);
  }
  for (let count = 1; ; count++) {
    const next = await call('GET', '/runtime/invocation/next');
    const id = next.headers['lambda-runtime-aws-request-id'];
    const event = JSON.parse(next.text);
    const at = '/runtime/invocation/' + id;
    console.log('event', id);
    if (event.crash) process.exit(event.crash);
    if (event.hang) await new Promise(() => setInterval(() => {}, 1000));
    const answer = event.error
      ? await call('POST', at + '/error', JSON.stringify(event.error), { 'Lambda-Runtime-Function-Error-Type': 'Function.Mine' })
      : await call('POST', at + '/response', JSON.stringify(event.headers ? next.headers : { count, event, pid: process.pid }));
    if (answer.status !== 202) throw new Error(answer.text);
  }
}

main();
"""
RUNTIMES = ["nodejs16.x", "nodejs18.x", "nodejs20.x", "nodejs22.x", "nodejs24.x", "nodejs26.x"]


def own(lambda_, name, runtime="nodejs22.x", variables=None, **settings):
    files = {"wrapper": WRAPPER, "runtime.js": RUNTIME}
    variables = {"AWS_LAMBDA_EXEC_WRAPPER": "/var/task/wrapper", **(variables or {})}
    create(lambda_, name, files, runtime, Environment={"Variables": variables}, **settings)


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_a_runtime_of_its_own_answers_several_invocations(lambda_, name, runtime):
    own(lambda_, name, runtime)
    answers = [invoke(lambda_, name, {"n": n}) for n in range(5)]
    assert [answer.payload["count"] for answer in answers] == [1, 2, 3, 4, 5], answers
    assert [answer.payload["event"]["n"] for answer in answers] == [0, 1, 2, 3, 4]
    assert len({answer.payload["pid"] for answer in answers}) == 1
    last = answers[-1]
    assert re.search(rf"^START RequestId: {last.id} .*\nevent {last.id}\nEND RequestId: {last.id}\nREPORT ", last.log, re.M), last


def test_the_headers_say_which_invocation_it_is(lambda_, name):
    own(lambda_, name, Timeout=30)
    answer = invoke(lambda_, name, {"headers": True}, ClientContext="eyJjbGllbnQiOiB7fX0=")
    headers = answer.payload
    assert headers["lambda-runtime-aws-request-id"] == answer.id
    assert headers["lambda-runtime-invoked-function-arn"].endswith(f":function:{name}")
    assert headers["lambda-runtime-trace-id"].startswith("Root=1-")
    assert headers["lambda-runtime-client-context"] == '{"client": {}}'
    assert re.fullmatch(r"\d{13}", headers["lambda-runtime-deadline-ms"])


def test_an_error_a_crash_and_a_timeout_are_as_with_any_runtime(lambda_, name):
    own(lambda_, name, Timeout=2)
    first = invoke(lambda_, name).payload["pid"]
    failed = invoke(lambda_, name, {"error": {"errorType": "Mine", "errorMessage": "no"}})
    assert (failed.error, failed.payload) == ("Unhandled", {"errorType": "Mine", "errorMessage": "no"})
    assert invoke(lambda_, name).payload["pid"] == first
    crashed = invoke(lambda_, name, {"crash": 7})
    assert crashed.error == "Unhandled"
    assert crashed.payload == {
        "errorType": "Runtime.ExitError",
        "errorMessage": f"RequestId: {crashed.id} Error: Runtime exited with error: exit status 7",
    }
    after = invoke(lambda_, name).payload
    assert after["count"] == 1 and after["pid"] != first
    late = invoke(lambda_, name, {"hang": True})
    assert late.payload["errorType"] == "Sandbox.Timedout" and "Task timed out after 2.00 seconds" in late.log
    assert invoke(lambda_, name).payload["count"] == 1


def test_an_init_s_error_is_the_answer(shared, lambda_, name):
    own(lambda_, name, variables={"FAILS": "1"})
    for _ in range(2):
        answer = invoke(lambda_, name)
        assert answer.error == "Unhandled"
        assert answer.payload == {"errorType": "Runtime.Mine", "errorMessage": "no init", "stackTrace": []}
        assert "Error Type: Runtime.Mine" in answer.log, answer
    # An init's own lines are not in the tail.
    log = eventually(lambda: kept.text(shared, f"/aws/lambda/{name}"), 10, "the log is kept")
    assert "my own runtime\ninit error 202\n" in log, log


def test_the_bootstrap_s_own_function_reaches_it_too(lambda_, name):
    """Its calls change nothing out of order, and an invocation of another environment is unknown."""
    code = """
const http = require('http');
const call = (method, path) => new Promise((resolve, reject) => http
  .request('http://' + process.env.AWS_LAMBDA_RUNTIME_API + path, { method }, (answer) => {
    let text = '';
    answer.setEncoding('utf8').on('data', (part) => (text += part));
    answer.on('end', () => resolve([answer.statusCode, text]));
  }).on('error', reject).end());
exports.handler = async () => [
  await call('GET', '/2018-06-01/ping'),
  await call('POST', '/2018-06-01/runtime/invocation/another/response'),
  await call('POST', '/2018-06-01/runtime/init/error'),
  await call('GET', '/'),
];"""
    create(lambda_, name, code)
    for _ in range(2):
        refused = "State transition from Running to InitError failed for runtime. Error: State transition is not allowed"
        assert invoke(lambda_, name).payload == [
            [200, "pong"],
            [400, '{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}\n'],
            [403, f'{{"errorMessage":"{refused}","errorType":"InvalidStateTransition"}}\n'],
            [404, "404 page not found\n"],
        ]
