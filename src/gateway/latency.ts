/**
 * How long packets are in the gateway: from the moment that it turns to the device where their burst waits until the
 * burst is with the devices that it goes to. Time in the kernel's queues before and after is not in it, nor that of a
 * fragment that waits for its first one. All packets of a burst count with the burst's time.
 */

/** The upper bound of the first bucket, in microseconds; each further one has twice the bound before it. */
const FIRST_US = 4;
/** The last one is without bound. */
const BUCKETS = 16;

/** Upper bounds of the buckets in seconds; the last is Infinity. */
export const LATENCY_BOUNDS_SECONDS: readonly number[] = Array.from({ length: BUCKETS }, (_, k) =>
  k === BUCKETS - 1 ? Infinity : (FIRST_US * 2 ** k) / 1e6,
);

export interface LatencyStatus {
  /** Packets by bucket, as LATENCY_BOUNDS_SECONDS has them; not cumulative. */
  readonly packets: readonly number[];
  /** Of all packets together. */
  readonly seconds: number;
}

export class Latency {
  private readonly packets = new Float64Array(BUCKETS);
  private totalMs = 0;

  /** Packets that took so long. */
  note(ms: number, packets: number): void {
    const units = Math.ceil((ms * 1000) / FIRST_US);
    const k = units <= 1 ? 0 : Math.min(BUCKETS - 1, 32 - Math.clz32(units - 1));
    this.packets[k]! += packets;
    this.totalMs += ms * packets;
  }

  get status(): LatencyStatus {
    return { packets: [...this.packets], seconds: this.totalMs / 1000 };
  }
}
