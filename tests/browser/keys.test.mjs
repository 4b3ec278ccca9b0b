// A lambkin that verifies signatures: the console asks for a key, and works with it.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { open, page, server } from './world.mjs';

open();

test('it asks for a key, and takes no wrong one', async () => {
  const { accessKeyId, secretAccessKey } = await server.key();
  await page.goto(`${server.endpoint}/console`);
  const dialog = page.getByRole('dialog');
  for (const secret of ['wrong', secretAccessKey]) {
    await dialog.getByLabel('Access key ID').fill(accessKeyId);
    await dialog.getByLabel('Secret access key').fill(secret);
    await dialog.getByRole('button', { name: 'Use these keys' }).click();
    await page.waitForLoadState('load');
    if (secret === 'wrong') await page.getByText(/signature we calculated does not match/).first().waitFor();
  }
  await page.getByText('Up', { exact: true }).waitFor();
  assert.equal(await dialog.count(), 0);
  // In this tab alone, and only as long as it is there.
  assert.ok(!(await page.evaluate(() => JSON.stringify(localStorage))).includes(secretAccessKey));
  assert.ok((await page.evaluate(() => JSON.stringify(sessionStorage))).includes(secretAccessKey));
  assert.deepEqual(await page.context().cookies(), []);
  const other = await page.context().newPage();
  await other.goto(`${server.endpoint}/console`);
  await other.getByRole('dialog').getByLabel('Secret access key').waitFor();
  await other.close();
  await page.reload();
  await page.getByText('Up', { exact: true }).waitFor();
});

test('a function is made, changed and tested with it', async () => {
  await page.goto(`${server.endpoint}/console#/create`);
  await page.getByLabel('Function name').fill('a-b_C');
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name: 'a-b_C' }).waitFor({ timeout: 120_000 });
  await page.getByRole('textbox', { name: 'index.mjs' }).waitFor();
  await page.getByRole('tab', { name: 'Test' }).click();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  await page.getByLabel('Event name').fill('kept');
  await page.getByRole('button', { name: 'Save event' }).click();
  await page.getByText('Saved the test event kept.').waitFor();
  await page.goto(`${server.endpoint}/console#/logs`);
  await page.getByRole('link', { name: '/aws/lambda/a-b_C' }).click();
  await page.getByRole('log', { name: 'Log events' }).getByText('REPORT').first().waitFor();
  await page.goto(`${server.endpoint}/console#/topics`);
  await page.getByText('No topics yet.').waitFor();
});
