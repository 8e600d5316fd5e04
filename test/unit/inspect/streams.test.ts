import assert from 'node:assert/strict';
import { ACK, FIN, PSH, RST, SYN, tcpPacket, type TcpFields } from '../../support/packets.js';
import { inspectJson, inspectPackets } from './run.js';

const CLIENT = { src: '10.0.0.5', dst: '10.0.0.4', sport: 40000, dport: 80 };
const SERVER = { src: '10.0.0.4', dst: '10.0.0.5', sport: 80, dport: 40000 };
/** One before the wrap, so that every test crosses it. */
const ISN = 0xffffffff;
const PEER_ISN = 0x7ffffff0;

type Fields = Partial<TcpFields>;
const client = (fields: Fields): Buffer => tcpPacket({ ...CLIENT, ...fields });
const server = (fields: Fields): Buffer => tcpPacket({ ...SERVER, ...fields });
const syn = client({ flags: SYN, seq: ISN });
const synAck = server({ flags: SYN | ACK, seq: PEER_ISN, ack: ISN + 1 });
const ack = client({ seq: ISN + 1, ack: PEER_ISN + 1 });

async function notesOf(packets: readonly Buffer[]): Promise<(string | undefined)[]> {
  return (await inspectJson(packets)).map(({ notes }) => notes?.join('; '));
}

describe('inspect: streams', () => {
  it('counts from the SYN, over the wrap of the sequence space', async () => {
    const data = client({ seq: ISN + 1, ack: PEER_ISN + 1, flags: PSH | ACK, payload: 'hello' });
    const reply = server({ seq: PEER_ISN + 1, ack: ISN + 6, payload: 'world' });
    const json = await inspectJson([syn, synAck, ack, data, reply]);
    assert.deepEqual(
      json.map(({ tcp }) => [tcp!.relativeSequence, tcp!.relativeAcknowledgment]),
      [
        [0, undefined],
        [0, 1],
        [1, 1],
        [1, 1],
        [1, 6],
      ],
    );
    assert.deepEqual(
      json.map(({ direction }) => direction),
      ['client', 'server', 'client', 'client', 'server'],
    );
    assert.ok(json.every(({ notes }) => notes === undefined));
  });

  it('goes on counting past 4 GiB', async () => {
    const packets = [syn];
    const step = 0x60000000;
    for (let at = step; at <= 6 * step; at += step) packets.push(client({ seq: ISN + 1 + at, payload: 'x' }));
    const json = await inspectJson(packets);
    assert.equal(json.at(-1)!.tcp!.relativeSequence, 6 * step + 1);
  });

  it('shows the numbers of the header with --absolute-seq', async () => {
    const { lines } = await inspectPackets([syn, synAck], { absoluteSequence: true });
    assert.match(lines[0]!, /seq 4294967295 win/);
    assert.match(lines[1]!, /seq 2147483632 ack 0 win/);
  });

  it('numbers streams in order of appearance, both directions alike', async () => {
    const other = tcpPacket({ ...CLIENT, sport: 40001, flags: SYN });
    const json = await inspectJson([syn, other, synAck]);
    assert.deepEqual(
      json.map(({ stream }) => stream),
      [1, 2, 1],
    );
  });

  it('begins a new stream with a SYN of another number, and not with a SYN sent again', async () => {
    const again = client({ flags: SYN, seq: 5000 });
    const json = await inspectJson([syn, syn, synAck, ack, again]);
    assert.deepEqual(
      json.map(({ stream }) => stream),
      [1, 1, 1, 1, 2],
    );
    assert.deepEqual(json[1]!.notes, ['retransmission']);
    assert.deepEqual(json[4]!.notes, ['ports reused']);
  });

  it('stays with the stream when both ends open at once, or SYN cookies answer with another number', async () => {
    const crossing = server({ flags: SYN, seq: PEER_ISN });
    const cookie = server({ flags: SYN | ACK, seq: 77, ack: ISN + 1 });
    assert.deepEqual(
      (await inspectJson([syn, crossing])).map(({ stream }) => stream),
      [1, 1],
    );
    assert.deepEqual(
      (await inspectJson([syn, synAck, cookie])).map(({ stream }) => stream),
      [1, 1, 1],
    );
  });

  it('knows the client of a stream whose SYN is missing by the SYN-ACK', async () => {
    const json = await inspectJson([synAck, ack]);
    assert.deepEqual(
      json.map(({ direction }) => direction),
      ['server', 'client'],
    );
  });

  it("scales the window as both SYNs say, and a SYN's never", async () => {
    const scale = Buffer.from('03030700', 'hex');
    const packets = [
      client({ flags: SYN, seq: ISN, options: scale, window: 1000 }),
      server({ flags: SYN | ACK, seq: PEER_ISN, ack: ISN + 1, options: Buffer.from('03030200', 'hex'), window: 1000 }),
      client({ seq: ISN + 1, ack: PEER_ISN + 1, window: 10 }),
      server({ seq: PEER_ISN + 1, ack: ISN + 1, window: 10 }),
    ];
    const windows = async (list: Buffer[]): Promise<number[]> =>
      (await inspectJson(list)).map(({ tcp }) => tcp!.window);
    assert.deepEqual(await windows(packets), [1000, 1000, 1280, 40]);
    packets[1] = synAck;
    assert.deepEqual((await windows(packets))[2], 10);
  });

  it('shows SACK blocks relative to the stream they are about', async () => {
    const sack = Buffer.alloc(12, 1);
    sack.writeUInt16BE(0x050a, 2);
    sack.writeUInt32BE((ISN + 11) >>> 0, 4);
    sack.writeUInt32BE((ISN + 21) >>> 0, 8);
    const { lines } = await inspectPackets([syn, synAck, server({ seq: PEER_ISN + 1, ack: ISN + 1, options: sack })]);
    assert.match(lines[2]!, /<sack 11\.\.21>/);
  });

  it('tells what came again, what is missing, and what fills a gap', async () => {
    const at = (from: number, payload: string): Buffer => client({ seq: ISN + from, ack: PEER_ISN + 1, payload });
    assert.deepEqual(
      await notesOf([syn, synAck, at(1, 'abcde'), at(1, 'abcde'), at(11, 'klmno'), at(6, 'fghij'), at(13, 'mnopq')]),
      [
        undefined,
        undefined,
        undefined,
        'retransmission',
        'octets before it not seen',
        'fills a gap',
        'partly retransmission',
      ],
    );
  });

  it('tells a frame captured twice from a retransmission', async () => {
    const twice = client({ seq: ISN + 1, payload: 'abc', id: 42 });
    const anew = client({ seq: ISN + 1, payload: 'abc', id: 43 });
    assert.deepEqual(await notesOf([syn, twice, twice, anew]), [
      undefined,
      undefined,
      'captured twice',
      'retransmission',
    ]);
  });

  it('tells a keep-alive, and a probe of a closed window', async () => {
    const probe = client({ seq: ISN, ack: PEER_ISN + 1 });
    const closed = server({ seq: PEER_ISN + 1, ack: ISN + 1, window: 0 });
    const notes = await notesOf([syn, synAck, ack, probe, closed, probe]);
    assert.deepEqual(notes.slice(3), ['keep-alive', 'zero window', 'window probe']);
  });

  it('counts a FIN and shows a reset', async () => {
    const fin = client({ seq: ISN + 1, ack: PEER_ISN + 1, flags: FIN | ACK });
    const { lines } = await inspectPackets([syn, synAck, fin, fin, server({ seq: PEER_ISN + 1, flags: RST })]);
    assert.match(lines[3]!, /\[FIN,ACK\] seq 1 ack 1 .*! retransmission$/);
    assert.match(lines[4]!, /\[RST\] seq 1 win/);
  });
});
