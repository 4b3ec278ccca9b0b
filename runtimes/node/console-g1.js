'use strict';
// The console of nodejs4.3, 6.10 and 8.10: log, info, warn and error are one function that prefixes time and request id
// (spec section 7.1, row G1). debug, trace and dir stay Node's own.
//
// Syntax: Node 4.3.

const util = require('util');
const channel = require('./channel');

const format = util.format;

// Replaces the methods again at each event, as AWS does: a user's own replacement lasts until then.
exports.install = function (requestId) {
  console.log =
    console.error =
    console.warn =
    console.info =
      function prettyConsoleLog() {
        const now = new Date();
        const text = format.apply(null, arguments);
        channel.log(0, false, now.valueOf(), now.toISOString() + '\t' + requestId + '\t' + text);
      };
};

// A line of the platform, without a prefix.
exports.plain = function (text) {
  channel.log(0, false, Date.now(), text);
};
