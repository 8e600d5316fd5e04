/** Time for probes; a test gives another. */

export interface Clock {
  /** Milliseconds that never go back. */
  now(): number;
  /** Calls once, later. @returns what takes it back */
  after(ms: number, what: () => void): () => void;
}

export const realClock: Clock = {
  now: () => performance.now(),
  after: (ms, what) => {
    const timer = setTimeout(what, ms);
    return () => clearTimeout(timer);
  },
};

/** A clock whose calls to come can all be taken back at once, so that none of them keeps a process alive. */
export class Timers implements Clock {
  private readonly clock: Clock;
  private readonly pending = new Set<() => void>();

  constructor(clock: Clock) {
    this.clock = clock;
  }

  now(): number {
    return this.clock.now();
  }

  after(ms: number, what: () => void): () => void {
    const cancel = this.clock.after(ms, () => {
      this.pending.delete(cancelThis);
      what();
    });
    const cancelThis = (): void => {
      this.pending.delete(cancelThis);
      cancel();
    };
    this.pending.add(cancelThis);
    return cancelThis;
  }

  cancelAll(): void {
    for (const cancel of [...this.pending]) cancel();
  }
}
