'use strict';
// What the entries of nodejs4.3, 6.10 and 8.10 share.
//
// Syntax: Node 4.3.

const stdio = require('./stdio');
const consoles = require('./console-g1');
const endpoints = require('./endpoints');
const loaders = require('./loader');
const assignment = require('./assignment');
const runtime = require('./runtime-g1');

// Never visible to user code (spec section 8.2).
const INTERNAL = [
  '_LAMBDA_CONTROL_SOCKET',
  '_LAMBDA_SHARED_MEM_FD',
  '_LAMBDA_LOG_FD',
  '_LAMBDA_SB_ID',
  '_LAMBDA_CONSOLE_SOCKET',
  '_LAMBDA_RUNTIME_LOAD_TIME',
  '_LAMBDA_TELEMETRY_LOG_FD',
];

exports.start = function (awaitsPromises) {
  stdio.install();
  endpoints.install();
  const loader = loaders.disguise(['node_modules/awslambda/index.js'], false);
  assignment.wait();
  INTERNAL.forEach(function (name) {
    delete process.env[name];
  });
  // Which id module code logs under is not known (spec section 13.1); there is none before the first event.
  consoles.install(undefined);
  runtime.start({
    loader: loader,
    root: process.env.LAMBDA_TASK_ROOT,
    handler: process.env._HANDLER,
    awaitsPromises: awaitsPromises,
  });
};
