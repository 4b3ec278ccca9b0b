'use strict';
// Finds and loads the handler as nodejs10.x to 22.x do (spec section 1.2).
//
// 10.x and 12.x load synchronously and know CommonJS only; from 14.x on ES modules and top-level await work.

const path = require('path');
const fs = require('fs');
const name = require('./handler-name');
const errors = require('./errors-g2');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

// The nearest package.json decides what a .js file is. The walk ends at the root, at a node_modules directory and at a
// package.json that cannot be read.
function insideModulePackage(folder) {
  if (folder.endsWith('/node_modules')) {
    return false;
  }
  const file = path.join(folder, 'package.json');
  if (fs.existsSync(file)) {
    try {
      const found = JSON.parse(fs.readFileSync(file));
      if (found) {
        return found.type === 'module';
      }
    } catch (error) {
      console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
      return false;
    }
  }
  return folder === '/' ? false : insideModulePackage(path.resolve(folder, '..'));
}

function required(loader, file) {
  const load = loader.require; // As a plain function: the frame reads "require", as on AWS.
  return fs.existsSync(file) ? load(file) : undefined;
}

async function imported(loader, file) {
  return fs.existsSync(file) ? await loader.import(file) : undefined;
}

// Node's own resolution from the task root: directories, package mains, node_modules, and a stale directory prefix.
function resolved(loader, root, parts) {
  const load = loader.require;
  return load(loader.resolve(parts.module, [root, parts.directory]));
}

function loadCommonJs(loader, root, parts) {
  const file = path.resolve(root, parts.directory, parts.module);
  return required(loader, file) || required(loader, `${file}.js`) || resolved(loader, root, parts);
}

async function loadAny(loader, root, parts) {
  const file = path.resolve(root, parts.directory, parts.module);
  const plain = required(loader, file);
  if (plain) {
    return plain;
  }
  const esm = insideModulePackage(path.dirname(file));
  return (
    (esm ? await imported(loader, `${file}.js`) : required(loader, `${file}.js`)) ||
    (await imported(loader, `${file}.mjs`)) ||
    required(loader, `${file}.cjs`) ||
    resolved(loader, root, parts)
  );
}

function explain(error) {
  if (error instanceof SyntaxError) {
    return new errors.UserCodeSyntaxError(error);
  }
  // An ES module's missing import is ERR_MODULE_NOT_FOUND and stays as it is.
  if (error.code !== undefined && error.code === 'MODULE_NOT_FOUND') {
    return new errors.ImportModuleError(error);
  }
  return error;
}

function pick(app, handler, exportPath) {
  const found = exportPath.split('.').reduce((value, key) => value && value[key], app);
  if (!found) {
    throw new errors.HandlerNotFound(`${handler} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw new errors.HandlerNotFound(`${handler} is not a function`);
  }
  return found;
}

exports.loadSync = function (loader, root, handler) {
  const parts = name.split(handler, errors.MalformedHandlerName);
  let app;
  try {
    app = loadCommonJs(loader, root, parts);
  } catch (error) {
    throw explain(error);
  }
  return pick(app, handler, parts.exportPath);
};

exports.load = async function (loader, root, handler) {
  const parts = name.split(handler, errors.MalformedHandlerName);
  let app;
  try {
    app = await loadAny(loader, root, parts);
  } catch (error) {
    throw explain(error);
  }
  return pick(app, handler, parts.exportPath);
};

exports.isStreaming = function (handler) {
  const mode = handler[STREAMING];
  if (mode === undefined || mode === null || mode === false) {
    return false;
  }
  if (mode === 'response') {
    return true;
  }
  throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
};

exports.isAsync = function (handler) {
  try {
    return handler.constructor.name === 'AsyncFunction';
  } catch (error) {
    return false;
  }
};
