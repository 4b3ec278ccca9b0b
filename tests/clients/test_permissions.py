"""Resource policies: AddPermission, RemovePermission, GetPolicy, and whole documents (aws-behaviour 34, 67)."""

import json

import pytest

from lambda_client import arn, create, refused


@pytest.fixture
def function(lambda_, name):
    create(lambda_, name)
    return name


def statements(lambda_, name):
    return json.loads(lambda_.get_policy(FunctionName=name)["Policy"])["Statement"]


def test_statements_have_the_recorded_shapes(lambda_, function):
    resource = arn(function)
    for sid, given, principal, condition in [
        ("service", {"Principal": "sns.amazonaws.com"}, {"Service": "sns.amazonaws.com"}, None),
        ("account", {"Principal": "111111111111"}, {"AWS": "arn:aws:iam::111111111111:root"}, None),
        ("everybody", {"Principal": "*"}, "*", None),
        (
            "source",
            {"Principal": "s3.amazonaws.com", "SourceArn": "arn:aws:s3:::bucket", "SourceAccount": "111111111111"},
            {"Service": "s3.amazonaws.com"},
            {"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::bucket"}, "StringEquals": {"AWS:SourceAccount": "111111111111"}},
        ),
        (
            "organization",
            {"Principal": "*", "PrincipalOrgID": "o-1234567890"},
            "*",
            {"StringEquals": {"aws:PrincipalOrgID": "o-1234567890"}},
        ),
        (
            "alexa",
            {"Principal": "alexa-appkit.amazon.com", "EventSourceToken": "amzn1.ask.skill.x"},
            {"Service": "alexa-appkit.amazon.com"},
            {"StringEquals": {"lambda:EventSourceToken": "amzn1.ask.skill.x"}},
        ),
    ]:
        answer = lambda_.add_permission(FunctionName=function, StatementId=sid, Action="lambda:InvokeFunction", **given)
        assert answer["ResponseMetadata"]["HTTPStatusCode"] == 201
        expected = {
            "Sid": sid,
            "Effect": "Allow",
            "Principal": principal,
            "Action": "lambda:InvokeFunction",
            "Resource": resource,
        }
        if condition:
            expected["Condition"] = condition
        assert json.loads(answer["Statement"]) == expected
        assert statements(lambda_, function)[-1] == expected
    document = json.loads(lambda_.get_policy(FunctionName=function)["Policy"])
    assert (document["Version"], document["Id"]) == ("2012-10-17", "default")


def test_urls_have_statements_of_their_own(lambda_, function):
    url = lambda_.add_permission(
        FunctionName=function, StatementId="url", Action="lambda:InvokeFunctionUrl", Principal="*", FunctionUrlAuthType="NONE"
    )
    assert json.loads(url["Statement"])["Condition"] == {"StringEquals": {"lambda:FunctionUrlAuthType": "NONE"}}
    via = lambda_.add_permission(
        FunctionName=function, StatementId="via", Action="lambda:InvokeFunction", Principal="*", InvokedViaFunctionUrl=True
    )
    assert json.loads(via["Statement"])["Condition"] == {"Bool": {"lambda:InvokedViaFunctionUrl": "true"}}


def test_the_revision_is_the_functions(lambda_, function):
    before = lambda_.get_function(FunctionName=function)["Configuration"]["RevisionId"]
    permission = {"FunctionName": function, "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    stale = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetPolicy API to retrieve the latest "
        "Revision Id"
    )
    text = refused("PreconditionFailedException", 412, lambda_.add_permission, StatementId="s3", RevisionId="wrong", **permission)
    assert text == stale
    lambda_.add_permission(StatementId="s3", RevisionId=before, **permission)
    after = lambda_.get_policy(FunctionName=function)["RevisionId"]
    assert after != before
    assert lambda_.get_function(FunctionName=function)["Configuration"]["RevisionId"] == after
    text = refused("ResourceConflictException", 409, lambda_.add_permission, StatementId="s3", **permission)
    assert text == (
        "The statement id (s3) provided already exists. Please provide a new statement id, or remove the existing statement."
    )
    lambda_.remove_permission(FunctionName=function, StatementId="s3", RevisionId=after)
    text = refused("ResourceNotFoundException", 404, lambda_.get_policy, FunctionName=function)
    assert text == "The resource you requested does not exist."


def test_whole_documents(lambda_, function):
    resource = arn(function)
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Sid": "no", "Effect": "Deny", "Principal": "*", "Action": "lambda:*", "Resource": resource}],
    }
    put = lambda_.put_resource_policy(ResourceArn=resource, Policy=json.dumps(document))
    got = lambda_.get_resource_policy(ResourceArn=resource)
    assert json.loads(got["Policy"]) == document and got["RevisionId"] == put["RevisionId"]
    assert statements(lambda_, function) == document["Statement"]
    lambda_.delete_resource_policy(ResourceArn=resource, RevisionId=put["RevisionId"])
    refused("ResourceNotFoundException", 404, lambda_.get_resource_policy, ResourceArn=resource)
    invalid = "InvalidParameterValueException"
    text = refused(invalid, 400, lambda_.put_resource_policy, ResourceArn=resource, Policy='{"Statement": []}')
    assert text == "The policy has no Statement"
