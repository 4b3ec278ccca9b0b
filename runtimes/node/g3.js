'use strict';
// The bootstrap of nodejs24.x and later (spec section 0, generation G3): console, awslambda, handler, event loop.

const channel = require('./channel');
const stdio = require('./stdio');
const consoles = require('./console');
const errors = require('./errors');
const errorsG3 = require('./errors-g3');
const endpoints = require('./endpoints');
const loaders = require('./loader');
const assignment = require('./assignment');
const compileCache = require('./compile-cache');
const posts = require('./response-post');
const handlers = require('./handler-g3');
const awslambda = require('./awslambda');
const invokeStore = require('./invoke-store');
const runtime = require('./runtime-g3');

const stringify = JSON.stringify;

stdio.install();
endpoints.install();
const loader = loaders.disguise(['index.mjs'], true);
assignment.wait();
posts.install();
delete process.env._LAMBDA_TELEMETRY_LOG_FD;

const json = consoles.install({
  json: true,
  filter: true,
  requestId: () => invokeStore.store.getRequestId(),
  // The key exists in AWS's formatter and is never filled (spec section 7.2).
  tenantId: () => undefined,
  errorsFrom: 1,
});
const logError = errors.logger(json, errorsG3.wrap, errorsG3.body);
if (awslambda.wanted()) {
  invokeStore.install();
  awslambda.install();
}

async function main() {
  let handler;
  let streaming;
  try {
    const loaded = compileCache.begin();
    handler = await handlers.load(loader, process.env.LAMBDA_TASK_ROOT, process.env._HANDLER);
    loaded();
    streaming = handlers.isStreaming(handler);
    if (handler.length >= 3 && !streaming) {
      throw new errorsG3.CallbackHandlerDeprecatedError();
    }
  } catch (error) {
    logError('Init Error', error);
    const body = errorsG3.body(error);
    channel.initError(body.errorType, stringify(body));
    // Nobody handles this: Node prints the error to standard error and ends with 1, as it does on AWS (section 1.4).
    throw error;
  }
  await runtime.run(handler, streaming, logError);
}

main();
