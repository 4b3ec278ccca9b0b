"""Scaling of published versions: environments that are kept, and no more than are allowed (PutFunctionScalingConfig)."""

import json
import time

from exposition import scrape
from lambda_client import arn, client, create, invoke, refused
from server import eventually
from test_concurrency import WAITS, Running, throttled

WHO = "const born=Date.now();exports.handler=async()=>({born,type:process.env.AWS_LAMBDA_INITIALIZATION_TYPE})"
OWN = "ReservedFunctionConcurrentInvocationLimitExceeded"
INVALID = "InvalidParameterValueException"


def published(lambda_, name, code, **settings):
    create(lambda_, name, code, **settings)
    return lambda_.publish_version(FunctionName=name)["Version"]


def bounds(minimum=None, maximum=None):
    given = {"MinExecutionEnvironments": minimum, "MaxExecutionEnvironments": maximum}
    return {key: value for key, value in given.items() if value is not None}


def scale(lambda_, name, version="1", **given):
    put = lambda_.put_function_scaling_config(FunctionName=name, Qualifier=version, FunctionScalingConfig=bounds(**given))
    assert put["ResponseMetadata"]["HTTPStatusCode"] == 202
    return put["FunctionState"]


def scaling(lambda_, name, version="1"):
    """What is applied, and what is requested where that is not in effect yet."""
    found = lambda_.get_function_scaling_config(FunctionName=name, Qualifier=version)
    assert found["FunctionArn"] == arn(name, version)
    return found.get("AppliedFunctionScalingConfig"), found.get("RequestedFunctionScalingConfig")


def applied(lambda_, name, version="1", **given):
    eventually(lambda: scaling(lambda_, name, version) == (bounds(**given), None), 60, f"{name}:{version} has {given}")


def waited(lambda_, name, **options):
    """Whether the invocation had to wait for an init."""
    before = time.time() * 1000
    answer = invoke(lambda_, name, **options).payload
    assert answer["type"] == ("on-demand" if answer["born"] >= before else "provisioned-concurrency")
    return answer["born"] >= before


def standing(lambda_, name, version="1"):
    found = lambda_.get_function_configuration(FunctionName=name, Qualifier=version)
    return tuple(found.get(member) for member in ("State", "StateReasonCode", "StateReason"))


def test_a_minimum_is_there_before_the_first_invocation_and_after_a_restart(server):
    # Idle ones go at once.
    running = server("--idle-timeout", "0.2")
    lambda_ = client(running.endpoint)
    published(lambda_, "f", WHO)
    assert scaling(lambda_, "f") == (None, None)
    assert scale(lambda_, "f", minimum=2) == "Active"
    applied(lambda_, "f", minimum=2)
    assert not waited(lambda_, "f", Qualifier="1")
    running.kill()
    running.start()
    lambda_ = client(running.endpoint)
    applied(lambda_, "f", minimum=2)
    assert not waited(lambda_, "f", Qualifier="1")
    # Not of `$LATEST`, and none any more where nothing is configured.
    assert waited(lambda_, "f")
    lambda_.put_function_scaling_config(FunctionName="f", Qualifier="1")
    assert scaling(lambda_, "f") == (None, None)
    eventually(lambda: waited(lambda_, "f", Qualifier="1"), 30, "they go with their configuration")


def test_a_maximum_throttles_and_events_wait_for_it(plain_server, tmp_path):
    running = plain_server("--event-retry-scale", "0.01")
    lambda_ = client(running.endpoint)
    published(lambda_, "f", WAITS, Timeout=60)
    scale(lambda_, "f", maximum=1)
    applied(lambda_, "f", maximum=1)
    running.kill()
    running.start()
    lambda_ = client(running.endpoint)
    first = Running(lambda_, "f:1", tmp_path)
    assert throttled(lambda_, "f:1") == OWN
    # `$LATEST` has no part in it.
    Running(lambda_, "f", tmp_path, 1).finish()
    # An event is taken, finds the door shut, and runs when it opens.
    began, end = tmp_path / "event-began", tmp_path / "event-end"
    end.touch()
    event = json.dumps({"began": str(began), "end": str(end)})
    assert invoke(lambda_, "f:1", Payload=event, InvocationType="Event", LogType="None").status == 202
    events = lambda what: scrape(running.endpoint)[f"lambkin_events_{what}_total"].samples[(arn("f"),)]
    eventually(lambda: events("throttled") > 0, 30, "the event finds the door shut")
    assert not began.exists()
    assert first.finish() == "done"
    eventually(lambda: events("succeeded") == 1, 60, "the event runs")
    assert began.exists()
    # Raised, there is room for a second one at once.
    second = Running(lambda_, "f:1", tmp_path, 2)
    scale(lambda_, "f", maximum=2)
    third = Running(lambda_, "f:1", tmp_path, 3)
    # Lowered, both end as they began, and until then there are more than are allowed.
    scale(lambda_, "f", maximum=1)
    assert throttled(lambda_, "f:1") == OWN
    assert scaling(lambda_, "f") == (bounds(maximum=2), bounds(maximum=1))
    assert [second.finish(), third.finish()] == ["done", "done"]
    applied(lambda_, "f", maximum=1)


def test_a_version_is_deactivated_and_comes_back(lambda_, name):
    version = published(lambda_, name, WHO)
    scale(lambda_, name, minimum=1, maximum=1)
    applied(lambda_, name, minimum=1, maximum=1)
    assert scale(lambda_, name, minimum=0, maximum=0) in ("Deactivating", "Deactivated")
    eventually(lambda: standing(lambda_, name) == ("Deactivated", None, None), 30, "it has none any more")
    applied(lambda_, name, minimum=0, maximum=0)
    text = refused("ResourceConflictException", 409, invoke, lambda_=lambda_, name=name, Qualifier=version)
    assert text == (
        "The operation cannot be performed at this time. The function is currently in the following state: Deactivated"
    )
    assert waited(lambda_, name), "the others go on"
    assert scale(lambda_, name, minimum=1, maximum=1) == "Active"
    applied(lambda_, name, minimum=1, maximum=1)
    assert not waited(lambda_, name, Qualifier=version)


def test_an_init_that_fails_is_said(lambda_, name):
    published(lambda_, name, "throw new Error('not today')")
    scale(lambda_, name, minimum=1)
    said = ("Active", "FunctionError.RuntimeInitError", "The function's init failed.")
    eventually(lambda: standing(lambda_, name) == said, 60, "it fails")
    assert scaling(lambda_, name) == (bounds(minimum=0), bounds(minimum=1))
    scale(lambda_, name, minimum=0)
    assert standing(lambda_, name) == ("Active", None, None)


def test_what_cannot_be_scaled_so_is_refused(lambda_, unchecked, name):
    version = published(lambda_, name, WHO)
    lambda_.create_alias(FunctionName=name, Name="live", FunctionVersion=version)
    put, get = unchecked.put_function_scaling_config, unchecked.get_function_scaling_config
    for qualifier in ("live", "$LATEST"):
        for call in (put, get):
            text = refused("ValidationException", 400, call, FunctionName=name, Qualifier=qualifier)
            assert "at 'qualifier' failed to satisfy constraint" in text
    for qualifier in ("7", "$LATEST.PUBLISHED"):
        for call in (put, get):
            text = refused("ResourceNotFoundException", 404, call, FunctionName=name, Qualifier=qualifier)
            assert text == f"Function not found: {arn(name, qualifier)}"
    text = refused(INVALID, 400, scale, lambda_=lambda_, name=name, minimum=2, maximum=1)
    assert text == "MinExecutionEnvironments [2] must not be greater than MaxExecutionEnvironments [1]."
    scale(lambda_, name, maximum=1)
    refused(
        INVALID,
        400,
        lambda_.put_provisioned_concurrency_config,
        FunctionName=name,
        Qualifier="live",
        ProvisionedConcurrentExecutions=2,
    )
    lambda_.delete_alias(FunctionName=name, Name="live")
    lambda_.delete_function(FunctionName=name, Qualifier=version)
    refused("ResourceNotFoundException", 404, get, FunctionName=name, Qualifier=version)
