'use strict';
// The handler string of G2 and G3 (spec section 1.2, points 1 and 2): `dir/module.export.path`.

const path = require('path');

// Malformed is the generation's error class.
exports.split = function (handler, Malformed) {
  if (handler.includes('..')) {
    throw new Malformed(
      `'${handler}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`
    );
  }
  const base = path.basename(handler);
  // The first dot counts: `a.b.handler` is export `b.handler` of module `a`.
  const dot = base.indexOf('.');
  if (dot < 0) {
    throw new Malformed('Bad handler');
  }
  return {
    directory: handler.substring(0, handler.indexOf(base)),
    module: base.slice(0, dot),
    exportPath: base.slice(dot + 1),
  };
};
