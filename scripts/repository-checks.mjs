// Rules about the repository's own files that no other tool knows. Each gives a list of complaints.
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import process from 'node:process';
import { root } from './run.mjs';

/** The lock file must serve every registry and every platform. */
export function lockFileComplaints() {
  const { packages } = JSON.parse(readFileSync(path.join(root, 'package-lock.json'), 'utf8'));
  const complaints = [];
  for (const [at, entry] of Object.entries(packages)) {
    if (entry.resolved !== undefined)
      complaints.push(`package-lock.json: ${at} has "resolved": ${entry.resolved} (.npmrc says how to leave it out)`);
    // npm leaves out what its registry did not offer when the lock was written, and `npm ci` then refuses the lock;
    // a checkout that is already installed would not notice.
    for (const name of Object.keys(entry.optionalDependencies ?? {}))
      if (!lookUp(packages, at, name))
        complaints.push(`package-lock.json: ${at} needs ${name}, which is not in it: choose another version`);
  }
  return complaints;
}

// Node's own search: node_modules beside the package, then outwards.
function lookUp(packages, from, name) {
  for (let at = from; ; at = at.slice(0, Math.max(0, at.lastIndexOf('node_modules/') - 1))) {
    if (packages[`${at === '' ? '' : `${at}/`}node_modules/${name}`] !== undefined) return true;
    if (at === '') return false;
  }
}

/** Versions are pinned: the same clone gives the same tools. */
export function pinComplaints() {
  const {
    dependencies = {},
    devDependencies = {},
    optionalDependencies = {},
  } = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8'));
  return Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })
    .filter(([, version]) => !/^\d+\.\d+\.\d+(-[\w.]+)?$/.test(version))
    .map(([name, version]) => `package.json: ${name} is not pinned to one version: ${version}`);
}

/** No tracked file may name places of the machine it was written on, or a package registry. */
export function machineComplaints() {
  const git = (...args) => execFileSync('git', args, { cwd: root, encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  if (!existsSync(path.join(root, '.git'))) return []; // an unpacked archive: nothing says which files are the project's
  const files = git('ls-files', '-z', '--cached', '--others', '--exclude-standard').split('\0').filter(Boolean);
  const mainCheckout = path.dirname(git('rev-parse', '--path-format=absolute', '--git-common-dir').trim());
  const registry = process.env['npm_config_registry'];
  const forbidden = [
    root,
    mainCheckout,
    `${os.homedir()}/`,
    process.env['CULVERT_SHARED'],
    registry === undefined ? undefined : URL.canParse(registry) ? new URL(registry).host : undefined,
    // Put together here, so that this file does not break its own rule.
    ['', 'root', ''].join('/'),
    ['', 'home', ''].join('/'),
    ['registry', 'npmjs'].join('.'),
    ['deb', 'debian', 'org'].join('.'),
  ].filter((text) => text !== undefined && text.length > 3);
  const complaints = [];
  for (const file of files) {
    const octets = readOrNull(path.join(root, file));
    // A NUL octet near the start marks a binary file, as git has it: captures hold whatever was captured.
    if (octets === null || octets.subarray(0, 8000).includes(0)) continue;
    const text = octets.toString('utf8');
    for (const needle of new Set(forbidden)) {
      const at = text.indexOf(needle);
      if (at >= 0) complaints.push(`${file}:${text.slice(0, at).split('\n').length}: names ${needle}`);
    }
  }
  return complaints;
}

function readOrNull(file) {
  try {
    return readFileSync(file);
  } catch {
    return null; // deleted but still in the index, or a link to a folder
  }
}
