import assert from 'node:assert/strict';
import fc from 'fast-check';
import type { ProbeRef } from '../../../src/translate/topology.js';
import { address, Bench, link, type Outcome, rule, topology } from '../../support/bench.js';
import { datagram, ip, segment } from '../../support/dissect.js';
import { ACK, FIN, RST, SYN, tcpPacket, udpPacket } from '../../support/packets.js';
import { CLIENT, ENDPOINT, only, Stream } from '../../support/stream.js';

const POOL = ['10.1.0.4', '10.1.0.5', '10.1.0.6'];
const PROBE: ProbeRef = { name: 'lb/p', noHealthyBackends: 'AllProbedDown' };
const TCP = 6;
const UDP = 17;

const pool = (probe: ProbeRef | undefined, backends = POOL) => {
  const more = { backends: backends.map(address), ...(probe === undefined ? {} : { probe }) };
  return topology(link({ rules: [rule({ ...more, tcpReset: false }), rule({ ...more, protocol: UDP })] }));
};

const bench = (probe: ProbeRef | undefined = PROBE, backends = POOL): Bench =>
  new Bench(pool(probe, backends), { maxFlows: 8192 });
const tell = (b: Bench, backend: string, up: boolean, probe = 'lb/p'): void =>
  b.each((t) => {
    t.tables.setHealth(probe, address(backend), up);
  });

const syn = (sport: number): Buffer => tcpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 443, flags: SYN, seq: 1 });
const query = (sport: number): Buffer => udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 53, payload: 'q' });
/** Where a packet went; or why it did not. */
const whereTo = ({ verdict, sent }: Outcome): string => (verdict === 'forward' ? ip(sent[0]!.octets).dst : verdict);
const portOf = (outcome: Outcome): number => datagram(only(outcome).octets).sport;

/** The first port from which UDP comes to a backend. */
function portTo(b: Bench, backend: string): number {
  for (let sport = 1; ; sport++) if (whereTo(b.client(query(sport))) === backend) return sport;
}

describe('health of backends', () => {
  it('takes new flows off a backend that is down, its own share alone, and back', () => {
    const ports = Array.from({ length: 600 }, (_, i) => 10_000 + i);
    const before = bench();
    const share = ports.map((port) => [whereTo(before.client(syn(port))), whereTo(before.client(query(port)))]);
    const b = bench();
    tell(b, POOL[1]!, false);
    let moved = 0;
    ports.forEach((port, i) => {
      [syn(port), query(port)].forEach((packet, kind) => {
        const now = whereTo(b.client(packet));
        const was = share[i]![kind]!;
        if (was === POOL[1]) moved++;
        else assert.equal(now, was);
        assert.notEqual(now, POOL[1]);
      });
    });
    assert.ok(moved > 300 && moved < 500, String(moved));
    const again = bench();
    tell(again, POOL[1]!, false);
    tell(again, POOL[1]!, true);
    ports.forEach((port, i) => assert.deepEqual(whereTo(again.client(syn(port))), share[i]![0]));
  });

  it('leaves established TCP where it is, both ways, with its header', () => {
    const b = bench();
    const s = new Stream(b);
    s.backendAddress = segment(only(s.syn()).octets).dst;
    s.synAck();
    const first = s.send({ at: 0 });
    assert.equal(segment(only(first).octets).payload.length, s.length);
    for (const backend of POOL) tell(b, backend, false);
    const data = segment(s.send({ at: 0, payload: 'hello' }).sent.at(-1)!.octets);
    assert.equal(data.dst, s.backendAddress);
    const back = s.reply({ at: 0, acked: s.length + 5, payload: 'hi' });
    assert.equal(back.verdict, 'forward');
    assert.equal(b.t.flows.count, 1);
  });

  it('moves a UDP flow with its next datagram, once, and not before', () => {
    const b = bench();
    const sport = portTo(b, POOL[2]!);
    const natPort = portOf(b.client(query(sport)));
    const flows = b.t.flows.count;
    tell(b, POOL[2]!, false);
    const answer = (from: string, port: number): Outcome =>
      b.backend(udpPacket({ src: from, dst: '192.0.2.1', sport: 53, dport: port, payload: 'a' }));
    assert.equal(answer(POOL[2]!, natPort).verdict, 'forward', 'an answer that was on its way');
    const moved = b.client(query(sport));
    const now = whereTo(moved);
    assert.ok(now !== POOL[2] && POOL.includes(now));
    assert.equal(answer(POOL[2]!, natPort).verdict, 'no-flow');
    assert.equal(answer(now, portOf(moved)).verdict, 'forward');
    assert.equal(b.t.flows.count, flows);
    tell(b, POOL[2]!, true);
    assert.equal(whereTo(b.client(query(sport))), now, 'it stays where it is well');
  });

  it('leaves UDP flows of other backends, and of rules with another probe, alone', () => {
    const b = bench();
    const sport = portTo(b, POOL[0]!);
    const natPort = portOf(b.client(query(sport)));
    tell(b, POOL[1]!, false);
    tell(b, POOL[0]!, false, 'lb/other');
    assert.equal(portOf(b.client(query(sport))), natPort);
  });

  it('moves a connection that has had no answer with its next SYN', () => {
    const b = bench();
    const first = whereTo(b.client(syn(7000)));
    assert.equal(whereTo(b.client(syn(7000))), first);
    tell(b, first, false);
    const now = whereTo(b.client(syn(7000)));
    assert.ok(now !== first && POOL.includes(now));
    assert.equal(b.t.flows.count, 1);
  });

  it('moves what begins anew on the ports of a connection that is over', () => {
    for (const how of ['refused', 'closed'] as const) {
      const b = bench();
      const s = new Stream(b);
      const first = (s.backendAddress = segment(only(s.syn()).octets).dst);
      if (how === 'refused') {
        s.reply({ flags: RST | ACK, at: -1, seq: 0, acked: 0 });
      } else {
        s.synAck();
        s.send({ at: 0 });
        s.reply({ at: 0, acked: s.length, flags: FIN | ACK });
        s.send({ at: 0, acked: 1, flags: FIN | ACK });
      }
      tell(b, first, false);
      const again = tcpPacket({
        src: CLIENT,
        dst: ENDPOINT,
        sport: s.clientPort,
        dport: 443,
        flags: SYN,
        seq: how === 'refused' ? s.s - 1 : 777_777,
      });
      assert.notEqual(whereTo(b.client(again)), first, how);
    }
  });

  it('opens no new flow when all are down (AllProbedDown), ends UDP, and opens again when one is up', () => {
    const b = bench();
    const sport = portTo(b, POOL[0]!);
    const flows = b.t.flows.count;
    for (const backend of POOL) tell(b, backend, false);
    assert.equal(b.client(syn(9000)).verdict, 'no-healthy-backend');
    assert.equal(b.client(query(sport)).verdict, 'no-healthy-backend');
    assert.equal(b.t.flows.count, flows - 1);
    assert.equal(b.drops('no-healthy-backend'), 2);
    tell(b, POOL[1]!, true);
    assert.equal(whereTo(b.client(syn(9000))), POOL[1]);
    assert.equal(whereTo(b.client(query(sport))), POOL[1]);
  });

  it('opens flows to all when all are down (AllProbedUp), as if all were up', () => {
    const b = bench({ ...PROBE, noHealthyBackends: 'AllProbedUp' });
    const well = bench();
    const sport = portTo(b, POOL[0]!);
    const natPort = portOf(b.client(query(sport)));
    for (const backend of POOL) tell(b, backend, false);
    assert.equal(portOf(b.client(query(sport))), natPort, 'UDP stays');
    for (let port = 9000; port < 9100; port++)
      assert.equal(whereTo(b.client(syn(port))), whereTo(well.client(syn(port))));
  });

  it('closes a rule with one backend', () => {
    const b = bench(PROBE, [POOL[0]!]);
    tell(b, POOL[0]!, false);
    assert.equal(b.client(syn(1)).verdict, 'no-healthy-backend');
    tell(b, POOL[0]!, true);
    assert.equal(whereTo(b.client(syn(1))), POOL[0]);
  });

  it('counts every backend healthy without a probe', () => {
    const b = bench({ name: 'lb/other', noHealthyBackends: 'AllProbedDown' });
    for (const backend of POOL) tell(b, backend, false);
    assert.ok(POOL.includes(whereTo(b.client(syn(1)))));
  });

  it('keeps the health over a reload', () => {
    const b = bench();
    tell(b, POOL[0]!, false);
    tell(b, POOL[1]!, false);
    b.each((t) => t.tables.apply(pool(PROBE)));
    for (let port = 1; port < 50; port++) assert.equal(whereTo(b.client(syn(port))), POOL[2]);
    assert.deepEqual(
      POOL.map((backend) => b.t.tables.serves(address(backend))),
      [false, false, true],
    );
    for (const backend of POOL) tell(b, backend, true);
    const all = new Set(Array.from({ length: 60 }, (_, i) => whereTo(b.client(syn(100 + i)))));
    assert.equal(all.size, 3);
  });

  it('agrees with the rule told word by word, whatever comes and in whatever order', () => {
    const step = fc.oneof(
      fc.record({ kind: fc.constant('health' as const), backend: fc.nat(2), up: fc.boolean() }),
      fc.record({ kind: fc.constantFrom('udp' as const, 'syn' as const), port: fc.nat(5) }),
    );
    const behaviour = fc.constantFrom('AllProbedDown' as const, 'AllProbedUp' as const);
    fc.assert(
      fc.property(fc.array(step, { maxLength: 60 }), behaviour, (steps, noHealthyBackends) => {
        const b = bench({ ...PROBE, noHealthyBackends });
        const up = new Set(POOL);
        const flows = new Map<string, string>();
        for (const each of steps) {
          if (each.kind === 'health') {
            const backend = POOL[each.backend]!;
            tell(b, backend, each.up);
            if (each.up) up.add(backend);
            else up.delete(backend);
            continue;
          }
          const open = up.size > 0 ? up : new Set(noHealthyBackends === 'AllProbedUp' ? POOL : []);
          const key = `${each.kind} ${String(each.port)}`;
          const went = whereTo(b.client(each.kind === 'udp' ? query(each.port + 1) : syn(each.port + 1)));
          const before = flows.get(key);
          if (before !== undefined && open.has(before)) assert.equal(went, before, 'a flow that is well stays');
          else if (open.size === 0) assert.equal(went, 'no-healthy-backend');
          else {
            assert.ok(open.has(went), went);
            const protocol = each.kind === 'udp' ? UDP : TCP;
            const rules = b.t.tables.links[0]!.rules.get(protocol << 16)!;
            const well = { ...rules, table: rules.maglev };
            const e = b.t.tables.endpoints[0]!;
            const at = protocol === UDP ? 53 : 443;
            const own = b.t.tables.backend(well, e, protocol, address(CLIENT) | 0, each.port + 1, at);
            const dotted = POOL.find((backend) => (address(backend) | 0) === own)!;
            if (open.has(dotted)) assert.equal(went, dotted, 'its own backend where that is up');
          }
          if (POOL.includes(went)) flows.set(key, went);
          else flows.delete(key);
        }
        assert.equal(b.t.flows.count, flows.size);
      }),
      { numRuns: 150 },
    );
  });
});
