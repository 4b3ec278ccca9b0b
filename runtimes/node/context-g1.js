'use strict';
// The context object of G1 (spec section 5), and the invocation's callback.
//
// Syntax: Node 4.3.

const errors = require('./errors-g1');

const now = Date.now;

let base = null;

// Before any code of the function: these cannot be changed from within on these runtimes.
exports.readVariables = function () {
  const env = process.env;
  base = {
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  };
};

function identityOf(text) {
  try {
    const given = JSON.parse(text);
    return {
      cognitoIdentityId: given.cognitoIdentityId,
      cognitoIdentityPoolId: given.cognitoIdentityPoolId,
    };
  } catch (error) {
    return undefined;
  }
}

// What the head of the event adds. Throws where the client context is not JSON.
exports.fields = function (head) {
  const fields = Object.assign({}, base);
  const deadline = head.deadlineMs;
  fields.getRemainingTimeInMillis = function () {
    return deadline - now();
  };
  if (head.clientContext !== undefined) {
    fields.clientContext = JSON.parse(head.clientContext);
  }
  const identity = head.cognitoIdentity === undefined ? undefined : identityOf(head.cognitoIdentity);
  if (identity !== undefined) {
    fields.identity = identity;
  }
  fields.invokeid = head.requestId;
  fields.awsRequestId = head.requestId;
  fields.invokedFunctionArn = head.invokedFunctionArn;
  return fields;
};

// AWS prints the lower bound in both warnings (spec section 2.2).
function checkArguments(name, count) {
  if (count > 1) {
    console.warn('function ' + name + ' expected at most 0 arguments, got ' + count);
  }
}

// finish(error, result, waits) takes the first completion. Returns { callback, context, done }.
exports.create = function (fields, finish) {
  let waits = true;
  let consumed = false;

  function callback(error, result) {
    if (!consumed) {
      consumed = true;
      finish(error, result, waits);
    }
  }

  function done(error, result) {
    waits = false;
    callback(error, result);
  }

  const context = Object.assign(
    {
      get callbackWaitsForEmptyEventLoop() {
        return waits;
      },
      set callbackWaitsForEmptyEventLoop(value) {
        waits = value;
      },
      done: function (error, result) {
        done(error, result);
      },
      succeed: function (result) {
        checkArguments('succeed', arguments.length);
        context.done(null, result);
      },
      fail: function (error) {
        checkArguments('fail', arguments.length);
        context.done(errors.absent(error) ? errors.NO_ERROR : error, null);
      },
    },
    fields
  );
  return { callback: callback, context: context, done: done };
};
