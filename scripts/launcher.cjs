#!/usr/bin/env node
'use strict';
/*
 * Starts the bundled command: for a replay replay.cjs, which is smaller and starts sooner, for all else command.cjs. The
 * compiler's work on a bundle is kept beside it (scripts/bundle.mjs), so that a start parses and compiles nothing that the
 * run of then needed. A cache that is missing, damaged, of another bundle, another Node or other options of V8 is passed
 * over, and the start is slower by that work. V8 looks for the last two itself and believes the rest, hence the digest.
 * Node 22 has module.enableCompileCache() for all this.
 */
const fs = require('node:fs');
const path = require('node:path');
const vm = require('node:vm');
const { crc32 } = require('node:zlib'); // Node's hashes take 2 ms to load

const bundle = path.join(__dirname, process.argv[2] === 'replay' ? 'replay' : 'command');
const filename = `${bundle}.cjs`;
const octets = fs.readFileSync(filename);
/** Of the bundle and its cache, as a buffer. */
const digest = (cache) => {
  const sum = Buffer.alloc(DIGEST_LENGTH);
  sum.writeUInt32BE(crc32(cache, crc32(octets)));
  return sum;
};
const DIGEST_LENGTH = 4;

let cachedData;
try {
  const file = fs.readFileSync(`${bundle}.cache`);
  const cache = file.subarray(DIGEST_LENGTH);
  if (digest(cache).equals(file.subarray(0, DIGEST_LENGTH))) cachedData = cache;
} catch {
  // None was made.
}
// The bundle is ASCII: read as that, V8 takes one octet a character.
const source = `(function (exports, require, module, __filename, __dirname) {${octets.latin1Slice()}\n})`;
const script = new vm.Script(source, { filename, cachedData });
module.exports = { bundle, script, digest };
script.runInThisContext().call({}, {}, require, module, filename, __dirname);
