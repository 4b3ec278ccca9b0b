// SQS's operations that the console uses, in its JSON protocol.

import { json, request } from './request';

export interface Message {
  MessageId: string;
  Body: string;
  Attributes?: Record<string, string>;
}

const asked = (operation: string, input: Record<string, unknown>) => ({
  method: 'POST',
  path: '/',
  service: 'sqs',
  headers: { 'content-type': 'application/x-amz-json-1.0', 'x-amz-target': `AmazonSQS.${operation}` },
  body: JSON.stringify(input),
});

/** The address of a queue, as SQS names it. */
export const urlOf = (arn: string) => {
  const [, , , , account, name] = arn.split(':');
  return `${location.origin}/${account}/${name}`;
};

export async function createQueue(name: string, attributes: Record<string, string>): Promise<void> {
  await request(asked('CreateQueue', { QueueName: name, Attributes: attributes }));
}

export async function deleteQueue(url: string): Promise<void> {
  await request(asked('DeleteQueue', { QueueUrl: url }));
}

export async function purgeQueue(url: string): Promise<void> {
  await request(asked('PurgeQueue', { QueueUrl: url }));
}

export async function sendMessage(url: string, body: string, group?: string): Promise<void> {
  const fifo = group === undefined ? {} : { MessageGroupId: group, MessageDeduplicationId: crypto.randomUUID() };
  await request(asked('SendMessage', { QueueUrl: url, MessageBody: body, ...fifo }));
}

/** Receives up to ten messages and lets them be received again at once. It counts as a receive of each. */
export async function look(url: string): Promise<Message[]> {
  const input = { QueueUrl: url, MaxNumberOfMessages: 10, VisibilityTimeout: 0, AttributeNames: ['All'] };
  return (await json<{ Messages?: Message[] }>(asked('ReceiveMessage', input))).Messages ?? [];
}

/** Moves a dead-letter queue's messages back to where they came from. */
export async function redrive(arn: string): Promise<void> {
  await request(asked('StartMessageMoveTask', { SourceArn: arn }));
}
