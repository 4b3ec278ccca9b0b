// Versions and aliases, and what is provisioned for them; every page in the dark and narrow.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessibilityFaults, boto3, browse, createFunction, faultless, open, page, screenshot, server, type } from './world.mjs';

const NAME = 'released';

open(async () => {
  await createFunction(server, NAME, { 'index.mjs': 'export const handler = async () => ({ batchItemFailures: [] });' });
  await page.goto(`${server.endpoint}/console#/functions/${NAME}`);
});

test('versions are published', async () => {
  await page.getByRole('tab', { name: 'Versions' }).click();
  for (const [version, description] of [['1', 'the first'], ['2', 'the second']]) {
    if (version === '2') {
      await boto3(server, 'lambda', 'update_function_configuration', { FunctionName: NAME, Description: 'changed' });
    }
    await page.getByRole('button', { name: 'Publish new version' }).click();
    // A dialog begins in its first field, and Enter does its deed.
    await page.getByLabel(/Version description/).and(page.locator(':focus')).waitFor();
    await page.keyboard.type(description);
    await page.keyboard.press('Enter');
    await page.getByText(`Version ${version} is published.`).waitFor();
    const published = await boto3(server, 'lambda', 'get_function_configuration', { FunctionName: NAME, Qualifier: version });
    assert.deepEqual([published.Version, published.Description], [version, description]);
  }
  await page.getByRole('table', { name: 'Versions' }).getByText('the second').waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
});

test('a version says what bounds its environments', async () => {
  const Qualifier = '2';
  const choose = async () => page.getByRole('radio', { name: 'Select version 2' }).check({ force: true });
  await choose();
  await page.getByText('Environments of version 2: as many as are needed.').waitFor();
  const put = (FunctionScalingConfig) => boto3(server, 'lambda', 'put_function_scaling_config', { FunctionName: NAME, Qualifier, FunctionScalingConfig });
  await put({ MinExecutionEnvironments: 0, MaxExecutionEnvironments: 3 });
  await page.getByRole('radio', { name: 'Select version 1' }).check({ force: true });
  await page.getByText(/Environments of version 1/).waitFor();
  await choose();
  await page.getByText('Environments of version 2: as many as are needed, at most 3.').waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
  await put({});
});

test('concurrency is provisioned for a version', async () => {
  const listed = async () => (await boto3(server, 'lambda', 'list_provisioned_concurrency_configs', { FunctionName: NAME })).ProvisionedConcurrencyConfigs;
  const about = () => boto3(server, 'lambda', 'get_provisioned_concurrency_config', { FunctionName: NAME, Qualifier: '2' });
  await page.getByRole('tab', { name: 'Configuration' }).click();
  const table = page.getByRole('table', { name: 'Provisioned concurrency' });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Add provisioned' }).click();
  await dialog.getByRole('button', { name: /Version or alias/ }).click();
  await page.getByRole('option', { name: /^2/ }).click();
  await dialog.getByLabel('Environments').fill('0');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.getByText(/greater than or equal to 1/).first().waitFor();
  await dialog.getByLabel('Environments').fill('1');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await table.getByText('READY').waitFor();
  const made = await about();
  assert.deepEqual([made.RequestedProvisionedConcurrentExecutions, made.AvailableProvisionedConcurrentExecutions, made.Status], [1, 1, 'READY']);
  await page.getByRole('radio', { name: 'Select what is provisioned for 2' }).check({ force: true });
  await page.getByRole('button', { name: 'Edit provisioned' }).click();
  await dialog.getByLabel('Environments').fill('2');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await about()).RequestedProvisionedConcurrentExecutions, 2);
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('button', { name: 'Remove provisioned' }).click();
  await page.getByText('Nothing is provisioned for 2 any more.').waitFor();
  assert.deepEqual(await listed(), []);
});

test('aliases share their traffic, are tested, changed and deleted', async () => {
  const alias = () => boto3(server, 'lambda', 'get_alias', { FunctionName: NAME, Name: 'live' });
  await page.getByRole('tab', { name: 'Aliases' }).click();
  await page.getByRole('button', { name: 'Create alias' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByLabel('Alias name').fill('live');
  await dialog.getByRole('button', { name: /^Version/ }).click();
  await page.getByRole('option', { name: /^1/ }).click();
  await dialog.getByRole('button', { name: /Additional version/ }).click();
  await page.getByRole('option', { name: /^2/ }).click();
  await dialog.getByLabel('Its weight (%)').fill('25');
  await dialog.getByRole('button', { name: 'Create' }).click();
  await page.getByText('The alias live is created.').waitFor();
  const created = await alias();
  assert.deepEqual([created.FunctionVersion, created.RoutingConfig.AdditionalVersionWeights], ['1', { 2: 0.25 }]);
  await page.getByRole('table', { name: 'Aliases' }).getByText('1 (75 %), 2 (25 %)').waitFor();
  await page.getByRole('radio', { name: 'Select alias live' }).check({ force: true });
  await page.getByRole('button', { name: 'Edit alias' }).click();
  await dialog.getByRole('button', { name: /Additional version/ }).click();
  await page.getByRole('option', { name: 'None' }).click();
  await dialog.getByLabel(/Description/).fill('what people get');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('The alias live is changed.').waitFor();
  const changed = await alias();
  assert.deepEqual([changed.Description, changed.RoutingConfig], ['what people get', undefined]);
  await screenshot(page, 'aliases');
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('button', { name: 'Test alias' }).click();
  await type(page, 'Event JSON', '{"Records": []}');
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  await page.getByRole('region', { name: 'Summary' }).getByText('1', { exact: true }).waitFor();
  assert.deepEqual(JSON.parse(await page.getByTestId('response').textContent()), { batchItemFailures: [] });
  await page.getByRole('tab', { name: 'Aliases' }).click();
  await page.getByRole('radio', { name: 'Select alias live' }).check({ force: true });
  await page.getByRole('button', { name: 'Delete alias' }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted the alias live.').waitFor();
  await assert.rejects(alias(), /ResourceNotFound/);
  await page.getByRole('tab', { name: 'Versions' }).click();
  await page.getByRole('radio', { name: 'Select version 1' }).check({ force: true });
  await page.getByRole('button', { name: 'Delete version' }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted version 1.').waitFor();
  const { Versions } = await boto3(server, 'lambda', 'list_versions_by_function', { FunctionName: NAME });
  assert.deepEqual(Versions.map(({ Version }) => Version), ['$LATEST', '2']);
});

const OWN = ['', '/test', '/monitor', '/configuration', '/versions', '/aliases'].map((tab) => `#/functions/${NAME}${tab}`);
const PLACES = ['', '#/functions', '#/create', '#/layers', '#/mappings', '#/queues', '#/topics', '#/logs', `#/logs/${encodeURIComponent(`/aws/lambda/${NAME}`)}`, ...OWN];

test('every page works at 400 px, in the dark and in the light', async () => {
  const narrow = await browse(server, { width: 400, height: 800, colorScheme: 'dark' });
  const modeIs = (dark) => narrow.page.waitForFunction((wanted) => document.body.classList.contains('awsui-dark-mode') === wanted, dark);
  try {
    for (const place of PLACES) {
      await narrow.page.emulateMedia({ colorScheme: 'dark' });
      await narrow.page.goto(`${server.endpoint}/console${place}`);
      await modeIs(true);
      await narrow.page.getByRole('heading', { level: 1 }).first().waitFor();
      // All of it is there: nothing is asked for, nothing turns.
      await narrow.page.waitForLoadState('networkidle');
      await narrow.page.waitForFunction(() => document.querySelector('[class*="awsui_spinner"]') === null);
      const wide = await narrow.page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
      assert.ok(wide <= 0, `${place} is ${wide} px too wide`);
      assert.deepEqual(await accessibilityFaults(narrow.page), [], `${place} in the dark`);
      // As the system changes, the page does; what is there stays, so that only its colours are looked at again.
      await narrow.page.emulateMedia({ colorScheme: 'light' });
      await modeIs(false);
      assert.deepEqual(await accessibilityFaults(narrow.page, 'color-contrast'), [], `${place} in the light`);
    }
    await narrow.page.emulateMedia({ colorScheme: 'dark' });
    await narrow.page.goto(`${server.endpoint}/console#/functions/${NAME}`);
    await narrow.page.getByRole('textbox', { name: 'index.mjs' }).waitFor();
    await screenshot(narrow.page, 'narrow-dark');
    assert.deepEqual(narrow.faults, []);
  } finally {
    await narrow.close();
  }
});

faultless();
