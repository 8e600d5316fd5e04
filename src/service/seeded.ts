/** Identifiers drawn from a seed: the same seed and names give the same identifiers on every machine. */
import { createHash } from 'node:crypto';

/** 32 octets that depend on the seed and the names only. */
export const seededOctets = (seed: number, ...names: readonly (string | number)[]): Buffer =>
  createHash('sha256')
    .update(JSON.stringify([seed, ...names]))
    .digest();

/** A GUID with the version and variant bits of a random one (RFC 9562 section 5.4). */
export function seededGuid(seed: number, ...names: readonly (string | number)[]): string {
  const octets = seededOctets(seed, ...names);
  octets[6] = (octets[6]! & 0x0f) | 0x40;
  octets[8] = (octets[8]! & 0x3f) | 0x80;
  const hex = octets.toString('hex', 0, 16);
  return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
}
