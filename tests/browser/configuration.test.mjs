// The Configuration tab, section by section: boto3 reads back what each control did.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessibilityFaults, boto3, faultless, open, page, screenshot, server } from './world.mjs';

const NAME = 'settings';

const configuration = () => boto3(server, 'lambda', 'get_function_configuration', { FunctionName: NAME });

/** A section's form, opened; `save` waits until it is closed again. */
async function edit(title) {
  await page.getByRole('button', { name: `Edit ${title}` }).click();
  const form = page.getByRole('form', { name: title });
  return {
    form,
    save: async () => {
      await form.getByRole('button', { name: 'Save' }).click();
      await form.waitFor({ state: 'detached' });
    },
  };
}

open(async () => {
  for (const QueueName of ['orders', 'dead']) await boto3(server, 'sqs', 'create_queue', { QueueName });
});

test('general configuration', async () => {
  await page.goto(`${server.endpoint}/console#/create?blueprint=sqs`);
  await page.getByLabel('Function name').fill(NAME);
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name: NAME, exact: true }).waitFor({ timeout: 120_000 });
  await page.getByRole('tab', { name: 'Configuration' }).click();
  const { form, save } = await edit('General configuration');
  await form.getByLabel('Memory (MB)').fill('256');
  await form.getByLabel('Ephemeral storage (MB)').fill('600');
  await form.getByLabel('Timeout (seconds)').fill('17');
  await form.getByLabel('Execution role').fill('arn:aws:iam::000000000000:role/other');
  await form.getByLabel('Description').fill('works on orders');
  await save();
  const { MemorySize, Timeout, Description, Role, EphemeralStorage } = await configuration();
  assert.deepEqual([MemorySize, Timeout, Description, Role, EphemeralStorage.Size], [256, 17, 'works on orders', 'arn:aws:iam::000000000000:role/other', 600]);
});

test('environment variables', async () => {
  const { form, save } = await edit('Environment variables');
  await form.getByRole('button', { name: 'Add variable' }).click();
  await form.getByLabel('Key 1').fill('TABLE');
  await form.getByLabel('Value 1').fill('orders = "ä"');
  await save();
  assert.deepEqual((await configuration()).Environment.Variables, { TABLE: 'orders = "ä"' });
});

test('a refusal is shown in AWS’s words, and nothing is changed', async () => {
  const { form } = await edit('General configuration');
  await form.getByLabel('Memory (MB)').fill('1');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText(/greater than or equal to 128/).first().waitFor();
  await form.getByRole('button', { name: 'Cancel' }).click();
  assert.equal((await configuration()).MemorySize, 256);
});

test('what another client changed meanwhile is not overwritten', async () => {
  const { form } = await edit('General configuration');
  await form.getByLabel('Description').fill('mine');
  await boto3(server, 'lambda', 'update_function_configuration', { FunctionName: NAME, Description: 'theirs' });
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText('Somebody else changed the function').first().waitFor();
  assert.equal((await configuration()).Description, 'theirs');
  await form.getByRole('button', { name: 'Cancel' }).click();
});

test('asynchronous invocation, destinations and dead letters', async () => {
  const { form, save } = await edit('Asynchronous invocation');
  await form.getByRole('button', { name: /^Retry attempts/ }).click();
  await page.getByRole('option', { name: '1', exact: true }).click();
  await form.getByLabel('Maximum age of event').fill('120');
  await form.getByLabel('Destination on success').fill('arn:aws:sqs:us-east-1:000000000000:orders');
  const arn = 'arn:aws:sqs:us-east-1:000000000000:dead';
  await form.getByLabel('Destination on failure').fill(arn);
  await form.getByLabel('Dead-letter queue').fill(arn);
  await save();
  const config = await boto3(server, 'lambda', 'get_function_event_invoke_config', { FunctionName: NAME });
  assert.deepEqual([config.MaximumRetryAttempts, config.MaximumEventAgeInSeconds], [1, 120]);
  assert.deepEqual(config.DestinationConfig, { OnSuccess: { Destination: 'arn:aws:sqs:us-east-1:000000000000:orders' }, OnFailure: { Destination: arn } });
  assert.equal((await configuration()).DeadLetterConfig.TargetArn, arn);
});

test('reserved concurrency', async () => {
  const reserved = async () => (await boto3(server, 'lambda', 'get_function_concurrency', { FunctionName: NAME })).ReservedConcurrentExecutions;
  const first = await edit('Concurrency');
  await first.form.getByRole('radio', { name: /^Reserved/ }).check({ force: true });
  await first.form.getByLabel('Reserved concurrency').fill('7');
  await first.save();
  assert.equal(await reserved(), 7);
  const second = await edit('Concurrency');
  await second.form.getByRole('radio', { name: /^Unreserved/ }).check({ force: true });
  await second.save();
  assert.equal(await reserved(), undefined);
});

test('a trigger is added, changed, switched off and on, and deleted', async () => {
  await page.getByRole('button', { name: 'Add trigger' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: /Queue/ }).click();
  await page.getByRole('option', { name: 'orders' }).click();
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('Added the trigger.').waitFor();
  await page.getByRole('table', { name: 'Triggers' }).getByText('Enabled', { exact: true }).waitFor();
  const { EventSourceMappings } = await boto3(server, 'lambda', 'list_event_source_mappings', { FunctionName: NAME });
  assert.deepEqual(EventSourceMappings[0].FunctionResponseTypes, ['ReportBatchItemFailures']);
  await screenshot(page, 'configuration', 1800);
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('radio', { name: /orders/ }).check({ force: true });
  const mapping = async () => (await boto3(server, 'lambda', 'list_event_source_mappings', { FunctionName: NAME })).EventSourceMappings[0];
  const [settings, triggers] = [page.getByRole('dialog'), page.getByRole('table', { name: 'Triggers' })];
  await page.getByRole('button', { name: 'Edit trigger' }).click();
  await settings.getByLabel('Batch size').fill('100');
  await settings.getByLabel('Filter criteria').fill('{"body": {"kind": "order"}}');
  await settings.getByRole('button', { name: 'Save' }).click();
  await settings.getByText(/MaximumBatchingWindowInSeconds|Maximum batch window/i).first().waitFor();
  await settings.getByLabel('Batch window').fill('1');
  await settings.getByRole('button', { name: 'Save' }).click();
  await settings.getByText(/pattern/i).filter({ hasText: /invalid|not valid/i }).first().waitFor();
  assert.deepEqual([(await mapping()).BatchSize, (await mapping()).FilterCriteria], [10, undefined]);
  const patterns = ['{"body": {"kind": ["order"]}}', '{"body": {"count": [{"numeric": [">", 3]}]}}'];
  await settings.getByLabel('Filter criteria').fill(patterns.join('\n'));
  await settings.getByLabel('Maximum concurrency').fill('5');
  await settings.getByText('Report batch item failures').click();
  await settings.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Changed the trigger.').waitFor();
  const changed = await mapping();
  assert.deepEqual(
    [changed.BatchSize, changed.MaximumBatchingWindowInSeconds, changed.FunctionResponseTypes, changed.FilterCriteria, changed.ScalingConfig],
    [100, 1, [], { Filters: patterns.map((Pattern) => ({ Pattern })) }, { MaximumConcurrency: 5 }],
  );
  await page.getByRole('button', { name: 'Edit trigger' }).click();
  assert.equal(await settings.getByLabel('Filter criteria').inputValue(), patterns.join('\n'));
  await settings.getByLabel('Filter criteria').fill('');
  await settings.getByLabel('Maximum concurrency').fill('');
  await settings.getByRole('button', { name: 'Save' }).click();
  await settings.waitFor({ state: 'detached' });
  assert.deepEqual([(await mapping()).FilterCriteria, (await mapping()).ScalingConfig], [undefined, undefined]);
  for (const [deed, state] of [['Disable', 'Disabled'], ['Enable', 'Enabled']]) {
    await page.getByRole('button', { name: deed, exact: true }).click();
    await triggers.getByText(state, { exact: true }).waitFor();
    assert.equal((await mapping()).State, state);
  }
  await page.getByRole('button', { name: 'Delete trigger' }).click();
  await page.getByText('No queue is worked on.').waitFor();
  assert.deepEqual((await boto3(server, 'lambda', 'list_event_source_mappings', { FunctionName: NAME })).EventSourceMappings, []);
});

test('logging', async () => {
  const choose = async (form, label, value) => {
    const select = form.getByRole('button', { name: new RegExp(`^${label}`) });
    const option = page.getByRole('option', { name: value, exact: true });
    // Once more where the page behind it was drawn anew, which closes the list.
    while (!(await option.isVisible())) {
      await select.click();
      await option.waitFor({ timeout: 2000 }).catch(() => {});
    }
    await option.click();
  };
  const first = await edit('Logging');
  await choose(first.form, 'Log format', 'JSON');
  await choose(first.form, 'Application log level', 'WARN');
  await choose(first.form, 'System log level', 'DEBUG');
  await first.form.getByLabel('Log group').fill('/shop/orders');
  await first.save();
  assert.deepEqual((await configuration()).LoggingConfig, { LogFormat: 'JSON', ApplicationLogLevel: 'WARN', SystemLogLevel: 'DEBUG', LogGroup: '/shop/orders' });
  const second = await edit('Logging');
  await choose(second.form, 'Log format', 'Text');
  await second.form.getByLabel('Log group').fill('');
  await second.save();
  assert.deepEqual((await configuration()).LoggingConfig, { LogFormat: 'Text', LogGroup: `/aws/lambda/${NAME}` });
});

test('permissions', async () => {
  const statements = async () => JSON.parse((await boto3(server, 'lambda', 'get_policy', { FunctionName: NAME })).Policy).Statement;
  await page.getByRole('button', { name: 'Add permission' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Statement ID').fill('events');
  await dialog.getByLabel('Principal').fill('events.amazonaws.com');
  const source = 'arn:aws:events:us-east-1:000000000000:rule/nightly';
  await dialog.getByLabel(/Source ARN/).fill(source);
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByRole('table', { name: 'Permissions' }).getByText('events.amazonaws.com').waitFor();
  const [statement] = await statements();
  assert.deepEqual(
    [statement.Sid, statement.Principal, statement.Action, statement.Condition],
    ['events', { Service: 'events.amazonaws.com' }, 'lambda:InvokeFunction', { ArnLike: { 'AWS:SourceArn': source } }],
  );
  await page.getByRole('radio', { name: 'Select events' }).check({ force: true });
  await page.getByRole('button', { name: 'Remove statement' }).click();
  await page.getByText('Removed the statement events.').waitFor();
  await assert.rejects(statements(), /ResourceNotFound/);
});

test('tags', async () => {
  const tags = async () => (await boto3(server, 'lambda', 'get_function', { FunctionName: NAME })).Tags;
  await boto3(server, 'lambda', 'tag_resource', { Resource: (await configuration()).FunctionArn, Tags: { old: '1' } });
  await page.reload();
  const { form, save } = await edit('Tags');
  await form.getByRole('button', { name: 'Remove' }).first().click();
  await form.getByRole('button', { name: 'Add tag' }).click();
  await form.getByLabel('Key 1').fill('team');
  await form.getByLabel('Value 1').fill('blue + green');
  await save();
  assert.deepEqual(await tags(), { team: 'blue + green' });
});

faultless();
