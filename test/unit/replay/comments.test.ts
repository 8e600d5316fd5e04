/** What people wrote into a pcapng file stays with the packets it was written about. */
import assert from 'node:assert/strict';
import * as fs from 'node:fs';
import * as os from 'node:os';
import * as path from 'node:path';
import { CaptureReader, CaptureWriter, type WriterInterface } from '../../../src/capture/index.js';
import { planReplay } from '../../../src/cli/replay-plan.js';
import { Replay, type ReplayPlan } from '../../../src/replay/replay.js';
import { ACK, fragments, PSH, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { drain } from '../capture/naive.js';

const CLIENT = { src: '10.0.0.5', dst: '10.0.0.4', sport: 40_000, dport: 443 };
const SERVER = { src: '10.0.0.4', dst: '10.0.0.5', sport: 443, dport: 40_000 };

type Note = readonly [packet: Buffer, comment: string, face?: number];

const conversation: readonly Note[] = [
  [tcpPacket({ ...CLIENT, seq: 100, flags: SYN }), 'it begins'],
  [tcpPacket({ ...SERVER, seq: 900, ack: 101, flags: SYN | ACK }), 'she answers\ntwice'],
  [tcpPacket({ ...CLIENT, seq: 101, ack: 901, flags: PSH | ACK, payload: 'GET /' }), 'the header goes before this'],
  [tcpPacket({ ...SERVER, seq: 901, ack: 106, flags: PSH | ACK, payload: 'hello' }), 'grüße'],
];

describe('replay: comments of pcapng files', () => {
  let dir = '';
  beforeEach(() => {
    dir = fs.mkdtempSync(path.join(os.tmpdir(), 'culvert-comments-'));
  });
  afterEach(() => {
    fs.rmSync(dir, { recursive: true });
  });

  function record(
    notes: readonly Note[],
    interfaces: readonly Omit<WriterInterface, 'linkType'>[] = [{}],
    name = 'in.pcapng',
  ): string {
    const file = path.join(dir, name);
    const w = CaptureWriter.create(file, {
      format: 'pcapng',
      nanoseconds: false,
      linkType: 101,
      comment: 'of the section',
      interfaces: interfaces.map((face) => ({ ...face, linkType: 101 })),
    });
    for (const [index, [packet, comment, face]] of notes.entries()) {
      packet.copy(w.slab, w.reserve(packet.length));
      w.commit(packet.length, packet.length, 1_700_000_000 + index, 0, face ?? 0, comment);
    }
    w.close();
    return file;
  }

  async function plan(input: string, more: Partial<ReplayPlan> = {}): Promise<ReplayPlan> {
    const provider = path.join(dir, 'out.pcapng');
    const consumer = path.join(dir, 'ret.pcapng');
    return { ...(await planReplay(input, { adopt: true, proxy: true, provider, consumer })).plan, ...more };
  }

  const read = async (name: string): Promise<Awaited<ReturnType<typeof drain>>> =>
    drain(await CaptureReader.open(path.join(dir, name)));

  it('go with the translated and the returned packet, and not with an inserted header', async () => {
    await Replay.run(await plan(record(conversation)));
    const out = await read('out.pcapng');
    const [syn, answer, data, greeting] = conversation.map(([, comment]) => comment);
    assert.deepEqual(out.comments, [syn, answer, '', data, greeting]);
    assert.equal(out.packets[2]?.data.toString('latin1', 40, 52), '\r\n\r\n\0\r\nQUIT\n', 'the third is the header');
    assert.deepEqual((await read('ret.pcapng')).comments, [answer, greeting]);
  });

  it('go with a SYN that is built anew to carry the header', async () => {
    const syn = tcpPacket({ ...CLIENT, seq: 100, flags: SYN, payload: 'early' });
    await Replay.run(await plan(record([[syn, 'fast']])));
    assert.deepEqual((await read('out.pcapng')).comments, ['fast']);
  });

  it('go with the header where it takes the place of a bare handshake ACK', async () => {
    const [syn, answer] = conversation;
    const ack = tcpPacket({ ...CLIENT, seq: 101, ack: 901 });
    await Replay.run(await plan(record([syn!, answer!, [ack, 'shaken']])));
    assert.deepEqual((await read('out.pcapng')).comments, [syn![1], answer![1], 'shaken']);
  });

  it('stay with the fragment that is at hand; those that had waited have lost theirs', async () => {
    const datagram = udpPacket({ ...CLIENT, df: false, id: 7, payload: Buffer.alloc(3000) });
    const [first, second, third] = fragments(datagram, 1500);
    const notes: Note[] = [
      [second!, 'early'],
      [first!, 'first'],
      [third!, 'third'],
    ];
    await Replay.run(await plan(record(notes)));
    assert.deepEqual((await read('out.pcapng')).comments, ['first', '', 'third']);
  });

  it('of the section and the interface are kept too, and the name of an interface that gets another', async () => {
    const faces = [
      { name: 'eth0', description: 'uplink', comment: 'noisy' },
      { name: 'eth1', comment: 'quiet' },
    ];
    await Replay.run(await plan(record(conversation, faces)));
    const back = (await read('ret.pcapng')).reader;
    assert.equal(back.sectionComment, 'of the section');
    assert.deepEqual(
      back.interfaces.map((face) => [face.name, face.description, face.comment]),
      [['capture', 'eth0: uplink, eth1', 'noisy\nquiet']],
    );
    const out = (await read('out.pcapng')).reader;
    assert.equal(out.sectionComment, 'of the section');
    assert.deepEqual(
      out.interfaces.map((face) => [face.name, face.description, face.comment]),
      [['provider', '', '']],
    );
  });

  it('of interfaces that name their network go to that network', async () => {
    const [red, blue] = [
      { name: 'red', description: 'first floor' },
      { name: 'blue', comment: 'cellar' },
    ];
    const input = record([...conversation, ...conversation.map(([p, c]): Note => [p, c, 1])], [red, blue]);
    const networks = ['blue', 'red'];
    await Replay.run(await plan(input, { network: null, topology: { networks, links: [] } }));
    const { reader, faces } = await read('ret.pcapng');
    assert.deepEqual(
      reader.interfaces.map((face) => [face.name, face.description, face.comment]),
      [
        ['blue', '', 'cellar'],
        ['red', 'first floor', ''],
      ],
    );
    assert.deepEqual(faces, [1, 1, 0, 0]);
  });

  it('come from the capture that the packet is in, where there is one of each side', async () => {
    const client = record(conversation);
    await Replay.run(await plan(client));
    // What the replay gives for the provider's side serves as its capture: the backend's two packets.
    const out = await read('out.pcapng');
    const backend = [1, 4].map((i): Note => [out.packets[i]!.data, `backend ${String(i)}`]);
    const providerInput = record(backend, [{ name: 'tap', description: 'at the backend' }], 'provider.pcapng');
    await Replay.run(await plan(client, { providerInput }));
    assert.deepEqual((await read('ret.pcapng')).comments, ['backend 1', 'backend 4']);
    assert.deepEqual(
      (await read('out.pcapng')).reader.interfaces.map((face) => face.description),
      ['tap: at the backend'],
    );
  });

  it('are left out of pcap', async () => {
    const provider = path.join(dir, 'out.pcap');
    await Replay.run(await plan(record(conversation), { provider }));
    assert.equal((await read('out.pcap')).packets.length, 5);
    assert.deepEqual((await read('ret.pcapng')).comments, ['she answers\ntwice', 'grüße']);
  });
});
