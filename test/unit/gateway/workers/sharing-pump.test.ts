import assert from 'node:assert/strict';
import { setImmediate } from 'node:timers/promises';
import type { Port } from '../../../../src/gateway/pump.js';
import { SharingPump } from '../../../../src/gateway/workers/sharing-pump.js';
import { steeringMemory } from '../../../../src/gateway/workers/steering.js';
import { needsChecksum } from '../../../../src/wire/virtio-net.js';
import { address, endpoint, link, topology } from '../../../support/bench.js';
import { datagram, ip } from '../../../support/dissect.js';
import { fragments, icmpError, tcpPacket, udpPacket } from '../../../support/packets.js';
import { Random } from '../../../support/random.js';
import { ScriptedDevice } from '../scripted-device.js';

const WORKERS = 3;
const NAT = '192.0.2.1';
const ENDPOINT = '10.9.0.4';
const CLIENT = '10.0.0.5';
const RED = 0;
const BLUE = 1;
const PROVIDER = 2;

/** The queues of three interfaces, as so many workers have them. */
class Shared {
  readonly pumps: SharingPump[] = [];
  readonly ports: Port[][] = [];
  /** By worker, then by interface. */
  readonly queues: ScriptedDevice[][] = [];
  /** Workers that were woken. */
  wakes = 0;
  deaf = -1;
  now = 0;

  constructor(workers = WORKERS, fragmentMs = 30_000) {
    const memory = steeringMemory(workers);
    const lab = topology(link({ natPortCount: 300, endpoints: [endpoint(), endpoint({ network: 1 })] }));
    for (let index = 0; index < workers; index++) {
      const wake = (worker: number): void => {
        this.wakes++;
        // As in another thread: later.
        if (worker !== this.deaf) queueMicrotask(() => this.pumps[worker]!.wake());
      };
      const options = { maxFlows: 1024, share: { index, of: workers } };
      const pump = new SharingPump(
        lab,
        { ...options, timeouts: { ...TIMES, fragmentMs } },
        () => undefined,
        { index, workers, memory, wake },
        () => this.now,
      );
      const queues = ['red', 'blue', 'provider'].map((name) => new ScriptedDevice(name));
      this.queues.push(queues);
      this.ports.push([
        pump.add(queues[RED]!, 0, new Int32Array(0), RED),
        pump.add(queues[BLUE]!, 1, new Int32Array(0), BLUE),
        pump.add(queues[PROVIDER]!, -1, Int32Array.of(address(NAT) | 0), PROVIDER),
      ]);
      this.pumps.push(pump);
    }
  }

  give(worker: number, face: number, ...packets: Buffer[]): void {
    this.queues[worker]![face]!.give(...packets);
  }

  /** What was written to an interface since the last time, by whichever worker. */
  written(face: number): Buffer[] {
    return this.queues.flatMap((queues) => queues[face]!.written.splice(0).map(({ packet }) => packet));
  }

  async quiet(): Promise<void> {
    for (let i = 0; i < 6; i++) await setImmediate();
  }

  close(): void {
    for (const pump of this.pumps) pump.close();
  }
}

const TIMES = {
  tcpHalfOpenMs: 60_000,
  tcpEstablishedMs: 300_000,
  tcpClosingMs: 60_000,
  udpMs: 300_000,
  fragmentMs: 30_000,
  portHoldMs: 120_000,
};

describe('pumps that share the flows', () => {
  let s: Shared;
  beforeEach(() => {
    s = new Shared();
  });
  afterEach(() => s.close());

  const request = (sport: number, payload = 'hello'): Buffer =>
    udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 53, payload });
  const drops = (): object[] => s.pumps.map((pump) => pump.translator.drops.toJSON());

  it('move each packet once, whichever queue it came to, and its answers too', async () => {
    const random = new Random(7);
    const any = (): number => random.int(0, WORKERS - 1);
    const ports = new Set<number>();
    for (const [network, name] of [
      [RED, 'red'],
      [BLUE, 'blue'],
    ] as const) {
      for (let sport = 1; sport <= 100; sport++) {
        s.give(any(), network, request(sport, `${name} ${String(sport)}`));
        await s.quiet();
        const [sent, ...more] = s.written(PROVIDER).map(datagram);
        assert.deepEqual(more, []);
        assert.equal(sent!.payload.toString(), `${name} ${String(sport)}`);
        assert.ok(!ports.has(sent!.sport));
        ports.add(sent!.sport);
        // Again, by another queue: the same flow.
        s.give(any(), network, request(sport, 'again'));
        await s.quiet();
        assert.equal(datagram(s.written(PROVIDER)[0]!).sport, sent!.sport);
        s.give(
          any(),
          PROVIDER,
          udpPacket({ src: sent!.dst, dst: NAT, sport: 53, dport: sent!.sport, payload: 'answer' }),
        );
        await s.quiet();
        const answers = s.written(network).map(datagram);
        assert.deepEqual(
          answers.map(({ src, dst, sport: from, dport }) => [src, dst, from, dport]),
          [[ENDPOINT, CLIENT, 53, sport]],
        );
        assert.deepEqual(s.written(network === RED ? BLUE : RED), []);
      }
    }
    for (const { translator } of s.pumps) assert.ok(translator.flows.count > 40, 'each has its part');
    assert.equal(
      s.pumps.reduce((sum, { translator }) => sum + translator.flows.count, 0),
      200,
    );
    assert.deepEqual(drops(), [{}, {}, {}]);
    assert.ok(s.pumps.some(({ steering }) => steering.handedOver > 0));
    assert.ok(s.pumps.every(({ steering }) => steering.lost === 0));
  });

  it('give every NAT port of the range to flows, and then none', async () => {
    const ports = new Set<number>();
    for (let sport = 1; sport <= 1200; sport++) s.give(sport % WORKERS, RED, request(sport));
    await s.quiet();
    for (const packet of s.written(PROVIDER)) ports.add(datagram(packet).sport);
    assert.equal(ports.size, 300);
    assert.deepEqual([Math.min(...ports), Math.max(...ports)], [1024, 1323]);
    const refused = s.pumps.reduce((sum, { translator: t }) => sum + (t.drops.toJSON()['nat-exhausted'] ?? 0), 0);
    assert.equal(refused, 900);
  });

  it('put the fragments of a datagram through one flow, in whatever order and by whatever queues they come', async () => {
    const random = new Random(11);
    for (let id = 1; id <= 60; id++) {
      const payload = `${String(id)} `.repeat(600);
      const whole = udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 1000 + id, dport: 53, id, df: false, payload });
      const parts = fragments(whole, 576).map((part) => ({ part, at: random.next() }));
      parts.sort((a, b) => a.at - b.at);
      for (const { part } of parts) {
        s.give(random.int(0, WORKERS - 1), RED, part);
        if (random.next() < 0.5) await s.quiet();
      }
      await s.quiet();
      const out = s.written(PROVIDER);
      assert.equal(out.length, parts.length, `datagram ${String(id)}`);
      assert.equal(new Set(out.map((packet) => ip(packet).id)).size, 1);
      const places = (packets: readonly Buffer[]): string[] =>
        packets.map((each) => each.subarray(6, 8).toString('hex') + each.subarray(28).toString('hex')).sort();
      assert.deepEqual(places(out), places(parts.map(({ part }) => part)));
    }
    assert.deepEqual(drops(), [{}, {}, {}]);
    assert.equal(
      s.pumps.reduce((sum, pump) => sum + pump.fragmentsWaiting, 0),
      0,
    );
  });

  it('keep datagrams apart that differ in nothing but their network, or their protocol', async () => {
    for (let id = 1; id <= 40; id++) {
      const same = { src: CLIENT, dst: ENDPOINT, dport: 53, id, df: false, payload: 'r'.repeat(1200) };
      const red = fragments(udpPacket({ ...same, sport: id }), 576);
      const blue = fragments(udpPacket({ ...same, sport: 1000 + id, payload: 'b'.repeat(1200) }), 576);
      const tcp = fragments(tcpPacket({ ...same, sport: 2000 + id }), 576);
      const kinds = [red, blue, tcp];
      // The first ones of all come before the later ones of any, or behind these. The TCP segment is none that opens a flow.
      const places = id % 2 === 0 ? [0, 1, 2] : [1, 2, 0];
      for (const place of places) {
        for (const [i, parts] of kinds.entries()) {
          s.give((id + place) % WORKERS, i === 1 ? BLUE : RED, parts[place]!);
          await s.quiet();
        }
      }
      const out = s.written(PROVIDER).map((packet) => `${String(ip(packet).id)} ${String(packet.at(-1))}`);
      assert.deepEqual([out.length, new Set(out).size], [6, 2], `datagrams ${String(id)}: ${out.join()}`);
    }
    assert.equal(
      s.pumps.reduce((sum, pump) => sum + pump.fragmentsWaiting, 0),
      0,
    );
  });

  it('hand over no fragments of protocols that nobody translates', async () => {
    for (let id = 1; id <= 20; id++) {
      const whole = udpPacket({
        src: CLIENT,
        dst: ENDPOINT,
        sport: 1,
        dport: 53,
        id,
        df: false,
        payload: 'x'.repeat(1200),
      });
      for (const part of fragments(whole, 576)) {
        part[9] = 1;
        s.give(id % WORKERS, RED, part);
      }
    }
    await s.quiet();
    assert.deepEqual(
      s.pumps.map(({ handedOver }) => handedOver.packets),
      [0, 0, 0],
    );
    assert.equal(s.written(PROVIDER).length, 0);
  });

  it('let fragments wait for their first one no longer than they may', async () => {
    const parts = fragments(
      udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 1, dport: 53, id: 9, df: false, payload: 'x'.repeat(2000) }),
      576,
    );
    for (const [i, part] of parts.slice(1).entries()) s.give(i % WORKERS, RED, part);
    await s.quiet();
    const waiting = (): number => s.pumps.reduce((sum, pump) => sum + pump.fragmentsWaiting, 0);
    assert.equal(waiting(), parts.length - 1);
    // What the pump's timer does.
    const tick = (): void => {
      for (const pump of s.pumps) (pump as unknown as { tick(): void }).tick();
    };
    s.now = 29_999;
    tick();
    assert.equal(waiting(), parts.length - 1);
    s.now = 30_000;
    tick();
    assert.equal(waiting(), 0);
    const late = s.pumps.reduce((sum, { translator: t }) => sum + (t.drops.toJSON()['fragment-timeout'] ?? 0), 0);
    assert.equal(late, parts.length - 1);
  });

  it('take an ICMP error to the flow that it is about', async () => {
    for (let worker = 0; worker < WORKERS; worker++) {
      for (let sport = 1; sport < 8; sport++) {
        s.give(0, RED, request(sport));
        await s.quiet();
        const [sent] = s.written(PROVIDER);
        s.give(worker, PROVIDER, icmpError({ src: datagram(sent!).dst, dst: NAT, code: 3, about: sent! }));
        await s.quiet();
        const [error] = s.written(RED);
        assert.deepEqual([ip(error!).src, ip(error!).dst], [ENDPOINT, CLIENT]);
        assert.equal(error!.readUInt16BE(20 + 8 + 20), sport, 'it quotes what the client sent');
      }
    }
    assert.equal(
      s.pumps.reduce((sum, { translator: t }) => sum + t.counters.icmpErrors, 0),
      7 * WORKERS,
    );
  });

  it('keep the virtio-net header of what they hand over', async () => {
    const header = Buffer.alloc(10);
    header[0] = 1; // VIRTIO_NET_HDR_F_NEEDS_CSUM
    header.writeUInt16LE(20, 6);
    header.writeUInt16LE(6, 8);
    for (let sport = 1; sport <= 20; sport++) s.queues[0]![RED]!.giveWith(header, request(sport));
    await s.quiet();
    const out = s.queues.flatMap((queues) => queues[PROVIDER]!.written);
    assert.equal(out.length, 20);
    for (const each of out) assert.ok(needsChecksum(each.header, 0));
    assert.ok(s.queues[1]![PROVIDER]!.written.length > 0, 'also by another worker');
  });

  it('lose what a worker does not take in time, and count it', async () => {
    s.deaf = 1;
    const large = (sport: number): Buffer => request(sport, 'x'.repeat(1400));
    for (let sport = 1; sport <= 12_000; sport++) s.give(0, RED, large(sport));
    await s.quiet();
    const { steering } = s.pumps[0]!;
    assert.ok(steering.lost > 0);
    const before = s.pumps[1]!.translator.flows.count;
    assert.equal(before, 0);
    s.pumps[1]!.wake();
    await s.quiet();
    for (let i = 0; i < 100; i++) await s.quiet();
    const taken = s.pumps[1]!.translator;
    assert.ok(taken.flows.count > 0);
    const dropped = taken.drops.toJSON()['nat-exhausted'] ?? 0;
    const all = s.pumps[2]!.translator;
    const others = all.flows.count + (all.drops.toJSON()['nat-exhausted'] ?? 0);
    assert.equal(taken.flows.count + dropped + others, steering.handedOver);
  });

  it('keep networks apart in what waits for one worker', async () => {
    s.deaf = 1;
    for (let sport = 1; sport <= 40; sport++) s.give(0, sport % 2 === 0 ? RED : BLUE, request(sport, String(sport)));
    await s.quiet();
    s.written(PROVIDER);
    s.pumps[1]!.wake();
    await s.quiet();
    const sent = s.written(PROVIDER).map(datagram);
    assert.ok(sent.length > 5);
    for (const { dst, sport, payload } of sent) {
      s.give(1, PROVIDER, udpPacket({ src: dst, dst: NAT, sport: 53, dport: sport, payload }));
      const [mine, other] = Number(payload) % 2 === 0 ? [RED, BLUE] : [BLUE, RED];
      assert.deepEqual(
        s.written(mine).map((packet) => datagram(packet).dport),
        [Number(payload)],
      );
      assert.deepEqual(s.written(other), []);
    }
  });

  it('drop and count what comes for an interface that this worker has no more', async () => {
    for (const pump of s.pumps.slice(1)) pump.remove(pump.ports[RED]!);
    for (let sport = 1; sport <= 30; sport++) s.give(0, RED, request(sport));
    await s.quiet();
    const lost = s.pumps.reduce((sum, pump) => sum + pump.noDevice, 0);
    assert.equal(lost, s.pumps[0]!.steering.handedOver);
    assert.ok(lost > 5);
    assert.equal(s.written(PROVIDER).length, 30 - lost);
  });

  it('wake nobody who is awake, and sleep when nothing is left', async () => {
    for (let sport = 1; sport <= 64; sport++) {
      const before = s.wakes;
      s.give(0, RED, request(sport));
      assert.ok(s.wakes - before <= 1);
      s.give(0, RED, request(sport));
      assert.ok(s.wakes - before <= 1, 'the other is awake already');
      await s.quiet();
    }
    assert.ok(s.wakes > 0);
    for (const { steering } of s.pumps) assert.ok(steering.sleep());
  });
});
