"""Every client runs every operation of Lambda's that is built: boto3, the aws CLI, the AWS SDKs for JavaScript and Rust go
through one table (`tour/lambda.jsonl`), and each effect is read back by a later call.
"""

import pytest

import modelled
import tour
import tour_clients


@pytest.fixture
def touring(server, tmp_path, name, request):
    """(a tour of a client through a server of its own, closed at its end)"""
    running = server()
    closing = []

    def start(kind):
        others = tour_clients.Boto3(running.endpoint)
        client = others if kind is tour_clients.Boto3 else kind(running.endpoint, tmp_path)
        closing.append(client)
        return tour.Tour(client, others, name[:40], running.endpoint)

    yield start
    for client in closing:
        client.close()


def test_the_table_has_each_operation_that_is_built_and_shows_what_it_did():
    rows = tour.load("lambda")
    assert tour.not_shown(rows) == []
    assert sorted({row.call for row in rows if row.service == "lambda"}) == sorted(modelled.built())


@pytest.mark.parametrize("kind", tour_clients.CLIENTS, ids=lambda kind: kind.name)
def test_a_client_runs_each_operation(touring, kind):
    rows = tour.load("lambda")
    on_tour = touring(kind)
    on_tour.run(rows)
    lacks = {row.call for row in rows if kind.name in row.without}
    assert {call for service, call in on_tour.ran if service == "lambda"} == set(modelled.built()) - lacks


@pytest.mark.parametrize("kind", [kind for kind in tour_clients.CLIENTS if "logs" in kind.services], ids=lambda kind: kind.name)
def test_a_client_sees_logs_and_metrics(touring, kind):
    """CloudWatch's and CloudWatch Logs' operations, of what a function did and of what the client put."""
    rows = tour.load("observe")
    assert tour.not_shown(rows) == []
    on_tour = touring(kind)
    on_tour.run(rows)
    assert on_tour.ran == {(row.service, row.call) for row in rows}


ANSWER = {"State": "Active", "Tags": {"a": "b"}, "Names": ["one", "two"], "Count": 1, "Payload": tour.blob(b'{"n":1}'), "At": {"$time": 1.5}}


@pytest.mark.parametrize("expected, problem", [
    ({"State": "${state}", "Tags": {}, "Names": ["one", {"$like": "t.o"}], "Count": 1, "Payload": {"$json": {"n": 1}}, "None": {"$absent": True}}, None),
    ({"State": "Pending"}, "answer.State is 'Active', not 'Pending'"),
    ({"Tags": {"c": "d"}}, "answer.Tags.c is not there"),
    ({"Tags": {"a": {"$absent": True}}}, "answer.Tags.a is there: 'b'"),
    ({"Names": ["one"]}, "answer.Names has not 1 items: ['one', 'two']"),
    ({"Names": ["one", {"$like": "t"}]}, "answer.Names[1] is 'two'"),
    ({"Count": True}, "answer.Count is 1, not True"),
    ({"Payload": {"$json": {"n": 2}}}, "answer.Payload(JSON).n is 1, not 2"),
    ({"State": {"$json": {}}}, "answer.State is no JSON: 'Active'"),
    ({"At": {"$recent": 900}}, "answer.At is not of now: {'$time': 1.5}"),
])
def test_a_wrong_answer_is_seen(expected, problem):
    compared = tour.Tour(None, None, "name", None)
    compared.known["state"] = "Active"
    assert compared.differs(expected, ANSWER, "answer") == problem
