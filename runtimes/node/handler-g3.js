'use strict';
// Finds and loads the handler as nodejs24.x and later do (spec section 1.3): what exists is import()ed, whatever it is.

const path = require('path');
const fs = require('fs');
const name = require('./handler-name');
const errors = require('./errors-g3');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');

async function loadModule(loader, root, parts) {
  // Without the slash, so that a handler in the task root names the root itself.
  const directory = parts.directory.replace(/\/$/, '');
  const file = path.resolve(root, directory, parts.module);
  for (const extension of ['', '.js', '.mjs', '.cjs']) {
    // A directory exists too, and cannot be imported: that is G3's error, where G2 loads its index.js.
    if (fs.existsSync(file + extension)) {
      const loaded = await loader.import(file + extension);
      if (loaded) {
        return loaded;
      }
    }
  }
  const load = loader.require;
  return load(loader.resolve(parts.module, [root, path.join(root, directory)]));
}

function explain(error) {
  if (error instanceof SyntaxError) {
    return new errors.UserCodeSyntaxError(error);
  }
  if (error instanceof Error && error.code === 'MODULE_NOT_FOUND') {
    return new errors.ImportModuleError(error);
  }
  return error;
}

function find(exportPath, app) {
  return exportPath
    .split('.')
    .reduce((value, key) => (value && typeof value === 'object' ? value[key] : undefined), app);
}

exports.load = async function (loader, root, handler) {
  const parts = name.split(handler, errors.MalformedHandlerNameError);
  let app;
  try {
    app = await loadModule(loader, root, parts);
  } catch (error) {
    throw explain(error);
  }
  let found = find(parts.exportPath, app);
  if (!found && typeof app === 'object' && app !== null && 'default' in app) {
    found = find(parts.exportPath, app.default);
  }
  if (!found) {
    throw new errors.HandlerNotFoundError(`${handler} is undefined or not exported`);
  }
  if (typeof found !== 'function') {
    throw new errors.HandlerNotFoundError(`${handler} is not a function`);
  }
  return found;
};

exports.isStreaming = function (handler) {
  const mode = handler[STREAMING];
  if (!mode) {
    return false;
  }
  if (mode === 'response') {
    return true;
  }
  throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
};
