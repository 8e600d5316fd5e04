/** Times of packets as text, exact to the nanosecond. */

/** Seconds since 1970 and 0 to 999999999 nanoseconds to be added; or a difference of two such. */
export interface Instant {
  readonly seconds: number;
  readonly nanoseconds: number;
}

/** How the time of a packet is shown: since the first packet, as a date, since the packet shown before it. */
export type TimeStyle = 'relative' | 'absolute' | 'delta';

export function since(from: Instant, to: Instant): Instant {
  const borrow = to.nanoseconds < from.nanoseconds ? 1 : 0;
  return {
    seconds: to.seconds - from.seconds - borrow,
    nanoseconds: to.nanoseconds - from.nanoseconds + borrow * 1_000_000_000,
  };
}

export const isBefore = (a: Instant, b: Instant): boolean =>
  a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);

/** Decimal seconds, for example `-0.000250`. @param digits of the fraction, 6 or 9 */
export function decimal({ seconds, nanoseconds }: Instant, digits: 6 | 9): string {
  if (seconds >= 0) return `${seconds}.${fraction(nanoseconds, digits)}`;
  // -1 s + 750 ms is -0.25 s.
  if (nanoseconds === 0) return `${seconds}.${fraction(0, digits)}`;
  const whole = seconds + 1;
  return `-${-whole}.${fraction(1_000_000_000 - nanoseconds, digits)}`;
}

function fraction(nanoseconds: number, digits: 6 | 9): string {
  const text = String(digits === 9 ? nanoseconds : Math.floor(nanoseconds / 1000));
  return text.padStart(digits, '0');
}

/** The last millisecond that a Date can hold, in seconds. */
const LAST_DATE_SECOND = 8_640_000_000_000;

/** `2023-11-14 22:13:20.123456`, UTC; decimal seconds where there is no such date. */
export function date(instant: Instant, digits: 6 | 9): string {
  const { seconds, nanoseconds } = instant;
  if (Math.abs(seconds) >= LAST_DATE_SECOND) return decimal(instant, digits);
  const iso = new Date(seconds * 1000).toISOString();
  return `${iso.slice(0, -5).replace('T', ' ')}.${fraction(nanoseconds, digits)}`;
}
