// Replays a fixture with the bundled command and keeps what V8 compiled for it: `node scripts/code-cache.cjs LAUNCHER`.
'use strict';
const fs = require('node:fs');
const path = require('node:path');

const launcher = path.resolve(process.argv[2]);
const capture = path.join(__dirname, '..', 'fixtures', 'loss-reorder', 'in.pcap');
process.argv.splice(1, 2, launcher, 'replay', capture, '--adopt', '--quiet', '--provider', '/dev/null');
process.on('exit', () => {
  const { script, digest } = require(launcher);
  const cache = script.createCachedData();
  fs.writeFileSync(path.join(path.dirname(launcher), 'command.cache'), Buffer.concat([digest(cache), cache]));
});
require(launcher);
