"""lambkin's own services from inside a function: by the AWS SDKs as they come, as the function itself."""

import json
import os
import re

import pytest

from lambda_client import ACCOUNT, REGION, ROLE, arn, client, create, invoke
from server import eventually

V2 = """
const AWS=require('aws-sdk');
exports.handler=(e,c,done)=>new AWS.Lambda(e.options||{}).invoke({FunctionName:e.name,Payload:'"from v2"'}).promise()
  .then(r=>done(null,r.Payload),x=>done(null,x.code));
"""
V3 = """
const {LambdaClient,InvokeCommand}=require('@aws-sdk/client-lambda');
exports.handler=async e=>{
  const r=await new LambdaClient({}).send(new InvokeCommand({FunctionName:e.name,Payload:'"from v3"'}));
  return Buffer.from(r.Payload).toString();
};
"""
# Says its credentials, and as whom lambkin sees it when it signs with them or with others.
SEEN = """
const {createHash,createHmac}=require('crypto');
const sha=text=>createHash('sha256').update(text).digest('hex'),mac=(key,text)=>createHmac('sha256',key).update(text).digest();
async function caller({id,secret,token}){
  const url=process.env.AWS_ENDPOINT_URL_LAMBDA+'/_lambkin/caller',host=new URL(url).host;
  const time=new Date().toISOString().replace(/[-:]|\\.\\d+/g,''),day=time.slice(0,8),scope=day+'/us-east-1/lambda/aws4_request';
  const names='host;x-amz-date;x-amz-security-token';
  const canonical=['GET','/_lambkin/caller','','host:'+host,'x-amz-date:'+time,'x-amz-security-token:'+token,'',names,sha('')];
  const text=['AWS4-HMAC-SHA256',time,scope,sha(canonical.join('\\n'))].join('\\n');
  const signature=mac([day,'us-east-1','lambda','aws4_request'].reduce(mac,'AWS4'+secret),text).toString('hex');
  const authorization='AWS4-HMAC-SHA256 Credential='+id+'/'+scope+', SignedHeaders='+names+', Signature='+signature;
  const answer=await fetch(url,{headers:{authorization,'x-amz-date':time,'x-amz-security-token':token}});
  return answer.ok?answer.json():answer.status;
}
exports.handler=async e=>{
  const v=process.env,own={id:v.AWS_ACCESS_KEY_ID,secret:v.AWS_SECRET_ACCESS_KEY,token:v.AWS_SESSION_TOKEN};
  return {...own,endpoint:v.AWS_ENDPOINT_URL_LAMBDA,caller:await caller({...own,...e})};
};
"""


def create_seen(lambda_, name, **more):
    """With a whole processor: `fetch` loads for a tenth of a second of one, which 128 MB have a fourteenth of."""
    create(lambda_, name, SEEN, MemorySize=1769, Timeout=30, **more)


@pytest.mark.parametrize("runtime,code,said", [("nodejs16.x", V2, "from v2"), ("nodejs22.x", V3, "from v3")])
def test_an_sdk_reaches_lambkin_without_being_told(lambda_, name, runtime, code, said):
    create(lambda_, name + "-b", "exports.handler=async e=>e+' to b'")
    create(lambda_, name, code, runtime, Timeout=30, MemorySize=512)
    assert json.loads(invoke(lambda_, name, {"name": name + "-b"}).payload) == said + " to b"


def test_what_code_says_to_sdk_v2_counts_more(lambda_, name):
    create(lambda_, name, V2, "nodejs16.x", Timeout=30, MemorySize=512)
    assert invoke(lambda_, name, {"name": "nobody"}).payload == "ResourceNotFoundException"
    options = {"endpoint": "http://127.0.0.1:1", "maxRetries": 0}
    assert invoke(lambda_, name, {"name": "nobody", "options": options}).payload == "UnknownEndpoint"


@pytest.mark.parametrize("isolation", ["auto", "process"])
def test_credentials_are_an_environment_s_own(server, name, isolation):
    jails = isolation == "auto"
    started = server("--isolation", isolation)
    if jails and "isolation=\"jail" not in started.log.read_text():
        pytest.skip("NOT TESTED: no jail can be made here")
    lambda_ = client(started.endpoint)
    create_seen(lambda_, name)
    create_seen(lambda_, name + "-b")
    first, second = (invoke(lambda_, each).payload for each in (name, name + "-b"))
    assert re.fullmatch("ASIA[A-Z2-7]{16}", first["id"]) and len(first["secret"]) == 40
    for secret in ("id", "secret", "token"):
        assert first[secret] != second[secret]
    assert first["endpoint"] == ("http://127.0.0.1:4566" if jails else started.endpoint)
    assert first["caller"] == {"function": arn(name, "$LATEST"), "role": ROLE}
    assert second["caller"]["function"] == arn(name + "-b", "$LATEST")
    # What a jail's own listener brings is its function's, whosever credentials it carries.
    def seen(**altered):
        caller = invoke(lambda_, name + "-b", altered).payload["caller"]
        return caller["function"] if isinstance(caller, dict) else caller

    own = {key: first[key] for key in ("id", "secret", "token")}
    assert seen(**own) == arn(name + "-b" if jails else name, "$LATEST")
    assert seen(token=first["token"]) == (arn(name + "-b", "$LATEST") if jails else 403)
    assert seen(**{**own, "secret": second["secret"]}) == (arn(name + "-b", "$LATEST") if jails else 403)


def test_the_caller_s_environment_may_go_while_it_waits(server, name):
    """What it asked for goes on, and nothing of it is left."""
    started = server()
    lambda_ = client(started.endpoint)
    create(lambda_, name + "-b", "let n=0;exports.handler=async e=>{if(e)await new Promise(y=>setTimeout(y,2000));return ++n}")
    caller = V3.replace("""'"from v3"'""", "'1'")
    create(lambda_, name, caller, Timeout=1, MemorySize=512)
    invoke(lambda_, name + "-b", 0)
    assert "Task timed out" in invoke(lambda_, name, {"name": name + "-b"}).payload["errorMessage"]
    eventually(lambda: invoke(lambda_, name + "-b", 0).payload >= 3, 10, "the invocation that nobody waits for ends")


def test_a_function_s_own_endpoint_stays(lambda_, name):
    code = "exports.handler=async()=>process.env.AWS_ENDPOINT_URL_LAMBDA||null"
    for variable, seen in [("AWS_ENDPOINT_URL_LAMBDA", "http://mine"), ("AWS_ENDPOINT_URL", None)]:
        each = f"{name}-{variable.lower()[-3:]}"
        create(lambda_, each, code, Environment={"Variables": {variable: "http://mine"}})
        assert invoke(lambda_, each).payload == seen


def test_a_role_has_the_operator_s_credentials(server, tmp_path, name):
    file = tmp_path / "roles.json"
    real = {"accessKeyId": "AKIAREAL", "secretAccessKey": "very secret", "sessionToken": "real token"}
    file.write_text(json.dumps({f"arn:aws:iam::{ACCOUNT}:role/real": real}))
    file.chmod(0o640)
    with pytest.raises(AssertionError, match="chmod 600"):
        server("--role-credentials", str(file))
    file.chmod(0o600)
    started = server("--role-credentials", str(file), variables={**os.environ, "LAMBKIN_LOG": "debug"})
    lambda_ = client(started.endpoint, region=REGION)
    create_seen(lambda_, name, Role=f"arn:aws:iam::{ACCOUNT}:role/real")
    create_seen(lambda_, name + "-b")
    seen = invoke(lambda_, name).payload
    assert [seen["id"], seen["secret"], seen["token"]] == ["AKIAREAL", "very secret", "real token"]
    assert seen["endpoint"].startswith("http://127.0.0.1:")
    assert invoke(lambda_, name + "-b").payload["id"] != "AKIAREAL"
    log = started.log.read_text()
    assert "very secret" not in log and "real token" not in log
