// Blueprints: code to begin with, by the runtime's generation. Callbacks up to 6.10, async functions to 16, ES modules since 18.

import helloCallback from '../blueprints/hello-world.callback.js?raw';
import helloCommon from '../blueprints/hello-world.cjs?raw';
import helloModule from '../blueprints/hello-world.mjs?raw';
import httpCallback from '../blueprints/http.callback.js?raw';
import httpCommon from '../blueprints/http.cjs?raw';
import httpModule from '../blueprints/http.mjs?raw';
import snsCallback from '../blueprints/sns.callback.js?raw';
import snsCommon from '../blueprints/sns.cjs?raw';
import snsModule from '../blueprints/sns.mjs?raw';
import sqsCallback from '../blueprints/sqs.callback.js?raw';
import sqsCommon from '../blueprints/sqs.cjs?raw';
import sqsModule from '../blueprints/sqs.mjs?raw';
import streamingCommon from '../blueprints/streaming.cjs?raw';
import streamingModule from '../blueprints/streaming.mjs?raw';

import type { UrlInput } from './client/urls';

/** Newest first. */
export const RUNTIMES = [
  'nodejs26.x', 'nodejs24.x', 'nodejs22.x', 'nodejs20.x', 'nodejs18.x', 'nodejs16.x', 'nodejs14.x', 'nodejs12.x', 'nodejs10.x',
  'nodejs8.10', 'nodejs6.10', 'nodejs4.3',
];

export interface Blueprint {
  id: string;
  title: string;
  description: string;
  /** The sample event to try it with. */
  sample: string;
  /** It answers HTTP: a function URL is made with it, in this mode. */
  url?: UrlInput['InvokeMode'];
  callback?: string;
  common: string;
  module: string;
}

export const SCRATCH = 'scratch';

export const BLUEPRINTS: Blueprint[] = [
  {
    id: 'hello-world', title: 'Hello world', sample: 'hello-world',
    description: 'Logs the values of an event and returns the first.',
    callback: helloCallback, common: helloCommon, module: helloModule,
  },
  {
    id: 'http', title: 'HTTP endpoint', sample: 'function-url',
    description: 'Answers HTTP events, as function URLs and API Gateway send them, with status and headers.',
    url: 'BUFFERED', callback: httpCallback, common: httpCommon, module: httpModule,
  },
  {
    id: 'sqs', title: 'SQS consumer', sample: 'sqs',
    description: 'Works on the messages of a queue and reports which of them failed.',
    callback: sqsCallback, common: sqsCommon, module: sqsModule,
  },
  {
    id: 'sns', title: 'SNS message', sample: 'sns',
    description: 'Logs the message that a topic delivers, and returns it.',
    callback: snsCallback, common: snsCommon, module: snsModule,
  },
  {
    id: 'streaming', title: 'Response streaming', sample: 'hello-world',
    description: 'Writes its answer piece by piece. Needs nodejs14.x or later.',
    url: 'RESPONSE_STREAM', common: streamingCommon, module: streamingModule,
  },
];

const SCRATCH_CODE: Pick<Blueprint, 'callback' | 'common' | 'module'> = {
  callback: "exports.handler = function (event, context, callback) {\n  callback(null, 'Hello from Lambda!');\n};\n",
  common: "exports.handler = async (event) => {\n  return { statusCode: 200, body: JSON.stringify('Hello from Lambda!') };\n};\n",
  module: "export const handler = async (event) => {\n  return { statusCode: 200, body: JSON.stringify('Hello from Lambda!') };\n};\n",
};

function version(runtime: string): number {
  return Number.parseInt(runtime.replace('nodejs', ''), 10);
}

/** File name and code of a blueprint for a runtime; `undefined` where it cannot run there. */
export function codeFor(id: string, runtime: string): { name: string; text: string } | undefined {
  const blueprint = id === SCRATCH ? SCRATCH_CODE : BLUEPRINTS.find((each) => each.id === id);
  if (blueprint === undefined || (id === 'streaming' && version(runtime) < 14)) return undefined;
  if (version(runtime) >= 18) return { name: 'index.mjs', text: blueprint.module };
  const text = version(runtime) >= 8 ? blueprint.common : blueprint.callback;
  return text === undefined ? undefined : { name: 'index.js', text };
}
