'use strict';

// Callback style, for nodejs6.10 and nodejs8.10 (and every runtime up to nodejs22.x):
//   lambkin invoke examples/callback/helloworld.js --handler helloworld.myHandler --runtime nodejs6.10 --event examples/event.json
exports.myHandler = function (event, context, callback) {
  console.log('value1 = ' + event.key1);
  console.log('remaining time = ' + context.getRemainingTimeInMillis() + ' ms');
  callback(null, 'Hello from ' + context.functionName + ': ' + event.key1);
};
