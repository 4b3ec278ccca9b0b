'use strict';
// The invocations of nodejs4.3, 6.10 and 8.10 (spec sections 1.1 and 2.2).
//
// A completion is recorded when callback is called, and sent when the event loop is empty (or in the next tick, after
// context.done and its kin). 'beforeExit' is the one place where waiting ends, also for a handler that never called.
//
// Syntax: Node 4.3.

const channel = require('./channel');
const consoles = require('./console-g1');
const contexts = require('./context-g1');
const errors = require('./errors-g1');
const handlers = require('./handler-g1');

const parse = JSON.parse;
const stringify = JSON.stringify;
const tick = process.nextTick;
const soon = setImmediate;

// AWS logs so many characters of a handled error.
const MAX_LOGGED_ERROR = 262144;

// options: loader, root, handler (the string), awaitsPromises (8.10).
exports.start = function (options) {
  let result; // { text } or { error, handled } once known.
  let faulted = false;
  let fatal = false;
  let open = false; // An event is in work and not answered.

  process.on('uncaughtException', function (error) {
    console.error(error.stack);
    process.exit(1);
  });
  const withoutMessage = errors.installStackTraces(options.loader.bundle);

  // The state is shared by all events, so a late callback of one event answers the next one, as on AWS; but nothing
  // answers twice, and the process never asks for an event that it cannot take.
  function send() {
    if (!open) {
      return;
    }
    open = false;
    if (result.error === undefined) {
      channel.response(result.text);
    } else {
      channel.error(result.handled, result.error.type, result.error.text);
    }
    if (fatal) {
      process.exit(1);
    }
    soon(next);
  }

  // Both record a result and return true, or report a fault and return false.
  function succeeded(data) {
    let text;
    try {
      text = stringify(data === undefined ? null : data);
    } catch (error) {
      fault('Unable to stringify response body as json: ' + error.message, error);
      return false;
    }
    // A function or a symbol has no JSON text. What AWS's native layer made of that is unknown (spec section 3.2).
    result = { text: text === undefined ? 'null' : text };
    return true;
  }

  function failed(error) {
    const handled = !faulted;
    let described;
    try {
      described = errors.describe(error);
      if (handled) {
        const text = described.text;
        console.log(
          text.length > MAX_LOGGED_ERROR ? text.substring(0, MAX_LOGGED_ERROR) + ' - Truncated by Lambda' : text
        );
      }
    } catch (e) {
      fault('callback called but a problem was encountered while converting data to a string');
      return false;
    }
    result = { error: described, handled: handled };
    return true;
  }

  function finish(error, data, waits) {
    // A result that turned into a fault waits for the empty event loop, whatever was asked for.
    const faultless = result !== undefined || (error == null ? succeeded(data) : failed(error));
    if (faultless && !waits) {
      tick(send);
    }
  }

  // An error the runtime detected: a line without prefix, an unhandled error, and the wait for the empty event loop.
  function fault(message, error, isFatal) {
    faulted = true;
    fatal = fatal || Boolean(isFatal);
    if (errors.absent(error)) {
      consoles.plain(message);
      finish(message, null, true);
      return;
    }
    error.stack = withoutMessage(error.stack);
    consoles.plain(message + ': ' + error.name + (error.stack ? '\n' + error.stack : ''));
    finish(error, null, true);
  }

  function begin(event) {
    const head = event.head;
    if (head.traceId) {
      process.env._X_AMZN_TRACE_ID = head.traceId;
    } else {
      delete process.env._X_AMZN_TRACE_ID;
    }
    open = true;
    result = undefined;
    faulted = false;
    fatal = false;

    let input;
    try {
      if (!event.payload) {
        fault('invalid args - eventbody = ' + event.payload);
        return;
      }
      input = parse(event.payload);
    } catch (error) {
      fault('Unable to parse input as json: ' + error.message, error);
      return;
    }
    let fields;
    try {
      fields = contexts.fields(head);
    } catch (error) {
      fault('Unable to parse clientContext as json');
      return;
    }
    consoles.install(head.requestId);

    const invocation = contexts.create(fields, finish);
    const returned = handler(input, invocation.context, invocation.callback);
    // Native promises only; others are ignored (spec section 2.1).
    if (options.awaitsPromises && returned instanceof Promise) {
      returned.then(
        function (value) {
          invocation.done(null, value);
        },
        function (error) {
          invocation.done(error, null);
        }
      );
    }
  }

  function next() {
    channel.ready();
    const event = channel.next();
    if (event !== null) {
      begin(event);
    }
  }

  process.on('beforeExit', function () {
    finish(null, null, false);
  });

  contexts.readVariables();
  const handler = handlers.load(options.loader, options.root, options.handler, fault);
  soon(next);
};
