'use strict';

// An error by callback: the function ran, and says that it failed. FunctionError is "Handled" up to
// nodejs8.10 and "Unhandled" from nodejs10.x.
//   lambkin invoke examples/callback-error/helloworld.js --handler helloworld.myHandler --runtime nodejs8.10 --event examples/event.json
exports.myHandler = function (event, context, callback) {
  console.log('value1 = ' + event.key1);
  callback(new Error('something is wrong'));
};
