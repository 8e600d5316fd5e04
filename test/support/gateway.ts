/**
 * A translator with a slab of its own, for tests that think in packets: a packet goes in as octets, what comes out are
 * copies. Around every packet lies a fence, so that a write outside the packet and outside the scratch is noticed.
 */
import assert from 'node:assert/strict';
import { FORWARD, HELD, reasonOf } from '../../src/packet/verdict.js';
import { TO_PROVIDER } from '../../src/packet/outbox.js';
import type { TranslatorOptions } from '../../src/translate/options.js';
import { LIFTED, Recording, SIDE_LIFTED } from '../../src/translate/recording.js';
import type { EndpointSpec, LinkSpec, ProxySpec, RuleSpec, Topology } from '../../src/translate/topology.js';
import { Translator } from '../../src/translate/translator.js';

const FENCE = 64;
const FENCE_OCTET = 0xa5;
const PACKET_ROOM = 1 << 17;
const SCRATCH = 1 << 18;

export type Side = 'provider' | 'consumer' | 'lifted';

/** A packet that came out. */
export interface Emitted {
  readonly side: Side;
  /** The consumer network, where the side is `consumer`. */
  readonly network: number;
  readonly octets: Buffer;
  /** Octets behind these that a capture cut off. */
  readonly missing: number;
}

export interface Result {
  /** `forward`, `held`, `lifted`, or the reason of a drop. */
  readonly verdict: string;
  readonly out: Emitted[];
}

/** How a packet was seen. */
export interface Seen {
  readonly network?: number;
  /** Octets that a capture cut off behind the packet. */
  readonly missing?: number;
  readonly partial?: boolean;
}

const nameOf = (verdict: number): string => {
  if (verdict === FORWARD) return 'forward';
  if (verdict === HELD) return 'held';
  if (verdict === LIFTED) return 'lifted';
  return reasonOf(verdict);
};

export class Gateway {
  readonly translator: Translator;
  private recording: Recording | null = null;
  private readonly slab = Buffer.alloc(FENCE + PACKET_ROOM + SCRATCH + FENCE, FENCE_OCTET);
  private readonly scratchFrom = FENCE + PACKET_ROOM;

  constructor(topology: Topology, options: Partial<TranslatorOptions> = {}) {
    const scratchTo = this.scratchFrom + SCRATCH;
    this.translator = new Translator(topology, this.slab, this.scratchFrom, scratchTo, { maxFlows: 256, ...options });
  }

  fromConsumer(packet: Uint8Array, seen: Seen = {}): Result {
    const { translator: t } = this;
    return this.pass(packet, (from, to) =>
      t.fromConsumer(from, to, seen.network ?? 0, seen.missing ?? 0, seen.partial ?? false),
    );
  }

  fromProvider(packet: Uint8Array, seen: Seen = {}): Result {
    const { translator: t } = this;
    return this.pass(packet, (from, to) => t.fromProvider(from, to, seen.missing ?? 0, seen.partial ?? false));
  }

  /** A packet of a recording. */
  record(packet: Uint8Array, seen: Seen = {}): Result {
    // Only once it is one: recordings are told from live traffic.
    const recording = (this.recording ??= new Recording(this.translator));
    return this.pass(packet, (from, to) =>
      recording.packet(from, to, seen.network ?? 0, seen.missing ?? 0, seen.partial ?? false),
    );
  }

  /** Moves time; what timers send. */
  advance(nowMs: number): Emitted[] {
    const { translator: t } = this;
    const out: Emitted[] = [];
    let done = false;
    while (!done) {
      t.begin();
      done = t.advance(nowMs);
      out.push(...this.emitted(0, 0));
    }
    return out;
  }

  private pass(packet: Uint8Array, work: (from: number, to: number) => number): Result {
    const { slab, translator: t } = this;
    // Packets start at any even offset, as they do behind link headers.
    const from = FENCE;
    const to = from + packet.length;
    assert(to + FENCE <= this.scratchFrom, 'the packet is larger than the room for it');
    slab.set(packet, from);
    slab.fill(FENCE_OCTET, to, to + FENCE);
    t.begin();
    const verdict = nameOf(work(from, to));
    const intact =
      slab.subarray(0, FENCE).every((octet) => octet === FENCE_OCTET) &&
      slab.subarray(to, to + FENCE).every((octet) => octet === FENCE_OCTET) &&
      slab.subarray(slab.length - FENCE).every((octet) => octet === FENCE_OCTET);
    assert(intact, 'the translator wrote outside the packet and its scratch');
    return { verdict, out: this.emitted(from, to) };
  }

  private emitted(from: number, to: number): Emitted[] {
    const { outbox } = this.translator;
    const out: Emitted[] = [];
    for (let i = 0; i < outbox.count; i++) {
      const start = outbox.offset[i]!;
      const end = start + outbox.length[i]!;
      const inPacket = start >= from && end <= to;
      const inScratch = start >= this.scratchFrom && end <= this.scratchFrom + SCRATCH;
      assert(inPacket || inScratch, `packet ${i} of the outbox lies outside the packet and the scratch`);
      const side = outbox.side[i]!;
      out.push({
        side: side === SIDE_LIFTED ? 'lifted' : side === TO_PROVIDER ? 'provider' : 'consumer',
        network: outbox.network[i]!,
        octets: Buffer.from(this.slab.subarray(start, end)),
        missing: outbox.missing[i]!,
      });
    }
    return out;
  }
}

/** An address as a number. */
export function address(dotted: string): number {
  return Buffer.from(dotted.split('.').map(Number)).readUInt32BE(0);
}

/** An address as text. */
export function dotted(value: number): string {
  const b = Buffer.alloc(4);
  b.writeUInt32BE(value >>> 0, 0);
  return b.join('.');
}

export function rule(over: Partial<RuleSpec> = {}): RuleSpec {
  return {
    protocol: 6,
    frontendPort: 0,
    backendPort: 0,
    backends: [address('172.16.0.1')],
    distribution: 'Default',
    idleTimeoutMs: 300_000,
    tcpReset: false,
    ...over,
  };
}

export function endpoint(over: Partial<EndpointSpec> = {}): EndpointSpec {
  return { name: 'pe', network: 0, address: address('10.9.0.4'), linkId: 536893213, approved: true, ...over };
}

export function link(over: Partial<LinkSpec> = {}): LinkSpec {
  return {
    name: 'pls',
    natAddresses: [address('198.18.0.1')],
    natPortFirst: 1024,
    natPortCount: 64_000,
    proxy: { dialect: 'azure' },
    rules: [rule(), rule({ protocol: 17 })],
    destination: null,
    tcpIdleTimeoutMs: 300_000,
    udpIdleTimeoutMs: 300_000,
    endpoints: [endpoint()],
    ...over,
  };
}

/** A service whose header is of any length from 28 octets on: one TLV makes it longer than 30. */
export function proxyOfLength(length: number): ProxySpec {
  const tlvs = length < 31 ? [] : [{ type: 0xe5, value: Buffer.alloc(length - 31, 0x5a) }];
  return { dialect: 'custom', tlvs, crc32c: false };
}

/** One network, one link. */
export function lab(over: Partial<LinkSpec> = {}): Topology {
  return { networks: ['net'], links: [link(over)] };
}
