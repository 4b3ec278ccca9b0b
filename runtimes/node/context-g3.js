'use strict';
// The context object of G3 (spec section 5). What it needs is checked for each event, and what is missing or malformed
// is the platform's fault, not the handler's: it ends the process.

const PlatformError = require('./errors-g3').PlatformError;

const parse = JSON.parse;

const VARIABLES = [
  ['functionName', 'AWS_LAMBDA_FUNCTION_NAME'],
  ['functionVersion', 'AWS_LAMBDA_FUNCTION_VERSION'],
  ['memoryLimitInMB', 'AWS_LAMBDA_FUNCTION_MEMORY_SIZE'],
  ['logGroupName', 'AWS_LAMBDA_LOG_GROUP_NAME'],
  ['logStreamName', 'AWS_LAMBDA_LOG_STREAM_NAME'],
];
const REQUIRED = [
  ['invokedFunctionArn', 'lambda-runtime-invoked-function-arn'],
  ['requestId', 'lambda-runtime-aws-request-id'],
  ['deadlineMs', 'lambda-runtime-deadline-ms'],
];

function parsed(text, header) {
  if (!text) {
    return undefined;
  }
  try {
    return parse(text);
  } catch (error) {
    throw new PlatformError(`Failed to parse ${header} as JSON: ${error.message}`);
  }
}

exports.build = function (head) {
  const env = process.env;
  const values = VARIABLES.map((variable) => env[variable[1]]);
  if (!values.every(Boolean)) {
    const missing = VARIABLES.filter((variable, i) => !values[i]).map((variable) => variable[1]);
    throw new PlatformError(`Missing required environment variables: ${missing.join(', ')}`);
  }
  const absent = REQUIRED.filter((field) => head[field[0]] === undefined);
  if (absent.length > 0) {
    throw new PlatformError(`Missing required headers: ${absent.map((field) => field[1]).join(', ')}`);
  }
  const deadline = parseInt(head.deadlineMs, 10);
  if (Number.isNaN(deadline)) {
    throw new PlatformError('Invalid deadline timestamp');
  }
  const context = {
    clientContext: parsed(head.clientContext, 'lambda-runtime-client-context'),
    identity: parsed(head.cognitoIdentity, 'lambda-runtime-cognito-identity'),
    invokedFunctionArn: head.invokedFunctionArn,
    awsRequestId: head.requestId,
    tenantId: head.tenantId,
    xRayTraceId: head.traceId,
    getRemainingTimeInMillis() {
      return deadline - Date.now();
    },
  };
  VARIABLES.forEach((variable, i) => {
    context[variable[0]] = values[i];
  });
  // One variable cannot carry the ids of concurrent events.
  if (env.AWS_LAMBDA_MAX_CONCURRENCY === undefined) {
    if (head.traceId) {
      env._X_AMZN_TRACE_ID = head.traceId;
    } else {
      delete env._X_AMZN_TRACE_ID;
    }
  }
  return context;
};
