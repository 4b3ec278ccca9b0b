'use strict';
// Makes one file of an entry and the own files it requires, by the rule that the build follows: require('./name') with a
// literal at the top level is one of ours, anything else is Node's; each file is function (module, exports, require).
//
// usage: node bundle.js <entry.js> [output.js]

const fs = require('fs');
const path = require('path');

const OWN = /^(?:const|let|var) [^=]+ = require\('(\.\/[\w-]+)'\)/gm;

function bundle(entry) {
  const directory = path.dirname(path.resolve(entry));
  const files = new Map();
  const visit = (name) => {
    if (files.has(name)) {
      return;
    }
    const source = fs.readFileSync(path.join(directory, `${name}.js`), 'utf8');
    files.set(name, source);
    for (const [, required] of source.matchAll(OWN)) {
      visit(required);
    }
  };
  const first = `./${path.basename(entry, '.js')}`;
  visit(first);
  const parts = [...files].map(([name, source]) => `${JSON.stringify(name)}: function (module, exports, require) {${source}}`);
  return `'use strict';
(function (node, files) {
  var made = {};
  function own(name) {
    if (!files[name]) {
      return node(name);
    }
    if (!made[name]) {
      made[name] = { exports: {} };
      files[name](made[name], made[name].exports, own);
    }
    return made[name].exports;
  }
  own(${JSON.stringify(first)});
})(require, {
${parts.join(',\n')}
});
`;
}

exports.bundle = bundle;

if (require.main === module) {
  const text = bundle(process.argv[2]);
  if (process.argv[3]) {
    fs.writeFileSync(process.argv[3], text);
  } else {
    process.stdout.write(text);
  }
}
