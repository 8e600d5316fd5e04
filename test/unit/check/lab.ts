/**
 * A replay made by hand: what was given, and what a right translator makes of it, packet by packet, for tests to spoil.
 * Consumers are 10.0.0.x, the endpoint is 10.9.0.4, NAT addresses are 198.18.0.x, the backend is 198.19.0.1.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { CheckOptions, CheckReport } from '../../../src/check/index.js';
import { checkReplay } from '../../../src/check/index.js';
import type { CapturedPacket, TcpFields, UdpFields } from '../../support/packets.js';
import { ACK, FIN, PSH, SYN, tcpPacket, udpPacket, writePcap } from '../../support/packets.js';

export const ENDPOINT = '10.9.0.4';
export const BACKEND = '198.19.0.1';
export const LINK_ID = 536893213;
/** Octets of a header with the Azure TLV. */
export const L = 36;

export const POOL = [{ base: 0xc6120000, prefix: 29 }];

/** The header of the design's own example, for any client. */
export function header(client: string, port: number, linkId = LINK_ID): Buffer {
  const b = Buffer.from('0d0a0d0a000d0a515549540a211100140a0000050a0900049c4001bbee00050100000000', 'hex');
  Buffer.from(client.split('.').map(Number)).copy(b, 16);
  b.writeUInt16BE(port, 24);
  b.writeUInt32LE(linkId, 32);
  return b;
}

/** A packet in the order of a file, with a time in microseconds. */
export type Timed = CapturedPacket & { readonly octets: Buffer };

export class Lab {
  readonly input: Timed[] = [];
  readonly provider: Timed[] = [];
  readonly consumer: Timed[] = [];
  readonly providerInput: Timed[] = [];
  /** Microseconds; each packet takes one millisecond. */
  now = 1_700_000_000_000_000;

  at(octets: Buffer): Timed {
    return { octets, seconds: Math.floor(this.now / 1e6), microseconds: this.now % 1e6 };
  }

  tick(): void {
    this.now += 1000;
  }
}

type Segment = Partial<Omit<TcpFields, 'src' | 'dst' | 'sport' | 'dport'>>;

/** One TCP connection through the service. `seq` and `ack` of the client count from S, those of the server from its own. */
export class Connection {
  private readonly lab: Lab;
  readonly client: string;
  readonly port: number;
  readonly isn: number;
  readonly nat: { readonly address: string; readonly port: number };
  readonly serverIsn: number;
  /** Length of the header, 0 without. */
  readonly length: number;

  constructor(
    lab: Lab,
    o: {
      client?: string;
      port?: number;
      isn?: number;
      natPort?: number;
      natAddress?: string;
      serverIsn?: number;
      proxy?: boolean;
    } = {},
  ) {
    this.lab = lab;
    this.client = o.client ?? '10.0.0.5';
    this.port = o.port ?? 40000;
    this.isn = o.isn ?? 0xfffffff0;
    this.serverIsn = o.serverIsn ?? 7_000_000;
    this.nat = { address: o.natAddress ?? '198.18.0.1', port: o.natPort ?? 1024 };
    this.length = (o.proxy ?? true) ? L : 0;
  }

  /** A client's segment as the consumer's side has it; offset 0 is the first octet behind the SYN. */
  sent(offset: number, s: Segment): Buffer {
    const ends = { src: this.client, sport: this.port, dst: ENDPOINT, dport: 443 };
    return tcpPacket({ ...ends, seq: this.isn + 1 + offset, ...this.acknowledging(s), ...s });
  }

  /** The same as the provider's side has it. */
  carried(offset: number, s: Segment): Buffer {
    const ends = { src: this.nat.address, sport: this.nat.port, dst: BACKEND, dport: 443 };
    return tcpPacket({ ttl: 63, ...ends, seq: this.isn + 1 + offset, ...this.acknowledging(s), ...s });
  }

  private acknowledging(s: Segment): Segment {
    return ((s.flags ?? ACK) & ACK) === 0 ? {} : { ack: this.serverIsn + 1 };
  }

  /** A server's segment to the consumer; `acked` octets of the client's stream are acknowledged. */
  answered(offset: number, acked: number, s: Segment): Buffer {
    const ends = { src: ENDPOINT, sport: 443, dst: this.client, dport: this.port };
    return tcpPacket({ ...ends, seq: this.serverIsn + 1 + offset, ack: this.isn + 1 + acked, ...s });
  }

  /** The same as the backend sent it; `acked` counts the header too. */
  backendSent(offset: number, acked: number, s: Segment): Buffer {
    const ends = { src: BACKEND, sport: 443, dst: this.nat.address, dport: this.nat.port };
    return tcpPacket({ ...ends, seq: this.serverIsn + 1 + offset, ack: this.isn + 1 + acked, ...s });
  }

  /** A client's packet through the translator; `shift` false before S. */
  up(offset: number, s: Segment, shift = true): void {
    const { lab } = this;
    lab.tick();
    lab.input.push(lab.at(this.sent(offset, s)));
    lab.provider.push(lab.at(this.carried(offset + (shift ? this.length : 0), s)));
  }

  /** A server's packet: lifted into the provider's file, given back to the consumer. */
  down(offset: number, acked: number, s: Segment): void {
    const { lab } = this;
    lab.tick();
    lab.input.push(lab.at(this.answered(offset, acked, s)));
    const lifted = this.backendSent(offset, acked > 0 ? acked + this.length : acked, s);
    lab.provider.push(lab.at(lifted));
    lab.providerInput.push(lab.at(lifted));
    lab.consumer.push(lab.at(this.answered(offset, acked, { ...s, ttl: 63 })));
  }

  /** SYN, SYN-ACK, and the ACK that the header takes the place of. */
  handshake(): this {
    const { lab } = this;
    this.up(-1, { flags: SYN, options: Uint8Array.of(2, 4, 5, 0xb4) }, false);
    this.down(-1, 0, { flags: SYN | ACK });
    lab.tick();
    lab.input.push(lab.at(this.sent(0, {})));
    if (this.length === 0) lab.provider.push(lab.at(this.carried(0, {})));
    else lab.provider.push(lab.at(this.carried(0, { flags: PSH | ACK, payload: header(this.client, this.port) })));
    return this;
  }

  /** Both FINs and the last ACK, after `up` and `down` octets. */
  close(up: number, down: number): void {
    this.up(up, { flags: FIN | ACK });
    this.down(down, up + 1, { flags: FIN | ACK });
    this.up(up + 1, { ack: this.serverIsn + down + 2 });
  }

  /** A whole conversation: a request in two segments, an answer, the end. */
  whole(): this {
    this.handshake();
    this.up(0, { payload: 'GET /one ' });
    this.up(9, { payload: 'HTTP/1.1\r\n' });
    this.down(0, 19, { payload: 'HTTP/1.1 200 OK\r\n' });
    this.close(19, 17);
    return this;
  }
}

/** A question by UDP and its answer. */
export function question(
  lab: Lab,
  o: { client?: string; port?: number; natPort?: number; text?: string; answer?: string; checksum?: boolean } = {},
): void {
  const client = o.client ?? '10.0.0.5';
  const sport = o.port ?? 5000;
  const natPort = o.natPort ?? 2000;
  const payload = o.text ?? 'who is it?';
  const answer = o.answer ?? 'it is I';
  const rest: Partial<UdpFields> = o.checksum === undefined ? {} : { checksum: o.checksum };
  lab.tick();
  lab.input.push(lab.at(udpPacket({ src: client, sport, dst: ENDPOINT, dport: 53, payload, ...rest })));
  const nat = { src: '198.18.0.1', sport: natPort, dst: BACKEND, dport: 53 };
  lab.provider.push(lab.at(udpPacket({ ...nat, payload, ttl: 63, ...rest })));
  lab.tick();
  const back = { src: ENDPOINT, sport: 53, dst: client, dport: sport, payload: answer };
  const lifted = udpPacket({ src: BACKEND, sport: 53, dst: '198.18.0.1', dport: natPort, payload: answer });
  lab.input.push(lab.at(udpPacket(back)));
  lab.provider.push(lab.at(lifted));
  lab.providerInput.push(lab.at(lifted));
  lab.consumer.push(lab.at(udpPacket({ ...back, ttl: 63 })));
}

/** Runs the check over the lab's files. */
export async function check(lab: Lab, options: Partial<CheckOptions> = {}): Promise<CheckReport> {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-check-'));
  try {
    const file = (name: string, packets: readonly Timed[]): string => {
      const path = join(folder, name);
      writePcap(path, packets);
      return path;
    };
    return await checkReplay({
      input: file('in.pcap', lab.input),
      provider: file('out.pcap', lab.provider),
      consumer: file('ret.pcap', lab.consumer),
      providerInput: null,
      natPool: POOL,
      proxy: true,
      linkIdOf: () => LINK_ID,
      everyFlow: true,
      ...options,
    });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The same with the backend's packets as a second input. */
export async function checkWithProviderInput(lab: Lab, options: Partial<CheckOptions> = {}): Promise<CheckReport> {
  const folder = mkdtempSync(join(tmpdir(), 'culvert-check-'));
  try {
    const providerInput = join(folder, 'prov.pcap');
    writePcap(providerInput, lab.providerInput);
    return await check(lab, { providerInput, ...options });
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** The codes of what was found, in alphabetical order. */
export const codes = (report: CheckReport): string[] => report.problems.map((p) => p.code).sort();
