/** Time that a test moves: events in order, with a turn of the event loop after each, for whatever waits for one. */
import { setImmediate } from 'node:timers/promises';
import type { Clock } from '../../../../src/gateway/probes/clock.js';

export class VirtualTime implements Clock {
  private time = 0;
  private order = 0;
  private events: { at: number; order: number; what: () => void }[] = [];

  now(): number {
    return this.time;
  }

  after(ms: number, what: () => void): () => void {
    const event = { at: this.time + ms, order: this.order++, what };
    this.events.push(event);
    this.events.sort((a, b) => a.at - b.at || a.order - b.order);
    return () => {
      this.events = this.events.filter((each) => each !== event);
    };
  }

  /** Events to come. */
  get pending(): number {
    return this.events.length;
  }

  /** Runs all that is due until `ms` from now. */
  async pass(ms: number): Promise<void> {
    const until = this.time + ms;
    await this.runUntil(() => (this.events[0]?.at ?? Infinity) > until);
    this.time = until;
  }

  /** @returns whether `done` came true before nothing was left to do, or `limitMs` had passed */
  async runUntil(done: () => boolean, limitMs = Infinity): Promise<boolean> {
    const limit = this.time + limitMs;
    for (;;) {
      // Streams pass what they have in turns of their own.
      for (let i = 0; i < 4; i++) await setImmediate();
      if (done()) return true;
      const event = this.events[0];
      if (event === undefined || event.at > limit) return false;
      this.events.shift();
      this.time = event.at;
      event.what();
    }
  }
}
