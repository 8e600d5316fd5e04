/**
 * Finds a PROXY header at the start of one direction of a TCP stream, over as many segments as it takes when they
 * come in order.
 */
import { CulvertError } from '../errors.js';
import { decode } from '../wire/proxy/index.js';
import type { ProxyFinding } from './packet.js';

const SIGNATURES = [Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1'), Buffer.from('PROXY ', 'latin1')] as const;

/** Octets of unfinished headers that all streams together may hold. */
const MAX_PENDING_OCTETS = 16 * 1024 * 1024;

/** What the unfinished headers of all streams take together. */
export interface PendingBudget {
  octets: number;
}

/** What decoding the first octets of a stream came to. */
export type HeaderResult =
  { readonly kind: 'none' | 'need' } | { readonly kind: 'found'; readonly finding: Omit<ProxyFinding, 'isRepeated'> };

/** Decodes the start of a stream; a start that has nothing of a PROXY header costs a comparison. */
export function headerAt(b: Buffer, from: number, end: number): HeaderResult {
  if (!SIGNATURES.some((signature) => startsLike(b, from, end, signature))) return { kind: 'none' };
  try {
    const result = decode(b, from, end);
    if (result.kind === 'need') return { kind: 'need' };
    return { kind: 'found', finding: { header: result.header, length: result.length, problem: '' } };
  } catch (error) {
    if (!(error instanceof CulvertError)) throw error;
    return { kind: 'found', finding: { header: null, length: 0, problem: error.message } };
  }
}

function startsLike(b: Buffer, from: number, end: number, signature: Buffer): boolean {
  const length = Math.min(end - from, signature.length);
  return length > 0 && b.compare(signature, 0, length, from, from + length) === 0;
}

export class ProxyFinder {
  readonly #budget: PendingBudget;
  #pending: Buffer | null = null;
  #hasFound = false;

  constructor(budget: PendingBudget) {
    this.#budget = budget;
  }

  /**
   * Takes a segment's payload.
   * @param sequence relative: 1 is the stream's first octet
   * @returns the header that ends in this segment
   */
  segment(sequence: number, b: Buffer, from: number, end: number): ProxyFinding | null {
    const pending = this.#pending;
    if (sequence === 1) {
      this.drop();
      return this.#try(b, from, end);
    }
    if (pending?.length !== sequence - 1) return null;
    const joined = Buffer.concat([pending, b.subarray(from, end)]);
    this.drop();
    return this.#try(joined, 0, joined.length);
  }

  #try(b: Buffer, from: number, end: number): ProxyFinding | null {
    const result = headerAt(b, from, end);
    if (result.kind === 'found') {
      const isRepeated = this.#hasFound;
      this.#hasFound = true;
      return { ...result.finding, isRepeated };
    }
    if (result.kind === 'need' && this.#budget.octets + end - from <= MAX_PENDING_OCTETS) {
      this.#pending = Buffer.from(b.subarray(from, end));
      this.#budget.octets += end - from;
    }
    return null;
  }

  /** Gives up what there is of an unfinished header. */
  drop(): void {
    this.#budget.octets -= this.#pending?.length ?? 0;
    this.#pending = null;
  }
}
