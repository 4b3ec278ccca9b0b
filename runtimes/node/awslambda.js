'use strict';
// globalThis.awslambda: streamifyResponse and HttpResponseStream (spec section 9.2).
//
// Syntax: Node 10 (used from 14.x on).

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const CONTENT_TYPE = 'application/vnd.awslambda.http-integration-response';

class HttpResponseStream {
  static from(stream, metadata) {
    stream.setContentType(CONTENT_TYPE);
    const prelude = JSON.stringify(metadata);
    // With the first write only: a stream that ends without one sends no prelude.
    stream._onBeforeFirstWrite = (write) => {
      write(prelude);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

function streamifyResponse(handler, options) {
  handler[STREAMING] = 'response';
  if (options !== undefined && options !== null && typeof options.highWaterMark === 'number') {
    handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
  }
  return handler;
}

exports.wanted = function () {
  const no = process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA;
  return no !== '1' && no !== 'true';
};

exports.install = function () {
  if (exports.wanted()) {
    globalThis.awslambda = Object.assign({}, globalThis.awslambda, { streamifyResponse, HttpResponseStream });
  }
};
