"""Published versions (aws-behaviour 20, 28, 33, 46 to 49): immutable, numbered once, with environments of their own."""

import base64
import concurrent.futures
import contextlib
import hashlib
import json
import re
import sqlite3

from botocore.exceptions import ClientError

from lambda_client import active, arn, client, create, invoke, refused, zipped
from server import eventually
from test_events import Queue

WHO = """let count=0;exports.handler=async(e,c)=>({word:'%s',count:++count,version:c.functionVersion,
variable:process.env.AWS_LAMBDA_FUNCTION_VERSION,arn:c.invokedFunctionArn,stream:c.logStreamName})"""
STATES = ("State", "LastUpdateStatus")


def changed(lambda_, name, word, **settings):
    """New code; waits until it is in use."""
    answer = lambda_.update_function_code(FunctionName=name, ZipFile=zipped({"index.js": WHO % word}), **settings)
    active(lambda_, name)
    return answer


def numbers(lambda_, name, **page):
    return [version["Version"] for version in lambda_.list_versions_by_function(FunctionName=name, **page)["Versions"]]


def test_publishing_and_looking(lambda_, name):
    create(lambda_, name, WHO % "one", Description="of latest")
    before = lambda_.get_function_configuration(FunctionName=name)
    first = lambda_.publish_version(FunctionName=name, Description="the first")
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["Version"], first["FunctionArn"], first["Description"]) == ("1", arn(name, "1"), "the first")
    assert [first[state] for state in STATES] == ["Active", "Successful"]
    after = lambda_.get_function_configuration(FunctionName=name)
    assert len({before["RevisionId"], after["RevisionId"], first["RevisionId"]}) == 3, "$LATEST's changes too"
    # Unchanged it is the same version, whatever description is given.
    again = lambda_.publish_version(FunctionName=name, Description="other")
    assert again["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (again["Version"], again["Description"], again["RevisionId"]) == ("1", "the first", first["RevisionId"])
    # A change of the configuration is a change.
    lambda_.update_function_configuration(FunctionName=name, Description="new", MemorySize=256)
    active(lambda_, name)
    second = lambda_.publish_version(FunctionName=name)
    assert (second["Version"], second["Description"], second["MemorySize"]) == ("2", "new", 256)
    for qualifier, memory in ("1", 128), ("2", 256), ("$LATEST", 256):
        found = lambda_.get_function(FunctionName=name, Qualifier=qualifier)["Configuration"]
        assert (found["Version"], found["FunctionArn"], found["MemorySize"]) == (qualifier, arn(name, qualifier), memory)
        assert lambda_.get_function_configuration(FunctionName=arn(name, qualifier)) | {"ResponseMetadata": 0} == found | {
            "ResponseMetadata": 0
        }
    listed = lambda_.list_versions_by_function(FunctionName=name)["Versions"]
    assert [(each["Version"], each["FunctionArn"]) for each in listed] == [
        (version, arn(name, version)) for version in ("$LATEST", "1", "2")
    ]
    assert not any(state in each for each in listed for state in STATES)
    for qualifier in "3", "01", "nothing":
        said = refused("ResourceNotFoundException", 404, lambda_.get_function, FunctionName=name, Qualifier=qualifier)
        assert said == f"Function not found: {arn(name, qualifier)}"
    said = refused("ResourceNotFoundException", 404, lambda_.publish_version, FunctionName=name + "-no")
    assert said == f"Function not found: {arn(name + '-no')}"


def test_pages_and_all_versions(server, name):
    lambda_ = client(server().endpoint)
    for function in "a", "b":
        create(lambda_, function, WHO % "x")
        for memory in range(128, 140):
            lambda_.update_function_configuration(FunctionName=function, MemorySize=memory)
            active(lambda_, function)
            lambda_.publish_version(FunctionName=function)
    expected = ["$LATEST", *map(str, range(1, 13))]
    pages = lambda_.get_paginator("list_versions_by_function").paginate(
        FunctionName="a", PaginationConfig={"PageSize": 5}
    )
    assert [[each["Version"] for each in page["Versions"]] for page in pages] == [expected[:5], expected[5:10], expected[10:]]
    pages = lambda_.get_paginator("list_functions").paginate(FunctionVersion="ALL", PaginationConfig={"PageSize": 7})
    listed = [each["FunctionArn"] for page in pages for each in page["Functions"]]
    assert listed == [arn(function, version) for function in "ab" for version in expected]
    assert [each["FunctionArn"] for each in lambda_.list_functions()["Functions"]] == [arn("a"), arn("b")]
    assert [each["FunctionName"] for page in lambda_.get_paginator("list_functions").paginate(
        PaginationConfig={"PageSize": 1}) for each in page["Functions"]] == ["a", "b"]


def test_what_must_match(lambda_, name):
    create(lambda_, name, WHO % "x")
    current = lambda_.get_function_configuration(FunctionName=name)
    other = base64.b64encode(hashlib.sha256(b"x").digest()).decode()
    said = refused("InvalidParameterValueException", 400, lambda_.publish_version, FunctionName=name, CodeSha256=other)
    assert said == (
        f"CodeSHA256 ({other}) is different from current CodeSHA256 in $LATEST ({current['CodeSha256']}). "
        "Please try again with the CodeSHA256 in $LATEST."
    )
    said = refused("PreconditionFailedException", 412, lambda_.publish_version, FunctionName=name, RevisionId="no")
    assert said.startswith("The Revision Id provided does not match the latest Revision Id.")
    published = lambda_.publish_version(
        FunctionName=name, CodeSha256=current["CodeSha256"], RevisionId=current["RevisionId"]
    )
    assert published["Version"] == "1"
    refused(
        "InvalidParameterValueException", 400, lambda_.publish_version, FunctionName=name, PublishTo="LATEST_PUBLISHED"
    )


def test_publish_with_a_change(lambda_, name):
    made = create(lambda_, name, WHO % "one", Publish=True)
    assert (made["Version"], made["FunctionArn"], made["State"]) == ("1", arn(name), "Pending")
    lambda_.get_waiter("published_version_active").wait(FunctionName=name, Qualifier="1", WaiterConfig={"Delay": 1})
    assert lambda_.publish_version(FunctionName=name)["Version"] == "1", "nothing changed"
    updated = changed(lambda_, name, "two", Publish=True)
    assert (updated["Version"], updated["FunctionArn"]) == ("2", arn(name, "2"))
    assert changed(lambda_, name, "two", Publish=True)["Version"] == "2", "nothing changed"
    assert numbers(lambda_, name) == ["$LATEST", "1", "2"]
    assert [invoke(lambda_, name, Qualifier=number).payload["word"] for number in "12"] == ["one", "two"]


def test_each_version_has_environments_of_its_own(lambda_, name):
    create(lambda_, name, WHO % "one")
    lambda_.publish_version(FunctionName=name)
    changed(lambda_, name, "two")
    for turn in 1, 2:
        old = invoke(lambda_, name, Qualifier="1")
        new = invoke(lambda_, name)
        assert (old.version, old.payload["word"], old.payload["count"]) == ("1", "one", turn)
        assert (new.version, new.payload["word"], new.payload["count"]) == ("$LATEST", "two", turn)
        assert (old.payload["version"], old.payload["variable"]) == ("1", "1")
        assert "[1]" in old.payload["stream"] and "[$LATEST]" in new.payload["stream"]
        assert "START RequestId: " in old.log and " Version: 1\n" in old.log
    for qualifier, expected in (None, arn(name)), ("$LATEST", arn(name, "$LATEST")), ("1", arn(name, "1")):
        answer = invoke(lambda_, name, **({"Qualifier": qualifier} if qualifier else {}))
        assert answer.payload["arn"] == expected
    assert invoke(lambda_, arn(name, "1")).payload["count"] == 4, "changes of $LATEST ended nothing of version 1"
    said = refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=name, Qualifier="9")
    assert said == f"Function not found: {arn(name, '9')}"
    dry = lambda_.invoke(FunctionName=name, Qualifier="1", InvocationType="DryRun")
    assert dry["StatusCode"] == 204


def test_deleting_a_version(lambda_, name):
    create(lambda_, name, WHO % "one", Publish=True)
    changed(lambda_, name, "two", Publish=True)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 0.5}})
    for number in "1", "2":
        said = refused("ResourceConflictException", 409, lambda_.delete_function, FunctionName=name, Qualifier=number)
        assert said == "Unable to delete version because the following aliases reference it: [live]"
    said = refused("InvalidParameterValueException", 400, lambda_.delete_function, FunctionName=name, Qualifier="$LATEST")
    assert said == "$LATEST version cannot be deleted without deleting the function."
    refused("InvalidParameterValueException", 400, lambda_.delete_function, FunctionName=name, Qualifier="live")
    lambda_.update_alias(FunctionName=name, Name="live", RoutingConfig={"AdditionalVersionWeights": {}})
    assert lambda_.delete_function(FunctionName=name, Qualifier="2")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert lambda_.delete_function(FunctionName=name, Qualifier="2")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert numbers(lambda_, name) == ["$LATEST", "1"]
    refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=name, Qualifier="2")
    assert lambda_.publish_version(FunctionName=name)["Version"] == "3", "numbers are not given twice"
    lambda_.delete_function(FunctionName=name)
    refused("ResourceNotFoundException", 404, lambda_.get_function, FunctionName=name, Qualifier="1")
    create(lambda_, name, WHO % "three")
    assert numbers(lambda_, name) == ["$LATEST"]
    assert lambda_.publish_version(FunctionName=name)["Version"] == "1", "it is another function"


def test_many_clients_publish_and_change(lambda_, name):
    create(lambda_, name, WHO % "x")

    def act(turn):
        if turn % 4 == 0:
            try:
                lambda_.update_function_configuration(FunctionName=name, MemorySize=128 + turn)
            except ClientError as error:
                assert error.response["Error"]["Code"] == "ResourceConflictException", error
            return None
        try:
            return lambda_.publish_version(FunctionName=name)
        except ClientError as error:
            assert error.response["Error"]["Code"] == "ResourceConflictException", error
            return None

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        published = [answer for answer in clients.map(act, range(160)) if answer]
    active(lambda_, name)
    by_number = {}
    for answer in published:
        by_number.setdefault(answer["Version"], set()).add((answer["RevisionId"], answer["MemorySize"]))
    assert published and all(len(same) == 1 for same in by_number.values()), "one number is one version"
    listed = lambda_.list_versions_by_function(FunctionName=name)["Versions"][1:]
    assert [each["Version"] for each in listed] == [str(number + 1) for number in range(len(listed))]
    assert {each["Version"]: {(each["RevisionId"], each["MemorySize"])} for each in listed} == by_number


def test_versions_survive_kill_9(server, name):
    first = server()
    lambda_ = client(first.endpoint)
    create(lambda_, name, WHO % "one", Publish=True)
    changed(lambda_, name, "two", Publish=True)
    changed(lambda_, name, "three")
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1", RoutingConfig={"AdditionalVersionWeights": {"2": 1.0}})
    before = [lambda_.get_function_configuration(FunctionName=name, Qualifier=number) for number in "12"]
    first.kill()
    lambda_ = client(first.start().endpoint)
    after = [lambda_.get_function_configuration(FunctionName=name, Qualifier=number) for number in "12"]
    for old, new in zip(before, after):
        assert old | {"ResponseMetadata": 0} == new | {"ResponseMetadata": 0}
    # Their packages were kept by the sweep of the start.
    assert [invoke(lambda_, name, Qualifier=number).payload["word"] for number in ("1", "2", "$LATEST")] == [
        "one", "two", "three",
    ]
    assert invoke(lambda_, name, Qualifier="live").version == "2"


def test_events_of_a_version(lambda_, shared, name):
    queue = Queue(shared, name)
    create(lambda_, name, WHO % "one", Publish=True)
    changed(lambda_, name, "two")
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    for qualifier in "1", "live":
        made = lambda_.put_function_event_invoke_config(
            FunctionName=name, Qualifier=qualifier, DestinationConfig={"OnSuccess": {"Destination": queue.arn}}
        )
        assert made["FunctionArn"] == arn(name, qualifier)
        assert lambda_.invoke(FunctionName=name, Qualifier=qualifier, InvocationType="Event")["StatusCode"] == 202
        record = json.loads(queue.receive()[0]["Body"])
        assert record["requestContext"]["functionArn"] == arn(name, qualifier)
        assert record["responseContext"]["executedVersion"] == "1"
        assert record["responsePayload"]["word"] == "one" and record["responsePayload"]["arn"] == arn(name, qualifier)
    refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=name, Qualifier="7", InvocationType="Event")
    refused(
        "ResourceNotFoundException", 404, lambda_.put_function_event_invoke_config,
        FunctionName=name, Qualifier="7", MaximumRetryAttempts=0,
    )
    lambda_.delete_alias(FunctionName=name, Name="live")
    refused(
        "ResourceNotFoundException", 404, lambda_.get_function_event_invoke_config, FunctionName=name, Qualifier="live"
    )


def test_a_version_has_its_own_dead_letters(lambda_, shared, name):
    old, new = Queue(shared, name + "-old"), Queue(shared, name + "-new")
    fails = "exports.handler=async()=>{throw new Error('no')}"
    create(lambda_, name, fails, DeadLetterConfig={"TargetArn": old.arn}, Publish=True)
    lambda_.update_function_configuration(FunctionName=name, DeadLetterConfig={"TargetArn": new.arn})
    active(lambda_, name)
    for qualifier, queue in ("1", old), ("$LATEST", new):
        lambda_.put_function_event_invoke_config(FunctionName=name, Qualifier=qualifier, MaximumRetryAttempts=0)
        lambda_.invoke(FunctionName=name, Qualifier=qualifier, InvocationType="Event", Payload=b'"' + qualifier.encode() + b'"')
        assert queue.receive()[0]["Body"] == f'"{qualifier}"'


def test_a_mapping_to_an_alias(plain_server, name, tmp_path):
    server = plain_server()
    lambda_, queue, said = client(server.endpoint), Queue(server, name), tmp_path / "said"
    writes = "exports.handler=async(e,c)=>require('fs').writeFileSync(process.env.TO,c.functionVersion+' '+e.Records[0].body)"
    create(lambda_, name, writes, Environment={"Variables": {"TO": str(said)}}, Publish=True)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    refusal = refused(
        "InvalidParameterValueException", 400, lambda_.create_event_source_mapping,
        FunctionName=arn(name, "nothing"), EventSourceArn=queue.arn,
    )
    assert refusal == "Function does not exist"
    mapping = lambda_.create_event_source_mapping(FunctionName=arn(name, "live"), EventSourceArn=queue.arn, BatchSize=1)
    assert mapping["FunctionArn"] == arn(name, "live")
    queue.sqs.send_message(QueueUrl=queue.url, MessageBody="hello")
    assert eventually(lambda: said.exists() and said.read_text(), 60, "the batch ran") == "1 hello"


def test_what_a_crash_left_is_removed(server, name):
    first = server()
    lambda_ = client(first.endpoint)
    create(lambda_, name, WHO % "one", Publish=True)
    first.kill()
    # As if it had been killed between a version's record and the head that names it.
    with contextlib.closing(sqlite3.connect(first.data / "catalog.sqlite")) as file:
        ((key, body),) = file.execute("SELECT key, body FROM records WHERE key LIKE 'version/%'").fetchall()
        (id_,) = re.findall(r"[^/]+$", key)
        orphan = "00000000-0000-4000-8000-000000000000"
        file.execute(
            "INSERT INTO records VALUES (?, 1, ?)", (key.replace(id_, orphan), body.replace(id_.encode(), orphan.encode()))
        )
        file.commit()
    first.start()
    first.kill()
    with contextlib.closing(sqlite3.connect(first.data / "catalog.sqlite")) as file:
        assert file.execute("SELECT key FROM records WHERE key LIKE 'version/%'").fetchall() == [(key,)]
    lambda_ = client(first.start().endpoint)
    assert invoke(lambda_, name, Qualifier="1").payload["word"] == "one"
    lambda_.delete_function(FunctionName=name)
    first.kill()
    with contextlib.closing(sqlite3.connect(first.data / "catalog.sqlite")) as file:
        assert file.execute("SELECT count(*) FROM records").fetchone() == (0,), "a function takes its versions along"
