import assert from 'node:assert/strict';
import type { LinkSpec, ProbeRef } from '../../../src/translate/topology.js';
import { address, Bench, endpoint, link, type Outcome, rule, topology } from '../../support/bench.js';
import { ip, segment } from '../../support/dissect.js';
import { ACK, FIN, RST, udpPacket } from '../../support/packets.js';
import { CLIENT, ENDPOINT, only, Stream } from '../../support/stream.js';

const UDP = 17;
const OTHER_BACKEND = '10.1.0.99';
const OTHER_NAT = '192.0.2.9';
/** The client's first number of a connection that begins anew, within the window of the one before. */
const AGAIN = 5000;

const apply = (b: Bench, changed: LinkSpec): void => {
  b.each((t) => t.tables.apply(topology(changed)).length);
};
/** Where a packet went and where from; or why it did not. */
const way = ({ verdict, sent }: Outcome): string =>
  verdict === 'forward' ? `${ip(sent[0]!.octets).src} > ${ip(sent[0]!.octets).dst}` : verdict;

/** How a connection came to where the next begins on its tuple. */
const ENDS: Record<string, (s: Stream) => void> = {
  'half open': () => undefined,
  refused: (s) => {
    s.reply({ flags: RST | ACK, at: -1, seq: 0, acked: 0 });
  },
  reset: (s) => {
    s.synAck();
    s.send({ at: 0 });
    s.reply({ flags: RST, at: 0, acked: s.length });
  },
  closed: (s) => {
    s.synAck();
    s.send({ at: 0 });
    s.reply({ at: 0, acked: s.length, flags: FIN | ACK });
    s.send({ at: 0, acked: 1, flags: FIN | ACK });
  },
};

const denied = { frontend: null, outbound: [{ address: address('192.0.2.1'), rules: [] }], inbound: [] };
/** What a reload changes, and where new connections go then. */
const CHANGES: Record<string, readonly [LinkSpec, string]> = {
  'the backend': [link({ rules: [rule({ backends: [address(OTHER_BACKEND)] })] }), `192.0.2.1 > ${OTHER_BACKEND}`],
  'the NAT address': [link({ natAddresses: [address(OTHER_NAT)] }), `${OTHER_NAT} > 10.1.0.4`],
  'a network security group': [link({ security: denied }), 'nsg-denied'],
  'the rule': [link({ rules: [rule({ protocol: UDP })] }), 'no-rule'],
  'the endpoint': [link({ endpoints: [endpoint({ approved: false })] }), 'not-approved'],
};

describe('a connection that begins anew on its ports after a change', () => {
  for (const [what, [changed, expected]] of Object.entries(CHANGES)) {
    for (const [how, end] of Object.entries(ENDS)) {
      it(`follows it: ${what}, the one before ${how}`, () => {
        const b = new Bench(topology());
        const s = new Stream(b);
        s.syn();
        end(s);
        apply(b, changed);
        assert.equal(way(new Stream(b, { isn: AGAIN }).syn()), expected);
        assert.equal(b.t.flows.count, expected.includes('>') ? 1 : 0);
      });
    }
  }

  it('takes a new backend port, NAT port range, idle limit and LINKID', () => {
    const start = (changed: LinkSpec): { s: Stream; sent: ReturnType<typeof segment>; b: Bench } => {
      const b = new Bench(topology());
      new Stream(b).syn();
      apply(b, changed);
      const s = new Stream(b, { isn: AGAIN });
      return { b, s, sent: segment(only(s.syn()).octets) };
    };
    const port = start(link({ rules: [rule({ frontendPort: 443, backendPort: 8443 })] }));
    assert.equal(port.sent.dport, 8443);
    const range = start(link({ natPortFirst: 500, natPortCount: 10 }));
    assert.ok(range.sent.sport >= 500 && range.sent.sport < 510, String(range.sent.sport));
    const idle = start(link({ rules: [rule({ idleTimeoutMs: 60_000 })] }));
    idle.s.synAck();
    idle.s.send();
    idle.s.reply({ acked: idle.s.length });
    idle.b.pass(62_000);
    assert.equal(idle.b.t.flows.count, 0);
    const linkId = start(link({ endpoints: [endpoint({ linkId: 42 })] }));
    linkId.s.synAck();
    const header = segment(only(linkId.s.send()).octets).payload;
    assert.equal(header.toString('hex').slice(-8), '2a000000');
  });

  it('keeps its flow where nothing that concerns it has changed', () => {
    const b = new Bench(topology());
    const first = new Stream(b);
    first.syn();
    ENDS['closed']!(first);
    apply(b, link({ rules: [rule({ backends: ['10.1.0.4', OTHER_BACKEND].map(address) })] }));
    const again = new Stream(b, { isn: AGAIN });
    again.syn();
    assert.equal(again.natPort, first.natPort);
  });

  it('is not left to a backend that took a SYN which was passed for it to challenge', () => {
    const b = new Bench(topology());
    const s = new Stream(b).established();
    const again = new Stream(b, { isn: AGAIN });
    assert.equal(only(again.syn()).to, 'provider', 'in the window: the backend challenges it');
    apply(b, link({ rules: [rule({ backends: [address(OTHER_BACKEND)] })] }));
    assert.equal(again.synAck().verdict, 'no-flow');
    assert.equal(way(again.syn()), `192.0.2.1 > ${OTHER_BACKEND}`);
    assert.notEqual(again.natPort, s.natPort);
  });

  it('leaves a connection that lives where it is', () => {
    for (const [changed] of Object.values(CHANGES).slice(0, 4)) {
      const b = new Bench(topology());
      const s = new Stream(b).established();
      apply(b, changed);
      assert.equal(way(s.send({ payload: 'x' })), '192.0.2.1 > 10.1.0.4');
      assert.equal(s.reply({ payload: 'y', acked: s.length + 1 }).verdict, 'forward');
    }
  });
});

describe('flows of an endpoint', () => {
  it('are counted by its record, so that it is kept for them', () => {
    const b = new Bench(topology());
    const counted = (): number => b.t.tables.endpoints[0]!.flows;
    new Stream(b).syn();
    b.client(udpPacket({ src: CLIENT, dst: ENDPOINT, sport: 1, dport: 53 }));
    assert.equal(counted(), 2);
    b.pass(1_000_000);
    assert.deepEqual([counted(), b.t.flows.count], [0, 0]);
  });
});

describe('UDP flows after a change', () => {
  const POOL = ['10.1.0.4', '10.1.0.5'];
  const PROBE: ProbeRef = { name: 'lb/p', noHealthyBackends: 'AllProbedDown' };
  const pool = (backends: readonly string[], probe?: ProbeRef): LinkSpec =>
    link({
      rules: [rule({ protocol: UDP, backends: backends.map(address), ...(probe === undefined ? {} : { probe }) })],
    });
  const query = (sport: number): Buffer => udpPacket({ src: CLIENT, dst: ENDPOINT, sport, dport: 53, payload: 'q' });
  const goesTo = (b: Bench, sport: number): string =>
    way(b.client(query(sport)))
      .split(' ')
      .at(-1)!;
  const portTo = (b: Bench, backend: string): number => {
    let sport = 1;
    while (goesTo(b, sport) !== backend) sport++;
    return sport;
  };

  it('leave a backend that has left the pool, whatever its health was', () => {
    for (const up of [true, false]) {
      const b = new Bench(topology(pool(POOL, PROBE)));
      const [stays, moves] = [portTo(b, POOL[1]!), portTo(b, POOL[0]!)];
      b.each((t) => {
        t.tables.setHealth('lb/p', address(POOL[0]!), up);
        t.tables.setHealth('lb/p', address(POOL[0]!), true); // it is probed no more
      });
      apply(b, pool([POOL[1]!], PROBE));
      assert.equal(goesTo(b, moves), POOL[1]);
      assert.equal(goesTo(b, stays), POOL[1]);
    }
  });

  it('leave a backend that is down as soon as their rule has its probe', () => {
    const b = new Bench(topology(pool(POOL)));
    const sport = portTo(b, POOL[0]!);
    b.each((t) => {
      t.tables.setHealth('lb/p', address(POOL[0]!), false);
    });
    assert.equal(goesTo(b, sport), POOL[0]);
    apply(b, pool(POOL, PROBE));
    assert.equal(goesTo(b, sport), POOL[1]);
  });

  it('end with their rule', () => {
    const b = new Bench(topology());
    assert.equal(goesTo(b, 7), '10.1.0.4');
    apply(b, link({ rules: [rule()] }));
    assert.equal(goesTo(b, 7), 'no-rule');
    assert.equal(b.t.flows.count, 0);
  });
});
