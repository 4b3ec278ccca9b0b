'use strict';
// Where the user's module is loaded from: a module that looks like AWS's runtime, and the facts about this process that
// follow (argv[1], require.main, require.cache).
//
// The user's `module.parent`, the last lines of a "Require stack" and the "imported from" of an ESM error name the file
// that loaded it. Ours is one bundle in CommonJS, because an ESM entry costs 3 ms of each cold start; AWS's are several
// files up to 12.x and an index.mjs after. So the loading is done by modules that exist only in memory.
//
// Syntax: Node 4.3.

const path = require('path');

// files: AWS's file names below the runtime directory, the entry first; the last one loads the user's module.
// esm: whether that one may import(), and whether the entry is an ES module (then there is no main module).
// Returns { require, import, resolve(request, paths), bundle } where bundle is the file name our own frames carry.
exports.disguise = function (files, esm) {
  const main = process.mainModule;
  const Module = main.constructor; // require('module') would cost half a millisecond.
  const root = process.env.LAMBDA_RUNTIME_DIR || path.dirname(main.filename);
  let loader = null;
  let entry = null;
  files.forEach(function (file) {
    const name = path.join(root, file);
    loader = new Module(name, loader);
    loader.filename = name;
    loader.paths = Module._nodeModulePaths(path.dirname(name));
    loader.loaded = true;
    if (entry === null) {
      entry = loader;
    }
  });
  const body = 'exports.require = require;' + (esm ? 'exports.import = function (path) { return import(path); };' : '');
  loader._compile(body, loader.filename);

  delete Module._cache[main.filename];
  if (esm) {
    delete process.mainModule;
  } else {
    process.mainModule = entry;
    entry.id = '.';
    Module._cache[entry.filename] = entry;
  }
  process.argv[1] = entry.filename;

  const made = loader.exports;
  return {
    require: made.require,
    import: made.import,
    resolve: function (request, paths) {
      return made.require.resolve(request, { paths: paths });
    },
    bundle: main.filename,
  };
};
