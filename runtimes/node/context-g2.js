'use strict';
// The context object of G2 (spec section 5): its keys in AWS's order, its values read anew for each event.

const parse = JSON.parse;

function parsed(text, name) {
  if (text === undefined) {
    return undefined;
  }
  try {
    return parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
  }
}

// Completes `context`, which has the completion part already. `tenants` says whether this runtime has context.tenantId.
// Sets the trace id first, as AWS does: it is there even where the context cannot be built.
exports.complete = function (context, head, tenants) {
  const env = process.env;
  if (head.traceId) {
    env._X_AMZN_TRACE_ID = head.traceId;
  } else {
    delete env._X_AMZN_TRACE_ID;
  }
  const deadline = head.deadlineMs;
  context.functionVersion = env.AWS_LAMBDA_FUNCTION_VERSION;
  context.functionName = env.AWS_LAMBDA_FUNCTION_NAME;
  context.memoryLimitInMB = env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE;
  context.logGroupName = env.AWS_LAMBDA_LOG_GROUP_NAME;
  context.logStreamName = env.AWS_LAMBDA_LOG_STREAM_NAME;
  context.clientContext = parsed(head.clientContext, 'ClientContext');
  context.identity = parsed(head.cognitoIdentity, 'CognitoIdentity');
  context.invokedFunctionArn = head.invokedFunctionArn;
  context.awsRequestId = head.requestId;
  if (tenants) {
    context.tenantId = head.tenantId;
  }
  context.getRemainingTimeInMillis = function () {
    return deadline - Date.now();
  };
  return context;
};
