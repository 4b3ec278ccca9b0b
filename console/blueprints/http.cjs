// Answers an HTTP event, of a function URL or of API Gateway: a greeting for GET, the parsed body for anything else.
exports.handler = async (event) => {
  const method = event.requestContext && event.requestContext.http ? event.requestContext.http.method : event.httpMethod;
  const query = event.queryStringParameters || {};
  if (method === 'GET') return answer(200, { message: `Hello, ${query.name || 'world'}!` });
  try {
    const text = event.isBase64Encoded ? Buffer.from(event.body || '', 'base64').toString() : event.body;
    return answer(200, { received: JSON.parse(text || 'null') });
  } catch (error) {
    return answer(400, { message: 'The body is not JSON.' });
  }
};

function answer(statusCode, body) {
  return { statusCode, headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
}
