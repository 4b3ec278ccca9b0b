'use strict';
// G3's error classes and response bodies (spec sections 1.3, 2.4 and 3.1, column G3).
//
// Here the name is an own property of each error, and shows in the log line (spec section 1.4).

const errors = require('./errors');

class RuntimeError extends Error {
  constructor(name, message) {
    super(message);
    this.name = `Runtime.${name}`;
  }
}

class HandlerNotFoundError extends RuntimeError {
  constructor(message) {
    super('HandlerNotFound', message);
  }
}

class MalformedHandlerNameError extends RuntimeError {
  constructor(message) {
    super('MalformedHandlerName', message);
  }
}

class ImportModuleError extends RuntimeError {
  constructor(cause) {
    super('ImportModuleError', String(cause));
  }
}

class UserCodeSyntaxError extends RuntimeError {
  constructor(cause) {
    super('UserCodeSyntaxError', String(cause));
    // Node's own text with the source line and the caret (spec section 1.3).
    this.stack = cause.stack;
  }
}

class MalformedStreamingHandler extends RuntimeError {
  constructor(message) {
    super('MalformedStreamingHandler', message);
  }
}

class InvalidStreamingOperation extends RuntimeError {
  constructor(message) {
    super('InvalidStreamingOperation', message);
  }
}

class JSONStringifyError extends RuntimeError {
  constructor() {
    super('JSONStringifyError', 'Unable to stringify response body');
  }
}

class PlatformError extends RuntimeError {
  constructor(message) {
    super('PlatformError', message);
  }
}

class CallbackHandlerDeprecatedError extends RuntimeError {
  constructor() {
    super(
      'CallbackHandlerDeprecated',
      'ERROR: AWS Lambda has removed support for callback-based function handlers starting with Node.js 24. You need ' +
        'to modify this function to use a supported handler signature to use Node.js 24 or later. For more ' +
        'information see https://docs.aws.amazon.com/lambda/latest/dg/nodejs-handler.html.'
    );
  }
}

function body(error) {
  try {
    if (error instanceof Error) {
      const stack = errors.clean(error.stack);
      return {
        errorType: errors.clean(error.name),
        errorMessage: errors.clean(error.message),
        trace: stack === undefined || stack === null ? [] : stack.split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch (e) {
    return { errorType: 'handled', errorMessage: errors.UNREADABLE, trace: [] };
  }
}

function wrap(error) {
  return error instanceof Error ? error : new Error(String(error));
}

module.exports = {
  HandlerNotFoundError,
  MalformedHandlerNameError,
  ImportModuleError,
  UserCodeSyntaxError,
  MalformedStreamingHandler,
  InvalidStreamingOperation,
  JSONStringifyError,
  PlatformError,
  CallbackHandlerDeprecatedError,
  body,
  wrap,
};
