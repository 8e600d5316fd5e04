import assert from 'node:assert/strict';
import fc from 'fast-check';
import { PLAIN } from '../../../src/inspect/colour.js';
import { decodeFrame } from '../../../src/inspect/decode.js';
import { Follower } from '../../../src/inspect/follow.js';
import { StreamContent } from '../../../src/inspect/stream-content.js';
import { StreamTable } from '../../../src/inspect/streams.js';
import { ACK, fragments, SYN, tcpPacket, type TcpFields } from '../../support/packets.js';
import { inspectPackets } from './run.js';

const CLIENT = { src: '10.0.0.5', dst: '10.0.0.4', sport: 40000, dport: 80 };
const SERVER = { src: '10.0.0.4', dst: '10.0.0.5', sport: 80, dport: 40000 };
const AZURE = Buffer.from('0d0a0d0a000d0a515549540a211100140a0000050a0900049c4001bbee0005011d570020', 'hex');
const client = (seq: number, payload: Uint8Array | string, more: Partial<TcpFields> = {}): Buffer =>
  tcpPacket({ ...CLIENT, seq, payload, ...more });
const server = (seq: number, payload: Uint8Array | string, more: Partial<TcpFields> = {}): Buffer =>
  tcpPacket({ ...SERVER, seq, payload, ...more });
const OPEN = [client(0, '', { flags: SYN }), server(0, '', { flags: SYN | ACK, ack: 1 })];
const FOLLOW = { mode: { kind: 'follow', stream: 1 } } as const;

describe('inspect --follow', () => {
  it('shows both directions in order, and the PROXY header apart', async () => {
    const { lines } = await inspectPackets(
      [
        ...OPEN,
        client(1, AZURE),
        client(43, 'Host: x\r\n\r\n'),
        client(37, 'GET /\n'),
        server(1, Buffer.from([0, 1, 2, 0xff])),
      ],
      FOLLOW,
    );
    assert.deepEqual(lines, [
      'stream 1: > client 10.0.0.5:40000, < server 10.0.0.4:80',
      '',
      '> [PROXY v2 10.0.0.5:40000 > 10.9.0.4:443 LINKID 536893213 (36 octets)]',
      '> GET /',
      '> Host: x',
      '> ',
      '',
      '< 00000000  00 01 02 ff                                       |....|',
    ]);
  });

  it('gives the octets as JSON lines', async () => {
    const { lines } = await inspectPackets([...OPEN, client(1, AZURE), client(37, 'hi')], { ...FOLLOW, json: true });
    const [header, octets] = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    assert.equal((header!['proxy'] as { linkId: number }).linkId, 536893213);
    assert.deepEqual(
      { ...octets, time: 0 },
      { time: 0, stream: 1, direction: 'client', frame: 4, offset: 36, octets: 2, data: 'aGk=' },
    );
  });

  it('puts segments together that came in fragments', async () => {
    const whole = tcpPacket({ ...CLIENT, seq: 1, df: false, id: 5, payload: 'abcdefghijklmnopqrstuvwxyz' });
    const { lines } = await inspectPackets([...OPEN, ...fragments(whole, 44).reverse()], FOLLOW);
    assert.ok(lines.includes('> abcdefghijklmnopqrstuvwxyz'), lines.join('\n'));
  });

  it('says how many octets the capture lacks', async () => {
    const { lines } = await inspectPackets([...OPEN, client(1, 'abc\n'), client(10, 'xyz\n')], FOLLOW);
    assert.deepEqual(lines.slice(2), ['> abc', '> [5 octets are not in the capture]', '> xyz']);
  });

  it('shows what looked like the start of a header and was none', async () => {
    const { lines } = await inspectPackets([...OPEN, client(1, 'PRO')], FOLLOW);
    assert.deepEqual(lines.slice(2), ['> PRO']);
  });

  it("does not take a keep-alive's octet for the stream's", async () => {
    const { lines } = await inspectPackets([...OPEN, client(0, 'Z'), client(1, 'abc\n'), client(4, 'Z')], FOLLOW);
    assert.deepEqual(lines.slice(2), ['> abc']);
  });

  it('shows control characters of text as dots', async () => {
    const { lines } = await inspectPackets([...OPEN, client(1, 'a\u0085b\u202ec\n')], FOLLOW);
    assert.deepEqual(lines.slice(2), ['> a·b·c']);
  });

  it('begins with the data of a SYN', async () => {
    const open = client(0, 'first\n', { flags: SYN });
    const { lines } = await inspectPackets([open, client(7, 'second\n')], FOLLOW);
    assert.deepEqual(lines.slice(2), ['> first', '> second']);
  });

  it('keeps a header that comes in pieces, though the read buffer is used again', () => {
    const table = new StreamTable();
    const written: string[] = [];
    const follower = new Follower({ stream: 1, json: false, palette: PLAIN }, (text) => written.push(text));
    const slab = Buffer.alloc(2048);
    const packets = [...OPEN, client(1, AZURE.subarray(0, 20)), client(50, 'later'), client(21, AZURE.subarray(20))];
    packets.push(client(37, 'thirteen more'));
    for (const [i, packet] of packets.entries()) {
      slab.fill(0xee);
      packet.copy(slab);
      const info = {
        ...{ frame: i + 1, seconds: 0, nanoseconds: 0, linkType: 101, interfaceIndex: 0, comment: '' },
        ...{ originalLength: packet.length, capturedLength: packet.length },
      };
      const frame = decodeFrame(info, slab, 0, packet.length);
      assert.ok(frame.ip !== null && frame.transport?.kind === 'tcp');
      follower.add(frame, table.follow(frame, frame.ip, frame.transport));
    }
    follower.end();
    assert.match(written.join(''), /LINKID 536893213 \(36 octets\)\]\n> thirteen more\n> later\n$/);
  });

  it('tells that there is no such stream', async () => {
    const { result } = await inspectPackets(OPEN, { mode: { kind: 'follow', stream: 2 } });
    assert.equal(result.isStreamMissing, true);
    assert.equal(result.streams, 1);
  });
});

describe('inspect: stream content', () => {
  it('is the stream, whatever the order, overlap and repetition of its segments', () => {
    const stream = Buffer.from(Array.from({ length: 200 }, (_, i) => (i * 7) & 255));
    const segment = fc.tuple(fc.nat(199), fc.integer({ min: 1, max: 60 }));
    fc.assert(
      fc.property(fc.array(segment, { maxLength: 30 }), fc.integer({ min: 1, max: 50 }), (segments, size) => {
        const got: Buffer[] = [];
        const content = new StreamContent((part) => {
          if (part.kind === 'gap') throw new Error('nothing is missing');
          assert.equal(part.offset, Buffer.concat(got).length);
          got.push(Buffer.from(part.octets));
        });
        for (const [from, length] of segments) content.add(from + 1, stream, from, Math.min(200, from + length));
        // What is missing at last comes from the end to the start.
        for (let at = Math.floor(199 / size) * size; at >= 0; at -= size) {
          content.add(at + 1, stream, at, Math.min(200, at + size));
        }
        content.end();
        assert.ok(Buffer.concat(got).equals(stream));
      }),
    );
  });

  it('gives up a gap that the receiver has acknowledged, after some packets', () => {
    const parts: string[] = [];
    const content = new StreamContent((part) => parts.push(part.kind));
    const octets = Buffer.from('abcdef');
    content.add(4, octets, 3, 6);
    for (let i = 0; i < 200; i++) content.acknowledge(1);
    assert.deepEqual(parts, []);
    for (let i = 0; i < 200; i++) content.acknowledge(7);
    assert.deepEqual(parts, ['gap', 'octets']);
  });

  it('holds no more than some octets behind a gap', () => {
    let got = 0;
    const content = new StreamContent((part) => {
      if (part.kind === 'octets') got += part.octets.length;
    });
    const octets = Buffer.alloc(64 * 1024);
    for (let i = 0; i < 100; i++) content.add(10 + i * octets.length, octets, 0, octets.length);
    assert.ok(got > 0);
  });
});
