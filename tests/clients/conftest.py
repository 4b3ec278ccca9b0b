"""What the tests share: one server for those that need none of their own, and the log's path where a test fails."""

import itertools
import re

import pytest

import aws_client
import lambda_client
from server import Server


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """The server of all tests that do not end or configure one."""
    with Server(tmp_path_factory.mktemp("shared")) as server:
        yield server


@pytest.fixture(scope="session")
def lambda_(shared):
    return lambda_client.client(shared.endpoint)


@pytest.fixture(scope="session")
def unchecked(shared):
    """A client that sends what boto3 would refuse by itself."""
    return lambda_client.client(shared.endpoint, validate=False)


@pytest.fixture(scope="session")
def logs(shared):
    return aws_client.client("logs", shared.endpoint)


@pytest.fixture(scope="session")
def unchecked_logs(shared):
    return aws_client.client("logs", shared.endpoint, validate=False)


_numbers = itertools.count(1)


@pytest.fixture
def name(request):
    """A function name of this test's own."""
    plain = re.sub(r"[^a-zA-Z0-9]+", "-", request.node.name).strip("-")[:50]
    return f"{plain}-{next(_numbers)}"


@pytest.fixture
def group(logs, name):
    """An empty log group of this test's own."""
    logs.create_log_group(logGroupName=name)
    return name


@pytest.fixture(scope="session")
def plain(tmp_path_factory):
    """A client of a server whose functions are plain processes: they meet the test in the host's files."""
    with Server(tmp_path_factory.mktemp("plain"), *PLAIN) as server:
        yield lambda_client.client(server.endpoint)


@pytest.fixture
def server(tmp_path):
    """A server of this test's own; call it with options."""
    yield from _servers(tmp_path)


@pytest.fixture
def plain_server(tmp_path):
    """The same, with functions that are plain processes."""
    yield from _servers(tmp_path, *PLAIN)


PLAIN = ("--isolation", "process")


def _servers(tmp_path, *usual):
    servers = []

    def start(*options, **more):
        made = Server(tmp_path / f"lambkin-{len(servers)}", *usual, *options, **more)
        servers.append(made)
        return made.start()

    yield start
    for made in servers:
        if made.process.returncode is None:
            made.stop()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    report = (yield).get_result()
    if report.failed:
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, Server):
                report.sections.append(("lambkin", value.tail()))
