/**
 * A translator's part of what several translators share without asking each other, NAT ports and identifications: the
 * numbers that leave `index` when divided by `of`. Whose a number is does not depend on any range, which may change.
 */
export interface Share {
  /** 0 to of - 1. */
  readonly index: number;
  /** How many share. */
  readonly of: number;
}

export const WHOLE: Share = { index: 0, of: 1 };

/** The share's lowest number that is at least `first`. */
export function firstOf(first: number, { index, of }: Share): number {
  const past = (first - index) % of;
  return past === 0 ? first : first + (past < 0 ? -past : of - past);
}

/** How many numbers of `first` to `first + count - 1` are the share's. */
export const countOf = (first: number, count: number, share: Share): number =>
  Math.max(0, Math.ceil((first + count - firstOf(first, share)) / share.of));
