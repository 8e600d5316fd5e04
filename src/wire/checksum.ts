/**
 * The Internet checksum (RFC 1071) and its incremental update (RFC 1624).
 *
 * Two representations are used. A *sum* is a one's-complement sum, not complemented, possibly not yet folded to
 * 16 bits; a *field* is what stands in a header: the complement of the folded sum. A *delta* is the sum of
 * (complement of the old word + new word) over all changed words; `apply` adds it to a field (RFC 1624 equation 3).
 * Deltas add up, and the delta of the inverse change is `0xffff - delta`, so one number a flow serves both ways.
 */

/** Folds a sum (below 2^32) to 16 bits. */
export function fold(sum: number): number {
  let s = (sum & 0xffff) + (sum >>> 16);
  s = (s & 0xffff) + (s >>> 16);
  return s;
}

/**
 * One's-complement sum of the octets [start, end), folded. An odd last octet counts as the high half of a word.
 * @param initial a sum to go on from, at most 0xffffff
 */
export function sum(b: Buffer, start: number, end: number, initial = 0): number {
  let s = initial;
  let i = start;
  // 16 octets a turn: the loop overhead is what a byte-wise sum pays most for.
  for (const last = end - 15; i < last; i += 16) {
    s +=
      ((b[i]! << 8) | b[i + 1]!) +
      ((b[i + 2]! << 8) | b[i + 3]!) +
      ((b[i + 4]! << 8) | b[i + 5]!) +
      ((b[i + 6]! << 8) | b[i + 7]!) +
      ((b[i + 8]! << 8) | b[i + 9]!) +
      ((b[i + 10]! << 8) | b[i + 11]!) +
      ((b[i + 12]! << 8) | b[i + 13]!) +
      ((b[i + 14]! << 8) | b[i + 15]!);
    if (s > 0x3fffffff) s = (s & 0xffff) + (s >>> 16); // stay a small integer
  }
  for (const last = end - 1; i < last; i += 2) s += (b[i]! << 8) | b[i + 1]!;
  if (i < end) s += b[i]! << 8;
  return fold(s);
}

/** The sum of the same octets had they started at an odd offset: the two octets of a folded sum change places. */
export const swapped = (s: number): number => ((s & 0xff) << 8) | (s >>> 8);

/** Delta of a 16-bit word that changed. */
export const delta16 = (from: number, to: number): number => (from ^ 0xffff) + to;

/** Delta of an aligned 32-bit word that changed. */
export const delta32 = (from: number, to: number): number =>
  ((from >>> 16) ^ 0xffff) + ((from & 0xffff) ^ 0xffff) + (to >>> 16) + (to & 0xffff);

/**
 * A checksum field after a change (RFC 1624 section 3, equation 3).
 * @param field the old field, 0 to 65535
 * @param delta the sum of the changes, below 2^31
 * @returns the new field; UDP callers map 0 to 0xffff (RFC 768)
 */
export const apply = (field: number, delta: number): number => fold((field ^ 0xffff) + delta) ^ 0xffff;

/** Sum of the TCP or UDP pseudo header (RFC 9293 section 3.1); `length` counts the L4 header and payload. */
export const pseudoHeader = (source: number, destination: number, protocol: number, length: number): number =>
  fold(
    (source >>> 16) +
      (source & 0xffff) +
      (destination >>> 16) +
      (destination & 0xffff) +
      protocol +
      (length & 0xffff) +
      (length >>> 16),
  );
