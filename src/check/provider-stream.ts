import type { Stream } from './input.js';

/** A client stream as the provider's side sees it. */
export interface ProviderStream {
  readonly key: string;
  readonly isn: number;
  /** Just past the last offset sent, from isn + 1. */
  sent: number;
  /** The input's stream, once known; `certain` when nothing else could be meant. */
  input: Stream | null;
  certain: boolean;
  /** It began with a SYN. */
  readonly whole: boolean;
  /** Octets of the header; -1 while one is to come, 0 when none is. */
  headerLength: number;
  header: Buffer | null;
  /** Something was wrong, or cannot be known: nothing more is compared. */
  given: 'broken' | 'unknown' | null;
  /** The mapping knows whose it is. */
  claimed: boolean;
}
