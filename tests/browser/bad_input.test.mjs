// What is too much, too long or no text: the console shows what it can of it, and loses nothing.

import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { test } from 'node:test';

import { boto3, createFunction, faultless, open, page, server, type } from './world.mjs';

const LINES = 100_000;
/** The largest answer of a function. */
const LARGEST = 6 * 1024 * 1024;
/** No UTF-8, a NUL among it, and every byte. */
const BYTES = Buffer.from(Array.from({ length: 512 }, (_, at) => (at * 7) % 256));

const LARGE = `
exports.handler = async (event) => {
  for (let line = 1; line <= (event.lines ?? 0); line++) console.log('line ' + line + ' of many');
  return 'x'.repeat(event.length ?? 0);
};
`;
const BINARY = `
const fs = require('fs');
exports.handler = async () => ({ bytes: fs.readFileSync(__dirname + '/data.bin').toString('base64'), said: 'first' });
`;

const create = (...of) => createFunction(server, ...of);
const invoked = async (name) => JSON.parse((await boto3(server, 'lambda', 'invoke', { FunctionName: name })).Payload);
const saved = async (download) => readFile(await (await download).path());

open(async () => {
  await create('large', { 'index.js': LARGE }, { Timeout: 120, MemorySize: 512 });
  await create('binary', { 'index.js': BINARY, 'data.bin': { base64: BYTES.toString('base64') } });
  await create('target', { 'index.js': 'exports.handler = async () => "nothing";' });
});

test('a binary file is offered as it is, and an edit beside it leaves it whole', async () => {
  await page.goto(`${server.endpoint}/console#/functions/binary`);
  await page.getByRole('textbox', { name: 'index.js' }).waitFor();
  await page.getByRole('button', { name: /data\.bin/ }).click();
  await page.getByText(`A binary file of ${BYTES.length} bytes.`).waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download', exact: true }).click();
  assert.deepEqual(await saved(download), BYTES);
  await page.getByRole('button', { name: /index\.js/ }).click();
  await type(page, 'index.js', BINARY.replace('first', 'second'));
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText('Deployed binary.').waitFor();
  assert.deepEqual(await invoked('binary'), { bytes: BYTES.toString('base64'), said: 'second' });
});

test('a package is downloaded, and uploaded to another function', async () => {
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'File', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Download as .zip' }).click();
  const file = await download;
  assert.equal(file.suggestedFilename(), 'binary.zip');
  const zip = await saved(download);
  await page.goto(`${server.endpoint}/console#/functions/target`);
  await page.getByRole('heading', { name: 'target' }).waitFor();
  await page.getByRole('textbox', { name: 'index.js' }).waitFor();
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'File', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Upload a .zip file' }).click();
  await (await chooser).setFiles({ name: 'binary.zip', mimeType: 'application/zip', buffer: zip });
  await page.getByText('Deployed target.').waitFor();
  await page.getByRole('button', { name: /data\.bin/ }).waitFor();
  assert.deepEqual(await invoked('target'), { bytes: BYTES.toString('base64'), said: 'second' });
  const { Configuration } = await boto3(server, 'lambda', 'get_function', { FunctionName: 'target' });
  assert.equal(Configuration.CodeSize, zip.length);
});

test('what is no zip is refused, and the former package stays', async () => {
  const chooser = page.waitForEvent('filechooser');
  await page.getByRole('button', { name: 'File', exact: true }).click();
  await page.getByRole('menuitem', { name: 'Upload a .zip file' }).click();
  await (await chooser).setFiles({ name: 'no.zip', mimeType: 'application/zip', buffer: BYTES });
  await page.getByText(/Not deployed: InvalidParameterValueException/).waitFor();
  assert.equal((await invoked('target')).said, 'second');
});

test('an answer of 6 MB is shown in its beginning, and downloaded whole', async () => {
  await page.goto(`${server.endpoint}/console#/functions/large/test`);
  // The quotes count.
  await type(page, 'Event JSON', JSON.stringify({ length: LARGEST - 2 }));
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor({ timeout: 60_000 });
  await page.getByText(`The beginning of ${LARGEST.toLocaleString('en-US')} characters.`).waitFor();
  const shown = (await page.getByTestId('response').textContent()).length;
  assert.ok(shown > 100_000 && shown < 300_000, `${shown}`);
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download all of it' }).click();
  const whole = await saved(download);
  assert.equal(whole.length, LARGEST);
  assert.ok(whole.equals(Buffer.from(`"${'x'.repeat(LARGEST - 2)}"`)));
  // The page still answers.
  await type(page, 'Event JSON', '{"length": 3}');
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByTestId('response').getByText('"xxx"').waitFor();
});

test('a log of 100,000 lines is read to its end, searched, and does not stop the page', async () => {
  await boto3(server, 'lambda', 'invoke', { FunctionName: 'large', Payload: JSON.stringify({ lines: LINES }) });
  await page.goto(`${server.endpoint}/console#/logs/${encodeURIComponent('/aws/lambda/large')}`);
  const lines = page.getByRole('log', { name: 'Log events' });
  await lines.getByText(`line ${LINES} of many`).waitFor({ timeout: 60_000 });
  await page.getByText(/The newest 1000 of 100\d\d\d lines/).waitFor();
  assert.equal(await lines.locator('> div').count(), 1000);
  await page.getByLabel('Filter pattern').fill('"line 4711 "');
  await page.getByText('1 line', { exact: true }).waitFor();
  await lines.getByText('line 4711 of many').waitFor();
});

test('names of every allowed character lead to their pages; what is no name leads nowhere', async () => {
  const group = '/aZ09._-#/group/#';
  await boto3(server, 'logs', 'create_log_group', { logGroupName: group });
  await boto3(server, 'logs', 'create_log_stream', { logGroupName: group, logStreamName: 'a stream' });
  await boto3(server, 'logs', 'put_log_events', { logGroupName: group, logStreamName: 'a stream', logEvents: [{ timestamp: Date.now(), message: 'written <b>by hand</b> %41' }] });
  await page.goto(`${server.endpoint}/console#/logs`);
  await page.getByRole('link', { name: group }).click();
  await page.getByRole('heading', { name: group }).waitFor();
  await page.getByRole('log', { name: 'Log events' }).getByText('written <b>by hand</b> %41').waitFor();
  await page.reload();
  await page.getByRole('heading', { name: group }).waitFor();
  // A test event, an alias and a layer of such names.
  await page.goto(`${server.endpoint}/console#/functions/target/test`);
  await page.getByLabel('Event name').fill('aZ09-_.event');
  await page.getByRole('button', { name: 'Save event' }).click();
  await page.getByText('Saved the test event aZ09-_.event.').waitFor();
  await boto3(server, 'lambda', 'publish_version', { FunctionName: 'target' });
  await page.getByRole('tab', { name: 'Aliases' }).click();
  await page.getByRole('button', { name: 'Create alias' }).click();
  await page.getByLabel('Alias name').fill('aZ09-_');
  await page.keyboard.press('Enter');
  await page.getByText('The alias aZ09-_ is created.').waitFor();
  assert.equal((await boto3(server, 'lambda', 'get_alias', { FunctionName: 'target', Name: 'aZ09-_' })).FunctionVersion, '$LATEST');
  await page.getByRole('radio', { name: 'Select alias aZ09-_' }).check({ force: true });
  await page.getByRole('button', { name: 'Test alias' }).click();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  for (const [place, said] of [['#/functions/nobody', 'Function not found'], ['#/functions/%E0%A4%A', 'Value'], ['#/nothing', 'There is no such page.']]) {
    await page.goto(`${server.endpoint}/console${place}`);
    await page.getByText(said).first().waitFor();
  }
});

faultless();
