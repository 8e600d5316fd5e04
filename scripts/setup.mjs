// Makes a fresh clone ready: OS packages, npm packages, build. Every step looks before it acts, so that a second
// run costs no more than the compiler's own check that nothing changed. Needs only Node, npm and, as root, apt-get.
//
//   node scripts/setup.mjs        (or `npm run setup`)
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import process from 'node:process';
import { pathToFileURL } from 'node:url';
import { buildNative } from './build-native.mjs';
import { isRoot, present, root, run, say, tool } from './run.mjs';

/** A set-up step that failed; the message says what to do. */
export class SetupError extends Error {}

/** Rows of os-packages.txt: {name, proof, service: string | null, neededFor}. */
export function parseOsPackages(text) {
  return text
    .split('\n')
    .filter((line) => line.trim() !== '' && !line.startsWith('#'))
    .map((line) => {
      const [name, proof, service, ...neededFor] = line.trim().split(/\s+/);
      return { name, proof, service: service === '-' ? null : service, neededFor: neededFor.join(' ') };
    });
}

// Missing OS packages never stop the set-up: the library, its command and most tests do without them, and the
// tests that need one say so by name.
function installOsPackages(list) {
  const missing = () => parseOsPackages(readFileSync(list, 'utf8')).filter(({ proof }) => !present(proof));
  const wanted = missing();
  if (wanted.length === 0) return;
  if (isRoot && present('apt-get')) {
    say(`set-up: installing ${wanted.map(({ name }) => name).join(', ')} with apt-get`);
    withoutStartingServices(() => {
      aptGet('update');
      const install = (...names) => aptGet('install', '--yes', '--no-install-recommends', ...names);
      // One package that cannot be had must not keep the others away.
      if (!install(...wanted.map(({ name }) => name))) for (const { name } of wanted) install(name);
    });
    for (const { service, proof } of wanted) if (service !== null && present(proof)) disableService(service);
  }
  const absent = missing();
  if (absent.length === 0) return;
  say('set-up: missing OS packages, and what goes without them:');
  for (const { name, neededFor } of absent) say(`  ${name.padEnd(12)} ${neededFor}`);
  say(`  as root: apt-get install --no-install-recommends ${absent.map(({ name }) => name).join(' ')}`);
}

function aptGet(...args) {
  // No front end: wireshark-common asks whether plain users may capture, and would wait for ever; its default is no.
  const env = { DEBIAN_FRONTEND: 'noninteractive', DEBIAN_PRIORITY: 'critical' };
  const command = ['apt-get', '-q', '-o', 'DPkg::Lock::Timeout=300', '-o', 'APT::Update::Error-Mode=any', ...args];
  // Another apt-get at work holds the package lists' lock, which has no timeout of its own.
  for (let attempt = 1; attempt <= 4; attempt++) {
    const { ok, output, why } = run(command, { capture: true, env, timeoutMs: 15 * 60_000 });
    if (ok) return true;
    if (attempt === 4 || !/could not get lock|unable to lock/i.test(output)) {
      say(`set-up: apt-get ${args[0]} failed (${why}):\n${output.trimEnd().split('\n').slice(-15).join('\n')}`);
      return false;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 10_000);
  }
}

// Debian's packages start their services as they are installed, unless this file says no (policy-rc.d(8)).
function withoutStartingServices(install) {
  const policy = '/usr/sbin/policy-rc.d';
  if (existsSync(policy)) {
    install();
    return;
  }
  writeFileSync(policy, '#!/bin/sh\nexit 101\n', { mode: 0o755 });
  try {
    install();
  } finally {
    rmSync(policy, { force: true });
  }
}

// Only the program is wanted: it must not come up at the next boot either. Called for what was installed just now.
function disableService(service) {
  if (present('systemctl')) run(['systemctl', 'disable', '--quiet', service], { capture: true });
  else if (present('update-rc.d')) run(['update-rc.d', service, 'disable'], { capture: true });
}

/**
 * Whether node_modules holds exactly what the lock file names: npm keeps a list of what it installed, and removes it
 * first thing when it begins again, so that an interrupted installation never counts.
 * @param {string} folder holds package-lock.json and node_modules
 */
export function nodePackagesCurrent(folder) {
  const installedList = path.join(folder, 'node_modules', '.package-lock.json');
  if (!existsSync(installedList)) return false;
  const wanted = packagesOf(path.join(folder, 'package-lock.json'));
  const installed = packagesOf(installedList);
  const same = (a, b) => a.version === b.version && a.integrity === b.integrity;
  return (
    Object.entries(wanted).every(([at, entry]) => {
      const found = installed[at];
      return found === undefined ? entry.optional === true : same(entry, found);
    }) && Object.keys(installed).every((at) => wanted[at] !== undefined)
  );
}

function packagesOf(lockFile) {
  const { packages = {} } = JSON.parse(readFileSync(lockFile, 'utf8'));
  return Object.fromEntries(Object.entries(packages).filter(([at]) => at !== ''));
}

function installNodePackages() {
  if (nodePackagesCurrent(root)) return;
  const folder = path.join(root, 'node_modules');
  // Several checkouts may share one folder by a link: emptying it for this one would pull it from under the others.
  if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink() === true) {
    say('set-up: node_modules is a link, and not what package-lock.json names: run `npm ci` where it points to');
    return;
  }
  say('set-up: npm ci');
  // The level is given since a quiet `npm test` hands its own down, and then a failure would say nothing.
  const { ok, why } = run(['npm', 'ci', '--include=dev', '--no-audit', '--no-fund', '--loglevel=warn']);
  if (!ok) throw new SetupError(`npm ci failed (${why})`);
}

/**
 * Compiles src/, test/ and bench/ to dist/, with types checked, and bundles the command.
 * @returns {{ok: boolean, output: string, why: string}} the complaints of the compiler or the bundler
 */
export function build() {
  const result = run([process.execPath, tool('typescript/bin/tsc'), '-p', 'tsconfig.json', '--pretty', 'false'], {
    capture: true,
  });
  removeOrphans(path.join(root, 'dist'));
  if (!result.ok) return result;
  return run([process.execPath, path.join(root, 'scripts', 'bundle.mjs')], { capture: true });
}

// The compiler leaves the output of deleted and renamed sources behind, and the test runner would go on running it.
function removeOrphans(dist) {
  if (!existsSync(dist)) return;
  for (const entry of readdirSync(dist, { recursive: true, withFileTypes: true })) {
    const stem = entry.isFile() ? /^(.*?)(\.d\.ts|\.js|\.js\.map)$/.exec(entry.name)?.[1] : undefined;
    if (stem === undefined) continue;
    const folder = path.relative(dist, entry.parentPath);
    if (folder === 'bin') continue; // the bundler's
    const source = path.join(root, folder, `${stem}.ts`);
    if (!existsSync(source)) rmSync(path.join(entry.parentPath, entry.name));
  }
}

/** Everything before the build. */
export function prepare() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19))
    throw new SetupError(`Node 20.19 or later is needed, this is ${process.versions.node}`);
  installOsPackages(path.join(root, 'scripts', 'os-packages.txt'));
  installNodePackages();
  // As with OS packages: without it all but the TUN device works, and the tests that need that say so by name.
  const native = buildNative();
  if (!native.ok) say(`set-up: the native part of the TUN device was not built (${native.why})`);
}

/** The whole set-up; throws SetupError. */
export function setup() {
  prepare();
  const { ok, output, why } = build();
  if (!ok) throw new SetupError(`the build failed (${why}):\n${output.trimEnd()}`);
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) {
  try {
    setup();
    say('set-up: ready');
  } catch (error) {
    if (!(error instanceof SetupError)) throw error;
    say(`set-up: ${error.message}`);
    process.exitCode = 1;
  }
}
