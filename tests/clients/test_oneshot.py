"""`lambkin invoke PATH` runs a handler without a server: log on stderr, result on stdout, exit code 0, or 1 on a
function error."""

import json
import re
import shlex
import subprocess

import pytest

from lambda_client import zipped
from server import ROOT, binary, processes_naming, runtimes_options

HELLO = '{"key1":"value1","key2":"value2","key3":"value3"}'
EXAMPLES = ROOT / "examples"


def run(path, *options, stdin="", code=0, cwd=None):
    """The parsed result and the log."""
    done = subprocess.run(
        [binary(), "invoke", str(path), *runtimes_options(), *options],
        input=stdin, capture_output=True, text=True, timeout=300, cwd=cwd, check=False,
    )
    assert done.returncode == code, done
    return (json.loads(done.stdout) if done.stdout.strip() else None), done.stderr


def write(folder, files):
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder


CODE = "exports.myHandler=async(e)=>{console.log('value1 =',e.key1);return e.key1}"
KINDS = {
    "file": ({"helloworld.js": CODE}, "helloworld.js", "helloworld.myHandler"),
    "module-file": ({"helloworld.mjs": CODE.replace("exports.myHandler=", "export const myHandler=")}, "helloworld.mjs", "helloworld.myHandler"),
    "folder": ({"lib/helloworld.js": CODE, "package.json": "{}"}, ".", "lib/helloworld.myHandler"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_path_is_a_file_or_a_folder(tmp_path, kind):
    files, path, handler = KINDS[kind]
    write(tmp_path, files)
    before = sorted(tmp_path.rglob("*"))
    result, log = run(tmp_path / path, "--handler", handler, "--event", HELLO)
    assert result == "value1" and "\tINFO\tvalue1 = value1\n" in log
    # The user's folder is read, not written.
    assert sorted(tmp_path.rglob("*")) == before


def test_a_path_is_a_zip(tmp_path):
    path = tmp_path / "function.zip"
    path.write_bytes(zipped({"index.js": "const x=require('./x');exports.handler=async e=>x+e.key1", "x.js": "module.exports='x'"}))
    assert run(path, "--event", HELLO)[0] == "xvalue1"


def test_the_handler_of_a_file_has_a_default(tmp_path):
    write(tmp_path, {"greet.js": "exports.handler=async()=>'hi'"})
    assert run(tmp_path / "greet.js")[0] == "hi"
    write(tmp_path, {"index.js": "exports.handler=async()=>'folder'"})
    assert run(tmp_path)[0] == "folder"


def test_the_event_comes_from_text_a_file_or_standard_input(tmp_path):
    write(tmp_path, {"echo.js": "exports.handler=async e=>e", "event.json": '{"from":"file"}'})
    path = tmp_path / "echo.js"
    assert run(path)[0] == {}
    assert run(path, "--event", '{"from":"text"}')[0] == {"from": "text"}
    assert run(path, "--event", str(tmp_path / "event.json"))[0] == {"from": "file"}
    assert run(path, "--event", "-", stdin='{"from":"stdin"}')[0] == {"from": "stdin"}


def test_an_event_that_is_no_json_is_an_error_with_words(tmp_path):
    write(tmp_path, {"echo.js": "exports.handler=async e=>e"})
    for arguments in (["--event", "{not json"], ["--event", "-"], ["--runtime", "nodejs99.x"]):
        done = subprocess.run(
            [binary(), "invoke", str(tmp_path / "echo.js"), *runtimes_options(), *arguments],
            input="also not json", capture_output=True, text=True, timeout=60, check=False,
        )
        assert done.returncode not in (0, 101) and not done.stdout and done.stderr.strip() and "panicked" not in done.stderr, done


def test_a_path_that_is_not_there_is_an_error_with_its_name(tmp_path):
    done = subprocess.run(
        [binary(), "invoke", str(tmp_path / "nowhere.js"), *runtimes_options()], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode not in (0, 101) and "nowhere.js" in done.stderr and not done.stdout, done


@pytest.mark.parametrize(
    "code, kind",
    [
        ("exports.handler=async()=>{throw new RangeError('no')}", "RangeError"),
        ("exports.handler=async()=>{process.exit(3)}", "Runtime.ExitError"),
        ("exports.nothing=1", "Runtime.HandlerNotFound"),
        ("exports.handler=async()=>new Promise(r=>setTimeout(r,60000))", "Sandbox.Timedout"),
    ],
)
def test_a_function_error_is_exit_code_1_with_its_payload(tmp_path, code, kind):
    write(tmp_path, {"bad.js": code})
    result, _ = run(tmp_path / "bad.js", "--context", '{"timeout":1}', code=1)
    assert result["errorType"] == kind


def test_the_context_can_be_given(tmp_path):
    write(tmp_path, {"c.js": "exports.handler=async(e,c)=>[c.functionName,c.memoryLimitInMB,c.clientContext]"})
    context = {"functionName": "mine", "memoryLimitInMB": 256, "clientContext": {"custom": {"a": 1}}}
    assert run(tmp_path / "c.js", "--context", json.dumps(context))[0] == ["mine", "256", {"custom": {"a": 1}}]


@pytest.mark.parametrize("runtime", ["nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x", "nodejs16.x", "nodejs26.x"])
def test_every_runtime_runs(tmp_path, runtime):
    """The table has no rows on 4.3, 10, 12 and 14: here at least each runs its own Node.js."""
    write(tmp_path, {"v.js": "exports.handler=function(e,c){var r=process.version;return c.succeed?c.succeed(r):r}"})
    version = runtime.removeprefix("nodejs").removesuffix(".x")
    assert run(tmp_path / "v.js", "--runtime", runtime)[0].startswith(f"v{version}.")


def test_no_process_is_left(tmp_path):
    code = "require('child_process').spawn('sleep',['600'],{detached:true,stdio:'ignore'}).unref();exports.handler=async()=>process.env.LAMBDA_TASK_ROOT"
    write(tmp_path, {"p.js": code})
    root = run(tmp_path / "p.js")[0]
    assert not processes_naming(root)


# The handlers of AWS's first page on Node.js handlers, and how each ends.
SHOWN = {"callback": 0, "async": 0, "callback-error": 1, "throw-error": 1}


@pytest.mark.parametrize("example", SHOWN)
def test_an_example_runs_by_the_command_it_shows(example):
    """Each file of examples/ holds a command to copy; it runs from the repository's root as it stands."""
    (path,) = [path for path in (EXAMPLES / example).iterdir() if path.suffix in (".js", ".mjs")]
    (shown,) = re.findall(r"^//\s+lambkin (invoke .*)$", path.read_text(), re.M)
    done = subprocess.run(
        [binary(), *shlex.split(shown), *runtimes_options()],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )
    assert done.returncode == SHOWN[example] and "REPORT RequestId: " in done.stderr, done
    assert ("errorMessage" in json.loads(done.stdout)) == bool(SHOWN[example]), done
