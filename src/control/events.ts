/**
 * What happens, for those who listen. The last events are kept, so that a listener whose connection broke takes up where
 * it was; its place is an id of this run of the server, and where that is gone it is told so.
 */
import { randomBytes } from 'node:crypto';

export interface CulvertEvent {
  readonly id: string;
  /** ISO 8601. */
  readonly time: string;
  /** `resource`, `connection`, `backend`, `nat-ports`, `nat-drain`; `gap` when some are lost for a listener. */
  readonly type: string;
  readonly [field: string]: unknown;
}

export type EventFields = { readonly type: string } & Readonly<Record<string, unknown>>;

/** Events that are kept for listeners that come back. */
const KEPT = 1000;

export class EventHub {
  private readonly run = randomBytes(4).toString('hex');
  private readonly kept: CulvertEvent[] = [];
  private readonly listeners = new Set<(event: CulvertEvent) => void>();
  private count = 0;

  publish(fields: EventFields): void {
    this.count++;
    const event = { id: this.place, time: new Date().toISOString(), ...fields };
    this.kept.push(event);
    if (this.kept.length > KEPT) this.kept.shift();
    for (const listener of this.listeners) listener(event);
  }

  /** Where somebody is who has seen all events. */
  get place(): string {
    return this.idOf(this.count);
  }

  /**
   * @param after id of the last event that the listener has seen; undefined: from now on
   * @returns ends it
   */
  listen(after: string | undefined, listener: (event: CulvertEvent) => void): () => void {
    if (after !== undefined) this.replay(after, listener);
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private replay(after: string, listener: (event: CulvertEvent) => void): void {
    const [run, number] = after.split('-');
    const seen = run === this.run ? Number(number) : NaN;
    const first = this.count - this.kept.length + 1;
    if (seen >= first - 1 && seen <= this.count) {
      for (const event of this.kept.slice(seen - first + 1)) listener(event);
      return;
    }
    const what = 'events since the last one were lost: read the resources anew';
    listener({ id: this.place, time: new Date().toISOString(), type: 'gap', message: what });
  }

  private idOf(count: number): string {
    return `${this.run}-${String(count)}`;
  }
}
