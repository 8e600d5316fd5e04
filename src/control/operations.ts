/**
 * Long-running operations. A change is made before it is answered, so an operation only tells of it; its id is a UUIDv7
 * (RFC 9562 section 5.7) whose time is when it counts as done. So an operation outlives a restart without being stored.
 */
import { randomBytes } from 'node:crypto';

const VERSION_7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/i;

export class Operations {
  private readonly durationMs: number;
  private readonly now: () => number;
  /** Resources whose operation still runs, and when it ends. */
  private readonly running = new Map<string, number>();

  /** @param durationMs how long an operation takes; 0: it is done when it is first asked after */
  constructor(durationMs: number, now: () => number = Date.now) {
    this.durationMs = durationMs;
    this.now = now;
  }

  /** @param key of the resource that is changed @returns the operation's id */
  begin(key: string): string {
    const doneAt = this.now() + this.durationMs;
    if (this.durationMs > 0) this.remember(key, doneAt);
    const octets = randomBytes(16);
    octets.writeUIntBE(doneAt, 0, 6);
    octets[6] = (octets[6]! & 0x0f) | 0x70;
    octets[8] = (octets[8]! & 0x3f) | 0x80;
    const hex = octets.toString('hex');
    return [hex.slice(0, 8), hex.slice(8, 12), hex.slice(12, 16), hex.slice(16, 20), hex.slice(20)].join('-');
  }

  /** All take the same time, so that those that ended are the first ones. */
  private remember(key: string, doneAt: number): void {
    const now = this.now();
    for (const [each, at] of this.running) {
      if (at > now) break;
      this.running.delete(each);
    }
    this.running.delete(key);
    this.running.set(key, doneAt);
  }

  /** How many resources are remembered. */
  get size(): number {
    return this.running.size;
  }

  /** Undefined: there is no such operation. */
  status(id: string): 'InProgress' | 'Succeeded' | undefined {
    const parts = VERSION_7.exec(id);
    if (parts === null) return undefined;
    const doneAt = Number.parseInt(parts[1]! + parts[2]!, 16);
    // Nobody was told of one that ends later than any that begins now.
    if (doneAt > this.now() + this.durationMs) return undefined;
    return doneAt <= this.now() ? 'Succeeded' : 'InProgress';
  }

  /** Whether a resource's operation still runs. */
  isRunning(key: string): boolean {
    const doneAt = this.running.get(key);
    if (doneAt === undefined) return false;
    if (doneAt > this.now()) return true;
    this.running.delete(key);
    return false;
  }
}
