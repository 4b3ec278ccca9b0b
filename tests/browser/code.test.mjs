// The Code tab beyond the first run: files and folders, find, line ends, what cannot be edited, two tabs, a slow lambkin,
// runtime settings and layers. boto3 reads back what was deployed.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';

import { boto3, browser, createFunction, faultless, open, page, server, type } from './world.mjs';

const NAME = 'files';
const SAYS = (word) => `exports.handler = async () => '${word}';\n`;

const at = (name) => `${server.endpoint}/console#/functions/${name}`;
const invoked = async (name = NAME) => (await boto3(server, 'lambda', 'invoke', { FunctionName: name })).Payload;
const configuration = (name = NAME) => boto3(server, 'lambda', 'get_function_configuration', { FunctionName: name });
const editor = (name) => page.getByRole('textbox', { name, exact: true });
const files = () => page.getByRole('navigation', { name: 'Files' });

/** Code that lambkin runs as it is. */
const directory = mkdtempSync(join(tmpdir(), 'lambkin-hot-'));
// Functions run as somebody else.
chmodSync(directory, 0o755);
after(() => rmSync(directory, { recursive: true }));

/** A package's files by name, as they are in what is deployed. */
async function deployed(name = NAME) {
  const { Code: { Location } } = await boto3(server, 'lambda', 'get_function', { FunctionName: name });
  const zip = Buffer.from(await (await fetch(Location)).arrayBuffer()).toString('base64');
  return (await boto3(server, 'zip', 'read', { zip })).files;
}

async function item(name) {
  await page.getByRole('button', { name: 'File', exact: true }).click();
  await page.getByRole('menuitem', { name }).click();
}

/** Deploys and waits for it; what was said of former deployments goes first. */
async function deploy(of = page, name = NAME, start = () => of.getByRole('button', { name: 'Deploy', exact: true }).click()) {
  const dismiss = of.getByRole('button', { name: 'Dismiss' });
  // One may go by itself before it is clicked.
  while ((await dismiss.count()) > 0) await dismiss.first().click({ timeout: 1000 }).catch(() => {});
  await start();
  await of.getByText(`Deployed ${name}.`).waitFor();
}

open(async () => {
  await createFunction(server, NAME, {
    'index.js': "const { word } = require('./lib/word');\nexports.handler = async () => word;\n",
    'lib/word.js': "exports.word = 'first';\n",
    'windows.txt': 'one\r\ntwo\r\n',
    'empty/': '',
  });
  await page.goto(at(NAME));
  await editor('index.js').waitFor();
}, ['--hot-reload', directory]);

test('files are shown by folder, made, changed and deleted, and deployed together', async () => {
  await files().getByText('lib/').waitFor();
  await item('New file');
  const dialog = page.getByRole('dialog');
  for (const wrong of ['index.js', 'lib/', 'a/../b']) {
    await dialog.getByLabel('Name of the file').fill(wrong);
    assert.ok(await dialog.getByRole('button', { name: 'Create' }).isDisabled(), wrong);
  }
  const odd = 'lib/100% odd & <b>"name" #1 ä.js';
  await dialog.getByLabel('Name of the file').fill(odd);
  await page.keyboard.press('Enter');
  await type(page, odd, "exports.word = 'second';\n");
  await files().getByRole('button', { name: 'index.js' }).click();
  await type(page, 'index.js', `const { word } = require(${JSON.stringify(`./${odd}`)});\nexports.handler = async () => word;\n`);
  await files().getByRole('button', { name: 'word.js' }).click();
  await item('Delete lib/word.js');
  await page.getByText('This file goes with the next deployment.').waitFor();
  assert.equal(await page.getByRole('img', { name: 'not deployed' }).count(), 2);
  assert.equal(await invoked(), '"first"', 'nothing is deployed yet');
  await deploy();
  assert.equal(await invoked(), '"second"');
  assert.deepEqual(Object.keys(await deployed()).sort(), ['empty/', 'index.js', odd, 'windows.txt'].sort());
  // A stack leads there, whatever its name.
  await files().getByRole('button', { name: odd.slice(4) }).click();
  await type(page, odd, "exports.word = 'second';\nexports.fail = () => { throw new Error('odd'); };\n");
  await files().getByRole('button', { name: 'index.js' }).click();
  await type(page, 'index.js', `const { fail } = require(${JSON.stringify(`./${odd}`)});\nexports.handler = async () => fail();\n`);
  await deploy();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByTestId('response').getByText('Error: odd').waitFor();
  await page.getByTestId('response').getByRole('button', { name: /100% odd.*:2:/ }).click();
  await page.locator('.workbench .cm-activeLine', { hasText: 'exports.fail' }).waitFor();
  // ... and comes back to where it was.
  await files().getByRole('button', { name: 'index.js' }).click();
  await type(page, 'index.js', SAYS('third'));
  await deploy();
});

test('code is coloured, searched and replaced', async () => {
  const colour = (text) => page.locator('.workbench .cm-line span', { hasText: text }).first().evaluate((span) => getComputedStyle(span).color);
  const [keyword, string] = [await colour('async'), await colour("'third'")];
  assert.notEqual(keyword, string);
  await editor('index.js').click();
  await page.keyboard.press('ControlOrMeta+f');
  await page.keyboard.type('third');
  await page.locator('.cm-searchMatch').first().waitFor();
  assert.equal(await page.locator('.cm-searchMatch').count(), 1);
  await page.getByPlaceholder('Replace').click();
  await page.keyboard.type('fourth');
  await page.getByRole('button', { name: 'replace all' }).click();
  await page.keyboard.press('Escape');
  await editor('index.js').getByText("'fourth'").waitFor();
  await deploy(page, NAME, async () => {
    await editor('index.js').click();
    await page.keyboard.press('ControlOrMeta+s');
  });
  await page.waitForFunction(() => document.activeElement?.closest('.workbench') !== null);
  assert.equal(await invoked(), '"fourth"');
});

test('a file with the line ends of Windows is changed by nothing but edits, and keeps them', async () => {
  await files().getByRole('button', { name: 'windows.txt' }).click();
  await editor('windows.txt').getByText('two').waitFor();
  await page.getByText('Deployed', { exact: true }).waitFor();
  assert.equal(await page.getByRole('img', { name: 'not deployed' }).count(), 0);
  await editor('windows.txt').getByText('two').click();
  await page.keyboard.press('End');
  await page.keyboard.type(' more');
  await deploy();
  assert.equal((await deployed())['windows.txt'], 'one\r\ntwo more\r\n');
});

test('what is too large or unreadable is offered as a download, and another package takes its place', async () => {
  const noise = randomBytes(4_000_000);
  await createFunction(server, 'large', { 'index.js': SAYS('large'), 'noise.bin': { base64: noise.toString('base64') } });
  await createFunction(server, 'twice', { 'index.js': SAYS('twice'), ['__proto__']: 'lost to an object' });
  const long = `// ${'x'.repeat(4_000_000)}\n`;
  await createFunction(server, 'long', { 'index.js': SAYS('long'), 'long.js': long });
  for (const [name, reason] of [['large', 'packages of up to 3.0 MB'], ['twice', 'names that cannot be shown']]) {
    await page.goto(at(name));
    await page.getByRole('heading', { name, exact: true }).waitFor();
    await page.getByText(reason).waitFor();
    const download = page.waitForEvent('download');
    await page.getByRole('button', { name: 'Download', exact: true }).click();
    const chunks = [];
    for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
    const { CodeSize } = await configuration(name);
    assert.equal(Buffer.concat(chunks).length, CodeSize);
    const chooser = page.waitForEvent('filechooser');
    await item('Upload a .zip file');
    const { ZipFile } = await boto3(server, 'zip', 'of', { files: { 'index.js': SAYS('small') } });
    await (await chooser).setFiles({ name: 'small.zip', mimeType: 'application/zip', buffer: Buffer.from(ZipFile, 'base64') });
    await page.getByText(`Deployed ${name}.`).waitFor();
    await editor('index.js').getByText("'small'").waitFor();
    assert.equal(await invoked(name), '"small"');
  }
  await page.goto(at('long'));
  await editor('index.js').waitFor();
  await files().getByRole('button', { name: 'long.js' }).click();
  await page.getByText('A file of 3.8 MB: up to 3.0 MB are edited here.').waitFor();
  const download = page.waitForEvent('download');
  await page.getByRole('button', { name: 'Download', exact: true }).click();
  const chunks = [];
  for await (const chunk of await (await download).createReadStream()) chunks.push(chunk);
  assert.equal(Buffer.concat(chunks).toString(), long);
});

test('code that is a directory is left to its own editor, until a package takes its place', async () => {
  writeFileSync(join(directory, 'index.js'), SAYS('hot'));
  const Code = { S3Bucket: 'hot-reload', S3Key: directory };
  await boto3(server, 'lambda', 'create_function', { FunctionName: 'hot', Runtime: 'nodejs22.x', Handler: 'index.handler', Role: 'arn:aws:iam::000000000000:role/any', Code });
  await page.goto(at('hot'));
  await page.getByText('Its code is a directory of this machine').waitFor();
  await page.getByText(`${directory} is run as it is`).waitFor();
  assert.equal(await page.locator('.workbench').count(), 0);
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByTestId('response').getByText('"hot"').waitFor();
  const chooser = page.waitForEvent('filechooser');
  await item('Upload a .zip file');
  const { ZipFile } = await boto3(server, 'zip', 'of', { files: { 'index.js': SAYS('package') } });
  await (await chooser).setFiles({ name: 'package.zip', mimeType: 'application/zip', buffer: Buffer.from(ZipFile, 'base64') });
  await editor('index.js').getByText("'package'").waitFor();
  assert.equal(await invoked('hot'), '"package"');
});

test('two tabs of one browser have a draft each; the second to deploy is asked', async () => {
  await page.goto(at(NAME));
  await type(page, 'index.js', SAYS('mine'));
  await page.getByText('Changes not deployed').waitFor();
  const other = await browser.page.context().newPage();
  await other.goto(at(NAME));
  await other.getByText('Deployed', { exact: true }).waitFor();
  await type(other, 'index.js', SAYS('theirs'));
  await other.getByText('Changes not deployed').waitFor();
  for (const [tab, word] of [[page, 'mine'], [other, 'theirs']]) {
    await tab.reload();
    await tab.getByRole('textbox', { name: 'index.js' }).getByText(`'${word}'`).waitFor();
  }
  await deploy(other);
  assert.equal(await invoked(), '"theirs"');
  await page.bringToFront();
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText('Somebody else deployed').waitFor();
  assert.equal(await invoked(), '"theirs"');
  await page.getByRole('button', { name: 'Take theirs, drop mine' }).click();
  await editor('index.js').getByText("'theirs'").waitFor();
  // What a closed tab left is taken up by the next.
  await type(other, 'index.js', SAYS('left'));
  await other.getByText('Changes not deployed').waitFor();
  await other.close();
  await page.reload();
  await editor('index.js').getByText("'left'").waitFor();
  await deploy();
  assert.equal(await invoked(), '"left"');
});

test('a slow lambkin is waited for, and what is typed meanwhile is kept', async () => {
  await type(page, 'index.js', SAYS('sent'));
  await page.getByText('Changes not deployed').waitFor();
  await deploy(page, NAME, async () => {
    server.pause();
    try {
      await page.getByRole('button', { name: 'Deploy', exact: true }).click();
      await page.locator('button[aria-disabled="true"], button[disabled]', { hasText: 'Deploy' }).waitFor();
      await type(page, 'index.js', SAYS('typed meanwhile'));
    } finally {
      server.resume();
    }
  });
  assert.equal(await invoked(), '"sent"');
  await page.getByText('Changes not deployed').waitFor();
  await editor('index.js').getByText("'typed meanwhile'").waitFor();
  await page.reload();
  await editor('index.js').getByText("'typed meanwhile'").waitFor();
  await deploy();
  assert.equal(await invoked(), '"typed meanwhile"');
});

test('runtime settings', async () => {
  await page.getByRole('button', { name: 'Edit Runtime settings' }).click();
  const form = page.getByRole('form', { name: 'Runtime settings' });
  await form.getByRole('button', { name: /^Runtime/ }).click();
  await page.getByRole('option', { name: 'nodejs16.x' }).click();
  await form.getByLabel('Handler').fill('lib/other.run');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'detached', timeout: 60_000 });
  const { Runtime, Handler } = await configuration();
  assert.deepEqual([Runtime, Handler], ['nodejs16.x', 'lib/other.run']);
});

test('layers', async () => {
  const publish = async (LayerName) => {
    const Content = { ZipFile: { zip: { [`nodejs/${LayerName}.js`]: 'exports.shared = 1;' } } };
    return (await boto3(server, 'lambda', 'publish_layer_version', { LayerName, Description: `has ${LayerName}`, Content })).LayerVersionArn;
  };
  const arns = [await publish('shared'), await publish('shared'), await publish('more')];
  await page.getByRole('button', { name: 'Edit Layers' }).click();
  const form = page.getByRole('form', { name: 'Layers' });
  await form.getByLabel('Layer version ARNs').fill('not an ARN');
  await form.getByRole('button', { name: 'Save' }).click();
  await form.getByText(/validation error|Invalid Layer/i).first().waitFor();
  await form.getByLabel('Layer version ARNs').fill(arns[0]);
  await form.getByRole('button', { name: /Add a layer/ }).click();
  await page.getByRole('option', { name: 'more, version 1' }).waitFor();
  assert.equal(await page.getByRole('option', { name: 'shared, version 1' }).count(), 0, 'the function has it');
  await page.getByRole('option', { name: 'more, version 1' }).click();
  await form.getByRole('button', { name: 'Save' }).click();
  await form.waitFor({ state: 'detached' });
  assert.deepEqual((await configuration()).Layers.map(({ Arn }) => Arn), [arns[0], arns[2]]);
});

faultless();
