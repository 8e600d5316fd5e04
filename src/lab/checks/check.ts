/** A check of the lab: something a consumer does with a real client, and what was seen of it. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Lab } from '../lab.js';
import { type Consumer, CONSUMERS } from '../topology.js';
import type { Witness } from '../witness.js';

export interface Stage {
  readonly lab: Lab;
  readonly consumers: Readonly<Record<Consumer, Witness>>;
  readonly provider: Witness;
}

export interface Check {
  /** A few words. */
  readonly name: string;
  /** Runs for each of these at the same time. */
  readonly consumers: readonly Consumer[];
  /** @returns what was seen, in a line; throws what was wrong */
  readonly run: (stage: Stage, who: Consumer) => Promise<string>;
}

/** A packet that was seen by a server is seen by tcpdump a moment later. */
const WITNESS_MS = 6000;

/** Waits until something holds. @returns whether it does */
export async function eventually(holds: () => boolean, timeoutMs = WITNESS_MS): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!holds()) {
    if (performance.now() > deadline) return false;
    await sleep(10);
  }
  return true;
}

export const onBoth = (name: string, run: Check['run']): Check => ({ name, consumers: CONSUMERS, run });
