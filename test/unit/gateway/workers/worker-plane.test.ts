import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { CulvertError } from '../../../../src/errors.js';
import { thisMachine } from '../../../../src/gateway/machine.js';
import type { PacketThread, StartThread } from '../../../../src/gateway/workers/plane-calls.js';
import { WorkerPlane } from '../../../../src/gateway/workers/worker-plane.js';
import { address, endpoint, link, rule, topology } from '../../../support/bench.js';

const NAT = address('192.0.2.1') | 0;
const BACKEND = address('10.1.0.4');

describe('a plane of workers', () => {
  it('tells that an address has drained once, when it has with the last of them', async () => {
    /** By worker: what each draining address has left to do there. */
    const rounds = [new Map([[7, 0]]), new Map([[7, 2]]), new Map([[7, 2]])];
    const startThread: StartThread = ({ index }) => {
      const draining = rounds[index]!;
      const settle = (): object[] => {
        const done = [...draining].filter(([, left]) => left === 0).map(([address]) => address);
        for (const address of done) draining.delete(address);
        for (const [address, left] of draining) draining.set(address, left - 1);
        return done.map((address) => ({ service: 'web', address }));
      };
      const ask = (what: string) => (): unknown =>
        what === 'settle' ? settle() : { given: [], draining: [...draining.keys()] };
      return Promise.resolve({
        ask: ask as PacketThread['ask'],
        askFlows: () => undefined,
        end: () => Promise.resolve(),
      });
    };
    const plane = await WorkerPlane.start(3, topology(), {}, { startThread, setUp: () => undefined });
    const told = Array.from({ length: 5 }, () => plane.settle());
    assert.deepEqual(told, [[], [], [{ service: 'web', address: 7 }], [], []]);
    await plane.end();
  });

  it('counts the ports of all workers where one has used so much of its own', async () => {
    const percents = [95, 10, 20];
    const startThread: StartThread = ({ index }) => {
      const percent = percents[index]!;
      const use = { service: 'web', backend: '10.1.0.4', protocol: 'tcp', of: 300, inUse: percent, held: 1, percent };
      const ask =
        (_: string, ...[from]: readonly unknown[]) =>
        (): unknown =>
          percent < (from as number) ? [] : [use];
      return Promise.resolve({
        ask: ask as PacketThread['ask'],
        askFlows: () => undefined,
        end: () => Promise.resolve(),
      });
    };
    const plane = await WorkerPlane.start(3, topology(), {}, { startThread, setUp: () => undefined });
    const [use, ...others] = plane.portUse(90);
    assert.deepEqual([use!.inUse, use!.held, use!.of, use!.percent, others.length], [125, 3, 300, 95, 0]);
    assert.deepEqual(plane.portUse(96), []);
    await plane.end();
  });

  it('does not start when a worker dies while others are still starting', async () => {
    let ended = 0;
    const startThread: StartThread = async ({ index }, events) => {
      const end = (): Promise<void> => {
        ended++;
        return Promise.resolve();
      };
      const thread = { ask: () => () => undefined as never, askFlows: () => undefined, end };
      if (index === 0) setImmediate(() => events.died(new CulvertError('WORKER_DIED', 'worker 0 ended: test')));
      else await sleep(20);
      return thread;
    };
    const starting = WorkerPlane.start(2, topology(), {}, { startThread, setUp: () => undefined });
    await assert.rejects(starting, { code: 'WORKER_DIED', message: 'worker 0 ended: test' });
    assert.equal(ended, 2);
  });
});

/** Threads as a gateway has them, but that no interface is opened. */
describe('a plane of real threads', () => {
  let plane: WorkerPlane;
  const threads: PacketThread[] = [];
  const failures: CulvertError[] = [];
  const startThread: StartThread = async (data, events) => {
    const thread = await thisMachine.startThread(data, events);
    threads[data.index] = thread;
    return thread;
  };

  beforeEach(async () => {
    failures.length = threads.length = 0;
    const probe = { name: 'lb/up', noHealthyBackends: 'AllProbedDown' } as const;
    const lab = topology(link({ rules: [rule({ probe })] }));
    plane = await WorkerPlane.start(2, lab, { maxFlows: 1024 }, { startThread, setUp: () => undefined });
    plane.events = { ...plane.events, failed: (error) => failures.push(error) };
  });
  afterEach(() => plane.end());

  it('answers for all of them, at once', async () => {
    assert.deepEqual(plane.natAddresses(), { given: [NAT], draining: [] });
    assert.equal(plane.liveFlows(), 0);
    assert.equal(plane.report().flows.most, 1024);
    assert.deepEqual((await plane.flows({ top: 5 })).flows, []);
    assert.ok(plane.takesFlows('link', 6, 0, BACKEND));
    plane.setHealth('lb/up', BACKEND, false);
    assert.ok(!plane.takesFlows('link', 6, 0, BACKEND) && !plane.serves(BACKEND));
    for (const thread of threads) assert.equal(thread.ask('serves', BACKEND)(), false);
    assert.equal(plane.apply(topology(link({ natAddresses: [NAT >>> 0, 7], endpoints: [endpoint()] })), [], []), 0);
    assert.deepEqual(plane.natAddresses().given, [NAT, 7]);
    assert.deepEqual(failures, []);
  });

  it('takes what a worker throws for an answer, and goes on', () => {
    assert.throws(
      () => plane.assign([{ network: 'nowhere', consumer: true, natAddresses: new Int32Array(0) }]),
      /worker 0: Error: no interface of nowhere/,
    );
    assert.equal(plane.liveFlows(), 0);
    assert.deepEqual(failures, []);
  });

  it('notices at once that a worker dies while it waits for an answer, and says why', () => {
    const end = (question: () => void): string => {
      const began = performance.now();
      question();
      assert.ok(performance.now() - began < 9000, 'it waited for an answer of the dead');
      return failures[0]!.message;
    };
    // What a worker cannot answer, and nobody catches; no event comes in this turn.
    threads[1]!.askFlows(null as never);
    const why = end(() => assert.throws(() => plane.natAddresses(), { code: 'WORKER_DIED' }));
    assert.match(why, /^worker 1 ended: TypeError/);
    assert.equal(
      end(() => plane.close()),
      why,
    );
    assert.equal(failures.length, 1);
  });

  it('notices within a second a worker that ends without a word, as for want of memory', () => {
    const { worker } = threads[1]! as unknown as { worker: Worker };
    // As the end of memory does, it stops the thread wherever it is; its event waits until this turn is over.
    void worker.terminate();
    const began = performance.now();
    assert.throws(() => plane.natAddresses(), { code: 'WORKER_DIED' });
    assert.match(failures[0]!.message, /^worker 1 ended without a word/);
    assert.ok(performance.now() - began < 5000, 'it waited for an answer of the dead');
  });

  it('closes, and lets interfaces go, when a worker dies of that', () => {
    threads[0]!.askFlows(null as never);
    plane.close();
    assert.equal(failures[0]!.code, 'WORKER_DIED');
    plane.detach('anything');
  });

  it('fails as a whole when a worker dies, and says which', async () => {
    const failed = new Promise<void>((resolve) => {
      plane.events = {
        ...plane.events,
        failed: (error) => {
          failures.push(error);
          resolve();
        },
      };
    });
    // What a worker cannot answer, and nobody catches.
    threads[1]!.askFlows(null as never);
    await failed;
    assert.equal(failures[0]!.code, 'WORKER_DIED');
    assert.match(failures[0]!.message, /^worker 1 ended: TypeError/);
    assert.throws(() => plane.report(), { code: 'WORKER_DIED' });
    assert.throws(() => plane.apply(topology(), [], []), { code: 'WORKER_DIED' });
    await assert.rejects(plane.flows({ top: 1 }), { code: 'WORKER_DIED' });
    // What timers do until the gateway has ended, and its end.
    assert.deepEqual([plane.settle(), plane.portUse(0), plane.liveFlows()], [[], [], 0]);
    plane.setHealth('lb/up', BACKEND, false);
    plane.send('anything', Buffer.alloc(20));
    plane.close();
    plane.detach('anything');
  });
});
