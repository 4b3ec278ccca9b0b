'use strict';
// Makes process.stdout and process.stderr write synchronously.
//
// Both are a pipe, and libuv queues what a pipe does not take at once. On Lambda a line written before the result is in
// the log before END, and is not lost in process.exit; so the handles are made blocking. That is done at first use:
// creating a stream loads node's net module, which costs a cold start milliseconds.
//
// Syntax: Node 4.3.

function makeBlocking(stream) {
  const handle = stream && stream._handle;
  if (handle && typeof handle.setBlocking === 'function') {
    handle.setBlocking(true);
  }
}

function onFirstUse(name) {
  const property = Object.getOwnPropertyDescriptor(process, name);
  if (!property || !property.get || !property.configurable) {
    makeBlocking(process[name]);
    return;
  }
  const get = property.get;
  let done = false;
  property.get = function () {
    const stream = get.call(process);
    if (!done) {
      done = true;
      makeBlocking(stream);
    }
    return stream;
  };
  Object.defineProperty(process, name, property);
}

exports.install = function () {
  onFirstUse('stdout');
  onFirstUse('stderr');
};
