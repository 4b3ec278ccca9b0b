'use strict';
// The bootstrap of nodejs10.x, 12.x, 14.x, 16.x, 18.x, 20.x and 22.x: installs the console and the crash reporters,
// loads the handler, and enters the event loop (spec section 0, generation G2).

const fs = require('fs');
const channel = require('./channel');
const stdio = require('./stdio');
const consoles = require('./console');
const errors = require('./errors');
const errorsG2 = require('./errors-g2');
const beforeExit = require('./before-exit');
const endpoints = require('./endpoints');
const loaders = require('./loader');
const assignment = require('./assignment');
const compileCache = require('./compile-cache');
const posts = require('./response-post');
const handlers = require('./handler-g2');
const awslambda = require('./awslambda');
const runtimes = require('./runtime-g2');

const stringify = JSON.stringify;
const major = parseInt(process.versions.node, 10);

// The same code base served all of them, and each runtime kept what it had when AWS stopped updating it.
const traits = {
  // ES modules, top-level await and awslambda came with 14.x (sections 1.2 and 9.2).
  esm: major >= 14,
  // "Node.js 16 and later" in AWS's table of runtimes with JSON logs.
  jsonLogs: major >= 16,
  // Runtime.NodeJsExit: in 18, 20 and 22 (section 2.1).
  nodeJsExit: major >= 18,
  // The callback warning and context.tenantId came with client 3.3.0, late in 2025; 18.x left support before it.
  warnsOfCallbacks: major >= 20,
  tenants: major >= 20,
  // 16.x and 18.x have NODE_EXTRA_CA_CERTS set by AWS; from 20.x on functions set it themselves (section 8.2).
  caCertificates: major >= 16 && major < 20,
  highWaterMark: major >= 22 ? 65536 : 16384,
};

stdio.install();
endpoints.install();
const files = major >= 12 ? ['index.js', 'Runtime.js', 'UserFunction.js'] : ['index.js', 'UserFunction.js'];
const loader = traits.esm ? loaders.disguise(['index.mjs'], true) : loaders.disguise(files, false);
assignment.wait();
posts.install();
delete process.env._LAMBDA_TELEMETRY_LOG_FD;
if (traits.caCertificates && process.env.NODE_EXTRA_CA_CERTS === undefined) {
  caCertificates();
}

// Only here, where Node has started: reading the file costs it up to 38 ms, and this process does without. The function
// and what it starts find the variable as on AWS.
function caCertificates() {
  const file = process.env.LAMBDA_RUNTIME_DIR + '/ca-cert.pem';
  if (fs.existsSync(file)) {
    process.env.NODE_EXTRA_CA_CERTS = file;
  }
}

let runtime = null;
const json = consoles.install({
  json: traits.jsonLogs,
  filter: traits.jsonLogs,
  requestId: runtimes.requestId,
  tenantId: () => (runtime === null ? undefined : runtime.tenantId),
  errorsFrom: 0,
});
const logError = errors.logger(json, errorsG2.wrap, errorsG2.body);

function initError(error, code) {
  const body = errorsG2.body(error);
  channel.initError(body.errorType, stringify(body));
  process.exit(code);
}

// Until the first event an error is init's; each event puts its own reporters in.
const crash = {
  uncaughtException: (error) => initError(error, 129),
  unhandledRejection: (error) => initError(error, 128),
};

function uncaught(error) {
  logError('Uncaught Exception', error);
  crash.uncaughtException(error);
}

process.on('uncaughtException', uncaught);
process.on('unhandledRejection', (reason, promise) => {
  const error = new errorsG2.UnhandledPromiseRejection(reason, promise);
  logError('Unhandled Promise Rejection', error);
  crash.unhandledRejection(error);
});
beforeExit.install();

function start(handler) {
  const streaming = traits.esm && handlers.isStreaming(handler);
  const isAsync = handlers.isAsync(handler);
  if (
    traits.warnsOfCallbacks &&
    process.env.AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING === undefined &&
    handler.length === 3 &&
    !isAsync &&
    !streaming
  ) {
    console.warn(
      'AWS Lambda plans to remove support for callback-based function handlers starting with Node.js 24. You will need ' +
        'to update this function to use an async handler to use Node.js 24 or later. For more information and to ' +
        'provide feedback on this change, see ' +
        'https://github.com/aws/aws-lambda-nodejs-runtime-interface-client/issues/137. To disable this warning, set ' +
        'the AWS_LAMBDA_NODEJS_DISABLE_CALLBACK_WARNING environment variable.'
    );
  }
  runtime = new runtimes.Runtime(handler, streaming, isAsync, traits, crash, logError);
  runtime.scheduleNext();
}

const taskRoot = process.env.LAMBDA_TASK_ROOT;
const handlerName = process.env._HANDLER;

if (traits.esm) {
  awslambda.install();
  // AWS's entry awaits all this at its top level, so that a module that never settles ends the process with 13.
  const unsettled = () => {
    if (process.exitCode === undefined) {
      process.exitCode = 13;
    }
  };
  process.on('exit', unsettled);
  const loaded = compileCache.begin();
  handlers
    .load(loader, taskRoot, handlerName)
    .then((handler) => {
      loaded();
      start(handler);
    })
    .then(
      () => process.removeListener('exit', unsettled),
      (error) => {
        process.removeListener('exit', unsettled);
        uncaught(error);
      }
    );
} else {
  start(handlers.loadSync(loader, taskRoot, handlerName));
}
