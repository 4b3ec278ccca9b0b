'use strict';
// callback, context.succeed, fail and done of G2 (spec sections 2.1 and 2.3).
//
// A success given to callback() waits for the empty event loop; an error never waits, nor do succeed, fail and done.
// All four share one latch, which closes only after the call went through: where the result cannot be serialised the
// latch is still open, and the error takes the promise's path.

const channel = require('./channel');
const beforeExit = require('./before-exit');

const stringify = JSON.stringify;
const soon = setImmediate;

// The bytes of a result. The messages are AWS's (spec section 3.2).
exports.serialize = function (result) {
  let text;
  try {
    text = stringify(result === undefined ? null : result);
  } catch (error) {
    throw new Error('Unable to stringify response body');
  }
  if (typeof text !== 'string') {
    // A function or a symbol: AWS's native client refuses what JSON.stringify made of it.
    throw new TypeError('Wrong arguments');
  }
  return text;
};

// fail(error) logs and sends an error; next() asks for the next event. Returns { callback, context, close } where
// close() says that the runtime has answered by itself.
exports.create = function (fail, next) {
  let waits = true;
  let answered = false;
  let finished = false;

  function complete(result) {
    if (answered) {
      console.error(
        'Invocation has already been reported as done. Cannot call complete more than once per invocation.'
      );
      return;
    }
    answered = true;
    channel.response(exports.serialize(result));
    next();
  }

  function failed(error) {
    fail(error);
    next();
  }

  function done(error, result) {
    beforeExit.reset();
    if (error !== undefined && error !== null) {
      failed(error);
    } else {
      complete(result);
    }
  }

  function callback(error, result) {
    beforeExit.reset();
    if (error !== undefined && error !== null) {
      failed(error);
    } else if (!waits) {
      complete(result);
    } else {
      // The result is kept by reference and serialised only then.
      beforeExit.set(() => soon(() => complete(result)));
    }
  }

  function once(action) {
    return function (a, b) {
      if (!finished) {
        action(a, b);
        finished = true;
      }
    };
  }

  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: once((result) => done(null, result)),
    // The word stands for "no error given" (spec section 2.3).
    fail: once((error) => done(error === undefined || error === null ? 'handled' : error)),
    done: once(done),
  };

  return {
    callback: once(callback),
    context,
    close() {
      answered = true;
    },
  };
};
