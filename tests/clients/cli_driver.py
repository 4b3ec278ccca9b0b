"""The unmodified aws CLI on the tour: a request comes in a line, becomes the words that a user would type, and what the
CLI prints is the answer.

Not here: HTTP, which the CLI does; it says no status either.
"""

import base64
import contextlib
import datetime
import io
import json
import os
import pathlib
import re
import subprocess
import sys
import tempfile

import awscli.clidriver
import botocore

# What the CLI calls hoisted from a structure: `--zip-file` for Code.ZipFile.
HOISTED = {("CreateFunction", "Code"), ("PublishLayerVersion", "Content")}
# Started as users do; all others share this process, since a start costs most of a second.
STARTED = {"PublishLayerVersion", "InvokeAsync", "UntagResource", "GetFunctionUrlConfig"}
FAILED = re.compile(r"An error occurred \((\S+)\) when calling the \w+ operation(?: \(reached max retries: \d+\))?: ([\s\S]*)")


class Output(io.TextIOWrapper):
    """What the CLI writes, to text and to bytes."""

    def __init__(self):
        super().__init__(io.BytesIO(), encoding="utf-8", write_through=True)

    def text(self):
        return self.buffer.getvalue().decode()


def worded(value):
    """Moments as the CLI reads them."""
    if isinstance(value, dict):
        if "$time" in value:
            return datetime.datetime.fromtimestamp(value["$time"], datetime.timezone.utc).isoformat()
        return {key: worded(each) for key, each in value.items()}
    return [worded(each) for each in value] if isinstance(value, list) else value


def words(folder, service, operation, input):
    """The command line after `aws`."""
    line = [service, botocore.xform_name(operation, "-")]
    for member, value in input.items():
        flag = "--" + botocore.xform_name(member, "-")
        if (operation, member) in HOISTED:
            flag, value = "--zip-file", value["ZipFile"]
        if isinstance(value, bool):
            line.append(flag if value else "--no-" + flag[2:])
        elif isinstance(value, dict) and "$base64" in value:
            file = folder / "blob"
            file.write_bytes(base64.b64decode(value["$base64"]))
            # The one streamed input is a file's name.
            line += [flag, str(file) if operation == "InvokeAsync" else f"fileb://{file}"]
        else:
            value = worded(value)
            line += [flag, value if isinstance(value, str) else json.dumps(value)]
    return [*line, str(folder / "out")] if operation == "Invoke" else line


def run(driver, line, started=False):
    """(exit code, output, errors) of `aws LINE`."""
    # By the option: for SQS version 1 of the CLI does not read the variable.
    line = ["--endpoint-url", os.environ["AWS_ENDPOINT_URL"], "--output", "json", *line]
    if started:
        done = subprocess.run([sys.executable, "-m", "awscli", *line], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=100, check=False)
        return done.returncode, done.stdout, done.stderr
    output, errors = Output(), Output()
    with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
        try:
            code = driver.main(line)
        except SystemExit as end:
            code = end.code
    return code, output.text(), errors.text()


def answer(driver, folder, request):
    if "has" in request:
        code, _, errors = run(driver, [request["service"], botocore.xform_name(request["has"], "-")])
        return {"has": "Invalid choice" not in errors and "invalid choice" not in errors}
    operation = request["operation"]
    code, output, errors = run(driver, words(folder, request["service"], operation, request["input"]), operation in STARTED)
    failed = FAILED.search(errors)
    if failed:
        return {"status": None, "error": failed[1], "message": failed[2].strip()}
    if code != 0:
        return {"broken": f"{code}: {errors}"}
    said = json.loads(output) if output.strip() else {}
    if operation == "Invoke":
        said["Payload"] = {"$base64": base64.b64encode((folder / "out").read_bytes()).decode()}
    return {"status": None, "output": said}


def main():
    driver = awscli.clidriver.create_clidriver()
    with tempfile.TemporaryDirectory() as folder:
        for line in sys.stdin:
            print(json.dumps(answer(driver, pathlib.Path(folder), json.loads(line))), flush=True)


main()
