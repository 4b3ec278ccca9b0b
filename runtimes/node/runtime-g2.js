'use strict';
// The event loop of nodejs10.x to 22.x: ask for an event, call the handler, answer (spec sections 2.1 and 2.3).

const channel = require('./channel');
const beforeExit = require('./before-exit');
const completion = require('./completion-g2');
const contexts = require('./context-g2');
const responseStreams = require('./response-stream');
const errors = require('./errors-g2');

const parse = JSON.parse;
const stringify = JSON.stringify;
const soon = setImmediate;
const REQUEST_ID = Symbol.for('aws.lambda.runtime.requestId');

function isPromise(value) {
  return value && value.then && typeof value.then === 'function';
}

function sendError(error) {
  const body = errors.body(error);
  channel.error(false, body.errorType, stringify(body));
}

class Runtime {
  // traits: what this Node version's runtime had (see g2.js). crash: the two crash reporters, which name the place that
  // an uncaught error is sent to.
  constructor(handler, streaming, isAsync, traits, crash, logError) {
    this.handler = handler;
    this.isAsync = isAsync;
    this.traits = traits;
    this.crash = crash;
    this.logError = logError;
    this.tenantId = undefined;
    this.handle = streaming ? this.handleStreaming : this.handleBuffered;
    this.scheduleNext = this.scheduleNext.bind(this);
  }

  scheduleNext() {
    soon(() => {
      this.handle().catch((error) => {
        console.log(`Unexpected Top Level Error: ${error.toString()}`);
        this.crash.uncaughtException(error);
      });
    });
  }

  // Blocks for the next event. The handler is called from a microtask, as behind AWS's awaited /next: it decides
  // whether a nextTick or a promise callback of the handler comes first.
  async next() {
    channel.ready();
    const event = channel.next();
    if (event === null) {
      return new Promise(() => {});
    }
    global[REQUEST_ID] = event.head.requestId;
    this.tenantId = this.traits.tenants ? event.head.tenantId : undefined;
    return event;
  }

  armCrash() {
    this.crash.uncaughtException = (error) => {
      sendError(error);
      process.exit(129);
    };
    this.crash.unhandledRejection = (error) => {
      sendError(error);
      process.exit(128);
    };
  }

  async handleBuffered() {
    const event = await this.next();
    const done = completion.create(this.logError, errors.body, this.scheduleNext);
    try {
      this.armCrash();
      beforeExit.set(() => done.unanswered(this.isAsync && this.traits.nodeJsExit ? new errors.NodeJsExit() : null));
      const input = parse(event.payload);
      const context = contexts.complete(done.context, event.head, this.traits.tenants);
      const result = this.handler(input, context, done.callback);
      if (isPromise(result)) {
        const succeed = done.context.succeed;
        result.then((value) => done.settled(succeed, value), done.context.fail).catch(done.context.fail);
      }
    } catch (error) {
      // Through the callback: `throw undefined` in a plain function is a success (spec section 3.1).
      done.callback(error);
    }
  }

  async handleStreaming() {
    const event = await this.next();
    const response = responseStreams.create({
      requestId: event.head.requestId,
      InvalidOperation: errors.InvalidStreamingOperation,
      highWaterMark: this.traits.highWaterMark,
      endTakesAll: false,
    });
    let waits = true;
    const proceed = () => {
      beforeExit.reset();
      if (waits) {
        beforeExit.set(() => soon(this.scheduleNext));
      } else {
        this.scheduleNext();
      }
    };
    const fail = (error) => {
      this.logError('Invoke Error', error);
      response.inner.fail(errors.body(error)).then(proceed);
    };
    try {
      this.armCrash();
      beforeExit.set(this.scheduleNext);
      const own = {
        get callbackWaitsForEmptyEventLoop() {
          return waits;
        },
        set callbackWaitsForEmptyEventLoop(value) {
          waits = value;
        },
      };
      const context = contexts.complete(own, event.head, this.traits.tenants);
      const input = parse(event.payload);
      const returned = this.handler(input, response.stream, context);
      if (!isPromise(returned)) {
        fail('Streaming does not support non-async handlers.');
        return;
      }
      if ((await returned) !== undefined) {
        console.warn('Streaming handlers ignore return values.');
      }
      await response.inner.responseDone;
      if (!response.inner.writableFinished) {
        fail('Response stream is not finished.');
        return;
      }
      proceed();
    } catch (error) {
      fail(error);
    }
  }
}

exports.Runtime = Runtime;
exports.requestId = () => global[REQUEST_ID];
