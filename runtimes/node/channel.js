'use strict';
// The bootstrap's end of docs/channel.md: frames on file descriptor 3, read and written synchronously.
//
// Blocking in read(2) between two events is the freeze: nothing of the JavaScript thread runs there, and waking costs
// one system call. Nothing here depends on what user code may replace (fs, JSON, process.*): all of it is taken at load.
//
// Syntax: Node 4.3 (every generation uses this file).

const fs = require('fs');

const FD = 3;
const INVOKE = 0x01;
const ASSIGN = 0x02;
const BOOTED = 0x10;
const READY = 0x11;
const RESPONSE = 0x12;
const ERROR = 0x13;
const INIT_ERROR = 0x14;
const LOG = 0x15;
const LOADED = 0x19;
const COMPILE_CACHE = 0x1a;

const KEEP = 64 * 1024; // The buffers kept between events; larger ones live for one event.
const MAX_FRAME = 6 * 1024 * 1024 + 100; // lambkin's limit for all frames but LOG and RESPONSE.
const MAX_LOG = 1024 * 1024;
const MAX_MESSAGE = 1024 * 1024; // Of an error's message that is cut.
const TERM_GRACE_MS = 500; // What AWS gives a runtime to act on SIGTERM (spec section 10, Shutdown).

const readSync = fs.readSync;
const writeSync = fs.writeSync;
const parse = JSON.parse;
const stringify = JSON.stringify;
const byteLength = Buffer.byteLength;
const reallyExit = process.reallyExit;
const listeners = process.listeners;
const later = setTimeout;
// Not buffer.copy(), which a plain Uint8Array has not, and not buffer.set(), which Node 4 has under another meaning.
const copyBytes = Uint8Array.prototype.set;
// Node 4.3 has neither Buffer.allocUnsafe nor a Buffer.from that takes strings.
const modernBuffer = typeof Buffer.allocUnsafe === 'function';
const bytes = modernBuffer
  ? Buffer.from
  : function (text, encoding) {
      return new Buffer(text, encoding);
    };

function allocate(size) {
  return modernBuffer ? Buffer.allocUnsafe(size) : new Buffer(size);
}

let input = allocate(KEEP);
let start = 0;
let end = 0;
const output = allocate(KEEP);
let held = 0; // Bytes at the front of `output`: what leaves with the frame that follows it.

function exit(code) {
  reallyExit.call(process, code);
}

// The end of process.exit(): a result that was given must not be lost in it.
process.reallyExit = function (code) {
  flush();
  exit(code);
};

// Somebody made the descriptor non-blocking (it is inherited, so it can happen): wait a little instead of spinning.
function pause() {
  if (typeof Atomics === 'object' && typeof SharedArrayBuffer === 'function') {
    try {
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
    } catch (e) {
      // Not allowed here: spin.
    }
  }
}

// True where the call is to be repeated. Any other failure means that lambkin is gone.
function retry(error) {
  if (error && error.code === 'EINTR') {
    return true;
  }
  if (error && error.code === 'EAGAIN') {
    pause();
    return true;
  }
  exit(0);
  return false;
}

function fill() {
  for (;;) {
    try {
      return readSync(FD, input, end, input.length - end, null);
    } catch (error) {
      if (error && error.code === 'EOF') {
        return 0;
      }
      retry(error);
    }
  }
}

// Makes at least `size` bytes available at `start`. False at the end of the channel.
function need(size) {
  if (end - start >= size) {
    return true;
  }
  if (start + size > input.length) {
    const larger = size > input.length ? allocate(size) : input;
    input.copy(larger, 0, start, end);
    input = larger;
    end -= start;
    start = 0;
  }
  while (end - start < size) {
    const n = fill();
    if (n === 0) {
      return false;
    }
    end += n;
  }
  return true;
}

function u32(at) {
  return (input[at] | (input[at + 1] << 8) | (input[at + 2] << 16) | (input[at + 3] << 24)) >>> 0;
}

// lambkin closed the channel: the environment is over, without a word. A SIGTERM that came while we were in read(2) is
// still waiting in libuv, so a process that listens to it gets its few milliseconds in the event loop first.
function closed() {
  if (listeners.call(process, 'SIGTERM').length === 0) {
    exit(0);
  }
  later(function () {
    exit(0);
  }, TERM_GRACE_MS);
  return null;
}

// Blocks until the next INVOKE. Returns { head, payload }, or null where the process is about to end.
function next() {
  if (!need(4)) {
    return closed();
  }
  const size = u32(start);
  if (size < 5 || !need(4 + size)) {
    return size < 5 ? exit(1) : closed();
  }
  const headSize = u32(start + 5);
  if (input[start + 4] !== INVOKE || headSize > size - 5) {
    return exit(1);
  }
  const headAt = start + 9;
  const payloadAt = headAt + headSize;
  const frameEnd = start + 4 + size;
  const head = parse(input.toString('utf8', headAt, payloadAt));
  const payload = input.toString('utf8', payloadAt, frameEnd);
  start = frameEnd;
  if (start === end) {
    start = end = 0;
    if (input.length > KEEP) {
      input = allocate(KEEP);
    }
  }
  return { head: head, payload: payload };
}

// Says that the process is booted, and blocks until ASSIGN. Returns the variables.
exports.assigned = function () {
  send(BOOTED, 0, '');
  if (!need(5) || !need(4 + u32(start))) {
    exit(0);
  }
  const frameEnd = start + 4 + u32(start);
  if (input[start + 4] !== ASSIGN) {
    exit(1);
  }
  const variables = parse(input.toString('utf8', start + 5, frameEnd));
  start = frameEnd;
  return variables;
};

function writeAll(buffer, size) {
  let at = 0;
  while (at < size) {
    try {
      at += writeSync(FD, buffer, at, size - at, null);
    } catch (error) {
      retry(error);
    }
  }
}

function put32(buffer, at, value) {
  buffer[at] = value & 255;
  buffer[at + 1] = (value >>> 8) & 255;
  buffer[at + 2] = (value >>> 16) & 255;
  buffer[at + 3] = value >>> 24;
}

function flush() {
  if (held > 0) {
    const size = held;
    held = 0;
    writeAll(output, size);
  }
}

// Sends a frame in one write: `used` bytes that the caller has put into `output` from 5 on (after a flush()), then `tail`
// (text or bytes).
function send(kind, used, tail) {
  flush();
  const at = 5 + used;
  let buffer = output;
  let size = at;
  if (typeof tail === 'string') {
    if (tail.length * 3 <= KEEP - at) {
      size += tail.length === 0 ? 0 : output.write(tail, at, 'utf8');
    } else {
      size += byteLength(tail, 'utf8');
      buffer = size <= KEEP ? output : allocate(size);
      buffer.write(tail, at, 'utf8');
    }
  } else {
    size += tail.length;
    buffer = size <= KEEP ? output : allocate(size);
    copyBytes.call(buffer, tail, at);
  }
  if (buffer !== output && used > 0) {
    output.copy(buffer, 5, 5, at);
  }
  put32(buffer, 0, size - 4);
  buffer[4] = kind;
  writeAll(buffer, size);
}

// Puts `u16 length, text` into `output`; returns the bytes used. The text is a class name, cut where it is absurd.
function putType(at, type) {
  const text = typeof type === 'string' ? type.slice(0, 8192) : '';
  const n = text.length === 0 ? 0 : output.write(text, at + 2, 'utf8');
  output[at] = n & 255;
  output[at + 1] = n >>> 8;
  return n + 2;
}

function fits(text) {
  return text.length * 3 < MAX_FRAME - 32768 || byteLength(text, 'utf8') < MAX_FRAME - 32768;
}

// An error body that no frame takes, made small: without the trace, and with the first part of the message.
function shortened(type, body) {
  const message = String(parse(body).errorMessage).slice(0, MAX_MESSAGE);
  return stringify({ errorType: type, errorMessage: message, trace: [] });
}

exports.ready = function () {
  if (held === 0) {
    send(READY, 0, '');
    return;
  }
  put32(output, held, 1);
  output[held + 4] = READY;
  held += 5;
  flush();
};

exports.next = next;

// Leaves together with what follows: READY, mostly.
exports.loaded = function (micros) {
  flush();
  put32(output, 0, 5);
  output[4] = LOADED;
  put32(output, 5, Math.min(micros, 0xffffffff));
  held = 9;
};

// One file of the cache. What no frame takes is left out.
exports.compileCache = function (name, content) {
  if (content.length < MAX_FRAME - 32768) {
    flush();
    send(COMPILE_CACHE, putType(5, name), content);
  }
};

exports.response = function (text) {
  send(RESPONSE, 0, text);
};

// A result that may leave together with READY, in one write: for where nothing of the handler's runs in between.
exports.responseBeforeReady = function (text) {
  if (text.length * 3 > KEEP - 10) {
    send(RESPONSE, 0, text);
    return;
  }
  flush();
  const size = 5 + (text.length === 0 ? 0 : output.write(text, 5, 'utf8'));
  put32(output, 0, size - 4);
  output[4] = RESPONSE;
  held = size;
};

exports.error = function (handled, type, body) {
  if (!fits(body)) {
    // No ERROR frame can be this large. As a RESPONSE it gets what AWS says of any oversized result.
    send(RESPONSE, 0, body);
    return;
  }
  flush();
  output[5] = handled ? 1 : 0;
  send(ERROR, 1 + putType(6, type), body);
};

exports.initError = function (type, body) {
  flush();
  send(INIT_ERROR, putType(5, type), fits(body) ? body : shortened(type, body));
};

// One log event. `level` 0 none, 1 TRACE .. 6 FATAL; `json` says that the message is a JSON record; `ms` is Unix time.
exports.log = function (level, json, ms, message) {
  let rest = message;
  if (message.length * 3 > MAX_LOG - 32 && byteLength(message, 'utf8') > MAX_LOG - 32) {
    rest = bytes(message, 'utf8');
    while (rest.length > MAX_LOG - 32) {
      let cut = MAX_LOG - 32;
      while ((rest[cut] & 0xc0) === 0x80) {
        cut -= 1; // Never inside a character.
      }
      logPart(level, json, ms, rest.slice(0, cut));
      rest = rest.slice(cut);
    }
  }
  logPart(level, json, ms, rest);
};

function logPart(level, json, ms, part) {
  const micros = ms * 1000;
  flush();
  output[5] = level;
  output[6] = json ? 1 : 0;
  put32(output, 7, micros % 4294967296);
  put32(output, 11, Math.floor(micros / 4294967296));
  send(LOG, 10, part);
}
