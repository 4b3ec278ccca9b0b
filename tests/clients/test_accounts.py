"""Callers of other accounts: what functions' and layers' policies share with them, and nothing else."""

import json
import urllib.parse

import keys
from lambda_client import arn, create, invoke, refused, zipped


def test_callers_of_another_account_need_both_sides(server, tmp_path):
    running = server()
    owner_key = keys.make(running, name="owner")
    owner = keys.client("lambda", running.endpoint, owner_key)
    for name in ("f", "g"):
        create(owner, name, "exports.handler = async (event) => event.requestContext ?? event")
    other = "111111111111"
    ann = keys.make(running, name="ann", account=other)
    bob = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "lambda:Get*", "Resource": "*"}], name="bob", account=other)
    listed = {key["name"]: key["account"] for key in keys.run(running, "list")}
    assert listed == {"owner": "000000000000", "ann": other, "bob": other}
    identity = keys.client("sts", running.endpoint, ann).get_caller_identity()
    assert (identity["Account"], identity["Arn"]) == (other, f"arn:aws:iam::{other}:user/ann")
    theirs, bobs = (keys.client("lambda", running.endpoint, key) for key in (ann, bob))
    denied = ("AccessDeniedException", 403)

    def no(action, resource, side="resource"):
        user = "bob" if side == "identity" else "ann"
        return (
            f"User: arn:aws:iam::{other}:user/{user} is not authorized to perform: lambda:{action} on resource: {resource} "
            f"because no {side}-based policy allows the lambda:{action} action"
        )

    assert refused(*denied, theirs.invoke, FunctionName=arn("f"), Payload=b"{}") == no("InvokeFunction", arn("f"))
    # What is shared with their account both may use, as far as its own policies let them.
    owner.add_permission(FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=other)
    assert invoke(theirs, arn("f"), 1).payload == 1
    assert refused(*denied, bobs.invoke, FunctionName=arn("f"), Payload=b"{}") == no("InvokeFunction", arn("f"), "identity")
    assert refused(*denied, theirs.invoke, FunctionName=arn("g"), Payload=b"{}") == no("InvokeFunction", arn("g"))
    assert refused(*denied, theirs.get_function, FunctionName=arn("f")) == no("GetFunction", arn("f"))
    # A name alone is one of their own account, where nothing is.
    text = refused("ResourceNotFoundException", 404, theirs.invoke, FunctionName="f", Payload=b"{}")
    assert text == f"Function not found: {arn('f').replace('000000000000', other)}"
    assert refused(*denied, theirs.list_functions) == no("ListFunctions", "*")
    refused("AccessDenied", 403, keys.client("sqs", running.endpoint, ann).list_queues)
    for path in ("/metrics", "/_lambkin/figures"):
        assert keys.signed(running, owner_key, "GET", path)[0] == 200
        assert keys.signed(running, ann, "GET", path)[0] == 403
    # One of them by name, and not the account.
    owner.remove_permission(FunctionName="f", StatementId="s")
    refused(*denied, theirs.invoke, FunctionName=arn("f"), Payload=b"{}")
    owner.add_permission(
        FunctionName="f", StatementId="s", Action="lambda:InvokeFunction", Principal=f"arn:aws:iam::{other}:user/ann"
    )
    assert invoke(theirs, arn("f"), 2).payload == 2
    # Layers.
    layer = owner.publish_layer_version(LayerName="l", Content={"ZipFile": zipped({"a": "a"})})["LayerVersionArn"]
    assert refused(*denied, theirs.get_layer_version_by_arn, Arn=layer) == no("GetLayerVersion", layer)
    owner.add_layer_version_permission(
        LayerName="l", VersionNumber=1, StatementId="s", Action="lambda:GetLayerVersion", Principal=other
    )
    assert theirs.get_layer_version_by_arn(Arn=layer)["Version"] == 1
    refused("ResourceNotFoundException", 404, theirs.get_layer_version, LayerName="l", VersionNumber=1)
    # A function's URL.
    url = owner.create_function_url_config(FunctionName="f", AuthType="AWS_IAM")["FunctionUrl"]
    host = urllib.parse.urlsplit(url).netloc
    assert keys.signed(running, ann, "GET", "/", host=host)[0] == 403
    owner.add_permission(
        FunctionName="f", StatementId="u", Action="lambda:InvokeFunctionUrl", Principal=other, FunctionUrlAuthType="AWS_IAM"
    )
    status, answer = keys.signed(running, ann, "GET", "/", host=host)
    context = json.loads(answer)
    iam = context["authorizer"]["iam"]
    assert (status, context["accountId"], iam["accountId"], iam["userArn"]) == (200, other, other, f"arn:aws:iam::{other}:user/ann")
