// The blueprints, for each generation of the runtimes: their code, as the console shows it, works on its sample event.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { boto3, createFunction, faultless, open, page, server } from './world.mjs';

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
  for (const { name, runtime, file, text } of made) await createFunction(server, name, { [file]: text }, { Runtime: runtime });
  const events = new Map();
  for (const { sample } of BLUEPRINTS) events.set(sample, await (await fetch(`${server.endpoint}/_lambkin/sample-events/${sample}`)).json());
  for (const { name, number } of made) {
    const { sample, answers } = BLUEPRINTS[number];
    const event = events.get(sample);
    const { FunctionError, Payload } = await boto3(server, 'lambda', 'invoke', { FunctionName: name, Payload: JSON.stringify(event) });
    assert.equal(FunctionError, undefined, `${name}: ${Payload}`);
    if (sample === 'sqs') {
      // One bad message among good ones is named, and no other.
      const [record] = event.Records;
      const Records = ['good', ' ', 'good'].map((body, index) => ({ ...record, body, messageId: `m${index}` }));
      const { Payload: partly } = await boto3(server, 'lambda', 'invoke', { FunctionName: name, Payload: JSON.stringify({ Records }) });
      assert.deepEqual(JSON.parse(partly), { batchItemFailures: [{ itemIdentifier: 'm1' }] });
    }
    answers(BLUEPRINTS[number].title === 'Response streaming' ? Payload : JSON.parse(Payload), event);
  }
});

faultless();
