// Queues, topics, layers and event source mappings, each on its page: boto3 reads back what each control did.

import assert from 'node:assert/strict';
import { test } from 'node:test';

import { accessibilityFaults, boto3, createFunction, faultless, open, page, screenshot, server } from './world.mjs';

open();

test('queues are created, sent to, looked at and purged', async () => {
  await page.goto(`${server.endpoint}/console#/queues`);
  for (const [name, dead] of [['dead', ''], ['orders', 'dead']]) {
    await page.getByRole('button', { name: 'Create queue' }).click();
    await page.getByLabel('Queue name').fill(name);
    if (dead) await page.getByLabel('Dead-letter queue').fill(dead);
    await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
    await page.getByText(`Created the queue ${name}.`).waitFor();
  }
  const { QueueUrl } = await boto3(server, 'sqs', 'get_queue_url', { QueueName: 'orders' });
  const { Attributes } = await boto3(server, 'sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['All'] });
  assert.deepEqual(JSON.parse(Attributes.RedrivePolicy), { deadLetterTargetArn: 'arn:aws:sqs:us-east-1:000000000000:dead', maxReceiveCount: 3 });
  await page.getByRole('radio', { name: 'Select orders' }).check({ force: true });
  await page.getByLabel('Message', { exact: true }).fill('{"order": 1}');
  await page.getByRole('button', { name: 'Send message' }).click();
  await page.getByText('Sent a message to orders.').waitFor();
  await page.getByRole('button', { name: 'Look at messages' }).click();
  await page.getByRole('table', { name: 'Messages' }).getByText('{"order": 1}').waitFor();
  await screenshot(page, 'queues', 1000);
  assert.deepEqual(await accessibilityFaults(page), []);
  const { Messages } = await boto3(server, 'sqs', 'receive_message', { QueueUrl, VisibilityTimeout: 0 });
  assert.equal(Messages[0].Body, '{"order": 1}');
  await page.getByRole('button', { name: 'Purge', exact: true }).click();
  await page.getByLabel('To confirm, type purge').fill('purge');
  await page.getByRole('dialog').getByRole('button', { name: 'Purge' }).click();
  await page.getByText('Purged orders.').waitFor();
  const after = await boto3(server, 'sqs', 'get_queue_attributes', { QueueUrl, AttributeNames: ['ApproximateNumberOfMessages'] });
  assert.equal(after.Attributes.ApproximateNumberOfMessages, '0');
});

test('a queue is deleted with a word', async () => {
  const { QueueUrl } = await boto3(server, 'sqs', 'create_queue', { QueueName: 'spare' });
  await page.getByRole('radio', { name: 'Select spare' }).check({ force: true });
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await page.getByRole('dialog').getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted spare.').waitFor();
  await page.getByRole('radio', { name: 'Select spare' }).waitFor({ state: 'detached' });
  const { QueueUrls } = await boto3(server, 'sqs', 'list_queues');
  assert.ok(QueueUrls.length > 0 && !QueueUrls.includes(QueueUrl));
});

test('a dead-letter queue is redriven', async () => {
  const urls = {};
  for (const name of ['dead', 'orders']) urls[name] = (await boto3(server, 'sqs', 'get_queue_url', { QueueName: name })).QueueUrl;
  await boto3(server, 'sqs', 'send_message', { QueueUrl: urls.orders, MessageBody: 'bad' });
  // The fourth receive is one too many.
  for (let receive = 0; receive < 4; receive++) await boto3(server, 'sqs', 'receive_message', { QueueUrl: urls.orders, VisibilityTimeout: 0 });
  await page.getByRole('row', { name: /dead/ }).getByRole('cell', { name: '1', exact: true }).first().waitFor();
  await page.getByRole('radio', { name: 'Select dead' }).check({ force: true });
  await page.getByRole('button', { name: 'Redrive' }).click();
  await page.getByText('The messages of dead go back.').waitFor();
  const { Messages } = await boto3(server, 'sqs', 'receive_message', { QueueUrl: urls.orders, WaitTimeSeconds: 20, VisibilityTimeout: 0 });
  assert.equal(Messages[0].Body, 'bad');
  await boto3(server, 'sqs', 'delete_message', { QueueUrl: urls.orders, ReceiptHandle: Messages[0].ReceiptHandle });
});

test('a FIFO queue keeps its order; a subject goes with a topic’s message', async () => {
  const dialog = page.getByRole('dialog');
  await page.getByRole('button', { name: 'Create queue' }).click();
  await dialog.getByLabel('Queue name').fill('steps_of-1');
  await dialog.getByText('FIFO: in order').click();
  await dialog.getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByText('Created the queue steps_of-1.fifo.').waitFor();
  await page.getByRole('radio', { name: 'Select steps_of-1.fifo' }).check({ force: true });
  for (const [group, body] of [['a', 'first'], ['a', 'second']]) {
    await page.getByLabel('Message group').fill(group);
    await page.getByLabel('Message', { exact: true }).fill(body);
    await page.getByRole('button', { name: 'Send message' }).click();
    await page.waitForFunction(() => document.querySelector('textarea')?.value === '');
  }
  const { QueueUrl } = await boto3(server, 'sqs', 'get_queue_url', { QueueName: 'steps_of-1.fifo' });
  const { Messages } = await boto3(server, 'sqs', 'receive_message', { QueueUrl, MaxNumberOfMessages: 10, AttributeNames: ['MessageGroupId'], VisibilityTimeout: 0 });
  assert.deepEqual(Messages.map(({ Body, Attributes }) => [Attributes.MessageGroupId, Body]), [['a', 'first'], ['a', 'second']]);
  const orders = await boto3(server, 'sqs', 'get_queue_url', { QueueName: 'orders' });
  const { TopicArn } = await boto3(server, 'sns', 'create_topic', { Name: 'titled' });
  await boto3(server, 'sns', 'subscribe', { TopicArn, Protocol: 'sqs', Endpoint: 'arn:aws:sqs:us-east-1:000000000000:orders' });
  await page.goto(`${server.endpoint}/console#/topics`);
  await page.getByRole('radio', { name: 'Select titled' }).check({ force: true });
  await page.getByLabel('Subject').fill('the news');
  await page.getByLabel('Message body').fill('and the rest');
  await page.getByRole('button', { name: 'Publish message' }).click();
  await page.getByText('Published a message to titled.').waitFor();
  const came = await boto3(server, 'sqs', 'receive_message', { QueueUrl: orders.QueueUrl, WaitTimeSeconds: 20 });
  const { Subject, Message } = JSON.parse(came.Messages[0].Body);
  assert.deepEqual([Subject, Message], ['the news', 'and the rest']);
  await boto3(server, 'sqs', 'delete_message', { QueueUrl: orders.QueueUrl, ReceiptHandle: came.Messages[0].ReceiptHandle });
  await boto3(server, 'sns', 'delete_topic', { TopicArn });
});

test('topics are created, subscribed to and published to', async () => {
  const topic = 'arn:aws:sns:us-east-1:000000000000:news';
  const subscriptions = async () => (await boto3(server, 'sns', 'list_subscriptions_by_topic', { TopicArn: topic })).Subscriptions;
  await page.goto(`${server.endpoint}/console#/topics`);
  await page.getByRole('button', { name: 'Create topic' }).click();
  await page.getByLabel('Topic name').fill('news');
  await page.getByRole('dialog').getByRole('button', { name: 'Create', exact: true }).click();
  await page.getByText('Created the topic news.').waitFor();
  assert.deepEqual((await boto3(server, 'sns', 'list_topics')).Topics, [{ TopicArn: topic }]);
  await page.getByRole('button', { name: 'Create subscription' }).click();
  const dialog = page.getByRole('dialog');
  await dialog.getByRole('button', { name: /Function or queue/ }).click();
  await page.getByRole('option', { name: /^orders/ }).click();
  await dialog.getByText('Raw message delivery').click();
  await dialog.getByLabel(/Filter policy/).fill('{');
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await dialog.getByText(/FilterPolicy/).first().waitFor();
  await dialog.getByLabel(/Filter policy/).fill('');
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await page.getByText('Subscribed to news.').waitFor();
  const [made] = await subscriptions();
  assert.deepEqual([made.Protocol, made.Endpoint], ['sqs', 'arn:aws:sqs:us-east-1:000000000000:orders']);
  await page.getByLabel('Message body').fill('<b>"ä" & more</b>');
  await page.getByRole('button', { name: 'Publish message' }).click();
  await page.getByText('Published a message to news.').waitFor();
  const { QueueUrl } = await boto3(server, 'sqs', 'get_queue_url', { QueueName: 'orders' });
  const { Messages } = await boto3(server, 'sqs', 'receive_message', { QueueUrl, WaitTimeSeconds: 20 });
  assert.equal(Messages[0].Body, '<b>"ä" & more</b>');
  await boto3(server, 'sqs', 'delete_message', { QueueUrl, ReceiptHandle: Messages[0].ReceiptHandle });
  await screenshot(page, 'topics');
  // A function that subscribes here says by its policy that the topic may invoke it.
  await createFunction(server, 'reader', { 'index.mjs': 'export const handler = async () => 1;' });
  await page.getByRole('button', { name: 'Create subscription' }).click();
  await dialog.getByRole('button', { name: /Function or queue/ }).click();
  await page.getByRole('option', { name: /^reader/ }).click();
  await dialog.getByRole('button', { name: 'Subscribe' }).click();
  await page.getByRole('radio', { name: /Select arn:aws:lambda/ }).waitFor({ state: 'attached' });
  const [statement] = JSON.parse((await boto3(server, 'lambda', 'get_policy', { FunctionName: 'reader' })).Policy).Statement;
  assert.deepEqual([statement.Principal, statement.Condition], [{ Service: 'sns.amazonaws.com' }, { ArnLike: { 'AWS:SourceArn': topic } }]);
  await page.getByRole('radio', { name: /Select arn:aws:lambda/ }).check({ force: true });
  await page.getByRole('button', { name: 'Delete subscription' }).click();
  await page.getByRole('radio', { name: /Select arn:aws:lambda/ }).waitFor({ state: 'detached' });
  await boto3(server, 'lambda', 'delete_function', { FunctionName: 'reader' });
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('radio', { name: /Select arn:aws:sqs/ }).check({ force: true });
  await page.getByRole('button', { name: 'Delete subscription' }).click();
  await page.getByText('Deleted the subscription.').first().waitFor();
  assert.deepEqual(await subscriptions(), []);
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted news.').waitFor();
  assert.deepEqual((await boto3(server, 'sns', 'list_topics')).Topics, []);
});

test('layer versions are published from a zip, and deleted', async () => {
  const versions = async () => (await boto3(server, 'lambda', 'list_layer_versions', { LayerName: 'tools' })).LayerVersions.map(({ Version, Description }) => [Version, Description]);
  const dialog = page.getByRole('dialog');
  await createFunction(server, 'consumer', { 'index.js': 'exports.handler = async () => ({});' });
  const { Code: { Location } } = await boto3(server, 'lambda', 'get_function', { FunctionName: 'consumer' });
  const zip = Buffer.from(await (await fetch(Location)).arrayBuffer());
  const publish = async (description, buffer) => {
    await page.getByRole('button', { name: 'Publish version' }).click();
    await dialog.getByLabel('Layer name').fill('tools');
    await dialog.getByLabel(/Version description/).fill(description);
    await dialog.locator('input[type=file]').setInputFiles({ name: 'layer.zip', mimeType: 'application/zip', buffer });
    await dialog.getByRole('button', { name: 'Publish' }).click();
  };
  await page.goto(`${server.endpoint}/console#/layers`);
  await publish('no zip', Buffer.from('no zip'));
  await dialog.getByText(/unzip|zip file/i).filter({ hasText: /could not|invalid|not/i }).first().waitFor();
  await dialog.getByRole('button', { name: 'Cancel' }).click();
  for (const [version, description] of [[1, 'the first'], [2, 'the second']]) {
    await publish(description, zip);
    await page.getByText(`Published version ${version} of tools.`).waitFor();
  }
  assert.deepEqual(await versions(), [[2, 'the second'], [1, 'the first']]);
  const made = await boto3(server, 'lambda', 'get_layer_version', { LayerName: 'tools', VersionNumber: 2 });
  assert.deepEqual(Buffer.from(await (await fetch(made.Content.Location)).arrayBuffer()), zip);
  await page.getByRole('table', { name: 'Layers' }).getByText('the second').waitFor();
  assert.deepEqual(await accessibilityFaults(page), []);
  await page.getByRole('radio', { name: 'Select version 1 of tools' }).check({ force: true });
  await page.getByRole('button', { name: 'Delete', exact: true }).click();
  await page.getByLabel('To confirm, type delete').fill('delete');
  await dialog.getByRole('button', { name: 'Delete' }).click();
  await page.getByText('Deleted version 1 of tools.').waitFor();
  assert.deepEqual(await versions(), [[2, 'the second']]);
});

test('an event source mapping is made, changed, switched off and on, found and deleted', async () => {
  const mappings = async () => (await boto3(server, 'lambda', 'list_event_source_mappings')).EventSourceMappings;
  const other = await boto3(server, 'lambda', 'create_event_source_mapping', { FunctionName: 'consumer', EventSourceArn: 'arn:aws:sqs:us-east-1:000000000000:dead' });
  const dialog = page.getByRole('dialog');
  await page.goto(`${server.endpoint}/console#/mappings`);
  const table = page.getByRole('table', { name: 'Event source mappings' });
  await page.getByRole('button', { name: 'Add mapping' }).click();
  await dialog.getByLabel('Function', { exact: true }).fill('nobody');
  await dialog.getByRole('button', { name: /Queue/ }).click();
  await page.getByRole('option', { name: 'orders' }).click();
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await dialog.getByText(/Function (does not|doesn't) exist|not found/i).first().waitFor();
  await dialog.getByLabel('Function', { exact: true }).fill('consumer');
  await dialog.getByRole('button', { name: 'Add', exact: true }).click();
  await page.getByText('Added the mapping.').waitFor();
  const find = async () => (await mappings()).find(({ EventSourceArn }) => EventSourceArn.endsWith(':orders'));
  assert.deepEqual([(await mappings()).length, (await find()).BatchSize], [2, 10]);
  await table.getByRole('row', { name: /orders/ }).getByText('Enabled', { exact: true }).waitFor();
  await screenshot(page, 'mappings');
  assert.deepEqual(await accessibilityFaults(page), []);
  // What was made is chosen.
  await page.getByRole('button', { name: 'Edit mapping' }).click();
  await dialog.getByLabel('Batch size').fill('3');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await page.getByText('Changed the mapping.').waitFor();
  assert.equal((await find()).BatchSize, 3);
  for (const [deed, state] of [['Disable', 'Disabled'], ['Enable', 'Enabled']]) {
    await page.getByRole('button', { name: deed, exact: true }).click();
    await table.getByRole('row', { name: /orders/ }).getByText(state, { exact: true }).waitFor();
    assert.equal((await find()).State, state);
  }
  await page.getByLabel('Find event source mappings').fill('dead');
  await table.getByRole('row', { name: /orders/ }).waitFor({ state: 'detached' });
  await page.getByLabel('Find event source mappings').fill('');
  await page.getByRole('button', { name: 'Delete mapping' }).click();
  await table.getByRole('row', { name: /orders/ }).waitFor({ state: 'detached' });
  assert.deepEqual((await mappings()).map(({ UUID }) => UUID), [other.UUID]);
  await table.getByRole('link', { name: 'consumer' }).click();
  await page.getByRole('table', { name: 'Triggers' }).getByText('dead').waitFor();
});

faultless();
