"""Layers (aws-behaviour 64): published and used by real clients, found in /opt, kept where they are used."""

import base64
import glob
import hashlib
import io
import urllib.request
import zipfile

import pytest

import keys
from lambda_client import ACCOUNT, REGION, active, client, create, invoke, refused, zipped
from server import eventually

SCRIPT = {"text": "#!/bin/sh\necho from the layer\n", "mode": "755"}
FIRST = {
    "nodejs/node_modules/shared/index.js": "exports.word='first'",
    "nodejs/node_modules/one/index.js": "exports.word='one'",
    "bin/tool": SCRIPT,
    "text/both": "first",
    "text/first": "first",
}
SECOND = {
    "nodejs/node_modules/shared/index.js": "exports.word='second'",
    "nodejs/node22/node_modules/mine/index.js": "exports.word='only 22'",
    "text/both": "second",
}
LOOK = """const fs=require('fs'),{execSync}=require('child_process');
const opt=process.env.NODE_PATH.split(':')[1].replace('/nodejs/node_modules','');
const word=name=>{try{return require(name).word}catch(error){return error.code}};
exports.handler=async()=>({opt,one:word('one'),shared:word('shared'),mine:word('mine'),
both:fs.readFileSync(opt+'/text/both','utf8'),tool:execSync('tool').toString().trim(),
writable:(()=>{try{fs.writeFileSync(opt+'/new','');return true}catch(error){return error.code}})()})"""


def layer_arn(layer, version):
    return f"arn:aws:lambda:{REGION}:{ACCOUNT}:layer:{layer}:{version}"


def publish(lambda_, layer, files, **settings):
    answer = lambda_.publish_layer_version(LayerName=layer, Content={"ZipFile": zipped(files)}, **settings)
    return answer["LayerVersionArn"]


def test_publishing_and_looking(lambda_, name):
    content = zipped(FIRST)
    first = lambda_.publish_layer_version(
        LayerName=name, Content={"ZipFile": content}, Description="one", CompatibleRuntimes=["nodejs22.x"], LicenseInfo="MIT"
    )
    assert first["ResponseMetadata"]["HTTPStatusCode"] == 201
    assert (first["Version"], first["LayerVersionArn"]) == (1, layer_arn(name, 1))
    assert first["Content"]["CodeSha256"] == base64.b64encode(hashlib.sha256(content).digest()).decode()
    with urllib.request.urlopen(first["Content"]["Location"]) as response:
        assert response.read() == content
    publish(lambda_, name, SECOND)
    for found in (
        lambda_.get_layer_version(LayerName=name, VersionNumber=1),
        lambda_.get_layer_version_by_arn(Arn=layer_arn(name, 1)),
    ):
        same = ("Version", "LayerArn", "Description", "CreatedDate", "CompatibleRuntimes", "LicenseInfo")
        assert [found[member] for member in same] == [first[member] for member in same]
    listed = lambda_.list_layer_versions(LayerName=name)["LayerVersions"]
    assert [version["Version"] for version in listed] == [2, 1]
    filtered = lambda_.get_paginator("list_layers").paginate(CompatibleRuntime="nodejs22.x", PaginationConfig={"PageSize": 1})
    newest = {each["LayerName"]: each["LatestMatchingVersion"]["Version"] for page in filtered for each in page["Layers"]}
    assert newest[name] == 1
    statement = lambda_.add_layer_version_permission(
        LayerName=name, VersionNumber=1, StatementId="all", Action="lambda:GetLayerVersion", Principal="*"
    )
    policy = lambda_.get_layer_version_policy(LayerName=name, VersionNumber=1)
    assert statement["Statement"] in policy["Policy"] and statement["RevisionId"] == policy["RevisionId"]
    lambda_.remove_layer_version_permission(LayerName=name, VersionNumber=1, StatementId="all")
    refused("ResourceNotFoundException", 404, lambda_.get_layer_version_policy, LayerName=name, VersionNumber=1)


def check_opt(lambda_, name, in_jail):
    layers = [publish(lambda_, name + "-1", FIRST), publish(lambda_, name + "-2", SECOND)]
    answer = create(lambda_, name, LOOK, Layers=layers)
    assert [layer["Arn"] for layer in answer["Layers"]] == layers and all(layer["CodeSize"] > 0 for layer in answer["Layers"])
    said = invoke(lambda_, name).payload
    assert (said["one"], said["shared"], said["mine"]) == ("one", "second", "only 22")
    assert (said["both"], said["tool"]) == ("second", "from the layer")
    if in_jail:
        assert (said["opt"], said["writable"]) == ("/opt", "EROFS")
    # In the other order the other one is on top; the running environment does not stay.
    lambda_.update_function_configuration(FunctionName=name, Layers=layers[::-1])
    active(lambda_, name)
    said = invoke(lambda_, name).payload
    assert (said["shared"], said["both"], said["mine"]) == ("first", "first", "only 22")
    # Deleted ones stay where they are used, over a change of something else too.
    for layer in (name + "-1", name + "-2"):
        lambda_.delete_layer_version(LayerName=layer, VersionNumber=1)
    lambda_.update_function_configuration(FunctionName=name, MemorySize=256)
    active(lambda_, name)
    assert invoke(lambda_, name).payload["both"] == "first"
    published = lambda_.publish_version(FunctionName=name)
    assert [layer["Arn"] for layer in published["Layers"]] == layers[::-1]
    # None of them any more.
    lambda_.update_function_configuration(FunctionName=name, Layers=[])
    active(lambda_, name)
    assert "Layers" not in lambda_.get_function_configuration(FunctionName=name)
    assert invoke(lambda_, name).error == "Unhandled", "there is no text/both"
    assert invoke(lambda_, name, Qualifier="1").payload["both"] == "first"
    said = refused(
        "InvalidParameterValueException", 400, lambda_.update_function_configuration, FunctionName=name, Layers=layers
    )
    assert said == f"Layer version {layers[0]} does not exist."


def test_are_in_opt_one_over_the_other(lambda_, name):
    check_opt(lambda_, name, in_jail=True)


def test_in_process_mode_opt_is_another_directory(plain, name):
    check_opt(plain, name, in_jail=False)


def test_deleted_ones_survive_restarts_and_sweeps_where_they_are_used(server, name):
    first = server()
    lambda_ = client(first.endpoint)
    used = [publish(lambda_, "used-1", FIRST), publish(lambda_, "used-2", SECOND)]
    publish(lambda_, "unused", {"text/both": "unused"})
    create(lambda_, name, LOOK, Layers=used)
    for layer in ("used-1", "used-2", "unused"):
        lambda_.delete_layer_version(LayerName=layer, VersionNumber=1)
    packages = lambda: len(list((first.data / "code").glob("[0-9a-f]*")))
    # The function's, two layers', what they are together, and the one that nobody uses.
    assert packages() == 5
    first.stop()
    first.start()
    eventually(lambda: packages() == 4, 30, "the unused layer is swept")
    lambda_ = client(first.endpoint)
    assert invoke(lambda_, name).payload["both"] == "second"
    assert publish(lambda_, "used-1", FIRST) == layer_arn("used-1", 2), "numbers are not given twice"


def test_libraries_are_found_from_the_start(lambda_, name):
    """The dynamic linker remembers for ever that there is no /opt/lib."""
    library = (glob.glob("/lib/*-linux-gnu/libm.so.6") + glob.glob("/lib64/libm.so.6"))[0]
    with open(library, "rb") as file:
        layer = publish(lambda_, name, {"lib/libmine.so": file.read()})
    code = "exports.handler=async()=>{try{process.dlopen({exports:{}},'libmine.so')}catch(error){return error.message}}"
    create(lambda_, name, code, Layers=[layer])
    # What Node.js says of a library that it found and that is no module of its.
    assert "did not self-register" in invoke(lambda_, name).payload


def test_what_layers_ask_of_the_sdk_is_there(lambda_, name):
    code = "exports.client=new (require('@aws-sdk/client-sqs').SQSClient)({})"
    layer = publish(lambda_, name, {"nodejs/node_modules/own/index.js": code})
    create(lambda_, name, "exports.handler=async()=>typeof require('own').client.send", Layers=[layer], Timeout=60)
    assert invoke(lambda_, name).payload == "function"


def test_too_large_together(lambda_, name):
    def filled(count):
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("zeros", bytes(count))
        return buffer.getvalue()

    layers = []
    for layer, size in ("a", 131_072_000), ("b", 131_072_000):
        content = {"ZipFile": filled(size)}
        layers.append(lambda_.publish_layer_version(LayerName=f"{name}-{layer}", Content=content)["LayerVersionArn"])
    said = refused("InvalidParameterValueException", 400, create, lambda_=lambda_, name=name, Layers=layers)
    size = 262_144_000 + len("exports.handler=async e=>e")
    assert said == (
        "Function code combined with layers exceeds the maximum allowed size of 262144000 bytes. "
        f"The actual size is {size} bytes."
    )


@pytest.mark.parametrize("hostile", ["../x", "/x"])
def test_hostile_layers_are_refused(lambda_, name, hostile):
    said = refused(
        "InvalidParameterValueException",
        400,
        lambda_.publish_layer_version,
        LayerName=name,
        Content={"ZipFile": zipped({hostile: "x"})},
    )
    assert said == "Could not unzip uploaded file. Please check your file, then try to upload again."
    assert lambda_.list_layer_versions(LayerName=name)["LayerVersions"] == []


def test_using_a_layer_needs_the_right_to_look_at_it(server, tmp_path):
    running = server()
    owner = keys.client("lambda", running.endpoint, keys.make(running, name="owner"))
    layer = publish(owner, "mine", FIRST)
    create(owner, "f")
    document = [
        {"Effect": "Allow", "Action": "lambda:*Function*", "Resource": "*"},
        {"Effect": "Deny", "Action": "lambda:*", "Resource": layer_arn("mine", 7)},
    ]
    lambda_ = keys.client("lambda", running.endpoint, keys.make(running, tmp_path, document))
    use = {"FunctionName": "f", "Layers": [layer]}
    text = refused("AccessDeniedException", 403, lambda_.update_function_configuration, **use)
    assert f"lambda:GetLayerVersion on resource: {layer} because no identity-based policy" in text
    for name in ("mine", layer_arn("mine", 7)[:-2]):
        text = refused("AccessDeniedException", 403, lambda_.get_layer_version, LayerName=name, VersionNumber=7)
        assert f"on resource: {layer_arn('mine', 7)} with an explicit deny" in text
    # The layer's policy is enough, where it says so.
    owner.add_layer_version_permission(
        LayerName="mine", VersionNumber=1, StatementId="all", Action="lambda:GetLayerVersion", Principal="*"
    )
    lambda_.update_function_configuration(**use)
    assert active(owner, "f")["Layers"][0]["Arn"] == layer
