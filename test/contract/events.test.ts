/** `culvert events` and the audit log of a server in a process of its own. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { start } from '../cli/command.js';
import { repositoryRoot } from '../support/machine.js';
import { until } from '../support/until.js';
import { API_VERSION } from './sdk.js';
import { ServeProcess } from './serve-process.js';

const LAB = path.join(repositoryRoot, 'fixtures', 'labs', 'two-consumers.yaml');

interface Line {
  readonly who: object | null;
  readonly action: string;
  readonly id: string;
  readonly after: object | null;
}

interface State {
  readonly properties: { readonly privateLinkServiceConnectionState: { readonly status: string } };
}

interface Rejected {
  readonly who: { readonly agent: string; readonly address: string; readonly token: string; readonly request: string };
  readonly before: State;
  readonly after: State;
}

type Event = Record<string, unknown> & { readonly id: string };

interface StreamStart {
  readonly id: string | undefined;
  readonly events: readonly Event[];
}

/** A listening command, and what it has printed. */
class Listener {
  readonly #running;
  #text = '';
  #errors = '';

  constructor(server: ServeProcess, ...args: string[]) {
    this.#running = start(['events', '--json', '--run-dir', server.runDirectory, ...args]);
    this.#running.process.stdout!.on('data', (chunk: Buffer) => (this.#text += chunk.toString('utf8')));
    this.#running.process.stderr!.on('data', (chunk: Buffer) => (this.#errors += chunk.toString('utf8')));
  }

  get events(): Event[] {
    const lines = this.#text.split('\n').slice(0, -1);
    return lines.map((line) => JSON.parse(line) as Event);
  }

  async until(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    await until(() => `${what}: ${this.#text} ${this.#errors}`, holds);
  }

  get errors(): string {
    return this.#errors;
  }

  async stop(): Promise<number | null> {
    this.#running.process.kill('SIGINT');
    return (await this.#running.ended).code;
  }
}

describe('culvert events and the audit log', () => {
  let server: ServeProcess;

  beforeEach(async () => {
    server = await ServeProcess.start(['--config', LAB, '--port', '0']);
  });
  afterEach(() => server.stop());

  /** Changes until the listener hears: it is connected then. */
  const connected = async (listener: Listener): Promise<void> => {
    let i = 0;
    await listener.until('the first event', async () => {
      const visibility = i++ % 2 === 0 ? '*' : 'consumer';
      assert.equal((await server.ask('pls', 'create', 'database', '--visibility', visibility)).code, 0);
      return listener.events.length > 0;
    });
  };

  it('tells of connections and of NAT addresses that drain', async () => {
    const listener = new Listener(server);
    try {
      await connected(listener);
      assert.equal((await server.ask('connections', 'reject', 'red-web')).code, 0);
      assert.equal((await server.ask('pls', 'create', 'web', '--nat-ip', '10.200.1.4')).code, 0);
      await listener.until('the drain', () => listener.events.some(({ type }) => type === 'nat-drain'));
      const decided = listener.events.find(({ type }) => type === 'connection')!;
      assert.equal(decided['status'], 'Rejected');
      assert.equal(decided['before'], 'Approved');
      assert.equal(decided['linkIdentifier'], '1001');
      const drain = listener.events.find(({ type }) => type === 'nat-drain')!;
      assert.equal(drain['address'], '10.200.1.5');
    } finally {
      assert.equal(await listener.stop(), 0);
    }
  });

  it('goes on behind an event that was seen', async () => {
    const first = new Listener(server);
    await connected(first);
    await first.stop();
    const seen = first.events.at(-1)!;
    assert.equal((await server.ask('connections', 'reject', 'blue-web')).code, 0);
    const second = new Listener(server, '--after', seen.id);
    try {
      await second.until('the rejection', () => second.events.some((event) => event['status'] === 'Rejected'));
    } finally {
      await second.stop();
    }
  });

  it('connects again when the server comes back, and tells of the gap', async () => {
    const listener = new Listener(server);
    try {
      await connected(listener);
      const { port } = new URL(server.url);
      await server.crashAndRestart(['--port', port]);
      await listener.until('the gap', () => listener.events.some(({ type }) => type === 'gap'));
      assert.match(listener.errors, /connecting again/);
    } finally {
      await listener.stop();
    }
  });

  /** The stream's first events, and the first id, as a client by hand sees them; no api-version is needed. */
  const streamed = async (count: number, query = '', headers: Record<string, string> = {}): Promise<StreamStart> => {
    const ending = new AbortController();
    const response = await fetch(`${server.url}/culvert/events${query}`, { headers, signal: ending.signal });
    assert.equal(response.status, 200);
    const reader = response.body!.pipeThrough(new TextDecoderStream()).getReader();
    const events = (text: string): Event[] =>
      [...text.matchAll(/^data: (.*)\n\n/gm)].map(([, data]) => JSON.parse(data!) as Event);
    let text = '';
    for (; !text.includes('\n\n') || events(text).length < count;)
      text += (await reader.read()).value ?? assert.fail(text);
    ending.abort();
    return { id: /^id: (.*)$/m.exec(text)?.[1], events: events(text) };
  };
  const group = async (name: string): Promise<void> => {
    const response = await fetch(`${server.url}/subscriptions/s/resourceGroups/${name}?api-version=${API_VERSION}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ location: 'west' }),
    });
    assert.equal(response.status, 201);
  };
  const groupsIn = (events: readonly Event[]): string[] =>
    events.map(({ resource }) => String(resource).split('/').at(-1)!);

  it('tells a listener at once where it is, so that what it misses after that comes, or is told of as a gap', async () => {
    const { id, events } = await streamed(0);
    assert.deepEqual(events, []);
    await group('missed');
    assert.deepEqual(groupsIn((await streamed(1, '', { 'Last-Event-ID': id! })).events), ['missed']);
    await server.crashAndRestart(['--port', new URL(server.url).port]);
    await group('lost');
    const [gap] = (await streamed(1, '', { 'Last-Event-ID': id! })).events;
    assert.equal(gap!['type'], 'gap');
  });

  it('sends a browser that comes back with the URL it began with nothing twice', async () => {
    const { id: start } = await streamed(0);
    for (const name of ['a', 'b']) await group(name);
    const { events } = await streamed(2, `?after=${start!}`);
    assert.deepEqual(groupsIn(events), ['a', 'b']);
    await group('c');
    const back = await streamed(1, `?after=${start!}`, { 'Last-Event-ID': events[1]!.id });
    assert.deepEqual(groupsIn(back.events), ['c']);
  });

  it('has in the audit log who changed what, from what to what', async () => {
    const tokenFile = path.join(server.folder, 'token');
    writeFileSync(tokenFile, 'a-long-secret\n');
    assert.equal((await server.ask('connections', 'reject', 'red-web', '--token-file', tokenFile)).code, 0);
    assert.equal((await server.ask('pe', 'delete', 'red-web')).code, 0);
    const text = readFileSync(path.join(server.folder, 'state.audit.jsonl'), 'utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as Line);
    const seeded = lines.filter(({ who }) => who === null);
    assert.ok(seeded.length > 10 && seeded.every(({ action }) => action === 'create'));
    const rejected = lines.find(({ action }) => action === 'change') as unknown as Rejected;
    assert.equal(rejected.who.agent, 'culvert');
    assert.match(rejected.who.address, /127\.0\.0\.1$/);
    assert.match(rejected.who.token, /^[0-9a-f]{12}$/);
    assert.doesNotMatch(text, /a-long-secret/);
    assert.match(rejected.who.request, /^PUT \/subscriptions\/provider\/.*red-web\./);
    assert.equal(rejected.before.properties.privateLinkServiceConnectionState.status, 'Approved');
    assert.equal(rejected.after.properties.privateLinkServiceConnectionState.status, 'Rejected');
    const deleted = lines
      .filter(({ action }) => action === 'delete')
      .map(({ id, after }) => [id.split('/').at(-2), after]);
    assert.deepEqual(deleted.toSorted(), [
      ['networkInterfaces', null],
      ['privateEndpointConnections', null],
      ['privateEndpoints', null],
    ]);
  });
});
