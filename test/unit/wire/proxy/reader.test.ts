import assert from 'node:assert/strict';
import { once } from 'node:events';
import type { AddressInfo, Socket } from 'node:net';
import { connect, createServer } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import { azureLinkId, encode, azureLinkIdTlv, noopTlv, ProxyHeaderReader } from '../../../../src/wire/proxy/index.js';
import { inet, throwsCode, tlv } from './support.js';

const AZURE = inet(tlv(0xee, '01 1d570020'));
const PAYLOAD = Buffer.from('GET / HTTP/1.1\r\n');

/** Pushes a stream in chunks of these sizes; gives the header's LINKID, and the stream after the header. */
function readIn(sizes: (at: number) => number, stream: Buffer): [number | undefined, Buffer] {
  const reader = new ProxyHeaderReader();
  for (let at = 0; at < stream.length;) {
    const size = sizes(at);
    const read = reader.push(stream.subarray(at, at + size));
    at += size;
    if (read !== undefined) return [azureLinkId(read.header), Buffer.concat([read.rest, stream.subarray(at)])];
  }
  throw new Error('no header');
}

describe('PROXY header reader', () => {
  const streams: [string, Buffer, number | undefined][] = [
    ['version 2', AZURE, 536893213],
    ['version 1', Buffer.from('PROXY TCP4 10.0.0.5 10.9.0.4 40000 443\r\n'), undefined],
  ];
  for (const [name, header, linkId] of streams) {
    it(`gives a ${name} header and the rest, whatever the chunks`, () => {
      const stream = Buffer.concat([header, PAYLOAD]);
      for (let first = 1; first <= stream.length; first++) {
        for (const later of [1, 2, 7, 1000]) {
          assert.deepEqual(
            readIn((at) => (at === 0 ? first : later), stream),
            [linkId, PAYLOAD],
            `${first}, ${later}`,
          );
        }
      }
    });
  }

  it('takes empty chunks', () => {
    const reader = new ProxyHeaderReader();
    assert.equal(reader.push(Buffer.alloc(0)), undefined);
    assert.equal(reader.push(AZURE.subarray(0, 20)), undefined);
    assert.equal(reader.push(Buffer.alloc(0)), undefined);
    assert.equal(reader.push(AZURE.subarray(20))?.rest.length, 0);
  });

  it('keeps what it holds when the caller uses the chunk again', () => {
    const reader = new ProxyHeaderReader();
    const chunk = Buffer.from(AZURE.subarray(0, 34));
    reader.push(chunk);
    chunk.fill(0xff);
    const read = reader.push(AZURE.subarray(34));
    assert.equal(read && azureLinkId(read.header), 536893213);
  });

  it('reads a header of 65551 octets that comes octet by octet', () => {
    const unspec = { command: 'PROXY', family: 'unspec', transport: 'unspec' } as const;
    const octets = encode({ ...unspec, tlvs: [noopTlv(65535 - 3 - 8), azureLinkIdTlv(9)] });
    assert.equal(octets.length, 65551);
    const reader = new ProxyHeaderReader();
    for (let i = 0; i < octets.length - 1; i++) assert.equal(reader.push(octets.subarray(i, i + 1)), undefined);
    const read = reader.push(octets.subarray(octets.length - 1));
    assert.equal(read && azureLinkId(read.header), 9);
  });

  it('refuses what is over its bound before the header has come', () => {
    const reader = new ProxyHeaderReader({ maxLength: 35 });
    throwsCode(() => reader.push(AZURE.subarray(0, 16)), 'PROXY_TOO_LONG');
  });

  it('says the same error again after one', () => {
    const reader = new ProxyHeaderReader();
    throwsCode(() => reader.push(PAYLOAD), 'PROXY_NO_SIGNATURE');
    throwsCode(() => reader.push(AZURE), 'PROXY_NO_SIGNATURE');
    throwsCode(() => {
      reader.end();
    }, 'PROXY_NO_SIGNATURE');
  });

  it('has nothing against an end after the header', () => {
    const reader = new ProxyHeaderReader();
    reader.push(AZURE);
    reader.end();
  });

  it('gives the LINKID on a socket and hands the socket on, as its example shows', async () => {
    const server = createServer();
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const client = connect((server.address() as AddressInfo).port, '127.0.0.1');
    try {
      const served = new Promise<[number | undefined, Socket]>((resolve, reject) => {
        client.on('error', reject);
        server.on('connection', (socket) => {
          const reader = new ProxyHeaderReader({ maxLength: 512 });
          const onData = (chunk: Buffer): void => {
            try {
              const read = reader.push(chunk);
              if (read === undefined) return;
              socket.off('data', onData).pause();
              if (read.rest.length > 0) socket.unshift(read.rest);
              resolve([azureLinkId(read.header), socket]);
            } catch (error) {
              socket.destroy();
              reject(error instanceof Error ? error : new Error(String(error)));
            }
          };
          socket.on('data', onData);
        });
      });
      await once(client, 'connect');
      client.setNoDelay(true);
      client.write(AZURE.subarray(0, 30));
      await setTimeout(20);
      client.write(Buffer.concat([AZURE.subarray(30), PAYLOAD.subarray(0, 5)]));
      await setTimeout(20);
      client.end(PAYLOAD.subarray(5));
      const [linkId, socket] = await served;
      assert.equal(linkId, 536893213);
      const chunks: Buffer[] = [];
      for await (const chunk of socket) chunks.push(chunk as Buffer);
      assert.deepEqual(Buffer.concat(chunks), PAYLOAD);
    } finally {
      client.destroy();
      server.close();
    }
  });
});
