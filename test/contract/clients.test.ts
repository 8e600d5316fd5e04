/** `culvert pls`, `pe` and `connections` against a server in a process of its own. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { repositoryRoot } from '../support/machine.js';
import { run } from '../cli/command.js';
import { ServeProcess } from './serve-process.js';

const LAB = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');

interface Shown {
  readonly name: string;
  readonly properties: Record<string, unknown>;
}

describe('the commands for resources', () => {
  let server: ServeProcess;

  before(async () => {
    server = await ServeProcess.start(['--config', LAB]);
  });
  after(() => server.stop());

  const json = async <T>(...args: string[]): Promise<T> => {
    const { code, out, err } = await server.ask(...args, '--json');
    assert.equal(code, 0, err);
    return JSON.parse(out) as T;
  };

  it('finds the server that runs, and lists services as a table', async () => {
    const { code, out } = await server.ask('pls', 'list');
    assert.equal(code, 0);
    const [head, ...rows] = out.trimEnd().split('\n');
    assert.match(head!, /^NAME +GROUP +SUBSCRIPTION +LOCATION +TO +NAT IPS +PROXY +CONNECTIONS +ALIAS$/);
    assert.equal(rows.length, 2);
    assert.match(rows[1]!, /^web +culvert +provider +local +lb\/web +2 +v2 +2 +web\.\S+\.privatelinkservice$/);
  });

  it('lists endpoints with their addresses, and connections with their LINKIDs', async () => {
    const endpoints = await server.ask('pe', 'list');
    assert.match(endpoints.out, /^blue-web +culvert +consumer +10\.0\.0\.4 +web +Approved$/m);
    const connections = await server.ask('connections', 'list', '--service', 'database');
    assert.match(connections.out, /^database +red-database +consumer +Approved +1003 +red-database\.\S+$/m);
    assert.doesNotMatch(connections.out, /red-web/);
  });

  it('asks for a connection, and the provider approves and rejects it', async () => {
    const made = await server.ask(
      'pe',
      'create',
      'late',
      '--subnet',
      'red/default',
      '--service',
      'web',
      '--message',
      'hi',
    );
    assert.equal(made.code, 0, made.err);
    assert.match(made.out, /^status +Approved$/m); // the subscription is auto-approved
    const rejected = await server.ask('connections', 'reject', 'late', '--description', 'not today');
    assert.match(rejected.out, /^status +Rejected$/m);
    assert.match(rejected.out, /^description +not today$/m);
    const again = await server.ask('connections', 'approve', 'late');
    assert.equal(again.code, 9);
    assert.match(again.err, /^culvert: ConnectionTransition: /);
    assert.equal((await server.ask('connections', 'delete', 'late')).code, 0);
    assert.match((await server.ask('pe', 'show', 'late')).out, /^status +Disconnected$/m);
    assert.equal((await server.ask('pe', 'delete', 'late')).code, 0);
    assert.doesNotMatch((await server.ask('pe', 'list')).out, /^late /m);
  });

  it('does what the manual begins with', async () => {
    const manual = readFileSync(path.join(repositoryRoot, 'docs', 'clients.md'), 'utf8');
    const block = /(?: {4}culvert .*\n)+/.exec(manual.slice(manual.indexOf('    culvert serve --port')))![0];
    const [start, ...commands] = block.trim().split('\n');
    assert.match(start!, /--config fixtures\/labs\/two-consumers\.yaml &$/);
    assert.equal(commands.length, 4);
    const fresh = await ServeProcess.start(['--config', LAB]);
    try {
      for (const command of commands) {
        const words = [...command.matchAll(/'([^']*)'|(\S+)/g)].map((match) => match[1] ?? match[2]!);
        const { code, err } = await fresh.ask(...words.slice(1));
        assert.equal(code, 0, `${command}: ${err}`);
      }
    } finally {
      await fresh.stop();
    }
  });

  it('changes no service of a name that several have, unless its id or its group is given', async () => {
    const at = ['--subnet', 'provider/nat', '--nat-ips', '2', '--destination', '10.200.3.9', '--resource-group', 'two'];
    const { id } = await json<{ id: string }>('pls', 'create', 'database', ...at);
    const ambiguous = await server.ask('pls', 'create', 'database', '--no-proxy-protocol');
    assert.equal(ambiguous.code, 9);
    assert.match(ambiguous.err, /^culvert: CLIENT_AMBIGUOUS: /);
    const changed = await json<Shown & { id: string }>('pls', 'create', id.toUpperCase(), '--proxy-protocol');
    assert.equal(changed.id, id);
    assert.equal(changed.properties['enableProxyProtocol'], true);
    const wrong = await server.ask('pls', 'create', id.replace('privateLinkServices', 'privateEndpoints'));
    assert.match(wrong.err, /^culvert: CLIENT_NOT_FOUND: /);
    assert.equal((await server.ask('pls', 'delete', id)).code, 0);
  });

  it('changes of a service only what is given', async () => {
    const before = await json<Shown>('pls', 'show', 'WEB');
    const after = await json<Shown>('pls', 'create', 'web', '--nat-ip', '10.200.1.4,10.200.1.9', '--no-proxy-protocol');
    const addresses = after.properties['ipConfigurations'] as Shown[];
    assert.deepEqual(
      addresses.map((each) => each.properties['privateIPAddress']),
      ['10.200.1.4', '10.200.1.9'],
    );
    assert.equal(after.properties['enableProxyProtocol'], false);
    for (const same of ['alias', 'visibility', 'autoApproval', 'loadBalancerFrontendIpConfigurations']) {
      assert.deepEqual(after.properties[same], before.properties[same]);
    }
  });

  it('refuses a second service of a frontend, and a service without a target', async () => {
    const made = await server.ask(
      ...['pls', 'create', 'spare', '--subnet', 'provider/nat', '--nat-ips', '2', '--frontend', 'lb/web'],
    );
    // A frontend has one service.
    assert.equal(made.code, 9);
    assert.match(made.err, /^culvert: \w+: .*web/);
    assert.match((await server.ask('pls', 'create', 'spare')).err, /^culvert: USAGE: /);
  });

  it('says with a code of its own what is not there', async () => {
    const missing = await server.ask('pls', 'show', 'wob');
    assert.equal(missing.code, 9);
    assert.equal(missing.err, "culvert: CLIENT_NOT_FOUND: no private link service 'wob': there is database, web\n");
    const refused = await server.ask('pls', 'delete', 'web');
    assert.equal(refused.code, 9);
    assert.match(refused.err, /^culvert: PrivateLinkServiceHasConnections: /);
  });

  it('tells an unreachable server from one that refuses', async () => {
    const { code, stderr } = await run(['pls', 'list', '--url', 'http://127.0.0.1:1']);
    assert.equal(code, 8);
    assert.match(stderr, /^culvert: CLIENT_UNREACHABLE: http:\/\/127\.0\.0\.1:1: nothing listens there/);
    const none = await run(['pls', 'list', '--run-dir', path.join(server.folder, 'nothing')]);
    assert.equal(none.code, 8);
    assert.match(none.stderr, /^culvert: CLIENT_NO_SERVER: /);
    assert.equal((await run(['pls', 'list', '--url', 'ftp://127.0.0.1'])).code, 2);
  });

  it('needs the token and the certificate of a server with both, and finds them', async function () {
    const tokenFile = path.join(server.folder, 'token');
    writeFileSync(tokenFile, 'a-long-secret\n');
    const guarded = await ServeProcess.start(['--config', LAB, '--tls', '--token-file', tokenFile]);
    try {
      const found = await guarded.ask('pls', 'list');
      assert.equal(found.code, 0, found.err);
      const untrusted = await run(['pls', 'list', '--url', guarded.url]);
      assert.equal(untrusted.code, 8);
      assert.match(untrusted.stderr, /self-signed: give --ca/);
      const nameless = await run(['pls', 'list', '--url', guarded.url, '--insecure']);
      assert.equal(nameless.code, 9);
      assert.match(nameless.stderr, /^culvert: AuthenticationFailed: /);
      const both = ['--ca', path.join(guarded.folder, 'state.crt'), '--token-file', tokenFile];
      assert.equal((await run(['pls', 'list', '--url', guarded.url, ...both])).code, 0);
    } finally {
      await guarded.stop();
    }
  });
});
