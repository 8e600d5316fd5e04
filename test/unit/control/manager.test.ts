import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { loadLab, parseLab } from '../../../src/config/index.js';
import type { LabConfig } from '../../../src/config/index.js';
import { defaultBase } from '../../../src/control/lab.js';
import { ResourceManager } from '../../../src/control/manager.js';
import type { Committed } from '../../../src/control/manager.js';
import { seed } from '../../../src/control/seed.js';
import { Store } from '../../../src/control/store.js';
import { CulvertError } from '../../../src/errors.js';
import { Gateway } from '../../../src/gateway/gateway.js';
import type { ArmDocument } from '../../../src/service/arm/documents.js';
import { documentsOf } from '../../../src/service/arm/from-model.js';
import { lastName } from '../../../src/service/arm/resource-id.js';
import { groupDocument } from '../../../src/service/arm/manage.js';
import type { Topology } from '../../../src/translate/topology.js';
import { repositoryRoot } from '../../support/machine.js';
import { labText } from '../gateway/gateway-bench.js';
import { ScriptedMachine } from '../gateway/scripted-machine.js';
import { Sequence } from '../service/arm/sequence.js';

const quiet = { info: () => undefined, warn: () => undefined, error: () => undefined };
const group = (name: string) =>
  groupDocument(`/subscriptions/s/resourceGroups/${name}`, { location: 'west' }, new Sequence());

/** A topology without the names' ids and in an order that does not depend on them. */
function plain({ networks, links }: Topology): unknown {
  return {
    networks: networks.map(lastName).toSorted(),
    links: links
      .map((link) => ({
        ...link,
        name: lastName(link.name),
        rules: link.rules.map((rule) => ({
          ...rule,
          backends: rule.backends.toSorted((a, b) => a - b),
          probe: rule.probe && { ...rule.probe, name: rule.probe.name.split('/').slice(-2).join('/') },
        })),
        endpoints: link.endpoints
          .map((e) => ({ ...e, name: lastName(e.name), network: lastName(networks[e.network]!) }))
          .toSorted((a, b) => a.name.localeCompare(b.name)),
      }))
      .toSorted((a, b) => a.name.localeCompare(b.name)),
  };
}

describe('control: the manager of the resources', () => {
  let folder = '';
  let count = 0;

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-manager-'));
  });
  after(() => {
    rmSync(folder, { recursive: true, force: true });
  });

  const open = (file = String(count++), base?: LabConfig): ResourceManager =>
    new ResourceManager({ store: Store.open(path.join(folder, file)), base: base ?? defaultBase() });

  for (const name of ['live', 'two-consumers']) {
    it(`makes of the resources of ${name}.yaml what the lab file is, also when it has come back`, async () => {
      const lab = loadLab(path.join(repositoryRoot, 'fixtures', 'labs', `${name}.yaml`));
      const first = open(name, lab);
      await seed(first, lab, quiet);
      const check = (manager: ResourceManager): void => {
        const made = manager.lab();
        assert.deepEqual(plain(made.topology), plain(lab.topology));
        const attachments = [...made.gateway.networks].map(([id, each]) => [lastName(id), each]);
        assert.deepEqual(Object.fromEntries(attachments), Object.fromEntries(lab.gateway.networks));
        assert.equal(made.warnings.length, lab.warnings.length);
      };
      check(first);
      await first.close();
      const again = open(name, lab);
      check(again);
      const { documents } = again;
      await seed(again, lab, quiet);
      assert.equal(again.documents, documents);
      await again.close();
    });
  }

  it('makes of everything that a lab file can say what the file is', async () => {
    const text = readFileSync(path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml'), 'utf8')
      .replace('backend: 10.200.2.0/24', 'backend: { addressPrefix: 10.200.2.0/24, networkSecurityGroup: inner }')
      .replace(
        'loadBalancers:',
        `networkSecurityGroups:
  inner:
    securityRules:
      - { name: no, priority: 100, direction: Inbound, access: Deny, protocol: Tcp, destinationPortRanges: ['22', '80-90'] }
loadBalancers:`,
      )
      .replace(
        'proxyProtocol: { dialect: azure }',
        "proxyProtocol: { dialect: custom, crc32c: true, tlvs: [{ type: 0xE1, hex: '01ff' }] }",
      )
      .replace('destinationIPAddress: 10.200.3.4', 'destinationIPAddress: 10.200.3.4\n    bandwidthInMbps: 100')
      .replace('linkIdentifier: 1002 }', 'linkIdentifier: 1002, status: Rejected }');
    const lab = parseLab(text, 'lab.yaml');
    const manager = open(undefined, lab);
    await seed(manager, lab, quiet);
    assert.deepEqual(plain(manager.lab().topology), plain(lab.topology));
    await manager.close();
  });

  it('makes changes one after the other, each from what the last one left', async () => {
    const manager = open();
    const seen: number[] = [];
    await Promise.all(
      ['a', 'b', 'c'].map((name) =>
        manager.change((documents) => {
          seen.push(documents.size);
          return { put: [group(name)], remove: [] };
        }),
      ),
    );
    assert.deepEqual(seen, [0, 1, 2]);
    await manager.close();
  });

  it('tells what was changed, and nothing of what was not', async () => {
    const manager = open();
    const told: Committed[] = [];
    const end = manager.onCommitted((committed) => told.push(committed));
    await manager.change(() => ({ put: [group('a')], remove: [] }));
    await assert.rejects(
      manager.change(() => {
        throw new Error('no');
      }),
      /no/,
    );
    await manager.change(() => ({ put: [], remove: [] }));
    end();
    await manager.change(() => ({ put: [group('b')], remove: [] }));
    assert.deepEqual(
      told.map(({ before, after }) => [before.size, after.size]),
      [[0, 1]],
    );
    await manager.close();
  });

  it('writes nothing that the gateway refuses, and applies what is written', async () => {
    const manager = open('refused');
    const applied: LabConfig[] = [];
    let refusal: CulvertError | null = new CulvertError('GATEWAY_NETWORKS_OVERLAP', 'no');
    manager.attach({
      prepare: () => {
        if (refusal !== null) throw refusal;
        return () => undefined;
      },
      apply: (lab) => applied.push(lab),
    });
    const change = (): Promise<unknown> => manager.change(() => ({ put: [group('a')], remove: [] }));
    await assert.rejects(change(), { code: 'GATEWAY_NETWORKS_OVERLAP' });
    assert.deepEqual([manager.documents.size, applied.length], [0, 0]);
    refusal = null;
    await change();
    assert.equal(applied.length, 1);
    await manager.close();
    const again = open('refused');
    assert.equal(again.documents.size, 1);
    await again.close();
  });

  describe('with a gateway', () => {
    const machine = new ScriptedMachine();
    let manager: ResourceManager;
    let gateway: Gateway;

    /** A lab with these consumers; the first two are those of the lab that runs. */
    const labWith = (...consumers: readonly string[]): LabConfig => {
      const more = consumers.map(
        (name) => `
  ${name}: { addressSpace: [10.0.0.0/16], subnets: { default: 10.0.0.0/24 }, namespace: ${name} }`,
      );
      const endpoints = consumers.map(
        (name) => `
  ${name}-web: { subnet: ${name}/default, address: 10.0.0.9, privateLinkService: web }`,
      );
      const text = labText()
        .replace('virtualNetworks:', `virtualNetworks:${more.join('')}`)
        .replace('privateEndpoints:', `privateEndpoints:${endpoints.join('')}`);
      return parseLab(text, 'lab.yaml');
    };
    const documentsFor = (lab: LabConfig): readonly ArmDocument[] =>
      documentsOf(lab.model, lab.gateway.networks, new Sequence());

    beforeEach(async () => {
      const lab = labWith();
      manager = open(undefined, lab);
      await seed(manager, lab, quiet);
      const runDirectory = path.join(folder, `run${String(count)}`);
      gateway = await Gateway.start({ lab: 'lab.yaml', resources: manager.lab(), log: quiet, runDirectory, machine });
      manager.attach({ prepare: (next) => gateway.prepare(next).undo, apply: (next) => gateway.take(next) });
    });
    afterEach(async () => {
      await manager.close();
      await gateway.stop();
    });

    const networks = (): string[] => gateway.status().networks.map(({ name }) => lastName(name));
    /** What a lab has more than the documents that are there. */
    const added = (lab: LabConfig): ArmDocument[] =>
      documentsFor(lab).filter((each) => /green/.test(JSON.stringify([each.id, each.properties['privateEndpoint']])));

    it('takes back what it made on the machine for a change that cannot be written', async () => {
      const before = { documents: manager.documents, networks: networks() };
      const put = added(labWith('green'));
      assert.ok(put.length >= 3);
      // The store refuses the key of this one; the gateway has made its interface by then.
      const unwritable = group('x'.repeat(4000));
      const from = machine.history.length;
      await assert.rejects(
        manager.change(() => ({ put: [...put, unwritable], remove: [] })),
        { code: 'STATE_KEY_TOO_LONG' },
      );
      const made = machine.history.slice(from);
      assert.deepEqual(
        [made.includes('+green'), made.some((each) => each.startsWith('open ')), made.at(-1)],
        [true, true, '-green'],
      );
      assert.ok([...machine.devices].some(([name, device]) => lastName(name) === 'green' && device.closed));
      assert.deepEqual({ documents: manager.documents, networks: networks() }, before);
      await manager.change(() => ({ put, remove: [] }));
      assert.deepEqual(networks().toSorted(), [...before.networks, 'green'].toSorted());
    });

    it('leaves nothing on the machine of a change that is only looked at', async () => {
      const before = networks();
      const from = machine.history.length;
      await manager.preview(() => ({ put: added(labWith('green')), remove: [] }));
      assert.deepEqual([networks(), machine.history.at(-1)], [before, '-green']);
      assert.ok(machine.history.length > from);
    });
  });

  it('shows and runs nothing that was not written', async () => {
    const manager = open();
    let applied = 0;
    manager.attach({ prepare: () => () => undefined, apply: () => applied++ });
    const bad = { ...group('a'), properties: { big: 1n } };
    await assert.rejects(manager.change(() => ({ put: [bad], remove: [] })));
    assert.deepEqual([manager.documents.size, applied], [0, 0]);
    await manager.change(() => ({ put: [group('b')], remove: [] }));
    assert.deepEqual([manager.documents.size, applied], [1, 1]);
    await manager.close();
  });
});
