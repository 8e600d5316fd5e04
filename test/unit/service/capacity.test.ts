import assert from 'node:assert/strict';
import { PortPool } from '../../../src/flow/port-pool.js';
import {
  capacitySources,
  type CapacitySource,
  connectionsOf,
  flowsNeeded,
  forecast,
} from '../../../src/service/capacity.js';
import { address, link, rule } from '../../support/bench.js';

const source = (fields: Partial<CapacitySource> = {}): CapacitySource => ({
  service: 'web',
  protocol: 'tcp',
  directConnect: false,
  natAddresses: 2,
  backends: 3,
  ports: 64_000,
  restSeconds: 120,
  lingerSeconds: 60,
  ...fields,
});

describe('capacity', () => {
  it('is NAT addresses x backends x ports, by protocol', () => {
    const backends = [address('10.1.0.4'), address('10.1.0.5')];
    const rules = [
      rule({ frontendPort: 80, backends }),
      rule({ frontendPort: 443, backends: [backends[1]!, address('10.1.0.6')] }),
      rule({ protocol: 17, frontendPort: 53, backends, idleTimeoutMs: 30_000 }),
    ];
    const natAddresses = [1, 2, 3, 4].map((n) => address(`192.0.2.${String(n)}`));
    const limits = { tcpClosingMs: 60_000, portHoldMs: 120_000 };
    const [tcp, udp, none] = capacitySources([link({ natAddresses, rules })], limits);
    assert.deepEqual([connectionsOf(tcp!), connectionsOf(udp!), none], [4 * 3 * 64_000, 4 * 2 * 64_000, undefined]);
    assert.deepEqual([tcp!.restSeconds, tcp!.lingerSeconds], [120, 60]);
    assert.deepEqual([udp!.restSeconds, udp!.lingerSeconds], [30, 30]);
    const down = capacitySources([link({ natAddresses, rules })], limits, (_, __, backend) => backend !== backends[0]);
    assert.deepEqual(
      down.map(({ backends: count }) => count),
      [2, 1],
    );
  });

  it('of Direct Connect is NAT addresses x ports, for TCP and UDP each', () => {
    const direct = link({ rules: [], destination: address('10.1.0.4'), natPortCount: 100 });
    const sources = capacitySources([direct], { tcpClosingMs: 300_000, portHoldMs: 120_000 });
    assert.deepEqual(sources.map(connectionsOf), [100, 100]);
    assert.deepEqual(
      sources.map(({ restSeconds }) => restSeconds),
      [300, 240],
    );
  });

  it('is used up when the forecast says so, by the port pool itself', () => {
    for (const [ports, rate, lifeSeconds, restSeconds] of [
      [100, 10, 2, 9],
      [100, 10, 1, 8],
      [100, 10, 1, 9],
      [50, 100, 0, 1],
      [1000, 7, 100, 43],
      [1000, 7, 100, 42],
    ] as const) {
      const s = source({ natAddresses: 1, backends: 1, ports, restSeconds });
      const { exhaustedAfterSeconds, sustainableRate } = forecast(s, { rate, lifeSeconds }, 100);
      const pool = new PortPool(1024, ports, 1);
      const closing: { at: number; port: number }[] = [];
      let failed: number | null = null;
      // The n-th connection comes at n / rate; time in ticks of 1 / rate seconds is whole.
      for (let n = 0; n < 5000 && failed === null; n++) {
        while (closing.length > 0 && closing[0]!.at <= n) {
          const { at, port } = closing.shift()!;
          pool.free(port, at + restSeconds * rate);
        }
        const port = pool.allocate(n);
        if (port < 0) failed = n / rate;
        else closing.push({ at: n + lifeSeconds * rate, port });
      }
      const what = JSON.stringify({ ports, rate, lifeSeconds, restSeconds });
      assert.equal(exhaustedAfterSeconds, failed, what);
      assert.equal(sustainableRate >= rate, failed === null, what);
    }
  });

  it('says what to add, which then is enough, and no less', () => {
    const enough = (s: CapacitySource): boolean => forecast(s, demand, 80).remedy === null;
    const demand = { rate: 3000, lifeSeconds: 30 };
    const s = source();
    const { remedy, portsNeeded, percent } = forecast(s, demand, 80);
    assert.equal(portsNeeded, 450_000);
    assert.equal(Math.round(percent), 117);
    assert.deepEqual(remedy, { natAddresses: 3, backends: 5, backendsWithMostNatAddresses: null, services: null });
    assert.ok(
      enough(source({ natAddresses: 3 })) && enough(source({ backends: 5 })) && !enough(source({ backends: 4 })),
    );
    const large = { rate: 30_000, lifeSeconds: 30 };
    assert.deepEqual(forecast(s, large, 80).remedy, {
      natAddresses: null,
      backends: 44,
      backendsWithMostNatAddresses: 11,
      services: null,
    });
    assert.equal(forecast(source({ natAddresses: 8, backends: 11 }), large, 80).remedy, null);
    assert.notEqual(forecast(source({ natAddresses: 8, backends: 10 }), large, 80).remedy, null);
  });

  it('gives Direct Connect NAT addresses in pairs, and further services beyond eight', () => {
    const s = source({ directConnect: true, backends: 1 });
    const remedyAt = (rate: number): unknown => forecast(s, { rate, lifeSeconds: 0 }, 100).remedy;
    const none = { backends: null, backendsWithMostNatAddresses: null };
    assert.equal(remedyAt(1000), null);
    assert.deepEqual(remedyAt(1100), { natAddresses: 4, ...none, services: null });
    assert.deepEqual(remedyAt(10_000), { natAddresses: null, ...none, services: 3 });
  });

  it('of a service whose backends are all gone is none, and backends help', () => {
    const { percent, exhaustedAfterSeconds, remedy } = forecast(
      source({ backends: 0 }),
      { rate: 1, lifeSeconds: 1 },
      80,
    );
    assert.deepEqual([percent, exhaustedAfterSeconds], [Infinity, 0]);
    assert.deepEqual([remedy!.natAddresses, remedy!.backends], [null, 1]);
  });

  it('counts the flow table by the longer of a service’s protocols', () => {
    const sources = [source(), source({ protocol: 'udp', lingerSeconds: 300 }), source({ service: 'other' })];
    assert.equal(flowsNeeded(sources, { rate: 10, lifeSeconds: 5 }), 10 * 305 + 10 * 65);
  });
});
