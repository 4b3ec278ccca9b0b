// Function URLs: with the blueprints that answer HTTP, and on the Configuration tab; each is called, as nobody in particular.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import { test } from 'node:test';

import { accessibilityFaults, boto3, faultless, open, page, screenshot, server, tabTo } from './world.mjs';

const url = (FunctionName, Qualifier) => boto3(server, 'lambda', 'get_function_url_config', { FunctionName, ...(Qualifier && { Qualifier }) });

/** Status and pieces of what a URL answers; its host name leads here, whatever the machine resolves. */
function ask(address, headers = {}) {
  const { host, port } = new URL(address);
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path: '/', headers: { ...headers, host } }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(String(piece)));
      response.on('end', () => resolve({ status: response.statusCode, headers: response.headers, pieces, text: pieces.join('') }));
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

open();

test('with the keyboard alone a function is made that answers HTTP, and tested', async () => {
  await page.goto(`${server.endpoint}/console`);
  const blueprint = page.getByRole('link', { name: 'HTTP endpoint' });
  await blueprint.waitFor();
  await tabTo(page, blueprint);
  await page.keyboard.press('Enter');
  const name = page.getByLabel('Function name');
  await name.waitFor();
  await tabTo(page, name);
  await page.keyboard.type('web');
  await tabTo(page, page.getByRole('button', { name: 'Create function' }));
  await page.keyboard.press('Enter');
  await page.getByRole('heading', { name: 'web' }).waitFor({ timeout: 120_000 });
  await tabTo(page, page.getByRole('tab', { name: 'Code' }));
  await page.keyboard.press('ArrowRight');
  await page.keyboard.press('Enter');
  const run = page.getByRole('button', { name: 'Test', exact: true });
  await run.waitFor();
  await tabTo(page, run);
  await page.keyboard.press('Enter');
  await page.getByText('Executing function: succeeded').waitFor();
  const made = await url('web');
  assert.deepEqual([made.AuthType, made.InvokeMode], ['NONE', 'BUFFERED']);
  const { status, headers } = await ask(made.FunctionUrl);
  assert.deepEqual([status, headers['content-type']?.split(';')[0]], [200, 'application/json']);
});

test('what streams is streamed', async () => {
  await page.goto(`${server.endpoint}/console#/create?blueprint=streaming`);
  await page.getByLabel('Function name').fill('stream');
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name: 'stream' }).waitFor({ timeout: 120_000 });
  await page.getByText('Created the function stream.').waitFor();
  const made = await url('stream');
  assert.deepEqual([made.AuthType, made.InvokeMode], ['NONE', 'RESPONSE_STREAM']);
  const { status, pieces } = await ask(made.FunctionUrl);
  assert.equal(status, 200);
  assert.ok(pieces.length > 1, `${pieces.length} pieces`);
});

test('where none is wanted none is made', async () => {
  await page.goto(`${server.endpoint}/console#/create?blueprint=http`);
  await page.getByLabel('Function name').fill('plain');
  await page.getByRole('checkbox', { name: 'Create a function URL' }).uncheck({ force: true });
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name: 'plain' }).waitFor({ timeout: 120_000 });
  await assert.rejects(url('plain'), /ResourceNotFound/);
  await assert.rejects(boto3(server, 'lambda', 'get_policy', { FunctionName: 'plain' }), /ResourceNotFound/);
});

test('a URL is created, opened and closed, answers browsers, and is deleted', async () => {
  const dialog = page.getByRole('dialog');
  const table = page.getByRole('table', { name: 'Function URLs' });
  const choose = async (label, option) => {
    await dialog.getByRole('button', { name: new RegExp(`^${label}`) }).click();
    await page.getByRole('option', { name: option }).click();
  };
  await page.getByRole('tab', { name: 'Configuration' }).click();
  await page.getByRole('button', { name: 'Create function URL' }).click();
  await dialog.getByText('Configure CORS').click();
  await dialog.getByLabel('Max age').fill('90000');
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await dialog.getByText(/86400/).last().waitFor();
  await assert.rejects(url('plain'), /ResourceNotFound/);
  await dialog.getByLabel('Allow origins').fill('https://a.example, https://b.example');
  await dialog.getByLabel('Allow methods').fill('GET');
  await dialog.getByLabel('Allow headers').fill('x-one, x-two');
  await dialog.getByLabel('Expose headers').fill('x-three');
  await dialog.getByLabel('Max age').fill('600');
  await dialog.getByText('Allow credentials').click();
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await table.getByText('AWS_IAM').waitFor();
  const made = await url('plain');
  assert.deepEqual([made.AuthType, made.InvokeMode, made.Cors], ['AWS_IAM', 'BUFFERED', {
    AllowCredentials: true, AllowHeaders: ['x-one', 'x-two'], AllowMethods: ['GET'],
    AllowOrigins: ['https://a.example', 'https://b.example'], ExposeHeaders: ['x-three'], MaxAge: 600,
  }]);
  await table.getByRole('link', { name: made.FunctionUrl }).waitFor();
  assert.equal((await ask(made.FunctionUrl)).status, 403, 'nobody in particular');
  await page.getByRole('button', { name: 'Edit URL' }).click();
  await choose('Auth type', /^NONE/);
  await dialog.getByText('Allow everybody to call it').waitFor();
  await choose('Invoke mode', /^Response streaming/);
  assert.deepEqual(await accessibilityFaults(page), []);
  await dialog.getByRole('button', { name: 'Save' }).click();
  await table.getByText('NONE', { exact: true }).waitFor();
  const changed = await url('plain');
  assert.deepEqual([changed.AuthType, changed.InvokeMode], ['NONE', 'RESPONSE_STREAM']);
  const answer = await ask(made.FunctionUrl, { origin: 'https://b.example' });
  assert.deepEqual([answer.status, answer.headers['access-control-allow-origin']], [200, 'https://b.example']);
  await table.scrollIntoViewIfNeeded();
  await screenshot(page, 'urls');
  await page.getByRole('button', { name: 'Edit URL' }).click();
  await dialog.getByText('Allow everybody to call it').click();
  await dialog.getByText('Configure CORS').click();
  await dialog.getByRole('button', { name: 'Save' }).click();
  await dialog.waitFor({ state: 'detached' });
  assert.equal((await url('plain')).Cors, undefined);
  assert.equal((await ask(made.FunctionUrl)).status, 403, 'no statement lets anybody');
  await page.getByRole('button', { name: 'Delete URL' }).click();
  await dialog.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted the function URL.').waitFor();
  await assert.rejects(url('plain'), /ResourceNotFound/);
});

test('an alias has a URL of its own', async () => {
  await boto3(server, 'lambda', 'publish_version', { FunctionName: 'plain' });
  await boto3(server, 'lambda', 'create_alias', { FunctionName: 'plain', Name: 'live', FunctionVersion: '1' });
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Create function URL' }).click();
  await dialog.getByRole('button', { name: /^Function or alias/ }).click();
  await page.getByRole('option', { name: 'live' }).click();
  await dialog.getByRole('button', { name: /^Auth type/ }).click();
  await page.getByRole('option', { name: /^NONE/ }).click();
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByRole('table', { name: 'Function URLs' }).getByText('live').waitFor();
  assert.equal((await ask((await url('plain', 'live')).FunctionUrl)).status, 200);
  await page.getByRole('button', { name: 'Delete URL' }).click();
  await dialog.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('It has no URL.').waitFor();
  await assert.rejects(boto3(server, 'lambda', 'get_policy', { FunctionName: 'plain', Qualifier: 'live' }), /ResourceNotFound/);
});

faultless();
