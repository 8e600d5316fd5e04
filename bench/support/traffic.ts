/**
 * Made-up traffic for benchmarks: TCP connections between consumers and servers, round robin, the same for the same
 * seed. Checksums are right, sequence numbers go on, so that a translator has nothing to refuse.
 */
import { CaptureWriter } from '../../src/capture/index.js';
import { pseudoHeader, sum } from '../../src/wire/checksum.js';
import { LINK_ETHERNET } from '../../src/wire/link.js';
import { set16, set32 } from '../../src/wire/octets.js';

export const CLIENT_NET = 0x0a010000; // 10.1.0.0/16
export const SERVER_NET = 0x0a020000; // 10.2.0.0/24
export const SERVER_PORT = 443;
export const SERVERS = 16;

const SYN = 2;
const ACK = 16;
const PSH_ACK = 24;

/** Octets of IPv4 and TCP headers without options. */
export const HEADERS = 40;

/** xorshift32: a sequence that is the same everywhere. */
export class Random {
  private state: number;

  constructor(seed: number) {
    this.state = seed | 1;
  }

  /** @returns 0 to 2^32-1 */
  next(): number {
    let x = this.state;
    x ^= x << 13;
    x ^= x >>> 17;
    x ^= x << 5;
    this.state = x;
    return x >>> 0;
  }

  /** @returns 0 to n-1 */
  below(n: number): number {
    return this.next() % n;
  }
}

export const clientAddress = (flow: number): number => CLIENT_NET + 1 + (flow % 60000);
/** A flow's port at its client: with the address it tells flows apart, up to 60,000 clients of 60,000 ports. */
export const clientPort = (flow: number): number => 1024 + Math.floor(flow / 60000) + (flow % 7) * 1000;
export const serverAddress = (flow: number): number => SERVER_NET + 1 + (flow % SERVERS);

/**
 * Writes an IPv4 TCP packet without options; the payload is what stands there.
 * @param length octets of the packet, at least HEADERS
 */
export function putTcp(
  b: Buffer,
  at: number,
  length: number,
  source: number,
  destination: number,
  sourcePort: number,
  destinationPort: number,
  seq: number,
  ack: number,
  flags: number,
): void {
  b[at] = 0x45;
  b[at + 1] = 0;
  set16(b, at + 2, length);
  set16(b, at + 4, seq);
  set16(b, at + 6, 0x4000);
  b[at + 8] = 64;
  b[at + 9] = 6;
  set16(b, at + 10, 0);
  set32(b, at + 12, source);
  set32(b, at + 16, destination);
  set16(b, at + 10, sum(b, at, at + 20) ^ 0xffff);
  set16(b, at + 20, sourcePort);
  set16(b, at + 22, destinationPort);
  set32(b, at + 24, seq);
  set32(b, at + 28, ack);
  b[at + 32] = 0x50;
  b[at + 33] = flags;
  set16(b, at + 34, 65535);
  set32(b, at + 36, 0);
  const initial = pseudoHeader(source, destination, 6, length - 20);
  set16(b, at + 36, sum(b, at + 20, at + length, initial) ^ 0xffff);
}

export interface CaptureShape {
  readonly packets: number;
  readonly flows: number;
  /** Octets of an IPv4 packet with data, from and to; 40 is a bare acknowledgment. */
  readonly from: number;
  readonly to: number;
  /** Servers answer: else only what clients send is recorded. */
  readonly both: boolean;
  readonly seed: number;
}

const START_SECONDS = 1_700_000_000;
/** Between packets: a million last ten seconds. */
const STEP_NS = 10_000;

/** Writes a capture with Ethernet frames. @returns octets of its IPv4 packets */
export function writeCapture(path: string, shape: CaptureShape): number {
  const random = new Random(shape.seed);
  const w = CaptureWriter.create(path, { format: 'pcap', nanoseconds: false, linkType: LINK_ETHERNET });
  const b = w.slab;
  const payload = Buffer.alloc(2048, 'the quick brown fox jumps over the lazy dog; ');
  const { flows } = shape;
  // Next sequence numbers, and how far each flow's handshake is.
  const client = Uint32Array.from({ length: flows }, () => random.next());
  const server = Uint32Array.from({ length: flows }, () => random.next());
  const stage = new Uint8Array(flows);
  const data = (): number => Math.max(HEADERS, shape.from + random.below(shape.to - shape.from + 1));
  let octets = 0;
  for (let n = 0; n < shape.packets; n++) {
    const f = n % flows;
    const c = clientAddress(f);
    const s = serverAddress(f);
    const port = clientPort(f);
    let length = HEADERS;
    let flags = ACK;
    let fromServer = false;
    let step = stage[f]!;
    if (step === 0) {
      flags = SYN;
      step = shape.both ? 1 : 2;
    } else if (step === 1) {
      flags = SYN | ACK;
      fromServer = true;
      step = 2;
    } else if (step === 2) {
      step = 3;
    } else {
      length = data();
      if (length > HEADERS) flags = PSH_ACK;
      fromServer = shape.both && step === 4;
      if (shape.both) step = step === 3 ? 4 : 3;
    }
    stage[f] = step;
    const at = w.reserve(14 + length);
    b.fill(0, at, at + 14);
    b[at + 5] = 1;
    b[at + 11] = 2;
    b[at + 12] = 8;
    const ip = at + 14;
    payload.copy(b, ip + HEADERS, 0, length - HEADERS);
    const moved = length - HEADERS + ((flags & SYN) !== 0 ? 1 : 0);
    const ack = flags === SYN ? 0 : fromServer ? client[f]! : server[f]!;
    if (fromServer) {
      putTcp(b, ip, length, s, c, SERVER_PORT, port, server[f]!, ack, flags);
      server[f] = server[f]! + moved;
    } else {
      putTcp(b, ip, length, c, s, port, SERVER_PORT, client[f]!, ack, flags);
      client[f] = client[f]! + moved;
    }
    // Without the server's side the client acknowledges what was never recorded.
    if (flags === SYN && !shape.both) server[f] = server[f]! + 1;
    const ns = n * STEP_NS;
    w.commit(14 + length, 14 + length, START_SECONDS + Math.floor(ns / 1e9), ns % 1e9);
    octets += length;
  }
  w.close();
  return octets;
}
