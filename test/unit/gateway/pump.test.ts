import assert from 'node:assert/strict';
import { GONE } from '../../../src/device/device.js';
import { Patience } from '../../../src/gateway/patience.js';
import { Pump, type Port } from '../../../src/gateway/pump.js';
import { datagram, faults, segment } from '../../support/dissect.js';
import { address, endpoint, link, rule, topology } from '../../support/bench.js';
import { ACK, PSH, SYN, pseudoSum, tcpPacket, udpPacket } from '../../support/packets.js';
import { until } from '../../support/until.js';
import { fold, sum } from '../../../src/wire/checksum.js';
import { ScriptedDevice } from './scripted-device.js';

const NAT = Int32Array.of(address('192.0.2.1'));
const NONE = new Int32Array(0);
const CLIENT = '10.0.0.5';
const ENDPOINT = '10.9.0.4';
const BACKEND = '10.1.0.4';

const request = (n: number, src = CLIENT): Buffer =>
  udpPacket({ src, dst: ENDPOINT, sport: 5000, dport: 53, payload: `request ${n}` });

describe('gateway: the pump', () => {
  let now = 1000;
  let gone: Port[] = [];
  let pump: Pump;
  let red: ScriptedDevice;
  let blue: ScriptedDevice;
  let provider: ScriptedDevice;

  beforeEach(() => {
    now = 1000;
    gone = [];
    const two = topology(
      link({ endpoints: [endpoint({ linkId: 7 }), endpoint({ name: 'other', network: 1, linkId: 8 })] }),
    );
    pump = new Pump(
      two,
      { maxFlows: 4096 },
      (port) => gone.push(port),
      () => now,
      new Patience(0),
    );
    [red, blue, provider] = [new ScriptedDevice('red'), new ScriptedDevice('blue'), new ScriptedDevice('provider')];
    pump.add(red, 0, NONE);
    pump.add(blue, 1, NONE);
    pump.add(provider, -1, NAT);
  });
  afterEach(() => {
    pump.close();
  });

  const payloads = (device: ScriptedDevice): string[] =>
    device.written.map(({ packet }) => datagram(packet).payload.toString());

  it('moves a burst to the backend in one call, in order, and the answers back to their own network', () => {
    red.give(...[1, 2, 3].map((n) => request(n)));
    blue.give(request(4));
    assert.deepEqual(payloads(provider), ['request 1', 'request 2', 'request 3', 'request 4']);
    assert.deepEqual(provider.calls, [3, 1]);
    for (const { packet } of provider.written) assert.deepEqual(faults(packet), []);
    const [first, , , last] = provider.written.map(({ packet }) => datagram(packet));
    assert.ok(first !== undefined && last !== undefined);
    assert.notEqual(first.sport, last.sport, 'the same tuple of another network is another flow');
    const answer = (to: typeof first, payload: string): Buffer =>
      udpPacket({ src: BACKEND, dst: to.src, sport: 53, dport: to.sport, payload });
    provider.give(answer(last, 'to blue'), answer(first, 'to red 1'), answer(first, 'to red 2'));
    assert.deepEqual(payloads(red), ['to red 1', 'to red 2']);
    assert.deepEqual(payloads(blue), ['to blue']);
    assert.deepEqual([red.calls, blue.calls], [[2], [1]]);
  });

  it('gives nothing to the only provider’s network that the NAT address is not of', () => {
    pump.assign([[pump.ports[2]!, -1, Int32Array.of(NAT[0]! + 1)]]);
    red.give(request(1), request(2));
    assert.deepEqual([payloads(provider), pump.noDevice], [[], 2]);
    pump.assign([[pump.ports[2]!, -1, NAT]]);
    red.give(request(3));
    assert.deepEqual([payloads(provider), pump.noDevice], [['request 3'], 2]);
  });

  it('reads on while bursts are full, and leaves the rest of a flood to the next turn', () => {
    red.give(...Array.from({ length: 64 * 16 + 10 }, (_, n) => request(n)));
    assert.equal(red.left, 10);
    assert.equal(red.reads, 16);
    red.turn();
    assert.equal(red.left, 0);
    assert.equal(red.reads, 17, 'a burst that is not full is the last');
    assert.equal(provider.written.length, 64 * 16 + 10);
    assert.equal(payloads(provider).at(-1), `request ${64 * 16 + 9}`);
  });

  it('takes fewer packets at a time when they are large, and all again when they are small', () => {
    const large = (n: number): Buffer =>
      udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 5000, dport: 53, payload: `${n} `.padEnd(5000, '.') });
    red.give(...Array.from({ length: 64 + 32 }, (_, n) => large(n)));
    assert.deepEqual(provider.calls, [64, 16, 16]);
    red.give(...Array.from({ length: 16 + 64 }, (_, n) => request(n)));
    assert.deepEqual(provider.calls.slice(3), [16, 64]);
    assert.equal(provider.written.length, 176);
  });

  describe('waiting for the next packet', () => {
    /** Each look at the clock finds it a microsecond on. */
    const ticking = (): number => (now += 0.001);

    beforeEach(() => {
      pump.close();
      const all = topology(link({ endpoints: [endpoint({ linkId: 7 })] }));
      pump = new Pump(all, { maxFlows: 4096 }, (port) => gone.push(port), ticking, new Patience(0.06));
      [red, provider] = [new ScriptedDevice('red'), new ScriptedDevice('provider')];
      pump.add(red, 0, NONE);
      pump.add(provider, -1, NAT);
    });

    const talk = (): void => {
      for (let i = 0; i < 5; i++) red.give(request(i));
    };

    it('asks all devices for a while when packets come soon after one another', () => {
      red.give(request(0));
      const asked = [provider.reads];
      talk();
      asked.push(provider.reads);
      assert.ok(asked[0] === 0 && asked[1]! > 5, `${asked.join()}: at first nothing is known yet`);
      const from = now;
      red.give(request(6));
      assert.ok(now - from > 0.06 && now - from < 0.1, `${now - from} ms`);
    });

    it('moves what comes meanwhile, without being told of it', () => {
      talk();
      const { src, sport } = datagram(provider.written[0]!.packet);
      provider.started = false;
      provider.give(udpPacket({ src: BACKEND, dst: src, sport: 53, dport: sport, payload: 'the answer' }));
      assert.deepEqual(payloads(red), []);
      red.give(request(7));
      assert.deepEqual(payloads(red), ['the answer']);
    });

    it('goes back to the event loop at once after a transfer, and after a pause that ends a conversation', () => {
      talk();
      const quiet = (act: () => void): void => {
        const before = provider.reads;
        act();
        assert.equal(provider.reads, before);
      };
      quiet(() => {
        red.give(request(1), request(2), request(3));
      });
      quiet(() => {
        for (let i = 0; i < 4; i++) {
          now += 1000;
          red.give(request(1), request(2), request(3));
        }
        now += 1000;
        red.give(request(4));
      });
    });

    it('gives the event loop its turn when packets never end', () => {
      talk();
      const from = now;
      const again = request(1);
      red.read = (slab, offsets, _size, lengths) => {
        again.copy(slab, offsets[0]);
        lengths[0] = again.length;
        return 1;
      };
      red.turn();
      red.give(request(8));
      assert.ok(now - from < 10, `${now - from} ms`);
    });

    it('goes on after that turn without being told of a packet, and sleeps when nothing comes', async () => {
      talk();
      const again = request(1);
      const read = red.read.bind(red);
      red.read = (slab, offsets, _size, lengths) => {
        again.copy(slab, offsets[0]);
        lengths[0] = again.length;
        return 1;
      };
      red.give(request(8));
      red.read = read;
      const { src, sport } = datagram(provider.written[0]!.packet);
      provider.started = false;
      provider.queue(udpPacket({ src: BACKEND, dst: src, sport: 53, dport: sport, payload: 'the answer' }));
      await new Promise(setImmediate);
      assert.deepEqual(payloads(red), ['the answer']);
      const { reads } = provider;
      await new Promise(setImmediate);
      await new Promise(setImmediate);
      assert.equal(provider.reads, reads);
    });
  });

  it('asks a full device again a few times, then counts what it did not take', () => {
    provider.room = 2;
    red.give(...[1, 2, 3, 4, 5].map((n) => request(n)));
    assert.deepEqual(payloads(provider), ['request 1', 'request 2']);
    assert.equal(pump.ports[2]!.lost, 3);
    assert.ok(provider.calls.length > 2 && provider.calls.length < 20, `${provider.calls.length} calls`);
    provider.room = Infinity;
    red.give(request(6));
    assert.deepEqual(payloads(provider), ['request 1', 'request 2', 'request 6']);
    assert.equal(pump.ports[2]!.lost, 3);
  });

  it('tells once that a device is gone, and counts what was for it', () => {
    provider.gone = true;
    provider.turn();
    red.give(request(1), request(2));
    assert.deepEqual(
      gone.map((port) => port.device.name),
      ['provider'],
    );
    assert.equal(pump.ports[2]!.lost, 2);
    assert.equal(provider.started, false);
  });

  it('tells it once too when a device goes while it is read and written', () => {
    const both = new ScriptedDevice('both');
    const told: string[] = [];
    const t = topology(link({ endpoints: [endpoint()], rules: [rule({ protocol: 17 })] }));
    const one = new Pump(
      t,
      { maxFlows: 128 },
      (port) => told.push(port.device.name),
      () => now,
    );
    one.add(both, 0, NAT);
    both.write = () => {
      both.gone = true;
      return GONE;
    };
    both.give(...Array.from({ length: 70 }, (_, n) => request(n)));
    assert.equal(both.reads, 2);
    assert.deepEqual(told, ['both']);
    one.close();
  });

  it('passes a partial checksum on as one, and the virtio-net header untouched', () => {
    const packet = request(1);
    const header = Buffer.from([1, 0, 0, 0, 0, 0, 20, 0, 6, 0]);
    packet.writeUInt16BE(pseudoSum(packet, packet.length - 20), 26);
    red.giveWith(header, packet);
    const [out] = provider.written;
    assert.ok(out !== undefined);
    assert.deepEqual(out.header, header);
    assert.equal(out.packet.readUInt16BE(26), pseudoSum(out.packet, out.packet.length - 20));
  });

  it('gives a packet of its own a cleared virtio-net header', () => {
    openStream();
    red.written.length = 0;
    provider.written.length = 0;
    const header = Buffer.from([1, 1, 40, 0, 0xb4, 5, 20, 0, 16, 0]);
    const data = tcpPacket({ ...client, seq: 1001, ack: 5001, flags: ACK | PSH, payload: 'hello' });
    data.writeUInt16BE(pseudoSum(data, data.length - 20), 36);
    red.giveWith(header, data);
    assert.deepEqual(
      provider.written.map(({ header: h }) => h.toString('hex')),
      [Buffer.alloc(10).toString('hex'), header.toString('hex')],
    );
    assert.deepEqual(faults(provider.written[0]!.packet), []);
  });

  const client = { src: CLIENT, dst: ENDPOINT, sport: 40000, dport: 80 };

  function openStream(): void {
    red.give(tcpPacket({ ...client, seq: 1000, flags: SYN }));
    const syn = segment(provider.written[0]!.packet);
    provider.give(
      tcpPacket({ src: BACKEND, dst: syn.src, sport: 80, dport: syn.sport, seq: 5000, ack: 1001, flags: SYN | ACK }),
    );
  }

  it('sends a header again by its timer, and runs no timer once nothing can time out', async () => {
    // Not counted over the process: timers of other tests end meanwhile.
    const runs = (): boolean => (pump as unknown as { timer: unknown }).timer !== null;
    assert.equal(runs(), false);
    openStream();
    red.give(tcpPacket({ ...client, seq: 1001, ack: 5001, flags: ACK }));
    const headers = (): number => provider.written.filter(({ packet }) => segment(packet).payload.length === 36).length;
    assert.equal(headers(), 1);
    assert.equal(runs(), true);
    now += 400;
    await until('the header again', () => headers() > 1);
    assert.equal(headers(), 2);
    assert.deepEqual(faults(provider.written.at(-1)!.packet), []);
    assert.equal(pump.translator.flows.count, 1);
    await until('the end of the flow', () => {
      now += 400_000;
      return pump.translator.flows.count === 0;
    });
    await until('the end of the timer', () => !runs());
  });

  it('lets its timer rest until a flow can end when nothing comes, and runs it again when something does', async () => {
    let ticks = 0;
    pump.onTick = () => ticks++;
    const period = (): number => (pump as unknown as { periodMs: number }).periodMs;
    red.give(request(1));
    assert.equal(period(), 256);
    await until('two ticks', () => ticks === 2);
    const end = now + 240_000;
    assert.ok(period() > 200_000 && Math.abs(now + period() - end) <= 512, `${period()} ms`);
    red.give(request(2));
    assert.equal(period(), 256);
  });

  it('sees soon that the control side has ended the last flow while its timer rested', async () => {
    let ticks = 0;
    pump.onTick = () => ticks++;
    const period = (): number => (pump as unknown as { periodMs: number }).periodMs;
    red.give(request(1));
    await until('the rest', () => period() > 256);
    const before = ticks;
    assert.equal(pump.attend().endFlowsOn(NAT[0]!), 1);
    await until('the end of the timer', () => period() === 0);
    assert.equal(ticks, before + 1);
  });

  it('tells the control side the time, also while nothing comes', () => {
    red.give(request(1));
    now += 5000;
    const { core } = pump.attend();
    assert.equal(core.idleMs(core.flow), 5000);
  });

  it('does not let its timer rest while fragments wait', async () => {
    let ticks = 0;
    pump.onTick = () => ticks++;
    red.give(request(1));
    const later = request(2);
    later.writeUInt16BE(1, 6);
    later.writeUInt16BE(0, 10);
    later.writeUInt16BE(0xffff - fold(sum(later, 0, 20)), 10);
    red.give(later);
    assert.equal(pump.fragmentsWaiting, 1);
    await until('three ticks', () => ticks >= 3);
    assert.equal((pump as unknown as { periodMs: number }).periodMs, 256);
  });

  it('refuses a packet from a provider network that is for no NAT address of it', () => {
    provider.give(udpPacket({ src: BACKEND, dst: '192.0.2.99', sport: 53, dport: 2000 }));
    assert.equal(pump.translator.drops.toJSON()['no-flow'], 1);
  });

  it('drops what is not IPv4 with a reason', () => {
    red.give(Buffer.concat([Buffer.from([0x60]), Buffer.alloc(47)]));
    assert.equal(pump.translator.drops.toJSON()['not-ipv4'], 1);
    assert.equal(provider.written.length, 0);
  });

  it('takes a network for both sides where it has endpoints and services', () => {
    const both = new ScriptedDevice('both');
    const t = topology(link({ endpoints: [endpoint()], rules: [rule({ protocol: 17 })] }));
    const one = new Pump(
      t,
      { maxFlows: 16 },
      () => undefined,
      () => now,
    );
    one.add(both, 0, NAT);
    both.give(request(1));
    const sent = datagram(both.written[0]!.packet);
    assert.equal(sent.dst, BACKEND);
    both.give(udpPacket({ src: BACKEND, dst: sent.src, sport: 53, dport: sent.sport, payload: 'answer' }));
    assert.equal(datagram(both.written[1]!.packet).src, ENDPOINT);
    one.close();
  });

  it('sends each service’s packets to the network of its NAT address', () => {
    const west = new ScriptedDevice('west');
    const t = topology(
      link({ rules: [rule({ protocol: 17 })] }),
      link({
        name: 'second',
        natAddresses: [address('192.0.2.65')],
        rules: [rule({ protocol: 17, backends: [address('10.1.9.4')] })],
        endpoints: [endpoint({ name: 'second', address: address('10.9.0.5') })],
      }),
    );
    const two = new Pump(
      t,
      { maxFlows: 16 },
      () => undefined,
      () => now,
    );
    const [from, east] = [new ScriptedDevice('from'), new ScriptedDevice('east')];
    two.add(from, 0, NONE);
    two.add(east, -1, NAT);
    two.add(west, -1, Int32Array.of(address('192.0.2.65')));
    from.give(udpPacket({ src: CLIENT, dst: '10.9.0.5', sport: 5, dport: 53 }), request(1));
    assert.deepEqual(
      [east, west].map((d) => d.written.map(({ packet }) => datagram(packet).dst)),
      [[BACKEND], ['10.1.9.4']],
    );
    // An answer that comes by the other network is no answer.
    const sent = datagram(east.written[0]!.packet);
    west.give(udpPacket({ src: BACKEND, dst: sent.src, sport: 53, dport: sent.sport }));
    assert.equal(from.written.length, 0);
    two.close();
  });
});
