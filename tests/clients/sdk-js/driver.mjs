// The AWS SDK for JavaScript v3, unmodified, on the tour (../tour.py): a request comes in a line, an answer goes out in one.
// A blob is {"$base64": text}, a moment {"$time": seconds}.

import { createInterface } from 'node:readline';
import * as cloudwatch from '@aws-sdk/client-cloudwatch';
import * as logs from '@aws-sdk/client-cloudwatch-logs';
import * as lambda from '@aws-sdk/client-lambda';

const services = {
  lambda: [lambda, lambda.LambdaClient],
  logs: [logs, logs.CloudWatchLogsClient],
  cloudwatch: [cloudwatch, cloudwatch.CloudWatchClient],
};
const clients = {};
for (const [name, [, Client]] of Object.entries(services)) clients[name] = new Client({ maxAttempts: 1 });

const given = (value) => {
  if (Array.isArray(value)) return value.map(given);
  if (value === null || typeof value !== 'object') return value;
  if ('$base64' in value) return Buffer.from(value.$base64, 'base64');
  if ('$time' in value) return new Date(value.$time * 1000);
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, given(each)]));
};

const plain = async (value) => {
  if (value === null || typeof value !== 'object') return value;
  if (value instanceof Date) return { $time: value.getTime() / 1000 };
  if (value instanceof Uint8Array) return { $base64: Buffer.from(value).toString('base64') };
  if (Array.isArray(value)) return Promise.all(value.map(plain));
  if (Symbol.asyncIterator in value) {
    const events = [];
    for await (const event of value) events.push(await plain(event));
    return events;
  }
  const members = Object.entries(value).filter(([key, each]) => each !== undefined && key !== '$metadata');
  return Object.fromEntries(await Promise.all(members.map(async ([key, each]) => [key, await plain(each)])));
};

const answer = async ({ service, operation, input, has }) => {
  const [commands] = services[service];
  if (has) return { has: `${has}Command` in commands };
  const Command = commands[`${operation}Command`];
  if (!Command) return { broken: `no ${operation}Command` };
  try {
    const output = await clients[service].send(new Command(given(input)));
    return { status: output.$metadata.httpStatusCode, output: await plain(output) };
  } catch (error) {
    if (!error.$metadata?.httpStatusCode) return { broken: error.stack };
    // Services that spoke the Query protocol before have AWS's code beside the shape's name.
    return { status: error.$metadata.httpStatusCode, error: error.Code ?? error.name, message: error.message };
  }
};

for await (const line of createInterface({ input: process.stdin })) {
  console.log(JSON.stringify(await answer(JSON.parse(line))));
}
