"""The catalog over power cuts: each acknowledged function is there, whatever of the rest the disk kept."""

import os
import random

import pytest

import lambda_client
import power_cut
from chaos import LEFT_ALONE
from server import Server


@pytest.fixture
def forgetful(tmp_path):
    """A lambkin under the layer, and what cuts its power."""
    server = Server(tmp_path / "lambkin", "--isolation", "process", "--warm-pool", "0")
    journal = tmp_path / "journal"

    def start(**options):
        variables = power_cut.variables(server.data, journal, tmp_path, LEFT_ALONE, **options)
        server.variables = {**server.variables, **variables}
        return lambda_client.client(server.start().endpoint)

    def cut(seed):
        server.kill()
        return power_cut.cut(server.data, journal, seed)

    yield start, cut
    if server.process.returncode is None:
        server.kill()


def names(client):
    return {each["FunctionName"]: each["Description"] for each in client.list_functions()["Functions"]}


@pytest.mark.parametrize("seed", [None, 1, 2])
def test_acknowledged_functions_survive_power_cuts(forgetful, seed):
    start, cut = forgetful
    expected = {}
    for cycle in range(5):
        client = start()
        assert names(client) == expected
        for number in range(6):
            name = f"function-{cycle}-{number}"
            lambda_client.create(client, name, wait=False, Description="new")
            expected[name] = "new"
        chosen = random.Random(cycle).sample(sorted(expected), 4)
        for name in chosen:
            lambda_client.active(client, name)
        for name in chosen[:3]:
            client.update_function_configuration(FunctionName=name, Description=f"changed {cycle}")
            expected[name] = f"changed {cycle}"
        client.delete_function(FunctionName=chosen[3])
        del expected[chosen[3]]
        cut(seed)


def test_a_disk_that_lies_loses_them(forgetful):
    """The probe of the test above: the layer sees what the catalog writes, and would take it away."""
    start, cut = forgetful
    lambda_client.create(start(lies=True), "function", wait=False)
    cut(None)
    assert names(start()) == {}
