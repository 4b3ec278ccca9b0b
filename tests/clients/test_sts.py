"""STS: GetCallerIdentity by a key, without keys and by a function; the rest is refused."""

import aws_client
import keys
from lambda_client import create, invoke, refused


def test_who_is_asking(server):
    running = server()
    sts = aws_client.client("sts", running.endpoint)
    answer = sts.get_caller_identity()
    assert (answer["Account"], answer["Arn"]) == ("000000000000", "arn:aws:iam::000000000000:root")
    text = refused("InvalidAction", 400, sts.get_session_token)
    assert text == "lambkin does not do STS's GetSessionToken: credentials are made by `lambkin keys`."
    nothing = [{"Effect": "Deny", "Action": "*", "Resource": "*"}]
    ann = keys.make(running, running.directory, nothing)
    answer = keys.client("sts", running.endpoint, ann).get_caller_identity()
    # Nobody needs a permission for that.
    assert answer["Arn"] == "arn:aws:iam::000000000000:user/ann" and answer["UserId"].startswith("AIDA")


def test_a_function_is_its_role(server):
    running = server()
    lambda_ = keys.client("lambda", running.endpoint, keys.make(running))
    create(
        lambda_,
        "f",
        "const{STSClient,GetCallerIdentityCommand}=require('@aws-sdk/client-sts');"
        "exports.handler=async()=>(await new STSClient({endpoint:process.env.AWS_ENDPOINT_URL_LAMBDA})"
        ".send(new GetCallerIdentityCommand({}))).Arn",
        Timeout=60,
    )
    assert invoke(lambda_, "f").payload == "arn:aws:sts::000000000000:assumed-role/any/f"
