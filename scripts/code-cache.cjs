// Runs a bundled command and keeps what V8 compiled for it: `node scripts/code-cache.cjs LAUNCHER ARGUMENTS`.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const launcher = path.resolve(process.argv[2]);
process.argv.splice(1, 2, launcher);
process.on('exit', () => {
  const { bundle, script, digest } = require(launcher);
  const cache = script.createCachedData();
  fs.writeFileSync(`${bundle}.cache`, Buffer.concat([digest(cache), cache]));
});
require(launcher);
