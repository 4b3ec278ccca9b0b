// A lambkin, a browser and a second client that reads back what the console did. Nothing is intercepted.

import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { Agent, request } from 'node:http';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { createInterface } from 'node:readline';
import { after, before, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { chromium } from 'playwright-core';

const HERE = dirname(fileURLToPath(import.meta.url));
const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');
const STARTED = 30_000;

const FLAGS = [
  '--headless', '--no-sandbox', '--disable-gpu', '--disable-quic', '--no-first-run', '--disable-background-networking',
  '--disable-component-update', '--disable-sync',
];

function wanted(variable) {
  const value = process.env[variable];
  if (!value) throw new Error(`${variable} is not set: cargo xtask test --ring browser does it`);
  return value;
}

/** `lambkin serve`, on a port and a data directory of its own. */
export class Server {
  static async start(more = [], runtimes = wanted('LAMBKIN_RUNTIMES'), variables = {}) {
    const server = new Server();
    server.variables = { ...process.env, ...variables };
    server.more = [...more, '--runtimes', runtimes];
    server.data = await mkdtemp(join(tmpdir(), 'lambkin-browser-'));
    await server.serve(0);
    return server;
  }

  /** Starts it, again too, on what there is in its data directory. */
  async serve(port) {
    const options = ['serve', '--listen', `127.0.0.1:${port}`, '--data', this.data, ...this.more];
    this.process = spawn(wanted('LAMBKIN_BIN'), options, { stdio: ['ignore', 'pipe', 'pipe'], env: this.variables });
    this.log = '';
    this.said = '';
    this.process.stderr.on('data', (piece) => (this.log = (this.log + piece).slice(-20_000)));
    this.endpoint = await new Promise((resolve, reject) => {
      const late = setTimeout(() => reject(new Error(`lambkin said nothing: ${this.log}`)), STARTED);
      createInterface({ input: this.process.stdout }).on('line', (line) => {
        this.said = `${this.said}${line}\n`.slice(-20_000);
        const found = /^listening on (http:\S+)$/.exec(line);
        if (found) {
          clearTimeout(late);
          resolve(found[1]);
        }
      });
      this.process.once('exit', (code) => reject(new Error(`lambkin ended with ${code}: ${this.log}`)));
    });
    this.port = Number(new URL(this.endpoint).port);
  }

  /** A key of this lambkin: from the first one on, signatures are verified. */
  async key() {
    const made = await promisify(execFile)(wanted('LAMBKIN_BIN'), ['keys', 'create', '--name', 'browser', '--json', '--data', this.data]);
    return JSON.parse(made.stdout);
  }

  /** Nothing is answered until `resume`; what is asked waits. */
  pause() {
    this.process.kill('SIGSTOP');
  }

  resume() {
    this.process.kill('SIGCONT');
  }

  /** A clean end; the data stay for who starts it again. */
  async end() {
    const ended = new Promise((resolve) => this.process.once('exit', resolve));
    this.process.kill('SIGTERM');
    return ended;
  }

  /** The end of it and of its data. */
  async stop() {
    await this.end();
    await rm(this.data, { recursive: true, force: true });
  }
}

/** boto3, which shares nothing with the console: one process for a file's calls, as Python takes its time to start. */
let python;
const waiting = [];

export async function boto3(server, service, operation, parameters = {}, region = 'us-east-1') {
  if (python === undefined) {
    python = spawn(wanted('LAMBKIN_PYTHON'), [join(HERE, 'read_back.py')], { stdio: ['pipe', 'pipe', 'inherit'] });
    createInterface({ input: python.stdout }).on('line', (line) => waiting.shift().resolve(JSON.parse(line)));
    python.once('exit', (code) => waiting.splice(0).forEach(({ reject }) => reject(new Error(`boto3 ended with ${code}`))));
  }
  const said = await new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    python.stdin.write(`${JSON.stringify({ endpoint: server.endpoint, region, service, operation, parameters })}\n`);
  });
  if (said.error) throw new Error(said.error);
  return said.answer;
}

/** What lambkin wants where it verifies no signatures. */
export const UNSIGNED = 'AWS4-HMAC-SHA256 Credential=any/19700101/us-east-1/lambda/aws4_request, SignedHeaders=host, Signature=0';

/** CreateFunction's members, for files by their names. */
export const functionInput = (name, files, more = {}) => (
  { FunctionName: name, Runtime: 'nodejs22.x', Handler: 'index.handler', Role: 'arn:aws:iam::000000000000:role/any', Code: { ZipFile: { zip: files } }, ...more }
);

/** Until it is there, nobody may invoke it. */
export async function createFunction(server, ...of) {
  const { FunctionName } = await boto3(server, 'lambda', 'create_function', functionInput(...of));
  await until(`${FunctionName} is active`, async () => (await boto3(server, 'lambda', 'get_function_configuration', { FunctionName })).State === 'Active');
}

/** Waits for what another client has to see. */
export async function until(what, holds) {
  const late = Date.now() + STARTED;
  while (!(await holds())) {
    if (Date.now() > late) throw new Error(`never came: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** Very many functions at once, all of the same code: boto3 would take its minutes. */
export async function createMany(server, names) {
  const { ZipFile } = await boto3(server, 'zip', 'of', { files: { 'index.js': 'exports.handler = async () => 1;' } });
  const agent = new Agent({ keepAlive: true, maxSockets: 32 });
  const headers = { 'content-type': 'application/json', authorization: UNSIGNED };
  const create = (FunctionName) => new Promise((resolve, reject) => {
    const asked = request(`${server.endpoint}/2015-03-31/functions`, { method: 'POST', agent, headers }, (response) => {
      response.resume().on('end', () => (response.statusCode === 201 ? resolve() : reject(new Error(`${FunctionName}: ${response.statusCode}`))));
    });
    asked.on('error', reject).end(JSON.stringify({ ...functionInput(FunctionName, {}), Code: { ZipFile } }));
  });
  const left = [...names];
  await Promise.all(Array.from({ length: 32 }, async () => {
    while (left.length > 0) await create(left.pop());
  }));
  agent.destroy();
}

/** Presses Tab until that has the focus. */
export async function tabTo(page, target) {
  for (let presses = 0; presses < 100; presses++) {
    if (await target.evaluate((element) => element === document.activeElement)) return;
    await page.keyboard.press('Tab');
  }
  throw new Error(`the keyboard does not reach ${target}`);
}

/** A browser with a fresh profile; a page whose faults and foreign requests are kept. */
export async function browse(server, { width = 1280, height = 900, colorScheme = 'light' } = {}) {
  const profile = await mkdtemp(join(tmpdir(), 'lambkin-chromium-'));
  const context = await chromium.launchPersistentContext(profile, {
    executablePath: wanted('LAMBKIN_CHROMIUM'),
    args: FLAGS,
    viewport: { width, height },
    colorScheme,
    // What fades out has colours that nobody can read, for as long as it does.
    reducedMotion: 'reduce',
    acceptDownloads: true,
  });
  const page = context.pages()[0] ?? (await context.newPage());
  page.setDefaultTimeout(30_000);
  const faults = [];
  const foreign = [];
  page.on('pageerror', (error) => faults.push(String(error)));
  page.on('console', (message) => {
    // What lambkin refuses on purpose is in the console too.
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) faults.push(message.text());
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (!['data:', 'blob:'].includes(url.protocol) && url.origin !== server.endpoint) foreign.push(request.url());
  });
  const close = async () => {
    await context.close();
    await rm(profile, { recursive: true, force: true });
  };
  return { page, faults, foreign, close };
}

/** What a file's tests are on: each file is a process of its own. */
export let server;
export let browser;
export let page;

/** The server of this file's tests and a browser at it, from before the first to after the last; `prepare` is called in between. */
export function open(prepare, more) {
  before(async () => {
    server = await Server.start(more);
    browser = await browse(server);
    page = browser.page;
    await prepare?.();
  });
  after(async () => {
    await browser?.close();
    await server?.stop();
    python?.stdin.end();
  });
}

/** The last test of a file. */
export function faultless() {
  test('no page failed, and nothing left the machine', () => {
    assert.deepEqual(browser.faults, []);
    assert.deepEqual(browser.foreign, []);
  });
}

/** Serious and critical faults that axe-core finds, by all of its rules or by these. The console's policy forbids injected scripts, so it is evaluated. */
export async function accessibilityFaults(page, ...rules) {
  await page.evaluate(await readFile(AXE, 'utf8'));
  const { violations } = await page.evaluate((runOnly) => globalThis.axe.run(document, { resultTypes: ['violations'], ...(runOnly.length > 0 && { runOnly }) }), rules);
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .map(({ id, help, nodes }) => `${id}: ${help}: ${nodes.map(({ html }) => html.slice(0, 160)).slice(0, 3).join(' | ')}`);
}

/** Replaces what is in an editor. */
export async function type(page, label, text) {
  const editor = page.getByRole('textbox', { name: label, exact: true });
  await editor.click();
  await page.keyboard.press('ControlOrMeta+a');
  // As pasting does: typing would close brackets.
  await page.keyboard.insertText(text);
}

/** A picture for the documentation: of the window, or so high; without the notices of what was done before. */
export async function screenshot(page, name, height) {
  const dismiss = page.getByRole('button', { name: 'Dismiss' });
  // One may go by itself before it is clicked.
  while ((await dismiss.count()) > 0) await dismiss.first().click({ timeout: 1000 }).catch(() => {});
  await page.mouse.move(0, 0);
  const size = page.viewportSize();
  if (height !== undefined) await page.setViewportSize({ ...size, height });
  // The layout follows what it measured a frame later.
  await page.evaluate(() => new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve))));
  await page.screenshot({ path: join(wanted('LAMBKIN_SCREENSHOTS'), `${name}.png`), animations: 'disabled', caret: 'hide' });
  if (height !== undefined) await page.setViewportSize(size);
}
