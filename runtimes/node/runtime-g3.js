'use strict';
// The event loop of nodejs24.x and later (spec section 2.4): no listeners on the process at all. An uncaught error, an
// unhandled rejection or an empty event loop ends it in Node's own way.

const channel = require('./channel');
const contexts = require('./context-g3');
const responseStreams = require('./response-stream');
const errors = require('./errors-g3');
const invokeStore = require('./invoke-store');

const parse = JSON.parse;
const stringify = JSON.stringify;
const immediate = setImmediate;

// Each result is sent one turn of the event loop late, so that an unhandled rejection of the same invocation wins.
function turn() {
  return new Promise((resolve) => immediate(resolve));
}

function serialize(result) {
  let text;
  try {
    text = stringify(result === undefined ? null : result);
  } catch (error) {
    throw new errors.JSONStringifyError();
  }
  if (typeof text !== 'string') {
    // A function or a symbol, refused by AWS's native client (spec section 3.2).
    throw new TypeError('Wrong arguments');
  }
  return text;
}

class BufferedInvokeProcessor {
  constructor(handler, logError) {
    this.handler = handler;
    this.logError = logError;
  }

  async process(context, event) {
    try {
      const result = await this.handler(event, context);
      await turn();
      channel.responseBeforeReady(serialize(result));
    } catch (error) {
      await turn();
      this.logError('Invoke Error', error);
      const body = errors.body(error);
      channel.error(false, body.errorType, stringify(body));
    }
  }
}

class StreamingInvokeProcessor {
  constructor(handler, logError) {
    this.handler = handler;
    this.logError = logError;
  }

  async process(context, event) {
    const response = responseStreams.create({
      requestId: context.awsRequestId,
      InvalidOperation: errors.InvalidStreamingOperation,
      highWaterMark: 65536,
      endTakesAll: true,
    });
    try {
      const returned = this.handler(event, response.stream, context);
      if (typeof returned !== 'object' || returned === null || typeof returned.then !== 'function') {
        throw new Error('Streaming does not support non-async handlers.');
      }
      if ((await returned) !== undefined) {
        console.warn('Streaming handlers ignore return values.');
      }
      await response.inner.responseDone;
      if (!response.inner.writableFinished) {
        throw new Error('Response stream is not finished.');
      }
    } catch (error) {
      await turn();
      this.logError('Invoke Error', error);
      await response.inner.fail(errors.body(error));
    }
  }
}

exports.run = async function (handler, streaming, logError) {
  const processor = new (streaming ? StreamingInvokeProcessor : BufferedInvokeProcessor)(handler, logError);
  const keys = invokeStore.KEYS;
  for (let first = true; ; first = false) {
    // Rejections left by the module's code, and a stream's last events, belong before the blocking read. A buffered
    // result is sent from a turn of its own and needs no other.
    if (first || streaming) {
      await turn();
    }
    channel.ready();
    const received = channel.next();
    if (received === null) {
      return;
    }
    await undefined; // The handler is called from a microtask, as behind AWS's awaited /next.
    const context = contexts.build(received.head);
    // Not the handler's error: an event that is no JSON ends the process (section 2.4).
    const event = parse(received.payload);
    const store = {
      [keys.REQUEST_ID]: context.awsRequestId,
      [keys.X_RAY_TRACE_ID]: context.xRayTraceId,
      [keys.TENANT_ID]: context.tenantId,
    };
    await invokeStore.store.run(store, () => processor.process(context, event));
  }
};
