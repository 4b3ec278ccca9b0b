'use strict';
// How an error becomes a log line, and the texts that G2 and G3 share (spec sections 3.1 and 3.4).
//
// Syntax: Node 10.

const stringify = JSON.stringify;

exports.UNREADABLE =
  'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack';

// 0x7F is not allowed in a header, and AWS cleans the whole body instead of the header alone (spec section 3.1).
exports.clean = function (text) {
  return text === undefined || text === null ? text : text.replace(/\x7f/g, '%7F');
};

// name, message, code and stack are not enumerable; the line shows them beside whatever the user put on the error.
function expand(key, value) {
  if (!(value instanceof Error)) {
    return value;
  }
  const shown = Object.assign({ errorType: value.name, errorMessage: value.message, code: value.code }, value);
  if (typeof value.stack === 'string') {
    shown.stack = value.stack.split('\n');
  }
  return shown;
}

// Returns logError(label, error). `wrap` makes an Error of anything; `body` is the fallback for one that cannot be shown.
// The label and the JSON text are two arguments of console.error, which puts a space before the tab: AWS's line has both.
exports.logger = function (json, wrap, body) {
  if (json) {
    return (label, error) => console.error(wrap(error));
  }
  return (label, error) => {
    const wrapped = wrap(error);
    let line;
    try {
      line = stringify(wrapped, expand);
    } catch (e) {
      line = stringify(body(wrapped));
    }
    console.error(label, `\t${line}`);
  };
};
