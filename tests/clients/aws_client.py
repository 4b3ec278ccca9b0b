"""Unmodified boto3 clients of lambkin's services, each answer checked against botocore's model."""

import boto3
import botocore.config

import shapes
from lambda_client import REGION


def client(service, endpoint, validate=True, region=REGION, **config):
    """A client of `sns`, `sqs` … `validate=False` sends what boto3 itself would refuse."""
    config = {"read_timeout": 120, "max_pool_connections": 64, **config}
    made = boto3.session.Session().client(
        service,
        endpoint_url=endpoint,
        region_name=region,
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="any",
        config=botocore.config.Config(retries={"total_max_attempts": 1}, parameter_validation=validate, **config),
    )
    shapes.install(made)
    return made
