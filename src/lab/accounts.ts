/** Users of the machine that servers insist on. */
import { readFileSync } from 'node:fs';
import { CulvertError } from '../errors.js';

/** @throws CulvertError LAB_NO_USER */
export function userIds(name: string): { readonly uid: number; readonly gid: number } {
  const line = readFileSync('/etc/passwd', 'utf8')
    .split('\n')
    .find((each) => each.startsWith(`${name}:`));
  const [, , uid, gid] = line?.split(':') ?? [];
  if (uid === undefined || gid === undefined) {
    throw new CulvertError('LAB_NO_USER', `there is no user '${name}', which a server of the lab runs as`);
  }
  return { uid: Number(uid), gid: Number(gid) };
}
