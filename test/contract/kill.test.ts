import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { repositoryRoot } from '../support/machine.js';
import { Random } from '../support/random.js';
import { until } from '../support/until.js';
import { API_VERSION, clientOf, LOCATION, QUICK } from './sdk.js';

const command = path.join(repositoryRoot, 'dist', 'bin', 'culvert.cjs');
/** `npm run soak:state` kills a hundred times. */
const KILLS = Number(process.env['CULVERT_KILLS'] ?? 10);
const WRITERS = 6;
const GROUP = '/subscriptions/s/resourceGroups/g/providers/Microsoft.Network';

/** One resource: what its last acknowledged state is, and what the request is that has no answer yet. */
interface Resource {
  readonly path: string;
  /** Tag value, or null where it is deleted. */
  acknowledged: number | null;
  asked: number | null;
}

interface AuditLine {
  readonly number: number;
  readonly id: string;
  readonly after: { readonly tags?: { readonly n: string } } | null;
}

class Server {
  url = '';
  private readonly child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  static async start(state: string): Promise<Server> {
    const child = spawn(process.execPath, [command, 'serve', '--port', '0', '--state', state, '--json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const server = new Server(child);
    for await (const line of createInterface({ input: child.stdout })) {
      const { url } = JSON.parse(line) as { url?: string };
      if (url === undefined) continue;
      server.url = url;
      return server;
    }
    throw new Error(`culvert serve ended with ${String(child.exitCode)}`);
  }

  async kill(signal: NodeJS.Signals): Promise<void> {
    const closed = once(this.child, 'close');
    this.child.stdout?.resume();
    this.child.kill(signal);
    await closed;
  }

  /** @returns the status, or 0 if the server died before it answered */
  async send(method: string, resource: string, body?: object): Promise<{ status: number; body: unknown }> {
    try {
      const response = await fetch(`${this.url}${resource}?api-version=${API_VERSION}`, {
        method,
        ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }),
      });
      const text = await response.text();
      return { status: response.status, body: text === '' ? null : JSON.parse(text) };
    } catch {
      return { status: 0, body: null };
    }
  }
}

describe(`culvert serve, killed ${KILLS} times in a burst of changes`, function () {
  this.timeout(180_000 + KILLS * 10_000);
  let folder = '';
  let server: Server;
  /** Changes that the server has acknowledged. */
  let acknowledged = 0;
  const random = new Random(7);
  const resources: Resource[] = Array.from({ length: 4 * WRITERS }, (_, i) => ({
    path: `${GROUP}/networkSecurityGroups/nsg-${String(i)}`,
    acknowledged: null,
    asked: null,
  }));

  before(() => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'culvert-kill-'));
  });

  after(async () => {
    await server.kill('SIGKILL');
    rmSync(folder, { recursive: true, force: true });
  });

  /** Changes its own resources one after the other until the server is gone. */
  async function write(own: readonly Resource[], next: () => number): Promise<void> {
    for (;;) {
      const resource = random.pick(own);
      const value = random.chance(0.25) ? null : next();
      resource.asked = value;
      const { status } =
        value === null
          ? await server.send('DELETE', resource.path)
          : await server.send('PUT', resource.path, { location: LOCATION, tags: { n: String(value) }, properties: {} });
      if (status === 0) return;
      assert.ok([200, 201, 202, 204].includes(status), `status ${String(status)}`);
      resource.acknowledged = value;
      acknowledged++;
    }
  }

  async function valueOf(resource: Resource): Promise<number | null> {
    const { status, body } = await server.send('GET', resource.path);
    if (status === 404) return null;
    assert.equal(status, 200);
    return Number((body as { tags: { n: string } }).tags.n);
  }

  it('loses no acknowledged change, opens its state each time, and has every change in its audit log once', async () => {
    const state = path.join(folder, 'state');
    server = await Server.start(state);
    await makeLink(server.url);
    const link = await linkOf(server.url);
    let written = 0;
    for (let kill = 0; kill < KILLS; kill++) {
      const writers = Array.from({ length: WRITERS }, (_, w) =>
        write(
          resources.filter((_each, i) => i % WRITERS === w),
          () => ++written,
        ),
      );
      const enough = acknowledged + WRITERS;
      await until('acknowledged changes', () => acknowledged >= enough);
      await sleep(random.int(50, 400));
      await server.kill('SIGKILL');
      await Promise.all(writers);
      server = await Server.start(state);
      for (const resource of resources) {
        const value = await valueOf(resource);
        const possible = [resource.acknowledged, resource.asked];
        assert.ok(possible.includes(value), `${resource.path} is ${String(value)}, not one of ${possible.join(', ')}`);
        resource.acknowledged = resource.asked = value;
      }
      assert.deepEqual(await linkOf(server.url), link, `alias, approval or LINKID changed with kill ${String(kill)}`);
    }
    const lines = readFileSync(`${state}.audit.jsonl`, 'utf8')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as AuditLine);
    assert.deepEqual(
      lines.map(({ number }) => number),
      lines.map((_, index) => index + 1),
    );
    const logged = new Map(lines.map(({ id, after }) => [id, after === null ? null : Number(after.tags?.n)]));
    for (const resource of resources) {
      assert.equal(logged.get(resource.path) ?? null, await valueOf(resource), `the audit log of ${resource.path}`);
    }
  });
});

async function makeLink(url: string): Promise<void> {
  const client = clientOf(url, 's');
  await client.virtualNetworks.beginCreateOrUpdateAndWait(
    'g',
    'net',
    {
      location: LOCATION,
      addressSpace: { addressPrefixes: ['10.0.0.0/16'] },
      subnets: [
        { name: 'default', addressPrefix: '10.0.0.0/24' },
        { name: 'nat', addressPrefix: '10.0.1.0/24', privateLinkServiceNetworkPolicies: 'Disabled' },
      ],
    },
    QUICK,
  );
  await client.loadBalancers.beginCreateOrUpdateAndWait(
    'g',
    'lb',
    {
      location: LOCATION,
      frontendIPConfigurations: [{ name: 'web', subnet: { id: `${GROUP}/virtualNetworks/net/subnets/default` } }],
    },
    QUICK,
  );
  await client.privateLinkServices.beginCreateOrUpdateAndWait(
    'g',
    'web',
    {
      location: LOCATION,
      loadBalancerFrontendIpConfigurations: [{ id: `${GROUP}/loadBalancers/lb/frontendIPConfigurations/web` }],
      ipConfigurations: [{ name: 'nat', subnet: { id: `${GROUP}/virtualNetworks/net/subnets/nat` } }],
      visibility: { subscriptions: ['s'] },
      autoApproval: { subscriptions: ['s'] },
    },
    QUICK,
  );
  await client.privateEndpoints.beginCreateOrUpdateAndWait(
    'g',
    'web',
    {
      location: LOCATION,
      subnet: { id: `${GROUP}/virtualNetworks/net/subnets/default` },
      privateLinkServiceConnections: [{ name: 'web', privateLinkServiceId: `${GROUP}/privateLinkServices/web` }],
    },
    QUICK,
  );
}

/** Everything of the service and its connection: alias, addresses, approval, LINKID. */
const linkOf = async (url: string): Promise<unknown> => clientOf(url, 's').privateLinkServices.get('g', 'web');
