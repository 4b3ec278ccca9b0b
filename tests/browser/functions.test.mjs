// The list of functions, with very many of them, and functions that are made without a blueprint, in another region, deleted.

import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';

import { boto3, browse, createMany, faultless, open, page, Server, server } from './world.mjs';

const MANY = 10_000;
const nameOf = (number) => `many-${String(number).padStart(5, '0')}`;
/** Milliseconds: the goal is what feels immediate, a tenth of it on a machine of its own; tests share theirs. */
const SOON = 5000;

const table = () => page.getByRole('table', { name: 'Functions' });

async function within(time, what, deed) {
  const begun = Date.now();
  await deed();
  const took = Date.now() - begun;
  console.log(`${what}: ${took} ms`);
  assert.ok(took < time, `${what} took ${took} ms`);
}

open();

test('a function is made from scratch, with every character that a name may have', async () => {
  const name = 'abcdefghijklmnopqrstuvwxyz-ABCDEFGHIJKLMNOPQRSTUVWXYZ_0123456789';
  await page.goto(`${server.endpoint}/console#/create`);
  await page.getByText('Author from scratch').click();
  await page.getByLabel('Function name').fill(`${name}-`);
  await page.getByText('The name has 1 to 64').waitFor();
  await page.getByLabel('Function name').fill(name);
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name, exact: true }).waitFor({ timeout: 120_000 });
  const { Configuration } = await boto3(server, 'lambda', 'get_function', { FunctionName: name });
  assert.deepEqual([Configuration.Runtime, Configuration.State], ['nodejs22.x', 'Active']);
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  assert.deepEqual(JSON.parse(await page.getByTestId('response').textContent()), { statusCode: 200, body: '"Hello from Lambda!"' });
  // All of its tabs know it by its name.
  for (const [tab, mark] of [['Test', 'Test event'], ['Monitor', 'Recent invocations'], ['Configuration', 'General configuration'], ['Aliases', 'Create alias'], ['Versions', 'Publish new version']]) {
    await page.getByRole('tab', { name: tab }).click();
    await page.getByText(mark).first().waitFor();
  }
  await page.reload();
  await page.getByText('Publish new version').waitFor();
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await page.keyboard.press('Enter');
  await page.getByText(`Deleted ${name}.`).waitFor();
  await page.getByText('No functions yet').waitFor();
  assert.deepEqual((await boto3(server, 'lambda', 'list_functions')).Functions, []);
});

test('another region is another list; light and dark are chosen', async () => {
  const other = await browse(server);
  const lists = async (region) => (await boto3(server, 'lambda', 'list_functions', {}, region)).Functions.map(({ FunctionName }) => FunctionName);
  try {
    await other.page.goto(`${server.endpoint}/console#/create`);
    await other.page.getByRole('button', { name: 'Region us-east-1' }).click();
    await other.page.getByRole('menuitem', { name: 'eu-west-1' }).click();
    await other.page.getByRole('button', { name: 'Region eu-west-1' }).waitFor();
    await other.page.getByLabel('Function name').fill('abroad');
    await other.page.getByRole('button', { name: 'Create function' }).click();
    await other.page.getByRole('heading', { name: 'abroad', exact: true }).waitFor({ timeout: 120_000 });
    assert.deepEqual([await lists('eu-west-1'), await lists('us-east-1')], [['abroad'], []]);
    // Sample events are of that region, too.
    await other.page.getByRole('tab', { name: 'Test' }).click();
    await other.page.getByRole('button', { name: /Template or saved event/ }).click();
    await other.page.getByRole('combobox', { name: 'Find an event' }).or(other.page.getByLabel('Find an event')).first().fill('SQS');
    await other.page.getByRole('option', { name: 'SQS message' }).or(other.page.getByRole('option', { name: /SQS/ })).first().click();
    await other.page.getByRole('textbox', { name: 'Event JSON' }).getByText(/arn:aws:sqs:eu-west-1:000000000000:/).first().waitFor();
    await other.page.getByRole('button', { name: 'Appearance' }).click();
    await other.page.getByRole('menuitemcheckbox', { name: 'Dark' }).click();
    await other.page.waitForFunction(() => document.body.classList.contains('awsui-dark-mode'));
    await other.page.reload();
    await other.page.getByRole('heading', { name: 'abroad', exact: true }).waitFor();
    assert.ok(await other.page.evaluate(() => document.body.classList.contains('awsui-dark-mode')));
    assert.deepEqual(other.faults, []);
  } finally {
    await other.close();
  }
});

test('what cannot run says so, in the list and on its page', async () => {
  const nowhere = await mkdtemp(join(tmpdir(), 'lambkin-no-runtimes-'));
  // Nothing answers there: no Node.js can be fetched.
  const silent = 'http://127.0.0.1:9/';
  const poor = await Server.start(['--node-mirror', silent], nowhere, { npm_config_registry: silent, npm_config_fetch_retries: '0' });
  const other = await browse(poor);
  try {
    await other.page.goto(`${poor.endpoint}/console#/create`);
    await other.page.getByLabel('Function name').fill('poor');
    await other.page.getByRole('button', { name: 'Create function' }).click();
    await other.page.getByText('The function cannot run').waitFor({ timeout: 60_000 });
    const { State, StateReason } = await boto3(poor, 'lambda', 'get_function_configuration', { FunctionName: 'poor' });
    assert.equal(State, 'Failed');
    await other.page.getByText(StateReason).first().waitFor();
    await other.page.goto(`${poor.endpoint}/console#/functions`);
    await other.page.getByRole('row', { name: /poor/ }).getByText('Failed', { exact: true }).waitFor();
  } finally {
    await other.close();
    await poor.stop();
    await rm(nowhere, { recursive: true, force: true });
  }
});

test('ten thousand functions are listed, found, sorted and paged', async () => {
  await createMany(server, Array.from({ length: MANY }, (_, number) => nameOf(number)));
  await boto3(server, 'lambda', 'update_function_configuration', { FunctionName: nameOf(4711), MemorySize: 512, Description: 'The one that differs' });
  await page.goto(`${server.endpoint}/console`);
  await page.getByText('Up', { exact: true }).waitFor();
  await within(SOON, 'the first of 10,000 functions', async () => {
    await page.goto(`${server.endpoint}/console#/functions`);
    await table().getByRole('link', { name: nameOf(0) }).waitFor();
  });
  await within(4 * SOON, 'all of 10,000 functions', () => page.getByText(`(${MANY})`).waitFor());
  assert.equal(await table().getByRole('link').count(), 50);
  // By name, description and runtime.
  for (const [words, found] of [[nameOf(9999), 1], ['ONE THAT differs', 1], ['many-012', 100], ['nodejs22', MANY], ['nothing', 0]]) {
    await within(SOON, `"${words}" of 10,000 functions`, async () => {
      await page.getByLabel('Find functions').fill(words);
      await page.getByText(`${found} found`, { exact: true }).first().waitFor();
    });
  }
  await page.getByText('No function matches.').waitFor();
  await page.getByLabel('Find functions').fill('');
  // Once for the smallest first, once for the largest.
  const sort = page.getByRole('columnheader', { name: 'Memory' }).getByRole('button');
  await sort.press('Enter');
  await within(SOON, '10,000 functions by memory', async () => {
    await sort.press('Enter');
    await table().getByRole('row').nth(1).getByText('512 MB').waitFor();
  });
  await table().getByRole('row').nth(1).getByText('Active', { exact: true }).waitFor();
  const row = await table().getByRole('row').nth(1).textContent();
  for (const words of [nameOf(4711), 'The one that differs', 'nodejs22.x', '512 MB', 'Active', /\d+ (second|minute)s? ago/]) assert.match(row, new RegExp(words));
  await page.getByRole('columnheader', { name: 'Name' }).getByRole('button').press('Enter');
  await within(SOON, 'the last page of 10,000 functions', async () => {
    await page.getByRole('button', { name: `Page ${MANY / 50} of all pages` }).click();
    await table().getByRole('link', { name: nameOf(MANY - 1) }).waitFor();
  });
  // Who comes back finds the list at once; what went meanwhile goes from it.
  await boto3(server, 'lambda', 'delete_function', { FunctionName: nameOf(0) });
  await table().getByRole('link', { name: nameOf(MANY - 1) }).click();
  await page.getByRole('heading', { name: nameOf(MANY - 1), exact: true }).waitFor();
  await page.goBack();
  await within(SOON, '10,000 functions again', () => table().getByRole('link', { name: nameOf(1) }).waitFor());
  await page.getByText(`(${MANY - 1})`).waitFor();
  await table().getByRole('link', { name: nameOf(0) }).waitFor({ state: 'detached' });
});

test('of ten thousand functions one is chosen for a topic', async () => {
  const { TopicArn } = await boto3(server, 'sns', 'create_topic', { Name: 'news' });
  await page.goto(`${server.endpoint}/console#/topics`);
  await page.getByRole('radio', { name: 'Select news' }).check({ force: true });
  await page.getByRole('button', { name: 'Create subscription' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: /Function or queue/ }).click();
  await page.getByLabel('Find a function or a queue').fill(nameOf(MANY - 1));
  await page.getByRole('option', { name: new RegExp(nameOf(MANY - 1)) }).click();
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await page.getByText('Subscribed to news.').waitFor();
  const [made] = (await boto3(server, 'sns', 'list_subscriptions_by_topic', { TopicArn })).Subscriptions;
  assert.ok(made.Endpoint.endsWith(`:${nameOf(MANY - 1)}`));
});

faultless();
