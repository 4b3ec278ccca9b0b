'use strict';

// Async style, from nodejs8.10 on:
//   lambkin invoke examples/async/helloworld.js --handler helloworld.myHandler --runtime nodejs8.10 --event examples/event.json
const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

exports.myHandler = async (event, context) => {
  console.log('event =', JSON.stringify(event));
  await pause(50);
  return { message: `Hello from ${context.functionName}`, received: Object.keys(event).length };
};
