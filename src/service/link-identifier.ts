/**
 * The number by which a provider tells its consumers apart (the LINKID of the PROXY header). Ours: unique over the whole
 * gateway and 1 to 2^32-1, so that 0 can stand for none.
 */
import { seededOctets } from './seeded.js';
import { error } from './problem.js';
import type { Problem } from './problem.js';

export const maxLinkIdentifier = 0xffff_ffff;

export const checkLinkIdentifier = (value: number): Problem[] =>
  Number.isInteger(value) && value >= 1 && value <= maxLinkIdentifier
    ? []
    : [
        error(
          'LINK_IDENTIFIER_RANGE',
          `linkIdentifier is ${String(value)}; it must be a whole number, 1 to ${String(maxLinkIdentifier)}`,
        ),
      ];

/** @param owner the endpoint that has the value already */
export const linkIdentifierInUse = (value: number, owner: string): Problem =>
  error(
    'LINK_IDENTIFIER_IN_USE',
    `linkIdentifier ${String(value)} is private endpoint '${owner}''s already; each needs its own`,
  );

/**
 * A value for an endpoint that has none. It depends on the seed and the endpoint's name, not on the other endpoints
 * (unless two draws meet), so that adding an endpoint leaves the others' values alone.
 */
export function drawLinkIdentifier(name: string, seed: number, isTaken: (value: number) => boolean): number {
  for (let attempt = 0; ; attempt++) {
    const value = seededOctets(seed, 'linkIdentifier', name, attempt).readUInt32BE(0);
    if (value !== 0 && !isTaken(value)) return value;
  }
}

/** A value for an endpoint that the management interface makes: any that is free. */
export function drawRandomLinkIdentifier(source: { uint32(): number }, isTaken: (value: number) => boolean): number {
  for (;;) {
    const value = source.uint32();
    if (checkLinkIdentifier(value).length === 0 && !isTaken(value)) return value;
  }
}
