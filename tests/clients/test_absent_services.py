"""Services of AWS's that lambkin does not have: whoever asks for one reads which, in its own protocol (SAM, CDK and the Serverless
Framework ask for CloudFormation first)."""

import boto3
import botocore.config
import botocore.exceptions
import pytest

import keys
from lambda_client import REGION

HERE = "it has lambda, iam, logs, monitoring, sns, sqs, sts."
# A service, an operation with its input, and the code that its protocol has for what is not there.
CALLS = [
    ("cloudformation", "describe_stacks", {}, "InvalidAction"),
    ("autoscaling", "describe_auto_scaling_groups", {}, "InvalidAction"),
    ("ec2", "describe_vpcs", {}, "InvalidAction"),
    ("s3", "list_buckets", {}, "InvalidAction"),
    ("s3", "get_object", {"Bucket": "b", "Key": "k"}, "InvalidAction"),
    ("ssm", "get_parameter", {"Name": "n"}, "UnknownOperationException"),
    ("dynamodb", "list_tables", {}, "UnknownOperationException"),
    ("apigateway", "get_rest_apis", {}, "UnknownOperationException"),
    ("scheduler", "list_schedules", {}, "UnknownOperationException"),
]


def ask(endpoint, service, operation, given, key=("any", "any")):
    client = boto3.client(
        service,
        endpoint_url=endpoint,
        region_name=REGION,
        aws_access_key_id=key[0],
        aws_secret_access_key=key[1],
        config=botocore.config.Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    with pytest.raises(botocore.exceptions.ClientError) as refusal:
        getattr(client, operation)(**given)
    answer = refusal.value.response
    return answer["ResponseMetadata"]["HTTPStatusCode"], answer["Error"]["Code"], answer["Error"]["Message"]


@pytest.mark.parametrize(("service", "operation", "given", "code"), CALLS)
def test_an_absent_service_says_so(shared, service, operation, given, code):
    assert ask(shared.endpoint, service, operation, given) == (404, code, f"lambkin has no service '{service}': {HERE}")


def test_where_there_are_keys_it_says_so_to_who_has_one(server):
    running = server()
    key = keys.make(running)
    status, _, text = ask(running.endpoint, "cloudformation", "describe_stacks", {}, key)
    assert (status, text) == (404, f"lambkin has no service 'cloudformation': {HERE}")
    for service, operation, given, code in CALLS:
        status, said, _ = ask(running.endpoint, service, operation, given)
        expected = "UnrecognizedClientException" if code == "UnknownOperationException" else "InvalidClientTokenId"
        assert (status, said) == (403, expected), service
