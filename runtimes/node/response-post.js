'use strict';
// The post that carries a streamed response to the Runtime API (spec section 9.2): one connection for each, HTTP/1.1
// with a chunked body.
//
// Not a frame of the channel, which is written synchronously: a client that reads slowly would hold the whole process.
// TCP's window is what slows a handler down, by write()'s answer and 'drain', while its event loop goes on.
//
// Syntax: Node 10 (used from 14.x on).

const bytes = Buffer.from;
const encode = encodeURIComponent;
const tick = process.nextTick;
const NEWLINE = bytes('\r\n');
const LAST = bytes('0\r\n\r\n');
const HEAD_END = '\r\n\r\n';

let address = '';

// Before the function's code can change the variable.
exports.install = function () {
  address = process.env.AWS_LAMBDA_RUNTIME_API || '';
};

class Post {
  constructor(requestId, answered, failed) {
    // Here, so that functions that do not stream start without it.
    const net = require('net');
    const colon = address.lastIndexOf(':');
    this.requestId = requestId;
    this.over = false; // Answered or closed: what comes now goes nowhere.
    this.head = '';
    let answer = '';
    const socket = net.connect({ host: address.slice(0, colon), port: Number(address.slice(colon + 1)) });
    socket.setNoDelay(true);
    socket.on('data', (data) => {
      answer += data.toString('latin1');
      if (!this.over && answer.includes(HEAD_END)) {
        this.over = true;
        answered();
      }
    });
    const gone = (error) => {
      if (!this.over) {
        this.over = true;
        failed(error);
      }
    };
    socket.on('error', gone);
    socket.on('close', () => gone(undefined));
    this.socket = socket;
  }

  // The head leaves with what comes first.
  begin(contentType) {
    this.head =
      `POST /2018-06-01/runtime/invocation/${encode(this.requestId)}/response HTTP/1.1\r\nHost: ${address}\r\n` +
      `Content-Type: ${contentType}\r\nLambda-Runtime-Function-Response-Mode: streaming\r\n` +
      'Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n';
  }

  // `sent` once the bytes are the kernel's.
  write(data, sent) {
    // An empty chunk would be the last.
    const size = data.length === 0 ? '' : `${data.length.toString(16)}\r\n`;
    this.send([bytes(size, 'latin1'), data, data.length === 0 ? data : NEWLINE], sent);
  }

  end(sent) {
    this.send([LAST], sent);
  }

  send(parts, sent) {
    if (this.over) {
      tick(sent, null);
      return;
    }
    this.socket.cork();
    if (this.head !== '') {
      this.socket.write(this.head, 'latin1');
      this.head = '';
    }
    parts.forEach((part, index) => this.socket.write(part, index === parts.length - 1 ? sent : undefined));
    this.socket.uncork();
  }

  close() {
    this.over = true;
    this.socket.destroy();
  }
}

exports.open = function (requestId, answered, failed) {
  return new Post(requestId, answered, failed);
};
