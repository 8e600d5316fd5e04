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
import { lastName } from '../../../src/service/arm/resource-id.js';
import { groupDocument } from '../../../src/service/arm/manage.js';
import type { Topology } from '../../../src/translate/topology.js';
import { repositoryRoot } from '../../support/machine.js';
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
      check: () => {
        if (refusal !== null) throw refusal;
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

  it('shows and runs nothing that was not written', async () => {
    const manager = open();
    let applied = 0;
    manager.attach({ check: () => undefined, apply: () => applied++ });
    const bad = { ...group('a'), properties: { big: 1n } };
    await assert.rejects(manager.change(() => ({ put: [bad], remove: [] })));
    assert.deepEqual([manager.documents.size, applied], [0, 0]);
    await manager.change(() => ({ put: [group('b')], remove: [] }));
    assert.deepEqual([manager.documents.size, applied], [1, 1]);
    await manager.close();
  });
});
