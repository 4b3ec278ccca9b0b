"""`lambkin keys`: from the first key on signatures are verified, on a server that runs; policies bound what a key may do."""

import json
import os
import stat
import subprocess
import urllib.error
import urllib.request

from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

import keys
import lambda_client
from lambda_client import REGION, arn, create, invoke, refused, zipped
from server import binary


def test_the_first_key_closes_the_door_at_once(server):
    running = server()
    anybody = lambda_client.client(running.endpoint)
    create(anybody, "f")
    ann = keys.make(running)
    assert stat.S_IMODE(os.stat(running.data / "keys.json").st_mode) == 0o600
    text = refused("UnrecognizedClientException", 403, anybody.get_function, FunctionName="f")
    assert text == "The security token included in the request is invalid."
    lambda_ = keys.client("lambda", running.endpoint, ann)
    assert invoke(lambda_, "f", {"a": 1}).payload == {"a": 1}
    (listed,) = keys.run(running, "list")
    assert (listed["accessKeyId"], listed["name"], listed["policies"]) == (ann[0], "ann", 0)
    assert ann[1] not in json.dumps(listed)
    bob = keys.make(running, name="bob")
    keys.run(running, "revoke", ann[0])
    refused("UnrecognizedClientException", 403, lambda_.get_function, FunctionName="f")
    assert invoke(keys.client("lambda", running.endpoint, bob), "f", 1).payload == 1
    assert "No key is left" in keys.run(running, "revoke", bob[0])
    # Without any key the door stays shut.
    refused("UnrecognizedClientException", 403, anybody.get_function, FunctionName="f")
    assert ann[1] not in running.log.read_text() and bob[1] not in running.log.read_text()


def test_policies_bound_a_key(server, tmp_path):
    running = server()
    owner = keys.client("lambda", running.endpoint, keys.make(running, name="owner"))
    for name in ("open", "shut"):
        create(owner, name)
    allow = {"Effect": "Allow", "Action": ["lambda:InvokeFunction", "lambda:GetFunction*"], "Resource": arn("o*")}
    deny = {"Effect": "Deny", "Action": "lambda:GetFunctionConfiguration", "Resource": "*"}
    ann = keys.make(running, tmp_path, [allow, deny])
    lambda_ = keys.client("lambda", running.endpoint, ann)
    assert invoke(lambda_, "open", 1).payload == 1
    assert lambda_.get_function(FunctionName="open")["Configuration"]["FunctionName"] == "open"
    user = "User: arn:aws:iam::000000000000:user/ann is not authorized to perform"
    none = "because no identity-based policy allows the"
    text = refused("AccessDeniedException", 403, lambda_.invoke, FunctionName="shut", Payload=b"{}")
    assert text == f"{user}: lambda:InvokeFunction on resource: {arn('shut')} {none} lambda:InvokeFunction action"
    text = refused("AccessDeniedException", 403, lambda_.list_functions)
    assert text == f"{user}: lambda:ListFunctions on resource: * {none} lambda:ListFunctions action"
    text = refused("AccessDeniedException", 403, lambda_.get_function_configuration, FunctionName="open")
    assert text.endswith("with an explicit deny in an identity-based policy")
    refused("AccessDeniedException", 403, lambda_.delete_function, FunctionName="open")
    refused("AccessDeniedException", 403, lambda_.update_function_configuration, FunctionName="open", Timeout=5)
    # A function's own policy is enough, where it names the user.
    owner.add_permission(
        FunctionName="shut",
        StatementId="ann",
        Action="lambda:InvokeFunction",
        Principal="arn:aws:iam::000000000000:user/ann",
    )
    assert invoke(lambda_, "shut", 2).payload == 2
    # And its denial is everybody's.
    document = {"Effect": "Deny", "Principal": "*", "Action": "lambda:InvokeFunction", "Resource": arn("open")}
    owner.put_resource_policy(ResourceArn=arn("open"), Policy=json.dumps({"Statement": document}))
    text = refused("AccessDeniedException", 403, owner.invoke, FunctionName="open", Payload=b"{}")
    assert text.endswith("with an explicit deny in a resource-based policy")


def test_a_qualifier_is_only_what_the_operation_acts_on(server, tmp_path):
    running = server()
    owner = keys.client("lambda", running.endpoint, keys.make(running, name="owner"))
    create(owner, "prod")
    for alias in ("dev", "live"):
        owner.create_alias(FunctionName="prod", Name=alias, FunctionVersion="$LATEST")
    ann = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "lambda:*", "Resource": arn("prod") + ":dev"}])
    lambda_ = keys.client("lambda", running.endpoint, ann)
    assert invoke(lambda_, "prod", 1, Qualifier="dev").payload == 1
    refused("AccessDeniedException", 403, lambda_.invoke, FunctionName="prod", Qualifier="live", Payload=b"{}")
    refused("AccessDeniedException", 403, lambda_.invoke, FunctionName="prod", Payload=b"{}")

    def ask(method, path, body):
        return keys.signed(running, ann, method, path, body)

    # These change the function, whatever version or alias is said beside it.
    for method, path, body in (
        ("PUT", "/2015-03-31/functions/prod/configuration?Qualifier=dev", b'{"Timeout":9}'),
        ("PUT", "/2015-03-31/functions/prod:dev/configuration", b'{"Timeout":9}'),
        ("PUT", "/2017-10-31/functions/prod/concurrency?Qualifier=dev", b'{"ReservedConcurrentExecutions":0}'),
        ("POST", "/2015-03-31/functions/prod/aliases?Qualifier=dev", b'{"Name":"new","FunctionVersion":"$LATEST"}'),
    ):
        status, said = ask(method, path, body)
        assert status == 403 and f"on resource: {arn('prod')} ".encode() in said, (path, status, said)
    assert owner.get_function_configuration(FunctionName="prod")["Timeout"] != 9
    assert "ReservedConcurrentExecutions" not in owner.get_function_concurrency(FunctionName="prod")
    # What names nothing is not everything.
    everything = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "lambda:*", "Resource": "*"}], "all")
    everything = keys.client("lambda", running.endpoint, everything)
    refused(
        "InvalidParameterValueException", 400, everything.get_function, FunctionName="prod:dev", Qualifier="live"
    )


def test_a_denial_holds_for_every_spelling(server, tmp_path):
    running = server()
    owner = keys.make(running, name="owner")
    lambda_, logs = (keys.client(service, running.endpoint, owner) for service in ("lambda", "logs"))
    sqs, sns = (keys.client(service, running.endpoint, owner) for service in ("sqs", "sns"))
    lambda_.publish_layer_version(LayerName="secret", Content={"ZipFile": zipped({"a": "1"})})
    logs.create_log_group(logGroupName="secret")
    for queue in ("secret", "dead", "feeder"):
        sqs.create_queue(QueueName=queue)
    base = "{}:us-east-1:000000000000:"
    queue = base.format("arn:aws:sqs") + "{}"
    redrive = json.dumps({"deadLetterTargetArn": queue.format("dead"), "maxReceiveCount": 1})
    sqs.set_queue_attributes(QueueUrl=sqs.get_queue_url(QueueName="feeder")["QueueUrl"], Attributes={"RedrivePolicy": redrive})
    topic = sns.create_topic(Name="secret")["TopicArn"]
    denied = [
        base.format("arn:aws:lambda") + "layer:secret:1",
        base.format("arn:aws:logs") + "log-group:secret:*",
        queue.format("secret"),
        topic,
    ]
    ann = keys.make(
        running,
        tmp_path,
        [{"Effect": "Allow", "Action": "*", "Resource": "*"}, {"Effect": "Deny", "Action": "*", "Resource": denied}],
    )
    lambda_, logs = (keys.client(service, running.endpoint, ann) for service in ("lambda", "logs"))
    sqs, sns = (keys.client(service, running.endpoint, ann) for service in ("sqs", "sns"))
    for partition, version in (("aws", "1"), ("aws-cn", "1"), ("aws", "01")):
        layer = base.format(f"arn:{partition}:lambda") + f"layer:secret:{version}"
        text = refused("AccessDeniedException", 403, lambda_.get_layer_version_by_arn, Arn=layer)
        assert f"on resource: {denied[0]} " in text
    layer = base.format("arn:aws-cn:lambda") + "layer:secret"
    refused("AccessDeniedException", 403, lambda_.get_layer_version, LayerName=layer, VersionNumber=1)
    group = base.format("arn:aws-cn:logs") + "log-group:secret"
    for identifier in (group, f"{group}:*", "secret"):
        refused("AccessDeniedException", 403, logs.filter_log_events, logGroupIdentifier=identifier)
    query = {"queryString": "fields @message", "startTime": 0, "endTime": 1}
    refused("AccessDeniedException", 403, logs.start_query, logGroupNames=["other", "secret"], **query)
    refused("AccessDeniedException", 403, logs.start_query, logGroupIdentifiers=["other", group], **query)
    refused("AuthorizationError", 403, sns.publish, TopicArn=topic.replace("arn:aws:", "arn:aws-cn:"), Message="m")
    spelled = queue.format("secret").replace("arn:aws:", "arn:aws-cn:")
    refused("AccessDenied", 403, sqs.list_message_move_tasks, SourceArn=spelled)
    for destination in (queue.format("secret"), spelled):
        text = refused(
            "AccessDenied", 403, sqs.start_message_move_task, SourceArn=queue.format("dead"), DestinationArn=destination
        )
        assert f"sqs:SendMessage on resource: {denied[2]} " in text


def test_what_lambkin_does_for_a_key_is_what_the_key_may_do(server, tmp_path):
    running = server()
    owner = keys.make(running, name="owner")
    lambda_ = keys.client("lambda", running.endpoint, owner)
    for name in ("mine", "shut"):
        create(lambda_, name)
    queue = "arn:aws:sqs:us-east-1:000000000000:{}"
    for name in ("mine", "shut"):
        keys.client("sqs", running.endpoint, owner).create_queue(QueueName=name)
    topic = keys.client("sns", running.endpoint, owner).create_topic(Name="mine")["TopicArn"]
    statement = {
        "Effect": "Allow",
        "Action": ["lambda:*", "sqs:*", "sns:*"],
        "Resource": [arn("mine"), queue.format("mine"), topic, "*:event-source-mapping:*"],
    }
    mapped = {"Effect": "Allow", "Action": "lambda:CreateEventSourceMapping", "Resource": "*"}
    ann = keys.make(running, tmp_path, [statement, mapped])
    lambda_, sns = (keys.client(service, running.endpoint, ann) for service in ("lambda", "sns"))
    text = refused("AuthorizationError", 403, sns.subscribe, TopicArn=topic, Protocol="lambda", Endpoint=arn("shut"))
    assert f"lambda:InvokeFunction on resource: {arn('shut')} " in text
    refused("AuthorizationError", 403, sns.subscribe, TopicArn=topic, Protocol="sqs", Endpoint=queue.format("shut"))
    sns.subscribe(TopicArn=topic, Protocol="lambda", Endpoint=arn("mine"))
    for function, source, action in (("shut", "mine", "lambda:InvokeFunction"), ("mine", "shut", "sqs:ReceiveMessage")):
        text = refused(
            "AccessDeniedException",
            403,
            lambda_.create_event_source_mapping,
            FunctionName=function,
            EventSourceArn=queue.format(source),
        )
        assert f"to perform: {action} on resource" in text
    mapping = lambda_.create_event_source_mapping(FunctionName="mine", EventSourceArn=queue.format("mine"), Enabled=False)
    refused(
        "AccessDeniedException", 403, lambda_.update_event_source_mapping, UUID=mapping["UUID"], FunctionName="shut"
    )
    destination = {"OnFailure": {"Destination": arn("shut")}}
    change = {"FunctionName": "mine", "DestinationConfig": destination}
    text = refused("AccessDeniedException", 403, lambda_.put_function_event_invoke_config, **change)
    assert f"lambda:InvokeFunction on resource: {arn('shut')} " in text
    change = {"FunctionName": "mine", "DeadLetterConfig": {"TargetArn": queue.format("shut")}}
    text = refused("AccessDeniedException", 403, lambda_.update_function_configuration, **change)
    assert f"sqs:SendMessage on resource: {queue.format('shut')} " in text
    change["DeadLetterConfig"]["TargetArn"] = queue.format("mine")
    lambda_.update_function_configuration(**change)


def test_conditions_know_a_mapping_s_function(server, tmp_path):
    running = server()
    owner = keys.make(running, name="owner")
    lambda_ = keys.client("lambda", running.endpoint, owner)
    for name in ("open", "shut"):
        create(lambda_, name)
    keys.client("sqs", running.endpoint, owner).create_queue(QueueName="q")
    source = "arn:aws:sqs:us-east-1:000000000000:q"
    of = {
        name: lambda_.create_event_source_mapping(FunctionName=name, EventSourceArn=source, Enabled=False)["UUID"]
        for name in ("open", "shut")
    }
    condition = {"StringEquals": {"lambda:FunctionArn": arn("open")}}
    statement = {"Effect": "Allow", "Action": "lambda:*EventSourceMapping", "Resource": "*", "Condition": condition}
    mine = keys.client("lambda", running.endpoint, keys.make(running, tmp_path, [statement]))
    assert mine.get_event_source_mapping(UUID=of["open"])["FunctionArn"] == arn("open")
    refused("AccessDeniedException", 403, mine.get_event_source_mapping, UUID=of["shut"])
    # Not by saying another function's name, neither of a mapping that is nor of one that is to be.
    refused("AccessDeniedException", 403, mine.update_event_source_mapping, UUID=of["shut"], FunctionName="open")
    refused("AccessDeniedException", 403, mine.update_event_source_mapping, UUID=of["open"], FunctionName="shut")


def test_policies_bound_every_service(server, tmp_path):
    running = server()
    owner = keys.make(running, name="owner")
    sqs, sns = (keys.client(service, running.endpoint, owner) for service in ("sqs", "sns"))
    url = sqs.create_queue(QueueName="q")["QueueUrl"]
    topic = sns.create_topic(Name="t")["TopicArn"]
    queue = "arn:aws:sqs:us-east-1:000000000000:q"
    ann = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": queue}])
    mine = keys.client("sqs", running.endpoint, ann)
    mine.send_message(QueueUrl=url, MessageBody="1")
    mine.send_message_batch(QueueUrl=url, Entries=[{"Id": "a", "MessageBody": "2"}])
    refused("AccessDenied", 403, mine.receive_message, QueueUrl=url)
    text = refused("AuthorizationError", 403, keys.client("sns", running.endpoint, ann).publish, TopicArn=topic, Message="m")
    assert text == (
        f"User: arn:aws:iam::000000000000:user/ann is not authorized to perform: sns:Publish on resource: {topic} "
        "because no identity-based policy allows the sns:Publish action"
    )


def test_a_mapping_is_not_the_function_that_is_named(server, tmp_path):
    running = server()
    owner = keys.make(running, name="owner")
    lambda_ = keys.client("lambda", running.endpoint, owner)
    for name in ("open", "shut"):
        create(lambda_, name)
    keys.client("sqs", running.endpoint, owner).create_queue(QueueName="q")
    mapping = lambda_.create_event_source_mapping(
        FunctionName="shut", EventSourceArn="arn:aws:sqs:us-east-1:000000000000:q", Enabled=False
    )["UUID"]
    mine = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "lambda:*", "Resource": arn("open")}])
    mine = keys.client("lambda", running.endpoint, mine)
    assert mine.get_function(FunctionName="open")["Configuration"]["FunctionName"] == "open"
    text = refused("AccessDeniedException", 403, mine.update_event_source_mapping, UUID=mapping, FunctionName="open")
    assert f"on resource: arn:aws:lambda:us-east-1:000000000000:event-source-mapping:{mapping} " in text


def test_functions_keep_their_own_way_in(server):
    running = server()
    lambda_ = keys.client("lambda", running.endpoint, keys.make(running))
    create(lambda_, "callee", "exports.handler=async()=>'called'")
    create(
        lambda_,
        "caller",
        "const{LambdaClient,InvokeCommand}=require('@aws-sdk/client-lambda');"
        "exports.handler=async()=>Buffer.from((await new LambdaClient({}).send("
        "new InvokeCommand({FunctionName:'callee'}))).Payload).toString()",
        Timeout=60,
    )
    assert invoke(lambda_, "caller").payload == '"called"'


def test_lambkins_own_pages_want_a_key(server, tmp_path):
    running = server()
    ann = keys.make(running)
    command = [binary(), "queues", "--endpoint", running.endpoint, "--json"]
    bare = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    refusal = subprocess.run(command, env=bare, capture_output=True, text=True, timeout=60)
    assert refusal.returncode != 0 and "`lambkin keys create`" in refusal.stderr, refusal
    mine = {**bare, "AWS_ACCESS_KEY_ID": ann[0], "AWS_SECRET_ACCESS_KEY": ann[1]}
    answer = subprocess.run(command, env=mine, capture_output=True, text=True, timeout=60)
    assert answer.returncode == 0 and json.loads(answer.stdout) == {"queues": []}, answer
    # They show what is everybody's, so a key that is bounded needs to be let.
    here, elsewhere = ({"IpAddress": {"aws:SourceIp": ip}} for ip in ("127.0.0.0/8", "10.0.0.0/8"))
    for name, action, condition, code in (
        ("bob", "sqs:*", {}, 1),
        ("eve", "lambkin:Read", {}, 0),
        ("fay", "lambkin:Read", {"Condition": here}, 0),
        ("guy", "lambkin:Read", {"Condition": elsewhere}, 1),
    ):
        key = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": action, "Resource": "*", **condition}], name)
        mine = {**bare, "AWS_ACCESS_KEY_ID": key[0], "AWS_SECRET_ACCESS_KEY": key[1]}
        answer = subprocess.run(command, env=mine, capture_output=True, text=True, timeout=60)
        assert (answer.returncode != 0) == bool(code) and (code == 0 or "403" in answer.stderr), answer


def test_saved_test_events_want_a_key_that_may_write(server, tmp_path):
    running = server()
    ann = keys.make(running)
    create(keys.client("lambda", running.endpoint, ann), "mine")
    reader = keys.make(running, tmp_path, [{"Effect": "Allow", "Action": "lambkin:Read", "Resource": "*"}], "reader")
    url = f"{running.endpoint}/_lambkin/test-events/mine/one"

    def ask(method, key, body=b"", sent=None):
        request = AWSRequest(method=method, url=url, data=body)
        SigV4Auth(Credentials(*key), "lambda", REGION).add_auth(request)
        sent = urllib.request.Request(url, data=sent or body, method=method, headers=dict(request.headers))
        try:
            with urllib.request.urlopen(sent, timeout=60) as answer:
                return answer.status
        except urllib.error.HTTPError as refusal:
            return refusal.code

    assert ask("PUT", reader, b"1") == 403, "it may only read"
    assert ask("PUT", ann, b"1", sent=b"2") == 403, "not the body that was signed"
    assert ask("DELETE", (ann[0], "wrong")) == 403
    assert ask("PUT", ann, b"1") == 204
    assert ask("DELETE", reader) == 403
    assert ask("DELETE", ann) == 204


def test_beyond_loopback_a_key_is_needed(tmp_path):
    data = tmp_path / "data"
    command = [binary(), "serve", "--listen", "0.0.0.0:0", "--data", str(data), "--isolation", "process"]
    refusal = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refusal.returncode == 2 and "lambkin keys create" in refusal.stderr, refusal
    made = subprocess.run([binary(), "keys", "create", "--data", str(data)], capture_output=True, text=True, timeout=60)
    assert made.stdout.startswith("export AWS_ACCESS_KEY_ID=AKIA"), made
    serving = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        assert serving.stdout.readline().startswith("listening on http://0.0.0.0:")
    finally:
        serving.terminate()
        serving.communicate(timeout=60)


def test_a_policy_that_would_not_act_makes_no_key(tmp_path):
    policy = tmp_path / "policy.json"
    policy.write_text('{"Statement": {"Effect": "Allow", "Action": "lambda:*", "Resource": "*", "Principal": "*"}}')
    command = [binary(), "keys", "create", "--data", str(tmp_path / "data"), "--policy", str(policy)]
    refusal = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert refusal.returncode == 2 and "should not specify a principal" in refusal.stderr, refusal
    assert not (tmp_path / "data" / "keys.json").exists()
