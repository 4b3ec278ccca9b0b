// The documented first run: blueprint, edit, Deploy, Test with Hello World, result, summary and log.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessibilityFaults, boto3, browse, faultless, open, page, screenshot, server, type, until } from './world.mjs';

const NAME = 'first_Function-1';

open();

test('the first view says how the machine is', async () => {
  await until('lambkin says where the console is', () => server.said.includes(`console: ${server.endpoint}/console\n`));
  await page.goto(`${server.endpoint}/console`);
  await page.getByRole('heading', { name: 'Overview' }).waitFor();
  await page.getByText('Start from a blueprint').waitFor();
  await page.getByText('Up', { exact: true }).waitFor();
  await screenshot(page, 'overview');
  assert.deepEqual(await accessibilityFaults(page), []);
});

test('a function is created from the hello-world blueprint', async () => {
  await page.getByRole('link', { name: 'Hello world' }).click();
  await page.getByLabel('Function name').fill('not a name');
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByText('The name has 1 to 64').waitFor();
  await page.getByLabel('Function name').fill(NAME);
  await screenshot(page, 'create');
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('button', { name: 'Create function' }).click();
  await page.getByRole('heading', { name: NAME }).waitFor({ timeout: 120_000 });
  const { Configuration } = await boto3(server, 'lambda', 'get_function', { FunctionName: NAME });
  assert.equal(Configuration.State, 'Active');
  assert.deepEqual([Configuration.Runtime, Configuration.Handler], ['nodejs22.x', 'index.handler']);
  const { Payload } = await boto3(server, 'lambda', 'invoke', { FunctionName: NAME, Payload: '{"key1":"of boto3"}' });
  assert.equal(Payload, '"of boto3"');
});

test('an edit is marked, survives a reload, and is deployed', async () => {
  await type(page, 'index.mjs', "export const handler = async (event) => {\n  console.log('edited');\n  return `edited ${event.key1}`;\n};\n");
  await page.getByText('Changes not deployed').waitFor();
  await page.reload();
  await page.getByText('Changes not deployed').waitFor();
  await page.getByRole('img', { name: 'not deployed' }).waitFor();
  const before = await boto3(server, 'lambda', 'get_function', { FunctionName: NAME });
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText(`Deployed ${NAME}.`).waitFor();
  const deployed = await boto3(server, 'lambda', 'get_function', { FunctionName: NAME });
  assert.notEqual(deployed.Configuration.CodeSha256, before.Configuration.CodeSha256);
  const { Payload } = await boto3(server, 'lambda', 'invoke', { FunctionName: NAME, Payload: '{"key1":"a"}' });
  assert.equal(Payload, '"edited a"');
  await screenshot(page, 'code');
});

test('it is tested with Hello World', async () => {
  await page.getByRole('tab', { name: 'Test' }).click();
  await page.getByRole('button', { name: /Template or saved event/ }).click();
  await page.getByRole('option', { name: 'Hello World' }).click();
  await page.getByRole('textbox', { name: 'Event JSON' }).getByText('"key3"').waitFor();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: succeeded').waitFor();
  assert.equal(await page.getByTestId('response').textContent(), '"edited value1"');
  const { Configuration } = await boto3(server, 'lambda', 'get_function', { FunctionName: NAME });
  const summary = page.getByRole('region', { name: 'Summary' });
  await summary.getByText(Configuration.CodeSha256).waitFor();
  await summary.getByText(/^[0-9a-f]{8}-[0-9a-f-]{27}$/).waitFor();
  await summary.getByText('128 MB').waitFor();
  const log = await page.getByTestId('log').textContent();
  for (const word of ['START RequestId', 'edited', 'END RequestId', 'REPORT RequestId']) assert.ok(log.includes(word), word);
  // The summary says what the REPORT line says.
  const shown = await summary.locator('dl').evaluate((list) => Object.fromEntries([...list.querySelectorAll('dt')].map((term) => [term.textContent, term.nextElementSibling.textContent])));
  const said = (name) => {
    const found = new RegExp(`${name}: ([\\d.]+) (ms|MB)`).exec(log);
    return found && `${Number(found[1])} ${found[2]}`;
  };
  assert.equal(shown['Request ID'], /REPORT RequestId: (\S+)/.exec(log)[1]);
  for (const [label, name] of [['Duration', '\\tDuration'], ['Billed duration', 'Billed Duration'], ['Memory size', 'Memory Size'], ['Max memory used', 'Max Memory Used']]) {
    assert.equal(shown[label], said(name), label);
  }
  assert.equal(shown['Init duration'], said('Init Duration') ?? 'warm');
  await screenshot(page, 'test', 1560);
  assert.deepEqual(await accessibilityFaults(page), []);
});

test('results are kept, compared and replayed; Ctrl-Enter tests', async () => {
  await type(page, 'Event JSON', '{"key1": "second"}');
  await page.keyboard.press('ControlOrMeta+Enter');
  await page.getByTestId('response').getByText('edited second').waitFor();
  const results = page.getByRole('table', { name: 'Last results' }).getByRole('row');
  assert.equal(await results.count(), 3, 'a head and two results');
  await page.getByRole('radio').nth(1).check({ force: true });
  await page.getByTestId('response').getByText('edited value1').waitFor();
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.waitForFunction(() => document.querySelectorAll('table tbody tr').length === 3);
  await page.getByTestId('response').getByText('edited value1').waitFor();
});

test('JSON errors are marked and not sent', async () => {
  await type(page, 'Event JSON', '{"key1": }');
  await page.getByText('This is not JSON').first().waitFor();
  assert.ok(await page.getByRole('button', { name: 'Test', exact: true }).isDisabled());
  await page.locator('.cm-lint-marker-error').first().waitFor();
});

test('an event is saved on the server', async () => {
  await type(page, 'Event JSON', '{"key1": "kept"}');
  await page.getByLabel('Event name').fill('my kept event');
  await page.getByRole('button', { name: 'Save event' }).click();
  await page.getByText('Saved the test event my-kept-event.').waitFor();
  await page.reload();
  await page.getByRole('button', { name: /Template or saved event/ }).click();
  await page.getByRole('option', { name: 'my-kept-event' }).click();
  await page.getByRole('textbox', { name: 'Event JSON' }).getByText('"kept"').waitFor();
  await page.getByRole('button', { name: 'Delete event' }).click();
  await page.getByText('Deleted the test event my-kept-event.').waitFor();
});

test('an error leads to its line', async () => {
  await page.getByRole('tab', { name: 'Code' }).click();
  await type(page, 'index.mjs', "export const handler = async () => {\n  const nothing = undefined;\n  return nothing.here;\n};\n");
  await page.keyboard.press('ControlOrMeta+s');
  await page.getByText(`Deployed ${NAME}.`).waitFor();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Executing function: failed').waitFor();
  const seen = await page.getByText('Executing function: failed').evaluate((element) => element.getBoundingClientRect().bottom <= innerHeight);
  assert.ok(seen, 'the result is below the window');
  assert.match(await page.getByTestId('response').textContent(), /TypeError: Cannot read properties of undefined/);
  await page.getByTestId('response').getByRole('button', { name: /index\.mjs:3/ }).click();
  await page.waitForFunction(() => document.activeElement?.closest('.workbench') !== null);
  await page.locator('.workbench .cm-activeLine', { hasText: 'nothing.here' }).waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
});

test('Monitor shows what the log says', async () => {
  const group = `/aws/lambda/${NAME}`;
  const reports = async () => (await boto3(server, 'logs', 'filter_log_events', { logGroupName: group, filterPattern: 'REPORT' })).events;
  await page.getByRole('tab', { name: 'Monitor' }).click();
  const recent = page.getByRole('table', { name: 'Recent invocations' });
  const known = await reports();
  await page.waitForFunction((count) => document.querySelectorAll('table tbody tr').length === count, known.length);
  // The last one threw.
  const failed = recent.getByRole('row').filter({ hasText: 'Failed' });
  assert.equal(await failed.count(), 1);
  const requestId = await failed.getByRole('rowheader').textContent();
  assert.ok(known.at(-1).message.includes(requestId));
  const chart = (title) => page.getByRole('region', { name: title, exact: true });
  for (const title of ['Invocations', 'Duration', 'Success rate', 'Duration percentiles', 'Throttles', 'Concurrent executions', 'Asynchronous events', 'Dead letters and destinations', 'Cold starts']) {
    // A level line has no height, which is hidden to Playwright.
    await chart(title).locator('path[clip-path]').first().waitFor({ state: 'attached' });
  }
  await chart('Age of asynchronous events').getByText('Nothing of that time').waitFor();
  // The same of CloudWatch by another client.
  const whole = async (MetricName, statistic) => {
    const input = { Namespace: 'AWS/Lambda', MetricName, Dimensions: [{ Name: 'FunctionName', Value: NAME }], Period: 60, Statistics: [statistic] };
    const now = Date.now() / 1000;
    const { Datapoints } = await boto3(server, 'cloudwatch', 'get_metric_statistics', { ...input, StartTime: now - 3600, EndTime: now + 60 });
    const values = Datapoints.map((point) => point[statistic]);
    return statistic === 'Sum' ? values.reduce((total, value) => total + value, 0) : Math.max(...values);
  };
  assert.equal(await whole('Invocations', 'Sum'), known.length);
  await chart('Invocations').getByText(`Invocations ${known.length} · Errors 1`).waitFor();
  assert.equal(await whole('Errors', 'Sum'), 1);
  const duration = await whole('Duration', 'Maximum');
  // What is short is shown with a digit more.
  const longest = duration.toLocaleString('en', { maximumFractionDigits: duration < 10 ? 2 : 1 });
  await chart('Duration').getByText(`Maximum ${longest} ms`).waitFor();
  await chart('Concurrent executions').getByText(`Concurrent executions ${await whole('ConcurrentExecutions', 'Maximum')}`).waitFor();
  await chart('Cold starts').getByText(`Cold starts ${known.filter(({ message }) => message.includes('Init Duration')).length}`).waitFor();
  for (const range of ['15m', '6h', '1d', '7d', '14d', '1h']) {
    await page.getByTestId(range).click();
    await chart('Duration').getByText(`· Maximum ${longest} ms`).waitFor();
    await chart('Duration percentiles').locator('path[clip-path]').nth(2).waitFor({ state: 'attached' });
    await chart('Invocations').getByText(`Invocations ${known.length} · Errors 1`).waitFor();
  }
  const lines = page.getByRole('log', { name: 'Log events' });
  await lines.getByText('edited').first().waitFor();
  await screenshot(page, 'monitor', 2300);
  assert.deepEqual(await accessibilityFaults(page), []);
  // Live: what another client causes comes by itself.
  await boto3(server, 'lambda', 'invoke', { FunctionName: NAME, Payload: '{}' });
  const last = (await reports()).at(-1).message.split(/\s/)[2];
  await lines.getByText(`START RequestId: ${last}`).waitFor();
  await recent.getByRole('button', { name: requestId }).click();
  await page.waitForFunction(() => !document.querySelector('.log-lines')?.textContent.includes('edited'));
  assert.ok((await lines.textContent()).includes(`REPORT RequestId: ${requestId}`));
  await page.getByLabel('Filter pattern').fill('{ $.a = ');
  await page.getByText('Invalid filter pattern').waitFor();
});

test('its log group is found, searched, kept for a time, and deleted', async () => {
  const group = `/aws/lambda/${NAME}`;
  const described = async () => (await boto3(server, 'logs', 'describe_log_groups', { logGroupNamePrefix: group })).logGroups;
  await page.goto(`${server.endpoint}/console#/logs`);
  await page.getByLabel('Find log groups').fill('first');
  await page.getByRole('link', { name: group }).click();
  await page.getByLabel('Filter pattern').fill('edited');
  const lines = page.getByRole('log', { name: 'Log events' });
  await page.waitForFunction(() => document.querySelector('.log-lines') && !document.querySelector('.log-lines').textContent.includes('REPORT'));
  const found = await boto3(server, 'logs', 'filter_log_events', { logGroupName: group, filterPattern: 'edited' });
  assert.equal(await lines.locator('> div').count(), found.events.length);
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('button', { name: /Retention/ }).click();
  await page.getByRole('option', { name: '30 days' }).click();
  await page.getByText(`${group} is kept: 30 days.`).waitFor();
  assert.equal((await described())[0].retentionInDays, 30);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText(`Deleted ${group}.`).waitFor();
  assert.deepEqual(await described(), []);
  await page.goto(`${server.endpoint}/console#/functions/${NAME}`);
  await page.getByText('Deployed', { exact: true }).waitFor();
});

test('an event goes asynchronously', async () => {
  await type(page, 'index.mjs', "import fs from 'node:fs';\nexport const handler = async (event) => ({ ran: true });\n");
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText('Deployed', { exact: true }).waitFor();
  await page.getByRole('tab', { name: 'Test' }).click();
  await page.getByRole('button', { name: 'Asynchronous' }).click();
  await page.getByRole('button', { name: 'Test', exact: true }).click();
  await page.getByText('Event accepted').waitFor();
  const received = async () => {
    const answer = await (await fetch(`${server.endpoint}/_lambkin/events`)).json();
    return answer.functions.find((each) => each.function.endsWith(`:${NAME}`)).since_start.received;
  };
  assert.equal(await received(), 1);
  // The results, and replaying one of them, outlast the page.
  const results = page.getByRole('table', { name: 'Last results' }).getByRole('row');
  const before = await results.count();
  await page.reload();
  await page.getByText('Event accepted').waitFor();
  assert.equal(await results.count(), before);
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.waitForFunction((count) => document.querySelectorAll('table tbody tr').length === count, before);
  assert.equal(await received(), 2);
  // Of a synchronous one of long ago, too: it ran then what `edited` says, and what is deployed runs now.
  await page.getByRole('radio').last().focus();
  await page.keyboard.press('Space');
  await page.getByTestId('response').getByText('edited value1').waitFor();
  await page.getByRole('button', { name: 'Replay' }).click();
  await page.getByTestId('response').getByText('"ran": true').waitFor();
});

test('nobody’s deployment is overwritten', async () => {
  await page.getByRole('tab', { name: 'Code' }).click();
  await type(page, 'index.mjs', 'export const handler = async () => "mine";\n');
  await page.getByText('Changes not deployed').waitFor();
  const other = await browse(server);
  try {
    await other.page.goto(`${server.endpoint}/console#/functions/${NAME}`);
    await other.page.getByText('Deployed', { exact: true }).waitFor();
    await type(other.page, 'index.mjs', 'export const handler = async () => "theirs";\n');
    await other.page.getByRole('button', { name: 'Deploy', exact: true }).click();
    await other.page.getByText(`Deployed ${NAME}.`).waitFor();
  } finally {
    await other.close();
  }
  const value = async () => (await boto3(server, 'lambda', 'invoke', { FunctionName: NAME })).Payload;
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText('Somebody else deployed').waitFor();
  assert.equal(await value(), '"theirs"');
  await page.getByRole('button', { name: 'Deploy mine over it' }).click();
  await page.getByText('Deployed', { exact: true }).waitFor();
  await page.getByText('Somebody else deployed').waitFor({ state: 'detached' });
  assert.equal(await value(), '"mine"');
});

test('an edit survives a lambkin that is gone', async () => {
  await type(page, 'index.mjs', 'export const handler = async () => "in mid-edit";\n');
  await page.getByText('Changes not deployed').waitFor();
  await server.end();
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText('lambkin does not answer').first().waitFor();
  await server.serve(server.port);
  await page.reload();
  await page.getByText('Changes not deployed').waitFor();
  await page.getByRole('button', { name: 'Deploy', exact: true }).click();
  await page.getByText(`Deployed ${NAME}.`).waitFor();
  const { Payload } = await boto3(server, 'lambda', 'invoke', { FunctionName: NAME });
  assert.equal(Payload, '"in mid-edit"');
});

test('it is found in the list, and deleted with a word', async () => {
  await page.goto(`${server.endpoint}/console#/functions`);
  await page.getByLabel('Find functions').fill('FIRST_');
  await page.getByRole('link', { name: NAME }).waitFor();
  await screenshot(page, 'functions');
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('checkbox', { name: `Select ${NAME}` }).check({ force: true });
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  const dialog = page.getByRole('dialog');
  assert.ok(await dialog.getByRole('button', { name: 'Delete' }).isDisabled());
  await dialog.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText(`Deleted ${NAME}.`).waitFor();
  assert.deepEqual((await boto3(server, 'lambda', 'list_functions')).Functions, []);
});

faultless();
