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
const activeResources = process.getActiveResourcesInfo; // From 16.14 on.

// Whether the event loop's next turn has anything to do.
function somethingPends() {
  return activeResources === undefined || activeResources.call(process).length > 0;
}

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

// logError and errorBody are the runtime's; next() asks for the next event. Returns { callback, context, settled, unanswered }
// where settled(succeed, value) is for the handler's promise and unanswered(error) for the event loop that ran empty
// without a word from the handler.
//
// What comes after the answer is refused by AWS's platform, which knows the request id of each result. Our frames carry
// none, so it stops here: a promise that settles during a later event must neither answer that one nor ask for another.
exports.create = function (logError, errorBody, next) {
  let waits = true;
  let answered = false;
  let open = true; // Nothing was sent yet.
  let quiet = false; // Nothing of the handler's is on the stack.
  let finished = false;

  function complete(result) {
    if (answered) {
      console.error(
        'Invocation has already been reported as done. Cannot call complete more than once per invocation.'
      );
      return;
    }
    answered = true;
    const text = exports.serialize(result);
    if (open) {
      open = false;
      // AWS's runtime posts the result at once, and one turn of the event loop later asks for the next event. Where
      // nothing runs in that turn both are one write; anything else must not hold the result back.
      if (quiet && !somethingPends()) {
        channel.responseBeforeReady(text);
      } else {
        channel.response(text);
      }
      next();
    }
  }

  function failed(error) {
    logError('Invoke Error', error);
    if (open) {
      open = false;
      const body = errorBody(error);
      channel.error(false, body.errorType, stringify(body));
      next();
    }
  }

  function unanswered(error) {
    answered = true;
    if (error !== null) {
      failed(error);
    } else {
      open = false;
      channel.response('null');
      next();
    }
  }

  function resetBeforeExit() {
    if (open) {
      beforeExit.reset();
    }
  }

  function done(error, result) {
    resetBeforeExit();
    if (error !== undefined && error !== null) {
      failed(error);
    } else {
      complete(result);
    }
  }

  function callback(error, result) {
    resetBeforeExit();
    if (error !== undefined && error !== null) {
      failed(error);
    } else if (!waits || !open) {
      complete(result);
    } else {
      // The result is kept by reference and serialised only then.
      beforeExit.set(() =>
        soon(() => {
          quiet = true;
          complete(result);
        })
      );
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

  const succeedOnce = once((result) => done(null, result));
  const context = {
    get callbackWaitsForEmptyEventLoop() {
      return waits;
    },
    set callbackWaitsForEmptyEventLoop(value) {
      waits = value;
    },
    succeed: succeedOnce,
    // The word stands for "no error given" (spec section 2.3).
    fail: once((error) => done(error === undefined || error === null ? 'handled' : error)),
    done: once(done),
  };

  // `succeed` is the context's, which a handler may have replaced.
  function settled(succeed, value) {
    quiet = succeed === succeedOnce;
    return succeed(value);
  }

  return {
    callback: once(callback),
    context,
    settled,
    unanswered,
  };
};
