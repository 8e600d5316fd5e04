import assert from 'node:assert/strict';
import { statusText } from '../../../src/cli/status-text.js';
import { exposition } from '../../../src/gateway/metrics.js';
import { backendPortUse, PortWatch } from '../../../src/gateway/port-use.js';
import { Tables } from '../../../src/translate/tables.js';
import { address, link, topology } from '../../support/bench.js';
import { SYN, tcpPacket } from '../../support/packets.js';
import { until } from '../../support/until.js';
import { GatewayBench, labText } from './gateway-bench.js';

const BACKEND = address('10.1.0.4') | 0;
const TCP = 6;

/** Two NAT addresses of ten ports, one backend. */
function tables(): Tables {
  const nat = [address('192.0.2.1'), address('192.0.2.2')];
  return new Tables(topology(link({ natAddresses: nat, natPortCount: 10 })), 1);
}

/** Takes ports of one of the NAT addresses. */
function take(t: Tables, nat: number, count: number, now = 0): number[] {
  const pool = t.pool(t.links[0]!, nat, BACKEND, TCP);
  return Array.from({ length: count }, () => pool.allocate(now));
}

describe('use of the NAT ports towards a backend', () => {
  it('counts all NAT addresses of the service, also one that nobody has used yet', () => {
    const t = tables();
    assert.deepEqual(backendPortUse(t, 0), []);
    take(t, 0, 5);
    const [use] = backendPortUse(t, 0);
    assert.deepEqual(use, {
      service: 'link',
      backend: '10.1.0.4',
      protocol: 'tcp',
      of: 20,
      inUse: 5,
      held: 0,
      percent: 25,
    });
    take(t, 1, 10);
    assert.equal(backendPortUse(t, 0)[0]!.percent, 75);
  });

  it('is a use of all where a worker has no port', () => {
    const spec = link({ natPortFirst: 5000, natPortCount: 1 });
    const t = new Tables(topology(spec), 1, { index: 1, of: 3 });
    take(t, 0, 1);
    assert.equal(backendPortUse(t, 0, 90)[0]!.percent, 100);
  });

  it('counts a port that rests, until its hold is over to the millisecond', () => {
    const t = tables();
    const ports = take(t, 0, 4);
    ports.forEach((port, i) => {
      t.pools[0]!.free(port, 1000 + i);
    });
    const held = (now: number): number => backendPortUse(t, now)[0]!.held;
    assert.deepEqual([held(0), held(999), held(1000), held(1001), held(1003)], [4, 4, 3, 2, 0]);
    assert.deepEqual([t.pools[0]!.inUse, backendPortUse(t, 999)[0]!.percent], [0, 20]);
  });

  it('counts rests right after ports went out and came back in any order', () => {
    const t = tables();
    const pool = t.pool(t.links[0]!, 0, BACKEND, TCP);
    const naive = new Map<number, number>();
    let seed = 7;
    const random = (n: number): number => (seed = (seed * 48271) % 2147483647) % n;
    const live: number[] = [];
    for (let now = 0; now < 3000; now++) {
      if (random(2) === 0) {
        const port = pool.allocate(now);
        if (port >= 0) live.push(port);
        naive.delete(port);
      } else if (live.length > 0) {
        const [port] = live.splice(random(live.length), 1);
        const until = now + random(50);
        pool.free(port!, until);
        naive.set(port!, until);
      }
      const held = [...naive.values()].filter((until) => until > now).length;
      assert.equal(pool.held(now), held, `at ${String(now)}`);
    }
  });
});

describe('the warning before NAT ports run out', () => {
  const lines: string[] = [];
  const note = (level: string) => (message: string, fields?: object) =>
    lines.push(`${level} ${message.split(':')[0]!} ${JSON.stringify(fields)}`);
  const log = { info: note('info'), warn: note('warn'), error: note('error') };
  beforeEach(() => {
    lines.length = 0;
  });

  it('is told once when the threshold is reached, and ended once well below it', () => {
    const t = tables();
    const watch = new PortWatch(log);
    const look = (): number => {
      watch.look((from) => backendPortUse(t, 0, from), 0, 80, true);
      return lines.length;
    };
    take(t, 0, 10);
    const more = take(t, 1, 5);
    assert.equal(look(), 0, '75 %');
    more.push(...take(t, 1, 1));
    assert.equal(look(), 1, '80 %');
    assert.match(lines[0]!, /^warn NAT ports towards a backend run out .*"percent":80,"inUse":16,"held":0,"of":20/);
    const back = (): void => {
      t.pools[1]!.free(more.pop()!, 0);
    };
    back();
    assert.equal(look(), 1, '75 %: it may come back');
    take(t, 1, 1);
    assert.equal(look(), 1, '80 % again: told already');
    back();
    back();
    assert.equal(look(), 2, '70 %');
    assert.match(lines[1]!, /^info NAT ports towards a backend are free again .*"percent":70/);
    take(t, 1, 2);
    assert.equal(look(), 3, 'a new warning');
  });

  it('comes for ports that rest, too', () => {
    const t = tables();
    const watch = new PortWatch(log);
    const pool = t.pool(t.links[0]!, 0, BACKEND, TCP);
    t.apply(topology(link({ natAddresses: [address('192.0.2.1')], natPortCount: 10 })));
    for (let i = 0; i < 9; i++) pool.free(pool.allocate(0), 500);
    watch.look((from) => backendPortUse(t, 0, from), 0, 80, true);
    assert.equal(lines.length, 1);
    assert.match(lines[0]!, /"percent":90,"inUse":0,"held":9/);
    watch.look((from) => backendPortUse(t, 500, from), 500, 80, true);
    assert.match(lines[1]!, /^info/);
  });

  it('does not come with threshold 0', () => {
    const t = tables();
    take(t, 0, 10);
    take(t, 1, 10);
    new PortWatch(log).look((from) => backendPortUse(t, 0, from), 0, 0, true);
    assert.deepEqual(lines, []);
  });

  it('ends by itself once the ports have rested, also when no packet comes any more', async () => {
    const bench = new GatewayBench();
    const tight = '{ natPorts: { first: 2000, count: 10 }, timeouts: { tcpHalfOpen: 0.3, portHold: 1 } }';
    await bench.start(labText({ translation: tight }));
    bench.stopClock();
    try {
      for (let sport = 1; sport <= 10; sport++) {
        const syn = tcpPacket({ src: '10.0.0.5', dst: '10.0.0.9', sport, dport: 53, flags: SYN });
        bench.machine.device('red').give(syn);
      }
      const warnings = (): string[] => bench.told('NAT ports towards').map(({ level }) => level);
      await until('the warning', () => warnings().length > 0);
      bench.pass(600);
      await until('the end of the flows', () => bench.pump.translator.flows.count === 0);
      assert.deepEqual(warnings(), ['warn']);
      bench.pass(2000);
      await until('the end of the warning', () => warnings().length > 1);
      assert.deepEqual(warnings(), ['warn', 'info']);
    } finally {
      await bench.stop();
    }
  });

  it('reaches log, status and metrics of a gateway before connections fail', async () => {
    const bench = new GatewayBench();
    const tight = '{ natPorts: { first: 2000, count: 10 } }';
    await bench.start(labText({ translation: tight, gateway: '{ natPortsWarningPercent: 50 }' }));
    try {
      for (let i = 0; i < 4; i++) bench.send('red', i);
      assert.equal(bench.gateway.status().backendPorts[0]!.warned, false);
      bench.send('red', 4);
      await until('a warning by itself', () => bench.told('NAT ports towards').length > 0);
      const [line] = bench.told('NAT ports towards');
      assert.equal(line!.level, 'warn');
      assert.deepEqual(line!.fields, {
        service: 'web',
        backend: '10.200.2.4',
        protocol: 'udp',
        percent: 50,
        inUse: 5,
        held: 0,
        of: 10,
        threshold: 50,
      });
      const status = bench.gateway.status();
      assert.equal(status.drops['nat-exhausted'], undefined);
      assert.match(statusText(status), /NAT ports run out: service web to 10\.200\.2\.4 \(udp\), 50 % of 10/);
      const metrics = await exposition(status);
      const of = '{service="web",backend="10.200.2.4",protocol="udp"}';
      assert.ok(metrics.includes(`culvert_nat_ports_usage_percent${of} 50\n`), metrics);
      assert.ok(metrics.includes(`culvert_nat_ports_warning${of} 1\n`));
      assert.match(metrics, /^culvert_nat_ports_warning_percent 50$/m);
      const pool = '{service="web",address="10.200.1.4",backend="10.200.2.4",protocol="udp"}';
      assert.ok(metrics.includes(`culvert_nat_ports_in_use${pool} 5\n`));
      assert.ok(metrics.includes(`culvert_nat_ports${pool} 10\n`));
    } finally {
      await bench.stop();
    }
  });
});
