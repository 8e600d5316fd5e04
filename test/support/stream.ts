/**
 * One TCP connection through a translator on the bench. Positions are counted from each stream's start: a client octet
 * `at` has the sequence number S + at, and the backend acknowledges `acked` octets of header and client data together.
 */
import assert from 'node:assert/strict';
import { encode } from '../../src/wire/proxy/index.js';
import type { Bench, Circumstances, Outcome, Sent } from './bench.js';
import { type Segment, segment } from './dissect.js';
import { ACK, SYN, tcpPacket, type TcpFields } from './packets.js';

export const CLIENT = '10.0.0.5';
export const CLIENT_PORT = 40000;
export const ENDPOINT = '10.9.0.4';
export const SERVICE_PORT = 443;
export const BACKEND = '10.1.0.4';
export const NAT = '192.0.2.1';

/** The header of the default bench's connection: Azure's LINKID 536892189, little-endian. */
export const HEADER = encode({
  command: 'PROXY',
  family: 'inet',
  transport: 'stream',
  source: { address: CLIENT, port: CLIENT_PORT },
  destination: { address: ENDPOINT, port: SERVICE_PORT },
  tlvs: [{ type: 0xee, value: Buffer.from('011d530020', 'hex') }],
});

export interface StreamStart {
  readonly isn?: number;
  readonly backendIsn?: number;
  readonly client?: string;
  readonly clientPort?: number;
  readonly endpoint?: string;
  readonly network?: number;
  readonly header?: Buffer;
}

/** Fields of a segment, its place in the stream by position. */
export interface At extends Partial<TcpFields> {
  /** Position of its first octet. */
  readonly at?: number;
  /** Octets of the other side's stream that it acknowledges. */
  readonly acked?: number;
}

export class Stream {
  readonly bench: Bench;
  /** The client's first sequence number. */
  readonly s: number;
  readonly b: number;
  readonly header: Buffer;
  readonly client: string;
  readonly clientPort: number;
  readonly endpoint: string;
  readonly network: number;
  /** Known from the SYN's translation on. */
  natPort = -1;
  nat = NAT;
  backendAddress = BACKEND;

  constructor(bench: Bench, start: StreamStart = {}) {
    this.bench = bench;
    this.s = ((start.isn ?? 999) + 1) >>> 0;
    this.b = ((start.backendIsn ?? 6999) + 1) >>> 0;
    this.header = start.header ?? HEADER;
    this.client = start.client ?? CLIENT;
    this.clientPort = start.clientPort ?? CLIENT_PORT;
    this.endpoint = start.endpoint ?? ENDPOINT;
    this.network = start.network ?? 0;
  }

  /** L. */
  get length(): number {
    return this.header.length;
  }

  /** Sends the SYN; learns the NAT port. */
  syn(fields: At = {}, how: Circumstances = {}): Outcome {
    const outcome = this.send({ flags: SYN, ack: 0, at: -1, ...fields }, how);
    const [syn] = outcome.sent;
    if (syn !== undefined) {
      const out = segment(syn.octets);
      this.natPort = out.sport;
      this.nat = out.src;
      this.backendAddress = out.dst;
    }
    return outcome;
  }

  synAck(fields: At = {}, how: Circumstances = {}): Outcome {
    return this.reply({ flags: SYN | ACK, at: -1, acked: 0, ...fields }, how);
  }

  /** A segment from the client. */
  send(fields: At = {}, how: Circumstances = {}): Outcome {
    return this.bench.client(this.clientPacket(fields), { network: this.network, ...how });
  }

  /** A segment from the backend. */
  reply(fields: At = {}, how: Circumstances = {}): Outcome {
    return this.bench.backend(this.backendPacket(fields), how);
  }

  clientPacket({ at = 0, acked = 0, ...fields }: At): Buffer {
    const { client, clientPort, endpoint } = this;
    const place = { src: client, sport: clientPort, dst: endpoint, dport: SERVICE_PORT };
    return tcpPacket({ ...place, seq: this.s + at, ack: this.b + acked, ...fields });
  }

  backendPacket({ at = 0, acked = 0, ...fields }: At): Buffer {
    const place = { src: this.backendAddress, sport: SERVICE_PORT, dst: this.nat, dport: this.natPort };
    return tcpPacket({ ...place, seq: this.b + at, ack: this.s + acked, ...fields });
  }

  /** SYN, SYN-ACK, and the ACK that the header replaces; the backend acknowledges nothing yet. */
  open(syn: At = {}, synAck: At = {}): this {
    assert.equal(this.syn(syn).verdict, 'forward');
    assert.equal(this.synAck(synAck).verdict, 'forward');
    this.isHeader(only(this.send()));
    return this;
  }

  /** `open`, and the header acknowledged. */
  established(syn: At = {}, synAck: At = {}): this {
    this.open(syn, synAck);
    only(this.reply({ acked: this.length }));
    return this;
  }

  /** Position of a segment towards the backend in `header ++ client octets`, SYN at -1. */
  position(sent: Sent): number {
    return (segment(sent.octets).seq - this.s) | 0;
  }

  /** Octets of the client's stream that a segment towards the client acknowledges. */
  acknowledged(sent: Sent): number {
    return (segment(sent.octets).ack - this.s) | 0;
  }

  /** The packet is this stream's header, whole and in its place. */
  isHeader(sent: Sent): Segment {
    assert.equal(sent.to, 'provider');
    const out = segment(sent.octets);
    assert.equal(out.payload.toString('hex'), this.header.toString('hex'), 'the header');
    assert.equal(this.position(sent), 0, 'the header starts at S');
    assert.deepEqual([out.src, out.sport, out.dst], [this.nat, this.natPort, this.backendAddress]);
    return out;
  }
}

/** What came out, when it must be one packet. */
export function only(outcome: Outcome | readonly Sent[]): Sent {
  const sent = 'sent' in outcome ? outcome.sent : outcome;
  if ('sent' in outcome) assert.equal(outcome.verdict, 'forward');
  assert.equal(sent.length, 1, 'one packet');
  return sent[0]!;
}

/** What came out, when it must be two packets. */
export function two(outcome: Outcome): [Sent, Sent] {
  assert.equal(outcome.verdict, 'forward');
  assert.equal(outcome.sent.length, 2, 'two packets');
  return [outcome.sent[0]!, outcome.sent[1]!];
}
