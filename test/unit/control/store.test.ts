import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { Store } from '../../../src/control/store.js';
import type { Migration } from '../../../src/control/store.js';
import { startTimeOf } from '../../../src/gateway/process.js';
import type { ArmDocument } from '../../../src/service/arm/documents.js';
import { needsCommand } from '../../support/machine.js';

const document = (name: string, properties: object = {}): ArmDocument => ({
  id: `/subscriptions/S/resourceGroups/G/providers/Microsoft.Network/networkSecurityGroups/${name}`,
  name,
  type: 'Microsoft.Network/networkSecurityGroups',
  location: 'west',
  etag: 'W/"1"',
  properties: { ...properties },
});

describe('control: the state file', () => {
  let folder = '';
  let file = '';
  let count = 0;

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-store-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    file = path.join(folder, 'new', String(count++), 'state');
  });

  const keys = (store: Store): string[] => [...store.all().values()].map(({ name }) => name);

  it('is made with its folder, for its owner alone, and holds what was written', async () => {
    const store = Store.open(file);
    assert.deepEqual(keys(store), []);
    const a = document('a', { text: 'ä€😀', deep: { list: [1, null, true] } });
    await store.write({ put: [a, document('b')], remove: [] });
    await store.write({ put: [], remove: [document('b').id.toLowerCase()] });
    await store.close();
    assert.equal(statSync(file).mode & 0o777, 0o600);
    const again = Store.open(file);
    assert.deepEqual([...again.all().values()], [a]);
    await again.close();
  });

  it('takes the whole of a change or nothing of it', async () => {
    const store = Store.open(file);
    const bad = { ...document('b'), properties: { big: 1n } };
    await assert.rejects(store.write({ put: [document('a'), bad], remove: [] }));
    const long = document('x'.repeat(4000));
    await assert.rejects(store.write({ put: [document('a'), long], remove: [] }), { code: 'STATE_KEY_TOO_LONG' });
    await store.write({ put: [document('c')], remove: [] });
    await assert.rejects(store.write({ put: [], remove: [document('c').id.toLowerCase(), 'x'.repeat(4000)] }));
    await store.write({ put: [], remove: ['nothing'] });
    await store.close();
    const again = Store.open(file);
    assert.deepEqual(keys(again), ['c']);
    await again.close();
  });

  for (const [where, PATH] of Object.entries({ '': process.env['PATH'], ', without flock(1) too': '/nowhere' })) {
    it(`is held by one process at a time, and by the next one after it was killed${where}`, async () => {
      const before = process.env['PATH'];
      process.env['PATH'] = PATH;
      try {
        const store = Store.open(file);
        const open = `import('${new URL('../../../src/control/store.js', import.meta.url).href}').then(({ Store }) => { Store.open(process.argv[1]); process.kill(process.pid, 'SIGKILL'); }).catch((error) => console.log(error.code))`;
        const other = (): string => {
          try {
            return execFileSync(process.execPath, ['-e', open, file], { stdio: ['ignore', 'pipe', 'ignore'] })
              .toString()
              .trim();
          } catch (error) {
            return (error as { signal: string }).signal;
          }
        };
        assert.equal(other(), 'STATE_IN_USE');
        await store.close();
        assert.equal(other(), 'SIGKILL');
        await Store.open(file).close();
      } finally {
        process.env['PATH'] = before;
      }
    });
  }

  it('is held also by a process of the same number, as containers have them', async () => {
    const store = new URL('../../../src/control/store.js', import.meta.url).href;
    const me = JSON.stringify({ pid: process.pid, startTime: startTimeOf(process.pid) });
    // The record of another process that looks like ours.
    const holder = spawn(
      process.execPath,
      [
        '-e',
        `import(${JSON.stringify(store)}).then(async ({ Store }) => {
          const held = Store.open(process.argv[1]);
          await held.meta.put('owner', ${me});
          console.log('held');
          setInterval(() => undefined, 1000);
        })`,
        file,
      ],
      { stdio: ['ignore', 'pipe', 'inherit'] },
    );
    await once(holder.stdout, 'data');
    assert.throws(() => Store.open(file), { code: 'STATE_IN_USE' });
    const ended = once(holder, 'close');
    holder.kill('SIGKILL');
    await ended;
    const next = Store.open(file);
    assert.throws(() => Store.open(file), { code: 'STATE_IN_USE', message: /in use already/ });
    await next.write({ put: [document('a')], remove: [] });
    await next.close();
  });

  it('of an older schema is migrated, step by step and once', async () => {
    const old = Store.open(file, []);
    await old.write({ put: [document('a', { state: 'on' }), document('b', { state: 'off' })], remove: [] });
    await old.close();
    let steps = 0;
    const rename: Migration = ({ properties: { state, ...properties }, ...rest }) => {
      steps++;
      return { ...rest, properties: { ...properties, enabled: state } };
    };
    const flag: Migration = (each) => ({ ...each, properties: { enabled: each.properties['enabled'] === 'on' } });
    for (const migrations of [[rename], [rename, flag], [rename, flag]]) await Store.open(file, migrations).close();
    assert.equal(steps, 2);
    const store = Store.open(file, [rename, flag]);
    assert.deepEqual(
      [...store.all().values()].map(({ properties }) => properties),
      [{ enabled: true }, { enabled: false }],
    );
    await store.close();
    assert.throws(() => Store.open(file, [rename]), { code: 'STATE_NEWER' });
    await Store.open(file, [rename, flag]).close();
  });

  it('that is none, or lost its end, is refused, not crashed on', async () => {
    const store = Store.open(file);
    await store.write({ put: Array.from({ length: 50 }, (_, i) => document(`d${String(i)}`)), remove: [] });
    await store.close();
    truncateSync(file, 8192);
    assert.throws(() => Store.open(file), { code: 'STATE_UNREADABLE', message: /its end is missing/ });
    for (const [name, octets] of Object.entries({
      text: 'virtualNetworks: {}\n',
      zeros: Buffer.alloc(9000),
      long: 'x'.repeat(200_000),
    })) {
      const other = path.join(folder, name);
      writeFileSync(other, octets);
      assert.throws(() => Store.open(other), { code: 'STATE_UNREADABLE', message: /another kind of file/ });
    }
    mkdirSync(path.join(folder, 'folder'));
    assert.throws(() => Store.open(path.join(folder, 'folder')), { code: 'STATE_UNREADABLE' });
  });

  it('on a full disk is refused for what it is', async function () {
    needsCommand(this, 'prlimit');
    await Store.open(file).close();
    const store = new URL('../../../src/control/store.js', import.meta.url).href;
    const open = `import(${JSON.stringify(store)}).then(({ Store }) => Store.open(process.argv[1])).catch((error) => console.log(error.code, error.message))`;
    const limited = ['--fsize=8192', process.execPath, '-e', open, file];
    const said = execFileSync('prlimit', limited, { stdio: ['ignore', 'pipe', 'ignore'], encoding: 'utf8' });
    assert.match(said, /^STATE_NOT_WRITTEN .* cannot be written: .*disk has space/);
  });

  it('may be empty, as mktemp(1) leaves it', async () => {
    const empty = path.join(folder, 'empty');
    writeFileSync(empty, '');
    await Store.open(empty).close();
  });
});
