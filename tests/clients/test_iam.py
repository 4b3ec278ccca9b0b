"""IAM as tools call it around functions: roles and their policies, which bound what functions ask of lambkin."""

import json
import os
import pathlib
import subprocess
import sys
import urllib.parse
import urllib.request

import pytest

import aws_client
import keys
import lambda_client
from lambda_client import ACCOUNT, REGION, arn, create, invoke, refused

TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
AWS = "arn:aws:iam::aws:policy/"
BASIC = AWS + "service-role/AWSLambdaBasicExecutionRole"
# Does what it is told by AWS's SDK, with no word of where or as whom (STS has no variable for the first).
ASK = """
const sdks={sqs:require('@aws-sdk/client-sqs'),lambda:require('@aws-sdk/client-lambda'),sts:require('@aws-sdk/client-sts')};
const named={sqs:'SQSClient',lambda:'LambdaClient',sts:'STSClient'};
exports.handler=async([service,operation,input])=>{
  const sdk=sdks[service],options=service==='sts'?{endpoint:process.env.AWS_ENDPOINT_URL_LAMBDA}:{};
  const client=new sdk[named[service]]({...options,maxAttempts:1});
  try{
    const said=await client.send(new sdk[operation+'Command'](input));
    return {done:said.UserId||said.QueueUrl||said.StatusCode||true};
  }catch(error){return {refused:error.message}}
};
"""


def policy(effect="Allow", action="*", resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": effect, "Action": action, "Resource": resource}]})


@pytest.fixture
def iam(server):
    return aws_client.client("iam", server().endpoint)


def make(iam, name="role", **more):
    return iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(TRUST), **more)["Role"]


def test_a_role_as_tools_make_and_destroy_it_outlives_a_restart(server):
    running = server()
    iam = aws_client.client("iam", running.endpoint)
    tags = [{"Key": "team", "Value": "a b"}]
    made = make(iam, "Worker", Path="/service/", Description="of f", MaxSessionDuration=7200, Tags=tags)
    assert made["Arn"] == f"arn:aws:iam::{ACCOUNT}:role/service/Worker" and made["RoleId"].startswith("AROA")
    document = policy(action="sqs:*", resource="arn:aws:sqs:*:*:ü+ %20/\"x")
    iam.put_role_policy(RoleName="Worker", PolicyName="own", PolicyDocument=document)
    iam.attach_role_policy(RoleName="Worker", PolicyArn=BASIC)
    iam.attach_role_policy(RoleName="Worker", PolicyArn=BASIC)
    running.terminate()
    running.wait()
    running.start()
    iam = aws_client.client("iam", running.endpoint)
    role = iam.get_role(RoleName="worker")["Role"]
    assert {**made, "Tags": tags} == {**role, "Tags": tags} and role["Tags"] == tags
    # boto3 decodes what answers have encoded.
    assert role["AssumeRolePolicyDocument"] == TRUST
    assert (role["Description"], role["MaxSessionDuration"]) == ("of f", 7200)
    assert iam.list_role_policies(RoleName="Worker")["PolicyNames"] == ["own"]
    own = iam.get_role_policy(RoleName="Worker", PolicyName="own")
    assert own["PolicyDocument"] == json.loads(document)
    asked = {"Action": "GetRolePolicy", "Version": "2010-05-08", "RoleName": "Worker", "PolicyName": "own"}
    asked = f"{running.endpoint}/?{urllib.parse.urlencode(asked)}"
    asked = urllib.request.Request(asked, headers={"Authorization": "any"}, method="POST")
    raw = urllib.request.urlopen(asked, timeout=60).read().decode()
    assert f"<PolicyDocument>{urllib.parse.quote(document, safe='-._~')}</PolicyDocument>" in raw
    attached = [{"PolicyName": "AWSLambdaBasicExecutionRole", "PolicyArn": BASIC}]
    assert iam.list_attached_role_policies(RoleName="Worker")["AttachedPolicies"] == attached
    assert iam.list_attached_role_policies(RoleName="Worker", PathPrefix="/x/")["AttachedPolicies"] == []
    assert iam.list_instance_profiles_for_role(RoleName="Worker")["InstanceProfiles"] == []

    iam.update_role(RoleName="Worker", Description="", MaxSessionDuration=3600)
    trust = {**TRUST, "Statement": [{**TRUST["Statement"][0], "Principal": {"Service": "edge.amazonaws.com"}}]}
    iam.update_assume_role_policy(RoleName="Worker", PolicyDocument=json.dumps(trust))
    iam.tag_role(RoleName="Worker", Tags=[{"Key": "Team", "Value": "c"}, {"Key": "x", "Value": ""}])
    assert {tag["Key"]: tag["Value"] for tag in iam.list_role_tags(RoleName="Worker")["Tags"]} == {"Team": "c", "x": ""}
    iam.untag_role(RoleName="Worker", TagKeys=["TEAM"])
    role = iam.get_role(RoleName="Worker")["Role"]
    assert (role["MaxSessionDuration"], role["AssumeRolePolicyDocument"]) == (3600, trust)
    assert role["Tags"] == [{"Key": "x", "Value": ""}]

    text = refused("DeleteConflict", 409, iam.delete_role, RoleName="Worker")
    assert text == "Cannot delete entity, must detach all policies first."
    iam.detach_role_policy(RoleName="Worker", PolicyArn=BASIC)
    text = refused("NoSuchEntity", 404, iam.detach_role_policy, RoleName="Worker", PolicyArn=BASIC)
    assert text == f"Policy {BASIC} was not found."
    text = refused("DeleteConflict", 409, iam.delete_role, RoleName="Worker")
    assert text == "Cannot delete entity, must delete policies first."
    iam.delete_role_policy(RoleName="Worker", PolicyName="own")
    text = refused("NoSuchEntity", 404, iam.get_role_policy, RoleName="Worker", PolicyName="own")
    assert text == "The role policy with name own cannot be found."
    iam.delete_role(RoleName="Worker")
    text = refused("NoSuchEntity", 404, iam.get_role, RoleName="Worker")
    assert text == "The role with name Worker cannot be found."


def test_lists_are_pages(iam):
    for index in range(5):
        make(iam, f"r{index}", Path="/even/" if index % 2 == 0 else "/")
    pages = list(iam.get_paginator("list_roles").paginate(PaginationConfig={"PageSize": 2}))
    assert [[role["RoleName"] for role in page["Roles"]] for page in pages] == [["r0", "r1"], ["r2", "r3"], ["r4"]]
    assert [role["RoleName"] for role in iam.list_roles(PathPrefix="/even/")["Roles"]] == ["r0", "r2", "r4"]
    for name in "cab":
        iam.put_role_policy(RoleName="r0", PolicyName=name, PolicyDocument=policy())
    pages = iam.get_paginator("list_role_policies").paginate(RoleName="r0", PaginationConfig={"PageSize": 2})
    assert [page["PolicyNames"] for page in pages] == [["a", "b"], ["c"]]


def test_what_cannot_be_is_refused(server):
    running = server()
    iam = aws_client.client("iam", running.endpoint, validate=False)
    make(iam)
    trust = json.dumps(TRUST)
    prohibited = json.dumps({"Statement": {**TRUST["Statement"][0], "Resource": "*"}})
    for code, status, said, call, arguments in (
        ("EntityAlreadyExists", 409, "Role with name ROLE already exists.", "create_role", {"RoleName": "ROLE", "AssumeRolePolicyDocument": trust}),
        ("MalformedPolicyDocument", 400, "", "create_role", {"RoleName": "new", "AssumeRolePolicyDocument": "{"}),
        ("MalformedPolicyDocument", 400, "no Principal", "create_role", {"RoleName": "new", "AssumeRolePolicyDocument": policy()}),
        ("MalformedPolicyDocument", 400, "Has prohibited field Resource", "create_role", {"RoleName": "new", "AssumeRolePolicyDocument": prohibited}),
        ("MalformedPolicyDocument", 400, "principal", "put_role_policy", {"RoleName": "role", "PolicyName": "p", "PolicyDocument": trust}),
        ("LimitExceeded", 409, "ACLSizePerRole: 2048", "create_role", {"RoleName": "new", "AssumeRolePolicyDocument": trust + "x" * 2048}),
        ("LimitExceeded", 409, "10240 bytes exceeded for role role", "put_role_policy",
         {"RoleName": "role", "PolicyName": "p", "PolicyDocument": policy(resource=["arn:aws:sqs:*:*:" + "x" * 1000 + str(index) for index in range(11)])}),
        ("ValidationError", 400, "Value 'a b' at 'roleName' failed to satisfy constraint: Member must satisfy regular expression pattern: [\\w+=,.@-]+",
         "create_role", {"RoleName": "a b", "AssumeRolePolicyDocument": trust}),
        ("ValidationError", 400, "at 'path' failed", "create_role", {"RoleName": "new", "Path": "x", "AssumeRolePolicyDocument": trust}),
        ("ValidationError", 400, "at 'maxSessionDuration' failed", "update_role", {"RoleName": "role", "MaxSessionDuration": 3599}),
        ("ValidationError", 400, "at 'roleName' failed to satisfy constraint: Member must not be null", "get_role", {}),
        ("InvalidInput", 400, "permissions boundaries", "create_role", {"RoleName": "new", "AssumeRolePolicyDocument": trust, "PermissionsBoundary": BASIC}),
        ("InvalidInput", 400, "Duplicate tag keys", "tag_role", {"RoleName": "role", "Tags": [{"Key": "a", "Value": ""}, {"Key": "A", "Value": ""}]}),
        ("NoSuchEntity", 404, f"Policy {AWS}Nothing does not exist or is not attachable.", "attach_role_policy", {"RoleName": "role", "PolicyArn": AWS + "Nothing"}),
        ("NoSuchEntity", 404, "The role with name other cannot be found.", "attach_role_policy", {"RoleName": "other", "PolicyArn": BASIC}),
        ("InvalidAction", 400, "lambkin does not do IAM's CreateUser.", "create_user", {"UserName": "ann"}),
    ):
        text = refused(code, status, getattr(iam, call), **arguments)
        assert said in text, (call, arguments, text)
    assert [role["RoleName"] for role in iam.list_roles()["Roles"]] == ["role"]
    assert iam.list_role_policies(RoleName="role")["PolicyNames"] == []
    for name in ("AWSLambdaRole", "AWSLambdaSQSQueueExecutionRole", "AWSLambdaVPCAccessExecutionRole"):
        iam.attach_role_policy(RoleName="role", PolicyArn=f"{AWS}service-role/{name}")
    for index in range(7):
        made = iam.create_policy(PolicyName=f"p{index}", PolicyDocument=policy())["Policy"]["Arn"]
        iam.attach_role_policy(RoleName="role", PolicyArn=made)
    text = refused("LimitExceeded", 409, iam.attach_role_policy, RoleName="role", PolicyArn=BASIC)
    assert text == "Cannot exceed quota for PoliciesPerRole: 10"


def test_a_policy_of_ones_own_and_its_versions(iam):
    made = iam.create_policy(PolicyName="Own", Path="/p/", PolicyDocument=policy(action="sqs:*"), Description="d")["Policy"]
    of = made["Arn"]
    assert of == f"arn:aws:iam::{ACCOUNT}:policy/p/Own" and made["PolicyId"].startswith("ANPA")
    text = refused("EntityAlreadyExists", 409, iam.create_policy, PolicyName="own", PolicyDocument=policy())
    assert text == "A policy called own already exists. Duplicate names are not allowed."
    refused("MalformedPolicyDocument", 400, iam.create_policy, PolicyName="new", PolicyDocument=json.dumps(TRUST))
    second = iam.create_policy_version(PolicyArn=of, PolicyDocument=policy(action="sns:*"))["PolicyVersion"]
    assert (second["VersionId"], second["IsDefaultVersion"]) == ("v2", False)
    assert iam.get_policy(PolicyArn=of)["Policy"]["DefaultVersionId"] == "v1"
    iam.set_default_policy_version(PolicyArn=of, VersionId="v2")
    version = iam.get_policy_version(PolicyArn=of, VersionId="v2")["PolicyVersion"]
    assert version["Document"] == json.loads(policy(action="sns:*")) and version["IsDefaultVersion"]
    for number in (3, 4, 5):
        iam.create_policy_version(PolicyArn=of, PolicyDocument=policy(), SetAsDefault=number == 5)
    text = refused("LimitExceeded", 409, iam.create_policy_version, PolicyArn=of, PolicyDocument=policy())
    assert text.startswith("A managed policy can have up to 5 versions.")
    assert "default version" in refused("DeleteConflict", 409, iam.delete_policy_version, PolicyArn=of, VersionId="v5")
    iam.delete_policy_version(PolicyArn=of, VersionId="v2")
    refused("NoSuchEntity", 404, iam.get_policy_version, PolicyArn=of, VersionId="v2")
    # A number is given once.
    assert iam.create_policy_version(PolicyArn=of, PolicyDocument=policy())["PolicyVersion"]["VersionId"] == "v6"
    listed = iam.list_policy_versions(PolicyArn=of)["Versions"]
    assert [version["VersionId"] for version in listed] == ["v6", "v5", "v4", "v3", "v1"]
    make(iam)
    iam.attach_role_policy(RoleName="role", PolicyArn=of)
    assert iam.get_policy(PolicyArn=of)["Policy"]["AttachmentCount"] == 1
    text = refused("DeleteConflict", 409, iam.delete_policy, PolicyArn=of)
    assert text == "Cannot delete a policy attached to entities."
    iam.detach_role_policy(RoleName="role", PolicyArn=of)
    assert "more than one version" in refused("DeleteConflict", 409, iam.delete_policy, PolicyArn=of)
    for number in (1, 3, 4, 6):
        iam.delete_policy_version(PolicyArn=of, VersionId=f"v{number}")
    iam.delete_policy(PolicyArn=of)
    assert refused("NoSuchEntity", 404, iam.get_policy, PolicyArn=of) == f"Policy {of} was not found."


@pytest.mark.parametrize("isolation", ["auto", "process"])
def test_a_functions_role_bounds_what_it_asks_for(server, isolation):
    running = server("--isolation", isolation)
    key = keys.make(running)
    iam, lambda_, sqs = (keys.client(service, running.endpoint, key) for service in ("iam", "lambda", "sqs"))
    sqs.create_queue(QueueName="work")
    create(lambda_, "echo")
    create(lambda_, "free", ASK, Timeout=60, MemorySize=1769)
    role = make(iam, "Worker")
    create(lambda_, "bound", ASK, Timeout=60, MemorySize=1769, Role=role["Arn"])

    def ask(*asked, name="bound"):
        return invoke(lambda_, name, list(asked)).payload

    look, send = ("sqs", "GetQueueUrl", {"QueueName": "work"}), ("sqs", "CreateQueue", {"QueueName": "more"})
    call = ("lambda", "Invoke", {"FunctionName": "echo"})
    queue = f"arn:aws:sqs:{REGION}:{ACCOUNT}:work"
    # Its role was never created here.
    assert "done" in ask(*look, name="free")
    who = f"User: arn:aws:sts::{ACCOUNT}:assumed-role/Worker/bound is not authorized to perform"
    none = "because no identity-based policy allows the"
    assert ask(*look) == {"refused": f"{who}: sqs:GetQueueUrl on resource: {queue} {none} sqs:GetQueueUrl action"}
    assert ask("sts", "GetCallerIdentity", {}) == {"done": f"{role['RoleId']}:bound"}
    # Policies act at once, on the resources that they name.
    iam.put_role_policy(RoleName="Worker", PolicyName="own", PolicyDocument=policy(action="sqs:*", resource=queue))
    assert "done" in ask(*look)
    assert "sqs:CreateQueue on resource" in ask(*send)["refused"]
    assert f"lambda:InvokeFunction on resource: {arn('echo')}" in ask(*call)["refused"]
    iam.attach_role_policy(RoleName="Worker", PolicyArn=AWS + "service-role/AWSLambdaRole")
    assert ask(*call) == {"done": 200}
    own = iam.create_policy(PolicyName="Not", PolicyDocument=policy("Deny", "sqs:*"))["Policy"]["Arn"]
    iam.attach_role_policy(RoleName="Worker", PolicyArn=own)
    assert ask(*look)["refused"].endswith("with an explicit deny in an identity-based policy")
    iam.create_policy_version(PolicyArn=own, PolicyDocument=policy("Deny", "sqs:CreateQueue"), SetAsDefault=True)
    assert "done" in ask(*look)
    # A role is not given away by who may not pass it, and so no function of no bounds is made.
    iam.put_role_policy(RoleName="Worker", PolicyName="own", PolicyDocument=policy(action="lambda:*"))
    change = ("lambda", "UpdateFunctionConfiguration", {"FunctionName": "echo", "Role": "arn:aws:iam::000000000000:role/x"})
    assert "iam:PassRole on resource: arn:aws:iam::000000000000:role/x " in ask(*change)["refused"]
    iam.put_role_policy(RoleName="Worker", PolicyName="own", PolicyDocument=policy(action=["lambda:*", "iam:PassRole"]))
    assert "done" in ask(*change)
    # A function whose role is gone may do nothing, and what it may is what a role of that name says.
    iam.delete_role_policy(RoleName="Worker", PolicyName="own")
    for attached in iam.list_attached_role_policies(RoleName="Worker")["AttachedPolicies"]:
        iam.detach_role_policy(RoleName="Worker", PolicyArn=attached["PolicyArn"])
    iam.delete_role(RoleName="Worker")
    refused("NoSuchEntity", 404, iam.get_role, RoleName="Worker")
    assert iam.list_roles()["Roles"] == []
    assert none in ask(*look)["refused"]
    make(iam, "Worker")
    assert none in ask(*look)["refused"]
    iam.attach_role_policy(RoleName="Worker", PolicyArn=AWS + "AmazonSQSReadOnlyAccess")
    assert "done" in ask(*look) and none in ask(*send)["refused"]


def test_keys_with_policies_are_bounded_here_too(server, tmp_path):
    running = server()
    owner = keys.client("iam", running.endpoint, keys.make(running, name="owner"))
    for name in ("mine", "other"):
        make(owner, name, Path="/p/")
    mine = f"arn:aws:iam::{ACCOUNT}:role/p/mine"
    allow = [
        {"Effect": "Allow", "Action": ["iam:GetRole", "iam:PassRole"], "Resource": mine},
        {"Effect": "Allow", "Action": "lambda:*", "Resource": "*"},
    ]
    ann = keys.make(running, tmp_path, allow)
    iam, lambda_ = (keys.client(service, running.endpoint, ann) for service in ("iam", "lambda"))
    assert iam.get_role(RoleName="MINE")["Role"]["Arn"] == mine
    text = refused("AccessDenied", 403, iam.get_role, RoleName="other")
    assert f"iam:GetRole on resource: arn:aws:iam::{ACCOUNT}:role/p/other because" in text
    refused("AccessDenied", 403, iam.put_role_policy, RoleName="mine", PolicyName="p", PolicyDocument=policy())
    refused("AccessDenied", 403, iam.list_roles)
    create(lambda_, "f", Role=mine)
    code = {"ZipFile": lambda_client.zipped({"index.js": lambda_client.ECHO})}
    function = {"FunctionName": "g", "Runtime": "nodejs22.x", "Handler": "index.handler", "Code": code}
    text = refused("AccessDeniedException", 403, lambda_.create_function, Role=lambda_client.ROLE, **function)
    assert f"iam:PassRole on resource: {lambda_client.ROLE} because" in text


def test_the_aws_cli(server, tmp_path):
    running = server()
    program = pathlib.Path(sys.executable).parent / "aws"
    variables = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "AWS_PAGER": "", "AWS_DEFAULT_REGION": REGION}
    variables |= {"AWS_ACCESS_KEY_ID": "any", "AWS_SECRET_ACCESS_KEY": "any"}
    (tmp_path / "trust.json").write_text(json.dumps(TRUST))

    def aws(*arguments):
        command = [sys.executable, str(program), "--endpoint-url", running.endpoint, "--output", "json", "iam", *arguments]
        done = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, text=True, timeout=60)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    aws("create-role", "--role-name", "cli", "--assume-role-policy-document", "file://trust.json")
    aws("attach-role-policy", "--role-name", "cli", "--policy-arn", BASIC)
    assert aws("get-role", "--role-name", "cli")["Role"]["AssumeRolePolicyDocument"] == TRUST
    assert [each["PolicyArn"] for each in aws("list-attached-role-policies", "--role-name", "cli")["AttachedPolicies"]] == [BASIC]
    aws("detach-role-policy", "--role-name", "cli", "--policy-arn", BASIC)
    aws("delete-role", "--role-name", "cli")
    assert aws("list-roles")["Roles"] == []
