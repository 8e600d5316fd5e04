/**
 * What all parts of the translator share: the slab, the tables, the flows, the outbox, the clock, and the way a flow is
 * timed and ended. Part of no public interface.
 */
import * as F from '../flow/flow-table.js';
import { FlowTable } from '../flow/flow-table.js';
import { SetCache } from '../flow/set-cache.js';
import { PendingHeaders } from '../flow/pending-headers.js';
import { Outbox } from '../packet/outbox.js';
import { DropCounters } from '../packet/verdict.js';
import type { TranslatorOptions } from './options.js';
import type { Policer } from './policer.js';
import type { Endpoint, Tables } from './tables.js';

/** Octets before each packet in the slab that a device may use for the packet's virtio-net header. */
export const HEADROOM = 16;

/** How long the rest of a connection shares the fate of its refused SYN. */
const REFUSAL_MS = 7_440_000;

/** Counters besides drops; doubles, so that they never wrap. */
export class Counters {
  flowsTcp = 0;
  flowsUdp = 0;
  flowsMidstream = 0;
  /** Streams that got a header. */
  headersInserted = 0;
  /** Headers sent again, whoever asked for it. */
  headersResent = 0;
  /** Acknowledgments of a header alone that were not passed on. */
  headerAcksAbsorbed = 0;
  fragmentsHeld = 0;
  icmpErrors = 0;
  fastOpenStripped = 0;
  fastOpenCarried = 0;
  mptcpBlanked = 0;
  identificationsChanged = 0;
  windowsClamped = 0;
  /** Flows that idled to their limit, and those whose connection was over: FIN both ways, or RST. */
  flowsExpired = 0;
  flowsClosed = 0;
  // Flows that ended before that:
  /** their endpoint, approval or NAT address was taken from them, */
  flowsWithdrawn = 0;
  /** a new connection or datagram on their tuple goes another way, */
  flowsReplaced = 0;
  /** their connection turned out to be one that cannot be translated. */
  flowsRefused = 0;
}

/** Why a flow ends before its time; each is a counter. */
export type Eviction = 'flowsWithdrawn' | 'flowsReplaced' | 'flowsRefused';

export class Core {
  readonly slab: Buffer;
  /** The same octets; for established.ts only. */
  readonly view: DataView;
  /** What prefetching has read, kept so that it is read. */
  prefetched = 0;
  /** Usual packets are done by established.ts; off only where a test compares it with the general way. */
  shortcut = true;
  readonly tables: Tables;
  readonly flows: FlowTable;
  /** `flows.records`. */
  readonly r: Int32Array;
  readonly pending: PendingHeaders;
  readonly outbox: Outbox;
  readonly options: TranslatorOptions;
  readonly counters = new Counters();
  readonly drops = new DropCounters();
  /** Connections whose SYN was refused, by tuple, with the verdict: the rest of them is no mid-stream flow. */
  readonly refusals = new SetCache(512, REFUSAL_MS);
  /** Milliseconds, never going back. */
  now = 0;
  /** Of the packet at work: octets that were on the wire behind its end. */
  missing = 0;
  /** Of the packet at work: its TCP or UDP checksum field holds the pseudo-header sum only (VIRTIO_NET_HDR_F_NEEDS_CSUM). */
  partial = false;
  /** The packets are a recording's, which may lack a direction; set once. */
  recorded = false;
  /** Of the packet at work: the ACK to S+L is inferred from a recording, no proof that the header arrived. */
  ackInferred = false;
  /** Of the packet at work: a recorded server acknowledged more than S before a header went; it speaks of an older connection. */
  ackForeign = false;
  /** Flow of the packet at work, where it has one. */
  flow = -1;
  /** Of the packet at work: it is the first fragment of a datagram. */
  fragmented = false;
  /** Of the packet at work: its octets, until its link's policer has let it pass. */
  uncharged = 0;
  /** Of the packet at work: checksum deltas of its length, and of other changes beside addresses and ports. */
  deltaLength = 0;
  deltaRest = 0;
  /** Asked for the endpoint at an address that the tables do not know; the replay command adopts it. */
  adopt: ((network: number, address: number) => Endpoint | undefined) | null = null;
  private readonly scratchFrom: number;
  private readonly scratchTo: number;
  private scratchAt: number;

  constructor(slab: Buffer, scratchFrom: number, scratchTo: number, tables: Tables, options: TranslatorOptions) {
    this.slab = slab;
    this.view = new DataView(slab.buffer, slab.byteOffset, slab.length);
    this.scratchFrom = scratchFrom;
    this.scratchTo = scratchTo;
    this.scratchAt = scratchFrom;
    this.tables = tables;
    this.options = options;
    this.flows = new FlowTable(options.maxFlows, options.seed);
    this.r = this.flows.records;
    // Without the timer nothing is remembered.
    this.pending = new PendingHeaders(options.headerTimer ? options.maxFlows : 0);
    this.outbox = new Outbox(1024);
  }

  /** Starts a burst: the packets of the last one have been sent. */
  begin(): void {
    this.outbox.count = 0;
    this.scratchAt = this.scratchFrom;
  }

  /**
   * Room for a packet of our own, valid until `begin`, with a cleared virtio-net header before it: no offload.
   * @returns its offset in the slab, or -1
   */
  scratch(octets: number): number {
    const at = this.scratchAt + HEADROOM;
    const next = (at + octets + 15) & ~15;
    if (next > this.scratchTo) return -1;
    this.slab.fill(0, at - HEADROOM, at);
    this.scratchAt = next;
    return at;
  }

  /** This burst can take `count` more packets of our own, of `octets` each. */
  hasRoom(count: number, octets: number): boolean {
    const each = (HEADROOM + octets + 15) & ~15;
    return this.outbox.count + count <= this.outbox.capacity && this.scratchAt + count * each <= this.scratchTo;
  }

  /** The limit in milliseconds after which a flow in its present state has idled too long. */
  limitMs(f: number): number {
    const at = f * F.STRIDE;
    const t = this.options.timeouts;
    const idle = this.r[at + F.IDLE_MS]!;
    switch (this.r[at + F.STATUS]! & F.STATE_MASK) {
      case F.SYN_SENT:
      case F.SYN_RECEIVED:
        return t.tcpHalfOpenMs;
      case F.CLOSING:
        return t.tcpClosingMs;
      case F.UDP:
        return Math.min(idle, t.udpMs);
      default:
        return Math.min(idle, t.tcpEstablishedMs);
    }
  }

  setState(f: number, state: number): void {
    const at = f * F.STRIDE;
    const before = this.limitMs(f);
    this.r[at + F.STATUS] = (this.r[at + F.STATUS]! & ~F.STATE_MASK) | state;
    // The timer is due at the old state's limit; only a shorter limit must be told to the wheel.
    if (this.limitMs(f) < before) {
      this.flows.wheel.cancel(f);
      this.flows.wheel.set(f, this.now + this.limitMs(f));
    }
  }

  /** Milliseconds since the flow's last packet; SEEN keeps the low 32 bits only. */
  idleMs(f: number): number {
    return ((this.now | 0) - this.r[f * F.STRIDE + F.SEEN]!) >>> 0;
  }

  /** The policer of a POLICED flow's link, or null. A recording cannot slow down, so it is not policed. @param at its record */
  policerOf(at: number): Policer | null {
    return this.recorded ? null : this.tables.endpoints[this.r[at + F.ENDPOINT]!]!.link.policer;
  }

  /** Whether a packet of a POLICED flow passes its link's policer. */
  withinBandwidth(at: number, side: number, octets: number): boolean {
    const policer = this.policerOf(at);
    return policer === null || policer.passes(side, octets, this);
  }

  /**
   * Whether the packet at work passes its link's policer; asked again for the same packet, it has passed. To be asked
   * before the packet changes anything: to whoever sent it, what is dropped was never there.
   */
  admits(policer: Policer | null, side: number): boolean {
    if (this.uncharged > 0 && policer !== null && !this.recorded && !policer.passes(side, this.uncharged, this)) {
      return false;
    }
    this.uncharged = 0;
    return true;
  }

  /** Ends a flow whose timer is not set: its port goes back to its pool, its record is free. */
  end(f: number): void {
    const at = f * F.STRIDE;
    this.dropPending(at);
    const tcp = (this.r[at + F.CONSUMER_SCOPE]! & 0xff) === 6;
    const port = this.r[at + F.PROVIDER_PORTS]! >>> 16;
    const hold = tcp ? this.now - this.idleMs(f) + this.options.timeouts.portHoldMs : this.now;
    this.tables.natPools.byNumber(this.r[at + F.POOL]!).free(port, hold);
    this.tables.endpoints[this.r[at + F.ENDPOINT]!]!.flows--;
    this.flows.release(f);
  }

  /** Ends a live flow now. */
  kill(f: number, why: Eviction): void {
    this.counters[why]++;
    this.flows.wheel.cancel(f);
    this.end(f);
  }

  /** The header needs no retransmission any more. */
  dropPending(at: number): void {
    const p = this.r[at + F.PENDING]!;
    if (p < 0) return;
    this.pending.release(p);
    this.r[at + F.PENDING] = -1;
  }
}
