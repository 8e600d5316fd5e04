/**
 * TCP sequence arithmetic modulo 2^32 (RFC 9293 section 3.4). Sequence numbers are int32; a comparison holds
 * while the two numbers are less than 2^31 apart. This is the only module that compares them.
 */

/** Signed distance from `from` to `to`, -2^31 to 2^31-1. */
export const distance = (from: number, to: number): number => (to - from) | 0;

/** `a` lies before `b`. */
export const before = (a: number, b: number): boolean => ((a - b) | 0) < 0;

/** `a` lies at or behind `b`. */
export const notBefore = (a: number, b: number): boolean => ((a - b) | 0) >= 0;

/** `seq` moved on by `n`, modulo 2^32. */
export const add = (seq: number, n: number): number => (seq + n) | 0;
