"""The verdict convicts: a small history without fault, and each row one that lambkin must never make of it."""

import copy
import json

import pytest

import verdict


def message(identity, **body):
    return {"message": f"m-{identity}", "body": json.dumps({"id": identity, **body}), "attributes": {}}


def letter(identity, request):
    return {"message": f"l-{identity}", "body": json.dumps({"id": identity}), "attributes": {"RequestID": request}}


def record(identity, request):
    body = {"requestContext": {"requestId": request}, "requestPayload": {"id": identity}}
    return {"message": f"r-{identity}", "body": json.dumps(body), "attributes": {}}


def wrapped(inner):
    return {**inner, "body": json.dumps({"Message": inner["body"]})}


def event(function, identity, fate, ok=True):
    return {"what": "event", "function": function, "id": identity, "fate": fate, "ok": ok, "request": f"q-{identity}"}


def ran(where, identity, **more):
    return {"where": where, "id": identity, "request": f"q-{identity}", "chained": False, **more}


def sent(queue, identity, ok=True, **more):
    return {"what": "send", "queue": queue, "id": identity, "message": f"m-{identity}", "ok": ok, **more}


def received(queue, at, *messages):
    return {"what": "receive", "queue": queue, "began": at - 0.5, "at": at, "messages": list(messages)}


def deleted(queue, at, identity, ok=True):
    return {"what": "delete", "queue": queue, "message": f"m-{identity}", "ok": ok, "at": at}


def order(number):
    return message(f"o{number}", group="a", number=number)


FACTS = [
    event("plain", "e1", "ok"),
    event("dead", "e2", "fail"),
    event("both", "e3", "ok"),
    event("both", "e4", "exit"),
    event("topics", "e5", "timeout"),
    event("chained", "e6", "ok"),
    event("plain", "e7", "ok", ok=None),
    sent("post", "p1"),
    received("post", 1, message("p1")),
    deleted("post", 2, "p1"),
    *[sent("orders.fifo", f"o{number}", group="a", number=number) for number in range(3)],
    received("orders.fifo", 3, order(0), order(1)),
    deleted("orders.fifo", 4, "o0"),
    deleted("orders.fifo", 5, "o1"),
    received("orders.fifo", 6, order(2)),
    deleted("orders.fifo", 7, "o2"),
    sent("work", "w1", fate="ok"),
    sent("work", "w2", fate="poison"),
    sent("work", "w3", fate="once"),
    *[sent("steps.fifo", f"s{number}", group="a", number=number, fate="ok") for number in range(2)],
    {"what": "publish", "id": "n1", "colour": "red", "ok": True},
    {"what": "publish", "id": "n2", "colour": "green", "ok": True},
    {"what": "publish", "id": "n3", "colour": "red", "ok": None},
]
REPORTS = [
    ran("plain", "e1"),
    *[ran("dead", "e2")] * 2,
    ran("both", "e3"),
    *[ran("both", "e4")] * 2,
    *[ran("topics", "e5")] * 2,
    ran("chained", "e6"),
    {"where": "plain", "id": "e6", "request": "another", "chained": True},
    ran("worker", "w1", received="1"),
    *[ran("worker", "w2", received=str(count)) for count in (1, 2, 3, 4)],
    *[ran("worker", "w3", received=str(count)) for count in (1, 2)],
    *[ran("stepper", f"s{number}", group="a", number=number, received="1") for number in range(2)],
    ran("listener", "n1"),
    ran("listener", "n2"),
]
RECEIVED = {
    "dead-letters": [letter("e2", "q-e2")],
    "succeeded": [record("e3", "q-e3")],
    "failed": [record("e4", "q-e4")],
    "topic-failed": [wrapped(record("e5", "q-e5"))],
    "work-dead": [message("w2")],
    "news-raw": [message("n1"), message("n2")],
    "news-red": [wrapped(message("n1"))],
}


def judge(change=lambda facts, reports, received: None):
    history = copy.deepcopy((FACTS, REPORTS, RECEIVED))
    change(*history)
    return list(verdict.violations(*history))


def without(identity):
    """Executions of it did not happen."""

    def change(facts, reports, received):
        reports[:] = [report for report in reports if report["id"] != identity]

    return change


def empty(queue):
    return lambda facts, reports, received: received[queue].clear()


def no_facts(what, identity):
    def change(facts, reports, received):
        facts[:] = [fact for fact in facts if not (fact["what"] == what and identity in json.dumps(fact))]

    return change


def more(*new):
    return lambda facts, reports, received: facts.extend(new)


def without_last(identity):
    """Its last execution did not happen."""

    def change(facts, reports, received):
        reports.remove([report for report in reports if report["id"] == identity][-1])

    return change


def instead(number, *messages):
    """The queue's receive of this number was another."""

    def change(facts, reports, received):
        orders = [fact for fact in facts if fact["what"] == "receive" and fact["queue"] == "orders.fifo"]
        orders[number]["messages"] = list(messages)

    return change


def another_request(facts, reports, received):
    reports[0]["request"] = "another"


def wrong_letter(facts, reports, received):
    received["dead-letters"] = [letter("e2", "another")]


def unknown_letter(facts, reports, received):
    received["dead-letters"].append(letter("e9", "q-e9"))


def green_is_red(facts, reports, received):
    received["news-red"].append(wrapped(message("n2")))


def torn_publication(facts, reports, received):
    received["news-raw"].append(message("n3"))


def swapped_steps(facts, reports, received):
    first = next(place for place, report in enumerate(reports) if report["id"] == "s0")
    reports[first], reports[first + 1] = reports[first + 1], reports[first]


ROWS = [
    ("an event lost", without("e1"), "e1 (ok) of plain got its 202 and never ran"),
    ("an event without retries", lambda *all: (without_last("e4")(*all), empty("failed")(*all)), "ran 1 times"),
    ("a dead letter lost", empty("dead-letters"), "e2 (fail) of dead is not in dead-letters"),
    ("a success untold", empty("succeeded"), "e3 (ok) of both ran and is not in succeeded"),
    ("a failure untold", empty("failed"), "e4 (exit) of both is not in failed"),
    ("a topic untold", empty("topic-failed"), "e5 (timeout) of topics is not in topic-failed"),
    ("a chain cut", without_last("e6"), "e6 (ok) of chained ran and did not reach plain"),
    ("another request id", another_request, "ran as ['another']"),
    ("another id in a letter", wrong_letter, "stands in dead-letters as another"),
    ("a letter of nobody's", unknown_letter, "dead-letters has an event e9"),
    ("a message lost", no_facts("receive", "m-p1"), "post: message m-p1 was acknowledged and is lost"),
    ("a message lost after a receive", no_facts("delete", "m-p1"), "m-p1 was received, not deleted, and is lost"),
    ("a message back", more(received("post", 9, message("p1"))), "m-p1 came back after it was deleted"),
    ("another's body", more(received("post", 1, {**message("p1"), "body": '{"id": "p2"}'})), "another's body"),
    ("an order lost", instead(1), "m-o2 was acknowledged and is lost"),
    ("an order too early", instead(0, order(1), order(2)), "before [0]"),
    ("orders swapped", instead(0, order(1), order(0)), "came as [1, 0]"),
    ("orders while others are leased", no_facts("delete", "m-o1"), "came as [2] before [1]"),
    ("an order twice", more(received("orders.fifo", 8, {**order(2), "message": "m-x"})), "is there 2 times"),
    ("a handle refused too early", more(deleted("post", 2, "p1", ok=False)), "the handle of m-p1 was refused"),
    ("work lost", without("w1"), "work: w1 (ok) was acknowledged and never ran"),
    ("poison gone", empty("work-dead"), "w2 always fails and is not in work-dead"),
    ("a partial failure forgotten", without_last("w3"), "w3 (once) failed once and did not come again"),
    ("a step lost", without("s1"), "steps.fifo: a 1 was acknowledged and never ran"),
    ("steps swapped", swapped_steps, "group a ran 1 before [0]"),
    ("news lost", empty("news-raw"), "n1 (red) is not in news-raw"),
    ("news lost behind a filter", empty("news-red"), "n1 (red) is not in news-red"),
    ("news unheard", without("n2"), "n2 (green) never ran listener"),
    ("a filter that leaks", green_is_red, "n2 (green) passed a filter"),
    ("half a publication", torn_publication, "n3 (red), not acknowledged, is in one of its queues"),
]


def test_a_history_without_fault_is_not_convicted():
    assert judge() == []


@pytest.mark.parametrize("change, expected", [row[1:] for row in ROWS], ids=[row[0] for row in ROWS])
def test_each_fault_is_convicted(change, expected):
    found = judge(change)
    assert any(expected in each for each in found), found
