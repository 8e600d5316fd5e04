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
