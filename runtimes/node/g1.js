'use strict';
// The bootstrap of nodejs4.3 and 6.10 (spec section 0, generation G1).
//
// Syntax: Node 4.3.

const boot = require('./boot-g1');

boot.start(false);
