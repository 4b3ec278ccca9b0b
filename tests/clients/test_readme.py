"""The README's commands, from its first to its last, as somebody would copy them.

Not here: building, systemd, and what wants version 2 of the aws CLI or SAM's.
"""

import os
import pathlib
import re
import shutil
import subprocess
import sys

import pytest

from server import ROOT, binary

# Whole blocks, by how they begin, and lines.
ELSEWHERE = ("cargo build", "lambkin serve", "systemd-run")
LEFT_OUT = ("aws logs tail", "sam logs", "lambkin keys revoke")
# A busy machine may take longer than the README's one look at the dead-letter queue.
AFTERWARDS = r"""
for look in $(seq 60); do
  lambkin queues > queues.txt
  if grep -Eq '^dead +us-east-1 +(1 +0|0 +1) ' queues.txt; then break; fi
  sleep 1
done
cat queues.txt
"""


def commands():
    """All shell blocks as one script, and the number of lines that are left out of it."""
    blocks = re.findall(r"^```sh\n(.*?)^```$", (ROOT / "README.md").read_text(), re.M | re.S)
    lines = "".join(block for block in blocks if not block.startswith(ELSEWHERE)).splitlines()
    kept = [line for line in lines if not line.startswith(LEFT_OUT)]
    return "\n".join(kept), len(lines) - len(kept)


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl", "zip"))), reason="NOT TESTED: bash, curl or zip is not on this machine")
def test_its_commands_do_what_it_says(server, tmp_path):
    running = server()
    programs, work = tmp_path / "bin", tmp_path / "work"
    for directory in (programs, work):
        directory.mkdir()
    of_keys = f'case "$1" in keys) exec {binary()} "$@" --data {running.data};; esac'
    for name, text in {
        "aws": f'exec {sys.executable} {pathlib.Path(sys.executable).parent / "aws"} "$@"',
        "lambkin": f'{of_keys}\nexec {binary()} "$@"',
    }.items():
        (programs / name).write_text(f"#!/bin/sh\n{text}\n")
        (programs / name).chmod(0o755)
    script, left_out = commands()
    assert left_out == len(LEFT_OUT)
    port = running.endpoint.rsplit(":", 1)[1]
    script = script.replace(":4566", f":{port}") + AFTERWARDS
    variables = {"PATH": f"{programs}:{os.environ['PATH']}", "HOME": str(tmp_path), "AWS_PAGER": ""}
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", script], env=variables, cwd=work, capture_output=True, timeout=600, check=False
    )
    said, log = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
    assert done.returncode == 0, f"{said}\n{log}\n{running.tail()}"
    assert '"Hello, world!"' in said
    # The stream came to its end, and says of no error.
    assert all(word in said for word in ("one ", "two ", "three\n", "InvokeComplete")) and "ErrorCode" not in said
    assert re.search(r"^dead +us-east-1 +(1 +0|0 +1) ", said, re.M) and re.search(r"^orders +us-east-1 +0 +0 +0 ", said, re.M), said
    assert '"Body": "good"' not in said
    # By its URL the function has no name to greet.
    assert '"Hello, undefined!"' in said
    assert re.search(r"^AKIA\w+ .* ci +1$", said, re.M), said
    assert '"queryId"' in said
