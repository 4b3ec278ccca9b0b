"""The published example: a tenth of an alias's traffic is shifted to version 2, and the split is read back."""

import os
import pathlib
import shutil
import subprocess
import sys

import pytest

from lambda_client import arn
from server import ROOT


@pytest.mark.skipif(shutil.which("zip") is None, reason="the example packs its function with zip")
def test_the_example_shifts_a_tenth(shared, lambda_, tmp_path, name):
    programs = tmp_path / "bin"
    programs.mkdir()
    aws = programs / "aws"
    aws.write_text(f'#!/bin/sh\nexec {sys.executable} {pathlib.Path(sys.executable).parent / "aws"} "$@"\n')
    aws.chmod(0o755)
    variables = {
        "PATH": f"{programs}:{os.environ['PATH']}",
        "HOME": str(tmp_path),
        "AWS_ENDPOINT_URL": shared.endpoint,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "any",
        "AWS_SECRET_ACCESS_KEY": "any",
        "AWS_PAGER": "",
    }
    script = ROOT / "examples" / "canary" / "canary.sh"
    done = subprocess.run(
        [script, name, "20"], env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done
    first, second, *split = done.stdout.splitlines()
    assert (first, second) == ("1", "2")
    counts = {version: int(count) for count, version in map(str.split, split)}
    assert sum(counts.values()) == 20 and set(counts) <= {"1", "2"} and counts["1"] > 8, counts
    alias = lambda_.get_alias(FunctionName=name, Name="live")
    assert (alias["AliasArn"], alias["RoutingConfig"]) == (arn(name, "live"), {"AdditionalVersionWeights": {"2": 0.1}})
