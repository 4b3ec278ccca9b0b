'use strict';
// G2's error classes and response bodies (spec sections 1.2 and 3.1, column G2).
//
// The names sit on the prototypes: the log line of a runtime error has no own `name`, unlike G3's (spec section 1.4).

const types = require('util').types;
const errors = require('./errors');

class ImportModuleError extends Error {}
class HandlerNotFound extends Error {}
class MalformedHandlerName extends Error {}
class UserCodeSyntaxError extends Error {}
class MalformedStreamingHandler extends Error {}
class InvalidStreamingOperation extends Error {}

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}

class NodeJsExit extends Error {
  constructor() {
    super(
      'The Lambda runtime client detected an unexpected Node.js exit code. This is most commonly caused by a Promise ' +
        'that was never settled. For more information, see https://nodejs.org/docs/latest/api/process.html#exit-codes'
    );
  }
}

const classes = {
  ImportModuleError,
  HandlerNotFound,
  MalformedHandlerName,
  UserCodeSyntaxError,
  MalformedStreamingHandler,
  InvalidStreamingOperation,
  UnhandledPromiseRejection,
  NodeJsExit,
};

Object.keys(classes).forEach((name) => {
  classes[name].prototype.name = `Runtime.${name}`;
});

function filled(value) {
  return typeof value === 'string' && value !== '';
}

// G2 takes a plain object for an error where it looks like one.
function looksLikeError(value) {
  return Boolean(value) && filled(value.name) && filled(value.message) && filled(value.stack);
}

function body(error) {
  try {
    if (types.isNativeError(error) || looksLikeError(error)) {
      return {
        errorType: errors.clean(error.name),
        errorMessage: errors.clean(error.message),
        // No guard: an error without a stack is unreadable in G2.
        trace: errors.clean(error.stack).split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: errors.clean(error.toString()), trace: [] };
  } catch (e) {
    return { errorType: 'handled', errorMessage: errors.UNREADABLE };
  }
}

function wrap(error) {
  return error instanceof Error ? error : new Error(error);
}

module.exports = Object.assign({ body, wrap }, classes);
