/** A replay of more than memory would hold: streamed through, in bounded memory and time. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { ACK, FIN, PSH, SYN, tcpPacket } from '../support/packets.js';
import { cpuSecondsOf, MEASURED, rssMbOf, start } from './command.js';

const OCTETS = 400 << 20;
/** Measured: 101 MB. */
const MOST_RSS_MB = 200;
const PARTS = 8;

const CONNECTIONS = 256;
const CLIENT = '10.0.0.5';
const SERVER = '10.0.0.4';
const RECORD_HEADER = 16;

/** A second of traffic: connections from their first packet to their last, as records of a pcap file. */
class Block {
  readonly octets: Buffer;
  readonly packets: number;
  /** Where each record begins, and the client's port in it. */
  private readonly records: number[] = [];
  private readonly ports: number[] = [];
  private firstPort = 0;

  constructor() {
    const parts: Buffer[] = [];
    let at = 0;
    for (let c = 0; c < CONNECTIONS; c++) {
      for (const { packet, fromClient } of connection(c)) {
        const header = Buffer.alloc(RECORD_HEADER);
        header.writeUInt32LE(packet.length, 8);
        header.writeUInt32LE(packet.length, 12);
        parts.push(header, packet);
        this.records.push(at);
        this.ports.push(at + RECORD_HEADER + (fromClient ? 20 : 22));
        at += RECORD_HEADER + packet.length;
      }
    }
    this.octets = Buffer.concat(parts);
    this.packets = this.records.length;
  }

  /** Makes it the traffic of another second, by clients of other ports. */
  advance(second: number, firstPort: number): void {
    const { octets } = this;
    const step = (firstPort - this.firstPort) & 0xffff;
    this.firstPort = firstPort;
    for (const [i, at] of this.records.entries()) {
      octets.writeUInt32LE(second, at);
      const port = this.ports[i]!;
      const before = octets.readUInt16BE(port);
      const after = (before + step) & 0xffff;
      octets.writeUInt16BE(after, port);
      // RFC 1624, equation 3.
      const checksum = at + RECORD_HEADER + 20 + 16;
      let sum = (~octets.readUInt16BE(checksum) & 0xffff) + (~before & 0xffff) + after;
      sum = (sum & 0xffff) + (sum >>> 16);
      sum = (sum & 0xffff) + (sum >>> 16);
      octets.writeUInt16BE(~sum & 0xffff, checksum);
    }
  }
}

/** A request of 200 octets and an answer of seven full segments, from SYN to the last ACK. The client's port is `c`. */
function connection(c: number): { packet: Buffer; fromClient: boolean }[] {
  const client = (seq: number, ack: number, flags: number, payload = ''): { packet: Buffer; fromClient: boolean } => ({
    packet: tcpPacket({ src: CLIENT, dst: SERVER, sport: c, dport: 80, seq, ack, flags, payload }),
    fromClient: true,
  });
  const server = (seq: number, ack: number, flags: number, payload = ''): { packet: Buffer; fromClient: boolean } => ({
    packet: tcpPacket({ src: SERVER, dst: CLIENT, sport: 80, dport: c, seq, ack, flags, payload }),
    fromClient: false,
  });
  const [i, j, request, segment] = [1000 + c, 500_000 + c, 200, 1400];
  const answer = [0, 1, 2, 3, 4, 5, 6].map((n) =>
    server(j + 1 + n * segment, i + 1 + request, ACK | PSH, 'x'.repeat(segment)),
  );
  const end = j + 1 + answer.length * segment;
  return [
    client(i, 0, SYN),
    server(j, i + 1, SYN | ACK),
    client(i + 1, j + 1, ACK),
    client(i + 1, j + 1, ACK | PSH, 'q'.repeat(request)),
    ...answer,
    client(i + 1 + request, end, ACK),
    server(end, i + 1 + request, ACK | FIN),
    client(i + 1 + request, end + 1, ACK | FIN),
    server(end + 1, i + 2 + request, ACK),
  ];
}

/** Writes seconds of traffic until there are `octets` of it. @returns how many seconds */
async function feed(to: Writable, block: Block, octets: number): Promise<number> {
  const header = Buffer.alloc(24);
  header.writeUInt32LE(0xa1b2c3d4, 0);
  header.writeUInt16LE(2, 4);
  header.writeUInt16LE(4, 6);
  header.writeUInt32LE(65535, 16);
  header.writeUInt32LE(101, 20);
  to.write(header);
  let seconds = 0;
  for (let written = 0; written < octets; written += block.octets.length) {
    block.advance(1_600_000_000 + seconds, 1024 + ((seconds * CONNECTIONS) % 60_000));
    seconds++;
    // The block is used again: it must have gone first.
    if (!to.write(Buffer.from(block.octets))) await once(to, 'drain');
  }
  to.end();
  return seconds;
}

/** @returns processor seconds and MB that the replay of so many octets took */
async function replay(octets: number): Promise<{ cpu: number; rss: number }> {
  const block = new Block();
  const flags = ['--adopt', '--provider', '/dev/null', '--consumer', '/dev/null', '--json'];
  const running = start(['replay', '-', ...flags], { node: [MEASURED] });
  const seconds = await feed(running.process.stdin!, block, octets);
  const { code, stdout, stderr } = await running.ended;
  assert.equal(code, 0, stderr);
  const report = JSON.parse(stdout.toString()) as {
    packets: number;
    octets: number;
    flows: { tcp: number };
    headers: { inserted: number };
    drops: Record<string, number>;
    returned: { unexplained: number };
  };
  assert.equal(report.packets, seconds * block.packets);
  assert.ok(report.octets > 0.95 * octets);
  assert.equal(report.flows.tcp, seconds * CONNECTIONS);
  assert.equal(report.headers.inserted, seconds * CONNECTIONS);
  assert.deepEqual(report.drops, {});
  assert.equal(report.returned.unexplained, 0);
  return { cpu: cpuSecondsOf(stderr), rss: rssMbOf(stderr) };
}

describe('culvert replay of a large input', () => {
  it('takes bounded memory, and time in proportion', async () => {
    const part = await replay(OCTETS / PARTS);
    const { cpu, rss } = await replay(OCTETS);
    assert.ok(rss > 0 && rss < MOST_RSS_MB, `${rss.toFixed(0)} MB`);
    assert.ok(part.cpu > 0 && cpu < PARTS * part.cpu, `${cpu.toFixed(1)} s, and ${part.cpu.toFixed(1)} s for a part`);
  });
});
