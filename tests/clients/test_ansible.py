"""The published example: a function and what is around it, by Ansible's modules for AWS, unmodified."""

import os
import re
import shutil
import subprocess

import pytest

from lambda_client import REGION, arn
from server import ROOT

PLAYBOOK = ROOT / "examples/ansible/deploy.yml"


def test_what_the_example_packs_is_in_the_repository():
    """Ansible is on few machines; that a clone has all of the example is seen on every one."""
    packed = re.findall(r"\{\{ playbook_dir \}\}/(\w+)/\*", PLAYBOOK.read_text())
    assert packed == ["function", "layer"]
    assert [directory for directory in packed if not list((PLAYBOOK.parent / directory).rglob("index.js"))] == []


@pytest.mark.skipif(shutil.which("ansible-playbook") is None, reason="NOT TESTED: no ansible on this machine")
def test_the_example_deploys_again_and_goes(shared, lambda_, tmp_path, name):
    def play(*options):
        """What was changed, and the text."""
        done = subprocess.run(
            ["ansible-playbook", PLAYBOOK, "-e", f"function={name}", *options],
            env={
                "PATH": os.environ["PATH"],
                "HOME": str(tmp_path),
                "LANG": "C.UTF-8",
                "AWS_ENDPOINT_URL": shared.endpoint,
                "AWS_REGION": REGION,
                "AWS_ACCESS_KEY_ID": "any",
                "AWS_SECRET_ACCESS_KEY": "any",
            },
            cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return re.findall(r"^TASK \[(.*)\] \**\nchanged:", re.sub(r"\n\[(WARN|DEPREC).*", "", done.stdout), re.M), done.stdout

    changed, said = play()
    assert "An alias of its newest version" in changed and '"text": "Hello, Ansible!"' in said
    assert lambda_.get_alias(FunctionName=name, Name="live")["AliasArn"] == arn(name, "live")
    assert [each["BatchSize"] for each in lambda_.list_event_source_mappings(FunctionName=f"{name}:live")["EventSourceMappings"]] == [5]

    changed, _ = play()
    assert set(changed) == {"A version of it", "The function, as a version", "An invocation"}

    play("-e", "state=absent")
    with pytest.raises(lambda_.exceptions.ResourceNotFoundException):
        lambda_.get_function(FunctionName=name)
    assert lambda_.list_layer_versions(LayerName=name)["LayerVersions"] == []
    assert lambda_.list_event_source_mappings(FunctionName=f"{name}:live")["EventSourceMappings"] == []
