import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { CaptureReader } from '../../../src/capture/reader.js';
import { StreamSource } from '../../../src/capture/source.js';
import { Pump, type Port } from '../../../src/gateway/pump.js';
import type { TapOptions, TapReader } from '../../../src/gateway/tap/tap.js';
import { Taps } from '../../../src/gateway/tap/taps.js';
import { decode } from '../../../src/wire/index.js';
import { datagram, segment } from '../../support/dissect.js';
import { address, endpoint, link, topology } from '../../support/bench.js';
import { ACK, fragments, icmpError, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { ScriptedDevice } from './scripted-device.js';

const CLIENT = '10.0.0.5';
const ENDPOINT = '10.9.0.4';
const BACKEND = '10.1.0.4';
const NAT = '192.0.2.1';
const ALL: TapOptions = { snapLength: 262_144 };

/** Takes a tap's octets, and may be slow. */
class Reader implements TapReader {
  readonly octets: Buffer[] = [];
  waiting = 0;
  ended = false;
  write(octets: Buffer): void {
    this.octets.push(octets);
  }
  end(): void {
    this.ended = true;
  }
}

interface Seen {
  readonly face: string;
  readonly packet: Buffer;
  readonly original: number;
  readonly ms: number;
  readonly comment: string;
}

async function read(reader: Reader): Promise<Seen[]> {
  const capture = await CaptureReader.fromSource(new StreamSource(Readable.from(reader.octets), 'tap'), 'tap');
  const seen: Seen[] = [];
  do {
    while (capture.next()) {
      const { slab, offset, capturedLength, originalLength, seconds, nanoseconds, interfaceIndex } = capture;
      seen.push({
        face: capture.interfaces[interfaceIndex]!.name,
        packet: Buffer.from(slab.subarray(offset, offset + capturedLength)),
        original: originalLength,
        ms: seconds * 1000 + nanoseconds / 1e6,
        comment: capture.comment(),
      });
    }
  } while (await capture.fill());
  assert.equal(capture.warning, null);
  return seen;
}

describe('gateway: a tap', () => {
  let pump: Pump;
  let taps: Taps;
  let red: ScriptedDevice;
  let blue: ScriptedDevice;
  let provider: ScriptedDevice;

  beforeEach(() => {
    const one = link({ endpoints: [endpoint({ linkId: 7 }), endpoint({ name: 'other', network: 1, linkId: 8 })] });
    pump = new Pump(
      topology(one),
      { maxFlows: 4096 },
      () => undefined,
      () => 1000,
    );
    [red, blue, provider] = [new ScriptedDevice('red'), new ScriptedDevice('blue'), new ScriptedDevice('provider')];
    pump.add(red, 0, new Int32Array(0));
    pump.add(blue, 1, new Int32Array(0));
    pump.add(provider, -1, Int32Array.of(address(NAT)));
    taps = new Taps(pump, (port: Port) => `net-${port.device.name}`);
  });
  afterEach(() => {
    pump.close();
  });

  const request = (payload = 'ask', sport = 5000): Buffer =>
    udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 53, payload });

  function answer(payload = 'answer'): void {
    const { src, sport } = datagram(provider.written.at(-1)!.packet);
    provider.give(udpPacket({ src: BACKEND, dst: src, sport: 53, dport: sport, payload }));
  }

  it('gives both sides of the gateway, each network an interface, packets as they were', async () => {
    const reader = new Reader();
    const tap = taps.add(ALL, reader);
    const before = performance.timeOrigin + performance.now();
    red.give(request());
    answer();
    taps.remove(tap);
    const seen = await read(reader);
    assert.deepEqual(
      seen.map(({ face }) => face),
      ['net-red', 'net-provider', 'net-provider', 'net-red'],
    );
    assert.deepEqual(seen[0]!.packet, request(), 'as it came, before it was translated in place');
    assert.deepEqual(seen[1]!.packet, provider.written[0]!.packet);
    assert.deepEqual(seen[3]!.packet, red.written[0]!.packet);
    for (const { ms } of seen) assert.ok(ms > before - 5 && ms < before + 10_000);
    assert.equal(reader.ended, true);
  });

  it('shows the inserted header', async () => {
    const reader = new Reader();
    taps.add(ALL, reader);
    const ports = { sport: 40_000, dport: 80 };
    red.give(tcpPacket({ src: CLIENT, dst: ENDPOINT, ...ports, seq: 1, flags: SYN }));
    const { sport } = segment(provider.written[0]!.packet);
    provider.give(tcpPacket({ src: BACKEND, dst: NAT, sport: 80, dport: sport, seq: 9, ack: 2, flags: SYN | ACK }));
    red.give(tcpPacket({ src: CLIENT, dst: ENDPOINT, ...ports, seq: 2, ack: 10 }));
    const last = (await read(reader)).at(-1)!;
    assert.equal(last.face, 'net-provider');
    assert.equal(decode(segment(last.packet).payload).kind, 'header');
  });

  it('tells the pump nothing once it has ended, and nothing of what came before', async () => {
    const reader = new Reader();
    red.give(request('before'));
    assert.equal(pump.tap, null);
    const tap = taps.add(ALL, reader);
    assert.notEqual(pump.tap, null);
    red.give(request('while'));
    taps.remove(tap);
    taps.remove(tap);
    assert.equal(pump.tap, null);
    red.give(request('after'));
    assert.equal((await read(reader)).length, 2);
  });

  it('takes one network’s flows, on the provider’s side too', async () => {
    const reader = new Reader();
    taps.add({ ...ALL, network: pump.translator.tables.networks[1]! }, reader);
    red.give(request('red'));
    answer();
    blue.give(request('blue'));
    answer();
    const seen = await read(reader);
    assert.deepEqual(
      seen.map(({ face }) => face),
      ['net-blue', 'net-provider', 'net-provider', 'net-blue'],
    );
    assert.equal(datagram(seen[1]!.packet).payload.toString(), 'blue');
  });

  it('takes flows by service, by address and by port of either side', async () => {
    const count = async (query: object): Promise<number> => {
      const reader = new Reader();
      const tap = taps.add({ ...ALL, ...query }, reader);
      red.give(request('x', 5000), request('y', 5001));
      taps.remove(tap);
      return (await read(reader)).length;
    };
    const { name } = pump.translator.tables.links[0]!;
    assert.equal(await count({ link: name }), 4);
    assert.equal(await count({ link: 'another' }), 0);
    assert.equal(await count({ address: address(BACKEND) }), 4, 'consumer side packets by their flow’s backend');
    assert.equal(await count({ address: address('10.0.0.6') }), 0);
    assert.equal(await count({ port: 5001 }), 2);
    const { sport } = datagram(provider.written[0]!.packet);
    assert.equal(await count({ port: sport }), 2, 'by the NAT port');
    assert.equal(await count({ port: 5001, address: address(CLIENT), link: name }), 2);
  });

  it('takes what is dropped too, by what can be read of it', async () => {
    const reader = new Reader();
    taps.add({ ...ALL, address: address('10.9.0.99'), port: 53 }, reader);
    red.give(udpPacket({ src: CLIENT, dst: '10.9.0.99', sport: 1, dport: 53 }));
    red.give(udpPacket({ src: CLIENT, dst: '10.9.0.99', sport: 1, dport: 54 }));
    red.give(Buffer.alloc(10), Buffer.alloc(64), Buffer.alloc(20, 0x45));
    assert.deepEqual(
      (await read(reader)).map(({ face }) => face),
      ['net-red'],
    );
  });

  it('takes later fragments with their first, and errors with the flow they are about', async () => {
    const reader = new Reader();
    taps.add({ ...ALL, port: 5000 }, reader);
    const large = (sport: number, id: number): Buffer =>
      udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 53, id, df: false, payload: Buffer.alloc(3000, 7) });
    red.give(...fragments(large(5000, 1), 1500), ...fragments(large(6000, 2), 1500));
    const outs = provider.written.length;
    assert.equal((await read(reader)).length, outs, 'half of what came, half of what went');
    const about = provider.written[0]!.packet;
    provider.give(icmpError({ src: BACKEND, dst: NAT, code: 3, about: about.subarray(0, 60) }));
    assert.equal((await read(reader)).length, outs + 2, 'the error on both sides');
  });

  it('tells the sides of a network apart that has both', async () => {
    const both = new ScriptedDevice('both');
    const one = new Pump(topology(link({ endpoints: [endpoint()] })), { maxFlows: 64 }, () => undefined);
    one.add(both, 0, Int32Array.of(address(NAT)));
    const reader = new Reader();
    new Taps(one, () => 'both').add({ ...ALL, port: 5000 }, reader);
    both.give(request());
    const { src, sport } = datagram(both.written[0]!.packet);
    both.give(udpPacket({ src: BACKEND, dst: src, sport: 53, dport: sport, payload: 'answer' }));
    one.close();
    // The provider's side of the flow has not that port.
    assert.equal((await read(reader)).length, 4);
  });

  it('keeps of each packet so many octets', async () => {
    const reader = new Reader();
    taps.add({ snapLength: 96 }, reader);
    red.give(request('z'.repeat(1000)), request('short'));
    const seen = await read(reader);
    assert.deepEqual(
      seen.map(({ packet, original }) => [packet.length, original]),
      [
        [96, 1028],
        [33, 33],
        [96, 1028],
        [33, 33],
      ],
    );
    assert.deepEqual(seen[1]!.packet, request('short'));
  });

  it('loses packets while its reader is slow, counts them, and says so at the next one', async () => {
    const [slow, quick] = [new Reader(), new Reader()];
    const tap = taps.add(ALL, slow);
    const other = taps.add(ALL, quick);
    red.give(request('1'));
    slow.waiting = 9 << 20;
    red.give(request('2'), request('3'));
    slow.waiting = 0;
    red.give(request('4'));
    assert.deepEqual(tap.status, { packets: 4, lost: 4 });
    assert.deepEqual(other.status, { packets: 8, lost: 0 });
    assert.deepEqual(taps.status, [tap.status, other.status]);
    assert.deepEqual(
      (await read(slow)).map(({ comment }) => comment),
      ['', '', '4 packets before this one were lost', ''],
    );
    assert.equal(provider.written.length, 4, 'the packets themselves go their way');
  });
});
