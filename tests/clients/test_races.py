"""Many clients at once: changes of one function, and deletions of what is running (aws-behaviour 7, 8, 20, 28, 46 to 50)."""

import base64
import collections
import concurrent.futures
import hashlib
import itertools
import json
import threading
import urllib.request

import pytest
from botocore.exceptions import ClientError

from conftest import PLAIN
from lambda_client import active, arn, client, create, invoke, refused, zipped
from server import Server, eventually

CLIENTS = 16
MISMATCH = ("PreconditionFailedException", 412)
CONFLICT = ("ResourceConflictException", 409)
UNKNOWN = ("ResourceNotFoundException", 404)


def said(error):
    return error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]


def together(calls):
    """All of them at the same moment: the answers by caller, and what the others were told, counted."""
    barrier = threading.Barrier(len(calls))

    def one(number):
        barrier.wait(60)
        try:
            return number, calls[number]()
        except ClientError as error:
            return said(error)

    with concurrent.futures.ThreadPoolExecutor(len(calls)) as threads:
        ended = list(threads.map(one, range(len(calls))))
    answers = {number: answer for number, answer in ended if isinstance(number, int)}
    return answers, collections.Counter(each for each in ended if not isinstance(each[0], int))


_words = itertools.count()


def package(word):
    return zipped({"index.js": f"exports.handler=async()=>'{word}'"})


class Change:
    """One operation, asked by each client for something of its own."""

    def __init__(self, lambda_, name):
        self.lambda_, self.name = lambda_, name
        self.packages = [package(next(_words)) for _ in range(CLIENTS)]

    def latest(self):
        return self.lambda_.get_function_configuration(FunctionName=self.name)

    def revision(self):
        return self.latest()["RevisionId"]

    def made(self, number):
        """What tells this client's change from the others', as the function shows it."""
        return base64.b64encode(hashlib.sha256(self.packages[number]).digest()).decode()

    def found(self):
        return active(self.lambda_, self.name)["CodeSha256"]


class Code(Change):
    losers = {MISMATCH, CONFLICT}

    def call(self, number, **more):
        return self.lambda_.update_function_code(FunctionName=self.name, ZipFile=self.packages[number], **more)


class PublishedCode(Code):
    def call(self, number, **more):
        return super().call(number, Publish=True, **more)


class Configuration(Change):
    losers = {MISMATCH, CONFLICT}

    def call(self, number, **more):
        return self.lambda_.update_function_configuration(FunctionName=self.name, Description=self.made(number), **more)

    def found(self):
        return active(self.lambda_, self.name)["Description"]


class Alias(Change):
    losers = {MISMATCH}

    def call(self, number, **more):
        return self.lambda_.update_alias(FunctionName=self.name, Name="live", Description=self.made(number), **more)

    def revision(self):
        return self.lambda_.get_alias(FunctionName=self.name, Name="live")["RevisionId"]

    def found(self):
        return self.lambda_.get_alias(FunctionName=self.name, Name="live")["Description"]


class Version(Change):
    """Of something new: published once, whoever asks for it."""

    losers = {MISMATCH}

    def __init__(self, lambda_, name):
        super().__init__(lambda_, name)
        lambda_.update_function_code(FunctionName=name, ZipFile=self.packages[0])
        active(lambda_, name)

    def call(self, number, **more):
        return self.lambda_.publish_version(FunctionName=self.name, Description=self.made(number), **more)

    def found(self):
        return versions(self.lambda_, self.name)[-1]["Description"]


def versions(lambda_, name):
    pages = lambda_.get_paginator("list_versions_by_function").paginate(FunctionName=name)
    return [version for page in pages for version in page["Versions"]]


@pytest.mark.parametrize("change", [Code, PublishedCode, Configuration, Alias, Version])
def test_one_of_those_that_know_the_same_revision_wins(lambda_, name, change):
    create(lambda_, name, Publish=True)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for _ in range(3):
        asked = change(lambda_, name)
        before = asked.revision()
        calls = [lambda number=number: asked.call(number, RevisionId=before) for number in range(CLIENTS)]
        winners, losers = together(calls)
        assert len(winners) == 1 and set(losers) <= change.losers, (list(winners), losers)
        assert sum(losers.values()) == CLIENTS - 1, losers
        (winner, answer), = winners.items()
        assert asked.found() == asked.made(winner), "the others changed nothing"
        after = asked.revision()
        assert after not in (before, None) and answer["RevisionId"] != before
        with pytest.raises(ClientError) as raised:
            asked.call(winner, RevisionId=before)
        assert said(raised.value) == MISMATCH
        assert asked.revision() == after
    is_whole(lambda_, name)


@pytest.mark.parametrize("change", [Code, PublishedCode, Configuration, Alias, Version])
def test_those_that_ask_for_no_revision_come_one_after_the_other(lambda_, name, change):
    create(lambda_, name, Publish=True)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for _ in range(2):
        asked = change(lambda_, name)
        winners, losers = together([lambda number=number: asked.call(number) for number in range(CLIENTS)])
        assert winners and set(losers) <= {CONFLICT}, losers
        assert asked.found() in {asked.made(number) for number in winners}
        revisions = {answer["RevisionId"] for answer in winners.values()}
        if change is Version:
            assert len(winners) == CLIENTS and len(revisions) == 1, "all are told of the same one"
        else:
            assert len(revisions) == len(winners), "each change has a revision of its own"
            assert change is not Alias or len(winners) == CLIENTS
    is_whole(lambda_, name)


def test_different_changes_at_once(lambda_, name):
    """What one client changed is never undone by another's change of something else."""
    create(lambda_, name, Publish=True)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    statement = {"FunctionName": name, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    kinds = [
        lambda number: lambda_.update_function_code(FunctionName=name, ZipFile=package(f"mixed {number}")),
        lambda number: lambda_.update_function_configuration(FunctionName=name, MemorySize=128 + number),
        lambda number: lambda_.publish_version(FunctionName=name),
        lambda number: lambda_.create_alias(FunctionName=name, Name=f"a{number}", FunctionVersion="1"),
        lambda number: lambda_.update_alias(FunctionName=name, Name="live", Description=str(number)),
        lambda number: lambda_.add_permission(StatementId=f"s{number}", **statement),
        lambda number: lambda_.tag_resource(Resource=arn(name), Tags={f"t{number}": "v"}),
        lambda number: lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=number),
    ]
    done = collections.defaultdict(list)
    for turn in range(3):
        calls = [
            lambda kind=kind, number=turn * CLIENTS + number: kinds[kind % len(kinds)](number)
            for number, kind in enumerate(range(CLIENTS))
        ]
        winners, losers = together(calls)
        assert set(losers) <= {CONFLICT}, losers
        for number, answer in winners.items():
            done[number % len(kinds)].append((turn * CLIENTS + number, answer))
        active(lambda_, name)
    found = lambda_.get_function(FunctionName=name)
    # An update of the code may have been before one of the configuration each time, or the other way round.
    numbers = {kind: {number for number, _ in done[kind]} for kind in range(len(kinds))}
    aliases = {alias["Name"]: alias for alias in lambda_.list_aliases(FunctionName=name)["Aliases"]}
    assert set(aliases) == {"live"} | {f"a{number}" for number in numbers[3]}
    assert int(aliases["live"]["Description"]) in numbers[4]
    policy = json.loads(lambda_.get_policy(FunctionName=name)["Policy"])
    assert {each["Sid"] for each in policy["Statement"]} == {f"s{number}" for number in numbers[5]}
    assert set(found["Tags"]) == {f"t{number}" for number in numbers[6]}
    assert found["Concurrency"]["ReservedConcurrentExecutions"] in numbers[7]
    assert found["Configuration"]["MemorySize"] in {128} | {128 + number for number in numbers[1]}
    published = {answer["Version"]: answer["RevisionId"] for _, answer in done[2]}
    assert published.items() <= {each["Version"]: each["RevisionId"] for each in versions(lambda_, name)}.items()
    is_whole(lambda_, name)


def is_whole(lambda_, name):
    """Versions are numbered without holes, what shows the function shows the same, and the next number is the next."""
    latest, *published = versions(lambda_, name)
    assert [each["Version"] for each in published] == [str(number + 1) for number in range(len(published))]
    assert len({each["RevisionId"] for each in [latest, *published]}) == len(published) + 1
    one = lambda_.get_function_configuration(FunctionName=name)
    shown = [lambda_.get_function(FunctionName=name)["Configuration"], latest]
    assert all(each["RevisionId"] == one["RevisionId"] and each["CodeSha256"] == one["CodeSha256"] for each in shown)
    lambda_.update_function_code(FunctionName=name, ZipFile=package(next(_words)), Publish=True)
    active(lambda_, name)
    assert versions(lambda_, name)[-1]["Version"] == str(len(published) + 1)


# Says that it runs by making a file, and runs until another is there.
WAITS = """const fs=require('fs');
exports.handler=awslambda.streamifyResponse(async(e,s,c)=>{s.write('"first ');fs.writeFileSync(e.began,'');
while(!fs.existsSync(e.end))await new Promise(r=>setTimeout(r,5));
fs.writeFileSync(e.done,'');s.end(c.functionVersion+'"')})"""
KINDS = ("whole", "streamed", "event")


@pytest.fixture(scope="module")
def processes(tmp_path_factory):
    with Server(tmp_path_factory.mktemp("processes"), *PLAIN) as server:
        yield server


def machine(server):
    return json.load(urllib.request.urlopen(f"{server.endpoint}/_lambkin/machine", timeout=60))


def streamed(lambda_, name, event, **qualifier):
    answer = lambda_.invoke_with_response_stream(FunctionName=name, Payload=json.dumps(event), **qualifier)
    *chunks, complete = answer["EventStream"]
    assert complete == {"InvokeComplete": {}}, complete
    return b"".join(chunk["PayloadChunk"]["Payload"] for chunk in chunks).decode()


def whole(lambda_, name, event, **qualifier):
    answer = invoke(lambda_, name, event, **qualifier)
    assert answer.error is None, answer
    return answer.raw.decode()


def as_event(lambda_, name, event, **qualifier):
    return lambda_.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps(event), **qualifier)["StatusCode"]


ASK = {"whole": whole, "streamed": streamed, "event": as_event}


@pytest.mark.parametrize("qualifier, version", [(None, "$LATEST"), ("1", "1"), ("live", "1")], ids=["function", "version", "alias"])
def test_what_runs_ends_as_it_began_whatever_is_deleted(processes, name, tmp_path, qualifier, version):
    lambda_ = client(processes.endpoint)
    create(lambda_, name, WAITS, Publish=True, Timeout=120)
    by = {} if qualifier is None else {"Qualifier": qualifier}
    if qualifier == "live":
        lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    files = {kind: [tmp_path / f"{kind}-{number}" for number in range(2)] for kind in KINDS}
    end = tmp_path / "end"

    def event(file):
        return {"began": f"{file}-began", "end": str(end), "done": f"{file}-done"}

    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        running = [
            (kind, file, threads.submit(ASK[kind], lambda_, name, event(file), **by))
            for kind in KINDS
            for file in files[kind]
        ]

        def all_run():
            failed = [call.exception() for _, _, call in running if call.done() and call.exception()]
            assert not failed, failed
            return all(file.with_name(f"{file.name}-began").exists() for _, file, _ in running)

        eventually(all_run, 90, "all of them run")
        if qualifier == "live":
            lambda_.delete_alias(FunctionName=name, Name="live")
        else:
            lambda_.delete_function(FunctionName=name, **by)
        expected = f"Function not found: {arn(name, qualifier or '$LATEST')}"
        for call in lambda_.invoke, lambda_.invoke_with_response_stream:
            assert refused(*UNKNOWN, call, FunctionName=name, **by) == expected
        refused(*UNKNOWN, lambda_.invoke, FunctionName=name, InvocationType="Event", **by)
        assert not any(file.with_name(f"{file.name}-done").exists() for _, file, _ in running), "they still run"
        # Without the end they are there, so that the emptiness below means something.
        assert machine(processes)["environments"] >= 6 and len(left(processes)) >= 6
        end.touch()
        for kind, file, call in running:
            assert call.result(60) == (202 if kind == "event" else f'"first {version}"'), kind
            eventually(file.with_name(f"{file.name}-done").exists, 60, f"{file.name} ended")
    if qualifier is not None:
        assert whole(lambda_, name, event(tmp_path / "latest")) == '"first $LATEST"', "the function itself is as it was"
        lambda_.delete_function(FunctionName=name)
    nothing_is_left(processes)


def nothing_is_left(server):
    eventually(lambda: machine(server)["environments"] == 0, 60, f"environments end: {machine(server)}")
    eventually(lambda: not left(server), 60, f"their directories go: {left(server)}")


def left(server):
    """Directories of environments."""
    return [each.name for each in (server.data / "environments").iterdir() if len(each.name) == 32]


SAYS = """exports.handler=awslambda.streamifyResponse(async(e,s,c)=>{s.write('"first ');
await new Promise(r=>setTimeout(r,e.pause));s.end(c.functionVersion+'"')})"""


def test_invocations_while_all_comes_and_goes(server, name):
    """Functions, versions and aliases come and go; each invocation is one of one of them, or meets AWS's refusal."""
    running = server()
    lambda_ = client(running.endpoint)
    over = threading.Event()
    ended = collections.Counter()
    lock = threading.Lock()

    def caller(number):
        kind = KINDS[number % len(KINDS)]
        for turn in itertools.count(number):
            if over.is_set():
                return
            qualifier = (None, "1", "2", "live")[turn % 4]
            by = {} if qualifier is None else {"Qualifier": qualifier}
            try:
                answer = ASK[kind](lambda_, name, {"pause": turn % 7}, **by)
            except ClientError as error:
                assert said(error) in (UNKNOWN, CONFLICT), error.response
                answer = said(error)
            else:
                version = {None: ["$LATEST"], "live": ["1", "2"]}.get(qualifier, [qualifier])
                assert answer == 202 if kind == "event" else answer in [f'"first {each}"' for each in version], answer
                answer = "answered"
            with lock:
                ended[(kind, answer)] += 1

    with concurrent.futures.ThreadPoolExecutor(9) as threads:
        callers = [threads.submit(caller, number) for number in range(9)]
        try:
            for turn in range(5):
                create(lambda_, name, SAYS + f"//{turn}", Publish=True)
                lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
                lambda_.update_function_code(FunctionName=name, ZipFile=zipped({"index.js": SAYS}), Publish=True)
                # As long as it takes until invocations run, of version 1 among others, and not any longer.
                before = sum(ended.values())
                eventually(lambda: sum(ended.values()) >= before + 12, 60, "invocations end")
                active(lambda_, name)
                lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
                lambda_.delete_function(FunctionName=name, Qualifier="1")
                if turn % 2:
                    lambda_.delete_alias(FunctionName=name, Name="live")
                lambda_.delete_function(FunctionName=name)
        finally:
            over.set()
        for call in callers:
            call.result(60)
    assert {(kind, "answered") for kind in KINDS} <= set(ended), ended
    assert any(answer == UNKNOWN for _, answer in ended), ended

    def no_event_waits():
        functions = json.load(urllib.request.urlopen(f"{running.endpoint}/_lambkin/events", timeout=60))["functions"]
        return not any(each[count] for each in functions for count in ("backlog", "in_flight", "waiting_for_retry"))

    eventually(no_event_waits, 60, "no event is left")
    nothing_is_left(running)
    running.stop()
