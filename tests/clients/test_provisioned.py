"""Provisioned concurrency (aws-behaviour 3, 66): environments that are initialised before anyone asks, and stay."""

from lambda_client import active, client, create, invoke, refused
from server import eventually
from test_concurrency import WAITS, Running, throttled

WHO = """let n=0;
exports.handler=async(e,c)=>({n:++n,type:process.env.AWS_LAMBDA_INITIALIZATION_TYPE,version:c.functionVersion,stream:c.logStreamName})"""
INVALID = "InvalidParameterValueException"


def provision(lambda_, name, qualifier, count):
    return lambda_.put_provisioned_concurrency_config(
        FunctionName=name, Qualifier=qualifier, ProvisionedConcurrentExecutions=count
    )


def state(lambda_, name, qualifier):
    found = lambda_.get_provisioned_concurrency_config(FunctionName=name, Qualifier=qualifier)
    return tuple(
        found.get(member)
        for member in (
            "Status",
            "RequestedProvisionedConcurrentExecutions",
            "AllocatedProvisionedConcurrentExecutions",
            "AvailableProvisionedConcurrentExecutions",
        )
    )


def ready(lambda_, name, qualifier, count):
    wanted = ("READY", count, count, count)
    eventually(lambda: state(lambda_, name, qualifier) == wanted, 60, f"{count} environments of {name}:{qualifier}")


def test_they_are_there_before_anyone_asks_and_stay(server, name):
    # Idle ones go at once.
    running = server("--idle-timeout", "0.2")
    lambda_ = client(running.endpoint)
    create(lambda_, name, WHO)
    lambda_.publish_version(FunctionName=name)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion="1")
    put = provision(lambda_, name, "live", 2)
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    assert (put["Status"], put["RequestedProvisionedConcurrentExecutions"]) == ("IN_PROGRESS", 2)
    assert put["AllocatedProvisionedConcurrentExecutions"] == put["AvailableProvisionedConcurrentExecutions"] == 0
    ready(lambda_, name, "live", 2)
    first = invoke(lambda_, name, Qualifier="live")
    assert (first.payload["n"], first.payload["type"], first.payload["version"]) == (1, "provisioned-concurrency", "1")
    assert invoke(lambda_, name, Qualifier="1").payload["type"] == "provisioned-concurrency"
    # What is not provisioned has none and is told so.
    assert invoke(lambda_, name).payload["type"] == "on-demand"
    # They outlive the idle timeout and a restart.
    running.stop()
    running.start()
    lambda_ = client(running.endpoint)
    ready(lambda_, name, "live", 2)
    again = invoke(lambda_, name, Qualifier="live").payload
    assert (again["n"], again["type"]) == (1, "provisioned-concurrency")
    # The alias moves, and what is provisioned with it.
    lambda_.update_function_configuration(FunctionName=name, MemorySize=256)
    active(lambda_, name)
    lambda_.publish_version(FunctionName=name)
    lambda_.update_alias(FunctionName=name, Name="live", FunctionVersion="2")
    ready(lambda_, name, "live", 2)
    moved = invoke(lambda_, name, Qualifier="live").payload
    assert (moved["version"], moved["type"]) == ("2", "provisioned-concurrency")
    assert invoke(lambda_, name, Qualifier="1").payload["type"] == "on-demand"
    listed = lambda_.list_provisioned_concurrency_configs(FunctionName=name)["ProvisionedConcurrencyConfigs"]
    assert [(each["FunctionArn"].rsplit(":", 1)[1], each["Status"]) for each in listed] == [("live", "READY")]
    lambda_.delete_provisioned_concurrency_config(FunctionName=name, Qualifier="live")
    text = refused(
        "ProvisionedConcurrencyConfigNotFoundException",
        404,
        lambda_.get_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier="live",
    )
    assert text == "No Provisioned Concurrency Config found for this function"

    def gone():
        said = invoke(lambda_, name, Qualifier="live").payload
        return said["type"] == "on-demand"

    eventually(gone, 30, "they go with their configuration")


def test_an_init_that_fails_is_said(lambda_, name):
    create(lambda_, name, "throw new Error('not today')")
    lambda_.publish_version(FunctionName=name)
    provision(lambda_, name, "1", 1)

    def failed():
        found = lambda_.get_provisioned_concurrency_config(FunctionName=name, Qualifier="1")
        assert found["AllocatedProvisionedConcurrentExecutions"] == 0
        return found if found["Status"] == "FAILED" else None

    assert eventually(failed, 60, "it fails")["StatusReason"] == "FUNCTION_ERROR_INIT_FAILURE"


def test_they_are_replaced_when_they_end(lambda_, name):
    create(lambda_, name, "exports.handler=async e=>{if(e.end)process.exit(1);return process.env.AWS_LAMBDA_INITIALIZATION_TYPE}")
    lambda_.publish_version(FunctionName=name)
    provision(lambda_, name, "1", 1)
    ready(lambda_, name, "1", 1)
    assert invoke(lambda_, name, {"end": True}, Qualifier="1").error == "Unhandled"
    ready(lambda_, name, "1", 1)
    assert invoke(lambda_, name, Qualifier="1").payload == "provisioned-concurrency"


def test_what_is_set_aside_is_left_to_its_version(plain, tmp_path, name):
    """Four executions of the function, of which two are a version's."""
    create(plain, name, WAITS, Timeout=60)
    plain.publish_version(FunctionName=name)
    before = plain.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"]
    provision(plain, name, "1", 2)
    ready(plain, name, "1", 2)
    assert plain.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before - 2
    plain.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=4)
    assert plain.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before - 4
    others = [Running(plain, name, tmp_path, number) for number in range(2)]
    assert throttled(plain, name) == "ReservedFunctionConcurrentInvocationLimitExceeded"
    version = f"{name}:1"
    mine = [Running(plain, version, tmp_path, number) for number in range(2)]
    assert state(plain, name, "1") == ("READY", 2, 2, 0)
    assert throttled(plain, version) == "ReservedFunctionConcurrentInvocationLimitExceeded"
    for one in others + mine:
        assert one.finish() == "done"
    said = refused(INVALID, 400, provision, lambda_=plain, name=name, qualifier="1", count=5)
    assert said == (
        "Requested Provisioned Concurrency should not be greater than the reservedConcurrentExecution for function"
    )
    plain.delete_function(FunctionName=name)
    assert plain.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == before


def test_latest_is_refused(lambda_, name):
    create(lambda_, name)
    said = refused(INVALID, 400, provision, lambda_=lambda_, name=name, qualifier="$LATEST", count=1)
    assert said == "Provisioned Concurrency Configs cannot be applied to unpublished function versions."
