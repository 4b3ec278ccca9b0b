'use strict';
// The bootstrap of nodejs8.10 (spec section 0, generation G1b): G1 that also takes a native promise for the result.

const boot = require('./boot-g1');

boot.start(true);
