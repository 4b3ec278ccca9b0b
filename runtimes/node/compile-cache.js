'use strict';
// Node.js's compile cache, where lambkin gives one: `cache/compile` beside the directory of `node`. With something in it, it is the
// cache, to read; empty and open to all, the cache is to be made of this init and handed to lambkin, before any event.
// Else it costs one look. In each case lambkin is told how long loading the handler took: it decides by that.
//
// No variable says so and none is set: the function finds what it would find without. `require('module')` takes half a
// millisecond, so it is left alone where there is no cache.

const fs = require('fs');
const path = require('path');
const channel = require('./channel');

const FROM = 22; // Node.js with module.flushCompileCache().
const OTHERS_WRITE = 0o002;

const readdirSync = fs.readdirSync;
const readFileSync = fs.readFileSync;
const cpuUsage = process.cpuUsage;
const join = path.join;

function cpuMicros() {
  const used = cpuUsage.call(process);
  return used.user + used.system;
}

function handOver(directory) {
  for (const folder of readdirSync(directory)) {
    for (const file of readdirSync(join(directory, folder))) {
      channel.compileCache(`${folder}/${file}`, readFileSync(join(directory, folder, file)));
    }
  }
}

// To be called right before the handler is loaded; returns what is to be called right after.
exports.begin = function () {
  if (parseInt(process.versions.node, 10) < FROM) {
    return () => {};
  }
  const began = cpuMicros();
  const directory = join(path.dirname(process.execPath), '../cache/compile');
  const found = fs.statSync(directory, { throwIfNoEntry: false });
  const making = found !== undefined && (found.mode & OTHERS_WRITE) !== 0;
  let flush = null;
  if (making || (found !== undefined && readdirSync(directory).length > 0)) {
    const module = require('module');
    module.enableCompileCache(directory);
    flush = module.flushCompileCache;
  }
  return function () {
    channel.loaded(cpuMicros() - began);
    if (making) {
      try {
        flush();
        handOver(directory);
      } catch (error) {
        // Then there is none.
      }
    }
  };
};
