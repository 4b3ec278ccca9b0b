// Answers an HTTP event, of a function URL or of API Gateway: a greeting for GET, the parsed body for anything else.
exports.handler = function (event, context, callback) {
  var request = event.requestContext && event.requestContext.http ? event.requestContext.http : { method: event.httpMethod };
  var query = event.queryStringParameters || {};
  if (request.method === 'GET') {
    return callback(null, answer(200, { message: 'Hello, ' + (query.name || 'world') + '!' }));
  }
  try {
    var text = event.isBase64Encoded ? Buffer.from(event.body || '', 'base64').toString() : event.body;
    callback(null, answer(200, { received: JSON.parse(text || 'null') }));
  } catch (error) {
    callback(null, answer(400, { message: 'The body is not JSON.' }));
  }
};

function answer(statusCode, body) {
  return { statusCode: statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
