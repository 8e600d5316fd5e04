/**
 * How long the pump stays at its devices for the next packet before it goes back to the event loop, and sleeps.
 *
 * Theory of operation: to sleep and be woken costs some 10 to 30 µs, more than the packet takes itself. Where the answer to
 * a packet comes sooner than that, to go on asking is quicker; where it does not, it burns a processor. So the past decides,
 * as in KVM's halt polling: a sleep shorter than the longest wait doubles the wait, a longer one halves it, and a wait too
 * short to help is none. A flow whose answers come after 10 ms, or nothing at all, costs nothing. Where the processor is
 * taken away in the middle of a wait, others need it: that ends it, and there is none for a while.
 */

/** Waits shorter than this are not worth the calls. */
const LEAST_MS = 0.005;
const FIRST_MS = 0.01;
/**
 * Between two looks at the clock in a row. The calls in between take a few microseconds, interrupts some tens, a client
 * or server that runs here in between some more; a program that has work of its own keeps the processor for a millisecond.
 */
const PREEMPTED_MS = 0.2;
/** No wait after that for so long. */
const REST_MS = 5;

export class Patience {
  private readonly mostMs: number;
  private leftAt = -Infinity;
  private lookedAt = 0;
  private restsUntil = -Infinity;
  private current = 0;

  /** @param mostMs the longest wait; 0: never waits */
  constructor(mostMs: number) {
    this.mostMs = mostMs;
  }

  /** The wait that now pays, in milliseconds; 0: none. */
  get waitMs(): number {
    return this.current;
  }

  /** A packet has ended a sleep. */
  woke(nowMs: number): void {
    if (nowMs < this.restsUntil) {
      this.current = 0;
    } else if (nowMs - this.leftAt <= this.mostMs) {
      this.current = Math.min(this.mostMs, Math.max(FIRST_MS, 2 * this.current));
    } else {
      this.current /= 2;
      if (this.current < LEAST_MS) this.current = 0;
    }
    this.lookedAt = nowMs;
  }

  /** The pump goes to sleep. */
  left(nowMs: number): void {
    this.leftAt = nowMs;
  }

  /** A packet came in the wait. */
  met(nowMs: number): void {
    this.lookedAt = nowMs;
  }

  /** Nothing has come since the last packet, at `sinceMs`. @returns whether to go on */
  goesOn(sinceMs: number, nowMs: number): boolean {
    if (nowMs - this.lookedAt > PREEMPTED_MS) {
      this.current = 0;
      this.restsUntil = nowMs + REST_MS;
    }
    this.lookedAt = nowMs;
    return nowMs - sinceMs < this.current;
  }
}
