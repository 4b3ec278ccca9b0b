"""Reserved concurrency, the account's limit, and throttles (aws-behaviour 3, 65)."""

import threading

import pytest
from botocore.exceptions import ClientError

from lambda_client import active, arn, client, create, invoke, refused, zipped
from server import eventually

# Says that it runs by creating the first file, and runs until the second is there.
WAITS = """const fs=require('fs');
exports.handler=async e=>{fs.writeFileSync(e.began,'');
while(!fs.existsSync(e.end))await new Promise(r=>setTimeout(r,5));return e.answer||'done'}"""


class Running:
    """An invocation that runs until it is told to end."""

    def __init__(self, lambda_, name, directory, number=0):
        began, self.end = directory / f"{name}-{number}-began", directory / f"{name}-{number}-end"
        self.answer = None
        event = {"began": str(began), "end": str(self.end)}
        self.thread = threading.Thread(target=self._invoke, args=(lambda_, name, event))
        self.thread.start()
        eventually(lambda: began.exists() or self.answer is not None, 60, f"{name} runs")
        assert self.answer is None, self.answer

    def _invoke(self, lambda_, name, event):
        try:
            self.answer = invoke(lambda_, name, event)
        except ClientError as error:
            self.answer = error

    def finish(self):
        self.end.touch()
        self.thread.join(60)
        return self.answer.payload


def throttled(lambda_, name):
    """The reason of the throttle that an invocation must meet."""
    with pytest.raises(ClientError) as raised:
        lambda_.invoke(FunctionName=name, Payload=b"{}")
    response = raised.value.response
    metadata = response.pop("ResponseMetadata")
    assert metadata["HTTPStatusCode"] == 429 and metadata["HTTPHeaders"]["x-amzn-errortype"] == "TooManyRequestsException"
    reason = response.pop("Reason")
    assert response == {
        "Error": {"Code": "TooManyRequestsException", "Message": "Rate Exceeded."},
        "Type": "User",
        "message": "Rate Exceeded.",
        "retryAfterSeconds": "1",
    }
    return reason


def plain(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def below(minimum):
    return (
        "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution below "
        f"its minimum value of [{minimum}]."
    )


def test_a_reservation_is_kept_and_shown(server):
    here = server()
    lambda_ = client(here.endpoint)
    create(lambda_, "f")
    assert plain(lambda_.get_function_concurrency(FunctionName="f")) == {}
    assert "Concurrency" not in lambda_.get_function(FunctionName="f")
    for reserved in (0, 1, 900):
        put = lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=reserved)
        said = {"ReservedConcurrentExecutions": reserved}
        assert plain(put) == plain(lambda_.get_function_concurrency(FunctionName=arn("f"))) == said
        assert lambda_.get_function(FunctionName="f")["Concurrency"] == said
        assert lambda_.get_account_settings()["AccountLimit"]["UnreservedConcurrentExecutions"] == 1000 - reserved
    here.kill()
    here.start()
    lambda_ = client(here.endpoint)
    assert lambda_.get_function(FunctionName="f")["Concurrency"] == {"ReservedConcurrentExecutions": 900}
    assert lambda_.delete_function_concurrency(FunctionName="f")["ResponseMetadata"]["HTTPStatusCode"] == 204
    assert plain(lambda_.get_function_concurrency(FunctionName="f")) == {}
    assert invoke(lambda_, "f", {"a": 1}).payload == {"a": 1}


def test_the_account_s_settings(server):
    lambda_ = client(server("--max-concurrency", "250").endpoint)
    limit = {"TotalCodeSize": 80530636800, "CodeSizeUnzipped": 262144000, "CodeSizeZipped": 52428800}
    assert plain(lambda_.get_account_settings()) == {
        "AccountLimit": {**limit, "ConcurrentExecutions": 250, "UnreservedConcurrentExecutions": 250},
        "AccountUsage": {"TotalCodeSize": 0, "FunctionCount": 0},
    }
    package = zipped({"index.js": "exports.handler=async e=>e"})
    create(lambda_, "f")
    assert lambda_.get_account_settings()["AccountUsage"] == {"TotalCodeSize": len(package), "FunctionCount": 1}
    other = client(lambda_.meta.endpoint_url, region="eu-central-1")
    assert other.get_account_settings()["AccountUsage"]["FunctionCount"] == 0
    put = {"call": lambda_.put_function_concurrency, "FunctionName": "f"}
    text = refused("InvalidParameterValueException", 400, ReservedConcurrentExecutions=151, **put)
    assert text == below(100)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=150)


def test_a_small_account_keeps_all_of_its_own(server):
    lambda_ = client(server("--max-concurrency", "3").endpoint)
    create(lambda_, "f")
    put = {"call": lambda_.put_function_concurrency, "FunctionName": "f"}
    assert refused("InvalidParameterValueException", 400, ReservedConcurrentExecutions=1, **put) == below(3)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)


def test_what_cannot_be_reserved_is_refused(lambda_, unchecked, name):
    create(lambda_, name)
    with pytest.raises(ClientError) as raised:
        lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=901)
    assert raised.value.response["message"] == below(100) and "Type" not in raised.value.response
    qualified = (
        "This operation is permitted on Lambda functions only. Aliases and versions do not support this operation. "
        "Please specify either a function name or an unqualified function ARN."
    )
    for call, more in (
        (lambda_.put_function_concurrency, {"ReservedConcurrentExecutions": 0}),
        (lambda_.get_function_concurrency, {}),
        (lambda_.delete_function_concurrency, {}),
    ):
        latest = arn(name, "$LATEST")
        assert refused("InvalidParameterValueException", 400, call, FunctionName=latest, **more) == qualified
        text = refused("ResourceNotFoundException", 404, call, FunctionName="doesnotexist", **more)
        assert text == f"Function not found: {arn('doesnotexist')}" + (":$LATEST" if more else "")
    text = refused(
        "ValidationException", 400, unchecked.put_function_concurrency, FunctionName=name, ReservedConcurrentExecutions=-1
    )
    assert "'reservedConcurrentExecutions' failed to satisfy constraint: Member must have value greater" in text


def test_a_reservation_throttles_its_function_and_keeps_room_for_it(plain_server, tmp_path):
    lambda_ = client(plain_server("--max-concurrency", "102").endpoint)
    create(lambda_, "f", WAITS, Timeout=120)
    create(lambda_, "g")
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=0)
    function = "ReservedFunctionConcurrentInvocationLimitExceeded"
    assert throttled(lambda_, "f") == function
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    running = Running(lambda_, "f", tmp_path)
    assert throttled(lambda_, "f") == function
    assert invoke(lambda_, "g", {"a": 1}).payload == {"a": 1}
    # At once, and what runs goes on.
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=2)
    second = Running(lambda_, "f", tmp_path, 1)
    lambda_.delete_function_concurrency(FunctionName="f")
    third = Running(lambda_, "f", tmp_path, 2)
    lambda_.put_function_concurrency(FunctionName="f", ReservedConcurrentExecutions=1)
    assert throttled(lambda_, "f") == function
    assert [one.finish() for one in (running, second, third)] == ["done"] * 3
    Running(lambda_, "f", tmp_path, 3).finish()


def test_the_account_s_limit_is_another_reason(plain_server, tmp_path):
    lambda_ = client(plain_server("--max-concurrency", "1").endpoint)
    create(lambda_, "f", WAITS, Timeout=120)
    running = Running(lambda_, "f", tmp_path)
    assert throttled(lambda_, "f") == "ConcurrentInvocationLimitExceeded"
    assert running.finish() == "done"


def test_an_environment_outlives_a_change_of_its_function_s_reservation(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async()=>++n")
    assert invoke(lambda_, name).payload == 1
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=5)
    assert invoke(lambda_, name).payload == 2
    lambda_.delete_function_concurrency(FunctionName=name)
    assert invoke(lambda_, name).payload == 3


def test_a_function_that_is_being_updated_takes_a_reservation(lambda_, name):
    create(lambda_, name)
    lambda_.update_function_configuration(FunctionName=name, Timeout=5)
    lambda_.put_function_concurrency(FunctionName=name, ReservedConcurrentExecutions=1)
    assert active(lambda_, name)["Timeout"] == 5
    lambda_.delete_function_concurrency(FunctionName=name)


def machine_megabytes():
    with open("/proc/meminfo") as file:
        return next(int(line.split()[1]) // 1024 for line in file if line.startswith("MemTotal:"))


def test_idle_environments_make_room_where_memory_is_short(server):
    counts = "let n=0;exports.handler=async()=>++n"
    everything = machine_megabytes()
    for share, third in (("0.8", 3), ("none", 3), (f"{134 / everything:.6f}", 1)):
        here = server("--memory-share", share)
        lambda_ = client(here.endpoint)
        create(lambda_, "f", counts)
        create(lambda_, "g", counts)
        assert [invoke(lambda_, "f").payload for _ in range(2)] == [1, 2]
        # One that has run counts what it used (8 MB and more), a new one its 128: more than 134.
        assert invoke(lambda_, "g").payload == 1
        assert invoke(lambda_, "f").payload == third, share


def test_a_function_larger_than_the_memory_runs_alone(server):
    lambda_ = client(server("--memory-share", f"{200 / machine_megabytes():.6f}").endpoint)
    create(lambda_, "big", "exports.handler=async e=>e", MemorySize=10240)
    create(lambda_, "f")
    for name in ("big", "f", "big"):
        assert invoke(lambda_, name, name).payload == name


def test_what_is_no_share_is_refused(server):
    for wrong in ("0", "80%"):
        with pytest.raises(AssertionError, match="memory-share"):
            server("--memory-share", wrong)
