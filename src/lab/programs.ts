/** The programs of other packages that the lab runs, and what to install where they are missing. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import path from 'node:path';
import { CulvertError } from '../errors.js';
import { packageRoot } from '../package-root.js';

/** All of them; the packages that have them are in scripts/os-packages.txt. */
export const PROGRAMS = [
  ...['nginx', 'haproxy', 'mariadbd', 'postfix', 'unbound', 'iperf3'],
  ...['curl', 'openssl', 'mariadb', 'swaks', 'dig', 'wrk', 'tcpdump', 'ip'],
] as const;
export type Program = (typeof PROGRAMS)[number];

// A plain user's PATH on Debian leaves out where servers live.
const FOLDERS = [...(process.env['PATH'] ?? '').split(':').filter(Boolean), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** What programs see that the lab starts. */
export const ENVIRONMENT = { ...process.env, PATH: [...new Set(FOLDERS)].join(':'), LC_ALL: 'C' };

const isThere = (program: string): boolean =>
  FOLDERS.some((folder) => {
    try {
      accessSync(path.join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });

/** Debian's packages by the program that proves them present: from the project's one list. */
export function packageOf(program: string): string {
  const list = readFileSync(path.join(packageRoot(), 'scripts', 'os-packages.txt'), 'utf8');
  for (const line of list.split('\n')) {
    const [name, proof] = line.split(/\s+/);
    if (proof === program && name !== undefined && !name.startsWith('#')) return name;
  }
  return program;
}

/**
 * @param programs only these
 * @throws CulvertError LAB_PACKAGES_MISSING, naming the packages
 */
export function needPrograms(
  programs: readonly string[] = PROGRAMS,
  there: (program: string) => boolean = isThere,
): void {
  const missing = programs.filter((program) => !there(program));
  if (missing.length === 0) return;
  throw new CulvertError(
    'LAB_PACKAGES_MISSING',
    `the lab runs programs that are not here: ${missing.join(', ')}. As root: ` +
      `apt-get install --no-install-recommends ${[...new Set(missing.map(packageOf))].join(' ')}`,
  );
}

/** The first `major.minor.patch` that a program prints about itself, as one number: 1.23.2 is 1023002. */
export function versionOf(program: Program, flag: string): number {
  const { stdout, stderr } = spawnSync(program, [flag], { encoding: 'utf8', env: ENVIRONMENT });
  const [, major = 0, minor = 0, patch = 0] = /(\d+)\.(\d+)\.(\d+)/.exec(`${stdout}${stderr}`) ?? [];
  return Number(major) * 1e6 + Number(minor) * 1e3 + Number(patch);
}
