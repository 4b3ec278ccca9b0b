'use strict';
// The responseStream of a streaming handler (spec section 9.2): what is written goes out as the body of a post to the
// Runtime API (response-post.js), errors as ERROR frames.
//
// On AWS the handler gets a facade of an http.ClientRequest. Ours has the facade's members and the request's behaviour
// as far as a handler can see it; the http module itself is not loaded.
//
// Syntax: Node 10 (used from 14.x on).

const EventEmitter = require('events');
const channel = require('./channel');
const posts = require('./response-post');

const stringify = JSON.stringify;
const soon = setImmediate;
const tick = process.nextTick;
const hold = setInterval;
const release = clearInterval;

const DEFAULT_CONTENT_TYPE = 'application/octet-stream';
const NO_HEADER = /[^\t\x20-\x7e\x80-\xff]/;

const METHODS = [
  'cork', 'destroy', 'end', 'uncork', 'write',
  'addListener', 'emit', 'eventNames', 'getMaxListeners', 'listenerCount', 'listeners', 'off', 'on', 'once',
  'prependListener', 'prependOnceListener', 'rawListeners', 'removeAllListeners', 'removeListener', 'setMaxListeners',
  'setContentType',
];
const READ_ONLY = [
  'writableFinished', 'writableObjectMode', 'writableBuffer', 'writableEnded', 'writableNeedDrain',
  'writableHighWaterMark', 'writableCorked', 'writableLength',
];
const READ_WRITE = ['destroyed', 'writable', '_onBeforeFirstWrite'];

function failure(code, message, Class) {
  const error = new (Class || Error)(message);
  error.code = code;
  return error;
}

function isBytes(chunk) {
  return chunk instanceof Uint8Array;
}

class ResponseStream extends EventEmitter {
  // options: requestId, InvalidOperation (the generation's error class), highWaterMark (Node's default for streams),
  // endTakesAll (G3; G2's end() passes on its first argument alone).
  constructor(options) {
    super();
    this.options = options;
    this.contentType = DEFAULT_CONTENT_TYPE;
    this.started = false;
    this.written = false; // A write() was seen, so the content type is settled.
    this.destroyed = false;
    this.writable = true;
    this.writableEnded = false;
    this.writableFinished = false;
    this.writableObjectMode = false;
    this.writableNeedDrain = false;
    this.writableHighWaterMark = options.highWaterMark;
    this.writableCorked = 0;
    this.writableLength = 0;
    this._onBeforeFirstWrite = undefined;
    // AWS's request holds a socket open until it is answered: a handler that forgets end() runs into its timeout.
    this.held = hold(() => {}, 0x7fffffff);
    // Both are rejected by an error. Nobody awaits the first, which is why destroy(error) ends the process even where
    // the handler has returned (spec section 9.2).
    const settle = [];
    const deferred = () => new Promise((resolve, reject) => settle.push({ resolve, reject }));
    this.headersDone = deferred();
    this.responseDone = deferred();
    this.settle = settle;
    EventEmitter.prototype.on.call(this, 'error', (error) => {
      release(this.held);
      settle.forEach((promise) => promise.reject(error));
      this.destroyed = true;
    });
    this.post = posts.open(options.requestId, () => this.answered(), (error) => this.destroy(error));
  }

  begin() {
    if (!this.started) {
      this.started = true;
      this.post.begin(this.contentType);
    }
  }

  // The Runtime API has the response, or wants no more of it.
  answered() {
    soon(() => {
      release(this.held);
      this.post.close();
      this.settle.forEach((promise) => promise.resolve());
      if (this.writableEnded && !this.destroyed) {
        this.destroyed = true;
        this.emit('close');
      }
    });
  }

  setContentType(contentType) {
    if (this.written) {
      throw new this.options.InvalidOperation('Cannot set content-type, too late.');
    }
    if (this.started) {
      throw failure('ERR_HTTP_HEADERS_SENT', 'Cannot set headers after they are sent to the client');
    }
    const text = String(contentType);
    if (NO_HEADER.test(text)) {
      throw failure('ERR_INVALID_CHAR', 'Invalid character in header content ["Content-Type"]', TypeError);
    }
    this.contentType = text;
  }

  write(chunk, encoding, callback) {
    // null and undefined fail on this, as they do on AWS.
    let data = chunk.length === undefined && !isBytes(chunk) ? stringify(chunk) : chunk;
    if (typeof data !== 'string' && !isBytes(data)) {
      data = stringify(data);
    }
    if (!this.written && typeof this._onBeforeFirstWrite === 'function') {
      this._onBeforeFirstWrite((prelude) => this.push(prelude));
    }
    const more = this.push(data, encoding, callback);
    this.written = true;
    return more;
  }

  push(chunk, encoding, callback) {
    if (typeof encoding === 'function') {
      callback = encoding;
      encoding = undefined;
    }
    const called = typeof callback === 'function' ? callback : () => {};
    if (this.writableEnded || this.destroyed) {
      const error = this.destroyed
        ? failure('ERR_STREAM_DESTROYED', 'Cannot call write after a stream was destroyed')
        : failure('ERR_STREAM_WRITE_AFTER_END', 'write after end');
      tick(() => {
        called(error);
        if (!this.destroyed) {
          this.emit('error', error);
        }
      });
      return false;
    }
    const data = typeof chunk === 'string' ? Buffer.from(chunk, encoding || 'utf8') : chunk;
    this.begin();
    this.writableLength += data.length;
    if (this.writableLength >= this.writableHighWaterMark) {
      this.writableNeedDrain = true;
    }
    this.post.write(data, (error) => {
      this.writableLength -= data.length;
      called(error || null);
      if (this.writableLength === 0 && this.writableNeedDrain && !this.writableEnded) {
        this.writableNeedDrain = false;
        this.emit('drain');
      }
    });
    return !this.writableNeedDrain;
  }

  end(chunk, encoding, callback) {
    if (!this.options.endTakesAll) {
      encoding = callback = undefined;
    }
    if (typeof chunk === 'function') {
      callback = chunk;
      chunk = undefined;
    } else if (typeof encoding === 'function') {
      callback = encoding;
      encoding = undefined;
    }
    if (chunk) {
      // Not through write(): a last chunk given to end() is neither converted nor preceded by the prelude.
      if (typeof chunk !== 'string' && !isBytes(chunk)) {
        throw failure(
          'ERR_INVALID_ARG_TYPE',
          'The "chunk" argument must be of type string or an instance of Buffer or Uint8Array.',
          TypeError
        );
      }
      this.push(chunk, encoding);
    }
    this.finish(callback);
    return this;
  }

  finish(callback) {
    if (this.writableEnded) {
      if (typeof callback === 'function') {
        if (this.writableFinished) {
          tick(callback, failure('ERR_STREAM_ALREADY_FINISHED', 'Cannot call end after a stream was finished'));
        } else {
          this.once('finish', callback);
        }
      }
      return;
    }
    if (typeof callback === 'function') {
      this.once('finish', callback);
    }
    this.writableEnded = true;
    if (this.destroyed) {
      return;
    }
    this.begin();
    this.post.end(() => {
      this.writableFinished = true;
      this.emit('finish');
    });
  }

  // The error is the invocation's result, unless its response has ended. Resolves once nothing is left to be sent: the
  // blocking read that follows would keep it here.
  fail(body) {
    if (this.destroyed) {
      return Promise.resolve();
    }
    if (this.writableEnded) {
      return this.responseDone.catch(() => {});
    }
    channel.error(false, body.errorType, stringify(body));
    if (this.started) {
      this.finish();
    } else {
      this.writableEnded = true;
      this.answered();
    }
    return this.responseDone.catch(() => {});
  }

  destroy(error) {
    if (this.destroyed) {
      return this;
    }
    const cause = error || (this.writableFinished ? null : failure('ECONNRESET', 'socket hang up'));
    this.destroyed = true;
    release(this.held);
    this.post.close();
    tick(() => {
      if (cause) {
        this.emit('error', cause);
      }
      this.emit('close');
    });
    return this;
  }

  cork() {
    this.writableCorked += 1;
  }

  uncork() {
    this.writableCorked = Math.max(0, this.writableCorked - 1);
  }
}

function facade(inner, readOnly, readWrite) {
  const stream = {};
  METHODS.forEach((method) => {
    stream[method] = inner[method].bind(inner);
  });
  readWrite.forEach((property) => {
    Object.defineProperty(stream, property, {
      get: () => inner[property],
      set: (value) => {
        inner[property] = value;
      },
    });
  });
  readOnly.forEach((property) => {
    Object.defineProperty(stream, property, { get: () => inner[property] });
  });
  return stream;
}

// Returns { inner, stream }: what the runtime uses and what the handler gets.
exports.create = function (options) {
  const inner = new ResponseStream(options);
  return { inner, stream: facade(inner, READ_ONLY, READ_WRITE) };
};
