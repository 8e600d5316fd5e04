/**
 * The translator once more, naive: packets are objects, flows live in Maps, numbers are mapped by the formulas of the
 * rules, packets are written from nothing. It shares the topology's types and the public PROXY encoder with the real
 * one, and nothing else, so that the two agree only where both are right. Slow, and with no header timer.
 *
 * Where a choice is free (NAT address and port, backend) it takes the other's, told by `choose`, and holds that choice
 * to its own rules.
 */
import assert from 'node:assert/strict';
import {
  awsEndpointIdTlv,
  azureLinkIdTlv,
  encode,
  gcpPscConnectionIdTlv,
  type Tlv,
} from '../../src/wire/proxy/index.js';
import type { EndpointSpec, LinkSpec, ProxySpec, RuleSpec, Topology } from '../../src/translate/topology.js';
import { type Emitted, dotted, type Result, type Seen } from './gateway.js';
import {
  keepChecksum,
  keepSum,
  type Option,
  optionsOf,
  type Packet,
  pseudo,
  readPacket,
  rightChecksum,
  words,
  writePacket,
} from './naive-packet.js';
import { ACK, FIN, PSH, RST, SYN, URG } from './packets.js';

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const DF = 0x4000;
const MF = 0x2000;
const GIB = 2 ** 30;

/** What the two are told alike. */
export interface NaiveOptions {
  readonly midstream: 'drop' | 'translate';
  readonly fastOpen: 'strip' | 'carry';
  readonly providerMtu: number;
  readonly maxFlows: number;
  readonly portHoldMs: number;
  readonly fragmentMs: number;
}

/** Longer than any limit: what has not been used for so long is gone. */
export const LONG_SILENCE_MS = 3 * 3_600_000;

/** The other's choice for a flow that begins. */
export interface Choice {
  readonly nat: number;
  readonly port: number;
  readonly backend: number;
}

export interface Tuple {
  readonly network: number;
  readonly protocol: number;
  readonly consumer: number;
  readonly consumerPort: number;
  readonly endpoint: number;
  readonly endpointPort: number;
}

type State = 'syn-sent' | 'syn-received' | 'established' | 'closing' | 'udp' | 'midstream';

interface Flow extends Tuple, Choice {
  readonly spec: EndpointSpec;
  readonly link: LinkSpec;
  readonly backendPort: number;
  readonly resets: boolean;
  alive: boolean;
  seen: number;
  state: State;
  /** What is put before the client's stream; empty: nothing. */
  header: Buffer;
  start: number;
  clientNext: number;
  serverNext: number;
  clientAck: number;
  serverAck: number;
  serverWindow: number;
  serverScale: number;
  /** The client's SYN offered window scaling. */
  scaleOffered: boolean;
  sent: boolean;
  acknowledged: boolean;
  past: boolean;
  dataSent: boolean;
  /** The SYN took the header and data along. */
  synCarried: boolean;
  /** A SYN was passed for the backend to challenge. */
  synPassed: boolean;
  clientFin: boolean;
  serverFin: boolean;
}

interface Datagram {
  readonly at: number;
  readonly verdict: string;
  readonly flow: Flow | null;
  readonly toProvider: boolean;
  readonly id: number;
  /** Sequence number of the client's segment at its first octet, TCP header included. */
  readonly origin: number | null;
}

/** Signed distance modulo 2^32. */
const distance = (from: number, to: number): number => (to - from) | 0;
/** It claims to be more than 128 KiB ahead of the highest numbers yet. */
const leaps = (s: ReturnType<typeof segmentOf>, next: number, acknowledged: number): boolean =>
  distance(next, u32(s.seq + s.data)) > 131_072 || distance(acknowledged, s.ack) > 131_072;
const u32 = (n: number): number => n >>> 0;

const segmentOf = (p: Packet) => {
  const b = p.body;
  const header = (b[12]! >>> 4) * 4;
  return {
    seq: b.readUInt32BE(4),
    ack: b.readUInt32BE(8),
    header,
    flags: b[13]!,
    window: b.readUInt16BE(14),
    data: p.wire - header,
  };
};

const has = (flags: number, flag: number): boolean => (flags & flag) !== 0;

export class NaiveTranslator {
  readonly drops = new Map<string, number>();
  private now = 0;
  private readonly flows = new Set<Flow>();
  private readonly datagrams = new Map<string, Datagram>();
  private readonly held = new Map<string, { readonly since: number; readonly packets: Packet[] }>();
  private readonly identifications = new Map<string, { readonly at: number; readonly owner: string }>();
  private readonly refusals = new Map<string, string>();
  private readonly portsHeld = new Map<string, number>();
  private readonly natOf = new Map<string, number>();
  private readonly backendOf = new Map<string, number>();
  private out: Emitted[] = [];
  private fragmented = false;
  private partial = false;
  /** The flow of the packet at work. */
  private last: Flow | null = null;
  private readonly topology: Topology;
  private readonly options: NaiveOptions;
  private readonly choose: (tuple: Tuple) => Choice | undefined;

  constructor(topology: Topology, options: NaiveOptions, choose: (tuple: Tuple) => Choice | undefined) {
    this.topology = topology;
    this.options = options;
    this.choose = choose;
  }

  fromConsumer(octets: Buffer, seen: Seen = {}): Result {
    const network = seen.network ?? 0;
    const result = this.pass(octets, seen, (p) => this.consumerPacket(p, network));
    const isRefusal = !['forward', 'held'].includes(result.verdict);
    if (isRefusal && this.options.midstream === 'translate') this.noteRefusal(octets, network, result.verdict);
    return result;
  }

  fromProvider(octets: Buffer, seen: Seen = {}): Result {
    return this.pass(octets, seen, (p) => this.providerPacket(p));
  }

  /** A pause: short enough that nothing ends, or LONG_SILENCE_MS, after which nothing is left. */
  pause(ms: number): Emitted[] {
    this.now += ms;
    this.out = [];
    if (ms < LONG_SILENCE_MS) return this.out;
    for (const { packets } of this.held.values()) packets.forEach(() => this.drop('fragment-timeout'));
    this.held.clear();
    for (const f of this.flows) {
      if (f.state === 'established' && f.resets) this.resetIdle(f);
      f.alive = false;
    }
    this.flows.clear();
    this.portsHeld.clear();
    this.datagrams.clear();
    this.identifications.clear();
    this.refusals.clear();
    return this.out;
  }

  private pass(octets: Buffer, seen: Seen, work: (p: Packet) => string): Result {
    this.out = [];
    this.partial = seen.partial ?? false;
    const p = readPacket(octets, seen.missing ?? 0);
    const verdict = typeof p === 'string' ? p : p.ttl <= 1 ? 'ttl-exceeded' : work(p);
    if (verdict !== 'forward' && verdict !== 'held') this.drop(verdict);
    return { verdict, out: this.out };
  }

  private drop(reason: string): void {
    this.drops.set(reason, (this.drops.get(reason) ?? 0) + 1);
  }

  private noteRefusal(octets: Buffer, network: number, verdict: string): void {
    if (octets.length < 20 || octets[9] !== TCP) return;
    const segment = octets.subarray((octets[0]! & 15) * 4);
    if (segment.length < 20 || !has(segment[13]!, SYN)) return;
    const key = [network, octets.readUInt32BE(12), octets.readUInt32BE(16), segment.readUInt32BE(0)];
    this.refusals.set(key.join(), verdict);
  }

  // --- the ways of a packet

  private consumerPacket(p: Packet, network: number): string {
    if ((p.fragment & 0x3fff) !== 0) {
      return this.fragment(p, String(network), true, () => this.consumerTransport(p, network));
    }
    this.fragmented = false;
    return this.consumerTransport(p, network);
  }

  private providerPacket(p: Packet): string {
    if ((p.fragment & 0x3fff) !== 0) return this.fragment(p, 'provider', false, () => this.providerTransport(p));
    this.fragmented = false;
    return this.providerTransport(p);
  }

  /** What is wrong with the transport header, or null. */
  private misfit(p: Packet): string | null {
    const { body, wire } = p;
    if (p.protocol === TCP) {
      const length = body.length >= 20 ? (body[12]! >>> 4) * 4 : 0;
      const fits = body.length >= 20 && length >= 20 && length <= wire && length <= body.length;
      return fits ? null : body.length < wire ? 'l4-truncated' : 'tcp-malformed';
    }
    if (body.length < 8) return body.length < wire ? 'l4-truncated' : 'udp-malformed';
    const length = body.readUInt16BE(4);
    return length >= 8 && (this.fragmented || length <= wire) ? null : 'udp-malformed';
  }

  private consumerTransport(p: Packet, network: number): string {
    if (p.protocol === ICMP && !this.fragmented) return this.icmpFromConsumer(p, network);
    if (p.protocol !== TCP && p.protocol !== UDP) return 'not-tcp-udp';
    const misfit = this.misfit(p);
    if (misfit !== null) return misfit;
    const tuple: Tuple = {
      network,
      protocol: p.protocol,
      consumer: p.source,
      consumerPort: p.body.readUInt16BE(0),
      endpoint: p.destination,
      endpointPort: p.body.readUInt16BE(2),
    };
    const found = this.byConsumer(tuple);
    if (found === null && this.byConsumer(reversed(tuple)) !== null) return 'no-flow';
    if (p.protocol === TCP) return this.clientSegment(p, tuple, found);
    const flow = found ?? this.open(tuple, 'udp');
    if (typeof flow === 'string') return flow;
    flow.seen = this.now;
    this.last = flow;
    return this.toProvider(p, { ...p, body: Buffer.from(p.body) }, flow);
  }

  private providerTransport(p: Packet): string {
    if (p.protocol === ICMP && !this.fragmented) return this.icmpFromProvider(p);
    if (p.protocol !== TCP && p.protocol !== UDP) return 'not-tcp-udp';
    const misfit = this.misfit(p);
    if (misfit !== null) return misfit;
    const flow = this.byProvider(p.protocol, p.destination, p.body.readUInt16BE(2), p.source, p.body.readUInt16BE(0));
    if (flow === null) return 'no-flow';
    this.last = flow;
    if (p.protocol === TCP) return this.serverSegment(p, flow);
    flow.seen = this.now;
    return this.toConsumer(p, { ...p, body: Buffer.from(p.body) }, flow);
  }

  private byConsumer(t: Tuple): Flow | null {
    for (const f of this.flows) {
      if (
        f.network === t.network &&
        f.protocol === t.protocol &&
        f.consumer === t.consumer &&
        f.consumerPort === t.consumerPort &&
        f.endpoint === t.endpoint &&
        f.endpointPort === t.endpointPort
      ) {
        return f;
      }
    }
    return null;
  }

  private byProvider(protocol: number, nat: number, port: number, backend: number, backendPort: number): Flow | null {
    for (const f of this.flows) {
      const same = f.protocol === protocol && f.nat === nat && f.port === port;
      if (same && f.backend === backend && f.backendPort === backendPort) return f;
    }
    return null;
  }

  // --- writing

  private toProvider(before: Packet, after: Packet, f: Flow): string {
    const p: Packet = { ...after, source: f.nat, destination: f.backend, ttl: after.ttl - 1 };
    p.body.writeUInt16BE(f.port, 0);
    p.body.writeUInt16BE(f.backendPort, 2);
    keepChecksum(before, p, f.protocol === TCP ? 16 : 6, this.partial);
    this.emit(p, 'provider', f);
    return 'forward';
  }

  private toConsumer(before: Packet, after: Packet, f: Flow): string {
    const p: Packet = { ...after, source: f.endpoint, destination: f.consumer, ttl: after.ttl - 1 };
    p.body.writeUInt16BE(f.endpointPort, 0);
    p.body.writeUInt16BE(f.consumerPort, 2);
    keepChecksum(before, p, f.protocol === TCP ? 16 : 6, this.partial);
    this.emit(p, 'consumer', f);
    return 'forward';
  }

  private emit(p: Packet, side: 'provider' | 'consumer', f: Flow): void {
    this.out.push({ side, network: f.network, octets: writePacket(p), missing: p.wire - p.body.length });
  }

  // --- flows

  private linkOf(network: number, address: number): { link: LinkSpec; spec: EndpointSpec } | null {
    for (const link of this.topology.links) {
      for (const spec of link.endpoints) {
        if (spec.network === network && spec.address === address) return { link, spec };
      }
    }
    return null;
  }

  private open(t: Tuple, state: State): Flow | string {
    const unicast = (a: number): boolean => a >>> 24 !== 0 && a >>> 24 < 224;
    if (!unicast(t.consumer) || !unicast(t.endpoint)) return 'not-unicast';
    const place = this.linkOf(t.network, t.endpoint);
    if (place === null) return 'no-endpoint';
    const { link, spec } = place;
    if (!spec.approved) return 'not-approved';
    const rule = ruleFor(link, t.protocol, t.endpointPort);
    if (rule === null) return 'no-rule';
    if (rule.backends.length === 0) return 'no-backend';
    if (this.flows.size >= this.options.maxFlows) return 'flow-limit';
    const choice = this.choose(t);
    if (choice === undefined) {
      // Exact: it may be refused only when there really is none towards one of the backends.
      const none = rule.backends.some((b) =>
        link.natAddresses.every((nat) => this.freePorts(link, nat, b, t.protocol) === 0),
      );
      assert(none, 'refused for want of a port, while there are some');
      return 'nat-exhausted';
    }
    this.judge(choice, link, rule, t);
    const isMidstream = state === 'midstream';
    const flow: Flow = {
      ...t,
      ...choice,
      spec,
      link,
      backendPort: rule.backendPort === 0 || rule.frontendPort === 0 ? t.endpointPort : rule.backendPort,
      resets: rule.tcpReset,
      alive: true,
      seen: this.now,
      state,
      header: isMidstream || t.protocol !== TCP ? Buffer.alloc(0) : headerOf(link.proxy, spec, t),
      start: 0,
      clientNext: 0,
      serverNext: 0,
      clientAck: 0,
      serverAck: 0,
      serverWindow: 0,
      serverScale: 0,
      scaleOffered: false,
      sent: false,
      acknowledged: false,
      past: false,
      dataSent: false,
      synCarried: false,
      synPassed: false,
      clientFin: false,
      serverFin: false,
    };
    this.flows.add(flow);
    return flow;
  }

  private freePorts(link: LinkSpec, nat: number, backend: number, protocol: number): number {
    const taken = new Set<number>();
    for (const f of this.flows) {
      if (f.nat === nat && f.backend === backend && f.protocol === protocol) taken.add(f.port);
    }
    for (const [key, until] of this.portsHeld) {
      const [n, port, b, p] = key.split(',').map(Number);
      if (n === nat && b === backend && p === protocol && until > this.now) taken.add(port!);
    }
    return link.natPortCount - taken.size;
  }

  private isTaken(nat: number, port: number, backend: number, protocol: number): boolean {
    for (const f of this.flows) {
      if (f.nat === nat && f.port === port && f.backend === backend && f.protocol === protocol) return true;
    }
    return (this.portsHeld.get([nat, port, backend, protocol].join()) ?? 0) > this.now;
  }

  /** The choice that the other made keeps the rules. */
  private judge(c: Choice, link: LinkSpec, rule: RuleSpec, t: Tuple): void {
    assert(link.natAddresses.includes(c.nat), 'the NAT address is the link’s');
    assert(c.port >= link.natPortFirst && c.port < link.natPortFirst + link.natPortCount, 'the port is in the range');
    assert(!this.isTaken(c.nat, c.port, c.backend, t.protocol), 'the port is free');
    assert(rule.backends.includes(c.backend), 'the backend is the rule’s');
    const consumer = [link.name, t.network, t.consumer].join();
    const nat = this.natOf.get(consumer);
    if (nat !== undefined && this.freePorts(link, nat, c.backend, t.protocol) > 0) {
      assert.equal(c.nat, nat, 'a consumer keeps its NAT address while that has ports');
    }
    // Where all had some, the choice was the one that the consumer keeps to.
    if (link.natAddresses.every((a) => this.freePorts(link, a, c.backend, t.protocol) > 0)) {
      this.natOf.set(consumer, c.nat);
    }
    const parts: Record<string, unknown[]> = {
      Default: [t.consumer, t.consumerPort, t.endpoint, t.endpointPort, t.protocol],
      SourceIP: [t.consumer],
      SourceIPProtocol: [t.consumer, t.protocol],
    };
    const key = [t.network, t.endpoint, rule.protocol, rule.frontendPort, ...parts[rule.distribution]!].join();
    assert.equal(c.backend, this.backendOf.get(key) ?? c.backend, 'the same parts lead to the same backend');
    this.backendOf.set(key, c.backend);
  }

  private kill(f: Flow): void {
    f.alive = false;
    this.flows.delete(f);
    if (f.protocol !== TCP) return;
    this.portsHeld.set([f.nat, f.port, f.backend, TCP].join(), f.seen + this.options.portHoldMs);
  }

  /** Its checksum is wrong, as far as that can be told. */
  private isDamaged(p: Packet): boolean {
    const whole = !this.fragmented && p.wire === p.body.length;
    return whole && !this.partial && (pseudo(p) + words(p.body)) % 0xffff !== 0;
  }

  // --- TCP from the client

  private clientSegment(p: Packet, tuple: Tuple, found: Flow | null): string {
    const s = segmentOf(p);
    if (badFlags(s.flags)) return 'tcp-bad-flags';
    const calls = found !== null && isHeaderOpen(found) && (s.seq === found.start || (s.data > 0 && !found.sent));
    const far = found !== null && leaps(s, found.clientNext, found.clientAck);
    const tells = found === null || has(s.flags, SYN | FIN | RST) || calls || far;
    if (tells && this.isDamaged(p)) return 'tcp-bad-checksum';
    if (has(s.flags, SYN)) return has(s.flags, ACK) ? 'simultaneous-open' : this.clientSyn(p, tuple, found);
    let f = found;
    if (f === null) {
      if (this.options.midstream === 'drop') return 'midstream';
      const refused = refusedOption(p.body);
      if (refused !== null) return refused;
      const key = [tuple.network, p.source, p.destination, p.body.readUInt32BE(0)].join();
      const before = this.refusals.get(key);
      if (before !== undefined) return before;
      const opened = this.open(tuple, 'midstream');
      if (typeof opened === 'string') return opened;
      f = opened;
    }
    if (f.state === 'syn-sent' && !has(s.flags, RST)) return 'no-syn-ack';
    this.last = f;
    const after: Packet = { ...p, body: Buffer.from(p.body) };
    const d = distance(f.start, s.seq);
    const end = d + s.data + (has(s.flags, FIN) ? 1 : 0);
    const reaches = d < 0 && !f.past && (end > 0 || this.fragmented || has(s.flags, URG));
    let shift = f.header.length;
    let replaced = false;
    if (f.header.length > 0) {
      if (reaches) return 'tcp-malformed';
      if (!f.acknowledged) {
        blankMptcp(after.body);
        const isReset = has(s.flags, RST);
        const isBare = !isReset && s.data === 0 && !has(s.flags, FIN);
        if (d < 0) {
          // Old: a keep-alive.
        } else if (isReset) {
          // Without an ACK of its own, and before the backend's answer, a header would have nothing to acknowledge.
          const silent = !has(s.flags, ACK) && f.state === 'syn-sent';
          if (d === 0 && f.sent && !silent) this.headerBefore(after, f);
          else if (d === 0) shift = 0;
        } else if (isBare) {
          if (this.fragmented) return 'tcp-malformed';
          replaced = d === 0;
          if (replaced) this.headerInstead(after, f);
        } else {
          if (!f.sent || (d === 0 && f.dataSent)) this.headerBefore(after, f);
          if (d === 0) f.dataSent = true;
        }
      } else if (d > GIB && distance(f.start, f.serverAck) > 0.75 * GIB) {
        f.past = true;
      }
      if (d >= 0 || f.past) after.body.writeUInt32BE(u32(s.seq + shift), 4);
    }
    this.trackClient(f, s);
    return replaced ? 'forward' : this.toProvider(p, after, f);
  }

  /** The header as a packet of its own, before the one that called for it. */
  private headerBefore(p: Packet, f: Flow): void {
    const s = segmentOf(p);
    const ack = has(s.flags, ACK) ? s.ack : f.clientAck;
    this.headerPacket({ ...p, id: 0, fragment: DF }, f, ack, ACK | PSH);
  }

  /** The header in the place of the handshake's ACK. */
  private headerInstead(p: Packet, f: Flow): void {
    const s = segmentOf(p);
    this.headerPacket(p, f, s.ack, (s.flags & ~URG) | PSH);
  }

  private headerPacket(like: Packet, f: Flow, ack: number, flags: number): void {
    const segment = Buffer.from(like.body.subarray(0, (like.body[12]! >>> 4) * 4));
    segment.writeUInt16BE(f.port, 0);
    segment.writeUInt16BE(f.backendPort, 2);
    segment.writeUInt32BE(f.start, 4);
    segment.writeUInt32BE(ack, 8);
    segment[13] = flags;
    segment.writeUInt16BE(0, 18);
    const body = Buffer.concat([segment, f.header]);
    const place = { source: f.nat, destination: f.backend, ttl: like.ttl - 1 };
    const p: Packet = { ...like, ...place, body, wire: body.length, unsized: false };
    rightChecksum(p);
    this.emit(p, 'provider', f);
    f.sent = true;
  }

  private trackClient(f: Flow, s: ReturnType<typeof segmentOf>): void {
    f.seen = this.now;
    if (has(s.flags, RST)) {
      if (s.seq === f.serverAck || s.seq === f.clientNext || f.state === 'midstream') f.state = 'closing';
      return;
    }
    const opening = f.state === 'syn-sent' || f.state === 'syn-received';
    const next = u32(s.seq + s.data + (has(s.flags, FIN) ? 1 : 0));
    if (distance(f.clientNext, next) > 0) f.clientNext = next;
    if (has(s.flags, ACK) && (opening || distance(f.clientAck, s.ack) > 0)) f.clientAck = s.ack;
    if (f.state === 'syn-received') f.state = 'established';
    if (has(s.flags, FIN)) {
      f.clientFin = true;
      if (f.serverFin) f.state = 'closing';
    }
  }

  private clientSyn(p: Packet, tuple: Tuple, found: Flow | null): string {
    const s = segmentOf(p);
    const refused = refusedOption(p.body);
    if (refused !== null) return refused;
    const start = u32(s.seq + 1);
    let f = found;
    let challenged = false;
    if (f !== null && f.state === 'established' && f.start !== start) {
      const window = Math.max(f.serverWindow * 2 ** f.serverScale, 0xffff);
      const ahead = distance(f.serverAck, s.seq);
      challenged = ahead >= 0 && ahead <= window;
      if (!challenged) {
        this.kill(f);
        f = null;
      }
    } else if (f !== null && (f.start !== start || f.state === 'midstream' || isRefused(f))) {
      restart(f, start);
    } else if (f?.state === 'closing') {
      challenged = true;
    }
    if (f === null) {
      const opened = this.open(tuple, 'syn-sent');
      if (typeof opened === 'string') return opened;
      f = opened;
      f.start = start;
      f.clientNext = start;
      f.serverAck = start;
    }
    this.last = f;
    f.scaleOffered = optionsOf(p.body).some((o) => o.kind === 3);
    let after: Packet = { ...p, body: Buffer.from(p.body) };
    if (challenged) {
      f.synPassed = true;
      if (f.header.length > 0) {
        if (this.fragmented) return 'tcp-malformed';
        blankMptcp(after.body);
        blankFastOpen(after.body);
        if (s.data > 0) return this.stripped(p, after, s.header, f);
      }
      return this.toProvider(p, after, f);
    }

    let passed = s.data;
    if (f.header.length > 0) {
      blankMptcp(after.body);
      const sized = !p.unsized && 20 + p.options.length + p.wire + f.header.length <= this.options.providerMtu;
      // What is cut off cannot be summed behind a header of odd length.
      const summable = p.wire === p.body.length || f.header.length % 2 === 0;
      const carries =
        summable && s.data > 0 && this.options.fastOpen === 'carry' && !this.fragmented && !this.partial && sized;
      if (carries) {
        const segment = after.body.subarray(0, s.header);
        const body = Buffer.concat([segment, f.header, after.body.subarray(s.header)]);
        after = { ...after, body, wire: p.wire + f.header.length };
        f.sent = true;
        f.dataSent = true;
        f.synCarried = true;
      } else {
        if (this.fragmented) return 'tcp-malformed';
        passed = 0;
        if (s.data > 0 || this.options.fastOpen === 'strip') blankFastOpen(after.body);
        if (s.data > 0) {
          f.clientNext = later(f.clientNext, start);
          f.seen = this.now;
          return this.stripped(p, after, s.header, f);
        }
      }
    }
    f.clientNext = later(f.clientNext, u32(start + passed));
    f.seen = this.now;
    return this.toProvider(p, after, f);
  }

  /** A SYN without its data. */
  private stripped(p: Packet, syn: Packet, header: number, f: Flow): string {
    const after: Packet = { ...syn, body: Buffer.from(syn.body.subarray(0, header)), wire: header, unsized: false };
    if (p.wire === p.body.length) return this.toProvider(p, after, f);
    // What was cut off cannot be summed: the checksum is made anew.
    const anew: Packet = { ...after, source: f.nat, destination: f.backend, ttl: p.ttl - 1 };
    anew.body.writeUInt16BE(f.port, 0);
    anew.body.writeUInt16BE(f.backendPort, 2);
    rightChecksum(anew);
    this.emit(anew, 'provider', f);
    return 'forward';
  }

  // --- TCP from the server

  private serverSegment(p: Packet, f: Flow): string {
    const s = segmentOf(p);
    if (badFlags(s.flags)) return 'tcp-bad-flags';
    const far = leaps(s, f.serverNext, u32(f.serverAck + f.header.length));
    if ((has(s.flags, SYN | FIN | RST) || isHeaderOpen(f) || far) && this.isDamaged(p)) return 'tcp-bad-checksum';
    const after: Packet = { ...p, body: Buffer.from(p.body) };
    if (has(s.flags, SYN)) {
      if (!has(s.flags, ACK)) return 'simultaneous-open';
      const refused = this.synAck(after, s, f);
      if (refused !== null) {
        this.refusals.set([f.network, f.consumer, f.endpoint, f.consumerPort * 65536 + f.endpointPort].join(), refused);
        this.kill(f);
        return refused;
      }
    }
    let ack = s.ack;
    if (f.header.length > 0 && has(s.flags, ACK)) {
      const length = f.header.length;
      const a = distance(f.start, s.ack);
      if (f.past || a >= length) {
        ack = u32(s.ack - length);
        if (f.sent && distance(f.clientNext, ack) <= 0) f.acknowledged = true;
      } else if (a >= 0) {
        ack = f.start;
        const unit = has(s.flags, SYN) ? 1 : 2 ** f.serverScale;
        after.body.writeUInt16BE(Math.max(0, s.window - Math.ceil((length - a) / unit)), 14);
      }
      after.body.writeUInt32BE(ack, 8);
      mapSack(after.body, (edge) => fromBackend(f, edge));
    }
    this.trackServer(f, s, ack, after.body.readUInt16BE(14));
    return this.toConsumer(p, after, f);
  }

  private synAck(after: Packet, s: ReturnType<typeof segmentOf>, f: Flow): string | null {
    const length = f.header.length;
    if (length > 0) blankMptcp(after.body);
    const a = distance(f.start, s.ack);
    const client = distance(f.start, f.clientNext);
    const most = length === 0 ? client : f.synCarried ? length + client : 0;
    const another = a < 0 || a > most;
    if (another && !(f.state === 'established' && f.synPassed)) return null;
    if (length > 0) {
      const mss = optionsOf(after.body).find((o) => o.kind === 2);
      const room = mss?.length === 4 ? after.body.readUInt16BE(mss.at + 2) : 536;
      const stamped = optionsOf(after.body).some((o) => o.kind === 8);
      if (room < length + (stamped ? 12 : 0)) return 'mss-below-header';
    }
    if (another || (a === 0 && f.state === 'closing' && f.synPassed)) restart(f, s.ack);
    if (f.state === 'syn-sent' || f.state === 'syn-received') {
      f.serverScale = f.scaleOffered ? (scaleOf(after.body) ?? 0) : 0;
      if (f.state === 'syn-sent') {
        f.serverNext = u32(s.seq + 1);
        f.clientAck = f.serverNext;
        f.state = 'syn-received';
      }
    }
    return null;
  }

  private trackServer(f: Flow, s: ReturnType<typeof segmentOf>, ack: number, window: number): void {
    f.seen = this.now;
    if (has(s.flags, RST)) {
      const refuses = f.state === 'syn-sent' && has(s.flags, ACK) && (ack === f.start || ack === f.clientNext);
      const exact = f.state !== 'syn-sent' && (s.seq === f.clientAck || s.seq === f.serverNext);
      if (refuses || exact || f.state === 'midstream') f.state = 'closing';
      return;
    }
    if (f.state === 'syn-sent') return; // numbers of another connection
    f.serverWindow = window;
    const next = u32(s.seq + s.data + (has(s.flags, FIN) ? 1 : 0));
    if (distance(f.serverNext, next) > 0) f.serverNext = next;
    if (has(s.flags, ACK) && distance(f.serverAck, ack) > 0) f.serverAck = ack;
    if (has(s.flags, FIN)) {
      f.serverFin = true;
      if (f.clientFin) f.state = 'closing';
    }
  }

  private resetIdle(f: Flow): void {
    const d = distance(f.start, f.serverAck);
    const shifted = f.header.length > 0 && (d >= 0 || f.past) ? u32(f.serverAck + f.header.length) : f.serverAck;
    const toClient = [f.endpoint, f.consumer, f.endpointPort, f.consumerPort, f.clientAck, f.clientNext] as const;
    const toServer = [f.nat, f.backend, f.port, f.backendPort, shifted, f.serverNext] as const;
    for (const [source, destination, from, to, seq, ack] of [toClient, toServer]) {
      const body = Buffer.alloc(20);
      body.writeUInt16BE(from, 0);
      body.writeUInt16BE(to, 2);
      body.writeUInt32BE(seq, 4);
      body.writeUInt32BE(ack, 8);
      body[12] = 0x50;
      body[13] = RST | ACK;
      const none = { tos: 0, id: 0, fragment: DF, ttl: 64, protocol: TCP, options: Buffer.alloc(0), unsized: false };
      const p: Packet = { ...none, source, destination, body, wire: 20 };
      rightChecksum(p);
      this.emit(p, source === f.nat ? 'provider' : 'consumer', f);
    }
  }

  // --- ICMP errors

  private quote(p: Packet): Packet | string {
    if (p.body.length < 8) return 'icmp-malformed';
    if (![3, 4, 11, 12].includes(p.body[0]!)) return 'icmp-not-error';
    const q = p.body.subarray(8);
    if (q.length < 28 || q[0]! >>> 4 !== 4) return 'icmp-malformed';
    const header = (q[0]! & 15) * 4;
    if (header < 20 || q.length < header + 8) return 'icmp-malformed';
    if (q[9] !== TCP && q[9] !== UDP) return 'icmp-no-flow';
    if ((q.readUInt16BE(6) & 0x1fff) !== 0) return 'icmp-no-flow';
    return {
      tos: q[1]!,
      id: q.readUInt16BE(4),
      fragment: q.readUInt16BE(6),
      ttl: q[8]!,
      protocol: q[9],
      source: q.readUInt32BE(12),
      destination: q.readUInt32BE(16),
      options: q.subarray(20, header),
      body: q.subarray(header),
      wire: q.length - header,
      unsized: false,
    };
  }

  private icmpFromConsumer(p: Packet, network: number): string {
    const q = this.quote(p);
    if (typeof q === 'string') return q;
    const f = this.byConsumer({
      network,
      protocol: q.protocol,
      consumer: q.destination,
      consumerPort: q.body.readUInt16BE(2),
      endpoint: q.source,
      endpointPort: q.body.readUInt16BE(0),
    });
    if (f === null) return 'icmp-no-flow';
    const changed = (l4: Buffer): void => {
      l4.writeUInt16BE(f.backendPort, 0);
      l4.writeUInt16BE(f.port, 2);
      if (q.protocol !== TCP || f.header.length === 0 || l4.length < 12) return;
      const ack = l4.readUInt32BE(8);
      const ofSyn = l4.length > 13 && has(l4[13]!, SYN);
      if (ack === f.start && (ofSyn || !f.sent)) return; // S itself, acknowledged before the header
      if (distance(f.start, ack) >= 0 || f.past) l4.writeUInt32BE(u32(ack + f.header.length), 8);
    };
    this.sendError(
      p,
      q,
      { source: f.backend, destination: f.nat },
      changed,
      { source: f.nat, destination: f.backend },
      f,
      'provider',
    );
    return 'forward';
  }

  private icmpFromProvider(p: Packet): string {
    const q = this.quote(p);
    if (typeof q === 'string') return q;
    const f = this.byProvider(q.protocol, q.source, q.body.readUInt16BE(0), q.destination, q.body.readUInt16BE(2));
    if (f === null) return 'icmp-no-flow';
    const inserts = q.protocol === TCP && f.header.length > 0;
    if (inserts && !f.past) {
      const d = distance(f.start, q.body.readUInt32BE(4));
      if (d >= 0 && d < f.header.length) return 'icmp-about-header';
    }
    const changed = (l4: Buffer): void => {
      l4.writeUInt16BE(f.consumerPort, 0);
      l4.writeUInt16BE(f.endpointPort, 2);
      if (inserts) l4.writeUInt32BE(fromBackend(f, l4.readUInt32BE(4)), 4);
    };
    const source = p.source === f.backend ? f.endpoint : p.source;
    const inner = { source: f.consumer, destination: f.endpoint };
    this.sendError(p, q, inner, changed, { source, destination: f.consumer }, f, 'consumer');
    return 'forward';
  }

  private sendError(
    p: Packet,
    q: Packet,
    inner: { source: number; destination: number },
    change: (l4: Buffer) => void,
    outer: { source: number; destination: number },
    f: Flow,
    side: 'provider' | 'consumer',
  ): void {
    const body = Buffer.from(p.body);
    const header = body.subarray(8, 8 + 20 + q.options.length);
    const headerBefore = Buffer.from(header);
    header.writeUInt32BE(inner.source, 12);
    header.writeUInt32BE(inner.destination, 16);
    keepSum(headerBefore, header, 10);
    const l4 = body.subarray(8 + header.length);
    change(l4);
    const field = q.protocol === TCP ? 16 : 6;
    if (field + 2 <= l4.length) keepChecksum(q, { ...q, ...inner, body: l4 }, field, false);
    keepSum(p.body, body, 2);
    this.emit({ ...p, ...outer, ttl: p.ttl - 1, body }, side, f);
  }

  // --- fragments

  private fragment(p: Packet, where: string, toProvider: boolean, transport: () => string): string {
    if (p.protocol !== TCP && p.protocol !== UDP) return 'not-tcp-udp';
    const offset = (p.fragment & 0x1fff) * 8;
    const insane =
      p.wire <= 0 ||
      20 + p.options.length + offset + p.wire > 0xffff ||
      ((p.fragment & MF) !== 0 && p.wire % 8 !== 0) ||
      (p.protocol === TCP && offset > 0 && offset < 20);
    if (insane) return 'fragment-malformed';
    const key = [where, p.source, p.destination, p.protocol, p.id].join();
    if (offset !== 0) return this.laterFragment(p, key);

    this.fragmented = true;
    const verdict = transport();
    const passed = verdict === 'forward';
    let { id } = p;
    if (passed) {
      const sent = this.out.at(-1)!;
      id = this.identification(sent, key);
      if (id !== p.id) {
        sent.octets.writeUInt16BE(id, 4);
        const header = sent.octets.subarray(0, (sent.octets[0]! & 15) * 4);
        keepSum(Buffer.alloc(2), header, 10);
      }
    }
    const s = p.protocol === TCP && passed ? segmentOf(p) : null;
    const origin = s === null ? null : s.seq - s.header + (has(s.flags, FIN) ? 1 : 0);
    this.datagrams.set(key, { at: this.now, verdict, flow: passed ? this.last : null, toProvider, id, origin });
    const waiting = this.held.get(key);
    this.held.delete(key);
    for (const q of waiting?.packets ?? []) {
      const then = this.laterFragment(q, key);
      if (then !== 'forward') this.drop(then);
    }
    return verdict;
  }

  private laterFragment(p: Packet, key: string): string {
    const datagram = this.datagrams.get(key);
    if (datagram === undefined || this.now - datagram.at >= this.options.fragmentMs) {
      const waiting = this.held.get(key) ?? { since: this.now, packets: [] };
      this.held.set(key, waiting);
      if (waiting.packets.length >= 64) return 'fragment-limit';
      waiting.packets.push(p);
      return 'held';
    }
    const { flow, verdict, toProvider, id, origin } = datagram;
    if (flow === null) return verdict;
    if (!flow.alive) return 'no-flow';
    flow.seen = this.now;
    if (toProvider && origin !== null) {
      flow.clientNext = later(flow.clientNext, u32(origin + (p.fragment & 0x1fff) * 8 + p.wire));
    }
    const ends = toProvider
      ? { source: flow.nat, destination: flow.backend }
      : { source: flow.endpoint, destination: flow.consumer };
    this.emit({ ...p, ...ends, id, ttl: p.ttl - 1 }, toProvider ? 'provider' : 'consumer', flow);
    return 'forward';
  }

  /** The datagram's identification, or another where one under way between the same ends has it. */
  private identification({ octets, side, network }: Emitted, owner: string): number {
    let id = octets.readUInt16BE(4);
    for (;;) {
      const place = side === 'provider' ? side : network;
      const key = [place, octets.readUInt32BE(12), octets.readUInt32BE(16), octets[9], id].join();
      const user = this.identifications.get(key);
      const free = user === undefined || user.owner === owner || this.now - user.at >= this.options.fragmentMs;
      if (free) {
        this.identifications.set(key, { at: this.now, owner });
        return id;
      }
      id = (id + 0x9e37) & 0xffff; // any free one would do
    }
  }
}

const isHeaderOpen = (f: Flow): boolean => f.header.length > 0 && !f.acknowledged;

const later = (a: number, b: number): number => (distance(a, b) > 0 ? b : a);

const reversed = (t: Tuple): Tuple => ({
  ...t,
  consumer: t.endpoint,
  consumerPort: t.endpointPort,
  endpoint: t.consumer,
  endpointPort: t.consumerPort,
});

const badFlags = (flags: number): boolean => !has(flags, SYN | RST | ACK) || (has(flags, SYN) && has(flags, FIN | RST));

function ruleFor(link: LinkSpec, protocol: number, port: number): RuleSpec | null {
  if (link.destination !== null) {
    return {
      protocol: protocol as 6 | 17,
      frontendPort: 0,
      backendPort: 0,
      backends: [link.destination],
      distribution: 'Default',
      idleTimeoutMs: protocol === 6 ? link.tcpIdleTimeoutMs : link.udpIdleTimeoutMs,
      tcpReset: false,
    };
  }
  const of = link.rules.filter((r) => r.protocol === protocol);
  return of.find((r) => r.frontendPort === port) ?? of.find((r) => r.frontendPort === 0) ?? null;
}

function headerOf(proxy: ProxySpec | null, spec: EndpointSpec, t: Tuple): Buffer {
  if (proxy === null) return Buffer.alloc(0);
  const tlvs = (): Tlv[] => {
    switch (proxy.dialect) {
      case 'azure':
        return [azureLinkIdTlv(spec.linkId)];
      case 'aws':
        return [awsEndpointIdTlv(proxy.endpointId)];
      case 'gcp':
        return [gcpPscConnectionIdTlv(BigInt(spec.linkId))];
      case 'custom':
        return proxy.tlvs.map(({ type, value }) => ({ type, value: Buffer.from(value) }));
    }
  };
  return encode(
    {
      command: 'PROXY',
      family: 'inet',
      transport: 'stream',
      source: { address: dotted(t.consumer), port: t.consumerPort },
      destination: { address: dotted(t.endpoint), port: t.endpointPort },
      tlvs: tlvs(),
    },
    proxy.dialect === 'custom' && proxy.crc32c ? { crc32c: true } : {},
  );
}

/** All that the backend said was an RST. */
const isRefused = (f: Flow): boolean =>
  f.state === 'closing' && f.serverNext === 0 && f.clientAck === 0 && !f.clientFin && !f.serverFin;

function restart(f: Flow, start: number): void {
  f.state = 'syn-sent';
  f.header = headerOf(f.link.proxy, f.spec, f);
  f.start = start;
  f.clientNext = start;
  f.serverAck = start;
  f.serverNext = 0;
  f.clientAck = 0;
  f.serverScale = 0;
  f.sent = false;
  f.acknowledged = false;
  f.past = false;
  f.dataSent = false;
  f.synCarried = false;
  f.synPassed = false;
  f.clientFin = false;
  f.serverFin = false;
}

/** The client's numbering of what the backend numbers so. */
function fromBackend(f: Flow, seq: number): number {
  const length = f.header.length;
  const d = distance(f.start, seq);
  if (f.past || d >= length) return u32(seq - length);
  return d > 0 ? f.start : seq;
}

function refusedOption(segment: Buffer): string | null {
  const found = optionsOf(segment).find((o) => o.kind === 19 || o.kind === 29);
  if (found === undefined) return null;
  return found.kind === 19 ? 'tcp-md5' : 'tcp-ao';
}

function scaleOf(segment: Buffer): number | undefined {
  const option = optionsOf(segment).find((o) => o.kind === 3);
  if (option === undefined) return undefined;
  return option.length === 3 ? Math.min(14, segment[option.at + 2]!) : 0;
}

const fillNop = (segment: Buffer, o: Option): void => {
  segment.fill(1, o.at, o.at + o.length);
};

function blankMptcp(segment: Buffer): void {
  for (const o of optionsOf(segment)) {
    if (o.kind === 30 && o.length > 2 && segment[o.at + 2]! >>> 4 <= 1) fillNop(segment, o);
  }
}

function blankFastOpen(segment: Buffer): void {
  for (const o of optionsOf(segment)) {
    const experiment = o.kind === 254 && o.length >= 4 && segment.readUInt16BE(o.at + 2) === 0xf989;
    if (o.kind === 34 || experiment) fillNop(segment, o);
  }
}

/** Maps the edges of the first SACK option, takes out blocks that are empty then, and fills up with NOPs. */
function mapSack(segment: Buffer, map: (edge: number) => number): void {
  const o = optionsOf(segment).find((option) => option.kind === 5);
  if (o === undefined) return;
  const kept: number[] = [];
  let removed = false;
  for (let at = o.at + 2; at + 8 <= o.at + o.length; at += 8) {
    const left = segment.readUInt32BE(at);
    const right = segment.readUInt32BE(at + 4);
    const block = [map(left), map(right)];
    if (block[0] === block[1] && left !== right) removed = true;
    else kept.push(...block);
  }
  kept.forEach((edge, i) => segment.writeUInt32BE(edge, o.at + 2 + 4 * i));
  if (!removed) return;
  if (kept.length === 0) {
    fillNop(segment, o);
    return;
  }
  segment[o.at + 1] = 2 + 4 * kept.length;
  segment.fill(1, o.at + 2 + 4 * kept.length, o.at + o.length);
}
