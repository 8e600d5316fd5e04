/**
 * Brings into the processor's caches what a burst of packets will need of the tables.
 *
 * Theory of operation: with many flows nearly every packet waits for memory, first for its slot of the index, then for
 * its flow's record. One packet after the other, these waits add up. Asked for in short loops over the whole burst, they
 * pass at the same time; when the packets are translated, all is there. Nothing is decided here: reading the wrong place,
 * or nothing, costs time only.
 */
import type { Core } from './core.js';

/** Flows up to which the tables are in the caches anyway. */
const FEW = 16_384;
/** Packets looked at; what is fetched for more could be gone again when it is needed. */
const MOST = 256;

/** Octets of an IPv4 header without options, and the ports. */
const PORTS_END = 24;

const work = new Int32Array(MOST);

/**
 * @param packets offsets of IPv4 headers; options before the ports are not looked for
 * @param count how many
 * @param network index of the consumer network that they come from, or -1 for the provider's side
 */
export function prefetch(c: Core, packets: Int32Array, count: number, network: number): void {
  const { view: v, flows } = c;
  if (flows.count < FEW) return;
  const n = Math.min(count, MOST);
  const back = network < 0;
  const last = v.byteLength - PORTS_END;
  for (let i = 0; i < n; i++) {
    const ip = packets[i]!;
    if (ip > last) return; // a cut packet at the slab's end; none that counts
    const protocol = v.getUint8(ip + 9);
    const scope = back ? protocol : (network << 8) | protocol;
    work[i] = flows.hash(v.getInt32(ip + 12), v.getInt32(ip + 16), v.getInt32(ip + 20), scope);
  }
  c.prefetched = flows.prefetch(work, n, back);
}
