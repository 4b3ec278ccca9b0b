// The blueprints, for each generation of the runtimes: their code, as the console shows it, works on its sample event.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { boto3, faultless, functionInput, open, page, server, until } from './world.mjs';

/** One runtime of each generation, the file it has, and how its handlers are written. */
const GENERATIONS = [
  { runtime: 'nodejs6.10', file: 'index.js', style: /^exports\.handler = function .*callback\)/m },
  { runtime: 'nodejs8.10', file: 'index.js', style: /^exports\.handler = async /m },
  { runtime: 'nodejs16.x', file: 'index.js', style: /^exports\.handler = (async |awslambda\.streamifyResponse)/m },
  { runtime: 'nodejs22.x', file: 'index.mjs', style: /^export const handler = /m },
];

/** Each by its title: its sample event, what it answers, from which generation on there is one. */
const BLUEPRINTS = [
  { title: 'Hello world', sample: 'hello-world', answers: (answer, event) => assert.equal(answer, event.key1) },
  { title: 'HTTP endpoint', sample: 'function-url', answers: (answer) => assert.deepEqual([answer.statusCode, typeof JSON.parse(answer.body)], [200, 'object']) },
  { title: 'SQS consumer', sample: 'sqs', answers: (answer) => assert.deepEqual(answer, { batchItemFailures: [] }) },
  { title: 'SNS message', sample: 'sns', answers: (answer, event) => assert.equal(answer, event.Records[0].Sns.Message) },
  { title: 'Response streaming', sample: 'hello-world', since: 2, answers: (answer) => assert.ok(answer.length > 0) },
];

open();

async function choose(runtime) {
  await page.getByRole('button', { name: /^Runtime/ }).click();
  await page.getByRole('option', { name: runtime, exact: true }).click();
}

test('every blueprint works in every generation that has it', async () => {
  await page.goto(`${server.endpoint}/console#/create`);
  const made = [];
  for (const [generation, { runtime, file, style }] of GENERATIONS.entries()) {
    await choose(runtime);
    for (const [number, { title, since = 0 }] of BLUEPRINTS.entries()) {
      const tile = page.getByRole('radio', { name: title });
      if (generation < since) {
        assert.ok(await tile.isDisabled(), `${title} in ${runtime}`);
        continue;
      }
      await tile.check({ force: true });
      await page.getByRole('heading', { name: file, exact: true }).waitFor();
      const code = page.getByRole('textbox', { name: `Code of ${title} for ${runtime}` });
      await code.waitFor();
      const text = (await code.locator('.cm-line').allTextContents()).join('\n');
      assert.match(text, style, `${title} in ${runtime}`);
      made.push({ name: `made-${generation}-${number}`, runtime, file, text, number });
    }
  }
  assert.equal(made.length, 18);
  assert.equal(new Set(made.map(({ text }) => text)).size, 14, 'each is there for each way to write it');
  await boto3(server, 'lambda', 'create_function', made.map(({ name, runtime, file, text }) => functionInput(name, { [file]: text }, { Runtime: runtime })));
  const configurations = () => boto3(server, 'lambda', 'get_function_configuration', made.map(({ name }) => ({ FunctionName: name })));
  await until('all of them are active', async () => (await configurations()).every(({ State }) => State === 'Active'));
  const events = new Map();
  for (const { sample } of BLUEPRINTS) events.set(sample, await (await fetch(`${server.endpoint}/_lambkin/sample-events/${sample}`)).json());
  const invoked = (asked) => boto3(server, 'lambda', 'invoke', asked.map(({ name, event }) => ({ FunctionName: name, Payload: JSON.stringify(event) })));
  const tried = made.map(({ name, number }) => ({ name, number, event: events.get(BLUEPRINTS[number].sample) }));
  for (const [index, { FunctionError, Payload }] of (await invoked(tried)).entries()) {
    const { name, number, event } = tried[index];
    assert.equal(FunctionError, undefined, `${name}: ${Payload}`);
    BLUEPRINTS[number].answers(BLUEPRINTS[number].title === 'Response streaming' ? Payload : JSON.parse(Payload), event);
  }
  // One bad message among good ones is named, and no other.
  const [record] = events.get('sqs').Records;
  const Records = ['good', ' ', 'good'].map((body, index) => ({ ...record, body, messageId: `m${index}` }));
  const consumers = made.filter(({ number }) => BLUEPRINTS[number].sample === 'sqs').map(({ name }) => ({ name, event: { Records } }));
  assert.equal(consumers.length, GENERATIONS.length);
  for (const { Payload } of await invoked(consumers)) assert.deepEqual(JSON.parse(Payload), { batchItemFailures: [{ itemIdentifier: 'm1' }] });
});

faultless();
