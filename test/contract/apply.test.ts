/** `culvert export` and `culvert apply` against a server in a process of its own. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '../support/machine.js';
import { ServeProcess } from './serve-process.js';

const LAB = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');
const lab = readFileSync(LAB, 'utf8');

describe('culvert export and culvert apply', () => {
  let server: ServeProcess;

  beforeEach(async () => {
    server = await ServeProcess.start(['--config', LAB]);
  });
  afterEach(() => server.stop());

  const file = (name: string, text: string): string => {
    const where = path.join(server.folder, name);
    writeFileSync(where, text);
    return where;
  };

  it('brings an empty server to the state of another one', async () => {
    const exported = path.join(server.folder, 'exported.yaml');
    assert.equal((await server.ask('export', '--output', exported)).code, 0);
    const empty = await ServeProcess.start();
    try {
      const { code, out, err } = await empty.ask('apply', exported, '--yes');
      assert.equal(code, 0, err);
      assert.match(out, /^12 to create, 0 to change, 0 to delete$/m);
      const [one, two] = [await server.ask('export'), await empty.ask('export')];
      const withoutAliases = (text: string): string => text.replaceAll(/alias: .*/g, '');
      assert.equal(withoutAliases(two.out), withoutAliases(one.out));
      assert.match((await empty.ask('apply', exported, '--yes')).out, /^nothing to do$/m);
    } finally {
      await empty.stop();
    }
  });

  it('has nothing to do where a reference is only spelled otherwise', async () => {
    const service = JSON.parse((await server.ask('pls', 'show', 'web', '--json')).out) as {
      id: string;
      location: string;
      properties: { loadBalancerFrontendIpConfigurations: { id: string }[] };
    };
    const frontend = service.properties.loadBalancerFrontendIpConfigurations[0]!;
    frontend.id = frontend.id.replace(/web$/, 'WEB');
    const { id, location, properties } = service;
    const answer = await fetch(`${server.url}${id}?api-version=2025-05-01`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ location, properties }),
    });
    assert.equal(answer.status, 200, await answer.text());
    const { out } = await server.ask('export');
    assert.match(out, /lb\/web/);
    assert.match((await server.ask('apply', file('same.yaml', out), '--yes')).out, /^nothing to do$/m);
  });

  it('starts another server with the same ids, aliases and LINKIDs', async () => {
    const { out } = await server.ask('export');
    const copy = await ServeProcess.start(['--config', file('copy.yaml', out)]);
    try {
      assert.equal((await copy.ask('export')).out, out);
    } finally {
      await copy.stop();
    }
  });

  it('keeps network interfaces, in a pool or not, here, in an empty server and from a file', async () => {
    const group = '/subscriptions/provider/resourceGroups/culvert/providers/Microsoft.Network';
    const subnet = { id: `${group}/virtualNetworks/provider/subnets/backend` };
    const loadBalancerBackendAddressPools = [{ id: `${group}/loadBalancers/lb/backendAddressPools/web` }];
    const ipConfigurations = [
      { name: 'one', properties: { subnet, loadBalancerBackendAddressPools } },
      { name: 'two', properties: { subnet } },
    ];
    const answer = await fetch(`${server.url}${group}/networkInterfaces/vm-1?api-version=2025-05-01`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ location: 'local', properties: { ipConfigurations } }),
    });
    assert.equal(answer.status, 201, await answer.text());
    const { out, err } = await server.ask('export');
    assert.equal(err, '');
    assert.match(out, /^ +- vm-1\/one$/m);
    const exported = file('exported.yaml', out);
    assert.match((await server.ask('apply', exported, '--yes', '--prune')).out, /^nothing to do$/m);
    const [empty, copy] = await Promise.all([ServeProcess.start(), ServeProcess.start(['--config', exported])]);
    try {
      assert.equal((await copy.ask('export')).out, out);
      assert.equal((await empty.ask('apply', exported, '--yes')).code, 0);
      assert.match((await empty.ask('apply', exported, '--yes', '--prune')).out, /^nothing to do$/m);
      assert.match((await empty.ask('export')).out, /^ +- vm-1\/one$/m);
    } finally {
      await Promise.all([empty.stop(), copy.stop()]);
    }
  });

  it('keeps endpoints outside of a visibility that shrank, here, in an empty server and from a file', async () => {
    assert.equal(
      (await server.ask('pls', 'create', 'web', '--visibility', 'provider', '--auto-approval', 'provider')).code,
      0,
    );
    assert.equal((await server.ask('connections', 'reject', 'blue-web')).code, 0);
    const { out } = await server.ask('export');
    assert.equal([...out.matchAll(/outsideVisibility: true/g)].length, 2, out);
    const exported = file('exported.yaml', out);
    assert.match((await server.ask('apply', exported, '--yes')).out, /^nothing to do$/m);
    const [empty, copy] = await Promise.all([ServeProcess.start(), ServeProcess.start(['--config', exported])]);
    try {
      assert.equal((await copy.ask('export')).out, out);
      const applied = await empty.ask('apply', exported, '--yes');
      assert.equal(applied.code, 0, applied.err);
      assert.match(applied.out, /^14 to create, 0 to change, 0 to delete$/m);
      const withoutAliases = (text: string): string => text.replaceAll(/alias: .*/g, '');
      assert.equal(withoutAliases((await empty.ask('export')).out), withoutAliases(out));
      assert.match((await empty.ask('pe', 'list')).out, /^red-web .*Approved$/m);
      const late = await empty.ask('pe', 'create', 'late', '--subnet', 'blue/default', '--service', 'web');
      assert.match(late.err, /^culvert: EndpointNotVisible: /, 'who asks anew may not');
    } finally {
      await Promise.all([empty.stop(), copy.stop()]);
    }
  });

  it('prints the plan of a dry run and changes nothing', async () => {
    const changed = file('changed.yaml', lab.replace('10.200.1.4, 10.200.1.5', '10.200.1.4, 10.200.1.8, 10.200.1.9'));
    const before = (await server.ask('export')).out;
    const { code, out } = await server.ask('apply', changed, '--dry-run');
    assert.equal(code, 0);
    assert.match(out, /^~ change \S+\/privateLinkServices\/web$/m);
    assert.match(out, /10\.200\.1\.9/);
    assert.match(out, /^0 to create, 1 to change, 0 to delete$/m);
    assert.equal((await server.ask('export')).out, before);
    assert.equal((await server.ask('apply', changed, '--yes')).code, 0);
    assert.match(
      (await server.ask('pls', 'show', 'web')).out,
      /^NAT addresses +10\.200\.1\.4, 10\.200\.1\.8, 10\.200\.1\.9$/m,
    );
  });

  it('approves, rejects and ends connections as the file says', async () => {
    const statuses = lab
      .replace('linkIdentifier: 1001', 'linkIdentifier: 1001, status: Rejected')
      .replace('linkIdentifier: 1003', 'linkIdentifier: 1003, status: Disconnected');
    const { code, out } = await server.ask('apply', file('statuses.yaml', statuses), '--yes');
    assert.equal(code, 0);
    assert.match(out, /privateEndpointConnections\/red-web\.\S+: Approved -> Rejected$/m);
    const { out: list } = await server.ask('pe', 'list');
    assert.match(list, /^red-web .*Rejected$/m);
    assert.match(list, /^red-database .*Disconnected$/m);
    assert.match(list, /^blue-web .*Approved$/m);
  });

  it('deletes only with --prune', async () => {
    const less = file('less.yaml', lab.replace(/^ {2}red-database: .*\n/m, ''));
    const kept = await server.ask('apply', less, '--yes');
    assert.match(kept.out, /^nothing to do$/m);
    assert.match(kept.out, /^not in the file, and kept .*\n {2}\S+\/privateEndpoints\/red-database$/m);
    const pruned = await server.ask('apply', less, '--yes', '--prune');
    assert.match(pruned.out, /^- delete \S+\/privateEndpoints\/red-database$/m);
    assert.doesNotMatch((await server.ask('pe', 'list')).out, /red-database/);
  });

  it('makes all of it or nothing, and says why', async () => {
    const before = (await server.ask('export')).out;
    const bad = lab
      .replace('frontend: 10.200.0.0/24', 'frontend: 10.200.0.0/24\n      more: 10.200.9.0/24')
      .replace('destinationIPAddress: 10.200.3.4', 'destinationIPAddress: 10.200.3.5');
    const { code, err } = await server.ask('apply', file('bad.yaml', bad), '--yes');
    assert.equal(code, 9);
    assert.match(err, /^culvert: PropertyChangeNotAllowed: .*destinationIPAddress/);
    assert.equal((await server.ask('export')).out, before);
  });

  it('reports mistakes of the file, and asks nobody where nobody is', async () => {
    const mistakes = await server.ask('apply', path.join(repositoryRoot, 'fixtures', 'labs', 'mistakes.yaml'));
    assert.equal(mistakes.code, 5);
    const unasked = await server.ask('apply', file('less.yaml', lab.replace('10.200.1.5]', '10.200.1.9]')));
    assert.equal(unasked.code, 2);
    assert.match(unasked.err, /^culvert: USAGE: nobody can be asked here: give --yes/);
  });

  it('tells of its changes as JSON', async () => {
    const changed = file('changed.yaml', lab.replace('10.200.1.5]', '10.200.1.9]'));
    const { out } = await server.ask('apply', changed, '--yes', '--json');
    const answer = JSON.parse(out) as { applied: boolean; changes: { action: string; id: string }[] };
    assert.equal(answer.applied, true);
    assert.deepEqual(
      answer.changes.map(({ action, id }) => [action, id.split('/').at(-1)]),
      [['change', 'web']],
    );
  });

  it('deploys an ARM template, and has nothing to do the second time', async () => {
    const template = path.join(repositoryRoot, 'fixtures', 'templates', 'private-link.json');
    const args = ['apply', template, '--yes', '--subscription', 's1', '--resource-group', 'prod'];
    const first = await server.ask(...args, '--parameter', 'natAddresses=3');
    assert.equal(first.code, 0, first.err);
    assert.match(first.out, /^\+ create \S+\/resourceGroups\/prod\/\S+\/privateLinkServices\/web$/m);
    const shown = await server.ask('pls', 'show', 'web', '--resource-group', 'prod');
    assert.match(shown.out, /^NAT addresses +10\.200\.1\.4, 10\.200\.1\.5, 10\.200\.1\.6$/m);
    assert.match(shown.out, /blue-web {2}Approved {2}LINKID \d+$/m);
    assert.match((await server.ask(...args, '--parameter', 'natAddresses=3')).out, /^nothing to do$/m);
    const fewer = await server.ask(
      ...args,
      '--prune',
      '--parameter',
      'natAddresses=1',
      '--parameter',
      'consumers=["red"]',
    );
    assert.match(fewer.out, /^- delete \S+\/privateEndpoints\/blue-web$/m);
    assert.equal(fewer.code, 0, fewer.err);
    const wrong = await server.ask(...args, '--parameter', 'size=1');
    assert.equal(wrong.code, 5);
    assert.match(wrong.err, /^culvert: TEMPLATE_PARAMETER: parameters\.size: /);
    const secret = file('secret.json', '{"parameters": {"natAddresses": {"reference": {"secretName": "s"}}}}');
    const vault = await server.ask(...args, '--parameters', secret);
    assert.equal(vault.code, 5);
    assert.match(vault.err, /^culvert: TEMPLATE_PARAMETERS: \S+secret\.json: parameters\.natAddresses: no Key Vault/);
  });
});
