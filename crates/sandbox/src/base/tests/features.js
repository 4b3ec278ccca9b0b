// What functions do that asks for threads, processes, sockets and files; for Node.js 4 and later.
// Prints each feature that failed, then "end".
'use strict';
const childProcess = require('child_process');
const crypto = require('crypto');
const dgram = require('dgram');
const dns = require('dns');
const fs = require('fs');
const http = require('http');
const net = require('net');
const os = require('os');
const zlib = require('zlib');

let open = 0;
function feature(name, run) {
  open += 1;
  let isOver = false;
  const done = (error) => {
    if (isOver) return;
    isOver = true;
    if (error) console.log(name + ': ' + (error.stack || error));
    open -= 1;
    if (open === 0) {
      console.log('end');
      process.exit(0);
    }
  };
  try {
    run(done);
  } catch (error) {
    done(error);
  }
}

feature('everything else', (done) => setTimeout(done, 20));
feature('exec', (done) => childProcess.exec('echo a | cat', (error, out) => done(error || (out !== 'a\n' && out))));
feature('spawn', (done) =>
  childProcess.spawn(process.execPath, ['-e', 'process.exit(7)']).on('error', done).on('exit', (code) => done(code !== 7 && code)));
feature('fork', (done) => {
  fs.writeFileSync('/tmp/child.js', 'process.send(1); process.disconnect()');
  childProcess.fork('/tmp/child.js').on('error', done).on('message', () => done());
});
feature('execFileSync', (done) => {
  childProcess.execFileSync('/bin/true');
  done();
});
feature('zlib', (done) =>
  zlib.gzip(new Buffer('abc'), (error, packed) => (error ? done(error) : zlib.gunzip(packed, (failed, text) => done(failed || (String(text) !== 'abc' && text))))));
feature('pbkdf2', (done) => crypto.pbkdf2('a', 'b', 1000, 32, 'sha256', done));
feature('random', (done) => crypto.randomBytes(64, done));
feature('http', (done) => {
  const server = http.createServer((request, response) => response.end('hi'));
  server.on('error', done).listen(0, '127.0.0.1', () =>
    http.get({ host: '127.0.0.1', port: server.address().port, agent: false }, (response) => response.resume().on('end', () => done())).on('error', done));
});
feature('unix socket', (done) => {
  const server = net.createServer((socket) => socket.end());
  server.on('error', done).listen('/tmp/socket', () => net.connect('/tmp/socket').resume().on('error', done).on('close', () => done()));
});
feature('udp', (done) => {
  const socket = dgram.createSocket('udp4');
  socket.on('error', done).on('message', () => done());
  socket.bind(0, '127.0.0.1', () => socket.send(new Buffer('x'), 0, 1, socket.address().port, '127.0.0.1'));
});
feature('dns', (done) => dns.lookup('localhost', done));
feature('files', (done) => {
  fs.mkdirSync('/tmp/a');
  fs.writeFile('/tmp/a/b', 'x', (error) => {
    if (error) return done(error);
    fs.renameSync('/tmp/a/b', '/tmp/c');
    fs.unlinkSync('/tmp/c');
    fs.rmdirSync('/tmp/a');
    fs.watch('/tmp', () => {}).close();
    done();
  });
});
feature('read-only', (done) => {
  for (const path of ['/etc/x', '/var/task/x', '/x', '/home/sbx_user1051']) {
    try {
      fs.writeFileSync(path, '');
      return done(path);
    } catch (error) {
      if (['EROFS', 'EACCES'].indexOf(error.code) < 0) return done(error);
    }
  }
  done();
});
feature('os', (done) => done(!(os.networkInterfaces().lo && os.cpus().length && os.totalmem())));
if (typeof WebAssembly === 'object') {
  feature('wasm', (done) => WebAssembly.instantiate(new Uint8Array([0, 97, 115, 109, 1, 0, 0, 0])).then(() => done(), done));
}
let workers;
try {
  workers = require('worker_threads');
} catch (error) {
  // Before version 12.
}
if (workers) {
  feature('worker', (done) =>
    new workers.Worker('require("worker_threads").parentPort.postMessage(1)', { eval: true }).on('error', done).on('message', () => done()));
}
if (typeof fetch === 'function') {
  feature('fetch', (done) => {
    const server = http.createServer((request, response) => response.end('hi')).listen(0, '127.0.0.1', () =>
      fetch('http://127.0.0.1:' + server.address().port).then((response) => response.text()).then((text) => done(text !== 'hi' && text), done));
  });
}
