'use strict';
// The generic process: it boots before anybody knows which function it will run, says so, and waits in its read for the
// function's variables. From then on it is the process that would have been started with them.
//
// Nothing of the function is looked at before: there is no code yet, and no variable of it.
//
// Syntax: Node 4.3.

const channel = require('./channel');

// A function cannot set it: of its own variables those that begin with "_" are dropped.
const GENERIC = '_LAMBKIN_GENERIC';

// Returns at once in a process that has its variables from the start.
exports.wait = function () {
  const env = process.env;
  if (env[GENERIC] === undefined) {
    return;
  }
  const variables = channel.assigned();
  // All of them anew, so that their order is that of a start as well. Children inherit them: this is setenv(3).
  Object.keys(env).forEach(function (name) {
    delete env[name];
  });
  Object.keys(variables).forEach(function (name) {
    env[name] = variables[name];
  });
  // By name: what is mounted there now is not what was there at the start.
  process.chdir(variables.LAMBDA_TASK_ROOT);
};
