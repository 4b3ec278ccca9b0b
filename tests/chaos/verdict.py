"""What must follow from the ledger, compared with what happened: each violation is a sentence. Pure: the facts, the
reports of functions and what was drained from queues go in.

Deliberately not here: how the facts came to be.
"""

import json
from collections import Counter, defaultdict

from world import EVENTS, RETRIES

FAILING = ("fail", "exit", "timeout")


# A lease ends early where a power cut takes it away; a mere kill leaves it. Seconds of it that a client has for sure.
LEASE = 5


def violations(facts, reports, received, leases_last=True):
    """`received`: of each queue of results, the messages that were in it. `leases_last`: over a restart too."""
    by = defaultdict(list)
    for fact in facts:
        by[fact["what"]].append(fact)
    return [
        *events(by["event"], reports, received),
        *standard("post", by),
        *fifo("orders.fifo", by),
        *work(by["send"], reports, received),
        *steps(by["send"], reports),
        *news(by["publish"], reports, received),
        *(leases(by) if leases_last else []),
    ]


def _sent(facts, queue):
    return [fact for fact in facts if fact["queue"] == queue and fact["ok"]]


def events(sent, reports, received):
    """Every event that got its 202 ran, and what comes of it stands where its function's configuration says."""
    ran = defaultdict(list)
    chained = set()
    for report in reports:
        if report.get("chained"):
            chained.add(report["id"])
        elif report["where"] in EVENTS:
            ran[report["where"], report["id"]].append(report["request"])
    letters = {name: _letters(received.get(name, [])) for name in ("dead-letters", "succeeded", "failed", "topic-failed")}
    for event in sent:
        requests = ran[event["function"], event["id"]]
        if not event["ok"]:
            continue
        ends = EVENTS[event["function"]]
        said = f"event {event['id']} ({event['fate']}) of {event['function']}"
        failed_to = {"dead": "dead-letters", "both": "failed", "topics": "topic-failed"}.get(event["function"])
        failed = letters[failed_to].get(event["id"]) if failed_to else None
        if not requests and failed is None:
            yield f"{said} got its 202 and never ran"
            continue
        if requests and set(requests) != {event["request"]}:
            yield f"{said} is request {event['request']}, and ran as {sorted(set(requests))}"
        if event["fate"] in FAILING:
            if len(requests) < 1 + RETRIES and failed is None:
                yield f"{said} ran {len(requests)} times and not {1 + RETRIES}"
            if failed_to and failed is None:
                yield f"{said} is not in {failed_to}"
        elif ends.get("success") and event["id"] not in letters["succeeded"] and failed is None:
            yield f"{said} ran and is not in succeeded"
        elif ends.get("success_function") and event["id"] not in chained:
            yield f"{said} ran and did not reach {ends['success_function']}"
        if failed_to and failed is not None and failed != event["request"]:
            yield f"{said} is request {event['request']}, and stands in {failed_to} as {failed}"
    known = {event["id"] for event in sent}
    for name, found in letters.items():
        for identity in found.keys() - known:
            yield f"{name} has an event {identity} that nobody sent"


def _letters(messages):
    """Ids of events, and the requests that the letters name."""
    found = {}
    for message in messages:
        body = json.loads(message["body"])
        if "requestPayload" not in body and "Message" in body:
            body = json.loads(body["Message"])
        if "requestPayload" in body:
            found[body["requestPayload"]["id"]] = body["requestContext"]["requestId"]
        else:
            found[body["id"]] = message["attributes"].get("RequestID")
    return found


def standard(queue, by):
    """What was sent is received until it was deleted, and never after."""
    sent = {fact["message"]: fact for fact in _sent(by["send"], queue)}
    seen, deleted, tried = set(), {}, set()
    for fact in by["delete"]:
        if fact["queue"] == queue and fact["ok"] is not False:
            tried.add(fact["message"])
            if fact["ok"]:
                deleted.setdefault(fact["message"], fact["at"])
    for fact in by["receive"]:
        if fact["queue"] != queue:
            continue
        for message in fact["messages"]:
            seen.add(message["message"])
            # The receive has to have begun after the deletion was answered.
            if deleted.get(message["message"], fact["began"]) < fact["began"]:
                yield f"{queue}: message {message['message']} came back after it was deleted"
            original = sent.get(message["message"])
            if original and json.loads(message["body"])["id"] != original["id"]:
                yield f"{queue}: message {message['message']} has another's body"
    for message in sent.keys() - seen:
        yield f"{queue}: message {message} was acknowledged and is lost"
    # The end of a run receives all and deletes it: what was only seen, and is not there then, is lost too.
    for message in (sent.keys() & seen) - tried:
        yield f"{queue}: message {message} was received, not deleted, and is lost"


def leases(by):
    """A receipt handle is good for as long as the lease, restarts or not."""
    last = {}
    for fact in sorted(by["receive"] + by["delete"], key=lambda fact: fact["at"]):
        if fact["what"] == "receive":
            last.update(((fact["queue"], message["message"]), fact["began"]) for message in fact["messages"])
        elif fact["ok"] is False and fact["at"] - last[fact["queue"], fact["message"]] < LEASE:
            yield f"{fact['queue']}: the handle of {fact['message']} was refused within its lease"


def fifo(queue, by):
    """As a standard queue, and each group in order: nothing is received while something before it is there."""
    yield from standard(queue, by)
    gone = defaultdict(set)
    message_of = {}
    turns = sorted(
        [fact for fact in by["receive"] + by["delete"] if fact["queue"] == queue],
        key=lambda fact: fact["at"],
    )
    for fact in turns:
        if fact["what"] == "delete":
            place = message_of.get(fact["message"])
            if place and fact["ok"] is not False:
                gone[place[0]].add(place[1])
            continue
        batch = defaultdict(list)
        for message in fact["messages"]:
            body = json.loads(message["body"])
            place = (body["group"], body["number"])
            batch[body["group"]].append(body["number"])
            if message_of.setdefault(message["message"], place) != place:
                yield f"{queue}: message {message['message']} is {place} and was {message_of[message['message']]}"
        for group, numbers in batch.items():
            if numbers != sorted(set(numbers)):
                yield f"{queue}: group {group} came as {numbers}"
            before = set(range(max(numbers))) - gone[group] - set(numbers)
            if before:
                yield f"{queue}: group {group} came as {numbers} before {sorted(before)[:5]}"
    several = Counter(message_of.values())
    for place, count in several.items():
        if count > 1:
            yield f"{queue}: {place} is there {count} times, whatever its deduplication id"


def work(sends, reports, received):
    """A mapping's queue: each message ran or stands in the dead-letter queue; poisonous ones do that."""
    ran, failed_once = Counter(), set()
    for report in reports:
        if report["where"] == "worker":
            ran[report["id"]] += 1
            # Where lambkin was killed over its first receive, its handler never saw that.
            if report["received"] == "1":
                failed_once.add(report["id"])
    dead = {json.loads(message["body"])["id"] for message in received.get("work-dead", [])}
    for fact in _sent(sends, "work"):
        if not ran[fact["id"]] and fact["id"] not in dead:
            yield f"work: {fact['id']} ({fact['fate']}) was acknowledged and never ran"
        if fact["fate"] == "poison" and fact["id"] not in dead:
            yield f"work: {fact['id']} always fails and is not in work-dead"
        again = ran[fact["id"]] > 1 or fact["id"] in dead
        if fact["fate"] in ("once", "crash") and fact["id"] in failed_once and not again:
            yield f"work: {fact['id']} ({fact['fate']}) failed once and did not come again"


def steps(sends, reports):
    """A FIFO mapping: all ran, and none for the first time before all those before it had."""
    ran = defaultdict(set)
    for report in reports:
        if report["where"] != "stepper":
            continue
        before = set(range(report["number"])) - ran[report["group"]]
        if before:
            yield f"steps.fifo: group {report['group']} ran {report['number']} before {sorted(before)[:5]}"
        ran[report["group"]].add(report["number"])
    for fact in _sent(sends, "steps.fifo"):
        if fact["number"] not in ran[fact["group"]]:
            yield f"steps.fifo: {fact['group']} {fact['number']} was acknowledged and never ran"


def news(published, reports, received):
    """A notification is in each queue whose filter takes it, in no other, and its function ran."""
    ran = {report["id"] for report in reports if report["where"] == "listener"}
    raw = {json.loads(message["body"])["id"] for message in received.get("news-raw", [])}
    red = {json.loads(json.loads(message["body"])["Message"])["id"] for message in received.get("news-red", [])}
    for fact in published:
        said = f"notification {fact['id']} ({fact['colour']})"
        if fact["colour"] != "red" and fact["id"] in red:
            yield f"{said} passed a filter that asks for red"
        if not fact["ok"]:
            # A crash between a publication's posts leaves all of them or none.
            if fact["colour"] == "red" and (fact["id"] in raw) != (fact["id"] in red):
                yield f"{said}, not acknowledged, is in one of its queues"
            continue
        if fact["id"] not in raw:
            yield f"{said} is not in news-raw"
        if fact["colour"] == "red" and fact["id"] not in red:
            yield f"{said} is not in news-red"
        if fact["id"] not in ran:
            yield f"{said} never ran listener"
