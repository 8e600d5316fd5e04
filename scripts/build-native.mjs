// Builds the native part of the TUN device (src/device/tun/native/) to build/Release/culvert_tun.node with npm's own
// node-gyp and the headers that came with Node: nothing is downloaded. Needs g++, make and python3. Does nothing when
// the binary is there and was made from the same sources.
//
//   node scripts/build-native.mjs [--force]
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, realpathSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { environment, present, root, run, say } from './run.mjs';

const binary = path.join(root, 'build', 'Release', 'culvert_tun.node');
const sourcesMark = path.join(root, 'build', 'Release', 'culvert_tun.sources');
const prebuilt = path.join(root, 'prebuilds', `linux-${process.arch}`, 'culvert_tun.node');
const TIMEOUT_MS = 5 * 60_000;

/** Of all that the binary is made from, so that another branch's binary is not taken for this one's. */
function sourcesHash() {
  const folder = path.join(root, 'src', 'device', 'tun', 'native');
  const files = [
    path.join(root, 'binding.gyp'),
    ...readdirSync(folder)
      .sort()
      .map((name) => path.join(folder, name)),
  ];
  const hash = createHash('sha256').update(`${process.arch} asan=${process.env['CULVERT_ASAN'] ?? ''}`);
  for (const file of files) hash.update(path.basename(file)).update(readFileSync(file));
  return hash.digest('hex');
}

/** Whether a binary is there and made from these sources. */
export function nativeCurrent() {
  return existsSync(binary) && existsSync(sourcesMark) && readFileSync(sourcesMark, 'utf8') === sourcesHash();
}

// npm brings a node-gyp and names it to its scripts; without npm in between, it lies where npm can load it from.
function findNodeGyp() {
  const named = process.env['npm_config_node_gyp'];
  if (named !== undefined && existsSync(named)) return named;
  for (const folder of environment.PATH.split(':')) {
    const npm = path.join(folder, 'npm');
    if (!existsSync(npm)) continue;
    try {
      return createRequire(realpathSync(npm)).resolve('node-gyp/bin/node-gyp.js');
    } catch {
      // This npm has none; another one may.
    }
  }
  return undefined;
}

// Installed beside Node itself, they are certain to fit it; otherwise node-gyp would go to the network for them.
function findHeaders() {
  const prefix = path.dirname(path.dirname(realpathSync(process.execPath)));
  const places = [process.env['npm_config_nodedir'], prefix, '/usr', '/usr/local'];
  return places.find((place) => place && existsSync(path.join(place, 'include', 'node', 'node_api.h')));
}

/** @returns {{ok: boolean, why: string}} `why` says what is missing or what the compiler said */
export function buildNative({ force = false } = {}) {
  if (!force && (existsSync(prebuilt) || nativeCurrent())) return { ok: true, why: '' };
  const missing = ['g++', 'make', 'python3'].filter((command) => !present(command));
  if (missing.length > 0) return { ok: false, why: `without ${missing.join(', ')}` };
  const nodeGyp = findNodeGyp();
  if (nodeGyp === undefined) return { ok: false, why: 'no node-gyp beside npm' };
  const headers = findHeaders();
  if (headers === undefined) return { ok: false, why: 'no node_api.h: install the headers of this Node' };
  const { ok, output, why } = run([process.execPath, nodeGyp, 'rebuild', '--nodedir', headers], {
    capture: true,
    timeoutMs: TIMEOUT_MS,
  });
  if (!ok || !existsSync(binary))
    return { ok: false, why: `${why}\n${output.trimEnd().split('\n').slice(-25).join('\n')}` };
  writeFileSync(sourcesMark, sourcesHash());
  return { ok: true, why: '' };
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  const { ok, why } = buildNative({ force: process.argv.includes('--force') });
  say(ok ? `built: ${path.relative(process.cwd(), existsSync(prebuilt) ? prebuilt : binary)}` : `not built: ${why}`);
  process.exitCode = ok ? 0 : 1;
}
