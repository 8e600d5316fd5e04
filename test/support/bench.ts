/**
 * A translator on the bench: packets go in one at a time, what comes out is looked at as plain Buffers. Every packet
 * that comes out must have sound lengths and checksums, unless the test says that it put in one that had not.
 *
 * A twin without the short way for usual packets gets the same, and must do the same: so each test is one of both ways.
 */
import assert from 'node:assert/strict';
import { TO_PROVIDER } from '../../src/packet/outbox.js';
import { ABSORBED, FORWARD, HELD, type Reason, reasonOf, REASONS } from '../../src/packet/verdict.js';
import type { TranslatorOptions } from '../../src/translate/options.js';
import type { EndpointSpec, LinkSpec, RuleSpec, Topology } from '../../src/translate/topology.js';
import { Translator } from '../../src/translate/translator.js';
import { faults } from './dissect.js';

export interface Sent {
  readonly to: 'provider' | 'consumer';
  /** Consumer network; 0 towards the provider. */
  readonly network: number;
  readonly octets: Buffer;
  readonly missing: number;
}

export interface Outcome {
  /** 'forward', 'held', 'absorbed' or the reason of the drop. */
  readonly verdict: string;
  readonly sent: readonly Sent[];
}

export interface Circumstances {
  readonly network?: number;
  readonly missing?: number;
  readonly partial?: boolean;
  /** False: the packet's checksums or lengths are wrong on purpose, so what comes out is not judged. */
  readonly sound?: boolean;
  /** Octets of the frame behind the packet. */
  readonly trailer?: number;
}

const IN = 64;
const ROOM = 300_000;

/** One translator, and the memory that it works in. */
class Stand {
  readonly t: Translator;
  private readonly slab = Buffer.alloc(IN + ROOM + (1 << 20));
  private now = 0;

  constructor(topology: Topology, options: Partial<TranslatorOptions>, scratch: number) {
    const from = IN + ROOM;
    this.t = new Translator(topology, this.slab, from, from + scratch, { maxFlows: 4096, ...options });
    this.t.start(0);
  }

  client(packet: Uint8Array, how: Circumstances): Outcome {
    const end = this.put(packet, how);
    return this.outcome(this.t.fromConsumer(IN, end, how.network ?? 0, how.missing, how.partial), how);
  }

  backend(packet: Uint8Array, how: Circumstances): Outcome {
    const end = this.put(packet, how);
    return this.outcome(this.t.fromProvider(IN, end, how.missing, how.partial), how);
  }

  pass(ms: number): Sent[] {
    const sent: Sent[] = [];
    this.now += ms;
    let done = false;
    while (!done) {
      this.t.begin();
      done = this.t.advance(this.now);
      sent.push(...this.collect(true));
    }
    return sent;
  }

  private put(packet: Uint8Array, how: Circumstances): number {
    this.t.begin();
    this.slab.fill(0xa5, 0, IN + packet.length + 64);
    this.slab.set(packet, IN);
    return IN + packet.length + (how.trailer ?? 0);
  }

  private outcome(verdict: number, how: Circumstances): Outcome {
    const sound = (how.sound ?? true) && how.partial !== true && (how.missing ?? 0) === 0;
    const sent = this.collect(sound);
    if (verdict < 0) {
      assert.ok(-verdict <= REASONS.length, `verdict ${verdict}`);
      return { verdict: reasonOf(verdict), sent };
    }
    const name = new Map([
      [FORWARD, 'forward'],
      [HELD, 'held'],
      [ABSORBED, 'absorbed'],
    ]).get(verdict);
    assert.ok(name !== undefined, `verdict ${verdict}`);
    return { verdict: name, sent };
  }

  private collect(sound: boolean): Sent[] {
    const { outbox } = this.t;
    return Array.from({ length: outbox.count }, (_, i) => {
      const offset = outbox.offset[i]!;
      const octets = Buffer.from(this.slab.subarray(offset, offset + outbox.length[i]!));
      if (sound) assert.deepEqual(faults(octets), [], `packet ${i}: ${octets.toString('hex')}`);
      const to = outbox.side[i] === TO_PROVIDER ? 'provider' : 'consumer';
      return { to, network: to === 'consumer' ? outbox.network[i]! : 0, octets, missing: outbox.missing[i]! };
    });
  }
}

export class Bench {
  private readonly stand: Stand;
  private readonly twin: Stand;

  /** @param scratch octets in which the translator may build packets */
  constructor(topology: Topology, options: Partial<TranslatorOptions> = {}, scratch = 1 << 20) {
    this.stand = new Stand(topology, options, scratch);
    this.twin = new Stand(topology, options, scratch);
    this.twin.t.core.shortcut = false;
  }

  /** To look at; what a test changes it changes by `each`. */
  get t(): Translator {
    return this.stand.t;
  }

  /** A packet seen in a consumer network. */
  client(packet: Uint8Array, how: Circumstances = {}): Outcome {
    return this.same((stand) => stand.client(packet, how));
  }

  /** A packet seen on the provider's side. */
  backend(packet: Uint8Array, how: Circumstances = {}): Outcome {
    return this.same((stand) => stand.backend(packet, how));
  }

  /** Lets time go by. @returns what timers sent */
  pass(ms: number): Sent[] {
    return this.same((stand) => stand.pass(ms));
  }

  /** Does something to the translator, and to its twin. */
  each<T>(act: (t: Translator) => T): T {
    return this.same((stand) => act(stand.t));
  }

  /** How often packets were dropped for a reason. */
  drops(reason: Reason): number {
    return this.t.drops.toJSON()[reason] ?? 0;
  }

  private same<T>(act: (stand: Stand) => T): T {
    const one = act(this.stand);
    const other = act(this.twin);
    assert.deepEqual(other, one, 'the twin without the short way');
    const { t } = this.twin;
    assert.deepEqual([t.counters, t.drops, t.flows.count], [this.t.counters, this.t.drops, this.t.flows.count]);
    return one;
  }
}

/** A dotted address as the number that topologies hold. */
export const address = (dotted: string): number => dotted.split('.').reduce((n, part) => n * 256 + Number(part), 0);

export const rule = (fields: Partial<RuleSpec> = {}): RuleSpec => ({
  protocol: 6,
  frontendPort: 0,
  backendPort: 0,
  backends: [address('10.1.0.4')],
  distribution: 'Default',
  idleTimeoutMs: 240_000,
  tcpReset: false,
  ...fields,
});

export const endpoint = (fields: Partial<EndpointSpec> = {}): EndpointSpec => ({
  name: 'pe',
  network: 0,
  address: address('10.9.0.4'),
  linkId: 536892189,
  approved: true,
  ...fields,
});

/** One consumer network, one endpoint 10.9.0.4, backend 10.1.0.4 behind NAT address 192.0.2.1; PROXY in Azure's form. */
export const link = (fields: Partial<LinkSpec> = {}): LinkSpec => ({
  name: 'link',
  natAddresses: [address('192.0.2.1')],
  natPortFirst: 1024,
  natPortCount: 64_000,
  proxy: { dialect: 'azure' },
  rules: [rule(), rule({ protocol: 17 })],
  destination: null,
  tcpIdleTimeoutMs: 240_000,
  udpIdleTimeoutMs: 240_000,
  endpoints: [endpoint()],
  ...fields,
});

export const topology = (...links: LinkSpec[]): Topology => ({
  networks: ['a', 'b'],
  links: links.length === 0 ? [link()] : links,
});
