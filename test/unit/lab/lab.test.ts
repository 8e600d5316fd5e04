import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { labDown } from '../../../src/cli/lab-action.js';
import { parseLab } from '../../../src/config/index.js';
import { CulvertError } from '../../../src/errors.js';
import { planNetworks } from '../../../src/gateway/plan.js';
import { RunState } from '../../../src/gateway/run-state.js';
import type { Stage } from '../../../src/lab/checks/check.js';
import { judge, linkIdOfTlv, parseLine } from '../../../src/lab/checks/judge.js';
import { Lab, openFolder, refuseRunning, removeLab } from '../../../src/lab/lab.js';
import { listens } from '../../../src/lab/processes.js';
import { needPrograms, packageOf, PROGRAMS } from '../../../src/lab/programs.js';
import { CONSUMERS, ENDPOINT, labFile, LINK_ID, namesOf } from '../../../src/lab/topology.js';
import type { Witness } from '../../../src/lab/witness.js';
import { repositoryRoot } from '../../support/machine.js';

const coded = (code: string) => (error: unknown) => error instanceof CulvertError && error.code === code;

describe('the lab’s networks', () => {
  it('are a lab file without mistakes, in namespaces of its own', () => {
    const lab = parseLab(labFile(namesOf('x')), 'x.yaml');
    assert.deepEqual(lab.warnings, []);
    const plans = planNetworks(lab);
    assert.deepEqual(
      plans.map((plan) => plan.namespace),
      ['culvert-x-red', 'culvert-x-blue', 'culvert-x-provider'],
    );
    const [red, blue] = plans;
    assert.deepEqual(red!.addresses, blue!.addresses, 'both consumers have the same address');
  });

  it('approve all endpoints but the pending ones, until one is withdrawn', () => {
    const approved = (text: string): string[] =>
      [...parseLab(text, 'x.yaml').model.privateEndpoints.values()]
        .filter((each) => each.status === 'Approved')
        .map((each) => each.name);
    const all = CONSUMERS.flatMap((who) => ['main', 'own', 'plain', 'withdrawn'].map((which) => `${who}-${which}`));
    assert.deepEqual(approved(labFile(namesOf('x'))), all);
    assert.deepEqual(
      approved(labFile(namesOf('x'), ['red'])),
      all.filter((name) => name !== 'red-withdrawn'),
    );
  });
});

describe('the programs of the lab', () => {
  it('are all in the list of OS packages', () => {
    const list = readFileSync(path.join(repositoryRoot, 'scripts', 'os-packages.txt'), 'utf8');
    const proofs = list.split('\n').map((line) => line.split(/\s+/)[1]);
    for (const program of PROGRAMS) assert.ok(proofs.includes(program), `${program} is in no package of the list`);
    assert.equal(packageOf('dig'), 'bind9-dnsutils');
    assert.equal(packageOf('mariadbd'), 'mariadb-server-core');
  });

  it('are asked for by the names of their packages where they are missing', () => {
    const missing = new Set(['dig', 'postfix']);
    assert.throws(
      () => needPrograms(PROGRAMS, (program) => !missing.has(program)),
      (error) => {
        assert.ok(coded('LAB_PACKAGES_MISSING')(error));
        assert.match((error as Error).message, /apt-get install --no-install-recommends postfix bind9-dnsutils$/);
        return true;
      },
    );
    needPrograms(PROGRAMS, () => true);
  });
});

describe('the check of what a server saw', () => {
  const [endpoint, source] = [`${ENDPOINT.main}:80`, '10.0.0.5:40000'];
  const stage = (linkIds: readonly number[], sources = [source]): Stage => {
    const none = new Map<string, never>();
    const consumer = { connections: new Map([[endpoint, new Set(sources)]]), headers: none, fragments: none };
    const headers = new Map([[`${source} ${endpoint}`, new Set(linkIds)]]);
    const witnesses = { red: consumer, blue: consumer } as unknown as Record<'red' | 'blue', Witness>;
    return { lab: {} as never, consumers: witnesses, provider: { headers } as unknown as Witness };
  };
  const good = { source, destination: endpoint, linkId: LINK_ID.red.main };

  it('takes the truth, and says what was seen', async () => {
    const text = await judge(stage([LINK_ID.red.main]), 'red', 80, good);
    assert.equal(text, `${source} > ${endpoint}, LINKID ${LINK_ID.red.main}`);
    const untold = { source, destination: endpoint };
    assert.match(await judge(stage([LINK_ID.red.main]), 'red', 80, untold), /on its wire$/);
  });

  it('refuses another address, port, endpoint or LINKID, and a stream without the header', async () => {
    const right = stage([LINK_ID.red.main]);
    await Promise.all([
      assert.rejects(judge(right, 'red', 80, { ...good, source: '10.200.1.4:40000' }), /10\.200\.1\.4/),
      assert.rejects(
        judge(right, 'red', 80, { ...good, source: '10.0.0.5:40001' }),
        /connected from 10\.0\.0\.5:40000/,
      ),
      assert.rejects(judge(right, 'red', 80, { ...good, destination: '10.200.0.10:80' })),
      assert.rejects(judge(right, 'red', 80, { ...good, linkId: LINK_ID.blue.main })),
      assert.rejects(judge(right, 'blue', 80, { ...good, linkId: LINK_ID.blue.main }), /headers on the server's/),
      assert.rejects(judge(stage([]), 'red', 80, good), /LINKIDs none/),
      assert.rejects(judge(stage([1], []), 'red', 80, { source: '10.0.0.5' }), /connected from/),
    ]);
  });

  it('reads what our own servers say, and the TLV as other servers give it', () => {
    const line = 'LINKID 1003 from 10.0.0.5:41000 to 10.0.0.10:7000 at 10.200.2.5\n';
    const seen = { source: '10.0.0.5:41000', destination: '10.0.0.10:7000' };
    assert.deepEqual(parseLine(line), { ...seen, linkId: 1003, backend: '10.200.2.5' });
    assert.throws(() => parseLine('hello\n'), /answered 'hello/);
    assert.equal(linkIdOfTlv(Buffer.from('01e9030000', 'hex')), 1001);
    assert.throws(() => linkIdOfTlv(Buffer.from('02e9030000', 'hex')), /another TLV/);
  });
});

describe('a lab’s life', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-unit-'))));
  afterEach(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  it('knows who listens without connecting', async () => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as net.AddressInfo;
    assert.equal(listens(process.pid, '127.0.0.1', port, 'tcp'), true);
    assert.equal(listens(process.pid, '127.0.0.2', port, 'tcp'), false);
    assert.equal(listens(process.pid, '127.0.0.1', port, 'udp'), false);
    server.close();
    await once(server, 'close');
    assert.equal(listens(process.pid, '127.0.0.1', port, 'tcp'), false);
  });

  it('never touches a gateway that is no lab, running or killed', async () => {
    const file = path.join(folder, 'culvert-mine.yaml');
    const state = RunState.claim(folder, 'culvert-mine', file);
    assert.throws(() => {
      refuseRunning('mine', folder);
    }, coded('LAB_NAME'));
    await assert.rejects(removeLab('mine', folder), coded('LAB_NAME'));
    const record = path.join(folder, 'culvert-mine.json');
    const dead = readFileSync(record, 'utf8').replace(/"startTime":"\d+"/, '"startTime":"1"');
    writeFileSync(record, dead);
    await assert.rejects(removeLab('mine', folder), coded('LAB_NAME'));
    assert.equal(readFileSync(record, 'utf8'), dead);
    state.release();
  });

  it('removes no file for a name that is none, nor the log of what is no lab', async () => {
    const run = path.join(folder, 'run');
    mkdirSync(run);
    const [victim, log] = [path.join(folder, 'victim.log'), path.join(run, 'culvert-mine.log')];
    for (const file of [victim, log]) writeFileSync(file, 'x');
    RunState.claim(run, 'culvert-mine', path.join(folder, 'culvert-mine.yaml'));
    await assert.rejects(labDown({ name: 'a/../../victim', runDir: run }), coded('LAB_NAME'));
    await assert.rejects(labDown({ name: 'mine', runDir: run }), coded('LAB_NAME'));
    for (const file of [victim, log]) assert.ok(existsSync(file), file);
  });

  it('removes the log of a lab that is gone, and the folder with it', async () => {
    writeFileSync(path.join(folder, 'culvert-x.log'), 'x');
    await assert.rejects(labDown({ name: 'x', runDir: folder }), coded('LAB_NOT_RUNNING'));
    assert.equal(existsSync(folder), false);
  });

  it('stops the gateway also when its own folder cannot be removed', async () => {
    let stopped = false;
    const lab = Object.assign(Object.create(Lab.prototype) as object, {
      names: namesOf('unit'),
      folder: '\0',
      processes: { close: () => undefined },
      running: { stop: () => Promise.resolve((stopped = true)) },
      stopping: null,
    }) as unknown as Lab;
    await assert.rejects(lab.stop(), { code: 'ERR_INVALID_ARG_VALUE' });
    assert.ok(stopped);
  });

  it('says when there is none, and refuses names that could be no namespace', async () => {
    assert.equal(await removeLab('none', folder), false);
    for (const name of ['', '../x', 'A', 'x'.repeat(21), '-x'])
      await assert.rejects(removeLab(name, folder), coded('LAB_NAME'));
  });

  it('finds a folder that servers without root’s rights can get to', () => {
    const open = path.join(folder, 'open');
    mkdirSync(open);
    assert.equal(openFolder([open, '/']), '/', 'mkdtemp makes folders that nobody else may enter');
    chmodSync(folder, 0o711);
    assert.equal(openFolder([path.join(folder, 'not-there'), open, '/']), open);
  });

  it('never removes a user’s own folder, whatever its name', async () => {
    const own = path.join(folder, 'culvert-lab-notes');
    mkdirSync(own);
    const file = path.join(own, 'culvert-x.yaml');
    writeFileSync(file, 'x');
    RunState.claim(folder, 'culvert-x', file);
    const record = path.join(folder, 'culvert-x.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace(/"startTime":"\d+"/, '"startTime":"1"'));
    await assert.rejects(removeLab('x', folder), coded('LAB_NAME'));
    assert.ok(existsSync(file));
  });

  it('removes the folder of a lab that was killed', async () => {
    const own = path.join(folder, 'made-for-it');
    mkdirSync(own);
    RunState.claim(folder, 'culvert-x', path.join(own, 'culvert-x.yaml'), own);
    const record = path.join(folder, 'culvert-x.json');
    writeFileSync(record, readFileSync(record, 'utf8').replace(/"startTime":"\d+"/, '"startTime":"1"'));
    assert.equal(await removeLab('x', folder), true);
    assert.equal(existsSync(own), false);
  });

  it('says that it runs already', () => {
    const own = path.join(folder, 'culvert-lab-abc');
    RunState.claim(folder, 'culvert-x', path.join(own, 'culvert-x.yaml'), own);
    assert.throws(() => {
      refuseRunning('x', folder);
    }, coded('LAB_ALREADY_RUNNING'));
  });
});
