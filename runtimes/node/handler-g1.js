'use strict';
// Finds and loads the handler as nodejs4.3, 6.10 and 8.10 do (spec section 1.1).
//
// Nothing fails at init: what is wrong becomes a handler that reports the fault at each event.
//
// Syntax: Node 4.3.

// fault(message, error, fatal) reports one.
exports.load = function (loader, root, handler, fault) {
  function faulty(message, error, fatal) {
    return function () {
      fault(message, error, fatal);
    };
  }

  const parts = handler.split('.');
  if (parts.length !== 2) {
    return faulty('Bad handler ' + handler, null, false);
  }
  const moduleName = parts[0];
  const exportName = parts[1];
  const load = loader.require; // As a plain function: the frame reads "require", as on AWS.
  try {
    const found = load(root + '/' + moduleName)[exportName];
    if (found === undefined) {
      return faulty("Handler '" + exportName + "' missing on module '" + moduleName + "'", null, false);
    }
    // Whether it is a function shows when it is called.
    return found;
  } catch (error) {
    if (error.code === 'MODULE_NOT_FOUND') {
      return faulty("Unable to import module '" + moduleName + "'", error, false);
    }
    if (error instanceof SyntaxError) {
      return faulty("Syntax error in module '" + moduleName + "'", error, false);
    }
    return faulty('module initialization error', error, true);
  }
};
