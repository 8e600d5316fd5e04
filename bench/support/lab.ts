/** A translator with made-up services, and its flows brought to where packets simply pass. */
import type { Topology } from '../../src/translate/topology.js';
import { Translator } from '../../src/translate/translator.js';
import { sum } from '../../src/wire/checksum.js';
import { get32, set16 } from '../../src/wire/octets.js';
import { clientAddress, clientPort, HEADERS, putTcp, SERVER_PORT, serverAddress, SERVERS } from './traffic.js';

const SYN = 0x02;
const SYN_ACK = 0x12;
const ACK = 0x10;
/** Octets of the inserted header. */
const HEADER = 36;
const SERVER_ISN = 5000;

/** Idle limit of every flow in these benchmarks, in milliseconds. */
export const IDLE_MS = 300_000;

/** 16 private endpoints in front of 4 backends; 24 NAT addresses, so six million flows fit. */
export const topology: Topology = {
  networks: ['bench'],
  links: [
    {
      name: 'bench',
      natAddresses: Array.from({ length: 24 }, (_, i) => 0xc6120001 + i),
      natPortFirst: 1024,
      natPortCount: 64000,
      proxy: { dialect: 'azure' },
      rules: ([6, 17] as const).map((protocol) => ({
        protocol,
        frontendPort: SERVER_PORT,
        backendPort: 8443,
        backends: [0xc6130001, 0xc6130002, 0xc6130003, 0xc6130004],
        distribution: 'Default' as const,
        idleTimeoutMs: IDLE_MS,
        tcpReset: false,
      })),
      destination: null,
      tcpIdleTimeoutMs: IDLE_MS,
      udpIdleTimeoutMs: IDLE_MS,
      endpoints: Array.from({ length: SERVERS }, (_, i) => ({
        name: `endpoint-${String(i)}`,
        network: 0,
        address: serverAddress(i),
        linkId: 1001 + i,
        approved: true,
      })),
    },
  ],
};

/** Room for what a translator builds by itself. */
export const SCRATCH = 1 << 20;

export class Lab {
  readonly slab: Buffer;
  readonly t: Translator;
  /** First octet of the slab that is the benchmark's own; a multiple of 64. */
  readonly room = SCRATCH;

  /** @param octets of the slab behind the scratch */
  constructor(octets: number, maxFlows: number) {
    this.slab = Buffer.alloc(SCRATCH + octets);
    this.t = new Translator(topology, this.slab, 0, SCRATCH, { maxFlows });
    this.t.start(0);
  }

  clientIsn(flow: number): number {
    return Math.imul(flow, 0x9e3779b1) >>> 0;
  }

  /** A SYN of a new flow, put at `at`. */
  putSyn(at: number, flow: number): void {
    this.putClient(at, HEADERS, flow, this.clientIsn(flow), 0, SYN);
  }

  putClient(at: number, length: number, flow: number, seq: number, ack: number, flags: number): void {
    const from = clientAddress(flow);
    putTcp(this.slab, at, length, from, serverAddress(flow), clientPort(flow), SERVER_PORT, seq, ack, flags);
  }

  /** A data segment of an open flow, from its client. */
  putData(at: number, length: number, flow: number): void {
    this.putClient(at, length, flow, (this.clientIsn(flow) + 1) >>> 0, SERVER_ISN + 1, 0x18);
  }

  /** A data segment to an open flow's client, as its consumer's network sees it. */
  putAnswer(at: number, length: number, flow: number): void {
    const ack = (this.clientIsn(flow) + 101) >>> 0;
    const to = clientAddress(flow);
    putTcp(this.slab, at, length, serverAddress(flow), to, SERVER_PORT, clientPort(flow), SERVER_ISN + 1, ack, 0x18);
  }

  /** A UDP datagram from a flow's client, without checksum. */
  putDatagram(at: number, length: number, flow: number): void {
    const { slab } = this;
    this.putClient(at, length, flow, 0, 0, 0);
    slab[at + 9] = 17;
    set16(slab, at + 10, 0);
    set16(slab, at + 10, sum(slab, at, at + 20) ^ 0xffff);
    set16(slab, at + 24, length - 20);
    set16(slab, at + 26, 0);
  }

  /**
   * Takes a flow through its handshake, header and all, until its packets simply pass.
   * @param answer where its backend's next data segment of `answerLength` octets is put; -1: nowhere
   */
  open(flow: number, answer = -1, answerLength = HEADERS): void {
    const { slab, t, room } = this;
    const isn = this.clientIsn(flow);
    this.putSyn(room, flow);
    this.pass(t.fromConsumer(room, room + HEADERS, 0), 1);
    const nat = get32(slab, room + 12) >>> 0;
    const backend = get32(slab, room + 16) >>> 0;
    const ports = get32(slab, room + 20);
    const answerAt = (at: number, length: number, seq: number, ack: number, flags: number): void => {
      putTcp(slab, at, length, backend, nat, ports & 0xffff, ports >>> 16, seq, ack >>> 0, flags);
    };
    answerAt(room, HEADERS, SERVER_ISN, isn + 1, SYN_ACK);
    this.pass(t.fromProvider(room, room + HEADERS), 1);
    this.putClient(room, HEADERS, flow, (isn + 1) >>> 0, SERVER_ISN + 1, ACK);
    this.pass(t.fromConsumer(room, room + HEADERS, 0), 1);
    answerAt(room, HEADERS, SERVER_ISN + 1, isn + 1 + HEADER, ACK);
    this.pass(t.fromProvider(room, room + HEADERS), 1);
    if (answer >= 0) answerAt(answer, answerLength, SERVER_ISN + 1, isn + 1 + HEADER, 0x18);
  }

  private pass(verdict: number, packets: number): void {
    const n = this.t.outbox.count;
    this.t.begin();
    if (verdict !== 0 || n !== packets) throw new Error(`verdict ${String(verdict)}, ${String(n)} packets`);
  }
}
