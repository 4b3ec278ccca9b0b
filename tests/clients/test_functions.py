"""Functions are created, read, listed, changed and deleted as on AWS (aws-behaviour A, E)."""

import base64
import hashlib
import os
import threading
import urllib.request

import pytest
from botocore.exceptions import ClientError

import kept
from lambda_client import ACCOUNT, ECHO, REGION, ROLE, active, arn, client, create, invoke, refused, zipped
from server import eventually

ALWAYS = {
    "FunctionName", "FunctionArn", "Runtime", "Role", "Handler", "CodeSize", "Description", "Timeout", "MemorySize",
    "LastModified", "CodeSha256", "Version", "TracingConfig", "RevisionId", "State", "PackageType", "Architectures",
    "EphemeralStorage", "SnapStart", "RuntimeVersionConfig", "LoggingConfig",
}
PENDING = {"StateReason", "StateReasonCode"}


def sha256(package):
    return base64.b64encode(hashlib.sha256(package).digest()).decode()


def without_metadata(answer):
    return {key: value for key, value in answer.items() if key != "ResponseMetadata"}


def test_a_new_function_has_awss_members_and_becomes_active(lambda_, name):
    package = zipped({"index.js": ECHO})
    created = lambda_.create_function(
        FunctionName=name, Runtime="nodejs22.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
    )
    assert created["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert without_metadata(created).keys() == ALWAYS | PENDING
    assert created["State"] == "Pending" and "LastUpdateStatus" not in created
    assert (created["StateReason"], created["StateReasonCode"]) == ("The function is being created.", "Creating")
    assert created["FunctionArn"] == arn(name) and created["Version"] == "$LATEST"
    assert created["CodeSha256"] == sha256(package) and created["CodeSize"] == len(package)
    assert created["Timeout"] == 3 and created["MemorySize"] == 128 and created["Description"] == ""
    assert created["EphemeralStorage"] == {"Size": 512} and created["PackageType"] == "Zip"
    assert created["TracingConfig"] == {"Mode": "PassThrough"}
    assert created["SnapStart"] == {"ApplyOn": "None", "OptimizationStatus": "Off"}
    assert created["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    assert created["RuntimeVersionConfig"]["RuntimeVersionArn"].startswith(f"arn:aws:lambda:{REGION}::runtime:")
    settled = active(lambda_, name)
    assert without_metadata(settled).keys() == ALWAYS | {"LastUpdateStatus"}
    assert settled["RevisionId"] != created["RevisionId"]


def test_an_update_is_in_progress_and_then_successful(lambda_, name):
    create(lambda_, name)
    revisions = {active(lambda_, name)["RevisionId"]}
    package = zipped({"index.js": "exports.handler=async()=>'new'"})
    for update in (
        lambda: lambda_.update_function_code(FunctionName=name, ZipFile=package),
        lambda: lambda_.update_function_configuration(FunctionName=name, Timeout=9, Description="nine"),
    ):
        answer = update()
        assert answer["State"] == "Active" and answer["LastUpdateStatus"] == "InProgress"
        reason = answer["LastUpdateStatusReason"], answer["LastUpdateStatusReasonCode"]
        assert reason == ("The function is being created.", "Creating")
        assert answer["RevisionId"] not in revisions
        revisions.add(answer["RevisionId"])
        lambda_.get_waiter("function_updated_v2").wait(FunctionName=name, WaiterConfig={"Delay": 1, "MaxAttempts": 30})
        settled = active(lambda_, name)
        assert "LastUpdateStatusReason" not in settled and settled["RevisionId"] not in revisions
        revisions.add(settled["RevisionId"])
    assert settled["CodeSha256"] == sha256(package)
    assert (settled["Timeout"], settled["Description"], settled["Handler"]) == (9, "nine", "index.handler")
    assert invoke(lambda_, name).payload == "new"


def test_no_function_has_its_code_signed(lambda_, name):
    """Terraform asks this of every function that it reads."""
    refused("ResourceNotFoundException", 404, lambda_.get_function_code_signing_config, FunctionName=name)
    create(lambda_, name)
    answer = without_metadata(lambda_.get_function_code_signing_config(FunctionName=name))
    assert answer == {"FunctionName": name}


def test_a_dry_run_changes_nothing(lambda_, name):
    create(lambda_, name)
    before = without_metadata(active(lambda_, name))
    package = zipped({"index.js": "exports.handler=async()=>'other'"})
    answer = lambda_.update_function_code(FunctionName=name, ZipFile=package, DryRun=True)
    assert answer["CodeSha256"] == sha256(package)
    assert without_metadata(lambda_.get_function_configuration(FunctionName=name)) == before


def test_a_wrong_revision_is_a_failed_precondition(lambda_, name):
    create(lambda_, name)
    current = active(lambda_, name)["RevisionId"]
    text = (
        "The Revision Id provided does not match the latest Revision Id. Call the GetFunction/GetAlias API to retrieve "
        "the latest Revision Id"
    )
    package = zipped({"index.js": "exports.handler=async()=>2"})
    wrong = {"FunctionName": name, "RevisionId": "b6a1f5c8-0000-4000-8000-000000000000"}
    stale = refused("PreconditionFailedException", 412, lambda_.update_function_code, ZipFile=package, **wrong)
    assert stale == text
    assert refused("PreconditionFailedException", 412, lambda_.update_function_configuration, Timeout=4, **wrong) == text
    lambda_.update_function_code(FunctionName=name, ZipFile=package, RevisionId=current)


def test_the_package_comes_back_by_a_plain_get(lambda_, name):
    package = zipped({"index.js": ECHO, "other.txt": "x" * 1000})
    lambda_.create_function(
        FunctionName=name, Runtime="nodejs20.x", Role=ROLE, Handler="index.handler", Code={"ZipFile": package}
    )
    active(lambda_, name)
    got = lambda_.get_function(FunctionName=name)
    assert got.keys() - {"ResponseMetadata"} == {"Configuration", "Code"}
    assert got["Code"]["RepositoryType"] == "S3"
    with urllib.request.urlopen(got["Code"]["Location"], timeout=30) as response:
        assert response.read() == package
    assert got["Configuration"] == without_metadata(lambda_.get_function_configuration(FunctionName=name))


@pytest.mark.parametrize("architecture", ["x86_64", "arm64"])
def test_an_architecture_is_only_echoed(lambda_, name, architecture):
    """lambkin runs all functions on the machine's own, and the README says so."""
    create(lambda_, name, "exports.handler=async()=>process.arch", Architectures=[architecture])
    assert lambda_.get_function_configuration(FunctionName=name)["Architectures"] == [architecture]
    assert invoke(lambda_, name).payload == {"x86_64": "x64", "aarch64": "arm64"}[os.uname().machine]


def test_settings_are_echoed_and_kept(lambda_, name):
    settings = {
        "Description": "d" * 256,
        "Timeout": 900,
        "MemorySize": 10240,
        "Environment": {"Variables": {"WORD": "1"}},
        "LoggingConfig": {"LogFormat": "JSON"},
    }
    created = create(lambda_, name, **settings)
    levels = {"LogFormat": "JSON", "ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", "LogGroup": f"/aws/lambda/{name}"}
    assert created["LoggingConfig"] == levels
    for key in ("Description", "Timeout", "MemorySize", "Environment"):
        assert created[key] == settings[key]
    back = lambda_.update_function_configuration(FunctionName=name, LoggingConfig={"LogFormat": "Text"})
    assert back["LoggingConfig"] == {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}
    active(lambda_, name)
    # Text has no levels: none are taken that would not act.
    for levels in ({"LogFormat": "Text", "SystemLogLevel": "WARN"}, {"ApplicationLogLevel": "ERROR"}):
        text = refused("InvalidParameterValueException", 400, lambda_.update_function_configuration, FunctionName=name, LoggingConfig=levels)
        assert text == (
            'LogLevel is not supported when LogFormat is set to "Text". Remove LogLevel from your request or change the LogFormat to '
            '"Json" and try again.'
        )
    assert back["Environment"] == settings["Environment"]
    active(lambda_, name)
    emptied = lambda_.update_function_configuration(FunctionName=name, Environment={"Variables": {}})
    assert emptied["Environment"] == {"Variables": {}}


def test_functions_are_listed_page_by_page(server):
    lambda_ = client(server().endpoint)
    names = [f"page-{number:02}" for number in range(7)]
    for name in names:
        create(lambda_, name, wait=False)
    for name in names:
        active(lambda_, name)
    pages = list(lambda_.get_paginator("list_functions").paginate(PaginationConfig={"PageSize": 3}))
    assert [len(page["Functions"]) for page in pages] == [3, 3, 1]
    assert sorted(function["FunctionName"] for page in pages for function in page["Functions"]) == names
    assert "NextMarker" not in pages[-1]
    listed = pages[0]["Functions"][0]
    # AWS's list does not tell states.
    assert not listed.keys() & {"State", "LastUpdateStatus"}
    elsewhere = client(lambda_.meta.endpoint_url, region="eu-west-1")
    assert elsewhere.list_functions()["Functions"] == []


def test_a_deleted_function_is_gone_and_its_name_is_free(lambda_, name):
    create(lambda_, name, "let n=0;exports.handler=async()=>++n")
    assert invoke(lambda_, name).payload == 1
    deleted = lambda_.delete_function(FunctionName=name)
    assert deleted["ResponseMetadata"]["HTTPStatusCode"] == 204 and deleted.get("StatusCode") == 204
    missing = f"Function not found: {arn(name)}"
    for call in (lambda_.get_function, lambda_.get_function_configuration, lambda_.delete_function):
        assert refused("ResourceNotFoundException", 404, call, FunctionName=name) == missing
    assert refused("ResourceNotFoundException", 404, lambda_.invoke, FunctionName=name) == missing + ":$LATEST"
    create(lambda_, name, "let n=10;exports.handler=async()=>++n")
    # A new function of the old name has none of the old one's environments.
    assert invoke(lambda_, name).payload == 11


@pytest.mark.parametrize("form", ["{name}", "function:{name}", f"{ACCOUNT}:function:{{name}}", "{arn}", "{arn}:$LATEST"])
def test_a_function_may_be_named_in_every_way(lambda_, name, form):
    create(lambda_, name)
    given = form.format(name=name, arn=arn(name))
    assert lambda_.get_function(FunctionName=given)["Configuration"]["FunctionName"] == name
    assert invoke(lambda_, given, {"a": 1}).payload == {"a": 1}


def test_names_of_other_places_are_refused(lambda_, name):
    elsewhere = f"arn:aws:lambda:ap-southeast-1:{ACCOUNT}:function:{name}"
    text = "Functions from 'ap-southeast-1' are not reachable in this region ('us-east-1')"
    assert refused("ResourceNotFoundException", 404, lambda_.get_function, FunctionName=elsewhere) == text
    foreign = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    refused("AccessDeniedException", 403, lambda_.get_function, FunctionName=foreign)
    create(lambda_, name)
    text = "The derived qualifier from the function name does not match the specified qualifier."
    mismatch = {"FunctionName": arn(name, "$LATEST"), "Qualifier": "1"}
    assert refused("InvalidParameterValueException", 400, lambda_.get_function, **mismatch) == text


def test_a_function_of_that_name_exists(lambda_, name):
    create(lambda_, name)
    with pytest.raises(ClientError) as caught:
        create(lambda_, name)
    assert caught.value.response["Error"]["Code"] == "ResourceConflictException"
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 409


def test_of_many_updates_at_once_the_others_conflict(lambda_, name):
    create(lambda_, name)
    conflict = f"The operation cannot be performed at this time. An update is in progress for resource: {arn(name)}"
    refusals, accepted = [], []
    barrier = threading.Barrier(6)

    def update(number):
        package = zipped({"index.js": f"exports.handler=async()=>{number}", "bulk": b"x" * 3_000_000})
        barrier.wait(30)
        try:
            lambda_.update_function_code(FunctionName=name, ZipFile=package)
            accepted.append(number)
        except ClientError as error:
            refusals.append(error.response["Error"])

    threads = [threading.Thread(target=update, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert accepted and len(accepted) + len(refusals) == 6
    assert all(r == {**r, "Code": "ResourceConflictException", "Message": conflict} for r in refusals), refusals
    active(lambda_, name)
    assert invoke(lambda_, name).payload in accepted


def test_a_foreign_architecture_runs_on_this_machine_and_its_start_line_says_so(lambda_, shared, name):
    asked = "x86_64" if os.uname().machine == "aarch64" else "arm64"
    assert create(lambda_, name, Architectures=[asked])["Architectures"] == [asked]
    assert invoke(lambda_, name, 1).payload == 1
    group = f"/aws/lambda/{name}"
    eventually(lambda: kept.events(shared, group), 10, "the log is kept")
    (stream, events), = kept.events(shared, group).items()
    assert events[0].startswith("INIT_START ") and asked in events[0]
