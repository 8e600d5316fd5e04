import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { CaptureWriter } from '../../../src/capture/index.js';
import type { CheckOptions, CheckReport } from '../../../src/check/index.js';
import { PROBLEMS, checkReplay } from '../../../src/check/index.js';
import { CulvertError } from '../../../src/errors.js';
import { SYN, udpPacket, writePcap } from '../../support/packets.js';
import { Connection, LINK_ID, Lab, POOL, check, codes, question } from './lab.js';
import type { Timed } from './lab.js';

describe('check of files', () => {
  let folder = '';
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'culvert-check-'));
  });
  afterEach(() => {
    rmSync(folder, { recursive: true });
  });

  const options = (more: Partial<CheckOptions> = {}): CheckOptions => ({
    input: join(folder, 'in'),
    provider: join(folder, 'out'),
    consumer: join(folder, 'ret'),
    providerInput: null,
    natPool: POOL,
    proxy: true,
    linkIdOf: () => LINK_ID,
    everyFlow: true,
    ...more,
  });

  const write = (lab: Lab): void => {
    writePcap(join(folder, 'in'), lab.input);
    writePcap(join(folder, 'out'), lab.provider);
    writePcap(join(folder, 'ret'), lab.consumer);
  };

  const right = (): Lab => {
    const lab = new Lab();
    new Connection(lab).whole();
    question(lab);
    return lab;
  };

  it('reads Ethernet with VLAN tags, and gzip', async () => {
    const lab = right();
    write(lab);
    const tagged = lab.input.map((p) => ({
      ...p,
      octets: Buffer.concat([Buffer.alloc(12, 2), Buffer.from('8100000508004500', 'hex').subarray(0, 6), p.octets]),
    }));
    writePcap(join(folder, 'in'), tagged, 1);
    writeFileSync(join(folder, 'in'), gzipSync(readFileSync(join(folder, 'in'))));
    assert.deepEqual((await checkReplay(options())).problems, []);
  });

  it('takes an output that is cut short for a problem, and one that cannot be read for an error', async () => {
    write(right());
    for (const name of ['out', 'ret']) {
      const whole = readFileSync(join(folder, name));
      writeFileSync(join(folder, name), whole.subarray(0, whole.length - 5));
      assert.ok(codes(await checkReplay(options())).includes('file-damaged'), name);
      writeFileSync(join(folder, name), whole);
    }
    writeFileSync(join(folder, 'out'), 'nonsense, and no capture');
    await assert.rejects(
      checkReplay(options()),
      (error) => error instanceof CulvertError && error.code === 'CAPTURE_NOT_A_CAPTURE',
    );
  });

  it('tells frames without IPv4 in an output', async () => {
    const lab = right();
    write(lab);
    const ipv6 = Buffer.alloc(40);
    ipv6[0] = 0x60;
    for (const [octets, code] of [
      [ipv6, 'not-translatable'],
      [Buffer.from([0x45, 0, 0]), 'malformed'],
    ] as const) {
      writePcap(join(folder, 'out'), [...lab.provider, octets]);
      assert.deepEqual(codes(await checkReplay(options())), [code]);
    }
  });

  it('checks one side alone where only that was written', async () => {
    const lab = right();
    write(lab);
    const report = await checkReplay(options({ consumer: null }));
    assert.equal(report.ok, true);
    assert.deepEqual(report.packets, { provider: lab.provider.length, consumer: 0 });
  });

  it('tells how far it is, never going back, to the end', async () => {
    write(right());
    const done: number[] = [];
    await checkReplay(options({ onProgress: (share) => done.push(share) }));
    assert.deepEqual(
      done,
      [...done].sort((a, b) => a - b),
    );
    assert.equal(done.at(-1), 1);
  });

  it('gives the first few examples of a problem, and counts all', async () => {
    const lab = right();
    for (let i = 0; i < 9; i++) {
      lab.provider.push(lab.at(udpPacket({ src: '10.0.0.5', sport: i, dst: '198.19.0.1', dport: 53 })));
    }
    const report: CheckReport = await check(lab);
    assert.equal(report.ok, false);
    const [problem] = report.problems;
    assert.deepEqual([problem?.code, problem?.count, problem?.examples.length], ['nat-source', 9, 5]);
    assert.ok(Object.keys(PROBLEMS).includes('nat-source'));
  });

  it('proves nothing of a connection in whose window another SYN fell', async () => {
    const lab = new Lab();
    const c = new Connection(lab).handshake();
    c.up(0, { payload: 'hello' });
    const other = new Connection(lab, { isn: (c.isn + 3) >>> 0 });
    lab.input.push(lab.at(other.sent(-1, { flags: SYN })));
    lab.provider.push(lab.at(other.carried(-1, { flags: SYN })));
    c.up(5, { payload: ' again' });
    const report = await check(lab);
    assert.deepEqual(report.problems, []);
    assert.equal(report.streams.checked, 0);
  });

  it('tells apart networks whose addresses overlap, by the names of their interfaces', async () => {
    const networks = ['blue', 'red'];
    const labs = networks.map((_, n) => {
      const lab = new Lab();
      lab.now += n * 100;
      new Connection(lab, { isn: 1000, natPort: 1024 + n }).handshake().up(0, { payload: `I am ${networks[n]!}` });
      question(lab, { natPort: 2000 + n, answer: `hello, ${networks[n]!}` });
      return lab;
    });
    const merge = (name: string, packets: readonly (readonly Timed[])[], interfaces: readonly string[]): void => {
      const faces = interfaces.map((face) => ({ linkType: 101, name: face }));
      const path = join(folder, name);
      const writer = CaptureWriter.create(path, {
        format: 'pcapng',
        nanoseconds: false,
        linkType: 101,
        interfaces: faces,
      });
      const all = packets.flatMap((list, n) => list.map((p) => ({ p, n: n % interfaces.length })));
      all.sort((a, b) => (a.p.seconds ?? 0) - (b.p.seconds ?? 0) || (a.p.microseconds ?? 0) - (b.p.microseconds ?? 0));
      for (const { p, n } of all) {
        const at = writer.reserve(p.octets.length);
        p.octets.copy(writer.slab, at);
        writer.commit(p.octets.length, p.octets.length, p.seconds ?? 0, (p.microseconds ?? 0) * 1000, n);
      }
      writer.close();
    };
    const writeAll = (consumers: readonly (readonly Timed[])[]): void => {
      const stray = new Lab();
      stray.input.push(
        stray.at(udpPacket({ src: '10.0.0.9', sport: 1, dst: '10.9.0.4', dport: 1, payload: 'no one' })),
      );
      merge('in', [...labs.map((lab) => lab.input), stray.input], [...networks, 'elsewhere']);
      merge('out', labs.map((lab) => lab.provider), ['provider']); // prettier-ignore
      merge('ret', consumers, networks);
    };
    const networkOf = (name: string): number => networks.indexOf(name);
    writeAll(labs.map((lab) => lab.consumer));
    const report = await checkReplay(options({ networkOf }));
    assert.deepEqual(report.problems, []);
    assert.equal(report.streams.exact, 2);
    assert.notDeepEqual((await checkReplay(options())).problems, [], 'one network cannot hold both');
    const linkIdOf = (_address: number, _port: number, network: number): number => LINK_ID + network;
    const other = await checkReplay(options({ networkOf, linkIdOf }));
    assert.deepEqual(codes(other), ['header-linkid']);
    assert.match(other.problems[0]!.examples[0]!, /not 536893214$/);
    const proxy = (_address: number, _port: number, network: number): boolean => network === 0;
    assert.deepEqual(codes(await checkReplay(options({ networkOf, proxy }))), ['octets-differ']);
    // The answer to blue is missing, and red has it twice.
    labs[0]!.consumer.pop();
    writeAll(labs.map((lab) => lab.consumer));
    assert.deepEqual(codes(await checkReplay(options({ networkOf }))), ['return-missing']);
  });
});
