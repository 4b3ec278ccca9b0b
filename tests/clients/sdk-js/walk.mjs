// The AWS SDK for JavaScript v3, unmodified, against the endpoint in $ENDPOINT: a function's whole life.
// Reads {package, other, broken} (base64) from standard input; says "done" when every assertion held.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import {
  CreateFunctionCommand, DeleteFunctionCommand, GetFunctionCommand, InvokeCommand, LambdaClient, LogType,
  ResourceConflictException, ResourceNotFoundException, UpdateFunctionCodeCommand, UpdateFunctionConfigurationCommand,
  InvalidParameterValueException, paginateListFunctions, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';

const name = process.env.FUNCTION_NAME;
const FunctionName = name;
const packages = JSON.parse(readFileSync(0, 'utf8'));
const zip = (which) => Buffer.from(packages[which], 'base64');
const client = new LambdaClient({
  endpoint: process.env.ENDPOINT,
  region: 'us-east-1',
  credentials: { accessKeyId: 'any', secretAccessKey: 'any' },
  maxAttempts: 1,
});
const wait = { client, maxWaitTime: 120, minDelay: 1, maxDelay: 1 };
const send = (Command, input) => client.send(new Command(input));
const invoke = async (payload, more = {}) => {
  const answer = await send(InvokeCommand, { FunctionName, Payload: JSON.stringify(payload), ...more });
  return { ...answer, result: answer.Payload?.length ? JSON.parse(answer.Payload.transformToString()) : undefined };
};

const role = 'arn:aws:iam::000000000000:role/any';
const settings = { FunctionName, Runtime: 'nodejs22.x', Handler: 'index.handler', Role: role };
await assert.rejects(send(CreateFunctionCommand, { ...settings, Code: { ZipFile: zip('broken') } }), (error) => {
  assert(error instanceof InvalidParameterValueException, String(error));
  assert.match(error.message, /Could not unzip uploaded file/);
  assert.equal(error.Type, 'User');
  return true;
});
const created = await send(CreateFunctionCommand, { ...settings, Code: { ZipFile: zip('package') }, Environment: { Variables: { WORD: 'hello' } } });
assert.equal(created.State, 'Pending');
assert.equal(created.$metadata.httpStatusCode, 201);
await waitUntilFunctionActiveV2(wait, { FunctionName });
await assert.rejects(send(CreateFunctionCommand, { ...settings, Code: { ZipFile: zip('package') } }), ResourceConflictException);

const answer = await invoke({ name: 'world' }, { LogType: LogType.Tail });
assert.deepEqual([answer.StatusCode, answer.ExecutedVersion, answer.FunctionError], [200, '$LATEST', undefined]);
assert.equal(answer.result, 'hello world');
assert.match(Buffer.from(answer.LogResult, 'base64').toString(), /^START RequestId: [^]*\tINFO\tgreeting world\n[^]*REPORT RequestId: /);
const failed = await invoke({ fail: true });
assert.deepEqual([failed.StatusCode, failed.FunctionError, failed.result.errorMessage], [200, 'Unhandled', 'as asked']);
assert.equal((await invoke({}, { InvocationType: 'DryRun' })).StatusCode, 204);
const context = Buffer.from(JSON.stringify({ custom: { a: 1 } })).toString('base64');
assert.deepEqual((await invoke({ context: true }, { ClientContext: context })).result, { custom: { a: 1 } });
const many = await Promise.all(Array.from({ length: 20 }, (_, n) => invoke({ name: String(n) })));
assert.deepEqual(many.map((one) => one.result), Array.from({ length: 20 }, (_, n) => `hello ${n}`));

await send(UpdateFunctionCodeCommand, { FunctionName, ZipFile: zip('other') });
await waitUntilFunctionUpdatedV2(wait, { FunctionName });
await send(UpdateFunctionConfigurationCommand, { FunctionName, Environment: { Variables: { WORD: 'bye' } } });
await waitUntilFunctionUpdatedV2(wait, { FunctionName });
assert.equal((await invoke({})).result, 'other bye');

const got = await send(GetFunctionCommand, { FunctionName });
assert.deepEqual(Buffer.from(await (await fetch(got.Code.Location)).arrayBuffer()), zip('other'));
const names = [];
for await (const page of paginateListFunctions({ client, pageSize: 2 }, {})) names.push(...page.Functions.map((f) => f.FunctionName));
assert(names.includes(name));
await send(DeleteFunctionCommand, { FunctionName });
await assert.rejects(send(GetFunctionCommand, { FunctionName }), (error) => {
  assert(error instanceof ResourceNotFoundException, String(error));
  assert.equal(error.message, `Function not found: arn:aws:lambda:us-east-1:000000000000:function:${name}`);
  return true;
});
console.log('done');
