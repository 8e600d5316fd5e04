/**
 * The translator: (tables, packet octets, time) to a verdict and packets to send. Pure but for its own flow state: time,
 * randomness and I/O are arguments, so it runs the same over a device, a capture and a fuzzer.
 *
 * A packet's path, in the order of the functions:
 *   1. the caller puts a packet into the slab and calls `fromConsumer` or `fromProvider` with its offset and end
 *   2. the usual packet, a plain segment of an established flow, is done in one go by established.ts; for all others
 *      the IPv4 header is judged; fragments take the way of fragments.ts
 *   3. the transport header is judged and the flow looked up, or opened (open.ts)
 *   4. tcp.ts, UDP here, icmp.ts translate in place; insertion.ts adds headers in scratch
 *   5. the caller sends what the outbox holds, in its order, and calls `begin` for the next burst
 */
import * as F from '../flow/flow-table.js';
import type { FlowTable } from '../flow/flow-table.js';
import { P_FLOW, P_STRIDE } from '../flow/pending-headers.js';
import { VALUE } from '../flow/set-cache.js';
import { type Outbox, TO_CONSUMER, TO_PROVIDER } from '../packet/outbox.js';
import { drop, type DropCounters, FORWARD } from '../packet/verdict.js';
import * as ipv4 from '../wire/ipv4.js';
import { get32 } from '../wire/octets.js';
import * as tcpHeader from '../wire/tcp.js';
import * as udpHeader from '../wire/udp.js';
import { Core, type Counters } from './core.js';
import * as established from './established.js';
import { FRAGMENT_MALFORMED, FRAGMENT_TIMEOUT, Fragments, PROVIDER_SIDE } from './fragments.js';
import * as icmp from './icmp.js';
import { fireHeaderTimer } from './insertion.js';
import { hasLostBackend, openFlow } from './open.js';
import { DEFAULT_OPTIONS, type TranslatorOptions } from './options.js';
import { prefetch } from './prefetch.js';
import { sendIdleResets } from './reset.js';
import { udpToConsumer, udpToProvider } from './rewrite.js';
import { BANDWIDTH_EXCEEDED, exceedsBandwidth, send } from './send.js';
import { Tables } from './tables.js';
import * as tcp from './tcp.js';
import type { Topology } from './topology.js';

/** Verdicts of ipv4.check, by its result. */
const IP_VERDICTS = [
  FORWARD,
  drop('ip-truncated'),
  drop('ip-bad-version'),
  drop('ip-bad-header-length'),
  drop('ip-bad-length'),
  drop('ip-bad-checksum'),
] as const;
const NOT_TCP_UDP = drop('not-tcp-udp');
const TTL_EXCEEDED = drop('ttl-exceeded');
const L4_TRUNCATED = drop('l4-truncated');
const TCP_MALFORMED = drop('tcp-malformed');
const UDP_MALFORMED = drop('udp-malformed');
const NO_FLOW = drop('no-flow');

/**
 * Flows looked at and packets sent in one call of `advance`, so that it takes well under a millisecond and the outbox
 * holds what it sends.
 */
const EXPIRY_BUDGET = 1000;

export class Translator {
  /** State shared with the translator's own parts; not for callers. */
  readonly core: Core;
  readonly fragments: Fragments;

  /**
   * @param slab holds every packet and the scratch region; offsets in all calls are into it
   * @param scratchFrom region for packets that the translator builds in one burst (headers, resets, fragments that had
   *   waited); 256 KiB is enough for most. What does not fit is dropped and counted, or waits for the next burst
   */
  constructor(
    topology: Topology,
    slab: Buffer,
    scratchFrom: number,
    scratchTo: number,
    options: Partial<TranslatorOptions> = {},
  ) {
    const all = { ...DEFAULT_OPTIONS, ...options };
    this.core = new Core(slab, scratchFrom, scratchTo, new Tables(topology, all.seed, all.share), all);
    this.fragments = new Fragments(this.core);
  }

  /** The packets to send since `begin`. */
  get outbox(): Outbox {
    return this.core.outbox;
  }
  get counters(): Counters {
    return this.core.counters;
  }
  get drops(): DropCounters {
    return this.core.drops;
  }
  get flows(): FlowTable {
    return this.core.flows;
  }
  get tables(): Tables {
    return this.core.tables;
  }

  /** Starts a burst; what the outbox held is gone. */
  begin(): void {
    this.core.begin();
  }

  /**
   * Translates a packet that was seen in a consumer network.
   * @param ip offset of the IPv4 header in the slab
   * @param end end of the octets at hand; a frame's padding may follow the packet
   * @param network index into the topology's networks
   * @param missing octets behind `end` that were on the wire but are not at hand
   * @param partial the L4 checksum field holds only the pseudo-header sum
   * @returns FORWARD, HELD, or a drop verdict, already counted
   */
  fromConsumer(ip: number, end: number, network: number, missing = 0, partial = false): number {
    const usual = established.fromNetwork(this.core, ip, end, network, missing, false, partial);
    if (usual !== established.NOT_USUAL) return FORWARD;
    const verdict = this.consumerPacket(ip, end, network, missing, partial);
    if (verdict < 0) {
      this.core.drops.add(verdict);
      if (this.core.options.midstream === 'translate') this.noteRefusal(ip, end, network, verdict);
    }
    return verdict;
  }

  /** Translates a packet that was seen on the provider's side; as `fromConsumer`, and may return ABSORBED. */
  fromProvider(ip: number, end: number, missing = 0, partial = false): number {
    if (established.fromBackend(this.core, ip, end, missing, partial) !== established.NOT_USUAL) return FORWARD;
    const verdict = this.providerPacket(ip, end, missing, partial);
    if (verdict < 0) this.core.drops.add(verdict);
    return verdict;
  }

  /**
   * Brings into the processor's caches what a burst will need: worth calling before the packets of a burst of more than a
   * few are translated one by one. Changes nothing.
   * @param packets offsets of IPv4 headers in the slab
   * @param count how many
   * @param network index of the consumer network that they come from, or -1 for the provider's side
   */
  prefetch(packets: Int32Array, count: number, network: number): void {
    prefetch(this.core, packets, count, network);
  }

  /**
   * Moves time, in milliseconds since any fixed moment; it never goes back. Expires idle flows and waiting fragments,
   * and puts headers that are due again, and resets of idle flows, into the outbox.
   * @returns false when more is due than one call does: send what the outbox holds, `begin`, and call again
   */
  advance(nowMs: number): boolean {
    const c = this.core;
    if (nowMs > c.now) c.now = nowMs;
    const { now, flows, pending } = c;
    flows.settle();
    if (this.fragments.waiting > 0) {
      for (let n = this.fragments.expire(); n > 0; n--) c.drops.add(FRAGMENT_TIMEOUT);
    }
    let budget = EXPIRY_BUDGET;
    for (let p = pending.wheel.nextDue(now); p >= 0; p = pending.wheel.nextDue(now)) {
      const live = c.r[pending.records[p * P_STRIDE + P_FLOW]! * F.STRIDE + F.STATUS] !== F.FREE;
      if ((live && !fireHeaderTimer(c, p)) || --budget <= 0) return false;
    }
    for (let f = flows.wheel.nextDue(now); f >= 0; f = flows.wheel.nextDue(now)) {
      const left = c.limitMs(f) - c.idleMs(f);
      if (left > 0) {
        flows.wheel.set(f, now + left);
      } else {
        const resets = (c.r[f * F.STRIDE + F.STATUS]! & F.RESET_ON_IDLE) !== 0 ? sendIdleResets(c, f) : 0;
        if (resets < 0) {
          flows.wheel.set(f, now);
          return false;
        }
        budget -= resets;
        if ((c.r[f * F.STRIDE + F.STATUS]! & F.STATE_MASK) === F.CLOSING) c.counters.flowsClosed++;
        else c.counters.flowsExpired++;
        c.end(f);
      }
      if (--budget <= 0) return false;
    }
    return true;
  }

  /** The flow of the last packet was seen at `nowMs`, later than the clock said then. */
  touch(nowMs: number): void {
    const { flow, r } = this.core;
    if (flow >= 0 && r[flow * F.STRIDE + F.STATUS] !== F.FREE) r[flow * F.STRIDE + F.SEEN] = nowMs | 0;
  }

  /** Starts the clock of timers at `nowMs`; before the first packet. */
  start(nowMs: number): void {
    const c = this.core;
    c.now = nowMs;
    c.flows.wheel.start(nowMs);
    c.pending.wheel.start(nowMs);
  }

  /** Ends all flows of an endpoint at once: its connection is no longer approved. @returns how many */
  endFlowsOf(endpoint: number): number {
    return this.endFlowsWith(F.ENDPOINT, endpoint);
  }

  /** Ends all flows that have a NAT address (int32). @returns how many */
  endFlowsOn(natAddress: number): number {
    return this.endFlowsWith(F.NAT_ADDRESS, natAddress);
  }

  private endFlowsWith(column: number, value: number): number {
    let n = 0;
    for (const f of this.core.flows) {
      if (this.core.r[f * F.STRIDE + column] !== value) continue;
      this.core.kill(f, 'flowsWithdrawn');
      n++;
    }
    return n;
  }

  /** Keeps the verdict of a dropped SYN, as far as there is one to read, for the rest of its connection. */
  private noteRefusal(ip: number, end: number, network: number, verdict: number): void {
    const c = this.core;
    const b = c.slab;
    if (end - ip < ipv4.MIN_HEADER || ipv4.protocol(b, ip) !== ipv4.PROTOCOL_TCP) return;
    const l4 = ip + ipv4.headerLength(b, ip);
    if (end - l4 < tcpHeader.MIN_HEADER || (tcpHeader.flags(b, l4) & tcpHeader.SYN) === 0) return;
    const entry = c.refusals.put(network, ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4), 0, c.now);
    c.refusals.cells[entry + VALUE] = verdict;
  }

  private consumerPacket(ip: number, end: number, network: number, missing: number, partial: boolean): number {
    const c = this.core;
    const b = c.slab;
    c.flow = -1;
    const judged = ipv4.check(b, ip, end, missing);
    if (judged !== ipv4.OK) return IP_VERDICTS[judged]!;
    const total = ipv4.packetLength(b, ip, end - ip + missing);
    const last = Math.min(end, ip + total); // a trailer behind the packet is not part of it
    c.missing = ip + total - last;
    c.uncharged = total;
    c.partial = partial;
    if (ipv4.ttl(b, ip) <= 1) return TTL_EXCEEDED;
    if ((ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0) return this.consumerFragment(ip, last, total, network);
    c.fragmented = false;
    const l4 = ip + ipv4.headerLength(b, ip);
    return this.consumerTransport(ip, l4, last, ip + total - l4, network);
  }

  private consumerTransport(ip: number, l4: number, end: number, octets: number, network: number): number {
    const c = this.core;
    const b = c.slab;
    const protocol = ipv4.protocol(b, ip);
    if (protocol === ipv4.PROTOCOL_TCP) {
      if (!tcpHeader.check(b, l4, end, octets)) return end - l4 < octets ? L4_TRUNCATED : TCP_MALFORMED;
      const scope = (network << 8) | protocol;
      const f = c.flows.find(ipv4.source(b, ip), ipv4.destination(b, ip), get32(b, l4), scope);
      if (f >= 0 && !c.flows.forward) return NO_FLOW; // a consumer that uses an endpoint's address
      return tcp.fromConsumer(c, ip, l4, end, octets, network, f);
    }
    if (protocol === ipv4.PROTOCOL_UDP) return this.consumerUdp(ip, l4, end, octets, network);
    if (protocol === ipv4.PROTOCOL_ICMP && !c.fragmented) return icmp.fromConsumer(c, ip, l4, end, network);
    return NOT_TCP_UDP;
  }

  private consumerUdp(ip: number, l4: number, end: number, octets: number, network: number): number {
    const c = this.core;
    const b = c.slab;
    if (!udpHeader.check(b, l4, end, c.fragmented ? Infinity : octets)) {
      return end - l4 < Math.min(octets, udpHeader.HEADER) ? L4_TRUNCATED : UDP_MALFORMED;
    }
    const ports = get32(b, l4);
    const source = ipv4.source(b, ip);
    const destination = ipv4.destination(b, ip);
    let f = c.flows.find(source, destination, ports, (network << 8) | ipv4.PROTOCOL_UDP);
    if (f >= 0 && !c.flows.forward) return NO_FLOW;
    if (f >= 0 && c.r[f * F.STRIDE + F.HEALTH] !== c.tables.healthGeneration) f = this.healthyUdp(f);
    if (f < 0) {
      f = openFlow(c, network, ipv4.PROTOCOL_UDP, source, destination, ports, F.UDP);
      if (f < 0) return f;
    }
    const at = f * F.STRIDE;
    if (exceedsBandwidth(c, at, TO_PROVIDER)) return BANDWIDTH_EXCEEDED;
    c.flow = f;
    c.r[at + F.SEEN] = c.now | 0;
    udpToProvider(c, ip, l4, at);
    return send(c, ip, end, at, TO_PROVIDER);
  }

  /** A UDP flow ends with its backend; its datagram begins another. @returns the flow if it stays, or -1 */
  private healthyUdp(f: number): number {
    const c = this.core;
    if (hasLostBackend(c, f)) {
      c.kill(f, 'flowsReplaced');
      return -1;
    }
    c.r[f * F.STRIDE + F.HEALTH] = c.tables.healthGeneration;
    return f;
  }

  private consumerFragment(ip: number, end: number, total: number, network: number): number {
    const c = this.core;
    const b = c.slab;
    const protocol = ipv4.protocol(b, ip);
    if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return NOT_TCP_UDP;
    if (!this.fragments.isSane(ip, total)) return FRAGMENT_MALFORMED;
    if (ipv4.fragmentOffset(b, ip) !== 0) return this.fragments.later(network, ip, end);
    const source = ipv4.source(b, ip);
    const destination = ipv4.destination(b, ip);
    const id = ipv4.identification(b, ip);
    c.fragmented = true;
    const l4 = ip + ipv4.headerLength(b, ip);
    const verdict = this.consumerTransport(ip, l4, end, ip + total - l4, network);
    this.fragments.first(network, source, destination, protocol, id, TO_PROVIDER, verdict);
    return verdict;
  }

  private providerPacket(ip: number, end: number, missing: number, partial: boolean): number {
    const c = this.core;
    const b = c.slab;
    c.flow = -1;
    const judged = ipv4.check(b, ip, end, missing);
    if (judged !== ipv4.OK) return IP_VERDICTS[judged]!;
    const total = ipv4.packetLength(b, ip, end - ip + missing);
    const last = Math.min(end, ip + total);
    c.missing = ip + total - last;
    c.uncharged = total;
    c.partial = partial;
    if (ipv4.ttl(b, ip) <= 1) return TTL_EXCEEDED;
    if ((ipv4.flagsAndOffset(b, ip) & ipv4.FRAGMENT_MASK) !== 0) return this.providerFragment(ip, last, total);
    c.fragmented = false;
    const l4 = ip + ipv4.headerLength(b, ip);
    return this.providerTransport(ip, l4, last, ip + total - l4);
  }

  private providerTransport(ip: number, l4: number, end: number, octets: number): number {
    const c = this.core;
    const b = c.slab;
    const protocol = ipv4.protocol(b, ip);
    if (protocol === ipv4.PROTOCOL_ICMP && !c.fragmented) return icmp.fromProvider(c, ip, l4, end);
    if (protocol === ipv4.PROTOCOL_TCP) {
      if (!tcpHeader.check(b, l4, end, octets)) return end - l4 < octets ? L4_TRUNCATED : TCP_MALFORMED;
    } else if (protocol === ipv4.PROTOCOL_UDP) {
      if (!udpHeader.check(b, l4, end, c.fragmented ? Infinity : octets)) {
        return end - l4 < Math.min(octets, udpHeader.HEADER) ? L4_TRUNCATED : UDP_MALFORMED;
      }
    } else {
      return NOT_TCP_UDP;
    }
    const ports = get32(b, l4);
    const natFirst = (ports << 16) | (ports >>> 16);
    const f = c.flows.findProvider(ipv4.destination(b, ip), ipv4.source(b, ip), natFirst, protocol);
    if (f < 0) return NO_FLOW;
    c.flow = f;
    if (protocol === ipv4.PROTOCOL_TCP) return tcp.fromProvider(c, ip, l4, end, octets, f);
    const at = f * F.STRIDE;
    if (exceedsBandwidth(c, at, TO_CONSUMER)) return BANDWIDTH_EXCEEDED;
    c.r[at + F.SEEN] = c.now | 0;
    udpToConsumer(c, ip, l4, at);
    return send(c, ip, end, at, TO_CONSUMER);
  }

  private providerFragment(ip: number, end: number, total: number): number {
    const c = this.core;
    const b = c.slab;
    const protocol = ipv4.protocol(b, ip);
    if (protocol !== ipv4.PROTOCOL_TCP && protocol !== ipv4.PROTOCOL_UDP) return NOT_TCP_UDP;
    if (!this.fragments.isSane(ip, total)) return FRAGMENT_MALFORMED;
    if (ipv4.fragmentOffset(b, ip) !== 0) return this.fragments.later(PROVIDER_SIDE, ip, end);
    const source = ipv4.source(b, ip);
    const destination = ipv4.destination(b, ip);
    const id = ipv4.identification(b, ip);
    c.fragmented = true;
    const l4 = ip + ipv4.headerLength(b, ip);
    const verdict = this.providerTransport(ip, l4, end, ip + total - l4);
    this.fragments.first(PROVIDER_SIDE, source, destination, protocol, id, TO_CONSUMER, verdict);
    return verdict;
  }
}
