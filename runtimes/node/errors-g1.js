'use strict';
// G1's error bodies, fault lines and stack traces (spec sections 1.1, 2.2, 3.1 and 3.4).
//
// Syntax: Node 4.3.

const stringify = JSON.stringify;

const UNREADABLE =
  'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack';
const PREFIX = '    at ';
// What context.fail() without an error becomes: it differs from any error a user may give.
const NO_ERROR = '__emptyFailParamBackCompat';

exports.NO_ERROR = NO_ERROR;

exports.absent = function (value) {
  return value === undefined || value === null;
};

function withoutPrefix(line) {
  return line.slice(0, PREFIX.length) === PREFIX ? line.slice(PREFIX.length) : line;
}

function body(message, name, stack) {
  const result = {};
  result.errorMessage = exports.absent(message) || message == NO_ERROR ? null : message.toString();
  if (!exports.absent(name)) {
    result.errorType = name.toString();
  }
  if (!exports.absent(stack)) {
    result.stackTrace = stack;
  }
  return result;
}

// Returns { type, text }: the error's class where it has one, and the JSON body.
exports.describe = function (error) {
  let result;
  if (error instanceof Error) {
    try {
      // The first line is the message. A fault has lost it already and loses its first frame here, as on AWS.
      result = body(error.message, error.name, error.stack.split('\n').slice(1).map(withoutPrefix));
    } catch (e) {
      result = body(UNREADABLE);
    }
  } else {
    result = body(error);
  }
  return { type: result.errorType, text: stringify(result) };
};

// Stack traces end where the runtime begins: Error.prepareStackTrace, for good. `bundle` is the runtime's file.
exports.installStackTraces = function (bundle) {
  function prepare(error, stack) {
    const lines = [error];
    for (let i = 0; i < stack.length && stack[i].getFileName() !== bundle; i++) {
      let line;
      try {
        line = stack[i].toString();
      } catch (e) {
        line = '<error>';
      }
      lines.push(PREFIX + line);
    }
    return lines.join('\n');
  }
  Error.prepareStackTrace = prepare;
  // Takes the message line off. Where user code has its own prepareStackTrace the stack cannot be trusted and is dropped.
  return function (stack) {
    if (Error.prepareStackTrace !== prepare || exports.absent(stack)) {
      return null;
    }
    return stack.slice(stack.indexOf('\n') + 1);
  };
};
