"""The AWS SDK for JavaScript v3, unmodified (sdk-js/walk.mjs), on lambkin's own nodejs22.x."""

import base64
import json
import pathlib
import subprocess

import node_binaries
from lambda_client import zipped

FOLDER = pathlib.Path(__file__).resolve().parent / "sdk-js"
FIRST = """
export const handler=async(event,context)=>{
  if(event.fail)throw new Error('as asked');
  if(event.context)return context.clientContext;
  console.log('greeting',event.name);
  return process.env.WORD+' '+event.name;
};
"""
OTHER = "export const handler=async()=>'other '+process.env.WORD"


def test_a_functions_whole_life(shared, name):
    assert (FOLDER / "node_modules").is_dir(), "run `npm ci` in tests/clients/sdk-js first"
    packages = {"package": zipped({"index.mjs": FIRST}), "other": zipped({"index.mjs": OTHER}), "broken": b"no zip"}
    _, node = node_binaries.installed("nodejs22.x")
    done = subprocess.run(
        [node, "walk.mjs"],
        input=json.dumps({key: base64.b64encode(value).decode() for key, value in packages.items()}),
        env={"ENDPOINT": shared.endpoint, "FUNCTION_NAME": name},
        cwd=FOLDER, capture_output=True, text=True, timeout=300, check=False,
    )
    assert done.returncode == 0 and done.stdout.strip() == "done", done.stdout + done.stderr
