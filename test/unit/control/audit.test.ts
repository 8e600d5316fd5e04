import assert from 'node:assert/strict';
import {
  appendFileSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
} from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { AuditLog } from '../../../src/control/audit.js';
import type { AuditLine } from '../../../src/control/audit.js';
import { defaultBase } from '../../../src/control/lab.js';
import { ResourceManager } from '../../../src/control/manager.js';
import { Store } from '../../../src/control/store.js';
import { Told } from '../../../src/control/told.js';
import { groupDocument } from '../../../src/service/arm/manage.js';
import { Sequence } from '../service/arm/sequence.js';

const line = (number: number): AuditLine => ({ number, text: JSON.stringify({ number, id: 'x' }) });

describe('the audit log', () => {
  let folder = '';
  let file = '';
  beforeEach(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-audit-'));
    file = path.join(folder, 'log');
  });
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const linesIn = (name: string): { number: number; id: string }[] =>
    readFileSync(name, 'utf8')
      .split('\n')
      .slice(0, -1)
      .map((text) => JSON.parse(text) as { number: number; id: string });
  const numbersIn = (name: string): number[] => linesIn(name).map(({ number }) => number);

  it('has a line for each entry, for its owner alone, and goes on where it was', () => {
    for (const numbers of [
      [1, 2],
      [3, 4],
    ]) {
      const log = new AuditLog(file);
      assert.equal(log.append(numbers.map(line)), numbers[1]);
      log.close();
    }
    assert.deepEqual(numbersIn(file), [1, 2, 3, 4]);
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it('begins a new file when one is full, and keeps so many', () => {
    const log = new AuditLog(file, { maxOctets: 1, kept: 2 });
    for (const number of [1, 2, 3]) log.append([line(number)]);
    log.close();
    assert.deepEqual(numbersIn(`${file}.1`), [3]);
    assert.deepEqual(numbersIn(`${file}.2`), [2]);
    assert.ok(!existsSync(`${file}.3`));
    assert.ok(!existsSync(file));
    assert.equal(new AuditLog(file).append([line(3)]), 3);
    assert.deepEqual(numbersIn(file), []);
  });

  it('has no line twice, whoever gives it again', () => {
    const log = new AuditLog(file);
    log.append([line(1), line(2)]);
    log.append([line(2), line(3)]);
    log.close();
    new AuditLog(file).append([line(3), line(4)]);
    assert.deepEqual(numbersIn(file), [1, 2, 3, 4]);
  });

  it('takes away the half of a line, and writes that line again', () => {
    new AuditLog(file).append([line(1)]);
    appendFileSync(file, line(2).text.slice(0, 9));
    assert.equal(new AuditLog(file).append([]), 1);
    assert.deepEqual(numbersIn(file), [1]);
    appendFileSync(file, `${line(2).text}\n${line(3).text.slice(0, 9)}`);
    assert.equal(new AuditLog(file).append([line(2), line(3)]), 3);
    assert.deepEqual(numbersIn(file), [1, 2, 3]);
  });

  it('is begun anew where somebody moved or removed it while it was open', () => {
    const log = new AuditLog(file);
    log.append([line(1)]);
    renameSync(file, `${file}.old`);
    log.append([line(2)]);
    rmSync(file);
    log.append([line(3)]);
    log.close();
    assert.deepEqual([numbersIn(`${file}.old`), numbersIn(file)], [[1], [3]]);
  });

  const quiet = { info: () => undefined, warn: () => undefined };
  const open = (faults: string[] = []): { manager: ResourceManager; told: Told; store: Store } => {
    const store = Store.open(path.join(folder, 'state'));
    const told = new Told(file, { ...quiet, error: (message) => faults.push(message) });
    return { manager: new ResourceManager({ store, base: defaultBase() }), told, store };
  };
  const make = (manager: ResourceManager, name: string): Promise<unknown> => {
    const group = groupDocument(`/subscriptions/s/resourceGroups/${name}`, { location: 'west' }, new Sequence());
    return manager.change(() => ({ put: [group], remove: [] }));
  };
  const idsIn = (): string[] => linesIn(file).map(({ id }) => id.split('/').at(-1)!);

  it('gets what a process that was killed had changed but not told', async () => {
    const killed = open();
    for (const name of ['a', 'b']) await make(killed.manager, name);
    await killed.manager.close();
    for (const name of ['c', 'd']) {
      const { manager, told, store } = open();
      told.follow(manager, store);
      await make(manager, name);
      await manager.close();
      told.close();
    }
    assert.deepEqual(idsIn(), ['a', 'b', 'c', 'd']);
    assert.deepEqual(numbersIn(file), [1, 2, 3, 4]);
  });

  it('gets what it could not be given, when it can be written again; the changes are made all the same', async () => {
    symlinkSync('/dev/full', file);
    const faults: string[] = [];
    const { manager, told, store } = open(faults);
    told.follow(manager, store);
    for (const name of ['a', 'b']) await make(manager, name);
    assert.equal(manager.documents.size, 2);
    assert.deepEqual(
      faults,
      Array.from({ length: 2 }, () => 'the audit log cannot be written'),
    );
    rmSync(file);
    await make(manager, 'c');
    await manager.close();
    told.close();
    assert.deepEqual(idsIn(), ['a', 'b', 'c']);
  });

  it('may be a device', async () => {
    symlinkSync('/dev/null', file);
    const faults: string[] = [];
    const { manager, told, store } = open(faults);
    told.follow(manager, store);
    for (const name of ['a', 'b']) await make(manager, name);
    assert.deepEqual([faults, store.unlogged()], [[], []]);
    await manager.close();
    told.close();
  });

  it('that cannot be opened costs no change more than the one before', async () => {
    mkdirSync(file);
    const { manager, told, store } = open();
    let looks = 0;
    const unlogged = store.unlogged.bind(store);
    store.unlogged = () => {
      looks++;
      return unlogged();
    };
    told.follow(manager, store);
    for (const name of ['a', 'b']) await make(manager, name);
    assert.equal(looks, 0);
    rmSync(file, { recursive: true });
    await make(manager, 'c');
    await manager.close();
    told.close();
    assert.deepEqual([looks, idsIn()], [1, ['a', 'b', 'c']]);
  });

  it('goes on behind a file that another state wrote', async () => {
    new AuditLog(file).append([line(7)]);
    const { manager, told, store } = open();
    told.follow(manager, store);
    await make(manager, 'a');
    await manager.close();
    told.close();
    assert.deepEqual(numbersIn(file), [7, 8]);
  });

  const change = async (name: string): Promise<void> => {
    const { manager, told, store } = open();
    told.follow(manager, store);
    await make(manager, name);
    await manager.close();
    told.close();
  };

  it('has every change of a state that was restored from a copy, also after it was moved away', async () => {
    const state = path.join(folder, 'state');
    await change('a');
    copyFileSync(state, `${state}.copy`);
    for (const name of ['b', 'c', 'd']) await change(name);
    copyFileSync(`${state}.copy`, state);
    const restored = open();
    restored.told.follow(restored.manager, restored.store);
    await restored.manager.close();
    restored.told.close();
    rmSync(file);
    const { manager, told, store } = open();
    told.follow(manager, store);
    for (const name of ['n1', 'n2', 'n3', 'n4', 'n5']) await make(manager, name);
    await manager.close();
    told.close();
    assert.deepEqual(idsIn(), ['n1', 'n2', 'n3', 'n4', 'n5']);
    assert.deepEqual(numbersIn(file), [5, 6, 7, 8, 9]);
  });

  it('of another state that comes late gets all that waited for it, behind its own lines, once', async () => {
    const another = [1, 2, 3].map((number) => ({
      number,
      text: JSON.stringify({ number, id: `old${String(number)}` }),
    }));
    mkdirSync(file);
    const late = open();
    late.told.follow(late.manager, late.store);
    for (const name of ['a', 'b', 'c', 'd']) await make(late.manager, name);
    rmSync(file, { recursive: true });
    new AuditLog(file).append(another);
    // Killed after the file got them and before the state knew.
    new AuditLog(file).append(late.store.unlogged());
    await late.manager.close();
    late.told.close();
    await change('e');
    assert.deepEqual(idsIn(), ['old1', 'old2', 'old3', 'a', 'b', 'c', 'd', 'e']);
    assert.deepEqual(numbersIn(file), [1, 2, 3, 4, 5, 6, 7, 8]);
  });

  it('of a state whose entries it has holds none of them any more', async () => {
    const { manager, told, store } = open();
    told.follow(manager, store);
    for (const name of ['a', 'b', 'c']) await make(manager, name);
    await manager.close();
    told.close();
    rmSync(file);
    const again = open();
    again.told.follow(again.manager, again.store);
    await again.manager.close();
    again.told.close();
    assert.deepEqual(idsIn(), []);
  });
});
