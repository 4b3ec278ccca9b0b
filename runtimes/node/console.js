'use strict';
// The console of runtimes 10.x and later: each call is one log event, sent over the channel as AWS's runtime sends it
// over the telemetry descriptor (spec sections 7.1 to 7.3).
//
// Only the methods AWS replaces are replaced. console.table, group, count, assert and timeEnd reach them through the
// console object and are prefixed too; console.dir writes to standard output raw, as on AWS.
//
// Syntax: Node 10.

const util = require('util');
const channel = require('./channel');

const format = util.format;
const stringify = JSON.stringify;

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };

function className(error) {
  const constructor = error.constructor;
  const name = constructor === undefined || constructor === null ? undefined : constructor.name;
  return name === undefined || name === null ? 'UnknownError' : name;
}

// JSON.stringify's replacer: an Error at any depth shows its class, message and stack, then its own properties.
function showErrors(key, value) {
  if (!(value instanceof Error)) {
    return value;
  }
  const shown = { errorType: className(value), errorMessage: value.message };
  shown.stackTrace = typeof value.stack === 'string' ? value.stack.split('\n') : value.stack;
  return Object.assign(shown, value);
}

function jsonRecord(record, args, errorsFrom) {
  if (args.length <= 1) {
    record.message = args[0];
    try {
      return stringify(record, showErrors);
    } catch (error) {
      // A BigInt, a cycle, a toJSON that throws.
      record.message = format(args[0]);
      return stringify(record);
    }
  }
  record.message = format.apply(null, args);
  for (let i = errorsFrom; i < args.length; i++) {
    const error = args[i];
    if (error instanceof Error) {
      record.errorType = className(error);
      record.errorMessage = error.message;
      record.stackTrace = typeof error.stack === 'string' ? error.stack.split('\n') : [];
      break;
    }
  }
  return stringify(record);
}

// options: json and filter (whether this runtime knows AWS_LAMBDA_LOG_FORMAT and AWS_LAMBDA_LOG_LEVEL), requestId(),
// tenantId(), errorsFrom (the first argument that is searched for an Error: 0 in G2, 1 in G3). Returns whether the format
// is JSON.
exports.install = function (options) {
  const env = process.env;
  const json = options.json && (env.AWS_LAMBDA_LOG_FORMAT || '').toUpperCase() === 'JSON';
  const least = (options.filter && LEVELS[(env.AWS_LAMBDA_LOG_LEVEL || '').toUpperCase()]) || LEVELS.TRACE;

  function text(name, level, args) {
    const now = new Date();
    const message = `${now.toISOString()}\t${options.requestId()}\t${name}\t${format.apply(null, args)}`;
    channel.log(level, false, now.valueOf(), message);
  }

  function record(name, level, args) {
    const now = new Date();
    const fields = { timestamp: now.toISOString(), level: name, requestId: options.requestId() };
    const tenant = options.tenantId();
    if (tenant !== undefined && tenant !== null && tenant !== '') {
      fields.tenantId = tenant;
    }
    channel.log(level, true, now.valueOf(), jsonRecord(fields, args, options.errorsFrom));
  }

  function method(name) {
    const level = LEVELS[name];
    if (level < least) {
      return () => {};
    }
    const write = json ? record : text;
    return (message, ...params) => {
      // The first parameter is always formatted, so that console.log() prints "undefined" (spec section 7.1).
      params.unshift(message);
      write(name, level, params);
    };
  }

  console.trace = method('TRACE');
  console.debug = method('DEBUG');
  console.info = method('INFO');
  console.log = console.info;
  console.warn = method('WARN');
  console.error = method('ERROR');
  console.fatal = method('FATAL');
  return json;
};
