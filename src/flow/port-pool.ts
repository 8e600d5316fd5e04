/**
 * The ports of one NAT address towards one backend with one protocol: an exact free list. The last port is given out
 * like the first; a freed port is reused oldest first, and not before its hold is over (RFC 6888 REQ-8).
 *
 * Ports never used yet are not listed: they come from a counter through a permutation (an odd stride, so that
 * consecutive flows do not get consecutive ports, RFC 6056). Memory grows with the ports ever used, not with the range.
 */
export class PortPool {
  readonly first: number;
  readonly size: number;
  private readonly stride: number;
  private readonly start: number;
  private fresh = 0;
  private ports: Uint16Array = new Uint16Array(0);
  private usableAt: Float64Array = new Float64Array(0);
  private head = 0;
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

  /** @returns a port, or -1 when every port is in use or held */
  allocate(nowMs: number): number {
    if (this.fresh < this.size) {
      const port = this.first + ((this.start + this.fresh * this.stride) % this.size);
      this.fresh++;
      this.inUse++;
      return port;
    }
    if (this.freed === 0 || this.usableAt[this.head]! > nowMs) return -1;
    const port = this.ports[this.head]!;
    this.head = (this.head + 1) & (this.ports.length - 1);
    this.freed--;
    this.inUse++;
    return port;
  }

  /** Gives a port back, to be used again from `usableAtMs` on. */
  free(port: number, usableAtMs: number): void {
    const capacity = this.ports.length;
    if (this.freed === capacity) this.enlarge(capacity === 0 ? 16 : capacity * 2);
    const i = (this.head + this.freed) & (this.ports.length - 1);
    this.ports[i] = port;
    this.usableAt[i] = usableAtMs;
    this.freed++;
    this.inUse--;
  }

  private enlarge(capacity: number): void {
    const ports = new Uint16Array(capacity);
    const usableAt = new Float64Array(capacity);
    for (let n = 0; n < this.freed; n++) {
      const i = (this.head + n) & (this.ports.length - 1);
      ports[n] = this.ports[i]!;
      usableAt[n] = this.usableAt[i]!;
    }
    this.ports = ports;
    this.usableAt = usableAt;
    this.head = 0;
  }
}

function greatestCommonDivisor(a: number, b: number): number {
  return b === 0 ? a : greatestCommonDivisor(b, a % b);
}
