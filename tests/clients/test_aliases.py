"""Aliases (aws-behaviour 9, 20, 50): names for versions, and weights that divide invocations between two."""

import concurrent.futures

import pytest
from botocore.exceptions import ClientError

from lambda_client import arn, create, invoke, refused
from test_versions import WHO, changed


@pytest.fixture
def two(lambda_, name):
    """A function with versions 1 and 2, which say `one` and `two`."""
    create(lambda_, name, WHO % "one", Publish=True)
    changed(lambda_, name, "two", Publish=True)
    return name


def plain(answer):
    return {key: value for key, value in answer.items() if key not in ("ResponseMetadata", "RevisionId")}


def weighted(version, weight):
    return {"RoutingConfig": {"AdditionalVersionWeights": {version: weight}}}


def test_a_life(lambda_, two):
    made = lambda_.create_alias(FunctionName=two, Name="live", FunctionVersion="1", Description="d", **weighted("2", 0.2))
    assert made["ResponseMetadata"]["HTTPStatusCode"] == 201
    document = {"AliasArn": arn(two, "live"), "Name": "live", "FunctionVersion": "1", "Description": "d"}
    assert plain(made) == document | weighted("2", 0.2)
    assert lambda_.get_alias(FunctionName=two, Name="live")["RevisionId"] == made["RevisionId"]
    for empty in {}, {"AdditionalVersionWeights": {}}:
        lambda_.update_alias(FunctionName=two, Name="live", **weighted("2", 0.2))
        cleared = lambda_.update_alias(FunctionName=two, Name="live", RoutingConfig=empty)
        assert plain(cleared) == document and cleared["RevisionId"] != made["RevisionId"]
    unchanged = lambda_.update_alias(FunctionName=two, Name="live")
    assert plain(unchanged) == document and unchanged["RevisionId"] != cleared["RevisionId"]
    said = refused("PreconditionFailedException", 412, lambda_.update_alias, FunctionName=two, Name="live", RevisionId=made["RevisionId"])
    assert said.startswith("The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias")
    lambda_.update_alias(FunctionName=two, Name="live", RevisionId=unchanged["RevisionId"], FunctionVersion="2", Description="")
    lambda_.create_alias(FunctionName=two, Name="latest", FunctionVersion="$LATEST")
    lambda_.create_alias(FunctionName=two, Name="a", FunctionVersion="1")
    pages = lambda_.get_paginator("list_aliases").paginate(FunctionName=two, PaginationConfig={"PageSize": 2})
    listed = [[(each["Name"], each["FunctionVersion"]) for each in page["Aliases"]] for page in pages]
    assert listed == [[("a", "1"), ("latest", "$LATEST")], [("live", "2")]]
    of_two = lambda_.list_aliases(FunctionName=two, FunctionVersion="2")["Aliases"]
    assert [each["Name"] for each in of_two] == ["live"]
    found = lambda_.get_function(FunctionName=two, Qualifier="live")["Configuration"]
    assert (found["FunctionArn"], found["Version"]) == (arn(two, "live"), "2")
    for _ in "again", "and again":
        assert lambda_.delete_alias(FunctionName=two, Name="live")["ResponseMetadata"]["HTTPStatusCode"] == 204
    said = refused("ResourceNotFoundException", 404, lambda_.get_alias, FunctionName=two, Name="live")
    assert said == f"Cannot find alias arn: {arn(two, 'live')}"
    said = refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=two, Qualifier="live")
    assert said == f"Function not found: {arn(two, 'live')}"


def test_refusals(lambda_, unchecked, two):
    def create_(expected, code="InvalidParameterValueException", status=400, function=two, version="1", alias="x", **rest):
        arguments = {"FunctionName": function, "Name": alias, "FunctionVersion": version, **rest}
        assert refused(code, status, unchecked.create_alias, **arguments) == expected

    values = "Map value must satisfy constraint: [Member must have value less than or equal to 1.0, Member must have value greater than or equal to 0.0, Member must not be null]"
    keys = "Map keys must satisfy constraint: [Member must have length less than or equal to 1024, Member must have length greater than or equal to 1, Member must satisfy regular expression pattern: [0-9]+, Member must not be null]"
    where = "at 'routingConfig.additionalVersionWeights' failed to satisfy constraint:"
    found = "1 validation error detected: Value"
    create_("Number of items in AdditionalVersionWeights cannot be greater than 1",
            RoutingConfig={"AdditionalVersionWeights": {"1": 0.8, "2": 0.2}})
    for shown, weight in ("2.0", 2), ("2.5", 2.5), ("-1.0", -1):
        create_(f"{found} '{{2={shown}}}' {where} {values}", "ValidationException", **weighted("2", weight))
    create_(f"{found} '{{$LATEST=0.5}}' {where} {keys}", "ValidationException", **weighted("$LATEST", 0.5))
    create_("Invalid function version 1. Function version 1 is already included in routing configuration.", **weighted("1", 0.5))
    create_("$LATEST is not supported for an alias pointing to more than 1 version", version="$LATEST", **weighted("1", 0.5))
    for rest in {"version": "10"}, weighted("10", 0.5):
        create_(f"Function not found: {arn(two, '10')}", "ResourceNotFoundException", 404, **rest)
    create_(f"Function not found: {arn(two + '-no', '1')}", "ResourceNotFoundException", 404, function=two + "-no")
    create_(
        f"{found} '7' at 'name' failed to satisfy constraint: Member must satisfy regular expression pattern: (?!^[0-9]+$)([a-zA-Z0-9-_]+)",
        "ValidationException", alias="7",
    )
    lambda_.create_alias(FunctionName=two, Name="x", FunctionVersion="1")
    create_(f"Alias already exists: {arn(two, 'x')}", "ResourceConflictException", 409)
    said = refused("InvalidParameterValueException", 400, lambda_.update_alias, FunctionName=two, Name="x", **weighted("1", 0.1))
    assert said.startswith("Invalid function version 1.")
    lambda_.update_alias(FunctionName=two, Name="x", **weighted("2", 0.1))
    said = refused("InvalidParameterValueException", 400, lambda_.update_alias, FunctionName=two, Name="x", FunctionVersion="2")
    assert said.startswith("Invalid function version 2.")
    said = refused("ResourceNotFoundException", 404, lambda_.update_alias, FunctionName=two, Name="no", Description="d")
    assert said == f"Alias not found: {arn(two, 'no')}"


def test_a_moved_alias_acts_on_the_next_invocation(lambda_, two):
    lambda_.create_alias(FunctionName=two, Name="live", FunctionVersion="1")
    for turn in range(1, 4):
        for version, word in ("1", "one"), ("2", "two"):
            lambda_.update_alias(FunctionName=two, Name="live", FunctionVersion=version)
            answer = invoke(lambda_, two, Qualifier="live")
            said = answer.payload
            assert (answer.version, said["version"], said["word"], said["arn"]) == (version, version, word, arn(two, "live"))
            assert said["count"] == turn, "the version's environment stays while the alias is elsewhere"
    assert invoke(lambda_, two, Qualifier="2").payload["count"] == 4, "an alias shares its version's environments"


def test_weights_divide(lambda_, two):
    lambda_.create_alias(FunctionName=two, Name="live", FunctionVersion="1", **weighted("2", 0.1))
    versions = [invoke(lambda_, two, Qualifier="live", LogType="None").version for _ in range(600)]
    # 60 are expected, with a standard deviation of 7.3: nine of it either way.
    assert set(versions) == {"1", "2"} and 0 < versions.count("2") < 126, versions.count("2")
    for weight, expected in (0.0, "1"), (1.0, "2"):
        lambda_.update_alias(FunctionName=two, Name="live", **weighted("2", weight))
        assert {invoke(lambda_, two, Qualifier="live", LogType="None").version for _ in range(40)} == {expected}


def test_many_clients_move_an_alias(lambda_, two):
    lambda_.create_alias(FunctionName=two, Name="live", FunctionVersion="1")

    def act(turn):
        alias = lambda_.get_alias(FunctionName=two, Name="live")
        try:
            lambda_.update_alias(FunctionName=two, Name="live", RevisionId=alias["RevisionId"], Description=f"{int(alias['Description'] or 0) + 1}")
        except ClientError as error:
            assert error.response["Error"]["Code"] == "PreconditionFailedException", error
            return 0
        return 1

    with concurrent.futures.ThreadPoolExecutor(16) as clients:
        written = sum(clients.map(act, range(160)))
    assert lambda_.get_alias(FunctionName=two, Name="live")["Description"] == str(written), "none was written over"
