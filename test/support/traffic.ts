/**
 * Random traffic that is mostly sensible: a few TCP and UDP conversations per run, with retransmissions, reordering,
 * old and far-off numbers, odd options, SACK, FIN, RST, reuse of tuples, ICMP errors about what was sent, fragments in
 * any order, wrong and partial checksums, cut and padded packets, garbage. One number decides all of it, and the
 * traffic learns from what the translator sent, since a server answers to the NAT address.
 */
import type { Topology } from '../../src/translate/topology.js';
import { address, dotted, type Emitted, endpoint, link, rule, type Seen } from './gateway.js';
import {
  ACK,
  FIN,
  fragments,
  icmpError,
  type Ipv4Fields,
  ipv4Packet,
  onesSum,
  PSH,
  pseudoSum,
  RST,
  SYN,
  tcpPacket,
  udpPacket,
  URG,
  withChecksum,
} from './packets.js';
import type { Random } from './random.js';

export type Step =
  | { readonly kind: 'packet'; readonly from: 'consumer' | 'provider'; readonly octets: Buffer; readonly seen: Seen }
  | { readonly kind: 'pause'; readonly long: boolean; readonly ms: number };

interface Conversation {
  readonly network: number;
  readonly protocol: 6 | 17;
  readonly consumer: string;
  readonly consumerPort: number;
  readonly endpoint: string;
  readonly endpointPort: number;
  readonly headerLength: number;
  /** The client's ISN, and the server's. */
  iss: number;
  irs: number;
  /** What the server sees of it, once something went there. */
  server: {
    readonly nat: string;
    readonly natPort: number;
    readonly backend: string;
    readonly backendPort: number;
  } | null;
  /** The last packets that went to either side. */
  readonly toServer: Buffer[];
  readonly toClient: Buffer[];
}

const CUSTOM_TLV = { type: 0xe7, value: Buffer.from('two octets more') };

/** Header lengths of the links of `trafficTopology`, by the endpoint's address. */
const HEADERS: Readonly<Record<string, number>> = { '10.9.0.1': 36, '10.9.0.2': 53, '10.9.0.3': 0, '10.9.0.4': 0 };

/** Services of each kind: insertion with even and odd headers, Direct Connect, refusals, few NAT ports. */
export function trafficTopology(): Topology {
  const backends = ['172.16.0.1', '172.16.0.2', '172.16.0.3'].map(address);
  return {
    networks: ['one', 'two'],
    links: [
      link({
        name: 'azure',
        natAddresses: [address('198.18.0.1'), address('198.18.0.2')],
        natPortFirst: 5000,
        natPortCount: 1,
        rules: [
          rule({ frontendPort: 443, backendPort: 8443, backends: backends.slice(0, 2), tcpReset: true }),
          rule({ frontendPort: 80, backendPort: 80, backends: [] }),
          rule({ protocol: 17, frontendPort: 53, backendPort: 5353, backends, distribution: 'SourceIP' }),
        ],
        endpoints: [
          endpoint({ name: 'a0', address: address('10.9.0.1'), linkId: 1 }),
          endpoint({ name: 'a1', network: 1, address: address('10.9.0.1'), linkId: 0xfffffffe }),
          endpoint({ name: 'refused', address: address('10.9.0.5'), approved: false }),
        ],
      }),
      link({
        name: 'custom',
        natAddresses: [address('198.18.1.1')],
        natPortFirst: 1,
        natPortCount: 65_535,
        proxy: { dialect: 'custom', tlvs: [CUSTOM_TLV], crc32c: true },
        rules: [
          rule({ backends, distribution: 'SourceIPProtocol' }),
          rule({ protocol: 17, backends, distribution: 'SourceIPProtocol' }),
        ],
        endpoints: [endpoint({ name: 'b0', address: address('10.9.0.2') })],
      }),
      link({
        name: 'direct',
        natAddresses: [address('198.18.2.1'), address('198.18.2.2')],
        proxy: null,
        rules: [],
        destination: address('172.16.9.9'),
        endpoints: [
          endpoint({ name: 'c0', address: address('10.9.0.3') }),
          endpoint({ name: 'c1', network: 1, address: address('10.9.0.3') }),
        ],
      }),
    ],
  };
}

export class Traffic {
  private readonly random: Random;
  private readonly conversations: Conversation[] = [];
  private readonly queue: Step[] = [];
  private current: Conversation | null = null;
  /** Some runs are full of fragments. */
  private readonly fragmented: boolean;

  constructor(random: Random) {
    this.random = random;
    this.fragmented = random.chance(0.2);
    const ports = { '10.9.0.1': [443, 443, 443, 80], '10.9.0.2': [7, 65535], '10.9.0.3': [22, 1] };
    for (let n = random.int(1, 6); n > 0; n--) {
      const endpointAddress = random.pick(['10.9.0.1', '10.9.0.1', '10.9.0.2', '10.9.0.2', '10.9.0.3'] as const);
      const isUdp = random.chance(this.fragmented ? 0.8 : 0.25);
      this.conversations.push({
        network: endpointAddress === '10.9.0.2' ? 0 : random.int(0, 1),
        protocol: isUdp ? 17 : 6,
        consumer: random.pick(['10.0.0.1', '10.0.0.2', '203.0.113.255']),
        consumerPort: random.pick([1024, 40000, 65535]),
        endpoint: endpointAddress,
        endpointPort: endpointAddress === '10.9.0.1' && isUdp ? 53 : random.pick(ports[endpointAddress]),
        headerLength: HEADERS[endpointAddress]!,
        iss: random.pick([random.int(0, 0xffffffff), 0xffffffff - random.int(0, 80), 0x7fffffff - random.int(0, 80)]),
        irs: random.int(0, 0xffffffff),
        server: null,
        toServer: [],
        toClient: [],
      });
    }
  }

  next(): Step {
    const { random } = this;
    const queued = this.queue.shift();
    if (queued !== undefined) return queued;
    const kind = random.next();
    if (kind < 0.04) return { kind: 'pause', long: random.chance(0.2), ms: random.int(0, 40) };
    if (kind < 0.08) return this.garbage();
    const c = random.pick(this.conversations);
    this.current = c;
    if (kind < 0.16) return this.error(c);
    const fromServer = c.server !== null && random.chance(0.45);
    const octets = c.protocol === 17 ? this.datagram(c, fromServer) : this.segment(c, fromServer);
    return this.disturbed(octets, fromServer ? 'provider' : 'consumer', c);
  }

  /** What the translator made of the last step. */
  learn(out: readonly Emitted[]): void {
    const c = this.current;
    for (const { side, octets } of out) {
      if (c === null || octets.length < 28) continue;
      const to = side === 'provider' ? c.toServer : c.toClient;
      to.push(octets);
      if (to.length > 4) to.shift();
      const isFirst = (octets.readUInt16BE(6) & 0x1fff) === 0;
      if (side !== 'provider' || octets[9] !== c.protocol || !isFirst) continue;
      const l4 = (octets[0]! & 15) * 4;
      c.server = {
        nat: octets.subarray(12, 16).join('.'),
        backend: octets.subarray(16, 20).join('.'),
        natPort: octets.readUInt16BE(l4),
        backendPort: octets.readUInt16BE(l4 + 2),
      };
    }
  }

  // --- packets

  private ip(source: string, destination: string): Ipv4Fields {
    const { random } = this;
    return {
      src: source,
      dst: destination,
      ttl: random.chance(0.02) ? random.int(0, 2) : random.pick([64, 255, 3]),
      id: random.pick([0, 7, 7, 8, random.int(0, 65535)]),
      df: random.chance(0.7),
      tos: random.pick([0, 0, 2, 3, 255]),
      ...(random.chance(0.05) ? { ipOptions: random.octets(4 * random.int(1, 10)) } : {}),
    };
  }

  private ends(c: Conversation, fromServer: boolean): Ipv4Fields & { sport: number; dport: number } {
    const { server } = c;
    return fromServer && server !== null
      ? { ...this.ip(server.backend, server.nat), sport: server.backendPort, dport: server.natPort }
      : { ...this.ip(c.consumer, c.endpoint), sport: c.consumerPort, dport: c.endpointPort };
  }

  private datagram(c: Conversation, fromServer: boolean): Buffer {
    const { random } = this;
    const payload = random.octets(random.pick([0, 1, 8, 34, random.int(0, 300)]));
    const fields = { ...this.ends(c, fromServer), payload, checksum: random.chance(0.8) };
    if (payload.length >= 2 && random.chance(0.15)) {
      // A checksum that comes out as 0 goes as 65535: on this side, or on the other.
      const { server } = c;
      const other = fromServer
        ? { src: c.endpoint, dst: c.consumer, sport: c.endpointPort, dport: c.consumerPort }
        : server && { src: server.nat, dst: server.backend, sport: server.natPort, dport: server.backendPort };
      payload.writeUInt16BE(0, 0);
      const side = random.chance(0.5) && other !== null ? { ...fields, ...other } : fields;
      const sum = udpPacket({ ...side, checksum: true });
      payload.writeUInt16BE(sum.readUInt16BE((sum[0]! & 15) * 4 + 6), 0);
    }
    return udpPacket(fields);
  }

  /** An offset from the start of a stream: mostly near, sometimes before it, in the header, or anywhere. */
  private offset(c: Conversation): number {
    const { random } = this;
    const near = c.headerLength + 2;
    return random.pick([
      0,
      0,
      0,
      random.int(0, 3) * 10,
      random.int(-2, near),
      near * 2,
      2 ** random.int(3, 32) + random.int(-40, 40),
    ]);
  }

  private segment(c: Conversation, fromServer: boolean): Buffer {
    const { random } = this;
    const kind = random.next();
    const length = random.pick([0, 0, 0, 1, 10, 10, random.int(0, 100)]);
    const payload = random.octets(length);
    const ends = this.ends(c, fromServer);
    const odd = random.chance(0.03) ? random.int(0, 255) : null;
    const options = this.options(c, fromServer, kind < 0.2);
    const common = { ...ends, options, window: random.pick([0, 1, 40, 8000, 65535]), urgent: random.int(0, 40) };
    if (!fromServer) {
      const ack = c.irs + 1 + Math.max(0, random.int(-3, 3)) * 10;
      if (kind < 0.2) {
        if (random.chance(0.3)) c.iss = (c.iss + random.pick([1, 50, 70_000, 70_000, 2 ** 31, -1])) >>> 0;
        const data = random.chance(0.2) ? payload : Buffer.alloc(0);
        return tcpPacket({ ...common, seq: c.iss, flags: odd ?? SYN, payload: data });
      }
      const flags = random.pick([ACK, ACK, ACK, ACK | PSH, ACK | FIN, RST, RST | ACK, ACK | URG]);
      return tcpPacket({ ...common, seq: c.iss + 1 + this.offset(c), ack, flags: odd ?? flags, payload });
    }
    const at = random.chance(0.5) ? c.headerLength + random.pick([0, 10, 20]) : this.offset(c);
    const ack = c.iss + 1 + at;
    if (kind < 0.2) {
      const about = random.chance(0.8) ? c.iss + 1 : ack;
      return tcpPacket({ ...common, seq: c.irs, ack: about, flags: odd ?? SYN | ACK });
    }
    const seq = c.irs + 1 + Math.max(0, random.int(-3, 3)) * 10;
    const flags = random.pick([ACK, ACK, ACK, ACK | PSH, ACK | FIN, RST, RST | ACK]);
    return tcpPacket({ ...common, seq, ack, flags: odd ?? flags, payload });
  }

  private options(c: Conversation, fromServer: boolean, isSyn: boolean): Uint8Array {
    const { random } = this;
    const out: number[] = [];
    const mptcp = (): number[] => [30, 4, random.pick([0, 0x10, 0x20]), 9];
    const choices: (() => number[])[] = [
      () => [1],
      () => [8, 10, ...random.octets(8)],
      mptcp,
      () => [random.pick([34, 254]), 4, 0xf9, 0x89],
      () => [253, 3, 7],
    ];
    if (isSyn) {
      choices.push(() => [3, 3, random.int(0, 16)]);
      choices.push(() => [
        2,
        4,
        ...random.pick([
          [5, 0xb4],
          [5, 0xb4],
          [0, 40],
          [0, 0],
        ]),
      ]);
    }
    if (fromServer) {
      choices.push(
        () => this.sack(c),
        () => this.sack(c),
      );
    }
    if (random.chance(0.04)) choices.push(() => [random.pick([19, 29]), 4, 0, 0]);
    if (random.chance(0.04)) choices.push(() => [...random.octets(random.int(1, 6))]);
    for (let n = random.int(0, 3); n > 0; n--) {
      const option = random.pick(choices)();
      if (out.length + option.length <= 40) out.push(...option);
    }
    return Uint8Array.from(out);
  }

  private sack(c: Conversation): number[] {
    const { random } = this;
    const blocks: number[] = [];
    const count = random.int(0, 4);
    for (let i = 0; i < count; i++) {
      const left = c.iss + 1 + this.offset(c);
      const b = Buffer.alloc(8);
      b.writeUInt32BE(left >>> 0, 0);
      b.writeUInt32BE((left + random.pick([0, 1, 10, c.headerLength])) >>> 0, 4);
      blocks.push(...b);
    }
    if (random.chance(0.05)) blocks.push(1, 2, 3);
    return [5, 2 + blocks.length, ...blocks];
  }

  // --- what may happen to them

  private disturbed(packet: Buffer, from: 'consumer' | 'provider', c: Conversation): Step {
    const { random } = this;
    const seen: Seen = { network: c.network };
    let octets: Buffer = packet;
    const l4 = (octets[0]! & 15) * 4;
    const kind = random.next();
    const share = this.fragmented ? 0.6 : 0.05;
    if (random.chance(share) && octets.length - l4 > 24) return this.inFragments(octets, from, seen);
    if (kind < 0.05) {
      // A wrong transport checksum.
      const field = l4 + (octets[9] === 6 ? 16 : 6);
      octets.writeUInt16BE(random.pick([0, 0xffff, random.int(0, 65535)]), field);
      // Right, and as near to 0 as that can be: 0 and 65535 are one number in this arithmetic.
      if (octets[9] === 6 && random.chance(0.3) && octets.length >= l4 + 20) {
        octets.writeUInt16BE(0, l4 + 18);
        octets.writeUInt16BE(withChecksum(octets).readUInt16BE(field), l4 + 18);
        octets.writeUInt16BE(random.pick([0, 0xffff]), field);
      }
    } else if (kind < 0.08) {
      const field = l4 + (octets[9] === 6 ? 16 : 6);
      octets.writeUInt16BE(onesSum(Buffer.alloc(0), pseudoSum(octets, octets.length - l4)), field);
      return { kind: 'packet', from, octets, seen: { ...seen, partial: true } };
    } else if (kind < 0.12) {
      octets = Buffer.concat([octets, random.octets(random.int(1, 20))]);
    } else if (kind < 0.18) {
      const cut = random.int(0, Math.min(octets.length, 60));
      return { kind: 'packet', from, octets: octets.subarray(0, octets.length - cut), seen: { ...seen, missing: cut } };
    } else if (kind < 0.2) {
      return { kind: 'packet', from, octets, seen: { network: 1 - c.network } };
    } else if (kind < 0.23) {
      octets = Buffer.from(octets);
      octets[random.int(0, Math.min(octets.length, 60) - 1)] = random.int(0, 255);
      if (random.chance(0.7)) octets = fixedHeader(octets);
    } else if (kind < 0.24) {
      octets = octets.subarray(0, random.int(0, octets.length));
    }
    return { kind: 'packet', from, octets, seen };
  }

  private inFragments(octets: Buffer, from: 'consumer' | 'provider', seen: Seen): Step {
    const { random } = this;
    octets.writeUInt16BE(0, 6);
    octets.writeUInt16BE(random.pick([7, 7, 7, 8]), 4); // two consumers, one number
    const header = (octets[0]! & 15) * 4;
    const parts = fragments(withChecksum(octets), Math.max(header, 20) + random.pick([24, 24, 32, 64]));
    for (let i = parts.length - 1; i > 0; i--) {
      const j = random.chance(0.5) ? random.int(0, i) : i;
      [parts[i], parts[j]] = [parts[j]!, parts[i]!];
    }
    const steps = parts
      .filter(() => random.chance(0.97))
      .flatMap((part) => (random.chance(0.05) ? [part, part] : [part]))
      .map((part): Step => {
        const missing = random.chance(0.05) ? random.int(1, 8) : 0;
        const octets = Buffer.from(part.subarray(0, part.length - missing));
        return { kind: 'packet', from, octets, seen: { ...seen, missing } };
      });
    this.queue.push(...steps);
    return this.queue.shift() ?? { kind: 'pause', long: false, ms: 1 };
  }

  private error(c: Conversation): Step {
    const { random } = this;
    const fromServer = random.chance(0.6);
    const about = random.pick([...(fromServer ? c.toServer : c.toClient), null]);
    if (about === null) return this.garbage();
    const quoted = Buffer.from(about);
    // Routers send back what they got, with what they did to it.
    if (random.chance(0.3)) quoted[8] = random.int(0, 255);
    if (random.chance(0.2)) quoted[random.int(0, Math.min(quoted.length, 44) - 1)] = random.int(0, 255);
    const back = quoted.subarray(12, 16).join('.');
    const source = random.chance(0.5) ? quoted.subarray(16, 20).join('.') : '192.0.2.1';
    const octets = icmpError({
      ...this.ip(source, back),
      type: random.pick([3, 3, 11, 12, 4, 5, 8]),
      code: random.int(0, 4),
      rest: random.int(0, 1500),
      about: quoted,
      quote: random.pick([20, 28, 28, 32, 36, 40, 60, quoted.length]),
    });
    return this.disturbed(octets, fromServer ? 'provider' : 'consumer', c);
  }

  private garbage(): Step {
    const { random } = this;
    const from = random.chance(0.5) ? 'consumer' : 'provider';
    const seen = { network: random.int(0, 1) };
    if (random.chance(0.3)) return { kind: 'packet', from, octets: random.octets(random.int(0, 80)), seen };
    const places = ['10.9.0.1', '10.9.0.5', '10.9.0.6', '10.0.0.1', '224.0.0.1', '0.0.0.0', '198.18.0.1', '172.16.0.1'];
    const protocol = random.pick([1, 6, 6, 17, 17, 47]);
    const body = random.octets(random.int(0, 60));
    if (body.length >= 20 && protocol === 6) body[12] = random.int(0, 255) & 0x70;
    if (body.length >= 8 && protocol === 17) body.writeUInt16BE(random.int(0, 60), 4);
    if (body.length >= 4 && random.chance(0.5)) body.writeUInt16BE(random.pick([443, 80, 53, 1]), 2);
    const octets = ipv4Packet(protocol, this.ip(random.pick(places), random.pick(places)), body);
    if (random.chance(0.2)) {
      octets.writeUInt16BE(random.int(0, 65535), 6);
      return { kind: 'packet', from, octets: fixedHeader(octets), seen };
    }
    return { kind: 'packet', from, octets, seen };
  }
}

/** The IPv4 header's checksum made right, as far as there is a header. */
export function fixedHeader(octets: Buffer): Buffer {
  const length = (octets[0]! & 15) * 4;
  if (octets.length < 20 || length < 20 || octets.length < length) return octets;
  octets.writeUInt16BE(0, 10);
  octets.writeUInt16BE(0xffff - onesSum(octets.subarray(0, length)), 10);
  return octets;
}

/** A step as text, for a failure. */
export function describeStep(step: Step): string {
  if (step.kind === 'pause') return step.long ? 'long silence' : `${step.ms} ms`;
  const { octets, seen, from } = step;
  const extra = [
    seen.network === 1 ? 'network 1' : '',
    (seen.missing ?? 0) > 0 ? `${seen.missing ?? 0} cut off` : '',
    seen.partial === true ? 'partial' : '',
  ].filter(Boolean);
  return `${from}: ${describeOctets(octets)} ${extra.join(', ')} ${octets.toString('hex')}`;
}

function describeOctets(b: Buffer): string {
  if (b.length < 20) return `${b.length} octets`;
  const l4 = (b[0]! & 15) * 4;
  const ends = `${dotted(b.readUInt32BE(12))} → ${dotted(b.readUInt32BE(16))}`;
  if (b.length < l4 + 8) return ends;
  const ports = `${b.readUInt16BE(l4)} → ${b.readUInt16BE(l4 + 2)}`;
  if (b[9] === 6 && b.length >= l4 + 20) {
    const flags = b[l4 + 13]!.toString(16);
    return `tcp ${ends} ${ports} seq ${b.readUInt32BE(l4 + 4)} ack ${b.readUInt32BE(l4 + 8)} flags 0x${flags}`;
  }
  return `protocol ${b[9]!} ${ends} ${ports}`;
}
