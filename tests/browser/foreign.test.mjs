// Another origin in the same browser: it can make nothing, change nothing, read nothing, and frame nothing.

import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import { after, before, test } from 'node:test';

import { boto3, createFunction, open, page, server, UNSIGNED, until } from './world.mjs';

const NAME = 'victim';
/** Works where its page is allowed to ask: it would leave a trace. */
const CODE = "exports.handler = async () => 'invoked';";

let foreign;

open(() => createFunction(server, NAME, { 'index.js': CODE }));
before(async () => {
  foreign = createServer((_, response) => response.setHeader('content-type', 'text/html').end('<!doctype html><title>foreign</title>'));
  await new Promise((resolve) => foreign.listen(0, '127.0.0.1', resolve));
});
after(() => foreign?.close());

/** Everything that a page can do to an address; what each attempt came to, in words. */
const attack = ({ endpoint, name, authorization }) => {
  const tried = async (what, address, init) => {
    try {
      const response = await fetch(endpoint + address, init);
      return `${what}: ${response.type} ${response.status}`;
    } catch {
      return `${what}: refused`;
    }
  };
  const invocation = `/2015-03-31/functions/${name}/invocations`;
  const queue = 'Action=CreateQueue&Version=2012-11-05&QueueName=';
  const form = (body) => ({ method: 'POST', headers: { 'content-type': 'application/x-www-form-urlencoded' }, body });
  const framed = (address) => new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.onload = () => {
      let within = 'unreadable';
      try {
        within = frame.contentDocument === null ? 'unreadable' : 'readable';
      } catch {
        // So it should be.
      }
      resolve(`frame: ${within}`);
    };
    frame.src = address;
    document.body.append(frame);
  });
  return Promise.all([
    tried('read', '/_lambkin/machine', {}),
    tried('invoke', invocation, { method: 'POST', mode: 'no-cors', body: '{}' }),
    tried('invoke with a signature', invocation, { method: 'POST', headers: { authorization }, body: '{}' }),
    tried('delete', `/2015-03-31/functions/${name}`, { method: 'DELETE', headers: { authorization } }),
    tried('form', '/', { ...form(`${queue}formed`), mode: 'no-cors' }),
    tried('address', `/?${queue}addressed`, { mode: 'no-cors' }),
    framed(`${endpoint}/console`),
  ]);
};

const asked = () => ({ endpoint: server.endpoint, name: NAME, authorization: UNSIGNED });
const queues = async () => (await boto3(server, 'sqs', 'list_queues')).QueueUrls ?? [];
const invocations = async () => {
  const groups = (await boto3(server, 'logs', 'describe_log_groups')).logGroups;
  return groups.length === 0 ? 0 : (await boto3(server, 'logs', 'filter_log_events', { logGroupName: groups[0].logGroupName, filterPattern: 'REPORT' })).events.length;
};

test('another origin is refused whatever it tries', async () => {
  await page.goto(`http://127.0.0.1:${foreign.address().port}/`);
  const said = await page.evaluate(attack, asked());
  for (const line of said) assert.ok(/: (refused|opaque 0|unreadable)$/.test(line), line);
  // A form that is sent by itself, as a page without scripts would.
  await page.evaluate(({ endpoint }) => {
    const form = document.createElement('form');
    Object.assign(form, { method: 'POST', action: endpoint });
    for (const [name, value] of [['Action', 'CreateQueue'], ['Version', '2012-11-05'], ['QueueName', 'submitted']]) form.append(Object.assign(document.createElement('input'), { name, value }));
    document.body.append(form);
    form.submit();
  }, asked());
  await page.waitForURL(`${server.endpoint}/`);
  assert.deepEqual(await queues(), []);
  assert.equal(await invocations(), 0);
  const { Configuration } = await boto3(server, 'lambda', 'get_function', { FunctionName: NAME });
  assert.equal(Configuration.FunctionName, NAME);
});

test('the same from its own origin, with a signature, is done', async () => {
  await page.goto(`${server.endpoint}/console`);
  await page.getByText('Up', { exact: true }).waitFor();
  const { status } = await page.evaluate(async ({ endpoint, name, authorization }) => {
    const response = await fetch(`${endpoint}/2015-03-31/functions/${name}/invocations`, { method: 'POST', headers: { authorization }, body: '{}' });
    return { status: response.status };
  }, asked());
  assert.equal(status, 200);
  await until('one invocation in the log', async () => (await invocations()) === 1);
});

test('the console runs no inline script, and no page frames it', async () => {
  const response = await page.goto(`${server.endpoint}/console`);
  const policy = response.headers()['content-security-policy'];
  assert.match(policy, /script-src 'self';/);
  assert.match(policy, /frame-ancestors 'none'/);
  const ran = await page.evaluate(() => {
    const script = document.createElement('script');
    script.textContent = 'globalThis.ranInline = true';
    document.head.append(script);
    return globalThis.ranInline === true;
  });
  assert.equal(ran, false);
  for (const [script] of (await response.text()).matchAll(/<script[^>]*>/g)) assert.match(script, / src="\/console\//);
});
