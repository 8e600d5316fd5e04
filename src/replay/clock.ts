/**
 * The recording's clock: milliseconds since its first packet, never going back. Time stamps that go backwards are
 * ordinary (several interfaces, merged files) and leave the clock where it is; one that leaps forward by more than an
 * hour counts only when the next packet agrees, so that a single corrupt stamp does not expire every flow.
 */
const LEAP_MS = 3_600_000;

export class RecordingClock {
  /** Milliseconds since the first packet. */
  now = 0;
  private base = -1;
  private suspect = -1;
  /** The last leap has just been confirmed: the packet before this one was of the new time already. */
  confirmed = false;

  /** Takes the next packet's time stamp. @returns now */
  update(seconds: number, nanoseconds: number): number {
    const stamp = seconds * 1000 + nanoseconds / 1_000_000;
    if (this.base < 0) this.base = stamp;
    const t = Math.floor(stamp - this.base);
    this.confirmed = false;
    if (t <= this.now) return this.now;
    if (t - this.now > LEAP_MS) {
      if (this.suspect < 0 || Math.abs(t - this.suspect) > LEAP_MS) {
        this.suspect = t;
        return this.now;
      }
      this.confirmed = true;
    }
    this.suspect = -1;
    this.now = t;
    return t;
  }
}
