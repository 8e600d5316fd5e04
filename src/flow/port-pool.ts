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
  first = 0;
  size = 0;
  private readonly seed: number;
  private readonly step: number;
  private stride = 1;
  private start = 0;
  private fresh = 0;
  /** By port, 1: known from the time of another range, live or freed, so that the counter must not give it out. */
  private known: Uint8Array | null = null;
  /** Live ports of another range. */
  private outside = 0;
  // The heap: no entry's hold ends before that of the entry at half its place.
  private ports: Uint16Array = NO_PORTS;
  private usableAt: Float64Array = NO_TIMES;
  private freed = 0;
  /** Ports held by live flows, whatever the range was when they began. */
  inUse = 0;

  /**
   * @param first lowest port, 1 to 65535
   * @param size number of ports, the last of which is at most 65535
   * @param seed decides the order of the ports
   * @param step from one port to the next
   */
  constructor(first: number, size: number, seed: number, step = 1) {
    this.seed = seed;
    this.step = step;
    this.order(first, size);
  }

  private order(first: number, size: number): void {
    const { seed } = this;
    this.first = first;
    this.size = size;
    this.start = (seed >>> 8) % size;
    this.stride = ((seed & 0xffff) % size) | 1;
    while (greatestCommonDivisor(this.stride, size) !== 1) this.stride += 2;
    this.fresh = 0;
  }

  /**
   * Takes another range, arguments as of the constructor. Live ports outside of it run out; those that rest there are
   * forgotten.
   */
  setRange(first: number, size: number): void {
    if (first === this.first && size === this.size) return;
    const known = (this.known ??= new Uint8Array(65_536));
    for (let i = 0; i < this.fresh; i++) known[this.nth(i)] = 1;
    const ports = this.ports.slice(0, this.freed);
    const usableAt = this.usableAt.slice(0, this.freed);
    this.freed = 0;
    this.order(first, size);
    ports.forEach((port, i) => {
      if (this.has(port)) this.insert(port, usableAt[i]!);
      else known[port] = 0;
    });
    this.outside = 0;
    for (let port = 0; port < known.length; port++) if (known[port] === 1 && !this.has(port)) this.outside++;
  }

  private has(port: number): boolean {
    const { first, size, step } = this;
    return port >= first && port < first + size * step && (port - first) % step === 0;
  }

  private nth(i: number): number {
    return this.first + this.step * ((this.start + i * this.stride) % this.size);
  }

  /** Ports of the range that live flows hold. */
  get taken(): number {
    return this.inUse - this.outside;
  }

  /** Ports of the range that were given out at least once; the others need no look at the clock. */
  get everUsed(): number {
    return this.taken + this.freed;
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
    while (this.fresh < this.size) {
      const port = this.nth(this.fresh++);
      if (this.known !== null && this.known[port] === 1) continue;
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
    this.inUse--;
    if (this.has(port)) {
      this.insert(port, usableAtMs);
    } else {
      this.known![port] = 0;
      this.outside--;
    }
  }

  private insert(port: number, usableAtMs: number): void {
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
