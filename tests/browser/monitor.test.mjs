// The Monitor tab and the overview of a busy machine: throttles, asynchronous events, dead letters, records. boto3 says the same.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessibilityFaults, boto3, createFunction, faultless, open, page, server, UNSIGNED, until } from './world.mjs';

const NAME = 'watched';
const CODE = `
exports.handler = async (event) => {
  if (event.fail) throw new Error('wanted');
  if (event.wait) await new Promise((resolve) => setTimeout(resolve, event.wait));
  return event;
};`;

const arnOf = (queue) => `arn:aws:sqs:us-east-1:000000000000:${queue}`;
const chart = (title) => page.getByRole('region', { name: title, exact: true });

async function visible(queue) {
  const { QueueUrl } = await boto3(server, 'sqs', 'get_queue_url', { QueueName: queue });
  const { Attributes } = await boto3(server, 'sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] });
  return Number(Attributes.ApproximateNumberOfMessages);
}

/** Of the last hour, by boto3. */
async function metric(MetricName, statistic) {
  const now = Date.now() / 1000;
  const { Datapoints } = await boto3(server, 'cloudwatch', 'get_metric_statistics', {
    Namespace: 'AWS/Lambda', MetricName, Dimensions: [{ Name: 'FunctionName', Value: NAME }], Period: 3600 * 2, Statistics: [statistic], StartTime: now - 3600, EndTime: now + 60,
  });
  const values = Datapoints.map((point) => point[statistic]);
  return statistic === 'Sum' ? values.reduce((total, value) => total + value, 0) : Math.max(...values);
}

open(async () => {
  for (const QueueName of ['dead', 'records']) await boto3(server, 'sqs', 'create_queue', { QueueName });
  await createFunction(server, NAME, { 'index.js': CODE }, { DeadLetterConfig: { TargetArn: arnOf('dead') }, Timeout: 60 });
  await boto3(server, 'lambda', 'put_function_event_invoke_config', {
    FunctionName: NAME, MaximumRetryAttempts: 0, DestinationConfig: { OnSuccess: { Destination: arnOf('records') } },
  });
});

test('throttles, asynchronous events, their age and what became of them are shown', async () => {
  await boto3(server, 'lambda', 'put_function_concurrency', { FunctionName: NAME, ReservedConcurrentExecutions: 0 });
  // boto3 would try again, and again.
  const refused = await fetch(`${server.endpoint}/2015-03-31/functions/${NAME}/invocations`, { method: 'POST', headers: { authorization: UNSIGNED }, body: '{}' });
  assert.equal(refused.status, 429);
  await boto3(server, 'lambda', 'delete_function_concurrency', { FunctionName: NAME });
  for (const event of ['{"fail": true}', '{"n": 1}', '{"n": 2}']) await boto3(server, 'lambda', 'invoke', { FunctionName: NAME, InvocationType: 'Event', Payload: event });
  await until('a dead letter and two records', async () => (await visible('dead')) === 1 && (await visible('records')) === 2);
  await page.goto(`${server.endpoint}/console#/functions/${NAME}/monitor`);
  await chart('Throttles').getByText('Throttles 1', { exact: true }).waitFor();
  assert.equal(await metric('Throttles', 'Sum'), 1);
  await chart('Invocations').getByText('Invocations 3 · Errors 1').waitFor();
  assert.deepEqual([await metric('Invocations', 'Sum'), await metric('Errors', 'Sum')], [3, 1]);
  await chart('Asynchronous events').getByText('Received 3 · Dropped 1').waitFor();
  assert.deepEqual([await metric('AsyncEventsReceived', 'Sum'), await metric('AsyncEventsDropped', 'Sum')], [3, 1]);
  const oldest = await metric('AsyncEventAge', 'Maximum');
  await chart('Age of asynchronous events').getByText(`Maximum ${oldest.toLocaleString('en', { maximumFractionDigits: oldest < 10 ? 2 : 1 })} ms`).waitFor();
  await chart('Age of asynchronous events').locator('path[clip-path]').nth(1).waitFor({ state: 'attached' });
  await chart('Success rate').locator('path[clip-path]').first().waitFor({ state: 'attached' });
  const dead = chart('Dead letters and destinations');
  await dead.getByText('Dead letters that failed 0 · Records that failed 0').waitFor();
  assert.deepEqual([await metric('DeadLetterErrors', 'Sum'), await metric('DestinationDeliveryFailures', 'Sum')], [0, 0]);
  await dead.getByText('Delivered since lambkin began: 1 dead letters, 2 records.').waitFor();
  const recent = page.getByRole('table', { name: 'Recent invocations' });
  assert.equal(await recent.getByRole('row').filter({ hasText: /Succeeded|Failed/ }).count(), 3);
  assert.deepEqual(await accessibilityFaults(page), []);
});

test('a log in JSON says the same', async () => {
  const FunctionName = 'in-json';
  await createFunction(server, FunctionName, { 'index.js': CODE }, { LoggingConfig: { LogFormat: 'JSON' } });
  for (const event of ['{}', '{"fail": true}', '{}']) await boto3(server, 'lambda', 'invoke', { FunctionName, Payload: event });
  await page.goto(`${server.endpoint}/console#/functions/${FunctionName}/monitor`);
  await chart('Invocations').getByText('Invocations 3 · Errors 1').waitFor();
  await chart('Cold starts').getByText('Cold starts 1', { exact: true }).waitFor();
  const rows = page.getByRole('table', { name: 'Recent invocations' }).getByRole('row').filter({ hasText: /Succeeded|Failed/ });
  await rows.nth(2).waitFor();
  assert.equal(await rows.filter({ hasText: 'Failed' }).count(), 1);
  const reports = (await boto3(server, 'logs', 'filter_log_events', { logGroupName: `/aws/lambda/${FunctionName}`, filterPattern: '{ $.type = "platform.report" }' })).events.map(({ message }) => JSON.parse(message).record);
  for (const { requestId, metrics } of reports) {
    const row = await rows.filter({ hasText: requestId }).textContent();
    assert.ok(row.includes(`${metrics.billedDurationMs} ms`), row);
  }
  await page.getByRole('tab', { name: 'Test' }).click();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  const log = await page.getByTestId('log').textContent();
  const summary = page.getByRole('region', { name: 'Summary' });
  await summary.getByText(`${Number(/"durationMs":([\d.]+)/.exec(log)[1])} ms`, { exact: true }).first().waitFor();
  await summary.getByText('128 MB', { exact: true }).waitFor();
});

test('the overview says how the machine is', async () => {
  // One keeps the others waiting.
  await boto3(server, 'lambda', 'put_function_concurrency', { FunctionName: NAME, ReservedConcurrentExecutions: 1 });
  for (const wait of [15_000, 1, 1]) await boto3(server, 'lambda', 'invoke', { FunctionName: NAME, InvocationType: 'Event', Payload: JSON.stringify({ wait }) });
  const own = async (what) => (await fetch(`${server.endpoint}/_lambkin/${what}`)).json();
  await page.goto(`${server.endpoint}/console`);
  const says = async (label, value) => {
    const term = page.locator('dt').filter({ hasText: new RegExp(`^${label}$`) });
    return (await term.locator('xpath=following-sibling::dd').textContent()) === String(value);
  };
  await page.getByText('Up', { exact: true }).waitFor();
  await until('events that wait', async () => {
    const [{ since_start: { running } }] = (await own('events')).functions;
    return running === 1 && says('Events waiting', 2);
  });
  await until('three messages in queues', () => says('Messages in queues', 3));
  const machine = await own('machine');
  assert.ok(machine.environments >= 1);
  await until('environments', async () => says('Execution environments', (await own('machine')).environments));
  assert.ok(await says('Version', `lambkin ${machine.version}`));
  await page.getByText('2 in this region, 2 in all').waitFor();
  await page.getByText(machine.isolation, { exact: true }).waitFor();
  if (machine.memory_mb !== null) await page.getByText(new RegExp(`^\\d+ MB of ${machine.memory_mb} MB$`)).waitFor();
  const { AccountLimit } = await boto3(server, 'lambda', 'get_account_settings');
  assert.ok(await says('Concurrency, unreserved', AccountLimit.UnreservedConcurrentExecutions));
});

faultless();
