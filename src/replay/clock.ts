/**
 * The recording's clock: milliseconds since its first packet, never going back. Time stamps that go backwards are
 * ordinary (several interfaces, merged files) and leave the clock where it is. A leap of more than an hour counts only
 * when the next packet agrees, so that a single corrupt stamp neither expires every flow nor stops the clock: forward, the
 * clock follows; backward (files joined one behind the other), it goes on from where it stands.
 */
const LEAP_MS = 3_600_000;
/** More than a double is off by in milliseconds since 1970. */
const MARGIN_NS = 2000;

export class RecordingClock {
  /** Milliseconds since the first packet. */
  now = 0;
  private base: number | null = null;
  private suspect: number | null = null;
  /** The last leap has just been confirmed: the packet before this one was of the new time already. */
  confirmed = false;
  // Time stamps of second `second` from `from` on and before `to` nanoseconds are `now`, too: most packets are.
  private second = NaN;
  private from = 0;
  private to = 0;

  /** Takes the next packet's time stamp. @returns now */
  update(seconds: number, nanoseconds: number): number {
    if (seconds === this.second && nanoseconds >= this.from && nanoseconds < this.to) {
      this.confirmed = false;
      return this.now;
    }
    this.second = NaN;
    const stamp = seconds * 1000 + nanoseconds / 1_000_000;
    if (this.base === null) this.base = stamp;
    const t = Math.floor(stamp - this.base);
    this.confirmed = false;
    const leap = t - this.now;
    if (Math.abs(leap) > LEAP_MS) {
      if (this.suspect === null || Math.abs(t - this.suspect) > LEAP_MS) {
        // Time that goes on past a leap confirms it too: a recording may have hours between any two packets.
        this.confirmed = this.suspect !== null && this.suspect > this.now && t > this.suspect;
        if (this.confirmed) this.now = this.suspect!;
        this.suspect = t;
        return this.now;
      }
      this.confirmed = leap > 0;
      // Time that went back for good goes on from here.
      if (leap < 0) this.base += leap;
    }
    this.suspect = null;
    if (leap >= 0) {
      this.now = t;
      this.second = seconds;
      this.from = nanoseconds;
      this.to = nanoseconds + (t + 1 - (stamp - this.base)) * 1_000_000 - MARGIN_NS;
    }
    return this.now;
  }
}
