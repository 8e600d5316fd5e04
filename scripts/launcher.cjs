#!/usr/bin/env node
'use strict';
/*
 * Starts the bundled command, dist/bin/culvert.cjs. The compiler's work on it is kept beside it (scripts/bundle.mjs), so
 * that a start parses and compiles nothing that the run of then needed; a cache that is missing, damaged or of another
 * Node is passed over by V8, and the start is slower by that work. Node 22 has module.enableCompileCache() for this.
 */
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');

const filename = path.join(__dirname, 'command.cjs');
let cachedData;
try {
  cachedData = fs.readFileSync(path.join(__dirname, 'command.cache'));
} catch {
  // None was made.
}
// The bundle is ASCII: read as that, V8 takes one octet a character.
const source = `(function (exports, require, module, __filename, __dirname) {'use strict';${fs.readFileSync(filename, 'latin1')}\n})`;
const script = new vm.Script(source, { filename, cachedData });
module.exports = script;
script.runInThisContext().call({}, {}, require, module, filename, __dirname);
