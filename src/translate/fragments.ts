/**
 * IPv4 fragments. Ports are in the first fragment only; it goes the ordinary way and leaves behind which flow its
 * datagram belongs to. Later fragments get that flow's addresses. Those that come early wait as copies.
 *
 * Identifications: two consumers behind one NAT address may send datagrams with the same identification to the same
 * backend, whose fragments a receiver would mix up (RFC 6864 section 5.3). A fragmented datagram keeps its
 * identification unless another one under way has it, and gets a free one then. Where translators share NAT addresses,
 * each gives out identifications of its own share only, so that theirs never meet.
 */
import * as F from '../flow/flow-table.js';
import { HeldFragments } from '../flow/held-fragments.js';
import { SetCache, VALUE } from '../flow/set-cache.js';
import { TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { drop, FORWARD, HELD } from '../packet/verdict.js';
import { apply, delta16 } from '../wire/checksum.js';
import * as ipv4 from '../wire/ipv4.js';
import * as tcp from '../wire/tcp.js';
import type { Core } from './core.js';
import { ipToConsumer, ipToProvider } from './rewrite.js';
import { BANDWIDTH_EXCEEDED, exceedsBandwidth, send } from './send.js';

const MALFORMED = drop('fragment-malformed');
const LIMIT = drop('fragment-limit');
const TIMEOUT = drop('fragment-timeout');
const OUT_OF_SCRATCH = drop('out-of-scratch');
const NO_FLOW = drop('no-flow');

/** Where fragments were seen: a consumer network (its number), or the provider's side. */
export const PROVIDER_SIDE = -1;

/** Also a direction, beside TO_PROVIDER and TO_CONSUMER: a recorded server fragment into the backend's form. */
export const LIFT = 2;

// Value columns of a datagram's entry.
const FLOW = VALUE; // or a drop verdict
const GENERATION = VALUE + 1;
const DIRECTION = VALUE + 2;
const NEW_ID = VALUE + 3;
/** Of a client's segment: the sequence number, as the client counts, at the IP payload's first octet. */
const ORIGIN = VALUE + 4;

/** Tried before a datagram goes out with an identification that may be in use. */
const ID_TRIES = 64;
const ID_STEP = 0x9e37;

/** Puts a recorded server fragment without ports into the backend's form; see `recording.ts`. */
export type Lift = (ip: number, end: number, at: number, delta: number) => number;

export class Fragments {
  private readonly datagrams: SetCache;
  private readonly identifications: SetCache;
  private readonly held = new HeldFragments();
  /** Set where recordings are replayed. */
  lift: Lift | null = null;
  private readonly c: Core;
  /** Identifications count modulo this, a multiple of the shares. */
  private readonly modulus: number;

  constructor(c: Core) {
    this.c = c;
    const { fragmentMs } = c.options.timeouts;
    this.datagrams = new SetCache(1024, fragmentMs);
    this.identifications = new SetCache(1024, fragmentMs);
    this.modulus = 65_536 - (65_536 % c.options.share.of);
  }

  /** Datagrams that were forgotten for others before their time: their later fragments cannot be translated. */
  get evicted(): number {
    return this.datagrams.evicted + this.identifications.evicted;
  }

  /** The fragment has data, stays below 65,536 octets, and does not split or overwrite a TCP header. */
  isSane(ip: number, total: number): boolean {
    const b = this.c.slab;
    const field = ipv4.flagsAndOffset(b, ip);
    const offset = (field & ipv4.OFFSET_MASK) << 3;
    const data = total - ipv4.headerLength(b, ip);
    if (data <= 0 || offset + total > 0xffff) return false; // reassembled, it has a header too
    if ((field & ipv4.MORE_FRAGMENTS) !== 0 && (data & 7) !== 0) return false;
    return !(ipv4.protocol(b, ip) === ipv4.PROTOCOL_TCP && offset > 0 && offset < 20);
  }

  /**
   * Behind the translation of a first fragment: its verdict and flow are kept for the rest of the datagram, and those
   * that wait follow it.
   * @param source, destination, id those it came with
   * @param direction where it went; its translated form is the outbox's last packet
   * @param verdict FORWARD, or why it was dropped
   */
  first(
    where: number,
    source: number,
    destination: number,
    protocol: number,
    id: number,
    direction: number,
    verdict: number,
  ): void {
    const c = this.c;
    let newId = id;
    if (verdict === FORWARD) {
      const ip = c.outbox.offset[c.outbox.count - 1]!;
      newId = direction === LIFT ? id : this.freeIdentification(ip, source, destination, id, where);
      if (newId !== id) {
        ipv4.setIdentification(c.slab, ip, newId);
        ipv4.setChecksum(c.slab, ip, apply(ipv4.checksum(c.slab, ip), delta16(id, newId)));
        c.counters.identificationsChanged++;
      }
    }
    const entry = this.datagrams.put(where, source, destination, id, protocol, c.now);
    const { cells } = this.datagrams;
    cells[entry + FLOW] = verdict === FORWARD ? c.flow : verdict;
    cells[entry + GENERATION] = verdict === FORWARD ? c.r[c.flow * F.STRIDE + F.GENERATION]! : 0;
    cells[entry + DIRECTION] = direction;
    cells[entry + NEW_ID] = newId;
    if (direction === TO_PROVIDER && verdict === FORWARD && protocol === ipv4.PROTOCOL_TCP) {
      cells[entry + ORIGIN] = this.origin(c.outbox.offset[c.outbox.count - 1]!);
    }
    if (this.held.count > 0) this.release(where, source, destination, protocol, id);
  }

  /** A fragment that is not the first, found sane. */
  later(where: number, ip: number, end: number): number {
    const c = this.c;
    const b = c.slab;
    const source = ipv4.source(b, ip);
    const destination = ipv4.destination(b, ip);
    const protocol = ipv4.protocol(b, ip);
    const id = ipv4.identification(b, ip);
    const entry = this.datagrams.find(where, source, destination, id, protocol, c.now);
    if (entry < 0) {
      const key = keyOf(where, source, destination, protocol, id);
      if (!this.held.hold(key, b, ip, end, c.missing, c.now)) return LIMIT;
      c.counters.fragmentsHeld++;
      return HELD;
    }
    const { cells } = this.datagrams;
    const f = cells[entry + FLOW]!;
    if (f < 0) return f;
    const at = f * F.STRIDE;
    if (c.r[at + F.GENERATION] !== cells[entry + GENERATION] || c.r[at + F.STATUS] === F.FREE) return NO_FLOW;
    const side = cells[entry + DIRECTION]!;
    if (side !== LIFT && exceedsBandwidth(c, at, side)) return BANDWIDTH_EXCEEDED;
    const newId = cells[entry + NEW_ID]!;
    ipv4.setIdentification(b, ip, newId);
    const delta = delta16(id, newId);
    c.flow = f;
    c.r[at + F.SEEN] = c.now | 0;
    switch (side) {
      case TO_PROVIDER:
        if (protocol === ipv4.PROTOCOL_TCP) this.extend(ip, end, at, cells[entry + ORIGIN]!);
        ipToProvider(c, ip, at, delta);
        return send(c, ip, end, at, TO_PROVIDER);
      case TO_CONSUMER:
        ipToConsumer(c, ip, at, delta);
        return send(c, ip, end, at, TO_CONSUMER);
      default:
        return this.lift!(ip, end, at, delta);
    }
  }

  /** A FIN, which stands behind the data, is counted with the origin. @param ip a translated first fragment */
  private origin(ip: number): number {
    const c = this.c;
    const b = c.slab;
    const l4 = ip + ipv4.headerLength(b, ip);
    const length = c.r[c.flow * F.STRIDE + F.STATUS]! >>> F.HEADER_SHIFT;
    return (tcp.sequence(b, l4) - length - tcp.headerLength(b, l4) + (tcp.flags(b, l4) & tcp.FIN)) | 0;
  }

  /** What a later fragment of a client's segment says of how far its stream goes: acknowledgments are judged by that. */
  private extend(ip: number, end: number, at: number, origin: number): void {
    const c = this.c;
    const octets = end - ip + c.missing - ipv4.headerLength(c.slab, ip);
    const next = (origin + ipv4.fragmentOffset(c.slab, ip) + octets) | 0;
    if (((next - c.r[at + F.CLIENT_NEXT]!) | 0) > 0) c.r[at + F.CLIENT_NEXT] = next;
  }

  /** Drops what has waited too long. @returns how many fragments */
  expire(): number {
    return this.held.expire(this.c.now, this.c.options.timeouts.fragmentMs);
  }

  /** Fragments that wait now. */
  get waiting(): number {
    return this.held.count;
  }

  private release(where: number, source: number, destination: number, protocol: number, id: number): void {
    const c = this.c;
    const missing = c.missing;
    for (const fragment of this.held.take(keyOf(where, source, destination, protocol, id))) {
      const ip = c.scratch(fragment.octets.length);
      if (ip < 0) {
        c.drops.add(OUT_OF_SCRATCH);
        continue;
      }
      fragment.octets.copy(c.slab, ip);
      c.missing = fragment.missing;
      c.uncharged = fragment.octets.length + fragment.missing;
      const verdict = this.later(where, ip, ip + fragment.octets.length);
      if (verdict < 0) c.drops.add(verdict);
    }
    c.missing = missing;
  }

  /** An identification that no other datagram under way between the translated addresses has. */
  private freeIdentification(ip: number, source: number, destination: number, id: number, where: number): number {
    const c = this.c;
    const b = c.slab;
    const from = ipv4.source(b, ip);
    const to = ipv4.destination(b, ip);
    const protocol = ipv4.protocol(b, ip);
    // Towards a consumer, addresses are those of its network.
    const network = where === PROVIDER_SIDE ? (c.r[c.flow * F.STRIDE + F.CONSUMER_SCOPE]! >>> 8) + 1 : 0;
    const { identifications } = this;
    const { cells } = identifications;
    const { index, of } = c.options.share;
    let candidate = of === 1 ? id : (id - (id % of) + index) % this.modulus;
    for (let n = 0; n < ID_TRIES; n++) {
      const entry = identifications.find(from, to, protocol, candidate, network, c.now);
      const own =
        entry >= 0 &&
        cells[entry + VALUE] === source &&
        cells[entry + VALUE + 1] === destination &&
        cells[entry + VALUE + 2] === id &&
        cells[entry + VALUE + 3] === where;
      if (entry < 0 || own) {
        const fresh = identifications.put(from, to, protocol, candidate, network, c.now);
        cells[fresh + VALUE] = source;
        cells[fresh + VALUE + 1] = destination;
        cells[fresh + VALUE + 2] = id;
        cells[fresh + VALUE + 3] = where;
        return candidate;
      }
      candidate = (candidate + of * ID_STEP) % this.modulus;
    }
    return candidate;
  }
}

const keyOf = (where: number, source: number, destination: number, protocol: number, id: number): string =>
  `${where} ${source} ${destination} ${protocol} ${id}`;

export { MALFORMED as FRAGMENT_MALFORMED, TIMEOUT as FRAGMENT_TIMEOUT };
