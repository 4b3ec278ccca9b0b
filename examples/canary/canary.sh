#!/usr/bin/env bash
# Two versions of a function behind an alias: the second gets a tenth of the traffic, and the split is read back.
# Needs the aws CLI, zip, and a lambkin at $AWS_ENDPOINT_URL:
#
#   lambkin serve &
#   export AWS_ENDPOINT_URL=http://127.0.0.1:4566 AWS_DEFAULT_REGION=us-east-1 AWS_ACCESS_KEY_ID=any AWS_SECRET_ACCESS_KEY=any
#   examples/canary/canary.sh [name] [invocations]
set -euo pipefail
name=${1:-canary} invocations=${2:-100}
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"

package() {
  printf "exports.handler = async (event, context) => 'version %s of the code, as ' + context.functionVersion\n" "$1" > index.js
  rm -f function.zip
  zip -q function.zip index.js
}

package one
aws lambda create-function --function-name "$name" --runtime nodejs22.x --handler index.handler \
    --role arn:aws:iam::000000000000:role/any --zip-file fileb://function.zip --publish --output text --query Version
aws lambda wait function-active-v2 --function-name "$name"
aws lambda create-alias --function-name "$name" --name live --function-version 1 > alias.json

package two
aws lambda update-function-code --function-name "$name" --zip-file fileb://function.zip --publish --output text --query Version
aws lambda wait function-updated-v2 --function-name "$name"
aws lambda update-alias --function-name "$name" --name live \
    --routing-config '{"AdditionalVersionWeights":{"2":0.1}}' > alias.json

for _ in $(seq "$invocations"); do
  aws lambda invoke --function-name "$name" --qualifier live --output text --query ExecutedVersion out.json
done | sort | uniq -c
