'use strict';
// What Node.js itself costs: the same handler behind a bare `http` server, with the same parsing and
// stringifying. The benchmark's ratios are against this.
const http = require('http');

const handler = async (event) => event.key1;

http
  .createServer((request, response) => {
    const chunks = [];
    request.on('data', (chunk) => chunks.push(chunk));
    request.on('end', async () => {
      const result = JSON.stringify(await handler(JSON.parse(Buffer.concat(chunks).toString())));
      response.writeHead(200, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(result) });
      response.end(result);
    });
  })
  .listen(0, '127.0.0.1', function listening() {
    console.log(`listening on http://127.0.0.1:${this.address().port}`);
  });
