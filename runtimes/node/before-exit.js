'use strict';
// G2's single 'beforeExit' action: what happens when the event loop runs empty during an invocation (spec section 2.3).
//
// It is kept under AWS's global symbol, where tools look for it.
//
// Syntax: Node 10.

const ACTION = Symbol.for('aws.lambda.beforeExit');

function nothing() {}

exports.set = function (action) {
  global[ACTION] = action;
};

exports.reset = function () {
  global[ACTION] = nothing;
};

exports.install = function () {
  exports.reset();
  process.on('beforeExit', () => global[ACTION]());
};
