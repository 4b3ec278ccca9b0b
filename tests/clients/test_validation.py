"""What a function may not be is refused with AWS's words, and nothing of it stays (aws-behaviour 37 to 45)."""

import pytest
from botocore.exceptions import ClientError

from lambda_client import ECHO, ROLE, client, create, invoke, refused, zipped

MALFORMED = ["a b", "arn:aws:lambda:us-east-1:0000:function:f", "arn:aws:s3:::bucket", "arn:aws:lambda:us-east-1:000000000000:function:"]


@pytest.mark.parametrize("given", MALFORMED)
def test_malformed_names_are_refused(unchecked, given):
    for call in (unchecked.get_function, unchecked.invoke, unchecked.delete_function):
        with pytest.raises(ClientError) as caught:
            call(FunctionName=given)
        error = caught.value.response
        assert error["ResponseMetadata"]["HTTPStatusCode"] == 400 and error["Error"]["Code"] == "ValidationException", error
        start = f"1 validation error detected: Value '{given}' at 'functionName' failed to satisfy constraint: Member must satisfy"
        assert error["Error"]["Message"].startswith(start), error


VALID = {"FunctionName": "valid", "Runtime": "nodejs22.x", "Role": ROLE, "Handler": "index.handler"}
# What is wrong with CreateFunction, the code of the error, and what its message has to hold.
REFUSED_AT_CREATION = {
    "role": (
        {"Role": "r1"},
        "ValidationException",
        "1 validation error detected: Value 'r1' at 'role' failed to satisfy constraint: Member must satisfy regular "
        r"expression pattern: arn:(aws[a-zA-Z-]*)?:iam::\d{12}:role/?[a-zA-Z_0-9+=,.@\-_/]+",
    ),
    "runtime": (
        {"Runtime": "nodejs99.x"},
        "InvalidParameterValueException",
        "Value nodejs99.x at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [",
    ),
    "runtime-in-capitals": (
        {"Runtime": "NodeJS22.x"},
        "InvalidParameterValueException",
        "Value NodeJS22.x at 'runtime' failed to satisfy constraint: Member must satisfy enum value set: [",
    ),
    "handler-with-a-space": (
        {"Handler": "index handler"},
        "ValidationException",
        "Value 'index handler' at 'handler' failed to satisfy constraint: Member must satisfy regular expression pattern: "
        r"[^\s]+",
    ),
    "handler-too-long": (
        {"Handler": "h" * 129},
        "ValidationException",
        "at 'handler' failed to satisfy constraint: Member must have length less than or equal to 128",
    ),
    "name-with-a-dot": (
        {"FunctionName": "a.b"},
        "ValidationException",
        "Value 'a.b' at 'functionName' failed to satisfy constraint: Member must satisfy regular expression pattern: ",
    ),
    "name-of-65": (
        {"FunctionName": "n" * 65},
        "InvalidParameterValueException",
        "at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 64",
    ),
    "name-of-141": (
        {"FunctionName": "n" * 141},
        "ValidationException",
        "at 'functionName' failed to satisfy constraint: Member must have length less than or equal to 140",
    ),
    "timeout-0": (
        {"Timeout": 0},
        "ValidationException",
        "Value '0' at 'timeout' failed to satisfy constraint: Member must have value greater than or equal to 1",
    ),
    "memory-127": (
        {"MemorySize": 127},
        "ValidationException",
        "Value '127' at 'memorySize' failed to satisfy constraint: Member must have value greater than or equal to 128",
    ),
    "two-at-once": (
        {"Timeout": 0, "MemorySize": 1},
        "ValidationException",
        "2 validation errors detected: ",
    ),
    "description-too-long": (
        {"Description": "d" * 257},
        "ValidationException",
        "at 'description' failed to satisfy constraint: Member must have length less than or equal to 256",
    ),
    "package-type": (
        {"PackageType": "Tar"},
        "ValidationException",
        "Value 'Tar' at 'packageType' failed to satisfy constraint: Member must satisfy enum value set: [",
    ),
    "not-a-zip": ({"Code": {"ZipFile": b"plain text"}}, "InvalidParameterValueException", "Could not unzip uploaded file."),
    "empty-zip-file": ({"Code": {"ZipFile": b""}}, "InvalidParameterValueException", ""),
    "reserved-variable": (
        {"Environment": {"Variables": {"AWS_REGION": "x"}}},
        "InvalidParameterValueException",
        "AWS_REGION",
    ),
    "reserved-variable-handler": (
        {"Environment": {"Variables": {"_HANDLER": "x"}}},
        "ValidationException",
        "Map keys must satisfy constraint: [Member must satisfy regular expression pattern: [a-zA-Z]([a-zA-Z0-9_])+",
    ),
}


@pytest.mark.parametrize("case", REFUSED_AT_CREATION)
def test_bad_parameters_are_refused_at_creation(unchecked, case):
    change, code, text = REFUSED_AT_CREATION[case]
    arguments = {"Code": {"ZipFile": zipped({"index.js": ECHO})}, **VALID, **change}
    with pytest.raises(ClientError) as caught:
        unchecked.create_function(**arguments)
    error = caught.value.response["Error"]
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    assert error["Code"] == code and text in error["Message"], error
    assert not any(f["FunctionName"] == arguments["FunctionName"] for f in unchecked.list_functions()["Functions"])


RESERVED = """_HANDLER _X_AMZN_TRACE_ID AWS_DEFAULT_REGION AWS_REGION AWS_EXECUTION_ENV AWS_LAMBDA_FUNCTION_NAME
AWS_LAMBDA_FUNCTION_MEMORY_SIZE AWS_LAMBDA_FUNCTION_VERSION AWS_LAMBDA_INITIALIZATION_TYPE AWS_LAMBDA_LOG_GROUP_NAME
AWS_LAMBDA_LOG_STREAM_NAME AWS_ACCESS_KEY AWS_ACCESS_KEY_ID AWS_SECRET_ACCESS_KEY AWS_SESSION_TOKEN
AWS_LAMBDA_RUNTIME_API LAMBDA_TASK_ROOT LAMBDA_RUNTIME_DIR""".split()


def test_no_reserved_variable_can_be_set(unchecked):
    """node-runtime §8.3."""
    accepted = []
    for key in RESERVED:
        arguments = {**VALID, "Code": {"ZipFile": zipped({"index.js": ECHO})}, "Environment": {"Variables": {key: "x"}}}
        try:
            unchecked.create_function(**arguments)
            accepted.append(key)
            unchecked.delete_function(FunctionName=VALID["FunctionName"])
        except ClientError as error:
            reason = "Map keys must satisfy constraint" if key.startswith("_") else key
            assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 400 and reason in str(error), error.response
    assert not accepted


def test_variables_end_at_4_kb(lambda_, unchecked, name):
    """Measured on the JSON text, which the refusal echoes whole."""
    fits = "x" * (4096 - len('{"LARGE_VAR":""}'))
    create(lambda_, name, "exports.handler=async()=>process.env.LARGE_VAR.length", Environment={"Variables": {"LARGE_VAR": fits}})
    assert invoke(lambda_, name).payload == len(fits)
    message = refused(
        "InvalidParameterValueException", 400, unchecked.update_function_configuration,
        FunctionName=name, Environment={"Variables": {"LARGE_VAR": fits + "x"}},
    )
    assert message == (
        "Lambda was unable to configure your environment variables because the environment variables you have provided "
        f'exceeded the 4KB limit. String measured: {{"LARGE_VAR":"{fits}x"}}'
    )


@pytest.mark.parametrize("change", [{"Timeout": 901}, {"MemorySize": 10241}, {"Timeout": 10**6}, {"MemorySize": 10**6}])
def test_timeout_and_memory_have_an_end(unchecked, name, change):
    arguments = {**VALID, "FunctionName": name, "Code": {"ZipFile": zipped({"index.js": ECHO})}, **change}
    with pytest.raises(ClientError, match="less than or equal to"):
        unchecked.create_function(**arguments)


# Settings that lambkin does not do: accepted silently they would lie.
UNSUPPORTED = {
    "VpcConfig": {"SubnetIds": ["subnet-00000000"], "SecurityGroupIds": ["sg-00000000"]},
    "KMSKeyArn": "arn:aws:kms:us-east-1:000000000000:key/1",
    "FileSystemConfigs": [
        {"Arn": "arn:aws:elasticfilesystem:us-east-1:000000000000:access-point/fsap-00000000000000000", "LocalMountPath": "/mnt/a"}
    ],
    "CodeSigningConfigArn": "arn:aws:lambda:us-east-1:000000000000:code-signing-config:csc-00000000000000000",
    "SnapStart": {"ApplyOn": "PublishedVersions"},
    "DurableConfig": {"ExecutionTimeout": 60},
    "PackageType": "Image",
    "ImageConfig": {"Command": ["index.handler"]},
    "PublishTo": "LATEST_PUBLISHED",
    "CapacityProviderConfig": {
        "LambdaManagedInstancesCapacityProviderConfig": {"CapacityProviderArn": "arn:aws:lambda:us-east-1:000000000000:capacity-provider:sample"}
    },
    "TenancyConfig": {"TenantIsolationMode": "PER_TENANT"},
}


@pytest.mark.parametrize("setting", UNSUPPORTED)
def test_a_setting_that_would_not_act_is_refused(unchecked, name, setting):
    arguments = {**VALID, "FunctionName": name, "Code": {"ZipFile": zipped({"index.js": ECHO})}, setting: UNSUPPORTED[setting]}
    said = refused("InvalidParameterValueException", 400, unchecked.create_function, **arguments)
    # For this reason, and not because it was asked wrongly.
    assert said.startswith("lambkin does not ") and f"({setting}" in said, said
    refused("ResourceNotFoundException", 404, unchecked.get_function, FunctionName=name)


def test_retired_runtimes_are_refused_when_asked_to(server):
    lambda_ = client(server("--refuse-deprecated-runtimes").endpoint)
    for runtime in ("nodejs4.3", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x", "nodejs14.x"):
        message = refused(
            "InvalidParameterValueException", 400, lambda_.create_function,
            **{**VALID, "Runtime": runtime}, Code={"ZipFile": zipped({"index.js": ECHO})},
        )
        assert message == (
            f"The runtime parameter of {runtime} is no longer supported for creating or updating AWS Lambda functions. We "
            "recommend you use a supported runtime while creating or updating functions."
        )
    create(lambda_, "current")
    message = refused("InvalidParameterValueException", 400, lambda_.update_function_configuration, FunctionName="current", Runtime="nodejs12.x")
    assert message.startswith("The runtime parameter of nodejs12.x is no longer supported")
