// Writes its answer piece by piece. InvokeWithResponseStream and function URLs in RESPONSE_STREAM mode pass the pieces on;
// Invoke gathers them.
const pause = require('util').promisify(setTimeout);

exports.handler = awslambda.streamifyResponse(async (event, responseStream, context) => {
  responseStream.setContentType('text/plain');
  for (const word of ['Once ', 'upon ', 'a ', 'time.']) {
    responseStream.write(word);
    await pause(200);
  }
  responseStream.end();
});
