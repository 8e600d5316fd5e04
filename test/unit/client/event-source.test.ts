import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import type { AddressInfo } from 'node:net';
import { ApiClient } from '../../../src/client/api-client.js';
import { events } from '../../../src/client/event-source.js';

describe('a listener of events', () => {
  /** What the server sends on each connection, before it breaks it. */
  let connections: string[];
  /** Where the listener said it was. */
  let places: (string | undefined)[];
  let server: http.Server;
  let url: string;

  beforeEach(async () => {
    connections = [];
    places = [];
    server = http.createServer((request, response) => {
      places.push(request.headers['last-event-id']?.toString());
      response.writeHead(200, { 'Content-Type': 'text/event-stream' });
      response.end(connections.shift() ?? '');
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    url = `http://127.0.0.1:${String((server.address() as AddressInfo).port)}`;
  });
  afterEach(() => {
    server.closeAllConnections();
    server.close();
  });

  it('that lost its connection before the first event comes back to where it was', async () => {
    connections = ['retry: 1000\nid: run-5\n\n:\n\n', 'id: run-6\nevent: a\ndata: {"id":"run-6"}\n\n'];
    const { signal } = new AbortController();
    for await (const event of events(new ApiClient({ url }), undefined, () => undefined, signal)) {
      assert.equal(event['id'], 'run-6');
      break;
    }
    assert.deepEqual(places, [undefined, 'run-5']);
  });
});
