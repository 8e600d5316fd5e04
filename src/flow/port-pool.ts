/**
 * The ports of one NAT address towards one backend with one protocol, exact: the last port is given out like the first,
 * and a freed one as soon as its hold is over (RFC 6888 REQ-8), the one that was free the longest first.
 *
 * Ports never used yet are not listed: they come from a counter through a permutation (an odd stride, so that
 * consecutive flows do not get consecutive ports, RFC 6056). Freed ones wait in a binary heap by the end of their hold:
 * they are not freed in that order, since a hold counts from a flow's last packet and flows end with different limits.
 * Memory grows with the ports ever used, not with the range.
 */
// Shared by all pools that no port came back to yet: a scan makes many of them.
const NO_PORTS = new Uint16Array(0);
const NO_TIMES = new Float64Array(0);

export class PortPool {
  readonly first: number;
  readonly size: number;
  private readonly stride: number;
  private readonly start: number;
  private fresh = 0;
  // The heap: no entry's hold ends before that of the entry at half its place.
  private ports: Uint16Array = NO_PORTS;
  private usableAt: Float64Array = NO_TIMES;
  private freed = 0;
  /** Ports held by live flows. */
  inUse = 0;

  /**
   * @param first lowest port, 1 to 65535
   * @param size number of ports, first + size - 1 at most 65535
   * @param seed decides the order of the ports
   */
  constructor(first: number, size: number, seed: number) {
    this.first = first;
    this.size = size;
    this.start = (seed >>> 8) % size;
    let stride = ((seed & 0xffff) % size) | 1;
    while (greatestCommonDivisor(stride, size) !== 1) stride += 2;
    this.stride = stride;
  }

  /** Ports that were given out at least once; the others need no look at the clock. */
  get everUsed(): number {
    return this.fresh;
  }

  /** Ports that rest after their flows: neither in use nor to be had yet. Looks at each freed port that is to be had. */
  held(nowMs: number): number {
    return this.freed - this.usable(0, nowMs);
  }

  /** Entries of the heap below `i` whose hold is over: none where that of `i` is not. */
  private usable(i: number, nowMs: number): number {
    if (i >= this.freed || this.usableAt[i]! > nowMs) return 0;
    return 1 + this.usable(2 * i + 1, nowMs) + this.usable(2 * i + 2, nowMs);
  }

  /** @returns a port, or -1 when every port is in use or held */
  allocate(nowMs: number): number {
    if (this.fresh < this.size) {
      const port = this.first + ((this.start + this.fresh * this.stride) % this.size);
      this.fresh++;
      this.inUse++;
      return port;
    }
    if (this.freed === 0 || this.usableAt[0]! > nowMs) return -1;
    const port = this.ports[0]!;
    this.freed--;
    this.sink(this.ports[this.freed]!, this.usableAt[this.freed]!);
    this.inUse++;
    return port;
  }

  /** Gives a port back, to be used again from `usableAtMs` on. */
  free(port: number, usableAtMs: number): void {
    if (this.freed === this.ports.length) this.enlarge();
    const { ports, usableAt } = this;
    let i = this.freed++;
    while (i > 0) {
      const parent = (i - 1) >>> 1;
      if (usableAt[parent]! <= usableAtMs) break;
      ports[i] = ports[parent]!;
      usableAt[i] = usableAt[parent]!;
      i = parent;
    }
    ports[i] = port;
    usableAt[i] = usableAtMs;
    this.inUse--;
  }

  /** Puts an entry where the heap's first one was. */
  private sink(port: number, usableAtMs: number): void {
    const { ports, usableAt, freed } = this;
    let i = 0;
    for (;;) {
      let child = 2 * i + 1;
      if (child >= freed) break;
      if (child + 1 < freed && usableAt[child + 1]! < usableAt[child]!) child++;
      if (usableAt[child]! >= usableAtMs) break;
      ports[i] = ports[child]!;
      usableAt[i] = usableAt[child]!;
      i = child;
    }
    ports[i] = port;
    usableAt[i] = usableAtMs;
  }

  private enlarge(): void {
    const capacity = Math.max(16, this.ports.length * 2);
    const ports = new Uint16Array(capacity);
    const usableAt = new Float64Array(capacity);
    ports.set(this.ports);
    usableAt.set(this.usableAt);
    this.ports = ports;
    this.usableAt = usableAt;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
