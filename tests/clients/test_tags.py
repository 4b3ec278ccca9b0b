"""Tags of functions and event source mappings (aws-behaviour 68), and GetRuntimeManagementConfig."""

import pytest

import aws_client
from lambda_client import ROLE, arn, create, refused, zipped

INVALID = "InvalidParameterValueException"


@pytest.fixture
def function(lambda_, name):
    create(lambda_, name)
    return name


def test_tags_come_and_go(lambda_, function):
    resource = arn(function)
    assert "Tags" not in lambda_.get_function(FunctionName=function)
    assert lambda_.list_tags(Resource=resource)["Tags"] == {}
    answer = lambda_.tag_resource(Resource=resource, Tags={"team": "a", "stage": "b", "odd key": "=/@"})
    assert answer["ResponseMetadata"]["HTTPStatusCode"] == 204
    lambda_.tag_resource(Resource=resource, Tags={"team": "c"})
    expected = {"team": "c", "stage": "b", "odd key": "=/@"}
    assert lambda_.list_tags(Resource=resource)["Tags"] == expected
    assert lambda_.get_function(FunctionName=function)["Tags"] == expected
    lambda_.untag_resource(Resource=resource, TagKeys=["stage", "odd key", "none"])
    assert lambda_.list_tags(Resource=resource)["Tags"] == {"team": "c"}


def test_refusals(lambda_, unchecked, function):
    resource = arn(function)
    text = refused(INVALID, 400, lambda_.tag_resource, Resource=resource, Tags={})
    assert text == "An error occurred and the request cannot be processed."
    many = {str(number): "x" for number in range(51)}
    text = refused(INVALID, 400, lambda_.tag_resource, Resource=resource, Tags=many)
    assert text == "Number of tags exceeds resource tag limit."
    new = {"FunctionName": f"{function}-new", "Runtime": "nodejs22.x", "Role": ROLE, "Handler": "index.handler"}
    new["Code"] = {"ZipFile": zipped({"index.js": "exports.handler=async()=>1"})}
    assert refused(INVALID, 400, lambda_.create_function, Tags=many, **new) == text
    for name in ("aws:x", "AWS:x"):
        text = refused(INVALID, 400, lambda_.tag_resource, Resource=resource, Tags={name: "x"})
        assert text == "aws: prefixed tag key names are not allowed for external use."
        assert refused(INVALID, 400, lambda_.create_function, Tags={name: "x"}, **new) == text
    for call, more in ((lambda_.list_tags, {}), (lambda_.tag_resource, {"Tags": {"a": "b"}}), (lambda_.untag_resource, {"TagKeys": ["a"]})):
        text = refused(INVALID, 400, call, Resource=f"{resource}:$LATEST", **more)
        assert text == "Tags on function aliases and versions are not supported. Please specify a function ARN."
    refused("ResourceNotFoundException", 404, lambda_.list_tags, Resource=arn("nobody"))
    assert lambda_.list_tags(Resource=resource)["Tags"] == {}


def test_mappings_have_tags(lambda_, shared, function):
    sqs = aws_client.client("sqs", shared.endpoint)
    sqs.create_queue(QueueName=function)
    made = lambda_.create_event_source_mapping(
        FunctionName=function, EventSourceArn=f"arn:aws:sqs:us-east-1:000000000000:{function}", Tags={"a": "b"}
    )
    resource = made["EventSourceMappingArn"]
    assert lambda_.list_tags(Resource=resource)["Tags"] == {"a": "b"}
    lambda_.tag_resource(Resource=resource, Tags={"c": "d"})
    lambda_.untag_resource(Resource=resource, TagKeys=["a"])
    assert lambda_.list_tags(Resource=resource)["Tags"] == {"c": "d"}
    gone = "arn:aws:lambda:us-east-1:000000000000:event-source-mapping:00000000-0000-0000-0000-000000000000"
    refused("ResourceNotFoundException", 404, lambda_.list_tags, Resource=gone)


def test_a_runtime_changes_with_lambkin_alone(lambda_, function):
    answer = lambda_.get_runtime_management_config(FunctionName=function)
    assert (answer["UpdateRuntimeOn"], answer["FunctionArn"]) == ("Auto", arn(function, "$LATEST"))
    assert lambda_.put_runtime_management_config(FunctionName=function, UpdateRuntimeOn="Auto")["UpdateRuntimeOn"] == "Auto"
    text = refused(INVALID, 400, lambda_.put_runtime_management_config, FunctionName=function, UpdateRuntimeOn="FunctionUpdate")
    assert text == "lambkin does not keep a function on an older version of its runtime (UpdateRuntimeOn)."
